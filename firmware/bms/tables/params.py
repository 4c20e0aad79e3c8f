"""Parameters: one row each, read by the firmware, the rig, the cloud and the documentation.

A value is a 32-bit signed integer in the row's unit. `low..high` is what makes sense at all;
`envelope` is the hard range of that chemistry in ROM, which no remote set can leave. `safer` says
which way a safety-class value is tightened: -1 lower is safer, +1 higher is safer, 0 not safety.
"""

import hashlib
import struct

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


PARAMS = (
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
)

# default, envelope low, envelope high; in the order of CHEMISTRIES. Limits in current and capacity
# are per string and scale with the pack: these suit one 3 Ah cell in parallel.
_PRESETS = {
    "cell_ov_mv": ((4250, 3600, 4300), (4250, 3600, 4300), (3650, 3400, 3800)),
    "cell_ov_clear_mv": ((4150, 3500, 4250), (4150, 3500, 4250), (3500, 3300, 3700)),
    "cell_uv_mv": ((2700, 2500, 3300), (2500, 2400, 3300), (2000, 1900, 2900)),
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
}


def preset(name: str, chemistry: int) -> "tuple[int, int, int]":
    """(default, envelope low, envelope high) of parameter `name` for a chemistry index.

    Raises KeyError naming the parameter or IndexError for a chemistry that is not in CHEMISTRIES.
    """
    if not 0 <= chemistry < len(CHEMISTRIES):
        raise IndexError("chemistry %d is not one of 0..%d" % (chemistry, len(CHEMISTRIES) - 1))
    rows = _PRESETS[name]
    return rows[chemistry] if len(rows) > 1 else rows[0]


def defaults(chemistry: int) -> "dict[str, int]":
    """Every parameter's default for a chemistry, by name."""
    return {row.name: preset(row.name, chemistry)[0] for row in PARAMS}


def fingerprint(values: "dict[str, int]") -> bytes:
    """First 8 bytes of SHA-256 over the values in table order, 4 bytes each, little endian."""
    digest = hashlib.sha256()
    for row in PARAMS:
        digest.update(struct.pack("<i", values[row.name]))
    return digest.digest()[:8]
