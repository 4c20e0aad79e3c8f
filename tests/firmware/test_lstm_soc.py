"""The network as an estimator of SoC: features, missing data, the error bar."""

import binascii
import gc

import micropython
from bms.estimate.lstm_soc import LstmSoc
from bms.sample import UNKNOWN_CPCT
from ekf_vectors import BITS, Random
from lstm_golden import SOC

DIGEST = 50958131
V = 3700 * 16


def plain(capacity_mah: int = 3000) -> LstmSoc:
    return LstmSoc(capacity_mah, binascii.a2b_base64(SOC))


def running(samples: int = 100) -> LstmSoc:
    soc = plain()
    for n in range(samples):
        soc.observe(1000, -1500 + 7 * n, V - 20 * n, 250)
    return soc


def test_the_same_numbers_everywhere():
    soc = plain()
    random = Random(5)
    found = 1
    mv = 3700
    for _ in range(600):
        kind = random.below(50)
        if kind == 0:
            mv = 2600 + random.below(1800)
        cell = 0 if kind == 1 else (mv << 4) + random.below(900)
        ma = random.below(20_000) - 14_000
        dt = 1000 if kind != 2 else 1 + random.below(1000)
        soc.observe(dt, ma, cell, random.below(700) - 250, dt if kind == 3 else 0)
        found = (found * 31 ^ soc.soc_cpct) & BITS
        found = (found * 31 ^ soc.sigma_cpct) & BITS
    assert found == DIGEST, found


def test_unknown_before_the_first_sample():
    soc = plain()
    assert soc.sigma_cpct == UNKNOWN_CPCT
    soc.observe(999, -1000, V, 250)
    assert soc.sigma_cpct == UNKNOWN_CPCT
    soc.observe(1, -1000, V, 250)
    assert soc.sigma_cpct < UNKNOWN_CPCT


def test_without_any_voltage_it_stays_unknown():
    soc = plain()
    for wrong in (0, 1, 400 * 16, 6001 * 16):
        for _ in range(30):
            soc.observe(1000, -1000, wrong, 250)
        assert soc.sigma_cpct == UNKNOWN_CPCT, wrong


def test_sigma_falls_as_it_sees_more_and_is_wider_in_the_cold():
    warm, cold = plain(), plain()
    last = UNKNOWN_CPCT
    for _ in range(3000):
        warm.observe(1000, -1000, V, 250)
        cold.observe(1000, -1000, V, -200)
        assert warm.sigma_cpct <= last
        assert cold.sigma_cpct > warm.sigma_cpct
        last = warm.sigma_cpct
    assert warm.sigma_cpct == 250
    cold.observe(1000, -1000, V, 25)
    assert warm.sigma_cpct < cold.sigma_cpct < 417


def test_a_lost_voltage_holds_the_network_and_counts_the_charge():
    soc = running()
    held, cells = soc.soc_cpct, bytes(soc.network.x)
    sigma = soc.sigma_cpct
    for _ in range(360):
        soc.observe(1000, 1500, 0, 250)
    # half of 1C for 360 s is 5 %
    assert abs(soc.soc_cpct - held - 500) <= 1
    assert bytes(soc.network.x) == cells
    assert sigma < soc.sigma_cpct < sigma + 100


def test_a_lost_current_widens_and_at_last_begins_anew():
    soc = running()
    held, sigma = soc.soc_cpct, soc.sigma_cpct
    for _ in range(60):
        soc.observe(1000, 0, V, 250, 1000)
        assert soc.soc_cpct == held
    assert sigma + 70 < soc.sigma_cpct < sigma + 100
    for _ in range(3540):
        soc.observe(1000, 0, V, 250, 1000)
    # an hour of half of 1C, and a network that must begin anew
    assert soc.sigma_cpct > 5000
    soc.observe(1000, -1500, V, 250)
    fresh = plain()
    fresh.observe(1000, -1500, V, 250)
    assert (soc.soc_cpct, soc.sigma_cpct) == (fresh.soc_cpct, fresh.sigma_cpct)


def test_a_pack_of_any_size_at_the_same_load_reads_alike():
    small, large = plain(3000), plain(384_000)
    for n in range(50):
        small.observe(1000, -1500, V - 10 * n, 250)
        large.observe(1000, -192_000, V - 10 * n, 250)
    assert abs(small.soc_cpct - large.soc_cpct) <= 1


def test_a_sample_of_several_parts_is_their_mean():
    whole, parts = plain(), plain()
    for n in range(20):
        whole.observe(1000, -1500, V - 16 * n, 250)
        for i in range(10):
            parts.observe(100, -3000 if i & 1 else 0, V - 16 * n, 250)
    assert whole.soc_cpct == parts.soc_cpct


def test_absurd_values_do_no_harm():
    soc = running()
    soc.observe(1000, 100_000_000, V, 32_000)
    soc.observe(1000, -100_000_000, V, -32_000)
    assert 0 <= soc.soc_cpct <= 10_000
    for _ in range(20):
        soc.observe(1000, -1500, V, 250)


def test_nothing_is_allocated():
    soc = running()
    gc.collect()
    micropython.heap_lock()
    try:
        for n in range(50):
            soc.observe(1000, -1500 + n, V, 250)
            soc.observe(1000, -1500 + n, 0, 250)
            soc.observe(1000, 0, V, 250, 1000)
    finally:
        micropython.heap_unlock()


def test_bad_arguments_are_refused():
    for capacity_mah, cut in ((0, 0), (-5, 0), (3000, 40)):
        blob = binascii.a2b_base64(SOC)
        try:
            LstmSoc(capacity_mah, blob[: len(blob) - cut])
        except ValueError:
            continue
        raise AssertionError((capacity_mah, cut))
