"""The shipped networks: what the device reads fits, and int8 costs nearly nothing on logs left out."""

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bms.estimate.lstm_soc import LstmSoc

from bench.accuracy import SETS
from bench.lstm import INT8_LOSS, scores
from cloud.training import judge
from cloud.training.features import Window
from cloud.training.networks import FOLDER, blob_of, path_of, record_of, shipped
from cloud.training.predict import SocPredictor
from cloud.training.split import SPLITS, read_split

DATA = Path(os.environ.get("CELLKEEPER_DATA", ""))
needs_data = pytest.mark.skipif(not (DATA / "lg_hg2").is_dir(), reason="CELLKEEPER_DATA has no measured logs")
SIZE_MAX = 400_000


def test_all_together_are_small() -> None:
    assert shipped()
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < SIZE_MAX


@pytest.mark.parametrize("name", shipped())
def test_the_record_says_how_it_was_made(name: str) -> None:
    record = record_of(name)
    assert record["command"].startswith(f"cellkeeper train --model soc --split {name} ")
    split = json.loads((SPLITS / f"{name}.json").read_text())
    assert record["train"] == split["train"]
    tested = {score["log"] for score in record["int8"]["scores"]}
    assert tested == set(split["test"])
    assert not tested & set(record["train"] + record["watch"])
    network = LstmSoc(round(record["capacity_ah"] * 1000), blob_of(name)).network
    assert network.features == len(record["features"])
    assert network.period_ms == 1000


@needs_data
@pytest.mark.parametrize("name", shipped())
def test_int8_loses_nearly_nothing(name: str) -> None:
    record = record_of(name)
    split = read_split(name, DATA)
    over = judge.trial(split.test, split.capacity_ah)
    rows = [Window(**row) for row in record["features"]]
    with np.load(path_of(name, ".npz")) as weights:
        floats = judge.mean_mae(over.scores(judge.float_soc(weights, rows, over)))
    assert floats == pytest.approx(record["float"]["mean_mae"], abs=0.01)
    held = next(held for held in SETS.values() if held.cell == name)
    whole = judge.mean_mae(_judged(scores(DATA, held, name)))
    assert whole <= floats + INT8_LOSS
    assert whole == pytest.approx(record["int8"]["mean_mae"], abs=0.03)


def _judged(ours: Sequence[object]) -> list[judge.Score]:
    names = ("log", "ambient_c", "case", "weight", "mae", "rmse", "p99", "largest")
    return [judge.Score(*(getattr(s, name) for name in names)) for s in ours]


@pytest.mark.skipif(importlib.util.find_spec("tflite_micro") is None, reason="tflite-micro (extra train)")
@pytest.mark.parametrize("name", shipped())
def test_the_tflite_file_is_the_same_network(name: str) -> None:
    runtime: Any = importlib.import_module("tflite_micro").runtime
    interpreter = runtime.Interpreter.from_file(str(path_of(name, ".tflite")))
    device = LstmSoc(3000, blob_of(name)).network
    rng = np.random.default_rng(2)
    for _ in range(60):
        x = rng.integers(-128, 128, device.features)
        interpreter.set_input(x.astype(np.int8).reshape(1, 1, -1), 0)
        interpreter.invoke()
        for i, value in enumerate(x.tolist()):
            device.x[i] = value + 128
        assert device.step() / 65536 == pytest.approx(float(interpreter.get_output(0).item()), abs=1e-4)


def test_a_person_at_a_desk_can_ask_it() -> None:
    predictor = SocPredictor("lg_hg2")
    soc = sigma = 0.0
    for _ in range(60):
        soc, sigma = predictor.predict_realtime(4.15, -0.5, 25.0)
    assert 0.85 < soc <= 1.0
    assert 0 < sigma < 0.05
    with pytest.raises(ValueError, match="voltage_v is nan; must be 0 to 6"):
        predictor.predict_realtime(float("nan"), 0.0, 25.0)
    with pytest.raises(ValueError, match="no network for 'unknown'"):
        SocPredictor("unknown")


def test_training_is_not_needed_to_use_them() -> None:
    code = (
        "import sys, cloud.training.predict as p; p.SocPredictor('lg_hg2'); sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
