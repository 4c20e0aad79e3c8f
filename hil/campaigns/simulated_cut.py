"""Power cuts in a simulated NOR: at any bit of any program or erase of a scripted life of a journal."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable, Sequence

from bms.memory.journal import Journal
from bms.memory.kinds import BOOT, CHARGE, COUNTERS, LATCHED
from bms.memory.layout import PAGE, SECTOR

from hil.campaigns.journal_check import Area, Found, judge, look

AREA = Area(0, 3)
APPENDS = 600
_PHASE = 200
_BUSY = 40
_QUIET = (CHARGE,)
"""In most of a phase nothing but the state of charge changes, so that the others must be carried."""
_SIZES = {LATCHED: 9, COUNTERS: 24, BOOT: 13, CHARGE: 60}


class CutNor:
    """NOR rules over `data`. Bits that change are counted over the whole life, each a point to cut at.

    At the points of `at`, ascending, `on_cut(point, image)` is called with what a cut there leaves: the
    bits before it changed, those behind it not; and a second time with any of the operation's bits changed,
    of an erase any blocks of 32 bytes.
    """

    def __init__(self, size: int, at: Sequence[int], on_cut: Callable[[int, bytes], None], seed: int) -> None:
        self.size = size
        self.data = bytearray(b"\xff" * size)
        self.points = 0
        self._at = at
        self._on_cut = on_cut
        self._random = random.Random(seed)  # noqa: S311

    def read(self, addr: int, buf: bytearray) -> None:
        """Fill buf from addr on."""
        memoryview(buf)[:] = self.data[addr : addr + len(buf)]

    def program(self, addr: int, data: bytes | bytearray) -> None:
        """Clear bits."""
        old = self.data[addr : addr + len(data)]
        if any(new & ~was & 0xFF for new, was in zip(data, old, strict=True)):
            raise ValueError(f"program at 0x{addr:x} would set bits")
        self._change(addr, bytes(data))

    def erase(self, addr: int) -> None:
        """Set all bits of a sector."""
        self._change(addr, b"\xff" * SECTOR)

    def _change(self, addr: int, new: bytes) -> None:
        old = bytes(self.data[addr : addr + len(new)])
        before = int.from_bytes(old, "little")
        changes = before ^ int.from_bytes(new, "little")
        count = changes.bit_count()
        first = bisect_left(self._at, self.points)
        last = bisect_left(self._at, self.points + count)
        if first < last:
            bits = [8 * i + bit for i in range(len(new)) for bit in range(8) if (old[i] ^ new[i]) >> bit & 1]
            for point in self._at[first:last]:
                prefix = sum(1 << bit for bit in bits[: point - self.points])
                self._cut(point, addr, before ^ prefix, len(new))
                scattered = changes & self._some(len(new))
                self._cut(point, addr, before ^ scattered, len(new))
        self.points += count
        self.data[addr : addr + len(new)] = new

    def _some(self, n: int) -> int:
        if n <= PAGE:
            return self._random.getrandbits(8 * n)
        blocks = (self._random.choice((b"\0", b"\xff")) * 32 for _ in range(n // 32))
        return int.from_bytes(b"".join(blocks), "little")

    def _cut(self, point: int, addr: int, value: int, n: int) -> None:
        image = bytearray(self.data)
        image[addr : addr + n] = value.to_bytes(n, "little")
        self._on_cut(point, bytes(image))


class Life:
    """A journal's scripted life: states appended in any order, not waiting for one another."""

    def __init__(self, seed: int, at: Sequence[int], on_cut: Callable[[int, Found, list[str]], None]) -> None:
        self._report = on_cut
        self._script = random.Random(seed)  # noqa: S311
        self.nor = CutNor(AREA.n_sectors * SECTOR, at, self._on_cut, seed + 1)
        self._allowed: dict[int, list[bytes | None]] = {kind: [None] for kind in _SIZES}
        self._written: set[tuple[int, bytes]] = set()

    def run(self) -> int:
        """Live; returns how many points to cut at there were."""
        journal = Journal(self.nor, 0, AREA.n_sectors)
        for n in range(APPENDS):
            kind = self._script.choice(_QUIET if n % _PHASE < _PHASE - _BUSY else tuple(_SIZES))
            payload = self._script.randbytes(_SIZES[kind])
            self._allowed[kind].append(payload)
            self._written.add((kind, payload))
            journal.append(kind, payload, len(payload))
            for _ in range(self._script.choice((0, 1, 3, 20))):
                journal.step()
                self._settle(journal)
        return self.nor.points

    def _settle(self, journal: Journal) -> None:
        for kind, payloads in self._allowed.items():
            if not journal.waiting(kind):
                del payloads[:-1]

    def _on_cut(self, point: int, image: bytes) -> None:
        found = look(image, AREA)
        problems = judge(found, self._allowed, self._written)
        self._report(point, found, problems or _goes_on(image))


def _goes_on(image: bytes) -> list[str]:
    """Whether what is appended after the cut is stored and found."""
    nor = CutNor(len(image), (), lambda _point, _image: None, 0)
    nor.data[:] = image
    journal = Journal(nor, 0, AREA.n_sectors)
    payload = b""
    for n in range(4):
        payload = bytes([n]) * 9
        journal.append(LATCHED, payload, 9)
        for _ in range(20):
            journal.step()
    if journal.waiting(LATCHED) or Journal(nor, 0, AREA.n_sectors).last(LATCHED) != payload:
        return ["after the cut nothing more is stored"]
    return []
