"""The native kernels: built, loaded where they are on the path, and equal to the Python forms bit by bit."""

from __future__ import annotations

import binascii
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from boards.tools import boardfile, emulator, manifest, mpy, native
from boards.tools.file_system import write_files
from cloud.training.blob import Output, pack
from cloud.training.quantised import Layer, Matrix

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests" / "firmware"
BOARD = "armv7emdp"
STEPS = 40
HELPERS = ("run_tests", "ekf_vectors", "difference_vectors", "lstm_vectors", "lstm_golden")
TESTED = ("test_ekf", "test_differences", "test_lstm")
LOADED = "['native_differences', 'native_ekf', 'native_lstm']"

SUITES = f"""
import sys
import run_tests
failed = sum([run_tests.run(name) for name in {TESTED}])
print(failed, sorted(name for name in sys.modules if name.startswith("native_")))
"""
NETWORK = """
import binascii
from lstm_vectors import drive
for text in {networks!r}:
    network = binascii.a2b_base64(text)
    apart = bytearray(len(network) + 1)
    apart[1:] = network
    print(drive(network, {units}, {steps}, 5), drive(memoryview(apart)[1:], {units}, {steps}, 5))
"""
REFUSED = """
from array import array
from bms.estimate import ekf_kernel as k
from native_differences import follow
from native_ekf import observe
from native_lstm import step
from ekf_vectors import block
import ekf_vectors, bms.estimate.ecm, bms.estimate.differences
tables = bms.estimate.ecm.load(block(ekf_vectors.Random(1)))
words = array("i", [k.BIAS] * k.CAPACITY + [0] * (k.WORDS - k.CAPACITY))
def refused(call, *args):
    try:
        call(*args)
    except Exception as error:
        print(type(error).__name__)
    else:
        print("was taken")
refused(observe, words[:-1], tables, 1000, 0, 50000, 250, 0)
refused(observe, words, tables[:-1], 1000, 0, 50000, 250, 0)
refused(observe, words, tables, 1000, 0, 50000, 250, 0)
refused(observe, 5, tables, 1000, 0, 50000, 250, 0)
cells = bms.estimate.differences.Differences(3, block(ekf_vectors.Random(1))).words
cell_mv = array("H", [3600] * 3)
refused(follow, cells[:-1], words, tables, cell_mv)
refused(follow, cells, words[:-1], tables, cell_mv)
refused(follow, cells, words, tables[:-1], cell_mv)
refused(follow, cells, words, tables, cell_mv[:-1])
refused(follow, array("i", [0] * 100), words, tables, cell_mv)
refused(step, [(1, 2, 3)], (1, 2, 3, 4, 5), 0, 0)
refused(step, [], (1, 2, 3), 0, 0)
"""


def on_unix(code: str, modules: Path | None) -> str:
    """What the unix port prints, with or without the native modules on its path."""
    path = [str(modules)] if modules else []
    code = f"import sys; sys.path[:0] = {[*path, str(ROOT / 'firmware'), str(TESTS)]!r}\nimport bms\n{code}"
    micropython = Path(sys.executable).with_name("micropython")
    ran = subprocess.run([str(micropython), "-c", code], capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def x64() -> Path:
    assert native.modules(native.UNIX)
    return native.folder(native.UNIX)


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulator.ReplBoard]:
    """An emulated board with the native modules in /lib and the vectors beside them."""
    folder = tmp_path_factory.mktemp("native")
    files = native.board_files(BOARD)
    for name in HELPERS + TESTED:
        out = folder / f"{name}.mpy"
        cross = [str(emulator.MPY_CROSS), f"-march={BOARD}", "-s", f"{name}.py", "-o", str(out)]
        subprocess.run([*cross, str(TESTS / f"{name}.py")], check=True)
        files[f"/{name}.mpy"] = out.read_bytes()
    nvm = emulator.blank_nvm(folder / "nvm.bin")
    write_files(nvm, files)
    with emulator.ReplBoard(folder, nvm=nvm) as running:
        yield running


def network(weight_scale: float, units: int) -> bytes:
    """Random weights; above 1/32 the scale of a sum is above 1: a left shift, and nothing to round."""
    rng = np.random.default_rng(3)
    scale = np.full(4, weight_scale, dtype=np.float32)
    kernel, recurrent = (
        Matrix(rng.integers(-127, 128, (4, units, n)).astype(np.int8), scale) for n in (5, units)
    )
    bias = rng.integers(-2000, 2000, (4, units)).astype(np.int32)
    layer = Layer(1 / 128, 3, 1 / 128, -4, 12, kernel, recurrent, bias)
    return pack([layer], Output(rng.integers(-127, 128, units).astype(np.int8), 0.004, 7))


NETWORKS = [network(0.003, 9), network(0.05, 9), network(0.2, 9)]


def network_code() -> str:
    texts = [binascii.b2a_base64(blob, newline=False).decode() for blob in NETWORKS]
    return NETWORK.format(networks=texts, units=9, steps=STEPS)


def test_all_are_loaded_on_the_unix_port_and_pass_its_tests(x64: Path) -> None:
    assert on_unix(SUITES, x64).splitlines()[-1] == f"0 {LOADED}"


def test_without_them_the_python_forms_run() -> None:
    code = (
        "import bms.estimate.differences, bms.estimate.lstm\nprint([m for m in sys.modules if 'native' in m])"
    )
    assert on_unix(code, None).strip() == "[]"


def test_all_are_loaded_on_the_board_and_pass_its_tests(board: emulator.ReplBoard) -> None:
    assert board.exec(SUITES, 480).splitlines()[-1] == f"0 {LOADED}"


def test_networks_of_any_scale_and_alignment(x64: Path, board: emulator.ReplBoard) -> None:
    reference = on_unix(network_code(), None).split("\n")
    assert len(set(reference)) == 1 + len(NETWORKS)
    assert on_unix(network_code(), x64).split("\n") == reference
    on_board = board.exec("import native_lstm\n" + network_code(), 120)
    assert on_board.replace("\r", "").split("\n") == reference


def test_what_would_read_elsewhere_is_refused(x64: Path, board: emulator.ReplBoard) -> None:
    of_the_filter = ["ValueError", "ValueError", "ZeroDivisionError", "TypeError"]
    expected = of_the_filter + ["ValueError"] * 7
    assert on_unix(REFUSED, x64).split() == expected
    assert board.exec(REFUSED).split() == expected


def test_a_set_of_modules_that_imports_them_has_them(tmp_path: Path) -> None:
    row = boardfile.read("mimxrt1060_evk")
    main = tmp_path / "main.py"
    main.write_text("from bms.estimate.ekf import Ekf\nprint(Ekf)\n")
    modules = [m for m in manifest.modules(row) if m.target != mpy.MAIN]
    modules.append(manifest.Module(main, mpy.MAIN, 0))
    sizes = mpy.build_mpy(row.name, tmp_path / "with", modules=modules, natives=native.modules)
    module = native.folder(row.arch) / "native_ekf.mpy"
    assert sizes.bytes_by_file["lib/native_ekf.mpy"] == module.stat().st_size
    assert (tmp_path / "with/device/lib/native_ekf.mpy").read_bytes() == module.read_bytes()
    assert "lib/native_lstm.mpy" not in sizes.bytes_by_file
    recorded = json.loads((tmp_path / "with/sizes.json").read_text())
    assert "lib/native_ekf.mpy" in recorded["files"]
    without = mpy.build_mpy(row.name, tmp_path / "without", modules=modules)
    assert set(sizes.bytes_by_file) - set(without.bytes_by_file) == {"lib/native_ekf.mpy"}


def test_an_architecture_without_its_compiler_says_so_in_one_line(tmp_path: Path) -> None:
    for arch, what in (("xtensawin", "xtensa-esp32-elf-gcc is not on PATH"), (BOARD, "arm-none-eabi-gcc is")):
        command = [sys.executable, "-m", "boards.tools.native", arch]
        env = {**os.environ, "PATH": str(tmp_path)}
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert what in done.stderr
        assert "the Python forms run there" in done.stderr
