"""Coolant pump or fan: by the hottest sensor, and ahead of it by the heat that the current makes.

The share for the heat is I^2 R of a cell over the heat at which cooling is full, smoothed over about 26 s,
so that a short pulse starts nothing. Unknown temperatures cool fully.
"""

from bms.sample import PERIOD_MS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.sample import Snapshot

ON_PCT = 15
OFF_PCT = 5
LEAST_PCT = 20
"""A pump turns at no less; it starts at a demand of ON_PCT and stops below OFF_PCT."""
SLEW_PCT_S = 10
LEAST_ON_MS = 60_000
HEAT_FROM_DC = 50
"""Heat counts only so close below `cooling_on_dc`: a cold pack may warm itself."""

_MOST_DA = 30_000  # its square stays below 2^30
_SMOOTH = 256  # periods


class Cooling:
    """Drive of the pump in % under `limits` (parameter name -> value), in `pump_pct` after `step`."""

    def __init__(self, limits: "dict[str, int]") -> None:
        self._on_dc = limits["cooling_on_dc"]
        self._span_dc = limits["cooling_full_dc"] - self._on_dc
        if self._span_dc <= 0:
            raise ValueError(
                "cooling_full_dc is %d, it must lie above cooling_on_dc (%d)"
                % (limits["cooling_full_dc"], self._on_dc)
            )
        # current squared, in 0.01 A^2, that makes a hundredth of the full heat: mW = da^2 * uOhm / 10^5
        self._square_per_pct = max(1, limits["cooling_full_mw"] * 1000 // limits["cell_r0_uohm"])
        self._square = 0
        self._on = False
        self._on_ms = 0
        self._pump_permille = 0
        self.pump_pct = 0

    def step(self, snapshot: "Snapshot") -> None:
        """One period."""
        self._smooth(snapshot)
        if not snapshot.temps_known:
            self._pump_permille = 1000
            self.pump_pct = 100
            self._on = True
            self._on_ms = 0
            return
        self._drive(self._demand_pct(snapshot.temp_max_dc))

    def _smooth(self, snapshot: "Snapshot") -> None:
        if snapshot.fast_known:  # else what was known stands
            current_da = min(abs(snapshot.current_ma // 100), _MOST_DA)
            self._square += (current_da * current_da - self._square) // _SMOOTH

    def _demand_pct(self, hottest_dc: int) -> int:
        over_dc = hottest_dc - self._on_dc
        # clamped first: far beyond full, 100 times the excess is still small
        by_heat = min(100, self._square // self._square_per_pct) if over_dc > -HEAT_FROM_DC else 0
        by_temperature = max(0, 100 * over_dc // self._span_dc)
        return min(100, by_temperature + by_heat)

    def _drive(self, demand_pct: int) -> None:
        self._on_ms = min(self._on_ms + PERIOD_MS, LEAST_ON_MS)
        if self._on:
            self._on = demand_pct >= OFF_PCT or self._on_ms < LEAST_ON_MS
        elif demand_pct >= ON_PCT:
            self._on = True
            self._on_ms = 0
        goal = 10 * max(demand_pct, LEAST_PCT) if self._on else 0
        step = SLEW_PCT_S * PERIOD_MS // 100
        self._pump_permille += max(-step, min(step, goal - self._pump_permille))
        self.pump_pct = self._pump_permille // 10
