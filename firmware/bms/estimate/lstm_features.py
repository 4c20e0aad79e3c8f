"""What a network for the state of charge looks at: one cell's samples, their moving averages, as int8.

Integers; nothing is allocated. The scaling belongs to the network: see `rest` in lstm_soc.py.
"""

from array import array

from bms.estimate import lstm_kernel as k
from bms.fixed import address

# sources
V = 0
"""Cell voltage, 1/16 mV."""
RATE = 1
"""Current over capacity, 1C = 2^12; positive charges."""
TEMP = 2
"""0.1 degC"""
POWER = 3
"""mV times current over capacity."""
DV = 4
"""Change of voltage since the sample before, 1/16 mV."""
V_MEAN = 5
"""Three exponential moving averages of V ..."""
RATE_MEAN = 8
"""... and of RATE."""
SOURCES = 11
MEANS = 3

RATE_ONE = 4096
RATE_MAX = 8 * RATE_ONE
SHIFT_MAX = 10


class Features:
    """Features by `rows` words, four a feature (lstm_kernel.scale); averages over 2^shift samples each.

    Raises ValueError naming a row or shift that cannot be.
    """

    def __init__(self, shifts: "list[int]", rows: "array[int]", out_at: int) -> None:
        if len(shifts) != MEANS:
            raise ValueError("network: %d moving averages, must be %d" % (len(shifts), MEANS))
        for shift in shifts:
            if not 0 < shift <= SHIFT_MAX:
                raise ValueError(
                    "network: moving average over 2^%d samples, can do 1 to %d" % (shift, SHIFT_MAX)
                )
        n = len(rows) // 4
        for i in range(n):
            if not (
                0 <= rows[4 * i] < SOURCES and 0 < rows[4 * i + 2] < 0x2000 and 0 <= rows[4 * i + 3] < 31
            ):
                raise ValueError("network: feature %d is not one: %s" % (i, list(rows[4 * i : 4 * i + 4])))
        self._shifts = shifts
        self._rows = rows
        self._n = n
        self._rows_at = address(rows)
        self._out_at = out_at
        self.sources = array("i", [k.BIAS] * SOURCES)
        self._sources_at = address(self.sources)
        self._v = array("i", [0] * MEANS)
        self._rate = array("i", [0] * MEANS)
        self.started = False

    def reset(self) -> None:
        """Forget what has been seen."""
        self.started = False

    def hold(self, rate: int) -> None:
        """A sample without a voltage: the averages go on with the last one."""
        if self.started:
            self._average(self.sources[V] - k.BIAS, rate)

    def take(self, v: int, rate: int, temp_dc: int) -> None:
        """A sample; writes the features."""
        s = self.sources
        if not self.started:
            self.started = True
            s[V] = v + k.BIAS
            for i in range(MEANS):
                self._v[i] = v << self._shifts[i]
                self._rate[i] = rate << self._shifts[i]
        s[DV] = v + k.BIAS - (s[V] - k.BIAS)
        s[V] = v + k.BIAS
        s[RATE] = rate + k.BIAS
        s[TEMP] = temp_dc + k.BIAS
        s[POWER] = ((v >> 4) * rate >> 12) + k.BIAS
        self._average(v, rate)
        k.scale(self._sources_at, self._rows_at, self._n, self._out_at)

    def _average(self, v: int, rate: int) -> None:
        s = self.sources
        i = 0
        while i < MEANS:
            shift = self._shifts[i]
            self._v[i] += v - (self._v[i] >> shift)
            s[V_MEAN + i] = (self._v[i] >> shift) + k.BIAS
            self._rate[i] += rate - (self._rate[i] >> shift)
            s[RATE_MEAN + i] = (self._rate[i] >> shift) + k.BIAS
            i += 1
