"""What the fault table compares, computed from fresh samples: extremes, sums, rises, frozen readings.

Values are held with a bias, so that none is negative: viper on a 64-bit host loads words without their sign.
"""

import micropython
from array import array

from bms.fixed import address
from bms.tables.faults import CELLS, FAST
from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from bms.sample import Sample

BIAS = const(1 << 29)

SIGNALS = (
    "current_ma", "pack_mv", "current_frozen_mv",
    "cell_max_mv", "cell_min_mv", "spread_mv", "sum_error_mv", "cells_frozen",
    "temp_max_dc", "temp_min_dc", "rise_dc", "runaway_dc", "isolation_kohm",
    "fast_age_ms", "cells_age_ms", "temps_age_ms",
    "open_wires", "link_errors", "welded", "not_closing", "precharge_failed", "parameters_corrupt",
    "state_corrupt", "late_periods", "tick_ms", "watchdog_reset", "brownout_reset", "nvm_corrupt",
    "self_discharge_ma",
)  # fmt: skip
"""Names of the values, in their order; from `open_wires` on, what the controller knows of itself."""

CURRENT_MA = const(0)
PACK_MV = const(1)
CURRENT_FROZEN_MV = const(2)
CELL_MAX_MV = const(3)
CELL_MIN_MV = const(4)
SPREAD_MV = const(5)
SUM_ERROR_MV = const(6)
CELLS_FROZEN = const(7)
TEMP_MAX_DC = const(8)
TEMP_MIN_DC = const(9)
RISE_DC = const(10)
RUNAWAY_DC = const(11)
ISOLATION_KOHM = const(12)
AGE_MS = const(13)  # three, in the order of the groups
OPEN_WIRES = const(16)
LINK_ERRORS = const(17)
TICK_MS = const(24)

WINDOW = const(30)
"""Samples of TEMPS over which a rise is taken: 3 s."""

# What the measurements remember, in words
_STILL_MA = const(0)  # current when it last moved
_STILL_MV = const(1)  # pack voltage 50 to 100 ms ago, but not before that
_STILL_N = const(2)
_FROZEN_MA = const(3)  # current when the cells last moved
_STEP_MA = const(4)  # parameters
_HOT_DC = const(5)
_DROP_PCT = const(6)
_RING_AT = const(7)
_PRIMED = const(8)
_STILL_NEXT_MV = const(9)  # pack voltage up to 50 ms ago
_FAST_LOST_MS = const(10)
_PAST = const(11)


@micropython.viper
def _fast(fast_at: int, values_at: int, past_at: int):
    fast = ptr32(fast_at)
    values = ptr32(values_at)
    past = ptr32(past_at)
    current = fast[0]
    if current > 0x3FFFFFFF:  # pragma: no cover: a negative one, in viper on a 64-bit host
        half = 0x10000
        current -= half * half
    current += BIAS
    pack = fast[1]
    moved = pack - past[_STILL_MV]
    if moved < 0:
        moved = 0 - moved
    n = past[_STILL_N] + 1
    if current != past[_STILL_MA]:
        past[_STILL_MA] = current
        past[_STILL_MV] = pack
        past[_STILL_NEXT_MV] = pack
        moved = 0
        n = 0
    if n >= 10:
        past[_STILL_MV] = past[_STILL_NEXT_MV]
        past[_STILL_NEXT_MV] = pack
        n = 0
    past[_STILL_N] = n
    values[CURRENT_MA] = current
    values[PACK_MV] = pack + BIAS
    values[CURRENT_FROZEN_MV] = moved + BIAS


@micropython.viper
def _cells(cells_at: int, n: int, values_at: int, past_at: int, before_at: int):
    cells = ptr16(cells_at)
    before = ptr16(before_at)
    low = 0xFFFF
    high = 0
    total = 0
    moved = 0
    i = 0
    while i < n:
        mv = cells[i]
        total += mv
        if mv < low:
            low = mv
        if mv > high:
            high = mv
        moved |= mv ^ before[i]
        before[i] = mv
        i += 1
    values = ptr32(values_at)
    past = ptr32(past_at)
    values[CELL_MAX_MV] = high + BIAS
    values[CELL_MIN_MV] = low + BIAS
    values[SPREAD_MV] = high - low + BIAS
    if values[AGE_MS] <= past[_FAST_LOST_MS]:  # an old pack voltage says nothing of these cells
        error = values[PACK_MV] - BIAS - total
        if error < 0:
            error = 0 - error
        values[SUM_ERROR_MV] = error + BIAS
    current = values[CURRENT_MA]
    step = current - past[_FROZEN_MA]
    if step < 0:
        step = 0 - step
    if moved:
        past[_FROZEN_MA] = current
        values[CELLS_FROZEN] = BIAS
    elif step >= past[_STEP_MA]:
        values[CELLS_FROZEN] += 1


@micropython.viper
def _temps(temps_at: int, n: int, isolation: int, values_at: int, past_at: int, ring_at: int):
    # Row k of the ring: the sensors k samples into the window, then the lowest cell voltage.
    temps = ptr16(temps_at)
    ring = ptr16(ring_at)
    values = ptr32(values_at)
    past = ptr32(past_at)
    at = past[_RING_AT]
    low = 0x7FFF
    high = 0 - 0x8000
    rise = 0
    i = 0
    while i < n:
        dc = temps[i]
        if dc > 0x7FFF:
            dc -= 0x10000
        if dc < low:
            low = dc
        if dc > high:
            high = dc
        if dc + 0x4000 - ring[at + i] > rise:
            rise = dc + 0x4000 - ring[at + i]
        ring[at + i] = dc + 0x4000
        i += 1
    was = ring[at + n]
    now = values[CELL_MIN_MV] - BIAS
    ring[at + n] = now
    at += n + 1
    if past[_PRIMED] == 0:
        rise = 0  # nothing stood where this sample now stands
    if at == (n + 1) * WINDOW:
        at = 0
        past[_PRIMED] = 1
    past[_RING_AT] = at
    values[TEMP_MAX_DC] = high + BIAS
    values[TEMP_MIN_DC] = low + BIAS
    values[ISOLATION_KOHM] = isolation + BIAS
    values[RISE_DC] = rise + BIAS
    if (was - now) * 100 < was * past[_DROP_PCT] and high + BIAS <= past[_HOT_DC]:
        rise = 0
    values[RUNAWAY_DC] = rise + BIAS


class Measure:
    """The values, by their place in SIGNALS and with BIAS; the steps are bound once for the safety tick."""

    def __init__(self, sample: "Sample", limits: "dict[str, int]") -> None:
        self._sample = sample
        self.values = array("i", [BIAS] * len(SIGNALS))
        self._past = past = array("i", [0] * _PAST)
        past[_STEP_MA] = limits["frozen_step_ma"]
        past[_HOT_DC] = limits["over_temp_dc"] + BIAS
        past[_DROP_PCT] = limits["runaway_drop_pct"]
        past[_FAST_LOST_MS] = limits["fast_lost_ms"] + BIAS
        self._before = array("H", [0] * sample.n_cells)
        self._ring = array("H", [0] * ((sample.n_temps + 1) * WINDOW))

    def step(self, group: int) -> "Callable[[], None]":
        """What to call when a fresh sample of `group` has come."""
        sample = self._sample
        values_at = address(self.values)
        past_at = address(self._past)
        if group == FAST:
            fast = (_fast, address(sample.fast), values_at, past_at)

            @micropython.native
            def take() -> None:
                step, fast_at, values_at, past_at = fast
                step(fast_at, values_at, past_at)
        elif group == CELLS:
            cells = (
                _cells,
                address(sample.cell_mv),
                sample.n_cells,
                values_at,
                past_at,
                address(self._before),
            )

            @micropython.native
            def take() -> None:
                step, cells_at, n_cells, values_at, past_at, before_at = cells
                step(cells_at, n_cells, values_at, past_at, before_at)
        else:
            ring_at = address(self._ring)
            temps = (_temps, address(sample.temp_dc), sample.n_temps, sample, values_at, past_at, ring_at)

            @micropython.native
            def take() -> None:
                step, temps_at, n_temps, sample, values_at, past_at, ring_at = temps
                step(temps_at, n_temps, sample.isolation_kohm, values_at, past_at, ring_at)

        return take

    def put(self, signal: str, value: int) -> None:
        """Set a value that a task knows; not for the tick."""
        self.values[SIGNALS.index(signal)] = value + BIAS

    def get(self, signal: str) -> int:
        """A value; not for the tick."""
        return self.values[SIGNALS.index(signal)] - BIAS
