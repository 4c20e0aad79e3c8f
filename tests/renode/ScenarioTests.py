"""Robot library: a test for every scenario in the list that `cellkeeper hil list` prints."""

from __future__ import annotations

from robot import result, running
from robot.api.deco import keyword, library


@library(scope="SUITE", auto_keywords=False)
class ScenarioTests:
    """Adds tests to the suite that imports it, from its setup on."""

    ROBOT_LISTENER_API_VERSION = 3

    def __init__(self) -> None:
        self.ROBOT_LIBRARY_LISTENER = self
        self._suite: running.TestSuite | None = None

    def start_suite(self, data: running.TestSuite, result: result.TestSuite) -> None:
        """Called by Robot: remembers the suite."""
        self._suite = data

    @keyword
    def add_scenario_tests(self, listing: str, only: str) -> None:
        """One test for each line of `listing`, or for the scenario `only`."""
        assert self._suite is not None
        names = [line.split()[0] for line in listing.splitlines() if line.strip()]
        if only and only not in names:
            raise ValueError(f"scenario {only!r} is none of {', '.join(names)}")
        for name in [only] if only else names:
            test = self._suite.tests.create(name=name)
            test.body.create_keyword(name="Scenario Should Pass", args=(name,))
