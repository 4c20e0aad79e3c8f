"""ESP32-S3 (8 MB flash, with or without octal PSRAM). Not tried on hardware.

The pins are free on all modules and quiet at reset (no strapping, USB, flash or PSRAM pins):

    GPIO4   main-negative gate      GPIO17  AFE link, to the front end
    GPIO5   precharge gate          GPIO18  AFE link, from the front end
    GPIO6   main-positive gate      GPIO7   dead-man, see hal.parts.Gate

A measuring chip (hal.afe) takes the place of the AFE link, and brings the auxiliary contacts:

    GPIO17  SCL    GPIO12  SCK     GPIO17  MOSI    GPIO8   main-negative contact   (fit 10 kOhm
    GPIO18  SDA    GPIO10  CS      GPIO18  MISO    GPIO9   precharge contact        pull-ups)
                                                   GPIO14  main-positive contact
"""

import machine
from esp32 import Partition

from hal.afe import I2C_HZ, I2C_TIMEOUT_US, SPI_HZ, front_end
from hal.net import Wifi, link
from hal.nor import BlockNor
from hal.parts import AFE_BAUD, Gate, MachineBoard, Watchdog

PIN_NEGATIVE = 4
PIN_PRECHARGE = 5
PIN_POSITIVE = 6
PIN_DEADMAN = 7
PIN_AFE_TX = 17
PIN_AFE_RX = 18
PIN_AFE_SCK = 12
PIN_AFE_CS = 10
PINS_FEEDBACK = (8, 9, 14)

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
    """The ESP32-S3."""

    name = "esp32s3"
    _timer_id = 0

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate(PIN_NEGATIVE, PIN_PRECHARGE, PIN_POSITIVE, PIN_DEADMAN)
        machine.freq(240_000_000)
        self.nvm = BlockNor(nvm_partition())
        self.afe = front_end(ROOT, self.nvm, _uart, _i2c, _spi, PINS_FEEDBACK)
        self.watchdog = Watchdog(LONGEST_WATCHDOG_MS)
        self.link = link(Wifi, ROOT)
