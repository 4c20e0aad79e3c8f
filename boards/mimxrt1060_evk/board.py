"""NXP MIMXRT1060-EVK (i.MX RT1062, Cortex-M7, 600 MHz). Not tried on hardware.

Pins on the Arduino headers:

    D2  main-negative gate      D1  AFE link, to the front end (LPUART3)
    D3  precharge gate          D0  AFE link, from the front end
    D4  main-positive gate      D5  dead-man, see hal.parts.Gate

The NVM lies inside the file system, one file a sector in /flash/nvm: MicroPython's port gives its
whole data flash to littlefs and formats it anew at start-up when the file system is smaller than
that, so no end of it can be kept apart with the firmware that is published.
"""

import machine

from bms.link.afe_serial import SerialAfe
from hal.net import Lan, link
from hal.nor import FileNor
from hal.parts import AFE_BAUD, AfeStream, Gate, MachineBoard, Watchdog

PIN_NEGATIVE = "D2"
PIN_PRECHARGE = "D3"
PIN_POSITIVE = "D4"
PIN_DEADMAN = "D5"
UART_AFE = 1

ROOT = "/flash/"
NVM_BYTES = 1 << 20
LONGEST_WATCHDOG_MS = 128_000


class Board(MachineBoard):
    """The i.MX RT1060 evaluation kit."""

    name = "mimxrt1060_evk"

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate(PIN_NEGATIVE, PIN_PRECHARGE, PIN_POSITIVE, PIN_DEADMAN)
        uart = machine.UART(UART_AFE, AFE_BAUD, rxbuf=4096, txbuf=1024, timeout=0)
        self.afe = SerialAfe(AfeStream(uart))
        self.nvm = FileNor(ROOT + "nvm", NVM_BYTES)
        self.watchdog = Watchdog(LONGEST_WATCHDOG_MS)
        self.link = link(Lan, ROOT)
