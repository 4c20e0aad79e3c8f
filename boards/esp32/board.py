"""ESP32 (WROOM or WROVER module, 4 MB flash). Not tried on hardware.

The pins are free on both modules and quiet at reset (no strapping pins, no flash or PSRAM pins):

    GPIO25  main-negative gate      GPIO22  AFE link, to the front end
    GPIO26  precharge gate          GPIO23  AFE link, from the front end
    GPIO27  main-positive gate      GPIO33  dead-man, see hal.parts.Gate
"""

import machine
from esp32 import Partition

from bms.link.afe_serial import SerialAfe
from hal.net import Wifi, link
from hal.nor import BlockNor
from hal.parts import AFE_BAUD, AfeStream, Gate, MachineBoard, Watchdog

PIN_NEGATIVE = 25
PIN_PRECHARGE = 26
PIN_POSITIVE = 27
PIN_DEADMAN = 33
PIN_AFE_TX = 22
PIN_AFE_RX = 23

ROOT = "/"
LONGEST_WATCHDOG_MS = 600_000


def nvm_partition() -> Partition:
    """The flash partition that partitions.csv keeps for the NVM; OSError when there is none."""
    found = Partition.find(Partition.TYPE_DATA, label="nvm")
    if not found:
        raise OSError("no flash partition named nvm: flash MicroPython with this project's `make flash`")
    return found[0]


class Board(MachineBoard):
    """The ESP32."""

    name = "esp32"
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
