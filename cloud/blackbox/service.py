"""Raw records of black boxes as incidents in SI units."""

import sqlite3
from typing import Any

from bms.memory import trips
from bms.tables import faults
from bms.tables.params import PARAMS
from bms.tables.signals import STATES

from cloud.blackbox import store
from cloud.blackbox.schemas import Frame, Incident, Trip
from cloud.packs.service import named_fault

_LIMITS = {row.id: row.limit for row in faults.FAULTS}
_UNITS = {row.name: row.unit for row in PARAMS}


def incidents(db: sqlite3.Connection, pack: int, most: int) -> list[Incident]:
    """The newest `most` incidents of a pack, newest first."""
    found = trips.incidents(trips.parse(raw) for raw in store.newest(db, pack, most))
    known = store.boots(db, pack)
    found.sort(key=lambda incident: (incident.boot, incident.tick), reverse=True)
    return [_incident(incident, known.get(incident.boot)) for incident in found]


def _incident(incident: trips.Incident, boot: tuple[str, int] | None) -> Incident:
    return Incident(
        boot_number=incident.boot,
        boot_id=boot[0] if boot else None,
        incident=incident.number,
        trips=[_trip(row, boot[1] if boot else None) for row in incident.trips],
        frames=[_frame(row) for row in incident.frames],
    )


def _state(number: int) -> str:
    return STATES[number] if number < len(STATES) else f"state {number}"


def _trip(row: dict[str, Any], offset_ms: int | None) -> Trip:
    fault = row["fault"]
    return Trip(
        **{name: row[name] for name in ("fault", "device_ms", "value", "limit", "index", "age_ms", "gates")},
        **{name: row[name] for name in ("limiter", "boot_cause")},
        name=named_fault(fault).name,
        time_utc_ms=None if offset_ms is None else offset_ms + row["device_ms"],
        unit=_UNITS.get(_LIMITS.get(fault, ""), ""),
        soc=row["soc_cpct"] / 10_000,
        state=_state(row["state"]),
        params_hash=row["params_hash"].hex(),
        faults=trips.fault_ids(row["faults"]),
        cell_voltage_v=[cell_mv / 1000 for cell_mv in row["cell_mv"]],
    )


def _frame(row: dict[str, Any]) -> Frame:
    fast, cells, temps = (bool(row["known"] & bit) for bit in (1, 2, 4))

    def si(known: bool, name: str, per_unit: int) -> float | None:
        return row[name] / per_unit if known else None

    return Frame(
        offset_ms=row["offset_ms"],
        current_a=si(fast, "current_ma", 1000),
        pack_voltage_v=si(fast, "pack_mv", 1000),
        link_voltage_v=si(fast, "link_mv", 1000),
        cell_voltage_min_v=si(cells, "cell_min_mv", 1000),
        cell_voltage_max_v=si(cells, "cell_max_mv", 1000),
        temperature_min_c=si(temps, "temp_min_dc", 10),
        temperature_max_c=si(temps, "temp_max_dc", 10),
        isolation_kohm=row["isolation_kohm"] if temps else None,
        soc=row["soc_cpct"] / 10_000,
        current_limit_a=row["current_limit_da"] / 10,
        state=_state(row["state"]),
        gates=row["gates"],
        limiter=row["limiter"],
        faults=trips.fault_ids(row["faults"]),
    )
