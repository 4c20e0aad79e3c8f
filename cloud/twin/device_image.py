"""Cell file -> what a board is told of its cell (layout: bms/memory/cell.py)."""

from __future__ import annotations

from bms.memory import cell as memory

from cloud.twin.cell import CellFile
from cloud.twin.device_tables import device_block
from cloud.twin.thermal_table import thermal_block


def cell_image(cell: CellFile) -> bytes:
    """For `memory.write`, or for a new NVM file. Raises ValueError when a table does not fit its words."""
    return bytes(memory.image({memory.ECM: device_block(cell), memory.THERMAL: thermal_block(cell)}))
