"""One fake chip: pins with edges, UARTs with FIFOs, timers, watchdog, flash with NOR physics, network.

Time is the test's own: `Chip.advance` moves it and runs what falls due, the way the scheduler of
MicroPython runs a timer's callback between two bytecodes.
"""

from __future__ import annotations

import os
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

SECTOR = 4096
PWRON, HARD, WDT, SOFT = 1, 2, 3, 5


class Chip:
    """State that the fake modules share; made anew for every test."""

    def __init__(self, flash_bytes: int = 16 * SECTOR) -> None:
        self.now_ms = (1 << 30) - 700  # ticks_ms is about to wrap
        self.pins: dict[int | str, Pin] = {}
        self.uarts: dict[int, Uart] = {}
        self.timers: dict[int, Timer] = {}
        self.fed_ms: int | None = None
        self.watchdog_ms = 0
        self.was_reset = False
        self.reset_cause = PWRON
        self.flash = Flash(flash_bytes)
        self.network_up = False
        self.network_calls: list[tuple[Any, ...]] = []
        self.i2c: Any = None  # the bus that machine.I2C gives
        self.spi: Any = None  # the bus that machine.SPI gives
        self.selects: dict[int | str, Any] = {}  # pins that are chip selects, and their bus
        self.bus_options: dict[str, Any] = {}

    def advance(self, ms: int) -> None:
        """Let time pass, one millisecond after the other."""
        for _ in range(ms):
            self.now_ms += 1
            for timer in list(self.timers.values()):
                timer.step(self.now_ms)
            if self.fed_ms is not None and self.now_ms - self.fed_ms >= self.watchdog_ms:
                self.was_reset = True

    def ticks_ms(self) -> int:
        """MicroPython's counter, which wraps at 2^30."""
        return self.now_ms & 0x3FFF_FFFF


def ticks_diff(later: int, earlier: int) -> int:
    """Difference of two ticks, across the wrap."""
    return (later - earlier + 0x2000_0000 & 0x3FFF_FFFF) - 0x2000_0000


class Pin:
    """An output that remembers when it changed, or an input that tests set by `level`."""

    IN = 1
    OUT = 3

    def __init__(self, chip: Chip, name: int | str, mode: int, value: int) -> None:
        assert name not in chip.pins, f"pin {name} is used twice"
        self._chip = chip
        self._name = name
        self._mode = mode
        self.level = value
        self.edges_ms: list[int] = []
        chip.pins[name] = self

    def value(self, level: int | None = None) -> int | None:
        """Set an output, read an input."""
        if level is None:
            assert self._mode == self.IN, f"pin {self._name} is no input"
            return self.level
        assert self._mode == self.OUT, f"pin {self._name} is no output"
        assert level in (0, 1), f"level {level!r}"
        if self._name in self._chip.selects:
            self._chip.selects[self._name].set_select(level)
        if level != self.level:
            self.edges_ms.append(self._chip.now_ms)
        self.level = level
        return None


class Uart:
    """A UART with a receive FIFO that overflows and a transmitter that remembers."""

    def __init__(
        self, chip: Chip, number: int, baudrate: int, *, rxbuf: int, txbuf: int, **options: Any
    ) -> None:
        assert options.get("timeout") == 0, "a read would wait"
        self.baudrate = baudrate
        self.options = options
        self.rxbuf = rxbuf
        self.txbuf = txbuf
        self.received = bytearray()
        self.sent = bytearray()
        chip.uarts[number] = self

    def any(self) -> int:
        """Bytes waiting."""
        return len(self.received)

    def readinto(self, buf: bytearray, nbytes: int | None = None) -> int | None:
        """As the port does it: None when nothing is there; asking for more than that would wait."""
        want = len(buf) if nbytes is None else nbytes
        assert want <= len(buf)
        assert want <= len(self.received), "the port would wait for a character time"
        if not self.received:
            return None
        buf[:want] = self.received[:want]
        del self.received[:want]
        return want

    def write(self, buf: bytearray, n: int | None = None) -> int:
        """All of it goes into the transmit buffer, or the caller would block."""
        data = bytes(buf if n is None else buf[:n])
        assert len(data) <= self.txbuf, "the write would block"
        self.sent += data
        return len(data)


class Timer:
    """A periodic timer."""

    PERIODIC = 1
    ONE_SHOT = 0

    def __init__(self, chip: Chip, number: int) -> None:
        self._chip = chip
        chip.timers[number] = self
        self._period = 0
        self._due = 0
        self._callback: Callable[[Any], None] | None = None

    def init(self, *, mode: int, period: int, callback: Callable[[Any], None]) -> None:
        """Start it."""
        assert mode == self.PERIODIC
        self._period = period
        self._due = self._chip.now_ms + period
        self._callback = callback

    def step(self, now_ms: int) -> None:
        """Run the callback when it is due."""
        if self._callback is not None and now_ms >= self._due:
            self._due += self._period
            self._callback(self)


class Flash:
    """Flash physics, without mercy: programming can only clear bits, an erase takes a whole block."""

    def __init__(self, size: int) -> None:
        self.data = bytearray(os.urandom(size))  # nobody erased it for us
        self.erases = 0

    def readblocks(self, block: int, buf: bytearray, offset: int = 0) -> None:
        """Read len(buf) bytes."""
        at = block * SECTOR + offset
        buf[:] = self.data[at : at + len(buf)]

    def writeblocks(self, block: int, buf: bytes | bytearray, offset: int | None = None) -> None:
        """Program; without an offset the ports erase first, which a NOR memory must never let happen."""
        assert offset is not None, "this would erase the whole block"
        at = block * SECTOR + offset
        for i, byte in enumerate(buf):
            self.data[at + i] &= byte

    def ioctl(self, op: int, arg: int) -> int | None:
        """4: number of blocks, 5: their size, 6: erase one."""
        if op == 4:
            return len(self.data) // SECTOR
        if op == 5:
            return SECTOR
        assert op == 6
        self.data[arg * SECTOR : (arg + 1) * SECTOR] = b"\xff" * SECTOR
        self.erases += 1
        return 0


class Nic:
    """WLAN or LAN: up when the test says so."""

    def __init__(self, chip: Chip, kind: str, dns: str) -> None:
        self._chip = chip
        self._dns = dns
        chip.network_calls.append((kind,))

    def active(self, on: bool) -> None:
        """Bring it up."""
        self._chip.network_calls.append(("active", on))

    def connect(self, ssid: str, password: str) -> None:
        """Join; comes back at once."""
        self._chip.network_calls.append(("connect", ssid, password))

    def isconnected(self) -> bool:
        """True once there is a link."""
        return self._chip.network_up

    def ifconfig(self) -> tuple[str, str, str, str]:
        """Address, mask, gateway, name server."""
        return ("192.0.2.7" if self._chip.network_up else "0.0.0.0", "", "", self._dns)  # noqa: S104


def modules(chip: Chip, dns: str = "127.0.0.1") -> dict[str, types.ModuleType]:
    """machine, network, esp32, mps2 and MicroPython's additions to time and os, all on `chip`."""
    return {
        "machine": _machine(chip),
        "network": _module(
            "network", STA_IF=0, WLAN=lambda _: Nic(chip, "WLAN", dns), LAN=lambda _: Nic(chip, "LAN", dns)
        ),
        "esp32": _module("esp32", Partition=_partition(chip)),
        "mps2": _mps2(chip),
    }


def _module(name: str, **contents: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__dict__.update(contents)
    return module


def _machine(chip: Chip) -> types.ModuleType:
    class BoundPin(Pin):
        def __init__(self, name: int | str, mode: int = Pin.IN, value: int | None = None) -> None:
            super().__init__(chip, name, mode, mode == Pin.IN if value is None else value)

    class BoundTimer(Timer):
        def __init__(self, number: int) -> None:
            super().__init__(chip, number)

    class Watchdog:
        def __init__(self, *, timeout: int) -> None:
            chip.watchdog_ms = timeout
            chip.fed_ms = chip.now_ms

        def feed(self) -> None:
            chip.fed_ms = chip.now_ms

    def uart(number: int, baudrate: int, **options: Any) -> Uart:
        return Uart(chip, number, baudrate, **options)

    def bus(kind: str) -> Callable[..., Any]:
        def make(_number: int, *args: int, **options: Any) -> Any:
            chip.bus_options = {"baudrate": args, **options}
            return getattr(chip, kind)

        return make

    return _module(
        "machine", Pin=BoundPin, Timer=BoundTimer, WDT=Watchdog, UART=uart, freq=lambda _: None,
        I2C=bus("i2c"), SPI=bus("spi"),
        PWRON_RESET=PWRON, HARD_RESET=HARD, WDT_RESET=WDT, SOFT_RESET=SOFT,
        reset_cause=lambda: chip.reset_cause, reset=lambda: setattr(chip, "was_reset", True),
    )  # fmt: skip


def _partition(chip: Chip) -> type:
    class Partition:
        TYPE_DATA = 1
        missing = False

        @classmethod
        def find(cls, kind: int, *, label: str) -> list[Flash]:
            assert (kind, label) == (cls.TYPE_DATA, "nvm")
            return [] if cls.missing else [chip.flash]

    return Partition


def _mps2(chip: Chip) -> types.ModuleType:
    class MpsUart(Uart):
        def __init__(self, number: int) -> None:
            super().__init__(chip, number, 921_600, rxbuf=4096, txbuf=4096, timeout=0)

        def readinto(self, buf: bytearray, nbytes: int | None = None) -> int:
            return super().readinto(buf, min(len(buf), self.any())) or 0

    def program(addr: int, data: bytes) -> None:
        for i, byte in enumerate(data):
            if addr % 256 + len(data) > 256 or addr + len(data) > len(chip.flash.data) or addr < 0:
                raise ValueError(f"nvm: {addr}")
            if byte & ~chip.flash.data[addr + i]:
                raise ValueError(f"nvm: {addr + i}")
        chip.flash.writeblocks(0, data, addr)

    def erase(addr: int) -> None:
        if addr % SECTOR or not 0 <= addr < len(chip.flash.data):
            raise ValueError(f"nvm: {addr}")
        chip.flash.ioctl(6, addr // SECTOR)

    def watchdog(timeout_ms: int) -> None:
        chip.watchdog_ms, chip.fed_ms = timeout_ms, chip.now_ms

    def read(addr: int, buf: bytearray) -> None:
        if addr < 0 or addr + len(buf) > len(chip.flash.data):
            raise ValueError(f"nvm: {addr}")
        chip.flash.readblocks(0, buf, addr)

    def timer(callback: Callable[[Any], None], period_ms: int) -> None:
        Timer(chip, 0).init(mode=Timer.PERIODIC, period=period_ms, callback=callback)

    nvm = types.SimpleNamespace(SIZE=len(chip.flash.data), SECTOR=SECTOR, PAGE=256)
    return _module(
        "mps2", UART=MpsUart, NVM=nvm, SAFETY_TIMER="hard", nvm_read=read, nvm_program=program,
        nvm_erase=erase, watchdog=watchdog, watchdog_feed=lambda: watchdog(chip.watchdog_ms),
        safety_timer=timer, dma_line=lambda: False,
        counts=lambda: chip.now_ms, idle=chip.advance,
    )  # fmt: skip


def network_json(folder: Path, text: str) -> None:
    """Put network.json where a board looks for it."""
    (folder / "network.json").write_text(text)
