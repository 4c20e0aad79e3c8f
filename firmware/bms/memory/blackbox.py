"""The black box: what tripped, and what was measured 2 s before and 1 s after, in a journal of its own.

Frames are kept all the time in a ring in RAM, one a period of 100 ms. A trip begins an incident: a trip
record with every cell, then the frames around it. Trips that follow while its frames are being taken belong
to the same incident. Nothing allocates after construction.
"""

import struct
from array import array

from bms.fixed import copy16
from bms.memory.crc import copy8
from bms.memory.kinds import FRAME, TRIP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.memory.journal import Journal
    from bms.sample import Snapshot

BEFORE = 20
"""Frames, and so periods, before the one that first knows of the trip."""
AFTER = 10
_RING = BEFORE + AFTER + 2
_MOST_TRIPS = 3
MAX_CELLS = 32

FRAME_FORMAT = "<IHhIiIIHHhhHHHBBBB8s"
"""boot number, incident, periods after the one that knows of the trip, tick, current mA, pack mV, link mV,
cells mV (min, max), sensors 0.1 degC (min, max), isolation kOhm, soc 0.01 %, current limit 0.1 A, state,
gates, known groups (bit 0 FAST, 1 CELLS, 2 TEMPS), limiter, fault bitmap"""
FRAME_NAMES = (
    "boot", "incident", "offset", "tick", "current_ma", "pack_mv", "link_mv", "cell_min_mv", "cell_max_mv",
    "temp_min_dc", "temp_max_dc", "isolation_kohm", "soc_cpct", "current_limit_da", "state", "gates", "known",
    "limiter", "faults",
)  # fmt: skip
FRAME_BYTES = 50

TRIP_FORMAT = "<IHIIBhiiHHBBBB8s8sB"
"""boot number, incident, tick, device ms, fault id, cell or sensor, value, limit, age of the sample ms, soc
0.01 %, state, gates, limiter, cause of the boot, hash of the parameters, fault bitmap, cells; then u16 mV
each"""
TRIP_NAMES = (
    "boot", "incident", "tick", "device_ms", "fault", "index", "value", "limit", "age_ms", "soc_cpct",
    "state", "gates", "limiter", "boot_cause", "params_hash", "faults", "n_cells",
)  # fmt: skip
TRIP_HEAD = 50
_TRIP_BYTES = TRIP_HEAD + 2 * MAX_CELLS


class BlackBox:
    """Takes frames and trips of one boot and has them stored in a journal of kinds.BLACKBOX_KINDS.

    boot: its number; cause: of the boot, 0..255; params_hash: 8 bytes. `lost` counts trips and frames for
    which there was no room; `incidents` those whose frames are all handed over.
    """

    def __init__(self, journal: "Journal", boot: int, cause: int, params_hash: bytes) -> None:
        self._journal = journal
        self._boot = boot
        self._cause = cause
        self._hash = params_hash
        self._frames = bytearray(_RING * FRAME_BYTES)
        self._frame = bytearray(FRAME_BYTES)
        self._taken = 0
        self._next = 0  # frame to store next, counted as `_taken` is
        self._end = 0  # behind the last one of this incident
        self._trip_at = 0
        self._trips = [bytearray(_TRIP_BYTES) for _ in range(_MOST_TRIPS)]
        self._trip_n = bytearray(_MOST_TRIPS)
        self._first_trip = 0
        self._n_trips = 0
        self._cells = array("H", bytes(2 * MAX_CELLS))
        self.lost = 0
        self.incidents = 0
        stored = journal.last(TRIP)
        self.incident = 0 if stored is None else struct.unpack_from("<H", stored, 4)[0]
        """Number of the newest incident; goes on over reboots, modulo 2^16."""

    @property
    def busy(self) -> bool:
        """Whether something of an incident is not handed over yet."""
        return self._n_trips > 0 or self._next < self._end

    def frame(self, snapshot: "Snapshot", soc_cpct: int, current_limit_da: int, limiter: int) -> None:
        """Take a frame; once a period, after the trips of that period."""
        known = snapshot.fast_known | snapshot.cells_known << 1 | snapshot.temps_known << 2
        struct.pack_into(
            FRAME_FORMAT, self._frames, self._taken % _RING * FRAME_BYTES,
            self._boot, 0, 0, snapshot.tick, snapshot.current_ma, max(0, snapshot.pack_mv),
            max(0, snapshot.link_mv), snapshot.cell_min_mv, snapshot.cell_max_mv, snapshot.temp_min_dc,
            snapshot.temp_max_dc, snapshot.isolation_kohm, soc_cpct, current_limit_da, snapshot.state,
            snapshot.gates, known, limiter, snapshot.faults,
        )  # fmt: skip
        self._taken += 1

    def trip(
        self, snapshot: "Snapshot", tick: int, device_ms: int, fault: int, index: int, value: int, limit: int,
        age_ms: int, soc_cpct: int, limiter: int,
    ) -> None:  # fmt: skip
        """A protection tripped: when, its row, cell or sensor (-1: none), value, limit, age of the sample."""
        if not self.busy:
            self.incident = (self.incident + 1) & 0xFFFF
            self._trip_at = self._taken
            self._next = max(0, self._trip_at - BEFORE)
            self._end = self._trip_at + AFTER + 1
        if self._n_trips == _MOST_TRIPS:
            self.lost += 1
            return
        at = (self._first_trip + self._n_trips) % _MOST_TRIPS
        self._n_trips += 1
        n_cells = min(len(snapshot.cell_mv), MAX_CELLS)
        record = self._trips[at]
        struct.pack_into(
            TRIP_FORMAT, record, 0, self._boot, self.incident, tick, device_ms, fault, index, value, limit,
            min(max(age_ms, 0), 0xFFFF), soc_cpct, snapshot.state, snapshot.gates, limiter, self._cause,
            self._hash, snapshot.faults, n_cells,
        )  # fmt: skip
        copy16(self._cells, snapshot.cell_mv, n_cells)
        for i in range(n_cells):
            record[TRIP_HEAD + 2 * i] = self._cells[i] & 255
            record[TRIP_HEAD + 2 * i + 1] = self._cells[i] >> 8
        self._trip_n[at] = TRIP_HEAD + 2 * n_cells

    def step(self) -> None:
        """Hand the next trip or frame to the journal, when it has a place; once a turn of the main loop."""
        journal = self._journal
        if self._n_trips and not journal.waiting(TRIP):
            at = self._first_trip
            journal.append(TRIP, self._trips[at], self._trip_n[at])
            self._first_trip = (at + 1) % _MOST_TRIPS
            self._n_trips -= 1
        if self._next < min(self._taken, self._end) and not journal.waiting(FRAME):
            late = self._taken - _RING - self._next
            if late > 0:  # the main loop hung, and the ring came round
                late = min(late, self._end - self._next)
                self.lost += late
                self._next += late
            if self._next < self._end:
                self._store_frame()
            if self._next == self._end:
                self.incidents += 1

    def _store_frame(self) -> None:
        copy8(self._frame, 0, self._frames, self._next % _RING * FRAME_BYTES, FRAME_BYTES)
        struct.pack_into("<Hh", self._frame, 4, self.incident, self._next - self._trip_at)
        self._journal.append(FRAME, self._frame, FRAME_BYTES)
        self._next += 1
