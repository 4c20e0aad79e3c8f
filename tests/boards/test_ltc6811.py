"""The LTC6811-1 driver on emulated chains, through the methods of `machine.SPI` and `machine.Pin`."""

import importlib
import time
from collections.abc import Callable
from typing import Any

import pytest
from bms.sample import Command, Sample
from bms.tables import params

from hil.chips import thermistor
from hil.chips.ltc6811 import Ltc6811Chain, pec15
from hil.chips.spi import SpiBus

hal = importlib.import_module("hal.ltc6811")
wire = importlib.import_module("hal.ltc6811_chain")
shared = importlib.import_module("hal.chip")

LIMITS = params.defaults(params.NMC)
TICK_US = 5000
FRAME = 17
# 100 uOhm and a gain of 50: 20 mA a step of 100 uV; 1.5 V at 0 A
FRONTEND = (100, 50, 1500, 21)


class Rig:
    """Driver, bus and chain; `most_frames` and `most_bytes` are the worst tick's."""

    def __init__(self, n_chips: int = 1, n_cells: int = 12, n_temps: int = 3) -> None:
        self.chain = Ltc6811Chain(n_chips)
        self.chips = self.chain.chips
        self.first = (n_cells + n_chips - 1) // n_chips
        for number, chip in enumerate(self.chips):
            count = self.first if number == 0 else n_cells - self.first
            chip.cell_mv[count:] = [0.0] * (12 - count)
            chip.thermistor_c = {3: 25.0, 4: 25.0, 5: 25.0}
        self.bus = SpiBus(self.chain)
        self.sample = Sample(n_cells, n_temps)
        self.command = Command()
        self.afe: Any = hal.Ltc6811(
            self.bus, self.bus.chip_select(), n_chips, n_cells, n_temps, LIMITS, hal.Frontend(*FRONTEND)
        )
        self.most_frames = 0
        self.most_bytes = 0
        self.set_current(0)

    def set_current(self, current_ma: float, link_mv: float = 42_000) -> None:
        self.chips[0].gpio_mv[:2] = [1500 + current_ma * 100e-6 * 50, link_mv / 21]

    def start(self) -> "Rig":
        self.afe.start()
        return self

    def ticks(self, n: int, us: int = TICK_US) -> None:
        for _ in range(n):
            self.bus.frames = self.bus.wire_bytes = 0
            self.afe.read(self.sample)
            self.afe.write(self.command, 0, 0)
            self.most_frames = max(self.most_frames, self.bus.frames)
            self.most_bytes = max(self.most_bytes, self.bus.wire_bytes)
            self.chain.advance(us)

    def arrivals(self, n: int, us: int = TICK_US) -> tuple[int, int, int]:
        """New FAST, CELLS and TEMPS groups in n ticks."""
        s = self.sample
        before = s.seq[0], s.seq[1], s.seq[2]
        self.ticks(n, us)
        return s.seq[0] - before[0], s.seq[1] - before[1], s.seq[2] - before[2]


@pytest.fixture
def make_rig(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Rig]:
    """A function that makes a rig whose chips live through the driver's sleeps."""

    def make(*args: Any, **options: Any) -> Rig:
        rig = Rig(*args, **options)

        def sleep_ms(ms: int) -> None:
            rig.chain.advance(1000 * ms)

        monkeypatch.setattr(time, "sleep_ms", sleep_ms, raising=False)
        return rig

    return make


@pytest.fixture
def rig(make_rig: Callable[..., Rig]) -> Rig:
    """A started chain of two with 24 cells."""
    return make_rig(2, 24, 6).start()


# ---- protocol


def test_pec_is_that_of_the_data_sheet() -> None:
    # "Calculating the PEC": the command 0x0001 has the PEC 0x3D6E
    assert pec15(b"\x00\x01") == b"\x3d\x6e"
    assert wire.pec15(b"\x00\x01", 0, 2, wire.PEC15) == 0x3D6E


@pytest.mark.parametrize("n", range(1, 9))
def test_pec_by_table_is_pec_by_bits(n: int) -> None:
    for seed in range(50):
        data = bytes((seed * 37 + i * 91) & 0xFF for i in range(n + 3))
        assert wire.pec15(data, 3, n, wire.PEC15) == int.from_bytes(pec15(data[3:]), "big")


@pytest.mark.parametrize(
    ("name", "code"),
    [("ADCVAX", 0x56F), ("ADCVSC", 0x567), ("ADAX", 0x560), ("ADOW_UP", 0x368), ("ADOW_DOWN", 0x328),
     ("CVST", 0x327), ("CLRCELL", 0x711), ("RDSTATB", 0x012)],
)  # fmt: skip
def test_commands_are_those_of_the_data_sheet(name: str, code: int) -> None:
    assert getattr(wire, name) == code


# ---- start


@pytest.mark.parametrize("n_chips", [1, 2])
def test_start_finds_configures_and_checks_the_chain(make_rig: Callable[..., Rig], n_chips: int) -> None:
    rig = make_rig(n_chips, 12 * n_chips)
    before_us = rig.chain.now_us
    rig.start()
    assert rig.afe.configured
    for chip in rig.chips:
        assert chip.config[0] & 0x05 == 0x04
        uv = (chip.config[2] & 0xF) << 8 | chip.config[1]
        ov = chip.config[3] << 4 | chip.config[2] >> 4
        assert 0 <= ov * 1.6 - LIMITS["cell_ov_mv"] < 1.6
        assert 0 <= LIMITS["cell_uv_mv"] - (uv + 1) * 1.6 < 1.6
    assert rig.chain.now_us - before_us < 100_000


def test_without_a_chain_the_start_says_what_to_look_at(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig()
    rig.bus.stuck = True
    with pytest.raises(shared.AfeError, match=r"no chain of 1 answers with a right PEC; check SPI"):
        rig.afe.read(rig.sample)
    assert not rig.afe.configured


@pytest.mark.parametrize(("there", "named", "words"), [(1, 2, "no chain of 2"), (2, 1, "more chips answer")])
def test_a_chain_of_another_length_is_refused(
    make_rig: Callable[..., Rig], there: int, named: int, words: str
) -> None:
    rig = make_rig(there, 12 * there)
    afe = hal.Ltc6811(rig.bus, rig.bus.chip_select(), named, 12, 3, LIMITS, hal.Frontend(*FRONTEND))
    with pytest.raises(shared.AfeError, match=words):
        afe.start()


def test_a_chip_that_fails_its_self_test_is_named(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(2, 24)
    rig.chips[1].silicon_self_test = 0x9565
    with pytest.raises(shared.AfeError, match=r"self test of chip 2 reads 0x9565, it must be 0x9555"):
        rig.start()


def test_a_register_that_does_not_keep_its_value_is_named(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(2, 24)
    rig.chips[1].fixed[3] = 0x11
    with pytest.raises(shared.AfeError, match=r"CFGR3 of chip 2: written 0xa6, read back 0x11, 3 times"):
        rig.start()


@pytest.mark.parametrize(
    ("n_chips", "n_cells", "n_temps"), [(1, 13, 3), (1, 3, 3), (2, 7, 3), (2, 24, 7), (3, 24, 3), (1, 12, 0)]
)
def test_topologies_that_the_chips_do_not_have_are_refused(n_chips: int, n_cells: int, n_temps: int) -> None:
    bus = SpiBus(Ltc6811Chain(1))
    with pytest.raises(shared.AfeError, match="ltc6811: number of"):
        hal.Ltc6811(bus, bus.chip_select(), n_chips, n_cells, n_temps, LIMITS, hal.Frontend(*FRONTEND))


def test_limits_that_the_chip_cannot_hold_are_refused(make_rig: Callable[..., Rig]) -> None:
    with pytest.raises(shared.AfeError, match=r"VOV would be 4375, it takes 0..4095"):
        make_rig().afe.program({**LIMITS, "cell_ov_mv": 7000})


# ---- measuring


@pytest.mark.parametrize(("n_chips", "n_cells", "n_temps"), [(1, 4, 1), (1, 12, 3), (2, 15, 4), (2, 24, 6)])
def test_every_cell_sensor_current_and_voltage_arrive(
    make_rig: Callable[..., Rig], n_chips: int, n_cells: int, n_temps: int
) -> None:
    rig = make_rig(n_chips, n_cells, n_temps).start()
    for i in range(n_cells):
        rig.chips[i // rig.first].cell_mv[i % rig.first] = 3500.0 + 7 * i
    degrees = [-35.0, -10.0, 0.0, 25.0, 61.5, 104.0][:n_temps]
    for i, degree in enumerate(degrees):
        rig.chips[i // 3].thermistor_c[3 + i % 3] = degree
    rig.set_current(-123_400, 43_210)
    rig.ticks(3 * FRAME)
    s = rig.sample
    assert list(s.cell_mv) == [3500 + 7 * i for i in range(n_cells)]
    assert list(s.temp_dc) == pytest.approx([10 * d for d in degrees], abs=4)
    assert s.current_ma == pytest.approx(-123_400, abs=25)
    assert s.link_mv == pytest.approx(43_210, abs=5)
    assert s.pack_mv == pytest.approx(sum(s.cell_mv), abs=3)
    assert s.isolation_kohm == shared.NOT_MEASURED_KOHM
    assert rig.afe.errors() == 0
    assert rig.afe.open_wires == rig.afe.chip_faults == 0


def test_thermistor_table_follows_the_part_over_its_whole_range() -> None:
    for tenth in range(-395, 1095, 7):
        reading = round(30_000 * thermistor.share(tenth / 10))
        assert shared.ntc_dc(reading, 30_000) == pytest.approx(tenth, abs=4)


@pytest.mark.parametrize(
    ("reading", "reference"), [(30_000, 30_000), (0, 30_000), (15_000, 0), (29_900, 30_000)]
)
def test_a_thermistor_that_is_not_there_has_no_temperature(reading: int, reference: int) -> None:
    assert shared.ntc_dc(reading, reference) == shared.NO_TEMP_DC


@pytest.mark.parametrize(
    ("num", "den"), [(100_000, 1000), (100_000, 5000), (100_000, 999_999), (400, 10), (1, 10)]
)
def test_scale_stays_small_and_exact(num: int, den: int) -> None:
    scale = shared.Scale(num, den)
    for x in (-65_535, -30_000, -1, 0, 1, 12_345, 65_535):
        assert abs(x * scale._factor) < 1 << 30
        assert scale.of(x) == pytest.approx(x * num / den, rel=1 / 16384, abs=1.01)


def test_groups_have_their_rates_and_a_tick_its_bound(rig: Rig) -> None:
    rig.ticks(2 * FRAME)
    fast, cells, temps = rig.arrivals(20 * FRAME)
    assert fast == 20 * 12
    assert cells == 20 * 3
    assert temps == 20
    # two wake-up pulses, four readings, two clears and the conversion
    assert rig.most_frames <= 9
    assert rig.most_bytes <= 94
    assert rig.afe.errors() == 0
    assert rig.chain.ignored == 0


@pytest.mark.parametrize(("group", "longest_ms"), [(0, 15), (1, 30), (2, 85)])
def test_no_group_is_older_than_its_bound(rig: Rig, group: int, longest_ms: int) -> None:
    rig.ticks(2 * FRAME)
    ages: list[int] = []
    seq, age = rig.sample.seq[group], 0
    for _ in range(6 * FRAME):
        rig.ticks(1)
        age += 5
        if rig.sample.seq[group] != seq:
            ages.append(age)
            seq, age = rig.sample.seq[group], 0
    assert max(ages[1:]) == longest_ms


def test_a_conversion_that_is_not_complete_is_no_arrival(rig: Rig) -> None:
    rig.ticks(2 * FRAME)
    rig.ticks(1, us=2000)
    errors = rig.afe.errors()
    assert rig.arrivals(2 * FRAME, us=2000) == (0, 0, 0)
    assert rig.afe.errors() > errors
    rig.ticks(FRAME)
    assert rig.arrivals(FRAME)[1] == 3


def test_chips_that_do_not_hear_send_nothing_new(rig: Rig) -> None:
    rig.ticks(2 * FRAME)
    rig.chain.deaf = True
    assert rig.arrivals(2 * FRAME) == (0, 0, 0)
    rig.chain.deaf = False
    rig.ticks(2 * FRAME)
    assert rig.arrivals(FRAME)[1] == 3


def test_every_disturbed_answer_is_caught_and_counted(rig: Rig) -> None:
    for chip in rig.chips:
        chip.cell_mv[:] = [3711.0 + i for i in range(12)]
    rig.ticks(2 * FRAME)
    s = rig.sample
    good = list(s.cell_mv), list(s.temp_dc), s.current_ma, s.pack_mv, s.link_mv
    for n in range(5 * FRAME):
        rig.chain.corrupt_next = 1
        rig.ticks(2)
        assert (list(s.cell_mv), list(s.temp_dc), s.current_ma, s.pack_mv, s.link_mv) == good
        assert rig.afe.errors() == n + 1
    assert rig.afe.resets == 0


def test_a_line_held_high_stops_all_groups_and_heals(rig: Rig) -> None:
    rig.ticks(2 * FRAME)
    rig.bus.stuck = True
    assert rig.arrivals(4 * FRAME) == (0, 0, 0)
    rig.bus.stuck = False
    rig.ticks(FRAME)
    assert rig.arrivals(FRAME) == (12, 3, 1)
    assert rig.afe.resets == 0


@pytest.mark.parametrize("temperature_c", [-60.0, 150.0])
def test_an_open_or_shorted_thermistor_is_no_arrival(rig: Rig, temperature_c: float) -> None:
    rig.ticks(2 * FRAME)
    rig.chips[1].thermistor_c[4] = temperature_c
    rig.ticks(FRAME)
    assert rig.arrivals(3 * FRAME)[2] == 0


# ---- losing the settings


@pytest.mark.parametrize("chip", [0, 1])
def test_a_brown_out_is_seen_and_the_chip_configured_again(rig: Rig, chip: int) -> None:
    rig.ticks(2 * FRAME + 3)
    rig.chips[chip].reset()
    rig.ticks(2 * FRAME)
    assert rig.afe.resets == 1
    assert rig.chips[chip].config[3] == rig.chips[1 - chip].config[3] != 0
    rig.ticks(FRAME)
    assert rig.arrivals(FRAME) == (12, 3, 1)


def test_after_a_long_silence_the_chain_is_configured_again(rig: Rig) -> None:
    rig.ticks(2 * FRAME)
    rig.chain.advance(3_000_000)
    rig.ticks(4 * FRAME)
    assert rig.afe.resets == 1
    assert rig.arrivals(FRAME) == (12, 3, 1)


def test_nothing_counts_while_the_configuration_is_wrong(rig: Rig) -> None:
    rig.ticks(2 * FRAME)
    rig.chips[0].fixed[3] = 0x11
    rig.ticks(2 * FRAME)
    assert rig.arrivals(4 * FRAME) == (0, 0, 0)
    assert "CFGR3 of chip 1" in rig.afe.refusal()


def test_other_limits_are_written_on_demand(rig: Rig) -> None:
    rig.ticks(2 * FRAME)
    rig.afe.program({**LIMITS, "cell_ov_mv": 4160})
    rig.ticks(2 * FRAME)
    assert rig.chips[1].config[3] << 4 | rig.chips[1].config[2] >> 4 == 2600
    rig.ticks(FRAME)
    assert rig.arrivals(FRAME) == (12, 3, 1)
    assert rig.afe.resets == 0


# ---- what the chips see by themselves


@pytest.mark.parametrize(("cell", "mv"), [(0, 4252.0), (11, 2698.0), (12, 4252.0), (23, 2698.0)])
def test_the_chips_comparators_are_told(rig: Rig, cell: int, mv: float) -> None:
    rig.chips[cell // 12].cell_mv[cell % 12] = mv
    rig.ticks(3 * FRAME)
    assert rig.afe.chip_faults == 1 << cell


def test_a_cell_at_the_limit_is_none_of_the_chips_business(rig: Rig) -> None:
    rig.chips[0].cell_mv[0] = LIMITS["cell_ov_mv"]
    rig.chips[0].cell_mv[1] = LIMITS["cell_uv_mv"]
    rig.ticks(3 * FRAME)
    assert rig.afe.chip_faults == 0


@pytest.mark.parametrize(
    ("chip", "cut", "cells"),
    [(0, 0, 0b1), (0, 1, 0b11), (0, 7, 0b11 << 6), (0, 12, 1 << 11), (1, 0, 1 << 12), (1, 5, 0b11 << 16),
     (1, 12, 1 << 23)],
)  # fmt: skip
def test_an_open_wire_shows_as_its_cells_within_two_frames(rig: Rig, chip: int, cut: int, cells: int) -> None:
    rig.ticks(2 * FRAME)
    rig.chips[chip].open_wires.add(cut)
    before = rig.chain.now_us
    while not rig.afe.open_wires:
        rig.ticks(1)
        assert rig.chain.now_us - before <= 3 * FRAME * TICK_US
    assert rig.afe.open_wires == cells
    rig.chips[chip].open_wires.clear()
    rig.ticks(2 * FRAME)
    assert rig.afe.open_wires == 0


def test_the_topmost_wire_of_a_shorter_stack_shows_too(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(1, 8).start()
    rig.chips[0].open_wires.add(8)
    rig.ticks(4 * FRAME)
    assert rig.afe.open_wires == 1 << 7


def test_a_load_that_steps_once_opens_no_wire(rig: Rig) -> None:
    rig.ticks(2 * FRAME)
    for chip in rig.chips:
        chip.cell_mv[:] = [3000.0] * 12
    rig.ticks(11)
    for chip in rig.chips:
        chip.cell_mv[:] = [3700.0] * 12
    for _ in range(2 * FRAME):
        rig.ticks(1)
        assert rig.afe.open_wires == 0


# ---- balancing


@pytest.mark.parametrize("mask", [0x000001, 0x800000, 0x555AAA, 0xFFFFFF])
def test_balancing_follows_the_command(rig: Rig, mask: int) -> None:
    rig.command.balance[:3] = mask.to_bytes(3, "little")
    rig.ticks(2 * FRAME)
    assert rig.chips[0].discharging | rig.chips[1].discharging << 12 == mask
    rig.command.balance[:3] = b"\x00\x00\x00"
    rig.ticks(2 * FRAME)
    assert rig.chips[0].discharging == rig.chips[1].discharging == 0
    assert rig.afe.resets == 0


def test_cells_that_are_not_there_are_not_balanced(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(2, 15).start()
    rig.command.balance[:] = b"\xff\xff\xff\xff"
    rig.ticks(2 * FRAME)
    assert [chip.discharging for chip in rig.chips] == [0xFF, 0x7F]


def test_a_controller_that_falls_silent_stops_balancing(rig: Rig) -> None:
    rig.command.balance[0] = 1
    rig.ticks(2 * FRAME)
    assert rig.chips[0].discharging == 1
    rig.chain.advance(2_100_000)
    rig.bus.set_select(0)
    assert rig.chips[0].discharging == 0


# ---- the front end's numbers


@pytest.mark.parametrize(
    ("numbers", "words"),
    [((1, 1, 1500, 21), "shunt_uohm . amp_gain"), ((100, 50, 6000, 21), "amp_zero_mv"),
     ((100, 50, 1500, 0), "link_divider")],
)  # fmt: skip
def test_a_front_end_that_cannot_be_is_refused(numbers: tuple[int, ...], words: str) -> None:
    with pytest.raises(shared.AfeError, match=words):
        hal.Frontend(*numbers)
