"""Cost of the state-of-charge filter on the emulated Cortex-M7: instructions and heap bytes of a step.

Counted as in bench/tick.py. A step is one sample (1 s); every fourth also corrects the state.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from bench.row import Row
from boards.tools import emulator
from cloud.twin.cell import load_cell
from cloud.twin.device_tables import device_block

_SCRIPT = """
import gc, json, mps2
from array import array
from bms.estimate.ekf import Ekf

with open("/block", "rb") as _f: _block = _f.read()
ekf = Ekf(%d, _block)
ekf.start(7000, 1000, False)
cost = array("i", [0] * 400)
observe = ekf.observe
for n in range(20):
    observe(1000, -3000, 3700 * 16, 250)
for n in range(400):
    start = mps2.counts()
    observe(1000, -3000 if n & 8 else -500, 3700 * 16, 250)
    cost[n] = mps2.counts() - start & 0x3fffffff
gc.collect()
gc.disable()
before = gc.mem_alloc()
for n in range(400):
    observe(1000, -3000 if n & 8 else -500, 3700 * 16, 250)
used = gc.mem_alloc() - before
gc.enable()
print(json.dumps([sum(cost) * 40 // 400, max(cost) * 40, used]))
"""


def run() -> list[Row]:
    """Instructions of a step, on average and at worst, and heap bytes of 400 steps."""
    if lack := emulator.missing():
        return [Row("EKF step", 0, "instructions", f"not measured: {lack}")]
    cell = load_cell("lg_hg2")
    with (
        tempfile.TemporaryDirectory(prefix="ck-bench-") as folder,
        emulator.ReplBoard(Path(folder), icount=emulator.COUNTED) as board,
    ):
        board.exec("pass")
        board.put("/block", device_block(cell))
        mean, worst, used = json.loads(board.exec(_SCRIPT % round(1000 * cell.capacity_ah), 300, fresh=False))
    return [
        Row("EKF step", mean, "instructions", "viper, one sample of 1 s", "<= 8000"),
        Row("EKF step, worst", worst, "instructions", "one that corrects the state", ""),
        Row("EKF heap over 400 steps", used, "B", "", "0"),
    ]
