"""Temperature inside a cell and what is to come: two states, core and surface.

    Cc dTc/dt = heat - (Tc - Ts) / Rc        Cs dTs/dt = (Tc - Ts) / Rc - (Ts - Ta) / Ru

(Lin et al., "A lumped-parameter electro-thermal model for cylindrical batteries", JPS 257, 2014.)
The core follows from heat and the measured surface, whatever cools it. What cools it is found, as the
temperature of surroundings that would explain the surface; the forecast needs it.

Everything is per Ah of capacity, so that neither the cell's size nor the number in parallel matters.
"""

from array import array

from bms.fixed import root
from bms.estimate.circuit import after, share
from bms.estimate.ecm import checksum
from micropython import const

MAGIC = 0x4854
VERSION = 1
W_MAGIC = 0
W_VERSION = 1
W_CORE = 2
"""Heat capacities of core and surface, J/(K Ah), 2^-8."""
W_SURFACE = 3
W_INNER = 4
"""Core to surface, K Ah/W, 2^-8."""
W_OUTER = 5
"""Surface to coolant or ambient."""
W_SIGMA = 6
"""Relative deviation of the inner resistance, 2^-8."""
WORDS = 8

FORECAST_S = const(60)
UNKNOWN_DC = const(1000)
"""Deviation of a core of which nothing is known."""
_SENSOR_DC = const(5)
_HEAT_SIGMA_Q8 = const(26)
"""Relative deviation of the heat, 2^-8."""
_BEFORE_DC = const(40)
"""Deviation of the core at the start, for what was before."""
_LEAST_DC = const(-600)
_MOST_DC = const(1500)


def load(block: "bytes | bytearray") -> "array[int]":
    """The words of a thermal block. Raises ValueError naming what is wrong."""
    if len(block) != 2 * WORDS:
        raise ValueError("thermal block has %d bytes, it must have %d" % (len(block), 2 * WORDS))
    words = array("H", [0] * WORDS)
    for i in range(WORDS):
        words[i] = block[2 * i] | block[2 * i + 1] << 8
    if words[W_MAGIC] != MAGIC or words[W_VERSION] != VERSION:
        raise ValueError("thermal block has magic %d version %d" % (words[W_MAGIC], words[W_VERSION]))
    if words[7] != checksum(words):
        raise ValueError("thermal block: checksum is %d, must be %d" % (words[7], checksum(words)))
    for i in range(W_CORE, W_SIGMA):
        if words[i] < 16:
            raise ValueError("thermal block: word %d is %d, it must be 16 or more" % (i, words[i]))
    return words


def _tau_ds(capacity: int, resistance: int) -> int:
    return min(0x3FFF, max(1, (capacity >> 2) * (resistance >> 2) // 6554 * 16))


class Thermal:
    """Core temperature `core_dc`, its deviation `sigma_dc`, and in 60 s under this load the highest of both.

    Temperatures in 0.1 degC. Nothing is known (sigma 100 K) until the first measured surface.
    """

    def __init__(self, block: "bytes | bytearray") -> None:
        words = load(block)
        self._core_q8 = words[W_CORE]
        self._surface_q8 = words[W_SURFACE]
        self._tau_core = _tau_ds(words[W_CORE], words[W_INNER])
        self._tau_inner = _tau_ds(words[W_SURFACE], words[W_INNER])
        self._tau_outer = _tau_ds(words[W_SURFACE], words[W_OUTER])
        self._relative_q8 = root(words[W_SIGMA] * words[W_SIGMA] + _HEAT_SIGMA_Q8 * _HEAT_SIGMA_Q8)
        self.heat_q8 = words[W_CORE] + words[W_SURFACE]
        """Heat capacity of the whole cell, J/(K Ah), 2^-8; with `cool_ds`, its time constant, for Limits."""
        self.cool_ds = _tau_ds(min(0xFFFF, self.heat_q8), words[W_OUTER])
        # 0.1 K as 2^-12
        self._core = self._surface = self._around = 0
        self._past = 0
        self._blind_ds = 0
        self._mean_heat = 0
        self.known = False
        self.core_dc = self.forecast_core_dc = self.forecast_surface_dc = 250
        self.sigma_dc = UNKNOWN_DC

    @property
    def around_dc(self) -> int:
        """Temperature of the surroundings that would explain how the surface cools."""
        return self._around >> 12

    def observe(self, ms: int, heat_q8: int, surface_dc: int, ambient_dc: int) -> None:
        """A sample of `ms` (1..1000): heat in W/Ah (2^-8, Drops.heat_q8), surface, ambient or coolant.

        A surface outside of -60..150 degC was not measured: sigma grows. So was an ambient: the surface's
        counts instead, until it is found from how the surface cools.
        """
        ms = min(1000, max(1, ms))
        heat_q8 = min(0x3FFF, max(0, heat_q8))
        measured = _LEAST_DC <= surface_dc <= _MOST_DC
        if not self.known:
            if not measured:
                return
            self._core = self._surface = surface_dc << 12
            self._around = (ambient_dc if _LEAST_DC <= ambient_dc <= _MOST_DC else surface_dc) << 12
            self._past = _BEFORE_DC << 12
            self._mean_heat = heat_q8 << 4
            self.known = True
        self._mean_heat += heat_q8 - (self._mean_heat >> 4)
        self._past -= share(self._past, after(ms, self._tau_core))
        self._advance(ms, heat_q8)
        if measured:
            self._blind_ds = 0
            gap = (surface_dc << 12) - self._surface
            self._surface += gap >> 2
            self._around += gap >> 6
        else:
            self._blind_ds = min(0x3FFF, self._blind_ds + (ms + 99) // 100)
        self._hold()
        self._tell()

    def _advance(self, ms: int, heat_q8: int) -> None:
        flow = self._core - self._surface
        out = self._surface - self._around
        rise = heat_q8 * 4096 // self._core_q8 * ms // 100
        self._core += rise - share(flow, after(ms, self._tau_core))
        self._surface += share(flow, after(ms, self._tau_inner)) - share(out, after(ms, self._tau_outer))

    def _hold(self) -> None:
        """Whatever came in, temperatures stay possible: no sum grows out of its word."""
        # one by one: a pair of constants would be a frozen tuple of long integers
        low = _LEAST_DC * 4096
        high = _MOST_DC * 4096
        self._core = min(2 * high, max(low, self._core))
        self._surface = min(high, max(low, self._surface))
        self._around = min(high, max(low, self._around))

    def _tell(self) -> None:
        inner = abs(self._core - self._surface) >> 12
        doubt = inner * self._relative_q8 >> 8
        past = self._past >> 12
        blind = self._blind_ds // 50
        variance = doubt * doubt + past * past + blind * blind + _SENSOR_DC * _SENSOR_DC
        self.core_dc = self._core >> 12
        self.sigma_dc = min(UNKNOWN_DC, root(variance) + 1)

    def forecast(self) -> None:
        """The highest of core and surface in 60 s of this load, into `forecast_core_dc` and `_surface_dc`."""
        if not self.known:
            return
        core, surface = self._core, self._surface
        hottest, warmest = core, surface
        heat_q8 = self._mean_heat >> 4
        for _ in range(FORECAST_S):
            self._advance(1000, heat_q8)
            self._hold()
            hottest = max(hottest, self._core)
            warmest = max(warmest, self._surface)
        self._core, self._surface = core, surface
        self.forecast_core_dc = hottest >> 12
        self.forecast_surface_dc = warmest >> 12
