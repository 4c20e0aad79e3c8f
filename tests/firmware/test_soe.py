"""State of energy: what the circuit has, less what it takes itself; nothing where nothing is known."""

import gc

import micropython
from bms.estimate.circuit import Circuit
from bms.estimate.soe import CURRENT, POWER, Soe
from bms.estimate.sop import Cell, Limits
from ekf_vectors import BITS, Random, block, plain_block

DIGEST = 1447527796


class Bench:
    """4 cells of 3 Ah, OCV 3 V + 1 V times SoC, 30 mV at 1C in each of R0, R1, R2."""

    def __init__(self, data: "bytearray | None" = None, capacity_mah: int = 3000, n_cells: int = 4) -> None:
        self.limits = Limits()
        self.limits.least_mv = 2500
        self.cell = Cell()
        self.cell.gain_sigma = 41
        self.soe = Soe(Circuit(data or plain_block()), n_cells, capacity_mah, self.limits)
        self.at(5000)

    def at(self, soc_cpct: int, sigma_cpct: int = 100) -> None:
        self.cell.soc = soc_cpct * 6711
        self.cell.soc_sigma = sigma_cpct * 6711

    def left(self, load: int, kind: int = CURRENT) -> int:
        self.soe.solve(self.cell, 250, 250, load, kind)
        return self.soe.energy_mwh


def test_next_to_no_load_gives_all_there_is():
    bench = Bench()
    # half of 3 Ah at 3.25 V, four times
    assert abs(bench.left(10) - 19_500) < 60
    bench.at(10_000)
    assert abs(bench.left(10) - 42_000) < 120
    bench.at(0)
    assert bench.left(10) == 0


def test_a_load_takes_its_part():
    bench = Bench()
    # 1C: 90 mV of 3.25 V, once the pairs have settled
    assert abs(bench.left(3000) - 19_500 * 3160 // 3250) < 200
    assert bench.left(3000) < bench.left(1000) < bench.left(10)


def test_ends_at_the_voltage():
    bench = Bench()
    bench.limits.least_mv = 3200
    # 1C: 3.2 V under load are 3.29 V, so 21 of 50 points at (3.41 + 3.2) / 2 V
    assert abs(bench.left(3000) - 21 * 3000 * 4 * 3305 // 100_000) < 200
    bench.limits.least_mv = 3600
    assert bench.left(3000) == 0


def test_ends_at_the_soc():
    bench = Bench()
    bench.limits.least_cpct = 2000
    assert abs(bench.left(10) - 30 * 3000 * 4 * 3350 // 100_000) < 60
    bench.at(1999)
    assert bench.left(10) == 0


def test_power_is_current_at_the_voltage_it_meets():
    bench = Bench()
    # 39 W are 3 A at 3.25 V from each of 4 cells
    assert abs(bench.left(39_000, POWER) - bench.left(3000)) < 150
    assert bench.left(60_000, POWER) < bench.left(39_000, POWER)


def test_sigma_is_that_of_soc_and_capacity():
    bench = Bench()
    bench.left(10)
    # 1 point of 12 Ah at 3.5 V, the last that would be missed, and 2 % of 19.5 Wh
    assert 480 < bench.soe.sigma_mwh < 640
    last = 0
    for sigma in (50, 200, 800, 2000):
        bench.at(5000, sigma)
        bench.left(3000)
        assert bench.soe.sigma_mwh > last
        last = bench.soe.sigma_mwh


def test_nothing_of_what_is_not_known():
    bench = Bench()
    for sigma in (3000, 9000):
        bench.at(5000, sigma)
        assert bench.left(1000) == 0
    bench.at(5000)
    assert bench.left(-1) == 0
    # no cell gives 16C for long, but none of it overflows
    for load in (48_000, 1_000_000, 0x3FFFFFFF):
        assert 0 <= bench.left(load) <= 20_000
        assert 0 <= bench.left(load, POWER) <= 20_000


def test_a_large_pack_is_a_small_one_times_its_size():
    small = Bench()
    large = Bench(None, 300_000, 96)
    ratio = large.left(300_000) / small.left(3000)
    assert abs(ratio - 2400) < 3
    for capacity_mah in (0, -1, 1_000_001):
        try:
            Bench(None, capacity_mah)
        except ValueError as error:
            assert "capacity_mah" in str(error)
        else:
            raise AssertionError(capacity_mah)


def test_random_cells_give_the_same_energy_everywhere():
    random = Random(11)
    result = 1
    for n in range(5):
        bench = Bench(block(random), 500 + random.below(60_000), 1 + random.below(96))
        bench.limits.heat_q8 = n % 2 * (3000 + random.below(9000))
        bench.limits.least_mv = 2000 + random.below(1500)
        for _ in range(2):
            bench.at(random.below(10_001), random.below(3200))
            bench.cell.v2 = -random.below(30_000) << 4
            for kind in (CURRENT, POWER):
                result = (result * 31 ^ bench.left(random.below(65_536) << random.below(4), kind)) & BITS
                result = (result * 31 ^ bench.soe.sigma_mwh) & BITS
    assert result == DIGEST, result


def test_solving_allocates_nothing():
    bench = Bench(None, 1_000_000, 96)
    bench.limits.heat_q8 = 12_000
    bench.at(10_000)
    bench.left(500_000)
    gc.collect()
    micropython.heap_lock()
    try:
        bench.soe.solve(bench.cell, 250, 250, 500_000, CURRENT)
        bench.soe.solve(bench.cell, 250, 250, 160_000_000, POWER)
    finally:
        micropython.heap_unlock()
