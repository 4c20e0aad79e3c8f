"""An I2C bus with emulated devices; what of `machine.I2C` the drivers use."""

import errno
from typing import Protocol


class Device(Protocol):
    """A device on the bus."""

    def write(self, data: bytes) -> bool:
        """Take what a controller writes after the address; False: not acknowledged."""
        ...

    def read(self, register: int, n: int) -> bytes | None:
        """n bytes on the wire after a repeated start from `register` on; None: not acknowledged."""
        ...


class I2cBus:
    """Devices by 7-bit address. `transfers` and `wire_bytes` count; `stuck` holds the lines low."""

    def __init__(self, devices: dict[int, Device]) -> None:
        self._devices = devices
        self.stuck = False
        self.nack_next = 0
        self.transfers = 0
        self.wire_bytes = 0

    def _device(self, address: int, n: int) -> Device:
        self.transfers += 1
        if self.stuck:
            raise OSError(errno.ETIMEDOUT, "bus is held low")
        self.wire_bytes += 1 + n
        if self.nack_next:
            self.nack_next -= 1
            raise OSError(errno.ENODEV, "no acknowledge")
        if address not in self._devices:
            raise OSError(errno.ENODEV, "no acknowledge")
        return self._devices[address]

    def scan(self) -> list[int]:
        """Addresses that answer."""
        return sorted(self._devices)

    def writeto(self, address: int, data: bytes | bytearray | memoryview) -> int:
        """Write; OSError when it is not acknowledged."""
        if not self._device(address, len(data)).write(bytes(data)):
            raise OSError(errno.EIO, "no acknowledge")
        return len(data)

    def readfrom_mem_into(self, address: int, register: int, buf: bytearray | memoryview) -> None:
        """Write the register, then fill buf after a repeated start; OSError when not acknowledged."""
        found = self._device(address, 2 + len(buf)).read(register, len(buf))
        if found is None:
            raise OSError(errno.EIO, "no acknowledge")
        buf[:] = found
