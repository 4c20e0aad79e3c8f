"""A second's means: of what was measured only, and nothing of the second before."""

from bms.control import PERIOD_MS
from bms.estimate.second import MS, PERIODS, Second
from healthy import cells, snapshot, temps


def full(second: Second, given: "list[tuple[int, int]]") -> None:
    """A second of (current in mA, voltage of all cells in mV), -1 for what was not measured."""
    made = snapshot()
    for n in range(PERIODS):
        current_ma, cell_mv = given[n % len(given)]
        made.fast_known = current_ma >= 0
        made.cells_known = cell_mv >= 0
        made.charge_ma_ms = current_ma * PERIOD_MS
        cells(made, cell_mv if cell_mv >= 0 else 0)
        assert second.add(made) == (n == PERIODS - 1)


def test_means_are_exact():
    second = Second(4)
    full(second, [(1000, 3700), (2000, 3701)])
    assert second.current_ma == 1500
    assert list(second.cell_16mv) == [3700 * 16 + 8] * 4
    assert second.mean_16mv == 3700 * 16 + 8
    assert second.lost_ms == 0
    full(second, [(0, 4000)])
    assert second.current_ma == 0
    assert second.mean_16mv == 4000 * 16


def test_the_mean_is_of_what_was_measured():
    second = Second(4)
    full(second, [(1000, 3700), (-1, -1)])
    assert second.current_ma == 1000
    assert second.mean_16mv == 3700 * 16
    assert second.lost_ms == MS // 2


def test_cells_that_were_not_measured_are_zero():
    second = Second(4)
    full(second, [(1000, -1)])
    assert second.lost_ms == 0
    assert list(second.cell_16mv) == [0] * 4
    assert second.mean_16mv == 0


def test_a_voltage_without_its_current_tells_nothing():
    second = Second(4)
    full(second, [(3000, 3700)])
    full(second, [(-1, 3700)])
    assert second.current_ma == 3000
    assert second.lost_ms == MS
    assert second.mean_16mv == 0


def test_temperatures_stay_as_last_known():
    second = Second(4)
    made = snapshot()
    temps(made, -50, 120)
    second.add(made)
    temps(made, 0, 0)
    made.temps_known = False
    second.add(made)
    assert (second.cold_dc, second.hot_dc) == (-50, 120)


def test_open_contactors_are_quiet():
    second = Second(4)
    made = snapshot()
    for gates in (0, 5, 1, 0):
        made.gates = gates
        second.add(made)
        assert second.quiet == (gates == 0)
