"""What can hold a current limit below its base value: names, and the maps from a signal to a share.

A map is a line: the whole base limit up to `begin`, `floor` of it from `end` on, straight between them.
Limits, levels and floors are parameter names; `trip` names the protection's limit that `end` must lie
inside of, so that the current is gone before the contactors have to open.
"""

NONE = 0
QUALITY = 1
CONTACTORS = 2
FAULT = 3
CELL_HIGH = 4
CELL_LOW = 5
HOT = 6
COLD = 7
SOC_HIGH = 8
SOC_LOW = 9
IMBALANCE = 10
REMOTE = 11
RAMP = 12
POWER = 13


class Limiter:
    """A row: `id` is stable and travels in telemetry; of two equally tight limiters the lower id is named."""

    def __init__(self, id: int, name: str, doc: str) -> None:
        self.id = id
        self.name = name
        self.doc = doc


LIMITERS = (
    Limiter(NONE, "none", "the whole base limit is allowed"),
    Limiter(QUALITY, "quality", "a group of measurements is not known: zero"),
    Limiter(CONTACTORS, "contactors", "the contactors are not closed, or are about to open: zero"),
    Limiter(FAULT, "fault", "an active protection asks for derating"),
    Limiter(CELL_HIGH, "cell_voltage_high", "the highest cell nears its upper limit"),
    Limiter(CELL_LOW, "cell_voltage_low", "the lowest cell nears its lower limit"),
    Limiter(HOT, "hot", "the hottest sensor"),
    Limiter(COLD, "cold", "the coldest sensor"),
    Limiter(SOC_HIGH, "soc_high", "state of charge plus its margin nears full"),
    Limiter(SOC_LOW, "soc_low", "state of charge less its margin nears empty"),
    Limiter(IMBALANCE, "imbalance", "the cells lie far apart"),
    Limiter(REMOTE, "remote", "a remote limit that has not expired"),
    Limiter(RAMP, "ramp", "nothing holds it down any more: it rises again, slowly"),
    Limiter(POWER, "power", "what the cells can keep up for 10 s, where the board has their tables"),
)

# sides
CHARGE = 0
DISCHARGE = 1

# signals of the maps
CELL_MAX_MV = 0
CELL_MIN_MV = 1
TEMP_MAX_DC = 2
TEMP_MIN_DC = 3
SOC_UPPER_CPCT = 4
SOC_LOWER_CPCT = 5
SPREAD_MV = 6
FALLING = (CELL_MIN_MV, TEMP_MIN_DC, SOC_LOWER_CPCT)
"""Signals that get dangerous downwards; the others do upwards."""

MAPS = (
    # side, limiter, signal, begin, end, floor in % ("" for 0), trip ("" where no protection stands behind)
    (CHARGE, CELL_HIGH, CELL_MAX_MV, "cell_high_mv", "cell_high_end_mv", "", "cell_ov_mv"),
    (DISCHARGE, CELL_LOW, CELL_MIN_MV, "cell_low_mv", "cell_low_end_mv", "", "cell_uv_mv"),
    (CHARGE, HOT, TEMP_MAX_DC, "charge_hot_dc", "charge_hot_end_dc", "", "charge_over_temp_dc"),
    (DISCHARGE, HOT, TEMP_MAX_DC, "discharge_hot_dc", "discharge_hot_end_dc", "", "over_temp_dc"),
    (CHARGE, COLD, TEMP_MIN_DC, "charge_cold_dc", "charge_cold_end_dc", "", "charge_under_temp_dc"),
    (DISCHARGE, COLD, TEMP_MIN_DC, "discharge_cold_dc", "discharge_cold_end_dc", "", "under_temp_dc"),
    (CHARGE, SOC_HIGH, SOC_UPPER_CPCT, "soc_high_cpct", "soc_high_end_cpct", "soc_high_floor_pct", ""),
    (DISCHARGE, SOC_LOW, SOC_LOWER_CPCT, "soc_low_cpct", "soc_low_end_cpct", "", ""),
    (CHARGE, IMBALANCE, SPREAD_MV, "spread_mv", "spread_end_mv", "", ""),
    (DISCHARGE, IMBALANCE, SPREAD_MV, "spread_mv", "spread_end_mv", "", ""),
)
