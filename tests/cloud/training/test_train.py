"""Training: it learns, repeats itself, rounds as the device does. PyTorch comes with `make train`."""

import importlib
import importlib.util
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from cloud.training import judge
from cloud.training.command import train_command
from cloud.training.split import Named
from cloud.twin.logs import Log

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is not installed (make train installs it)"
)


def log(seed: int, ambient_c: float) -> Named:
    """A cell whose voltage is 3.2 V + SoC less 50 mOhm times current, discharged at random."""
    rng = np.random.default_rng(seed)
    current_a = -np.repeat(rng.uniform(0, 12, 60), 20)
    soc = 1 + np.cumsum(current_a) / (3 * 3600)
    voltage_v = 3.2 + soc + 0.05 * current_a
    return Named(
        Log(str(seed), "", np.arange(1200.0), current_a, voltage_v, np.full(1200, ambient_c), soc), ambient_c
    )


def trained(seed: int = 1) -> Any:
    train: Any = importlib.import_module("cloud.training.train")
    plan = train.Plan(
        units=[6], seed=seed, epochs=12, rounded_epochs=3, lanes=16, length=480, chunk=48, rate=2e-2
    )
    logs = [log(1, 25), log(2, 0), log(3, 25)]
    return train.train(logs, [log(4, 25)], 3.0, plan, print)


@needs_torch
def test_learns_and_repeats_itself_and_int8_follows() -> None:
    network: Any = importlib.import_module("cloud.training.network")
    first, again = trained(), trained()
    assert first.losses[-1]["watch"] < 0.5 * first.losses[0]["train"]
    assert [e["train"] for e in first.losses] == [e["train"] for e in again.losses]
    over = judge.trial([log(5, 25)], 3.0)
    weights = {k: v.numpy() for k, v in first.floats.items()}
    floats = judge.mean_mae(over.scores(judge.float_soc(weights, first.rows, over)))
    layers, output = network.quantise(first.model, first.bits)
    soc = judge.int8_soc(layers, output, first.rows, over)
    assert judge.mean_mae(over.scores(soc)) < floats + 1.0
    # what training took for rounding is what the device does, but for the activations' tables
    x = judge.scaled(over.found, first.rows) / 128
    tensor: Any = importlib.import_module("torch").from_numpy(x.astype(np.float32))
    states = network.start(first.model, x.shape[1])
    simulated = network.run_rounded(first.model, tensor, states, first.bits)[0].detach().numpy()
    measured = over.lanes.measured
    assert np.abs(np.clip(simulated, 0, 1) - soc)[measured].mean() < 0.004


@needs_torch
def test_gradients_with_rounding_are_those_without() -> None:
    torch: Any = importlib.import_module("torch")
    network: Any = importlib.import_module("cloud.training.network")
    model = network.network(5, [6, 4], 1)
    torch.manual_seed(0)
    x = torch.round(torch.randn(30, 3, 5).clamp(-1, 0.99) * 128) / 128

    def gradients(run: Any) -> dict[str, Any]:
        model.zero_grad()
        (run()[0] ** 2).mean().backward()
        return {name: p.grad.clone() for name, p in model.named_parameters()}

    plain = gradients(lambda: network.run(model, x, network.start(model, 3)))
    rounded = gradients(lambda: network.run_rounded(model, x, network.start(model, 3), [13, 13]))
    for name, wanted in plain.items():
        assert float((rounded[name] - wanted).norm()) < 0.02 * float(wanted.norm()), name


def test_what_cannot_be_trained_says_why(tmp_path: Any) -> None:
    runner = CliRunner()
    asked = runner.invoke(train_command, ["--model", "soc", "--data", str(tmp_path), "--split", "nothing"])
    assert asked.exit_code == 1
    has_torch = importlib.util.find_spec("torch") is not None
    assert ("no such split" if has_torch else "pip install torch==2.13.0") in asked.output
    for units, says in (("x", "whole numbers such as 24 or 128,64"), ("300", "1 to 256 units")):
        asked = runner.invoke(train_command, ["--model", "soc", "--data", str(tmp_path), "--units", units])
        assert asked.exit_code == 2
        assert says in asked.output
