"""Cell file -> the thermal block of the device (layout: bms/estimate/thermal.py).

A cell file knows heat capacity and resistance to the surroundings, measured at the surface. How the inside
hangs together is taken from a cylindrical cell that was measured there: 1.94 K/W and 6.7 % of the heat
capacity at the surface (Lin et al., J. Power Sources 257, 2014; a 26650). Uniformly heated cylinders of one
length and conductivity have one such resistance, whatever their radius: 1 / (4 pi k L).
"""

from __future__ import annotations

import sys
from array import array

from bms.estimate import thermal
from bms.estimate.ecm import checksum

from cloud.twin.cell import CellFile

INNER_K_W = 1.94
SURFACE_SHARE = 0.067
INNER_SIGMA = 0.3
LARGEST_CYLINDER_AH = 6.0
"""Larger cells are flat: their inside is taken for 0.3 of the resistance to the surroundings."""
_FLAT_SHARE = 0.3


def inner_resistance_k_w(cell: CellFile) -> float:
    """Core to surface."""
    flat = cell.capacity_ah > LARGEST_CYLINDER_AH
    return _FLAT_SHARE * cell.thermal_resistance_k_w if flat else INNER_K_W


def thermal_block(cell: CellFile) -> bytes:
    """The block of a cell type, little-endian. Raises ValueError when a value does not fit its word."""
    heat_j_k_ah = cell.heat_capacity_j_k / cell.capacity_ah
    words = [
        thermal.MAGIC,
        thermal.VERSION,
        round(heat_j_k_ah * (1 - SURFACE_SHARE) * 256),
        round(heat_j_k_ah * SURFACE_SHARE * 256),
        round(inner_resistance_k_w(cell) * cell.capacity_ah * 256),
        round(cell.thermal_resistance_k_w * cell.capacity_ah * 256),
        round(INNER_SIGMA * 256),
        0,
    ]
    if not all(0 <= word <= 0xFFFF for word in words):
        raise ValueError(f"thermal block: {max(words)} does not fit a 16-bit word")
    block = array("H", words)
    block[7] = checksum(block)
    if sys.byteorder == "big":
        block.byteswap()
    return block.tobytes()
