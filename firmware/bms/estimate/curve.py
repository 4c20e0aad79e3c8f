"""Open-circuit voltage of an ageing cell: where a cell rests, told its voltage and the lithium it has lost.

Active material that both electrodes lose alike leaves OCV(SoC) as it was. Lost lithium shifts the electrodes
against each other and bends the curve, on NMC by up to ten points of SoC when a fifth of the capacity is
gone: whoever reads an aged cell's SoC from a fresh cell's curve finds capacities wrong by tens of percent. So
the block of shifts, made on a desk from the half-cell curves, tells how far the curve moves.
Integers only, nothing allocated after construction.
"""

from array import array

from bms.estimate import ecm


COLUMNS = 129
STEP_CPCT = 1000
"""Capacity lost by lithium, 0.01 %, from row to row of the shifts; the first row is that of one step."""
_MAGIC = 0x4D53


def load_shift(block: "bytes | bytearray") -> "array[int]":
    """Shifts of the open-circuit voltage in 1/16 mV from a block. Raises ValueError naming what is wrong.

    The block is little endian: magic, rows, Fletcher's sum over what follows, then the rows of COLUMNS signed
    16-bit words.
    """
    if len(block) < 6 or block[0] | block[1] << 8 != _MAGIC:
        raise ValueError("shift block of %d bytes does not begin as one" % len(block))
    rows = block[2] | block[3] << 8
    if rows < 1 or len(block) != 6 + 2 * COLUMNS * rows:
        raise ValueError("shift block of %d rows has %d bytes" % (rows, len(block)))
    check = fletcher(block, 6)
    if check != block[4] | block[5] << 8:
        raise ValueError("shift block: checksum is %d, must be %d" % (block[4] | block[5] << 8, check))
    words = array("h", [0] * (COLUMNS * rows))
    for i in range(len(words)):
        word = block[6 + 2 * i] | block[7 + 2 * i] << 8
        words[i] = word - 65536 if word > 32767 else word
    return words


def fletcher(block: "bytes | bytearray", first: int) -> int:
    """Fletcher's sum over block[first:]."""
    low = high = 1
    for i in range(first, len(block)):
        low = (low + block[i]) % 255
        high = (high + low) % 255
    return high << 8 | low


class Curve:
    """The curve at one temperature: `rest_16mv` (1/16 mV) of the fresh cell over COLUMNS equal steps of SoC,
    `gap_16mv` half the gap of its hysteresis, `ratio_q14` the capacity there over the nominal one."""

    def __init__(self, tab: "array[int]", shift: "array[int] | None") -> None:
        self._tab = tab
        self._shift = shift if shift else array("h")
        self._rows = len(self._shift) // COLUMNS
        self.rest_16mv = array("i", [0] * COLUMNS)
        self.ratio_q14 = 1 << ecm.RATIO_Q
        self._gap = ecm.HEAD + tab[ecm.W_ROWS] * (4 + COLUMNS + 3 * ((1 << ecm.R_BITS) + 1))

    @property
    def ages(self) -> bool:
        """Whether it is known how the curve bends."""
        return self._rows > 0

    def at(self, temp_dc: int) -> None:
        """Take the curve of `temp_dc`."""
        tab = self._tab
        rows = tab[ecm.W_ROWS]
        above = temp_dc + 1000
        row = 0
        while row < rows - 2 and above >= tab[ecm.HEAD + row + 1]:
            row += 1
        first = tab[ecm.HEAD + row]
        weight = min(256, max(0, (above - first) * 256 // (tab[ecm.HEAD + row + 1] - first)))
        i = ecm.HEAD + rows + row
        self.ratio_q14 = tab[i] + ((tab[i + 1] - tab[i]) * weight >> 8)
        i = ecm.HEAD + 4 * rows + row * COLUMNS
        base = tab[ecm.W_BASE_MV] << 4
        for k in range(COLUMNS):
            low = tab[i + k]
            word = low * 256 + (tab[i + k + COLUMNS] - low) * weight
            # 2^-22 V to 1/16 mV: 16000 / 2^22
            self.rest_16mv[k] = base + ((word >> 4) * 125 >> 11)

    def gap_16mv(self, soc_cpct: int) -> int:
        """Half the gap of the hysteresis."""
        k = min(COLUMNS - 1, max(0, soc_cpct * (COLUMNS - 1) // 10_000))
        return self._tab[self._gap + k] * 125 >> 7

    def copy(self, other: "Curve") -> None:
        """Take another one's temperature."""
        for k in range(COLUMNS):
            self.rest_16mv[k] = other.rest_16mv[k]
        self.ratio_q14 = other.ratio_q14

    def soc(self, rest_16mv: int, lost_cpct: int) -> int:
        """SoC in 0.01 % of a cell that rests at `rest_16mv` and has lost `lost_cpct` of its capacity by
        lithium; 0 or 10000 beyond the ends."""
        low = 0
        high = COLUMNS - 1
        if rest_16mv <= self._at(low, lost_cpct):
            return 0
        if rest_16mv >= self._at(high, lost_cpct):
            return 10_000
        while high - low > 1:
            middle = low + high >> 1
            if self._at(middle, lost_cpct) <= rest_16mv:
                low = middle
            else:
                high = middle
        first = self._at(low, lost_cpct)
        span = max(1, self._at(high, lost_cpct) - first)
        return (low * 10_000 + (rest_16mv - first) * 10_000 // span) // (COLUMNS - 1)

    def _at(self, k: int, lost_cpct: int) -> int:
        v = self.rest_16mv[k]
        if not self._rows or lost_cpct <= 0:
            return v
        shift = self._shift
        row = min(self._rows, lost_cpct // STEP_CPCT)
        below = shift[(row - 1) * COLUMNS + k] if row else 0
        if row == self._rows:
            return v + below
        above = shift[row * COLUMNS + k]
        return v + below + (above - below) * (lost_cpct - row * STEP_CPCT) // STEP_CPCT
