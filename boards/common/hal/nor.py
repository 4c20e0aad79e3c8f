"""Non-volatile memory with the rules of NOR flash, on a flash partition or on files.

Erase sets a 4 KiB sector to 0xFF, a program of up to 256 B stays in its page and only clears bits;
breaking a rule raises ValueError naming the address and the rule.
"""

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vfs import AbstractBlockDev

SECTOR = 4096
PAGE = 256

_IOCTL_BLOCK_COUNT = 4
_IOCTL_BLOCK_SIZE = 5
_IOCTL_BLOCK_ERASE = 6


class Nor:
    """The rules; a subclass supplies `read`, `_program` and `_erase`."""

    def __init__(self, size: int) -> None:
        self.size = size

    def read(self, addr: int, buf: bytearray) -> None:
        """Fill buf from addr on."""
        raise NotImplementedError

    def program(self, addr: int, data: "bytes | bytearray") -> None:
        """Clear bits; ValueError when data crosses a page or wants a bit set."""
        n = len(data)
        self._check(addr, n)
        if n > PAGE or addr % PAGE + n > PAGE:
            raise ValueError("nvm: %d bytes at 0x%x cross a page of %d" % (n, addr, PAGE))
        old = bytearray(n)
        self.read(addr, old)
        for i in range(n):
            if data[i] & ~old[i] & 0xFF:
                raise ValueError("nvm: 0x%x would set bits; erase its sector first" % (addr + i))
        self._program(addr, data)

    def erase(self, addr: int) -> None:
        """Set a whole aligned sector to 0xFF."""
        self._check(addr, SECTOR)
        if addr % SECTOR:
            raise ValueError("nvm: 0x%x is not the start of a sector of %d" % (addr, SECTOR))
        self._erase(addr // SECTOR)

    def _check(self, addr: int, n: int) -> None:
        if addr < 0 or addr + n > self.size:
            raise ValueError("nvm: 0x%x + %d is outside 0..0x%x" % (addr, n, self.size))

    def _program(self, addr: int, data: "bytes | bytearray") -> None:
        raise NotImplementedError

    def _erase(self, sector: int) -> None:
        raise NotImplementedError


class BlockNor(Nor):
    """NOR on a block device with byte offsets (MicroPython's extended interface), here a flash partition."""

    def __init__(self, device: "AbstractBlockDev") -> None:
        block = device.ioctl(_IOCTL_BLOCK_SIZE, 0)
        if block != SECTOR:
            raise ValueError("nvm: the flash erases blocks of %r, %d are needed" % (block, SECTOR))
        super().__init__((device.ioctl(_IOCTL_BLOCK_COUNT, 0) or 0) * SECTOR)
        self._device = device

    def read(self, addr: int, buf: bytearray) -> None:
        """Fill buf from addr on."""
        self._check(addr, len(buf))
        self._device.readblocks(addr // SECTOR, buf, addr % SECTOR)

    def _program(self, addr: int, data: "bytes | bytearray") -> None:
        # with an offset a block device writes without erasing
        self._device.writeblocks(addr // SECTOR, data, addr % SECTOR)

    def _erase(self, sector: int) -> None:
        self._device.ioctl(_IOCTL_BLOCK_ERASE, sector)


class FileNor(Nor):
    """NOR on one file a sector in `folder`; an erased sector has no file, its unwritten end is not stored.

    On littlefs closing a file commits it as a whole, so a power cut leaves each program and erase
    either undone or done.
    """

    def __init__(self, folder: str, size: int) -> None:
        super().__init__(size)
        self._folder = folder
        try:
            os.mkdir(folder)
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise

    def _path(self, sector: int) -> str:
        return "%s/%03d" % (self._folder, sector)

    def read(self, addr: int, buf: bytearray) -> None:
        """Fill buf from addr on."""
        n = len(buf)
        self._check(addr, n)
        view = memoryview(buf)
        done = 0
        while done < n:
            offset = (addr + done) % SECTOR
            count = min(n - done, SECTOR - offset)
            self._read_sector((addr + done) // SECTOR, offset, view[done : done + count])
            done += count

    def _read_sector(self, sector: int, offset: int, view: memoryview) -> None:
        got = 0
        try:
            with open(self._path(sector), "rb") as file:
                file.seek(offset)
                got = file.readinto(view) or 0
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
        for i in range(got, len(view)):
            view[i] = 0xFF

    def _program(self, addr: int, data: "bytes | bytearray") -> None:
        path = self._path(addr // SECTOR)
        offset = addr % SECTOR
        try:
            length = os.stat(path)[6]
            mode = "r+b"
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
            length = 0
            mode = "wb"
        with open(path, mode) as file:
            file.seek(min(length, offset))
            for _ in range(offset - length):  # littlefs would fill a gap with zeros
                file.write(b"\xff")
            file.write(data)

    def _erase(self, sector: int) -> None:
        try:
            os.remove(self._path(sector))
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
