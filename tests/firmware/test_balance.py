"""Balancing: who is bled, when, for how long, and what stops it."""

import gc

import healthy
import micropython
from bms.control.balance import BLEED_MS, MOST_CELLS, PAUSE_MS, Balance, soc_cpct
from bms.tables.ocv import OCV_MV, STEP_CPCT
from bms.tables.params import LFP, NCA, NMC, defaults
from bms.tables.signals import BOOT, CHARGE_CC, CHARGE_CV, CHARGE_OFF, OPEN, TRIPPED

PAUSE = PAUSE_MS // 100
BLEED = BLEED_MS // 100
SPREAD = (3700, 3720, 3701, 3760)
"""Cells 1 and 3 are above the start threshold; 1 mV stands for about 0.12 % here."""


class Bench:
    def __init__(self, chemistry: int = NMC, n_cells: int = 4, **changes: int) -> None:
        self.limits = defaults(chemistry)
        self.limits.update(changes)
        self.balance = Balance(self.limits, n_cells, chemistry)
        self.snapshot = healthy.snapshot(n_cells, chemistry)
        self.phase = CHARGE_OFF

    def run(self, periods: int = 1) -> "list[int]":
        for _ in range(periods):
            self.balance.step(self.snapshot, self.phase)
        return self.bled()

    def bled(self) -> "list[int]":
        bits = self.balance.bits
        return [i for i in range(8 * len(bits)) if bits[i >> 3] & 1 << (i & 7)]

    def rest(self) -> None:
        """Up to the last period in which it has not rested long enough."""
        self.run(10 * self.limits["balance_rest_s"] - 1)

    def bleeding(self, *cell_mv: int) -> "list[int]":
        """Rest with these voltages, up to the end of the first pause."""
        healthy.cells(self.snapshot, *cell_mv)
        self.rest()
        return self.run(PAUSE)


def test_soc_of_a_voltage_goes_on_beyond_full():
    for table in OCV_MV:
        for i in range(len(table)):
            assert soc_cpct(table, table[i]) == i * STEP_CPCT
        top = table[-1] - table[-2]
        assert soc_cpct(table, table[-1] + top) == 10_000 + STEP_CPCT
        assert soc_cpct(table, 0) < 0


def test_cells_well_above_the_lowest_are_bled_at_rest():
    bench = Bench()
    healthy.cells(bench.snapshot, *SPREAD)
    bench.rest()
    assert bench.bled() == []
    assert bench.run(PAUSE - 1) == []
    assert bench.run() == [1, 3]
    assert bench.balance.wanted


def test_bleeds_and_measures_in_turns():
    bench = Bench()
    assert bench.bleeding(*SPREAD) == [1, 3]
    for _ in range(3):
        for _ in range(BLEED - 1):
            assert bench.run() == [1, 3]
        for _ in range(PAUSE):
            assert bench.run() == []
        assert bench.balance.wanted
        assert bench.run() == [1, 3]


def test_voltages_while_bleeding_say_nothing():
    bench = Bench()
    assert bench.bleeding(*SPREAD) == [1, 3]
    healthy.cells(bench.snapshot, 3700, 3600, 3701, 3640)  # pulled down by the bleeding
    bench.run(BLEED - 1)
    healthy.cells(bench.snapshot, *SPREAD)
    assert bench.run(1 + PAUSE) == [1, 3]


def test_ends_by_hysteresis_and_says_so_once():
    bench = Bench()
    assert bench.bleeding(3700, 3711, 3700, 3700) == [1]
    healthy.cells(bench.snapshot, 3700, 3706, 3700, 3700)  # between stop and start
    assert bench.run(BLEED + PAUSE) == [1]
    healthy.cells(bench.snapshot, 3700, 3703, 3700, 3700)
    finished = 0
    for _ in range(BLEED + PAUSE + 10):
        bench.run()
        finished += bench.balance.finished
    assert finished == 1
    assert not bench.balance.wanted
    healthy.cells(bench.snapshot, 3700, 3706, 3700, 3700)
    assert bench.run(2 * (BLEED + PAUSE)) == []


def test_the_lowest_cell_is_never_bled():
    for lowest in range(4):
        cell_mv = [3800] * 4
        cell_mv[lowest] = 3600
        assert lowest not in Bench().bleeding(*cell_mv)
    assert Bench().bleeding(3700) == []


def test_a_low_cell_is_not_bled():
    bench = Bench()
    low_mv = bench.limits["balance_min_mv"]
    assert bench.bleeding(low_mv - 200, low_mv - 1, low_mv, low_mv + 1) == [2, 3]


def test_on_the_flat_of_lfp_nothing_is_bled_and_at_its_top_it_is():
    assert Bench(LFP).bleeding(3290, 3292, 3306, 3330) == []
    assert Bench(LFP).bleeding(3348, 3366, 3380, 3400) == [1, 2, 3]
    assert Bench(NCA).bleeding(3700, 3720, 3701, 3760) == [1, 3]


def test_the_highest_come_first_as_many_as_the_heat_allows():
    bench = Bench(n_cells=16, balance_max_cells=3)
    cell_mv = [3700 + 5 * i for i in range(16)]
    assert bench.bleeding(*cell_mv) == [13, 14, 15]
    bench = Bench(n_cells=32, balance_max_cells=32)
    assert bench.bleeding(*[3600 + 5 * i for i in range(32)])[-1] == 31


def test_cells_beyond_the_bitmap_count_as_lowest_but_are_never_bled():
    bench = Bench(n_cells=40, balance_max_cells=32)
    cell_mv = [3750] * 40
    cell_mv[39] = 3700
    assert bench.bleeding(*cell_mv) == list(range(MOST_CELLS))
    cell_mv = [3700] * 40
    cell_mv[39] = 3750
    assert Bench(n_cells=40).bleeding(*cell_mv) == []


def test_current_ends_it_and_rest_has_to_come_again():
    bench = Bench()
    assert bench.bleeding(*SPREAD) == [1, 3]
    bench.snapshot.current_ma = -bench.limits["rest_current_ma"] - 1
    assert bench.run() == []
    bench.snapshot.current_ma = 0
    bench.rest()
    assert bench.run(PAUSE - 1) == []
    assert bench.run() == [1, 3]


def test_the_end_of_a_charge_needs_no_rest():
    bench = Bench()
    healthy.cells(bench.snapshot, 4180, 4200, 4181, 4190)
    taper_ma = bench.limits["capacity_mah"] // 5
    for phase, current_ma, bled in (
        (CHARGE_CC, taper_ma, []),
        (CHARGE_CV, taper_ma + 1, []),
        (CHARGE_CV, -500, []),
        (CHARGE_CV, taper_ma, [1]),
    ):
        bench.phase = phase
        bench.snapshot.current_ma = current_ma
        assert bench.run(2 * PAUSE) == bled, (phase, current_ma)


def test_unknown_data_heat_and_a_trip_stop_it_at_once():
    for name, value in (
        ("fast_known", False),
        ("cells_known", False),
        ("temps_known", False),
        ("state", TRIPPED),
        ("state", BOOT),
        ("temp_max_dc", defaults(NMC)["balance_hot_dc"]),
    ):
        bench = Bench()
        assert bench.bleeding(*SPREAD) == [1, 3]
        setattr(bench.snapshot, name, value)
        assert bench.run() == [], name
        assert not bench.balance.wanted
        assert not bench.balance.finished


def test_after_unknown_data_rest_has_to_come_again():
    bench = Bench()
    assert bench.bleeding(*SPREAD) == [1, 3]
    bench.snapshot.fast_known = False
    bench.run()
    bench.snapshot.fast_known = True
    bench.rest()
    assert bench.run(PAUSE - 1) == []
    assert bench.run() == [1, 3]


def test_a_level_pack_finishes_nothing():
    bench = Bench()
    healthy.cells(bench.snapshot, 3700)
    bench.rest()
    for _ in range(2 * (PAUSE + BLEED)):
        bench.run()
        assert not bench.balance.finished


def test_open_contactors_do_not_hinder_it():
    bench = Bench()
    bench.snapshot.state = OPEN
    assert bench.bleeding(*SPREAD) == [1, 3]


def test_contradicting_limits_are_refused():
    try:
        Bench(balance_stop_cpct=100, balance_start_cpct=100)
    except ValueError as error:
        assert "balance_stop_cpct" in str(error)
    else:
        raise AssertionError("no hysteresis was taken")


def test_step_allocates_nothing():
    bench = Bench(n_cells=16)
    bench.bleeding(*[3700 + 5 * i for i in range(16)])
    gc.collect()
    micropython.heap_lock()
    try:
        for _ in range(BLEED + PAUSE + 10):
            bench.balance.step(bench.snapshot, CHARGE_OFF)
    finally:
        micropython.heap_unlock()
    assert bench.bled() != []
