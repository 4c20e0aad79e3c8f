"""Resistance health: what steps of the current do to the voltage, over what the tables say they would.

From one second to the next charge and diffusion hardly move, so a step of the current shows R0 and what the
first pair has of a second. Least squares over steps, the old ones fading; its error is the greater of its own
scatter and of what temperature and tables are off by. Integers only, 32-bit safe, nothing allocated.
"""

from bms.estimate.inputs import LEAST_MV, MOST_MV, scaled
from bms.fixed import root
from bms.sample import UNKNOWN_CPCT

_LEAST_Q10 = 128
"""A step of less than 1/8 C tells nothing."""
_MOST_Q10 = 4096
_LEAST_16MV = 16
_MOST_16MV = 3000
_FADE = 8
"""Each step takes 2^-8 off what was before."""
_LEAST_STEPS = 32
_TABLE_CPCT = 500
"""What the tables, and the temperature they are read at, are off by."""
_MOST_CPCT = 60_000


class Resistance:
    """`ratio_cpct`: the cells' resistance over the tables' (10000: as fresh), `sigma_cpct` its error; both in
    0.01 %; UNKNOWN_CPCT or more is not known. For a string of `capacity_mah`."""

    def __init__(self, capacity_mah: int) -> None:
        self._capacity, self._shift = scaled(capacity_mah)
        self._last_q10 = self._last_16mv = 0
        self._xx = self._xy = self._rr = 0
        self._steps = 0
        self.ratio_cpct = 10_000
        self.sigma_cpct = UNKNOWN_CPCT

    def observe(self, current_ma: int, cell_16mv: int, r_q15: int) -> None:
        """One sample of a second: its mean current, the mean cell's voltage in 1/16 mV (0: not measured), and
        the tables' resistance for a second in 2^-15 V at 1C. What is not a second after the last: `skip`."""
        now = current_ma >> self._shift
        if not LEAST_MV << 4 <= cell_16mv <= MOST_MV << 4 or abs(now) > 16 * self._capacity:
            self._last_16mv = 0
            return
        rate_q10 = (now << 10) // self._capacity
        step = rate_q10 - self._last_q10
        y = cell_16mv - self._last_16mv
        known = self._last_16mv > 0
        self._last_q10 = rate_q10
        self._last_16mv = cell_16mv
        if not known or not _LEAST_Q10 <= abs(step) <= _MOST_Q10:
            return
        x = (step * min(65_535, r_q15) >> 9) * 125 >> 9
        if _LEAST_16MV <= abs(x) <= _MOST_16MV and abs(y) <= 2 * _MOST_16MV:
            self._add(x, y)

    def skip(self) -> None:
        """Samples are missing: the next one is no step from the last."""
        self._last_16mv = 0

    def _add(self, x: int, y: int) -> None:
        self._xx += (x * x >> 4) - (self._xx >> _FADE)
        self._xy += (x * y >> 4) - (self._xy >> _FADE)
        self._steps = min(1 << _FADE, self._steps + 1)
        if self._xx <= 0:
            return
        ratio = self._over(self._xy)
        wrong = min(2 * _MOST_16MV, abs(y - (x * ratio >> 10)))
        self._rr += (wrong * wrong >> 4) - (self._rr >> _FADE)
        if self._steps < _LEAST_STEPS:
            return
        self.ratio_cpct = min(_MOST_CPCT, max(0, ratio * 10_000 >> 10))
        # variance of the slope: that of a step's error over the sum of x squared
        scatter = root(self._over(self._rr) * 1024 // self._steps) * 10_000 >> 10
        table = self.ratio_cpct * _TABLE_CPCT // 10_000
        scatter = min(UNKNOWN_CPCT, scatter)
        self.sigma_cpct = min(UNKNOWN_CPCT, root(scatter * scatter + table * table))

    def _over(self, value: int) -> int:
        """value over the sum of x squared, 2^-10, held within +-16."""
        n = value
        d = self._xx
        while d >= 1 << 15:
            d >>= 1
            n >>= 1
        d = max(1, d)
        return min(16 << 10, max(-16 << 10, (min(1 << 19, max(-1 << 19, n)) << 10) // d))
