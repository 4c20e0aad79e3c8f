"""All that is estimated of a string whose cell's tables the board has: the filter and what is built on it.

Once a second a sample goes through the filter, the cells' differences, drops and the temperatures; what takes
longer is spread over the periods in between, so that none of them is long:

    period    0            1..6              7         8                     9
              the sample   one power limit   energy    temperature to come   health
"""

from bms.estimate import ekf_kernel as k
from bms.estimate.ahead import LOST_CPCT as NO_LIMITS_CPCT
from bms.estimate.circuit import Circuit
from bms.estimate.curve import Curve
from bms.estimate.differences import Differences
from bms.estimate.drops import Drops
from bms.estimate.fusion import Fusion
from bms.estimate.health import Health
from bms.estimate.second import MS, Second
from bms.estimate.soe import CURRENT, Soe
from bms.estimate.sop import Limits, Sop
from bms.estimate.thermal import Thermal
from bms.memory.cell import ECM, NETWORK, THERMAL
from bms.sample import (
    CHARGE_POWER, CORE, CORE_AHEAD, DISCHARGE_POWER, ENERGY, ENERGY_SIGMA, MISSING, RESISTANCE,
    RESISTANCE_SIGMA, SOC_HIGHEST, SOC_LOWEST, SOH, SOH_SIGMA, UNKNOWN_CPCT,
)  # fmt: skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.memory.journal import Journal
    from bms.sample import Estimate, Snapshot

_GAP_CPCT = 100
"""What may have happened between the last stored estimate and the reboot."""
_REST_16MV = 50 << 4
"""How far a pack that has just been opened may be from its open-circuit voltage."""
_LEAST_START_CPCT = 500
"""Sigma of a start: the first samples must be able to move it."""
_NOT_MEASURED_DC = 10_000
_LOST_CORE_DC = 100
"""Deviation of a core's temperature that nobody can use."""
_TEN_S = 1
"""Of sop.HORIZONS_MS."""
_FIRST_POWER, _LAST_POWER, _ENERGY, _THERMAL, _HEALTH = 1, 6, 7, 8, 9
"""Periods after the sample."""
ENERGY_LOAD_PCT = 50
"""Energy is told for a load that would empty the string in two hours."""


def power_limits(limits: "dict[str, int]") -> Limits:
    """What must hold for a current that is allowed: where derating would be at its end."""
    made = Limits()
    made.least_mv = limits["cell_low_end_mv"]
    made.most_mv = limits["cell_high_end_mv"]
    made.charge_ma = limits["charge_max_ma"]
    made.discharge_ma = -limits["discharge_max_ma"]
    made.least_cpct = limits["soc_low_end_cpct"]
    made.charge_low_dc = limits["charge_cold_end_dc"]
    made.charge_high_dc = limits["charge_hot_end_dc"]
    made.discharge_low_dc = limits["discharge_cold_end_dc"]
    made.discharge_high_dc = limits["discharge_hot_end_dc"]
    return made


class Observer:
    """Estimator of `n_cells` in series under `limits` (parameter name -> value), from the cell's `parts`.

    What it has to remember lies in the state `journal`. Raises ValueError naming what is wrong with a part,
    or missing.
    """

    def __init__(
        self, limits: "dict[str, int]", n_cells: int, parts: "dict[int, bytearray]", journal: "Journal"
    ) -> None:
        if ECM not in parts:
            raise ValueError("the cell's tables have no circuit")
        capacity_mah = limits["capacity_mah"]
        self._capacity_mah = capacity_mah
        self.second = Second(n_cells)
        self.ekf = Fusion(capacity_mah, parts[ECM], parts.get(NETWORK))
        self._curve = Curve(self.ekf.tab, None)
        circuit = Circuit(parts[ECM])
        self.drops = Drops(circuit, n_cells)
        self.cells = Differences(n_cells, parts[ECM]) if n_cells > 1 else None
        within = power_limits(limits)
        self.thermal = Thermal(parts[THERMAL]) if THERMAL in parts else None
        if self.thermal:
            within.heat_q8 = self.thermal.heat_q8
            within.cool_ds = self.thermal.cool_ds
        self.sop = Sop(circuit, n_cells, capacity_mah, within)
        self.soe = Soe(circuit, n_cells, capacity_mah, within)
        self.health = Health(capacity_mah, n_cells, circuit.tab, journal)
        self._stored_cpct = 0
        self._stored_sigma_cpct = UNKNOWN_CPCT
        self._since = -1

    def resume(self, soc_cpct: int, sigma_cpct: int) -> None:
        """Go on from an estimate stored before a reboot, unless the first voltage speaks against it."""
        self._stored_cpct = soc_cpct
        self._stored_sigma_cpct = sigma_cpct + _GAP_CPCT

    def step(self, snapshot: "Snapshot", estimate: "Estimate") -> None:
        """One period of 100 ms. SoC is unknown (sigma 100 %) until the first proven rest."""
        ekf = self.ekf
        if not ekf.started:
            if not (snapshot.proven and snapshot.gates == 0):
                return
            self._start(snapshot)
        if self.second.add(snapshot):
            self._sample()
            self._since = 0
            estimate.soc_cpct = ekf.soc_cpct
            estimate.sigma_cpct = ekf.sigma_cpct
            self._tell_cells(estimate)
        elif self._since >= 0:
            self._since += 1
            self._spread(estimate)

    def _start(self, snapshot: "Snapshot") -> None:
        # Only the place comes from the curve: the filter is to weigh the same voltage itself, near enough to
        # the truth for its one slope, before the contactors close.
        curve = self._curve
        curve.at(snapshot.temp_min_dc + snapshot.temp_max_dc >> 1)
        rest_16mv = (sum(snapshot.cell_mv) << 4) // len(snapshot.cell_mv)
        low = curve.soc(rest_16mv - _REST_16MV, 0)
        high = curve.soc(rest_16mv + _REST_16MV, 0)
        # nobody says how long ago a pack that goes on was under load
        rested = self._stored_sigma_cpct >= UNKNOWN_CPCT
        self.ekf.start(curve.soc(rest_16mv, 0), max(_LEAST_START_CPCT, high - low >> 1), rested)

    def _sample(self) -> None:
        """The sample of a second, through everything that must see each."""
        second, ekf = self.second, self.ekf
        ekf.words[k.QUIET] = k.BIAS + second.quiet
        temp_dc = second.cold_dc + second.hot_dc >> 1
        ekf.observe(MS, second.current_ma, second.mean_16mv, temp_dc, second.lost_ms)
        self._recall()
        self.drops.follow(ekf.words, second.cell_16mv)
        if self.cells:
            self.cells.follow(ekf.words, second.cell_mv)
        if self.thermal:
            surface_dc = second.hot_dc if second.temps_known else _NOT_MEASURED_DC
            self.thermal.observe(MS, self.drops.heat_q8, surface_dc, _NOT_MEASURED_DC)

    def _recall(self) -> None:
        # What was stored is better than one voltage, but not for another pack, nor after a charge elsewhere.
        ekf = self.ekf
        soc_cpct, sigma_cpct = self._stored_cpct, self._stored_sigma_cpct
        self._stored_sigma_cpct = UNKNOWN_CPCT
        if sigma_cpct < UNKNOWN_CPCT and abs(soc_cpct - ekf.soc_cpct) <= 3 * (sigma_cpct + ekf.sigma_cpct):
            ekf.start(soc_cpct, sigma_cpct, False)

    def _spread(self, estimate: "Estimate") -> None:
        """What is due in this period."""
        since = self._since
        if since == _FIRST_POWER:
            second, ekf = self.second, self.ekf
            ambient_dc = self.thermal.around_dc if self.thermal else second.cold_dc
            self.sop.observe(ekf.words, self.drops, ekf.sigma_cpct, second.cold_dc, second.hot_dc, ambient_dc)
        if _FIRST_POWER <= since <= _LAST_POWER:
            self.sop.step()
            if since == _LAST_POWER:
                self._tell_power(estimate)
        elif since == _ENERGY:
            self._tell_energy(estimate)
        elif since == _THERMAL:
            self._tell_core(estimate)
        elif since == _HEALTH:
            self._tell_health(estimate)

    def _tell_cells(self, estimate: "Estimate") -> None:
        cells, outlook = self.cells, estimate.outlook
        if cells:
            known = cells.sigma_cpct[cells.lowest] < UNKNOWN_CPCT
            outlook[SOC_LOWEST] = cells.soc_low_cpct if known else MISSING
            outlook[SOC_HIGHEST] = cells.soc_high_cpct if known else MISSING

    def _tell_power(self, estimate: "Estimate") -> None:
        sop, outlook = self.sop, estimate.outlook
        known = estimate.sigma_cpct < NO_LIMITS_CPCT
        estimate.power_ma[0] = sop.charge_ma[_TEN_S] if known else MISSING
        estimate.power_ma[1] = sop.discharge_ma[_TEN_S] if known else MISSING
        outlook[CHARGE_POWER] = sop.charge_mw[_TEN_S] // 1000 if known else MISSING
        outlook[DISCHARGE_POWER] = sop.discharge_mw[_TEN_S] // 1000 if known else MISSING

    def _tell_energy(self, estimate: "Estimate") -> None:
        second, soe, outlook = self.second, self.soe, estimate.outlook
        known = estimate.sigma_cpct < NO_LIMITS_CPCT
        if known:
            load_ma = self._capacity_mah * ENERGY_LOAD_PCT // 100
            soe.solve(self.sop.first_empty, second.cold_dc, second.cold_dc, load_ma, CURRENT)
        outlook[ENERGY] = soe.energy_mwh if known else MISSING
        outlook[ENERGY_SIGMA] = soe.sigma_mwh if known else MISSING

    def _tell_core(self, estimate: "Estimate") -> None:
        thermal, outlook = self.thermal, estimate.outlook
        if not thermal:
            return
        thermal.forecast()
        known = thermal.sigma_dc < _LOST_CORE_DC
        outlook[CORE] = thermal.core_dc if known else MISSING
        outlook[CORE_AHEAD] = thermal.forecast_core_dc if known else MISSING

    def _tell_health(self, estimate: "Estimate") -> None:
        health, outlook = self.health, estimate.outlook
        health.observe(self.second, self.ekf.words)
        capacity, resistance = health.capacity, health.resistance
        known = capacity.sigma_cpct < UNKNOWN_CPCT
        outlook[SOH] = capacity.soh_cpct if known else MISSING
        outlook[SOH_SIGMA] = capacity.sigma_cpct if known else MISSING
        known = resistance.sigma_cpct < UNKNOWN_CPCT
        outlook[RESISTANCE] = resistance.ratio_cpct if known else MISSING
        outlook[RESISTANCE_SIGMA] = resistance.sigma_cpct if known else MISSING
