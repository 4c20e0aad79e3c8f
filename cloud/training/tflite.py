"""Writes a quantised network as a `.tflite` file, without TensorFlow.

Input int8 (1, 1, features), one sample an invocation: the interpreter keeps the state. Each layer is a fused
UNIDIRECTIONAL_SEQUENCE_LSTM; the output layer follows in floats after DEQUANTIZE, so that the state of charge
is not rounded to 1/256. Needs the package `tflite-micro` (extra `train`).
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud.training.quantised import GATES, Layer

# Generated code without types.
schema: Any = importlib.import_module("tflite_micro.tensorflow.lite.micro.python.schema_py_generated")
flatbuffers: Any = importlib.import_module("flatbuffers")

_VERSION = 3
_STATES = 18
"""Input of the operator that holds the hidden state; the next one holds the cell state."""


class _Graph:
    """One subgraph in the making."""

    def __init__(self) -> None:
        self.model = schema.ModelT()
        self.model.version = _VERSION
        self.model.description = "Cellkeeper"
        self.model.operatorCodes = []
        self.model.buffers = [schema.BufferT()]
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model.subgraphs = [self.graph]
        self._codes: dict[int, int] = {}

    def tensor(
        self, name: str, kind: str, shape: Sequence[int], data: NDArray[Any] | None = None,
        scale: float | None = None, zero: int = 0, variable: bool = False,
    ) -> int:  # fmt: skip
        """Index of a new tensor; without data an activation."""
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name, list(shape), getattr(schema.TensorType, kind)
        tensor.isVariable = variable
        tensor.buffer = 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), dtype=np.uint8)
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        if scale is not None:
            quantisation = schema.QuantizationParametersT()
            quantisation.scale, quantisation.zeroPoint = [float(scale)], [zero]
            tensor.quantization = quantisation
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(
        self, name: str, inputs: list[int], outputs: list[int], options: tuple[str, Any] | None = None
    ) -> Any:
        """Append an operator of the built-in `name`."""
        code = getattr(schema.BuiltinOperator, name)
        if code not in self._codes:
            entry = schema.OperatorCodeT()
            entry.builtinCode = entry.deprecatedBuiltinCode = code
            entry.version = 1
            self._codes[code] = len(self.model.operatorCodes)
            self.model.operatorCodes.append(entry)
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = self._codes[code], inputs, outputs
        if options is not None:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options[0])
            operator.builtinOptions = options[1]
        self.graph.operators.append(operator)
        return operator

    def packed(self) -> bytes:
        """The file."""
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def _lstm(graph: _Graph, layer: Layer, source: int, name: str) -> int:
    """Append a layer that reads tensor `source`; returns its output tensor."""
    units = layer.units
    weights = [
        graph.tensor(
            f"{name}/{kind}_{gate}", "INT8", matrix.values[n].shape, matrix.values[n], matrix.scale[n]
        )
        for kind, matrix in (("kernel", layer.kernel), ("recurrent", layer.recurrent))
        for n, gate in enumerate(GATES)
    ]
    biases = [
        graph.tensor(
            f"{name}/bias_{gate}", "INT32", (units,), layer.bias[n].astype("<i4"),
            float(np.float32(layer.input_scale) * layer.kernel.scale[n]),
        )
        for n, gate in enumerate(GATES)
    ]  # fmt: skip
    hidden = (layer.hidden_scale, layer.hidden_zero)
    states = [
        graph.tensor(f"{name}/hidden", "INT8", (1, units), None, *hidden, variable=True),
        graph.tensor(f"{name}/cell", "INT16", (1, units), None, 2.0**-layer.cell_bits, variable=True),
    ]
    output = graph.tensor(f"{name}/output", "INT8", (1, 1, units), None, *hidden)
    options = schema.UnidirectionalSequenceLSTMOptionsT()
    options.fusedActivationFunction = schema.ActivationFunctionType.TANH
    options.cellClip = options.projClip = 0.0
    options.timeMajor = False
    none = [-1] * 3
    inputs = [source, *weights, *none, *biases, -1, -1, *states, -1, -1, -1, -1]
    operator = graph.operator(
        "UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, [output], ("UnidirectionalSequenceLSTMOptions", options)
    )
    scales = [(2.0**-12, 0)] * 4 + [hidden]
    operator.intermediates = [
        graph.tensor(f"{name}/intermediate_{n}", "INT16" if n < 4 else "INT8", (0,), None, *scale)
        for n, scale in enumerate(scales)
    ]
    return output


def write(layers: Sequence[Layer], weights: NDArray[np.float32] | None = None, bias: float = 0.0) -> bytes:
    """The file's bytes; `weights` (units,) and `bias` of the output layer, without which the last hidden
    state is the output."""
    graph = _Graph()
    first, last = layers[0], layers[-1]
    source = graph.tensor("features", "INT8", (1, 1, first.inputs), None, first.input_scale, first.input_zero)
    graph.graph.inputs = [source]
    for n, layer in enumerate(layers):
        source = _lstm(graph, layer, source, f"lstm_{n}")
    if weights is not None:
        dense = graph.tensor("hidden", "FLOAT32", (1, 1, last.units))
        graph.operator("DEQUANTIZE", [source], [dense], ("DequantizeOptions", schema.DequantizeOptionsT()))
        source = graph.tensor("soc", "FLOAT32", (1, 1))
        matrix = graph.tensor("output/kernel", "FLOAT32", (1, last.units), weights.astype("<f4"))
        offset = graph.tensor("output/bias", "FLOAT32", (1,), np.array([bias], dtype="<f4"))
        options = schema.FullyConnectedOptionsT()
        graph.operator(
            "FULLY_CONNECTED", [dense, matrix, offset], [source], ("FullyConnectedOptions", options)
        )
    graph.graph.outputs = [source]
    return graph.packed()
