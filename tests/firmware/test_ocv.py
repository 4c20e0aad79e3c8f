"""The open-circuit curves: one for each chemistry, over the whole charge, strictly rising."""

from bms.tables.ocv import OCV_MV, STEP_CPCT
from bms.tables.params import CHEMISTRIES, defaults


def test_every_chemistry_has_a_curve_from_empty_to_full():
    assert len(OCV_MV) == len(CHEMISTRIES)
    for curve in OCV_MV:
        assert (len(curve) - 1) * STEP_CPCT == 10_000


def test_curves_rise_strictly_so_that_they_can_be_inverted():
    for curve in OCV_MV:
        for i in range(len(curve) - 1):
            assert curve[i] < curve[i + 1]


def test_a_resting_cell_trips_no_voltage_limit_until_it_is_empty():
    for chemistry in range(len(CHEMISTRIES)):
        limits = defaults(chemistry)
        for cell_mv in OCV_MV[chemistry][1:]:
            assert limits["cell_uv_mv"] < cell_mv < limits["cell_ov_mv"], (chemistry, cell_mv)
