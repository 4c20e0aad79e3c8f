"""The fit's unknowns: where each lies in the vector, and what is believed of them before the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from cloud.twin.identify.basis import OCV_KNOTS, R_KNOTS, inverse_t
from cloud.twin.identify.ocv import SOC, slope_of
from cloud.twin.table import Array

TAU_GUESS_S = (15.0, 300.0)
TAU_RANGE_S = ((1.0, 90.0), (30.0, 2500.0))
OCV_SOC_DOUBT = (0.015, 0.002)  # a counter is this far from the rest curve's own SoC: near empty, elsewhere
NEAR_EMPTY = 0.12
ACTIVATION_K = (2200.0, 3000.0, 2200.0)  # usual for lithium-ion cells; used where one temperature is known


@dataclass(frozen=True)
class Layout:
    """Grids and slices: OCV corrections (M, knots), ln R0, R1, R2 (K, knots), ln tau (2, K), two a run."""

    ocv_c: Array
    r_c: Array
    runs: int

    @property
    def n_ocv(self) -> int:
        """Count of OCV corrections."""
        return len(self.ocv_c) * len(OCV_KNOTS)

    @property
    def n_r(self) -> int:
        """Count of nodes of one resistance."""
        return len(self.r_c) * len(R_KNOTS)

    def r(self, which: int) -> int:
        """Where ln R0, R1 or R2 begins."""
        return self.n_ocv + which * self.n_r

    def tau(self, which: int) -> int:
        """Where ln tau1 or tau2 begins."""
        return self.r(3) + which * len(self.r_c)

    def run(self, number: int) -> int:
        """Where the start SoC and the first v2 of a run lie."""
        return self.tau(2) + 2 * number

    @property
    def size(self) -> int:
        """Length of the vector."""
        return self.run(self.runs)


@dataclass
class Knowledge:
    """What the fit starts from: OCV (M, SOC) with its doubt a row, hysteresis, resistance guesses a row."""

    layout: Layout
    base_v: Array
    base_sigma_v: Array
    hysteresis_v: Array
    hysteresis_soc: float
    r0_ohm: Array
    start_sigma: Array
    knee_v: float = 0.07
    theta: Array = field(init=False)

    def __post_init__(self) -> None:
        lay = self.layout
        self.theta = np.zeros(lay.size)
        for which, ratio in enumerate((1.0, 0.6, 0.9)):
            guess = np.repeat(np.log(self.r0_ohm * ratio)[:, None], len(R_KNOTS), axis=1)
            self.theta[lay.r(which) : lay.r(which + 1)] = guess.reshape(-1)
        for which, tau_s in enumerate(TAU_GUESS_S):
            self.theta[lay.tau(which) : lay.tau(which + 1)] = np.log(tau_s)


class Beliefs:
    """Prior as rows a . (theta - mean) = b with unit variance, gathered as a normal matrix."""

    def __init__(self, size: int) -> None:
        self.rows: list[tuple[list[int], list[float], float]] = []
        self.size = size

    def add(self, at: list[int], factors: list[float], sigma: float) -> None:
        """The combination of unknowns at `at` is known within sigma."""
        self.rows.append((at, factors, sigma))

    def matrix(self) -> Array:
        """Rows scaled by 1 / sigma, shape (rows, size)."""
        out = np.zeros((len(self.rows), self.size))
        for number, (at, factors, sigma) in enumerate(self.rows):
            out[number, at] = np.asarray(factors) / sigma
        return out


def beliefs(known: Knowledge) -> tuple[Array, Array]:
    """Prior (A, b): |A theta - b|^2 is added to the misfit."""
    lay = known.layout
    out = Beliefs(lay.size)
    targets: list[float] = []

    def add(at: list[int], factors: list[float], sigma: float, value: float = 0.0) -> None:
        out.add(at, factors, sigma)
        targets.append(value / sigma)

    _ocv_beliefs(known, add)
    knots = len(R_KNOTS)
    for which in range(3):
        begin = lay.r(which)
        for k in range(len(lay.r_c)):
            row = begin + k * knots
            for n in range(knots):
                add([row + n], [1.0], 1.0, float(known.theta[row + n]))
            for n in range(knots - 1):
                add([row + n, row + n + 1], [-1.0, 1.0], 0.6)
                if k:
                    other = row - knots + n
                    add([row + n, row + n + 1, other, other + 1], [-1.0, 1.0, 1.0, -1.0], 0.4)
            for n in range(1, knots - 1):
                left = (R_KNOTS[n] - R_KNOTS[n - 1]) / (R_KNOTS[n + 1] - R_KNOTS[n - 1])
                add([row + n - 1, row + n, row + n + 1], [-(1 - left), 1.0, -left], 0.25)
    for which, tau_s in enumerate(TAU_GUESS_S):
        for k in range(len(lay.r_c)):
            at = lay.tau(which) + k
            add([at], [1.0], 0.8, float(np.log(tau_s)))
            if k:
                add([at - 1, at], [-1.0, 1.0], 0.3)
    for number in range(lay.runs):
        add([lay.run(number)], [1.0], float(known.start_sigma[number]))
        add([lay.run(number) + 1], [1.0], 0.01)
    return out.matrix(), np.asarray(targets)


def _ocv_beliefs(known: Knowledge, add: Callable[..., None]) -> None:
    """A correction is doubted by the row's own sigma, and where the curve is steep by its doubt in SoC."""
    knots, m_rows = len(OCV_KNOTS), len(known.layout.ocv_c)
    for m in range(m_rows):
        slope: Array = np.interp(OCV_KNOTS, SOC, slope_of(known.base_v[m]))
        doubt = np.where(OCV_KNOTS > NEAR_EMPTY, OCV_SOC_DOUBT[1], OCV_SOC_DOUBT[0])
        sigma: Array = known.base_sigma_v[m] + doubt * np.clip(slope, 0.0, 20.0)
        for n in range(knots):
            at = m * knots + n
            add([at], [1.0], float(sigma[n]))
            if n:
                add([at - 1, at], [-1.0, 1.0], 0.7 * float(max(sigma[n - 1], sigma[n])))
            if m:
                add([at - knots, at], [-1.0, 1.0], 0.5 * float(sigma[n]))


def arrhenius(layout: Layout, theta: Array) -> tuple[float, float, float]:
    """Activation temperatures of R0, R1, R2 from the rows; the usual ones count as a measurement, too."""
    found: list[float] = []
    x = -inverse_t(layout.r_c)
    x = x - x.mean()
    for which, usual in enumerate(ACTIVATION_K):
        rows = theta[layout.r(which) : layout.r(which + 1)].reshape(len(layout.r_c), -1)
        level = rows[:, 5:].mean(axis=1)
        weight = 1e-4**2  # as if known over 25 K with the fit's own doubt
        found.append(float((x @ level + weight * usual) / (x @ x + weight)))
    return found[0], found[1], found[2]
