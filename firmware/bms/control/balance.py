"""Passive balancing: bleed the cells that hold more charge than the lowest, found by their voltage at rest.

In turns of a minute: a pause in which nothing is bled and the voltages settle and are averaged, then up to
`balance_max_cells` cells are bled. State of charge comes from the open-circuit voltage, hence only at rest or
at the end of a charge, and never from voltages while bleeding. Integers only, nothing allocated in `step`.
"""

from array import array

from bms.sample import PERIOD_MS
from bms.tables.ocv import OCV_MV, STEP_CPCT
from bms.tables.signals import BOOT, CHARGE_CV, TRIPPED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.sample import Snapshot

PAUSE_MS = 5000
BLEED_MS = 55_000
AVERAGE = 8
"""Periods at the end of a pause whose voltages are averaged."""
MOST_CELLS = 32
"""Bits of the bitmap on the AFE link: in a longer string the cells beyond are measured, but never bled."""
_TAPER_PCT = 20
"""End of a charge: constant voltage, and a current below so much of the capacity an hour."""


def soc_cpct(table: "tuple[int, ...]", cell_mv: int) -> int:
    """SoC in 0.01 % of an open-circuit voltage; beyond full the table's last slope goes on."""
    i = len(table) - 2
    while i > 0 and table[i] > cell_mv:
        i -= 1
    return i * STEP_CPCT + (cell_mv - table[i]) * STEP_CPCT // (table[i + 1] - table[i])


class Balance:
    """Decides which of `n_cells` are bled. After `step`: `bits`, a bitmap by cell, least significant first.

    `wanted` says whether any cell is still to be bled, also in a pause; `finished` is true in the step that
    finds the last one level. Raises ValueError for limits that
    contradict each other.
    """

    def __init__(self, limits: "dict[str, int]", n_cells: int, chemistry: int) -> None:
        self._start_cpct = limits["balance_start_cpct"]
        self._stop_cpct = limits["balance_stop_cpct"]
        if self._stop_cpct >= self._start_cpct:
            raise ValueError(
                "balance_stop_cpct is %d, it must lie below balance_start_cpct (%d)"
                % (self._stop_cpct, self._start_cpct)
            )
        self._ocv_mv = OCV_MV[chemistry]
        self._n_cells = n_cells
        self._min_mv = limits["balance_min_mv"]
        self._rest_ma = limits["rest_current_ma"]
        self._rest_after_ms = 1000 * limits["balance_rest_s"]
        self._taper_ma = limits["capacity_mah"] * _TAPER_PCT // 100
        self._max_cells = limits["balance_max_cells"]
        self._hot_dc = limits["balance_hot_dc"]
        self._sum_mv = array("i", [0] * n_cells)
        self._over_cpct = array("i", [0] * n_cells)
        self._bleeding = bytearray(n_cells)
        self._rested_ms = 0
        self._turn_ms = 0
        self.wanted = False
        self.finished = False
        self.bits = bytearray(MOST_CELLS // 8)

    def step(self, snapshot: "Snapshot", charge_phase: int) -> None:
        """One period; `charge_phase` is signals.CHARGE_*."""
        self.finished = False
        if not self._allowed(snapshot, charge_phase):
            self._stop()
            return
        self._turn_ms += PERIOD_MS
        left_ms = PAUSE_MS - self._turn_ms
        if 0 <= left_ms < AVERAGE * PERIOD_MS:
            for i in range(self._n_cells):
                self._sum_mv[i] += snapshot.cell_mv[i]
        if left_ms == 0:
            self._decide()
        elif self._turn_ms >= PAUSE_MS + BLEED_MS:
            self._pause()

    def _allowed(self, snapshot: "Snapshot", charge_phase: int) -> bool:
        if not (snapshot.fast_known and snapshot.cells_known and snapshot.temps_known):
            self._rested_ms = 0
            return False
        current_ma = snapshot.current_ma
        if not -self._rest_ma <= current_ma <= self._rest_ma:
            self._rested_ms = 0
        elif self._rested_ms < self._rest_after_ms:
            self._rested_ms += PERIOD_MS
        if snapshot.state == BOOT or snapshot.state == TRIPPED or snapshot.temp_max_dc >= self._hot_dc:
            return False
        nearly_full = charge_phase == CHARGE_CV and 0 <= current_ma <= self._taper_ma
        return nearly_full or self._rested_ms >= self._rest_after_ms

    def _stop(self) -> None:
        self.wanted = False
        for i in range(self._n_cells):
            self._bleeding[i] = 0
        self._pause()

    def _pause(self) -> None:
        self._turn_ms = 0
        for i in range(self._n_cells):
            self._sum_mv[i] = 0
        for i in range(len(self.bits)):
            self.bits[i] = 0

    def _decide(self) -> None:
        over = self._over_cpct
        lowest = 0
        for i in range(self._n_cells):
            self._sum_mv[i] //= AVERAGE
            over[i] = soc_cpct(self._ocv_mv, self._sum_mv[i])
            if over[i] < over[lowest]:
                lowest = i
        low = over[lowest]
        bled = self.wanted
        self.wanted = False
        for i in range(self._n_cells):
            over[i] -= low
            least = self._stop_cpct if self._bleeding[i] else self._start_cpct
            self._bleeding[i] = i < MOST_CELLS and over[i] > least and self._sum_mv[i] >= self._min_mv
            if self._bleeding[i]:
                self.wanted = True
        self.finished = bled and not self.wanted
        self._choose()

    def _choose(self) -> None:
        """Bleed those that lie highest, as many as the heat allows."""
        for _ in range(self._max_cells):
            best = -1
            for i in range(self._n_cells):
                free = self._bleeding[i] and not self.bits[i >> 3] & 1 << (i & 7)
                if free and (best < 0 or self._over_cpct[i] > self._over_cpct[best]):
                    best = i
            if best < 0:
                return
            self.bits[best >> 3] |= 1 << (best & 7)
