"""Cooling: temperature, heat ahead of it, hysteresis, slew, least time on, unknown."""

import gc

import healthy
import micropython
from bms.control.cooling import LEAST_ON_MS, LEAST_PCT, SLEW_PCT_S, Cooling
from bms.tables.params import NMC, defaults


class Bench:
    def __init__(self, **changes: int) -> None:
        self.limits = defaults(NMC)
        self.limits.update(changes)
        self.cooling = Cooling(self.limits)
        self.snapshot = healthy.snapshot()

    def run(self, periods: int = 1) -> int:
        for _ in range(periods):
            self.cooling.step(self.snapshot)
        return self.cooling.pump_pct

    def at(self, temp_dc: int, periods: int = 2000) -> int:
        healthy.temps(self.snapshot, 200, temp_dc)
        return self.run(periods)


def test_follows_the_hottest_sensor():
    bench = Bench(cooling_on_dc=300, cooling_full_dc=400)
    assert bench.at(299) == 0
    assert bench.at(350) == 50
    assert bench.at(390) == 90
    assert bench.at(400) == 100
    assert bench.at(800) == 100
    assert bench.at(-300) == 0


def test_starts_late_and_stops_later():
    bench = Bench(cooling_on_dc=300, cooling_full_dc=400)
    assert bench.at(314) == 0
    assert bench.at(315) == LEAST_PCT
    assert bench.at(305) == LEAST_PCT
    assert bench.at(304) == 0


def test_runs_for_its_least_time():
    bench = Bench(cooling_on_dc=300, cooling_full_dc=400)
    assert bench.at(350, 1) > 0
    assert bench.at(250, LEAST_ON_MS // 100 - 1) == LEAST_PCT
    assert bench.at(250, LEAST_PCT * 10 // SLEW_PCT_S) == 0


def test_changes_no_faster_than_its_slew():
    bench = Bench()
    before = bench.run()
    for temp_dc in (600, 100):
        healthy.temps(bench.snapshot, 100, temp_dc)
        for _ in range(700):
            now = bench.run()
            assert abs(now - before) <= 1
            before = now
        assert before == (100 if temp_dc == 600 else 0)


def test_heat_starts_it_before_the_temperature_does():
    bench = Bench(cell_r0_uohm=20_000, cooling_full_mw=4000)
    for current_ma in (-10_000, 10_000):  # 2 W, half of full
        bench.snapshot.current_ma = current_ma
        assert 47 <= bench.at(260, 3000) <= 50
    bench.snapshot.current_ma = 0
    assert bench.at(260, 3000) == 0


def test_heat_comes_on_top_of_temperature():
    bench = Bench(cell_r0_uohm=20_000, cooling_full_mw=4000, cooling_on_dc=300, cooling_full_dc=400)
    assert bench.at(330) == 30
    bench.snapshot.current_ma = -10_000
    assert 77 <= bench.run(3000) <= 80


def test_a_short_pulse_starts_nothing_and_a_cold_pack_warms_itself():
    bench = Bench()
    bench.snapshot.current_ma = -12_000
    assert bench.at(280, 20) == 0
    bench.snapshot.current_ma = 0
    assert bench.run(600) == 0
    bench.snapshot.current_ma = -20_000
    assert bench.at(100, 3000) == 0


def test_unknown_temperatures_cool_fully_at_once():
    bench = Bench()
    assert bench.run(10) == 0
    bench.snapshot.temps_known = False
    assert bench.run() == 100
    bench.snapshot.temps_known = True
    assert bench.run() == 99
    assert bench.run(LEAST_ON_MS // 100 + 200) == 0


def test_any_current_stays_in_small_integers():
    bench = Bench(cell_r0_uohm=50, cooling_full_mw=200_000)
    for current_ma in (-0x40000000, 0x3FFFFFFF):
        bench.snapshot.current_ma = current_ma
        assert bench.at(290, 3000) == 100


def test_contradicting_limits_are_refused():
    try:
        Bench(cooling_full_dc=300, cooling_on_dc=300)
    except ValueError as error:
        assert "cooling_full_dc" in str(error)
    else:
        raise AssertionError("no span was taken")


def test_step_allocates_nothing():
    bench = Bench()
    gc.collect()
    micropython.heap_lock()
    try:
        for _ in range(50):
            bench.snapshot.current_ma -= 3000
            bench.snapshot.temp_max_dc += 10
            bench.cooling.step(bench.snapshot)
    finally:
        micropython.heap_unlock()
    assert bench.cooling.pump_pct > 0
