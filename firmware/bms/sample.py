"""Records between the AFE, the safety tick and the tasks above it; all preallocated, integers only."""

import micropython
import struct
from array import array

from micropython import const

TICK_MS = 5
"""Period of the safety tick and of the FAST group."""

PERIOD_MS = 100
"""Period of the tasks above the tick: estimators and control."""

QUALITY_OK = 0
"""Quality of a group whose values can be believed; any other value says why they cannot."""
INVALID = 1
OPEN_WIRE = 2

UNKNOWN_CPCT = 10_000
"""A sigma of 100 %: the state of charge is not known."""

MISSING = -0x40000000
"""No value: it is not known, or the board cannot find it."""


# The words of Sample.fast
CURRENT = const(0)
PACK = const(1)
LINK = const(2)
FEEDBACK = const(3)
LARGEST_MA = const(1 << 22)
"""Currents saturate there: times 100 ms they still fit the tick's arithmetic."""


class Sample:
    """Last measurement of one string: `n_cells` cells and `n_temps` sensors.

    `fast` holds current in mA, pack and link voltage in mV and the contactors' feedback (GATE_* bits).
    `seq` counts valid arrivals of each group (faults.FAST, CELLS, TEMPS; modulo 2^16). A group whose quality
    is not QUALITY_OK is no arrival: unknown is not fresh. `open_wire`: a cell at an open sense wire, counted
    from 1; 0: none known.
    """

    def __init__(self, n_cells: int, n_temps: int) -> None:
        self.n_cells = n_cells
        self.n_temps = n_temps
        self.fast = array("i", [0] * 4)
        self.cell_mv = array("H", [0] * n_cells)
        self.temp_dc = array("h", [0] * n_temps)
        self.isolation_kohm = 0
        self.open_wire = 0
        self.seq = array("i", [0] * 3)

    def arrived(self, group: int) -> None:
        """A valid sample of `group` has been put in."""
        self.seq[group] = (self.seq[group] + 1) & 0xFFFF

    @micropython.native
    def put_fast(self, current_ma: int, pack_mv: int, link_mv: int, feedback: int) -> None:
        """A valid sample of the fast group."""
        if not -LARGEST_MA <= current_ma <= LARGEST_MA:
            current_ma = LARGEST_MA if current_ma > 0 else -LARGEST_MA
        fast = self.fast
        fast[CURRENT] = current_ma
        fast[PACK] = pack_mv
        fast[LINK] = link_mv
        fast[FEEDBACK] = feedback
        seq = self.seq
        seq[0] = (seq[0] + 1) & 0xFFFF

    @property
    def current_ma(self) -> int:
        """String current, positive charges."""
        return self.fast[CURRENT]

    @property
    def pack_mv(self) -> int:
        """Pack voltage before the contactors."""
        return self.fast[PACK]

    @property
    def link_mv(self) -> int:
        """Voltage behind the contactors."""
        return self.fast[LINK]

    @property
    def feedback(self) -> int:
        """Contactors that say they are closed, GATE_* bits."""
        return self.fast[FEEDBACK]


# The bytes of Command.body that the tasks fill, as Estimate.packed brings them.
_TASKS = "<BHHHHHBBI4s"


class Command:
    """What the tick tells the AFE and the rig: `body` is the payload of an ACTUATE frame.

    `frame` has room for the header and the CRC round it, so that a serial link can seal it in place.

    `bits`: the fault bitmaps, active then latched, 8 bytes each by fault id; `balance` by cell, least
    significant bit first.
    """

    def __init__(self) -> None:
        self.frame = bytearray(54)
        self.body = memoryview(self.frame)[8:52]
        self.bits = self.body[24:40]
        self.balance = self.body[40:44]
        self.publish(Estimate())

    def publish(self, estimate: "Estimate") -> None:
        """What the tick does at the start of a period, for those who have no tick."""
        self.body[6:7] = estimate.packed[0:1]
        self.body[8:24] = estimate.packed[1:17]
        self.body[40:44] = estimate.packed[17:21]

    @property
    def tick(self) -> int:
        """Ticks since the start, modulo 2^30."""
        body = self.body
        return body[0] | body[1] << 8 | body[2] << 16 | body[3] << 24

    @property
    def gates(self) -> int:
        """Gate command, GATE_* bits."""
        return self.body[4]

    @property
    def state(self) -> int:
        """Of the contactor supervisor, index into signals.STATES."""
        return self.body[5]


# The words of Estimate.outlook
CORE = const(0)
CORE_AHEAD = const(1)
ENERGY = const(2)
ENERGY_SIGMA = const(3)
CHARGE_POWER = const(4)
DISCHARGE_POWER = const(5)
SOH = const(6)
SOH_SIGMA = const(7)
RESISTANCE = const(8)
RESISTANCE_SIGMA = const(9)
SOC_LOWEST = const(10)
SOC_HIGHEST = const(11)
OUTLOOK = (
    "core_temperature_c", "core_temperature_ahead_c", "energy_wh", "energy_sigma_wh",
    "charge_power_w", "discharge_power_w", "soh", "soh_sigma", "resistance_ratio", "resistance_ratio_sigma",
    "soc_lowest", "soc_highest",
)  # fmt: skip
"""Their signals (tables/signals.py), in whose units they are told."""


class Snapshot:
    """What the tasks above the tick may look at: a copy of what the tick held at a period's start.

    `device_ms` is the time since the first tick, `charge_ma_ms` the charge since the snapshot before;
    `min`/`max` are over cells and sensors.
    `*_known` says whether a group's values are fresh enough to be believed.
    """

    def __init__(self, n_cells: int, n_temps: int) -> None:
        self.tick = 0
        self.device_ms = 0
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
    Henzinger, Horowitz, Kirsch, "Giotto", 2003), and a slow task can only be late, never torn. Current limits
    are in 0.1 A, with the ids of the limiters in force; `balance` is a bitmap by cell.
    Only a board that has its cell's tables finds `outlook` and `power_ma`, the charge and discharge currents
    in mA that can be kept up for 10 s; each of them MISSING where it is not known.
    """

    def __init__(self) -> None:
        self.soc_cpct = 0
        self.sigma_cpct = UNKNOWN_CPCT
        self.charge_limit_da = 0
        self.discharge_limit_da = 0
        self.charge_limiter = 0
        self.discharge_limiter = 0
        self.pump_pct = 0
        self.kept = 0
        self.next_seq = 0
        self.charge_phase = 0
        self.charge_request_mv = 0
        self.charge_request_ma = 0
        self.balance = bytearray(4)
        self.power_ma = array("i", [MISSING] * 2)
        self.outlook = array("i", [MISSING] * len(OUTLOOK))
        self.packed = bytearray(21)
        self.pack()

    def pack(self) -> None:
        """Write the fields into `packed`, from where the tick copies them."""
        struct.pack_into(
            _TASKS, self.packed, 0,
            self.pump_pct, self.soc_cpct, self.sigma_cpct, self.charge_limit_da, self.discharge_limit_da,
            self.kept, self.charge_limiter, self.discharge_limiter, self.next_seq, self.balance,
        )  # fmt: skip
