"""Serial frames of the AFE link: COBS, version, type, u16 sequence, u32 ms, payload, CRC-16/CCITT-FALSE.

    0      1     2..3      4..7     8..          last two
    [ver]  [type] [seq LE]  [ms LE]  [payload]    [crc LE]      then COBS-encoded, ended by 0x00

Nothing here allocates after construction; the inner loops are viper and bit-equal on every interpreter.
"""

import micropython
from array import array

from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

VERSION = const(1)
HEADER = const(8)
CRC = const(2)
MAX_CELLS = 32
MAX_RAW = const(128)
"""Longest frame before COBS; 32 cells need 8 + 3 + 64 + 2 bytes."""
MAX_WIRE = MAX_RAW + 2
"""After COBS (one code byte below 254 bytes of data) and the delimiter."""

FAST = 0x01
CELLS = 0x02
TEMPS = 0x03
CONFIG = 0x04
TIME = 0x05
END = 0x06
"""No payload. In lock-step it ends a tick's frames, whichever of them came."""
DUMP = 0x07
"""No payload. Asks for the journal, which comes as RECORD frames."""
ACTUATE = 0x81
LOG = 0x82
RECORD = 0x83

# Payloads, little endian, as struct formats; arrays follow where noted.
FAST_FORMAT = "<iIIBB"
"""current_ma, pack_mv, link_mv, contactor feedback bits, quality"""
CELLS_FORMAT = "<BBB"
"""first cell, cells in this frame, quality; then u16 mV each; with quality OPEN_WIRE, OPEN_CELL_MV for a cell
at an open sense wire"""
OPEN_CELL_MV = 0xFFFF
TEMPS_FORMAT = "<BBH"
"""sensors, quality, isolation kOhm; then i16 0.1 degC each"""
CONFIG_FORMAT = "<BBBI"
"""cells in series, sensors, mode (MODE_*), random seed"""
TIME_FORMAT = "<Q"
"""UTC, ms since 1970"""
ACTUATE_FORMAT = "<IBBBBHHHHHBBI8s8s4s"
"""tick, gates, state, pump %, requests (REQUEST_*), soc 0.01 %, sigma 0.01 %, charge and discharge current
limit 0.1 A, samples kept unacknowledged, limiter of charge and of discharge, next tele seq, fault bitmap,
latched bitmap (bit = fault id), balance bitmap (bit = cell)"""
REQUEST_ZERO_CURRENT = 1
"""The contactors are about to open: take the current away now."""

MODE_FREE = 0
MODE_LOCKSTEP = 1

_POLY = 0x1021


def _crc_bytes() -> "array[int]":
    table = array("H", bytes(512))
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ _POLY if crc & 0x8000 else crc << 1
        table[byte] = crc & 0xFFFF
    return table


_TABLE = _crc_bytes()


@micropython.viper
def _crc16(buf: ptr8, n: int, table: ptr16) -> int:
    crc = 0xFFFF
    i = 0
    while i < n:
        crc = ((crc << 8) & 0xFFFF) ^ table[(crc >> 8) ^ buf[i]]
        i += 1
    return crc


def crc16(buf: "bytearray | bytes", n: int) -> int:
    """CRC-16/CCITT-FALSE (poly 0x1021, init 0xFFFF) of the first n bytes."""
    return _crc16(buf, n, _TABLE)


@micropython.viper
def _seal(raw: ptr8, wire: ptr8, table: ptr16, n: int, seq: int, ms_low: int, ms_high: int) -> int:
    # Header, CRC and COBS; ms comes in two halves, because a small int of a 32-bit MicroPython holds 31 bits.
    raw[0] = VERSION
    raw[2] = seq & 255
    raw[3] = seq >> 8
    raw[4] = ms_low & 255
    raw[5] = ms_low >> 8
    raw[6] = ms_high & 255
    raw[7] = ms_high >> 8
    crc = 0xFFFF
    code_at = 0
    i = 0
    while i < n:
        b = raw[i]
        i += 1
        crc = ((crc << 8) & 0xFFFF) ^ table[(crc >> 8) ^ b]
        if b:
            wire[i] = b
        else:
            wire[code_at] = i - code_at
            code_at = i
    raw[n] = crc & 255
    raw[n + 1] = crc >> 8
    n += 2
    while i < n:
        b = raw[i]
        i += 1
        if b:
            wire[i] = b
        else:
            wire[code_at] = i - code_at
            code_at = i
    # one byte longer than the frame, because frames are below 254 bytes
    wire[code_at] = n + 1 - code_at
    wire[n + 1] = 0
    return n + 2


class Writer:
    """Builds frames in place: put the payload into `raw` from HEADER on, `finish`, and send from `wire`."""

    def __init__(self) -> None:
        self.raw = bytearray(MAX_RAW)
        self.wire = bytearray(MAX_WIRE)
        self.seq = 0

    def finish(self, kind: int, ms_low: int, ms_high: int, n_payload: int) -> int:
        """Seal the frame; returns how many bytes of `wire` to send. `ms` comes as two 16-bit halves."""
        self.raw[1] = kind
        n = _seal(self.raw, self.wire, _TABLE, HEADER + n_payload, self.seq, ms_low, ms_high)
        self.seq = (self.seq + 1) & 0xFFFF
        return n

    def sealer(self, raw: bytearray, kind: int) -> "Callable[[int, int], int]":
        """`finish` for one kind of frame, bound once for the safety tick; its payload lies in `raw`."""
        raw[1] = kind
        bound = (_seal, raw, self.wire, _TABLE, len(raw) - CRC, array("H", [self.seq]))

        @micropython.native
        def finish(ms_low: int, ms_high: int) -> int:
            seal, raw, wire, table, n, seq = bound
            at = seq[0]
            seq[0] = (at + 1) & 0xFFFF
            return seal(raw, wire, table, n, at, ms_low, ms_high)

        return finish


# What a Reader knows, in words.
AT = const(0)
"""Bytes of the source consumed."""
SIZE = const(1)
"""End of the payload of the frame just found, in `raw`."""
BAD_COBS = const(2)
BAD_LENGTH = const(3)
BAD_CRC = const(4)
BAD_VERSION = const(5)
_FILL = const(6)  # bytes in `raw`
_WORDS = const(7)


@micropython.viper
def _gather(src: ptr8, raw: ptr8, words: ptr32, n: int) -> int:
    # Bytes up to the next delimiter; how many it ended, 0 when it has not come. A frame too long is cut off.
    at = words[AT]
    fill = words[_FILL]
    while at < n:
        b = src[at]
        at += 1
        if b:
            if fill < MAX_RAW + 1:
                raw[fill] = b
            fill += 1
        elif fill:
            words[AT] = at
            words[_FILL] = 0
            return fill
    words[AT] = at
    words[_FILL] = fill
    return 0


@micropython.viper
def _check(raw: ptr8, words: ptr32, table: ptr16, n: int) -> int:
    # Undo COBS in place, which for frames below 254 bytes only puts back the zeros; then look whether the
    # frame can be believed. The end of its payload, or 0, and the reason is counted.
    code_at = 0
    if n <= MAX_RAW + 1:
        while code_at < n:
            code = raw[code_at]
            raw[code_at] = 0
            code_at += code
    if code_at != n:
        words[BAD_COBS] += 1
        return 0
    if n < HEADER + CRC + 1:
        words[BAD_LENGTH] += 1
        return 0
    end = n - CRC
    crc = 0xFFFF
    i = 1
    while i < end:
        crc = ((crc << 8) & 0xFFFF) ^ table[(crc >> 8) ^ raw[i]]
        i += 1
    if crc != raw[end] | raw[end + 1] << 8:
        words[BAD_CRC] += 1
        return 0
    if raw[1] != VERSION:
        words[BAD_VERSION] += 1
        return 0
    words[SIZE] = end - 1
    return end - 1


class Reader:
    """Streaming decoder. After `feed` says a frame ended, `kind`, `seq` and `raw[HEADER:size]` hold it.

    It counts what it refuses in `words`: BAD_COBS, BAD_LENGTH, BAD_CRC, BAD_VERSION.
    """

    def __init__(self) -> None:
        self._wire = bytearray(MAX_WIRE)
        self.raw = memoryview(self._wire)[1:]  # behind the first code byte of COBS
        self.words = array("i", [0] * _WORDS)

    def finder(self, src: bytearray) -> "Callable[[int], int]":
        """Bound once for the safety tick: the next frame in src[words[AT]:n], end of its payload; 0: none."""
        bound = (_gather, _check, src, self._wire, self.words, _TABLE)

        @micropython.native
        def find(n: int) -> int:
            gather, check, src, wire, words, table = bound
            while True:
                length = gather(src, wire, words, n)
                if length == 0:
                    return 0
                size = check(wire, words, table, length)
                if size:
                    return size

        return find

    def feed(self, src: "bytearray | bytes", at: int, n: int) -> int:
        """Consume src[at:n] up to the end of one frame, good or bad; returns the new `at`.

        `size` is the end of the payload in `raw` when a valid frame ended there, else 0.
        """
        words = self.words
        words[AT] = at
        words[SIZE] = 0
        length = _gather(src, self._wire, words, n)
        if length:
            _check(self._wire, words, _TABLE, length)
        return words[AT]

    @property
    def size(self) -> int:
        """End of the payload in `raw`, 0 when `feed` found no valid frame."""
        return self.words[SIZE]

    @property
    def kind(self) -> int:
        """Of the last frame."""
        return self.raw[1]

    @property
    def seq(self) -> int:
        """Of the last frame."""
        return self.raw[2] | self.raw[3] << 8

    def errors(self) -> int:
        """Frames refused so far, for whatever reason."""
        words = self.words
        return words[BAD_COBS] + words[BAD_LENGTH] + words[BAD_CRC] + words[BAD_VERSION]
