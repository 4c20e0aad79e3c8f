"""The BQ76952 driver on the emulated chip, through `machine.I2C`'s methods."""

import importlib
import time
from collections.abc import Callable
from typing import Any

import pytest
from bms.sample import Command, Sample
from bms.tables import params

from hil.chips.bq76952 import Bq76952Chip, crc8
from hil.chips.i2c import I2cBus

hal = importlib.import_module("hal.bq76952")
bus_module = importlib.import_module("hal.bq76952_bus")
setup = importlib.import_module("hal.bq76952_setup")
shared = importlib.import_module("hal.chip")

LIMITS = {**params.defaults(params.NMC), "charge_oc_ma": 9000, "discharge_oc_ma": -24_000}
TICK_US = 5000


class Rig:
    """Driver, bus and chip; `most_transfers` and `most_bytes` are the worst tick's."""

    def __init__(self, n_cells: int = 16, n_temps: int = 3, **options: Any) -> None:
        self.chip = Bq76952Chip(**options)
        self.bus = I2cBus({0x08: self.chip})
        self.analog = self.chip.analog
        self.analog.pack_mv = 12_340
        self.sample = Sample(n_cells, n_temps)
        self.afe: Any = hal.Bq76952(self.bus, n_cells, n_temps, LIMITS, 1000)
        self.command = Command()
        self.most_transfers = 0
        self.most_bytes = 0

    def start(self) -> "Rig":
        self.afe.read(self.sample)
        return self

    def ticks(self, n: int) -> None:
        for _ in range(n):
            self.bus.transfers = self.bus.wire_bytes = 0
            self.afe.read(self.sample)
            self.afe.write(self.command, 0, 0)
            self.most_transfers = max(self.most_transfers, self.bus.transfers)
            self.most_bytes = max(self.most_bytes, self.bus.wire_bytes)
            self.chip.advance(TICK_US)

    def arrivals(self, n: int) -> tuple[int, int, int]:
        """New FAST, CELLS and TEMPS groups in n ticks."""
        s = self.sample
        before = s.seq[0], s.seq[1], s.seq[2]
        self.ticks(n)
        return s.seq[0] - before[0], s.seq[1] - before[1], s.seq[2] - before[2]


@pytest.fixture
def make_rig(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Rig]:
    """A function that makes a rig whose chip lives through the driver's sleeps."""

    def make(*args: Any, **options: Any) -> Rig:
        rig = Rig(*args, **options)

        def sleep_ms(ms: int) -> None:
            rig.chip.advance(1000 * ms)

        monkeypatch.setattr(time, "sleep_ms", sleep_ms, raising=False)
        return rig

    return make


@pytest.fixture
def rig(make_rig: Callable[..., Rig]) -> Rig:
    """A started rig with 16 cells."""
    return make_rig().start()


# ---- protocol


def test_crc_is_that_of_tis_examples() -> None:
    # SLUAA11B chapter 4: FET_ENABLE written, then cell 1 read as 2920 mV
    assert crc8(bytes((0x10, 0x3E, 0x22))) == 0x63
    assert crc8(bytes((0x10, 0x14, 0x11, 0x68))) == 0x33
    assert crc8(b"\x0b") == 0x31
    table = bus_module.CRC8
    before = table[table[table[0x10] ^ 0x14] ^ 0x11]
    found = bytearray(2)
    assert bus_module.unpack(found, b"\x68\x33\x0b\x31", 2, before, table) == 2
    assert found == b"\x68\x0b"


@pytest.mark.parametrize("at", range(8))
def test_unpack_stops_at_the_first_wrong_byte(at: int) -> None:
    wire = bytearray(b"".join(bytes((b, crc8(bytes((b,))))) for b in (1, 2, 3, 4)))
    wire[at] ^= 1
    assert bus_module.unpack(bytearray(4), wire, 4, 0, bus_module.CRC8) == at // 2


def test_data_memory_checksum_is_that_of_the_manual() -> None:
    # SLUUBY2B chapter 13: Cell 1 Gain 0x307A at 0x9180 has the checksum 0x44 and the length 6
    sent: list[bytes] = []

    class Wire:
        def writeto(self, _address: int, data: memoryview) -> None:
            sent.append(bytes(data))

    bus = bus_module.Bus(Wire())
    bus.crc = False
    assert bus.store(0x9180, b"\x7a\x30", 2)
    assert sent == [b"\x3e\x80\x91\x7a\x30", b"\x60\x44\x06"]


# ---- start


@pytest.mark.parametrize("crc_at_reset", [False, True])
def test_start_finds_programs_and_checks_the_chip(make_rig: Callable[..., Rig], crc_at_reset: bool) -> None:
    rig = make_rig(crc_at_reset=crc_at_reset)
    before_us = rig.chip.now_us
    rig.start()
    assert rig.afe.configured
    assert rig.chip.crc
    assert not rig.chip.por
    for row in setup.rows(LIMITS, 16, 3, 1000):
        assert rig.chip.setting(row.address, row.size) == int.from_bytes(row.data, "little"), row.name
    assert rig.analog.chg_on
    assert rig.analog.dsg_on
    assert rig.chip.now_us - before_us < 1_000_000


def test_without_a_chip_the_start_says_what_to_look_at(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig()
    rig.bus.stuck = True
    with pytest.raises(shared.AfeError, match=r"no answer at I2C address 0x08.*check wiring"):
        rig.start()
    assert not rig.afe.configured


def test_another_chip_is_refused(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig()
    rig.chip.device_number = 0x7694
    with pytest.raises(shared.AfeError, match=r"is a 0x7694, it must be a 0x7695"):
        rig.start()


def test_a_register_that_does_not_keep_its_value_is_named(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig()
    rig.chip.fixed[0x9278] = 110
    with pytest.raises(shared.AfeError, match=r"COV Threshold \(0x9278\): written 0x54, read back 0x6e, 3"):
        rig.start()


# ---- limits


@pytest.mark.parametrize("chemistry", range(len(params.CHEMISTRIES)))
def test_chip_acts_at_the_softwares_level_or_less_than_a_step_behind(chemistry: int) -> None:
    limits = params.defaults(chemistry)
    rows = {r.name: int.from_bytes(r.data, "little") for r in setup.rows(limits, 12, 2, 1000)}
    signed = {name: value - 256 if value > 127 else value for name, value in rows.items()}
    for chip, software, step in (
        (rows["COV Threshold"] * 50.6, limits["cell_ov_mv"], 50.6),
        (-rows["CUV Threshold"] * 50.6, -limits["cell_uv_mv"], 50.6),
        (rows["OCC Threshold"] * 2000.0, limits["charge_oc_ma"], 2000),
        (rows["OCD1 Threshold"] * 2000.0, -limits["discharge_oc_ma"], 2000),
        (signed["OTC Threshold"] * 10, limits["over_temp_dc"], 10),
        (signed["OTD Threshold"] * 10, limits["over_temp_dc"], 10),
        (-signed["UTC Threshold"] * 10, -limits["under_temp_dc"], 10),
        (-signed["UTD Threshold"] * 10, -limits["under_temp_dc"], 10),
    ):
        assert 0 <= chip - software < step
    assert signed["OTC Recovery"] < signed["OTC Threshold"]
    assert signed["UTD Recovery"] > signed["UTD Threshold"]


@pytest.mark.parametrize(
    ("change", "shunt_uohm", "words"),
    [
        ({"charge_oc_ma": 1000}, 1000, "OCC Threshold would be 1, it takes 2..62"),
        ({"discharge_oc_ma": -300_000}, 1000, "OCD1 Threshold would be 150, it takes 2..100"),
        ({"cell_uv_mv": 500}, 1000, "CUV Threshold would be 9, it takes 20..90"),
    ],
)
def test_limits_that_the_chip_cannot_hold_are_refused(
    change: dict[str, int], shunt_uohm: int, words: str
) -> None:
    with pytest.raises(shared.AfeError, match=words):
        setup.rows({**LIMITS, **change}, 12, 2, shunt_uohm)


@pytest.mark.parametrize(("n_cells", "n_temps"), [(2, 1), (17, 1), (12, 0), (12, 4)])
def test_topologies_that_the_chip_does_not_have_are_refused(n_cells: int, n_temps: int) -> None:
    with pytest.raises(shared.AfeError, match="bq76952: number of"):
        setup.rows(LIMITS, n_cells, n_temps, 1000)


# ---- measuring


@pytest.mark.parametrize("n_cells", [3, 8, 9, 16])
def test_every_cell_sensor_and_the_pack_arrive(make_rig: Callable[..., Rig], n_cells: int) -> None:
    rig = make_rig(n_cells).start()
    inputs = [*range(n_cells - 1), 15]  # the topmost input always carries the topmost cell
    rig.analog.cell_mv[:] = [0.0] * 16
    for i, at in enumerate(inputs):
        rig.analog.cell_mv[at] = 3500.0 + i
    rig.analog.current_ma = -12_345
    rig.analog.temperature_c[:] = [-20.0, 25.0, 61.5]
    rig.ticks(60)
    s = rig.sample
    assert list(s.cell_mv) == [3500 + i for i in range(n_cells)]
    assert s.current_ma == pytest.approx(-12_345, abs=10)
    assert s.pack_mv == pytest.approx(sum(s.cell_mv), abs=5)
    assert s.link_mv == 12_340
    assert list(s.temp_dc) == pytest.approx([-200, 250, 615], abs=1)
    assert s.isolation_kohm == shared.NOT_MEASURED_KOHM
    assert rig.afe.open_wires == 0
    assert rig.afe.errors() <= 2 * n_cells


def test_large_currents_take_a_coarser_unit(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig()
    limits = {**LIMITS, "charge_oc_ma": 100_000, "discharge_oc_ma": -200_000}
    rig.afe = hal.Bq76952(rig.bus, 16, 3, limits, 250)
    rig.analog.shunt_uohm = 250
    rig.start()
    rig.analog.current_ma = -250_000
    rig.ticks(20)
    assert rig.sample.current_ma == pytest.approx(-250_000, abs=100)


def test_groups_have_their_rates_and_a_tick_its_bound(rig: Rig) -> None:
    rig.ticks(40)
    errors = rig.afe.errors()
    rig.command.balance[0] = 0b101
    fast, cells, temps = rig.arrivals(1000)
    assert fast == 1000
    # a loop of 21 slots takes 31.5 ms: 158 in 5 s
    assert 155 <= cells <= 159
    assert 50 <= temps <= 54
    assert rig.most_transfers <= 3
    assert rig.most_bytes <= 58
    assert rig.afe.errors() == errors


def test_cells_are_never_older_than_two_loops(rig: Rig) -> None:
    ages: list[int] = []
    seq, age = rig.sample.seq[1], 0
    for _ in range(600):
        rig.ticks(1)
        age += 5
        if rig.sample.seq[1] != seq:
            ages.append(age)
            seq, age = rig.sample.seq[1], 0
    assert max(ages[1:]) <= 45


def test_an_adc_that_stands_still_is_no_arrival(rig: Rig) -> None:
    rig.ticks(40)
    rig.chip.frozen = True
    rig.ticks(20)
    assert rig.arrivals(100)[1:] == (0, 0)
    rig.chip.frozen = False
    assert rig.arrivals(40)[1] > 3


@pytest.mark.parametrize("fault", ["nack_next", "corrupt_next"])
def test_a_disturbed_transfer_is_no_arrival_and_is_counted(rig: Rig, fault: str) -> None:
    rig.ticks(40)
    errors = rig.afe.errors()
    setattr(rig.bus if fault == "nack_next" else rig.chip, fault, 1)
    assert rig.arrivals(1)[0] == 0
    assert rig.afe.errors() == errors + 1
    assert rig.arrivals(100)[0] == 100
    assert rig.afe.resets == 0


def test_every_disturbed_read_is_caught(rig: Rig) -> None:
    rig.analog.cell_mv[:] = [3711.0 + i for i in range(16)]
    rig.ticks(60)
    good = list(rig.sample.cell_mv), list(rig.sample.temp_dc), rig.sample.pack_mv
    for _ in range(150):
        rig.chip.corrupt_next = 1
        rig.ticks(2)
        assert (list(rig.sample.cell_mv), list(rig.sample.temp_dc), rig.sample.pack_mv) == good
    assert rig.afe.resets == 0


def test_a_bus_held_low_stops_all_groups_and_heals(rig: Rig) -> None:
    rig.ticks(40)
    rig.bus.stuck = True
    assert rig.arrivals(200) == (0, 0, 0)
    rig.bus.stuck = False
    updates = rig.chip.config_updates
    rig.ticks(30)
    assert rig.arrivals(40)[0] == 40
    assert rig.chip.config_updates == updates, "the chip had kept its settings"


@pytest.mark.parametrize("temperature_c", [-60.0, 150.0])
def test_an_open_or_shorted_thermistor_is_no_arrival(rig: Rig, temperature_c: float) -> None:
    rig.ticks(40)
    rig.analog.temperature_c[1] = temperature_c
    rig.ticks(60)
    assert rig.arrivals(100)[2] == 0


# ---- losing the settings


@pytest.mark.parametrize("crc_at_reset", [False, True])
def test_a_brown_out_is_seen_and_the_chip_programmed_again(
    make_rig: Callable[..., Rig], crc_at_reset: bool
) -> None:
    rig = make_rig(crc_at_reset=crc_at_reset).start()
    rig.analog.current_ma = 5000
    rig.ticks(40)
    rig.chip.reset()
    rig.ticks(20)
    assert rig.arrivals(10) == (0, 0, 0), "nothing may count before the chip is right again"
    rig.ticks(300)
    assert rig.arrivals(100)[0] == 100
    assert rig.afe.resets == 1
    assert rig.chip.setting(0x9278) == 84
    assert rig.sample.current_ma == pytest.approx(5000, abs=10)
    assert rig.most_transfers <= 3


def test_a_register_that_changed_by_itself_is_found_within_seconds(rig: Rig) -> None:
    rig.ticks(40)
    rig.chip.memory[0x278] = 110
    rig.ticks(1500)
    assert rig.chip.setting(0x9278) == 84
    assert rig.afe.resets == 1


def test_a_chip_that_forgets_again_and_again_is_refused_in_the_ticks(rig: Rig) -> None:
    rig.ticks(40)
    rig.chip.fixed[0x9278] = 110
    rig.chip.reset()
    rig.ticks(2500)
    assert rig.arrivals(100) == (0, 0, 0)
    assert "COV Threshold" in rig.afe.refusal()


def test_other_limits_are_programmed_on_demand(rig: Rig) -> None:
    rig.ticks(40)
    rig.afe.program({**LIMITS, "cell_ov_mv": 4150})
    rig.ticks(300)
    assert rig.chip.setting(0x9278) == 83
    assert rig.arrivals(100)[0] == 100


# ---- what the chip does by itself


@pytest.mark.parametrize(
    ("name", "bit", "chg_off", "dsg_off"),
    [("COV", 3, True, False), ("CUV", 2, False, True), ("OCC", 4, True, False), ("OCD1", 5, False, True),
     ("SCD", 7, True, True), ("OTD", 13, False, True), ("UTC", 8, True, False)],
)  # fmt: skip
def test_the_chip_trips_by_itself_and_tells(
    rig: Rig, name: str, bit: int, chg_off: bool, dsg_off: bool
) -> None:
    rig.ticks(40)
    assert rig.afe.chip_faults == 0
    a = rig.analog
    if name == "COV":
        a.cell_mv[3] = 4260
    elif name == "CUV":
        a.cell_mv[3] = 2640
    elif name in ("OTD", "UTC"):
        a.temperature_c[0] = 62 if name == "OTD" else -33
    else:
        a.current_ma = {"OCC": 10_100, "OCD1": -24_100, "SCD": -61_000}[name]
    rig.ticks(900)
    assert rig.afe.chip_faults & 1 << bit
    assert not (chg_off and a.chg_on)
    assert not (dsg_off and a.dsg_on)


def test_the_chip_leaves_the_software_its_time(rig: Rig) -> None:
    rig.ticks(40)
    rig.analog.cell_mv[3] = 4260
    rig.ticks(19)  # 95 ms: the software had to act within 50
    assert rig.analog.chg_on
    rig.ticks(3)
    assert not rig.analog.chg_on


@pytest.mark.parametrize("wire", [0, 6, 15])
def test_an_open_wire_shows_as_its_cells(rig: Rig, wire: int) -> None:
    rig.analog.open_wires.add(wire)
    rig.ticks(1000)
    assert rig.afe.open_wires == (3 << wire) & 0xFFFF
    rig.analog.open_wires.clear()
    rig.ticks(20)
    assert rig.afe.open_wires == 0


# ---- balancing


@pytest.mark.parametrize("mask", [0x8001, 0xFFFF])
def test_balancing_follows_the_command_and_the_chips_rules(rig: Rig, mask: int) -> None:
    rig.command.balance[0] = mask & 0xFF
    rig.command.balance[1] = mask >> 8
    seen = 0
    for _ in range(25):  # 25 s: longer than the chip's own timer
        rig.ticks(200)
        assert rig.analog.balancing
        assert rig.analog.balancing & ~mask == 0
        seen |= rig.analog.balancing
    assert seen == mask
    assert rig.analog.broken_rule == ""
    rig.command.balance[0] = rig.command.balance[1] = 0
    rig.ticks(60)
    assert rig.analog.balancing == 0


def test_the_topmost_cell_is_balanced_at_the_topmost_input(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(10).start()
    rig.command.balance[1] = 0b1111_1110
    rig.ticks(100)
    assert rig.analog.balancing == 0x8000
    assert rig.analog.broken_rule == ""


def test_balancing_ends_by_itself_when_nobody_asks_any_more(rig: Rig) -> None:
    rig.command.balance[0] = 1
    rig.ticks(100)
    assert rig.analog.balancing == 1
    rig.chip.advance(21_000_000)
    assert rig.analog.balancing == 0
