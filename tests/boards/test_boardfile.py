"""board.toml and its one reader."""

from typing import Any

import pytest

from boards.tools import boardfile
from boards.tools.boardfile import BoardError


def good() -> dict[str, Any]:
    return {
        "title": "T", "arch": "xtensawin", "safety_timer": "hard", "tried_on": "",
        "flash": {"method": "esptool", "baud": 9600}, "budgets": {"mpy": 1},
    }  # fmt: skip


def test_every_board_in_the_tree_is_read() -> None:
    assert set(boardfile.names()) >= {"esp32", "esp32s3", "mimxrt1060_evk", "mps2_an500"}
    for name in boardfile.names():
        row = boardfile.read(name)
        assert row.name == name
        assert row.folder.joinpath("board.py").is_file()
        assert row.folder.joinpath("manifest.py").is_file()


def test_an_unknown_board_is_named_with_those_that_are_known() -> None:
    with pytest.raises(BoardError, match=r"unknown board 'esp99'; the boards are esp32, "):
        boardfile.read("esp99")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arch": 5}, "arch is 5, it must be text"),
        ({"safety_timer": "soft"}, "safety_timer is 'soft', it must be hard or scheduled"),
        ({"flash": {"method": "magic"}}, "flash.method is 'magic'"),
        ({"flash": None}, r"it needs the tables \[flash\] and \[budgets\]"),
        ({"budgets": {"mpy": "much"}}, "budgets.mpy is 'much'"),
        ({"budgets": {"mpy": True}}, "budgets.mpy is True"),
        ({"budgets": {"mpy": 0}}, "budgets.mpy is 0"),
        ({"colour": "red"}, "unknown key 'colour'"),
    ],
)
def test_a_wrong_value_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BoardError, match=r"boards/b/board.toml: .*" + message):
        boardfile.parse("b", good() | change)


def test_settings_and_budgets_that_are_asked_for_must_be_there() -> None:
    row = boardfile.parse("b", good())
    assert row.flash_setting("baud", int) == 9600
    assert row.budget("mpy") == 1
    with pytest.raises(BoardError, match=r"flash.chip is None, it must be str"):
        row.flash_setting("chip", str)
    with pytest.raises(BoardError, match=r"there is no budgets.heap"):
        row.budget("heap")
