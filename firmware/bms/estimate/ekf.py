"""State of charge with an error bar: extended Kalman filter on the pack's mean cell.

States: SoC, the slow error of the model's voltage, the gain of its resistances, the current sensor's offset;
the voltages of the two RC pairs follow the current without doubt. Samples of a second are moved through
the model one by one; their innovations, weighted by how far the model can be trusted at that current, wait in
a block of a few seconds and correct the state together (ekf_kernel.py has the arithmetic).

Why it does not lock in: the OCV's slope is a secant over the present uncertainty; what the model does not
know (OCV, hysteresis, resistance) are states of their own, so that no number of samples makes sigma smaller
than they allow; an innovation that the filter cannot explain widens it, and three on end start it anew.
"""

from array import array

from bms.estimate import ekf_kernel as k
from bms.estimate.ecm import load
from bms.estimate.inputs import LEAST_MV, MOST_MV, scaled
from bms.sample import UNKNOWN_CPCT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.sample import Estimate, Snapshot

_BIAS = k.BIAS
_SAMPLE_PERIODS = 10
"""A sample is the mean over so many periods of 100 ms."""
_PERIOD_MS = 100
_BLOCK_MS = 4000

_LOST_CPCT = 6000
"""Sigma of a SoC of which nothing is known."""
_FLOOR_CPCT = 30
"""The smallest sigma ever told: the charge that it counts by is known no better."""
_OFFSET_VARIANCE = 4_128_000
"""Of the current sensor: (1.55 % of 1C)^2 in 2^-26 (1/16 C)^2."""
_HISTORY = 56
"""Deviation of v1, v2 after a load that nobody saw over R times 1C, 2^-8."""
_BEFORE = 79
"""v2 at a start under load over what it would be had the load been constant, 2^-8."""
_RESTED = 6
"""The same after a rest."""
_UNSEEN = 5
"""Variance of SoC after one second without current, 2^-26 (1/2)^2: half of 1C either way."""
_UNSEEN_MAX_MS = 3_600_000
_GATE = 20 << 8
"""Squared innovation over its variance above which it corrects nothing, but widens."""
_RESTART_BLOCKS = 3
"""After so many such blocks on end the state is taken for wrong."""
_RESTART_VARIANCE = 42_949_673
"""SoC is then known to 40 %."""
_D_MAX = 0x8000000


class Ekf:
    """Estimator of a string of `capacity_mah` made of cells that the ECM `block` describes."""

    def __init__(self, capacity_mah: int, block: "bytes | bytearray") -> None:
        self._capacity, self._shift = scaled(capacity_mah)
        self._tab = load(block)
        self.words = array("i", [_BIAS] * k.WORDS)
        self._history = 0
        self._odd_blocks = 0
        self._unseen_ms = 0
        self._periods = 0
        self._charge_ma_ms = 0
        self._seen_ms = 0
        self._sum_mv = 0
        self._n_mv = 0
        self._mean_ma = 0
        self._temp_dc = 250
        self.started = False
        self.soc_cpct = 0
        self.sigma_cpct = UNKNOWN_CPCT

    def start(self, soc_cpct: int, sigma_cpct: int, rested: bool) -> None:
        """Begin at `soc_cpct`, 0..10000, known to `sigma_cpct`; both in 0.01 %.

        `rested`: no load for some time constants, so that the first voltage is the OCV.
        """
        x = self.words
        for i in range(k.WORDS):
            x[i] = _BIAS
        soc_cpct = min(10_000, max(0, soc_cpct))
        sigma_cpct = min(_LOST_CPCT, max(_FLOOR_CPCT, sigma_cpct))
        x[k.SOC] = soc_cpct * 6711 + _BIAS
        root = sigma_cpct * 8192 // 5000
        x[k.D0] = root * root + _BIAS
        x[k.D2] = k.GAIN_VARIANCE + _BIAS
        x[k.D3] = _OFFSET_VARIANCE + _BIAS
        self._history = _RESTED if rested else _HISTORY
        self._odd_blocks = 0
        self._unseen_ms = 0
        self.started = True
        self.soc_cpct = soc_cpct
        self.sigma_cpct = sigma_cpct

    @property
    def soc_q26(self) -> int:
        """SoC, 2^-26."""
        return self.words[k.SOC] - _BIAS

    @property
    def offset_q24(self) -> int:
        """Offset of the current sensor as found, 2^-24 of 1C."""
        return self.words[k.OFFSET] - _BIAS

    def step(self, snapshot: "Snapshot", estimate: "Estimate") -> None:
        """One period of 100 ms. SoC is unknown (sigma 100 %) until `start` or the first proven rest."""
        if not self.started:
            if not (snapshot.proven and snapshot.gates == 0):
                return
            self.start(5000, _LOST_CPCT, True)
        if snapshot.fast_known:
            self._charge_ma_ms += snapshot.charge_ma_ms
            self._seen_ms += _PERIOD_MS
        if snapshot.cells_known:
            mv = snapshot.cell_mv
            self._sum_mv += (sum(mv) << 4) // len(mv)
            self._n_mv += 1
        if snapshot.temps_known:
            self._temp_dc = (snapshot.temp_min_dc + snapshot.temp_max_dc) >> 1
        self._periods += 1
        if self._periods < _SAMPLE_PERIODS:
            return
        mean_16mv = 0
        if self._seen_ms:
            self._mean_ma = self._charge_ma_ms // self._seen_ms
            if self._n_mv:
                mean_16mv = self._sum_mv // self._n_mv
        lost_ms = _SAMPLE_PERIODS * _PERIOD_MS - self._seen_ms
        self.words[k.QUIET] = _BIAS + (snapshot.gates == 0)
        self.observe(_SAMPLE_PERIODS * _PERIOD_MS, self._mean_ma, mean_16mv, self._temp_dc, lost_ms)
        self._periods = self._charge_ma_ms = self._seen_ms = self._sum_mv = self._n_mv = 0
        estimate.soc_cpct = self.soc_cpct
        estimate.sigma_cpct = self.sigma_cpct

    def observe(self, dt_ms: int, current_ma: int, cell_16mv: int, temp_dc: int, lost_ms: int = 0) -> None:
        """One sample: mean current over the last dt_ms (1..1000), the mean cell's voltage in 1/16 mV (0: not
        measured), its temperature in 0.1 degC. For `lost_ms` of the time the current was not measured."""
        x = self.words
        if not LEAST_MV << 4 <= cell_16mv <= MOST_MV << 4:
            cell_16mv = 0
        scaled = current_ma >> self._shift
        whole = min(16, max(-17, scaled // self._capacity))
        part = scaled % self._capacity
        rate = (whole << 16) + ((part << 16) + (self._capacity >> 1)) // self._capacity
        x[k.DT] = dt_ms + _BIAS
        x[k.RATE] = rate + _BIAS
        x[k.VOLT] = cell_16mv * 262 + cell_16mv * 144 // 1000 + _BIAS
        x[k.TEMP] = min(1500, max(-600, temp_dc)) + _BIAS
        k.look_up(x, self._tab)
        first = self._history
        if first:
            self._widen(first)
            if first == _HISTORY:
                x[k.V2] = ((rate >> 8) * (x[k.R2] - _BIAS) >> 9) * _BEFORE + _BIAS
            deviation = k.slow_error(x, self._tab)
            x[k.D1] = deviation * deviation + _BIAS
            self._history = 0
        if lost_ms:
            self._lose(lost_ms)
        elif cell_16mv:
            self._unseen_ms = 0
        k.advance(x, self._tab)
        if first or x[k.SPAN] - _BIAS >= _BLOCK_MS:
            self._close_block()
        self.soc_cpct = min(10_000, max(0, (x[k.SOC] - _BIAS >> 12) * 10_000 >> 14))

    def _close_block(self) -> None:
        """Correct the state with the samples since the last correction."""
        x = self.words
        k.predict(x, self._tab)
        k.spread(x)
        if x[k.WEIGHT] > _BIAS:
            k.linearise(x, self._tab)
            if k.surprise(x) > _GATE:
                # a wrong sample or a wrong state: another such block will find the filter less sure
                x[k.D0] = min(_D_MAX, 4 * (x[k.D0] - _BIAS)) + _BIAS
                self._odd_blocks += 1
                if self._odd_blocks >= _RESTART_BLOCKS:
                    x[k.D0] = max(x[k.D0], _RESTART_VARIANCE + _BIAS)
                    self._odd_blocks = 0
            else:
                self._odd_blocks = 0
                k.correct(x)
            k.spread(x)
        x[k.SPAN] = x[k.WEIGHT] = x[k.MEAN] = x[k.DROP] = _BIAS
        self.sigma_cpct = max(_FLOOR_CPCT, (x[k.SIGMA] - _BIAS) * 10_000 >> 14)

    def _widen(self, history: int) -> None:
        """v2 may be what a load that nobody saw has left; `history` over 256 times 1C."""
        x = self.words
        deviation = min(0x3FFF, ((x[k.R1] - _BIAS + x[k.R2] - _BIAS) * history >> 8) + 100)
        x[k.PAST] = max(x[k.PAST], (deviation * deviation >> 6) + _BIAS)

    def _lose(self, lost_ms: int) -> None:
        """The current was not measured: what has flowed is unknown, and grows with time."""
        x = self.words
        before = self._unseen_ms // 100
        self._unseen_ms = min(_UNSEEN_MAX_MS, self._unseen_ms + lost_ms)
        after = before + (lost_ms + 99) // 100
        x[k.D0] = min(_D_MAX + _BIAS, x[k.D0] + (after - before) * (after + before) * _UNSEEN // 100 + 1)
        self._widen(min(_HISTORY, after))
