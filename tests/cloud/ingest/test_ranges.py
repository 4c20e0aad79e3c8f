"""Ranges against a plain set."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cloud.ingest.ranges import Ranges

SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 5)), max_size=40)


def built(spans: list[tuple[int, int]]) -> tuple[Ranges, set[int]]:
    ranges, plain = Ranges(), set[int]()
    for first, more in spans:
        ranges.add(first, first + more)
        plain.update(range(first, first + more + 1))
    return ranges, plain


def covered(gaps: list[tuple[int, int]]) -> set[int]:
    return {seq for first, last in gaps for seq in range(first, last + 1)}


@given(SPANS)
def test_ranges_are_a_set(spans: list[tuple[int, int]]) -> None:
    ranges, plain = built(spans)
    assert {seq for first, last in ranges for seq in range(first, last + 1)} == plain
    assert [seq in ranges for seq in range(70)] == [seq in plain for seq in range(70)]
    listed = list(ranges)
    assert all(before[1] + 1 < after[0] for before, after in pairwise(listed))
    assert ranges.upto == max(plain, default=-1) + 1
    assert covered(ranges.gaps()) == set(range(ranges.upto)) - plain


@given(SPANS, st.integers(0, 65), st.integers(0, 8))
def test_overlaps(spans: list[tuple[int, int]], first: int, more: int) -> None:
    ranges, plain = built(spans)
    assert ranges.overlaps(first, first + more) == bool(plain & set(range(first, first + more + 1)))


@given(SPANS, st.integers(2, 5), st.integers(0, 1 << 16))
def test_an_acknowledgement_is_short_and_never_claims_what_is_missing(
    spans: list[tuple[int, int]], most: int, turn: int
) -> None:
    ranges, plain = built(spans)
    upto, gaps = ranges.acknowledgement(most, turn)
    assert len(gaps) <= most
    assert set(range(upto)) - covered(gaps) <= plain
    # what the firmware insists on: ascending, not empty, below upto
    flat = [seq for gap in gaps for seq in gap]
    assert flat == sorted(flat)
    assert all(last < upto for _, last in gaps)


@given(SPANS, st.integers(2, 5))
def test_over_some_turns_everything_stored_is_acknowledged(spans: list[tuple[int, int]], most: int) -> None:
    ranges, plain = built(spans)
    seen: set[int] = set()
    for turn in range(60):
        upto, gaps = ranges.acknowledgement(most, turn)
        seen |= set(range(upto)) - covered(gaps)
    assert seen == plain
