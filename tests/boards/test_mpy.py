"""The application, cross-compiled for every board."""

import json
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from workbench import MACHINE_BOARDS, ROOT

from boards.tools import boardfile, manifest, mpy
from boards.tools.boardfile import BoardError
from boards.tools.undoc import without_docs

ARCH_NUMBERS = {"armv7emdp": 8, "xtensawin": 10}
"""In the third byte of a .mpy with native code, two bits up (MicroPython, py/persistentcode.h)."""


@pytest.mark.parametrize("board", MACHINE_BOARDS)
def test_every_module_is_there_and_built_for_the_board(board: str, tmp_path: Path) -> None:
    sizes = mpy.build_mpy(board, tmp_path)
    device = tmp_path / "device"
    modules = {path.relative_to(ROOT / "firmware") for path in (ROOT / "firmware" / "bms").rglob("*.py")}
    expected = {f"lib/{path.with_suffix('.mpy').as_posix()}" for path in modules}
    expected |= {
        "main.py",
        "lib/board.mpy",
        *(f"lib/hal/{path.stem}.mpy" for path in (ROOT / "boards" / "common" / "hal").glob("*.py")),
    }
    # for a desk; trips.py reads there what a board has stored
    expected -= {"lib/bms/desk.mpy", "lib/bms/contract.mpy", "lib/hal/rig.mpy", "lib/bms/memory/trips.mpy"}
    expected -= {"lib/bms/int32.mpy"}
    # what nothing imports is not put on
    if board.startswith("esp32"):
        run = {f"lib/bms/estimate/{name}.mpy" for name in ("__init__", "coulomb", "leak")}
        expected = {path for path in expected if "/estimate/" not in path or path in run}
    if not board.startswith("esp32"):
        expected.discard("lib/hal/esp32.mpy")
    assert set(sizes.bytes_by_file) == expected
    on_disk = {p.relative_to(device).as_posix(): p.stat().st_size for p in device.rglob("*") if p.is_file()}
    assert on_disk == sizes.bytes_by_file
    magic, version, features = struct.unpack("<cBB", (device / "lib/bms/link/frame.mpy").read_bytes()[:3])
    assert (magic, version) == (b"M", 6)
    assert features >> 2 & 0x1F == ARCH_NUMBERS[boardfile.read(board).arch]
    assert json.loads((tmp_path / "sizes.json").read_text())["total_bytes"] == sum(on_disk.values())


@pytest.mark.xfail(
    strict=True,
    raises=BoardError,
    reason="missed: about 118 kB with every protection, the journal and the drivers of both chips",
)
@pytest.mark.parametrize("board", MACHINE_BOARDS)
def test_the_modules_fit_their_budget(board: str, tmp_path: Path) -> None:
    mpy.build_mpy(board, tmp_path).check()


def test_over_budget_fails_and_says_by_how_much(tmp_path: Path) -> None:
    sizes = mpy.build_mpy("esp32", tmp_path)
    replace(sizes, budget_bytes=sizes.total_bytes).check()
    with pytest.raises(
        BoardError, match=rf"has {sizes.total_bytes:,} B of .mpy, budgets.mpy in boards/esp32/"
    ):
        replace(sizes, budget_bytes=sizes.total_bytes - 1).check()


def test_table_names_every_file_and_the_total(tmp_path: Path) -> None:
    sizes = mpy.build_mpy("esp32", tmp_path)
    lines = sizes.table().splitlines()
    assert len(lines) == len(sizes.bytes_by_file) + 1
    assert lines[-1].startswith("total ")
    assert lines[-1].endswith("xtensawin")


def test_a_module_that_does_not_compile_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("def f(:\n")
    module = manifest.Module(broken, "bms/broken.py", 0)
    with pytest.raises(BoardError, match=r"bms/broken.py: line 1: "):
        mpy.build_mpy("esp32", tmp_path / "build", modules=[module])
    broken.write_text("import micropython\n@micropython.viper\ndef f(a: word): pass\nf(1)\n")
    with pytest.raises(BoardError, match=r"mpy-cross -march=xtensawin bms/broken.py: "):
        mpy.build_mpy("esp32", tmp_path / "build", modules=[module])


def test_what_was_removed_from_the_source_goes_from_the_build(tmp_path: Path) -> None:
    stale = tmp_path / "device" / "lib" / "old.mpy"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"old")
    mpy.build_mpy("esp32", tmp_path)
    assert not stale.exists()


def test_a_manifest_that_names_a_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "manifest.py"
    path.write_text('include("$(MPY_DIR)/extmod/asyncio")\nfreeze(".", "gone.py")\n')
    with pytest.raises(BoardError, match=r"gone.py is not there"):
        manifest.run(path, [])


def test_unknown_board_on_the_command_line() -> None:
    for module in ("mpy", "build", "flash"):
        command = [sys.executable, "-m", f"boards.tools.{module}", "esp99"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert "unknown board 'esp99'" in done.stderr


def test_rows_of_tables_lose_their_documentation_and_nothing_else() -> None:
    for path in (mpy.FIRMWARE / "bms/tables").glob("*.py"):
        source = path.read_text("utf-8")
        bare = without_docs(source)
        assert bare.count("\n") == source.count("\n")
        full: dict[str, Any] = {}
        stripped: dict[str, Any] = {}
        exec(source, full)  # noqa: S102
        exec(bare, stripped)  # noqa: S102
        assert full.keys() == stripped.keys()
        assert plain(full) == plain(stripped)


def plain(module: dict[str, Any]) -> dict[str, list[dict[str, object]]]:
    """The tables of a module, row by row, without what documents them."""
    tables: dict[str, list[dict[str, object]]] = {}
    for name, rows in module.items():
        if name.isupper():
            entries: list[Any] = [*rows] if type(rows) is tuple else [rows]
            tables[name] = [{**_fields(row), "doc": ""} for row in entries]
    return tables


def _fields(row: Any) -> dict[str, object]:
    return row._asdict() if hasattr(row, "_asdict") else getattr(row, "__dict__", {"value": row})
