"""The rig's scenarios on every target: the same verdicts, the same trips, the same ACTUATE bytes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from cloud.twin.logs import Log
from hil.campaigns.dead_man import dead_man
from hil.campaigns.flips import KINDS, flip_some
from hil.logs import choose_log
from hil.runner import Outcome, RunOptions, run_scenario
from hil.scenario import find_scenario, scenarios

TARGETS = ("cpython", "unix", "mps2_an500")
ALIKE = (
    "cell_over_voltage",
    "lost_measurement",
    "drive_cycle",
    "brown_out_while_driving",
    "obedient_load",
    "welded_before_closing",
    "cell_under_voltage__drift",
    "discharge_over_current__step",
    "charge_over_current__reset",
    "isolation__weld",
    "cells_lost__stale",
    "cells_frozen__step",
    "contactor_not_closing__step",
    "thermal_runaway__drift",
)
"""A choice of what `make hil-full` tries on every target."""
REGRESSIONS = [name for name in scenarios() if name.startswith("regression_")]
CONTROLLER = [name for name in scenarios() if name.startswith("controller_")]


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


@pytest.mark.parametrize("name", ALIKE)
def test_a_scenario_passes_alike_on_every_target(name: str, outcomes: Callable[[str, str], Outcome]) -> None:
    for target in TARGETS:
        outcome = outcomes(name, target)
        assert outcome.passed, f"{target}: {outcome.error or outcome.checks}"
    first, *others = (outcomes(name, target) for target in TARGETS)
    for other in others:
        assert other.trips == first.trips
        assert other.sha256 == first.sha256, f"{other.target} sent other ACTUATE bytes than {first.target}"


@pytest.mark.parametrize("name", REGRESSIONS)
def test_a_known_defect_is_not_ours(name: str, log: Log) -> None:
    scenario = find_scenario(name)
    if scenario.slow:
        pytest.skip("takes minutes: make hil-full")
    assert scenario.defect
    outcome = run_scenario(scenario, log, RunOptions("unix"))
    assert outcome.passed, outcome.error or outcome.checks


def test_nine_defects_are_named() -> None:
    assert len(REGRESSIONS) == 9


@pytest.mark.parametrize("name", [*CONTROLLER, "watchdog_resets", "broker_dies"])
def test_the_protections_go_on_whatever_the_controller_does(name: str, log: Log) -> None:
    outcome = run_scenario(find_scenario(name), log, RunOptions("mps2_an500"))
    assert outcome.passed, outcome.error or outcome.checks


def test_a_starved_tick_opens_the_gates() -> None:
    found = dead_man()
    assert found["passed"], found["detail"]


def test_a_flipped_bit_on_the_board_does_no_harm(record_property: Callable[[str, object], None]) -> None:
    found = flip_some(2, seed=11)
    record_property("flips", found["detail"])
    assert sum(found[kind] for kind in KINDS) == 2
    assert found["passed"], found["exceptions"]


@pytest.mark.parametrize("target", TARGETS)
def test_a_mutated_limit_fails(target: str, log: Log) -> None:
    scenario = find_scenario("cell_over_voltage")
    mutant = scenario.model_copy(update={"mutate": {"cell_ov_mv": 4300}})
    outcome = run_scenario(mutant, log, RunOptions(target=target))
    assert not outcome.error
    assert not outcome.passed
