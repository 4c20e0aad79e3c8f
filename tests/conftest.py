"""Shared by every test room."""

import pytest

LONGEST = "test_drive_cycle.py"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever the random order: the longest file starts first, so that the two workers end together."""
    items.sort(key=lambda item: item.path.name != LONGEST)
