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

from hal.esp32 import Esp32

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


class Board(Esp32):
    """The ESP32."""

    name = "esp32"

    def __init__(self) -> None:
        super().__init__(
            ROOT,
            (PIN_NEGATIVE, PIN_PRECHARGE, PIN_POSITIVE, PIN_DEADMAN),
            (PIN_AFE_TX, PIN_AFE_RX, PIN_AFE_SCK, PIN_AFE_CS),
            PINS_FEEDBACK,
        )
