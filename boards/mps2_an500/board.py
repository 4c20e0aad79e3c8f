"""The emulated board: an ARM MPS2 AN500 (Cortex-M7, the core of i.MX RT106x) in QEMU or Renode.

UART0 console, UART1 AFE link, UART2 broker link; NVM is the PSRAM window that the emulator keeps in a file.
"""

import machine
import mps2
import os

from bms.estimate.late import observer
from bms.link.afe_serial import SerialAfe
from hal.clock import Clock
from hal.rig import Gate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Link:
    """Byte stream to the broker: the emulator joins UART2 to the broker's port. A UART has no hang-up."""

    def __init__(self) -> None:
        self._uart = mps2.UART(2)

    def open(self) -> bool:
        """A line is always open; what an older session still sends is thrown away."""
        scrap = bytearray(64)
        while self._uart.readinto(scrap):
            pass
        return True

    def readinto(self, buf: bytearray) -> int:
        """Bytes read into the start of buf, 0 when none wait."""
        return self._uart.readinto(buf)

    def write(self, buf: bytearray, n: int) -> int:
        """Write buf[:n]; all of it is taken."""
        return self._uart.write(buf, n)

    def close(self) -> None:
        """Nothing to hang up."""


class Nvm:
    """NOR flash rules over the emulator's file-backed window."""

    size = mps2.NVM.SIZE

    def read(self, addr: int, buf: bytearray) -> None:
        """Fill buf from addr on."""
        mps2.nvm_read(addr, buf)

    def program(self, addr: int, data: "bytes | bytearray") -> None:
        """Clear bits; ValueError when data crosses a page or wants a bit set."""
        mps2.nvm_program(addr, data)

    def erase(self, addr: int) -> None:
        """Set a whole aligned sector to 0xFF."""
        mps2.nvm_erase(addr)


class Watchdog:
    """The CMSDK watchdog; its reset shows in `machine.reset_cause()`."""

    def start(self, timeout_ms: int) -> None:
        """Arm it; it cannot be stopped."""
        mps2.watchdog(timeout_ms)

    def feed(self) -> None:
        """Start its time anew."""
        mps2.watchdog_feed()

    def relax(self) -> None:
        """Ten minutes for whoever works at the console."""
        mps2.watchdog(600_000)


_CAUSES = (
    ("PWRON_RESET", "power-on"),
    ("HARD_RESET", "hard"),
    ("WDT_RESET", "watchdog"),
    ("SOFT_RESET", "soft"),
)


class Board:
    """The emulated Cortex-M7."""

    name = "mps2_an500"
    safety_timer = mps2.SAFETY_TIMER

    def __init__(self) -> None:
        self.afe = SerialAfe(mps2.DmaLine() if mps2.dma_line() else mps2.UART(1))
        self.gate = Gate()
        self.link = Link()
        self.observer = observer
        self.nvm = Nvm()
        self.clock = Clock()
        self.watchdog = Watchdog()
        self.machine = os.uname().machine
        self._cause: int = machine.reset_cause()

    def random_u32(self) -> int:
        """32 bits mixed from the rig's seed and the time it took to come: the emulator has no entropy."""
        value = self.afe.seed & 0xFFFF_FFFF ^ mps2.counts()
        for _ in range(4):
            value = (value ^ value << 13) & 0xFFFF_FFFF
            value ^= value >> 17
            value = (value ^ value << 5) & 0xFFFF_FFFF
        return value

    def reset_cause(self) -> str:
        """Why the board started, one of signals.CAUSES."""
        for name, text in _CAUSES:
            if getattr(machine, name) == self._cause:
                return text
        return "unknown"

    def reset(self) -> None:
        """Start anew."""
        machine.reset()

    def start_safety_timer(self, callback: "Callable[[int], None]", period_ms: int) -> None:
        """Call `callback(0)` each period_ms: in interrupt context where the image was built so."""
        while True:
            self.clock.elapsed_ms()
            mps2.safety_timer(callback, period_ms)
            # Again when a millisecond began in between: the first tick would count it.
            if not self.clock.elapsed_ms():
                return

    def idle(self) -> None:
        """Sleep until an interrupt brings work, at most a few milliseconds."""
        mps2.idle(5)
