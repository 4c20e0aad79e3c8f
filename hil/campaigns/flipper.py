"""Flips every bit of the safety kernel's memory, one at a time, and sees what comes of it.

Runs as `flipper.py STRIDE FIRST`: tries the positions FIRST, FIRST + STRIDE, ... Each from a closed path:
flip; 400 ms of sound samples; then, in two trials, an over-voltage and an over-current. Output: a line
`area word bit outcome` for each that was neither caught nor harmless, then
`counts caught crashed failed_safe harmless dangerous`.

caught      a guard has raised its row: the gates fell
crashed     the tick read far outside its memory: on a board a fault, a reset, and open gates
failed_safe the gates fell for another reason
harmless    nothing fell, and both trials tripped in time
dangerous   anything else
"""

import sys
from array import array

from bms.safety.kernel import Kernel
from bms.sample import Command, Estimate, Sample, Snapshot
from bms.tables import params
from bms.tables.faults import FAULTS

SERIES = 12
SENSORS = 4
CELL_MV = 3800
QUIET_TICKS = 80
SETTLE_TICKS = 700
OVER_VOLTAGE_TICKS = 10
OVER_CURRENT_TICKS = 4
CLOSED = 5
GUARDS = ("parameters_corrupt", "state_corrupt")


class Feed:
    """Front end, gate and clock: a sound pack that follows the gates, and offends when told."""

    def __init__(self) -> None:
        self.gates = 0
        self.cell_mv = CELL_MV
        self.current_ma = -2000
        self.k = 0

    def bind(self, sample: Sample, command: Command) -> None:
        """Nothing to look up before the first tick."""

    def elapsed_ms(self) -> int:
        """A tick."""
        return 5

    def read(self, sample: Sample) -> None:
        """The next samples; the contactors follow at once."""
        k = self.k
        self.k = k + 1
        pack = SERIES * self.cell_mv
        closed = self.gates == CLOSED
        sample.put_fast(self.current_ma if closed else 0, pack, pack if self.gates else 0, self.gates)
        if k & 3 == 0:
            for i in range(SERIES):
                sample.cell_mv[i] = self.cell_mv + (k >> 2 & 1)
            sample.arrived(1)
            if k % 20 == 0:
                for i in range(SENSORS):
                    sample.temp_dc[i] = 250
                sample.isolation_kohm = 10_000
                sample.arrived(2)

    def set(self, bits: int) -> None:
        """The gates."""
        self.gates = bits

    def write(self, command: Command, ms_low: int, ms_high: int) -> None:
        """Nobody listens."""

    def errors(self) -> int:
        """No message is ever refused."""
        return 0


class Parts:
    """Of a board, what the kernel needs."""

    def __init__(self, feed: Feed) -> None:
        self.afe = self.gate = self.clock = feed


def as_bytes(words: "bytearray | array[int] | memoryview") -> memoryview:
    """A view of a buffer's bytes."""
    return memoryview(words).cast("B")


class Bench:
    """A kernel, its memory by name, and a way back to where it was."""

    def __init__(self) -> None:
        self.feed = Feed()
        self.sample = Sample(SERIES, SENSORS)
        self.command = Command()
        self.kernel = kernel = Kernel(
            Parts(self.feed),  # pyright: ignore[reportArgumentType]  no link of its own
            self.sample, self.command, Snapshot(SERIES, SENSORS), Estimate(),
            params.defaults(params.NMC), 20,
        )  # fmt: skip
        kernel.contactor.wanted = True
        measure, guard = kernel.monitor.measure, kernel.guard
        constants = [(f"constants_{n}", part) for n, part in enumerate(guard.constants)]
        self.areas = [
            ("memory", guard.memory), ("kept", guard.kept), *constants, ("words", kernel.words),
            ("values", measure.values), ("wish", kernel.contactor.wish),
            *((name, vars(measure)[f"_{name}"]) for name in ("past", "ring", "before")),
        ]  # fmt: skip
        rest = (
            self.command.body,
            self.sample.fast,
            self.sample.cell_mv,
            self.sample.temp_dc,
            self.sample.seq,
        )
        self.memory = [as_bytes(words) for _, words in self.areas] + [as_bytes(words) for words in rest]
        while self.feed.k < SETTLE_TICKS:
            self.run(1)
        if self.feed.gates != CLOSED:
            raise RuntimeError(f"the path did not close: state {kernel.contactor.state}")
        self.saved = [bytes(block) for block in self.memory]
        self.k = self.feed.k

    def back(self) -> None:
        """As it was after settling."""
        for block, saved in zip(self.memory, self.saved, strict=True):
            block[:] = saved
        self.feed.gates, self.feed.k = CLOSED, self.k
        self.feed.cell_mv, self.feed.current_ma = CELL_MV, -2000
        self.kernel.monitor.events.tail = self.kernel.monitor.events.head

    def run(self, ticks: int) -> bool:
        """So many ticks, or until the gates are open; whether they are."""
        tick = self.kernel.tick
        for _ in range(ticks):
            tick(None)
            if self.kernel.due:
                self.kernel.done()
            if self.feed.gates == 0:
                return True
        return False

    def raised(self) -> set[str]:
        """Names of the rows that have risen since `back`."""
        events = self.kernel.monitor.events
        names: set[str] = set()
        while events.tail != events.head:
            names.add(FAULTS[events.fault[events.tail] % len(FAULTS)].name)
            events.tail = (events.tail + 1) % events.SIZE
        return names

    def trial(self, at: int, bit: int, cell_mv: int, current_ma: int, ticks: int) -> str:
        """Flip bit `bit` of byte `at` of all areas, wait, offend."""
        self.back()
        block, offset = self.place(at)
        self.memory[block][offset] ^= 1 << bit
        try:
            if self.run(QUIET_TICKS):
                return "caught" if self.raised() & set(GUARDS) else "failed_safe"
            self.feed.cell_mv, self.feed.current_ma = cell_mv, current_ma
            return "harmless" if self.run(ticks) else "dangerous"
        except (IndexError, ValueError, OverflowError, TypeError):
            return "crashed"

    def place(self, at: int) -> "tuple[int, int]":
        """Area and byte in it of byte `at` of all."""
        block = 0
        while at >= len(self.memory[block]):
            at -= len(self.memory[block])
            block += 1
        return block, at


def main(stride: int, first: int) -> None:
    """Try the positions and print what came."""
    bench = Bench()
    total = 8 * sum(len(bench.memory[n]) for n in range(len(bench.areas)))
    counts = {"caught": 0, "crashed": 0, "failed_safe": 0, "harmless": 0, "dangerous": 0}
    for position in range(first, total, stride):
        at, bit = position >> 3, position & 7
        outcome = bench.trial(at, bit, 4300, -2000, OVER_VOLTAGE_TICKS)
        if outcome == "harmless":
            outcome = bench.trial(at, bit, CELL_MV, -30_000, OVER_CURRENT_TICKS)
        counts[outcome] += 1
        if outcome not in ("caught", "harmless"):
            block, offset = bench.place(at)
            print(bench.areas[block][0], offset >> 2, (offset & 3) * 8 + bit, outcome)
    kinds = ("caught", "crashed", "failed_safe", "harmless", "dangerous")
    print("counts", " ".join(str(counts[kind]) for kind in kinds))


main(int(sys.argv[1]), int(sys.argv[2]))
