"""Watches the memory that protects: finds any single flipped bit in it before it is used.

What changes (`state`) is compared each tick with the copy taken at the end of the tick before; what does not
change (`constants`: the compiled fault table, the supervisor's table) is summed a piece a tick. So nobody but
the tick may write into `state`; what the tasks ask for comes through words of its own.
"""

import micropython
from array import array

from bms.fixed import address
from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_PIECE = const(16)
"""Words of the constants a tick: all of them in well under 200 ms."""


@micropython.viper
def _differs(a_at: int, b_at: int, n: int) -> int:
    a = ptr32(a_at)
    b = ptr32(b_at)
    wrong = 0
    i = 0
    while i < n:
        wrong |= a[i] ^ b[i]
        i += 1
    return 1 if wrong else 0


@micropython.viper
def _copy(a_at: int, b_at: int, n: int):
    a = ptr32(a_at)
    b = ptr32(b_at)
    i = 0
    while i < n:
        b[i] = a[i]
        i += 1


@micropython.viper
def _sum(words_at: int, n: int, sum_at: int) -> int:
    # XOR of the words, a piece a call; sum_at: where it is, the sum so far, the sum that must come out.
    words = ptr32(words_at)
    sums = ptr32(sum_at)
    i = sums[0]
    end = i + _PIECE
    if end > n:
        end = n
    total = sums[1]
    while i < end:
        total ^= words[i]
        i += 1
    if i < n:
        sums[0] = i
        sums[1] = total
        return 0
    sums[0] = 0
    sums[1] = 0
    return 0 if total == sums[2] else 1


class Area:
    """Words that are guarded, by comparing with a copy."""

    def __init__(self, words: "array[int] | bytearray | memoryview", n: int) -> None:
        self._words = words
        self._copy = array("i", [0] * n)
        self._at = (address(words), address(self._copy), n)

    def check(self) -> "Callable[[], int]":
        """Bound once for the tick: 1 when a bit has changed since `keep`."""
        at = self._at

        @micropython.native
        def check() -> int:
            words_at, copy_at, n = at
            return _differs(words_at, copy_at, n)

        return check

    def keep(self) -> "Callable[[], None]":
        """Bound once for the tick: take the copy."""
        at = self._at

        @micropython.native
        def keep() -> None:
            words_at, copy_at, n = at
            _copy(words_at, copy_at, n)

        return keep


class Constants:
    """Words that are guarded by their sum."""

    def __init__(self, words: "array[int]") -> None:
        self._words = words
        total = 0
        for word in words:
            total ^= word
        self._sums = array("i", [0, 0, total])

    def check(self) -> "Callable[[], int]":
        """Bound once for the tick: 1 when the pass that ends with this piece came out wrong."""
        at = (address(self._words), len(self._words), address(self._sums))

        @micropython.native
        def check() -> int:
            words_at, n, sums_at = at
            return _sum(words_at, n, sums_at)

        return check
