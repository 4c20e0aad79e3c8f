"""The charge request: phases, voltage of the highest cell, window, taper, starting anew."""

import gc

import healthy
import micropython
from bms.control.charge import CONFIRM_MS, CV_MV, WINDOW_DC, Charge
from bms.tables.params import LFP, NCA, NMC, defaults
from bms.tables.signals import CHARGE_CC, CHARGE_CV, CHARGE_FULL, CHARGE_OFF, OPEN

AMPLE_DA = 1000
N = 4


class Bench:
    def __init__(self, chemistry: int = NMC) -> None:
        self.limits = defaults(chemistry)
        self.charge = Charge(self.limits, N)
        self.snapshot = healthy.snapshot(N, chemistry)
        self.run()

    def run(self, periods: int = 1, limit_da: int = AMPLE_DA) -> int:
        for _ in range(periods):
            self.charge.step(self.snapshot, limit_da)
        return self.charge.phase

    def fill(self) -> None:
        """Until it says full."""
        healthy.cells(self.snapshot, self.limits["charge_cv_mv"])
        self.snapshot.current_ma = self.limits["capacity_mah"] * self.limits["charge_taper_pct"] // 100
        assert self.run(CONFIRM_MS // 100) == CHARGE_FULL

    def nothing_asked(self) -> bool:
        return self.charge.request_mv == 0 and self.charge.request_ma == 0


def test_constant_current_is_the_c_rate_or_the_limit():
    for chemistry in (NMC, NCA, LFP):
        bench = Bench(chemistry)
        limits = bench.limits
        assert bench.charge.phase == CHARGE_CC
        assert bench.charge.request_ma == limits["capacity_mah"] * limits["charge_cc_pct"] // 100
        assert bench.snapshot.pack_mv < bench.charge.request_mv <= N * limits["charge_cv_mv"]
        bench.run(limit_da=3)
        assert bench.charge.request_ma == 300


def test_constant_voltage_is_the_highest_cells():
    bench = Bench()
    healthy.cells(bench.snapshot, 4150, 4150, 4150, 4200)
    assert bench.run() == CHARGE_CV
    assert bench.charge.request_mv == bench.snapshot.pack_mv
    healthy.cells(bench.snapshot, 4150, 4150, 4150, 4210)
    bench.run()
    assert bench.charge.request_mv == bench.snapshot.pack_mv - N * 10 // 2
    healthy.cells(bench.snapshot, 4200 - CV_MV)
    bench.run()
    assert bench.snapshot.pack_mv < bench.charge.request_mv < N * 4200


def test_a_warm_pack_gets_less_voltage():
    bench = Bench()
    warm_dc = bench.limits["charge_hot_dc"]
    healthy.cells(bench.snapshot, 4095)
    for high_dc, phase in (
        (warm_dc - 1, CHARGE_CC),
        (warm_dc, CHARGE_CV),
        (warm_dc - WINDOW_DC, CHARGE_CV),
        (warm_dc - WINDOW_DC - 1, CHARGE_CC),
    ):
        healthy.temps(bench.snapshot, 250, high_dc)
        assert bench.run() == phase, high_dc
    assert bench.charge.request_mv > N * bench.limits["charge_warm_cv_mv"]


def test_nothing_is_asked_outside_the_window_and_it_ends_with_hysteresis():
    for chemistry in (NMC, NCA, LFP):
        bench = Bench(chemistry)
        for edge, inwards in (("charge_cold_end_dc", 1), ("charge_hot_end_dc", -1)):
            edge_dc = bench.limits[edge]
            at = (
                (edge_dc + inwards, True), (edge_dc, False), (edge_dc - 100 * inwards, False),
                (edge_dc + inwards, False), (edge_dc + inwards * WINDOW_DC, False),
                (edge_dc + inwards * (WINDOW_DC + 1), True),
            )  # fmt: skip
            for temp_dc, asked in at:
                healthy.temps(bench.snapshot, temp_dc, temp_dc)
                bench.run()
                assert bench.nothing_asked() != asked, (chemistry, edge, temp_dc)


def test_nothing_is_asked_unless_everything_allows_it():
    for name, value in (
        ("fast_known", False),
        ("cells_known", False),
        ("temps_known", False),
        ("state", OPEN),
    ):
        bench = Bench()
        setattr(bench.snapshot, name, value)
        assert bench.run() == CHARGE_OFF
        assert bench.nothing_asked()
    bench = Bench()
    assert bench.run(limit_da=0) == CHARGE_OFF
    assert bench.nothing_asked()
    bench.charge.enabled = False
    assert bench.run() == CHARGE_OFF
    assert bench.nothing_asked()


def test_full_is_little_current_at_the_charge_voltage_for_a_while():
    for chemistry in (NMC, NCA, LFP):
        bench = Bench(chemistry)
        taper_ma = bench.limits["capacity_mah"] * bench.limits["charge_taper_pct"] // 100
        healthy.cells(bench.snapshot, bench.limits["charge_cv_mv"])
        bench.snapshot.current_ma = taper_ma + 1
        assert bench.run(2000) == CHARGE_CV
        bench.snapshot.current_ma = taper_ma
        assert bench.run(CONFIRM_MS // 100 - 1) == CHARGE_CV
        assert bench.run() == CHARGE_FULL
        assert bench.nothing_asked()


def test_an_interruption_starts_the_wait_for_full_anew():
    bench = Bench()
    healthy.cells(bench.snapshot, 4200)
    bench.snapshot.current_ma = 100
    bench.run(CONFIRM_MS // 100 - 1)
    bench.snapshot.current_ma = 1500
    bench.run()
    bench.snapshot.current_ma = 100
    assert bench.run(CONFIRM_MS // 100 - 1) == CHARGE_CV
    assert bench.run() == CHARGE_FULL


def test_little_current_alone_is_not_full():
    bench = Bench()
    bench.snapshot.current_ma = 100
    assert bench.run(2000) == CHARGE_CC
    healthy.cells(bench.snapshot, 4195)
    bench.snapshot.current_ma = -5000  # a cell that recuperation lifts while the pack discharges
    assert bench.run(2000) == CHARGE_CV


def test_full_until_the_highest_cell_has_fallen_for_a_while():
    bench = Bench()
    bench.fill()
    bench.snapshot.current_ma = 0
    healthy.cells(bench.snapshot, bench.limits["charge_restart_mv"])
    assert bench.run(2000) == CHARGE_FULL
    healthy.cells(bench.snapshot, bench.limits["charge_restart_mv"] - 1)
    assert bench.run(CONFIRM_MS // 100 - 1) == CHARGE_FULL
    assert bench.run() == CHARGE_CC


def test_a_top_up_can_be_asked_for():
    bench = Bench()
    bench.fill()
    healthy.cells(bench.snapshot, 4150)
    assert bench.run() == CHARGE_FULL
    bench.charge.again()
    assert bench.run() == CHARGE_CC


def test_contradicting_limits_are_refused():
    for name, value, named in (
        ("charge_cv_mv", 4240, "cell_high_end_mv"),
        ("charge_restart_mv", 4200, "charge_cv_mv"),
        ("charge_taper_pct", 50, "charge_cc_pct"),
    ):
        limits = defaults(NMC)
        limits[name] = value
        try:
            Charge(limits, N)
        except ValueError as error:
            assert name in str(error)
            assert named in str(error)
        else:
            raise AssertionError("%s = %d was taken" % (name, value))


def test_step_allocates_nothing():
    bench = Bench()
    gc.collect()
    micropython.heap_lock()
    try:
        for _ in range(50):
            bench.charge.step(bench.snapshot, AMPLE_DA)
            bench.snapshot.cell_max_mv += 20
    finally:
        micropython.heap_unlock()
    assert bench.charge.phase == CHARGE_CV
