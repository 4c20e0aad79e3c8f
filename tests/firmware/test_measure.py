"""What is computed from fresh samples, to the millivolt and to the sample."""

from bms.safety.measure import AGE_MS, BIAS, WINDOW, Measure
from bms.sample import Sample
from bms.tables.faults import CELLS, FAST, TEMPS
from bms.tables.params import NMC, defaults

LIMITS = defaults(NMC)


class Bench:
    """A measurement with nothing round it."""

    def __init__(self, n_cells: int = 4, n_temps: int = 2) -> None:
        self.sample = Sample(n_cells, n_temps)
        self.measure = Measure(self.sample, LIMITS)
        self.steps = [self.measure.step(group) for group in (FAST, CELLS, TEMPS)]

    def fast(self, current_ma: int, pack_mv: int) -> None:
        self.sample.put_fast(current_ma, pack_mv, 0, 0)
        self.steps[FAST]()

    def cells(self, *cell_mv: int) -> None:
        for i in range(len(cell_mv)):
            self.sample.cell_mv[i] = cell_mv[i]
        self.steps[CELLS]()

    def temps(self, *temp_dc: int) -> None:
        for i in range(len(temp_dc)):
            self.sample.temp_dc[i] = temp_dc[i]
        self.steps[TEMPS]()

    def get(self, *names: str) -> "list[int]":
        return [self.measure.get(name) for name in names]


def test_current_and_pack_voltage_are_as_measured():
    bench = Bench()
    for current_ma in (-4_000_000, -1, 0, 1, 4_000_000):
        bench.fast(current_ma, 14_800)
        assert bench.get("current_ma", "pack_mv") == [current_ma, 14_800]


def test_a_still_current_shows_how_far_the_pack_moved_in_the_last_50_to_100_ms():
    for sign in (1, -1):
        bench = Bench()
        seen: "list[int]" = []
        for i in range(42):
            bench.fast(-1000, 14_000 + sign * i)
            seen += bench.get("current_frozen_mv")
        assert seen == list(range(21)) + 2 * list(range(11, 21)) + [11]


def test_a_current_that_moves_is_not_frozen_whatever_the_pack_does():
    bench = Bench()
    for i in range(30):
        bench.fast(1000 + (i & 1), 14_000 + 50 * i)
        assert bench.get("current_frozen_mv") == [0]
    bench.fast(1001, 15_550)
    assert bench.get("current_frozen_mv") == [100]


def test_the_reference_starts_anew_when_the_current_has_moved():
    bench = Bench()
    for i in range(16):
        bench.fast(1000, 14_000 + i)
    bench.fast(1001, 14_100)
    for i in range(1, 11):
        bench.fast(1001, 14_100 + i)
        assert bench.get("current_frozen_mv") == [i]


def test_extremes_and_spread_wherever_they_lie():
    bench = Bench()
    names = ("cell_max_mv", "cell_min_mv", "spread_mv")
    for cells, expected in (
        ((3701, 3702, 3703, 3704), [3704, 3701, 3]),
        ((3704, 3703, 3702, 3701), [3704, 3701, 3]),
        ((0, 0, 0, 0), [0, 0, 0]),
        ((65_535, 65_535, 65_535, 65_535), [65_535, 65_535, 0]),
        ((3700, 1, 5000, 3700), [5000, 1, 4999]),
    ):
        bench.cells(*cells)
        assert bench.get(*names) == expected


def test_the_sum_of_the_cells_is_compared_with_the_pack_both_ways():
    bench = Bench()
    for pack_mv, error_mv in ((14_806, 0), (14_816, 10), (14_796, 10)):
        bench.fast(0, pack_mv)
        bench.cells(3700, 3701, 3702, 3703)
        assert bench.get("sum_error_mv") == [error_mv]


def test_a_pack_voltage_that_is_lost_says_nothing_of_the_cells():
    bench = Bench()
    bench.fast(0, 14_800)
    for age_ms, error_mv in ((LIMITS["fast_lost_ms"], 400), (LIMITS["fast_lost_ms"] + 1, 0)):
        bench.measure.values[AGE_MS] = BIAS
        bench.cells(3700, 3700, 3700, 3700)
        assert bench.get("sum_error_mv") == [0]
        bench.measure.values[AGE_MS] = BIAS + age_ms
        bench.cells(3600, 3600, 3600, 3600)
        assert bench.get("sum_error_mv") == [error_mv]


def test_cells_are_frozen_from_the_step_of_the_current_on_and_any_of_them_that_moves_ends_it():
    step_ma = LIMITS["frozen_step_ma"]
    for sign in (1, -1):
        for moving in range(4):
            bench = Bench()
            bench.fast(0, 14_800)
            bench.cells(3700, 3700, 3700, 3700)
            bench.fast(sign * (step_ma - 1), 14_800)
            bench.cells(3700, 3700, 3700, 3700)
            assert bench.get("cells_frozen") == [0]
            bench.fast(sign * step_ma, 14_800)
            for n in range(1, 4):
                bench.cells(3700, 3700, 3700, 3700)
                assert bench.get("cells_frozen") == [n]
            cells = [3700] * 4
            cells[moving] += 1
            bench.cells(*cells)
            assert bench.get("cells_frozen") == [0]
            bench.cells(*cells)  # the current is where it was when they moved
            assert bench.get("cells_frozen") == [0]


def test_temperatures_of_either_sign():
    bench = Bench()
    for temps, expected in (
        ((-400, 250), [250, -400]),
        ((250, -400), [250, -400]),
        ((-1, -2), [-1, -2]),
        ((1500, 1499), [1500, 1499]),
        ((-0x4000, -0x4000), [-0x4000, -0x4000]),
        ((0x7FFF, 0x7FFF), [0x7FFF, 0x7FFF]),
    ):
        bench.sample.isolation_kohm = abs(temps[0])
        bench.temps(*temps)
        assert bench.get("temp_max_dc", "temp_min_dc") == expected
        assert bench.get("isolation_kohm") == [abs(temps[0])]


def test_a_rise_is_that_of_three_seconds_and_unknown_before():
    bench = Bench()
    for i in range(WINDOW + 35):
        bench.temps(250, -100 + i)
        assert bench.get("rise_dc") == [0 if i < WINDOW else WINDOW], i


def test_the_rise_is_that_of_the_sensor_that_rises_most():
    for sensor in range(2):
        bench = Bench()
        temps = [250, 250]
        for _ in range(WINDOW):
            bench.temps(*temps)
        temps[sensor] += 7
        temps[1 - sensor] -= 9
        for _ in range(WINDOW):
            bench.temps(*temps)
            assert bench.get("rise_dc") == [7]
        bench.temps(*temps)
        assert bench.get("rise_dc") == [0]


def test_a_runaway_is_a_rise_with_a_cell_that_lost_a_quarter():
    drop_pct = LIMITS["runaway_drop_pct"]
    for now_mv, rise_dc in ((4000 - 40 * drop_pct + 1, 0), (4000 - 40 * drop_pct, 30)):
        bench = Bench()
        for i in range(WINDOW + 1):
            lowest_mv = now_mv if i == WINDOW else 4000
            bench.cells(4100, 4100, lowest_mv, 4100)
            bench.temps(250, 100 + i)
        assert bench.get("rise_dc", "runaway_dc") == [30, rise_dc]


def test_a_runaway_is_a_rise_above_the_temperature_limit():
    hot_dc = LIMITS["over_temp_dc"]
    for top_dc, rise_dc in ((hot_dc, 0), (hot_dc + 1, 30)):
        bench = Bench()
        bench.cells(4000, 4000, 4000, 4000)
        for i in range(WINDOW + 1):
            bench.temps(250, top_dc - WINDOW + i)
        assert bench.get("rise_dc", "runaway_dc") == [30, rise_dc]


def test_what_a_task_puts_is_what_stands_there():
    bench = Bench()
    for value in (-1000, 0, 7):
        bench.measure.put("self_discharge_ma", value)
        assert bench.get("self_discharge_ma", "nvm_corrupt") == [value, 0]
