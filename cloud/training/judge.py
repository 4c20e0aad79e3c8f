"""How good a network is on logs that it was not trained on: as floats, and as the device computes it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from bms.estimate.lstm_soc import SIGMAS
from numpy.typing import NDArray

from cloud.training.blob import Output, output_value
from cloud.training.features import Lanes, Samples, Window, beside, scaled, sources, unrounded
from cloud.training.quantised import Layer, State, step
from cloud.training.split import Named, samples
from cloud.twin.logs import Log
from cloud.twin.table import Array
from cloud.twin.trials import SETTLED_S, Score, errors, late, mean_mae, wrong_current, wrong_voltage

SIGMA_MARGIN = 1.5
"""Watched logs are of the training logs' kind; one of another kind errs more."""

Weights = Mapping[str, NDArray[np.float32]]
"""A float network: `layers.N.weight_ih_l0` and so on as torch names them, `head.weight`, `head.bias`."""


def cases(log: Log, capacity_ah: float) -> Iterator[tuple[str, float, Log]]:
    """(case, weight, log). A network is told no state of charge, so a wrong one changes nothing for it."""
    yield "nominal, or told 30 low", 2.0, log
    yield "current", 1.0, wrong_current(log, capacity_ah)
    yield "voltage", 1.0, wrong_voltage(log)
    yield "started under load at 60 %", 1.0, late(log)


@dataclass(frozen=True)
class Trial:
    """Logs and cases as lanes."""

    labels: list[tuple[str, float, str, float]]
    lanes: Lanes
    found: NDArray[np.int64]

    def scores(self, soc: Array) -> list[Score]:
        """Errors of an estimate of shape (samples, lanes)."""
        out: list[Score] = []
        for n, label in enumerate(self.labels):
            measured = self.lanes.measured[:, n]
            wrong = 100 * np.abs(np.clip(soc[measured, n], 0, 1) - self.lanes.soc[measured, n])
            settled = np.flatnonzero(measured) >= SETTLED_S
            figures = errors(wrong, settled)
            out.append(Score(*label, *(round(figure, 4) for figure in figures)))
        return out


def trial(logs: Sequence[Named], capacity_ah: float) -> Trial:
    """All logs in all cases."""
    sequences: list[Samples] = []
    labels: list[tuple[str, float, str, float]] = []
    for named in logs:
        for case, weight, log in cases(named.log, capacity_ah):
            sequences.append(samples(log, capacity_ah))
            labels.append((named.log.name, named.ambient_c, case, weight))
    lanes = beside(sequences)
    return Trial(labels, lanes, sources(lanes))


def int8_soc(layers: Sequence[Layer], output: Output, rows: Sequence[Window], over: Trial) -> Array:
    """SoC (samples, lanes) as the device computes it; where a lane has no voltage the network holds."""
    x = scaled(over.found, rows)
    measured = over.lanes.measured
    states = [State(layer, x.shape[1]) for layer in layers]
    soc = np.zeros(x.shape[:2])
    last = np.zeros(x.shape[1])
    for t in range(len(x)):
        hidden, on = x[t], measured[t][:, None]
        for layer, state in zip(layers, states, strict=True):
            before = state.hidden, state.cell
            hidden = step(layer, state, hidden)
            state.hidden = np.where(on, state.hidden, before[0])
            state.cell = np.where(on, state.cell, before[1])
        value = np.clip(output_value(output, layers[-1], hidden) * 10_000 >> 16, 0, 10_000) / 10_000
        soc[t] = last = np.where(measured[t], value, last)
    return soc


def _sigmoid(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * x), dtype=np.float32)


def float_soc(weights: Weights, rows: Sequence[Window], over: Trial) -> Array:
    """SoC (samples, lanes) of a float network; nothing is rounded, the features neither."""
    x: Any = unrounded(over.found, rows)
    measured = over.lanes.measured
    count = sum(name.endswith("weight_ih_l0") for name in weights)
    for n in range(count):
        w, r, b, c0 = (
            weights[f"layers.{n}.{k}_l0"] for k in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        units = len(r) // 4
        h = np.zeros((x.shape[1], units), dtype=np.float32)
        c = np.zeros_like(h)
        out = np.empty((*x.shape[:2], units), dtype=np.float32)
        for t in range(len(x)):
            z = x[t] @ w.T + h @ r.T + (b + c0)
            to_input, forget, new, output = np.split(z, 4, axis=1)
            cell = _sigmoid(forget) * c + _sigmoid(to_input) * np.tanh(new)
            c = np.where(measured[t][:, None], cell, c)
            h = np.where(measured[t][:, None], _sigmoid(output) * np.tanh(cell), h)
            out[t] = h
        x = out
    return (x @ weights["head.weight"].T + weights["head.bias"])[..., 0].astype(np.float64)


def sigmas(over: Trial, soc: Array) -> dict[float, list[float]]:
    """Sigma of SoC after 1, 2, 4, ... 2048 samples at each chamber temperature, never rising:
    SIGMA_MARGIN times the deviation."""
    table: dict[float, list[float]] = {}
    for t in sorted({label[1] for label in over.labels}):
        squares: list[list[float]] = [[] for _ in range(SIGMAS)]
        for n, label in enumerate(over.labels):
            if label[1] != t:
                continue
            measured = over.lanes.measured[:, n]
            wrong = soc[measured, n] - over.lanes.soc[measured, n]
            for k in range(SIGMAS):
                part = wrong[(1 << k) - 1 : (2 << k) - 1 if k < SIGMAS - 1 else None]
                if len(part):
                    squares[k].append(float((part**2).mean()))
        root = [math.sqrt(float(np.mean(s))) if s else 1.0 for s in squares]
        table[t] = [SIGMA_MARGIN * max(root[k:]) for k in range(SIGMAS)]
    return table


def report(scores: Sequence[Score]) -> dict[str, Any]:
    """For JSON."""
    return {"mean_mae": round(mean_mae(scores), 4), "scores": [asdict(s) for s in scores]}


def plot(
    losses: Sequence[Mapping[str, float]], over: Trial, soc: Mapping[str, Array], path_prefix: str
) -> list[str]:
    """Loss curve and errors over time; returns the files written. Needs matplotlib."""
    import importlib

    plt: Any = importlib.import_module("matplotlib.figure")
    written: list[str] = []
    figure = plt.Figure(figsize=(8, 4))
    axes = figure.subplots()
    for key in ("train", "watch"):
        points = [(e["epoch"], e[key]) for e in losses if key in e]
        axes.plot(*zip(*points, strict=True), label=key)
    axes.set(xlabel="epoch", ylabel="mean absolute error, points", yscale="log")
    axes.legend()
    written.append(f"{path_prefix}_loss.png")
    figure.savefig(written[-1])
    nominal = [n for n, label in enumerate(over.labels) if label[2].startswith("nominal")]
    figure = plt.Figure(figsize=(8, 2.2 * len(nominal)), layout="constrained")
    rows: Any = figure.subplots(len(nominal), 1, squeeze=False)
    for axes, n in zip(rows[:, 0], nominal, strict=True):
        measured = over.lanes.measured[:, n]
        hours = np.flatnonzero(measured) / 3600
        for name, estimate in soc.items():
            axes.plot(hours, 100 * (estimate[measured, n] - over.lanes.soc[measured, n]), lw=0.7, label=name)
        axes.set(title=over.labels[n][0], xlabel="h", ylabel="error, points", ylim=(-6, 6))
        axes.legend()
    written.append(f"{path_prefix}_error.png")
    figure.savefig(written[-1])
    return written
