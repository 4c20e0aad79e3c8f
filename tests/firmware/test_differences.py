"""Each cell's difference to the mean: found, never surer than its channel, the same words everywhere."""

import gc
from array import array

import micropython
from bms.estimate import ecm
from bms.estimate.differences import MOST_CELLS, Differences
from bms.estimate.ekf import Ekf
from bms.sample import UNKNOWN_CPCT
from difference_vectors import vectors
from ekf_vectors import Random, plain_block

STRINGS = 8
STEPS = 200
DIGEST = 1830401488

APART = (-400, 250, 0, 150)


def plateau_block() -> bytearray:
    """As plain_block, but from 20 % on the OCV rises by 50 mV only up to full."""
    block = plain_block()
    words = array("H", [block[2 * i] | block[2 * i + 1] << 8 for i in range(len(block) // 2)])
    at = ecm.HEAD + 4 * words[ecm.W_ROWS]
    for i in range(129 * words[ecm.W_ROWS]):
        column = i % 129
        words[at + i] = column * 128 if column < 26 else 26 * 128 + (column - 26) * 8
    words[ecm.W_CHECK] = ecm.checksum(words)
    for i in range(len(words)):
        block[2 * i] = words[i] & 0xFF
        block[2 * i + 1] = words[i] >> 8
    return block


class String:
    """Cells of 3 Ah whose OCV is a block's; 30 mV at 1C in each of R0, R1, R2, times 1 + gain (0.01 %).

    `soc` in 0.0001 %: state of charge by cell; `off_mv`: what each channel reads too much.
    """

    def __init__(self, soc_cpct: int, apart: "tuple[int, ...]", block: "bytearray | None" = None) -> None:
        self.block = block or plain_block()
        self.table = ecm.load(self.block)
        n = len(apart)
        self.soc = [(soc_cpct + cpct) * 100 for cpct in apart]
        self.gain_cpct = [0] * n
        self.off_mv = [0] * n
        self.noise_mv = 0
        self.v1_uv = self.v2_uv = 0
        self.cell_mv = array("H", [0] * n)
        self.random = Random(5)
        self.ekf = Ekf(3000, self.block)
        self.ekf.start(soc_cpct, 300, True)
        self.cells = Differences(n, self.block)

    def ocv_uv(self, soc: int) -> int:
        at = soc * 128
        column = min(127, at // 1_000_000)
        low = ecm.HEAD + 4 * self.table[ecm.W_ROWS] + column
        more = (self.table[low + 1] - self.table[low]) * (at - column * 1_000_000) // 1000
        return 3_000_000 + (self.table[low] * 1000 + more) * 1000 // 16384

    def second(self, current_ma: int, lost: bool = False) -> None:
        """One sample; `lost`: current and voltages were not measured."""
        n = len(self.soc)
        goal_uv = current_ma * 10
        self.v1_uv += (goal_uv - self.v1_uv) // 10
        self.v2_uv += (goal_uv - self.v2_uv) // 100
        drop_uv = goal_uv + self.v1_uv + self.v2_uv
        for i in range(n):
            self.soc[i] += current_ma * 1000 // 10_800
            uv = self.ocv_uv(self.soc[i]) + drop_uv * (10_000 + self.gain_cpct[i]) // 10_000
            noise = self.random.below(2 * self.noise_mv + 1) - self.noise_mv
            self.cell_mv[i] = (uv + 500) // 1000 + self.off_mv[i] + noise
        mean_16mv = 0 if lost else (sum(self.cell_mv) << 4) // n
        self.ekf.observe(1000, current_ma, mean_16mv, 250, 1000 if lost else 0)
        self.cells.follow(self.ekf.words, self.cell_mv)

    def drive(self, seconds: int) -> None:
        """On and off, twice as much out as in."""
        for n in range(seconds):
            self.second((-4500, -1500, 0, 3000, -3000)[n // 7 % 5])

    def error_cpct(self, cell: int) -> int:
        """Of the cell's difference to the mean."""
        return self.cells.difference_cpct(cell) - (self.soc[cell] - sum(self.soc) // len(self.soc)) // 100


def test_random_steps_give_the_same_words_everywhere():
    assert vectors(STRINGS, STEPS) == DIGEST


def test_unknown_before_the_first_correction():
    string = String(6000, APART)
    assert string.cells.sigma_cpct[0] == UNKNOWN_CPCT
    assert (string.cells.soc_low_cpct, string.cells.soc_high_cpct) == (0, 10_000)
    for _ in range(12):
        string.second(0)
    assert string.cells.sigma_cpct[0] < UNKNOWN_CPCT


def test_finds_what_cells_differ_by_at_rest():
    string = String(6000, APART)
    for _ in range(60):
        string.second(0)
    for i in range(4):
        assert abs(string.error_cpct(i)) < 40, (i, string.error_cpct(i))
        assert abs(string.error_cpct(i)) < 2 * string.cells.deviation_cpct(i)
        assert abs(string.cells.soc_cpct[i] * 100 - string.soc[i]) < 200 * string.cells.sigma_cpct[i]


def test_what_the_string_is_by_its_outermost_cells():
    string = String(6000, APART)
    for _ in range(60):
        string.second(0)
    cells = string.cells
    assert (cells.lowest, cells.highest) == (0, 1)
    assert cells.spread_cpct == cells.soc_cpct[1] - cells.soc_cpct[0]
    assert abs(cells.spread_cpct - 650) < 60
    assert cells.soc_low_cpct == cells.soc_cpct[0] - cells.sigma_cpct[0]
    assert cells.soc_high_cpct == cells.soc_cpct[1] + cells.sigma_cpct[1]


def test_a_resistance_is_not_taken_for_charge():
    string = String(6000, APART)
    string.gain_cpct = [1000, 0, -1000, 0]
    string.noise_mv = 3
    string.drive(600)
    for i in range(4):
        assert abs(string.error_cpct(i)) < 60, (i, string.error_cpct(i))
        gain_cpct = string.cells.gain_q12(i) * 10_000 >> 12
        assert abs(gain_cpct - string.gain_cpct[i]) < 200, (i, gain_cpct)


def test_no_number_of_samples_makes_it_surer_than_its_channels():
    string = String(6000, (0, 0, 0, 0))
    string.off_mv = [3, -1, -3, 1]
    for _ in range(1500):
        string.second(0)
    for i in range(4):
        # 1 mV is 0.1 points
        assert string.cells.deviation_cpct(i) >= 18
        assert abs(string.error_cpct(i)) < 2 * string.cells.deviation_cpct(i)


def test_on_a_plateau_sigma_stays_wide():
    string = String(6000, APART, plateau_block())
    string.off_mv = [3, -1, -3, 1]
    string.drive(900)
    for i in range(4):
        # 1 mV is 1.6 points
        assert string.cells.deviation_cpct(i) > 150
        assert abs(string.error_cpct(i)) < 2 * string.cells.deviation_cpct(i), (i, string.error_cpct(i))


def test_what_a_knee_has_told_is_kept_on_the_plateau():
    string = String(1200, (-100, 100, 50, -50), plateau_block())
    string.off_mv = [2, -1, -2, 1]
    for _ in range(300):
        string.second(0)
    for _ in range(1500):
        string.second(3000)
    assert min(string.soc) > 450_000
    for i in range(4):
        assert string.cells.deviation_cpct(i) < 150
        assert abs(string.error_cpct(i)) < 2 * string.cells.deviation_cpct(i), (i, string.error_cpct(i))


def test_an_impossible_voltage_widens_its_cell_only():
    for wrong in (499, 6001):
        string = String(6000, APART)
        for _ in range(120):
            string.second(0)
        before = [string.cells.deviation_cpct(i) for i in range(4)]
        told = string.cells.difference_cpct(2)
        for _ in range(600):
            string.second(0)
            mv = string.cell_mv[2]
            string.cell_mv[2] = wrong
            string.cells.follow(string.ekf.words, string.cell_mv)
            string.cell_mv[2] = mv
        assert abs(string.cells.difference_cpct(2) - told) < 10
        assert string.cells.deviation_cpct(2) > 2 * before[2]
        for i in (0, 1, 3):
            assert string.cells.deviation_cpct(i) <= before[i]
            assert abs(string.error_cpct(i)) < 40


def test_without_samples_sigma_grows():
    string = String(6000, APART)
    for _ in range(120):
        string.second(0)
    last = string.cells.deviation_cpct(0)
    for _ in range(5):
        for _ in range(200):
            string.second(0, True)
        assert string.cells.deviation_cpct(0) > last
        last = string.cells.deviation_cpct(0)


def test_one_wrong_voltage_moves_nothing():
    string = String(6000, APART)
    for n in range(300):
        string.second(0)
        if n == 200:
            string.cell_mv[3] += 500
            string.cells.follow(string.ekf.words, string.cell_mv)
        assert n < 60 or abs(string.error_cpct(3)) < 60, (n, string.error_cpct(3))


def test_a_voltage_that_nothing_explains_is_not_believed():
    string = String(6000, (0, 0, 0, 0))
    string.off_mv = [0, 1200, 0, 0]
    for _ in range(400):
        string.second(0)
    assert string.cells.deviation_cpct(1) > 1000
    # 1.2 V would be 120 points
    assert abs(string.error_cpct(1)) < 4 * string.cells.deviation_cpct(1)


def test_a_cell_far_below_the_rest_is_found():
    string = String(6000, (-2100, 700, 700, 700))
    for _ in range(120):
        string.second(0)
    assert string.cells.lowest == 0
    assert abs(string.error_cpct(0)) < 60, string.error_cpct(0)


def test_the_mean_stays_where_the_mean_filter_has_it():
    string = String(6000, APART)
    string.off_mv = [3, 3, -3, 0]
    string.drive(500)
    assert abs(sum(string.cells.difference_cpct(i) for i in range(4))) <= 4


def test_any_current_and_temperature_are_survived():
    random = Random(3)
    string = String(6000, APART)
    for _ in range(300):
        string.ekf.observe(
            1000, random.below(65536) * 4000 - 131_072_000, 3500 * 16, random.below(65536) - 32768
        )
        for i in range(4):
            string.cell_mv[i] = random.below(65536)
        string.cells.follow(string.ekf.words, string.cell_mv)
        for i in range(4):
            assert 0 <= string.cells.soc_cpct[i] <= 10_000
            assert 8 <= string.cells.deviation_cpct(i) <= 1500


def test_steps_allocate_nothing():
    string = String(6000, APART)
    string.drive(20)
    gc.collect()
    micropython.heap_lock()
    try:
        for _ in range(20):
            string.cells.follow(string.ekf.words, string.cell_mv)
    finally:
        micropython.heap_unlock()


def test_the_largest_string():
    string = String(6000, tuple([10 * (i % 11) - 50 for i in range(96)]))
    for _ in range(24):
        string.second(0)
    for i in range(96):
        assert abs(string.error_cpct(i)) < 2 * string.cells.deviation_cpct(i)


def test_what_cannot_be_is_refused():
    for n in (0, 1, MOST_CELLS + 1):
        try:
            Differences(n, plain_block())
        except ValueError as error:
            assert "n_cells is %d" % n in str(error)
        else:
            raise AssertionError("%d cells were taken" % n)
    try:
        Differences(4, plain_block()[:-2])
    except ValueError as error:
        assert "ECM block" in str(error)
    else:
        raise AssertionError("a short block was taken")
