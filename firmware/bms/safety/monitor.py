"""The protections of tables/faults.py, evaluated on fresh samples. Integers only, nothing allocated.

A row trips after `fresh` offending samples in a row and clears after as many on the right side of its
clear level. Samples that did not come are neither: unknown never clears a trip, and the rows on a
group's age trip by themselves when it falls silent.
"""

import micropython
from array import array

from bms.tables.faults import ABOVE, CELLS, FAST, FAULTS, LATCHED, TEMPS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.sample import Sample
    from bms.tables.faults import Fault

NO_ACTION = -1

PROVEN = (10, 5, 3)
"""Fresh samples of FAST, CELLS, TEMPS without any trip before the pack counts as proven safe."""

_SIGNALS = ("age_ms", "current_ma", "cell_max_mv", "cell_min_mv", "temp_max_dc", "temp_min_dc")
AGE, CURRENT, CELL_MAX, CELL_MIN, TEMP_MAX, TEMP_MIN = 0, 1, 2, 3, 4, 5
_OLDEST_MS = 60_000
_WAKE_MS = 2000
"""A front end may take this long after boot to send its first samples; until then nothing is proven."""


class Events:
    """A ring of what tripped and cleared, for the task that reports; the tick never waits for it."""

    SIZE = 16

    def __init__(self) -> None:
        self.fault = array("b", [0] * self.SIZE)
        self.raised = array("b", [0] * self.SIZE)
        self.value = array("i", [0] * self.SIZE)
        self.limit = array("i", [0] * self.SIZE)
        self.index = array("h", [0] * self.SIZE)
        self.tick = array("i", [0] * self.SIZE)
        self.head = 0
        self.tail = 0
        self.lost = 0

    def put(self, fault: int, raised: int, value: int, limit: int, index: int, tick: int) -> None:
        """Add one; when the ring is full the new one is counted in `lost`."""
        at = self.head
        after = (at + 1) % self.SIZE
        if after == self.tail:
            self.lost += 1
            return
        self.fault[at] = fault
        self.raised[at] = raised
        self.value[at] = value
        self.limit[at] = limit
        self.index[at] = index
        self.tick[at] = tick
        self.head = after


class Monitor:
    """Evaluates every row of the fault table for one string under `limits` (parameter name -> value).

    After `step`: `action` is the strongest action that an active or latched row asks for (NO_ACTION
    when none), `active` and `latched` are bitmaps by fault id, `proven` says "proven safe".
    """

    def __init__(self, limits: "dict[str, int]") -> None:
        n = len(FAULTS)
        self._limit = array("i", [limits[row.limit] for row in FAULTS])
        self._clear = array("i", [limits[row.clear] for row in FAULTS])
        self._signal = array("b", [_SIGNALS.index(row.signal) for row in FAULTS])
        self._count = array("b", [0] * n)
        self._by_group = tuple(
            tuple(i for i in range(n) if FAULTS[i].group == group and self._signal[i] != AGE)
            for group in (FAST, CELLS, TEMPS)
        )
        # one row a group, in the order of the groups
        self._age_rows = tuple(i for i in range(n) if self._signal[i] == AGE)
        self.value = array("i", [0] * len(_SIGNALS))
        self._seq = array("i", [0, 0, 0])
        self._seen = array("b", [0, 0, 0])
        self.age_ms = array("i", [-_WAKE_MS] * 3)
        self.active = bytearray(8)
        self.latched = bytearray(8)
        self.action = NO_ACTION
        self.proven = False
        self.events = Events()

    @micropython.native
    def step(self, sample: "Sample", elapsed_ms: int, tick: int) -> None:
        """One tick: `elapsed_ms` since the last one; `sample` is a bms.sample.Sample."""
        self._group(FAST, sample.fast_seq, sample, elapsed_ms, tick)
        self._group(CELLS, sample.cells_seq, sample, elapsed_ms, tick)
        self._group(TEMPS, sample.temps_seq, sample, elapsed_ms, tick)
        for i in self._age_rows:
            age_ms = self.age_ms[FAULTS[i].group]
            if age_ms > self._limit[i] or self.active[i >> 3] & 1 << (
                i & 7
            ):  # else there is nothing to decide
                self._evaluate(i, age_ms, sample, tick)

    @micropython.native
    def _group(self, group: int, seq: int, sample: "Sample", elapsed_ms: int, tick: int) -> None:
        # Two things can have happened since the last tick: a valid sample came, or none did.
        if seq != self._seq[group]:
            self._seq[group] = seq
            self.age_ms[group] = 0
            self._measure(group, sample)
            for i in self._by_group[group]:
                self._evaluate(i, self.value[self._signal[i]], sample, tick)
            self._prove(group)
        elif self.age_ms[group] < _OLDEST_MS:
            self.age_ms[group] += elapsed_ms

    @micropython.native
    def _measure(self, group: int, sample: "Sample") -> None:
        value = self.value
        if group == FAST:
            value[CURRENT] = sample.current_ma
        elif group == CELLS:
            value[CELL_MAX] = max(sample.cell_mv)
            value[CELL_MIN] = min(sample.cell_mv)
        else:
            value[TEMP_MAX] = max(sample.temp_dc)
            value[TEMP_MIN] = min(sample.temp_dc)

    @micropython.native
    def _prove(self, group: int) -> None:
        if self.action != NO_ACTION:
            self._seen[0] = self._seen[1] = self._seen[2] = 0
            self.proven = False
        elif not self.proven:
            seen = self._seen
            if seen[group] < PROVEN[group]:
                seen[group] += 1
            self.proven = seen[0] >= PROVEN[0] and seen[1] >= PROVEN[1] and seen[2] >= PROVEN[2]

    @micropython.native
    def _evaluate(self, i: int, value: int, sample: "Sample", tick: int) -> None:
        row = FAULTS[i]
        active = self.active[i >> 3] & 1 << (i & 7)
        level = self._clear[i] if active else self._limit[i]
        beyond = value > level if row.compare == ABOVE else value < level
        if beyond == bool(active):
            self._count[i] = 0
            return
        self._count[i] += 1
        if self._count[i] < row.fresh:
            return
        self._count[i] = 0
        self._flip(i, row, value, sample, tick)

    def _flip(self, i: int, row: "Fault", value: int, sample: "Sample", tick: int) -> None:
        byte = i >> 3
        bit = 1 << (i & 7)
        self.active[byte] ^= bit
        raised = 1 if self.active[byte] & bit else 0
        if raised and row.latch == LATCHED:
            self.latched[byte] |= bit
        self.events.put(i, raised, value, self._limit[i], self._where(i, value, sample), tick)
        self._decide()

    def _where(self, i: int, value: int, sample: "Sample") -> int:
        signal = self._signal[i]
        if signal == CELL_MAX or signal == CELL_MIN:
            return _index(sample.cell_mv, value)
        if signal == TEMP_MAX or signal == TEMP_MIN:
            return _index(sample.temp_dc, value)
        return -1

    def _decide(self) -> None:
        action = NO_ACTION
        for row in FAULTS:
            byte = row.id >> 3
            if (self.active[byte] | self.latched[byte]) & 1 << (row.id & 7) and row.action > action:
                action = row.action
        self.action = action
        if action != NO_ACTION:
            self.proven = False
            self._seen[0] = self._seen[1] = self._seen[2] = 0

    def known(self, group: int) -> bool:
        """Whether the last sample of a group is fresh enough to be believed."""
        return 0 <= self.age_ms[group] <= self._limit[self._age_rows[group]]

    def reset_latched(self) -> None:
        """Forget latched rows whose cause has gone; an active row stays."""
        for i in range(8):
            self.latched[i] &= self.active[i]
        self._decide()


def _index(values: "array[int]", value: int) -> int:
    i = 0
    for v in values:
        if v == value:
            return i
        i += 1
    return -1
