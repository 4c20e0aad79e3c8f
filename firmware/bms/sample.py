"""Records between the AFE, the safety tick and the tasks above it; all preallocated, integers only."""

from array import array

TICK_MS = 5
"""Period of the safety tick and of the FAST group."""

QUALITY_OK = 0
"""Quality of a group whose values can be believed; any other value says why they cannot."""


UNKNOWN_CPCT = 10_000
"""A sigma of 100 %: the state of charge is not known."""


class Sample:
    """Last measurement of one string: `n_cells` cells and `n_temps` sensors.

    `*_seq` counts valid arrivals (modulo 2^16). A group whose quality is not QUALITY_OK is no
    arrival: unknown is not fresh.
    """

    def __init__(self, n_cells: int, n_temps: int) -> None:
        self.n_cells = n_cells
        self.n_temps = n_temps
        self.current_ma = 0
        self.pack_mv = 0
        self.link_mv = 0
        self.feedback = 0
        self.fast_seq = 0
        self.cell_mv = array("H", [0] * n_cells)
        self.cells_seq = 0
        self.temp_dc = array("h", [0] * n_temps)
        self.isolation_kohm = 0
        self.temps_seq = 0

    def put_fast(self, current_ma: int, pack_mv: int, link_mv: int, feedback: int) -> None:
        """Store a FAST group that can be believed, and count it."""
        self.current_ma = current_ma
        self.pack_mv = pack_mv
        self.link_mv = link_mv
        self.feedback = feedback
        self.fast_seq = (self.fast_seq + 1) & 0xFFFF


class Command:
    """What the tick tells the AFE and the rig; the fields of an ACTUATE frame.

    `faults` and `latched` are bitmaps by fault id, `balance` by cell, least significant bit first.
    """

    def __init__(self) -> None:
        self.tick = 0
        self.gates = 0
        self.state = 0
        self.pump_pct = 0
        self.limiter = 0
        self.soc_cpct = 0
        self.sigma_cpct = UNKNOWN_CPCT
        self.current_limit_da = 0
        self.kept = 0
        self.next_seq = 0
        self.faults = bytearray(8)
        self.latched = bytearray(8)
        self.balance = bytearray(4)


class Snapshot:
    """What the tasks above the tick may look at: a copy, taken by the tick at a period's start.

    `charge_ma_ms` is the charge since the snapshot before; `min`/`max` are over cells and sensors.
    `*_known` says whether a group's values are fresh enough to be believed.
    """

    def __init__(self, n_cells: int, n_temps: int) -> None:
        self.tick = 0
        self.charge_ma_ms = 0
        self.proven = False
        self.fast_known = False
        self.cells_known = False
        self.temps_known = False
        self.current_ma = 0
        self.pack_mv = 0
        self.link_mv = 0
        self.isolation_kohm = 0
        self.cell_min_mv = 0
        self.cell_max_mv = 0
        self.temp_min_dc = 0
        self.temp_max_dc = 0
        self.state = 0
        self.gates = 0
        self.faults = bytearray(8)
        self.cell_mv = array("H", [0] * n_cells)
        self.temp_dc = array("h", [0] * n_temps)


class Estimate:
    """What the tasks above the tick found; the tick publishes it at the next period's start.

    So its effect comes at the same tick however fast the controller is (logical execution time:
    Henzinger, Horowitz, Kirsch, "Giotto", 2003), and a slow task can only be late, never torn.
    """

    def __init__(self) -> None:
        self.soc_cpct = 0
        self.sigma_cpct = UNKNOWN_CPCT
        self.kept = 0
        self.next_seq = 0
