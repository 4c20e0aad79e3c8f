"""State of power: the same limits everywhere, never beyond what was set, 0 where nothing is known."""

import gc
from array import array

import micropython
from bms.estimate.circuit import Circuit, after, settled
from bms.estimate.drops import Drops
from bms.estimate.ekf import Ekf
from bms.estimate.sop import Limits, Sop
from ekf_vectors import BITS, Random, block, plain_block

DIGEST = 428612296
CELLS = 3


def wide() -> Limits:
    limits = Limits()
    limits.charge_ma = limits.discharge_ma = 40_000
    limits.most_mv = 4000
    return limits


class Bench:
    """3 Ah, OCV 3 V + 1 V times SoC, 30 mV at 1C in each of R0, R1, R2, 10 s and 100 s, with a filter."""

    def __init__(self, limits: Limits, capacity_mah: int = 3000, data: "bytearray | None" = None) -> None:
        data = data or plain_block()
        self.ekf = Ekf(capacity_mah, data)
        self.circuit = Circuit(data)
        self.drops = Drops(self.circuit, CELLS)
        self.sop = Sop(self.circuit, CELLS, capacity_mah, limits)
        self.volts = array("i", [0] * CELLS)

    def rest(self, soc_cpct: int, seconds: int = 20) -> None:
        """At rest at a SoC that is known well."""
        self.ekf.start(soc_cpct, 100, True)
        for i in range(CELLS):
            self.volts[i] = (30_000 + soc_cpct) * 8 // 5
        for _ in range(seconds):
            self.observe(0)

    def observe(self, current_ma: int, temp_dc: int = 250) -> None:
        self.ekf.observe(1000, current_ma, sum(self.volts) // CELLS, temp_dc)
        self.drops.follow(self.ekf.words, self.volts)

    def limits(self, sigma_cpct: int = 0, cold_dc: int = 250, hot_dc: int = 250) -> "list[int]":
        sigma_cpct = sigma_cpct or self.ekf.sigma_cpct
        self.sop.observe(self.ekf.words, self.drops, sigma_cpct, cold_dc, hot_dc, 250)
        self.sop.solve()
        return list(self.sop.charge_ma) + list(self.sop.discharge_ma)


def test_settling_is_the_exponential():
    # 1 - exp(-x) at 0.01, 0.1, 0.5, 1, 2, 5, 20 as 2^-15
    for x, y in ((2621, 326), (26214, 3118), (131072, 12893), (262144, 20713), (524288, 28333)):
        assert abs(settled(x) - y) <= 20, (x, settled(x))
    assert settled(0) == 0
    assert 32_500 < settled(5 << 18) <= 32767
    assert settled(20 << 18) == settled(1 << 29) == 0x7FFF
    last = 0
    for x in range(0, 1 << 20, 997):
        assert settled(x) >= last - 4
        last = settled(x)
    assert abs(after(10_000, 100) - 20713) <= 20


def test_a_known_cell_gives_the_limit_of_its_circuit():
    bench = Bench(wide())
    bench.rest(5000)
    charge2, charge10, _, discharge2, discharge10, _ = bench.limits()
    # 500 mV over 30 mV (1 + 1 - exp(-t / 10 s) + 1 - exp(-t / 100 s)) at 1C, and the SoC that moves:
    # 41 A after 2 s, 27.5 A after 10 s; what is doubted comes off that (a gain that nothing has told: 32 %)
    assert 28_000 < charge2 < 35_000
    assert 18_000 < charge10 < 23_000
    assert abs(charge2 - discharge2) < 1500
    assert abs(charge10 - discharge10) < 1500


def test_longer_means_less():
    bench = Bench(wide())
    for soc in range(500, 10_000, 900):
        bench.rest(soc, 20)
        found = bench.limits()
        assert found[0] >= found[1] >= found[2] >= 0, soc
        assert found[3] >= found[4] >= found[5] >= 0, soc


def test_never_above_the_current_limit():
    limits = wide()
    bench = Bench(limits)
    bench.rest(5000)
    for ma in (0, 1, 50, 999, 5000, 15_000):
        limits.charge_ma = ma
        limits.discharge_ma = ma * 2
        found = bench.limits()
        for i in range(3):
            assert ma - 2 <= found[i] <= ma
            assert found[3 + i] <= 2 * ma
    limits.charge_ma = -5
    assert bench.limits()[:3] == [0, 0, 0]


def test_a_resistance_that_was_seen_is_believed():
    for times in (0.8, 1, 1.5):
        bench = Bench(wide())
        bench.rest(5000)
        load(bench, [times] * CELLS)
        for gain in bench.drops.gain:
            assert abs(gain - (times - 1) * 4096) < 120, (times, gain)
        assert bench.drops.sigma_q12 < 250, bench.drops.sigma_q12


def load(bench: Bench, times: "list[float]") -> None:
    """Pulses of 2C for cells whose resistances are so many times what is told."""
    v1 = v2 = 0.0
    for step in range(160):
        ma = -6000 if step % 20 < 10 else 6000
        # 1/16 mV: 30 mV at 3 A
        v1 += (ma * 0.16 - v1) * 0.09516
        v2 += (ma * 0.16 - v2) * 0.00995
        for i in range(CELLS):
            bench.volts[i] = 56_000 + int(times[i] * (ma * 0.16 + v1 + v2))
        bench.observe(ma)


def test_wider_limits_never_give_less():
    limits = wide()
    bench = Bench(limits)
    bench.rest(5000)
    last = [0] * 6
    for n in range(8):
        limits.most_mv = 3480 + 80 * n
        limits.least_mv = 3520 - 80 * n
        found = bench.limits()
        for i in range(6):
            # the search ends within 1/512
            assert found[i] >= last[i] - (last[i] >> 8) - 2, (n, i)
        last = found
    assert last[1] > 0
    limits.most_mv = limits.least_mv = 3500
    assert bench.limits() == [0] * 6


def test_nothing_at_the_limits_of_soc():
    limits = wide()
    limits.least_mv, limits.most_mv = 2000, 5000
    limits.least_cpct, limits.most_cpct = 1000, 9000
    bench = Bench(limits)
    bench.rest(950)
    found = bench.limits(100)
    assert found[3:] == [0, 0, 0]
    assert found[0] > 0
    bench.rest(9050)
    found = bench.limits(100)
    assert found[:3] == [0, 0, 0]
    assert found[3] > 0
    # 2 points to go, known to 1: one point of 3 Ah in 10 s is 10.8 A
    bench.rest(1200)
    found = bench.limits(100)
    assert 8000 < found[4] <= 11_500
    assert found[5] <= 3900


def test_an_uncertain_soc_gives_less_and_an_unknown_one_nothing():
    limits = wide()
    limits.least_cpct = 1000
    bench = Bench(limits)
    bench.rest(1500)
    last = bench.limits(50)
    for sigma in (100, 200, 400):
        found = bench.limits(sigma)
        for i in range(3, 6):
            assert found[i] <= last[i] + (last[i] >> 8) + 2
        last = found
    for sigma in (3000, 6000, 10_000, 65_535, -1):
        assert bench.limits(sigma) == [0] * 6, sigma
    assert list(bench.sop.charge_mw) == list(bench.sop.discharge_mw) == [0, 0, 0]


def test_outside_of_its_temperatures_nothing():
    bench = Bench(wide())
    bench.rest(5000)
    assert bench.limits(0, -10, 250)[:3] == [0, 0, 0]
    assert bench.limits(0, -10, 250)[3] > 0
    assert bench.limits(0, 250, 451)[:3] == [0, 0, 0]
    assert bench.limits(0, 250, 601) == [0] * 6
    assert bench.limits(0, -201, 250) == [0] * 6
    assert bench.limits(0, 300, 250) == [0] * 6


def test_no_more_than_what_warms_up_to_the_limit():
    limits = wide()
    limits.heat_q8 = 40 * 256
    bench = Bench(limits)
    bench.rest(5000)
    free = bench.limits()
    found = bench.limits(0, 250, 590)
    assert 0 < found[5] < free[5]
    assert bench.limits(0, 250, 599)[5] < found[5]


def test_the_weakest_cell_decides():
    bench = Bench(wide())
    bench.rest(5000)
    load(bench, [1] * CELLS)
    even = bench.limits()
    bench = Bench(wide())
    bench.rest(5000)
    load(bench, [1, 1.5, 1])
    weak = bench.limits()
    for i in range(6):
        assert weak[i] < even[i] * 3 // 4, i


def test_power_is_current_times_voltage():
    bench = Bench(wide())
    bench.rest(5000)
    bench.limits()
    sop = bench.sop
    for i in range(3):
        # on the way the mean cell lies between its limits
        assert sop.discharge_ma[i] * 3 * 3 <= sop.discharge_mw[i] <= sop.discharge_ma[i] * 3.5 * 3
        assert sop.charge_ma[i] * 3.4 * 3 <= sop.charge_mw[i] <= sop.charge_ma[i] * 4 * 3


def test_a_large_pack_is_a_small_one_times_its_size():
    small = Bench(wide())
    limits = wide()
    limits.charge_ma = limits.discharge_ma = 4_000_000
    large = Bench(limits, 300_000)
    small.rest(5000)
    large.rest(5000)
    few = small.limits()
    many = large.limits()
    for i in range(6):
        assert abs(100 * few[i] - many[i]) < many[i] // 50, i


def test_a_board_that_only_counts_charge():
    bench = Bench(wide())
    sop = bench.sop
    sop.observe_plain(5000, 300, 0, 3500, 3500, 250, 250)
    sop.solve()
    known = list(sop.charge_ma) + list(sop.discharge_ma)
    assert min(known) > 5000
    # a cell that is low now cannot give as much
    sop.observe_plain(5000, 300, 0, 3200, 3500, 250, 250)
    sop.solve()
    assert sop.discharge_ma[1] < known[4] // 2
    assert sop.charge_ma[1] == known[1]
    for soc, sigma, low, high in (
        (5000, 10_000, 3500, 3500),
        (5000, 300, 0, 3500),
        (5000, 300, 3500, 65_535),
    ):
        sop.observe_plain(soc, sigma, 0, low, high, 250, 250)
        sop.solve()
        assert max(sop.charge_ma) == max(sop.discharge_ma) == 0


def test_unknown_voltages_teach_nothing():
    bench = Bench(wide())
    bench.rest(5000)
    before = (list(bench.drops.gain), list(bench.drops.bias))
    for wrong in (0, 7999, 96_001):
        bench.volts[1] = wrong
        bench.observe(-3000)
    assert (list(bench.drops.gain), list(bench.drops.bias)) == before


def drive(bench: Bench, random: Random, steps: int, before: int) -> int:
    """Random samples, now and then the limits; returns a digest of them."""
    level = 0
    mv = 3000 + random.below(1200)
    for n in range(steps):
        kind = random.below(16)
        if kind == 0:
            level = random.below(40_000) - 25_000
        elif kind == 1:
            mv = random.below(6500)
        for i in range(CELLS):
            bench.volts[i] = (mv << 4) + random.below(500) + level // 20
        bench.observe(level, random.below(800) - 200)
        if n % 20 == 19:
            found = bench.limits(30 + random.below(3200), random.below(300) - 100, 200 + random.below(300))
            for value in found + list(bench.sop.charge_mw) + list(bench.sop.discharge_mw):
                assert value >= 0
                before = (before * 31 ^ value) & BITS
            assert max(found) <= 40_000
            for value in (bench.drops.gain[0], bench.drops.gain[2], bench.drops.v1, bench.drops.v2):
                before = (before * 31 ^ value & 0xFFFFFF) & BITS
    return before


def test_random_cells_give_the_same_limits_everywhere():
    random = Random(5)
    result = 1
    for n in range(6):
        limits = wide()
        limits.heat_q8 = random.below(2) * (3000 + random.below(9000))
        bench = Bench(limits, 500 + random.below(5000) + (120_000 if n & 1 else 0), block(random))
        bench.ekf.start(random.below(10_001), random.below(6000), bool(n & 2))
        result = drive(bench, random, 60, result)
    assert result == DIGEST, result


def test_steps_allocate_nothing():
    limits = wide()
    limits.heat_q8 = 12_000
    bench = Bench(limits)
    bench.rest(5000)
    for ma in (-30_000, 20_000):
        bench.observe(ma)
        bench.limits()
        gc.collect()
        micropython.heap_lock()
        try:
            bench.observe(ma)
            bench.sop.observe(bench.ekf.words, bench.drops, 200, 250, 250, 250)
            for _ in range(6):
                bench.sop.step()
        finally:
            micropython.heap_unlock()
