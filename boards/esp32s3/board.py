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

from hal.esp32 import Esp32

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


class Board(Esp32):
    """The ESP32-S3."""

    name = "esp32s3"

    def __init__(self) -> None:
        super().__init__(
            ROOT,
            (PIN_NEGATIVE, PIN_PRECHARGE, PIN_POSITIVE, PIN_DEADMAN),
            (PIN_AFE_TX, PIN_AFE_RX, PIN_AFE_SCK, PIN_AFE_CS),
            PINS_FEEDBACK,
        )
