"""A second's means: of what was measured only, and nothing of the second before."""

from bms.sample import PERIOD_MS, Snapshot
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


def full_of(second: Second, made: Snapshot) -> None:
    for _ in range(PERIODS):
        second.add(made)


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
    full_of(second, made)
    assert second.temps_known
    temps(made, 0, 0)
    made.temps_known = False
    full_of(second, made)
    assert (second.cold_dc, second.hot_dc) == (-50, 120)
    assert not second.temps_known


def test_open_contactors_are_quiet():
    second = Second(4)
    made = snapshot()
    for last, quiet in ((0, True), (5, False), (0, True)):
        for n in range(PERIODS):
            made.gates = last if n == PERIODS - 1 else 0
            second.add(made)
        assert second.quiet == quiet
    made.gates = 5
    second.add(made)
    made.gates = 0
    for _ in range(PERIODS - 1):
        second.add(made)
    assert not second.quiet
