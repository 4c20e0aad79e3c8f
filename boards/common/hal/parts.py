"""Pins, serial line, watchdog and timer of a board, on MicroPython's `machine`."""

import machine
import os
import time

from bms.tables.signals import GATE_NEGATIVE, GATE_POSITIVE, GATE_PRECHARGE
from hal.clock import Clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.contract import MakeObserver
    from collections.abc import Callable
    from machine import UART, WDT, Timer

AFE_BAUD = 921_600

_CAUSES = (
    ("PWRON_RESET", "power-on"),
    ("HARD_RESET", "hard"),
    ("WDT_RESET", "watchdog"),
    ("DEEPSLEEP_RESET", "deep sleep"),
    ("SOFT_RESET", "soft"),
)


class Gate:
    """Three contactor drivers and the dead-man that supplies them.

    `deadman` is toggled by every `set`: 100 Hz while the safety tick lives. Outside the board it goes
    through a capacitor and a rectifier (charge pump), whose output supplies the three drivers and is
    bled so that it falls below the drivers' hold level within 100 ms of the last edge. So a tick that
    stops, a pin stuck high or low, and a board in reset all open the contactors.
    """

    def __init__(
        self, negative: "int | str", precharge: "int | str", positive: "int | str", deadman: "int | str"
    ) -> None:
        self._negative = machine.Pin(negative, machine.Pin.OUT, value=0)
        self._precharge = machine.Pin(precharge, machine.Pin.OUT, value=0)
        self._positive = machine.Pin(positive, machine.Pin.OUT, value=0)
        self._deadman = machine.Pin(deadman, machine.Pin.OUT, value=0)
        self._phase = 0
        self.bits = 0

    def set(self, bits: int) -> None:
        """Command the gates (GATE_* bits) and refresh the dead-man; allocates nothing."""
        self._negative.value(1 if bits & GATE_NEGATIVE else 0)
        self._precharge.value(1 if bits & GATE_PRECHARGE else 0)
        self._positive.value(1 if bits & GATE_POSITIVE else 0)
        self._phase ^= 1
        self._deadman.value(self._phase)
        self.bits = bits


class AfeStream:
    """The AFE link on a UART; reads take what has come, writes go into the driver's buffer."""

    def __init__(self, uart: "UART") -> None:
        self._uart = uart

    def readinto(self, buf: bytearray) -> int:
        """Bytes read into the start of buf, 0 when none wait."""
        waiting = self._uart.any()
        if not waiting:
            return 0
        # never ask for more than is there: some ports then wait for a character time
        n = min(waiting, len(buf))
        return self._uart.readinto(buf, n) or 0

    def write(self, buf: bytearray, n: int) -> int:
        """Write buf[:n]; returns how much was taken."""
        return self._uart.write(buf, n) or 0

    def wait_frame(self) -> bool:
        """Lock-step asks the clock to stand still, which real hardware cannot do."""
        raise RuntimeError("this board cannot run in lock-step: start the rig in free mode")


class Watchdog:
    """The chip's watchdog. It cannot be stopped, only given more time."""

    def __init__(self, longest_ms: int) -> None:
        self._longest_ms = longest_ms
        self._wdt: "WDT | None" = None

    def start(self, timeout_ms: int) -> None:
        """Arm it: reset unless fed within timeout_ms."""
        self._wdt = machine.WDT(timeout=timeout_ms)

    def feed(self) -> None:
        """Start its time anew; nothing before `start`."""
        if self._wdt is not None:
            self._wdt.feed()

    def relax(self) -> None:
        """Give it all the time it can have: somebody has interrupted the firmware to work on the board."""
        if self._wdt is not None:
            self.start(self._longest_ms)
            self.feed()


def reset_cause() -> str:
    """Why the chip started, one of signals.CAUSES."""
    cause = machine.reset_cause()
    for name, text in _CAUSES:
        if getattr(machine, name, None) == cause:
            return text
    return "unknown"


class MachineBoard:
    """What is the same on all of these boards; a board adds afe, gate, link, nvm, watchdog and its names."""

    safety_timer = "scheduled"
    _timer_id = -1

    def __init__(self) -> None:
        self.clock = Clock()
        self.machine = os.uname().machine
        self.observer: "MakeObserver | None" = None
        self._timer: "Timer | None" = None

    def random_u32(self) -> int:
        """32 bits from the chip's random number generator."""
        value = 0
        for byte in os.urandom(4):
            value = value << 8 | byte
        return value

    def reset(self) -> None:
        """Start anew."""
        machine.reset()

    def start_safety_timer(self, callback: "Callable[..., None]", period_ms: int) -> None:
        """Call `callback(timer)` each period_ms, between two bytecodes of whatever runs."""
        self._timer = timer = machine.Timer(self._timer_id)
        timer.init(mode=machine.Timer.PERIODIC, period=period_ms, callback=callback)

    def idle(self) -> None:
        """Sleep for at most 2 ms; the safety tick runs meanwhile."""
        time.sleep_ms(2)

    def reset_cause(self) -> str:
        """Why the board started, one of signals.CAUSES."""
        return reset_cause()
