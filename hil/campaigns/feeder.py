"""Feeds the real safety kernel with samples from standard input; prints every row that trips or clears.

Runs on CPython and on MicroPython alike, as `feeder.py N_CELLS N_TEMPS CHEMISTRY`. A block is a second: 200
FAST (current mA, pack mV, link mV, feedback; i32), 50 CELLS (u16 mV each), 10 TEMPS (i16 0.1 degC each).
Output: a line `tick fault raised value` each, then `ticks N`. Nobody asks for closed contactors.
"""

import sys
from array import array

import bms  # noqa: F401  first: CPython gets its stand-ins
from bms.safety.kernel import Kernel
from bms.sample import Command, Estimate, Sample, Snapshot
from bms.tables import params

FAST_TICKS = 200
CELLS_SETS = 50
TEMPS_SETS = 10
ISOLATION_KOHM = 10_000
PERIOD_TICKS = 20


class Feed:
    """Front end, gate and clock of a board that is not there."""

    def __init__(self, n_cells: int, n_temps: int) -> None:
        self.fast = array("i", [0] * (4 * FAST_TICKS))
        self.cells = array("H", [0] * (n_cells * CELLS_SETS))
        self.temps = array("h", [0] * (n_temps * TEMPS_SETS))
        self.blocks = tuple(memoryview(part) for part in (self.fast, self.cells, self.temps))
        self.raw = bytearray(2 * (8 * FAST_TICKS + n_cells * CELLS_SETS + n_temps * TEMPS_SETS))
        self.n_cells = n_cells
        self.n_temps = n_temps
        self.k = 0
        self.wake = 0
        self.sinks = ()

    def load(self, source) -> bool:
        """Read a block; False at the end."""
        if source.readinto(self.raw) != len(self.raw):
            return False
        at = 0
        for block, width in zip(self.blocks, (4, 2, 2)):  # noqa: B905  MicroPython's zip has no strict
            n = len(block) * width
            _bytes(block)[:] = memoryview(self.raw)[at : at + n]
            at += n
        self.k = 0
        return True

    def elapsed_ms(self) -> int:
        """A tick."""
        return 5

    def read(self, sample: Sample) -> None:
        """The next samples."""
        k = self.k
        self.k = k + 1
        at = 4 * k
        fast = sample.fast
        source = self.fast
        fast[0] = source[at]
        fast[1] = source[at + 1]
        fast[2] = source[at + 2]
        fast[3] = source[at + 3]
        sample.arrived(0)
        if k & 3 == 0:
            n = self.n_cells
            self.sinks[0][:] = self.blocks[1][(k >> 2) * n : ((k >> 2) + 1) * n]
            sample.arrived(1)
            if k % 20 == 0:
                n = self.n_temps
                self.sinks[1][:] = self.blocks[2][k // 20 * n : (k // 20 + 1) * n]
                sample.isolation_kohm = ISOLATION_KOHM
                sample.arrived(2)

    def set(self, bits: int) -> None:
        """The gates, which nobody needs."""

    def write(self, command: Command, ms_low: int, ms_high: int) -> None:
        """ACTUATE, which nobody hears."""

    def errors(self) -> int:
        """No message is ever refused."""
        return 0


def _bytes(block):
    try:
        return block.cast("B")
    except AttributeError:  # MicroPython: a view of bytes is made by address
        import uctypes

        return uctypes.bytearray_at(uctypes.addressof(block), _size(block))


def _size(block) -> int:
    import uctypes

    first, second = uctypes.addressof(block), uctypes.addressof(block[1:])
    return len(block) * (second - first)


class _Board:
    def __init__(self, feed: Feed) -> None:
        self.afe = self.gate = self.clock = feed


def main(n_cells: int, n_temps: int, chemistry: int) -> None:
    """Feed until the input ends."""
    feed = Feed(n_cells, n_temps)
    sample = Sample(n_cells, n_temps)
    feed.sinks = (memoryview(sample.cell_mv), memoryview(sample.temp_dc))
    kernel = Kernel(
        _Board(feed), sample, Command(), Snapshot(n_cells, n_temps), Estimate(), params.defaults(chemistry),
        PERIOD_TICKS,
    )  # fmt: skip
    events = kernel.monitor.events
    source = sys.stdin.buffer
    tick = kernel.tick
    ticks = 0
    while feed.load(source):
        for _ in range(FAST_TICKS):
            tick(None)
            ticks += 1
            if kernel.due:
                kernel.done()
            while events.tail != events.head:
                at = events.tail
                print(ticks, events.fault[at], events.raised[at], events.value[at])
                events.tail = (at + 1) % events.SIZE
    print("ticks", ticks)


main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
