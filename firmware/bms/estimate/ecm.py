"""Equivalent-circuit tables of a cell type as the device reads them: one block of unsigned 16-bit words.

Made on a desk from a cell file (`cloud/twin/device_tables.py`). SoC runs over 2^k equal intervals, so that a
place in a table is a shift away; a row belongs to a temperature. Resistances are given as volts at 1C
(resistance times capacity), so that neither the cell's size nor the number in parallel matters.
"""

from array import array


MAGIC = 0x4D45
VERSION = 1

OCV_BITS = 7
R_BITS = 5

# words of the head; the tables follow in the order of `words_needed`
W_MAGIC = 0
W_VERSION = 1
W_ROWS = 2
W_KNEE = 3
"""Voltage at which v1 bends, 2^-15 V: v1 tends to knee asinh(i R1 / knee); 0: straight."""
W_BASE_MV = 5
"""OCV words count from here in 2^-14 V."""
W_HYST_SOC = 6
"""SoC over which the hysteresis settles, 2^-16."""
W_CHECK = 7
HEAD = 8
ASINH_COLUMNS = 65

RATIO_Q = 14
"""Capacity at a row's temperature over the nominal one, 2^-14."""


def words_needed(rows: int) -> int:
    """Length of the block. Per row: temperature (0.1 degC plus 1000, rising), capacity ratio, tau1, tau2
    (0.1 s), OCV, R0, R1, R2 (2^-15 V at 1C); once: hysteresis (2^-14 V),
    asinh of 0, 1/4, .. 16 (2^-12)."""
    ocv = (1 << OCV_BITS) + 1
    r = (1 << R_BITS) + 1
    return HEAD + rows * (4 + ocv + 3 * r) + ocv + ASINH_COLUMNS


def checksum(words: "array[int]") -> int:
    """Fletcher's sum over all words but the one that holds it."""
    low = high = 1
    for i in range(len(words)):
        if i != W_CHECK:
            low = (low + (words[i] & 0xFF) + (words[i] >> 8)) % 255
            high = (high + low) % 255
    return high << 8 | low


def load(block: "bytes | bytearray") -> "array[int]":
    """The words of a block. Raises ValueError naming what is wrong."""
    if len(block) < 2 * HEAD or len(block) % 2:
        raise ValueError("ECM block has %d bytes, it needs more and an even number" % len(block))
    words = array("H", [0] * (len(block) // 2))
    for i in range(len(words)):
        words[i] = block[2 * i] | block[2 * i + 1] << 8
    if words[W_MAGIC] != MAGIC or words[W_VERSION] != VERSION:
        raise ValueError("ECM block has magic %d version %d" % (words[W_MAGIC], words[W_VERSION]))
    rows = words[W_ROWS]
    if rows < 2 or len(words) != words_needed(rows):
        raise ValueError("ECM block of %d rows has %d words" % (rows, len(words)))
    for i in range(HEAD + 1, HEAD + rows):
        if words[i] <= words[i - 1]:
            raise ValueError("ECM block: temperatures must rise, row %d does not" % (i - HEAD))
    if words[W_CHECK] != checksum(words):
        raise ValueError("ECM block: checksum is %d, must be %d" % (words[W_CHECK], checksum(words)))
    return words
