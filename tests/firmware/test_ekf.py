"""The state-of-charge filter: the same words everywhere, an honest sigma, no way to lock in."""

import gc

import micropython
from bms.estimate import ecm
from bms.estimate.ekf import Ekf
from ekf_vectors import Random, block, plain_block, vectors

CELLS = 40
STEPS = 250
DIGEST = 1887482395


def plain() -> Ekf:
    """3 Ah, OCV 3 V + 1 V times SoC, 30 mV at 1C in each of R0, R1, R2."""
    return Ekf(3000, plain_block())


def test_random_steps_give_the_same_words_everywhere():
    assert vectors(Ekf, CELLS, STEPS) == DIGEST


def test_finds_the_soc_of_a_resting_cell_from_any_start():
    for truth in (500, 3000, 6000, 9500):
        for told in (0, 2500, 5000, 7500, 10_000):
            for sigma in (1500, 6000):
                ekf = plain()
                ekf.start(told, sigma, True)
                for _ in range(200):
                    ekf.observe(1000, 0, (30_000 + truth) * 8 // 5, 250)
                wrong = abs(ekf.soc_cpct - truth)
                assert wrong < 2 * ekf.sigma_cpct, (truth, told, sigma, ekf.soc_cpct)
                # the model of an empty cell is trusted least
                assert wrong < 400 or min(truth, told) < 1000, (truth, told, sigma, ekf.soc_cpct)


def test_counts_charge_exactly():
    # 10 mA out of 3 Ah for ten hours is 3.333 %
    ekf = plain()
    ekf.start(5000, 100, True)
    for _ in range(36_000):
        ekf.observe(1000, -10, 0, 250)
    assert abs(ekf.soc_cpct - (5000 - 333)) <= 2


def test_without_voltage_sigma_grows():
    ekf = plain()
    ekf.start(5000, 100, True)
    last = 0
    for _ in range(10):
        for _ in range(600):
            ekf.observe(1000, 3, 0, 250)
        assert ekf.sigma_cpct >= last
        last = ekf.sigma_cpct
    assert last > 250


def test_without_current_sigma_covers_what_may_have_flowed():
    ekf = plain()
    ekf.start(5000, 100, True)
    for _ in range(36):
        ekf.observe(1000, 0, 0, 250, 1000)
    # 1C for 36 s is one point
    assert 100 <= ekf.sigma_cpct < 250
    for _ in range(600):
        ekf.observe(1000, 0, 0, 250, 1000)
    # and for 636 s some 9, half of which may be one sigma
    assert ekf.sigma_cpct > 800


def test_impossible_values_change_nothing_but_sigma():
    for wrong in (0, 1, 400 * 16, 6001 * 16, 65535 * 16):
        ekf = plain()
        ekf.start(5000, 100, True)
        for _ in range(100):
            ekf.observe(1000, 0, wrong, 250)
        assert abs(ekf.soc_cpct - 5000) <= 1, wrong
        assert ekf.sigma_cpct >= 95


def test_one_wrong_voltage_moves_nothing():
    ekf = plain()
    ekf.start(5000, 6000, True)
    for n in range(600):
        ekf.observe(1000, 0, 3500 * 16 if n != 400 else 4300 * 16, 250)
        if n > 400:
            assert abs(ekf.soc_cpct - 5000) < 2 * ekf.sigma_cpct
            assert abs(ekf.soc_cpct - 5000) < 300, n


def test_any_current_and_temperature_are_survived():
    random = Random(3)
    ekf = plain()
    ekf.start(5000, 6000, False)
    for _ in range(300):
        ekf.observe(1000, random.below(65536) * 4000 - 131_072_000, 3500 * 16, random.below(65536) - 32768)
        assert 0 <= ekf.soc_cpct <= 10_000
        assert 30 <= ekf.sigma_cpct <= 6100


def test_a_large_pack_counts_as_a_small_one():
    small = plain()
    large = Ekf(300_000, plain_block())
    for ekf, times in ((small, 1), (large, 100)):
        ekf.start(8000, 6000, False)
        for n in range(500):
            ekf.observe(1000, (-3000 if n % 20 < 10 else -1000) * times, 3600 * 16, 250)
    assert abs(small.soc_cpct - large.soc_cpct) <= 2
    assert small.sigma_cpct == large.sigma_cpct


def test_samples_allocate_nothing():
    ekf = plain()
    ekf.start(5000, 6000, True)
    gc.collect()
    micropython.heap_lock()
    try:
        for _ in range(100):
            ekf.observe(1000, -1000, 3600 * 16, 250)
    finally:
        micropython.heap_unlock()


def test_a_wrong_block_is_refused():
    good = block(Random(1))
    for at, value in ((0, 1), (2, 9), (4, 1), (len(good) // 2, good[len(good) // 2] ^ 1)):
        bad = bytearray(good)
        bad[at] = value
        try:
            Ekf(3000, bad)
        except ValueError as error:
            assert "ECM block" in str(error)
        else:
            raise AssertionError("byte %d" % at)
    try:
        ecm.load(good[:-2])
    except ValueError as error:
        assert "words" in str(error)
    else:
        raise AssertionError("a short block was taken")
    try:
        Ekf(0, good)
    except ValueError as error:
        assert "capacity_mah" in str(error)
    else:
        raise AssertionError("0 mAh was taken")
