"""Power cuts on the emulated board: a program writes journals without a pause until the emulator is killed.

The board prints what it finds at boot and each record that is stored; what counts is what the NVM file
holds afterwards, and that the board reads the same out of it.
"""

from __future__ import annotations

import random
import re
import shutil
import time
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from bms.memory.kinds import BLACKBOX_KINDS, CHARGE, COUNTERS, FRAME, LATCHED

from boards.tools import emulator
from hil.campaigns.journal_check import Area, Found, judge, look
from hil.targets.base import BoardSetup, SocketTarget, TargetError

STATE = Area(3, 3)
BOX = Area(11, 3, BLACKBOX_KINDS)
SIZES = {LATCHED: 9, COUNTERS: 24, CHARGE: 100, FRAME: 50}
_STEP = 0x10000
"""Records of one boot are numbered from a multiple of this."""
_LONGEST_S = 0.6
_AHEAD = 64
"""Of so many records the board may not have said yet that they are stored."""
_BOOT_S = 30.0
_FINISH_S = 5.0

_PROGRAM = """
import struct
from board import Nvm
from bms.memory.journal import Journal
from bms.memory.kinds import BLACKBOX_KINDS
SIZES = {sizes}
def make(kind, k):
    head = struct.pack("<I", k)
    return head + bytes((kind * 31 + k * 7 + i * 13) & 255 for i in range(SIZES[kind] - 4))
nvm = Nvm()
state = Journal(nvm, {state.first_sector}, {state.n_sectors})
box = Journal(nvm, {box.first_sector}, {box.n_sectors}, BLACKBOX_KINDS)
for kind in ({latched}, {counters}, {charge}):
    found = state.last(kind)
    print("found", kind, "-" if found is None else found.hex())
print("damaged", state.damaged + box.damaged)
k = {start}
while True:
    k += 1
    for kind in ({charge}, {counters}, {latched}):
        state.append(kind, make(kind, k), SIZES[kind])
    box.append({frame}, make({frame}, k), SIZES[{frame}])
    while state.waiting({latched}):
        state.step()
    print("stored", k)
    for _ in range(3):
        state.step()
        box.step()
"""


def payload(kind: int, k: int) -> bytes:
    """What the board's program writes as its k-th record of a kind."""
    tail = bytes((kind * 31 + k * 7 + i * 13) & 255 for i in range(SIZES[kind] - 4))
    return k.to_bytes(4, "little") + tail


class _Written(Container[tuple[int, bytes]]):
    """Every record that the board's program can have written."""

    def __contains__(self, entry: object, /) -> bool:
        kind, found = cast("tuple[int, bytes]", entry)
        return kind in SIZES and found == payload(kind, int.from_bytes(found[:4], "little"))


class _Stored(Container[bytes | None]):
    """Records first..last of a kind; number 0 is none at all."""

    def __init__(self, kind: int, first: int, last: int) -> None:
        self._range = range(first, last + 1)
        self._kind = kind

    def __contains__(self, found: object, /) -> bool:
        if not isinstance(found, bytes):
            return 0 in self._range
        k = int.from_bytes(found[:4], "little")
        return k in self._range and found == payload(self._kind, k)

    def __str__(self) -> str:
        return f"numbers {self._range[0]}..{self._range[-1]}"


class _Console(SocketTarget):
    """The board at its prompt; the link is its console."""

    def __init__(self, nvm: Path) -> None:
        super().__init__("mps2_an500", BoardSetup({}, nvm=nvm))
        self._said = b""

    def boot(self, nvm: Path) -> None:
        """Start it, up to the raw prompt."""
        path = self.folder / "console"
        serial = (f"socket,path={path}", "null", "null")
        self.launch(emulator.command(nvm, serial), {}, path)
        self.until(rb">>> ")
        self.send(b"\r\x03\x01")
        self.until(rb"raw REPL; CTRL-B to exit\r\n>")

    def start_program(self, source: str) -> None:
        """Run a program, not waiting for its end."""
        self.send(source.encode() + b"\x04")
        self.until(b"OK")

    def until(self, pattern: bytes, timeout_s: float = _BOOT_S) -> re.Match[bytes]:
        """Read until the console said this; what stands before it is dropped."""
        end = time.monotonic() + timeout_s
        while (match := re.search(pattern, self._said)) is None:
            if time.monotonic() > end:
                raise TargetError(f"mps2_an500: said {self._said[-300:]!r}, not {pattern!r}")
            self._said += self.recv(0.05)
        self._said = self._said[match.end() :]
        return match

    def listen(self, seconds: float) -> None:
        """Take in what it says for so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._said += self.recv(left)

    def cut(self) -> bytes:
        """The power goes; returns what it had said by then."""
        if self.child is None:
            raise TargetError("mps2_an500: not started")
        self.child.kill()
        end = time.monotonic() + _FINISH_S
        try:
            while time.monotonic() < end:
                self._said += self.recv(0.5)
        except TargetError:
            pass  # the line is closed: that was all
        return self._said


@dataclass
class Cut:
    """One cut: after how many ms of writing, the last record known as stored, and where it came."""

    n: int
    after_ms: int
    seen: int
    found: int
    torn: bool
    half_erased: bool
    problems: list[str]


class BoardCuts:
    """Cuts the power of one emulated board again and again; a new NVM file every `renew` cuts."""

    def __init__(self, folder: Path, seed: int, renew: int = 50) -> None:
        if lack := emulator.missing():
            raise TargetError(f"mps2_an500: {lack}")
        self._nvm = folder / "nvm.bin"
        self._seed = seed
        self._renew = renew

    def cut(self, n: int) -> Cut:
        """The n-th cut of the seed."""
        if n % self._renew == 0:
            self._nvm.unlink(missing_ok=True)
        emulator.blank_nvm(self._nvm)
        emulator.poke(self._nvm, emulator.FACTORY_START, emulator.REPL_ONLY)
        seconds = random.Random(f"{self._seed}:{n}").uniform(0, _LONGEST_S)  # noqa: S311
        before = self._look()
        start = (n + 1) * _STEP
        board = _Console(self._nvm)
        try:
            board.boot(self._nvm)
            board.start_program(
                _PROGRAM.format(
                    sizes=SIZES, state=STATE, box=BOX, start=start,
                    latched=LATCHED, counters=COUNTERS, charge=CHARGE, frame=FRAME,
                )
            )  # fmt: skip
            problems = _compare(board, before)
            board.listen(seconds)
            said = board.cut()
        finally:
            board.stop()
        stored = [int(number) for number in re.findall(rb"stored (\d+)\r\n", said)]
        return self._verdict(n, round(1000 * seconds), before, stored[-1] if stored else 0, problems)

    def _look(self) -> dict[Area, Found]:
        data = self._nvm.read_bytes()[: 1 << 17]
        return {area: look(data, area) for area in (STATE, BOX)}

    def _verdict(
        self, n: int, after_ms: int, before: dict[Area, Found], seen: int, problems: list[str]
    ) -> Cut:
        after = self._look()
        start = (n + 1) * _STEP
        for kind in (LATCHED, COUNTERS, CHARGE):
            old = _number(before[STATE].last[kind])
            # only what is latched is awaited by the board's program
            low = seen if kind == LATCHED and seen else old
            allowed = _Stored(kind, low, (seen or start) + _AHEAD)
            problems += judge(after[STATE], {kind: allowed}, _Written())
        problems += judge(after[BOX], {}, _Written())
        found = _number(after[STATE].last[LATCHED])
        torn = any(found.torn for found in after.values())
        half = any(found.half_erased for found in after.values())
        if problems:
            shutil.copy(self._nvm, self._nvm.with_name(f"failed-{n}.nvm"))
        return Cut(n, after_ms, seen, found, torn, half, list(dict.fromkeys(problems)))


def _number(found: bytes | None) -> int:
    return 0 if found is None else int.from_bytes(found[:4], "little")


def _compare(board: _Console, before: dict[Area, Found]) -> list[str]:
    """Whether the board finds at boot what is found in its NVM file."""
    problems: list[str] = []
    for kind in (LATCHED, COUNTERS, CHARGE):
        said = board.until(rb"found %d (\S+)\r\n" % kind)[1].decode()
        expected = before[STATE].last[kind]
        if said != ("-" if expected is None else expected.hex()):
            problems.append(f"the board found {said} of kind {kind}, its NVM file holds {expected!r}")
    damaged = int(board.until(rb"damaged (\d+)\r\n")[1])
    if damaged:
        problems.append(f"the board reports {damaged} damaged records or sectors")
    return problems
