"""What the journal does byte by byte: CRC-32 (IEEE 802.3) as a seal, copies, the search for what is blank.

Nothing allocates. The viper code works in halves of 16 bits, so it is the same on 32 and 64 bits. CPython,
where such loops are slow, has its own ways; the tests hold them against these.
"""

import micropython
import sys
from array import array

_POLY_LOW = 0x8320
_POLY_HIGH = 0xEDB8


def _nibbles() -> "array[int]":
    table = array("H", bytes(64))  # low half and high half of each of the 16 remainders
    for nibble in range(16):
        low = nibble
        high = 0
        for _ in range(4):
            odd = low & 1
            low = low >> 1 | (high & 1) << 15
            high >>= 1
            if odd:
                low ^= _POLY_LOW
                high ^= _POLY_HIGH
        table[2 * nibble] = low
        table[2 * nibble + 1] = high
    return table


_TABLE = _nibbles()
_crc = array("H", [0, 0])


@micropython.viper
def _crc32_halves(buf: ptr8, at: int, n: int, table: ptr16, out: ptr16):
    low = 0xFFFF
    high = 0xFFFF
    end = at + n
    while at < end:
        low ^= buf[at]
        at += 1
        turn = 0
        while turn < 2:
            i = (low & 15) << 1
            low = (low >> 4 | (high & 15) << 12) ^ table[i]
            high = (high >> 4) ^ table[i + 1]
            turn += 1
    out[0] = low ^ 0xFFFF
    out[1] = high ^ 0xFFFF


def portable_crc32(buf: "bytearray | bytes", at: int, n: int, out: "array[int]") -> None:
    """CRC-32 of buf[at:at+n] into out[0] (low half) and out[1] (high half)."""
    _crc32_halves(buf, at, n, _TABLE, out)


def seal(buf: bytearray, at: int, n: int) -> None:
    """Write the CRC-32 of buf[at:at+n] into the four bytes before it, little endian."""
    crc32(buf, at, n, _crc)
    buf[at - 4] = _crc[0] & 255
    buf[at - 3] = _crc[0] >> 8
    buf[at - 2] = _crc[1] & 255
    buf[at - 1] = _crc[1] >> 8


def sealed(buf: bytearray, at: int, n: int) -> bool:
    """Whether `seal` wrote what stands before buf[at:at+n]."""
    crc32(buf, at, n, _crc)
    return _crc[0] == buf[at - 4] | buf[at - 3] << 8 and _crc[1] == buf[at - 2] | buf[at - 1] << 8


@micropython.viper
def portable_copy8(dst: ptr8, to: int, src: ptr8, at: int, n: int):
    """dst[to:to+n] = src[at:at+n]."""
    i = 0
    while i < n:
        dst[to + i] = src[at + i]
        i += 1


@micropython.viper
def fill8(dst: ptr8, at: int, end: int, value: int):
    """dst[at:end] = value."""
    while at < end:
        dst[at] = value
        at += 1


@micropython.viper
def portable_used(buf: ptr8, at: int, end: int) -> int:
    """End of what is not 0xFF in buf[at:end]; `at` when all of it is."""
    while end > at and buf[end - 1] == 255:
        end -= 1
    return end


crc32 = portable_crc32
copy8 = portable_copy8
used = portable_used
if sys.implementation.name != "micropython":
    import binascii

    def _crc32(buf: "bytearray | bytes", at: int, n: int, out: "array[int]") -> None:
        value: int = binascii.crc32(memoryview(buf)[at : at + n])  # pyright: ignore[reportUnknownMemberType]
        out[0] = value & 0xFFFF
        out[1] = value >> 16

    def _copy8(dst: bytearray, to: int, src: "bytearray | bytes | memoryview", at: int, n: int) -> None:
        memoryview(dst)[to : to + n] = memoryview(src)[at : at + n]

    def _used(buf: bytearray, at: int, end: int) -> int:
        return at + len(bytes(buf[at:end]).rstrip(b"\xff"))

    crc32 = _crc32
    copy8 = _copy8
    used = _used
