"""What every target offers, and the child processes and sockets that most of them share."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from bms.memory import identity
from bms.memory.layout import CELL, IDENTITY, SECTOR, STATE, STATE_SECTORS

ROOT = Path(__file__).resolve().parents[2]
_START_S = 20.0
_STOP_S = 3.0
_HUNG_S = 20.0
_MOST_WAITING = 4096
_LIBC: Any = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


class TargetError(RuntimeError):
    """A board that cannot be started or has stopped answering; says what, and what to do about it."""


@dataclass(frozen=True)
class BoardSetup:
    """What a board is started with.

    `identity` is written into a new NVM file; `broker` is HOST:PORT or empty; `firmware`, `image` and `main`
    (the text of main.py) replace the project's own: for mutation tests, and to sabotage the main loop.
    `gdb` is the path of a socket at which an emulator offers its debugger. `spoilt_state`: a new NVM's
    journal of latched faults cannot be read. `cell`: its tables, without which the board counts charge only.
    """

    identity: dict[str, object]
    broker: str = ""
    nvm: Path | None = None
    firmware: Path = ROOT / "firmware"
    image: Path | None = None
    main: str = ""
    gdb: Path | None = None
    extra_env: dict[str, str] = field(default_factory=dict[str, str])
    spoilt_state: bool = False
    cell: bytes = b""


class Target(Protocol):
    """A board at the other end of the AFE link."""

    name: str
    lossy: bool
    """Whether bytes sent before the board listens are lost."""

    def start(self) -> None:
        """Start it; returns when the link is up. Raises TargetError."""
        ...

    def send(self, data: bytes) -> None:
        """Send all of `data`; waits while the line is full."""
        ...

    def offer(self, data: bytes) -> None:
        """Send without ever waiting, as a serial line does: what does not fit is lost."""
        ...

    def recv(self, timeout_s: float, at_least: int = 1) -> bytes:
        """What has come, waiting at most so long for `at_least` bytes; or what has come by then."""
        ...

    def restart(self) -> None:
        """Cut its power and start it again, with the same non-volatile memory. Raises TargetError."""
        ...

    def stop(self) -> None:
        """End it and whatever was started for it; a second call does nothing."""
        ...

    def console_tail(self) -> str:
        """The last lines of its console, for error messages."""
        ...


def provision(path: Path, setup: BoardSetup, size: int) -> None:
    """A new NVM file, erased, with what the board is to be; a file that exists is left as it is."""
    if path.exists():
        return
    data = bytearray(b"\xff" * size)
    image = identity.image(setup.identity)
    data[IDENTITY : IDENTITY + len(image)] = image
    data[CELL : CELL + len(setup.cell)] = setup.cell
    if setup.spoilt_state:  # as a flash looks whose sectors have lost their charge
        data[STATE : STATE + STATE_SECTORS * SECTOR] = bytes(STATE_SECTORS * SECTOR)
    path.write_bytes(data)


def _die_with_parent() -> None:
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Child:
    """A child process with its output in a file; ends with us, however we end.

    Its input has ended from the start, or with `keep_stdin` never ends.
    """

    def __init__(
        self, name: str, command: list[str], env: dict[str, str], log: Path, *, keep_stdin: bool = False
    ) -> None:
        self.name = name
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                env=env,
                stdin=subprocess.PIPE if keep_stdin else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )

    def tail(self, lines: int = 4) -> str:
        """The last lines that it wrote."""
        try:
            text = self.log.read_text(errors="replace").strip()
        except OSError:
            return "(no output)"
        return " | ".join(text.splitlines()[-lines:]) or "(no output)"

    def require_alive(self) -> None:
        """Raises TargetError when it has ended."""
        code = self.process.poll()
        if code is not None:
            raise TargetError(f"{self.name}: ended with status {code}: {self.tail()}")

    def stop(self) -> None:
        """Terminate, then kill; this child only."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End it at once: for an emulator, a power cut."""
        self.process.kill()
        self.process.wait()


class SocketTarget:
    """Base of targets whose AFE link is a Unix-domain socket that the child connects to."""

    lossy = False

    def __init__(self, name: str, setup: BoardSetup) -> None:
        self.name = name
        self.setup = setup
        self.child: Child | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._sock: socket.socket | None = None
        self._cut = b""

    @property
    def folder(self) -> Path:
        """Private folder of this run: sockets, console, NVM if none was given."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="ck-")
        return Path(self._folder.name)

    def nvm(self, size: int) -> Path:
        """The NVM file, provisioned."""
        path = self.setup.nvm or self.folder / "nvm.bin"
        provision(path, self.setup, size)
        return path

    def launch(self, command: list[str], env: dict[str, str], afe: Path) -> None:
        """Listen at `afe`, start the child and wait until it has connected."""
        afe.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
            server.bind(str(afe))
            server.listen(1)
            self.child = Child(self.name, command, {**os.environ, **env, **self.setup.extra_env}, self.log)
            end = time.monotonic() + _START_S
            while not select.select([server], [], [], 0.05)[0]:
                self.child.require_alive()
                if time.monotonic() > end:
                    raise TargetError(
                        f"{self.name}: did not connect in {_START_S:.0f} s: {self.child.tail()}"
                    )
            self.attach(server.accept()[0])

    def attach(self, sock: socket.socket) -> None:
        """Take this as the link."""
        for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
            sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", int(_HUNG_S), 0))
        self._sock = sock

    @property
    def log(self) -> Path:
        """Where the child's output goes."""
        return self.folder / "console.log"

    def fileno(self) -> int:
        """The link's descriptor, for select."""
        return -1 if self._sock is None else self._sock.fileno()

    def send(self, data: bytes) -> None:
        """See Target."""
        if self._sock is None:
            raise TargetError(f"{self.name}: not started")
        try:
            self._sock.sendall(data)
        except BlockingIOError as error:
            raise TargetError(
                f"{self.name}: hung: takes no bytes for {_HUNG_S:.0f} s: {self.console_tail()}"
            ) from error
        except OSError as error:
            raise TargetError(
                f"{self.name}: the link broke ({error.strerror}): {self.console_tail()}"
            ) from error

    def offer(self, data: bytes) -> None:
        """See Target. A frame that was cut is finished first, so that the board sees whole frames or none."""
        if self._sock is None:
            raise TargetError(f"{self.name}: not started")
        data = self._cut + data if len(self._cut) < _MOST_WAITING else self._cut
        try:
            sent = self._sock.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise TargetError(
                f"{self.name}: the link broke ({error.strerror}): {self.console_tail()}"
            ) from error
        self._cut = data[sent:]

    def recv(self, timeout_s: float, at_least: int = 1) -> bytes:
        """See Target."""
        if self._sock is None:
            raise TargetError(f"{self.name}: not started")
        if not select.select([self._sock], [], [], timeout_s)[0]:
            return b""
        try:
            # An emulated UART sends byte by byte: the kernel gathers them, so that Python wakes up once.
            data = self._sock.recv(at_least, socket.MSG_WAITALL) if at_least > 1 else self._sock.recv(65536)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            if self.child:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.child.process.wait(1.0)
                self.child.require_alive()
            raise TargetError(f"{self.name}: hung up the link: {self.console_tail()}")
        return data

    def console_tail(self) -> str:
        """See Target."""
        return self.child.tail() if self.child else "(not started)"

    def start(self) -> None:
        """See Target."""
        raise NotImplementedError

    def restart(self) -> None:
        """See Target."""
        if self.child is None or self._sock is None:
            raise TargetError(f"{self.name}: not started")
        self.child.kill()
        self._sock.close()
        self._cut = b""
        self.start()

    def stop(self) -> None:
        """See Target."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None
        if self.child is not None:
            self.child.stop()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
