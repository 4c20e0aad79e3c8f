"""Robot library: a test for every scenario in the list that `cellkeeper hil list` prints."""

from __future__ import annotations

from typing import Any


class ScenarioTests:
    """Adds tests to the suite that imports it, from its setup on. Needs nothing but Robot Framework."""

    ROBOT_LIBRARY_SCOPE = "SUITE"
    ROBOT_LISTENER_API_VERSION = 3

    def __init__(self) -> None:
        self.ROBOT_LIBRARY_LISTENER = self
        self._suite: Any = None

    def _start_suite(self, data: Any, result: Any) -> None:  # pyright: ignore[reportUnusedFunction]  Robot calls it
        self._suite = data

    def add_scenario_tests(self, listing: str, only: str) -> None:
        """One test for each line of `listing`, or for the scenario `only`."""
        names = [line.split()[0] for line in listing.splitlines() if line.strip()]
        if only and only not in names:
            raise ValueError(f"scenario {only!r} is none of {', '.join(names)}")
        for name in [only] if only else names:
            test = self._suite.tests.create(name=name)
            test.body.create_keyword(name="Scenario Should Pass", args=(name,))
