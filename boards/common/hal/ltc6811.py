"""One or two LTC6811-1, each a measuring chip of Analog Devices for 12 cells. Not tried on hardware.

The ticks walk round a frame of 17 (85 ms): each reads what the conversion started by the tick before
has measured, and starts the next. Results are cleared before each conversion, so what an unfinished
or unheard one leaves (0xFFFF) is never taken for a measurement. docs/afe.md has the frame and the wiring.
Registers: LTC6811-1 data sheet rev. C, tables 36 to 51.
"""

from array import array
from bms.fixed import get_u16
from bms.tables.faults import CELLS, TEMPS
from hal import ltc6811_chain as wire
from hal.chip import ChipAfe, NO_TEMP_DC, Scale, ntc_dc, within, first_of
from hal.ltc6811_chain import Chain
from hal.ltc6811_config import MAX_CELLS, NAME, Config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.sample import Command, Sample
    from hal.chip import NoFeedback
    from machine import SPI, Pin

MAX_TEMPS = 3
"""Thermistors at GPIO3, GPIO4 and GPIO5 of each chip; GPIO1 of the first has the current, GPIO2 the link."""

_NONE = 0xFFFF
_OPEN = 4000
"""-400 mV between the readings with pull-up and with pull-down, in steps of 100 uV."""

# A tick's readings, as bits, and the conversion that it starts then.
_FAST, _CELLS, _TEMPS, _SUM, _UP, _DOWN, _CHECK, _WRITE = 1, 2, 4, 8, 16, 32, 64, 128
_VAX = wire.ADCVAX
_PLAN = (
    (_FAST | _CELLS, _VAX), (_FAST | _CELLS, _VAX), (_FAST | _CELLS, _VAX), (_FAST | _CELLS, wire.ADAX),
    (_FAST | _TEMPS, wire.ADCVSC),
    (_CELLS | _SUM, _VAX), (_FAST | _CELLS, _VAX), (_FAST | _CELLS, _VAX), (_FAST | _CELLS, wire.ADOW_UP),
    (_CHECK, wire.ADOW_UP), (_UP, _VAX),
    (_FAST | _CELLS, _VAX), (_FAST | _CELLS, _VAX), (_FAST | _CELLS, _VAX), (_FAST | _CELLS, wire.ADOW_DOWN),
    (_WRITE, wire.ADOW_DOWN), (_DOWN, _VAX),
)  # fmt: skip
_CELL_READS = (wire.RDCVA, wire.RDCVB, wire.RDCVC, wire.RDCVD)


class Frontend:
    """What stands round the first chip: shunt, its amplifier (gain, output at 0 A), the link's divider."""

    def __init__(self, shunt_uohm: int, amp_gain: int, amp_zero_mv: int, link_divider: int) -> None:
        within(NAME, "shunt_uohm * amp_gain", shunt_uohm * amp_gain, 1000, 1_000_000, "1..1000 mV a full A")
        within(NAME, "amp_zero_mv", amp_zero_mv, 0, 5000, "the output at 0 A")
        within(NAME, "link_divider", link_divider, 1, 400, "link voltage over the voltage at GPIO2")
        self._zero = amp_zero_mv * 10
        self._ma = Scale(100_000, shunt_uohm * amp_gain)
        self._mv = Scale(link_divider, 10)

    def current_ma(self, reading: int) -> int:
        """From GPIO1 in 100 uV; charging current raises the amplifier's output."""
        return self._ma.of(reading - self._zero)

    def link_mv(self, reading: int) -> int:
        """Voltage behind the contactors, from GPIO2 in 100 uV."""
        return self._mv.of(reading)


class Ltc6811(ChipAfe):
    """`afe` of a board with `n_chips` LTC6811-1. `limits`: parameter name -> value.

    `feedback.bits()` tells the closed contactors (GATE_* bits). chip_faults: bit = cell that the chip
    has seen beyond VUV or VOV. AfeError from here when the limits or the wiring do not fit
    the chips, from the first `read` when they are not there or do not keep what is programmed.
    """

    def __init__(
        self,
        spi: "SPI",
        cs: "Pin",
        n_chips: int,
        n_cells: int,
        n_temps: int,
        limits: "dict[str, int]",
        frontend: Frontend,
        feedback: "NoFeedback | None" = None,
    ) -> None:
        super().__init__(n_cells, n_temps, feedback)
        within(NAME, "number of chips", n_chips, 1, 2, "a chain has one or two")
        within(NAME, "number of cells", n_cells, 4 * n_chips, MAX_CELLS * n_chips, "4 to 12 at each chip")
        within(NAME, "number of sensors", n_temps, 1, MAX_TEMPS * n_chips, "3 at each chip")
        self._chain = Chain(spi, cs, n_chips)
        self._frontend = frontend
        self._first = (n_cells + n_chips - 1) // n_chips
        self._last = n_cells - self._first * (n_chips - 1)
        self._config = Config(self._chain)
        self._balance = 0
        self._third = array("H", [_NONE] * n_chips)
        self._raw = array("H", [_NONE] * (MAX_CELLS * n_chips))
        self._up = array("H", [_NONE] * (MAX_CELLS * n_chips))
        self._group = 0
        self._whole = False
        self._suspects = 0
        self._slot = 0
        self._started = False
        self._pack_mv = 0
        self.program(limits)

    def program(self, limits: "dict[str, int]") -> None:
        """Take other limits: they are written and read back within two frames."""
        self._config.program(limits)

    def errors(self) -> int:
        """Readings refused so far: wrong PEC, not converted."""
        return self._chain.bad + self._bad

    def refusal(self) -> str:
        """Why the chain is refused, in words; empty while it is not."""
        return self._config.refusal()

    def start(self) -> None:
        """Find, program and check the chain; takes about 0.1 s. AfeError when it is refused."""
        self._config.start()
        self._started = False
        self.configured = True

    def write(self, command: "Command", ms_low: int, ms_high: int) -> None:
        """Take the balancing bitmap; it goes into the chips once a frame."""
        bits = get_u16(command.balance, 0) | command.balance[2] << 16
        if bits == self._balance:
            return
        self._balance = bits
        self._config.balance(0, bits & (1 << self._first) - 1)
        if self._chain.n > 1:
            self._config.balance(1, bits >> self._first & (1 << self._last) - 1)

    # ---- the tick

    def read(self, sample: "Sample") -> None:
        """One tick of the frame; before the chain is `configured`: set it up."""
        if not self.configured:
            self.start()
        if self._config.refused:
            return
        chain = self._chain
        chain.wake()
        reads, conversion = _PLAN[self._slot]
        if self._started:
            self._read_all(sample, reads)
        self._started = True
        self._slot = self._slot + 1 if self._slot + 1 < len(_PLAN) else 0
        chain.order(wire.CLRCELL)
        chain.order(wire.CLRAUX)
        if conversion == wire.ADCVSC:
            chain.order(wire.CLRSTAT)
        chain.order(conversion)

    def _read_all(self, sample: "Sample", reads: int) -> None:
        if reads & _FAST:
            self._fast(sample, reads & _TEMPS)
        if reads & _CELLS:
            self._cells(sample)
        if reads & _SUM:
            self._sum()
        if reads & _UP:
            self._wires(self._up)
        if reads & _DOWN and self._wires(self._raw):
            self._find_open()
        if reads & _CHECK:
            self._config.check()
            self.resets = self._config.resets
        if reads & _WRITE:
            self._config.write()

    def _fast(self, sample: "Sample", temps: int) -> None:
        chain = self._chain
        if not chain.read(wire.RDAUXA):
            return
        current = get_u16(chain.data, 0)
        link = get_u16(chain.data, 2)
        if current == _NONE or link == _NONE:
            self._bad += 1
            return
        if self._config.trusted and self._pack_mv:
            sample.put_fast(
                self._frontend.current_ma(current), self._pack_mv, self._frontend.link_mv(link),
                self._feedback.bits(),
            )  # fmt: skip
        if temps:
            self._temps(sample)

    def _temps(self, sample: "Sample") -> None:
        # GPIO3 is the last of the group that `_fast` has just read; GPIO4, GPIO5 and the reference follow
        chain = self._chain
        for chip in range(chain.n):
            self._third[chip] = get_u16(chain.data, wire.GROUP * chip + 4)
        if not chain.read(wire.RDAUXB):
            return
        for i in range(self.n_temps):
            chip = i // MAX_TEMPS
            at = wire.GROUP * chip
            k = i % MAX_TEMPS
            reading = get_u16(chain.data, at + 2 * (k - 1)) if k else self._third[chip]
            dc = ntc_dc(reading, get_u16(chain.data, at + 4)) if reading != _NONE else NO_TEMP_DC
            if dc == NO_TEMP_DC:
                self._bad += 1
                return
            sample.temp_dc[i] = dc
        if self._config.trusted:
            sample.isolation_kohm = self.isolation_kohm
            sample.arrived(TEMPS)

    def _cells(self, sample: "Sample") -> None:
        # One group of three a tick; a set counts when all four came one after the other.
        group = self._group
        good = self._take(group, self._raw)
        self._whole = good and (group == 0 or self._whole)
        self._group = group + 1 & 3
        if group != 3 or not self._whole or not self._config.trusted:
            return
        first = self._first
        wire.millivolts(sample.cell_mv, 0, self._raw, 0, first)
        if first < self.n_cells:
            wire.millivolts(sample.cell_mv, first, self._raw, MAX_CELLS, self._last)
        sample.open_wire = first_of(self.open_wires)
        sample.arrived(CELLS)

    def _take(self, group: int, to: "array[int]") -> bool:
        chain = self._chain
        if not chain.read(_CELL_READS[group]):
            return False
        if wire.spread(to, chain.data, group, chain.n, self._first, self._last):
            return True
        self._bad += 1
        return False

    def _sum(self) -> None:
        # SC counts 2 mV and comes by another path than the cells; the flags compare with VUV and VOV
        chain = self._chain
        if chain.read(wire.RDSTATA):
            total_mv = 0
            for chip in range(chain.n):
                reading = get_u16(chain.data, wire.GROUP * chip)
                if reading == _NONE:
                    self._bad += 1
                    return
                total_mv += 2 * reading
            self._pack_mv = total_mv
        if chain.read(wire.RDSTATB):
            faults = wire.beyond(chain.data, 2, self._first)
            if chain.n > 1:
                faults |= wire.beyond(chain.data, wire.GROUP + 2, self._last) << self._first
            self.chip_faults = faults

    # ---- open wires

    def _wires(self, to: "array[int]") -> bool:
        for group in range(4):
            if not self._take(group, to):
                self._up[0] = _NONE
                return False
        return True

    def _find_open(self) -> None:
        # Twice in a row counts: the two readings are 30 ms apart, and the load may step between them.
        if self._up[0] == _NONE:
            return
        found = wire.open_wires(self._up, self._raw, 0, self._first, _OPEN)
        if self._chain.n > 1:
            found |= wire.open_wires(self._up, self._raw, MAX_CELLS, self._last, _OPEN) << self._first
        self.open_wires = found & self._suspects
        self._suspects = found
