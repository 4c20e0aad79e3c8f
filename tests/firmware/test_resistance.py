"""Resistance from steps of the current: what it is over the tables', and how well that is known."""

import gc

import micropython
from bms.estimate.resistance import Resistance
from bms.sample import UNKNOWN_CPCT
from ekf_vectors import BITS, Random

DIGEST = 2112718080
TABLE_Q15 = 983
"""30 mV at 1C of 3 Ah: 10 mOhm."""


def driven(times_pct: int, steps: int, seed: int = 3, noise_16mv: int = 16) -> Resistance:
    """A drive of a cell of `times_pct` % of the table's resistance."""
    some = Resistance(3000)
    random = Random(seed)
    for _ in range(steps):
        ma = random.below(6000) - 5000
        drop = ma * 16 * times_pct // 10_000
        some.observe(ma, 3700 * 16 + drop + random.below(2 * noise_16mv + 1) - noise_16mv, TABLE_Q15)
    return some


def test_random_steps_give_the_same_words_everywhere():
    some = Resistance(45_000)
    random = Random(9)
    digest = 0
    for n in range(600):
        mv = 45_000 + random.below(30_000) if n % 50 else random.below(3) * 50_000
        some.observe((random.below(65_536) - 32_768) * 8, mv, random.below(65_536))
        for word in (some.ratio_cpct, some.sigma_cpct):
            digest = ((digest * 31) ^ word) & BITS
    assert digest == DIGEST, digest


def test_finds_how_much_resistance_has_grown():
    for times in (80, 100, 160, 250):
        some = driven(times, 400)
        assert abs(some.ratio_cpct - 100 * times) < 2 * times, (times, some.ratio_cpct)
        assert some.sigma_cpct < 10 * times


def test_unknown_before_some_steps():
    assert driven(100, 20).sigma_cpct == UNKNOWN_CPCT
    still = Resistance(3000)
    for _ in range(500):
        still.observe(-1000, 3700 * 16, TABLE_Q15)
    assert still.sigma_cpct == UNKNOWN_CPCT


def test_a_noisy_voltage_is_told_by_sigma():
    calm, noisy = driven(100, 100), driven(100, 100, 3, 640)
    assert noisy.sigma_cpct > 2 * calm.sigma_cpct
    assert abs(noisy.ratio_cpct - 10_000) < 3 * noisy.sigma_cpct


def test_a_gap_is_no_step():
    some = Resistance(3000)
    for n in range(200):
        some.observe(-3000 if n % 2 else 0, (3700 - 100 * (n % 2)) * 16, TABLE_Q15)
        some.skip()
    assert some.sigma_cpct == UNKNOWN_CPCT


def test_impossible_values_change_nothing():
    some = driven(150, 300)
    was = some.ratio_cpct
    for wrong in (0, 65_535 * 16, -3):
        some.observe(-1000, wrong, TABLE_Q15)
        some.observe(1000, wrong, TABLE_Q15)
    some.observe(100_000_000, 3700 * 16, TABLE_Q15)
    assert some.ratio_cpct == was


def test_steps_allocate_nothing():
    some = driven(100, 50)
    gc.collect()
    micropython.heap_lock()
    try:
        for n in range(50):
            some.observe(-3000 if n & 1 else 0, 3700 * 16, TABLE_Q15)
    finally:
        micropython.heap_unlock()
