"""Cost of one safety tick on the emulated Cortex-M7: instructions and heap bytes, 16 cells, 4 sensors.

Counted under `-icount shift=0`, where one instruction is one nanosecond of device time; SysTick resolves 40.
Decoding of the front end's frames and encoding of ACTUATE are included; the line is an io.BytesIO, about what
a UART driver costs.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from bench.row import Row
from boards.tools import emulator

HELPERS = Path(__file__).resolve().parents[1] / "tests" / "firmware" / "rigless.py"

SCRIPT = """
import gc, io, json, mps2, micropython
from array import array
from rigless import String

END = 12  # bytes of the frame that ends a tick in lock-step only
string = String(n_cells=16, n_temps=4)
assert string.until(lambda: string.gate.bits == 5, 1000) > 0
cost = array("i", [0] * 400)
heap = array("i", [0] * 400)
tick = string.kernel.tick

class Line:
    pass

def stream(data):
    source = io.BytesIO(data)
    sink = io.BytesIO(64)
    line = Line()
    line.readinto = source.readinto
    line.write = sink.write
    line.wait_frame = lambda: False
    return line

def measure(n, frames):
    string.afe._stream = stream(frames)
    string.afe.lockstep = False
    gc.collect()
    before = gc.mem_alloc()
    start = mps2.counts()
    tick(0)
    cost[n] = mps2.counts() - start & 0x3fffffff
    heap[n] = gc.mem_alloc() - before

for n in range(400):
    if n == 300:
        string.cell_mv[3] = 4400
    frames = string.frames()
    string.tick_n += 1
    measure(n, frames[:-END])
    if string.kernel.due:
        string.kernel.done()
empty = mps2.counts()
empty = mps2.counts() - empty
kinds = {"FAST only": [], "FAST and CELLS": [], "FAST, CELLS and TEMPS": []}
start = string.tick_n - 400
for n in range(300):
    at = (start + n) % 20
    kind = "FAST, CELLS and TEMPS" if at == 0 else "FAST and CELLS" if at % 4 == 0 else "FAST only"
    kinds[kind].append(cost[n])
print(json.dumps({
    "kinds": {k: [sum(v) * 40 // len(v), max(v) * 40] for k, v in kinds.items()},
    "worst": max(cost) * 40,
    "tripped": string.active(3),
    "heap": max(heap),
    "empty": empty * 40,
}))
"""

SOAK_TICKS = 1_000_000
_SOAK = """
import gc
from rigless import Line, String

string = String(n_cells=16, n_temps=4)
assert string.until(lambda: string.gate.bits == 5, 1000) > 0
recorded = []
for n in range(20):
    recorded.append(string.frames())
    string.tick_n += 1
lines = [Line() for _ in recorded]
for i in range(20):
    lines[i].load(recorded[i])
afe = string.afe
kernel = string.kernel
tick = kernel.tick

def soak(rounds):
    for _ in range(rounds):
        afe._config()  # the same frames again are no repetition
        for line in lines:
            line._at = 0
            afe._stream = line
            tick(0)
        kernel.words[1] = 0  # the snapshot is taken

soak(2)
gc.collect()
gc.disable()
before = gc.mem_alloc()
soak(%d)
print(gc.mem_alloc() - before, kernel.contactor.gates)
"""


def _soak(board: emulator.ReplBoard) -> Row:
    """Heap bytes that so many ticks took, collection switched off."""
    used, gates = board.exec(_SOAK % (SOAK_TICKS // 20), timeout_s=3600, fresh=False).split()
    if gates != "5":
        raise RuntimeError(f"the contactors opened (gates {gates}) in the soak: the figure means nothing")
    return Row("heap over ticks back to back", int(used), "B", f"{SOAK_TICKS:,} ticks", "0")


def run() -> list[Row]:
    """Rows of the safety tick."""
    with (
        tempfile.TemporaryDirectory(prefix="ck-") as folder,
        emulator.ReplBoard(Path(folder), icount=emulator.COUNTED) as board,
    ):
        board.exec("pass")
        board.put("/rigless.py", HELPERS.read_bytes())
        result = json.loads(board.exec(SCRIPT, timeout_s=300, fresh=False))
        soak = _soak(board)
    if not result["tripped"]:
        raise RuntimeError("the over-voltage in the recorded frames did not trip: the figures mean nothing")
    rows = [
        Row(f"tick with {kind}", mean, "instructions", f"worst {worst:,}")
        for kind, (mean, worst) in result["kinds"].items()
    ]
    rows.append(Row("worst tick, trip included", result["worst"], "instructions", "16 cells", "<= 20,000"))
    rows.append(Row("heap per tick", result["heap"], "B", "400 ticks, worst", "0"))
    return [*rows, soak]
