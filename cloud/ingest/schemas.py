"""What passes between the parts of the ingest: messages in, acknowledgements and changes out."""

from dataclasses import dataclass, field
from typing import Any

from bms.tables import signals
from bms.tables.signals import STREAMS

from cloud.ingest.decode import Address, Birth, BlackBox, Sample, Samples, State


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it came. `body` is None for poison, whose reason is then given."""

    topic: str
    payload: bytes
    arrival_ms: int
    retained: bool
    address: Address | None
    body: Birth | State | Samples | BlackBox | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AckKey:
    """Whom an acknowledgement is for."""

    tenant: str
    site: str
    pack: str
    boot_id: int
    stream: str


@dataclass(frozen=True, slots=True)
class Ack:
    """Every seq below `upto` is stored, except `gaps` (both ends inclusive)."""

    upto: int
    gaps: tuple[tuple[int, int], ...]
    urgent: bool


@dataclass(frozen=True, slots=True)
class Change:
    """Something to show on live pages: a pack, or newly stored live samples of it."""

    tenant: str
    pack: str
    kind: str
    """pack, tele, cells or evt"""
    boot_id: int = 0
    offset_ms: int = 0
    samples: tuple[tuple[int, Sample], ...] = ()
    """With their seq, which need not be consecutive."""


@dataclass
class Outcome:
    """What a committed batch led to."""

    acks: dict[AckKey, Ack] = field(default_factory=lambda: {})
    changes: list[Change] = field(default_factory=lambda: [])
    stored: int = 0
    duplicates: int = 0
    conflicts: int = 0
    poison: int = 0


def boot_text(boot_id: int) -> str:
    """A boot_id as the store and the API write it: 16 hex digits, which sort by boot counter."""
    return f"{boot_id:016x}"


def ack_payload(key: AckKey, ack: Ack) -> dict[int, Any]:
    """The map that goes to the pack's `/ack`."""
    return {
        signals.STREAM: STREAMS.index(key.stream),
        signals.BOOT_ID: key.boot_id,
        signals.UPTO: ack.upto,
        signals.GAPS: [list(gap) for gap in ack.gaps],
    }
