"""An int8 LSTM with the arithmetic of TensorFlow Lite Micro, on a desk: many sequences at a time.

Gates are ordered as in TensorFlow Lite: input, forget, cell, output. Activations are int8 with a scale and a
zero point, weights int8 with one scale a matrix, the cell state int16 with a scale of a power of two, what
goes into a gate's activation Q3.12. The device computes the same bits (bms/estimate/lstm_kernel.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from bms.estimate.lstm_table import SIGMOID
from numpy.typing import NDArray

Int = NDArray[np.int64]
Int8 = NDArray[np.int8]
Int32 = NDArray[np.int32]

GATES = ("input", "forget", "cell", "output")
GATE_BITS = 12
"""What goes into a gate's activation has a scale of 2^-12."""
_TABLE: Int = np.array(SIGMOID, dtype=np.int64)


@dataclass(frozen=True)
class Matrix:
    """int8 weights of shape (rows, columns), or (4, rows, columns) for the gates, and their scales."""

    values: Int8
    scale: NDArray[np.float32]


@dataclass(frozen=True)
class Layer:
    """One LSTM layer. `bias` is int32 of shape (4, units) in units of input scale times weight scale."""

    input_scale: float
    input_zero: int
    hidden_scale: float
    hidden_zero: int
    cell_bits: int
    """The cell state's scale is 2^-cell_bits."""
    kernel: Matrix
    recurrent: Matrix
    bias: Int32

    @property
    def units(self) -> int:
        """Cells of the layer."""
        return self.kernel.values.shape[1]

    @property
    def inputs(self) -> int:
        """Length of its input."""
        return self.kernel.values.shape[2]


def multiplier(scale: float) -> tuple[int, int]:
    """(m, s) with scale = m 2^(s-31), m in 2^30..2^31-1. Raises ValueError for what the device cannot do."""
    mantissa, exponent = math.frexp(scale)
    m = math.floor(mantissa * (1 << 31) + 0.5)
    if m == 1 << 31:
        m, exponent = m // 2, exponent + 1
    if not (scale > 0 and -30 <= exponent <= 8):
        raise ValueError(f"scale {scale:g} lies outside what the device multiplies by, 2^-30 to 2^8")
    return m, exponent


def product_scale(a: float | np.float32, b: float | np.float32, to: float) -> float:
    """a b / to: the product of two tensors' scales is a float there, the quotient a double."""
    return float(np.float32(a) * np.float32(b)) / to


def requantise(x: Int, m: int, shift: int) -> Int:
    """x m 2^(shift-31), rounded twice: to the nearest, then half away from zero."""
    high = ((x << max(shift, 0)) * m + (1 << 30)) >> 31
    right = max(-shift, 0)
    if right == 0:
        return high
    return (high + (1 << (right - 1)) + (high >> 63)) >> right


def sigmoid(x: Int) -> Int:
    """Q3.12 -> Q0.15 by the table and linear interpolation."""
    x = x * 3
    size = np.abs(x)
    place = np.minimum(size >> 9, 254)
    low, high = _TABLE[place], _TABLE[place + 1]
    y = np.where(size >> 9 >= 255, 0x7FFF << 10, (low << 9) + (size & 511) * (high - low))
    return np.where(x >= 0, y + 512, (1 << 25) - y + 511) >> 10


def tanh(x: Int, bits: int = GATE_BITS) -> Int:
    """Scale 2^-bits -> Q0.15."""
    right = max(bits - 12, 0)
    x = (x * (3 << max(12 - bits, 0)) + (1 << right >> 1)) >> right
    size = np.abs(x)
    place = np.minimum(size >> 8, 254)
    low, high = _TABLE[place], _TABLE[place + 1]
    y = np.where(size >> 8 >= 255, 0xFFFF << 8, (low << 8) + (size & 255) * (high - low))
    return np.where(x >= 0, y - (1 << 23) + 128, -y + (1 << 23) + 127) >> 8


def _int16(x: Int) -> Int:
    return np.clip(x, -32768, 32767)


class State:
    """Hidden and cell state of one layer, shape (lanes, units); at first zero."""

    def __init__(self, layer: Layer, lanes: int) -> None:
        self.hidden: Int = np.full((lanes, layer.units), layer.hidden_zero, dtype=np.int64)
        self.cell: Int = np.zeros((lanes, layer.units), dtype=np.int64)


def step(layer: Layer, state: State, inputs: Int) -> Int:
    """One sample of each lane, int8 values of shape (lanes, inputs); returns the new hidden state."""
    x, h = inputs - layer.input_zero, state.hidden - layer.hidden_zero
    gates: list[Int] = []
    for n, name in enumerate(GATES):
        own = x @ layer.kernel.values[n].T.astype(np.int64) + layer.bias[n]
        back = h @ layer.recurrent.values[n].T.astype(np.int64)
        scales = (
            product_scale(layer.input_scale, layer.kernel.scale[n], 2.0**-GATE_BITS),
            product_scale(layer.hidden_scale, layer.recurrent.scale[n], 2.0**-GATE_BITS),
        )
        total = _int16(requantise(own, *multiplier(scales[0])))
        total = _int16(total + _int16(requantise(back, *multiplier(scales[1]))))
        gates.append(tanh(total) if name == "cell" else sigmoid(total))
    to_input, forget, new, output = gates
    kept = _int16(requantise(forget * state.cell, 1 << 30, -14))
    added = _int16(requantise(to_input * new, 1 << 30, layer.cell_bits - 29))
    state.cell = _int16(kept + added)
    scale = multiplier(2.0**-30 / float(np.float32(layer.hidden_scale)))
    raw = requantise(tanh(state.cell, layer.cell_bits) * output, *scale)
    state.hidden = np.clip(raw + layer.hidden_zero, -128, 127)
    return state.hidden
