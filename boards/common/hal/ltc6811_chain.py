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
        for chip in range(self.n):
            at = 4 + FRAME * chip
            pec = pec15(answer, at, GROUP, PEC15)
            if answer[at + 6] != pec >> 8 or answer[at + 7] != pec & 0xFF:
                self.bad += 1
                return False
            to = GROUP * chip
            for i in range(GROUP):
                self.data[to + i] = answer[at + i]
        return True

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
