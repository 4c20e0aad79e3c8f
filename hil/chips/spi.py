"""An SPI bus with one emulated device; what of `machine.SPI` and `machine.Pin` the drivers use."""

from typing import Protocol


class Device(Protocol):
    """A device behind a chip select."""

    def select(self) -> None:
        """The chip select falls."""
        ...

    def exchange(self, data: bytes) -> bytes:
        """Clock data in; as many bytes come back."""
        ...

    def deselect(self) -> None:
        """The chip select rises: the frame is complete."""
        ...


class SpiBus:
    """`frames` and `wire_bytes` count; `stuck`: what comes back is all ones."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._selected = False
        self.stuck = False
        self.frames = 0
        self.wire_bytes = 0

    def write(self, buf: bytes | bytearray | memoryview) -> None:
        """Send."""
        self._exchange(bytes(buf))

    def write_readinto(self, out: bytes | bytearray | memoryview, into: bytearray | memoryview) -> None:
        """Send `out` and fill `into`, of the same length."""
        if len(out) != len(into):
            raise ValueError(f"spi: {len(out)} bytes out and {len(into)} in, they must be as many")
        into[:] = self._exchange(bytes(out))

    def _exchange(self, data: bytes) -> bytes:
        if not self._selected:
            raise AssertionError("nothing is selected on the SPI bus")
        self.wire_bytes += len(data)
        found = self._device.exchange(data)
        return b"\xff" * len(data) if self.stuck else found

    def chip_select(self) -> "ChipSelect":
        """The pin of the device's chip select."""
        return ChipSelect(self)

    def set_select(self, level: int) -> None:
        """What the pin does."""
        if self._selected and level:
            self._device.deselect()
        elif not self._selected and not level:
            self.frames += 1
            self._device.select()
        self._selected = not level


class ChipSelect:
    """A `machine.Pin`."""

    def __init__(self, bus: SpiBus) -> None:
        self._bus = bus

    def value(self, level: int) -> None:
        """Set it."""
        self._bus.set_select(level)
