"""State of energy: what a string still gives under a stated load, in Wh, with its deviation.

The cell that will be empty first is followed from where it is down to the empty voltage or SoC in steps of
SoC, at constant current or at constant power, and warms up as it goes. Twice: as it is taken to be, and with
SoC and resistance one deviation to the worse side. The difference is the deviation, and that of the capacity.
"""

from bms.fixed import root
from bms.estimate.ahead import LOST_CPCT, Cell, Limits, warmer
from bms.estimate.circuit import MOST_RATE, after, lost, share
from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.estimate.circuit import Circuit

CURRENT = const(0)
POWER = const(1)

_STEP = const(0x80000)
"""1/128 of SoC."""
_MOST_MS = const(300_000)
"""After that much time everything has settled."""
_MV = const(4194)
_LEAST_RATE = const(655)
"""1 % of 1C: with a smaller load resistances take next to nothing."""
_CAPACITY_SIGMA_Q8 = const(5)
"""Deviation of the capacity, 2^-8: 2 %."""


class Soe:
    """Energy of `n_cells` cells in series of `capacity_mah`, down to `limits.least_mv` and `least_cpct`.

    `energy_mwh`, `sigma_mwh`: both 0 until `solve`.
    """

    def __init__(self, circuit: "Circuit", n_cells: int, capacity_mah: int, limits: Limits) -> None:
        if not 0 < capacity_mah <= 1_000_000:
            raise ValueError("capacity_mah is %d, it must be above 0, at most 1,000,000" % capacity_mah)
        self._circuit = circuit
        self._n_cells = n_cells
        self._capacity_mah = capacity_mah
        self._limits = limits
        self._temp_dc = self._ambient_dc = 250
        self._volt = 0
        self.energy_mwh = 0
        self.sigma_mwh = 0

    def solve(self, cell: Cell, temp_dc: int, ambient_dc: int, load: int, kind: int) -> None:
        """Energy of a string whose weakest cell is `cell`; `load`: mA (CURRENT) or mW of the string (POWER).

        Nothing is known to be left where the SoC's deviation is 30 % or more.
        """
        self._temp_dc = temp_dc
        self._ambient_dc = ambient_dc
        self.energy_mwh = self.sigma_mwh = 0
        if cell.soc_sigma >= LOST_CPCT * 6711 or load < 0:
            return
        if kind == POWER:
            load //= self._n_cells
        # mW or mA a cell over mAh: V times C, or C
        per_ah = min(1023, load // self._capacity_mah) << 10
        per_ah += (load % self._capacity_mah << 10) // self._capacity_mah
        energy = self._energy(cell, cell.soc, cell.gain, per_ah, kind)
        worse = self._energy(cell, cell.soc - cell.soc_sigma, cell.gain + cell.gain_sigma, per_ah, kind)
        less = max(0, energy - worse)
        self.energy_mwh = self._string(energy)
        part = self._string(energy >> 2) * _CAPACITY_SIGMA_Q8 >> 6
        less = self._string(less)
        shift = 0
        while max(part, less) >> shift > 0x4000:
            shift += 1
        self.sigma_mwh = root((part >> shift) ** 2 + (less >> shift) ** 2) << shift

    def _string(self, energy: int) -> int:
        """mV times SoC (2^-16) of a cell as mWh of the string."""
        circuit = self._circuit
        circuit.set_temperature(self._temp_dc)
        energy = (energy >> 14) * circuit.capacity_q14 >> 14
        whole = self._capacity_mah // 1000 * energy + self._capacity_mah % 1000 * energy // 1000
        return (whole >> 2) * self._n_cells

    def _energy(self, cell: Cell, soc: int, gain: int, per_ah: int, kind: int) -> int:
        """mV times SoC, 2^-16, until empty."""
        circuit = self._circuit
        limits = self._limits
        least = limits.least_mv * _MV
        last_soc = limits.least_cpct * 6711
        over = self._temp_dc - self._ambient_dc << 8
        v1 = cell.v1
        v2 = cell.v2
        hysteresis = cell.hysteresis
        volt = max(least, circuit.open_volt(soc) + v1 + v2)
        before = 0
        energy = 0
        while soc > last_soc:
            rate = self._rate(per_ah, kind, volt)
            moved = min(_STEP, soc - last_soc)
            circuit.set_temperature(self._ambient_dc + (over >> 8))
            circuit.look(soc - (moved >> 1))
            ms = min(_MOST_MS, (moved >> 6) * circuit.charge_unit // max(_LEAST_RATE, rate) << 6)
            goal1 = circuit.bent(circuit.drop(-rate, circuit.r1, gain))
            goal2 = circuit.drop(-rate, circuit.r2, gain)
            v1 += share(goal1 - v1, after(ms, circuit.tau1_ds))
            v2 += share(goal2 - v2, after(ms, circuit.tau2_ds))
            ohmic = circuit.drop(-rate, circuit.r0, gain)
            soc -= moved
            hysteresis = circuit.hysteresis(hysteresis, -moved)
            volt = circuit.open_volt(soc) + ((circuit.half_gap(soc) >> 8) * (hysteresis >> 6) >> 6)
            volt += v1 + v2 + ohmic
            if not before:
                # the first step begins with the load on
                before = max(volt, circuit.open_volt(soc + moved) + v1 + v2 + ohmic)
            if volt < least:
                if before > least:
                    moved = (moved >> 10) * ((before - least) >> 12) // max(1, before - volt >> 12) << 10
                    energy += (before + least) // (2 * _MV) * (moved >> 10)
                return energy
            energy += (before + volt) // (2 * _MV) * (moved >> 10)
            over = warmer(limits, rate, ms, -ohmic + lost(v1, goal1) + lost(v2, goal2), over)
            before = volt
        return energy

    def _rate(self, per_ah: int, kind: int, volt: int) -> int:
        if kind == POWER:
            return min(MOST_RATE, (min(0xFFFF, per_ah) << 13) // max(512, volt >> 12) << 3)
        return min(MOST_RATE, per_ah << 6)
