"""Reads a board's manifest.py: the part of MicroPython's manifest language that ours use.

`freeze(folder, file, opt)` names a module, `include(file)` reads another manifest. An include of
what comes with MicroPython's source ($(MPY_DIR), ...) is left out: on boards that run a published
MicroPython it is in there already.
"""

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path

from boards.tools.boardfile import BoardError, BoardFile


@dataclass(frozen=True)
class Module:
    """A module of the application: its file, its path on the import path, mpy-cross -O level."""

    source: Path
    target: str
    opt: int

    def under(self, folder: Path, other: Path) -> "Module":
        """The same module with `other` in place of `folder`, if it lies there."""
        if not self.source.is_relative_to(folder):
            return self
        return replace(self, source=other / self.source.relative_to(folder))


def modules(board: BoardFile) -> list[Module]:
    """What the board's manifest names, in order; BoardError for what is not there."""
    found: list[Module] = []
    run(board.folder / "manifest.py", found)
    return found


def run(path: Path, found: list[Module]) -> None:
    """Append what the manifest at `path` names to `found`; BoardError for what is not there."""
    if not path.is_file():
        raise BoardError(f"manifest {path} is not there")
    folder = path.parent

    def freeze(base: str, script: str, opt: int = 0) -> None:
        source = (folder / base / script).resolve()
        if not source.is_file():
            raise BoardError(f"{path}: {source} is not there")
        found.append(Module(source, script, opt))

    def include(other: str) -> None:
        if not other.startswith("$("):
            run((folder / other).resolve(), found)

    # a manifest's paths are relative to its folder
    with contextlib.chdir(folder):
        exec(compile(path.read_text(), str(path), "exec"), {"freeze": freeze, "include": include})  # noqa: S102
