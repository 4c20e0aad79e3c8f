"""What the demo found: samples sent and stored, SoC error, faults; asked of the cloud over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hil.cloud_process import CloudProcess

_UNKNOWN_SIGMA = 0.5


@dataclass(frozen=True)
class Counts:
    """Samples of one pack over all its streams."""

    sent: int
    stored: int
    lost: int
    duplicated: int


def missing_below(stream: dict[str, Any], sent: int) -> int:
    """How many of seq 0..sent-1 the cloud does not have, by its integrity row of one stream."""
    lost: set[int] = set(range(min(int(stream["min_seq"]), sent))) | set(
        range(int(stream["max_seq"]) + 1, sent)
    )
    for first, last in stream["gaps"]:
        lost |= set(range(int(first), min(int(last) + 1, sent)))
    return len(lost)


def count(integrity: dict[str, Any], tele_sent: int) -> Counts:
    """Counts from /integrity. `tele_sent` is the board's own count; others count to their newest seq."""
    sent = stored = duplicated = 0
    tele_seen = False
    for stream in integrity["streams"]:
        is_tele = stream["stream"] == "tele"
        tele_seen |= is_tele
        n = tele_sent if is_tele else int(stream["max_seq"]) + 1
        sent += n
        stored += n - missing_below(stream, n)
        duplicated += int(stream["stored"]) - int(stream["distinct"]) + int(stream["conflicts"])
    if not tele_seen:
        sent += tele_sent
    return Counts(sent, stored, sent - stored, duplicated)


def soc_mae_points(cloud: CloudProcess, pack: str, from_ms: int) -> float | None:
    """Mean absolute error of the board's SoC against the posted reference, in points; None without both."""
    history = cloud.get(f"packs/{pack}/history", **{"from": str(from_ms)}, fields="soc,soc_sigma")
    columns: dict[str, list[float | None]] = history["columns"]
    nothing: list[float | None] = [None] * len(columns.get("soc", []))
    errors = [
        abs(soc - reference) * 100
        for soc, sigma, reference in zip(
            columns.get("soc", nothing),
            columns.get("soc_sigma", nothing),
            columns.get("soc_reference", nothing),
            strict=True,
        )
        if soc is not None and reference is not None and (sigma is None or sigma < _UNKNOWN_SIGMA)
    ]
    return sum(errors) / len(errors) if errors else None


def fault_names(cloud: CloudProcess, pack: str) -> list[str]:
    """Names of the faults that the pack has reported."""
    alerts: list[dict[str, Any]] = cloud.get("alerts", pack_id=pack)["alerts"]
    return sorted({str(alert["name"]) for alert in alerts if alert["kind"] == "fault"})
