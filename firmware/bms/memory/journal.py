"""A power-fail-safe journal in NVM: records in a ring of sectors, worn evenly (records.py has the layout).

A record is written by two programs: all of it but its mark, read back, then the mark. So a power cut leaves
it whole or passed over. The sector after the one in use is kept erased. When it is taken into use, the
newest record of each state kind is first carried out of the oldest sector, then that sector's head is
zeroed, then it is erased: nothing that counts is ever in one place only that is being erased, and a sector
half erased is never mistaken for one that is in use.

Wear: flash stands 100,000 erases a sector. At one charge record a minute (32 bytes; 144 with all that an
estimator may keep) a sector is full after 127 (16) minutes, so a ring of 8 comes round 1.4 (11) times a day:
190 (24) years. The black box takes 2.1 kB an incident: 28 fit into its 16 sectors, which last for 3 million.
"""

from bms.memory.crc import copy8, fill8
from bms.memory.kinds import FORGIVE, STATE_KINDS
from bms.memory.layout import PAGE, SECTOR
from bms.memory.records import (
    ALIGN, BLANK, MAX_PAYLOAD, RECORD_HEAD, SECTOR_HEAD,
    Records, Ring, is_record, next_page, seal_record, seal_sector, sector_number, size_of,
)  # fmt: skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.contract import Nvm
    from bms.memory.kinds import Kind

_CARRY, _RETIRE, _ERASE, _HEAD, _READY, _FULL = range(6)
"""What is to be done with the oldest sector; _FULL: nothing can be, the flash is worn out."""
_WAITS, _WRITTEN = 1, 2  # the latter: all but its mark
_NOWHERE = -1

# One for every journal: what stands in them counts only within one call.
_scratch = bytearray(PAGE)
_whole = memoryview(_scratch)
# prefixes of the scratch, because a slice would allocate
_prefix: "list[bytearray]" = [_whole[:n] for n in range(0, PAGE + 1, ALIGN)]  # pyright: ignore[reportAttributeAccessIssue, reportAssignmentType]
_head = bytearray(SECTOR_HEAD)
_ZEROS = bytes(SECTOR_HEAD)
_MARK = bytes(1)


class Journal:
    """A journal of `kinds` over n_sectors (at least 2) from first_sector on; finds what was stored before.

    `append` puts a payload into its kind's one waiting place, `step` does one operation of the NVM. Nothing
    allocates after construction. `committed` counts records stored, `refused` those for which there was no
    place, `failed` programs and erases that the NVM did not do, `damaged` what start-up found unreadable
    though no power cut explains it.
    """

    def __init__(
        self, nvm: "Nvm", first_sector: int, n_sectors: int, kinds: "tuple[Kind, ...]" = STATE_KINDS
    ) -> None:
        if n_sectors < 2:
            raise ValueError("journal: %d sectors, it must be at least 2" % n_sectors)
        for row in kinds:
            if row.size > MAX_PAYLOAD:
                raise ValueError("journal: %s has %d bytes, at most %d" % (row.name, row.size, MAX_PAYLOAD))
        self.kinds = kinds
        self.committed = self.refused = self.failed = self.damaged = 0
        self._nvm = nvm
        self._index = {kinds[i].id: i for i in range(len(kinds))}
        self._slot = [bytearray(row.size) for row in kinds]
        self._n = bytearray(len(kinds))
        self._waits = bytearray(len(kinds))
        self._newest = [_NOWHERE] * len(kinds)
        self._writing = _NOWHERE  # index of the kind whose record waits for its mark
        self._mark_at = 0
        self._scan(Ring(nvm, first_sector * SECTOR, n_sectors))

    def _scan(self, ring: Ring) -> None:
        records = Records()
        records.begin(ring, ring.newest, ring.number)
        self._seq = 1
        while records.next():
            if records.kind == FORGIVE:
                records.damaged = 0
            i = self._index.get(records.kind, _NOWHERE)
            if i != _NOWHERE:
                self._newest[i] = records.address
            self._seq = records.seq + 1
        self.damaged = records.damaged
        if records.end == SECTOR_HEAD:  # the newest sector waits for its first record
            ring.newest = (ring.newest - 1) % ring.n
            ring.number -= 1
            self._at = records.end_before
            self._phase = _READY
        else:
            self._at = records.end
            self._phase = _CARRY
        self._ring = ring

    # -- what is asked for -----------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Whether the flash is worn out and nothing can be stored any more."""
        return self._phase == _FULL

    @property
    def blank(self) -> bool:
        """Nothing was ever stored here."""
        return self._seq == 1

    def append(self, kind: int, payload: "bytes | bytearray", n: int) -> bool:
        """Have payload[:n] stored; False when a record of a kind that is no state still waits.

        Raises KeyError for a kind that is not of this journal, ValueError when it is too long.
        """
        i = self._index[kind]
        row = self.kinds[i]
        if n > row.size:
            raise ValueError("journal: %d bytes for %s, at most %d" % (n, row.name, row.size))
        if not row.state and self.waiting(kind):
            self.refused += 1
            return False
        copy8(self._slot[i], 0, payload, 0, n)
        self._n[i] = n
        self._waits[i] = _WAITS
        return True

    def waiting(self, kind: int) -> bool:
        """Whether what was appended last of a kind is not stored yet."""
        return self._waits[self._index[kind]] != 0

    def last(self, kind: int) -> "bytes | None":
        """The newest stored payload of a kind, None when there is none. Allocates: for start-up."""
        address = self._newest[self._index[kind]]
        if address == _NOWHERE:
            return None
        self._fetch(address)
        return bytes(_scratch[RECORD_HEAD : RECORD_HEAD + _scratch[7]])

    def rewind(self, records: Records) -> None:
        """Put a walk before the oldest record."""
        spare = self._phase == _READY
        newest = self._next_sector() if spare else self._ring.newest
        records.begin(self._ring, newest, self._ring.number + spare)

    # -- the work --------------------------------------------------------------------------------

    def step(self, quiet: bool = True) -> bool:
        """One operation of the NVM, when there is one to do (program 0.7 ms, erase 40 ms); else False.

        While not `quiet`, an erase is put off for as long as there is room.
        """
        if self._mark_at:
            self._commit()
            return True
        if self.full:
            return False
        i = self._first(True)
        if i == _NOWHERE:
            if self._phase != _READY and (quiet or self._phase != _ERASE):
                self._prepare()
                return True
            i = self._first(False)
            if i == _NOWHERE:
                return False
        if self._find_room(size_of(self._n[i])):
            copy8(_scratch, RECORD_HEAD, self._slot[i], 0, self._n[i])
            if self._write(i, self._n[i]):
                self._waits[i] = _WRITTEN
        else:
            self._prepare()
        return True

    def _first(self, urgent: bool) -> int:
        i = 0
        for row in self.kinds:
            if self._waits[i] == _WAITS and (row.urgent or not urgent):
                return i
            i += 1
        return _NOWHERE

    def _find_room(self, size: int) -> bool:
        """Whether a record fits, in the next sector if need be, besides all that must be carried here."""
        at = self._fit(size)
        if self._phase == _CARRY:
            at = next_page(at + size) - size
            i = 0
            for row in self.kinds:
                if row.state and self._is_old(i):
                    at += PAGE
                i += 1
        if at + size <= SECTOR:
            return True
        if self._phase != _READY:
            return False
        self._ring.newest = self._next_sector()
        self._ring.number += 1
        self._at = SECTOR_HEAD
        self._phase = _CARRY
        return self._find_room(size)

    def _fit(self, size: int) -> int:
        return self._at if self._at % PAGE + size <= PAGE else next_page(self._at)

    def _write(self, i: int, n: int) -> bool:
        """Write a record of kind i, payload in the scratch; its mark is left for the next step."""
        size = size_of(n)
        seal_record(_scratch, self.kinds[i].id, n, self._seq)
        at = self._fit(size)
        address = self._ring.address(self._ring.newest) + at
        self._at = at + size
        record = _prefix[size // ALIGN]
        if self._program(address, record) and self._reads_back(address, record):
            self._writing = i
            self._mark_at = address
            return True
        self._at = next_page(self._at)
        return False

    def _reads_back(self, address: int, record: bytearray) -> bool:
        fill8(_scratch, 0, RECORD_HEAD, 0)
        self._nvm.read(address, record)
        if _scratch[0] == BLANK and is_record(_scratch, 0) == len(record):
            return True
        self.failed += 1
        return False

    def _commit(self) -> None:
        i = self._writing
        address = self._mark_at
        self._writing = _NOWHERE
        self._mark_at = 0
        self._seq += 1
        if self._program(address, _MARK):
            self._newest[i] = address
            self.committed += 1
            if self._waits[i] == _WRITTEN:
                self._waits[i] = 0
        else:  # once more, elsewhere
            self._at = next_page(self._at)
            if self._waits[i] == _WRITTEN:
                self._waits[i] = _WAITS

    # -- the next sector -------------------------------------------------------------------------

    def _next_sector(self) -> int:
        return (self._ring.newest + 1) % self._ring.n

    def _is_old(self, i: int) -> bool:
        """Whether the newest record of kind i lies in the sector that is to be erased."""
        offset = self._newest[i] - self._ring.address(self._next_sector())
        return 0 <= offset < SECTOR

    def _prepare(self) -> None:
        """One operation towards an erased next sector."""
        address = self._ring.address(self._next_sector())
        if self._phase == _CARRY:
            if self._carry():
                return
            self._phase = _RETIRE
        if self._phase == _RETIRE:
            self._phase = _ERASE
            if sector_number(self._nvm, address, _head):
                self._program(address, _ZEROS)
        elif self._phase == _ERASE:
            self._erase(address)
            self._phase = _HEAD
        else:
            seal_sector(_head, self._ring.number + 1)
            self._phase = _READY if self._program(address, _head) else _FULL

    def _carry(self) -> bool:
        """Write one state record that lies in the old sector anew; False when none is left there."""
        i = 0
        for row in self.kinds:
            if self._is_old(i):
                if row.state:
                    self._fetch(self._newest[i])
                    n = _scratch[7]
                    if self._fit(size_of(n)) + size_of(n) > SECTOR:
                        self._phase = _FULL
                    else:
                        self._write(i, n)
                    return True
                self._newest[i] = _NOWHERE
            i += 1
        return False

    def _fetch(self, address: int) -> None:
        """The record at an address into the scratch."""
        self._nvm.read(address, _prefix[(PAGE - address % PAGE) // ALIGN])

    def _program(self, address: int, data: "bytes | bytearray") -> bool:
        try:
            self._nvm.program(address, data)
        except (OSError, ValueError):
            self.failed += 1
            return False
        return True

    def _erase(self, address: int) -> None:
        try:
            self._nvm.erase(address)
        except (OSError, ValueError):
            self.failed += 1
