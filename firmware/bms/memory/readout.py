"""Read-out of journals over a narrow line: raw records in pieces, oldest first, one journal after another.

A piece is: length of the record, offset of this piece in it, then its bytes. Two zeros end the read-out.
Records are as they lie in the NVM, without their padding; `trips.parse` takes them.
"""

from bms.memory.crc import copy8
from bms.memory.records import RECORD_HEAD, Records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.memory.journal import Journal

PIECE_HEAD = 2
MAX_PIECE = 110


class Readout:
    """Reads `journals` piece by piece. Allocates nothing after construction."""

    def __init__(self, journals: "tuple[Journal, ...]") -> None:
        self._journals = journals
        self.records = Records()
        self._journal = len(journals)
        self._n: int = 0
        self._at: int = 0
        self._over = True

    def start(self) -> None:
        """Begin, or begin anew."""
        self._journal = 0
        self._n = self._at = 0
        self._over = False
        self._journals[0].rewind(self.records)

    def next_record(self) -> int:
        """Go to the next record, which then is records.page[start:start+n]; n, 0 when there is none."""
        while self._journal < len(self._journals):
            if self.records.next():
                return RECORD_HEAD + self.records.n
            self._journal += 1
            if self._journal < len(self._journals):
                self._journals[self._journal].rewind(self.records)
        return 0

    def next_frame(self, buf: bytearray) -> int:
        """The next piece into buf, which has room for at least MAX_PIECE; its length, 0 when all is out."""
        if self._over:
            return 0
        if self._at == self._n:
            self._at = 0
            self._n = self.next_record()
        n = min(self._n - self._at, MAX_PIECE - PIECE_HEAD)
        buf[0] = self._n
        buf[1] = self._at
        copy8(buf, PIECE_HEAD, self.records.page, self.records.start + self._at, n)
        self._at += n
        self._over = self._n == 0
        return PIECE_HEAD + n


class Assembly:
    """The other end: puts pieces together. `records` holds what has come, `complete` whether it is all."""

    def __init__(self) -> None:
        self.records: "list[bytes]" = []
        self.complete = False
        self._open = b""

    def take(self, piece: bytes) -> None:
        """One piece, in the order of sending; a record of which a piece was lost is left out."""
        n, at = piece[0], piece[1]
        if n == 0:
            self.complete = True
        elif at == len(self._open) or at == 0:
            self._open = (self._open if at else b"") + piece[PIECE_HEAD:]
            if len(self._open) == n:
                self.records.append(self._open)
                self._open = b""
