"""Networks of random weights and what TensorFlow Lite Micro's interpreter gives for them.

`python tests/cloud/training/golden.py` writes tests/firmware/lstm_golden.py; it needs the package
`tflite-micro` (extra `train`). Hidden states come from its interpreter; the output layer, which a .tflite
file has in floats, from cloud/training/blob.py.
"""

from __future__ import annotations

import base64
import importlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from bms.estimate import lstm
from numpy.typing import NDArray

from cloud.training.blob import Output, output_value, pack, rest_words
from cloud.training.features import SHIFTS, Window
from cloud.training.quantised import Int, Layer, Matrix, State, step

TARGET = Path(__file__).resolve().parents[2] / "firmware" / "lstm_golden.py"
BITS = 0x7FFFFFFF
SEED = 11
MARKS = (100, 2_000, 100_000)
"""After how many steps the digest is noted."""


@dataclass(frozen=True)
class Case:
    """Sizes and scales of a network of random weights."""

    name: str
    inputs: int
    units: tuple[int, ...]
    input_scale: float = 1 / 128
    input_zero: int = 0
    hidden_scale: float = 1 / 128
    hidden_zero: int = 0
    cell_bits: int = 12
    loud: float = 1.0


CASES = (
    Case("one", 5, (8,)),
    Case("asymmetric", 9, (12,), 0.031, -7, 0.0071, 5, 11),
    Case("stacked", 6, (8, 6), cell_bits=13, hidden_zero=-3, loud=0.3),
    Case("saturated", 7, (6,), 0.5, 19, 0.0078, -3, 10, 4.0),
)
LARGE = Case("large", 11, (128, 64), hidden_scale=0.0077, hidden_zero=2)


def network(case: Case) -> tuple[list[Layer], Output]:
    """The case's network."""
    rng = np.random.default_rng(7)
    layers: list[Layer] = []
    n_in, scale, zero = case.inputs, case.input_scale, case.input_zero
    for units in case.units:
        matrices: list[Matrix] = []
        for n in (n_in, units):
            spread = rng.uniform(0.3, 2.0, 4) * case.loud * 3 / 127 / np.sqrt(n)
            values = rng.integers(-127, 128, (4, units, n)).astype(np.int8)
            matrices.append(Matrix(values, spread.astype(np.float32)))
        steps = np.float64(np.float32(scale)) * matrices[0].scale
        bias = np.round(rng.normal(0, 1, (4, units)) / steps[:, None]).astype(np.int32)
        kernel, recurrent = matrices
        hidden = (case.hidden_scale, case.hidden_zero, case.cell_bits)
        layers.append(Layer(scale, zero, *hidden, kernel, recurrent, bias))
        n_in, scale, zero = units, case.hidden_scale, case.hidden_zero
    return layers, Output(rng.integers(-127, 128, n_in).astype(np.int8), 0.4 / 127, 300)


def inputs(features: int, steps: int) -> NDArray[np.int8]:
    """Random samples (steps, features): the generator of tests/firmware/ekf_vectors.py."""
    state, out = SEED, np.empty(steps * features, dtype=np.int64)
    for n in range(len(out)):
        state = state * 1103515245 + 12345 & BITS
        out[n] = (state >> 15) % 256
    return (out.reshape(steps, features) - 128).astype(np.int8)


def by_interpreter(case: Case, steps: int) -> NDArray[np.int64]:
    """Hidden states (steps, units) from TensorFlow Lite Micro."""
    tflite: Any = importlib.import_module("cloud.training.tflite")
    runtime: Any = importlib.import_module("tflite_micro").runtime
    model = tflite.write(network(case)[0])
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=400_000)
    out = np.empty((steps, case.units[-1]), dtype=np.int64)
    for n, sample in enumerate(inputs(case.inputs, steps)):
        interpreter.set_input(sample.reshape(1, 1, -1), 0)
        interpreter.invoke()
        out[n] = interpreter.get_output(0).reshape(-1)
    return out


def by_desk(case: Case, steps: int) -> Int:
    """Hidden states (steps, units) from cloud/training/quantised.py."""
    layers, _ = network(case)
    states = [State(layer, 1) for layer in layers]
    out = np.empty((steps, case.units[-1]), dtype=np.int64)
    for n, sample in enumerate(inputs(case.inputs, steps).astype(np.int64)):
        x: Int = sample[None]
        for layer, state in zip(layers, states, strict=True):
            x = step(layer, state, x)
        out[n] = x[0]
    return out


def digests(case: Case, hidden: Int) -> tuple[int, int]:
    """As tests/firmware/lstm_vectors.py."""
    layers, output = network(case)
    first = second = 1
    for row, y in zip(
        (hidden + 128).tolist(), output_value(output, layers[-1], hidden).tolist(), strict=True
    ):
        for value in row:
            first = (first * 31 ^ value) & BITS
        second = (second * 31 ^ (y & 0xFFFF)) & BITS
    return first, second


SOC_ROWS = (
    [Window(source, 40_000 + 3000 * n, 70_000 - 2000 * n) for n, source in enumerate((0, 0, 5, 5, 6, 7))]
    + [Window(source, -9000, 5000) for source in (1, 8, 9, 10)]
    + [Window(2, -300, 500), Window(3, -14_000, 8000), Window(4, -4000, 4000)]
)
SOC_SIGMA = {-20.0: [0.5 / (n + 1) for n in range(12)], 25.0: [0.3 / (n + 1) for n in range(12)]}


def soc_blob() -> bytes:
    """A network of random weights over samples of a cell: its SoC means nothing."""
    layers, output = network(Case("soc", len(SOC_ROWS), (6,)))
    output = replace(output, values=np.abs(output.values), scale=1 / 127, bias=6000)
    return pack(layers, output, rest_words(SHIFTS, SOC_ROWS, SOC_SIGMA))


def _lines(data: bytes) -> str:
    text = base64.b64encode(data).decode()
    return "\n".join(f'            b"{text[n : n + 88]}"' for n in range(0, len(text), 88))


def main() -> None:
    """Write the golden file."""
    head = lstm.__name__  # the blob's layout
    parts = [
        '"""Networks and what TensorFlow Lite Micro gives; made by tests/cloud/training/golden.py.\n\n'
        f"(name, units of the last layer, blob for {head} in base64, {{steps: (hidden states, outputs)}})\n"
        '"""\n\n# fmt: off\nSEED = ' + str(SEED) + "\nCASES = (\n"
    ]
    for case in CASES:
        hidden = by_interpreter(case, MARKS[-1])
        layers, output = network(case)
        marks = {n: digests(case, hidden[:n]) for n in MARKS}
        text = _lines(pack(layers, output))
        parts.append(f'    (\n        "{case.name}", {case.units[-1]},\n        (\n{text}\n        ),\n')
        parts.append(f"        {marks},\n    ),\n")
    large = digests(LARGE, by_interpreter(LARGE, MARKS[0]))
    parts.append(f")\nSOC = (\n{_lines(soc_blob())}\n)\n")
    parts.append(f"LARGE = {large}\n# fmt: on\n")
    TARGET.write_text("".join(parts), "utf-8")


if __name__ == "__main__":
    main()
