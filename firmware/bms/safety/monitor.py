"""The protections of tables/faults.py, evaluated on fresh samples. Integers only, nothing allocated.

A row trips after `fresh` offending samples in a row and clears after as many on the right side of its
clear level. Samples that did not come are neither: unknown never clears a trip, and the rows on a
group's age trip by themselves when it falls silent.
"""

import micropython
from array import array

from bms.fixed import address, word, words_of
from bms.safety.measure import AGE_MS, BIAS, SIGNALS, TICK_MS, Measure
from bms.tables.faults import ABOVE, CELLS, CHARGING, FAST, FAULTS, LATCHED, NO_LIMIT, SELF, TEMPS, level
from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from bms.sample import Sample
    from bms.tables.faults import Fault

NO_ACTION = -1

WAKE_MS = const(2000)
"""A front end may take this long after boot to send its first samples; until then nothing is proven."""
_OLDEST_MS = const(60_000)

# Numbers of measure.py that viper must know; a test compares them.
_BIAS = const(1 << 29)
_AGE_MS = const(13)
_OPEN_WIRES = const(16)
_TICK_MS = const(24)
_AGE_ZERO = const((1 << 29) - 2000)  # BIAS - WAKE_MS

# Fresh samples of FAST, CELLS, TEMPS without any trip before the pack counts as proven safe.
_PROVEN_FAST = const(10)
_PROVEN_CELLS = const(5)
_PROVEN_TEMPS = const(3)

# State, in words: what a flipped bit could hurt, so the guard keeps a copy of it.
STRONGEST = const(0)
"""Action asked for, plus 1; 0 for none."""
PROVEN = const(1)
AGE = const(2)
"""Milliseconds since the last sample plus WAKE_MS, three groups."""
_SEQ = const(5)  # last seen, three groups
_SEEN = const(8)  # towards the proof, three groups
_WORDS = const(11)  # then samples in a row, 16 bits a row
_DERATE = const(1)  # faults.DERATE plus 1

# A row of the table, in words
_SIGNAL = const(0)
_ABOVE = const(1)  # 1: beyond is above the limit
_LIMIT = const(2)
_CLEAR = const(3)
_FRESH = const(4)
_ID = const(5)
_ACTION = const(6)
_FROM_MA = const(7)  # a sample can offend with more current than this
_ROW = const(8)  # words a row
_ROW_BYTES = const(32)


@micropython.viper
def _arrivals(seq_at: int, state_at: int, values_at: int, elapsed_ms: int, open_wire: int) -> int:
    # Which groups (bit = group) have a fresh sample; ages the others.
    seq = ptr32(seq_at)
    state = ptr32(state_at)
    values = ptr32(values_at)
    if elapsed_ms + _BIAS > values[_TICK_MS]:
        values[_TICK_MS] = elapsed_ms + _BIAS  # the longest since these rows were looked at
    values[_OPEN_WIRES] = open_wire + _BIAS
    fresh = 0
    group = 0
    while group < 3:
        if seq[group] != state[_SEQ + group]:
            state[_SEQ + group] = seq[group]
            state[AGE + group] = WAKE_MS
            fresh |= 1 << group
            if state[STRONGEST] <= _DERATE:
                state[_SEEN + group] += 1
        elif state[AGE + group] < _OLDEST_MS:
            state[AGE + group] += elapsed_ms
        values[_AGE_MS + group] = state[AGE + group] + _AGE_ZERO
        group += 1
    if state[STRONGEST] > _DERATE:
        state[_SEEN] = 0
        state[_SEEN + 1] = 0
        state[_SEEN + 2] = 0
        state[PROVEN] = 0
    elif (
        state[_SEEN] >= _PROVEN_FAST
        and state[_SEEN + 1] >= _PROVEN_CELLS
        and state[_SEEN + 2] >= _PROVEN_TEMPS
    ):
        state[PROVEN] = 1
        state[_SEEN] = _PROVEN_FAST
        state[_SEEN + 1] = _PROVEN_CELLS
        state[_SEEN + 2] = _PROVEN_TEMPS
    return fresh


@micropython.viper
def _flips(rows_at: int, n: int, last: int, values_at: int, counts_at: int, bits_at: int) -> int:
    # From row n on, before row `last`: the next one that trips or clears with this sample; `last`: none does.
    values = ptr32(values_at)
    counts = ptr16(counts_at)
    bits = ptr8(bits_at)
    while n < last:
        row = ptr32(rows_at + n * _ROW_BYTES)
        value = values[row[_SIGNAL] & 31]  # masked: a flipped bit must not send us out of the table
        id = row[_ID] & 63
        active = (bits[id >> 3] >> (id & 7)) & 1
        level = row[_CLEAR] if active else row[_LIMIT]
        beyond = 0
        if row[_ABOVE]:
            if value > level:
                beyond = 1
        elif value < level:
            beyond = 1
        if beyond == active:
            counts[n] = 0
        elif active or values[0] > row[_FROM_MA]:
            counts[n] += 1
            if counts[n] >= row[_FRESH]:
                counts[n] = 0
                return n
        else:
            counts[n] = 0
        n += 1
    return last


@micropython.viper
def _decide(rows_at: int, n: int, state_at: int, bits_at: int):
    # The strongest action that an active or latched row asks for.
    rows = ptr32(rows_at)
    state = ptr32(state_at)
    bits = ptr8(bits_at)
    strongest = 0
    at = 0
    while n:
        id = rows[at + _ID] & 63
        if (bits[id >> 3] | bits[8 + (id >> 3)]) >> (id & 7) & 1 and rows[at + _ACTION] >= strongest:
            strongest = rows[at + _ACTION] + 1
        at += _ROW
        n -= 1
    state[STRONGEST] = strongest


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

    `bits` (16 bytes) takes the bitmaps of active and latched rows by fault id; `ticks[0]` counts the ticks.
    Rows are held in the order in which they are looked at: those of FAST, CELLS, TEMPS when a sample came,
    those of ages and SELF each tick.
    """

    BYTES = 4 * _WORDS + 4 * ((len(FAULTS) + 1) // 2)
    """Of `memory`."""

    def __init__(
        self,
        limits: "dict[str, int]",
        sample: "Sample",
        memory: memoryview,
        bits: memoryview,
        ticks: "array[int]",
    ) -> None:
        self._sample = sample
        self._ticks = ticks
        self.measure = Measure(sample, limits)
        self.bits = bits
        self.active = bits[0:8]
        self.latched = bits[8:16]
        self._state = memory
        self.state_at = address(memory)
        self.events = Events()
        self._order = tuple(
            row.id
            for group in (FAST, CELLS, TEMPS, SELF)
            for row in FAULTS
            if group == (SELF if row.signal == "age_ms" else row.group)
        )
        self.rows = words_of([word for id in self._order for word in self._compile(FAULTS[id], limits)])

    def _compile(self, row: "Fault", limits: "dict[str, int]") -> "tuple[int, ...]":
        n_cells = self._sample.n_cells
        return (
            AGE_MS + row.group if row.signal == "age_ms" else SIGNALS.index(row.signal),
            1 if row.compare == ABOVE else 0,
            level(row, row.limit, limits, n_cells) + BIAS,
            level(row, row.clear, limits, n_cells) + BIAS,
            row.fresh,
            row.id,
            row.action,
            limits["rest_current_ma"] + BIAS if row.when == CHARGING else 0,
        )

    def step(self, watch: "Callable[[int], None]") -> "Callable[[int], None]":
        """The monitor's part of the tick, bound once: (elapsed_ms), after the samples came in.

        `watch(elapsed_ms)` is called with a fresh FAST sample, before the controller's own signals.
        """
        measure, sample = self.measure, self._sample
        # Of the controller itself a row is looked at every fourth tick: 20 ms more, for a third of the cost.
        bound = (
            (_arrivals, address(sample.seq), self.state_at, address(measure.values), sample),
            (measure.step(FAST), measure.step(CELLS), measure.step(TEMPS), watch),
            (
                self._first(CELLS), self._first(TEMPS), self._first(SELF), len(FAULTS), self._evaluator(),
                self._ticks, measure.values,
            ),
        )  # fmt: skip

        @micropython.native
        def step(elapsed_ms: int) -> None:
            arrival, takes, rows = bound
            arrivals, seq_at, state_at, values_at, sample = arrival
            fast_end, cells_end, temps_end, end, evaluate, ticks, values = rows
            fresh = arrivals(seq_at, state_at, values_at, elapsed_ms, sample.open_wire)
            if fresh:
                take_fast, take_cells, take_temps, watch = takes
                if fresh & 1:
                    take_fast()
                    watch(elapsed_ms)
                    evaluate(0, fast_end)
                if fresh & 2:
                    take_cells()
                    evaluate(fast_end, cells_end)
                if fresh & 4:
                    take_temps()
                    evaluate(cells_end, temps_end)
            if ticks[0] & 3 == 2:
                evaluate(temps_end, end)
                values[TICK_MS] = BIAS

        return step

    def _first(self, group: int) -> int:
        """Where the rows begin that are looked at with a sample of `group`."""
        groups = [SELF if FAULTS[id].signal == "age_ms" else FAULTS[id].group for id in self._order]
        return sum(1 for earlier in groups if earlier < group)

    def _evaluator(self) -> "Callable[[int, int], None]":
        """Bound once: (n, last) looks at the rows n..last-1, and turns those over that trip or clear."""
        values_at, counts_at = address(self.measure.values), address(self._state[4 * _WORDS :])
        rows = (_flips, address(self.rows), values_at, counts_at, address(self.bits), self._flip)

        @micropython.native
        def evaluate(n: int, last: int) -> None:
            flips, rows_at, values_at, counts_at, bits_at, flip = rows
            while True:
                n = flips(rows_at, n, last, values_at, counts_at, bits_at)
                if n == last:
                    return
                flip(n)
                n += 1

        return evaluate

    def _flip(self, n: int) -> None:
        row = FAULTS[self._order[n]]
        byte = row.id >> 3
        bit = 1 << (row.id & 7)
        self.active[byte] ^= bit
        raised = 1 if self.active[byte] & bit else 0
        if raised and row.latch == LATCHED:
            self.latched[byte] |= bit
        value = self.measure.values[word(self.rows, n * _ROW)] - BIAS
        limit = word(self.rows, n * _ROW + _LIMIT) - BIAS
        self.events.put(row.id, raised, value, limit, self._where(row.signal, value), self._ticks[0])
        self.decide()

    def _where(self, signal: str, value: int) -> int:
        sample = self._sample
        if signal == "cell_max_mv" or signal == "cell_min_mv":
            return _index(sample.cell_mv, value)
        if signal == "temp_max_dc" or signal == "temp_min_dc":
            return _index(sample.temp_dc, value)
        if signal == "open_wires":
            return value - 1
        return -1

    def decide(self) -> None:
        """Take the bitmaps as they now are."""
        _decide(address(self.rows), len(FAULTS), address(self._state), address(self.bits))

    def raise_now(self, fault_id: int) -> None:
        """Raise and latch a row at once, whatever its signal says."""
        byte = fault_id >> 3
        bit = 1 << (fault_id & 7)
        self.active[byte] |= bit
        self.latched[byte] |= bit
        self.events.put(fault_id, 1, 1, 0, -1, self._ticks[0])
        self.decide()

    def latch(self, bitmap: "bytes | bytearray") -> None:
        """At start-up: rows that were latched before the reset."""
        for i in range(8):
            self.latched[i] |= bitmap[i]
        self.decide()

    def reset_latched(self) -> None:
        """Forget latched rows whose cause has gone; an active row stays.

        What only the controller can know of itself counts as gone: it will come back by itself if it is not.
        """
        for row in FAULTS:
            if row.latch == LATCHED and row.limit == NO_LIMIT:
                self.measure.put(row.signal, 0)
                self.active[row.id >> 3] &= ~(1 << (row.id & 7))
        for i in range(8):
            self.latched[i] &= self.active[i]
        self.decide()

    @property
    def action(self) -> int:
        """The strongest action that an active or latched row asks for, NO_ACTION for none."""
        return word(self._state, STRONGEST) - 1

    @property
    def proven(self) -> bool:
        """Whether the pack has been proven safe since boot, or since the last trip."""
        return word(self._state, PROVEN) != 0


def _index(values: "array[int]", value: int) -> int:
    i = 0
    for v in values:
        if v == value:
            return i
        i += 1
    return -1
