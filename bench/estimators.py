"""Cost of the state-of-charge filter on the emulated Cortex-M7: instructions and heap bytes of a step.

Counted as in bench/tick.py, for the Python form (viper) and with the native module. A step is one sample
(1 s); every fourth also corrects the state. What it costs to be called from Python is part of it. A whole
string is the mean cell's filter and the differences of all cells to it, divided by the cells.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from bench.row import Row
from boards.tools import emulator, native
from boards.tools.file_system import write_files
from cloud.twin.cell import load_cell
from cloud.twin.device_tables import device_block

ARCH = "armv7emdp"
PYTHON, NATIVE = "<= 8000", "<= 600"

_SETUP = """
import gc, json, mps2, sys
from array import array
from bms.estimate import ekf as module
from bms.estimate.ekf import Ekf

with open("/block", "rb") as _f: _block = _f.read()
ekf = Ekf(%d, _block)
ekf.start(7000, 1000, False)
cost = array("i", [0] * 400)
"""
_MEAN = """
def measure(call):
    for n in range(20):
        call(1000, -3000, 3700 * 16, 250)
    for n in range(400):
        current_ma = -3000 if n & 8 else -500
        start = mps2.counts()
        call(1000, current_ma, 3700 * 16, 250)
        cost[n] = mps2.counts() - start & 0x3fffffff
    return sum(cost) * 40 // 400, max(cost) * 40

def inside(call, words, tables):
    total = 0
    for n in range(400):
        current_ma = -3000 if n & 8 else -500
        start = mps2.counts()
        call(words, tables, 1000, current_ma, 3700 * 16, 250, 0)
        total += mps2.counts() - start & 0x3fffffff
    return total * 40 // 400

def heap(call):
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for n in range(400):
        call(1000, -3000 if n & 8 else -500, 3700 * 16, 250)
    used = gc.mem_alloc() - before
    gc.enable()
    return used

mean, worst = measure(ekf.observe)
used = heap(ekf.observe)
ekf.start(7000, 1000, False)
inner = inside(module.observe, ekf.words, ekf.tab)
print(json.dumps([mean, worst, inner, used, "native_ekf" in sys.modules]))
"""

_STRING = """
from bms.estimate.differences import Differences
from bms.estimate.second import Second
from bms.sample import Snapshot

def whole(n):
    ekf.start(7000, 1000, False)
    cells = Differences(n, _block)
    snapshot = Snapshot(n, 1)
    mv = snapshot.cell_mv
    for i in range(n):
        mv[i] = 3680 + 40 * i // n
    means = Second(n)
    observe, follow, words, add = ekf.observe, cells.follow, ekf.words, means.add
    def sample(current_ma):
        start = mps2.counts()
        observe(1000, current_ma, 3700 * 16, 250)
        follow(words, mv)
        return mps2.counts() - start & 0x3fffffff
    def second(current_ma):
        snapshot.current_ma = current_ma
        snapshot.charge_ma_ms = current_ma * 100
        start = mps2.counts()
        while not add(snapshot):
            pass
        observe(1000, means.current_ma, means.mean_16mv, means.hot_dc)
        follow(words, mv)
        return mps2.counts() - start & 0x3fffffff
    snapshot.fast_known = snapshot.cells_known = snapshot.temps_known = True
    snapshot.temp_min_dc = snapshot.temp_max_dc = 250
    figures = []
    taken = array("i", [0] * 160)
    for call in (sample, second):
        gc.collect()
        gc.disable()
        before = gc.mem_alloc()
        for n in range(160):
            taken[n] = call(-3000 if n & 8 else -500)
        used = gc.mem_alloc() - before
        gc.enable()
        figures += [sum(taken) * 40 // 160, max(taken) * 40, used]
    return figures

print(json.dumps([whole(16), whole(96), "native_differences" in sys.modules]))
"""


def run() -> list[Row]:
    """Instructions of a step, on average and at worst, and heap bytes of 400 steps, in either form."""
    if lack := emulator.missing() or native.missing(ARCH):
        return [Row("EKF step", 0, "instructions", f"not measured: {lack}")]
    cell = load_cell("lg_hg2")
    setup = _SETUP % round(1000 * cell.capacity_ah)
    rows: list[Row] = []
    for form, files, target in (("viper", {}, PYTHON), ("native", native.board_files(ARCH), NATIVE)):
        with tempfile.TemporaryDirectory(prefix="ck-bench-") as name:
            nvm = emulator.blank_nvm(Path(name) / "nvm.bin")
            write_files(nvm, {**files, "/block": device_block(cell)})
            with emulator.ReplBoard(Path(name), icount=emulator.COUNTED, nvm=nvm) as board:
                rows += _rows(form, board.exec(setup + _MEAN, 300), target)
                rows += _string_rows(form, board.exec(setup + _STRING, 300), target)
    return rows


def _string_rows(form: str, output: str, target: str) -> list[Row]:
    few, many, is_native = json.loads(output)
    _check(form, is_native)
    rows: list[Row] = []
    for cells, (mean, worst, used, second, _, _) in ((16, few), (96, many)):
        label = f"EKF, whole string of {cells}, {form}"
        rows += [
            Row(f"{label}, per cell", mean // cells, "instructions", "one sample of 1 s, on average", target),
            Row(f"{label}, per cell, worst", worst // cells, "instructions", "of 1 s"),
            Row(
                f"{label}, per cell, ten periods",
                second // cells,
                "instructions",
                "with the means of 1 s (second.py)",
            ),
            Row(f"{label}, heap over 160 steps", used, "B", "", "0"),
        ]
    return rows


def _check(form: str, is_native: bool) -> None:
    if is_native != (form == "native"):
        raise RuntimeError(f"the board ran the other form than {form}: the figures mean nothing")


def _rows(form: str, output: str, target: str) -> list[Row]:
    mean, worst, inner, used, is_native = json.loads(output)
    _check(form, is_native)
    return [
        Row(f"EKF step, {form}", mean, "instructions", "Ekf.observe, one sample of 1 s", target),
        Row(f"EKF step, {form}, inner call", inner, "instructions", "without the method round it"),
        Row(f"EKF step, {form}, worst", worst, "instructions", "one that corrects the state"),
        Row(f"EKF heap over 400 steps, {form}", used, "B", "", "0"),
    ]
