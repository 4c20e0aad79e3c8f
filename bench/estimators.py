"""Cost of the state-of-charge filter on the emulated Cortex-M7: instructions and heap bytes of a step.

Counted as in bench/tick.py, for the Python form (viper) and with the native module. A step is one sample
(1 s); every fourth also corrects the state. What it costs to be called from Python is part of it.
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

_SCRIPT = """
import gc, json, mps2, sys
from array import array
from bms.estimate import ekf as module
from bms.estimate.ekf import Ekf

with open("/block", "rb") as _f: _block = _f.read()
ekf = Ekf(%d, _block)
ekf.start(7000, 1000, False)
cost = array("i", [0] * 400)

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
inner = inside(module.observe, ekf.words, ekf._tab)
print(json.dumps([mean, worst, inner, used, "native_ekf" in sys.modules]))
"""


def run() -> list[Row]:
    """Instructions of a step, on average and at worst, and heap bytes of 400 steps, in either form."""
    if lack := emulator.missing() or native.missing(ARCH):
        return [Row("EKF step", 0, "instructions", f"not measured: {lack}")]
    cell = load_cell("lg_hg2")
    script = _SCRIPT % round(1000 * cell.capacity_ah)
    rows: list[Row] = []
    for form, files, target in (("viper", {}, PYTHON), ("native", native.board_files(ARCH), NATIVE)):
        with tempfile.TemporaryDirectory(prefix="ck-bench-") as name:
            nvm = emulator.blank_nvm(Path(name) / "nvm.bin")
            write_files(nvm, {**files, "/block": device_block(cell)})
            with emulator.ReplBoard(Path(name), icount=emulator.COUNTED, nvm=nvm) as board:
                rows += _rows(form, board.exec(script, 300), target)
    return rows


def _rows(form: str, output: str, target: str) -> list[Row]:
    mean, worst, inner, used, is_native = json.loads(output)
    if is_native != (form == "native"):
        raise RuntimeError(f"the board ran the other form than {form}: the figures mean nothing")
    return [
        Row(f"EKF step, {form}", mean, "instructions", "Ekf.observe, one sample of 1 s", target),
        Row(f"EKF step, {form}, inner call", inner, "instructions", "without the method round it"),
        Row(f"EKF step, {form}, worst", worst, "instructions", "one that corrects the state"),
        Row(f"EKF heap over 400 steps, {form}", used, "B", "", "0"),
    ]
