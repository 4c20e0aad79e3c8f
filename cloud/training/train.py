"""Training: lanes of pieces of logs, sensor errors drawn anew, the state carried on; then with rounding."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from bms.estimate.lstm_features import RATE_MAX, RATE_ONE

from cloud.training import network as net
from cloud.training.features import Lanes, Samples, Window, beside, scaled, sources, unrounded, windows
from cloud.training.network import torch
from cloud.training.quantised import Int
from cloud.training.split import Named, samples

Random = np.random.Generator
Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """How to train. Times are upper bounds; with the same seed and numbers of epochs a run repeats itself."""

    units: list[int]
    seed: int = 1
    epochs: int = 90
    rounded_epochs: int = 0
    lanes: int = 128
    length: int = 6144
    chunk: int = 96
    rate: float = 6e-3
    rounded_rate: float = 1.5e-3
    offset_c: float = 0.02
    gain: float = 0.01
    offset_v: float = 0.006
    offset_k: float = 2.0
    lost: float = 0.005


@dataclass
class Trained:
    """What training found."""

    model: Any
    floats: dict[str, Any]
    """State of the float network before any rounding."""
    rows: list[Window]
    bits: list[int]
    losses: list[dict[str, float]] = field(default_factory=list[dict[str, float]])


def disturbed(sequence: Samples, plan: Plan, random: Random) -> Samples:
    """The sequence as faulty sensors would show it: offset, gain, lost voltages."""
    offset = random.uniform(-plan.offset_c, plan.offset_c) * RATE_ONE
    gain = 1 + random.uniform(-plan.gain, plan.gain)
    rate = np.rint(sequence.rate * gain + offset).astype(np.int64)
    shift_v = round(random.uniform(-plan.offset_v, plan.offset_v) * 16000)
    v = np.where(sequence.v > 0, sequence.v + shift_v, 0)
    v[random.random(len(v)) < plan.lost] = 0
    temp = sequence.temp + round(random.uniform(-plan.offset_k, plan.offset_k) * 10)
    return replace(sequence, rate=np.clip(rate, -RATE_MAX, RATE_MAX), v=v, temp=temp)


class Pool:
    """Training logs by temperature; draws lanes of pieces."""

    def __init__(self, logs: list[Named], capacity_ah: float) -> None:
        self._groups: dict[float, list[Samples]] = {}
        for named in logs:
            self._groups.setdefault(named.ambient_c, []).append(samples(named.log, capacity_ah))

    def whole(self) -> Lanes:
        """Every log as it is."""
        return beside([s for group in self._groups.values() for s in group])

    def draw(self, plan: Plan, random: Random) -> Lanes:
        """Lanes of pieces that begin anywhere, padded to whole chunks without a reference."""
        lanes = [self._lane(plan, random) for _ in range(plan.lanes)]
        columns = [
            np.stack([getattr(lane, name) for lane in lanes], 1)
            for name in ("rate", "v", "temp", "soc", "first")
        ]
        return Lanes(*columns)

    def _lane(self, plan: Plan, random: Random) -> Lanes:
        parts: list[tuple[Any, ...]] = []
        left = plan.length
        groups = list(self._groups.values())
        while left > 0:
            group = groups[random.integers(len(groups))]
            whole = group[random.integers(len(group))]
            begin = 0 if random.random() < 0.2 else int(random.integers(max(1, len(whole.v) - 600)))
            piece = disturbed(whole.part(begin, left), plan, random)
            n = min(left, -(-len(piece.v) // plan.chunk) * plan.chunk)
            pad = n - len(piece.v)
            first = np.zeros(n, dtype=bool)
            first[0] = True
            soc = np.pad(piece.soc, (0, pad), constant_values=np.nan)
            parts.append((*(np.pad(a, (0, pad)) for a in (piece.rate, piece.v, piece.temp)), soc, first))
            left -= n
        return Lanes(*(np.concatenate(column) for column in zip(*parts, strict=True)))


@dataclass(frozen=True)
class Batch:
    """A chunk: features, reference, weight of each sample, lanes that begin anew."""

    x: Any
    soc: Any
    weight: Any
    first: Any


def chunks(lanes: Lanes, rows: list[Window], rounded: bool, size: int) -> Iterator[Batch]:
    """The lanes in chunks. Where there is no voltage the network would hold: weight 0."""
    found = sources(lanes)
    x: Any = scaled(found, rows) / 128 if rounded else unrounded(found, rows)
    soc = np.nan_to_num(lanes.soc)
    weight = (lanes.measured & np.isfinite(lanes.soc)).astype(np.float32) * _ramp(lanes)
    for at in range(0, len(soc), size):
        s = slice(at, at + size)
        parts = [torch.from_numpy(np.asarray(a[s], dtype=np.float32)) for a in (x, soc, weight)]
        yield Batch(parts[0], parts[1], parts[2], torch.from_numpy(lanes.first[at]))


def _ramp(lanes: Lanes) -> Any:
    """Little is asked of the first minute after a start."""
    age = np.zeros(lanes.v.shape[1])
    ramp = np.empty(lanes.v.shape)
    for t in range(len(ramp)):
        age = np.where(lanes.first[t], 1, age + 1)
        ramp[t] = np.minimum(1.0, age / 60)
    return ramp


def _epoch(
    model: Any, batches: Iterator[Batch], step: Callable[[Any, Any], Any], optimiser: Any | None
) -> float:
    """One pass; returns the mean absolute error in points. Without an optimiser nothing is learned."""
    states: Any = None
    total = count = 0.0
    for batch in batches:
        if states is None:
            states = net.start(model, batch.soc.shape[1])
        keep = (~batch.first).float()[:, None]
        states = [(h.detach() * keep, c.detach() * keep) for h, c in states]
        y, states = step(batch.x, states)
        weight = batch.weight.sum().clamp_min(1)
        error = (y - batch.soc).abs()
        if optimiser is not None:
            near = torch.where(error < 0.01, error * error * 50, error - 0.005)
            loss = (near * batch.weight).sum() / weight
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimiser.step()
        total += float((error.detach() * batch.weight).sum())
        count += float(batch.weight.sum())
    return 100 * total / max(count, 1.0)


def _phase(
    trained: Trained, plan: Plan, pool: Pool, watch: list[Samples], random: Random, rounded: bool, say: Say
) -> None:
    """Epochs with or without rounding; the weights that did best on the watched logs are kept."""
    model, rows = trained.model, trained.rows
    epochs = plan.rounded_epochs if rounded else plan.epochs
    top = plan.rounded_rate if rounded else plan.rate
    optimiser = torch.optim.Adam(model.parameters(), lr=top)

    def step(x: Any, states: Any) -> Any:
        return net.run_rounded(model, x, states, trained.bits) if rounded else net.run(model, x, states)

    best, kept = math.inf, None
    name = "rounded" if rounded else "float"
    watched = beside(watch)

    def on_watched() -> float:
        with torch.no_grad():
            return _epoch(model, chunks(watched, rows, rounded, plan.chunk), step, None)

    if rounded:
        # training with rounding must earn its place over rounding alone
        best, kept = on_watched(), {k: v.clone() for k, v in model.state_dict().items()}
        say(f"rounded, not yet trained: watch {best:.3g}")
    for epoch in range(epochs):
        began = time.monotonic()
        for group in optimiser.param_groups:
            group["lr"] = (
                top * (0.02 + 0.49 * (1 + math.cos(math.pi * epoch / epochs))) * min(1, (epoch + 1) / 3)
            )
        error = _epoch(model, chunks(pool.draw(plan, random), rows, rounded, plan.chunk), step, optimiser)
        entry = {"epoch": float(len(trained.losses)), "train": error}
        if epoch % 3 == 2 or epoch == epochs - 1:
            entry["watch"] = on_watched()
            if entry["watch"] < best:
                best, kept = entry["watch"], {k: v.clone() for k, v in model.state_dict().items()}
        entry["seconds"] = time.monotonic() - began
        trained.losses.append(entry)
        told = ", ".join(f"{key} {value:.3g}" for key, value in entry.items() if key != "epoch")
        say(f"{name} epoch {epoch + 1}/{epochs}: {told}")
    if kept is not None:
        model.load_state_dict(kept)


def train(logs: list[Named], watch: list[Named], capacity_ah: float, plan: Plan, say: Say) -> Trained:
    """Train on `logs`; keep what does best on `watch`."""
    torch.set_num_threads(1)
    random = np.random.default_rng(plan.seed)
    pool = Pool(logs, capacity_ah)
    whole = pool.whole()
    found: Int = sources(whole)
    rows = windows(found[whole.measured])
    model = net.network(len(rows), plan.units, plan.seed)
    trained = Trained(model, {}, rows, [])
    watched = [disturbed(s, plan, random) for n in watch for s in _pieces(samples(n.log, capacity_ah))]
    _phase(trained, plan, pool, watched, random, False, say)
    trained.floats = {k: v.clone() for k, v in model.state_dict().items()}
    x = torch.from_numpy(unrounded(sources(pool.draw(plan, random)), rows))
    trained.bits = net.cell_bits(net.largest_cells(model, x))
    say(f"cell states of 2^-{trained.bits}")
    if plan.rounded_epochs:
        _phase(trained, plan, pool, watched, random, True, say)
    return trained


def _pieces(sequence: Samples) -> list[Samples]:
    """The whole, and the second half: a start under load."""
    half = len(sequence.v) // 2
    return [sequence, sequence.part(half, len(sequence.v))]
