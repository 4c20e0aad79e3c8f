"""The desk board: MicroPython's unix port or CPython, the rig and the broker at the ends of sockets.

Environment:
    CELLKEEPER_AFE     unix:PATH or tcp:HOST:PORT of the rig (required)
    CELLKEEPER_BROKER  HOST:PORT of the MQTT broker; empty or absent: no broker
    CELLKEEPER_NVM     file that keeps the non-volatile memory (required)
"""

import errno
import os
import select
import socket
import struct
import sys
import time

from bms.estimate.late import observer
from bms.link.afe_serial import SerialAfe
from bms.sample import TICK_MS
from hal.nor import SECTOR, Nor
from hal.rig import Gate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MICROPYTHON = sys.implementation.name == "micropython"


if MICROPYTHON:
    _BEGAN = time.ticks_ms()

    def _now_ms() -> int:
        return time.ticks_diff(time.ticks_ms(), _BEGAN)
else:

    def _now_ms() -> int:
        # CPython's alone, so the stubs do not know it
        ns = time.monotonic_ns()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
        return ns // 1_000_000  # pyright: ignore[reportUnknownVariableType]


def _setting(name: str) -> str:
    value = os.getenv(name)
    if not value:
        raise SystemExit("board unix: %s is not set" % name)
    return value


def _connect(where: str) -> "socket.socket":
    kind, _, rest = where.partition(":")
    if kind == "unix":
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.connect(struct.pack("<H108s", 1, rest.encode()) if MICROPYTHON else rest)
        return sock
    host, _, port = rest.rpartition(":")
    if kind != "tcp" or not port:
        raise SystemExit("board unix: CELLKEEPER_AFE is %r, it must be unix:PATH or tcp:HOST:PORT" % where)
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.connect(socket.getaddrinfo(host, int(port))[0][-1])
    return sock


class AfeStream:
    """The AFE link as the firmware wants it; a rig that hangs up ends the program."""

    def __init__(self, where: str) -> None:
        try:
            sock = _connect(where)
        except OSError as error:
            raise SystemExit("board unix: no rig at %s (%s)" % (where, error))
        sock.setblocking(False)
        self._sock = sock
        self._file = sock.makefile("rwb", 0)
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    def readinto(self, buf: bytearray) -> int:
        """Bytes read into the start of buf, 0 when none wait."""
        n = self._file.readinto(buf)
        if n == 0:
            raise SystemExit(0)  # the rig has gone
        return n or 0

    def write(self, buf: bytearray, n: int) -> int:
        """Write buf[:n]; waits when the rig is slow to read, as a full line would."""
        view = memoryview(buf)
        sent = 0
        try:
            while sent < n:
                sent += self._file.write(view[sent:n]) or 0
        except OSError:
            raise SystemExit(0)
        return n

    def wait_frame(self) -> bool:
        """Sleep until there is something to read."""
        self._poll.poll(-1)
        return True

    def wait_ms(self, ms: int) -> None:
        """Sleep until there is something to read, at most so long."""
        self._poll.poll(ms)


class Link:
    """Byte stream to the broker over TCP. `open` may be called until it says True; nothing here blocks."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._sock = None
        self._file = None
        self._poll = None

    def open(self) -> bool:
        """Begin or go on connecting; True once bytes may flow."""
        if not self._where:
            return False
        if self._sock is None:
            self._begin()
        if self._poll is None:
            return False
        for _, flags in self._poll.poll(0):
            if flags & (select.POLLERR | select.POLLHUP):
                self.close()
                return False
            return True
        return False

    def _begin(self) -> None:
        host, _, port = self._where.rpartition(":")
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        self._sock = sock
        self._file = sock.makefile("rwb", 0)
        self._poll = select.poll()
        self._poll.register(sock, select.POLLOUT)
        try:
            sock.connect(socket.getaddrinfo(host, int(port))[0][-1])
        except OSError as error:
            if error.errno != errno.EINPROGRESS:
                self.close()

    def readinto(self, buf: bytearray) -> int:
        """Bytes read into the start of buf, 0 when none wait, -1 when the broker hung up."""
        if self._file is None:
            return -1
        try:
            n = self._file.readinto(buf)
        except OSError:
            return -1
        return 0 if n is None else n or -1

    def write(self, buf: bytearray, n: int) -> int:
        """Bytes of buf[:n] taken, 0 when the line is full, -1 when the broker hung up."""
        if self._file is None:
            return -1
        try:
            return self._file.write(memoryview(buf)[:n]) or 0
        except OSError:
            return -1

    def close(self) -> None:
        """Hang up; `open` starts anew."""
        if self._sock is not None:
            self._sock.close()
        self._sock = self._file = self._poll = None


class FileNvm(Nor):
    """NOR flash in a file."""

    def __init__(self, path: str) -> None:
        super().__init__(1 << 20)
        try:
            self._file = open(path, "r+b")
        except OSError:
            with open(path, "wb") as new:
                new.write(b"\xff" * self.size)
            self._file = open(path, "r+b")

    def read(self, addr: int, buf: bytearray) -> None:
        """Fill buf from addr on."""
        self._check(addr, len(buf))
        self._file.seek(addr)
        self._file.readinto(buf)

    def _program(self, addr: int, data: "bytes | bytearray") -> None:
        self._file.seek(addr)
        self._file.write(bytes(data))
        self._file.flush()

    def _erase(self, sector: int) -> None:
        self._program(sector * SECTOR, b"\xff" * SECTOR)


class Clock:
    """Device time. In lock-step a tick is TICK_MS and time stands still between ticks."""

    def __init__(self, afe: SerialAfe) -> None:
        self._afe = afe
        self._start_ms = _now_ms()
        self._tick_at_ms = self._start_ms
        self._stepped_ms = 0

    def ms(self) -> int:
        """Milliseconds since boot."""
        return self._stepped_ms if self._afe.lockstep else _now_ms() - self._start_ms

    def elapsed_ms(self) -> int:
        """Milliseconds since the last call; called once a tick."""
        if self._afe.lockstep:
            self._stepped_ms += TICK_MS
            return TICK_MS
        now_ms = _now_ms()
        elapsed_ms = now_ms - self._tick_at_ms
        self._tick_at_ms = now_ms
        return elapsed_ms


class Watchdog:
    """A desk process has no watchdog: whoever started it watches it."""

    def start(self, timeout_ms: int) -> None:
        """Nothing to arm."""

    def feed(self) -> None:
        """Nothing to feed."""

    def relax(self) -> None:
        """Nothing to relax."""


class Board:
    """The unix board. See the module for its environment."""

    name = "unix"
    safety_timer = "scheduled"

    def __init__(self) -> None:
        self._stream = AfeStream(_setting("CELLKEEPER_AFE"))
        self.afe = SerialAfe(self._stream)
        self.gate = Gate()
        self.observer = observer
        self.link = Link(os.getenv("CELLKEEPER_BROKER") or "")
        self.nvm = FileNvm(_setting("CELLKEEPER_NVM"))
        self.clock = Clock(self.afe)
        self.watchdog = Watchdog()
        self.machine = _machine()
        self._callback: "Callable[[int], None] | None" = None
        self._period_ms = 0
        self._due_ms = 0

    def random_u32(self) -> int:
        """32 random bits from the operating system."""
        with open("/dev/urandom", "rb") as source:
            return struct.unpack("<I", source.read(4))[0]

    def reset_cause(self) -> str:
        """A process was started; CELLKEEPER_CAUSE says what that stands for."""
        return os.getenv("CELLKEEPER_CAUSE") or "power-on"

    def reset(self) -> None:
        """End: whoever started the process starts it again."""
        raise SystemExit(0)

    def start_safety_timer(self, callback: "Callable[[int], None]", period_ms: int) -> None:
        """Call `callback(0)` each period_ms, from `idle`; in lock-step once a frame."""
        self._callback = callback
        self._period_ms = period_ms
        self._due_ms = _now_ms() + period_ms

    def idle(self) -> None:
        """Sleep until the next tick is due and run it."""
        if self._callback is None:
            self._stream.wait_ms(10)
        elif self.afe.lockstep:
            self._callback(0)
        else:
            wait_ms = self._due_ms - _now_ms()
            if wait_ms > 0:
                time.sleep(wait_ms / 1000)
            # late by more than a period: the missed ticks are not made up for
            self._due_ms = max(self._due_ms + self._period_ms, _now_ms())
            self._callback(0)


def _machine() -> str:
    if MICROPYTHON:
        return "MicroPython %s on %s" % (
            ".".join(str(part) for part in sys.implementation.version[:3]),
            sys.platform,
        )
    return "CPython %d.%d on %s" % (sys.version_info[0], sys.version_info[1], sys.platform)
