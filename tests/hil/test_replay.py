"""`cellkeeper replay`: the same numbers on every target, and a clear word for what cannot be used."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from boards.tools import emulator
from cloud.training.networks import FOLDER
from cloud.twin.cell import load_cell
from cloud.twin.logs import Log, read_log
from cloud.twin.model import CellModel
from cloud.twin.table import Array
from hil.replay import Run, command, records, replay

CELL = load_cell("lg_hg2")
DATA = os.environ.get("CELLKEEPER_DATA", "")


@pytest.fixture(scope="module")
def drive() -> Log:
    """An hour of a cell of the type, driven hard from 80 %; true SoC in `soc`."""
    random = np.random.default_rng(5)
    model = CellModel(CELL, 0.8)
    current_a = np.repeat(random.normal(-1.5, 3.0, 360), 10)
    current_a[::50] = 0.0
    table = np.empty((3, len(current_a)))
    for n, i in enumerate(current_a):
        table[:, n] = model.step(float(i), 1.0, 25.0)[0], model.soc[0], model.temperature_c[0]
    voltage_v, soc, temperature_c = table
    time_s = np.arange(1.0, len(current_a) + 1)
    return Log("drive", "test", time_s, current_a, voltage_v, temperature_c, soc=soc)


def head(log: Log, rows: int) -> Log:
    """The log's first rows."""
    columns = ("time_s", "current_a", "voltage_v", "temperature_c")
    return replace(log, **{name: getattr(log, name)[:rows] for name in columns}, soc=truth(log)[:rows])


def truth(log: Log) -> Array:
    assert log.soc is not None
    return log.soc


def test_finds_the_soc_that_it_was_told_wrong(drive: Log) -> None:
    for told in (0.3, 0.8, 1.0):
        (found,) = replay([Run(drive, told)], CELL, "unix")
        wrong = np.abs(found.soc - truth(drive))
        assert wrong[600:].max() < 0.03, told
        assert (wrong < 2 * found.soc_sigma).mean() > 0.93


def test_targets_agree_to_the_bit(drive: Log) -> None:
    runs = [Run(drive, 0.5), Run(drive, 0.9, 0.02, rested=True)]
    for here, there in zip(replay(runs, CELL, "cpython"), replay(runs, CELL, "unix"), strict=True):
        assert np.array_equal(here.soc, there.soc)
        assert np.array_equal(here.soc_sigma, there.soc_sigma)
        assert np.array_equal(here.current_offset_a, there.current_offset_a)


@pytest.mark.parametrize("target", ["unix", "mps2_an500"])
def test_targets_agree_to_the_bit_on_what_a_network_advises(drive: Log, target: str) -> None:
    if target == "mps2_an500" and (lack := emulator.missing()):
        pytest.skip(lack)
    start = Run(head(drive, 90), 0.5)
    (here,), (there,) = (replay([start], CELL, on, "lg_hg2") for on in ("cpython", target))
    assert np.array_equal(here.soc, there.soc)
    assert np.array_equal(here.soc_sigma, there.soc_sigma)
    (alone,) = replay([start], CELL, "cpython")
    assert not np.array_equal(here.soc, alone.soc)
    assert np.array_equal(here.current_offset_a, alone.current_offset_a)


def test_a_gap_is_filled_and_then_counts_as_not_measured() -> None:
    time_s = np.array([0.0, 1.0, 301.5])
    log = Log("gap", "test", time_s, np.array([-1.0, -2.0, 0.0]), np.full(3, 3.7), np.full(3, 25.0), None)
    table = records(Run(log, 0.5))[1:]
    assert table[:, 0].sum() == 302_500
    assert table[:, 5].sum() == 3
    filled = table[(table[:, 5] == 0)]
    assert (filled[:, 2] == 0).all()
    assert (filled[:120, 1] == -2000).all()
    assert (filled[:120, 4] == 0).all()
    assert (filled[120:, 4] == filled[120:, 0]).all()


def written(log: Log, path: Path) -> Path:
    """The log as CSV."""
    columns = (log.time_s, log.current_a, log.voltage_v, log.temperature_c, truth(log))
    names = "time_s,current_a,voltage_v,temperature_c,soc"
    np.savetxt(path, np.stack(columns, axis=1), "%.6f", ",", header=names, comments="")
    return path


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_command_writes_a_row_per_row(tmp_path: Path, drive: Log, suffix: str) -> None:
    log = written(drive, tmp_path / "log.csv")
    out = tmp_path / f"out.{suffix}"
    done = CliRunner().invoke(command, [str(log), "--cell", "lg_hg2", "--target", "unix", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "MAE" in done.output
    assert out.stat().st_size > 1000
    assert len(read_log(log).time_s) == len(drive.time_s)


def test_the_network_is_the_cells_unless_told_otherwise(tmp_path: Path, drive: Log) -> None:
    log, found = written(head(drive, 300), tmp_path / "log.csv"), dict[str, str]()
    ways: dict[str, list[str]] = {
        "by cell": [],
        "by name": ["--network", "lg_hg2"],
        "by path": ["--network", str(FOLDER / "soc_lg_hg2.ckls")],
        "other": ["--network", "panasonic_pf"],
        "none": ["--no-network"],
    }
    for way, options in ways.items():
        out = tmp_path / f"{way}.csv"
        arguments = [str(log), "--cell", "lg_hg2", "--target", "unix", "--out", str(out), *options]
        done = CliRunner().invoke(command, arguments)
        assert done.exit_code == 0, done.output
        found[way] = out.read_text()
    assert found["by cell"] == found["by name"] == found["by path"]
    assert len({found["by cell"], found["other"], found["none"]}) == 3


@pytest.mark.parametrize(
    ("network", "said"), [("nimh", "no network for 'nimh'"), ("gone.ckls", "gone.ckls: no such file")]
)
def test_a_network_that_is_not_there_is_refused(tmp_path: Path, drive: Log, network: str, said: str) -> None:
    log = written(head(drive, 5), tmp_path / "log.csv")
    arguments = [str(log), "--cell", "lg_hg2", "--network", network, "--out", str(tmp_path / "o.csv")]
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 1
    assert said in done.output


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("1,0,nan,25", "voltage_v"),
        ("-5,0,3.7,25", "time_s"),
        ("1,99999,3.7,25", "current_a"),
        ("1,0,9,25", "9"),
    ],
)
def test_bad_input_is_refused_with_a_reason(tmp_path: Path, row: str, said: str) -> None:
    log = tmp_path / "log.csv"
    log.write_text(f"time_s,current_a,voltage_v,temperature_c\n0,0,3.7,25\n{row}\n2,0,3.7,25\n")
    done = CliRunner().invoke(command, [str(log), "--cell", "lg_hg2", "--out", str(tmp_path / "o.csv")])
    assert done.exit_code == 1
    assert said in done.output


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.skipif(not DATA, reason="CELLKEEPER_DATA names no measured logs")
@pytest.mark.parametrize("target", ["unix", "mps2_an500"])
def test_every_measured_drive_gives_the_same_bits(target: str) -> None:
    drives = ("Mixed", "US06", "UDDS")
    folder = Path(DATA) / "lg_hg2"
    paths = sorted(path for kind in drives for path in folder.glob(f"*_{kind}*.parquet"))
    assert len(paths) > 20
    for path in paths:
        run = Run(read_log(path), 0.7)
        (here,), (there,) = replay([run], CELL, "cpython"), replay([run], CELL, target)
        assert np.array_equal(here.soc, there.soc), path.name
        assert np.array_equal(here.soc_sigma, there.soc_sigma), path.name
        assert np.array_equal(here.current_offset_a, there.current_offset_a), path.name
