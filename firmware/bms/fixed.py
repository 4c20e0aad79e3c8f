"""Integer helpers that are bit-equal on CPython, bytecode and viper, on 32 and 64 bits.

None allocates. A pointer argument takes any buffer: bytes, bytearray or array.
"""

import micropython


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
def get_i32(src: ptr8, at: int) -> int:
    """Little-endian signed 32 bits at byte `at`, saturated to +-2^30 so that it fits a small int."""
    low = src[at] | src[at + 1] << 8
    high = src[at + 2] | src[at + 3] << 8
    if high & 0x8000:
        high -= 0x10000
    if high > 0x3FFF:
        high = 0x3FFF
        low = 0xFFFF
    if high < -0x4000:
        high = -0x4000
        low = 0
    return high * 0x10000 + low


@micropython.viper
def get_16s(dst: ptr16, first: int, src: ptr8, at: int, n: int):
    """dst[first:first+n] = n little-endian 16-bit items from byte `at` of src."""
    i = 0
    while i < n:
        dst[first + i] = src[at] | src[at + 1] << 8
        at += 2
        i += 1


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
