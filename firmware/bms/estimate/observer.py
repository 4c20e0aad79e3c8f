"""All that is estimated of a string whose cell's tables the board has: the filter and what is built on it.

Once a second a sample goes through the filter, the cells' drops and the temperatures; what takes longer is
spread over the periods in between, so that none of them is long:

    period    0            1..6              7         8                     9
              the sample   one power limit   energy    temperature to come   health
"""

from bms.estimate import ekf_kernel as k
from bms.estimate.ahead import LOST_CPCT as NO_LIMITS_CPCT
from bms.estimate.circuit import Circuit
from bms.estimate.drops import Drops
from bms.estimate.ekf import LOST_CPCT, Ekf
from bms.estimate.health import Health
from bms.estimate.second import MS, Second
from bms.estimate.soe import CURRENT, Soe
from bms.estimate.sop import Limits, Sop
from bms.estimate.thermal import Thermal
from bms.memory.cell import ECM, THERMAL
from bms.sample import (
    CORE, CORE_AHEAD, ENERGY, ENERGY_SIGMA, MISSING, POWER_IN, POWER_OUT, RESISTANCE, RESISTANCE_SIGMA, SOH,
    SOH_SIGMA, UNKNOWN_CPCT,
)  # fmt: skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.memory.journal import Journal
    from bms.sample import Estimate, Snapshot

_GAP_CPCT = 100
"""What may have happened between the last stored estimate and the reboot."""
_UNKNOWN_DC = 10_000
"""No sensor tells the ambient's temperature."""
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
        self.ekf = Ekf(capacity_mah, parts[ECM])
        circuit = Circuit(parts[ECM])
        self.drops = Drops(circuit, n_cells)
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
            # nobody says how long ago a pack that goes on was under load
            ekf.start(5000, LOST_CPCT, self._stored_sigma_cpct >= UNKNOWN_CPCT)
        if self.second.add(snapshot):
            self._sample()
            self._since = 0
            estimate.soc_cpct = ekf.soc_cpct
            estimate.sigma_cpct = ekf.sigma_cpct
        elif self._since >= 0:
            self._since += 1
            self._spread(estimate)

    def _sample(self) -> None:
        """The sample of a second, through everything that must see each."""
        second, ekf = self.second, self.ekf
        ekf.words[k.QUIET] = k.BIAS + second.quiet
        temp_dc = second.cold_dc + second.hot_dc >> 1
        ekf.observe(MS, second.current_ma, second.mean_16mv, temp_dc, second.lost_ms)
        self._recall()
        self.drops.follow(ekf.words, second.cell_16mv)
        if self.thermal:
            self.thermal.observe(MS, self.drops.heat_q8, second.hot_dc, _UNKNOWN_DC)

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

    def _tell_power(self, estimate: "Estimate") -> None:
        sop, outlook = self.sop, estimate.outlook
        known = estimate.sigma_cpct < NO_LIMITS_CPCT
        estimate.power_ma[0] = sop.charge_ma[_TEN_S] if known else MISSING
        estimate.power_ma[1] = sop.discharge_ma[_TEN_S] if known else MISSING
        outlook[POWER_IN] = sop.charge_mw[_TEN_S] // 1000 if known else MISSING
        outlook[POWER_OUT] = sop.discharge_mw[_TEN_S] // 1000 if known else MISSING

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
        if thermal and thermal.known:
            thermal.forecast()
            outlook[CORE] = thermal.core_dc
            outlook[CORE_AHEAD] = thermal.forecast_core_dc

    def _tell_health(self, estimate: "Estimate") -> None:
        health, outlook = self.health, estimate.outlook
        health.observe(self.second, self.ekf.words)
        if health.capacity.sigma_cpct < UNKNOWN_CPCT:
            outlook[SOH] = health.capacity.soh_cpct
            outlook[SOH_SIGMA] = health.capacity.sigma_cpct
        if health.resistance.sigma_cpct < UNKNOWN_CPCT:
            outlook[RESISTANCE] = health.resistance.ratio_cpct
            outlook[RESISTANCE_SIGMA] = health.resistance.sigma_cpct
