"""Quantised network -> the blob that the device reads (layout: bms/estimate/lstm.py)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from bms.estimate import lstm, lstm_kernel, lstm_soc
from numpy.typing import NDArray

from cloud.training.features import Window
from cloud.training.quantised import (
    GATE_BITS,
    GATES,
    Int,
    Int8,
    Layer,
    multiplier,
    product_scale,
    requantise,
)

OUTPUT_BITS = 16
_LARGEST = 1 << 28


@dataclass(frozen=True)
class Output:
    """The output layer: int8 weights (units,), their scale, the bias in hidden times weight scales."""

    values: Int8
    scale: float
    bias: int


def _scale_words(name: str, scale: float, largest: float) -> list[int]:
    """Multiplier (high, low), left shift, half, right shift; `largest` is what may come in."""
    m, shift = multiplier(scale)
    left, right = max(shift, 0), max(-shift, 0)
    if largest * 2**left >= _LARGEST * 4:
        raise ValueError(
            f"{name}: sums up to {largest:.3g} times 2^{left} leave 30 bits; the scale is too large"
        )
    return [m >> 16, m & 0xFFFF, left, 1 << right >> 1, right]


def _row_bias(row: Int8, bias: int, zero: int, length: int) -> int:
    """What makes sums of biased bytes right (see lstm_kernel.py); `length` counts the padding."""
    total = int(row.astype(np.int64).sum()) + 128 * length
    value = bias - (128 + zero) * total + length * 128 * (128 + zero)
    if abs(value) >= _LARGEST:
        raise ValueError(f"bias of {value} does not fit; it must lie within 2^28")
    return value + lstm_kernel.BIAS


def _layer_words(layer: Layer) -> list[int]:
    bits = layer.cell_bits
    if not 1 <= bits <= 15:
        raise ValueError(f"cell state of scale 2^-{bits}; the device does 2^-1 to 2^-15")
    words = [layer.units, 128 + layer.hidden_zero]
    words += [3 << max(12 - bits, 0), 1 << max(bits - 12, 0) >> 1, max(bits - 12, 0)]
    words += [1 << (28 - bits), 29 - bits]
    hidden = _scale_words("hidden state", 2.0**-30 / float(np.float32(layer.hidden_scale)), 1 << 29)
    if hidden[2]:
        raise ValueError(f"hidden scale is {layer.hidden_scale:g}; it must be above 2^-30")
    words += [hidden[0], hidden[1], hidden[3], hidden[4]]
    step = 2.0**-GATE_BITS
    for n, gate in enumerate(GATES):
        own = np.abs(layer.kernel.values[n].astype(np.int64)).sum(1).max() * 255 + np.abs(layer.bias[n]).max()
        back = np.abs(layer.recurrent.values[n].astype(np.int64)).sum(1).max() * 255
        scale = product_scale(layer.input_scale, layer.kernel.scale[n], step)
        words += _scale_words(f"{gate} gate, inputs", scale, float(own))
        scale = product_scale(layer.hidden_scale, layer.recurrent.scale[n], step)
        words += _scale_words(f"{gate} gate, hidden state", scale, float(back))
    inputs, units = lstm.padded(layer.inputs), lstm.padded(layer.units)
    for n in range(len(GATES)):
        for unit in range(layer.units):
            own, bias = layer.kernel.values[n, unit], int(layer.bias[n, unit])
            words.append(_row_bias(own, bias, layer.input_zero, inputs))
            words.append(_row_bias(layer.recurrent.values[n, unit], 0, layer.hidden_zero, units))
    return words


def _layer_weights(layer: Layer) -> bytes:
    rows = np.zeros((4, layer.units, lstm.padded(layer.inputs) + lstm.padded(layer.units)), dtype=np.int64)
    rows[:, :, : layer.inputs] = layer.kernel.values
    first = lstm.padded(layer.inputs)
    rows[:, :, first : first + layer.units] = layer.recurrent.values
    return (rows + 128).astype(np.uint8).tobytes()


def output_value(output: Output, last: Layer, hidden: Int) -> Int:
    """Output of the network, 2^-16, for hidden states of shape (..., units)."""
    total = (hidden - last.hidden_zero) @ output.values.astype(np.int64) + output.bias
    scale = product_scale(last.hidden_scale, np.float32(output.scale), 2.0**-OUTPUT_BITS)
    return requantise(total, *multiplier(scale))


def rest_words(
    shifts: Sequence[int], rows: Sequence[Window], sigma: Mapping[float, Sequence[float]]
) -> list[int]:
    """Words of bms/estimate/lstm_soc.py. `sigma`: temperature in degC -> sigma of SoC (0..1) after 1, 2, 4,
    ... 2048 samples."""
    words = list(shifts)
    for row in rows:
        words += row.words()
    words.append(len(sigma))
    for temperature_c in sorted(sigma):
        if len(sigma[temperature_c]) != lstm_soc.SIGMAS:
            raise ValueError(
                f"{len(sigma[temperature_c])} sigmas at {temperature_c:g} degC; must be {lstm_soc.SIGMAS}"
            )
        words.append(round(temperature_c * 10) + 1000)
        words += [min(10_000, max(1, round(s * 10_000))) for s in sigma[temperature_c]]
    return words


def pack(layers: Sequence[Layer], output: Output, rest: Sequence[int] = (), period_ms: int = 1000) -> bytes:
    """The blob; `rest`: words of bms/estimate/lstm_soc.py. ValueError for what the device cannot do."""
    last = layers[-1]
    words = [layer.units for layer in layers]
    for layer in layers:
        words += _layer_words(layer)
    scale = product_scale(last.hidden_scale, np.float32(output.scale), 2.0**-OUTPUT_BITS)
    largest = float(np.abs(output.values.astype(np.int64)).sum() * 255 + abs(output.bias))
    words += _scale_words("output", scale, largest)
    words.append(_row_bias(output.values, output.bias, last.hidden_zero, lstm.padded(last.units)))
    words += rest
    row: NDArray[np.int64] = np.zeros(lstm.padded(last.units), dtype=np.int64)
    row[: last.units] = output.values
    weights = b"".join(_layer_weights(layer) for layer in layers) + (row + 128).astype(np.uint8).tobytes()
    body = struct.pack(f"<I{len(words)}i", len(words), *words) + weights
    size = lstm.HEAD - 4 + len(body)
    head = struct.pack(
        "<4sHHHHII",
        lstm.MAGIC,
        lstm.VERSION,
        period_ms,
        layers[0].inputs,
        len(layers),
        size,
        zlib.crc32(body),
    )
    return head + body
