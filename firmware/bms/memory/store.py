"""All of a board's memory in one: both journals and what is built on them."""

from bms.memory.blackbox import BlackBox
from bms.memory.journal import Journal
from bms.memory.kinds import BLACKBOX_KINDS, STATE_KINDS
from bms.memory.layout import BLACKBOX, BLACKBOX_SECTORS, SECTOR, STATE, STATE_SECTORS
from bms.memory.readout import Readout
from bms.memory.state import Charge, Counters, Latches, store_boot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.contract import Nvm


class Memory:
    """`latches`, `counters` and `charge` as they were stored, the black box `box`, and their `readout`.

    boot: number of this boot, whose cause is 0..255; params_hash: 8 bytes. Construct it at start-up.
    """

    def __init__(self, nvm: "Nvm", boot: int, cause: int, params_hash: bytes) -> None:
        self.state = Journal(nvm, STATE // SECTOR, STATE_SECTORS, STATE_KINDS)
        self.trips = Journal(nvm, BLACKBOX // SECTOR, BLACKBOX_SECTORS, BLACKBOX_KINDS)
        self.latches = Latches(self.state)
        self.counters = Counters(self.state)
        self.charge = Charge(self.state)
        self.box = BlackBox(self.trips, boot, cause, params_hash)
        self.readout = Readout((self.state, self.trips))
        store_boot(self.state, boot, cause, params_hash)

    @property
    def corrupt(self) -> bool:
        """Whether what was latched is not known for certain, or nothing can be stored any more."""
        return self.latches.corrupt or self.state.full

    def step(self, quiet: bool = True) -> bool:
        """At most one operation of the NVM (program 0.7 ms, erase 40 ms); False when there was none to do.

        Once a turn of the main loop. While not `quiet`, erases are put off for as long as there is room.
        """
        self.box.step()
        return self.state.step(quiet) or self.trips.step(quiet)
