"""The filter advised by a network: bounded, and never sure of what only one of them says."""

import binascii
import gc

import micropython
from bms.estimate import ekf_kernel as k
from bms.estimate.ekf import Ekf
from bms.estimate.fusion import Fusion
from bms.sample import UNKNOWN_CPCT
from ekf_vectors import BITS, Random, digest, drive, plain_block, vectors
from lstm_golden import SOC

DIGEST = 1400456456
V = 3500 * 16


class Said:
    """An advisor that says what it is told to."""

    def __init__(self, soc_cpct: int, sigma_cpct: int) -> None:
        self.soc_cpct = soc_cpct
        self.sigma_cpct = sigma_cpct

    def restart(self) -> None:
        """As LstmSoc."""

    def observe(self, dt_ms: int, current_ma: int, cell_16mv: int, temp_dc: int, lost_ms: int) -> None:
        """As LstmSoc."""


class Noise(Said):
    """One that says anything, and is sure of it."""

    _random = Random(9)

    def observe(self, dt_ms: int, current_ma: int, cell_16mv: int, temp_dc: int, lost_ms: int) -> None:
        """As LstmSoc."""
        self.soc_cpct = self._random.below(10_001)


def network() -> bytes:
    return binascii.a2b_base64(SOC)


def plain(advisor: "Said | None" = None) -> Fusion:
    """3 Ah, OCV 3 V + 1 V times SoC, 30 mV at 1C in each of R0, R1, R2."""
    soc = Fusion(3000, plain_block())
    soc.advisor = advisor  # pyright: ignore[reportAttributeAccessIssue]
    return soc


def rested(soc: Ekf, seconds: int) -> None:
    for _ in range(seconds):
        soc.observe(1000, 0, V, 250)


def test_without_a_network_it_is_the_filter_to_the_bit():
    assert vectors(Fusion, 8, 100) == vectors(Ekf, 8, 100)
    soc, ekf = plain(), Ekf(3000, plain_block())
    for each in (soc, ekf):
        each.start(3000, 4000, False)
        drive(each, Random(4), 300, 1)
    assert (soc.soc_cpct, soc.sigma_cpct, soc.soc_q26) == (ekf.soc_cpct, ekf.sigma_cpct, ekf.soc_q26)


def test_no_advice_enters_the_filter():
    lied = plain(Noise(0, 1))
    free = plain()
    for each in (lied, free):
        each.start(3000, 4000, False)
    assert drive(lied, Random(4), 500, 1) == drive(free, Random(4), 500, 1)
    assert lied.offset_q24 == free.offset_q24


def test_the_same_numbers_everywhere():
    soc = Fusion(3000, plain_block(), network(), 3200)
    soc.start(2000, 4000, False)
    random = Random(6)
    found = 1
    for _ in range(40):
        found = drive(soc, random, 10, found)
        for value in (soc.soc_cpct, soc.sigma_cpct, soc.soc_q26):
            found = (found * 31 ^ value) & BITS
    assert found == DIGEST, found


def test_a_wrong_start_is_found_sooner():
    # no voltage yet: nothing but the advice knows
    soc = plain(Said(5000, 300))
    soc.start(2000, 4000, False)
    soc.observe(1000, -3000, 0, 250)
    assert 4900 < soc.soc_cpct <= 5000
    # and sigma covers what the filter was told
    assert soc.sigma_cpct >= soc.soc_cpct - 2000


def test_advice_that_agrees_makes_no_surer_however_often_it_comes():
    soc, ekf = plain(Said(5000, 0)), Ekf(3000, plain_block())
    for each in (soc, ekf):
        each.start(5000, 200, True)
        rested(each, 900)
    assert soc.sigma_cpct >= ekf.sigma_cpct


def test_a_network_that_lies_widens_and_leads_nowhere():
    for said in (0, 2000, 10_000):
        for sigma in (0, 600):
            soc = plain(Said(said, sigma))
            soc.start(9000, 4000, True)
            for _ in range(400):
                soc.observe(1000, 0, V, 250)
                assert abs(soc.soc_cpct - 5000) <= 2 * soc.sigma_cpct, (said, sigma)
            own = soc.words[k.SIGMA_CPCT]
            assert abs(soc.soc_cpct - 5000) < 200 + own * 5 // 4, (said, sigma)
            assert soc.sigma_cpct >= abs(said - 5000) - 2 * own


def test_a_network_that_says_anything_widens_and_leads_nowhere():
    soc = plain(Noise(0, 50))
    soc.start(9000, 4000, True)
    for n in range(800):
        soc.observe(1000, 0, V, 250)
        assert abs(soc.soc_cpct - 5000) <= 2 * soc.sigma_cpct
        if n > 300:
            assert abs(soc.soc_cpct - 5000) < 200 + soc.words[k.SIGMA_CPCT] * 5 // 4


def test_a_filter_that_is_wrong_and_sure_is_not_sure_beside_a_network_that_is_right():
    soc = plain(Said(6000, 300))
    soc.start(5000, 100, True)
    for _ in range(60):
        soc.observe(1000, 0, 0, 250)
        assert abs(soc.soc_cpct - 6000) < 3 * soc.sigma_cpct


def test_in_the_cold_advice_only_widens():
    soc, ekf = plain(Said(6500, 300)), Ekf(3000, plain_block())
    for each in (soc, ekf):
        each.start(5000, 1000, False)
        each.observe(1000, -3000, 0, -51)
    assert soc.soc_cpct == ekf.soc_cpct
    assert soc.sigma_cpct == 6500 - ekf.soc_cpct > ekf.sigma_cpct
    soc.observe(1000, -3000, 0, -50)
    assert soc.soc_cpct > ekf.soc_cpct


def test_advice_that_is_unknown_is_none():
    soc, ekf = plain(Said(1000, UNKNOWN_CPCT)), Ekf(3000, plain_block())
    for each in (soc, ekf):
        each.start(6000, 3000, True)
        rested(each, 100)
    assert (soc.soc_cpct, soc.sigma_cpct) == (ekf.soc_cpct, ekf.sigma_cpct)


def test_half_an_hour_without_a_current_makes_advice_weigh_little():
    soc, ekf = Fusion(3000, plain_block(), network()), Ekf(3000, plain_block())
    for each in (soc, ekf):
        each.start(5000, 3000, True)
        rested(each, 100)
        for _ in range(1800):
            each.observe(1000, 0, V, 250, 1000)
    assert abs(soc.soc_cpct - ekf.soc_cpct) < ekf.sigma_cpct // 4
    assert soc.sigma_cpct >= ekf.sigma_cpct
    assert digest(soc.words, 1) == digest(ekf.words, 1)


def test_a_start_forgets_what_the_network_has_seen():
    soc = Fusion(3000, plain_block(), network())
    soc.start(5000, 3000, False)
    rested(soc, 50)
    soc.start(7000, 2000, False)
    assert (soc.soc_cpct, soc.sigma_cpct) == (7000, 2000)
    assert soc.advisor is not None
    assert soc.advisor.sigma_cpct == UNKNOWN_CPCT


def test_nothing_is_allocated():
    soc = Fusion(3000, plain_block(), network())
    soc.start(5000, 3000, False)
    rested(soc, 10)
    gc.collect()
    micropython.heap_lock()
    try:
        for n in range(40):
            soc.observe(1000, -1500 + n, V, 250)
            soc.observe(1000, -1500 + n, 0, 250)
            soc.observe(1000, 0, V, 250, 1000)
    finally:
        micropython.heap_unlock()


def test_bad_arguments_are_refused():
    blob = network()
    for capacity_mah, rated_mah, cut in ((0, 0, 0), (3000, -1, 0), (3000, 3000, 40)):
        try:
            Fusion(capacity_mah, plain_block(), blob[: len(blob) - cut], rated_mah)
        except ValueError:
            continue
        raise AssertionError((capacity_mah, rated_mah, cut))
