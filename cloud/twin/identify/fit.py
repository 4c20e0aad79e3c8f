"""Gauss-Newton fit of OCV, R0, two RC pairs to all runs at once; uncertainty from its normal matrix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cloud.twin.identify.basis import OCV_KNOTS, R_KNOTS, Weights, bilinear, hats, inverse_t, low_pass
from cloud.twin.identify.ocv import SOC
from cloud.twin.identify.read import Run
from cloud.twin.identify.state import TAU_RANGE_S, Knowledge, Layout, arrhenius, beliefs
from cloud.twin.table import Array, Index, Table

_START_DOUBT = 0.004  # SoC: a steep curve turns this into voltage that no parameter should explain


@dataclass
class Misfit:
    """One run under one vector: residual (measured - predicted), its derivative on the active unknowns."""

    residual_v: Array
    slope_v: Array
    active: Index
    jacobian: Array


@dataclass
class Noise:
    """How far a run's residuals may be trusted: their spread, and for how many rows one is repeated."""

    sigma_v: float = 0.012
    repeats: float = 30.0


@dataclass(frozen=True)
class Fitted:
    """Result: the vector, noise a run, misfit (priors left out)."""

    theta: Array
    noise: list[Noise]
    activation_k: tuple[float, float, float]
    cost: float


def hysteresis_path(run: Run, soc: Array, reach_soc: float) -> Array:
    """h along a run: from +1 after a full charge, -1 when it begins empty, else 0."""
    start = 1.0 if soc[0] > 0.95 else (-1.0 if soc[0] < 0.05 else 0.0)
    moved = np.diff(soc, prepend=soc[0])
    fall = np.exp(-np.abs(moved) / reach_soc)
    inputs = (1 - fall) * np.sign(moved)
    inputs[0] = start
    return low_pass(fall, inputs)


class Model:
    """The cell's equations on a run, linearised."""

    def __init__(self, known: Knowledge) -> None:
        self.known = known
        self.layout = known.layout
        self.activation_k = (0.0, 0.0, 0.0)

    def misfit(self, theta: Array, number: int, run: Run, *, derive: bool = True) -> Misfit:
        """Residual of a run, and its derivative."""
        lay, known = self.layout, self.known
        at_run = lay.run(number)
        soc = np.clip(run.soc + theta[at_run], -0.05, 1.05)
        ocv_at = bilinear(lay.ocv_c, OCV_KNOTS, run.temperature_c, soc)
        r_at = bilinear(inverse_t(lay.r_c), R_KNOTS, inverse_t(run.temperature_c), soc)
        tau_at = hats(inverse_t(lay.r_c), inverse_t(run.temperature_c))
        base = Table(lay.ocv_c, SOC, known.base_v)
        lift = base.at(run.temperature_c, soc + 0.01) - base.at(run.temperature_c, soc - 0.01)
        slope_v = lift / 0.02
        h = hysteresis_path(run, soc, known.hysteresis_soc)
        rest_v = base.at(run.temperature_c, soc) + ocv_at.matrix @ theta[ocv_at.active]
        voltage_v: Array = rest_v + h * np.asarray(np.interp(soc, SOC, known.hysteresis_v), dtype=np.float64)
        columns: list[Array] = [ocv_at.matrix] if derive else []
        active: list[Index] = [ocv_at.active]
        r0 = self._resistance(theta, 0, r_at, run)
        voltage_v = voltage_v + run.current_a * r0
        active.append(r_at.active + lay.r(0))
        if derive:
            columns.append((run.current_a * r0)[:, None] * r_at.matrix)
        for pair in (1, 2):
            v, parts = self._pair(theta, pair, r_at, tau_at, run, derive)
            voltage_v = voltage_v + v
            columns.extend(parts)
            tau = lay.tau(pair - 1)
            active.extend((r_at.active + lay.r(pair), np.arange(tau, tau + len(lay.r_c))))
        settle = np.exp(-np.cumsum(np.diff(run.time_s, prepend=run.time_s[0]) / self._tau(theta, 2, tau_at)))
        voltage_v = voltage_v + theta[at_run + 1] * settle
        active.append(np.array([at_run, at_run + 1]))
        if derive:
            columns.append(np.stack((slope_v, settle), axis=1))
        jacobian = np.concatenate(columns, axis=1) if derive else np.empty((0, 0))
        return Misfit(run.voltage_v - voltage_v, slope_v, np.concatenate(active), jacobian)

    def _resistance(self, theta: Array, which: int, at: Weights, run: Run) -> Array:
        lay = self.layout
        inside = np.clip(run.temperature_c, lay.r_c[0], lay.r_c[-1])
        beyond = inverse_t(inside) - inverse_t(run.temperature_c)
        return np.exp(at.matrix @ theta[at.active + lay.r(which)] + self.activation_k[which] * beyond)

    def _tau(self, theta: Array, pair: int, at: Array) -> Array:
        begin = self.layout.tau(pair - 1)
        return np.exp(at @ theta[begin : begin + len(self.layout.r_c)])

    def _pair(
        self, theta: Array, pair: int, r_at: Weights, tau_at: Array, run: Run, derive: bool
    ) -> tuple[Array, list[Array]]:
        tau_s = self._tau(theta, pair, tau_at)
        dt_s = np.diff(run.time_s, prepend=run.time_s[0])
        fall = np.exp(-dt_s / tau_s)
        mean_a = run.current_a.copy()
        mean_a[1:] = (run.current_a[1:] + run.current_a[:-1]) / 2
        straight = mean_a * self._resistance(theta, pair, r_at, run)
        knee_v = self.known.knee_v if pair == 1 else 0.0
        goal = knee_v * np.arcsinh(straight / knee_v) if knee_v else straight
        by_log = straight / np.sqrt(1 + (straight / knee_v) ** 2) if knee_v else straight
        v = low_pass(fall, (1 - fall) * goal)
        if not derive:
            return v, []
        by_r = low_pass(fall, ((1 - fall) * by_log)[:, None] * r_at.matrix)
        before = np.concatenate(([0.0], v[:-1]))
        by_tau = low_pass(fall, (fall * dt_s / tau_s * (before - goal))[:, None] * tau_at)
        return v, [by_r, by_tau]


def _weights(run: Run, misfit: Misfit, noise: Noise) -> Array:
    """Square root of the weight of each row: time it stands for, steepness, outliers, repetition."""
    span_s = np.clip(np.diff(run.time_s, prepend=run.time_s[0]), 0.05, 5.0)
    spread = np.sqrt(noise.sigma_v**2 + (_START_DOUBT * misfit.slope_v) ** 2)
    far = np.abs(misfit.residual_v) / spread
    return np.sqrt(span_s * np.minimum(1.0, 2.5 / np.maximum(far, 1e-9)) / noise.repeats) / spread


def _for_fit(noise: Noise) -> Noise:
    """Noise as the fit weighs it.

    What the residuals repeat is mostly what two pairs cannot say; a fit that believed it to be chance would
    give up the cold logs, where it is largest. So spread and repetition are capped here, and only here.
    """
    return Noise(min(noise.sigma_v, 0.015), min(noise.repeats, 30.0))


def _noise_of(run: Run, misfit: Misfit) -> Noise:
    e = misfit.residual_v / np.sqrt(1 + (_START_DOUBT * misfit.slope_v / 0.01) ** 2)
    sigma_v = float(np.clip(np.sqrt(np.mean(np.minimum(np.abs(e), 0.1) ** 2)), 5e-4, 0.08))
    n = len(e)
    spectrum = np.abs(np.fft.rfft(e - e.mean(), 2 * n)) ** 2
    rho = np.fft.irfft(spectrum)[: n // 4]
    rho = rho / max(rho[0], 1e-30)
    low = np.flatnonzero(rho < 0.05)
    until = int(low[0]) if len(low) else len(rho)
    return Noise(sigma_v, float(np.clip(1 + 2 * rho[1:until].sum(), 1.0, 500.0)))


def fit(
    known: Knowledge,
    runs: list[Run],
    *,
    rounds: int,
    tell: Callable[[str], None],
    start: Fitted | None = None,
) -> Fitted:
    """Fit all runs. `tell` is called with a line of progress each round."""
    model, lay = Model(known), known.layout
    theta = known.theta.copy() if start is None else start.theta.copy()
    prior, target = beliefs(known)
    noise = [Noise() for _ in runs] if start is None else list(start.noise)
    normal = prior.T @ prior
    cost = np.inf
    for number in range(rounds):
        model.activation_k = arrhenius(lay, theta)
        normal, gradient = prior.T @ prior, prior.T @ (target - prior @ theta)
        cost, squares, count = 0.0, 0.0, 0
        for k, run in enumerate(runs):
            m = model.misfit(theta, k, run)
            if number >= 2 or start is not None:
                noise[k] = _noise_of(run, m)
            w = _weights(run, m, _for_fit(noise[k]))
            j, e = m.jacobian * w[:, None], m.residual_v * w
            normal[np.ix_(m.active, m.active)] += j.T @ j
            gradient[m.active] += j.T @ e
            cost += float(e @ e)
            squares, count = squares + float(m.residual_v @ m.residual_v), count + len(run.time_s)
        step = np.linalg.solve(normal, gradient)
        theta = _bounded(lay, theta + _limited(lay, np.asarray(step, dtype=np.float64)))
        tell(f"round {number + 1}/{rounds}: {1000 * np.sqrt(squares / count):.1f} mV")
        if number >= 4 and np.abs(step[lay.n_ocv : lay.run(0)]).max() < 0.01:
            break
    return Fitted(theta, noise, arrhenius(lay, theta), cost)


def covariance(known: Knowledge, runs: list[Run], fitted: Fitted) -> Array:
    """Posterior covariance of the unknowns, each run weighed by its own spread and repetition."""
    model = Model(known)
    model.activation_k = fitted.activation_k
    prior, _ = beliefs(known)
    normal = prior.T @ prior
    for k, run in enumerate(runs):
        m = model.misfit(fitted.theta, k, run)
        j = m.jacobian * _weights(run, m, fitted.noise[k])[:, None]
        normal[np.ix_(m.active, m.active)] += j.T @ j
    return np.asarray(np.linalg.inv(normal), dtype=np.float64)


def _limited(lay: Layout, step: Array) -> Array:
    """No logarithm moves by more than 0.7 in one round."""
    out = step.copy()
    logs = slice(lay.n_ocv, lay.run(0))
    out[logs] = np.clip(out[logs], -0.7, 0.7)
    return out


def _bounded(lay: Layout, theta: Array) -> Array:
    for pair, (low, high) in enumerate(TAU_RANGE_S):
        part = slice(lay.tau(pair), lay.tau(pair + 1))
        theta[part] = np.clip(theta[part], np.log(low), np.log(high))
    return theta
