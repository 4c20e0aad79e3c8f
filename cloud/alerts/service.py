"""Alerts with the names and units that the fault table gives them."""

import sqlite3
from typing import Any

from bms.tables import faults
from bms.tables.params import PARAMS

from cloud.alerts import store
from cloud.alerts.schemas import Alert

_FAULTS = {row.id: row for row in faults.FAULTS}
_UNITS = {row.name: row.unit for row in PARAMS}


def alerts(
    db: sqlite3.Connection, tenant: str, pack_id: str | None, active: bool | None, most: int
) -> list[Alert]:
    """The newest `most` alerts of a tenant, newest first."""
    return [describe(row) for row in store.alerts(db, tenant, pack_id, active, most)]


def describe(row: dict[str, Any]) -> Alert:
    """A row of the store with severity, name, unit and a sentence."""
    detail = row.pop("detail", None)
    if row["kind"] == "conflict":
        text = f"{row['stream']} {row['seq']} came again with other content, the first is kept: {detail}"
        return Alert.model_validate({**row, "severity": "warning", "name": "conflict", "text": text})
    known = _FAULTS.get(row["fault"])
    if known is None:
        text = f"fault {row['fault']}, which this cloud's fault table does not have"
        return Alert.model_validate(
            {**row, "severity": "critical", "name": f"fault {row['fault']}", "text": text}
        )
    unit = _UNITS[known.limit]
    index = row["index"]
    where = f", index {index}" if index is not None and index >= 0 else ""
    text = f"{known.doc}: {row['value']} {unit} against {row['limit']} {unit}{where}"
    severity = faults.SEVERITIES[known.severity]
    return Alert.model_validate({**row, "severity": severity, "name": known.name, "unit": unit, "text": text})
