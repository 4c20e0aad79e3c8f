"""Capacity from pairs of rests: the same words everywhere, found with an honest sigma, or not told."""

import gc

import micropython
from bms.estimate import curve, ecm
from bms.estimate.rest import Rest
from bms.estimate.soh import NODES, SIZE, Capacity
from bms.sample import UNKNOWN_CPCT
from ekf_vectors import BITS, Random, plain_block

DIGEST = 906062570
ROWS = 2


FLAT, BENT, UNKNOWN = range(3)
"""Whether lost lithium bends the curve, and whether the device knows."""


def shift_block(bend: int = 240) -> bytearray:
    """Lost lithium lifts the middle of the curve: by a quarter of `bend` mV when 10 % are lost."""
    block = bytearray(6 + 2 * curve.COLUMNS * ROWS)
    block[0], block[1], block[2] = 0x53, 0x4D, ROWS
    for row in range(ROWS):
        for k in range(curve.COLUMNS):
            up = (row + 1) * bend * 16 * k * (128 - k) // (128 * 128)
            at = 6 + 2 * (row * curve.COLUMNS + k)
            block[at], block[at + 1] = up & 0xFF, up >> 8
    check = curve.fletcher(block, 6)
    block[4], block[5] = check & 0xFF, check >> 8
    return block


def volt(soc_cpct: int, lost_cpct: int = 0) -> int:
    """Rest voltage in 1/16 mV of the plain cell, on the curve that `shift_block` bends."""
    bent = 3840 * (soc_cpct // 10) // 1000 * (1000 - soc_cpct // 10) // 1000
    return 48_000 + soc_cpct * 8 // 5 + bent * lost_cpct // 1000


class Bench:
    def __init__(self, kind: int = FLAT) -> None:
        words = curve.load_shift(shift_block(240 if kind == BENT else 0)) if kind != UNKNOWN else None
        self.capacity = Capacity(3000, ecm.load(plain_block()), words)
        self.rest = Rest(3000)
        self.last = -1

    def at(self, rest_16mv: int, charge_cpct: int, charge_sigma_cpct: int = 10) -> None:
        """A rest has ended; work it off."""
        rest = self.rest
        rest.rest_16mv = rest_16mv
        rest.sigma_16mv = 40
        rest.charge_cpct = charge_cpct
        rest.charge_sigma_cpct = charge_sigma_cpct
        rest.ready = True
        for _ in range(NODES + 1):
            self.capacity.step(rest)

    def go(self, soc_cpct: int, soh_cpct: int, lost_cpct: int = 0, off_16mv: int = 0) -> None:
        """Charge or discharge to `soc_cpct`, rest there; the voltage is off by `off_16mv`."""
        moved = (soc_cpct - self.last) * soh_cpct // 10_000 if self.last >= 0 else 0
        self.last = soc_cpct
        self.at(volt(soc_cpct, lost_cpct) + off_16mv, moved)


PLACES = (9000, 3000, 8000, 2000, 7000, 2500, 8500, 4000, 9000, 1500, 6500)


def test_random_pairs_give_the_same_words_everywhere():
    digest = 0
    for kind in (FLAT, BENT, UNKNOWN):
        bench = Bench(kind)
        random = Random(77)
        for _ in range(10):
            bench.at(47_000 + random.below(18_000), random.below(20_000) - 10_000, random.below(200))
            some = bench.capacity
            record = bytearray(SIZE)
            some.save(record)
            for word in (some.soh_cpct, some.sigma_cpct, some.lost_cpct, some.pairs):
                digest = ((digest * 31) ^ word) & BITS
            for byte in record:
                digest = ((digest * 31) ^ byte) & BITS
    assert digest == DIGEST, digest


def test_finds_the_capacity_whatever_the_voltage_sensor_is_off_by():
    for soh in (7000, 8500, 10_000, 10_500):
        for off in (-80, 0, 64):
            bench = Bench()
            for place in PLACES:
                bench.go(place, soh, 0, off)
            found = bench.capacity
            assert found.pairs == 10
            assert abs(found.soh_cpct - soh) < 100, (soh, off, found.soh_cpct)
            assert abs(found.soh_cpct - soh) < 2 * found.sigma_cpct
            assert found.capacity_mah == 3000 * found.soh_cpct // 10_000
    assert bench.capacity.sigma_cpct < 150


def test_nothing_is_known_before_the_first_pair():
    bench = Bench()
    bench.go(9000, 8000)
    assert (bench.capacity.pairs, bench.capacity.sigma_cpct) == (0, UNKNOWN_CPCT)
    bench.go(3000, 8000)
    assert bench.capacity.pairs == 1
    assert 100 < bench.capacity.sigma_cpct < 600


def test_a_small_swing_makes_no_pair_but_adds_up():
    bench = Bench()
    bench.at(volt(9000), 0)
    bench.at(volt(8000), -800)
    assert bench.capacity.pairs == 0
    # the charge counts from the older end on
    bench.at(volt(5000), -3200)
    assert bench.capacity.pairs == 1
    assert abs(bench.capacity.soh_cpct - 8000) < 100


def test_a_charge_that_nobody_knows_makes_no_pair():
    bench = Bench()
    bench.at(volt(9000), 0)
    bench.at(volt(3000), -4000, 1000)
    assert bench.capacity.pairs == 0
    bench.at(volt(9000), 4800)
    assert bench.capacity.pairs == 1
    assert abs(bench.capacity.soh_cpct - 8000) < 100


def test_one_wrong_pair_among_ten_widens_and_does_not_take_over():
    bench = Bench()
    good = Bench()
    for n in range(len(PLACES)):
        if n == 5:
            # the pack's contactors were bridged: half of the charge went past the sensor
            bench.at(volt(PLACES[n]), (PLACES[n] - bench.last) * 4 // 10)
            bench.last = PLACES[n]
        else:
            bench.go(PLACES[n], 8000)
        good.go(PLACES[n], 8000)
    assert abs(bench.capacity.soh_cpct - 8000) < 100
    assert bench.capacity.sigma_cpct >= good.capacity.sigma_cpct


def test_pairs_that_contradict_each_other_are_told_by_sigma():
    bench = Bench()
    for n in range(len(PLACES)):
        bench.go(PLACES[n], 7500 if n % 2 else 9500)
    assert abs(bench.capacity.soh_cpct - 8500) < 2 * bench.capacity.sigma_cpct
    assert bench.capacity.sigma_cpct > 200


def test_it_follows_what_fades():
    bench = Bench()
    for n in range(150):
        bench.go(PLACES[n % len(PLACES)], 10_000 - 10 * n)
    # as old as the pairs' memory: some 30 pairs
    assert abs(bench.capacity.soh_cpct - 8500) < 400
    assert abs(bench.capacity.soh_cpct - 8500) < 3 * bench.capacity.sigma_cpct + 300


def test_a_capacity_beyond_the_candidates_is_not_known():
    for soh in (4500, 12_500):
        bench = Bench()
        for place in PLACES:
            bench.go(place, soh)
        assert bench.capacity.sigma_cpct == UNKNOWN_CPCT


def test_lost_lithium_bends_the_curve():
    bent = Bench(BENT)
    fresh = Bench(UNKNOWN)
    for place in PLACES:
        bent.go(place, 8500, 1500)
        fresh.go(place, 8500, 1500)
    assert abs(bent.capacity.soh_cpct - 8500) < 120, bent.capacity.soh_cpct
    assert bent.capacity.lost_cpct > 1000
    assert abs(fresh.capacity.soh_cpct - 8500) < 2 * fresh.capacity.sigma_cpct
    assert fresh.capacity.sigma_cpct > 2 * bent.capacity.sigma_cpct


def test_a_record_survives():
    bench = Bench()
    for place in PLACES:
        bench.go(place, 8200)
    record = bytearray(SIZE)
    bench.capacity.save(record)
    again = Bench()
    assert again.capacity.load(record)
    assert abs(again.capacity.soh_cpct - bench.capacity.soh_cpct) <= bench.capacity.sigma_cpct // 8
    assert abs(again.capacity.sigma_cpct - bench.capacity.sigma_cpct) <= bench.capacity.sigma_cpct // 8
    assert again.capacity.pairs == 10
    # what was charged while nobody counted is no pair
    again.go(9000, 8200)
    assert again.capacity.pairs == 10


def test_a_foreign_record_is_not_taken():
    bench = Bench()
    for place in PLACES:
        bench.go(place, 8200)
    record = bytearray(SIZE)
    bench.capacity.save(record)
    for at in (0, 1, 8, 9):
        bad = bytearray(record)
        bad[at] ^= 4
        other = Bench().capacity
        assert not other.load(bad), at
        assert (other.pairs, other.sigma_cpct) == (0, UNKNOWN_CPCT)
    assert not Bench().capacity.load(record[:-1])
    assert not Capacity(5000, ecm.load(plain_block())).load(record)


def test_a_wrong_shift_block_is_refused():
    good = shift_block()
    for at in (0, 2, 4, 100):
        bad = bytearray(good)
        bad[at] ^= 1
        try:
            curve.load_shift(bad)
        except ValueError as error:
            assert "shift block" in str(error)
        else:
            raise AssertionError("byte %d" % at)
    try:
        curve.load_shift(good[:-1])
    except ValueError as error:
        assert "bytes" in str(error)
    else:
        raise AssertionError("a short block was taken")


def test_the_curve_tells_the_soc_it_was_made_with():
    some = curve.Curve(ecm.load(plain_block()), curve.load_shift(shift_block()))
    some.at(250)
    for lost in (0, 500, 1000, 1700):
        for soc in range(0, 10_001, 500):
            assert abs(some.soc(volt(soc, lost), lost) - soc) < 30, (soc, lost)
    assert some.soc(0, 0) == 0
    assert some.soc(100_000, 0) == 10_000


def test_steps_allocate_nothing():
    bench = Bench(BENT)
    bench.go(9000, 8000)
    rest = bench.rest
    rest.rest_16mv = volt(3000)
    rest.charge_cpct = -4800
    rest.ready = True
    bench.capacity.step(rest)
    gc.collect()
    micropython.heap_lock()
    try:
        for _ in range(NODES):
            bench.capacity.step(rest)
    finally:
        micropython.heap_unlock()
    assert bench.capacity.pairs == 1
    assert bench.capacity.sigma_cpct < UNKNOWN_CPCT
