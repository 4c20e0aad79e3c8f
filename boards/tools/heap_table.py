"""Where a board's heap goes, by module and by object: `python -m boards.tools.heap_table esp32`.

Loads the same .mpy set onto the emulated board as the heap check does. Each row is the part's own share: what
a module imports and what an object makes of other classes of ours stand in their own rows.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from boards.tools import boardfile, emulator, heap_check
from boards.tools.boardfile import BoardError

SCRIPT = """
import builtins, gc, sys
gc.threshold(4096)
_import, _nested = builtins.__import__, [0]

def _measured(kind, name, make):
    gc.collect()
    before = gc.mem_alloc()
    _nested.append(0)
    made = make()
    gc.collect()
    used = gc.mem_alloc() - before
    own = used - _nested.pop()
    _nested[-1] += used
    if own:
        print('PART', kind, name, own)
    return made

def _imported(name, *rest):
    if name in sys.modules and not rest[2:]:
        return _import(name, *rest)
    return _measured('module', name, lambda: _import(name, *rest))

class _Class:
    def __init__(self, cls):
        self.cls = cls
    def __call__(self, *args, **kwargs):
        return _measured('object', self.cls.__name__, lambda: self.cls(*args, **kwargs))
    def __getattr__(self, name):
        return getattr(self.cls, name)

gc.collect()
print('FREE', gc.mem_free(), 'before')
builtins.__import__ = _imported
import bms.app
from board import Board
builtins.__import__ = _import
gc.collect()
print('FREE', gc.mem_free(), 'modules')
for _name in %r:
    _module = sys.modules.get(_name)
    for _key in dir(_module) if _module else ():
        _value = getattr(_module, _key)
        if isinstance(_value, type) and not issubclass(_value, BaseException):
            setattr(_module, _key, _Class(_value))
_app = _measured('object', 'App', lambda: bms.app.App(Board()))
gc.collect()
print('FREE', gc.mem_free(), 'after')
"""
MAKERS = ("bms.app", "bms.link.reports", "bms.safety.kernel", "bms.memory.recorder", "bms.control.control")
"""Modules whose classes put others of ours together."""


@dataclass(frozen=True)
class Part:
    """A module or an object, and the bytes of heap that it holds by itself."""

    kind: str
    name: str
    own_bytes: int


def parse(output: str) -> tuple[list[Part], dict[str, int]]:
    """Parts, largest first, and what was free before, with the modules and after start (bytes)."""
    parts: dict[tuple[str, str], int] = {}
    free: dict[str, int] = {}
    for words in map(str.split, output.splitlines()):
        if words[:1] == ["PART"]:
            key = words[1], words[2]
            parts[key] = parts.get(key, 0) + int(words[3])
        elif words[:1] == ["FREE"]:
            free[words[2]] = int(words[1])
    if "after" not in free:
        raise BoardError(f"the emulated board did not start the application: {output.strip()[-200:]}")
    rows = [Part(*key, own) for key, own in parts.items()]
    return sorted(rows, key=lambda part: -part.own_bytes), free


def table(parts: Sequence[Part], free: dict[str, int]) -> str:
    """For people: a line a part, then what is free."""
    width = max(len(part.name) for part in parts)
    lines = [f"{part.kind:6} {part.name:<{width}} {part.own_bytes:>8,} B" for part in parts]
    loaded, started = free["before"] - free["modules"], free["modules"] - free["after"]
    left = f"{free['after']:,} B of {free['before']:,} B stay free"
    lines.append(f"modules take {loaded:,} B, the start {started:,} B more, {left}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 1 and one line on stderr when it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m boards.tools.heap_table", description=__doc__)
    parser.add_argument("board", nargs="?", default="esp32")
    parser.add_argument("--image", type=Path, default=emulator.IMAGE, help="of the emulated board")
    chosen = parser.parse_args(arguments)
    try:
        row = boardfile.read(chosen.board)
        output = heap_check.run(row.name, chosen.image, emulator.MPY_CROSS, row.build, SCRIPT % (MAKERS,))
        print(table(*parse(output)))
    except BoardError as error:
        print(f"heap: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
