"""Everything that control decides once a period, written into the Estimate."""

from bms.control.balance import Balance
from bms.control.charge import Charge
from bms.control.cooling import Cooling
from bms.control.derate import Derate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.sample import Estimate, Snapshot


class Control:
    """Derating, charge request, balancing and cooling of one string of `n_cells`.

    `limits` is parameter name -> value; raises ValueError where they contradict each other.
    """

    def __init__(self, limits: "dict[str, int]", n_cells: int, chemistry: int) -> None:
        self.derate = Derate(limits)
        self.charge = Charge(limits, n_cells)
        self.balance = Balance(limits, n_cells, chemistry)
        self.cooling = Cooling(limits)

    def step(self, snapshot: "Snapshot", estimate: "Estimate") -> None:
        """One period, after the estimator."""
        derate = self.derate
        charge = self.charge
        derate.step(snapshot, estimate)
        charge.step(snapshot, derate.charge_da)
        self.balance.step(snapshot, charge.phase)
        if self.balance.finished:
            charge.again()  # the lowest cell, which held the others up, can now be filled
        self.cooling.step(snapshot)
        estimate.charge_limit_da = derate.charge_da
        estimate.discharge_limit_da = derate.discharge_da
        estimate.charge_limiter = derate.charge_limiter
        estimate.discharge_limiter = derate.discharge_limiter
        for i in range(len(estimate.balance)):
            estimate.balance[i] = self.balance.bits[i]
        estimate.pump_pct = self.cooling.pump_pct
        estimate.charge_phase = charge.phase
        estimate.charge_request_mv = charge.request_mv
        estimate.charge_request_ma = charge.request_ma
