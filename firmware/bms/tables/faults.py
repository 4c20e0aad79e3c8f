"""Protections: one row each; the kernel, the rig, the cloud and the documentation read this table.

A row compares one signal of one sample group with a limit. `fresh` counts new samples, not ticks;
`max_reaction_ms` runs from the first offending sample on the AFE link to the gate command.
"""

# sample groups
FAST = 0
CELLS = 1
TEMPS = 2
GROUPS = ("fast", "cells", "temps")

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


class Fault:
    """A row. `id` is stable, below 64, and is the bit in fault bitmaps; limits are parameter names."""

    def __init__(
        self,
        id: int,
        name: str,
        group: int,
        signal: str,
        compare: int,
        limit: str,
        clear: str,
        fresh: int,
        latch: int,
        action: int,
        severity: int,
        max_reaction_ms: int,
        doc: str,
    ) -> None:
        self.id = id
        self.name = name
        self.group = group
        self.signal = signal
        self.compare = compare
        self.limit = limit
        self.clear = clear
        self.fresh = fresh
        self.latch = latch
        self.action = action
        self.severity = severity
        self.max_reaction_ms = max_reaction_ms
        self.doc = doc


FAULTS = (
    Fault(0, "fast_lost", FAST, "age_ms", ABOVE, "fast_lost_ms", "fast_lost_ms", 1, SELF_CLEARING, OPEN_NOW, 2,
          200, "no valid current and pack voltage sample"),
    Fault(1, "cells_lost", CELLS, "age_ms", ABOVE, "cells_lost_ms", "cells_lost_ms", 1, SELF_CLEARING, OPEN_NOW, 2,
          200, "no valid set of cell voltages"),
    Fault(2, "temps_lost", TEMPS, "age_ms", ABOVE, "temps_lost_ms", "temps_lost_ms", 1, SELF_CLEARING, OPEN_NOW, 2,
          300, "no valid set of temperatures"),
    Fault(3, "cell_over_voltage", CELLS, "cell_max_mv", ABOVE, "cell_ov_mv", "cell_ov_clear_mv", 2, LATCHED, OPEN_NOW, 2,
          50, "highest cell above its limit"),
    Fault(4, "cell_under_voltage", CELLS, "cell_min_mv", BELOW, "cell_uv_mv", "cell_uv_clear_mv", 2, LATCHED, OPEN_NOW, 2,
          50, "lowest cell below its limit"),
    Fault(5, "charge_over_current", FAST, "current_ma", ABOVE, "charge_oc_ma", "charge_oc_clear_ma", 2, LATCHED, OPEN_NOW, 2,
          20, "charge current above its limit"),
    Fault(6, "discharge_over_current", FAST, "current_ma", BELOW, "discharge_oc_ma", "discharge_oc_clear_ma", 2, LATCHED,
          OPEN_NOW, 2, 20, "discharge current beyond its limit"),
    Fault(7, "over_temperature", TEMPS, "temp_max_dc", ABOVE, "over_temp_dc", "over_temp_clear_dc", 5, LATCHED, OPEN_SOFT, 2,
          1500, "hottest sensor above its limit"),
    Fault(8, "under_temperature", TEMPS, "temp_min_dc", BELOW, "under_temp_dc", "under_temp_clear_dc", 5, SELF_CLEARING,
          OPEN_SOFT, 1, 1500, "coldest sensor below its limit"),
)  # fmt: skip
