"""Grids of the fit and the weights with which a row of a log reads them."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from cloud.twin.cell import KELVIN
from cloud.twin.table import Array, Index, place

# scipy carries no types for LAPACK's routines
_lapack: Any = importlib.import_module("scipy.linalg.lapack")

OCV_KNOTS = np.array([0, 0.01, 0.02, 0.04, 0.06, 0.08, *np.arange(0.1, 0.96, 0.05), 0.975, 1.0])
R_KNOTS = np.array([0.0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.86, 0.92, 0.96, 1.0])


@dataclass(frozen=True)
class Weights:
    """Bilinear weights of n rows on the active part of a (temperature, SoC) grid: `matrix` is (n, active)."""

    active: Index  # flat indices into the grid
    matrix: Array


def hats(grid: Array, x: Array) -> Array:
    """Linear interpolation weights, shape (n, grid)."""
    left, w = place(grid, x)
    out = np.zeros((len(x), len(grid)))
    rows = np.arange(len(x))
    out[rows, left] = 1 - w
    if len(grid) > 1:
        out[rows, left + 1] += w
    return out


def bilinear(rows: Array, columns: Array, row: Array, column: Array) -> Weights:
    """Weights of points (row, column) on the grid rows x columns, held beyond its ends."""
    across, along = hats(rows, row), hats(columns, column)
    used = np.flatnonzero(across.any(axis=0))
    matrix = (across[:, used, None] * along[:, None, :]).reshape(len(row), -1)
    active = (used[:, None] * len(columns) + np.arange(len(columns))).reshape(-1)
    return Weights(active.astype(np.intp), matrix)


def inverse_t(temperature_c: Array) -> Array:
    """-1/T in 1/K: rises with temperature, so that Arrhenius laws are straight lines over it."""
    return -1 / (temperature_c + KELVIN)


def low_pass(fall: Array, inputs: Array) -> Array:
    """x[k] = fall[k] x[k-1] + inputs[k] with x[-1] = 0; inputs (n,) or (n, m). `fall[0]` is not used."""
    band = np.ones((2, len(fall)))
    band[1, :-1] = -fall[1:]
    columns = inputs.reshape(len(fall), -1)
    solved, info = _lapack.dtbtrs(band, columns, uplo="L", diag="U")
    assert info == 0, info  # noqa: S101  # a unit triangle is never singular
    return np.asarray(solved, dtype=np.float64).reshape(inputs.shape)
