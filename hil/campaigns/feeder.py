"""Feeds the real safety kernel with samples from standard input; prints every row that trips or clears.

Runs on CPython and on MicroPython alike, as `feeder.py N_CELLS N_TEMPS CHEMISTRY`. A block is a second: 200
FAST (current mA, pack mV, link mV, feedback; i32), 50 CELLS (u16 mV each), 10 TEMPS (i16 0.1 degC each).
Output: a line `tick fault raised value` each, then `ticks N VERSION`. Nobody asks for closed contactors.
"""

import sys
from array import array

import bms
from bms.safety.kernel import Kernel
from bms.sample import Command, Estimate, Sample, Snapshot
from bms.tables import params

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FAST_TICKS = 200
CELLS_SETS = 50
TEMPS_SETS = 10
ISOLATION_KOHM = 10_000
PERIOD_TICKS = 20


class Feed:
    """Front end, gate and clock of a board that is not there; fills `sample` from blocks of a stream."""

    def __init__(self, sample: Sample) -> None:
        self.sample = sample
        self.fast = array("i", [0] * (4 * FAST_TICKS))
        self.cells = array("H", [0] * (sample.n_cells * CELLS_SETS))
        self.temps = array("h", [0] * (sample.n_temps * TEMPS_SETS))
        self.cells_from, self.cells_to = memoryview(self.cells), memoryview(sample.cell_mv)
        self.temps_from, self.temps_to = memoryview(self.temps), memoryview(sample.temp_dc)
        self.k = 0

    def load(self) -> bool:
        """Read a block; False at the end."""
        source: Any = sys.stdin.buffer  # its type knows no readinto
        self.k = 0
        return bool(
            source.readinto(self.fast) and source.readinto(self.cells) and source.readinto(self.temps)
        )

    def bind(self, sample: Sample, command: Command) -> None:
        """Nothing to look up before the first tick."""

    def elapsed_ms(self) -> int:
        """A tick."""
        return 5

    def read(self, sample: Sample) -> None:
        """The next samples."""
        k = self.k
        self.k = k + 1
        at = 4 * k
        fast, source = sample.fast, self.fast
        fast[0] = source[at]
        fast[1] = source[at + 1]
        fast[2] = source[at + 2]
        fast[3] = source[at + 3]
        sample.arrived(0)
        if k & 3 == 0:
            n = sample.n_cells
            self.cells_to[:] = self.cells_from[(k >> 2) * n : ((k >> 2) + 1) * n]
            sample.arrived(1)
            if k % 20 == 0:
                n = sample.n_temps
                self.temps_to[:] = self.temps_from[k // 20 * n : (k // 20 + 1) * n]
                sample.isolation_kohm = ISOLATION_KOHM
                sample.arrived(2)

    def set(self, bits: int) -> None:
        """The gates, which nobody needs."""

    def write(self, command: Command, ms_low: int, ms_high: int) -> None:
        """ACTUATE, which nobody hears."""

    def errors(self) -> int:
        """No message is ever refused."""
        return 0


class Parts:
    """Of a board, what the kernel needs."""

    def __init__(self, feed: Feed) -> None:
        self.afe = self.gate = self.clock = feed


def main(n_cells: int, n_temps: int, chemistry: int) -> None:
    """Feed until the input ends."""
    sample = Sample(n_cells, n_temps)
    feed = Feed(sample)
    kernel = Kernel(
        Parts(feed),  # pyright: ignore[reportArgumentType]  no link of its own
        sample, Command(), Snapshot(n_cells, n_temps), Estimate(),
        params.defaults(chemistry), PERIOD_TICKS,
    )  # fmt: skip
    events = kernel.monitor.events
    tick = kernel.tick
    ticks = 0
    while feed.load():
        for _ in range(FAST_TICKS):
            tick(None)
            ticks += 1
            if kernel.due:
                kernel.done()
            while events.tail != events.head:
                at = events.tail
                print(ticks, events.fault[at], events.raised[at], events.value[at])
                events.tail = (at + 1) % events.SIZE
    print("ticks", ticks, bms.VERSION)


main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
