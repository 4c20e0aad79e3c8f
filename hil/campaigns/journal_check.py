"""What must hold of a journal after a power cut, told from the NVM's bytes alone."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

from bms.memory import trips
from bms.memory.journal import Journal
from bms.memory.kinds import STATE_KINDS, Kind
from bms.memory.layout import PAGE, SECTOR
from bms.memory.records import Records, Ring, is_blank


@dataclass(frozen=True)
class Area:
    """Where a journal lies."""

    first_sector: int
    n_sectors: int
    kinds: tuple[Kind, ...] = STATE_KINDS

    def journal(self, nvm: trips.Image) -> Journal:
        """As a boot finds it."""
        return Journal(nvm, self.first_sector, self.n_sectors, self.kinds)


@dataclass
class Found:
    """What a boot finds, and where the cut had come."""

    last: dict[int, bytes | None]
    records: list[tuple[int, int, bytes]]
    damaged: int
    torn: bool
    """A record without its mark."""
    half_erased: bool


def look(data: bytes, area: Area) -> Found:
    """What a boot on these bytes finds in the journal of an area."""
    image = trips.Image(data)
    journal = area.journal(image)
    base = area.first_sector * SECTOR
    records = list(trips.records(image, base, area.n_sectors))
    last = {row.id: journal.last(row.id) for row in area.kinds if row.state}
    return Found(last, records, journal.damaged, _torn(image, area), _half_erased(image, area))


def _torn(image: trips.Image, area: Area) -> bool:
    # the newest record ends where nothing follows in its page, else something torn does
    walk = Records()
    ring = Ring(image, area.first_sector * SECTOR, area.n_sectors)
    walk.begin(ring, ring.newest, ring.number)
    end = 0
    while walk.next():
        end = walk.address + -(-(12 + walk.n) // 16) * 16
    rest = bytearray(PAGE)
    image.read(end, rest)
    until = -end % PAGE or PAGE
    return any(byte != 0xFF for byte in rest[:until])


def _half_erased(image: trips.Image, area: Area) -> bool:
    ring = Ring(image, area.first_sector * SECTOR, area.n_sectors)
    oldest = (ring.newest + 1) % ring.n
    head = bytearray(4)
    image.read(ring.address(oldest), head)
    return bytes(head) != b"CKJ1" and not is_blank(ring, oldest, 0, bytearray(PAGE))


def judge(
    found: Found, allowed: Mapping[int, Container[bytes | None]], written: Container[tuple[int, bytes]]
) -> list[str]:
    """What is wrong: a state that is none of those allowed, a record that was never written, damage."""
    problems = [
        f"kind {kind}: found {_hex(found.last[kind])}, which is none of {values}"
        for kind, values in allowed.items()
        if found.last[kind] not in values
    ]
    problems += [
        f"record {seq} of kind {kind} was never written: {_hex(payload)}"
        for kind, seq, payload in found.records
        if (kind, payload) not in written
    ]
    if found.damaged:
        problems.append(f"{found.damaged} records or sectors are reported as damaged after a mere power cut")
    return problems


def _hex(payload: bytes | None) -> str:
    return "nothing" if payload is None else payload[:16].hex() or "an empty payload"
