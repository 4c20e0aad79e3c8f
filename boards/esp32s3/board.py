"""ESP32-S3 (8 MB flash, with or without octal PSRAM). Not tried on hardware.

The pins are free on all modules and quiet at reset (no strapping, USB, flash or PSRAM pins):

    GPIO4   main-negative gate      GPIO17  AFE link, to the front end
    GPIO5   precharge gate          GPIO18  AFE link, from the front end
    GPIO6   main-positive gate      GPIO7   dead-man, see hal.parts.Gate
"""

import machine
from esp32 import Partition

from bms.link.afe_serial import SerialAfe
from hal.net import Wifi, link
from hal.nor import BlockNor
from hal.parts import AFE_BAUD, AfeStream, Gate, MachineBoard, Watchdog

PIN_NEGATIVE = 4
PIN_PRECHARGE = 5
PIN_POSITIVE = 6
PIN_DEADMAN = 7
PIN_AFE_TX = 17
PIN_AFE_RX = 18

ROOT = "/"
LONGEST_WATCHDOG_MS = 600_000


def nvm_partition() -> Partition:
    """The flash partition that partitions.csv keeps for the NVM; OSError when there is none."""
    found = Partition.find(Partition.TYPE_DATA, label="nvm")
    if not found:
        raise OSError("no flash partition named nvm: flash MicroPython with this project's `make flash`")
    return found[0]


class Board(MachineBoard):
    """The ESP32-S3."""

    name = "esp32s3"
    _timer_id = 0

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate(PIN_NEGATIVE, PIN_PRECHARGE, PIN_POSITIVE, PIN_DEADMAN)
        machine.freq(240_000_000)
        uart = machine.UART(1, AFE_BAUD, tx=PIN_AFE_TX, rx=PIN_AFE_RX, rxbuf=4096, txbuf=1024, timeout=0)
        self.afe = SerialAfe(AfeStream(uart))
        self.nvm = BlockNor(nvm_partition())
        self.watchdog = Watchdog(LONGEST_WATCHDOG_MS)
        self.link = link(Wifi, ROOT)
