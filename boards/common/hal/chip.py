"""What the drivers of measuring chips share: limits in a chip's own steps, the thermistor, refusals.

A chip's protection stands behind the software's: its level is the tightest of its steps that does
not lie inside the software's limit. So software acts first or at the same level, and the chip is
never looser by a whole step. Where the steps do not reach a limit, programming is refused. The
chip waits twice as long as the software may take (`max_reaction_ms` of the fault table).
"""

import micropython

from array import array
from bms.tables.faults import FAULTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.sample import Command, Sample

NOT_MEASURED_KOHM = 0xFFFF
"""Isolation resistance where nothing measures it."""

NTC_LOW_DC = -400
NTC_STEP_DC = 50
NO_TEMP_DC = -32768
"""What `ntc_dc` says of a thermistor that is open, shorted or outside its table."""

# 16384 times the share of the reference that falls on a 10 kOhm pull-up above a 10 kOhm NTC to
# ground, at -40, -35, ... 110 degC. Resistances: Semitec 103AT-2 (data sheet P12-13), interpolated
# as ln R over 1/T; between two entries the error is at most 0.13 K.
_NTC = array("H", (
    825, 1064, 1351, 1699, 2107, 2584, 3123, 3732, 4395, 5112, 5860, 6637, 7417, 8192, 8947, 9672,
    10352, 10988, 11571, 12104, 12584, 13015, 13399, 13741, 14042, 14309, 14543, 14750, 14931, 15090,
    15230,
))  # fmt: skip


class AfeError(ValueError):
    """The front end cannot be used; the message names the chip, the register or setting, and the values."""


def step_above(limit: int, step: int) -> int:
    """Lowest whole number of steps that is not below the limit; both in the same unit."""
    return -(-limit // step)


def step_below(limit: int, step: int) -> int:
    """Highest whole number of steps that is not above the limit; both in the same unit."""
    return limit // step


def within(chip: str, name: str, value: int, low: int, high: int, why: str) -> int:
    """`value` when low..high holds it; AfeError naming the register, the value and what would be right."""
    if not low <= value <= high:
        raise AfeError("%s: %s would be %d, it takes %d..%d; %s" % (chip, name, value, low, high, why))
    return value


def delay_ms(limit: str) -> int:
    """How long a chip waits before it acts on the limit parameter `limit`; AfeError when no row has it."""
    found = [row.max_reaction_ms for row in FAULTS if row.limit == limit]
    if not found:
        raise AfeError("no protection of the fault table has the limit %s" % limit)
    return 2 * max(found)


@micropython.viper
def _inverse(table: ptr16, n: int, y: int, x_step: int) -> int:
    """x with y(x) = y on a rising table of n entries at 0, x_step, ...; -1 outside."""
    if y < table[0]:
        return -1
    i = 1
    while i < n:
        if y < table[i]:
            low = table[i - 1]
            return (i - 1) * x_step + (y - low) * x_step // (table[i] - low)
        i += 1
    return -1


def ntc_dc(reading: int, reference: int) -> int:
    """0.1 degC of the thermistor from the voltage across it and the reference, both as read (0..32767).

    NO_TEMP_DC when it is open, shorted or outside -40..110 degC.
    """
    if reference <= 0:
        return NO_TEMP_DC
    found = _inverse(_NTC, len(_NTC), 16384 - reading * 16384 // reference, NTC_STEP_DC)
    return NO_TEMP_DC if found < 0 else found + NTC_LOW_DC


class Scale:
    """x times num / den for |x| < 2^16, on small integers of 32-bit MicroPython; num / den below 2^14.

    The factor is rounded to 14 bits: an error of at most 1 in 16384.
    """

    def __init__(self, num: int, den: int) -> None:
        shift = 0
        while shift < 20 and (num << shift + 1) // den < 1 << 14:
            shift += 1
        self._shift = shift
        self._factor = (2 * (num << shift) // den + 1) // 2

    def of(self, x: int) -> int:
        """The product, rounded down."""
        return x * self._factor >> self._shift


class NoFeedback:
    """Stands where no auxiliary contacts are wired: a contactor is believed to follow its gate.

    Only the link voltage then tells of a weld.
    """

    command: "Command | None" = None

    def bits(self) -> int:
        """GATE_* bits of the contactors that are closed."""
        return self.command.gates if self.command else 0


def first_of(bits: int) -> int:
    """Number of the lowest bit set, counted from 1; 0 for none."""
    n = 0
    while bits:
        n += 1
        if bits & 1:
            return n
        bits >>= 1
    return 0


class ChipAfe:
    """What every measuring chip offers as `afe` (bms.contract.Afe); a driver adds `read` and `start`.

    open_wires: bit = cell, set when one of the cell's sense wires is open.
    chip_faults: what the chip itself has tripped on, in its own bits. resets: how often it had lost
    its settings and got them again.
    """

    lockstep = False
    seed = 0
    dump_wanted = False

    def __init__(self, n_cells: int, n_temps: int, feedback: "NoFeedback | None") -> None:
        self.configured = False
        self.n_cells = n_cells
        self.n_temps = n_temps
        self.open_wires = 0
        self.chip_faults = 0
        self.resets = 0
        self.isolation_kohm = NOT_MEASURED_KOHM
        self._feedback = feedback or NoFeedback()
        self._bad: int = 0

    def bind(self, sample: "Sample", command: "Command") -> None:
        """Only where no contacts are wired does it matter what is commanded."""
        self._feedback.command = command

    def send(self, kind: int, payload: "bytes | bytearray | memoryview") -> None:
        """Nobody listens behind a chip."""

    def errors(self) -> int:
        """Transfers refused so far: no answer, bad CRC, or data that are not there yet."""
        return self._bad

    def take_utc_ms(self) -> int:
        """A chip knows no time."""
        return 0

    def log(self, text: str) -> None:
        """Tell whoever listens at the console."""
        print("afe:", text)
