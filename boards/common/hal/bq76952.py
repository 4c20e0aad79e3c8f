"""BQ76952: measuring chip of Texas Instruments for 3 to 16 cells, over I2C. Not tried on hardware.

What it measures, and how often, is in docs/afe.md. A tick makes at most three transfers: FAST, and
one job with one or two. Nothing waits: what the chip is not ready to tell is asked for again later.
Registers: TI SLUUBY2B.
"""

import micropython
import time

from array import array
from bms.fixed import get_16s, get_u16
from bms.tables.faults import CELLS, TEMPS
from hal import bq76952_setup as setup
from hal.bq76952_bus import ADDRESS, Bus
from hal.bq76952_program import ASK, LOST, PATIENCE, REFUSED, RUN, Programmer
from hal.chip import AfeError, ChipAfe, first_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.sample import Command, Sample
    from hal.chip import NoFeedback
    from machine import I2C

# direct commands
_SAFETY = 0x02
_CELLS = 0x14
_STACK = 0x34
_ALARM = 0x62
_TS1 = 0x70

_CB_ACTIVE_CELLS = 0x0083

# jobs of a running chip
_SCAN, _LOW, _HIGH, _TEMPS, _STATUS, _VERIFY, _VERIFIED, _BALANCE = range(8)

_STEPS = 600
_STEP_MS = 3
_REFRESH = 60
"""Turns of the balancing job (each about 90 ms) after which the chip's 20 s timer is wound up again."""

OPEN_MV = 500
"""Below this a sense wire is open: the chip discharges a floating input once a second."""


def get_i16(src: bytearray, at: int) -> int:
    """Little-endian signed 16 bits at byte `at`."""
    value = get_u16(src, at)
    return value - 0x10000 if value & 0x8000 else value


@micropython.viper
def take_cells(dst: ptr16, src: ptr16, n: int, open_mv: int) -> int:
    """dst[0:n] = the cells, of which the topmost is always at the 16th input; a negative offset reads 0.

    Returns the cells (bit = cell) with an open wire: one below `open_mv`, and the one above, which
    shows what it lacks.
    """
    found = 0
    i = 0
    while i < n:
        mv = src[i] if i < n - 1 else src[15]
        if mv & 0x8000:
            mv = 0
        dst[i] = mv
        if mv < open_mv:
            found |= 3 << i
        i += 1
    return found & ((1 << n) - 1)


class Bq76952(ChipAfe):
    """`afe` of a board with one BQ76952. `limits`: parameter name -> value; `shunt_uohm`: the current shunt.

    `feedback.bits()` tells the closed contactors (GATE_* bits). AfeError from here when the limits do
    not fit the chip, from the first `read` when it is not there or does not keep what is programmed.
    """

    def __init__(
        self,
        i2c: "I2C",
        n_cells: int,
        n_temps: int,
        limits: "dict[str, int]",
        shunt_uohm: int,
        feedback: "NoFeedback | None" = None,
    ) -> None:
        super().__init__(n_cells, n_temps, feedback)
        self._bus = Bus(i2c)
        self._shunt_uohm = shunt_uohm
        self._mv = array("H", [0] * setup.MAX_CELLS)
        self._word = bytearray(2)
        self._balance = 0
        self._sent = 0
        self._age = 0
        self._odd = False
        self._job = _SCAN
        self._spare = _VERIFY
        self._flags = 0
        self._low_came = False
        self._else = False
        self._setup = Programmer(self._bus)
        self.program(limits)

    def program(self, limits: "dict[str, int]") -> None:
        """Take other limits: the chip is programmed and read back anew, by `start` or in the ticks."""
        self._setup.begin(setup.rows(limits, self.n_cells, self.n_temps, self._shunt_uohm))
        self._unit_ma = setup.ma_per_count(limits)

    def errors(self) -> int:
        """Transfers refused so far: no acknowledge, bad CRC."""
        return self._bus.bad

    def refusal(self) -> str:
        """Why the chip is refused, in words; empty while it is not."""
        return self._setup.refusal(ADDRESS)

    def start(self) -> None:
        """Find, program and check the chip; takes about a second. AfeError when it is refused."""
        programmer = self._setup
        for _ in range(_STEPS):
            programmer.step()
            if programmer.state == RUN:
                self.configured = True
                return
            if programmer.state == REFUSED:
                raise AfeError(self.refusal())
            time.sleep_ms(_STEP_MS)
        raise AfeError(
            "bq76952: no answer at I2C address 0x%02x that makes sense, %d transfers failed; "
            "check wiring, pull-ups and supply" % (ADDRESS, self._bus.bad)
        )

    def read(self, sample: "Sample") -> None:
        """What the chip has new since the last call; before it is `configured`: set it up."""
        programmer = self._setup
        if programmer.state == RUN:
            self._fast(sample)
            self._do(sample)
            if self._bus.silent >= PATIENCE:
                programmer.state = ASK
            self.resets = programmer.resets
        elif self.configured:
            self._job = _SCAN
            self._spare = _VERIFY
            self._sent = 0
            programmer.step()
        else:
            self.start()

    def write(self, command: "Command", ms_low: int, ms_high: int) -> None:
        """Take the balancing bitmap; it is sent as a job of `read`."""
        self._balance = get_u16(command.balance, 0) & (1 << self.n_cells) - 1

    # ---- running

    def _fast(self, sample: "Sample") -> None:
        bus = self._bus
        if not bus.read(_STACK, 8):
            return
        data = bus.data
        sample.put_fast(
            get_i16(data, 6) * self._unit_ma, get_i16(data, 0) * 10, get_i16(data, 2) * 10,
            self._feedback.bits(),
        )  # fmt: skip

    def _do(self, sample: "Sample") -> None:
        job = self._job
        if job == _SCAN:
            self._job = self._scan()
        elif job == _LOW:
            self._low_came = self._take(_CELLS, 0)
            self._job = _HIGH
        elif job == _HIGH:
            if self._take(_CELLS + 16, 8) and self._low_came:
                self._cells(sample)
            self._job = _TEMPS if self._flags & setup.ALARM_FULLSCAN else _STATUS
        elif job == _TEMPS:
            self._temps(sample)
            self._job = _STATUS
        elif job == _STATUS:
            self._status()
            self._job = _SCAN
        else:
            self._spare_job()
            self._job = _SCAN

    def _scan(self) -> int:
        # Is a measurement loop complete? The flag is taken back before its results are read, so that
        # they can only be newer. While there is none, the time is for the status and the spare jobs.
        bus = self._bus
        if bus.read(_ALARM, 2) and bus.data[0] & setup.ALARM_ADSCAN:
            self._flags = bus.data[0]
            bus.out[0] = bus.data[0] & (setup.ALARM_ADSCAN | setup.ALARM_FULLSCAN)
            bus.out[1] = 0
            if bus.write(_ALARM, 2):
                return _LOW
        self._else = not self._else
        return _STATUS if self._else else _VERIFY

    def _take(self, register: int, first: int) -> bool:
        if not self._bus.read(register, 16):
            return False
        get_16s(self._mv, first, self._bus.data, 0, 8)
        return True

    def _cells(self, sample: "Sample") -> None:
        self.open_wires = take_cells(sample.cell_mv, self._mv, self.n_cells, OPEN_MV)
        sample.open_wire = first_of(self.open_wires)
        sample.arrived(CELLS)

    def _temps(self, sample: "Sample") -> None:
        bus = self._bus
        if not bus.read(_TS1, 6):
            return
        for i in range(self.n_temps):
            dc = get_u16(bus.data, 2 * i) - 2731
            if not -400 <= dc <= 1250:
                bus.bad += 1  # no thermistor reads that: open or shorted
                return
            sample.temp_dc[i] = dc
        sample.isolation_kohm = self.isolation_kohm
        sample.arrived(TEMPS)

    def _status(self) -> None:
        bus = self._bus
        if not bus.read(_SAFETY, 18):
            return
        self.chip_faults = bus.data[1] | bus.data[3] << 8 | bus.data[5] << 16
        if bus.data[16] & LOST:
            self._setup.lost()

    def _spare_job(self) -> None:
        # One register after the other is read back, and between two the balancing is sent.
        if self._spare == _VERIFY:
            if self._setup.ask():
                self._spare = _VERIFIED
        elif self._spare == _VERIFIED:
            self._setup.check()
            self._spare = _BALANCE
        else:
            self._send_balance()
            self._spare = _VERIFY

    def _send_balance(self) -> None:
        # Neighbours share an input resistor and would spoil each other's current: they take turns.
        mask = self._balance
        self._age = self._age + 1 if mask else 0
        if mask & mask >> 1:
            mask &= 0xAAAA if self._odd else 0x5555
        top = 1 << self.n_cells - 1
        if mask & top:
            mask = mask ^ top | 1 << setup.MAX_CELLS - 1
        if mask == self._sent and (self._age < _REFRESH or not mask):
            return
        self._word[0] = mask & 0xFF
        self._word[1] = mask >> 8
        if self._bus.store(_CB_ACTIVE_CELLS, self._word, 2):
            self._sent = mask
            if self._age >= _REFRESH:
                self._odd = not self._odd
                self._age = 0
