"""Control as a whole: what the tick, the page and the charger get to see."""

import gc

import healthy
import micropython
from bms.control.balance import BLEED_MS, PAUSE_MS
from bms.control.charge import CONFIRM_MS
from bms.control.control import Control
from bms.tables import limiters
from bms.tables.params import LFP, NCA, NMC, defaults
from bms.tables.signals import CHARGE_CC, CHARGE_CV, CHARGE_FULL, CHARGE_OFF

FULL_MV = (4195, 4195, 3595)
CHECKSUM = 36927
"""Of all that was decided in a fixed course of inputs."""


class Bench:
    def __init__(self, chemistry: int = NMC) -> None:
        self.limits = defaults(chemistry)
        self.limits["balance_rest_s"] = 10
        self.control = Control(self.limits, 4, chemistry)
        self.snapshot = healthy.snapshot(4, chemistry)
        self.estimate = healthy.estimate()

    def run(self, periods: int = 1) -> None:
        for _ in range(periods):
            self.control.step(self.snapshot, self.estimate)


def test_a_healthy_pack_gets_its_limits_and_asks_for_charge():
    for chemistry in (NMC, NCA, LFP):
        bench = Bench(chemistry)
        bench.run(400)
        estimate = bench.estimate
        assert estimate.charge_limit_da == bench.limits["charge_max_ma"] // 100
        assert estimate.discharge_limit_da == -bench.limits["discharge_max_ma"] // 100
        assert (estimate.charge_limiter, estimate.discharge_limiter) == (limiters.NONE, limiters.NONE)
        assert estimate.charge_phase == CHARGE_CC
        assert 0 < estimate.charge_request_ma <= bench.limits["charge_max_ma"]
        assert estimate.charge_request_mv > bench.snapshot.pack_mv
        assert estimate.pump_pct == 0
        assert not any(estimate.balance)


def test_each_direction_has_its_limiter():
    bench = Bench()
    healthy.cells(bench.snapshot, 4230)
    bench.run(400)
    assert bench.estimate.charge_limiter == limiters.CELL_HIGH
    assert bench.estimate.discharge_limiter == limiters.NONE


def test_nothing_known_means_no_current_no_charge_no_bleeding_full_cooling():
    bench = Bench()
    bench.run(400)
    bench.snapshot.fast_known = bench.snapshot.cells_known = bench.snapshot.temps_known = False
    bench.run()
    estimate = bench.estimate
    assert (estimate.charge_limit_da, estimate.discharge_limit_da) == (0, 0)
    assert (estimate.charge_limiter, estimate.discharge_limiter) == (limiters.QUALITY, limiters.QUALITY)
    assert (estimate.charge_phase, estimate.charge_request_mv, estimate.charge_request_ma) == (
        CHARGE_OFF,
        0,
        0,
    )
    assert not any(estimate.balance)
    assert estimate.pump_pct == 100


def test_a_levelled_pack_is_topped_up():
    for chemistry in (NMC, LFP):
        bench = Bench(chemistry)
        bench.run(400)
        full_mv = FULL_MV[chemistry]
        healthy.cells(bench.snapshot, full_mv - 60, full_mv, full_mv - 60, full_mv - 60)
        bench.run(CONFIRM_MS // 100)
        assert bench.estimate.charge_phase == CHARGE_FULL
        bench.run(PAUSE_MS // 100)
        assert bench.estimate.balance[0] == 1 << 1
        healthy.cells(bench.snapshot, full_mv - 60)
        bench.run((BLEED_MS + PAUSE_MS) // 100)
        assert bench.estimate.charge_phase in (CHARGE_CC, CHARGE_CV)
        assert not any(bench.estimate.balance)


def test_step_allocates_nothing():
    bench = Bench()
    healthy.cells(bench.snapshot, 4100, 4150, 4100, 4120)
    bench.run(100)
    gc.collect()
    micropython.heap_lock()
    try:
        for _ in range(300):
            bench.control.step(bench.snapshot, bench.estimate)
        bench.snapshot.current_ma = -40_000
        bench.snapshot.temp_max_dc = 480
        for _ in range(300):
            bench.control.step(bench.snapshot, bench.estimate)
    finally:
        micropython.heap_unlock()
    assert bench.estimate.pump_pct > 0


def test_every_interpreter_decides_alike():
    bench = Bench()
    snapshot = bench.snapshot
    seed = 1
    checksum = 0
    for period in range(1500):
        seed = (seed * 1021 + 4093) & 0xFFFFF
        if period % 100 == 0:
            healthy.cells(snapshot, 3000 + seed % 1250, 3000 + (seed >> 3) % 1250, 3700, 3700)
            healthy.temps(snapshot, (seed >> 5) % 700 - 150, (seed >> 7) % 700 - 150)
            snapshot.current_ma = 0 if seed & 1 else seed % 40_000 - 20_000
            bench.estimate.soc_cpct = seed % 10_001
        bench.run()
        told = bench.estimate
        for value in (
            told.charge_limit_da, told.discharge_limit_da, told.charge_limiter, told.discharge_limiter,
            told.balance[0], told.pump_pct, told.charge_phase, told.charge_request_mv, told.charge_request_ma,
        ):  # fmt: skip
            checksum = (checksum * 31 + value) % 65_521
    assert checksum == CHECKSUM, checksum
