"""ESP32 (WROOM or WROVER module, 4 MB flash). Not tried on hardware.

The pins are free on both modules and quiet at reset (no strapping pins, no flash or PSRAM pins):

    GPIO25  main-negative gate      GPIO22  AFE link, to the front end
    GPIO26  precharge gate          GPIO23  AFE link, from the front end
    GPIO27  main-positive gate      GPIO33  dead-man, see hal.parts.Gate

A measuring chip (hal.afe) takes the place of the AFE link, and brings the auxiliary contacts:

    GPIO22  SCL    GPIO18  SCK     GPIO22  MOSI    GPIO34  main-negative contact   (inputs without
    GPIO23  SDA    GPIO19  CS      GPIO23  MISO    GPIO35  precharge contact        pull-ups: fit
                                                   GPIO39  main-positive contact    10 kOhm each)
"""

import machine
from esp32 import Partition

from hal.afe import I2C_HZ, I2C_TIMEOUT_US, SPI_HZ, front_end
from hal.net import Wifi, link
from hal.nor import BlockNor
from hal.parts import AFE_BAUD, Gate, MachineBoard, Watchdog

PIN_NEGATIVE = 25
PIN_PRECHARGE = 26
PIN_POSITIVE = 27
PIN_DEADMAN = 33
PIN_AFE_TX = 22
PIN_AFE_RX = 23
PIN_AFE_SCK = 18
PIN_AFE_CS = 19
PINS_FEEDBACK = (34, 35, 39)

ROOT = "/"
LONGEST_WATCHDOG_MS = 600_000


def nvm_partition() -> Partition:
    """The flash partition that partitions.csv keeps for the NVM; OSError when there is none."""
    found = Partition.find(Partition.TYPE_DATA, label="nvm")
    if not found:
        raise OSError("no flash partition named nvm: flash MicroPython with this project's `make flash`")
    return found[0]


def _uart() -> machine.UART:
    return machine.UART(1, AFE_BAUD, tx=PIN_AFE_TX, rx=PIN_AFE_RX, rxbuf=4096, txbuf=1024, timeout=0)


def _i2c() -> machine.I2C:
    return machine.I2C(
        0, scl=machine.Pin(PIN_AFE_TX), sda=machine.Pin(PIN_AFE_RX), freq=I2C_HZ, timeout=I2C_TIMEOUT_US
    )


def _spi() -> "tuple[machine.SPI, machine.Pin]":
    cs = machine.Pin(PIN_AFE_CS, machine.Pin.OUT, value=1)
    return machine.SPI(
        1,
        SPI_HZ,
        polarity=1,
        phase=1,
        sck=machine.Pin(PIN_AFE_SCK),
        mosi=machine.Pin(PIN_AFE_TX),
        miso=machine.Pin(PIN_AFE_RX),
    ), cs


class Board(MachineBoard):
    """The ESP32."""

    name = "esp32"
    _timer_id = 0

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate(PIN_NEGATIVE, PIN_PRECHARGE, PIN_POSITIVE, PIN_DEADMAN)
        machine.freq(240_000_000)
        self.nvm = BlockNor(nvm_partition())
        self.afe = front_end(ROOT, self.nvm, _uart, _i2c, _spi, PINS_FEEDBACK)
        self.watchdog = Watchdog(LONGEST_WATCHDOG_MS)
        self.link = link(Wifi, ROOT)
