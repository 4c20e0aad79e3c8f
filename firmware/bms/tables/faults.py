"""Protections: one row each; the kernel, the rig, the cloud and the documentation read this table.

A row compares one signal of one group with a limit, both in the unit of the limit's parameter. It trips
after `fresh` offending samples in a row: samples that did come, not ticks; those of group SELF come every
20 ms. `max_reaction_ms` runs from the first offending sample on the AFE link to the gate command.
"""

from collections import namedtuple

TYPE_CHECKING = False

# groups of signals: three of samples, and what the controller knows of itself
FAST = 0
CELLS = 1
TEMPS = 2
SELF = 3
GROUPS = ("fast", "cells", "temps", "self")
PERIOD_MS = (5, 20, 100, 20)
"""Of the samples of each group."""

# comparison of the signal with the limit
ABOVE = 0
BELOW = 1

# actions, weakest first
DERATE = 0
OPEN_SOFT = 1
OPEN_NOW = 2
ACTIONS = ("derate", "open_soft", "open_now")

# latch policies
SELF_CLEARING = 0
LATCHED = 1
LATCHES = ("self-clearing", "latched")

SEVERITIES = ("info", "warning", "critical")

# when a sample can offend; it can always clear
ALWAYS = 0
CHARGING = 1
WHENS = ("always", "while charging")

NO_LIMIT = ""
"""As `limit`: the signal is a flag or a count, and any above 0 offends."""


if TYPE_CHECKING:
    from typing import NamedTuple

    class Fault(NamedTuple):
        """A row. `id` is stable, below 64, and is the bit in fault bitmaps; limits are parameter names.

        `per_cell`: the limit is multiplied by the cells in series.
        """

        id: int
        name: str
        group: int
        signal: str
        compare: int
        limit: str
        clear: str
        fresh: int
        latch: int
        action: int
        severity: int
        max_reaction_ms: int
        when: int
        per_cell: bool
        doc: str

else:
    Fault = namedtuple(  # a third of the memory of an instance
        "Fault",
        (
            "id", "name", "group", "signal", "compare", "limit", "clear", "fresh", "latch", "action",
            "severity", "max_reaction_ms", "when", "per_cell", "doc",
        ),
    )  # fmt: skip


def level(row: "Fault", name: str, limits: "dict[str, int]", n_cells: int) -> int:
    """What `name` (the row's limit or clear) is under `limits` for a string of `n_cells`."""
    if name == NO_LIMIT:
        return 0
    return limits[name] * n_cells if row.per_cell else limits[name]


FAULTS: "tuple[Fault, ...]" = (
    Fault(0, "fast_lost", FAST, "age_ms", ABOVE, "fast_lost_ms", "fast_lost_ms", 1,
          SELF_CLEARING, OPEN_NOW, 2, 200, ALWAYS, False,
          "no valid current and pack voltage sample"),
    Fault(1, "cells_lost", CELLS, "age_ms", ABOVE, "cells_lost_ms", "cells_lost_ms", 1,
          SELF_CLEARING, OPEN_NOW, 2, 200, ALWAYS, False,
          "no valid set of cell voltages"),
    Fault(2, "temps_lost", TEMPS, "age_ms", ABOVE, "temps_lost_ms", "temps_lost_ms", 1,
          SELF_CLEARING, OPEN_NOW, 2, 200, ALWAYS, False,
          "no valid set of temperatures"),
    Fault(3, "cell_over_voltage", CELLS, "cell_max_mv", ABOVE, "cell_ov_mv", "cell_ov_clear_mv", 2,
          LATCHED, OPEN_NOW, 2, 50, ALWAYS, False,
          "highest cell above its limit"),
    Fault(4, "cell_under_voltage", CELLS, "cell_min_mv", BELOW, "cell_uv_mv", "cell_uv_clear_mv", 2,
          LATCHED, OPEN_NOW, 2, 50, ALWAYS, False,
          "lowest cell below its limit"),
    Fault(5, "charge_over_current", FAST, "current_ma", ABOVE, "charge_oc_ma", "charge_oc_clear_ma", 2,
          LATCHED, OPEN_NOW, 2, 20, ALWAYS, False,
          "charge current above its limit"),
    Fault(6, "discharge_over_current", FAST, "current_ma", BELOW, "discharge_oc_ma", "discharge_oc_clear_ma", 2,
          LATCHED, OPEN_NOW, 2, 20, ALWAYS, False,
          "discharge current beyond its limit"),
    Fault(7, "over_temperature", TEMPS, "temp_max_dc", ABOVE, "over_temp_dc", "over_temp_clear_dc", 5,
          LATCHED, OPEN_SOFT, 2, 1500, ALWAYS, False,
          "hottest sensor above its limit"),
    Fault(8, "under_temperature", TEMPS, "temp_min_dc", BELOW, "under_temp_dc", "under_temp_clear_dc", 5,
          SELF_CLEARING, OPEN_SOFT, 1, 1500, ALWAYS, False,
          "coldest sensor below its limit"),
    Fault(9, "charge_over_temperature", TEMPS, "temp_max_dc", ABOVE, "charge_over_temp_dc", "charge_over_temp_clear_dc", 20,
          SELF_CLEARING, OPEN_SOFT, 1, 3400, CHARGING, False,
          "hottest sensor above the limit for charging, for 2 s"),
    Fault(10, "charge_under_temperature", TEMPS, "temp_min_dc", BELOW, "charge_under_temp_dc", "charge_under_temp_clear_dc", 20,
          SELF_CLEARING, OPEN_SOFT, 2, 3400, CHARGING, False,
          "coldest sensor below the limit for charging, for 2 s: lithium plating"),
    Fault(11, "charge_overload", FAST, "current_ma", ABOVE, "charge_overload_ma", "charge_overload_clear_ma", 200,
          LATCHED, OPEN_SOFT, 1, 1520, ALWAYS, False,
          "charge current above its lasting limit for 1 s"),
    Fault(12, "discharge_overload", FAST, "current_ma", BELOW, "discharge_overload_ma", "discharge_overload_clear_ma", 400,
          LATCHED, OPEN_SOFT, 1, 2520, ALWAYS, False,
          "discharge current beyond its lasting limit for 2 s"),
    Fault(13, "pack_over_voltage", FAST, "pack_mv", ABOVE, "pack_ov_cell_mv", "pack_ov_cell_clear_mv", 4,
          LATCHED, OPEN_NOW, 2, 50, ALWAYS, True,
          "pack voltage above its limit"),
    Fault(14, "pack_under_voltage", FAST, "pack_mv", BELOW, "pack_uv_cell_mv", "pack_uv_cell_clear_mv", 4,
          LATCHED, OPEN_NOW, 2, 50, ALWAYS, True,
          "pack voltage below its limit"),
    Fault(15, "sum_of_cells", CELLS, "sum_error_mv", ABOVE, "sum_error_cell_mv", "sum_error_cell_clear_mv", 5,
          LATCHED, OPEN_NOW, 2, 200, ALWAYS, True,
          "sum of the cells differs from the pack voltage"),
    Fault(16, "cell_imbalance", CELLS, "spread_mv", ABOVE, "imbalance_mv", "imbalance_clear_mv", 500,
          SELF_CLEARING, DERATE, 1, 10_100, ALWAYS, False,
          "highest and lowest cell too far apart for 10 s"),
    Fault(17, "open_wire", SELF, "open_wires", ABOVE, NO_LIMIT, NO_LIMIT, 1,
          LATCHED, OPEN_NOW, 2, 200, ALWAYS, False,
          "the front end found a sense wire open"),
    Fault(18, "cells_frozen", CELLS, "cells_frozen", ABOVE, "frozen_samples", "frozen_samples", 1,
          LATCHED, OPEN_NOW, 2, 200, ALWAYS, False,
          "cell voltages do not move while the current does"),
    Fault(19, "current_frozen", FAST, "current_frozen_mv", ABOVE, "frozen_step_cell_mv", "frozen_step_cell_mv", 2,
          LATCHED, OPEN_NOW, 2, 200, ALWAYS, True,
          "the current does not move while the pack voltage does"),
    Fault(20, "temp_sensor_open", TEMPS, "temp_min_dc", BELOW, "temp_low_dc", "temp_low_dc", 1,
          LATCHED, OPEN_NOW, 2, 200, ALWAYS, False,
          "a temperature below what a connected sensor can read"),
    Fault(21, "temp_sensor_short", TEMPS, "temp_max_dc", ABOVE, "temp_high_dc", "temp_high_dc", 1,
          LATCHED, OPEN_NOW, 2, 200, ALWAYS, False,
          "a temperature above what a connected sensor can read"),
    Fault(22, "temperature_rise", TEMPS, "rise_dc", ABOVE, "temp_rise_dc", "temp_rise_clear_dc", 2,
          LATCHED, OPEN_SOFT, 2, 4500, ALWAYS, False,
          "a sensor rises too fast, over 3 s"),
    Fault(23, "thermal_runaway", TEMPS, "runaway_dc", ABOVE, "runaway_rise_dc", "temp_rise_clear_dc", 1,
          LATCHED, OPEN_NOW, 2, 4000, ALWAYS, False,
          "fast rise over 3 s with a cell voltage collapsing or a sensor above its limit"),
    Fault(24, "isolation", TEMPS, "isolation_kohm", BELOW, "isolation_kohm", "isolation_clear_kohm", 5,
          LATCHED, OPEN_SOFT, 2, 1500, ALWAYS, False,
          "isolation resistance below its limit"),
    Fault(25, "afe_error", SELF, "link_errors", ABOVE, "link_errors", "link_errors_clear", 1,
          SELF_CLEARING, OPEN_SOFT, 1, 1500, ALWAYS, False,
          "too many of the front end's messages refused in a second"),
    Fault(26, "contactor_welded", SELF, "welded", ABOVE, NO_LIMIT, NO_LIMIT, 1,
          LATCHED, OPEN_NOW, 2, 1000, ALWAYS, False,
          "a contactor did not open: its feedback or the link voltage stays up"),
    Fault(27, "contactor_not_closing", SELF, "not_closing", ABOVE, NO_LIMIT, NO_LIMIT, 1,
          LATCHED, OPEN_NOW, 2, 200, ALWAYS, False,
          "a contactor's feedback does not follow its gate"),
    Fault(28, "precharge_failed", SELF, "precharge_failed", ABOVE, NO_LIMIT, NO_LIMIT, 1,
          LATCHED, OPEN_NOW, 1, 60_000, ALWAYS, False,
          "the link did not charge in any of the tries"),
    Fault(29, "parameters_corrupt", SELF, "parameters_corrupt", ABOVE, NO_LIMIT, NO_LIMIT, 1,
          LATCHED, OPEN_NOW, 2, 200, ALWAYS, False,
          "the limits in memory do not match their checksum"),
    Fault(30, "state_corrupt", SELF, "state_corrupt", ABOVE, NO_LIMIT, NO_LIMIT, 1,
          LATCHED, OPEN_NOW, 2, 20, ALWAYS, False,
          "the protections' state in memory does not match its copy"),
    Fault(31, "task_overrun", SELF, "late_periods", ABOVE, "task_late_periods", NO_LIMIT, 1,
          SELF_CLEARING, OPEN_SOFT, 1, 1500, ALWAYS, False,
          "the estimators and reports have not run for several periods"),
    Fault(32, "tick_overrun", SELF, "tick_ms", ABOVE, "tick_late_ms", "tick_late_ms", 1,
          SELF_CLEARING, OPEN_NOW, 1, 200, ALWAYS, False,
          "the safety tick came too late"),
    Fault(33, "watchdog_reset", SELF, "watchdog_reset", ABOVE, NO_LIMIT, NO_LIMIT, 1,
          SELF_CLEARING, DERATE, 1, 60_000, ALWAYS, False,
          "the watchdog reset the controller less than a minute ago"),
    Fault(34, "brownout_reset", SELF, "brownout_reset", ABOVE, NO_LIMIT, NO_LIMIT, 1,
          SELF_CLEARING, DERATE, 1, 60_000, ALWAYS, False,
          "the supply failed less than a minute ago"),
    Fault(35, "nvm_corrupt", SELF, "nvm_corrupt", ABOVE, NO_LIMIT, NO_LIMIT, 1,
          LATCHED, OPEN_NOW, 2, 200, ALWAYS, False,
          "the non-volatile memory cannot be believed: latched faults may be lost"),
    Fault(36, "internal_short", SELF, "self_discharge_ma", ABOVE, "self_discharge_ma", "self_discharge_clear_ma", 1,
          LATCHED, OPEN_SOFT, 2, 7_200_000, ALWAYS, False,
          "a resting cell discharges by itself: an internal short is likely"),
)  # fmt: skip
