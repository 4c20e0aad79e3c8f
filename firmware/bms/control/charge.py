"""The charge request: constant current, then constant voltage of the highest cell, then full.

The request is what a charger may give at most. Its current is the C-rate of the parameters or the derated
limit, whichever is less; its voltage keeps the highest cell at its charge voltage, which is lower when the
pack is warm. The temperature window follows JEITA's guideline for the safe use of lithium-ion cells (2007):
nothing in the cold, less current (by the derating) and less voltage in the heat.
"""

from bms.sample import PERIOD_MS
from bms.tables.signals import CHARGE_CC, CHARGE_CV, CHARGE_FULL, CHARGE_OFF, CLOSED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.sample import Snapshot

WINDOW_DC = 20
"""Charging that a temperature ended begins again so much further inside."""
CV_MV = 20
"""The highest cell counts as at its charge voltage this close below it."""
CONFIRM_MS = 60_000
"""Full, and no longer full, must last so long to count."""


class Charge:
    """Charge request of a string of `n_cells` under `limits` (parameter name -> value).

    After `step`: `phase` (signals.CHARGE_*), `request_mv` of the whole string and `request_ma`; both are
    0 when no charge is allowed. `enabled` is the application's wish. Raises ValueError for limits that
    contradict each other.
    """

    def __init__(self, limits: "dict[str, int]", n_cells: int) -> None:
        for low, high in (
            ("charge_cv_mv", "cell_high_end_mv"),
            ("charge_restart_mv", "charge_cv_mv"),
            ("charge_taper_pct", "charge_cc_pct"),
        ):
            if limits[low] >= limits[high]:
                raise ValueError(
                    "%s is %d, it must lie below %s (%d)" % (low, limits[low], high, limits[high])
                )
        self._n_cells = n_cells
        self._cv_mv = limits["charge_cv_mv"]
        self._warm_cv_mv = min(limits["charge_warm_cv_mv"], limits["charge_cv_mv"])
        self._restart_mv = limits["charge_restart_mv"]
        self._cold_dc = limits["charge_cold_end_dc"]
        self._warm_dc = limits["charge_hot_dc"]
        self._hot_dc = limits["charge_hot_end_dc"]
        self._cc_ma = limits["capacity_mah"] * limits["charge_cc_pct"] // 100
        self._taper_ma = max(limits["capacity_mah"] * limits["charge_taper_pct"] // 100, 1)
        self._rest_ma = limits["rest_current_ma"]
        self._in_window = False
        self._warm = False
        self._full = False
        self._lasted_ms = 0
        self.enabled = True
        self.phase = CHARGE_OFF
        self.request_mv = 0
        self.request_ma = 0

    def again(self) -> None:
        """Forget that the pack is full: top up what balancing has taken."""
        self._full = False
        self._lasted_ms = 0

    def step(self, snapshot: "Snapshot", limit_da: int) -> None:
        """One period; `limit_da` is the derated charge limit in 0.1 A."""
        self.phase = CHARGE_OFF
        self.request_mv = self.request_ma = 0
        if not (snapshot.fast_known and snapshot.cells_known and snapshot.temps_known):
            self._in_window = False
            self._lasted_ms = 0
            return
        self._look_at_temperatures(snapshot.temp_min_dc, snapshot.temp_max_dc)
        cv_mv = self._warm_cv_mv if self._warm else self._cv_mv
        self._look_for_full(snapshot, cv_mv)
        if self._full:
            self.phase = CHARGE_FULL
        elif self.enabled and self._in_window and limit_da > 0 and snapshot.state == CLOSED:
            self._request(snapshot, cv_mv, limit_da)

    def _look_at_temperatures(self, low_dc: int, high_dc: int) -> None:
        inside_dc = 0 if self._in_window else WINDOW_DC
        self._in_window = low_dc > self._cold_dc + inside_dc and high_dc < self._hot_dc - inside_dc
        self._warm = high_dc >= self._warm_dc - (WINDOW_DC if self._warm else 0)

    def _look_for_full(self, snapshot: "Snapshot", cv_mv: int) -> None:
        if self._full:
            turned = snapshot.cell_max_mv < self._restart_mv
        else:
            tapered = -self._rest_ma <= snapshot.current_ma <= self._taper_ma
            turned = tapered and snapshot.cell_max_mv >= cv_mv - CV_MV
        self._lasted_ms = self._lasted_ms + PERIOD_MS if turned else 0
        if self._lasted_ms >= CONFIRM_MS:
            self._full = not self._full
            self._lasted_ms = 0

    def _request(self, snapshot: "Snapshot", cv_mv: int, limit_da: int) -> None:
        spare_mv = cv_mv - snapshot.cell_max_mv
        self.phase = CHARGE_CV if spare_mv <= CV_MV else CHARGE_CC
        self.request_ma = min(self._cc_ma, 100 * limit_da)
        # A charger holds the string's voltage, so the string is asked for no more than brings the highest
        # cell to its voltage; half of it a period, because the lower cells' share is not known.
        most_mv = self._n_cells * cv_mv
        request_mv = min(snapshot.pack_mv, most_mv) + self._n_cells * spare_mv // 2
        self.request_mv = max(0, min(most_mv, request_mv))
