"""One sample of the state-of-charge filter: what of ekf_kernel.py a sample needs, in order.

`observe` is what a board's native module (firmware/native/ekf.c) does in C, to the bit.
"""

from bms.estimate import ekf_kernel as k
from bms.estimate.inputs import LEAST_MV, MOST_MV

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array

_BIAS = k.BIAS
_BLOCK_MS = 4000

FLOOR_CPCT = 30
"""The smallest sigma ever told: the charge that it counts by is known no better."""
LOADED = 56
"""Deviation of v1, v2 after a load that nobody saw over R times 1C, 2^-8."""
RESTED = 6
"""The same after a rest."""
_BEFORE = 79
"""v2 at a start under load over what it would be had the load been constant, 2^-8."""
_UNSEEN = 5
"""Variance of SoC after one second without current, 2^-26 (1/2)^2: half of 1C either way."""
_UNSEEN_MAX_MS = 3_600_000
_GATE = 20 << 8
"""Squared innovation over its variance above which it corrects nothing, but widens."""
_RESTART_BLOCKS = 3
"""After so many such blocks on end the state is taken for wrong."""
_RESTART_VARIANCE = 42_949_673
"""SoC is then known to 40 %."""
_D_MAX = 0x8000000


def observe(
    x: "array[int]",
    tab: "array[int]",
    dt_ms: int,
    current_ma: int,
    cell_16mv: int,
    temp_dc: int,
    lost_ms: int,
) -> None:
    """Ekf.observe on the filter's words `x` and the cell's tables `tab`."""
    if not LEAST_MV << 4 <= cell_16mv <= MOST_MV << 4:
        cell_16mv = 0
    capacity = x[k.CAPACITY]
    scaled = current_ma >> x[k.SHIFT]
    whole = min(16, max(-17, scaled // capacity))
    part = scaled % capacity
    rate = (whole << 16) + ((part << 16) + (capacity >> 1)) // capacity
    x[k.DT] = dt_ms + _BIAS
    x[k.RATE] = rate + _BIAS
    x[k.VOLT] = cell_16mv * 262 + cell_16mv * 144 // 1000 + _BIAS
    x[k.TEMP] = min(1500, max(-600, temp_dc)) + _BIAS
    k.look_up(x, tab)
    first = x[k.HISTORY]
    if first:
        _widen(x, first)
        if first == LOADED:
            x[k.V2] = ((rate >> 8) * (x[k.R2] - _BIAS) >> 9) * _BEFORE + _BIAS
        deviation = k.slow_error(x, tab)
        x[k.D1] = deviation * deviation + _BIAS
        x[k.HISTORY] = 0
    if lost_ms:
        _lose(x, lost_ms)
    elif cell_16mv:
        x[k.UNSEEN] = 0
    k.advance(x, tab)
    if first or x[k.SPAN] - _BIAS >= _BLOCK_MS:
        _close_block(x, tab)
    x[k.SOC_CPCT] = min(10_000, max(0, (x[k.SOC] - _BIAS >> 12) * 10_000 >> 14))


def _close_block(x: "array[int]", tab: "array[int]") -> None:
    """Correct the state with the samples since the last correction."""
    k.predict(x, tab)
    k.spread(x)
    if x[k.WEIGHT] > _BIAS:
        k.linearise(x, tab)
        if k.surprise(x) > _GATE:
            # a wrong sample or a wrong state: another such block will find the filter less sure
            x[k.D0] = min(_D_MAX, 4 * (x[k.D0] - _BIAS)) + _BIAS
            x[k.ODD] += 1
            if x[k.ODD] >= _RESTART_BLOCKS:
                x[k.D0] = max(x[k.D0], _RESTART_VARIANCE + _BIAS)
                x[k.ODD] = 0
        else:
            x[k.ODD] = 0
            k.correct(x)
        k.spread(x)
    x[k.SPAN] = x[k.WEIGHT] = x[k.MEAN] = x[k.DROP] = _BIAS
    x[k.SIGMA_CPCT] = max(FLOOR_CPCT, (x[k.SIGMA] - _BIAS) * 10_000 >> 14)


def _widen(x: "array[int]", history: int) -> None:
    """v2 may be what a load that nobody saw has left; `history` over 256 times 1C."""
    deviation = min(0x3FFF, ((x[k.R1] - _BIAS + x[k.R2] - _BIAS) * history >> 8) + 100)
    x[k.PAST] = max(x[k.PAST], (deviation * deviation >> 6) + _BIAS)


def _lose(x: "array[int]", lost_ms: int) -> None:
    """The current was not measured: what has flowed is unknown, and grows with time."""
    before = x[k.UNSEEN] // 100
    x[k.UNSEEN] = min(_UNSEEN_MAX_MS, x[k.UNSEEN] + lost_ms)
    after = before + (lost_ms + 99) // 100
    x[k.D0] = min(_D_MAX + _BIAS, x[k.D0] + (after - before) * (after + before) * _UNSEEN // 100 + 1)
    _widen(x, min(LOADED, after))
