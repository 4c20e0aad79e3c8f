"""State of charge by an int8 LSTM, with an error bar: the same inputs and outputs as the filter (ekf.py).

A network sees one mean cell and knows no state of charge to begin with: it finds it from voltage, current and
temperature. Words of the blob after the layers (`rest` in lstm.py): the shifts of the three moving averages;
four words a feature; then the number of temperatures and for each, rising, the temperature (0.1 degC +
1000) and twelve sigmas (0.01 %), after 1, 2, 4, ... 2048 and more samples.

Missing data: a sample without a voltage holds the network, and the charge is counted; without a current
sigma grows by what may have flowed, and after a minute of it the network begins anew.
"""

from bms.estimate.inputs import LEAST_MV, MOST_MV, scaled
from bms.estimate.lstm import Lstm
from bms.estimate.lstm_features import MEANS, RATE_MAX, RATE_ONE, Features
from bms.fixed import address
from bms.sample import UNKNOWN_CPCT

SIGMAS = 12
_STEPS_MAX = 1 << SIGMAS
_LOST_MS = 60_000
"""Without a current for longer than this, what the network has seen tells it nothing."""
_UNSEEN_S = 72
"""Seconds in which SoC may move by 1 %, one sigma, when the current is not measured: half of 1C."""


class LstmSoc:
    """Estimator of a string of `capacity_mah` by the network in `blob`. Raises ValueError for a bad one."""

    def __init__(self, capacity_mah: int, blob: "bytes | bytearray") -> None:
        self._capacity, self._shift = scaled(capacity_mah)
        self.network = Lstm(blob)
        words = self.network.words
        at = self.network.rest
        if len(words) < at + MEANS + 4 * self.network.features + 1 + 1 + SIGMAS:
            raise ValueError("network: %d words, its features and sigmas need more" % len(words))
        shifts = [words[at + i] for i in range(MEANS)]
        at += MEANS
        rows = words[at : at + 4 * self.network.features]
        self.features = Features(shifts, rows, address(self.network.x))
        at += 4 * self.network.features
        self._rows = words[at]
        self._sigma = words[at + 1 :]
        if self._rows < 1 or len(self._sigma) != self._rows * (1 + SIGMAS):
            raise ValueError(
                "network: %d words for sigmas at %d temperatures" % (len(self._sigma), self._rows)
            )
        self.restart()

    def restart(self) -> None:
        """Forget what has been seen: SoC is unknown (sigma 100 %) until the next sample."""
        self.network.reset()
        self.features.reset()
        self._steps = 0
        self._ms = self._seen_ms = self._charge = self._sum_v = self._n_v = 0
        self._temp_dc = 250
        self._unseen_ms = 0
        self._held = 0
        self._soc_cpct = 0
        self.soc_cpct = 0
        self.sigma_cpct = UNKNOWN_CPCT

    def observe(self, dt_ms: int, current_ma: int, cell_16mv: int, temp_dc: int, lost_ms: int = 0) -> None:
        """As Ekf.observe: mean current over the last dt_ms (1..1000), the mean cell's voltage in 1/16 mV (0:
        not measured), its temperature in 0.1 degC. For `lost_ms` of the time the current was not measured."""
        most = 8 * self._capacity
        scaled = min(most, max(-most, current_ma >> self._shift))
        self._ms += dt_ms
        seen_ms = max(0, dt_ms - lost_ms)
        self._seen_ms += seen_ms
        self._charge += scaled * seen_ms
        if LEAST_MV << 4 <= cell_16mv <= MOST_MV << 4:
            self._sum_v += cell_16mv
            self._n_v += 1
        self._temp_dc = min(1500, max(-600, temp_dc))
        if self._ms >= self.network.period_ms:
            self._sample()

    def _sample(self) -> None:
        """One period of the network has passed."""
        unseen_ms = self._ms - self._seen_ms
        if unseen_ms:
            self._unseen_ms = min(3_600_000, self._unseen_ms + unseen_ms)
            if self._unseen_ms > _LOST_MS:
                self.network.reset()
                self.features.reset()
                self._steps = 0
        mean_ma = self._charge // self._seen_ms if self._seen_ms else 0
        rate = mean_ma * RATE_ONE // self._capacity
        rate = min(RATE_MAX, max(-RATE_MAX, rate))
        if self._n_v and self._seen_ms:
            self.features.take(self._sum_v // self._n_v, rate, self._temp_dc)
            self._soc_cpct = min(10_000, max(0, self.network.step() * 10_000 >> 16))
            self._steps = min(_STEPS_MAX, self._steps + 1)
            self._held = self._unseen_ms = 0
            self.soc_cpct = self._soc_cpct
        else:
            self.features.hold(rate)
            self._held += self._charge // 1000
            moved = self._held // 36 * 100 // self._capacity
            self.soc_cpct = min(10_000, max(0, self._soc_cpct + moved))
        if self._steps or self.sigma_cpct != UNKNOWN_CPCT:
            self.sigma_cpct = self._spread()
        self._ms = self._seen_ms = self._charge = self._sum_v = self._n_v = 0

    def _spread(self) -> int:
        """Sigma for as many samples at this temperature, and what the gap adds."""
        log = 0
        while self._steps >> log + 1 and log < SIGMAS - 1:
            log += 1
        t = self._temp_dc + 1000
        table = self._sigma
        width = 1 + SIGMAS
        at = 0
        while at + width < len(table) and t >= table[at + width]:
            at += width
        sigma = table[at + 1 + log]
        if t > table[at] and at + width < len(table):
            after = table[at + width + 1 + log]
            sigma += (after - sigma) * (t - table[at]) // (table[at + width] - table[at])
        moved = self.soc_cpct - self._soc_cpct if self._held else 0
        if moved < 0:
            moved = -moved
        return min(UNKNOWN_CPCT, sigma + self._unseen_ms // (10 * _UNSEEN_S) + moved // 32)
