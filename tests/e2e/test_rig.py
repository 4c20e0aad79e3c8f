"""The rig's scenarios on every target: the same verdicts, the same trips, the same ACTUATE bytes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from cloud.twin.logs import Log
from hil.logs import choose_log
from hil.runner import Outcome, RunOptions, run_scenario
from hil.scenario import find_scenario, scenarios

TARGETS = ("cpython", "unix", "mps2_an500")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """Measured where CELLKEEPER_DATA is set, else simulated."""
    return choose_log(None, tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def outcomes(log: Log) -> Callable[[str, str], Outcome]:
    """Runs a scenario on a target, once."""

    @cache
    def outcome(name: str, target: str) -> Outcome:
        return run_scenario(find_scenario(name), log, RunOptions(target=target))

    return outcome


@pytest.mark.parametrize("name", scenarios())
def test_a_scenario_passes_alike_on_every_target(name: str, outcomes: Callable[[str, str], Outcome]) -> None:
    for target in TARGETS:
        outcome = outcomes(name, target)
        assert outcome.passed, f"{target}: {outcome.error or outcome.checks}"
    first, *others = (outcomes(name, target) for target in TARGETS)
    for other in others:
        assert other.trips == first.trips
        assert other.sha256 == first.sha256, f"{other.target} sent other ACTUATE bytes than {first.target}"


@pytest.mark.parametrize("target", TARGETS)
def test_a_mutated_limit_fails(target: str, log: Log) -> None:
    scenario = find_scenario("cell_over_voltage")
    mutant = scenario.model_copy(update={"mutate": {"cell_ov_mv": 4300}})
    outcome = run_scenario(mutant, log, RunOptions(target=target))
    assert not outcome.error
    assert not outcome.passed
