"""The equivalent circuit of a cell looked ahead: tables at a place, and how its voltages settle.

Integers below 2^30, so that nothing is allocated on a 32-bit core. Units as in ekf_kernel.py: SoC 2^-26,
volts 2^-22 V, current as rate (1C = 2^16), resistances as volts at 1C (2^-15 V). A gain is how much larger
than the tables' a resistance is, 2^-12.
"""

from array import array

from bms.estimate import ekf_kernel as k
from bms.estimate.ecm import (
    ASINH_COLUMNS,
    HEAD,
    OCV_BITS,
    R_BITS,
    W_BASE_MV,
    W_HYST_SOC,
    W_KNEE,
    W_ROWS,
    load,
)
from micropython import const

ONE_SOC = const(0x4000000)
GAIN_ONE = const(4096)
LEAST_GAIN = const(-2048)
MOST_GAIN = const(8191)
MOST_RATE = const(0xFFFFF)
"""Nearly 16C, either way."""
_MOST_VOLT = const(0x3FFFFFF)
_OCV_COLUMNS = (1 << OCV_BITS) + 1
_R_COLUMNS = (1 << R_BITS) + 1


def settled(x: int) -> int:
    """1 - exp(-x), 2^-15; x from 0 on, 2^-18."""
    if x >= 3145728:
        return 0x7FFF
    halved = 0
    while x > 0x7FFF:
        x >>= 1
        halved += 1
    square = x * x >> 18
    part = x - (square >> 1) + (square * x >> 18) // 6
    while halved:
        part = 2 * part - ((part >> 3) * (part >> 3) >> 12)
        halved -= 1
    return min(0x7FFF, part >> 3)


def after(ms: int, tau_ds: int) -> int:
    """How much of a step is done after `ms` (up to 300,000), 2^-15; tau in 0.1 s."""
    return settled(ms * 2621 // tau_ds)


def share(volt: int, part: int) -> int:
    """volt times part; part 0..0x7FFF as 2^-15."""
    return ((volt >> 12) * part >> 3) + ((volt & 4095) * part >> 15)


def lost(volt: int, goal: int) -> int:
    """What of an RC pair's voltage is lost, not stored: v^2 over the voltage that it tends to."""
    volt = abs(volt) >> 12
    goal = abs(goal) >> 12
    if volt >= goal:
        return goal << 12
    return volt * volt // goal << 12


def heat(rate: int, loss: int) -> int:
    """Heat in W/Ah, 2^-8, at most 64, of a loss in V (2^-22) at a rate."""
    return min(0x3FFF, (abs(rate) >> 8) * min(0xFFFF, loss >> 12) >> 10)


class Circuit:
    """A cell type's tables at one temperature and, after `look`, at one SoC.

    `r0`, `r1`, `r2` in 2^-15 V at 1C; `tau1_ds`, `tau2_ds` in 0.1 s. Raises ValueError for a bad block.
    """

    def __init__(self, block: "bytes | bytearray") -> None:
        self.tab = load(block)
        self._x = array("i", [k.BIAS] * k.WORDS)
        tab = self.tab
        rows = tab[W_ROWS]
        self._base = tab[W_BASE_MV] * 4194 + tab[W_BASE_MV] * 304 // 1000
        self._gaps = HEAD + (4 + _OCV_COLUMNS + 3 * _R_COLUMNS) * rows
        self._asinh = self._gaps + _OCV_COLUMNS
        self._knee = tab[W_KNEE]
        self._hyst_soc = max(1, tab[W_HYST_SOC])
        self.row = 0
        self.r0 = self.r1 = self.r2 = 0
        self.tau1_ds = self.tau2_ds = 1
        self.capacity_q14 = 1 << 14
        self.charge_unit = 3516
        self.set_temperature(250)

    def set_temperature(self, temp_dc: int) -> None:
        """Go to a temperature in 0.1 degC; held at the tables' ends."""
        x = self._x
        tab = self.tab
        x[k.TEMP] = min(1500, max(-600, temp_dc)) + k.BIAS
        k.look_up(x, tab)
        self.row = x[k.ROW] - k.BIAS
        rows = tab[W_ROWS]
        at = HEAD + rows + (self.row >> 9)
        weight = self.row & 511
        self.capacity_q14 = tab[at] + ((tab[at + 1] - tab[at]) * weight >> 8)
        self.charge_unit = max(1, 3516 * self.capacity_q14 >> 14)
        at += rows
        self.tau1_ds = max(1, tab[at] + ((tab[at + 1] - tab[at]) * weight >> 8))
        at += rows
        self.tau2_ds = max(1, tab[at] + ((tab[at + 1] - tab[at]) * weight >> 8))

    def look(self, soc: int) -> None:
        """Resistances at a SoC into `r0`, `r1`, `r2`; held at 0 and 1."""
        x = self._x
        x[k.SOC] = soc + k.BIAS
        k.look_up(x, self.tab)
        self.r0 = x[k.R0] - k.BIAS
        self.r1 = x[k.R1] - k.BIAS
        self.r2 = x[k.R2] - k.BIAS

    def open_volt(self, soc: int) -> int:
        """Open-circuit voltage without hysteresis, 2^-22 V; goes on with the end slopes beyond 0..1."""
        return self._base + k.ocv(self.tab, self.row, min(70464307, max(-3355443, soc)))

    def half_gap(self, soc: int) -> int:
        """Half of what lies between the rest voltages after charge and after discharge, 2^-22 V."""
        at = min(_OCV_COLUMNS - 1, max(0, soc >> 26 - OCV_BITS))
        return self.tab[self._gaps + at] << 8

    def moved(self, rate: int, ms: int) -> int:
        """SoC that a rate moves in a time up to 300 s, a multiple of 100 ms."""
        return ((rate << 9) // self.charge_unit * (ms // 100) >> 9) * 100

    def rate_over(self, soc: int, ms: int) -> int:
        """The rate, at most MOST_RATE, that moves `soc` (positive) in a time of at least 100 ms."""
        return min(MOST_RATE, min(1 << 17, soc // (ms // 100)) * self.charge_unit // 100)

    def hysteresis(self, before: int, moved: int) -> int:
        """Hysteresis (-1..1 as 2^-20) after a SoC was moved."""
        goal = 0x100000
        if moved < 0:
            goal = -goal
            moved = -moved
        return before + ((goal - before >> 7) * (settled(moved // self._hyst_soc << 8) >> 2) >> 6)

    def drop(self, rate: int, r: int, gain: int) -> int:
        """Voltage over a resistance, 2^-22 V, larger by `gain`; held at +-16 V."""
        r = r * (GAIN_ONE + gain) >> 12
        volt = ((rate >> 8) * r >> 1) + ((rate & 255) * r >> 9)
        return min(_MOST_VOLT, max(-_MOST_VOLT, volt))

    def bent(self, volt: int) -> int:
        """What v1 tends to where a straight pair would tend to `volt`: Butler and Volmer's law."""
        knee = self._knee
        if not knee:
            return volt
        u = (abs(volt) >> 7 << 8) // knee
        at = min(ASINH_COLUMNS - 2, u >> 6)
        u -= at << 6
        at += self._asinh
        tab = self.tab
        y = tab[at] + ((tab[at + 1] - tab[at]) * u >> 6)
        y = knee * min(y, 0x7FFF) >> 5
        return y if volt >= 0 else -y

    def bent_slope(self, volt: int) -> int:
        """How `bent` grows with a gain: its derivative times `volt`."""
        if not self._knee:
            return volt
        part = volt >> 3
        return (self.bent(volt + part) - self.bent(volt - part)) << 2
