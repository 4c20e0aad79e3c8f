"""A NOR flash in RAM for the firmware's tests: its rules, and power that goes after so many bits."""

from bms.memory.crc import copy8, fill8

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SECTOR = 4096
PAGE = 256
_BLANK = b"\xff" * PAGE


class PowerCut(Exception):
    pass


class Nor:
    """`budget` bits are changed, then the power goes; -1: it never does. `spent` counts them.

    Bits of an operation change in ascending order, or at a cut any of them (`scatter(byte, bits)` says which
    of the bits that were to change did).
    """

    def __init__(self, n_sectors: int) -> None:
        self.size = n_sectors * SECTOR
        self.data = bytearray(b"\xff" * self.size)
        self.budget = -1
        self.spent = 0
        self.off = False
        self.programs = 0
        self.erases = [0] * n_sectors
        self.broken = False
        self.scatter: "Callable[[int], int] | None" = None

    def read(self, addr: int, buf: bytearray) -> None:
        assert 0 <= addr and addr + len(buf) <= self.size
        copy8(buf, 0, self.data, addr, len(buf))

    def program(self, addr: int, data: "bytes | bytearray") -> None:
        n = len(data)
        assert addr % PAGE + n <= PAGE and addr + n <= self.size, "crosses a page"
        self._alive()
        for i in range(n):
            if data[i] & ~self.data[addr + i] & 0xFF:
                raise ValueError("nvm: 0x%x would set bits; erase its sector first" % (addr + i))
        self.programs += 1
        if self.budget >= 0:
            self._change(addr, data, n)
        else:
            copy8(self.data, addr, data, 0, n)

    def erase(self, addr: int) -> None:
        assert addr % SECTOR == 0 and addr + SECTOR <= self.size
        self._alive()
        self.erases[addr // SECTOR] += 1
        if self.budget >= 0:
            for at in range(addr, addr + SECTOR, PAGE):
                self._change(at, _BLANK, PAGE)
        else:
            fill8(self.data, addr, addr + SECTOR, 0xFF)

    def _alive(self) -> None:
        if self.off:
            raise PowerCut
        if self.broken:
            raise OSError(5)

    def _change(self, addr: int, data: "bytes | bytearray", n: int) -> None:
        for i in range(n):
            change = self.data[addr + i] ^ data[i]
            count = bits(change)
            self.spent += count
            if self.budget < count:
                self._cut(addr, data, n, i, change)
            self.budget -= count
            self.data[addr + i] = data[i]

    def _cut(self, addr: int, data: "bytes | bytearray", n: int, i: int, change: int) -> None:
        self.off = True
        if self.scatter is None:
            for bit in range(8):
                if change & 1 << bit and self.budget > 0:
                    self.budget -= 1
                    self.data[addr + i] ^= 1 << bit
        else:
            for j in range(n):
                change = self.data[addr + j] ^ data[j]
                self.data[addr + j] ^= change & self.scatter(change)
        raise PowerCut

    def reboot(self) -> None:
        """Power again."""
        self.off = False
        self.budget = -1


def bits(byte: int) -> int:
    count = 0
    while byte:
        byte &= byte - 1
        count += 1
    return count
