"""NXP MIMXRT1060-EVK (i.MX RT1062, Cortex-M7, 600 MHz). Not tried on hardware.

Pins on the Arduino headers:

    D2  main-negative gate      D1  AFE link, to the front end (LPUART3)
    D3  precharge gate          D0  AFE link, from the front end
    D4  main-positive gate      D5  dead-man, see hal.parts.Gate

A measuring chip (hal.afe) takes the place of the AFE link, and brings the auxiliary contacts:

    D15  SCL (LPI2C1)    D13  SCK (LPSPI1)    D11  MOSI    D6  main-negative contact   (fit 10 kOhm
    D14  SDA             D10  CS              D12  MISO    D7  precharge contact        pull-ups)
                                                           D8  main-positive contact

The NVM lies inside the file system, one file a sector in /flash/nvm: MicroPython's port gives its
whole data flash to littlefs and formats it anew at start-up when the file system is smaller than
that, so no end of it can be kept apart with the firmware that is published.
"""

import machine

from bms.estimate.late import observer
from hal.afe import I2C_HZ, I2C_TIMEOUT_US, SPI_HZ, front_end
from hal.net import Lan, link
from hal.nor import FileNor
from hal.parts import AFE_BAUD, Gate, MachineBoard, Watchdog

PIN_NEGATIVE = "D2"
PIN_PRECHARGE = "D3"
PIN_POSITIVE = "D4"
PIN_DEADMAN = "D5"
UART_AFE = 1
I2C_AFE = 0
SPI_AFE = 0
PIN_AFE_CS = "D10"
PINS_FEEDBACK = ("D6", "D7", "D8")

ROOT = "/flash/"
NVM_BYTES = 1 << 20
LONGEST_WATCHDOG_MS = 128_000


def _uart() -> machine.UART:
    return machine.UART(UART_AFE, AFE_BAUD, rxbuf=4096, txbuf=1024, timeout=0)


def _i2c() -> machine.I2C:
    return machine.I2C(I2C_AFE, freq=I2C_HZ, timeout=I2C_TIMEOUT_US)


def _spi() -> "tuple[machine.SPI, machine.Pin]":
    cs = machine.Pin(PIN_AFE_CS, machine.Pin.OUT, value=1)
    return machine.SPI(SPI_AFE, SPI_HZ, polarity=1, phase=1), cs


class Board(MachineBoard):
    """The i.MX RT1060 evaluation kit."""

    name = "mimxrt1060_evk"

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate(PIN_NEGATIVE, PIN_PRECHARGE, PIN_POSITIVE, PIN_DEADMAN)
        self.nvm = FileNor(ROOT + "nvm", NVM_BYTES)
        self.afe = front_end(ROOT, self.nvm, _uart, _i2c, _spi, PINS_FEEDBACK)
        self.watchdog = Watchdog(LONGEST_WATCHDOG_MS)
        self.link = link(Lan, ROOT)
        self.observer = observer
