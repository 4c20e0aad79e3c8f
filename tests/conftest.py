"""Shared by every test room."""

import signal

import pytest

# A script's background job starts with SIGINT ignored, and what tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

LONGEST = "test_drive_cycle.py"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever the random order: the longest file starts first, so that the two workers end together."""
    items.sort(key=lambda item: item.path.name != LONGEST)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests recorded with `record_property`: figures are worth seeing when they hold, too."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    figures = [(report.nodeid, *entry) for report in reports for entry in report.user_properties]
    if figures:
        terminalreporter.section("figures")
    for test, name, value in figures:
        terminalreporter.line(f"{test.rpartition('::')[2]}: {name}: {value}")
