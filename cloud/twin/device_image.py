"""Cell file -> what a board is told of its cell (layout: bms/memory/cell.py)."""

from __future__ import annotations

from pathlib import Path

import click
from bms.memory import cell as memory
from bms.tables.params import CHEMISTRIES

from cloud.training import networks
from cloud.twin.cell import CellFile, CellFileError, load_cell
from cloud.twin.device_tables import device_block
from cloud.twin.thermal_table import thermal_block


def cell_image(cell: CellFile, network: bytes = b"") -> bytes:
    """For `memory.write`, or for a new NVM file; `network`: the blob of one for this cell.

    Raises ValueError when a table does not fit its words, or all do not fit their place.
    """
    parts = {
        memory.CHEMISTRY: bytes([CHEMISTRIES.index(cell.chemistry)]),
        memory.ECM: device_block(cell),
        memory.THERMAL: thermal_block(cell),
    }
    if network:
        parts[memory.NETWORK] = network
    return bytes(memory.image(parts))


def image_of(name: str) -> bytes:
    """`cell_image` of the cell file `name`, a name or a path, with the network that is shipped for it."""
    return cell_image(load_cell(name), networks.blob_of(name) if name in networks.shipped() else b"")


@click.command("cell-tables")
@click.argument("cell_name", metavar="CELL")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File to write.")
def command(cell_name: str, out: Path) -> None:
    """Write what a board is told of its cell, for `boards.tools.provision --cell`.

    CELL is a cell file: a name or a path. A shipped one brings its network, where it has one.
    """
    try:
        image = image_of(cell_name)
        out.write_bytes(image)
    except (CellFileError, ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{out}: {len(image)} bytes of tables")
