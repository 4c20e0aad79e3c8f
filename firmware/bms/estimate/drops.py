"""How large each cell's voltage drops are against the tables, and where its rest voltage is.

For power limits, not for the state of charge. What the filter (ekf.py) calls gain has to be slow, for its
errors would become SoC; a power limit needs the resistance of this cell in the last minutes. It is found from
how voltage changes with the current: both are compared with their own averages over a minute, so that OCV,
SoC and sensor offsets drop out, and what is left is a regression with forgetting:

    V - rest(model) = drop(model, gain) + bias

Sums over the current's side are one for all cells; a cell costs a dozen operations a second.
"""

from array import array

from bms.fixed import root
from bms.estimate import ekf_kernel as k
from bms.estimate.circuit import GAIN_ONE, LEAST_GAIN, MOST_GAIN, MOST_RATE, after, heat, lost, share
from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.estimate.circuit import Circuit

_BIAS = k.BIAS
_AVERAGE = const(6)
"""The averages forget over 2^6 samples."""
_FORGET = const(9)
"""The regression forgets over 2^9 samples."""
_LEAST_NOISE = const(270)
"""Variance of a voltage, 2^-28 V2: (1 mV)^2."""
_ALIKE = const(4)
"""2^4 samples on end share an error."""
_PRIOR = const(51)
"""Information of what is known without a regression: gains deviate by 14 %."""
FLOOR_Q12 = const(20)
"""The least deviation of a gain, 2^-12: what the tables get wrong at another current or SoC, 0.5 %."""
UNKNOWN_Q12 = const(573)
"""14 %: the deviation of a gain of which nothing is known."""
_LEAST_16MV = const(8000)
_MOST_16MV = const(96_000)


def _held(volt: int) -> int:
    """2^-22 V as 2^-14 V, within +-1 V."""
    return min(0x3FFF, max(-0x3FFF, volt >> 8))


class Drops:
    """Gains (2^-12) and rest-voltage biases (2^-14 V) of `n_cells` cells in series.

    `v1`, `v2` are those of the mean cell with its gain, 2^-22 V; `sigma_q12` is the gains' deviation.
    """

    def __init__(self, circuit: "Circuit", n_cells: int) -> None:
        self._circuit = circuit
        self.n_cells = n_cells
        self.gain = array("h", [0] * n_cells)
        self.bias = array("h", [0] * n_cells)
        self._mean_z = array("i", [0] * n_cells)
        self._both = array("i", [0] * n_cells)
        self._information = 0
        self._noise = _LEAST_NOISE
        self._mean_slope = 0
        self._slope1 = 0
        self._fresh = True
        self.mean_gain = 0
        self.sigma_q12 = UNKNOWN_Q12
        self.v1 = self.v2 = 0
        self.heat_q8 = 0
        """Heat of the mean cell in that sample, W/Ah as 2^-8."""

    def restart(self) -> None:
        """The filter began anew: what was averaged is void; gains stay."""
        self._fresh = True

    def follow(self, words: "array[int]", cell_16mv: "array[int]") -> bool:
        """After each `Ekf.observe`: its words, and the cells' voltages of that sample in 1/16 mV.

        A sample with a voltage that was not measured (0, or beyond 0.5..6 V) moves the RC pairs only: False.
        """
        circuit = self._circuit
        circuit.set_temperature(words[k.TEMP] - _BIAS)
        rate = words[k.RATE] - _BIAS - (words[k.OFFSET] - _BIAS >> 8)
        rate = min(MOST_RATE, max(-MOST_RATE, rate))
        soc = words[k.SOC] - _BIAS
        circuit.look(soc)
        self._pairs(rate, words[k.DT] - _BIAS)
        for mv in cell_16mv:
            if not _LEAST_16MV <= mv <= _MOST_16MV:
                return False
        gain = self.mean_gain
        known = self._rest(soc, words[k.HYST] - _BIAS) + self.v1 + self.v2
        known += circuit.drop(rate, circuit.r0, gain)
        slope = circuit.drop(rate, circuit.r0, 0) + self._slope1 + self._over_gain(self.v2)
        self._learn(cell_16mv, known, _held(slope))
        return True

    def _rest(self, soc: int, hysteresis: int) -> int:
        circuit = self._circuit
        return circuit.open_volt(soc) + ((circuit.half_gap(soc) >> 8) * (hysteresis >> 6) >> 6)

    def _over_gain(self, volt: int) -> int:
        return (volt >> 6) * 64 // (GAIN_ONE + self.mean_gain) * 64 if -0x3FFFFFF < volt < 0x3FFFFFF else volt

    def _pairs(self, rate: int, ms: int) -> None:
        """Move the RC pairs, and how v1 grows with its gain."""
        circuit = self._circuit
        gain = self.mean_gain
        straight = circuit.drop(rate, circuit.r1, gain)
        part = after(ms, circuit.tau1_ds)
        goal1 = circuit.bent(straight)
        self.v1 += share(goal1 - self.v1, part)
        self._slope1 += share(self._over_gain(circuit.bent_slope(straight)) - self._slope1, part)
        goal2 = circuit.drop(rate, circuit.r2, gain)
        self.v2 += share(goal2 - self.v2, after(ms, circuit.tau2_ds))
        loss = abs(circuit.drop(rate, circuit.r0, gain)) + lost(self.v1, goal1) + lost(self.v2, goal2)
        self.heat_q8 = heat(rate, loss)

    def _learn(self, cell_16mv: "array[int]", known: int, slope: int) -> None:
        """One sample into the regression; `slope` is what a gain of 1 adds to the voltage, 2^-14 V."""
        if self._fresh:
            self._mean_slope = slope << _AVERAGE
        deviation = slope - (self._mean_slope >> _AVERAGE)
        self._mean_slope += deviation
        mean_slope = self._mean_slope >> _AVERAGE
        deviation = min(0x3FFF, max(-0x3FFF, deviation))
        self._information += (deviation * deviation >> 8) - (self._information >> _FORGET)
        doubt = max(1, (self._noise >> 8 - _ALIKE) * _PRIOR)
        total = self._information + doubt
        at_gain = slope * self.mean_gain >> 12
        worst = gains = 0
        for n in range(self.n_cells):
            volt = cell_16mv[n]
            seen = _held(volt * 262 + volt * 144 // 1000 - known) + at_gain
            if self._fresh:
                self._mean_z[n] = seen << _AVERAGE
            seen -= self._mean_z[n] >> _AVERAGE
            self._mean_z[n] += seen
            seen = min(0x3FFF, max(-0x3FFF, seen))
            worst = max(worst, abs(seen - (deviation * self.gain[n] >> 12)))
            self._both[n] += (deviation * seen >> 8) - (self._both[n] >> _FORGET)
            gain = min(MOST_GAIN, max(LEAST_GAIN, k.ratio(self._both[n], total) >> 12))
            self.gain[n] = gain
            gains += gain
            bias = (self._mean_z[n] >> _AVERAGE) - (mean_slope * gain >> 12)
            self.bias[n] = min(0x7FFF, max(-0x7FFF, bias))
        self.mean_gain = gains // self.n_cells
        worst = min(0x3FFF, worst)
        self._noise = max(_LEAST_NOISE, self._noise + (worst * worst - self._noise >> 6))
        self.sigma_q12 = root(k.ratio(max(1, self._noise >> 8 - _ALIKE), total)) + FLOOR_Q12
        self._fresh = False
