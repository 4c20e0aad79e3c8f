"""What a board offers (boards/<name>/board.py) and what the rooms of `bms` hand each other, as types.

For type checkers and readers only: not part of the device image, never imported at run time.
"""

from collections.abc import Callable
from typing import Protocol

from bms.memory.journal import Journal
from bms.sample import Command, Estimate, Sample, Snapshot


class Stream(Protocol):
    """A serial line to the measuring front end."""

    def readinto(self, buf: bytearray, /) -> int:
        """Bytes read into the start of buf; 0 when none wait. Never blocks."""
        ...

    def write(self, buf: bytearray, n: int, /) -> int:
        """Write buf[:n]; returns the bytes taken."""
        ...

    def wait_frame(self) -> bool:
        """Lock-step: sleep until a frame is there, device time standing still. False: interrupted."""
        ...


class Afe(Protocol):
    """The measuring front end, and the way back to it."""

    configured: bool
    n_cells: int
    n_temps: int
    lockstep: bool
    seed: int
    dump_wanted: bool

    def bind(self, sample: Sample, command: Command) -> None:
        """Before the first tick: the records that `read` and `write` will be called with."""
        ...

    def read(self, sample: Sample) -> None:
        """Take what has come since the last call into `sample`; called once a tick, never waits."""
        ...

    def write(self, command: Command, ms_low: int, ms_high: int) -> None:
        """Send gates, state, faults and estimates; device time in two 16-bit halves."""
        ...

    def errors(self) -> int:
        """Messages of the front end refused so far."""
        ...

    def take_utc_ms(self) -> int:
        """UTC in ms when the front end told it since the last call, else 0."""
        ...

    def log(self, text: str) -> None:
        """Tell whoever listens at the other end."""
        ...

    def send(self, kind: int, payload: "bytes | bytearray | memoryview") -> None:
        """Send a frame of another kind to whoever listens at the other end."""
        ...


class Gate(Protocol):
    """The contactors' gates; a dead-man drops them within 100 ms of the last `set`."""

    def set(self, bits: int) -> None:
        """Command the gates (signals.GATE_*) and refresh the dead-man."""
        ...


class Link(Protocol):
    """Byte stream to the MQTT broker; no call blocks."""

    def open(self) -> bool:
        """Begin or go on connecting; True once bytes may flow."""
        ...

    def readinto(self, buf: bytearray, /) -> int:
        """Bytes read into the start of buf, 0 when none wait, -1 when the broker hung up."""
        ...

    def write(self, buf: bytearray, n: int, /) -> int:
        """Bytes of buf[:n] taken, 0 when the line is full, -1 when the broker hung up."""
        ...

    def close(self) -> None:
        """Hang up."""
        ...


class ReadableNvm(Protocol):
    """Non-volatile memory, or a picture of it."""

    def read(self, addr: int, buf: bytearray, /) -> None:
        """Fill buf from addr on."""
        ...


class Nvm(ReadableNvm, Protocol):
    """Non-volatile memory with NOR rules: erase 4 KiB to 0xFF, program up to 256 B, bits 1 -> 0 only."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    def program(self, addr: int, data: "bytes | bytearray", /) -> None:
        """Clear bits. Raises ValueError when a rule is broken."""
        ...

    def erase(self, addr: int, /) -> None:
        """Set the sector that starts at addr to 0xFF. Raises ValueError when addr is not aligned."""
        ...


class TickClock(Protocol):
    """Device time for the tick."""

    def elapsed_ms(self) -> int:
        """Milliseconds since the last call; called once a tick, allocates nothing."""
        ...


class Clock(TickClock, Protocol):
    """Device time."""

    def ms(self) -> int:
        """Milliseconds since boot; not for the tick."""
        ...


class Watchdog(Protocol):
    """Resets the controller when it is not fed. When it is fed, deadlines.py decides: its window is there."""

    def start(self, timeout_ms: int) -> None:
        """Arm it."""
        ...

    def feed(self) -> None:
        """Start its time anew."""
        ...

    def relax(self) -> None:
        """Give it all the time it can have: somebody works at the console."""
        ...


class Estimator(Protocol):
    """Finds the state of charge."""

    def resume(self, soc_cpct: int, sigma_cpct: int, /) -> None:
        """Before the first step: what was stored before a reboot, which may be of another pack."""
        ...

    def step(self, snapshot: Snapshot, estimate: Estimate, /) -> None:
        """One period of 100 ms. Sets SoC and its sigma (0.01 %), once they are known."""
        ...


MakeObserver = Callable[[dict[str, int], int, dict[int, bytearray], Journal], Estimator]
"""Makes an estimator from parameters by name, cells in series, parts of memory/cell.py, the state journal."""


class SafetyParts(Protocol):
    """The part of a board that the safety tick needs."""

    @property
    def afe(self) -> Afe: ...

    @property
    def gate(self) -> Gate: ...

    @property
    def clock(self) -> TickClock: ...


class Board(SafetyParts, Protocol):
    """A board: the only place that names chips and pins."""

    @property
    def name(self) -> str: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def observer(self) -> "MakeObserver | None":
        """None: this board has no memory for one."""
        ...

    @property
    def safety_timer(self) -> str:
        """When the tick runs: "hard" (in interrupt context) or "scheduled" (between two bytecodes)."""
        ...

    @property
    def machine(self) -> str:
        """What it runs on, for people."""
        ...

    @property
    def link(self) -> Link: ...

    @property
    def nvm(self) -> Nvm: ...

    @property
    def watchdog(self) -> Watchdog: ...

    def random_u32(self) -> int:
        """32 random bits."""
        ...

    def reset_cause(self) -> str:
        """Why the board started, one of signals.CAUSES."""
        ...

    def reset(self) -> None:
        """Start the controller anew; does not return. The contactors open, whatever current flows."""
        ...

    def start_safety_timer(self, callback: Callable[[int], None], period_ms: int) -> None:
        """Call `callback(0)` each period_ms, in interrupt context where `safety_timer` is "hard"."""
        ...

    def idle(self) -> None:
        """Sleep a moment, until there may be something to do."""
        ...
