"""The generated scenarios: every protection has one, and a choice of them holds on the unix port."""

from __future__ import annotations

import pytest
from bms.tables import faults

from hil.cases import UNDETECTABLE
from hil.expect import FAULT_ROWS
from hil.hazards import HAZARDS
from hil.matrix import matrix
from hil.runner import RunOptions, run_scenario
from hil.scenario import load_scenario, scenarios
from hil.vary import shifted

ELSEWHERE = {
    "parameters_corrupt": "campaign bit_flips",
    "state_corrupt": "campaign bit_flips",
    "task_overrun": "watchdog_resets, watchdog_slow_task",
    "tick_overrun": "needs a tick that is late: no fault of the pack",
    "watchdog_reset": "watchdog_derates",
    "brownout_reset": "brownout_derates",
    "nvm_corrupt": "nvm_corrupt",
    "internal_short": "internal_short",
}
"""Rows that no generated scenario can make trip, and what tries them."""

CHOICE = ("pack_over_voltage__step", "charge_overload__spike", "sum_of_cells__noise", "cells_lost__drop")


def test_every_protection_is_tried() -> None:
    covered = {scenario.covers[0] for scenario in matrix().values() if scenario.covers}
    assert covered | set(ELSEWHERE) == set(FAULT_ROWS)
    assert not covered & set(ELSEWHERE)


def test_names_say_what_they_cover() -> None:
    for name, scenario in matrix().items():
        assert scenario.covers
        assert name == "__".join(scenario.covers)
        assert (scenario.covers[0], scenario.covers[1]) not in UNDETECTABLE


@pytest.mark.parametrize("name", CHOICE)
def test_it_holds(name: str) -> None:
    outcome = run_scenario(matrix()[name], None, RunOptions("unix"))
    assert outcome.passed, outcome.error or outcome.checks


def test_a_shifted_one_holds_and_reacts_from_its_own_offence() -> None:
    scenario = shifted(matrix()["cell_over_voltage__step"], 3)
    assert scenario.inject[0].at_s == pytest.approx(3.505)
    outcome = run_scenario(scenario, None, RunOptions("unix", seed=9))
    assert outcome.passed, outcome.error or outcome.checks
    assert 0 < (outcome.trips[0].reaction_ms or 0) <= FAULT_ROWS["cell_over_voltage"].max_reaction_ms
    assert shifted(scenario, 0) is scenario


def test_a_trip_that_should_not_come_fails_the_scenario() -> None:
    spike = matrix()["cell_over_voltage__spike"]
    longer = spike.model_copy(
        update={"inject": tuple(i.model_copy(update={"for_s": 0.1}) for i in spike.inject)}
    )
    outcome = run_scenario(longer, None, RunOptions("cpython"))
    assert outcome.error == ""
    assert [check.detail for check in outcome.checks] == ["cell_over_voltage"]


def test_hazards_name_rows_and_scenarios_that_exist() -> None:
    names = {*scenarios(), *matrix()}
    for hazard in HAZARDS:
        assert set(hazard.protections) <= set(FAULT_ROWS)
        files = {name for name in hazard.scenarios if not name.startswith("campaign ")}
        assert files <= names, hazard.id
        assert hazard.clauses
    assert len({hazard.id for hazard in HAZARDS}) == len(HAZARDS)
    answered = {name for hazard in HAZARDS for name in hazard.protections}
    assert answered == {row.name for row in faults.FAULTS}


def test_shipped_scenarios_name_their_targets() -> None:
    for path in scenarios().values():
        scenario = load_scenario(path)
        if scenario.controller or scenario.resets:
            assert scenario.targets == ("mps2_an500",)
