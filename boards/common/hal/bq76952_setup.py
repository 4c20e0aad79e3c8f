"""What is programmed into a BQ76952: registers of its data memory from the parameter table.

Addresses, units and ranges: TI, "BQ76952 Technical Reference Manual" (SLUUBY2B), chapters 5
(protections) and 13 (data memory); "Software Development Guide" (SLUAA11B).
"""

import struct

from hal.chip import AfeError, delay_ms, step_above, step_below, within

NAME = "bq76952"
MAX_CELLS = 16
MAX_TEMPS = 3

COMM_TYPE = 0x9239
COMM_FAST_CRC = 0x12

ALARM_FULLSCAN = 0x80
ALARM_ADSCAN = 0x02

_PROTECT_A = 0xBC  # SCD, OCD1, OCC, COV, CUV
_PROTECT_B = 0x33  # OTD, OTC, UTD, UTC
_SCD_MV = (10, 20, 40, 60, 80, 100, 125, 150, 175, 200, 250, 300, 350, 400, 450, 500)
_SHUNT = "choose a shunt whose voltage at the limit lies inside"


class Row:
    """A register of the data memory: name, address and the bytes it has to hold, little endian."""

    def __init__(self, name: str, address: int, size: int, value: int) -> None:
        self.name = name
        self.address = address
        self.size = size
        self.data = (value & (1 << 8 * size) - 1).to_bytes(size, "little")


def ma_per_count(limits: "dict[str, int]") -> int:
    """Resolution of the current so that twice the larger limit fits 16 bits: 1, 10 or 100 mA."""
    most = 2 * max(limits["charge_oc_ma"], -limits["discharge_oc_ma"])
    for unit in (1, 10, 100):
        if most <= 32_000 * unit:
            return unit
    raise AfeError("%s: over-current limits of %d mA are beyond its 16 bits" % (NAME, most // 2))


def cell_mask(n_cells: int) -> int:
    """Inputs in use: the lowest n - 1 and always the topmost."""
    return (1 << n_cells - 1) - 1 | 1 << MAX_CELLS - 1


def rows(limits: "dict[str, int]", n_cells: int, n_temps: int, shunt_uohm: int) -> "list[Row]":
    """Every register that is programmed and read back; AfeError when a limit does not fit the chip."""
    within(NAME, "number of cells", n_cells, 3, MAX_CELLS, "use another front end")
    within(NAME, "number of sensors", n_temps, 1, MAX_TEMPS, "TS1, TS2 and TS3 are read")
    return (
        _settings(limits, n_cells, n_temps, shunt_uohm)
        + _voltages(limits)
        + _currents(limits, shunt_uohm)
        + _temperatures(limits)
    )


def _settings(limits: "dict[str, int]", n_cells: int, n_temps: int, shunt_uohm: int) -> "list[Row]":
    # no SLEEP, ADC slots of 1.5 ms; a thermistor on TS2 needs SHUT_TS2
    power = 0x28C2 | (0x1000 if n_temps >= 2 else 0)
    amps = (1, 10, 100).index(ma_per_count(limits)) + 1
    gain = 7476.8 / shunt_uohm
    return [
        Row("Comm Type", COMM_TYPE, 1, COMM_FAST_CRC),
        Row("CC Gain", 0x91A8, 4, _float(gain)),
        Row("Capacity Gain", 0x91AC, 4, _float(gain * 298261.6178)),
        Row("Power Config", 0x9234, 2, power),
        Row("TS1 Config", 0x92FD, 1, 0x07),
        Row("TS2 Config", 0x92FE, 1, 0x07 if n_temps >= 2 else 0),
        Row("TS3 Config", 0x92FF, 1, 0x07 if n_temps >= 3 else 0),
        Row("DA Configuration", 0x9303, 1, 0x04 | amps),
        Row("Vcell Mode", 0x9304, 2, cell_mask(n_cells)),
        Row("Default Alarm Mask", 0x926D, 2, 0xF800 | ALARM_FULLSCAN | ALARM_ADSCAN),
        Row("Check Time", 0x9314, 1, 1),
        Row("Balancing Configuration", 0x9335, 1, 0),
        Row("Cell Balance Interval", 0x9339, 1, 20),
        Row("Cell Balance Max Cells", 0x933A, 1, MAX_CELLS // 2),
        Row("Enabled Protections A", 0x9261, 1, _PROTECT_A),
        Row("Enabled Protections B", 0x9262, 1, _PROTECT_B),
        Row("CHG FET Protections A", 0x9265, 1, 0x98),
        Row("CHG FET Protections B", 0x9266, 1, 0xD5),
        Row("DSG FET Protections A", 0x9269, 1, 0xE4),
        Row("DSG FET Protections B", 0x926A, 1, 0xE6),
        Row("Mfg Status Init", 0x9343, 2, 0x0050),  # FET_EN: the chip drives CHG and DSG by itself
    ]


def _float(value: float) -> int:
    return int.from_bytes(struct.pack("<f", value), "little")


def _loops(limit: str, low: int, high: int, name: str) -> int:
    # delays count loops of 3.3 ms, two more than the setting
    return within(NAME, name, step_above(delay_ms(limit) * 10, 33) - 2, low, high, "see the fault table")


def _voltages(limits: "dict[str, int]") -> "list[Row]":
    uv = step_below(limits["cell_uv_mv"] * 10, 506)
    ov = step_above(limits["cell_ov_mv"] * 10, 506)
    return [
        Row("CUV Threshold", 0x9275, 1, within(NAME, "CUV Threshold", uv, 20, 90, "steps of 50.6 mV")),
        Row("CUV Delay", 0x9276, 2, _loops("cell_uv_mv", 1, 2047, "CUV Delay")),
        Row("COV Threshold", 0x9278, 1, within(NAME, "COV Threshold", ov, 20, 110, "steps of 50.6 mV")),
        Row("COV Delay", 0x9279, 2, _loops("cell_ov_mv", 1, 2047, "COV Delay")),
    ]


def _currents(limits: "dict[str, int]", shunt_uohm: int) -> "list[Row]":
    charge_nv = limits["charge_oc_ma"] * shunt_uohm
    discharge_nv = -limits["discharge_oc_ma"] * shunt_uohm
    occ = step_above(charge_nv, 2_000_000)
    ocd = step_above(discharge_nv, 2_000_000)
    within(NAME, "OCC Threshold", occ, 2, 62, _SHUNT + " 4..124 mV")
    within(NAME, "OCD1 Threshold", ocd, 2, 100, _SHUNT + " 4..200 mV")
    # a short circuit is twice the over-current limit, at the next of the chip's levels
    scd = 0
    while _SCD_MV[scd] * 1_000_000 < 2 * discharge_nv:
        scd += 1
    return [
        Row("OCC Threshold", 0x9280, 1, occ),
        Row("OCC Delay", 0x9281, 1, _loops("charge_oc_ma", 1, 127, "OCC Delay")),
        Row("OCD1 Threshold", 0x9282, 1, ocd),
        Row("OCD1 Delay", 0x9283, 1, _loops("discharge_oc_ma", 1, 127, "OCD1 Delay")),
        Row("SCD Threshold", 0x9286, 1, scd),
        Row("SCD Delay", 0x9287, 1, 15),  # (15 - 1) * 15 us: longer than the inrush of a filter
    ]


def _temperatures(limits: "dict[str, int]") -> "list[Row]":
    over = within(NAME, "OTC Threshold", step_above(limits["over_temp_dc"], 10), -40, 120, "degC")
    under = within(NAME, "UTC Threshold", step_below(limits["under_temp_dc"], 10), -40, 120, "degC")
    warm = step_above(delay_ms("over_temp_dc"), 1000)
    cold = step_above(delay_ms("under_temp_dc"), 1000)
    over_clear = step_below(limits["over_temp_clear_dc"], 10)
    under_clear = step_above(limits["under_temp_clear_dc"], 10)
    found: "list[Row]" = []
    for name, address in (("OTC", 0x929A), ("OTD", 0x929D)):
        found += [
            Row(name + " Threshold", address, 1, over),
            Row(name + " Delay", address + 1, 1, warm),
            Row(name + " Recovery", address + 2, 1, over_clear),
        ]
    for name, address in (("UTC", 0x92A6), ("UTD", 0x92A9)):
        found += [
            Row(name + " Threshold", address, 1, under),
            Row(name + " Delay", address + 1, 1, cold),
            Row(name + " Recovery", address + 2, 1, under_clear),
        ]
    return found
