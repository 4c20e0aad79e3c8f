"""Coulomb counter that starts from the open-circuit voltage: the first estimator and the floor of any other.

Integers only, nothing allocated; exact: the remainder of every division is carried on.
"""

from bms.fixed import inverse
from bms.sample import UNKNOWN_CPCT
from bms.tables.ocv import OCV_MV, STEP_CPCT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array

    from bms.sample import Estimate, Snapshot

_FULL_MPCT = 100_000
"""State of charge counts in 0.001 %."""

_START_SIGMA_CPCT = 250
_GAP_SIGMA_CPCT = 100
"""What may have happened between the last stored estimate and the reboot."""
_IMPLAUSIBLE_CPCT = 1500
"""Stored and open-circuit SoC farther apart: the pack was used or exchanged meanwhile."""
_SIGMA_PER_THROUGHPUT = 100
"""One part of sigma for so many parts of charge moved: gain and capacity are good to about 1 %."""


class CoulombCounter:
    """SoC of a string of `capacity_mah`; reads a Snapshot and writes soc and sigma into an Estimate."""

    def __init__(self, capacity_mah: int, chemistry: int) -> None:
        if capacity_mah <= 0:
            raise ValueError("capacity_mah is %d, it must be above 0" % capacity_mah)
        # charge of 0.001 % of the capacity, in mA ms
        self._unit_ma_ms = capacity_mah * 36
        self._ocv_mv = OCV_MV[chemistry]
        self._soc_mpct = -1
        self._sigma_cpct = _START_SIGMA_CPCT
        self._stored_cpct = 0
        self._stored_sigma_cpct = UNKNOWN_CPCT
        self._remainder_ma_ms = 0
        self._moved_mpct = 0

    def start(self, mean_cell_mv: int) -> None:
        """Take the SoC from the mean cell voltage of a resting string."""
        self._soc_mpct = inverse(self._ocv_mv, mean_cell_mv, STEP_CPCT) * 10
        self._remainder_ma_ms = 0
        self._moved_mpct = 0

    def resume(self, soc_cpct: int, sigma_cpct: int) -> None:
        """Go on from an estimate stored before a reboot; the next rest says whether it can be believed."""
        self._stored_cpct = soc_cpct
        self._stored_sigma_cpct = sigma_cpct

    def step(self, snapshot: "Snapshot", estimate: "Estimate") -> None:
        """One period. SoC is unknown (sigma 100 %) until the pack was proven safe with open contactors."""
        if self._soc_mpct < 0:
            # contactors open: no load, so the voltage is the OCV
            if snapshot.proven and snapshot.gates == 0:
                self.start(_mean(snapshot.cell_mv))
                self._recall()
            else:
                return
        total = self._remainder_ma_ms + snapshot.charge_ma_ms
        moved = total // self._unit_ma_ms
        self._remainder_ma_ms = total - moved * self._unit_ma_ms
        self._soc_mpct = min(_FULL_MPCT, max(0, self._soc_mpct + moved))
        self._moved_mpct += abs(moved)
        estimate.soc_cpct = self._soc_mpct // 10
        estimate.sigma_cpct = min(
            UNKNOWN_CPCT - 1, self._sigma_cpct + self._moved_mpct // 10 // _SIGMA_PER_THROUGHPUT
        )

    def _recall(self) -> None:
        # The voltage of a pack that has just been opened is not at rest, so what was stored is better, unless
        # the two are so far apart that the pack must have changed meanwhile.
        self._sigma_cpct = _START_SIGMA_CPCT
        if self._stored_sigma_cpct == UNKNOWN_CPCT:
            return
        apart_cpct = abs(self._soc_mpct // 10 - self._stored_cpct)
        if apart_cpct <= _IMPLAUSIBLE_CPCT:
            self._soc_mpct = self._stored_cpct * 10
            self._sigma_cpct = min(UNKNOWN_CPCT - 1, self._stored_sigma_cpct + _GAP_SIGMA_CPCT)
        else:
            self._sigma_cpct = min(UNKNOWN_CPCT - 1, max(_START_SIGMA_CPCT, apart_cpct // 2))


def _mean(values: "array[int]") -> int:
    return sum(values) // len(values)
