"""Bounded store-and-forward of one stream: encoded samples in a preallocated ring, freed only by an `/ack`.

A sample is `live` until it was sent once or passed over, after that it belongs to the history, which is sent
again, oldest first, while it is not acknowledged. Nothing allocates after construction.

    ring:  tail ... live ... head       record:  u16 length, u8 marks, u8 sent, then the encoded sample
"""

import micropython
from array import array
from micropython import const

_HEADER = const(4)

# marks of a record
_SENT = const(1)  # left at least once; `sent` says when, in units of 256 ms modulo 2^16 ms
_FREED = const(2)  # acknowledged, waits for older ones to be freed
_ASKED = const(4)  # named as a gap: due whatever its age

_ASK_AGAIN = const(8)
"""Units of 256 ms: a gap named this soon after it was sent is on its way, report and re-send crossed."""

# what _mark does
_FREE = const(0)
_ASK = const(1)
_SEND = const(2)

# what _span looks for
_GONE = const(0)
_DUE = const(1)
_RESTS = const(2)
_ANY = const(3)

_OUT_AT = const(0)  # offset behind the last record of a span
_OUT_BYTES = const(1)  # encoded bytes in it
_ALL = const(0xFFFFFF)


@micropython.viper
def _copy_in(ring: ptr8, size: int, at: int, src: ptr8, n: int) -> int:
    i = 0
    while i < n:
        ring[at] = src[i]
        at += 1
        if at == size:
            at = 0
        i += 1
    return at


@micropython.viper
def _mark(ring: ptr8, size: int, at: int, n: int, what: int, now: int, out: ptr32) -> int:
    """Mark n records from `at`; returns how many changed, out[0] is the offset behind them."""
    changed = 0
    while n > 0:
        n -= 1
        at1 = at + 1 if at + 1 < size else 0
        at2 = at1 + 1 if at1 + 1 < size else 0
        at3 = at2 + 1 if at2 + 1 < size else 0
        marks = ring[at2]
        before = marks
        if what == _SEND:
            marks = (marks | _SENT) & (_SENT | _FREED)
            ring[at3] = now
        elif marks & (_SENT | _FREED) == _SENT:
            # only what was sent can have been stored, or be missed
            if what == _FREE:
                marks |= _FREED
            elif (now - ring[at3]) & 255 >= _ASK_AGAIN:
                marks |= _ASKED
        if marks != before:
            ring[at2] = marks
            changed += 1
        at += _HEADER + ring[at] + (ring[at1] << 8)
        if at >= size:
            at -= size
    out[0] = at
    return changed


@micropython.viper
def _span(
    ring: ptr8, size: int, at: int, n: int, what: int, room: int, now: int, due: int, out: ptr32
) -> int:
    """How many records in a row from `at`, at most n and `room` bytes, are `what`; out: offset, bytes."""
    count = 0
    total = 0
    while count < n:
        at1 = at + 1 if at + 1 < size else 0
        at2 = at1 + 1 if at1 + 1 < size else 0
        at3 = at2 + 1 if at2 + 1 < size else 0
        marks = ring[at2]
        is_due = 0
        if marks & _FREED == 0:
            if marks & (_SENT | _ASKED) != _SENT:
                is_due = 1
            elif (now - ring[at3]) & 255 >= due:
                is_due = 1
        if what == _GONE:
            if marks & _FREED == 0:
                break
        elif what == _DUE:
            if is_due == 0:
                break
        elif what == _RESTS:
            if is_due:
                break
        length = ring[at] + (ring[at1] << 8)
        if total + length > room:
            break
        total += length
        at += _HEADER + length
        if at >= size:
            at -= size
        count += 1
    out[0] = at
    out[1] = total
    return count


@micropython.viper
def _gather(ring: ptr8, size: int, at: int, n: int, dst: ptr8, to: int):
    """Copy the encoded samples of n records to dst[to:], one after another."""
    while n > 0:
        n -= 1
        at1 = at + 1 if at + 1 < size else 0
        length = ring[at] + (ring[at1] << 8)
        at += _HEADER
        if at >= size:
            at -= size
        while length > 0:
            dst[to] = ring[at]
            to += 1
            at += 1
            if at == size:
                at = 0
            length -= 1


class Outbox:
    """The samples of one stream that the cloud has not acknowledged.

    `next_seq` is the seq of the next sample, `pending` counts those kept, `dropped` those that a full store
    gave up before they were acknowledged. `pick_*` choose a message: `seq`, `n` samples, `n_bytes`.
    """

    def __init__(self, size: int = 16_384) -> None:
        self._ring = bytearray(size)
        self._header = bytearray(_HEADER)
        self._out = array("i", [0, 0])
        self._used = 0
        self._tail = 0
        self._tail_seq = 0
        self._head = 0
        self._live = 0
        self._live_seq = 0
        self._hist = 0
        self._hist_seq = 0
        self._picked = 0
        self.next_seq = 0
        self.pending = 0
        self.dropped = 0
        self.seq = 0
        self.n = 0
        self.n_bytes = 0

    @property
    def waiting(self) -> int:
        """Samples that wait to be sent live."""
        return self.next_seq - self._live_seq

    def append(self, encoded: "bytes | bytearray", n: int) -> int:
        """Keep encoded[:n] as the newest sample, dropping the oldest ones as needed; returns its seq.

        Raises ValueError when it is larger than the whole store.
        """
        size = len(self._ring)
        if n + _HEADER > size or n > 0xFFFF:
            raise ValueError("outbox: a sample of %d bytes, the store has %d" % (n, size))
        while size - self._used < n + _HEADER:
            self._drop()
        header = self._header
        header[0] = n & 255
        header[1] = n >> 8
        self._head = _copy_in(self._ring, size, self._head, header, _HEADER)
        self._head = _copy_in(self._ring, size, self._head, encoded, n)
        self._used += n + _HEADER
        self.pending += 1
        self.next_seq += 1
        return self.next_seq - 1

    def _drop(self) -> None:
        size = len(self._ring)
        if not _span(self._ring, size, self._tail, 1, _GONE, _ALL, 0, 0, self._out):
            _span(self._ring, size, self._tail, 1, _ANY, _ALL, 0, 0, self._out)
            self.dropped += 1
            self.pending -= 1
        self._cut(1, self._out[_OUT_AT])

    def _cut(self, n: int, at: int) -> None:
        # the tail moves up by n records to `at`; nothing may point below it
        size = len(self._ring)
        self._used -= at - self._tail if at > self._tail else at - self._tail + size
        self._tail = at
        self._tail_seq += n
        if self._live_seq < self._tail_seq:
            self._live, self._live_seq = at, self._tail_seq
        if self._hist_seq < self._tail_seq:
            self._hist, self._hist_seq = at, self._tail_seq

    def pass_over(self) -> None:
        """Leave what waits to be sent live to the history, which sends it without waiting for an age."""
        self._live, self._live_seq = self._head, self.next_seq
        self.rewind()

    def rewind(self) -> None:
        """Let the history begin again with the oldest sample."""
        self._hist, self._hist_seq = self._tail, self._tail_seq

    def pick_live(self, most: int, room: int, now_ms: int) -> int:
        """Choose up to `most` new samples, in order, of at most `room` encoded bytes; returns how many."""
        count = self.next_seq - self._live_seq
        return self._pick(self._live, self._live_seq, min(count, most), room, now_ms, 0)

    def pick_hist(self, most: int, room: int, now_ms: int, age_ms: int) -> int:
        """Choose up to `most` samples in a row that were passed over, named in a gap, or sent at least
        `age_ms` (at most 60 s) ago and not acknowledged; 0 at the end of a pass, `rewind` begins the next.
        """
        size = len(self._ring)
        now = (now_ms >> 8) & 255
        due = min(age_ms, 60_000) >> 8
        count = self._live_seq - self._hist_seq
        rests = _span(self._ring, size, self._hist, count, _RESTS, _ALL, now, due, self._out)
        self._hist = self._out[_OUT_AT]
        self._hist_seq += rests
        return self._pick(self._hist, self._hist_seq, min(count - rests, most), room, now_ms, due)

    def _pick(self, at: int, seq: int, most: int, room: int, now_ms: int, due: int) -> int:
        now = (now_ms >> 8) & 255
        self.n = _span(self._ring, len(self._ring), at, most, _DUE, room, now, due, self._out)
        self.n_bytes = self._out[_OUT_BYTES]
        self.seq = seq
        self._picked = at
        return self.n

    def gather(self, dst: bytearray, at: int) -> None:
        """Copy the picked samples to dst[at : at + n_bytes]."""
        _gather(self._ring, len(self._ring), self._picked, self.n, dst, at)

    def sent(self, now_ms: int) -> None:
        """The picked samples are on their way."""
        _mark(self._ring, len(self._ring), self._picked, self.n, _SEND, (now_ms >> 8) & 255, self._out)
        at = self._out[_OUT_AT]
        if self.seq == self._live_seq:
            self._live, self._live_seq = at, self.seq + self.n
        if self.seq == self._hist_seq:
            self._hist, self._hist_seq = at, self.seq + self.n

    def ack(self, upto: int, gaps: "list[list[int]]", now_ms: int) -> bool:
        """Free what is below `upto` (exclusive) except the gaps ([from, to] inclusive, ascending).

        What lies in a gap is kept and sent again. Nothing that never was sent is freed. Returns False, and
        changes nothing, when the acknowledgement contradicts itself or what exists.
        """
        if not self._plausible(upto, gaps):
            return False
        now = (now_ms >> 8) & 255
        at, seq = self._tail, self._tail_seq
        asked = 0
        for first, last in gaps:
            at, seq, _ = self._sweep(at, seq, first, _FREE, now)
            at, seq, changed = self._sweep(at, seq, last + 1, _ASK, now)
            asked += changed
        self._sweep(at, seq, upto, _FREE, now)
        size = len(self._ring)
        count = self.next_seq - self._tail_seq
        gone = _span(self._ring, size, self._tail, count, _GONE, _ALL, 0, 0, self._out)
        if gone:
            self._cut(gone, self._out[_OUT_AT])
        if asked:
            self.rewind()
        return True

    def _plausible(self, upto: int, gaps: "list[list[int]]") -> bool:
        if not 0 <= upto <= self.next_seq:
            return False
        end = 0
        for first, last in gaps:
            if not end <= first <= last < upto:
                return False
            end = last + 1
        return True

    def _sweep(self, at: int, seq: int, end: int, what: int, now: int) -> "tuple[int, int, int]":
        if end <= seq:
            return at, seq, 0
        changed = _mark(self._ring, len(self._ring), at, end - seq, what, now, self._out)
        if what == _FREE:
            self.pending -= changed
        return self._out[_OUT_AT], end, changed
