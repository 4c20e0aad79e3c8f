"""A cell followed into the future: the room that a current leaves to its limits, and the largest current.

Units as in circuit.py; sop.py says what for.
"""

from array import array

from bms.fixed import root
from bms.estimate import ekf_kernel as k
from bms.estimate.circuit import GAIN_ONE, LEAST_GAIN, MOST_GAIN, MOST_RATE, after, heat, lost, share
from bms.estimate.drops import UNKNOWN_Q12
from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.estimate.circuit import Circuit

HORIZONS_MS = array("H", [2000, 10_000, 30_000])
CHARGE = const(1)
DISCHARGE = const(-1)

LOST_CPCT = const(3000)
"""A SoC known no better than this gives no limits but 0."""
SOC_SIGMAS_Q4 = const(16)
_GAIN_SIGMAS_Q4 = const(36)
"""How many deviations count as the safe side, 2^-4."""
SENSOR_MV = const(2)
"""A cell's voltage may be off by so much."""
_WARMTH = const(14)
"""How much of the warming is counted on where it makes resistances smaller, 2^-4."""
_TRIES = const(14)
# an array: in a frozen tuple a number beyond 13 bits is a long integer, whose every sum allocates
_SPANS_MS = array("H", [1000, 1000, 3000, 5000, 10_000, 10_000])
"""Steps into the future; their ends are checked, those at HORIZONS_MS among them."""
MV = const(4194)
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
        self.cool_ds = 3000
        """Time constant of its cooling down, 0.1 s."""


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


class Ahead:
    """A cell followed into the future: `run` leaves its last voltage in `volt`, 2^-22 V."""

    def __init__(self, circuit: "Circuit", limits: Limits) -> None:
        self._circuit = circuit
        self._limits = limits
        self.temp_dc = 250
        self.ambient_dc = 250
        self.volt = 0
        self.doubt = 0
        """Voltage that is not to be used, 2^-22 V."""
        self._soc = 0
        self._gain = 0

    def begin(self, cell: Cell, away: int, sigmas_q4: int) -> None:
        """Whether the cell's SoC is what it is told or `away` from it, and how doubtful its resistance."""
        circuit = self._circuit
        gain = cell.gain + (cell.gain_sigma * sigmas_q4 >> 4)
        self._soc = cell.soc + away
        if away:
            circuit.set_temperature(self.temp_dc)
            circuit.look(cell.soc)
            here = circuit.r0 + circuit.r1
            circuit.look(self._soc)
            scale = min(0x3FFF, k.ratio(here, max(1, circuit.r0 + circuit.r1)) >> 12)
            gain = ((GAIN_ONE + gain) * scale >> 12) - GAIN_ONE
        self._gain = min(MOST_GAIN, max(LEAST_GAIN, gain))

    def run(self, cell: Cell, rate: int, ms: int) -> int:
        """The least room to a limit within `ms` (2000, 10,000, 30,000) at a rate; 2^-22 V, negative: none.

        0.1 K of room to the temperature counts as 16 mV.
        """
        circuit = self._circuit
        limits = self._limits
        up = rate > 0
        soc = self._soc
        gain = self._gain
        hysteresis = cell.hysteresis
        doubt = SENSOR_MV * MV + self.doubt
        v1 = cell.v1
        v2 = cell.v2
        before = circuit.open_volt(soc)
        warm = spent = 0
        over = self.temp_dc - self.ambient_dc << 8
        hottest = (limits.charge_high_dc if up else limits.discharge_high_dc) - cell.hot_dc
        room = 0x3FFFFFFF
        for span in _SPANS_MS:
            if spent == ms:
                break
            spent += span
            circuit.set_temperature(self.temp_dc + (warm * _WARMTH >> 12))
            moved = circuit.moved(rate, span)
            circuit.look(soc + (moved >> 1))
            part2 = after(span, circuit.tau2_ds)
            goal1 = circuit.bent(circuit.drop(rate, circuit.r1, gain))
            goal2 = circuit.drop(rate, circuit.r2, gain)
            v1 += share(goal1 - v1, after(span, circuit.tau1_ds))
            v2 += share(goal2 - v2, part2)
            soc += moved
            hysteresis = circuit.hysteresis(hysteresis, moved)
            ohmic = circuit.drop(rate, circuit.r0, gain)
            warm = (
                warmer(limits, rate, span, abs(ohmic) + lost(v1, goal1) + lost(v2, goal2), warm + over) - over
            )
            circuit.set_temperature(self.temp_dc + (warm * _WARMTH >> 12))
            circuit.look(soc)
            volt = (
                cell.rest + circuit.open_volt(soc) - before + v1 + v2 + circuit.drop(rate, circuit.r0, gain)
            )
            volt += (circuit.half_gap(soc) >> 8) * (hysteresis - cell.hysteresis >> 6) >> 6
            volt += doubt + share(cell.past, part2) if up else -doubt - share(cell.past, part2)
            least = limits.most_mv * MV - volt if up else volt - (limits.least_mv + 1) * MV
            room = min(room, least, (hottest - (warm + 255 >> 8)) * 16 * MV)
            self.volt = volt
        return room


def warmer(limits: Limits, rate: int, ms: int, loss: int, over: int) -> int:
    """How far a cell is over its surroundings (2^-8 of 0.1 K) after `ms` of a loss in V at a rate."""
    if not limits.heat_q8:
        return over
    goal = min(0xFFFF, heat(rate, loss) * min(0x3FFF, limits.cool_ds) // max(1, limits.heat_q8 >> 4)) << 4
    return over + share(goal - over, after(ms, min(0x3FFF, limits.cool_ds)))


def largest_rate(ahead: Ahead, cell: Cell, side: int, ms: int, ceiling: int) -> int:
    """Largest rate, 0..`ceiling`, that keeps the limits for `ms`; `side` is CHARGE or DISCHARGE."""
    high = min(ceiling, MOST_RATE)
    if high <= 0:
        return 0
    above = ahead.run(cell, side * high, ms)
    if above >= 0:
        return high
    low = 0
    below = ahead.run(cell, side, ms)
    if below <= 0:
        return 0
    last = 0
    middle = 0
    for _ in range(_TRIES):
        # the line between both ends, kept off them; Illinois: an end that stays counts half
        part = k.ratio(below, below - above) >> 10
        middle = low + ((high - low >> 6) * min(16000, max(384, part)) >> 8) + 1
        if middle >= high:
            break
        room = ahead.run(cell, side * middle, ms)
        if room >= 0:
            low = middle
            below = room
            if last > 0:
                above >>= 1
            last = 1
        else:
            high = middle
            above = room
            if last < 0:
                below >>= 1
            last = -1
        if high - low <= (low >> 9) + 4:
            break
    return low


def safe_rate(ahead: Ahead, cell: Cell, side: int, ms: int, ceiling: int) -> int:
    """Largest rate that keeps the limits with every doubt against it."""
    ahead.doubt = 0
    ahead.begin(cell, 0, _GAIN_SIGMAS_Q4)
    rate = largest_rate(ahead, cell, side, ms, ceiling)
    if not rate:
        return 0
    ahead_of = ahead.run(cell, side * rate, ms)
    ahead.begin(cell, 0, 0)
    by_gain = max(0, ahead.run(cell, side * rate, ms) - ahead_of)
    away = cell.soc_sigma * SOC_SIGMAS_Q4 >> 4
    by_soc = by_gain
    for sign in (-1, 1):
        ahead.begin(cell, sign * away, 0)
        by_soc = max(by_soc, by_gain + ahead_of - ahead.run(cell, side * rate, ms))
    by_soc -= by_gain
    # both together: they know nothing of each other
    ahead.doubt = (root((by_gain >> 11) ** 2 + (by_soc >> 11) ** 2) << 11) - by_gain
    ahead.begin(cell, 0, _GAIN_SIGMAS_Q4)
    rate = largest_rate(ahead, cell, side, ms, rate)
    ahead.doubt = 0
    return rate
