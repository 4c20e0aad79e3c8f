"""SQL columns of the three streams, generated from the rows of `bms.tables.signals`.

A scalar with a scale becomes REAL in the SI unit of its row, one without becomes INTEGER, an array
becomes a JSON text of the same numbers.
"""

import json
from collections.abc import Mapping
from typing import Any

from bms.tables import signals
from bms.tables.signals import SIGNALS, STREAMS, Signal

DEVICE_MS = signals.SIGNALS[0]

Cell = int | float | str | None


def of(stream: str) -> tuple[Signal, ...]:
    """The rows that a stream stores besides device_ms, which every table has anyway."""
    return tuple(row for row in SIGNALS if stream in row.streams and row is not DEVICE_MS)


COLUMNS: Mapping[str, tuple[Signal, ...]] = {stream: of(stream) for stream in STREAMS}


def sql_type(row: Signal) -> str:
    """Column type of a signal."""
    if row.array:
        return "TEXT"
    return "INTEGER" if row.per_unit == 1 else "REAL"


def names(stream: str) -> str:
    """Quoted, comma-separated column names of a stream."""
    return ", ".join(f'"{row.name}"' for row in COLUMNS[stream])


def to_cell(row: Signal, value: int | list[int]) -> Cell:
    """A wire value (integer, or integers for an array) as what the column holds, in SI."""
    if isinstance(value, list):
        return json.dumps(value if row.per_unit == 1 else [entry / row.per_unit for entry in value])
    return value if row.per_unit == 1 else value / row.per_unit


def from_cell(row: Signal, cell: Cell) -> Any:
    """What the API gives for a column: number, list of numbers or None."""
    return json.loads(cell) if row.array and isinstance(cell, str) else cell
