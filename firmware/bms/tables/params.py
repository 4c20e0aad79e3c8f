"""Parameters: one row each, read by the firmware, the rig, the cloud and the documentation.

A value is a 32-bit signed integer in the row's unit. `low..high` is what makes sense at all;
`envelope` is the hard range of that chemistry in ROM, which no remote set can leave. `safer` says
which way a safety-class value is tightened: -1 lower is safer, +1 higher is safer, 0 not safety.
"""

import hashlib
import struct
from array import array

SAFETY = "safety"
TUNING = "tuning"
PACK = "pack"

NMC = 0
NCA = 1
LFP = 2
CHEMISTRIES = ("nmc", "nca", "lfp")


class Param:
    """A row: stable id (never re-used), name with unit, schema range, class and safer direction."""

    def __init__(
        self, id: int, name: str, unit: str, low: int, high: int, kind: str, safer: int, doc: str
    ) -> None:
        self.id = id
        self.name = name
        self.unit = unit
        self.low = low
        self.high = high
        self.kind = kind
        self.safer = safer
        self.doc = doc


PARAMS: "tuple[Param, ...]" = (
    Param(1, "cell_ov_mv", "mV", 3000, 4400, SAFETY, -1, "cell over-voltage limit"),
    Param(2, "cell_ov_clear_mv", "mV", 3000, 4400, SAFETY, -1, "cell over-voltage clear level"),
    Param(3, "cell_uv_mv", "mV", 1500, 3500, SAFETY, 1, "cell under-voltage limit"),
    Param(4, "cell_uv_clear_mv", "mV", 1500, 3600, SAFETY, 1, "cell under-voltage clear level"),
    Param(5, "charge_oc_ma", "mA", 100, 500_000, SAFETY, -1, "charge over-current limit"),
    Param(6, "charge_oc_clear_ma", "mA", 0, 500_000, SAFETY, -1, "charge over-current clear level"),
    Param(7, "discharge_oc_ma", "mA", -500_000, -100, SAFETY, 1, "discharge over-current limit"),
    Param(8, "discharge_oc_clear_ma", "mA", -500_000, 0, SAFETY, 1, "discharge over-current clear level"),
    Param(9, "over_temp_dc", "0.1 degC", 200, 800, SAFETY, -1, "over-temperature limit"),
    Param(10, "over_temp_clear_dc", "0.1 degC", 200, 800, SAFETY, -1, "over-temperature clear level"),
    Param(11, "under_temp_dc", "0.1 degC", -400, 100, SAFETY, 1, "under-temperature limit"),
    Param(12, "under_temp_clear_dc", "0.1 degC", -400, 150, SAFETY, 1, "under-temperature clear level"),
    Param(13, "fast_lost_ms", "ms", 10, 100, SAFETY, -1, "age at which FAST counts as lost"),
    Param(14, "cells_lost_ms", "ms", 40, 200, SAFETY, -1, "age at which CELLS counts as lost"),
    Param(15, "temps_lost_ms", "ms", 150, 500, SAFETY, -1, "age at which TEMPS counts as lost"),
    Param(16, "capacity_mah", "mAh", 100, 1_000_000, PACK, 0, "usable capacity of one string"),
    Param(17, "precharge_pct", "%", 80, 99, TUNING, 0, "link voltage at which the main contactor closes"),
    Param(
        18, "precharge_timeout_ms", "ms", 100, 10_000, TUNING, 0, "longest precharge before it is given up"
    ),
    Param(
        19, "rest_current_ma", "mA", 1, 10_000, TUNING, 0, "below this |current| the pack counts as resting"
    ),
    Param(
        20, "charge_over_temp_dc", "0.1 degC", 200, 700, SAFETY, -1, "over-temperature limit while charging"
    ),
    Param(21, "charge_over_temp_clear_dc", "0.1 degC", 200, 700, SAFETY, -1, "its clear level"),
    Param(
        22, "charge_under_temp_dc", "0.1 degC", -300, 150, SAFETY, 1, "under-temperature limit while charging"
    ),
    Param(23, "charge_under_temp_clear_dc", "0.1 degC", -300, 200, SAFETY, 1, "its clear level"),
    Param(24, "charge_overload_ma", "mA", 100, 500_000, SAFETY, -1, "lasting charge current limit"),
    Param(25, "charge_overload_clear_ma", "mA", 0, 500_000, SAFETY, -1, "its clear level"),
    Param(26, "discharge_overload_ma", "mA", -500_000, -100, SAFETY, 1, "lasting discharge current limit"),
    Param(27, "discharge_overload_clear_ma", "mA", -500_000, 0, SAFETY, 1, "its clear level"),
    Param(28, "pack_ov_cell_mv", "mV", 3000, 4400, SAFETY, -1, "pack over-voltage limit, per cell in series"),
    Param(29, "pack_ov_cell_clear_mv", "mV", 3000, 4400, SAFETY, -1, "its clear level, per cell in series"),
    Param(30, "pack_uv_cell_mv", "mV", 1500, 3500, SAFETY, 1, "pack under-voltage limit, per cell in series"),
    Param(31, "pack_uv_cell_clear_mv", "mV", 1500, 3600, SAFETY, 1, "its clear level, per cell in series"),
    Param(
        32,
        "sum_error_cell_mv",
        "mV",
        5,
        100,
        SAFETY,
        -1,
        "pack voltage against sum of cells, per cell in series",
    ),
    Param(33, "sum_error_cell_clear_mv", "mV", 2, 100, SAFETY, -1, "its clear level, per cell in series"),
    Param(34, "imbalance_mv", "mV", 20, 2000, SAFETY, -1, "highest against lowest cell"),
    Param(35, "imbalance_clear_mv", "mV", 10, 2000, SAFETY, -1, "its clear level"),
    Param(
        36,
        "frozen_samples",
        "1",
        2,
        8,
        SAFETY,
        -1,
        "sets of equal cell voltages under a moving current that pass",
    ),
    Param(
        37, "frozen_step_ma", "mA", 100, 100_000, SAFETY, -1, "current change that must move a cell voltage"
    ),
    Param(
        38,
        "frozen_step_cell_mv",
        "mV",
        5,
        200,
        SAFETY,
        -1,
        "pack voltage change in 100 ms that a constant current cannot make, per cell in series",
    ),
    Param(39, "temp_low_dc", "0.1 degC", -500, -300, SAFETY, 1, "lowest believable temperature"),
    Param(40, "temp_high_dc", "0.1 degC", 900, 1500, SAFETY, -1, "highest believable temperature"),
    Param(41, "temp_rise_dc", "0.1 degC", 5, 100, SAFETY, -1, "temperature rise in 3 s"),
    Param(42, "temp_rise_clear_dc", "0.1 degC", 0, 50, SAFETY, -1, "its clear level"),
    Param(
        43, "runaway_rise_dc", "0.1 degC", 15, 100, SAFETY, -1, "temperature rise in 3 s of a thermal runaway"
    ),
    Param(
        44,
        "runaway_drop_pct",
        "%",
        5,
        50,
        SAFETY,
        -1,
        "fall of the lowest cell voltage in 3 s of a thermal runaway",
    ),
    Param(45, "isolation_kohm", "kOhm", 5, 10_000, SAFETY, 1, "lowest isolation resistance"),
    Param(46, "isolation_clear_kohm", "kOhm", 5, 20_000, SAFETY, 1, "its clear level"),
    Param(47, "link_errors", "1", 1, 200, SAFETY, -1, "front end messages refused in a second"),
    Param(48, "link_errors_clear", "1", 0, 200, SAFETY, -1, "its clear level"),
    Param(49, "task_late_periods", "1", 2, 8, SAFETY, -1, "periods of 100 ms that the tasks may miss"),
    Param(50, "tick_late_ms", "ms", 10, 100, SAFETY, -1, "time between two safety ticks"),
    Param(51, "self_discharge_ma", "mA", 1, 10_000, SAFETY, -1, "self-discharge of one cell at rest"),
    Param(52, "self_discharge_clear_ma", "mA", 0, 10_000, SAFETY, -1, "its clear level"),
    Param(
        53, "weld_test_ms", "ms", 50, 2000, TUNING, 0, "after an opening, until feedback and link are judged"
    ),
    Param(
        54,
        "weld_link_pct",
        "%",
        80,
        100,
        TUNING,
        0,
        "link voltage that says after weld_test_ms that the path is closed",
    ),
    Param(
        55, "feedback_ms", "ms", 20, 500, TUNING, 0, "time in which a contactor's feedback follows its gate"
    ),
    Param(
        56, "precharge_slope_mv", "mV", 10, 50_000, TUNING, 0, "rise of the link in 20 ms that still closes"
    ),
    Param(57, "precharge_tries", "1", 1, 10, TUNING, 0, "precharges before they count as failed"),
    Param(
        58,
        "precharge_cooldown_ms",
        "ms",
        1000,
        60_000,
        TUNING,
        0,
        "pause of the precharge resistor after a failed try",
    ),
    Param(60, "charge_max_ma", "mA", 50, 450_000, SAFETY, -1, "base limit of the charge current"),
    Param(61, "discharge_max_ma", "mA", -450_000, -50, SAFETY, 1, "base limit of the discharge current"),
    Param(62, "cell_high_mv", "mV", 2500, 4400, SAFETY, -1, "charge derates from this highest cell on"),
    Param(63, "cell_high_end_mv", "mV", 2500, 4400, SAFETY, -1, "highest cell at which charge is zero"),
    Param(64, "cell_low_mv", "mV", 1500, 3800, SAFETY, 1, "discharge derates from this lowest cell on"),
    Param(65, "cell_low_end_mv", "mV", 1500, 3700, SAFETY, 1, "lowest cell at which discharge is zero"),
    Param(66, "charge_cold_dc", "0.1 degC", -200, 300, SAFETY, 1, "charge derates below"),
    Param(67, "charge_cold_end_dc", "0.1 degC", -200, 250, SAFETY, 1, "charge is zero from here down"),
    Param(68, "charge_hot_dc", "0.1 degC", 200, 700, SAFETY, -1, "charge derates above, at less voltage"),
    Param(69, "charge_hot_end_dc", "0.1 degC", 200, 750, SAFETY, -1, "charge is zero from here up"),
    Param(70, "discharge_cold_dc", "0.1 degC", -350, 200, SAFETY, 1, "discharge derates below"),
    Param(71, "discharge_cold_end_dc", "0.1 degC", -390, 150, SAFETY, 1, "discharge is zero from here down"),
    Param(72, "discharge_hot_dc", "0.1 degC", 200, 750, SAFETY, -1, "discharge derates above"),
    Param(73, "discharge_hot_end_dc", "0.1 degC", 200, 790, SAFETY, -1, "discharge is zero from here up"),
    Param(74, "soc_high_cpct", "0.01 %", 1000, 9999, TUNING, 0, "charge derates above this upper SoC bound"),
    Param(75, "soc_high_end_cpct", "0.01 %", 2000, 10_000, TUNING, 0, "upper SoC bound of the charge floor"),
    Param(76, "soc_high_floor_pct", "%", 0, 100, TUNING, 0, "charge limit left at soc_high_end_cpct"),
    Param(77, "soc_low_cpct", "0.01 %", 1, 9000, TUNING, 0, "discharge derates below this lower SoC bound"),
    Param(78, "soc_low_end_cpct", "0.01 %", 0, 8000, TUNING, 0, "lower SoC bound at which discharge is zero"),
    Param(79, "spread_mv", "mV", 20, 1000, TUNING, 0, "both derate above this spread of the cells"),
    Param(80, "spread_end_mv", "mV", 50, 1500, TUNING, 0, "spread of the cells at which both are zero"),
    Param(81, "fault_derate_pct", "%", 0, 100, SAFETY, -1, "limits while a protection asks for derating"),
    Param(82, "soc_sigmas", "1", 0, 3, TUNING, 0, "SoC bounds lie so many sigmas from the estimate"),
    Param(83, "derate_hold_ms", "ms", 0, 60_000, TUNING, 0, "a limit rises so long after its last fall"),
    Param(84, "derate_ramp_pct_s", "%/s", 1, 100, TUNING, 0, "and then so much of its base a second"),
    Param(85, "balance_start_cpct", "0.01 %", 20, 2000, TUNING, 0, "cell above the lowest: bleeding starts"),
    Param(86, "balance_stop_cpct", "0.01 %", 5, 1500, TUNING, 0, "cell above the lowest: bleeding ends"),
    Param(87, "balance_min_mv", "mV", 2500, 4300, TUNING, 0, "no cell below is bled"),
    Param(88, "balance_rest_s", "s", 10, 36_000, TUNING, 0, "rest before voltages tell the balance"),
    Param(89, "balance_max_cells", "1", 1, 32, TUNING, 0, "cells bled at once"),
    Param(90, "balance_hot_dc", "0.1 degC", 200, 700, TUNING, 0, "no bleeding from here up"),
    Param(91, "charge_cv_mv", "mV", 3000, 4400, SAFETY, -1, "charge voltage of the highest cell"),
    Param(92, "charge_warm_cv_mv", "mV", 2800, 4400, SAFETY, -1, "the same above charge_hot_dc"),
    Param(93, "charge_cc_pct", "%/h", 1, 500, TUNING, 0, "requested charge current, of the capacity"),
    Param(94, "charge_taper_pct", "%/h", 1, 50, TUNING, 0, "full at this current, of the capacity"),
    Param(
        95, "charge_restart_mv", "mV", 2500, 4350, TUNING, 0, "highest cell below which charging starts anew"
    ),
    Param(96, "cooling_on_dc", "0.1 degC", 100, 600, TUNING, 0, "cooling rises from here"),
    Param(97, "cooling_full_dc", "0.1 degC", 150, 700, TUNING, 0, "cooling is full from here"),
    Param(98, "cell_r0_uohm", "uOhm", 50, 500_000, PACK, 0, "nominal resistance of a cell, for its heat"),
    Param(99, "cooling_full_mw", "mW", 50, 200_000, TUNING, 0, "heat of a cell at which cooling is full"),
)

# default, envelope low, envelope high; in the order of CHEMISTRIES. Limits in current and capacity
# are per string and scale with the pack: these suit one 3 Ah cell in parallel.
_PRESETS: "dict[str, tuple[tuple[int, int, int], ...]]" = {
    "cell_ov_mv": ((4250, 3600, 4300), (4250, 3600, 4300), (3650, 3400, 3800)),
    "cell_ov_clear_mv": ((4150, 3500, 4250), (4150, 3500, 4250), (3500, 3300, 3700)),
    "cell_uv_mv": ((2700, 2500, 3300), (2600, 2400, 3300), (2000, 1900, 2900)),
    "cell_uv_clear_mv": ((3000, 2600, 3500), (2900, 2500, 3500), (2700, 2000, 3200)),
    "charge_oc_ma": ((9000, 100, 500_000),),
    "charge_oc_clear_ma": ((7000, 0, 450_000),),
    "discharge_oc_ma": ((-24_000, -500_000, -100),),
    "discharge_oc_clear_ma": ((-20_000, -450_000, 0),),
    "over_temp_dc": ((600, 200, 700),),
    "over_temp_clear_dc": ((550, 200, 650),),
    "under_temp_dc": ((-300, -350, 100),),
    "under_temp_clear_dc": ((-250, -300, 150),),
    "fast_lost_ms": ((40, 10, 100),),
    "cells_lost_ms": ((100, 40, 200),),
    "temps_lost_ms": ((250, 150, 500),),
    "capacity_mah": ((3000, 100, 1_000_000), (2900, 100, 1_000_000), (2500, 100, 1_000_000)),
    "precharge_pct": ((95, 80, 99),),
    "precharge_timeout_ms": ((3000, 100, 10_000),),
    "rest_current_ma": ((150, 1, 10_000),),
    "charge_over_temp_dc": ((520, 200, 600),),
    "charge_over_temp_clear_dc": ((480, 200, 580),),
    "charge_under_temp_dc": ((0, -50, 150),),
    "charge_under_temp_clear_dc": ((30, -40, 200),),
    "charge_overload_ma": ((7000, 100, 500_000),),
    "charge_overload_clear_ma": ((5000, 0, 450_000),),
    "discharge_overload_ma": ((-20_000, -500_000, -100),),
    "discharge_overload_clear_ma": ((-15_000, -450_000, 0),),
    "pack_ov_cell_mv": ((4230, 3500, 4280), (4230, 3500, 4280), (3630, 3400, 3780)),
    "pack_ov_cell_clear_mv": ((4150, 3400, 4250), (4150, 3400, 4250), (3500, 3300, 3700)),
    "pack_uv_cell_mv": ((2750, 2500, 3300), (2650, 2400, 3300), (2050, 1900, 2900)),
    "pack_uv_cell_clear_mv": ((3000, 2600, 3500), (2900, 2500, 3500), (2700, 2000, 3200)),
    "sum_error_cell_mv": ((15, 5, 50),),
    "sum_error_cell_clear_mv": ((10, 2, 40),),
    "imbalance_mv": ((500, 20, 1000),),
    "imbalance_clear_mv": ((400, 10, 900),),
    "frozen_samples": ((4, 2, 8),),
    "frozen_step_ma": ((3000, 100, 100_000),),
    "frozen_step_cell_mv": ((30, 5, 100),),
    "temp_low_dc": ((-400, -500, -300),),
    "temp_high_dc": ((1200, 900, 1500),),
    "temp_rise_dc": ((15, 5, 40),),
    "temp_rise_clear_dc": ((5, 0, 20),),
    "runaway_rise_dc": ((29, 15, 40),),
    "runaway_drop_pct": ((25, 5, 40),),
    "isolation_kohm": ((100, 5, 10_000),),
    "isolation_clear_kohm": ((150, 5, 20_000),),
    "link_errors": ((20, 1, 50),),
    "link_errors_clear": ((2, 0, 40),),
    "task_late_periods": ((5, 2, 8),),
    "tick_late_ms": ((100, 10, 100),),
    "self_discharge_ma": ((50, 1, 1000),),
    "self_discharge_clear_ma": ((20, 0, 900),),
    "weld_test_ms": ((500, 50, 2000),),
    "weld_link_pct": ((97, 80, 100),),
    "feedback_ms": ((100, 20, 500),),
    "precharge_slope_mv": ((1000, 10, 50_000),),
    "precharge_tries": ((3, 1, 10),),
    "precharge_cooldown_ms": ((10_000, 1000, 60_000),),
    "charge_max_ma": ((4000, 50, 450_000), (2900, 50, 450_000), (5000, 50, 450_000)),
    "discharge_max_ma": ((-20_000, -450_000, -50), (-10_000, -450_000, -50), (-20_000, -450_000, -50)),
    "cell_high_mv": ((4080, 3400, 4280), (4080, 3400, 4280), (3450, 3200, 3780)),
    "cell_high_end_mv": ((4230, 3500, 4290), (4230, 3500, 4290), (3630, 3300, 3790)),
    "cell_low_mv": ((3200, 2600, 3800), (3100, 2500, 3800), (2800, 2000, 3300)),
    "cell_low_end_mv": ((2800, 2550, 3700), (2700, 2450, 3700), (2150, 1950, 3200)),
    "charge_cold_dc": ((150, 20, 300),),
    "charge_cold_end_dc": ((10, 10, 250),),
    "charge_hot_dc": ((400, 200, 500),),
    "charge_hot_end_dc": ((500, 210, 550),),
    "discharge_cold_dc": ((-100, -300, 200),),
    "discharge_cold_end_dc": ((-250, -340, 150),),
    "discharge_hot_dc": ((500, 200, 650),),
    "discharge_hot_end_dc": ((580, 210, 690),),
    "soc_high_cpct": ((9000, 1000, 9999),),
    "soc_high_end_cpct": ((10_000, 2000, 10_000),),
    "soc_high_floor_pct": ((25, 0, 100),),
    "soc_low_cpct": ((1000, 1, 9000),),
    "soc_low_end_cpct": ((100, 0, 8000),),
    "spread_mv": ((200, 20, 1000), (200, 20, 1000), (300, 20, 1000)),
    "spread_end_mv": ((500, 50, 1500), (500, 50, 1500), (600, 50, 1500)),
    "fault_derate_pct": ((50, 0, 80),),
    "soc_sigmas": ((1, 0, 3),),
    "derate_hold_ms": ((2000, 0, 60_000),),
    "derate_ramp_pct_s": ((10, 1, 100),),
    "balance_start_cpct": ((100, 20, 2000),),
    "balance_stop_cpct": ((40, 5, 1500),),
    # below this the curve of LFP is too flat: a millivolt stands for a percent and more
    "balance_min_mv": ((3500, 2500, 4300), (3500, 2500, 4300), (3360, 2500, 3700)),
    "balance_rest_s": ((600, 10, 36_000),),
    "balance_max_cells": ((8, 1, 32),),
    "balance_hot_dc": ((450, 200, 600),),
    "charge_cv_mv": ((4200, 3400, 4220), (4200, 3400, 4220), (3600, 3300, 3650)),
    "charge_warm_cv_mv": ((4100, 3400, 4220), (4100, 3400, 4220), (3500, 3300, 3650)),
    "charge_cc_pct": ((50, 1, 500),),
    "charge_taper_pct": ((5, 1, 50),),
    "charge_restart_mv": ((4100, 3300, 4200), (4100, 3300, 4200), (3330, 3000, 3600)),
    "cooling_on_dc": ((300, 100, 600),),
    "cooling_full_dc": ((420, 150, 700),),
    "cell_r0_uohm": ((20_000, 50, 500_000), (25_000, 50, 500_000), (10_000, 50, 500_000)),
    "cooling_full_mw": ((4000, 50, 200_000),),
}


def preset(name: str, chemistry: int) -> "tuple[int, int, int]":
    """(default, envelope low, envelope high) of parameter `name` for a chemistry index.

    Raises KeyError naming the parameter or IndexError for a chemistry that is not in CHEMISTRIES.
    """
    if not 0 <= chemistry < len(CHEMISTRIES):
        raise IndexError("chemistry %d is not one of 0..%d" % (chemistry, len(CHEMISTRIES) - 1))
    rows = _PRESETS[name]
    return rows[chemistry if len(rows) > 1 else 0]


def defaults(chemistry: int) -> "dict[str, int]":
    """Every parameter's default for a chemistry, by name."""
    # Through an array: in a frozen tuple a number beyond 13 bits is a long integer, whose every sum allocates.
    values = array("i", [preset(row.name, chemistry)[0] for row in PARAMS])
    return {PARAMS[i].name: values[i] for i in range(len(PARAMS))}


def fingerprint(values: "dict[str, int]") -> bytes:
    """First 8 bytes of SHA-256 over the values in table order, 4 bytes each, little endian."""
    digest = hashlib.sha256()
    for row in PARAMS:
        digest.update(struct.pack("<i", values[row.name]))
    return digest.digest()[:8]


def forget() -> None:
    """On a small controller, once the limits are known: free the rows. Import the module anew to have them."""
    globals().update({"PARAMS": (), "_PRESETS": {}})
