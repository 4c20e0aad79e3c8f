"""State of charge with an error bar: the filter (ekf.py), advised by a network (lstm_soc.py).

The filter is primary. It runs as if there were no network, to the bit: no advice enters its state, so that a
network that lies cannot lead it astray, and one that errs for an hour does not count as an hour of
measurements. Beside each of its results the advice is one measurement of SoC, made anew, while the filter
does not know by itself: after a start, a gap, a restart; fully above a sigma of 6 points, not at all below 3.
The network's own sigma is doubled, and never taken below two points: foreign logs are up to twice as hard as
those that it was judged on, and its errors last. In the cold, where it errs most, it only widens the bar.

The advice moves the value, and can only widen the error bar. The pull stays below one and a quarter of the
filter's sigma, however far apart they are, and fades to none while they contradict: from the sum of their
sigmas to twice that. Sigma of the result is the filter's or what covers both, if that is more. So while the
filter is within two of its sigmas of the truth, the result is within three of its own, whatever the network
says.
"""

from bms.estimate import ekf_kernel as k
from bms.estimate.ekf import Ekf
from bms.estimate.lstm_soc import LstmSoc
from bms.sample import UNKNOWN_CPCT

_CPCT_Q26 = 6711
"""0.01 % as 2^-26."""
_ADVICE_CPCT = 200
"""The least sigma that advice is taken with."""
_DEAF_CPCT = 300
_HEARD_CPCT = 600
"""Sigma of the filter below which it knows better, and above which advice counts fully."""
_COLD_DC = -50
"""Temperature below which advice moves nothing."""
_RATIO_MAX = 16384
"""Of the advice's sigma over the filter's, 2^-8: there the advice weighs nothing."""


class Fusion(Ekf):
    """Estimator of a string of `capacity_mah` made of cells that the ECM `block` describes.

    `network`: a blob as lstm_soc.py reads it, which must stay as it is; without one this is the filter, to
    the bit. `rated_mah`: the string's capacity as the network takes it, the cells' rated one when new; 0:
    `capacity_mah`. Raises ValueError for a bad block or network.
    """

    def __init__(
        self,
        capacity_mah: int,
        block: "bytes | bytearray",
        network: "bytes | bytearray | None" = None,
        rated_mah: int = 0,
    ) -> None:
        super().__init__(capacity_mah, block)
        self.advisor = LstmSoc(rated_mah or capacity_mah, network) if network else None
        self._cold = False
        self._pull_cpct = 0
        self._sigma_cpct = UNKNOWN_CPCT

    def start(self, soc_cpct: int, sigma_cpct: int, rested: bool) -> None:
        """As Ekf.start. What the network has seen was before, and is forgotten."""
        super().start(soc_cpct, sigma_cpct, rested)
        if self.advisor:
            self.advisor.restart()
        self._fuse()

    @property
    def soc_cpct(self) -> int:
        """SoC, 0.01 %."""
        return self.words[k.SOC_CPCT] + self._pull_cpct

    @property
    def sigma_cpct(self) -> int:
        """Its deviation, 0.01 %; UNKNOWN_CPCT until `start`."""
        return self._sigma_cpct

    @property
    def soc_q26(self) -> int:
        """SoC, 2^-26."""
        return self.words[k.SOC] - k.BIAS + self._pull_cpct * _CPCT_Q26

    def observe(self, dt_ms: int, current_ma: int, cell_16mv: int, temp_dc: int, lost_ms: int = 0) -> None:
        """As Ekf.observe."""
        # super() would make this a closure, which allocates when it is called with so many arguments
        Ekf.observe(self, dt_ms, current_ma, cell_16mv, temp_dc, lost_ms)
        if self.advisor:
            self.advisor.observe(dt_ms, current_ma, cell_16mv, temp_dc, lost_ms)
        self._cold = temp_dc < _COLD_DC
        self._fuse()

    def _fuse(self) -> None:
        """Pull and sigma of the result, from the filter's and the network's present ones."""
        own = self.words[k.SIGMA_CPCT]
        self._pull_cpct = 0
        self._sigma_cpct = own
        net = self.advisor
        if net is None or net.sigma_cpct >= UNKNOWN_CPCT or not self.started:
            return
        advice = max(_ADVICE_CPCT, net.sigma_cpct << 1)
        apart = net.soc_cpct - self.words[k.SOC_CPCT]
        far = apart if apart > 0 else -apart
        # own^2 / (own^2 + advice^2), 2^-12
        ratio = min(_RATIO_MAX, (advice << 8) // own)
        weight = (1 << 28) // ((1 << 16) + ratio * ratio)
        both = own + advice
        if own < _HEARD_CPCT:
            weight = weight * max(0, own - _DEAF_CPCT) // (_HEARD_CPCT - _DEAF_CPCT)
        if self._cold:
            weight = 0
        if far > both:
            weight = weight * max(0, 2 * both - far) // both
        pull = far * weight >> 12
        self._sigma_cpct = max(own, pull, far - pull)
        self._pull_cpct = pull if apart > 0 else -pull
