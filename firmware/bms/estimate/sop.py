"""State of power: the largest current and power, either way, that hold for 2, 10 and 30 s.

The equivalent circuit is looked ahead in closed form from where it is: OCV and hysteresis along the SoC that
will have moved, R0 and the RC pairs at the SoC that will be reached. The largest current whose end keeps
every limit is found by halving an interval, of which the lower end, which keeps them, is taken. What is
doubted lies at its safe side: SoC, the gains of the resistances, what v2 may be from before.

A limit that is not known to be safe is 0: unknown SoC, temperatures outside of their window, bad input.
"""

from array import array

from bms.estimate import ekf_kernel as k
from bms.estimate.circuit import GAIN_ONE, MOST_GAIN, MOST_RATE, after, root, share
from bms.estimate.drops import UNKNOWN_Q12, Drops
from bms.estimate.inputs import LEAST_MV, MOST_MV, scaled
from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.estimate.circuit import Circuit

HORIZONS_MS = (2000, 10_000, 30_000)
CHARGE = const(1)
DISCHARGE = const(-1)

LOST_CPCT = const(3000)
"""A SoC known no better than this gives no limits but 0."""
_SOC_SIGMAS_Q4 = const(32)
_GAIN_SIGMAS_Q4 = const(32)
"""How many deviations count as the safe side, 2^-4."""
_SENSOR_MV = const(2)
"""A cell's voltage may be off by so much."""
_HALVINGS = const(17)
_MV = const(4194)
"""1 mV in 2^-22 V."""


class Limits:
    """What must hold for every cell of a string; currents in mA, both positive, temperatures in 0.1 degC."""

    def __init__(self) -> None:
        self.least_mv = 3000
        self.most_mv = 4200
        self.charge_ma = 0
        self.discharge_ma = 0
        self.least_cpct = 0
        self.most_cpct = 10_000
        self.charge_low_dc = 0
        self.charge_high_dc = 450
        self.discharge_low_dc = -200
        self.discharge_high_dc = 600
        self.heat_q8 = 0
        """Heat capacity of a cell, J/(K Ah) as 2^-8 (thermal.py); 0: how far it warms up is not looked at."""


class Cell:
    """A cell as it is now. SoC and its deviation 2^-26; voltages 2^-22 V; gains 2^-12; hysteresis 2^-20.

    `rest` is the voltage at which it would rest, as the last minute tells; `past` how much of v2 is unknown.
    """

    def __init__(self) -> None:
        self.soc = 0
        self.soc_sigma = 0
        self.rest = 0
        self.v1 = 0
        self.v2 = 0
        self.hysteresis = 0
        self.gain = 0
        self.gain_sigma = UNKNOWN_Q12
        self.past = 0
        self.hot_dc = 250


def voltage_after(circuit: "Circuit", cell: Cell, rate: int, ms: int) -> int:
    """Voltage after `ms` (a multiple of 100, up to 30,000) at a rate, 2^-22 V, every doubt against it."""
    away = cell.soc_sigma * _SOC_SIGMAS_Q4 >> 4
    soc = cell.soc + (away if rate > 0 else -away)
    gain = min(MOST_GAIN, cell.gain + (cell.gain_sigma * _GAIN_SIGMAS_Q4 >> 4))
    moved = circuit.moved(rate, ms)
    end = soc + moved
    circuit.look(soc + (moved >> 1))
    part2 = after(ms, circuit.tau2_ds)
    v2 = cell.v2 + share(circuit.drop(rate, circuit.r2, gain) - cell.v2, part2)
    circuit.look(end)
    goal = circuit.bent(circuit.drop(rate, circuit.r1, gain))
    v1 = cell.v1 + share(goal - cell.v1, after(ms, circuit.tau1_ds))
    change = circuit.hysteresis(cell.hysteresis, moved) - cell.hysteresis
    rest = cell.rest + circuit.open_volt(end) - circuit.open_volt(soc)
    rest += (circuit.half_gap(end) >> 8) * (change >> 6) >> 6
    doubt = share(cell.past, part2) + _SENSOR_MV * _MV
    return rest + v1 + v2 + circuit.drop(rate, circuit.r0, gain) + (doubt if rate > 0 else -doubt)


def keeps(circuit: "Circuit", cell: Cell, limits: Limits, rate: int, ms: int) -> bool:
    """Whether voltage and SoC are within their limits after `ms` at a rate that is not 0."""
    away = cell.soc_sigma * _SOC_SIGMAS_Q4 >> 4
    volt = voltage_after(circuit, cell, rate, ms)
    if limits.heat_q8:
        loss = circuit.drop(abs(rate), circuit.r0 + circuit.r1 + circuit.r2, cell.gain)
        warmer_dc = ((abs(rate) >> 8) * (loss >> 12) >> 10) * (ms // 100) // limits.heat_q8
        if cell.hot_dc + warmer_dc > (limits.charge_high_dc if rate > 0 else limits.discharge_high_dc):
            return False
    if rate > 0:
        end = cell.soc + away + circuit.moved(rate, ms)
        return volt <= limits.most_mv * _MV and end <= limits.most_cpct * 6710
    end = cell.soc - away + circuit.moved(rate, ms)
    return volt >= (limits.least_mv + 1) * _MV and end >= limits.least_cpct * 6711


def largest_rate(circuit: "Circuit", cell: Cell, limits: Limits, side: int, ms: int, ceiling: int) -> int:
    """Largest rate, 0..`ceiling`, that keeps the limits for `ms`; `side` is CHARGE or DISCHARGE."""
    low = 0
    high = min(ceiling, MOST_RATE)
    if high <= 0:
        return 0
    if keeps(circuit, cell, limits, side * high, ms):
        return high
    for _ in range(_HALVINGS):
        middle = low + high >> 1
        if middle and keeps(circuit, cell, limits, side * middle, ms):
            low = middle
        else:
            high = middle
    return low


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
        self._open = [False, False]
        self._temp_dc = 250
        self._next = 0
        self.charge_ma = array("i", [0] * 3)
        self.discharge_ma = array("i", [0] * 3)
        self.charge_mw = array("i", [0] * 3)
        self.discharge_mw = array("i", [0] * 3)

    def observe(self, words: "array[int]", drops: Drops, sigma_cpct: int, cold_dc: int, hot_dc: int) -> None:
        """The filter's words, its SoC's sigma, what `drops` made of them, coldest and hottest cell."""
        circuit = self._circuit
        self._temp_dc = words[k.TEMP] - k.BIAS
        circuit.set_temperature(self._temp_dc)
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
        self._pick(0, drops, sigma_cpct, model, (limits.most_mv * _MV - mean.rest) >> 8, middle)
        self._pick(1, drops, sigma_cpct, model, (limits.least_mv * _MV - mean.rest) >> 8, middle)

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
        self._temp_dc = cold_dc
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
            away = weak.soc_sigma * _SOC_SIGMAS_Q4 >> 4
            if i:
                weak.rest = min(circuit.open_volt(mean.soc - away), low_mv * _MV - ohmic)
            else:
                weak.rest = max(circuit.open_volt(mean.soc + away), high_mv * _MV - ohmic)

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
        weak.gain = drops.gain[first]
        weak.gain_sigma = drops.sigma_q12
        weak.rest = model + (drops.bias[first] << 8)
        more = (weak.gain - drops.mean_gain << 12) // (GAIN_ONE + drops.mean_gain)
        more = min(0xFFF, max(-0xFFF, more))
        weak.v1 += (weak.v1 >> 10) * more >> 2
        weak.v2 += (weak.v2 >> 10) * more >> 2

    def _rate(self, current_ma: int) -> int:
        current_ma = max(0, current_ma) >> self._shift
        whole = current_ma // self._capacity
        if whole >= 16:
            return MOST_RATE
        return (whole << 16) + (((current_ma % self._capacity) << 14) // self._capacity << 2)

    def step(self) -> None:
        """Work out the next of the six limits."""
        at = self._next
        self._next = at + 1 if at < 5 else 0
        i = at & 1
        at >>= 1
        limits = self._limits
        circuit = self._circuit
        circuit.set_temperature(self._temp_dc)
        most_ma = limits.discharge_ma if i else limits.charge_ma
        ms = HORIZONS_MS[at]
        rate = 0
        if self._open[i]:
            side = DISCHARGE if i else CHARGE
            rate = largest_rate(circuit, self._weak[i], limits, side, ms, self._rate(most_ma))
        ma = ((rate >> 8) * self._capacity >> 8) + ((rate & 255) * self._capacity >> 16) << self._shift
        currents = self.discharge_ma if i else self.charge_ma
        powers = self.discharge_mw if i else self.charge_mw
        if at:
            # what does not hold for the shorter time does not hold for the longer
            ma = min(ma, currents[at - 1])
        currents[at] = min(ma, max(0, most_ma))
        # discharging the voltage is least at the end, charging at the beginning
        volt = voltage_after(circuit, self._mean, -rate if i else rate, ms if i else 0)
        mv = max(0, volt // _MV - 2 * _SENSOR_MV) * self._n_cells
        powers[at] = currents[at] // 1000 * mv + currents[at] % 1000 * mv // 1000

    def solve(self) -> None:
        """Work out all six limits."""
        self._next = 0
        for _ in range(6):
            self.step()
