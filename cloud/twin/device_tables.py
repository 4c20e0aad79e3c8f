"""Cell file -> the block of words that the device's estimator reads (layout: bms/estimate/ecm.py)."""

from __future__ import annotations

import math
import sys
from array import array
from itertools import pairwise

import numpy as np
from bms.estimate import ecm
from numpy.typing import NDArray

from cloud.twin.cell import CellFile
from cloud.twin.table import Array

FIRST_C, LAST_C, STEP_C = -30.0, 60.0, 12.0
"""Temperatures that the rows span, and how far they may lie apart: the device interpolates linearly."""

_WORD_MAX = 0xFFFF


def device_block(cell: CellFile) -> bytes:
    """The block of a cell type, little-endian. Raises ValueError when a table does not fit its words."""
    rows_c = _rows(cell)
    soc = np.linspace(0.0, 1.0, (1 << ecm.OCV_BITS) + 1)
    r_soc = np.linspace(0.0, 1.0, (1 << ecm.R_BITS) + 1)
    ocv_v = _ocv(cell, soc, rows_c)
    base_mv = int(ocv_v.min() * 1000)
    r0, r1, r2 = cell.resistances(*np.broadcast_arrays(r_soc, rows_c[:, None]))
    tau1, tau2 = cell.taus(rows_c)
    # a word holds 2 V at 1C; an empty cell in hard frost may have more, and can do nothing either way
    at_1c = [np.minimum(r * cell.capacity_ah * (1 << 15), _WORD_MAX) for r in (r0, r1, r2)]
    parts = [
        _words("temperature_c", rows_c * 10 + 1000),
        _words("capacity", cell.capacity(rows_c) / cell.capacity_ah * (1 << ecm.RATIO_Q)),
        _words("tau1_s", tau1 * 10),
        _words("tau2_s", tau2 * 10),
        _words("ocv_v", (ocv_v - base_mv / 1000) * (1 << 14)),
        *(_words("resistance", r) for r in at_1c),
        _words("hysteresis_v", cell.hysteresis(soc) * (1 << 14)),
        _words("asinh", np.arcsinh(np.arange(ecm.ASINH_COLUMNS) / 4) * (1 << 12)),
    ]
    head = np.zeros(ecm.HEAD)
    head[ecm.W_MAGIC], head[ecm.W_VERSION], head[ecm.W_ROWS] = ecm.MAGIC, ecm.VERSION, len(rows_c)
    head[ecm.W_BASE_MV] = base_mv
    head[ecm.W_KNEE] = round(cell.knee_v * (1 << 15))
    head[ecm.W_HYST_SOC] = min(_WORD_MAX, round(cell.hysteresis_soc * (1 << 16)))
    words = array("H", np.concatenate([head.astype(np.uint16), *parts]).tolist())
    words[ecm.W_CHECK] = ecm.checksum(words)
    if sys.byteorder == "big":
        words.byteswap()
    return words.tobytes()


def _rows(cell: CellFile) -> Array:
    """The temperatures at which the cell was measured, and enough of those between."""
    ends = np.array([FIRST_C, LAST_C])
    known = np.concatenate((cell.ocv_temperature_c, cell.r_temperature_c, ends))
    nodes = np.unique(np.round(np.clip(known, FIRST_C, LAST_C), 1))
    rows_c: list[float] = []
    for cold, warm in pairwise(map(float, nodes)):
        parts = math.ceil((warm - cold) / STEP_C)
        rows_c += [cold + (warm - cold) * part / parts for part in range(parts)]
    return np.array([*rows_c, LAST_C])


def _ocv(cell: CellFile, soc: Array, rows_c: Array) -> Array:
    """Rising in SoC by a word at least: the filter divides by nothing, but its slope must have a sign."""
    rising = np.arange(len(soc)) / (1 << 14)
    return np.maximum.accumulate(cell.ocv(soc, rows_c[:, None]) - rising, axis=1) + rising


def _words(name: str, values: Array) -> NDArray[np.uint16]:
    whole = np.rint(values).ravel()
    if whole.min() < 0 or whole.max() > _WORD_MAX:
        worst = whole[np.argmax(np.abs(whole))]
        raise ValueError(f"{name}: {worst:.0f} does not fit a 16-bit word of the device's table")
    return whole.astype(np.uint16)
