"""Half-cell curves -> the block of shifts that tells the device how the OCV bends (bms/estimate/curve.py)."""

from __future__ import annotations

import numpy as np
from bms.estimate import curve

from cloud.twin.aged import Aged, Electrodes

LOST = (0.1, 0.2, 0.3, 0.4)
"""Capacity lost by lithium, a row each; the steps are those of the device."""
_MAGIC = 0x4D53


def shift_block(cell: Electrodes) -> bytes:
    """The shifts of the rest voltage over SoC, rows over lost capacity. ValueError when one does not fit."""
    soc = np.linspace(0.0, 1.0, curve.COLUMNS)
    fresh = cell.ocv(Aged(), soc)
    rows = np.stack([cell.ocv(cell.without_lithium(share), soc) - fresh for share in LOST])
    words = np.rint(rows * 16_000)
    if np.abs(words).max() > 32767:
        raise ValueError(f"a shift of {np.abs(rows).max():.2f} V does not fit a word of 1/16 mV")
    body = words.astype("<i2").tobytes()
    head = np.array([_MAGIC, len(LOST), curve.fletcher(body, 0)], dtype="<u2").tobytes()
    return head + body
