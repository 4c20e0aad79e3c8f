"""Rules of the house that no single room can hold: imports run one way, generated pages are current."""

import ast
from pathlib import Path

import pytest

from docs import generate

ROOT = Path(__file__).parent.parent
ROOMS = ("bms", "boards", "cloud", "hil", "bench")
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "bms": (),
    "bms.safety": ("bms.tables", "bms.fixed", "bms.safety"),
    "bms.tables": ("bms.tables",),
    "boards": ("bms", "boards"),
    "cloud": ("bms", "cloud"),
    "hil": ("bms", "boards.tools", "cloud.training.networks", "cloud.twin", "hil"),
}
"""What a room may import of ours; `bms` as a whole may import only itself."""


def python_files(room: str) -> list[Path]:
    folder = ROOT / "firmware" / "bms" if room.startswith("bms") else ROOT / room
    for part in room.split(".")[1:]:
        folder = folder / part
    return [path for path in folder.rglob("*.py") if "node_modules" not in path.parts]


class RunTimeOnly(ast.NodeTransformer):
    """Drops what only type checkers read."""

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        return node.orelse if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING" else node


def imports(path: Path) -> set[str]:
    """Every module of ours that a file imports at run time."""
    found: set[str] = set()
    for node in ast.walk(RunTimeOnly().visit(ast.parse(path.read_text("utf-8")))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return {name for name in found if name.split(".")[0] in ROOMS}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_imports_run_one_way(room: str) -> None:
    files = python_files(room)
    assert files, f"no files in {room}"
    allowed = MAY_IMPORT[room] or (room,)
    for path in files:
        for name in imports(path):
            ok = any(name == prefix or name.startswith(prefix + ".") for prefix in allowed)
            assert ok, f"{path.relative_to(ROOT)} imports {name}; {room} may import {', '.join(allowed)}"


def test_nothing_imports_the_rig() -> None:
    for room in ("bms", "boards", "cloud"):
        for path in python_files(room):
            assert not any(name.split(".")[0] == "hil" for name in imports(path)), path


def test_generated_pages_are_current() -> None:
    assert generate.stale() == []
