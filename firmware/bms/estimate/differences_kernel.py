"""The arithmetic of the cells' differences: integers, 32-bit safe, nothing allocated.

One array of words: a head for the string, STRIDE words a cell, then the cells' SoC and its deviation. Written
for viper as ekf_kernel.py is; what can be negative is stored plus BIAS. `follow` is what a board's native
module (firmware/native/differences.c) does in C, to the bit.

Units. SoC: 2^-26. Volts: 2^-22 V, and 2^-16 V where cells are compared. Resistance over the mean's: 2^-12.
P = U D U' over (difference, slow error) in units of 1/8 and 1/16 V: D 2^-26, U 2^-24.
"""

import micropython
from bms.fixed import root
from bms.estimate.ekf_kernel import ocv, ratio
from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array

BIAS = const(0x20000000)

# the head
CELLS = const(0)
SPAN = const(1)
"""ms of the block so far."""
COUNT = const(2)
"""Samples in it in which current and voltages were measured."""
MOVED = const(3)
"""Charge moved in it, either way: rate (1C = 2^6) times ms."""
DROP = const(4)
"""Sum of the mean cell's drops over R0, R1, R2, 2^-15 V."""
LAST_DROP = const(5)
"""Mean drop of the block that is worked at, 2^-15 V; 0 (without BIAS): there was no sample."""
STEP = const(6)
"""Mean drop less that of the block before, 2^-15 V; BIAS: none."""
INFORMATION = const(7)
"""Sum of the squares of STEP, the old ones fading, 2^-21 V2."""
NOISE = const(8)
"""Variance of a block's voltage, the same for all cells, 2^-19 (1/16 V)^2."""
SLOW_VARIANCE = const(9)
"""That of the slow error which nothing has been learnt of, 2^-26 (1/16 V)^2."""
WALK = const(10)
"""Variance that a difference gains in this block."""
SLOPE = const(11)
"""Of the OCV where the mean is, 2^-14 V."""
BENT = const(12)
"""By how much that slope may be wrong because the mean is not known, 2^-14 V."""
MEAN_VOLT = const(13)
"""Sum of the block's voltages, mean over cells, 1/16 mV."""
MEAN_FORECAST = const(14)
FACTOR = const(15)
"""From a sum of voltages in 1/16 mV to their mean in 2^-16 V, 2^-12; 0: the block corrects nothing."""
LIMIT = const(16)
"""What that sum is held within: 1 V either way."""
NEXT = const(17)
"""The cell that is worked at next; all are done where it is the number of cells."""
# results
LOWEST = const(18)
HIGHEST = const(19)
SOC_LOW_CPCT = const(20)
SOC_HIGH_CPCT = const(21)
SPREAD_CPCT = const(22)
# scratch of one cell
SURPRISE = const(23)
"""What its voltage is off the forecast, 2^-16 V."""
H = const(24)
"""What the voltage tells of the difference, 2^-13, and of the slow error; two words."""
VARIANCE = const(26)
"""Of SURPRISE by noise alone, 2^-25 (1/16 V)^2."""
HEAD = const(27)

# a cell
SUM = const(0)
"""Its voltages in the block so far, mV; SPOILT: one of them was impossible."""
HELD = const(1)
"""The same of the block that is worked at."""
DELTA = const(2)
"""SoC less the mean's."""
SLOW = const(3)
"""Slow error of its voltage as far as it is known: the front end's channel, another OCV."""
D0 = const(4)
D1 = const(5)
U01 = const(6)
BOTH = const(7)
"""Sum of STEP times that of the cell's voltage, 2^-22 V2."""
GAIN = const(8)
"""By how much its resistance is larger than the mean's, 2^-12."""
LAST = const(9)
"""Voltage over the mean's in the block before, 2^-16 V; 0 (without BIAS): not known."""
OPEN = const(10)
"""OCV above the table's base."""
FORECAST = const(11)
DEVIATION = const(12)
"""Of DELTA, 2^-16."""
STRIDE = const(13)

# words of the mean's filter, as in ekf_kernel.py
_SOC = const(0)
_OFFSET = const(3)
_R0 = const(18)
_ROW = const(21)
_DT = const(23)
_RATE = const(24)
_VOLT = const(25)
_SIGMA = const(27)
_V1 = const(38)
_V2 = const(39)
_UNSEEN = const(54)

_BLOCK_MS = const(8000)
_BLOCK_SAMPLES = const(128)
_PARTS = const(4)
"""The cells of a block are worked at in so many samples."""
_LEAST_MV = const(500)
_MOST_MV = const(6000)
_SPOILT = const(0x10000000)

# tuning
_WHITE = const(3355)
"""Variance of one sample, 2^-19 (1/16 V)^2: (5 mV)^2; of a block an eighth of it at least."""
_WHITE_DROP = const(3)
"""Deviation of a block's drop from its model over the drop, 2^-7."""
SLOW_START = const(107374)
"""(2.5 mV)^2, as SLOW_VARIANCE."""
_SLOW_DROP = const(6)
"""And what is added to the deviation over the drop, 2^-shift."""
_SLOW_FADE = const(8)
"""A slow error lasts for 2^8 blocks (34 min)."""
_WALK = const(86)
"""Self-discharge, balancing: 0.3 points in an hour."""
_LOST = const(512000)
"""What may have moved in a block in which nothing was measured: 1C for 8 s, as MOVED."""
_LOST_WALK = const(875)
"""The same as WALK."""
_LEAST_D0 = const(2577)
"""Least variance of a difference: 0.08 points."""
MOST_D0 = const(96636764)
"""And the largest: 15 points."""
_LEAST_D1 = const(4295)
"""Least variance of a slow error: (0.5 mV)^2."""
_PRIOR = const(5250)
"""Information of what is known of resistances without any step: they deviate by 10 %."""
_GAIN_PRIOR = const(410)
_GAIN_FLOOR = const(41)
"""Deviation of a GAIN without a step, and the least one."""
_INFORMATION_FADE = const(8)
_MOST_U = const(0x1F000000)
_NEAR = const(0x140000)
"""2 %, over which the curve has one slope."""
_LOWEST = const(-3355443)
_HIGHEST = const(70464307)
"""Where the OCV is looked up at most: 5 % beyond empty and full."""


@micropython.viper
def add(c: ptr32, x: ptr32, cell_mv: ptr16):
    """One sample of the mean's filter and the cells' voltages into the block."""
    dt = x[_DT] - BIAS
    rate = x[_RATE] - (x[_OFFSET] - BIAS >> 8) - BIAS
    if rate > 0x100000:
        rate = 0x100000
    if rate < -0x100000:
        rate = -0x100000
    size = rate
    if size < 0:
        size = -size
    c[SPAN] = c[SPAN] + dt
    c[MOVED] = c[MOVED] + (size >> 10) * dt
    if x[_UNSEEN] > 0:
        return
    if x[_VOLT] <= BIAS:
        return
    c[COUNT] = c[COUNT] + 1
    r = x[_R0] - BIAS
    drop = ((rate >> 8) * r >> 1) + ((rate & 255) * r >> 9) + x[_V1] - BIAS + x[_V2] - BIAS
    if drop > 0x7FFFFF:
        drop = 0x7FFFFF
    if drop < -0x7FFFFF:
        drop = -0x7FFFFF
    c[DROP] = c[DROP] + (drop >> 7)
    n = c[CELLS]
    i = HEAD
    k = 0
    while k < n:
        mv = cell_mv[k]
        if mv < _LEAST_MV:
            mv = _SPOILT
        if mv > _MOST_MV:
            mv = _SPOILT
        mv += c[i]
        if mv > _SPOILT:
            mv = _SPOILT
        c[i] = mv
        i += STRIDE
        k += 1


@micropython.viper
def weigh(c: ptr32, x: ptr32, tab: ptr16):
    """What of a block is the same for all cells: noise, the OCV's slope at the mean."""
    count = c[COUNT]
    moved = c[MOVED]
    if count == 0:
        moved += _LOST
    c[WALK] = (moved * 7 >> 12) + _WALK
    row = x[_ROW] - BIAS
    soc = x[_SOC] - BIAS
    far = (x[_SIGMA] - BIAS) * 7094
    if far < 335544:
        far = 335544
    high = soc + far
    if high > _HIGHEST:
        high = _HIGHEST
    low = soc - far
    if low < _LOWEST:
        low = _LOWEST
    at_high = int(ocv(tab, row, high))
    at_low = int(ocv(tab, row, low))
    c[SLOPE] = (int(ratio(at_high - at_low, high - low)) >> 6) + BIAS
    bent = int(ratio(at_high + at_low - 2 * int(ocv(tab, row, soc)), high - low)) >> 6
    if bent < 0:
        bent = -bent
    if bent > 0xFFFF:
        bent = 0xFFFF
    c[BENT] = bent
    c[STEP] = BIAS
    c[FACTOR] = 0
    if count == 0:
        c[LAST_DROP] = 0
        return
    c[FACTOR] = 16777 // count
    c[LIMIT] = 16000 * count
    drop = (c[DROP] - BIAS) // count
    if c[LAST_DROP] > 0:
        step = drop + BIAS - c[LAST_DROP]
        if step > 0x3FFF:
            step = 0x3FFF
        if step < -0x3FFF:
            step = -0x3FFF
        c[STEP] = step + BIAS
        c[INFORMATION] = c[INFORMATION] + (step * step >> 9) - (c[INFORMATION] >> _INFORMATION_FADE)
    c[LAST_DROP] = drop + BIAS
    if drop < 0:
        drop = -drop
    if count > 8:
        count = 8
    white = drop * _WHITE_DROP >> 6
    if white > 0x7FFF:
        white = 0x7FFF
    gain = int(ratio(_PRIOR, c[INFORMATION] + _PRIOR))
    gain = (int(root(gain)) * _GAIN_PRIOR >> 12) + _GAIN_FLOOR
    doubt = drop * gain >> 11
    if doubt > 0x7FFF:
        doubt = 0x7FFF
    c[NOISE] = _WHITE // count + (white * white >> 5) + (doubt * doubt >> 4)
    slow = drop >> _SLOW_DROP - 1
    if slow > 0x7FF:
        slow = 0x7FF
    c[SLOW_VARIANCE] = SLOW_START + (slow * slow << 2)


@micropython.viper
def forecast(c: ptr32, x: ptr32, tab: ptr16):
    """Each cell's voltage from its own SoC, resistance and slow error; the means over those measured.

    A new block begins.
    """
    row = x[_ROW] - BIAS
    soc = x[_SOC] - BIAS
    drop = 0
    if c[LAST_DROP] > 0:
        drop = 2 * (c[LAST_DROP] - BIAS)
    volts = 0
    total = 0
    seen = 0
    n = c[CELLS]
    i = HEAD
    while n > 0:
        at = soc + c[i + DELTA] - BIAS
        if at > _HIGHEST:
            at = _HIGHEST
        if at < _LOWEST:
            at = _LOWEST
        volt = int(ocv(tab, row, at))
        c[i + OPEN] = volt + BIAS
        volt = (volt >> 6) + ((c[i + GAIN] - BIAS) * drop >> 12) + (c[i + SLOW] - BIAS >> 6)
        c[i + FORECAST] = volt + BIAS
        c[i + HELD] = c[i]
        if c[i] < _SPOILT:
            volts += c[i]
            total += volt
            seen += 1
        c[i] = 0
        i += STRIDE
        n -= 1
    c[SPAN] = 0
    c[COUNT] = 0
    c[MOVED] = 0
    c[DROP] = BIAS
    c[NEXT] = 0
    if seen < 2:
        c[FACTOR] = 0
        return
    c[MEAN_VOLT] = (volts << 4) // seen
    c[MEAN_FORECAST] = total // seen + BIAS


@micropython.viper
def forget(c: ptr32, i: int):
    """A block has passed for the cell at word i: its difference walks, its slow error fades."""
    d = c[i + D1]
    more = c[SLOW_VARIANCE] >> _SLOW_FADE - 1
    total = d - (d >> _SLOW_FADE - 1) + more + 1
    part = int(ratio(more, total)) >> 9
    u = c[i + U01] - BIAS
    t = u + 0x2000 >> 14
    v = (d >> 10) * t + ((d & 1023) * t >> 10)
    v = (v >> 10) * t + ((v & 1023) * t >> 10)
    if v > MOST_D0:
        v = MOST_D0
    c[i + D0] = c[i + D0] + c[WALK] + (v >> 15) * part + ((v & 0x7FFF) * part >> 15)
    part = 0x8000 - part
    u = (u >> 15) * part + ((u & 0x7FFF) * part >> 15)
    u += u >> _SLOW_FADE
    if u > _MOST_U:
        u = _MOST_U
    if u < -_MOST_U:
        u = -_MOST_U
    c[i + U01] = u + BIAS
    c[i + D1] = total
    v = c[i + SLOW] - BIAS
    c[i + SLOW] = v - (v >> _SLOW_FADE) + BIAS


@micropython.viper
def compare(c: ptr32, i: int) -> int:
    """The cell's voltage against its forecast into SURPRISE, its resistance; 0: nothing was measured."""
    if c[FACTOR] == 0:
        c[i + LAST] = 0
        return 0
    if c[i + HELD] >= _SPOILT:
        c[i + LAST] = 0
        c[i + D0] = c[i + D0] + _LOST_WALK
        return 0
    most = c[LIMIT]
    volt = (c[i + HELD] << 4) - c[MEAN_VOLT]
    if volt > most:
        volt = most
    most = 0 - most  # viper's unary minus would change `most` wherever it stands
    if volt < most:
        volt = most
    volt = volt * c[FACTOR] >> 12
    off = volt - c[i + FORECAST] + c[MEAN_FORECAST]
    if off > 0x7FFF:
        off = 0x7FFF
    if off < -0x7FFF:
        off = -0x7FFF
    c[SURPRISE] = off + BIAS
    step = c[STEP] - BIAS
    both = c[i + BOTH] - BIAS
    if c[i + LAST] > 0:
        off = volt + BIAS - c[i + LAST]
        if off > 0x3FFF:
            off = 0x3FFF
        if off < -0x3FFF:
            off = -0x3FFF
        both += (step * off >> 9) - (both >> _INFORMATION_FADE)
        c[i + BOTH] = both + BIAS
    c[i + LAST] = volt + BIAS
    gain = int(ratio(both, c[INFORMATION] + _PRIOR)) >> 13
    if gain > 2048:
        gain = 2048
    if gain < -2048:
        gain = -2048
    c[i + GAIN] = gain + BIAS
    return 1


@micropython.viper
def linearise(c: ptr32, x: ptr32, tab: ptr16, i: int):
    """Secant of the OCV over +-sqrt(3) deviations of the cell into H, what is doubted of it into VARIANCE."""
    row = x[_ROW] - BIAS
    delta = c[i + DELTA] - BIAS
    at = x[_SOC] - BIAS + delta
    if at > _HIGHEST:
        at = _HIGHEST
    if at < _LOWEST:
        at = _LOWEST
    far = c[i + DEVIATION] * 1773
    if far < 335544:
        far = 335544
    high = at + far
    if high > _HIGHEST:
        high = _HIGHEST
    low = at - far
    if low < _LOWEST:
        low = _LOWEST
    if high - low < 671088:
        high = at + 335544
        low = at - 335544
    at_high = int(ocv(tab, row, high))
    at_low = int(ocv(tab, row, low))
    slope = int(ratio(at_high - at_low, high - low)) >> 6
    bend = at_high + at_low - 2 * (c[i + OPEN] - BIAS) >> 6
    if bend > 0x7FFF:
        bend = 0x7FFF
    if bend < -0x7FFF:
        bend = -0x7FFF
    noise = c[NOISE]
    off = c[SURPRISE] - BIAS
    if far > _NEAR:
        if off * off >> 7 < noise + (c[i + D1] >> 7):
            # no surprise: what the curve does far away tells nothing, its slope here may tell less
            near = int(ratio(int(ocv(tab, row, at + _NEAR)) - int(ocv(tab, row, at - _NEAR)), 2 * _NEAR)) >> 6
            if near < slope:
                slope = near
                bend = 0
    noise += bend * bend >> 8
    # where the mean is off, this cell's slope and the mean's are, too, and not by chance
    doubt = slope - c[SLOPE] + BIAS
    if doubt < 0:
        doubt = -doubt
    if doubt > 0x1FFFF:
        doubt = 0x1FFFF
    doubt = doubt * (x[_SIGMA] - BIAS) >> 12
    if delta < 0:
        delta = -delta
    delta = delta >> 10
    if delta < c[i + DEVIATION]:
        delta = c[i + DEVIATION]
    wide = c[BENT] * delta >> 14
    if wide > doubt:
        doubt = wide
    if doubt > 0x3FFF:
        doubt = 0x3FFF
    noise += doubt * doubt
    # too steep or too doubtful for their words: the whole equation is scaled down
    one = 0x2000
    while slope > 0x7FFF:
        slope >>= 1
        one >>= 1
        off >>= 1
        noise >>= 2
    while noise > 0x100000:
        slope >>= 1
        one >>= 1
        off >>= 1
        noise >>= 2
    c[H] = slope
    c[H + 1] = one
    c[SURPRISE] = off + BIAS
    c[VARIANCE] = (noise << 6) + 4


@micropython.viper
def correct(c: ptr32, i: int):
    """Bierman's update of the cell at word i; what it cannot explain only widens it."""
    d0 = c[i + D0]
    d1 = c[i + D1]
    u = c[i + U01] - BIAS
    h = c[H]
    off = c[SURPRISE] - BIAS
    noise = c[VARIANCE]
    f = c[H + 1] + ((u >> 14) * h + ((u & 0x3FFF) * h >> 14) + 512 >> 10)
    while f > 0x7FFF:
        f >>= 1
        h >>= 1
        off >>= 1
        noise >>= 2
    while f < -0x7FFF:
        f >>= 1
        h >>= 1
        off >>= 1
        noise >>= 2
    noise += 1
    v0 = (d0 >> 15) * h + ((d0 & 0x7FFF) * h >> 15)
    first = noise + (v0 >> 12) * h + ((v0 & 4095) * h >> 12)
    v1 = (d1 >> 15) * f + ((d1 & 0x7FFF) * f >> 15)
    alpha = first + (v1 >> 12) * f + ((v1 & 4095) * f >> 12)
    if alpha < 0xCCCCCCC:
        if off * off > 5 * alpha:
            d0 = 4 * d0
            if d0 > MOST_D0:
                d0 = MOST_D0
            c[i + D0] = d0
            return
    part = int(ratio(first - noise, first)) >> 9
    d = d0 - (d0 >> 15) * part - ((d0 & 0x7FFF) * part >> 15)
    if d < 64:
        d = 64
    c[i + D0] = d
    part = int(ratio(alpha - first, alpha)) >> 9
    d = d1 - (d1 >> 15) * part - ((d1 & 0x7FFF) * part >> 15)
    if d < _LEAST_D1:
        d = _LEAST_D1
    c[i + D1] = d
    t = u + 0x2000 >> 14
    u -= int(ratio((v0 >> 12) * f + ((v0 & 4095) * f >> 12), first))
    if u > _MOST_U:
        u = _MOST_U
    if u < -_MOST_U:
        u = -_MOST_U
    c[i + U01] = u + BIAS
    v0 += (v1 >> 10) * t + ((v1 & 1023) * t >> 10)
    if v0 > 0x3FFFFFF:
        v0 = 0x3FFFFFF
    if v0 < -0x3FFFFFF:
        v0 = -0x3FFFFFF
    d = c[i + DELTA] - BIAS + (int(ratio((v0 >> 11) * off + ((v0 & 2047) * off >> 11), alpha)) >> 1)
    if d > 0x2000000:
        d = 0x2000000
    if d < -0x2000000:
        d = -0x2000000
    c[i + DELTA] = d + BIAS
    d = c[i + SLOW] - BIAS + (int(ratio((v1 >> 11) * off + ((v1 & 2047) * off >> 11), alpha)) >> 6)
    if d > 419430:
        d = 419430
    if d < -419430:
        d = -419430
    c[i + SLOW] = d + BIAS


@micropython.viper
def spread(c: ptr32, i: int):
    """DEVIATION of the cell at word i from its covariance, held within bounds."""
    t = c[i + U01] - BIAS + 0x2000 >> 14
    d = c[i + D1]
    v = (d >> 10) * t + ((d & 1023) * t >> 10)
    p = c[i + D0] + (v >> 10) * t + ((v & 1023) * t >> 10)
    if p > MOST_D0:
        p = MOST_D0
        c[i + D0] = p
        c[i + U01] = BIAS
    if p < _LEAST_D0:
        c[i + D0] = c[i + D0] + _LEAST_D0 - p
        p = _LEAST_D0
    c[i + DEVIATION] = int(root(p))


@micropython.viper
def judge(c: ptr32, x: ptr32):
    """The cells' SoC and deviation, and what the string is by its outermost cells."""
    n = c[CELLS]
    i = HEAD + DELTA
    total = 0
    k = 0
    while k < n:
        total += c[i] - BIAS
        i += STRIDE
        k += 1
    mean = total // n
    known = x[_SIGMA] - BIAS
    known = 16 * known * known
    at = HEAD + n * STRIDE
    least = 0x7FFF
    most = -1
    low = 0x7FFF
    high = 0
    i = HEAD
    k = 0
    while k < n:
        delta = c[i + DELTA] - mean
        c[i + DELTA] = delta
        soc = (x[_SOC] - BIAS + delta - BIAS >> 12) * 10000 >> 14
        if soc < 0:
            soc = 0
        if soc > 10000:
            soc = 10000
        size = c[i + DEVIATION]
        sigma = int(root(known + size * size)) * 10000 >> 16
        c[at + k] = soc
        c[at + n + k] = sigma
        if soc < least:
            least = soc
            c[LOWEST] = k
        if soc > most:
            most = soc
            c[HIGHEST] = k
        if soc - sigma < low:
            low = soc - sigma
        if soc + sigma > high:
            high = soc + sigma
        i += STRIDE
        k += 1
    if low < 0:
        low = 0
    if high > 10000:
        high = 10000
    c[SOC_LOW_CPCT] = low
    c[SOC_HIGH_CPCT] = high
    c[SPREAD_CPCT] = most - least


@micropython.native
def work(c: "array[int]", x: "array[int]", tab: "array[int]", most: int) -> None:
    """Correct up to `most` cells of the block that is worked at; after the last one judge the string."""
    n = c[CELLS]
    at = c[NEXT]
    end = min(n, at + most)
    c[NEXT] = end
    while at < end:
        i = HEAD + STRIDE * at
        forget(c, i)
        if compare(c, i):
            linearise(c, x, tab, i)
            correct(c, i)
        spread(c, i)
        at += 1
    if end == n:
        judge(c, x)


def follow(c: "array[int]", x: "array[int]", tab: "array[int]", cell_mv: "array[int]") -> None:
    """Differences.follow on the words `c` of the cells, `x` of the mean's filter and its tables `tab`."""
    add(c, x, cell_mv)
    n = c[CELLS]
    full = c[SPAN] >= _BLOCK_MS or c[COUNT] >= _BLOCK_SAMPLES
    if c[NEXT] < n:
        work(c, x, tab, n if full else (n + _PARTS - 1) // _PARTS)
    if full:
        weigh(c, x, tab)
        forecast(c, x, tab)
