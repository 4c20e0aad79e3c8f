"""Which front end a board has: `afe.json` in the device's root says it; without the file, a serial line.

    {"chip": "bq76952", "shunt_uohm": 1000}
    {"chip": "ltc6811", "chips": 2, "shunt_uohm": 100, "amp_gain": 50, "amp_zero_mv": 1500,
     "link_divider": 21}

docs/afe.md says what the numbers mean. Cells, sensors and limits come from the board's identity.
"""

import json
import machine

from bms.link.afe_serial import SerialAfe
from bms.memory import identity
from bms.tables.signals import GATE_NEGATIVE, GATE_POSITIVE, GATE_PRECHARGE
from hal.chip import AfeError, NoFeedback
from hal.parts import AfeStream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.contract import Afe, Nvm
    from collections.abc import Callable
    from machine import I2C, SPI, UART, Pin

I2C_HZ = 400_000
I2C_TIMEOUT_US = 2000
"""The tick must not wait for a line that is held low; the published ports would wait 50 ms."""
SPI_HZ = 1_000_000

_NUMBERS = {
    "bq76952": ("shunt_uohm",),
    "ltc6811": ("chips", "shunt_uohm", "amp_gain", "amp_zero_mv", "link_divider"),
}


class Feedback(NoFeedback):
    """Auxiliary contacts of the three contactors, each to ground when closed, at inputs with pull-up."""

    def __init__(self, negative: "int | str", precharge: "int | str", positive: "int | str") -> None:
        self._negative = machine.Pin(negative, machine.Pin.IN)
        self._precharge = machine.Pin(precharge, machine.Pin.IN)
        self._positive = machine.Pin(positive, machine.Pin.IN)

    def bits(self) -> int:
        """GATE_* bits of the contactors that are closed."""
        return (
            (0 if self._negative.value() else GATE_NEGATIVE)
            | (0 if self._precharge.value() else GATE_PRECHARGE)
            | (0 if self._positive.value() else GATE_POSITIVE)
        )


def settings(root: str) -> "tuple[str, dict[str, int]] | None":
    """Chip and numbers of afe.json; None without the file. AfeError naming what is wrong in it."""
    path = root + "afe.json"
    try:
        with open(path) as file:
            found: object = json.load(file)
    except OSError:
        return None
    except ValueError as error:
        raise AfeError("%s is not JSON: %s" % (path, error))
    if not isinstance(found, dict):
        raise AfeError("%s: it must be an object" % path)
    table: "dict[str, object]" = found  # pyright: ignore[reportUnknownVariableType]  isinstance leaves members open
    chip = table.get("chip")
    if not isinstance(chip, str) or chip not in _NUMBERS:
        raise AfeError("%s: chip is %r, it must be one of %s" % (path, chip, ", ".join(sorted(_NUMBERS))))
    numbers: "dict[str, int]" = {}
    for name in _NUMBERS[chip]:
        value = table.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            raise AfeError("%s: %s is %r, it must be a whole number above 0" % (path, name, value))
        numbers[name] = value
    for name in table:
        if name != "chip" and name not in numbers:
            raise AfeError("%s: unknown key %r for %s" % (path, name, chip))
    return chip, numbers


def front_end(
    root: str,
    nvm: "Nvm",
    uart: "Callable[[], UART]",
    i2c: "Callable[[], I2C]",
    spi: "Callable[[], tuple[SPI, Pin]]",
    feedback: "tuple[int | str, int | str, int | str]",
) -> "Afe":
    """The board's `afe`. Only the line that is used is set up; `feedback`: pins of the auxiliary contacts.

    A board without an identity has the serial line: it cannot work yet, and has to be provisioned.
    """
    chosen = settings(root)
    if chosen is None:
        return SerialAfe(AfeStream(uart()))
    try:
        who = identity.load(nvm)
    except identity.IdentityError:
        return SerialAfe(AfeStream(uart()))
    chip, numbers = chosen
    from bms.tables import params  # it is large, and leaves the heap again before this module does

    limits = params.defaults(who.chemistry)
    contacts = Feedback(feedback[0], feedback[1], feedback[2])
    # the drivers are loaded only where they are used: they take room in the heap
    if chip == "bq76952":
        from hal.bq76952 import Bq76952

        return Bq76952(i2c(), who.series, who.temps, limits, numbers["shunt_uohm"], contacts)
    from hal.ltc6811 import Frontend, Ltc6811

    frontend = Frontend(
        numbers["shunt_uohm"], numbers["amp_gain"], numbers["amp_zero_mv"], numbers["link_divider"]
    )
    line, cs = spi()
    return Ltc6811(line, cs, numbers["chips"], who.series, who.temps, limits, frontend, contacts)
