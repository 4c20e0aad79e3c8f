"""Journal records as Python objects, for people and programs at a desk: nothing here runs on the tick's side.

Works on every interpreter; allocates.
"""

import struct

from bms.memory.blackbox import (
    FRAME_BYTES, FRAME_FORMAT, FRAME_NAMES, TRIP_FORMAT, TRIP_HEAD, TRIP_NAMES,
)  # fmt: skip
from bms.memory.crc import copy8, fill8
from bms.memory.kinds import FRAME, TRIP
from bms.memory.layout import SECTOR
from bms.memory.records import PAGE, RECORD_HEAD, Records, Ring, is_record
from bms.sample import TICK_MS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from bms.contract import Nvm


class RecordError(ValueError):
    """Bytes that are no record, or a record that is not what its kind says; the message names both."""


def records(nvm: "Nvm", base: int, n_sectors: int) -> "Iterator[tuple[int, int, bytes]]":
    """(kind, seq, payload) of every record of the journal at byte `base`, oldest first."""
    walk = Records()
    ring = Ring(nvm, base, n_sectors)
    walk.begin(ring, ring.newest, ring.number)
    while walk.next():
        yield walk.kind, walk.seq, bytes(walk.page[walk.at : walk.at + walk.n])


def parse(raw: bytes) -> "tuple[int, int, bytes]":
    """(kind, seq, payload) of one raw record, as read-out gives it. Raises RecordError."""
    if not RECORD_HEAD <= len(raw) <= PAGE:
        raise RecordError("a record of %d bytes, it must have %d..%d" % (len(raw), RECORD_HEAD, PAGE))
    page = bytearray(PAGE)
    page[: len(raw)] = raw
    if not is_record(page, 0) or RECORD_HEAD + raw[7] > len(raw):
        raise RecordError("a record of %d bytes has a bad CRC" % len(raw))
    return raw[6], struct.unpack_from("<I", raw, 8)[0], raw[RECORD_HEAD : RECORD_HEAD + raw[7]]


def trip(payload: bytes) -> "dict[str, object]":
    """A trip record by the names of blackbox.TRIP_NAMES, with `cell_mv`, a list. Raises RecordError."""
    if len(payload) < TRIP_HEAD or len(payload) != TRIP_HEAD + 2 * payload[TRIP_HEAD - 1]:
        raise RecordError("a trip record of %d bytes does not fit its number of cells" % len(payload))
    values = struct.unpack_from(TRIP_FORMAT, payload)
    found: "dict[str, object]" = dict(zip(TRIP_NAMES, values))  # noqa: B905  MicroPython has no strict
    n_cells = payload[TRIP_HEAD - 1]
    found["cell_mv"] = list(struct.unpack_from("<%dH" % n_cells, payload, TRIP_HEAD))
    return found


def frame(payload: bytes) -> "dict[str, object]":
    """A frame record by the names of blackbox.FRAME_NAMES. Raises RecordError."""
    if len(payload) != FRAME_BYTES:
        raise RecordError("a frame record of %d bytes, it must have %d" % (len(payload), FRAME_BYTES))
    values = struct.unpack_from(FRAME_FORMAT, payload)
    return dict(zip(FRAME_NAMES, values))  # noqa: B905


class Incident:
    """What happened around one trip: its trips and frames in the order of time.

    `tick` is of the first trip; a frame's `offset_ms` counts from there.
    """

    def __init__(self, boot: int, number: int) -> None:
        self.boot = boot
        self.number = number
        self.tick = 0
        self.trips: "list[dict[str, object]]" = []
        self.frames: "list[dict[str, object]]" = []


def incidents(entries: "Iterable[tuple[int, int, bytes]]") -> "list[Incident]":
    """Incidents, oldest first, from (kind, seq, payload) in any order. Raises RecordError."""
    found: "dict[tuple[int, int], Incident]" = {}
    for kind, _seq, payload in sorted(entries, key=lambda entry: entry[1]):
        if kind != TRIP and kind != FRAME:
            continue
        row = trip(payload) if kind == TRIP else frame(payload)
        boot, number = struct.unpack_from("<IH", payload)
        tick: int = row["tick"]  # pyright: ignore[reportAssignmentType]
        incident = found.get((boot, number))
        if incident is None:
            incident = found[(boot, number)] = Incident(boot, number)
        if kind == TRIP:
            if not incident.trips:
                incident.tick = tick
            incident.trips.append(row)
        else:
            row["offset_ms"] = (tick - incident.tick) * TICK_MS
            incident.frames.append(row)
    # what the ring has overwritten in part has frames, but not what tripped
    return [incident for incident in found.values() if incident.trips]


def fault_ids(bitmap: bytes) -> "list[int]":
    """Ids whose bit is set."""
    return [i for i in range(8 * len(bitmap)) if bitmap[i >> 3] & 1 << (i & 7)]


class Image:
    """A file's bytes as an NVM that is only read."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read(self, addr: int, buf: bytearray) -> None:
        """Fill buf from addr on; what lies behind the end reads as erased."""
        n = max(0, min(len(buf), self.size - addr))
        copy8(buf, 0, self._data, addr, n)
        fill8(buf, n, len(buf), 0xFF)

    def program(self, addr: int, data: "bytes | bytearray") -> None:
        """Never."""
        raise ValueError("an image of %d sectors is only read" % (self.size // SECTOR))

    def erase(self, addr: int) -> None:
        """Never."""
        raise ValueError("an image of %d sectors is only read" % (self.size // SECTOR))
