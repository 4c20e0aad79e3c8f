"""What a board must know again after any loss of power: latched faults, welds, counters, state of charge.

Each class loads itself from a journal of kinds.STATE_KINDS at start-up and has its changes stored; nothing
allocates after that.
"""

import struct
from array import array

from bms.memory.crc import copy8
from bms.memory.kinds import BOOT, CHARGE, COUNTERS, FORGIVE, LATCHED
from bms.sample import TICK_MS, UNKNOWN_CPCT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.memory.journal import Journal

_LATCHED_BYTES = 9
BOOT_FORMAT = "<IB8s"
"""boot number, cause, hash of the parameters"""
CHARGE_FORMAT = "<HH"
"""soc 0.01 %, sigma 0.01 %; then what the estimator keeps"""
CHARGE_HEAD = 4
MAX_EXTRA = 128
CHARGE_EVERY_TICKS = 60_000 // TICK_MS
_TICKS_MASK = 0x3FFF_FFFF

CLOSINGS, OPENINGS, OPENINGS_LOADED, PRECHARGE_FAILURES, TRIPS, WELDS = range(6)
COUNTER_NAMES = ("closings", "openings", "openings_loaded", "precharge_failures", "trips", "welds")
"""In the order of the values of a counters record; new ones go behind."""


class Latches:
    """Latched faults (`bitmap`, bit = fault id) and `weld` flags (bit = contactor) as they were stored.

    `corrupt`: the journal is damaged, so what was latched is not known for certain; keep the gates open
    until an operator resets (`accept`). Construct it before anything else of the journal is used.
    """

    def __init__(self, journal: "Journal") -> None:
        self._journal = journal
        self._record = bytearray(_LATCHED_BYTES)
        self.bitmap = bytearray(8)
        self.weld = 0
        self.corrupt = journal.damaged > 0
        stored = journal.last(LATCHED)
        if stored is not None and len(stored) == _LATCHED_BYTES:
            self.bitmap[:] = stored[:8]
            self.weld = stored[8]
        elif not journal.blank:
            self.corrupt = True  # the first record of a journal is this one
        # once more: a record that was cut off in its last moment may read well now and not later
        self._write()

    def store(self, bitmap: "bytes | bytearray | memoryview", weld: int) -> None:
        """Have these stored, when they differ from what was."""
        same = weld == self.weld
        for i in range(8):
            same = same and bitmap[i] == self.bitmap[i]
        if not same:
            copy8(self.bitmap, 0, bitmap, 0, 8)
            self.weld = weld
            self._write()

    def accept(self) -> None:
        """An operator's reset: what is damaged is given up for good."""
        self._journal.append(FORGIVE, b"", 0)
        self.corrupt = False

    @property
    def stored(self) -> bool:
        """Whether a power cut can no longer lose what `store` was given last."""
        return not self._journal.waiting(LATCHED)

    def _write(self) -> None:
        copy8(self._record, 0, self.bitmap, 0, 8)
        self._record[8] = self.weld
        self._journal.append(LATCHED, self._record, _LATCHED_BYTES)


class Counters:
    """Counters of a life, by the indices CLOSINGS..; up to 2^30."""

    def __init__(self, journal: "Journal") -> None:
        self._journal = journal
        n = len(COUNTER_NAMES)
        self.values = array("i", [0] * n)
        self._record = bytearray(4 * n)
        stored = journal.last(COUNTERS) or b""
        for i in range(min(n, len(stored) // 4)):
            self.values[i] = struct.unpack_from("<I", stored, 4 * i)[0]

    def named(self) -> "dict[str, int]":
        """By name, for people."""
        return dict(zip(COUNTER_NAMES, self.values))  # noqa: B905  MicroPython has no strict

    def add(self, index: int) -> None:
        """One more."""
        self.values[index] += 1
        for i in range(len(self.values)):
            struct.pack_into("<I", self._record, 4 * i, self.values[i])
        self._journal.append(COUNTERS, self._record, len(self._record))


class Charge:
    """The estimate that was stored last: soc_cpct, sigma_cpct (UNKNOWN_CPCT: none) and `extra`."""

    def __init__(self, journal: "Journal") -> None:
        self._journal = journal
        self._record = bytearray(CHARGE_HEAD + MAX_EXTRA)
        self._next_tick = CHARGE_EVERY_TICKS
        self.soc_cpct = 0
        self.sigma_cpct = UNKNOWN_CPCT
        self.extra = b""
        stored = journal.last(CHARGE)
        if stored is not None:
            self.soc_cpct, self.sigma_cpct = struct.unpack_from(CHARGE_FORMAT, stored)
            self.extra = stored[CHARGE_HEAD:]

    def due(self, tick: int) -> bool:
        """Whether a minute has passed since `store`; before a reboot store in any case."""
        return (tick - self._next_tick) & _TICKS_MASK < _TICKS_MASK // 2

    def store(
        self, tick: int, soc_cpct: int, sigma_cpct: int, extra: "bytes | bytearray" = b"", n: int = 0
    ) -> None:
        """Have an estimate stored, with extra[:n] (at most MAX_EXTRA)."""
        struct.pack_into(CHARGE_FORMAT, self._record, 0, soc_cpct, sigma_cpct)
        copy8(self._record, CHARGE_HEAD, extra, 0, n)
        self._journal.append(CHARGE, self._record, CHARGE_HEAD + n)
        self._next_tick = (tick + CHARGE_EVERY_TICKS) & _TICKS_MASK


def store_boot(journal: "Journal", boot: int, cause: int, params_hash: bytes) -> None:
    """Note a boot: its number, cause and the hash of its parameters. For start-up."""
    record = struct.pack(BOOT_FORMAT, boot, cause, params_hash)
    journal.append(BOOT, record, len(record))
