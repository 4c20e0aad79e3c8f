"""`cellkeeper`: a room that cannot be loaded harms no other."""

from importlib.metadata import EntryPoint

import pytest
from click.testing import CliRunner

from cloud import cli

ROOMS = {
    "serve": EntryPoint("serve", "cloud.serve:serve", cli.GROUP),
    "missing": EntryPoint("missing", "no_such_module_xyz:run", cli.GROUP),
    "broken": EntryPoint("broken", "cloud.serve:no_such_command", cli.GROUP),
}


def listed(group: str, name: str | None = None) -> list[EntryPoint]:
    assert group == cli.GROUP
    return [room for room in ROOMS.values() if name in (None, room.name)]


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setattr(cli, "entry_points", listed)
    return CliRunner()


def test_help_lists_every_room(runner: CliRunner) -> None:
    result = runner.invoke(cli.main, ["--help"], terminal_width=200)
    assert result.exit_code == 0
    assert "Run the cloud" in result.output
    assert "not available: needs the Python module 'no_such_module_xyz'" in result.output


def test_a_missing_module_is_one_line(runner: CliRunner) -> None:
    for arguments in (["missing"], ["missing", "run", "--fast"], ["missing", "--help"]):
        result = runner.invoke(cli.main, arguments)
        assert result.exit_code == 1
        assert result.output.count("\n") == 1
        assert "`cellkeeper missing` needs the Python module 'no_such_module_xyz'" in result.output


def test_a_broken_room_says_so_and_the_others_work(runner: CliRunner) -> None:
    assert "is broken" in runner.invoke(cli.main, ["broken"]).output
    assert runner.invoke(cli.main, ["serve", "--help"]).exit_code == 0
    assert runner.invoke(cli.main, ["nonsense"]).exit_code == 2
