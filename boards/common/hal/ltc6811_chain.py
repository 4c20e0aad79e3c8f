"""A daisy chain of LTC6811-1 behind SPI or an LTC6820; allocates nothing after `__init__`.

Commands, register groups and PEC-15 (x^15 + x^14 + x^10 + x^8 + x^7 + x^4 + x^3 + 1 from 16, shifted
left by one): LTC6811-1 data sheet rev. C, "Error Checking", tables 36 to 38. A read brings the
nearest chip's group first, a write sends the farthest chip's first.
"""

import micropython

from array import array

TYPE_CHECKING = False
if TYPE_CHECKING:
    from machine import SPI, Pin

GROUP = 6
FRAME = GROUP + 2

WRCFGA, RDCFGA = 0x001, 0x002
RDCVA, RDCVB, RDCVC, RDCVD = 0x004, 0x006, 0x008, 0x00A
RDAUXA, RDAUXB = 0x00C, 0x00E
RDSTATA, RDSTATB = 0x010, 0x012
CLRCELL, CLRAUX, CLRSTAT = 0x711, 0x712, 0x713
# conversions in the 7 kHz mode (MD = 10), discharge not permitted meanwhile (DCP = 0)
ADCVAX = 0x46F | 0x100
ADCVSC = 0x467 | 0x100
ADAX = 0x460 | 0x100
ADOW_UP = 0x228 | 0x100 | 0x040
ADOW_DOWN = 0x228 | 0x100
CVST = 0x207 | 0x100 | 0x020

SELF_TEST = 0x9555
"""What every cell reads after CVST (self test 1, 7 kHz)."""

_READS = (RDCFGA, RDCVA, RDCVB, RDCVC, RDCVD, RDAUXA, RDAUXB, RDSTATA, RDSTATB)
_ORDERS = (CLRCELL, CLRAUX, CLRSTAT, ADCVAX, ADCVSC, ADAX, ADOW_UP, ADOW_DOWN, CVST)


def _table() -> "array[int]":
    table = array("H", [0] * 256)
    for i in range(256):
        pec = i << 7
        for _ in range(8):
            pec = (pec << 1 ^ 0x4599) if pec & 0x4000 else pec << 1
        table[i] = pec & 0x7FFF
    return table


PEC15 = _table()


@micropython.viper
def pec15(buf: ptr8, at: int, n: int, table: ptr16) -> int:
    """The two PEC bytes over buf[at : at + n], as they are sent: the first one in the high byte."""
    pec = 16
    end = at + n
    while at < end:
        pec = (pec << 8 ^ table[(pec >> 7 ^ buf[at]) & 0xFF]) & 0x7FFF
        at += 1
    return pec << 1


@micropython.viper
def unchain(dst: ptr8, src: ptr8, n: int, table: ptr16) -> int:
    """dst = the groups of n chips from an answer, without command and PECs; 0 when a PEC is wrong."""
    at = 4
    to = 0
    while n > 0:
        pec = 16
        end = at + 6
        while at < end:
            data = src[at]
            dst[to] = data
            pec = (pec << 8 ^ table[(pec >> 7 ^ data) & 0xFF]) & 0x7FFF
            at += 1
            to += 1
        if src[at] != pec >> 7 or src[at + 1] != pec << 1 & 0xFF:
            return 0
        at += 2
        n -= 1
    return 1


@micropython.viper
def spread(dst: ptr16, src: ptr8, group: int, n: int, first: int, last: int) -> int:
    """Readings 3 group .. 3 group + 2 of each of n chips into dst, 12 to a chip.

    0 when one of a cell in use was not converted; the chips have `first` cells, the last one `last`.
    """
    good = 1
    chip = 0
    at = 0
    while chip < n:
        count = last if chip == n - 1 else first
        cell = 3 * group
        end = cell + 3
        while cell < end:
            reading = src[at] | src[at + 1] << 8
            if reading == 0xFFFF and cell < count:
                good = 0
            dst[12 * chip + cell] = reading
            at += 2
            cell += 1
        chip += 1
    return good


@micropython.viper
def millivolts(dst: ptr16, to: int, src: ptr16, at: int, n: int):
    """dst[to : to + n] = src[at : at + n] from 100 uV to mV, rounded."""
    i = 0
    while i < n:
        dst[to + i] = (src[at + i] + 5) // 10
        i += 1


@micropython.viper
def open_wires(up: ptr16, down: ptr16, at: int, n: int, step: int) -> int:
    """Cells (bit = cell) of one chip with an open wire, from its n readings with pull-up and pull-down.

    Data sheet, "Open-Wire Check": with the wire of C(n) open cell n + 1 reads lower by `step` and more
    with pull-up than with pull-down; C0 shows as a first cell at zero with pull-up, the topmost one as a
    last cell at zero (12 cells) or lower by `step` (fewer) with pull-down.
    """
    found = 0
    i = 1
    while i < n:
        if up[at + i] + step < down[at + i]:
            found |= 3 << (i - 1)
        i += 1
    if up[at] == 0:
        found |= 1
    top = at + n - 1
    if down[top] == 0 or down[top] + step < up[top]:
        found |= 1 << (n - 1)
    return found


@micropython.viper
def beyond(src: ptr8, at: int, n: int) -> int:
    """Cells (bit = cell) with a UV or OV flag, two bits a cell from byte `at` on."""
    found = 0
    i = 0
    while i < n:
        if src[at + (i >> 2)] >> 2 * (i & 3) & 3:
            found |= 1 << i
        i += 1
    return found


def _command(code: int, n: int) -> bytearray:
    # command, its PEC, and n bytes of clock for the answer
    frame = bytearray(b"\xff" * (4 + n))
    frame[0] = code >> 8
    frame[1] = code & 0xFF
    pec = pec15(frame, 0, 2, PEC15)
    frame[2] = pec >> 8
    frame[3] = pec & 0xFF
    return frame


class Chain:
    """`n` chips; `read` leaves its answer in `data`: GROUP bytes a chip, the nearest one first.

    `bad` counts answers with a wrong PEC.
    """

    def __init__(self, spi: "SPI", cs: "Pin", n: int) -> None:
        self._spi = spi
        self._cs = cs
        self.n = n
        self.bad = 0
        self.data = bytearray(GROUP * n)
        self._answer = bytearray(4 + FRAME * n)
        self._reads = {code: _command(code, FRAME * n) for code in _READS}
        self._orders = {code: _command(code, 0) for code in _ORDERS}
        self._config = _command(WRCFGA, FRAME * n)
        self._dummy = bytearray(1)
        cs.value(1)

    def wake(self) -> None:
        """A pulse for each chip: after 4.3 ms of silence their ports are idle."""
        for _ in range(self.n):
            self._cs.value(0)
            self._spi.write(self._dummy)
            self._cs.value(1)

    def order(self, code: int) -> None:
        """Send a command without data."""
        self._cs.value(0)
        self._spi.write(self._orders[code])
        self._cs.value(1)

    def read(self, code: int) -> bool:
        """Read a register group of every chip into `data`; False, and counted, when a PEC is wrong."""
        answer = self._answer
        self._cs.value(0)
        self._spi.write_readinto(self._reads[code], answer)
        self._cs.value(1)
        if unchain(self.data, answer, self.n, PEC15):
            return True
        self.bad += 1
        return False

    def configure(self, config: bytearray) -> None:
        """Write the configuration groups: GROUP bytes a chip, the nearest one first."""
        frame = self._config
        for chip in range(self.n):
            at = 4 + FRAME * (self.n - 1 - chip)
            for i in range(GROUP):
                frame[at + i] = config[GROUP * chip + i]
            pec = pec15(frame, at, GROUP, PEC15)
            frame[at + 6] = pec >> 8
            frame[at + 7] = pec & 0xFF
        self._cs.value(0)
        self._spi.write(frame)
        self._cs.value(1)

    def longer(self) -> bool:
        """Whether one more chip answers behind the last; for the start only, allocates."""
        n = 4 + FRAME * (self.n + 1)
        answer = bytearray(n)
        self._cs.value(0)
        self._spi.write_readinto(_command(RDCFGA, n - 4), answer)
        self._cs.value(1)
        pec = pec15(answer, n - FRAME, GROUP, PEC15)
        return answer[n - 2] == pec >> 8 and answer[n - 1] == pec & 0xFF
