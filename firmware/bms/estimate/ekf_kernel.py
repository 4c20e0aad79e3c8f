"""The arithmetic of the state-of-charge filter: integers, 32-bit safe, nothing allocated.

State in one array of words. Every word is stored plus BIAS, so that it is never negative: viper on a 64-bit
host loads words unsigned. No product leaves 31 bits; long ones are split in two. Written for viper: one
source for CPython, bytecode and machine code.

Units. SoC: 2^-26. Volts: 2^-22 V. Current as rate: 1C = 2^16; bias: 1C = 2^24.
v1 and v2 follow the current without doubt; what is doubted is how large they are: one gain on all drops.
P = U D U' over (SoC, slow error of the model's voltage, gain, offset) in units of 1/2, 1/4 V, 1/4, 1/16 C:
D 2^-26, U 2^-24.
"""

import micropython
from micropython import const

BIAS = const(0x20000000)

# state words
SOC = const(0)
ERROR = const(1)
"""Slow error of the model's voltage, as far as it is known."""
GAIN = const(2)
"""How much larger than the tables' every drop is, 2^-22: resistances age, and differ from cell to cell."""
OFFSET = const(3)
"""Current sensor's offset."""
HYST = const(4)
"""Hysteresis, -1..1 as 2^-20."""
D0 = const(5)
D1 = const(6)
D2 = const(7)
D3 = const(8)
U01 = const(9)
U02 = const(10)
U12 = const(11)
U03 = const(12)
U13 = const(13)
U23 = const(14)
# the block of samples that waits for one correction
SPAN = const(15)
"""ms"""
WEIGHT = const(16)
MEAN = const(17)
"""Weighted mean innovation, 2^-15 V."""
# what `advance` leaves for `correct`
R0 = const(18)
R1 = const(19)
R2 = const(20)
ROW = const(21)
"""Row of the tables, and in the low 9 bits the weight of the next one, 2^-8."""
# inputs of `advance`
DT = const(23)
"""ms, 1..1000"""
RATE = const(24)
VOLT = const(25)
"""Terminal voltage, 2^-22 V; 0: not measured."""
TEMP = const(26)
"""0.1 degC"""
# results
SIGMA = const(27)
"""Deviation of SoC, 2^-14."""
REST = const(28)
"""Charge too small for one step of SoC, kept for the next sample."""
# scratch of one correction
H = const(29)
"""What the voltage tells of each state, 2^-14; four words."""
K = const(33)
"""Covariance of the states with the voltage, 2^-25; four words."""
NOISE = const(37)
"""Variance of the block's mean innovation, 2^-20."""
V1 = const(38)
V2 = const(39)
PAST = const(40)
"""Variance of v2 from before the filter began, 2^-24 V2; dies away with tau2."""
DROP = const(22)
"""Weighted mean of the drop at R0, R1, R2 over the block, 2^-15 V."""
QUIET = const(41)
"""1: nothing can flow (contactors open)."""
F = const(42)
"""What the voltage tells of each state by itself (U' H), 2^-14; four words."""
ALPHA = const(46)
"""Variance of the innovation with the noise and the states so far, 2^-20; four words."""
# plain, without BIAS, and never negative
CAPACITY = const(50)
"""mAh, shifted down by SHIFT bits: inputs.scaled."""
SHIFT = const(51)
HISTORY = const(52)
"""LOADED or RESTED (ekf_sample.py) before the first sample, then 0."""
ODD = const(53)
"""Blocks on end that nothing explains."""
UNSEEN = const(54)
"""ms without a current."""
SOC_CPCT = const(55)
SIGMA_CPCT = const(56)
WORDS = const(57)

# tuning, one setting for every cell and every case
_WHITE = const(5030)
"""Voltage noise of one second, 2^-15 V; it stands for errors that last some seconds, too."""
_WHITE_QUIET = const(656)
"""The same while nothing can flow (20 mV)."""
_WHITE_IR = const(238)
"""Deviation of the fast model error over the drop at R0, 2^-8."""
_WHITE_V1 = const(78)
"""Deviation of v1 from its model over v1, 2^-8."""
_WHITE_DROP = const(20)
"""Deviation of a block's drop from its model over the drop, 2^-8."""
_SLOW = const(190)
"""Deviation of the slow error, 2^-15 V."""
_SLOW_HYST = const(56)
"""And what is added to it over the hysteresis, 2^-8."""
_SLOW_R = const(1)
"""And over the sum of the resistances at 1C, 2^-8."""
_SLOW_TAU_DS = const(25000)
"""How long the slow error lasts, 0.1 s."""
_SLOW_EMPTY = const(350)
"""By how much the slow error grows from 15 % down to 0 %, 2^-8."""
GAIN_VARIANCE = const(21045000)
"""Of the gain, 2^-26 (1/4)^2: 14 %."""
_GAIN_TAU_DS = const(40000)
"""How long a gain lasts, 0.1 s."""
_OFFSET_DROP = const(63)
"""Share of R1 and R2 through which the offset is seen at once, 2^-8."""
_PAST = const(33)
"""Weight of PAST: it lasts for many blocks."""
_WALK_SOC = const(1)
"""Variance that SoC gains in 4 s, 2^-26 (1/2)^2: 0.2 points in an hour."""
_WALK_OFFSET = const(44)
_LEAST_SOC = const(8640)
"""Least variance of SoC, 2^-26 (1/2)^2."""
_CURVED = const(256)
"""Weight of the square of the OCV's bend, 2^-8."""

_NO_SURPRISE = const(429000)
"""Variance of an innovation that is none beyond what the error and PAST make of it, 2^-30 V2: (20 mV)^2."""
_NEAR = const(0x140000)
"""2 %, over which the curve has one slope."""

_ONE = const(0x4000000)
_VOLT = const(0x400000)
_OCV_COLUMNS = const(129)
_R_COLUMNS = const(33)


@micropython.viper
def settle(ms: int, tau_ds: int) -> int:
    """1 - exp(-ms / tau), 2^-18; tau in 0.1 s, ms up to 16000."""
    x = ms * 10486 // tau_ds
    if x < 0x20000:
        square = (x >> 2) * (x >> 2) >> 17
        return x - square + (square * (x >> 3) >> 17) // 3 >> 2
    x = x >> 8
    if x > 0x8000:
        x = 0x8000
    x += x * x >> 13
    return (x << 12) // (4096 + x) << 6


@micropython.viper
def ratio(n: int, d: int) -> int:
    """n / d as 2^-24, held within +-31; d above 0."""
    while d >= 0x80000:
        d >>= 1
        n >>= 1
    whole = n // d
    if whole >= 31:
        return 0x1F000000
    if whole < -31:
        return -0x1F000000
    n = n - whole * d << 12
    part = n // d
    n = n - part * d << 12
    return (whole << 24) + (part << 12) + n // d


@micropython.viper
def product_over(k: int, f: int, d: int) -> int:
    """k f / d as 2^-24 for k 2^-25, f 2^-14, d 2^-20; with 8 more bits where all is small."""
    n = ((k >> 13) * f >> 6) + ((k & 0x1FFF) * f >> 19)
    if d < 0x80000:
        if n < 0x40000:
            if n > -0x40000:
                n = ((k >> 13) * f << 2) + ((k & 0x1FFF) * f >> 11)
                d = d << 8
    return int(ratio(n, d))


@micropython.viper
def ocv(tab: ptr16, row: int, soc: int) -> int:
    """Open-circuit voltage above the table's base, 2^-22 V; goes on with the end slopes beyond 0..1."""
    weight = row & 511
    k = soc >> 19
    if k < 0:
        k = 0
    if k > 127:
        k = 127
    g = soc - (k << 19) >> 9
    i = 8 + 4 * tab[2] + (row >> 9) * 129 + k
    low = (tab[i] << 8) + ((tab[i + 1] - tab[i]) * g >> 2)
    i += 129
    high = (tab[i] << 8) + ((tab[i + 1] - tab[i]) * g >> 2)
    return low + ((high - low >> 2) * weight >> 6)


@micropython.viper
def look_up(x: ptr32, tab: ptr16):
    """Place of the temperature in the tables; R0, R1, R2 at the SoC and there."""
    rows = tab[2]
    above = x[TEMP] - BIAS + 1000
    row = 0
    while row < rows - 2 and above >= tab[9 + row]:
        row += 1
    above -= tab[8 + row]
    weight = (above << 8) // (tab[9 + row] - tab[8 + row])
    if weight < 0:
        weight = 0
    if weight > 256:
        weight = 256
    x[ROW] = (row << 9 | weight) + BIAS
    soc = x[SOC] - BIAS
    if soc < 0:
        soc = 0
    if soc > _ONE:
        soc = _ONE
    k = soc >> 21
    if k > 31:
        k = 31
    g = soc - (k << 21) >> 13
    i = 8 + (4 + _OCV_COLUMNS) * rows + row * _R_COLUMNS + k
    n = 0
    while n < 3:
        low = tab[i] * (256 - g) + tab[i + 1] * g >> 2
        high = tab[i + _R_COLUMNS] * (256 - g) + tab[i + _R_COLUMNS + 1] * g >> 2
        x[R0 + n] = (low * (256 - weight) + high * weight >> 14) + BIAS
        i += _R_COLUMNS * rows
        n += 1


@micropython.viper
def advance(x: ptr32, tab: ptr16):
    """One sample: move the state by DT at RATE, weigh the innovation at VOLT into the block."""
    rows = tab[2]
    row = (x[ROW] - BIAS) >> 9
    weight = (x[ROW] - BIAS) & 511
    dt = x[DT] - BIAS
    rate = x[RATE] - (x[OFFSET] - BIAS >> 8) - BIAS
    if rate > 0x100000:
        rate = 0x100000
    if rate < -0x100000:
        rate = -0x100000
    i = 8 + rows + row
    capacity = tab[i] + ((tab[i + 1] - tab[i]) * weight >> 8)
    capacity = 3516 * capacity >> 14
    charge = rate * dt + x[REST] - BIAS
    moved = charge // capacity
    x[REST] = charge - moved * capacity + BIAS
    soc = x[SOC] - BIAS + moved
    if soc > 68451041:
        soc = 68451041
    if soc < -1342177:
        soc = -1342177
    x[SOC] = soc + BIAS
    last = 8 + (4 + _OCV_COLUMNS + 3 * _R_COLUMNS) * rows + _OCV_COLUMNS
    drop = 0
    n = 0
    while n < 2:
        i += rows
        part = int(settle(dt, tab[i] + ((tab[i + 1] - tab[i]) * weight >> 8)))
        r = x[R1 + n] - BIAS
        at = V1
        if n > 0:
            at = V2
        v = x[at] - BIAS
        gap = ((rate >> 8) * r >> 1) + ((rate & 255) * r >> 9)
        knee = tab[3]
        if n > 0:
            knee = 0
        if knee > 0:
            # Butler and Volmer's law, the first pair's only
            u = gap
            if u < 0:
                u = -u
            u = (u >> 7 << 8) // knee
            k = u >> 6
            if k > 63:
                k = 63
            u -= k << 6
            k += last
            u = knee * (tab[k] + ((tab[k + 1] - tab[k]) * u >> 6)) >> 5
            if gap < 0:
                u = -u
            gap = u
        gap -= v
        if gap > 0xFFFFFF:
            gap = 0xFFFFFF
        if gap < -0xFFFFFF:
            gap = -0xFFFFFF
        v += ((gap >> 12) * part >> 6) + ((gap & 4095) * part >> 18)
        x[at] = v + BIAS
        drop += v
        n += 1
    # hysteresis follows the charge moved
    hysteresis = x[HYST] - BIAS
    goal = 0x100000
    if moved < 0:
        goal = -0x100000
        moved = -moved
    part = (moved << 6) // tab[6]
    if part > 0x10000:
        part = 0x10000
    hysteresis += (goal - hysteresis >> 7) * part >> 9
    x[HYST] = hysteresis + BIAS
    x[SPAN] = x[SPAN] + dt
    k = soc >> 19
    if k < 0:
        k = 0
    if k > 128:
        k = 128
    gap = tab[8 + (4 + _OCV_COLUMNS + 3 * _R_COLUMNS) * rows + k]
    rest = gap * (hysteresis >> 6) >> 6
    r = x[R0] - BIAS
    ohmic = ((rate >> 8) * r >> 1) + ((rate & 255) * r >> 9)
    drop += ohmic
    if drop > 0xFFFFFF:
        drop = 0xFFFFFF
    if drop < -0xFFFFFF:
        drop = -0xFFFFFF
    base = tab[5]
    rest += base * 4194 + base * 304 // 1000 + int(ocv(tab, x[ROW] - BIAS, soc)) + x[ERROR] - BIAS
    volt = x[VOLT] - BIAS
    if volt <= 0:
        return
    gap = volt - rest - drop - ((drop >> 8) * (x[GAIN] - BIAS >> 8) >> 6)
    if gap > 0x3FFFFF:
        gap = 0x3FFFFF
    if gap < -0x3FFFFF:
        gap = -0x3FFFFF
    if ohmic < 0:
        ohmic = -ohmic
    ohmic = (ohmic >> 7) * _WHITE_IR >> 8
    if ohmic > 0x4000:
        ohmic = 0x4000
    v = x[V1] - BIAS
    if v < 0:
        v = -v
    v = (v >> 7) * _WHITE_V1 >> 8
    if v > 0x2000:
        v = 0x2000
    k = _WHITE
    if x[QUIET] > BIAS:
        k = _WHITE_QUIET
    ohmic = k * k + ohmic * ohmic + v * v >> 6
    if ohmic > 0x400000:
        ohmic = 0x400000
    w = 0x10000000 // ohmic
    total = x[WEIGHT] - BIAS + w
    mean = x[MEAN] - BIAS
    x[MEAN] = mean + (((gap >> 7) - mean) * w + (total >> 1)) // total + BIAS
    mean = x[DROP] - BIAS
    x[DROP] = mean + (((drop >> 7) - mean) * w + (total >> 1)) // total + BIAS
    x[WEIGHT] = total + BIAS


@micropython.viper
def slow_error(x: ptr32, tab: ptr16) -> int:
    """Deviation of the slow error at this SoC, 2^-15 V; that of the resistances once a block has begun."""
    k = x[SOC] - BIAS >> 19
    if k < 0:
        k = 0
    if k > 128:
        k = 128
    slow = _SLOW + (tab[8 + (4 + _OCV_COLUMNS + 3 * _R_COLUMNS) * tab[2] + k] * _SLOW_HYST >> 7)
    if x[SPAN] > BIAS:
        slow += (x[R0] - BIAS + x[R1] - BIAS + x[R2] - BIAS) * _SLOW_R >> 8
    if k < 19:
        slow += (slow * _SLOW_EMPTY >> 8) * (19 - k) // 19
    if slow > 0x3FFF:
        slow = 0x3FFF
    return slow


@micropython.viper
def predict(x: ptr32, tab: ptr16):
    """Covariance over the block's span: P = F P F' + Q, kept as U D U' (Thornton)."""
    rows = tab[2]
    row = (x[ROW] - BIAS) >> 9
    weight = (x[ROW] - BIAS) & 511
    span = x[SPAN] - BIAS
    i = 8 + rows + row
    capacity = tab[i] + ((tab[i + 1] - tab[i]) * weight >> 8)
    i += 2 * rows
    e1 = int(settle(span, _SLOW_TAU_DS))
    e2 = int(settle(span, tab[i] + ((tab[i + 1] - tab[i]) * weight >> 8)))
    past = x[PAST] - BIAS
    past -= (past >> 12) * (e2 >> 4) >> 1
    if past > 0:
        past -= 1
    x[PAST] = past + BIAS
    e2 = int(settle(span, _GAIN_TAU_DS))
    a1 = 0x40000 - e1 >> 3
    a2 = 0x40000 - e2 >> 3
    v = x[ERROR] - BIAS
    x[ERROR] = v - ((v >> 12) * e1 >> 6) + BIAS
    v = x[GAIN] - BIAS
    x[GAIN] = v - ((v >> 8) * (e2 >> 4) >> 6) + BIAS
    # variances that the slow errors gain: what keeps them at their deviation
    slow = int(slow_error(x, tab))
    slow = slow * slow
    q = (e1 >> 3) * (0x80000 - e1 >> 4) >> 14
    q1 = (slow >> 14) * q + ((slow & 0x3FFF) * q >> 14) >> 1
    q = (e2 >> 3) * (0x80000 - e2 >> 4) >> 14
    q2 = (GAIN_VARIANCE >> 14) * q + ((GAIN_VARIANCE & 0x3FFF) * q >> 14) >> 1
    # the offset moves SoC
    u = x[U03] - BIAS - span * 9544 // capacity
    if u < -0x1F000000:
        u = -0x1F000000
    x[U03] = u + BIAS
    u = x[U13] - BIAS
    x[U13] = ((u >> 14) * a1 + ((u & 0x3FFF) * a1 >> 14) >> 1) + BIAS
    u = x[U23] - BIAS
    x[U23] = ((u >> 14) * a2 + ((u & 0x3FFF) * a2 >> 14) >> 1) + BIAS
    x[D3] = x[D3] + (span * _WALK_OFFSET >> 10)
    # the gain: shrink, add q2, hand on to the error and SoC what they had in common
    d = x[D2] - BIAS
    half = (d >> 14) * a2 + ((d & 0x3FFF) * a2 >> 14) >> 1
    total = ((half >> 14) * a2 + ((half & 0x3FFF) * a2 >> 14) >> 1) + q2 + 1
    x[D2] = total + BIAS
    part = int(ratio(half, total)) >> 10
    if part > 0x7FFF:
        part = 0x7FFF
    u02 = x[U02] - BIAS
    x[U02] = (u02 >> 14) * part + ((u02 & 0x3FFF) * part >> 14) + BIAS
    u12 = x[U12] - BIAS
    u = (u12 >> 14) * a1 + ((u12 & 0x3FFF) * a1 >> 14) >> 1
    x[U12] = (u >> 14) * part + ((u & 0x3FFF) * part >> 14) + BIAS
    part = int(ratio(d, total)) >> 10
    if part > 0x7FFF:
        part = 0x7FFF
    z = (q2 >> 14) * part + ((q2 & 0x3FFF) * part >> 14)
    # the slow error, the same; `u` is what it has of the gain
    u = u + 0x2000 >> 14
    u01 = x[U01] - BIAS
    d = x[D1] - BIAS
    half = (d >> 14) * a1 + ((d & 0x3FFF) * a1 >> 14) >> 1
    own = (half >> 14) * a1 + ((half & 0x3FFF) * a1 >> 14) >> 1
    zu = (z >> 10) * u + ((z & 1023) * u >> 10)
    with_gain = own + ((zu >> 10) * u + ((zu & 1023) * u >> 10)) + 1
    t = u01 + 0x2000 >> 14
    both = (half >> 10) * t + ((half & 1023) * t >> 10)
    t = u02 + 0x2000 >> 14
    both += (zu >> 10) * t + ((zu & 1023) * t >> 10)
    u01 = int(ratio(both, with_gain))
    total = with_gain + q1
    x[D1] = total + BIAS
    part = int(ratio(with_gain, total)) >> 9
    if part > 0x7FFF:
        part = 0x7FFF
    t = (u01 >> 14) * part + ((u01 & 0x3FFF) * part >> 14) >> 1
    # SoC takes what its correlation with the other two has lost
    d = x[D0] - BIAS + (span * _WALK_SOC + 2048 >> 12)
    lost = (q1 >> 14) * part + ((q1 & 0x3FFF) * part >> 14) >> 1
    u = u01 + 0x2000 >> 14
    lost = (lost >> 10) * u + ((lost & 1023) * u >> 10)
    d += (lost >> 10) * u + ((lost & 1023) * u >> 10)
    u = x[U01] - BIAS + 0x2000 >> 14
    x[U01] = t + BIAS
    u = (u12 >> 14) * u
    if u > 0x1FFFFFF:
        u = 0x1FFFFFF
    if u < -0x1FFFFFF:
        u = -0x1FFFFFF
    u = (u02 >> 4) - u >> 10
    if u > 0x7FFF:
        u = 0x7FFF
    if u < -0x7FFF:
        u = -0x7FFF
    part = int(ratio(own, with_gain)) >> 9
    if part > 0x7FFF:
        part = 0x7FFF
    lost = (z >> 14) * part + ((z & 0x3FFF) * part >> 14) >> 1
    lost = (lost >> 10) * u + ((lost & 1023) * u >> 10)
    d += (lost >> 10) * u + ((lost & 1023) * u >> 10)
    x[D0] = d + BIAS


@micropython.viper
def spread(x: ptr32):
    """SIGMA from the covariance; a SoC whose deviation passes 60 % counts as unknown and starts anew."""
    p = x[D0] - BIAS
    n = 0
    i = U01
    while n < 3:
        u = x[i] - BIAS + 0x2000 >> 14
        d = x[D1 + n] - BIAS
        v = (d >> 10) * u + ((d & 1023) * u >> 10)
        p += (v >> 10) * u + ((v & 1023) * u >> 10)
        if p > 0x5C28F5C:
            p = 0x5C28F5C
            x[U01] = BIAS
            x[U02] = BIAS
            x[U03] = BIAS
            x[D0] = p + BIAS
            n = 3
        n += 1
        i += n
    if p < _LEAST_SOC:
        # where the OCV is steep it would tell SoC better than SoC is defined, and drift from nothing
        x[D0] = x[D0] + _LEAST_SOC - p
        p = _LEAST_SOC
    root = 1
    n = p
    while n > 0:
        n >>= 2
        root <<= 1
    n = root + p // root >> 1
    while n < root:
        root = n
        n = root + p // root >> 1
    x[SIGMA] = root + BIAS


@micropython.viper
def linearise(x: ptr32, tab: ptr16):
    """Secant of the OCV over +-sqrt(3) sigma: its slope into H, its bend into the noise and the innovation.

    Statistical linearisation with the three points of Gauss and Hermite (Arasaratnam, Haykin, Elliott 2007).
    """
    row = x[ROW] - BIAS
    soc = x[SOC] - BIAS
    far = (x[SIGMA] - BIAS) * 7094
    high = soc + far
    if high > 70464307:
        high = 70464307
    low = soc - far
    if low < -3355443:
        low = -3355443
    if high - low < 671089:
        high = soc + 335544
        low = soc - 335544
    at_high = int(ocv(tab, row, high))
    at_low = int(ocv(tab, row, low))
    slope = int(ratio(at_high - at_low, high - low)) >> 5
    bend = at_high + at_low - 2 * int(ocv(tab, row, soc))
    y = x[MEAN] - BIAS
    if y > 0x3FFF:
        y = 0x3FFF
    if y < -0x3FFF:
        y = -0x3FFF
    if y * y >> 2 < x[D1] - BIAS + (x[PAST] - BIAS << 6) + _NO_SURPRISE:
        # no surprise: what the curve does far away tells nothing, its slope here may tell less
        y = int(ratio(int(ocv(tab, row, soc + _NEAR)) - int(ocv(tab, row, soc - _NEAR)), 2 * _NEAR)) >> 5
        if y < slope:
            slope = y
            bend = 0
    # too steep for its word: the whole equation is scaled down
    scale = 0
    while slope > 0x7FFF:
        slope >>= 1
        scale += 1
    x[H] = slope + BIAS
    x[H + 1] = (0x4000 >> scale) + BIAS
    drop = x[DROP] - BIAS
    gain = drop >> 1
    if gain > 0x7FFF:
        gain = 0x7FFF
    if gain < -0x7FFF:
        gain = -0x7FFF
    x[H + 2] = (gain >> scale) + BIAS
    gain = x[R0] - BIAS + ((x[R1] - BIAS + x[R2] - BIAS) * _OFFSET_DROP >> 8)
    x[H + 3] = BIAS - (gain >> 3 + scale)
    x[MEAN] = (x[MEAN] - BIAS - bend // 768 >> scale) + BIAS
    bend = bend >> 8
    if bend > 0x3FFF:
        bend = 0x3FFF
    if bend < -0x3FFF:
        bend = -0x3FFF
    noise = 0x10000000 // (x[WEIGHT] - BIAS)
    if noise < 64:
        noise = 64
    drop = drop * _WHITE_DROP >> 8
    noise += (drop * drop >> 6) + (x[PAST] - BIAS) * _PAST
    if noise > 0x2000000:
        noise = 0x2000000
    noise += (bend * bend >> 10) * _CURVED >> 2
    x[NOISE] = (noise >> 2 * scale) + 4 + BIAS


@micropython.viper
def surprise(x: ptr32) -> int:
    """Square of the block's innovation over its variance, 2^-8, at most 31; leaves F, K and ALPHA."""
    alpha = x[NOISE] - BIAS
    column = U01
    j = 0
    while j < 4:
        f = x[H + j] - BIAS
        i = 0
        while i < j:
            u = x[column + i] - BIAS
            h = x[H + i] - BIAS
            f += (u >> 14) * h + ((u & 0x3FFF) * h >> 14) + 512 >> 10
            i += 1
        if f > 0x7FFF:
            f = 0x7FFF
        if f < -0x7FFF:
            f = -0x7FFF
        d = x[D0 + j] - BIAS
        v = (d >> 15) * f + ((d & 0x7FFF) * f >> 15)
        gain = ((v >> 13) * f >> 6) + ((v & 0x1FFF) * f >> 19)
        if gain > 0x4000000:
            gain = 0x4000000
        if gain < 0:
            gain = 0
        alpha += gain
        x[F + j] = f + BIAS
        x[K + j] = v + BIAS
        x[ALPHA + j] = alpha + BIAS
        column += j
        j += 1
    y = x[MEAN] - BIAS
    if y > 0x7FFF:
        y = 0x7FFF
    if y < -0x7FFF:
        y = -0x7FFF
    return int(ratio(y * y >> 6, alpha)) >> 16


@micropython.viper
def correct(x: ptr32):
    """Bierman's update with the block's mean innovation, after `surprise`."""
    alpha = x[NOISE] - BIAS
    column = U01
    j = 0
    while j < 4:
        before = alpha
        alpha = x[ALPHA + j] - BIAS
        f = x[F + j] - BIAS
        v = x[K + j] - BIAS
        d = x[D0 + j] - BIAS
        part = int(ratio(alpha - before, alpha))
        high = part >> 12
        part = part & 4095
        d -= ((d >> 15) * high << 3) + ((d >> 15) * part >> 9) + ((d & 0x7FFF) * high >> 12)
        if d < 64:
            d = 64
        x[D0 + j] = d + BIAS
        i = 0
        while i < j:
            u = x[column + i] - BIAS
            k = x[K + i] - BIAS
            u -= int(product_over(k, f, before))
            if u > 0x1F000000:
                u = 0x1F000000
            if u < -0x1F000000:
                u = -0x1F000000
            t = x[column + i] - BIAS + 0x2000 >> 14
            x[column + i] = u + BIAS
            x[K + i] = k + (v >> 10) * t + ((v & 1023) * t >> 10) + BIAS
            i += 1
        column += j
        j += 1
    y = 2 * (x[MEAN] - BIAS)
    if y > 0x7FFF:
        y = 0x7FFF
    if y < -0x7FFF:
        y = -0x7FFF
    i = 0
    while i < 4:
        k = x[K + i] - BIAS
        k = int(product_over(k, y, alpha))
        if k > 0x2000000:
            k = 0x2000000
        if k < -0x2000000:
            k = -0x2000000
        if i == 0:
            k = k << 1
        else:
            k = k >> 4
        k += x[SOC + i] - BIAS
        u = 0x1000000
        if i == 0:
            u = 68451041
        if i == 2:
            u = 0x200000
        if i == 3:
            u = 0x400000
        if k > u:
            k = u
        if i == 0:
            u = 1342177
        if k < -u:
            k = -u
        x[SOC + i] = k + BIAS
        i += 1
