"""The coulomb counter: start from the open-circuit voltage, exact charge, honest bounds."""

from bms.estimate.coulomb import CoulombCounter
from bms.sample import Estimate, Snapshot
from bms.tables.ocv import OCV_MV, STEP_CPCT
from bms.tables.params import CHEMISTRIES


def rested(cell_mv: int) -> Snapshot:
    snapshot = Snapshot(4, 1)
    snapshot.proven = True
    for i in range(4):
        snapshot.cell_mv[i] = cell_mv
    return snapshot


def test_unknown_until_proven_and_open():
    counter = CoulombCounter(3000, 0)
    snapshot = rested(3700)
    estimate = Estimate()
    snapshot.proven = False
    counter.step(snapshot, estimate)
    assert estimate.sigma_cpct == 10_000
    snapshot.proven = True
    snapshot.gates = 5
    counter.step(snapshot, estimate)
    assert estimate.sigma_cpct == 10_000
    snapshot.gates = 0
    counter.step(snapshot, estimate)
    assert estimate.sigma_cpct < 1000


def test_starts_at_every_point_of_every_chemistry():
    for chemistry in range(len(CHEMISTRIES)):
        table = OCV_MV[chemistry]
        assert len(table) == 10_000 // STEP_CPCT + 1
        for i in range(len(table)):
            assert i == 0 or table[i] > table[i - 1], (chemistry, i)
            counter = CoulombCounter(3000, chemistry)
            estimate = Estimate()
            counter.step(rested(table[i]), estimate)
            assert estimate.soc_cpct == i * STEP_CPCT


def test_beyond_the_table_is_full_or_empty():
    for cell_mv, soc_cpct in ((1000, 0), (5000, 10_000)):
        estimate = Estimate()
        CoulombCounter(3000, 0).step(rested(cell_mv), estimate)
        assert estimate.soc_cpct == soc_cpct


def test_no_charge_is_lost_in_rounding():
    # 10 mA out of 3 Ah for ten hours is 3.333 %, though one period is 1/108 of the smallest unit
    counter = CoulombCounter(3000, 0)
    estimate = Estimate()
    snapshot = rested(OCV_MV[0][10])
    snapshot.charge_ma_ms = -10 * 1000
    for _ in range(36_000):
        counter.step(snapshot, estimate)
    assert 5000 - 334 <= estimate.soc_cpct <= 5000 - 333
    assert estimate.sigma_cpct > 250


def test_capacity_must_make_sense():
    try:
        CoulombCounter(0, 0)
    except ValueError as error:
        assert "capacity_mah" in str(error)
    else:
        raise AssertionError("0 mAh was taken")
