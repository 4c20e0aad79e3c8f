"""Cell file -> what a board is told of its cell (layout: bms/memory/cell.py)."""

from __future__ import annotations

from pathlib import Path

import click
from bms.memory import cell as memory
from bms.tables.params import CHEMISTRIES

from cloud.twin.cell import CellFile, CellFileError, load_cell
from cloud.twin.device_tables import device_block
from cloud.twin.thermal_table import thermal_block


def cell_image(cell: CellFile) -> bytes:
    """For `memory.write`, or for a new NVM file. Raises ValueError when a table does not fit its words."""
    parts = {
        memory.CHEMISTRY: bytes([CHEMISTRIES.index(cell.chemistry)]),
        memory.ECM: device_block(cell),
        memory.THERMAL: thermal_block(cell),
    }
    return bytes(memory.image(parts))


@click.command("cell-tables")
@click.argument("cell_name", metavar="CELL")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File to write.")
def command(cell_name: str, out: Path) -> None:
    """Write what a board is told of its cell, for `boards.tools.provision --cell`.

    CELL is a cell file: a name or a path.
    """
    try:
        image = cell_image(load_cell(cell_name))
        out.write_bytes(image)
    except (CellFileError, ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{out}: {len(image)} bytes of tables")
