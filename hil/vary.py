"""Variants of a scenario: its faults shifted against the sample periods."""

from __future__ import annotations

from typing import Any

from hil.expect import Expect
from hil.link import TICK_MS
from hil.scenario import Inject, Scenario

_PERIOD_TICKS = 20
"""Of the slowest samples: TEMPS."""
_STRIDE = 7
"""Phases are so many ticks apart, modulo the period: few of them still meet every place of a CELLS period."""


def shifted(scenario: Scenario, phase: int) -> Scenario:
    """The scenario with all its times later by phase * 7 ticks modulo 20; phase 0 is the scenario itself."""
    late_s = phase * _STRIDE % _PERIOD_TICKS * TICK_MS / 1000
    if not late_s or scenario.duration_s == "log":
        return scenario

    def later(seconds: float | None) -> float | None:
        return seconds if not seconds else round(seconds + late_s, 6)

    inject = tuple(i.model_copy(update={"at_s": later(i.at_s)}) for i in scenario.inject)
    expect = tuple(
        e.model_copy(update={name: later(getattr(e, name)) for name in ("by_s", "until_s", "onset_s")})
        for e in scenario.expect
    )
    change: dict[str, Any] = {"duration_s": later(scenario.duration_s), "fine_s": later(scenario.fine_s)}
    kept: tuple[tuple[Inject, ...], tuple[Expect, ...]] = (inject, expect)
    return scenario.model_copy(update={**change, "inject": kept[0], "expect": kept[1]})
