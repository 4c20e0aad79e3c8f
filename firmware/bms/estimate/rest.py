"""Rests: when a cell's voltage tells its state of charge by itself, and what charge has flowed since.

Capacity must not be read from a state of charge that was counted with a capacity: so the ends of what is
weighed are voltages of a cell at rest. A rest counts when no load has flown for SETTLE_MIN minutes and the
voltage hardly moves; what it still moves is its error. While nothing can flow (contactors open) the current
sensor's zero is measured, and what it is off is taken off the charge.
Integers only, nothing allocated after construction; 32-bit safe.
"""

from array import array

from bms.estimate.inputs import LEAST_MV, MOST_MV, scaled

SETTLE_MIN = 15
"""Minutes of rest before a voltage counts."""
TREND_MIN = 5
_MOVES_16MV = 3 << 4
"""A voltage that moves by more in TREND_MIN is not at rest."""
_MINUTE_MS = 60_000
_OWN_16MV = 40
"""What a rest voltage is off by itself (2.5 mV): front end, model, what has not settled."""
_REST_C = 25
"""Currents below 1/25 C are the sensor's offset, or as good as no load."""
_MOST_C = 6
"""Currents above are not counted but lost."""
_ZERO_KNOWN = 8
_ZERO_UNKNOWN = 155
"""Error of the current sensor's zero in 0.01 % of 1C, after it was measured and before."""
_ZERO_LEAST_S = 600
_ZERO_WINDOW_S = 7200
_UNSEEN_MS_PER_CPCT = 720
"""Where the current was not measured, half of 1C either way may have flown."""
_UNSEEN_MOST_MS = 1 << 24
_LONG_S = 604_800


class Rest:
    """Watches a string of `capacity_mah`.

    When a rest ends whose voltage counts, `ready` becomes True: then `rest_16mv` (mean cell, 1/16 mV) is
    known to `sigma_16mv` at `temp_dc`, and since the last `mark` the charge `charge_cpct`, positive for
    charged, in 0.01 % of the nominal capacity, has flowed, known to `charge_sigma_cpct`.
    """

    def __init__(self, capacity_mah: int) -> None:
        self._capacity, self._shift = scaled(capacity_mah)
        # charge of 0.001 % in mA ms
        self._unit_ma_ms = self._capacity * 36
        self._ring = array("i", [0] * (TREND_MIN + 1))
        self.ready = False
        self.resting = False
        self.minutes = 0
        self.rest_16mv = self.sigma_16mv = 0
        self.temp_dc = 250
        self.charge_cpct = self.charge_sigma_cpct = 0
        self._zero_known = False
        self._zero_q14 = 0
        self._remainder = 0
        self._moved = self._span_ms = self._span_s = self._unseen_ms = 0
        self._left_moved = self._left_s = self._left_unseen_ms = 0
        self._begin()

    def mark(self) -> None:
        """Count charge from the end of the last rest that was `ready`."""
        self.ready = False
        self._moved -= self._left_moved
        self._span_s -= self._left_s
        self._unseen_ms = max(0, self._unseen_ms - self._left_unseen_ms)
        self._left_moved = self._left_s = self._left_unseen_ms = 0

    def _begin(self) -> None:
        self.resting = False
        self.minutes = 0
        self._qualified = False
        self._quiet = True
        self._sum_16mv = self._n = self._minute_ms = 0
        self._zero_moved = self._zero_ms = self._zero_s = 0

    def observe(
        self, dt_ms: int, current_ma: int, cell_16mv: int, temp_dc: int, quiet: bool, lost_ms: int = 0
    ) -> bool:
        """A sample as Ekf.observe takes it; `quiet`: nothing can flow. True when a minute of rest closed."""
        now_ma = current_ma >> self._shift
        if not 1 <= dt_ms <= 1000:
            # nobody knows how long it was
            dt_ms = 1000
            lost_ms = _UNSEEN_MOST_MS
        elif not -_MOST_C * self._capacity <= now_ma <= _MOST_C * self._capacity:
            now_ma = 0
            lost_ms = dt_ms
        if lost_ms or abs(now_ma) * _REST_C > self._capacity:
            self._leave()
            self._count(dt_ms, now_ma)
            self._unseen_ms = min(_UNSEEN_MOST_MS, self._unseen_ms + lost_ms)
            return False
        self._zero(dt_ms, self._count(dt_ms, now_ma), quiet)
        self.resting = True
        if LEAST_MV << 4 <= cell_16mv <= MOST_MV << 4:
            self._sum_16mv += cell_16mv
            self._n += 1
        self._minute_ms += dt_ms
        if self._minute_ms < _MINUTE_MS:
            return False
        self._minute(temp_dc)
        return True

    def _leave(self) -> None:
        """The rest is over: what it has told counts now."""
        if not self.resting:
            return
        if self._zero_s >= _ZERO_LEAST_S:
            self._zero_q14 = (self._zero_moved << 14) // self._zero_s
            self._zero_known = True
        if self._qualified:
            self.ready = True
            zero = self._zero_q14
            off = ((self._span_s >> 7) * zero >> 7) + ((self._span_s & 127) * zero >> 14)
            self.charge_cpct = (self._moved - off + 5) // 10
            self.charge_sigma_cpct = self._charge_sigma()
            self._left_moved = self._moved
            self._left_s = self._span_s
            self._left_unseen_ms = self._unseen_ms
        self._begin()

    def _count(self, dt_ms: int, now_ma: int) -> int:
        total = self._remainder + now_ma * dt_ms
        moved = total // self._unit_ma_ms
        self._remainder = total - moved * self._unit_ma_ms
        self._moved += moved
        self._span_ms += dt_ms
        if self._span_ms >= 1000:
            self._span_s += self._span_ms // 1000
            self._span_ms %= 1000
        if self._span_s > _LONG_S:
            # too long ago for any sensor
            self._moved = self._span_s = self._left_moved = self._left_s = 0
            self._unseen_ms = _UNSEEN_MOST_MS
        return moved

    def _zero(self, dt_ms: int, moved: int, quiet: bool) -> None:
        self._quiet = self._quiet and quiet
        if not self._quiet:
            return
        self._zero_moved += moved
        self._zero_ms += dt_ms
        if self._zero_ms >= 1000:
            self._zero_s += self._zero_ms // 1000
            self._zero_ms %= 1000
            if self._zero_s >= _ZERO_WINDOW_S:
                self._zero_s >>= 1
                self._zero_moved >>= 1

    def _minute(self, temp_dc: int) -> None:
        ring = self._ring
        for i in range(TREND_MIN):
            ring[i] = ring[i + 1]
        # most of the minute's samples must have been there
        seen = self._n * 2000 > self._minute_ms
        ring[TREND_MIN] = mean = self._sum_16mv // self._n if seen else 0
        self._sum_16mv = self._n = self._minute_ms = 0
        self.minutes = min(10_000, self.minutes + 1)
        if self.minutes < SETTLE_MIN or not (mean and ring[0]):
            return
        trend = abs(mean - ring[0])
        if trend <= _MOVES_16MV:
            self.rest_16mv = mean
            self.sigma_16mv = _OWN_16MV + trend
            self.temp_dc = temp_dc
            self._qualified = True

    def _charge_sigma(self) -> int:
        """Error of the count: of its zero, and of what was not seen."""
        zero = _ZERO_KNOWN if self._zero_known else _ZERO_UNKNOWN
        return min(10_000, 5 + zero * self._span_s // 3600 + self._unseen_ms // _UNSEEN_MS_PER_CPCT)
