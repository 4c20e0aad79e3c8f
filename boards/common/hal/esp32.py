"""What the boards of the ESP32 family have in common: all but the numbers of their pins."""

import machine
from esp32 import Partition

from hal.afe import I2C_HZ, I2C_TIMEOUT_US, SPI_HZ, front_end
from hal.net import Wifi, link
from hal.nor import BlockNor
from hal.parts import AFE_BAUD, Gate, MachineBoard, Watchdog

LONGEST_WATCHDOG_MS = 600_000
CLOCK_HZ = 240_000_000


def nvm_partition() -> Partition:
    """The flash partition that partitions.csv keeps for the NVM; OSError when there is none."""
    found = Partition.find(Partition.TYPE_DATA, label="nvm")
    if not found:
        raise OSError("no flash partition named nvm: flash MicroPython with this project's `make flash`")
    return found[0]


class Esp32(MachineBoard):
    """One of them; its files lie in `root`.

    Pins: `gates` negative, precharge, positive, dead-man; `line` to the front end: tx (or SCL, or MOSI), rx
    (or SDA, or MISO), SCK, CS; `contacts` the auxiliary ones, in the order of the gates.
    """

    _timer_id = 0

    def __init__(
        self,
        root: str,
        gates: "tuple[int, int, int, int]",
        line: "tuple[int, int, int, int]",
        contacts: "tuple[int, int, int]",
    ) -> None:
        super().__init__()
        self.gate = Gate(gates[0], gates[1], gates[2], gates[3])
        machine.freq(CLOCK_HZ)
        self.nvm = BlockNor(nvm_partition())
        self._line = line
        self.afe = front_end(root, self.nvm, self._uart, self._i2c, self._spi, contacts)
        self.watchdog = Watchdog(LONGEST_WATCHDOG_MS)
        self.link = link(Wifi, root)

    def _uart(self) -> machine.UART:
        tx, rx = self._line[:2]
        return machine.UART(1, AFE_BAUD, tx=tx, rx=rx, rxbuf=4096, txbuf=1024, timeout=0)

    def _i2c(self) -> machine.I2C:
        scl, sda = (machine.Pin(pin) for pin in self._line[:2])
        return machine.I2C(0, scl=scl, sda=sda, freq=I2C_HZ, timeout=I2C_TIMEOUT_US)

    def _spi(self) -> "tuple[machine.SPI, machine.Pin]":
        mosi, miso, sck = (machine.Pin(pin) for pin in self._line[:3])
        cs = machine.Pin(self._line[3], machine.Pin.OUT, value=1)
        return machine.SPI(1, SPI_HZ, polarity=1, phase=1, sck=sck, mosi=mosi, miso=miso), cs
