"""One whole measured drive cycle in lock-step on the emulated Cortex-M7."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hil.logs import find_drive
from hil.runner import RunOptions, run_scenario
from hil.scenario import find_scenario


@pytest.mark.timeout(2400)
def test_soc_stays_within_3_points_from_full_to_empty(
    data: Path, record_property: Callable[[str, object], None]
) -> None:
    """The log's own voltages; the board finds its start from the open-circuit voltage."""
    log = find_drive(data, short=True)
    scenario = find_scenario("drive_cycle")
    kept = [entry for entry in scenario.expect if entry.soc_error_points or entry.no_faults]
    changes = {"source": "replay", "duration_s": "log", "start_soc": 1.0, "rest_s": 0.0, "expect": kept}
    assert len(kept) == 2
    outcome = run_scenario(scenario.model_copy(update=changes), log, RunOptions(target="mps2_an500"))
    assert outcome.passed, outcome.error or outcome.checks
    for check in outcome.checks:
        record_property(check.expectation, check.detail)
    assert len(outcome.record.frames()) > 0.98 * 200 * log.time_s[-1]
