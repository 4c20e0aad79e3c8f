"""Features of many sequences at a time, the same integers as bms/estimate/lstm_features.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from bms.estimate import lstm_features as device
from bms.estimate import lstm_kernel
from numpy.typing import NDArray

from cloud.training.quantised import Int
from cloud.twin.table import Array

Words = list[int]
SHIFTS = (3, 6, 9)
"""Moving averages over about 8, 64 and 512 samples."""
_LIMIT = 0x1FFFF


@dataclass(frozen=True)
class Samples:
    """One sequence, a sample a second: current over capacity (1C = 2^12), voltage (1/16 mV, 0: none), 0.1
    degC, reference SoC (0..1). `rows` and `seconds`: which row of the log each measured second was."""

    rate: Int
    v: Int
    temp: Int
    soc: Array
    rows: NDArray[np.intp]
    seconds: Int

    def part(self, first: int, length: int) -> Samples:
        """`length` samples from `first` on."""
        s = slice(first, first + length)
        return replace(self, rate=self.rate[s], v=self.v[s], temp=self.temp[s], soc=self.soc[s])


@dataclass(frozen=True)
class Lanes:
    """Sequences side by side, shape (samples, lanes); `first` begins a sequence anew."""

    rate: Int
    v: Int
    temp: Int
    soc: Array
    first: NDArray[np.bool_]

    @property
    def measured(self) -> NDArray[np.bool_]:
        """Where the network steps."""
        return self.v > 0


def beside(sequences: Sequence[Samples]) -> Lanes:
    """One lane a sequence, all as long as the longest; what follows a sequence has no voltage."""
    length = max(len(s.v) for s in sequences)

    def stacked(name: str, fill: float) -> NDArray[np.float64]:
        out = np.full((length, len(sequences)), fill)
        for n, s in enumerate(sequences):
            values = getattr(s, name)
            out[: len(values), n] = values
        return out

    first = np.zeros((length, len(sequences)), dtype=bool)
    first[0] = True
    ints = [stacked(name, 0).astype(np.int64) for name in ("rate", "v", "temp")]
    return Lanes(*ints, soc=stacked("soc", np.nan), first=first)


def sources(lanes: Lanes, shifts: Sequence[int] = SHIFTS) -> Int:
    """What the features are taken from, shape (samples, lanes, SOURCES)."""
    n, width = lanes.v.shape
    out = np.zeros((n, width, device.SOURCES), dtype=np.int64)
    scale = np.array(shifts)
    v_sum = np.zeros((width, len(scale)), dtype=np.int64)
    rate_sum = np.zeros_like(v_sum)
    last = np.zeros(width, dtype=np.int64)
    known = np.zeros(width, dtype=bool)
    for t in range(n):
        rate, measured = lanes.rate[t], lanes.v[t] > 0
        known &= ~lanes.first[t]
        begins = measured & ~known
        if begins.any():
            last[begins] = lanes.v[t, begins]
            v_sum[begins] = lanes.v[t, begins, None] << scale
            rate_sum[begins] = rate[begins, None] << scale
            known |= begins
        v = np.where(measured, lanes.v[t], last)
        v_sum += v[:, None] - (v_sum >> scale)
        rate_sum += rate[:, None] - (rate_sum >> scale)
        row = out[t]
        row[:, device.V], row[:, device.DV] = v, v - last
        row[:, device.RATE], row[:, device.TEMP] = rate, lanes.temp[t]
        row[:, device.POWER] = (v >> 4) * rate >> 12
        row[:, device.V_MEAN : device.V_MEAN + 3] = v_sum >> scale
        row[:, device.RATE_MEAN : device.RATE_MEAN + 3] = rate_sum >> scale
        last = v
    return out


@dataclass(frozen=True)
class Window:
    """A feature: `source`, and what of it becomes -1 and 1; beyond them it is cut off."""

    source: int
    low: float
    high: float

    def words(self) -> Words:
        """(source, middle + BIAS, multiplier, right shift) as the device reads them."""
        factor = 256.0 / (self.high - self.low)
        shift = 0
        while factor * 2 ** (shift + 1) < 8192 and shift < 30:
            shift += 1
        multiplier = round(factor * 2**shift)
        if not 0 < multiplier < 8192:
            raise ValueError(f"feature from {self.low:g} to {self.high:g}: its scale does not fit")
        return [self.source, round((self.low + self.high) / 2) + lstm_kernel.BIAS, multiplier, shift]


def windows(found: Int) -> list[Window]:
    """Sixteen features that resolve what training logs hold; `found`: (n, SOURCES) of measured samples."""

    def at(source: int, *shares: float) -> list[float]:
        return [float(q) for q in np.quantile(found[:, source], shares)]

    def wide(source: int, share: float = 0.002) -> Window:
        low, high = at(source, share, 1 - share)
        return Window(source, low, high)

    def halves(source: int) -> list[Window]:
        low, middle, high = at(source, 0.001, 0.5, 0.999)
        overlap = 0.1 * (high - low)
        return [Window(source, low, middle + overlap), Window(source, middle - overlap, high)]

    v, mean, rate = device.V, device.V_MEAN, device.RATE_MEAN
    rates = [wide(rate), wide(rate + 1), wide(rate + 2)]
    others = [wide(device.RATE), wide(device.POWER), wide(device.DV)]
    low, high = at(device.TEMP, 0, 1)
    temperature = Window(device.TEMP, low - 50, high + 50)
    volts = [w for source in (v, mean, mean + 1, mean + 2) for w in halves(source)]
    return [*volts, *rates, *others, temperature, wide(v)]


def scaled(found: Int, rows: Sequence[Window]) -> Int:
    """int8 features, shape (..., features), as the device rounds them."""
    out = np.empty((*found.shape[:-1], len(rows)), dtype=np.int64)
    for n, window in enumerate(rows):
        source, middle, multiplier, shift = window.words()
        value = np.clip(found[..., source] - (middle - lstm_kernel.BIAS), -_LIMIT, _LIMIT)
        out[..., n] = np.clip(value * multiplier >> shift, -128, 127)
    return out


def unrounded(found: Int, rows: Sequence[Window]) -> NDArray[np.float32]:
    """The same features as floats, -1..1."""
    out = np.empty((*found.shape[:-1], len(rows)), dtype=np.float32)
    for n, window in enumerate(rows):
        _, middle, multiplier, shift = window.words()
        value = found[..., window.source] - (middle - lstm_kernel.BIAS)
        out[..., n] = np.clip(value * (multiplier / 2**shift / 128), -1, 127 / 128)
    return out
