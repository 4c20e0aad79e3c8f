"""Self-discharge: found at rest, at the right cell and size; not under load, when bled, or from noise."""

import gc

import healthy
import micropython
from bms.estimate.leak import PERIODS, SETTLE_MIN, WINDOW_MIN, Leak
from bms.tables.params import LFP, NMC, defaults


class Bench:
    def __init__(self, chemistry: int = NMC, n_cells: int = 4) -> None:
        self.limits = defaults(chemistry)
        self.leak = Leak(self.limits, n_cells, chemistry)
        self.snapshot = healthy.snapshot(n_cells, chemistry)
        self.estimate = healthy.estimate()
        self.snapshot.current_ma = 0

    def minutes(self, n: int) -> None:
        # a minute of equal samples: only the sums count
        for _ in range(n):
            for i in range(len(self.snapshot.cell_mv)):
                self.leak.sums[i] = self.snapshot.cell_mv[i] * (PERIODS - 1)
            self.leak.periods = PERIODS - 1
            self.leak.step(self.snapshot, self.estimate)


def test_a_leaking_cell_is_found_with_its_current():
    bench = Bench()
    healthy.cells(bench.snapshot, 3700)
    bench.minutes(SETTLE_MIN)
    bench.snapshot.cell_mv[2] -= 10
    bench.minutes(30)
    # NMC at 3.70 V: 43 mV for 5 %, so 7.5 mV below the mean are 0.87 %, 26 mAh of 3 Ah, in half an hour
    assert 40 <= bench.leak.ma <= 60
    assert bench.leak.cell == 2


def test_a_cell_that_was_always_lower_is_none():
    bench = Bench()
    healthy.cells(bench.snapshot, 3700)
    bench.snapshot.cell_mv[1] -= 30
    bench.minutes(WINDOW_MIN - 1)
    assert (bench.leak.ma, bench.leak.cell) == (0, -1)


def test_a_millivolt_is_noise():
    bench = Bench()
    healthy.cells(bench.snapshot, 3700)
    bench.minutes(SETTLE_MIN)
    bench.snapshot.cell_mv[0] -= 2
    bench.minutes(3)
    assert bench.leak.ma == 0


def test_a_cell_that_is_bled_is_no_suspect():
    bench = Bench()
    healthy.cells(bench.snapshot, 3700)
    bench.minutes(SETTLE_MIN)
    bench.estimate.balance[0] = 4
    bench.snapshot.cell_mv[2] -= 20
    bench.minutes(5)
    assert bench.leak.ma == 0
    bench.snapshot.cell_mv[1] -= 20
    bench.minutes(5)
    assert bench.leak.cell == 1


def test_load_and_silence_begin_the_rest_anew():
    for disturb in ("load", "silence"):
        bench = Bench()
        healthy.cells(bench.snapshot, 3700)
        bench.minutes(SETTLE_MIN)
        if disturb == "load":
            bench.snapshot.current_ma = -2000
        else:
            bench.snapshot.cells_known = False
        bench.leak.step(bench.snapshot, bench.estimate)
        bench.snapshot.current_ma = 0
        bench.snapshot.cells_known = True
        bench.snapshot.cell_mv[3] -= 50
        bench.minutes(SETTLE_MIN + 5)
        assert bench.leak.ma == 0, disturb


def test_what_was_found_stands_until_the_next_rest():
    bench = Bench()
    healthy.cells(bench.snapshot, 3700)
    bench.minutes(SETTLE_MIN)
    bench.snapshot.cell_mv[2] -= 20
    bench.minutes(10)
    found = bench.leak.ma
    assert found > 0
    bench.snapshot.current_ma = -2000
    bench.leak.step(bench.snapshot, bench.estimate)
    assert bench.leak.ma == found


def test_the_plateau_of_lfp_exaggerates_nothing():
    bench = Bench(LFP)
    healthy.cells(bench.snapshot, 3306)
    bench.minutes(SETTLE_MIN)
    bench.snapshot.cell_mv[1] -= 6
    bench.minutes(60)
    assert 0 < bench.leak.ma < 100


def test_a_step_allocates_nothing():
    bench = Bench()
    healthy.cells(bench.snapshot, 3700)
    bench.minutes(SETTLE_MIN + 1)
    gc.collect()
    bench.leak.periods = PERIODS - 1
    micropython.heap_lock()
    try:
        bench.leak.step(bench.snapshot, bench.estimate)
        bench.leak.step(bench.snapshot, bench.estimate)
    finally:
        micropython.heap_unlock()
