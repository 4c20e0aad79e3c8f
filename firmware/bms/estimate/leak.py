"""Self-discharge at rest: a cell that empties by itself against the others has an internal short.

While the pack rests, each cell's voltage is averaged over a minute and taken against the mean of all; what it
loses against its place at the beginning of the rest, on the slope of the open-circuit voltage, is charge that
has leaked inside the cell. A cell that is bled is no suspect; while the others are bled, a leak shows less
what they lose. Integers only, nothing allocated.
"""

from array import array

from bms.fixed import inverse
from bms.tables.ocv import OCV_MV, STEP_CPCT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.sample import Estimate, Snapshot

PERIODS = 600
"""Of 100 ms, in a minute."""
SETTLE_MIN = 10
"""Minutes of rest that are not looked at: the cells still relax, each in its own time."""
WINDOW_MIN = 240
"""Then the rest begins anew, so that slow drifts of temperature do not add up."""
LEAST_MV = 3
"""A loss below is noise of the front end."""
_SCALE = 16
_SLOPE_MV = 20
_FLAT_CPCT = 400
"""Where 20 mV stand for more charge than this (LFP's plateau) a voltage tells nothing: taken as this much."""


class Leak:
    """`ma`: self-discharge of the worst cell, `cell` its place; both stand until the next rest.

    `sums` of the cells' mV over the `periods` of this minute.
    """

    def __init__(self, limits: "dict[str, int]", n_cells: int, chemistry: int) -> None:
        self._rest_ma = limits["rest_current_ma"]
        self._capacity_mah = limits["capacity_mah"]
        self._ocv_mv = OCV_MV[chemistry]
        self.sums = array("i", [0] * n_cells)
        self._first = array("i", [0] * n_cells)
        self._bled = bytearray(4)  # since the rest began: these empty, too
        self.periods = 0
        self._minutes = 0
        self.ma = 0
        self.cell = -1

    def step(self, snapshot: "Snapshot", estimate: "Estimate") -> None:
        """One period of 100 ms."""
        if not self._rests(snapshot, estimate):
            self._begin()
            return
        for i in range(len(self.sums)):
            self.sums[i] += snapshot.cell_mv[i]
        self.periods += 1
        if self.periods == PERIODS:
            self._minute()

    def _rests(self, snapshot: "Snapshot", estimate: "Estimate") -> bool:
        if not (snapshot.fast_known and snapshot.cells_known):
            return False
        for i in range(len(self._bled)):
            self._bled[i] |= estimate.balance[i]
        return -self._rest_ma <= snapshot.current_ma <= self._rest_ma

    def _begin(self) -> None:
        self.periods = self._minutes = 0
        for i in range(len(self.sums)):
            self.sums[i] = 0
        for i in range(len(self._bled)):
            self._bled[i] = 0

    def _minute(self) -> None:
        total = sum(self.sums)
        n = len(self.sums)
        self._minutes += 1
        worst = 0
        cell = -1
        for i in range(n):
            # against the mean, in 1/16 mV
            apart = (self.sums[i] - total // n) * _SCALE // PERIODS
            if self._minutes <= SETTLE_MIN:
                self._first[i] = apart
            elif self._first[i] - apart > worst and not self._bled[i >> 3] & 1 << (i & 7):
                worst = self._first[i] - apart
                cell = i
            self.sums[i] = 0
        self.periods = 0
        if self._minutes > SETTLE_MIN:
            self.ma = self._current_ma(worst, total // n // PERIODS) if worst >= LEAST_MV * _SCALE else 0
            self.cell = cell if self.ma else -1
        if self._minutes == WINDOW_MIN:
            self._begin()

    def _current_ma(self, lost: int, mean_mv: int) -> int:
        table = self._ocv_mv
        half = _SLOPE_MV // 2
        span_cpct = inverse(table, mean_mv + half, STEP_CPCT) - inverse(table, mean_mv - half, STEP_CPCT)
        span_cpct = min(max(span_cpct, 1), _FLAT_CPCT)
        # charge in mAh: lost mV times % per mV; then over the hours since the rest had settled
        lost_cpct = lost * span_cpct // (_SLOPE_MV * _SCALE)
        lost_mah = lost_cpct * (self._capacity_mah // 10) // 1000
        return min(lost_mah * 60 // (self._minutes - SETTLE_MIN), 10_000)
