"""How the cells of a string differ: found from rests alone, kept over a reboot."""

import gc
from array import array

import micropython
from bms.estimate import ecm
from bms.estimate.imbalance import Imbalance
from bms.estimate.leak import Leak
from bms.estimate.soh import Capacity
from bms.sample import UNKNOWN_CPCT
from bms.tables.params import NMC, defaults
from ekf_vectors import BITS, Random, plain_block

DIGEST = 2118703109


class Pack:
    """Cells of 3 Ah times `sizes` (0.01 %) that start at `socs` (0.01 %); OCV 3 V + 1 V times SoC."""

    def __init__(self, sizes: "list[int]", socs: "list[int]") -> None:
        self.sizes = sizes
        self.left = [sizes[i] * socs[i] // 10_000 for i in range(len(sizes))]
        self.imbalance = Imbalance(len(sizes))
        self.capacity = Capacity(3000, ecm.load(plain_block()))
        self.capacity.newest.at(250)
        self.cell_16mv = array("i", [0] * len(sizes))
        self.random = Random(1)

    def rest(self, moved: int, noise_mv: int = 0) -> None:
        """Charge every cell by `moved` (0.01 % of 3 Ah), then rest."""
        for i in range(len(self.sizes)):
            self.left[i] += moved
            mv = 3000 + self.left[i] * 1000 // self.sizes[i]
            self.cell_16mv[i] = mv + self.random.below(2 * noise_mv + 1) - noise_mv << 4
        for _ in range(10):
            self.imbalance.sample(self.cell_16mv)
        self.imbalance.minute()
        self.imbalance.rested(self.capacity)


def test_random_rests_give_the_same_words_everywhere():
    pack = Pack([9000, 10_000, 11_000, 9500, 10_200, 8000], [9000, 9100, 8800, 9000, 8900, 9000])
    digest = 0
    for n in range(12):
        pack.rest(-4000 if n % 2 == 0 else 3700, 3)
        some = pack.imbalance
        record = bytearray(some.size)
        some.save(record)
        for byte in record:
            digest = ((digest * 31) ^ byte) & BITS
        for word in (some.sigma_cpct, some.weakest, some.fullest, some.usable_cpct):
            digest = ((digest * 31) ^ word) & BITS
    assert digest == DIGEST, digest


def test_spread_of_charge_at_the_first_rest():
    pack = Pack([10_000] * 4, [8000, 8200, 7900, 8100])
    pack.rest(0)
    some = pack.imbalance
    assert some.soc_spread_cpct == 300
    assert (some.weakest, some.fullest) == (2, 1)
    # 79 % to give, 18 % to take
    assert abs(some.usable_cpct - 9700) <= 2
    assert some.sigma_cpct == UNKNOWN_CPCT


def test_the_smallest_cell_is_found_in_sixteen():
    sizes = [10_000 + (i * 37 % 16) * 10 for i in range(16)]
    sizes[11] = 9400
    pack = Pack(sizes, [9000] * 16)
    for n in range(10):
        pack.rest(-4500 if n % 2 == 0 else 4500, 1)
    some = pack.imbalance
    mean = sum(sizes) // 16
    for i in range(16):
        truth = sizes[i] * 10_000 // mean - 10_000
        assert abs(some.capacity_cpct[i] - truth) < 3 * some.sigma_cpct, i
        assert abs(some.capacity_cpct[i] - truth) < 120, (i, some.capacity_cpct[i], truth)
    assert min(some.capacity_cpct) == some.capacity_cpct[11]
    assert 400 < some.capacity_spread_cpct < 1000
    assert some.sigma_cpct < 120
    pack.rest(-5000)
    assert some.weakest == 11
    pack.rest(5000)


def test_a_small_swing_tells_nothing_of_capacity():
    pack = Pack([9000, 11_000], [9000, 9000])
    for n in range(6):
        pack.rest(-1000 if n % 2 == 0 else 1000)
    assert pack.imbalance.sigma_cpct == UNKNOWN_CPCT


def test_a_voltage_that_is_none_spoils_its_minute():
    pack = Pack([10_000] * 2, [8000, 8000])
    pack.rest(0)
    was = pack.imbalance.soc_cpct[1]
    pack.cell_16mv[1] = 0
    pack.imbalance.sample(pack.cell_16mv)
    pack.imbalance.minute()
    pack.imbalance.rested(pack.capacity)
    assert pack.imbalance.soc_cpct[1] == was


def test_a_cell_that_leaks_in_two_rests_is_a_suspect():
    some = Imbalance(4)
    leak = Leak(defaults(NMC), 4, NMC)
    some.leaked(leak)
    leak.cell = 2
    some.leaked(leak)
    assert not some.suspect(2)
    some.leaked(leak)
    assert some.suspect(2)
    leak.cell = 1
    some.leaked(leak)
    assert not some.suspect(2)
    assert not some.suspect(1)


def test_a_record_survives_and_a_foreign_one_is_not_taken():
    pack = Pack([9000, 10_000, 11_000], [9000, 9000, 9000])
    for n in range(6):
        pack.rest(-4500 if n % 2 == 0 else 4500)
    some = pack.imbalance
    record = bytearray(some.size)
    some.save(record)
    again = Imbalance(3)
    assert again.load(record)
    for i in range(3):
        assert abs(again.capacity_cpct[i] - some.capacity_cpct[i]) <= 1
    assert again.sigma_cpct == some.sigma_cpct
    for at in (0, 1):
        bad = bytearray(record)
        bad[at] ^= 1
        assert not Imbalance(3).load(bad), at
    assert not Imbalance(4).load(record)


def test_rests_allocate_nothing():
    pack = Pack([9000, 10_000, 11_000], [9000, 9000, 9000])
    pack.rest(0)
    for i in range(3):
        pack.cell_16mv[i] -= 400 << 4
    gc.collect()
    micropython.heap_lock()
    try:
        pack.imbalance.sample(pack.cell_16mv)
        pack.imbalance.minute()
        pack.imbalance.rested(pack.capacity)
    finally:
        micropython.heap_unlock()
    assert pack.imbalance.sigma_cpct < UNKNOWN_CPCT
