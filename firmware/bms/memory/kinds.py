"""Kinds of journal records, one row each: written by the board, read by the rig, the cloud and the desk.

`size` is the longest payload in bytes. Of a *state* kind only the newest record counts: a newer one replaces
what still waits, and it is carried on before its sector is erased. Of the others every record counts until
the ring comes round. `urgent` goes before everything else, an erase included. Where several wait, the order
of the rows decides.
"""

LATCHED = 1
COUNTERS = 2
BOOT = 3
CHARGE = 4
TRIP = 5
FRAME = 6
FORGIVE = 7
CAPACITY = 8
IMBALANCE = 9


class Kind:
    """A row: id 1..254 (never re-used), name, longest payload, state, urgent."""

    def __init__(self, id: int, name: str, size: int, state: bool, urgent: bool, doc: str) -> None:
        self.id = id
        self.name = name
        self.size = size
        self.state = state
        self.urgent = urgent
        self.doc = doc


_FORGIVE = Kind(FORGIVE, "forgive", 0, False, True, "an operator gave up what was damaged before this record")

STATE_KINDS = (
    Kind(LATCHED, "latched", 12, True, True, "bitmap of latched faults, weld flags"),
    _FORGIVE,
    Kind(COUNTERS, "counters", 32, True, False, "what a life adds up to"),
    Kind(BOOT, "boot", 20, True, False, "boot number, its cause, hash of the parameters"),
    Kind(CHARGE, "charge", 132, True, False, "SoC, its sigma, and what the estimator keeps"),
    Kind(CAPACITY, "capacity", 228, True, False, "what rests have told of the capacity"),
    Kind(IMBALANCE, "imbalance", 228, True, False, "what rests have told of each cell"),
)
"""Of the state journal."""

BLACKBOX_KINDS = (
    Kind(TRIP, "trip", 116, False, True, "a trip with the cells at that moment"),
    Kind(FRAME, "frame", 52, False, False, "what was measured at one moment around a trip"),
    _FORGIVE,
)
"""Of the black box."""
