"""Reading a journal: how sectors and records look in the NVM, and a walk over them, oldest first.

    sector:  "CKJ1"  crc32  u32 number  0xFFFFFFFF      numbers go up by one round the ring
    record:  mark  magic  crc32  kind  length  u32 seq  payload  0xFF up to a multiple of 16

CRCs cover what follows them. Everything is little endian. A record lies inside one page. Its mark is the
last thing that is written, by a program of its own: before that it is torn and passed over, after that a
bad CRC is damage. The boot after goes on behind what is torn; damage just there is not told from it.
"""

from bms.memory.crc import copy8, fill8, seal, sealed, used
from bms.memory.layout import PAGE, SECTOR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.contract import Nvm

SECTOR_MAGIC = b"CKJ1"
SECTOR_HEAD = 16
RECORD_HEAD = 12
RECORD_MAGIC = 0xCB
ALIGN = 16
MAX_PAYLOAD = PAGE - SECTOR_HEAD - RECORD_HEAD
"""So that a record fits into the first page of a sector, too."""
BLANK = 0xFF


def size_of(n: int) -> int:
    """Bytes that a record with n bytes of payload takes."""
    return (RECORD_HEAD + n + ALIGN - 1) & -ALIGN


def is_record(page: bytearray, at: int) -> int:
    """Size of the whole record at `at` of a page, marked or not; 0 when there is none."""
    end = at + RECORD_HEAD + page[at + 7]
    if page[at + 1] != RECORD_MAGIC or end > PAGE or not sealed(page, at + 6, end - at - 6):
        return 0
    return size_of(page[at + 7])


def seal_record(page: bytearray, kind: int, n: int, seq: int) -> None:
    """Complete the record, all but its mark, whose n bytes of payload stand in `page` at RECORD_HEAD."""
    page[0] = BLANK
    page[1] = RECORD_MAGIC
    page[6] = kind
    page[7] = n
    _put_u32(page, 8, seq)
    seal(page, 6, RECORD_HEAD - 6 + n)
    fill8(page, RECORD_HEAD + n, size_of(n), BLANK)


def seal_sector(head: bytearray, number: int) -> None:
    """The head of a sector."""
    copy8(head, 0, SECTOR_MAGIC, 0, 4)
    _put_u32(head, 8, number)
    seal(head, 8, 4)
    fill8(head, 12, SECTOR_HEAD, BLANK)


def next_page(at: int) -> int:
    """Offset of the next page's start, `at` itself when it is one."""
    return (at + PAGE - 1) & -PAGE


def _put_u32(buf: bytearray, at: int, value: int) -> None:
    for i in range(4):
        buf[at + i] = value >> 8 * i & 0xFF


def _u32(buf: bytearray, at: int) -> int:
    return buf[at] | buf[at + 1] << 8 | buf[at + 2] << 16 | buf[at + 3] << 24


def sector_number(nvm: "Nvm", address: int, head: bytearray) -> int:
    """Number of the sector at an address, 0 when it has no valid head. `head` is scratch of SECTOR_HEAD."""
    nvm.read(address, head)
    for i in range(4):
        if head[i] != SECTOR_MAGIC[i]:
            return 0
    # the CRC-32 of four blank bytes is blank, too: a head cut off behind its magic would be sealed
    return _u32(head, 8) if head[11] != BLANK and sealed(head, 8, 4) else 0


class Ring:
    """Where a journal lies: n_sectors from byte address `base` on, and how to find its newest sector."""

    def __init__(self, nvm: "Nvm", base: int, n_sectors: int) -> None:
        self.nvm = nvm
        self.base = base
        self.n = n_sectors
        self.newest = n_sectors - 1
        self.number = 0
        """Of the newest sector; 0 when no sector is valid."""
        head = bytearray(SECTOR_HEAD)
        for i in range(n_sectors):
            number = sector_number(nvm, self.address(i), head)
            if number > self.number:
                self.newest = i
                self.number = number

    def address(self, sector: int) -> int:
        """Of a sector."""
        return self.base + sector * SECTOR


class Records:
    """A walk over the records of a ring. After `next` was True: `kind`, `seq` and `page[at:at+n]`.

    `start` is where the record begins in `page`, `address` where it lies in the NVM. `damaged` counts what
    was lost to something else than a power cut. Allocates nothing; a ring written to meanwhile shows some
    records late or not at all, never a wrong one.
    """

    def __init__(self) -> None:
        self.page = bytearray(PAGE)
        self._head = bytearray(SECTOR_HEAD)
        self._ring: "Ring | None" = None
        self._newest = self._number = self._turn = self._sector_at = 0
        self._page_at = SECTOR
        self._at = PAGE
        self._torn = False
        self.kind = self.seq = self.start = self.at = self.n = self.address = self.damaged = 0
        self.end = SECTOR
        """Where in the last sector walked the free room begins."""
        self.end_before = SECTOR
        """The same of the sector before."""

    def begin(self, ring: Ring, newest: int, number: int) -> None:
        """Before the oldest record of a ring whose newest sector has this number."""
        self._ring = ring
        self._newest = newest
        self._number = number
        self._turn = 0
        self._page_at = SECTOR
        self._at = PAGE
        self.damaged = 0

    def next(self) -> bool:
        """Go to the next record; False when there is none any more."""
        page = self.page
        while True:
            at = self._at
            if at + RECORD_HEAD > PAGE or used(page, at, PAGE) == at:
                if not self._next_page():
                    return False
                continue
            size = 0 if page[at] == BLANK else is_record(page, at)
            if size:
                self._torn = False
                self._at = at + size
                self._take(at)
                return True
            if page[at] == BLANK or self._torn:
                self._torn = True
                self._at = at + ALIGN
            else:
                self.damaged += 1
                self._at = at + size_of(page[at + 7])

    def _take(self, at: int) -> None:
        page = self.page
        self.start = at
        self.kind = page[at + 6]
        self.n = page[at + 7]
        self.seq = _u32(page, at + 8)
        self.at = at + RECORD_HEAD
        self.address = self._sector_at + self._page_at + at

    def _next_page(self) -> bool:
        ring = self._ring
        if ring is None:
            return False
        if self._page_at < SECTOR:
            last = used(self.page, 0, PAGE)
            if last:  # a record can end in 0xFF
                end = max(min(self._at, PAGE), (last + ALIGN - 1) & -ALIGN)
                self.end = self._page_at + end
            self._page_at += PAGE
        if self._page_at >= SECTOR and not self._next_sector(ring):
            return False
        ring.nvm.read(self._sector_at + self._page_at, self.page)
        self._at = SECTOR_HEAD if self._page_at == 0 else 0
        self._torn = False
        return True

    def _next_sector(self, ring: Ring) -> bool:
        while self._turn < ring.n:
            self._turn += 1
            self.end_before = self.end
            self.end = SECTOR
            sector = (self._newest + self._turn) % ring.n
            self._sector_at = ring.address(sector)
            expected = self._number - ring.n + self._turn
            if expected > 0 and sector_number(ring.nvm, self._sector_at, self._head) == expected:
                self._page_at = 0
                return True
            if (self._turn > 1 or self._at_rest(ring)) and not is_blank(ring, sector, 0, self.page):
                self.damaged += 1
        self._ring = None
        return False

    def _at_rest(self, ring: Ring) -> bool:
        # while the newest sector waits, empty, for its first record, the oldest is not being erased
        return self._number > 0 and is_blank(ring, self._newest, SECTOR_HEAD, self.page)


def is_blank(ring: Ring, sector: int, at: int, page: bytearray) -> bool:
    """Whether a sector holds only 0xFF from offset `at` of its first page on. `page` is scratch."""
    for page_at in range(0, SECTOR, PAGE):
        ring.nvm.read(ring.address(sector) + page_at, page)
        if used(page, at, PAGE) > at:
            return False
        at = 0
    return True
