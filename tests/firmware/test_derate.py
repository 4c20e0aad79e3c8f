"""Derating: each limiter, who is named, how limits fall and rise, what construction refuses."""

import gc

import healthy
import micropython
from bms.control.derate import Derate, share
from bms.sample import SOC_HIGHEST, SOC_LOWEST
from bms.tables import faults, limiters, params
from bms.tables.limiters import LIMITERS
from bms.tables.params import LFP, NCA, NMC, defaults
from bms.tables.signals import CLOSED, OPENING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.sample import Estimate, Snapshot


class Bench:
    """A derating that has risen to its base limits, and the pack it looks at."""

    def __init__(self, chemistry: int = NMC, **changes: int) -> None:
        self.limits = defaults(chemistry)
        self.limits.update(changes)
        self.derate = Derate(self.limits)
        self.snapshot = healthy.snapshot(4, chemistry)
        self.estimate = healthy.estimate()
        self.run(300)
        self.base = (self.limits["charge_max_ma"] // 100, -self.limits["discharge_max_ma"] // 100)
        assert self.da() == self.base
        assert self.why() == ("none", "none")

    def run(self, periods: int = 1) -> None:
        for _ in range(periods):
            self.derate.step(self.snapshot, self.estimate)

    def da(self) -> "tuple[int, int]":
        return (self.derate.charge_da, self.derate.discharge_da)

    def why(self) -> "tuple[str, str]":
        return (LIMITERS[self.derate.charge_limiter].name, LIMITERS[self.derate.discharge_limiter].name)


def test_ids_are_places_in_the_table():
    assert [row.id for row in LIMITERS] == list(range(len(LIMITERS)))
    assert len({row.name for row in LIMITERS}) == len(LIMITERS)


def test_share_is_a_line_between_its_ends():
    assert [share(x, 100, 200, 0) for x in (-5, 100, 101, 150, 199, 200, 999)] == [
        1000,
        1000,
        990,
        500,
        10,
        0,
        0,
    ]
    assert [share(x, 200, 100, 0) for x in (999, 200, 199, 150, 101, 100, -5)] == [
        1000,
        1000,
        990,
        500,
        10,
        0,
        0,
    ]
    assert [share(x, 0, 10, 200) for x in (0, 5, 10)] == [1000, 600, 200]


def test_starts_at_zero_and_rises_by_the_ramp():
    derate = Derate(defaults(NMC))
    assert (derate.charge_da, derate.discharge_da) == (0, 0)
    bench = Bench(derate_hold_ms=1000, derate_ramp_pct_s=10)
    fresh = Derate(bench.limits)
    seen: "list[int]" = []
    for _ in range(120):
        fresh.step(bench.snapshot, bench.estimate)
        seen.append(fresh.discharge_da)
    assert seen[:10] == [0] * 10
    assert seen[10] == 2  # 1 % of 20 A
    assert seen[109] == 200
    assert fresh.charge_limiter == limiters.NONE


def test_every_map_brings_its_side_to_zero_or_its_floor_and_is_named():
    for chemistry in (NMC, NCA, LFP):
        for side, limiter, signal, begin, end, floor, _ in limiters.MAPS:
            bench = Bench(chemistry)
            put(bench.snapshot, bench.estimate, signal, bench.limits[begin])
            bench.run()
            assert bench.da()[side] == bench.base[side], (chemistry, begin)
            put(bench.snapshot, bench.estimate, signal, bench.limits[end])
            bench.run()
            share_pct = bench.limits[floor] if floor else 0
            assert bench.da()[side] == bench.base[side] * share_pct // 100, (chemistry, end)
            assert bench.why()[side] == LIMITERS[limiter].name, (chemistry, end)
            put(bench.snapshot, bench.estimate, signal, (bench.limits[begin] + bench.limits[end]) // 2)
            bench.run(300)
            assert 0 < bench.da()[side] < bench.base[side]


def put(snapshot: "Snapshot", estimate: "Estimate", signal: int, value: int) -> None:
    """Set one signal of the maps; the others stay harmless."""
    if signal == limiters.CELL_MAX_MV:
        healthy.cells(snapshot, value)
    elif signal == limiters.CELL_MIN_MV:
        healthy.cells(snapshot, value)
    elif signal == limiters.TEMP_MAX_DC:
        healthy.temps(snapshot, 250, value)
    elif signal == limiters.TEMP_MIN_DC:
        healthy.temps(snapshot, value, 250)
    elif signal == limiters.SPREAD_MV:
        high_mv = snapshot.cell_max_mv
        healthy.cells(snapshot, high_mv, high_mv - value)
    else:
        estimate.soc_cpct = value
        estimate.sigma_cpct = 0


def test_the_tightest_limiter_is_the_one_in_force():
    bench = Bench()
    healthy.temps(bench.snapshot, 100, 250)  # a third of the charge limit is gone
    bench.run()
    assert bench.why() == ("cold", "none")
    healthy.cells(bench.snapshot, 4220)
    bench.run()
    assert bench.why() == ("cell_voltage_high", "none")
    assert 0 < bench.da()[0] < bench.base[0]


def test_soc_is_taken_on_the_safe_side_of_its_sigma():
    bench = Bench(soc_sigmas=2)
    limits = bench.limits
    bench.estimate.soc_cpct = limits["soc_low_end_cpct"] + 600
    bench.estimate.sigma_cpct = 300
    bench.run()
    assert bench.da()[1] == 0
    assert bench.why()[1] == "soc_low"
    bench.estimate.sigma_cpct = 100
    bench.run(300)
    assert bench.da()[1] > 0
    bench.estimate.soc_cpct = limits["soc_high_end_cpct"] - 600
    bench.estimate.sigma_cpct = 300
    bench.run()
    assert bench.da()[0] == bench.base[0] * limits["soc_high_floor_pct"] // 100


def test_the_emptiest_and_the_fullest_cell_count():
    bench = Bench()
    limits, estimate = bench.limits, bench.estimate
    estimate.outlook[SOC_LOWEST] = limits["soc_low_end_cpct"]
    estimate.outlook[SOC_HIGHEST] = limits["soc_high_end_cpct"]
    bench.run()
    assert bench.da() == (bench.base[0] * limits["soc_high_floor_pct"] // 100, 0)
    assert bench.why() == ("soc_high", "soc_low")
    estimate.outlook[SOC_LOWEST] = estimate.outlook[SOC_HIGHEST] = estimate.soc_cpct
    bench.run(300)
    assert bench.why() == ("none", "none")
    # what the cells are said to be can only tighten
    estimate.soc_cpct = limits["soc_low_end_cpct"]
    bench.run()
    assert bench.why()[1] == "soc_low"


def test_unknown_soc_is_both_empty_and_full():
    bench = Bench()
    bench.estimate.sigma_cpct = 10_000
    bench.run()
    assert bench.da() == (bench.base[0] * bench.limits["soc_high_floor_pct"] // 100, 0)
    assert bench.why() == ("soc_high", "soc_low")


def test_an_unknown_group_allows_nothing():
    for group in ("fast", "cells", "temps"):
        bench = Bench()
        setattr(bench.snapshot, group + "_known", False)
        bench.run()
        assert bench.da() == (0, 0)
        assert bench.why() == ("quality", "quality")


def test_open_or_opening_contactors_allow_nothing():
    for state in range(6):
        bench = Bench()
        bench.snapshot.state = state
        bench.run()
        assert (bench.da() == (0, 0)) == (state != CLOSED), state
        assert bench.why()[0] == ("none" if state == CLOSED else "contactors")


def test_a_protection_that_derates_takes_its_share():
    row = faults.FAULTS[7]
    asking = faults.Fault(
        61,
        "warm",
        row.group,
        row.signal,
        row.compare,
        row.limit,
        row.clear,
        1,
        0,
        faults.DERATE,
        1,
        1000,
        0,
        False,
        "",
    )
    limits = defaults(NMC)
    rows = list(faults.FAULTS)
    rows.append(asking)
    derate = Derate(limits, tuple(rows))
    snapshot = healthy.snapshot()
    estimate = healthy.estimate()
    for _ in range(300):
        derate.step(snapshot, estimate)
    snapshot.faults[0] = 0xFF  # rows with other actions change nothing here
    derate.step(snapshot, estimate)
    assert derate.charge_limiter == limiters.NONE
    snapshot.faults[7] = 1 << 5
    derate.step(snapshot, estimate)
    assert derate.discharge_da == 200 * limits["fault_derate_pct"] // 100
    assert derate.discharge_limiter == limiters.FAULT


def test_a_limit_falls_at_once_holds_and_rises_slowly():
    bench = Bench(derate_hold_ms=2000, derate_ramp_pct_s=5)
    bench.snapshot.cell_min_mv = bench.limits["cell_low_end_mv"]
    bench.run()
    assert bench.da()[1] == 0
    bench.snapshot.cell_min_mv = 3700
    bench.run(20)
    assert bench.da()[1] == 0
    assert bench.why()[1] == "ramp"
    before = 0
    for _ in range(200):
        bench.run()
        assert 0 < bench.da()[1] - before <= 1
        before = bench.da()[1]
    assert bench.da()[1] == 200
    assert bench.why()[1] == "none"


def test_a_remote_limit_tightens_until_it_expires():
    bench = Bench()
    bench.derate.remote(15, 1000, 500)
    bench.run()
    assert bench.da() == (15, 200)  # 100 A would be looser than the own limit
    assert bench.why() == ("remote", "none")
    bench.run(4)
    assert bench.why() == ("remote", "none")
    bench.run(30)
    assert bench.why() == ("ramp", "none")
    bench.run(200)
    assert bench.da() == bench.base


def test_a_remote_limit_never_lifts_an_own_one():
    bench = Bench()
    bench.snapshot.cell_max_mv = bench.limits["cell_high_end_mv"]
    bench.derate.remote(40, 200, 100_000)
    bench.run()
    assert bench.da()[0] == 0
    assert bench.why()[0] == "cell_voltage_high"


def test_the_newest_remote_limit_counts():
    bench = Bench()
    bench.derate.remote(5, 5, 100_000)
    bench.run()
    bench.derate.remote(20, 20, 100_000)
    bench.run(300)
    assert bench.da() == (20, 20)


def test_senseless_remote_limits_are_refused():
    derate = Derate(defaults(NMC))
    for args, name in (((-1, 0, 1), "charge_da"), ((0, 70_000, 1), "discharge_da"), ((0, 0, 0), "ttl_ms")):
        try:
            derate.remote(*args)
        except ValueError as error:
            assert name in str(error)
        else:
            raise AssertionError(name)


def test_contradicting_limits_are_refused():
    for name, value, named in (
        ("cell_high_end_mv", defaults(NMC)["cell_ov_mv"], "cell_ov_mv"),
        ("cell_low_end_mv", defaults(NMC)["cell_uv_mv"], "cell_uv_mv"),
        ("charge_hot_end_dc", defaults(NMC)["over_temp_dc"], "over_temp_dc"),
        ("discharge_cold_end_dc", defaults(NMC)["under_temp_dc"], "under_temp_dc"),
        ("cell_high_end_mv", defaults(NMC)["cell_high_mv"], "cell_high_mv"),
        ("cell_low_end_mv", defaults(NMC)["cell_low_mv"] + 1, "cell_low_mv"),
        ("charge_max_ma", defaults(NMC)["charge_oc_ma"], "charge_oc_ma"),
        ("discharge_max_ma", defaults(NMC)["discharge_oc_ma"], "discharge_oc_ma"),
    ):
        limits = defaults(NMC)
        limits[name] = value
        try:
            Derate(limits)
        except ValueError as error:
            assert name in str(error)
            assert named in str(error)
        else:
            raise AssertionError("%s = %d was taken" % (name, value))


def test_every_preset_lies_in_its_envelope_and_range():
    for row in params.PARAMS:
        for chemistry in (NMC, NCA, LFP):
            value, low, high = params.preset(row.name, chemistry)
            assert row.low <= low <= value <= high <= row.high, (row.name, chemistry)


def test_no_charge_below_freezing_whatever_a_remote_set_says():
    for chemistry in (NMC, NCA, LFP):
        lowest = params.preset("charge_cold_end_dc", chemistry)[1]
        assert lowest >= 0
        bench = Bench(chemistry, charge_cold_end_dc=lowest)
        healthy.temps(bench.snapshot, 0, 250)
        bench.run()
        assert bench.da()[0] == 0


def test_the_largest_pack_stays_in_small_integers():
    bench = Bench(
        charge_oc_ma=500_000, discharge_oc_ma=-500_000, charge_max_ma=450_000, discharge_max_ma=-450_000
    )
    assert bench.base == (4500, 4500)
    healthy.cells(bench.snapshot, 4155)
    bench.run()
    assert bench.da()[0] == 2250


def test_step_allocates_nothing():
    bench = Bench()
    bench.derate.remote(15, 1000, 60_000)
    gc.collect()
    micropython.heap_lock()
    try:
        for _ in range(50):
            bench.derate.step(bench.snapshot, bench.estimate)
            bench.snapshot.cell_max_mv += 20
            bench.snapshot.current_ma -= 700
        bench.snapshot.state = OPENING
        bench.derate.step(bench.snapshot, bench.estimate)
    finally:
        micropython.heap_unlock()
    assert bench.da() == (0, 0)
