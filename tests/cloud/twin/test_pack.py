"""The string: spread, contactors, precharge, link, sensors."""

from __future__ import annotations

import numpy as np
import pytest
from bms.tables import signals
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.twin.cell import load_cell
from cloud.twin.pack import CLOSED, DELAY_S, PRECHARGE, Afe, Pack, SensorError, Sensors, Spread, Trace


def make(**options: object) -> Pack:
    return Pack(load_cell("lg_hg2"), 12, 0.6, seed=3, **options)  # type: ignore[arg-type]


def command(pack: Pack, gates: int) -> None:
    """Set the gates and let the contactors follow."""
    pack.contactors.gates = gates
    pack.contactors.pass_by(DELAY_S)


@given(st.integers(0, 7), st.floats(-15, 5))
@settings(max_examples=40, deadline=None)
def test_only_a_closed_path_carries_the_load(gates: int, demand_a: float) -> None:
    pack = make()
    command(pack, gates)
    before = pack.model.soc.copy()
    trace = pack.advance(demand_a, 0.005, 20)
    if gates & CLOSED == CLOSED:
        assert (trace.current_a == demand_a).all()
    elif gates & PRECHARGE == PRECHARGE:
        assert (trace.current_a <= 0).all()
        assert trace.current_a[0] > -1.0
    else:
        assert (trace.current_a == 0).all()
        assert (pack.model.soc == before).all()


def test_precharge_brings_the_link_up_and_an_open_link_discharges() -> None:
    pack = make()
    command(pack, PRECHARGE)
    rising = np.concatenate([pack.advance(-5.0, 0.005, 20).link_v for _ in range(10)])
    assert (np.diff(rising) > 0).all()
    assert rising[-1] > 0.99 * pack.model.terminal_v().sum()
    command(pack, 0)
    falling = [pack.advance(0.0, 0.005, 20).link_v[-1] for _ in range(300)]
    assert falling[-1] < 1.0 < falling[0]


def test_an_opened_string_relaxes() -> None:
    pack = make()
    command(pack, CLOSED)
    loaded = [pack.advance(-8.0, 0.1, 10).pack_v[-1] for _ in range(100)]
    command(pack, 0)
    first = pack.advance(-8.0, 0.1, 10)
    later = pack.advance(-8.0, 10.0, 60)
    assert loaded[-1] < first.pack_v[0] < later.pack_v[-1]
    assert later.pack_v[-1] == pytest.approx(pack.model.cell.ocv(pack.model.soc).sum(), rel=0.01)


def test_spread_is_seeded_and_keeps_the_mean() -> None:
    one, same = make(), make()
    other = Pack(load_cell("lg_hg2"), 12, 0.6, seed=4)
    assert (one.model.soc == same.model.soc).all()
    assert (one.model.soc != other.model.soc).any()
    assert one.soc == pytest.approx(0.6)
    # the cells' temperatures differ by half a kelvin, and capacity with them
    assert one.model.capacity_ah.mean() == pytest.approx(load_cell("lg_hg2").capacity_ah, rel=5e-4)
    alike = make(spread=Spread(0, 0, 0, 0))
    assert np.ptp(alike.model.soc) == 0
    with pytest.raises(ValueError, match="0 cells"):
        Pack(load_cell("lg_hg2"), 0, 0.5)


def test_a_contactor_follows_its_gate_after_its_delay_and_says_so() -> None:
    pack = make()
    contactors = pack.contactors
    contactors.gates = CLOSED
    assert contactors.steps_alike(0.005, 20) == 3
    for _ in range(3):
        assert contactors.feedback == 0
        assert (pack.advance(-3.0, 0.005, 1).current_a == 0).all()
    assert contactors.feedback == CLOSED
    assert (pack.advance(-3.0, 0.005, 1).current_a == -3.0).all()
    assert contactors.steps_alike(0.005, 20) == 20
    contactors.gates = 0
    pack.advance(-3.0, 0.005, 2)
    contactors.gates = CLOSED  # back before it moved: it never does
    assert contactors.steps_alike(0.005, 20) == 20
    assert contactors.closed()


def test_faults_of_contactors() -> None:
    contactors = make().contactors
    contactors.welded = signals.GATE_POSITIVE
    contactors.gates = signals.GATE_NEGATIVE
    contactors.pass_by(DELAY_S)
    assert contactors.closed()
    contactors.stuck_open = signals.GATE_NEGATIVE
    assert not contactors.closed()
    assert contactors.feedback == signals.GATE_POSITIVE
    contactors.feedback_low = signals.GATE_POSITIVE
    contactors.feedback_high = signals.GATE_PRECHARGE
    assert contactors.feedback == signals.GATE_PRECHARGE


def test_a_load_across_the_link_keeps_it_down() -> None:
    pack = make()
    pack.contactors.link_leak_ohm = 10.0
    command(pack, PRECHARGE)
    link_v = pack.advance(0.0, 0.005, 400).link_v
    assert link_v[-1] == pytest.approx(pack.model.terminal_v().sum() * 10 / 110, rel=0.01)


def test_a_leak_empties_one_cell_unseen() -> None:
    pack = make(spread=Spread(0, 0, 0, 0))
    pack.leak_a[4] = 0.5
    trace = pack.advance(0.0, 1.0, 3600)
    assert not trace.current_a.any()
    assert pack.model.soc[4] == pytest.approx(pack.model.soc[3] - 0.5 / pack.model.capacity_ah[4], abs=1e-6)


def trace_of(current_a: float, cell_v: float) -> Trace:
    cells = np.full((50, 4), cell_v)
    return Trace(np.full(50, current_a), cells, cells.sum(axis=1), np.zeros(50), np.full(2, -12.34))


def test_sensors_quantise_and_err_as_told() -> None:
    exact = Afe(Sensors(SensorError(), SensorError(), SensorError(), SensorError()))
    trace = trace_of(-1.2346, 3.7004)
    assert set(exact.current_ma(trace)) == {-1235}
    assert set(exact.cell_mv(trace.cell_v).ravel()) == {3700}
    assert exact.temp_dc(trace).tolist() == [-123, -123]
    wrong = Afe(Sensors(cell_v=SensorError(offset=0.01, gain=0.001), current_a=SensorError(noise=0.5)))
    assert set(wrong.cell_mv(trace.cell_v).ravel()) == {3714}
    assert np.ptp(wrong.current_ma(trace)) > 500
    assert exact.cell_mv(np.array([-1.0, 99.0])).tolist() == [0, 65535]


def test_gate_bits_are_those_of_the_signal_table() -> None:
    assert CLOSED == signals.GATE_NEGATIVE | signals.GATE_POSITIVE == 5
