"""Integer helpers that are bit-equal on CPython, bytecode and viper, on 32 and 64 bits.

None allocates. A pointer argument takes any buffer: bytes, bytearray or array.

Where a call must cost little, a viper function takes `address(buffer)` as an int and says `ptr32(it)`
itself: MicroPython then converts one small int, where a pointer argument costs a look-up of the buffer. The
buffer must stay referenced for as long; MicroPython's heap does not move.
"""

import micropython
from array import array

try:
    from uctypes import addressof as address
except ImportError:  # at a desk
    from bms.desk import address

__all__ = ("address", "copy16", "get_16s", "get_u16", "interpolate", "inverse", "root", "word", "words_of")


def words_of(values: "list[int]") -> bytearray:
    """32-bit words as bytes, for viper to look at and for C to compare."""
    return bytearray(array("i", values))


@micropython.viper
def word(words: ptr32, i: int) -> int:
    """The word at index i; not for negative ones."""
    return words[i]


@micropython.viper
def copy16(dst: ptr16, src: ptr16, n: int):
    """dst[0:n] = src[0:n], 16-bit items."""
    i = 0
    while i < n:
        dst[i] = src[i]
        i += 1


@micropython.viper
def get_u16(src: ptr8, at: int) -> int:
    """Little-endian unsigned 16 bits at byte `at`."""
    return src[at] | src[at + 1] << 8


@micropython.viper
def get_16s(dst: ptr16, first: int, src: ptr8, at: int, n: int):
    """dst[first:first+n] = n little-endian 16-bit items from byte `at` of src."""
    i = 0
    while i < n:
        dst[first + i] = src[at] | src[at + 1] << 8
        at += 2
        i += 1


@micropython.viper
def root(n: int) -> int:
    """The whole square root of n; 0 below 0."""
    if n <= 0:
        return 0
    x = 1
    rest = n
    while rest > 0:
        rest >>= 2
        x <<= 1
    rest = x + n // x >> 1
    while rest < x:
        x = rest
        rest = x + n // x >> 1
    return x


def interpolate(table: "tuple[int, ...]", x: int, x_step: int) -> int:
    """y(x) on a table with equidistant x = 0, x_step, 2 x_step, ...; clamped at both ends."""
    if x <= 0:
        return table[0]
    i = x // x_step
    if i >= len(table) - 1:
        return table[-1]
    return table[i] + (table[i + 1] - table[i]) * (x - i * x_step) // x_step


def inverse(table: "tuple[int, ...]", y: int, x_step: int) -> int:
    """x with y(x) = y on a strictly increasing table as for `interpolate`; clamped at both ends."""
    if y <= table[0]:
        return 0
    last = len(table) - 1
    if y >= table[last]:
        return last * x_step
    i = 0
    while table[i + 1] <= y:
        i += 1
    return i * x_step + (y - table[i]) * x_step // (table[i + 1] - table[i])
