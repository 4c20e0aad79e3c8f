"""The int8 LSTM for the state of charge: accuracy on measured cells, cost on the emulated Cortex-M7.

Accuracy: the shipped networks on MicroPython's unix port, over the logs and cases of bench/accuracy.py; the
network is told no state of charge. Cost: counted under `-icount shift=0`; a multiply-accumulate is one weight
of a layer, padding not counted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from bench.accuracy import SETS, Held, Score, plan_of, score
from bench.row import Row
from boards.tools import emulator, native
from boards.tools.file_system import write_files
from cloud.training.blob import Output, pack
from cloud.training.networks import blob_of, record_of, shipped
from cloud.training.quantised import Layer, Matrix
from cloud.twin.cell import CellFile, load_cell
from cloud.twin.table import Array
from cloud.twin.trials import mean_mae
from hil.replay import Run, records

ROOT = Path(__file__).resolve().parents[1]
INT8_LOSS = 0.1
PER_MAC = {"viper": 40, "native": 3}

_REPLAY = """
import sys
sys.path.insert(0, {firmware!r})
import bms
from array import array
from bms.estimate.lstm_soc import LstmSoc
with open({blob!r}, "rb") as file:
    soc = LstmSoc({capacity}, file.read())
result = array("H", [0, 0])
with open({source!r}, "rb") as source, open({sink!r}, "wb") as sink:
    while True:
        piece = source.read(24 * 256)
        if not piece:
            break
        record = array("i", piece)
        for at in range(0, len(record), 6):
            if record[at] == 0:
                soc.restart()
                continue
            soc.observe(record[at], record[at + 1], record[at + 2], record[at + 3], record[at + 4])
            if record[at + 5]:
                result[0] = soc.soc_cpct
                result[1] = soc.sigma_cpct
                sink.write(bytes(result))
"""


def on_unix(network: bytes, capacity_mah: int, runs: Sequence[Run]) -> list[tuple[Array, Array]]:
    """SoC and sigma (0..1) of each row of each run, by the network on MicroPython's unix port."""
    micropython = Path(sys.executable).with_name("micropython")
    with tempfile.TemporaryDirectory(prefix="ck-lstm-") as name:
        paths = {part: str(Path(name) / part) for part in ("blob", "source", "sink")}
        Path(paths["blob"]).write_bytes(network)
        Path(paths["source"]).write_bytes(b"".join(records(run).tobytes() for run in runs))
        code = _REPLAY.format(firmware=str(ROOT / "firmware"), capacity=capacity_mah, **paths)
        done = subprocess.run([str(micropython), "-c", code], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"the unix port failed: {(done.stdout + done.stderr).strip()[-500:]}")
        raw = np.frombuffer(Path(paths["sink"]).read_bytes(), dtype="<u2").reshape(-1, 2) / 10_000
    ends = np.cumsum([len(run.log.time_s) for run in runs])
    if len(raw) != ends[-1]:
        raise RuntimeError(f"the unix port gave {len(raw)} results for {ends[-1]} rows")
    return [(part[:, 0], part[:, 1]) for part in np.split(raw, ends[:-1])]


def scores(data: Path, held: Held, name: str) -> list[Score]:
    """Scores of the shipped network `name` on every held-back log and case."""
    cell: CellFile = load_cell(held.cell)
    plan = plan_of(data, held, cell)
    capacity_mah = round(record_of(name)["capacity_ah"] * 1000)
    found = on_unix(blob_of(name), capacity_mah, [run for *_, run in plan])
    return [
        score(run.log, ambient_c, case, weight, soc, sigma)
        for (ambient_c, case, weight, run), (soc, sigma) in zip(plan, found, strict=True)
    ]


def _accuracy(name: str, ours: list[Score]) -> Iterator[Row]:
    yield Row(f"{name}: network alone, mean MAE", mean_mae(ours), "points", "temperatures and five cases")
    temperatures = sorted({s.ambient_c for s in ours})
    at = {t: [s for s in ours if s.ambient_c == t] for t in temperatures}
    yield Row(f"{name}: worst temperature", max(mean_mae(at[t]) for t in temperatures), "points")
    largest = max(ours, key=lambda s: s.largest)
    note = f"{largest.log}, {largest.case}"
    yield Row(f"{name}: max after 600 s", largest.largest, "points", note)
    inside = 100 * float(np.mean([s.inside for s in ours]))
    yield Row(f"{name}: within 2 sigma", inside, "%", "pooled", "93-99")
    for t in temperatures:
        for case in dict.fromkeys(s.case for s in at[t]):
            some = [s for s in at[t] if s.case == case]
            figures = zip(*((s.rmse, s.p99, s.largest) for s in some), strict=True)
            note = "RMSE {:.2f}, p99 {:.2f}, max {:.2f}".format(*(float(np.mean(v)) for v in figures))
            yield Row(f"{name} {t:+.0f} degC, {case}", float(np.mean([s.mae for s in some])), "points", note)
    record = record_of(SETS[name].cell)
    loss = record["int8"]["mean_mae"] - record["float"]["mean_mae"]
    yield Row(f"{name}: int8 against float", loss, "points", "mean MAE", f"<= {INT8_LOSS}")


ARCH = "armv7emdp"
_COUNT = """
import gc, mps2, sys
from array import array
from bms.estimate.lstm import Lstm
with open("/{name}", "rb") as file:
    blob = file.read()
gc.collect()
before = gc.mem_alloc()
net = Lstm(blob)
gc.collect()
ram = gc.mem_alloc() - before
cost = array("i", [0] * 20)
heap = array("i", [0] * 20)
def measure(n):
    gc.collect()
    before = gc.mem_alloc()
    start = mps2.counts()
    net.step()
    cost[n] = mps2.counts() - start & 0x3fffffff
    heap[n] = gc.mem_alloc() - before
for n in range(20):
    for i in range(net.features):
        net.x[i] = (37 * n + 11 * i) & 255
    measure(n)
print(sum(cost) * 2, max(heap), ram, "native_lstm" in sys.modules)
"""
_OBSERVE = """
import gc, mps2
from array import array
from bms.estimate.lstm_soc import LstmSoc
with open("/{name}", "rb") as file:
    soc = LstmSoc(3000, file.read())
cost = array("i", [0] * 20)
heap = array("i", [0] * 20)
def measure(n):
    gc.collect()
    before = gc.mem_alloc()
    start = mps2.counts()
    soc.observe(1000, -1500 - 7 * n, 59000 - 20 * n, 250)
    cost[n] = mps2.counts() - start & 0x3fffffff
    heap[n] = gc.mem_alloc() - before
for n in range(20):
    measure(n)
print(sum(cost) * 2, max(heap))
"""


def _random(inputs: int, units: Sequence[int]) -> bytes:
    """A network whose values mean nothing: what a step costs does not depend on them."""
    rng = np.random.default_rng(1)
    layers: list[Layer] = []
    for n in units:
        scale = np.full(4, 0.004, dtype=np.float32)
        kernel, recurrent = (
            Matrix(rng.integers(-127, 128, (4, n, k)).astype(np.int8), scale) for k in (inputs, n)
        )
        bias = np.zeros((4, n), dtype=np.int32)
        layers.append(Layer(1 / 128, 0, 1 / 128, 0, 12, kernel, recurrent, bias))
        inputs = n
    return pack(layers, Output(rng.integers(-127, 128, inputs).astype(np.int8), 0.004, 0))


def _macs(inputs: int, units: Sequence[int]) -> int:
    sizes = [inputs, *units]
    return sum(4 * n * (k + n) for k, n in zip(sizes, units, strict=False)) + units[-1]


def cost() -> Iterator[Row]:
    """Instructions, heap and RAM of a step on the emulated board, in either form."""
    yield from _cost_of("viper", {})
    if lack := native.missing(ARCH):
        yield Row("shipped, native", 0, "instructions/MAC", f"not measured: {lack}")
    else:
        yield from _cost_of("native", native.board_files(ARCH))


def _cost_of(form: str, files: Mapping[str, bytes]) -> Iterator[Row]:
    tried = {
        "shipped": (blob_of("lg_hg2"), 16, record_of("lg_hg2")["plan"]["units"]),
        "64 and 32 units": (_random(16, (64, 32)), 16, [64, 32]),
    }
    with tempfile.TemporaryDirectory(prefix="ck-") as folder:
        nvm = emulator.blank_nvm(Path(folder) / "nvm.bin")
        write_files(nvm, {**files, **{f"/{name}": tried[name][0] for name in tried}})
        with emulator.ReplBoard(Path(folder), icount=emulator.COUNTED, nvm=nvm) as board:
            for name, (network, inputs, units) in tried.items():
                mean, heap, ram, in_c = board.exec(_COUNT.format(name=name), timeout_s=120).split()
                if (in_c == "True") != (form == "native"):
                    raise RuntimeError(f"the board ran the other form than {form}: the figures mean nothing")
                macs = _macs(inputs, units)
                note = f"{int(mean):,} a step, {macs:,} multiply-accumulates"
                per_mac, bound = int(mean) / macs, f"<= {PER_MAC[form]}"
                yield Row(f"{name}, {form}", per_mac, "instructions/MAC", note, bound)
                yield Row(f"{name}, {form}: heap per step", int(heap), "B", "20 steps, worst", "0")
                note = f"weights and words {len(network):,} B"
                yield Row(f"{name}, {form}: RAM beside the weights", int(ram), "B", note)
            mean, heap = board.exec(_OBSERVE.format(name="shipped"), timeout_s=120).split()
    yield Row(f"shipped, {form}: a sample, features included", int(mean), "instructions", "once a second")
    yield Row(f"shipped, {form}: heap per sample", int(heap), "B", "20 samples, worst", "0")


def run() -> list[Row]:
    """Rows of every shipped network whose logs CELLKEEPER_DATA holds, and of the cost."""
    data = Path(os.environ.get("CELLKEEPER_DATA", ""))
    rows: list[Row] = []
    for name, held in SETS.items():
        if held.cell in shipped() and (data / held.folder).is_dir():
            rows += _accuracy(name, scores(data, held, held.cell))
    return [*rows, *cost()]


if __name__ == "__main__":
    print(json.dumps([row.as_dict() for row in run()], indent=1))
