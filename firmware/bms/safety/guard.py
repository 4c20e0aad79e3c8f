"""Watches the memory that protects: finds any flipped bit in it before it is used.

What changes (`memory`) is compared each tick with the copy taken at the end of the tick before. So nobody but
the tick may write into it; what the tasks ask for comes through words of its own. What does not change (the
compiled fault table, the supervisor's table) is compared a piece at a time.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array

PIECE = 256
"""Bytes of the constants that are compared every 20 ms: all of them in well under 200 ms."""


class _Slice:
    def __getitem__(self, key: slice) -> slice:
        return key


def whole(buffer: "bytearray | memoryview | array[int]") -> slice:
    """For `to[whole(to)] = source`, which copies in C; made beforehand, because making a slice allocates."""
    return _Slice()[0 : len(buffer)]


class Guard:
    """Compares `memory` and `constants` with their copies."""

    def __init__(self, memory: bytearray, constants: "tuple[bytearray, ...]") -> None:
        self.memory = memory
        self.constants = constants
        self.kept = bytearray(memory)
        self.whole = whole(memory)
        views = [(memoryview(part), memoryview(bytearray(part))) for part in constants]
        self._pieces = tuple(
            (part[at : at + PIECE], original[at : at + PIECE])
            for part, original in views
            for at in range(0, len(part), PIECE)
        )
        self._next = 0

    def keep(self) -> None:
        """Take the copy of the memory."""
        self.kept[self.whole] = self.memory

    def constants_differ(self) -> bool:
        """Whether a bit has changed in the next piece of the constants."""
        piece, original = self._pieces[self._next]
        self._next = (self._next + 1) % len(self._pieces)
        return piece != original
