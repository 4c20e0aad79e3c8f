"""`cellkeeper blackbox FILE`: the trips in a board's NVM image, with what was measured around them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import click
from bms.memory import trips
from bms.memory.journal import Journal
from bms.memory.kinds import BOOT
from bms.memory.layout import BLACKBOX, BLACKBOX_SECTORS, SECTOR, STATE, STATE_SECTORS
from bms.memory.state import Charge, Counters, Latches
from bms.memory.trips import Incident
from bms.tables import faults, params
from bms.tables.signals import STATES
from rich.console import Console
from rich.table import Table

_FAULTS = {row.id: row for row in faults.FAULTS}
_UNITS = {row.name: row.unit for row in params.PARAMS}
_COLUMNS = (
    ("offset_ms", "ms"), ("current_ma", "mA"), ("pack_mv", "pack mV"), ("link_mv", "link mV"),
    ("cell_min_mv", "cell min mV"), ("cell_max_mv", "cell max mV"), ("temp_min_dc", "min 0.1 degC"),
    ("temp_max_dc", "max 0.1 degC"), ("soc_cpct", "SoC 0.01 %"), ("gates", "gates"),
)  # fmt: skip


def fault_name(id: int) -> str:
    """Its name in the fault table, or its number."""
    row = _FAULTS.get(id)
    return row.name if row else f"fault {id}"


def plain(row: dict[str, object]) -> dict[str, Any]:
    """A trip or frame with names for numbers and nothing but JSON's types."""
    found: dict[str, Any] = dict(row)
    found["faults"] = [fault_name(id) for id in trips.fault_ids(cast(bytes, found["faults"]))]
    found["state"] = state_name(found["state"])
    if "fault" in found:
        limit = _FAULTS.get(found["fault"])
        found["unit"] = _UNITS.get(limit.limit, "") if limit else ""
        found["fault"] = fault_name(found["fault"])
        found["params_hash"] = found["params_hash"].hex()
    return found


def state_name(state: int) -> str:
    """Name of a contactor state."""
    return STATES[state] if state < len(STATES) else f"state {state}"


def read(data: bytes) -> dict[str, Any]:
    """Everything that an image's journals say, of JSON's types."""
    image = trips.Image(data)
    state = Journal(image, STATE // SECTOR, STATE_SECTORS)
    latches, charge = Latches(state), Charge(state)
    boot = state.last(BOOT)
    found = trips.incidents(trips.records(image, BLACKBOX, BLACKBOX_SECTORS))
    return {
        "damaged": state.damaged,
        "latched": [fault_name(id) for id in trips.fault_ids(bytes(latches.bitmap))],
        "weld": latches.weld,
        "boot": None if boot is None else int.from_bytes(boot[:4], "little"),
        "soc_cpct": charge.soc_cpct,
        "sigma_cpct": charge.sigma_cpct,
        "counters": Counters(state).named(),
        "incidents": [incident_as_dict(incident) for incident in found],
    }


def incident_as_dict(incident: Incident) -> dict[str, Any]:
    """One incident, of JSON's types."""
    return {
        "boot": incident.boot,
        "incident": incident.number,
        "trips": [plain(trip) for trip in incident.trips],
        "frames": [plain(frame) for frame in incident.frames],
    }


def show(found: dict[str, Any], console: Console) -> None:
    """As tables for people."""
    if found["damaged"]:
        console.print(f"[red]{found['damaged']} records or sectors of the state journal are damaged[/]")
    latched = ", ".join(found["latched"]) or "nothing"
    console.print(
        f"boot {found['boot']}; latched: {latched}; weld flags {found['weld']};"
        f" SoC {found['soc_cpct'] / 100:.2f} % +- {found['sigma_cpct'] / 100:.2f} %"
    )
    for incident in found["incidents"]:
        console.print()
        for trip in incident["trips"]:
            limit = f"{trip['limit']} {trip['unit']}".strip()
            where = f", index {trip['index']}" if trip["index"] >= 0 else ""
            console.print(
                f"[bold]{trip['fault']}[/]: {trip['value']} against {limit}{where};"
                f" boot {trip['boot']} (cause {trip['boot_cause']}), tick {trip['tick']}, sample"
                f" {trip['age_ms']} ms old, limiter {trip['limiter']}, parameters {trip['params_hash']}"
            )
        if cells := incident["trips"][0]["cell_mv"]:
            console.print(f"cells mV: {', '.join(map(str, cells))}")
        table = Table(*(title for _, title in _COLUMNS), "state", "faults")
        for frame in incident["frames"]:
            values = [str(frame[name]) for name, _ in _COLUMNS]
            table.add_row(*values, frame["state"], ", ".join(frame["faults"]))
        console.print(table)
    console.print(f"{len(found['incidents'])} incidents")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object only.")
def blackbox(file: Path, as_json: bool) -> None:
    """Read the black box in FILE, the image of a board's NVM: trips with what was measured around them."""
    try:
        found = read(file.read_bytes())
    except trips.RecordError as error:
        raise click.ClickException(f"{file}: {error}; of another firmware?") from error
    if as_json:
        click.echo(json.dumps(found))
    else:
        show(found, Console())
