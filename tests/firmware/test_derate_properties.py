"""Derating for any input: never above base, never faster than the ramp, zero at the trips, monotone."""

from typing import Any

import healthy
from bms.control.derate import Derate
from bms.sample import Estimate, Snapshot
from bms.tables import params, signals
from bms.tables.params import CHEMISTRIES, defaults
from hypothesis import given, settings
from hypothesis import strategies as st

SMALL = st.integers(-(2**15), 2**15 - 1)
CELL = st.integers(0, 2**16 - 1) | st.integers(1900, 4400)
TEMP = SMALL | st.integers(-400, 800)
CPCT = st.integers(0, 10_000)

INPUTS = st.fixed_dictionaries(
    {
        "cell_mv": st.lists(CELL, min_size=4, max_size=4),
        "temp_dc": st.lists(TEMP, min_size=2, max_size=2).map(sorted),
        "current_ma": st.integers(-(2**30), 2**30 - 1),
        "soc_cpct": CPCT,
        "sigma_cpct": CPCT,
        "state": st.sampled_from([signals.CLOSED] * 6 + list(range(len(signals.STATES)))),
        "known": st.lists(st.sampled_from([True] * 9 + [False]), min_size=3, max_size=3),
    }
)
BENIGN: dict[str, Any] = {
    "cell_mv": [3700] * 4, "temp_dc": [250, 250], "current_ma": 0, "soc_cpct": 5000, "sigma_cpct": 100,
    "state": signals.CLOSED, "known": [True] * 3,
}  # fmt: skip
CHEMISTRY = st.integers(0, len(CHEMISTRIES) - 1)


def given_by(values: dict[str, Any]) -> tuple[Snapshot, Estimate]:
    snapshot = healthy.snapshot()
    healthy.cells(snapshot, *values["cell_mv"])
    healthy.temps(snapshot, *values["temp_dc"])
    snapshot.current_ma = values["current_ma"]
    snapshot.state = values["state"]
    snapshot.fast_known, snapshot.cells_known, snapshot.temps_known = values["known"]
    return snapshot, healthy.estimate(values["soc_cpct"], values["sigma_cpct"])


def limits_of(derate: Derate) -> tuple[int, int]:
    return derate.charge_da, derate.discharge_da


def risen(limits: dict[str, int], chemistry: int) -> Derate:
    """At its base limits, from where every limit falls at once."""
    fast = {**limits, "derate_ramp_pct_s": 100, "derate_hold_ms": 0}
    derate = Derate(fast)
    snapshot = healthy.snapshot(4, chemistry)
    for _ in range(11):
        derate.step(snapshot, healthy.estimate())
    assert limits_of(derate) == (limits["charge_max_ma"] // 100, -limits["discharge_max_ma"] // 100)
    return derate


def once(values: dict[str, Any], chemistry: int) -> tuple[int, int]:
    derate = risen(defaults(chemistry), chemistry)
    derate.step(*given_by(values))
    return limits_of(derate)


@settings(deadline=None)
@given(CHEMISTRY, st.lists(INPUTS, min_size=1, max_size=30), st.integers(1, 100))
def test_never_above_base_and_never_faster_than_the_ramp(
    chemistry: int, course: list[dict[str, Any]], ramp_pct_s: int
) -> None:
    limits = {**defaults(chemistry), "derate_hold_ms": 0, "derate_ramp_pct_s": ramp_pct_s}
    base = (limits["charge_max_ma"], -limits["discharge_max_ma"])
    derate = Derate(limits)
    before = (0, 0)
    for values in course:
        derate.step(*given_by(values))
        now = limits_of(derate)
        for side in (0, 1):
            assert 0 <= now[side] <= base[side] // 100
            # a tenth of the ramp a period; one more where the rounding to 0.1 A steps over
            assert now[side] - before[side] <= base[side] * ramp_pct_s // 100_000 + 1
        before = now


@settings(deadline=None)
@given(CHEMISTRY, INPUTS)
def test_zero_at_and_beyond_every_trip(chemistry: int, values: dict[str, Any]) -> None:
    limits = defaults(chemistry)
    charge_da, discharge_da = once(values, chemistry)
    low_dc, high_dc = values["temp_dc"]
    if high_dc >= limits["over_temp_dc"] or low_dc <= limits["under_temp_dc"] or not all(values["known"]):
        assert (charge_da, discharge_da) == (0, 0)
    if max(values["cell_mv"]) >= limits["cell_ov_mv"]:
        assert charge_da == 0
    if min(values["cell_mv"]) <= limits["cell_uv_mv"]:
        assert discharge_da == 0
    if low_dc <= 0:
        assert charge_da == 0


@settings(deadline=None)
@given(CHEMISTRY, INPUTS, st.integers(0, 4), st.integers(1, 3000))
def test_monotone_in_each_input(chemistry: int, values: dict[str, Any], what: int, by: int) -> None:
    """Hotter, colder, less certain, further apart: neither side gets more."""
    worse = {**values, "cell_mv": list(values["cell_mv"]), "temp_dc": list(values["temp_dc"])}
    if what == 0:
        worse["temp_dc"][1] = min(32_767, values["temp_dc"][1] + by)
    elif what == 1:
        worse["temp_dc"][0] = max(-32_768, values["temp_dc"][0] - by)
    elif what == 2:
        worse["sigma_cpct"] = min(10_000, values["sigma_cpct"] + by)
    elif what == 3:
        at = values["cell_mv"].index(min(values["cell_mv"]))
        worse["cell_mv"][at] = max(0, values["cell_mv"][at] - by)
    else:
        at = values["cell_mv"].index(max(values["cell_mv"]))
        worse["cell_mv"][at] = min(65_535, values["cell_mv"][at] + by)
    for now_da, before_da in zip(once(worse, chemistry), once(values, chemistry), strict=True):
        assert now_da <= before_da


@settings(deadline=None)
@given(CHEMISTRY, CPCT, CPCT, st.integers(0, 9999))
def test_more_charge_gives_less_charge_and_more_discharge(
    chemistry: int, one: int, other: int, sigma_cpct: int
) -> None:
    low, high = sorted((one, other))
    emptier = once({**BENIGN, "soc_cpct": low, "sigma_cpct": sigma_cpct}, chemistry)
    fuller = once({**BENIGN, "soc_cpct": high, "sigma_cpct": sigma_cpct}, chemistry)
    assert emptier[0] >= fuller[0]
    assert emptier[1] <= fuller[1]


@settings(deadline=None)
@given(CHEMISTRY, CELL, CELL)
def test_all_cells_higher_gives_less_charge_and_more_discharge(chemistry: int, one: int, other: int) -> None:
    low, high = sorted((one, other))
    lower = once({**BENIGN, "cell_mv": [low] * 4}, chemistry)
    higher = once({**BENIGN, "cell_mv": [high] * 4}, chemistry)
    assert lower[0] >= higher[0]
    assert lower[1] <= higher[1]


@settings(deadline=None)
@given(
    CHEMISTRY,
    INPUTS,
    st.tuples(st.integers(0, 65_535), st.integers(0, 65_535), st.integers(1, 10_000)),
)
def test_a_remote_limit_only_tightens(
    chemistry: int, values: dict[str, Any], remote: tuple[int, int, int]
) -> None:
    derate = risen(defaults(chemistry), chemistry)
    derate.remote(*remote)
    derate.step(*given_by(values))
    own = once(values, chemistry)
    assert limits_of(derate) == (min(own[0], remote[0]), min(own[1], remote[1]))


@settings(deadline=None)
@given(st.data(), CHEMISTRY)
def test_whatever_the_envelope_allows_is_refused_or_safe(data: st.DataObject, chemistry: int) -> None:
    limits = defaults(chemistry)
    for name in ("cell_high_mv", "cell_high_end_mv", "cell_ov_mv", "cell_low_end_mv", "cell_uv_mv"):
        _, low, high = params.preset(name, chemistry)
        limits[name] = data.draw(st.integers(low, high), name)
    try:
        derate = Derate(limits)
    except ValueError:
        assert (
            not limits["cell_high_mv"] < limits["cell_high_end_mv"] < limits["cell_ov_mv"]
            or not limits["cell_low_mv"] > limits["cell_low_end_mv"] > limits["cell_uv_mv"]
        )
        return
    snapshot = healthy.snapshot(4, chemistry)
    for cell_mv, side in ((limits["cell_ov_mv"], 0), (limits["cell_uv_mv"], 1)):
        healthy.cells(snapshot, cell_mv)
        for _ in range(40):
            derate.step(snapshot, healthy.estimate())
        assert limits_of(derate)[side] == 0
