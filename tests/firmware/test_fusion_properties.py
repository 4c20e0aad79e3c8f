"""What the filter and its advisor may make of each other, whatever they say. CPython only."""

from __future__ import annotations

from bms.estimate import ekf_kernel, fusion
from bms.estimate.ekf_sample import FLOOR_CPCT
from bms.int32 import checked
from bms.sample import UNKNOWN_CPCT
from ekf_vectors import plain_block
from hypothesis import given
from hypothesis import strategies as st
from test_fusion import Said

SOC = st.integers(0, 10_000)
OWN = st.integers(FLOOR_CPCT, 6000)
ADVICE = st.integers(0, UNKNOWN_CPCT - 1)
WATCHED = checked(fusion)
"""Raises where an intermediate leaves 32 bits."""
BLOCK = plain_block()


def fused(own_cpct: int, own_sigma: int, said: int, said_sigma: int) -> fusion.Fusion:
    """A filter at `own_cpct` beside an advisor at `said`."""
    both = WATCHED.Fusion(3000, BLOCK)
    both.advisor = Said(said, said_sigma)
    both.start(own_cpct, own_sigma, True)
    return both


@given(SOC, OWN, SOC, ADVICE)
def test_the_result_lies_between_both_and_one_sigma_covers_them(own: int, s: int, said: int, t: int) -> None:
    both = fused(own, s, said, t)
    assert min(own, said) <= both.soc_cpct <= max(own, said)
    assert both.sigma_cpct >= max(s, abs(both.soc_cpct - own), abs(both.soc_cpct - said))
    assert both.sigma_cpct <= max(s, abs(said - own))


@given(SOC, OWN, SOC, ADVICE)
def test_the_pull_is_bounded_and_none_where_they_contradict(own: int, s: int, said: int, t: int) -> None:
    both = fused(own, s, said, t)
    pull = abs(both.soc_cpct - own)
    assert pull <= 1.25 * s
    if s <= 300 or abs(said - own) >= 2 * (s + max(200, 2 * t)):
        assert pull == 0


@given(SOC, OWN, SOC, ADVICE)
def test_what_agrees_is_weighed_by_its_variance(own: int, s: int, said: int, t: int) -> None:
    both = fused(own, s, said, t)
    advice, far = max(200, 2 * t), abs(said - own)
    if far <= s + advice:
        weight = s * s / (s * s + advice * advice) * min(1, max(0, s - 300) / 300)
        assert abs(abs(both.soc_cpct - own) - far * weight) <= 1 + 0.01 * s


@given(SOC, OWN, SOC, ADVICE, st.floats(-2, 2))
def test_a_filter_that_is_right_stays_right_whatever_the_network_says(
    own: int, s: int, said: int, t: int, off: float
) -> None:
    truth = own + off * s
    both = fused(own, s, said, t)
    assert abs(both.soc_cpct - truth) <= 3 * both.sigma_cpct


@given(SOC, OWN, SOC)
def test_an_advisor_that_knows_nothing_changes_nothing(own: int, s: int, said: int) -> None:
    both = fused(own, s, said, UNKNOWN_CPCT)
    assert (both.soc_cpct, both.sigma_cpct) == (own, s)
    assert both.soc_q26 == own * 6711 == both.words[ekf_kernel.SOC] - ekf_kernel.BIAS
