"""Rests: which voltages count, and what charge has flowed between two of them."""

import gc

import micropython
from bms.estimate.rest import SETTLE_MIN, Rest
from ekf_vectors import BITS, Random

DIGEST = 1539079143


class Pack:
    """A 3 Ah string at 3.7 V; `off_ma` is the error of its current sensor's zero."""

    def __init__(self, off_ma: int = 0) -> None:
        self.rest = Rest(3000)
        self.off_ma = off_ma

    def rests(self, minutes: int, mv: int = 3700, quiet: bool = True) -> None:
        for _ in range(60 * minutes):
            self.rest.observe(1000, self.off_ma, mv << 4, 250, quiet)

    def flows(self, seconds: int, ma: int, lost_ms: int = 0) -> None:
        for _ in range(seconds):
            self.rest.observe(1000, ma + self.off_ma, 3600 << 4, 250, False, lost_ms)


def test_random_samples_give_the_same_words_everywhere():
    random = Random(5)
    rest = Rest(45_000)
    digest = 0
    for _ in range(12):
        ma = random.below(20_000) - 10_000
        for _ in range(random.below(200)):
            rest.observe(1 + random.below(1000), ma, 59_000 + random.below(40), 250, False, 0)
        mv = 58_000 + random.below(4000)
        for _ in range(600 + random.below(600)):
            rest.observe(1000, random.below(100), mv + random.below(16), 250, random.below(500) > 0)
        for word in (rest.rest_16mv, rest.sigma_16mv, rest.charge_cpct + 20_000, rest.charge_sigma_cpct):
            digest = ((digest * 31) ^ word) & BITS
        if rest.ready:
            rest.mark()
    assert digest == DIGEST, digest


def test_a_voltage_counts_after_a_quarter_of_an_hour():
    pack = Pack()
    pack.rests(SETTLE_MIN - 1)
    pack.flows(1, -1000)
    assert not pack.rest.ready
    pack.rests(SETTLE_MIN)
    assert not pack.rest.ready
    pack.flows(1, -1000)
    assert pack.rest.ready
    assert (pack.rest.rest_16mv, pack.rest.sigma_16mv) == (3700 << 4, 40)


def test_a_voltage_that_still_moves_does_not_count():
    pack = Pack()
    for minute in range(SETTLE_MIN + 3):
        pack.rests(1, 3700 + minute)
    pack.flows(1, -1000)
    assert not pack.rest.ready


def test_charge_between_two_rests_without_the_sensor_s_zero():
    # 1.7 % of 1C is 51 mA: over a rest and a discharge of half an hour
    for off in (-51, 0, 51):
        pack = Pack(off)
        pack.rests(SETTLE_MIN + 1)
        pack.flows(1, -3000)
        pack.rest.mark()
        pack.flows(1199, -3000)
        pack.rests(SETTLE_MIN + 1, 3500)
        pack.flows(1, 1000)
        assert pack.rest.ready
        # a third of the capacity
        assert abs(pack.rest.charge_cpct + 3333) <= 6, (off, pack.rest.charge_cpct)
        assert pack.rest.charge_sigma_cpct < 30


def test_a_zero_that_was_never_seen_is_not_taken_off():
    pack = Pack(51)
    pack.rests(SETTLE_MIN + 1, 3700, False)
    pack.flows(1, -3000)
    assert pack.rest.charge_sigma_cpct > 40
    assert pack.rest.charge_cpct > 40


def test_what_was_not_seen_widens():
    pack = Pack()
    pack.rests(SETTLE_MIN)
    pack.flows(1, -3000)
    pack.rest.mark()
    pack.flows(72, 0, 1000)
    pack.rests(SETTLE_MIN)
    pack.flows(1, -3000)
    # half of 1C for 72 s is one point
    assert 100 <= pack.rest.charge_sigma_cpct < 150
    pack.rest.mark()
    pack.rests(SETTLE_MIN)
    pack.flows(1, -3000)
    assert pack.rest.charge_sigma_cpct < 30


def test_impossible_values_give_no_charge():
    for dt_ms, ma in ((0, 0), (-5, 0), (100_000, 0), (1000, 2_000_000)):
        pack = Pack()
        pack.rest.observe(dt_ms, ma, 3700 << 4, 250, False)
        for _ in range(120):
            pack.rest.observe(1000, 2_000_000 if ma else 0, 3700 << 4, 250, False)
        pack.rests(SETTLE_MIN)
        pack.flows(1, -3000)
        assert pack.rest.ready
        assert pack.rest.charge_sigma_cpct > 160, (dt_ms, ma)


def test_voltages_that_were_not_measured_make_no_rest():
    pack = Pack()
    for mv in (0, 65_000):
        pack.rests(SETTLE_MIN + 1, mv)
        pack.flows(1, -1000)
        assert not pack.rest.ready


def test_steps_allocate_nothing():
    pack = Pack()
    pack.flows(10, -1000)
    gc.collect()
    micropython.heap_lock()
    try:
        for _ in range(130):
            pack.rest.observe(1000, 0, 3700 << 4, 250, True)
        pack.rest.observe(1000, -1000, 3700 << 4, 250, False)
    finally:
        micropython.heap_unlock()
