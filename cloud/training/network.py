"""The network in floats, and the same with the device's rounding in the loop (quantisation-aware training).

The shipped networks are rounded after training, without it: on logs left out that stays closer to the floats.
The rounding is that of bms/estimate/lstm_kernel.py where it can be felt: weights, the cell state's steps, the
hidden state's steps. Gradients pass through it unchanged (straight-through estimator, Bengio 2013).
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud.training.blob import Output
from cloud.training.quantised import Layer, Matrix

# Loaded so that the type checker takes it as Any: torch is not always installed.
torch: Any = importlib.import_module("torch")

HIDDEN_SCALE = 1 / 128
INPUT_SCALE = 1 / 128
_GATE_MAX = 32767 / 4096
_SIGMOID_MAX = 32767 / 32768

States = list[tuple[Any, Any]]
"""Hidden and cell state of each layer, each of shape (lanes, units)."""


def network(features: int, units: list[int], seed: int) -> Any:
    """A new network: LSTM layers of `units` cells and one linear output."""
    torch.manual_seed(seed)
    sizes = [features, *units]
    layers = [torch.nn.LSTM(a, b) for a, b in zip(sizes, units, strict=False)]
    for layer, n in zip(layers, units, strict=True):
        # a forget gate that begins open (Jozefowicz 2015); torch's gates are input, forget, cell, output
        layer.bias_hh_l0.data.zero_()
        layer.bias_ih_l0.data[n : 2 * n] = 2.0
    head = torch.nn.Linear(units[-1], 1)
    head.bias.data.fill_(0.5)
    return torch.nn.ModuleDict({"layers": torch.nn.ModuleList(layers), "head": head})


def start(model: Any, lanes: int) -> States:
    """States of sequences of which nothing has been seen."""
    sizes = [layer.hidden_size for layer in model["layers"]]
    return [(torch.zeros(lanes, n), torch.zeros(lanes, n)) for n in sizes]


def run(model: Any, x: Any, states: States) -> tuple[Any, States]:
    """Outputs (samples, lanes) for features (samples, lanes, features), and the states after them."""
    after: States = []
    for layer, (h, c) in zip(model["layers"], states, strict=True):
        x, (h, c) = layer(x, (h[None], c[None]))
        after.append((h[0], c[0]))
    return model["head"](x)[..., 0], after


def _on_grid(w: Any, scale: Any) -> Any:
    return w + (torch.round(w / scale).clamp(-127, 127) * scale - w).detach()


def _scales(w: Any, parts: int) -> Any:
    """One scale for each gate's matrix, shape (rows of w, 1)."""
    split = w.detach().view(parts, -1).abs().amax(1).clamp_min(1e-6) / 127
    return split.repeat_interleave(w.shape[0] // parts)[:, None]


class _RoundedLayer(torch.autograd.Function):
    """One LSTM layer over a chunk with the device's rounding; backwards as if there were none.

    Written out because it is some thirty times faster than recording every operation.
    """

    @staticmethod
    def forward(ctx: Any, own: Any, r: Any, h: Any, c: Any, steps: float) -> Any:
        """`own` (samples, lanes, 4 units): what inputs and bias give; r (4 units, units)."""
        samples, lanes, wide = own.shape
        n = wide // 4
        gates = own.clamp(-8, _GATE_MAX)
        hidden, cell = own.new_empty(samples + 1, lanes, n), own.new_empty(samples + 1, lanes, n)
        bent = own.new_empty(samples, lanes, n)
        hidden[0], cell[0] = h, c
        most = 32767 / steps
        r_t = r.T.contiguous()
        for t in range(samples):
            gate = gates[t]
            gate += torch.mm(hidden[t], r_t).clamp_(-8, _GATE_MAX)
            new = torch.tanh(gate[:, 2 * n : 3 * n])
            gate.sigmoid_().clamp_(max=_SIGMOID_MAX)
            gate[:, 2 * n : 3 * n] = new
            kept = (gate[:, n : 2 * n] * cell[t]).mul_(steps).round_()
            new.mul_(gate[:, :n]).mul_(steps).round_().add_(kept).div_(steps).clamp_(-most, most)
            cell[t + 1] = new
            bent[t] = new.tanh_()
            hidden[t + 1] = new.mul_(gate[:, 3 * n :]).mul_(128).round_().div_(128).clamp_(max=127 / 128)
        ctx.save_for_backward(gates, hidden, cell, bent, r)
        return hidden[1:], cell[1:]

    @staticmethod
    def backward(ctx: Any, d_hidden: Any, _: Any) -> Any:
        """Back through time within the chunk."""
        gates, hidden, cell, bent, r = ctx.saved_tensors
        samples, lanes, wide = gates.shape
        n = wide // 4
        slope = gates * (1 - gates)
        slope[..., 2 * n : 3 * n] = 1 - gates[..., 2 * n : 3 * n] ** 2
        through = gates[..., 3 * n :] * (1 - bent * bent)
        out = torch.empty_like(gates)
        dh, dc = gates.new_zeros(lanes, n), gates.new_zeros(lanes, n)
        for t in range(samples - 1, -1, -1):
            dh = dh + d_hidden[t]
            dc = dc.addcmul(dh, through[t])
            d, gate = out[t], gates[t]
            torch.mul(dc, gate[:, 2 * n : 3 * n], out=d[:, :n])
            torch.mul(dc, cell[t], out=d[:, n : 2 * n])
            torch.mul(dc, gate[:, :n], out=d[:, 2 * n : 3 * n])
            torch.mul(dh, bent[t], out=d[:, 3 * n :])
            d *= slope[t]
            dc = dc * gate[:, n : 2 * n]
            dh = torch.mm(d, r)
        flat = out.reshape(-1, wide)
        return out, flat.T @ hidden[:-1].reshape(-1, n), None, None, None


def run_rounded(model: Any, x: Any, states: States, cell_bits: list[int]) -> tuple[Any, States]:
    """As `run`, with the device's rounding; x must be multiples of 1/128."""
    after: States = []
    for layer, (h, c), bits in zip(model["layers"], states, cell_bits, strict=True):
        w, r = layer.weight_ih_l0, layer.weight_hh_l0
        w, r = _on_grid(w, _scales(w, 4)), _on_grid(r, _scales(r, 4))
        own = x @ w.T + (layer.bias_ih_l0 + layer.bias_hh_l0)
        x, cells = _RoundedLayer.apply(own, r, h, c, 2.0**bits)
        after.append((x[-1], cells[-1]))
    head = model["head"]
    weight = _on_grid(head.weight, _scales(head.weight, 1))
    return (x @ weight.T + head.bias)[..., 0], after


def largest_cells(model: Any, x: Any) -> list[float]:
    """Largest cell state of each layer over features (samples, lanes, features)."""
    found: list[float] = []
    with torch.no_grad():
        for layer, (h, c) in zip(model["layers"], start(model, x.shape[1]), strict=True):
            outputs: list[Any] = []
            most = 0.0
            for part in x.split(64):
                y, (h1, c1) = layer(part, (h[None], c[None]))
                h, c = h1[0], c1[0]
                outputs.append(y)
                most = max(most, float(c.abs().max()))
            x = torch.cat(outputs)
            found.append(most)
    return found


def cell_bits(largest: list[float]) -> list[int]:
    """Scale of each layer's cell state: it holds 4 where that is enough, else 8, where tanh is 1 anyway."""
    return [13 if most < 3 else 12 for most in largest]


def _int8(w: NDArray[np.float32], scale: NDArray[np.float32]) -> NDArray[np.int8]:
    return np.clip(np.round(w / scale.reshape(-1, *[1] * (w.ndim - 1))), -127, 127).astype(np.int8)


def quantise(model: Any, bits: list[int]) -> tuple[list[Layer], Output]:
    """The network as the device computes it."""
    layers: list[Layer] = []
    scale_in = INPUT_SCALE
    for layer, cell in zip(model["layers"], bits, strict=True):
        n = layer.hidden_size
        matrices: list[Matrix] = []
        for weight in (layer.weight_ih_l0, layer.weight_hh_l0):
            w = weight.detach().numpy().reshape(4, n, -1)
            scale = (np.maximum(np.abs(w).reshape(4, -1).max(1), 1e-6) / 127).astype(np.float32)
            matrices.append(Matrix(_int8(w, scale), scale))
        summed: Any = (layer.bias_ih_l0 + layer.bias_hh_l0).detach().numpy()
        bias: NDArray[np.float64] = np.asarray(summed, dtype=np.float64).reshape(4, n)
        steps = np.float32(scale_in) * matrices[0].scale
        whole: NDArray[np.int32] = np.rint(bias / steps[:, None].astype(np.float64)).astype(np.int32)
        layers.append(Layer(scale_in, 0, HIDDEN_SCALE, 0, cell, matrices[0], matrices[1], whole))
        scale_in = HIDDEN_SCALE
    w = model["head"].weight.detach().numpy()[0]
    scale = np.float32(max(float(np.abs(w).max()), 1e-6) / 127)
    offset = float(model["head"].bias.detach()[0]) / (HIDDEN_SCALE * float(scale))
    return layers, Output(_int8(w, np.array([scale])), float(scale), round(offset))
