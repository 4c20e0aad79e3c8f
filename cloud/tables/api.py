"""The tables as the firmware has them, so that no page types a label, a unit or a limit again."""

from typing import Any

from bms.tables import faults, limiters, params, signals
from fastapi import APIRouter
from pydantic import BaseModel

router = APIRouter(tags=["tables"])


class Tables(BaseModel):
    """One list a table, one entry a row; enumerations as lists of names by value."""

    schema_id: int
    signals: list[dict[str, Any]]
    params: list[dict[str, Any]]
    faults: list[dict[str, Any]]
    limiters: list[dict[str, Any]]
    states: list[str]
    charge_phases: list[str]
    gates: dict[str, int]
    chemistries: list[str]
    utc_sources: list[str]


def _fault(row: faults.Fault) -> dict[str, Any]:
    return {
        **row._asdict(),
        "when": faults.WHENS[row.when],
        "group": faults.GROUPS[row.group],
        "latch": faults.LATCHES[row.latch],
        "action": faults.ACTIONS[row.action],
        "severity": faults.SEVERITIES[row.severity],
        "compare": "above" if row.compare == faults.ABOVE else "below",
    }


def _param(row: params.Param) -> dict[str, Any]:
    presets = {
        name: dict(
            zip(("default", "envelope_low", "envelope_high"), params.preset(row.name, at), strict=True)
        )
        for at, name in enumerate(params.CHEMISTRIES)
    }
    return {**vars(row), "presets": presets}


@router.get("/tables", summary="Signals, parameters, faults and states as firmware and cloud share them")
def get_tables() -> Tables:
    return Tables(
        schema_id=signals.SCHEMA,
        signals=[vars(row) for row in signals.SIGNALS],
        params=[_param(row) for row in params.PARAMS],
        faults=[_fault(row) for row in faults.FAULTS],
        limiters=[vars(row) for row in limiters.LIMITERS],
        states=list(signals.STATES),
        charge_phases=list(signals.CHARGE_PHASES),
        gates={name[5:].lower(): bit for name, bit in vars(signals).items() if name.startswith("GATE_")},
        chemistries=list(params.CHEMISTRIES),
        utc_sources=list(signals.UTC_SOURCES),
    )
