"""Finding, programming and checking a BQ76952, one step at a time: for the start, and for the tick.

A step makes at most two transfers and waits for nothing. A chip that has been reset has forgotten
its settings and which protocol we speak; both are found out here. Registers: TI SLUUBY2B.
"""

from bms.fixed import get_u16

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.bq76952_bus import Bus
    from hal.bq76952_setup import Row

DEVICE = 0x7695

BATTERY_STATUS = 0x12
SUBCOMMAND = 0x3E

_DEVICE_NUMBER = 0x0001
_SET_CFGUPDATE = 0x0090
_EXIT_CFGUPDATE = 0x0092
_SWAP_COMM_MODE = 0x29BC

LOST = 0x09
"""POR or CFGUPDATE in the battery status: the data memory is not, or not yet, what was programmed."""
_CFGUPDATE = 0x01

# while one of the first is the state, no sample counts
ASK, IDENTIFY, RESUME, ENTER, ENTERED, WRITE, SWAP, CHECK, CHECKED, RUN, REFUSED = range(11)

PATIENCE = 8
"""Failed transfers in a row after which the chip is looked for anew, in the other protocol too."""
_TRIES = 3
"""Programmings that may not stick before the chip is refused."""


class Programmer:
    """Brings the chip's data memory to `rows` and tells by `state` how far it is: RUN when it is right.

    `resets` counts how often it was found to be lost.
    """

    def __init__(self, bus: "Bus") -> None:
        self._bus = bus
        self._rows: "list[Row]" = []
        self._row = 0
        self._tries = 0
        self._found = 0
        self._done = False
        self.resets = 0
        self.state = ASK

    def begin(self, rows: "list[Row]") -> None:
        """Program these from the next step on."""
        self._rows = rows
        self._tries = 0
        self._done = False
        self.state = ASK

    def lost(self) -> None:
        """The chip was seen to have lost what was programmed."""
        self.resets += 1
        self._done = False
        self.state = ENTER

    def refusal(self, address: int) -> str:
        """Why the chip is refused, in words; empty while it is not."""
        if self.state != REFUSED:
            return ""
        if self._row < 0:
            return "bq76952: the chip at 0x%02x is a 0x%04x, it must be a 0x%04x" % (
                address,
                self._found,
                DEVICE,
            )
        row = self._rows[self._row]
        return "bq76952: register %s (0x%04x): written 0x%x, read back 0x%x, %d times" % (
            row.name,
            row.address,
            int.from_bytes(row.data, "little"),
            self._found,
            self._tries,
        )

    def ask(self) -> bool:
        """Ask for the next register; in a running chip one after the other, over and over."""
        if self._row >= len(self._rows):
            self._row = 0
        return self._bus.command(self._rows[self._row].address)

    def check(self) -> None:
        """Read and compare what was asked for; a wrong one counts as lost."""
        if self._compare():
            self._row += 1
        elif self.state == ENTER:
            self.lost()

    def step(self) -> None:
        """One step on the way; nothing to do in RUN and REFUSED."""
        state = self.state
        bus = self._bus
        if state == ASK:
            if bus.command(_DEVICE_NUMBER):
                self.state = IDENTIFY
            else:
                bus.crc = not bus.crc
        elif state == IDENTIFY:
            self._identify()
        elif state == RESUME:
            self._resume()
        elif state == ENTER:
            if bus.command(_SET_CFGUPDATE):
                self._row = 0
                self.state = ENTERED
        elif state == ENTERED:
            if bus.read(BATTERY_STATUS, 2):
                self.state = WRITE if bus.data[0] & _CFGUPDATE else ENTER
        elif state == WRITE:
            self._write_row()
        elif state == SWAP:
            bus.command(_SWAP_COMM_MODE)
            bus.crc = True
            self.state = ASK
        elif state == CHECK:
            if bus.command(self._rows[self._row].address):
                self.state = CHECKED
        elif state == CHECKED:
            self._check_row()
        if bus.silent >= PATIENCE:
            bus.silent = 0
            self.state = ASK

    def _identify(self) -> None:
        bus = self._bus
        if not bus.read(SUBCOMMAND, 4) or not bus.answered(_DEVICE_NUMBER):
            bus.crc = not bus.crc  # a chip that has been reset has forgotten which protocol we speak
            self.state = ASK
            return
        self._found = get_u16(bus.data, 2)
        if self._found != DEVICE:
            self._row = -1
            self.state = REFUSED
        elif not self._done:
            self.state = ENTER
        elif bus.crc:
            self.state = RESUME
        else:
            self.lost()  # without CRC: it has been reset

    def _resume(self) -> None:
        # The line was disturbed, or the chip was reset? Only then has it to be programmed again.
        bus = self._bus
        if bus.read(BATTERY_STATUS, 2):
            if bus.data[0] & LOST:
                self.lost()
            else:
                self.state = RUN

    def _write_row(self) -> None:
        # Without CRC only the first row is written, which turns it on.
        bus = self._bus
        if self._row < (len(self._rows) if bus.crc else 1):
            row = self._rows[self._row]
            if bus.store(row.address, row.data, row.size):
                self._row += 1
        elif bus.command(_EXIT_CFGUPDATE):
            self._row = 0
            self.state = CHECK if bus.crc else SWAP

    def _check_row(self) -> None:
        self.state = CHECK  # also when the transfer buffer was not ready: then ask again
        if self._compare() and self.state == CHECK:
            self._row += 1
            if self._row == len(self._rows):
                self._tries = 0
                self._done = True
                self.state = RUN

    def _compare(self) -> bool:
        # True when the register asked for came and is right; wrong ones start the programming anew.
        bus = self._bus
        row = self._rows[self._row]
        if not bus.read(SUBCOMMAND, 6) or not bus.answered(row.address):
            return False
        for i in range(row.size):
            if bus.data[2 + i] != row.data[i]:
                self._found = get_u16(bus.data, 2) & (0xFF if row.size == 1 else 0xFFFF)
                self._tries += 1
                self._done = False
                self.state = ENTER if self._tries < _TRIES else REFUSED
                return False
        return True
