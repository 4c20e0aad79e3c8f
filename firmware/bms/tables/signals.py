"""What travels over MQTT: CBOR keys of samples, message fields and enumerations, one row each.

On the wire a value is an integer `per_unit` times the SI value named by the row, so
`current_a` with `per_unit` 1000 travels as mA. Keys are stable and never re-used.
"""

SCHEMA = 1

TELE = "tele"
CELLS = "cells"
EVT = "evt"
STREAMS = (TELE, CELLS, EVT)


class Signal:
    """A row: CBOR key, SI name, unit, integers per unit, whether it is an array, streams that carry it."""

    def __init__(
        self, key: int, name: str, unit: str, per_unit: int, array: bool, streams: "tuple[str, ...]", doc: str
    ) -> None:
        self.key = key
        self.name = name
        self.unit = unit
        self.per_unit = per_unit
        self.array = array
        self.streams = streams
        self.doc = doc


_ANY = STREAMS
_T = (TELE,)
_TE = (TELE, EVT)
_C = (CELLS,)
_E = (EVT,)

SIGNALS: "tuple[Signal, ...]" = (
    Signal(0, "device_ms", "ms", 1, False, _ANY, "device time of the sample, from the first tick on"),
    Signal(1, "pack_voltage_v", "V", 1000, False, _TE, "pack voltage before the contactors"),
    Signal(2, "current_a", "A", 1000, False, _TE, "string current, positive charges"),
    Signal(3, "soc", "1", 10_000, False, _TE, "state of charge, 0..1"),
    Signal(4, "soc_sigma", "1", 10_000, False, _TE, "one standard deviation of soc"),
    Signal(5, "cell_voltage_min_v", "V", 1000, False, _TE, "lowest cell voltage"),
    Signal(6, "cell_voltage_max_v", "V", 1000, False, _TE, "highest cell voltage"),
    Signal(7, "temperature_min_c", "degC", 10, False, _TE, "coldest sensor"),
    Signal(8, "temperature_max_c", "degC", 10, False, _TE, "hottest sensor"),
    Signal(9, "state", "enum", 1, False, _TE, "contactor state, index into STATES"),
    Signal(10, "gates", "bits", 1, False, _TE, "gate command, GATE_* bits"),
    Signal(11, "faults", "ids", 1, True, _TE, "ids of the active or latched rows of the fault table"),
    Signal(12, "link_voltage_v", "V", 1000, False, _TE, "voltage behind the contactors"),
    Signal(13, "isolation_kohm", "kOhm", 1, False, _T, "isolation resistance"),
    Signal(14, "overruns", "1", 1, False, _T, "periods since boot in which a task missed its deadline"),
    Signal(15, "dropped", "1", 1, False, _T, "samples since boot that the full store had to drop"),
    Signal(16, "link_errors", "1", 1, False, _T, "AFE frames since boot with a bad CRC, length or version"),
    Signal(18, "cell_voltage_v", "V", 1000, True, _C, "every cell, from the pack's negative end"),
    Signal(19, "temperature_c", "degC", 10, True, _C, "every temperature sensor"),
    Signal(20, "fault", "id", 1, False, _E, "row of the fault table that changed"),
    Signal(21, "raised", "bool", 1, False, _E, "1 when the fault came, 0 when it went"),
    Signal(22, "value", "raw", 1, False, _E, "value that tripped, in the unit of the limit parameter"),
    Signal(23, "limit", "raw", 1, False, _E, "limit in force, in its own unit"),
    Signal(24, "index", "1", 1, False, _E, "cell or sensor concerned, -1 for the whole pack"),
    Signal(30, "charge_limit_a", "A", 10, False, _T, "charge current that the pack allows"),
    Signal(
        31, "discharge_limit_a", "A", 10, False, _T, "discharge current that the pack allows, not negative"
    ),
    Signal(
        32, "charge_limiter", "enum", 1, False, _T, "limiter in force for charge, id in limiters.LIMITERS"
    ),
    Signal(
        33,
        "discharge_limiter",
        "enum",
        1,
        False,
        _T,
        "limiter in force for discharge, id in limiters.LIMITERS",
    ),
    Signal(34, "balancing", "1", 1, False, _T, "cells being bled"),
    Signal(
        35,
        "balancing_cells",
        "ids",
        1,
        True,
        _C,
        "cells being bled, counted from 0 at the pack's negative end",
    ),
    Signal(36, "pump", "1", 100, False, _T, "drive of the coolant pump or fan, 0..1"),
    Signal(37, "charge_phase", "enum", 1, False, _T, "phase of charging, index into CHARGE_PHASES"),
    Signal(
        38,
        "charge_request_voltage_v",
        "V",
        1000,
        False,
        _T,
        "voltage that the pack asks a charger for, 0 for none",
    ),
    Signal(
        39,
        "charge_request_current_a",
        "A",
        1000,
        False,
        _T,
        "current that the pack asks a charger for, 0 for none",
    ),
    Signal(40, "late_task", "enum", 1, False, _T, "task that missed its deadline last, index into TASKS"),
    Signal(41, "core_temperature_c", "degC", 10, False, _T, "inside the hottest cell, estimated"),
    Signal(42, "core_temperature_ahead_c", "degC", 10, False, _T, "its highest within 60 s of this load"),
    Signal(43, "energy_wh", "Wh", 1000, False, _T, "what a load of half the capacity an hour still gets"),
    Signal(44, "energy_sigma_wh", "Wh", 1000, False, _T, "one standard deviation of energy_wh"),
    Signal(45, "charge_power_w", "W", 1, False, _T, "power that can be taken in for 10 s"),
    Signal(46, "discharge_power_w", "W", 1, False, _T, "power that can be given for 10 s"),
    Signal(47, "soh", "1", 10_000, False, _T, "state of health: capacity over that of the fresh string"),
    Signal(48, "soh_sigma", "1", 10_000, False, _T, "one standard deviation of soh"),
    Signal(49, "resistance_ratio", "1", 10_000, False, _T, "resistance over that of fresh cells"),
    Signal(50, "resistance_ratio_sigma", "1", 10_000, False, _T, "one standard deviation of it"),
    Signal(51, "soc_lowest", "1", 10_000, False, _T, "no cell's state of charge is lower, one sigma counted"),
    Signal(
        52, "soc_highest", "1", 10_000, False, _T, "no cell's state of charge is higher, one sigma counted"
    ),
)


class Field:
    """A field of a message's outer map; negative keys, so that they can never meet a signal's."""

    def __init__(self, key: int, name: str, doc: str) -> None:
        self.key = key
        self.name = name
        self.doc = doc


BOOT_ID = -1
SEQ = -2
N = -3
NOW_MS = -4
UTC_MS = -5
UTC_SOURCE = -6
SAMPLES = -7
SCHEMA_ID = -8
FIRMWARE = -9
PARAMS_HASH = -10
CHEMISTRY = -11
TOPOLOGY = -12
MACHINE = -13
ONLINE = -14
STREAM = -15
UPTO = -16
GAPS = -17
CAPACITY = -18
HEAP_FREE = -19
RECORDS = -20

FIELDS: "tuple[Field, ...]" = (
    Field(BOOT_ID, "boot_id", "u64: boot counter (high 32 bits) and 32 random bits"),
    Field(SEQ, "seq", "seq of the first sample of the message in its stream"),
    Field(N, "n", "number of samples in the message"),
    Field(NOW_MS, "now_ms", "device time of sending, ms since boot"),
    Field(UTC_MS, "utc_ms", "device's UTC at now_ms, ms since 1970; absent when unknown"),
    Field(UTC_SOURCE, "utc_source", "where utc_ms came from, index into UTC_SOURCES"),
    Field(SAMPLES, "samples", "array of maps signal key -> integer (or array of integers)"),
    Field(SCHEMA_ID, "schema", "SCHEMA of this table"),
    Field(FIRMWARE, "firmware", "firmware version, text"),
    Field(PARAMS_HASH, "params_hash", "first 8 bytes of SHA-256 over the parameters in force"),
    Field(CHEMISTRY, "chemistry", "index into params.CHEMISTRIES"),
    Field(TOPOLOGY, "topology", "[cells in series, temperature sensors]"),
    Field(MACHINE, "machine", "what MicroPython says of its machine, text"),
    Field(ONLINE, "online", "state topic: 1 connected, 0 last will"),
    Field(STREAM, "stream", "ack: which stream, index into STREAMS"),
    Field(UPTO, "upto", "ack: every seq below this is stored, except the gaps"),
    Field(GAPS, "gaps", "ack: array of [from, to], both inclusive, missing below upto"),
    Field(CAPACITY, "capacity_mah", "usable capacity of the string"),
    Field(HEAP_FREE, "heap_free_bytes", "free heap after start-up"),
    Field(
        RECORDS, "records", "blackbox: array of byte strings, records of the black box as they lie in the NVM"
    ),
)

UTC_SOURCES = ("rtc", "sntp", "rig")

# contactor supervisor
BOOT = 0
OPEN = 1
PRECHARGE = 2
CLOSED = 3
OPENING = 4
TRIPPED = 5
WELD_TEST = 6
COOL_DOWN = 7
STATES = ("boot", "open", "precharge", "closed", "opening", "tripped", "weld_test", "cool_down")

# charging
CHARGE_OFF = 0
CHARGE_CC = 1
CHARGE_CV = 2
CHARGE_FULL = 3
CHARGE_PHASES = ("off", "constant_current", "constant_voltage", "full")

TASKS = ("estimator", "control", "leak", "reports", "recorder", "memory", "link")
"""What runs above the safety tick."""

CAUSES = ("unknown", "power-on", "hard", "watchdog", "brown-out", "deep sleep", "soft")
"""Why a board started."""

GATE_NEGATIVE = 1
GATE_PRECHARGE = 2
GATE_POSITIVE = 4


def topic(tenant: str, site: str, pack: str, leaf: str) -> str:
    """The MQTT topic of a pack's leaf (birth, state, tele, cells, evt, hist, ack, ...)."""
    return "bms/1/%s/%s/%s/%s" % (tenant, site, pack, leaf)


def forget() -> None:
    """On a small controller, once every module has its keys: free the rows."""
    globals().update({"SIGNALS": (), "FIELDS": ()})
