"""Which sequence numbers of a stream are stored: a sorted list of inclusive ranges."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator


class Ranges:
    """Disjoint, non-adjacent inclusive ranges [first, last], ascending; seq begins at 0."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._ranges: list[tuple[int, int]] = sorted(ranges)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self._ranges)

    def __len__(self) -> int:
        return len(self._ranges)

    @property
    def upto(self) -> int:
        """One past the highest stored seq, 0 when nothing is stored."""
        return self._ranges[-1][1] + 1 if self._ranges else 0

    def __contains__(self, seq: int) -> bool:
        return self.overlaps(seq, seq)

    def overlaps(self, first: int, last: int) -> bool:
        """Whether any seq of first..last is stored."""
        at = bisect_right(self._ranges, last, key=lambda entry: entry[0]) - 1
        return at >= 0 and self._ranges[at][1] >= first

    def add(self, first: int, last: int) -> None:
        """Mark first..last as stored."""
        ranges = self._ranges
        if not ranges or first > ranges[-1][1] + 1:
            ranges.append((first, last))
            return
        # every range that touches [first - 1, last + 1] melts into one
        low = bisect_right(ranges, first - 2, key=lambda entry: entry[1])
        high = bisect_right(ranges, last + 1, key=lambda entry: entry[0])
        if low < high:
            first, last = min(first, ranges[low][0]), max(last, ranges[high - 1][1])
        ranges[low:high] = [(first, last)]

    def gaps(self) -> list[tuple[int, int]]:
        """What is missing below `upto`, ascending, both ends inclusive."""
        found: list[tuple[int, int]] = []
        expected = 0
        for first, last in self._ranges:
            if first > expected:
                found.append((expected, first - 1))
            expected = last + 1
        return found

    def acknowledgement(self, most: int, turn: int = 0) -> tuple[int, list[tuple[int, int]]]:
        """(upto, gaps): everything below upto is stored except what the at most `most` gaps cover.

        With more gaps than that, one window of them is exact, what is older goes into one wide gap and
        `upto` ends at what is newer: still true. `turn` moves the window from the newest gaps to the
        oldest, so that over some turns everything stored is acknowledged, also round gaps that no edge
        can fill any more.
        """
        gaps = self.gaps()
        if len(gaps) <= most:
            return self.upto, gaps
        width = most - 1
        high = len(gaps) - turn % -(-len(gaps) // width) * width
        low = max(0, high - width)
        upto = self.upto if high == len(gaps) else gaps[high][0]
        older = [(gaps[0][0], gaps[low - 1][1])] if low else []
        return upto, older + gaps[low:high]
