"""The heap check: its parts, and a whole run on the emulated board."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from an500_machine import image_path
from bms.link import frame

from boards.tools import boardfile, build, emulator, flash, heap_check, heap_table, manifest
from boards.tools.boardfile import BoardError
from boards.tools.emulator import EmulatorError, ReplBoard
from boards.tools.heap_check import Heap


def test_the_configuration_is_a_frame_of_the_afe_link() -> None:
    reader, wire = frame.Reader(), heap_check.config_frame()
    reader.feed(wire, 0, len(wire))
    assert reader.kind == frame.CONFIG
    assert tuple(reader.raw[frame.HEADER : reader.size]) == (16, 4, frame.MODE_FREE, 0, 0, 0, 0)


def test_what_the_board_prints_is_read() -> None:
    heap = heap_check.parse("esp32", "noise\nHEAP 50000 150000 160000 /lib/bms/app.mpy\n", 40_960)
    assert heap == Heap("esp32", 50_000, 150_000, 160_000, 40_960)
    heap.check()
    assert "50,000 B of 160,000 B free" in heap.line()


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("", "did not start the application: no output"),
        ("Traceback\nMemoryError: memory allocation failed\n", "MemoryError: memory allocation failed"),
        ("HEAP 50000 150000 160000 bms/app.py\n", "took bms.app from bms/app.py, not from /lib"),
    ],
)
def test_a_board_that_did_not_start_is_reported(output: str, message: str) -> None:
    with pytest.raises(BoardError, match=message):
        heap_check.parse("esp32", output, 1)


def test_too_little_heap_fails() -> None:
    with pytest.raises(
        BoardError, match=r"esp32: 40,959 B of heap are free after start, budgets.heap_free_after_st"
    ):
        Heap("esp32", 40_959, 150_000, 160_000, 40_960).check()


def test_a_missing_emulator_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def nothing(name: str) -> None:
        """No tool is found."""

    monkeypatch.setattr("shutil.which", nothing)
    with pytest.raises(EmulatorError, match=r"no `qemu-system-arm`; get it with"):
        ReplBoard(tmp_path)


def test_parts_are_added_up_by_name_and_sorted() -> None:
    output = (
        "FREE 100 before\nPART module a 10\nPART object A 30\nPART module a 5\n"
        "FREE 80 modules\nFREE 50 after\n"
    )
    parts, free = heap_table.parse(output)
    assert parts == [heap_table.Part("object", "A", 30), heap_table.Part("module", "a", 15)]
    assert heap_table.table(parts, free).splitlines()[-1] == (
        "modules take 20 B, the start 30 B more, 50 B of 100 B stay free"
    )


def test_a_table_without_an_end_says_what_the_board_said_last() -> None:
    with pytest.raises(BoardError, match=r"(?s)did not start the application: .*MemoryError"):
        heap_table.parse("FREE 100 before\nMemoryError\n")


@pytest.fixture(scope="module")
def esp32(tmp_path_factory: pytest.TempPathFactory) -> Heap:
    """Measured once."""
    compiler = boardfile.BUILD / "mpy-cross" / "mpy-cross"
    return heap_check.measure("esp32", image_path(), compiler, tmp_path_factory.mktemp("heap"))


@pytest.mark.timeout(180)
def test_the_esp32_set_starts_on_the_emulated_board(
    esp32: Heap, record_property: Callable[[str, object], None]
) -> None:
    heap = esp32
    record_property("free", heap.line())
    assert heap.heap_bytes <= 163_840
    assert heap.free_bytes < heap.free_before_bytes - 10_000, (
        "the modules must have been loaded into the heap"
    )


@pytest.mark.timeout(180)
def test_the_esp32_set_leaves_its_budget(esp32: Heap) -> None:
    esp32.check()


@pytest.mark.xfail(
    strict=True,
    raises=BoardError,
    reason="missed: about 24 kB where the application's names are not in ROM, as on a published MicroPython",
)
@pytest.mark.timeout(400)
def test_the_esp32_set_leaves_its_budget_without_the_application_in_rom(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    image = build.build(heap_check.EMULATED, bare=True)
    heap = heap_check.measure("esp32", image, emulator.MPY_CROSS, tmp_path)
    record_property("free", heap.line())
    assert heap.free_bytes > 8192
    heap.check()


@pytest.mark.timeout(120)
def test_flash_puts_modules_onto_the_running_emulated_board_where_they_win_over_frozen_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = image_path()
    # a few modules are enough: all of them take a minute over the console
    modules, few = manifest.modules, ("bms/__init__.py", "main.py")

    def some(row: boardfile.BoardFile) -> list[manifest.Module]:
        return [m for m in modules(row) if m.target in few]

    monkeypatch.setattr(manifest, "modules", some)
    monkeypatch.setattr(boardfile, "BUILD", tmp_path / "build")
    with ReplBoard(tmp_path, image=image) as board:
        console = f"socket://127.0.0.1:{board.port}"
        assert flash.main(["mps2_an500", "--port", console]) == 0
        code = "import bms; print(bms.__file__)"
        ask = [sys.executable, "-m", "mpremote", "connect", console, "exec", code]
        answer = subprocess.run(ask, capture_output=True, text=True)
        assert answer.stdout.strip() == "/lib/bms/__init__.mpy", answer.stdout + answer.stderr
