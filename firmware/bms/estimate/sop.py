"""State of power: the largest current and power, either way, that hold for 2, 10 and 30 s.

The equivalent circuit is followed into the future in a few closed steps: OCV and hysteresis along the SoC
that moves, R0 and the RC pairs at the SoC and temperature on the way, for a cold cell warms up within
seconds. The largest current that keeps every limit at each step's end is closed in on from both sides; the
lower end, which keeps them, is taken. What is doubted lies at its safe side: resistances, what v2 may be from
before, and SoC: where it decides itself, and as far as the voltage to come depends on it. Present voltage and
resistance are measured, whatever the SoC is, so that this is only how the tables go on from there.

A limit that is not known to be safe is 0: unknown SoC, temperatures outside of their window, bad input.
"""

from array import array

from bms.fixed import root
from bms.estimate import ekf_kernel as k
from bms.estimate.ahead import (
    CHARGE,
    DISCHARGE,
    HORIZONS_MS,
    LOST_CPCT,
    MV,
    SENSOR_MV,
    SOC_SIGMAS_Q4,
    Ahead,
    Cell,
    Limits,
    safe_rate,
)
from bms.estimate.circuit import GAIN_ONE, MOST_RATE
from bms.estimate.drops import UNKNOWN_Q12, Drops
from bms.estimate.inputs import LEAST_MV, MOST_MV, scaled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.estimate.circuit import Circuit

__all__ = ("HORIZONS_MS", "Cell", "Limits", "Sop")


class Sop:
    """Limits of a string of `n_cells` cells in series of `capacity_mah`.

    `charge_ma`, `discharge_ma` (both positive) and the power at the string's terminals that goes with them,
    `charge_mw`, `discharge_mw`, by the index of HORIZONS_MS; 0 until first known. Give it the state with
    `observe` (or `observe_plain`), then `solve` it at once or with six calls of `step`, one limit each.
    """

    def __init__(self, circuit: "Circuit", n_cells: int, capacity_mah: int, limits: Limits) -> None:
        self._circuit = circuit
        self._n_cells = n_cells
        self._capacity, self._shift = scaled(capacity_mah)
        self._limits = limits
        self._weak = (Cell(), Cell())
        self._mean = Cell()
        self._ahead = Ahead(circuit, limits)
        self._open = [False, False]
        self._next = 0
        self.charge_ma = array("i", [0] * 3)
        self.discharge_ma = array("i", [0] * 3)
        self.charge_mw = array("i", [0] * 3)
        self.discharge_mw = array("i", [0] * 3)

    def observe(
        self, words: "array[int]", drops: Drops, sigma_cpct: int, cold_dc: int, hot_dc: int, ambient_dc: int
    ) -> None:
        """The filter's words, its SoC's sigma, what `drops` made of them, coldest, hottest cell, ambient."""
        circuit = self._circuit
        self._ahead.ambient_dc = ambient_dc
        self._ahead.temp_dc = words[k.TEMP] - k.BIAS
        circuit.set_temperature(self._ahead.temp_dc)
        mean = self._mean
        mean.soc = min(0x4000000, max(0, words[k.SOC] - k.BIAS))
        mean.hysteresis = words[k.HYST] - k.BIAS
        mean.v1 = drops.v1
        mean.v2 = drops.v2
        mean.gain = drops.mean_gain
        mean.gain_sigma = 0
        mean.past = root(max(0, words[k.PAST] - k.BIAS)) << 10
        model = circuit.open_volt(mean.soc)
        model += (circuit.half_gap(mean.soc) >> 8) * (mean.hysteresis >> 6) >> 6
        total = 0
        for bias in drops.bias:
            total += bias
        middle = total // drops.n_cells
        mean.rest = model + (middle << 8)
        self._allow(sigma_cpct, cold_dc, hot_dc)
        limits = self._limits
        self._pick(0, drops, sigma_cpct, model, (limits.most_mv * MV - mean.rest) >> 8, middle)
        self._pick(1, drops, sigma_cpct, model, (limits.least_mv * MV - mean.rest) >> 8, middle)

    def observe_plain(
        self,
        soc_cpct: int,
        sigma_cpct: int,
        current_ma: int,
        low_mv: int,
        high_mv: int,
        cold_dc: int,
        hot_dc: int,
    ) -> None:
        """For a board that only counts charge: no filter, so resistances and RC pairs count as doubtful."""
        circuit = self._circuit
        self._ahead.temp_dc = self._ahead.ambient_dc = cold_dc
        circuit.set_temperature(cold_dc)
        mean = self._mean
        mean.soc = min(10_000, max(0, soc_cpct)) * 6710
        mean.v1 = mean.v2 = mean.hysteresis = mean.gain = mean.gain_sigma = mean.past = 0
        circuit.look(mean.soc)
        rate = min(MOST_RATE, self._rate(abs(current_ma)))
        ohmic = circuit.drop(rate if current_ma > 0 else -rate, circuit.r0, 0)
        mean.rest = circuit.open_volt(mean.soc)
        self._allow(sigma_cpct, cold_dc, hot_dc)
        if not (LEAST_MV <= low_mv <= high_mv <= MOST_MV):
            self._open[0] = self._open[1] = False
            return
        for i in range(2):
            weak = self._weak[i]
            self._copy(weak, sigma_cpct)
            weak.hot_dc = hot_dc
            weak.gain_sigma = UNKNOWN_Q12
            away = weak.soc_sigma * SOC_SIGMAS_Q4 >> 4
            if i:
                weak.rest = min(circuit.open_volt(mean.soc - away), low_mv * MV - ohmic)
            else:
                weak.rest = max(circuit.open_volt(mean.soc + away), high_mv * MV - ohmic)

    def _copy(self, weak: Cell, sigma_cpct: int) -> None:
        mean = self._mean
        weak.soc = mean.soc
        weak.soc_sigma = min(LOST_CPCT, max(0, sigma_cpct)) * 6711
        weak.hysteresis = mean.hysteresis
        weak.v1 = mean.v1
        weak.v2 = mean.v2
        weak.past = mean.past

    def _allow(self, sigma_cpct: int, cold_dc: int, hot_dc: int) -> None:
        limits = self._limits
        known = 0 <= sigma_cpct < LOST_CPCT and cold_dc <= hot_dc
        self._open[0] = known and limits.charge_low_dc <= cold_dc and hot_dc <= limits.charge_high_dc
        self._open[1] = known and limits.discharge_low_dc <= cold_dc and hot_dc <= limits.discharge_high_dc
        self._weak[0].hot_dc = self._weak[1].hot_dc = hot_dc

    def _pick(self, i: int, drops: Drops, sigma_cpct: int, model: int, room: int, middle: int) -> None:
        """The cell that meets its voltage limit first, `room` (2^-14 V) away, with the last cell's SoC."""
        weak = self._weak[i]
        self._copy(weak, sigma_cpct)
        first = 0
        least = 0
        outer = 0
        room = min(0x7FFF, max(-0x7FFF, room))
        sign = -1 if i else 1
        for n in range(drops.n_cells):
            # of the voltage at the limit, bias and the drop's excess, counted towards the limit
            gain = drops.gain[n] - drops.mean_gain
            towards = sign * (drops.bias[n] + (room * gain) // (GAIN_ONE + drops.mean_gain))
            if n == 0 or towards > least:
                least = towards
                first = n
            outer = max(outer, sign * (drops.bias[n] - middle))
        circuit = self._circuit
        slope = circuit.open_volt(weak.soc + 3355443) - circuit.open_volt(weak.soc - 3355443) >> 8
        # a tenth of SoC over the slope there
        away = min(1024, outer * 1024 // max(1, slope)) * 6554
        weak.soc = min(0x4000000, max(0, weak.soc + sign * away))
        gain = drops.gain[first]
        weak.gain = gain
        weak.gain_sigma = drops.sigma_q12
        weak.rest = model + (drops.bias[first] << 8)
        more = (gain - drops.mean_gain << 12) // (GAIN_ONE + drops.mean_gain)
        more = min(0xFFF, max(-0xFFF, more))
        weak.v1 += (weak.v1 >> 10) * more >> 2
        weak.v2 += (weak.v2 >> 10) * more >> 2

    def _rate(self, current_ma: int) -> int:
        current_ma = max(0, current_ma) >> self._shift
        whole = current_ma // self._capacity
        if whole >= 16:
            return MOST_RATE
        return (whole << 16) + (((current_ma % self._capacity) << 14) // self._capacity << 2)

    @property
    def first_empty(self) -> Cell:
        """The cell that ends a discharge."""
        return self._weak[1]

    def step(self) -> None:
        """Work out the next of the six limits."""
        at = self._next
        self._next = at + 1 if at < 5 else 0
        i = at & 1
        at >>= 1
        limits = self._limits
        most_ma = max(0, limits.discharge_ma if i else limits.charge_ma)
        ms = HORIZONS_MS[at]
        most = self._rate(most_ma)
        rate = 0
        if self._open[i]:
            ceiling = min(most, self._charge_rate(i, ms))
            rate = safe_rate(self._ahead, self._weak[i], DISCHARGE if i else CHARGE, ms, ceiling)
        ma = ((rate >> 8) * self._capacity >> 8) + ((rate & 255) * self._capacity >> 16) << self._shift
        if rate == most < MOST_RATE:
            ma = most_ma  # a rate is a little less than the current that it stands for
        currents = self.discharge_ma if i else self.charge_ma
        if at:
            # what does not hold for the shorter time does not hold for the longer
            ma = min(ma, currents[at - 1])
        currents[at] = min(ma, most_ma)
        mv = max(0, self._volt(i, rate, ms) // MV - 2 * SENSOR_MV) * self._n_cells
        powers = self.discharge_mw if i else self.charge_mw
        powers[at] = currents[at] // 1000 * mv + currents[at] % 1000 * mv // 1000

    def _charge_rate(self, i: int, ms: int) -> int:
        """The rate that moves SoC to its limit within `ms`."""
        weak = self._weak[i]
        limits = self._limits
        circuit = self._circuit
        circuit.set_temperature(self._ahead.temp_dc)
        away = weak.soc_sigma * SOC_SIGMAS_Q4 >> 4
        room = weak.soc - away - limits.least_cpct * 6711 if i else limits.most_cpct * 6710 - weak.soc - away
        return 0 if room <= 0 else circuit.rate_over(room, ms)

    def _volt(self, i: int, rate: int, ms: int) -> int:
        """The mean cell's least voltage within `ms`: at a discharge's end, at a charge's beginning."""
        mean = self._mean
        if i:
            self._ahead.begin(mean, 0, 0)
            self._ahead.run(mean, -rate, ms)
            return self._ahead.volt
        circuit = self._circuit
        circuit.set_temperature(self._ahead.temp_dc)
        circuit.look(mean.soc)
        return mean.rest + mean.v1 + mean.v2 + circuit.drop(rate, circuit.r0, mean.gain)

    def solve(self) -> None:
        """Work out all six limits."""
        self._next = 0
        for _ in range(6):
            self.step()
