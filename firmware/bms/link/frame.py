"""Serial frames of the AFE link: COBS, version, type, u16 sequence, u32 ms, payload, CRC-16/CCITT-FALSE.

    0      1     2..3      4..7     8..          last two
    [ver]  [type] [seq LE]  [ms LE]  [payload]    [crc LE]      then COBS-encoded, ended by 0x00

Nothing here allocates after construction; the inner loops are viper and bit-equal on every interpreter.
"""

import micropython
from array import array

VERSION = 1
HEADER = 8
CRC = 2
MAX_CELLS = 32
MAX_RAW = 128
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
def _cobs_encode(src: ptr8, n: int, dst: ptr8) -> int:
    code_at = 0
    code = 1
    out = 1
    i = 0
    while i < n:
        b = src[i]
        i += 1
        if b:
            dst[out] = b
            out += 1
            code += 1
        if b == 0 or code == 255:
            dst[code_at] = code
            code_at = out
            out += 1
            code = 1
    dst[code_at] = code
    dst[out] = 0
    return out + 1


@micropython.viper
def _put_u32(dst: ptr8, at: int, low: int, high: int):
    # two 16-bit halves, because a small int of a 32-bit MicroPython holds 31 bits
    dst[at] = low & 255
    dst[at + 1] = (low >> 8) & 255
    dst[at + 2] = high & 255
    dst[at + 3] = (high >> 8) & 255


class Writer:
    """Builds frames in place: put the payload into `raw` from HEADER on, then `finish`."""

    def __init__(self) -> None:
        self.raw = bytearray(MAX_RAW)
        self.wire = bytearray(MAX_WIRE)
        self.seq = 0

    @micropython.native
    def finish(self, kind: int, ms_low: int, ms_high: int, n_payload: int) -> int:
        """Seal the frame; returns how many bytes of `wire` to send. `ms` comes as two 16-bit halves."""
        raw = self.raw
        n = HEADER + n_payload
        raw[0] = VERSION
        raw[1] = kind
        raw[2] = self.seq & 255
        raw[3] = self.seq >> 8
        _put_u32(raw, 4, ms_low, ms_high)
        crc = _crc16(raw, n, _TABLE)
        raw[n] = crc & 255
        raw[n + 1] = crc >> 8
        self.seq = (self.seq + 1) & 0xFFFF
        return _cobs_encode(raw, n + CRC, self.wire)


# decoder state words
_FILL = 0  # bytes in the frame buffer
_LEFT = 1  # data bytes left in the current COBS block
_ZERO = 2  # a zero is due before the next block
_BAD = 3  # skip to the delimiter: too long or malformed
_LENGTH = 4  # out: decoded bytes of the frame just ended, 0 none, -1 malformed


@micropython.viper
def _scan(src: ptr8, at: int, n: int, dst: ptr8, size: int, state: ptr32) -> int:
    fill = state[0]
    left = state[1]
    zero = state[2]
    bad = state[3]
    state[4] = 0
    while at < n:
        b = src[at]
        at += 1
        if b == 0:
            if bad or left:
                state[4] = 0 - 1
            else:
                state[4] = fill
            fill = 0
            left = 0
            zero = 0
            bad = 0
            break
        if bad:
            continue
        if left == 0:
            if zero:
                if fill >= size:
                    bad = 1
                    continue
                dst[fill] = 0
                fill += 1
            left = b - 1
            zero = 0 if b == 255 else 1
        else:
            if fill >= size:
                bad = 1
                continue
            dst[fill] = b
            fill += 1
            left -= 1
    state[0] = fill
    state[1] = left
    state[2] = zero
    state[3] = bad
    return at


class Reader:
    """Streaming decoder. After `feed` says a frame ended, `kind`, `seq` and `raw[HEADER:size]` hold it.

    Counts what it refuses: `bad_cobs`, `bad_length`, `bad_crc`, `bad_version`.
    """

    def __init__(self) -> None:
        self.raw = bytearray(MAX_RAW)
        self.kind = 0
        self.seq = 0
        self.size = 0
        self.bad_cobs = 0
        self.bad_length = 0
        self.bad_crc = 0
        self.bad_version = 0
        self._state = array("i", [0] * 5)

    @micropython.native
    def feed(self, src: "bytearray | bytes", at: int, n: int) -> int:
        """Consume src[at:n] up to the end of one frame; returns the new `at`.

        `size` is the end of the payload in `raw` when a valid frame ended there, else 0.
        """
        raw = self.raw
        self.size = 0
        at = _scan(src, at, n, raw, MAX_RAW, self._state)
        length = self._state[_LENGTH]
        if length == 0:
            return at
        if length < 0:
            self.bad_cobs += 1
        elif length < HEADER + CRC:
            self.bad_length += 1
        else:
            end = length - CRC
            if _crc16(raw, end, _TABLE) != raw[end] | raw[end + 1] << 8:
                self.bad_crc += 1
            elif raw[0] != VERSION:
                self.bad_version += 1
            else:
                self.kind = raw[1]
                self.seq = raw[2] | raw[3] << 8
                self.size = end
        return at

    def errors(self) -> int:
        """Frames refused so far, for whatever reason."""
        return self.bad_cobs + self.bad_length + self.bad_crc + self.bad_version
