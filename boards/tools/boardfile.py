"""The one reader of board.toml.

title = "..."  arch = mpy-cross -march  safety_timer = hard | scheduled  tried_on = "..."
[flash]    method = esptool | usb_drive | console, root, and what the method needs
[budgets]  bytes: whole numbers above 0
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BOARDS = Path(__file__).resolve().parent.parent
BUILD = BOARDS.parent / "build"

METHODS = ("esptool", "usb_drive", "console")
TIMERS = ("hard", "scheduled")


class BoardError(Exception):
    """What the person has to put right, in one line."""


@dataclass(frozen=True)
class BoardFile:
    """One board.toml. `flash` and `budgets` (bytes) are its tables."""

    name: str
    title: str
    arch: str
    safety_timer: str
    tried_on: str
    flash: Mapping[str, Any]
    budgets: Mapping[str, int]

    @property
    def folder(self) -> Path:
        """The board's folder in the source tree."""
        return BOARDS / self.name

    @property
    def build(self) -> Path:
        """Where what is built for the board goes."""
        return BUILD / self.name

    def flash_setting(self, key: str, kind: type) -> Any:
        """flash.key of the given type; BoardError when it is absent or of another type."""
        value = self.flash.get(key)
        if not isinstance(value, kind):
            raise BoardError(
                f"boards/{self.name}/board.toml: flash.{key} is {value!r}, it must be {kind.__name__}"
            )
        return value

    def budget(self, key: str) -> int:
        """budgets.key in bytes; BoardError when it is absent."""
        if key not in self.budgets:
            raise BoardError(f"boards/{self.name}/board.toml: there is no budgets.{key}")
        return self.budgets[key]


def names() -> list[str]:
    """Every board that has a board.toml."""
    return sorted(path.parent.name for path in BOARDS.glob("*/board.toml"))


def read(name: str) -> BoardFile:
    """The board of that name; BoardError when there is none or its file is wrong."""
    path = BOARDS / name / "board.toml"
    if name not in names():
        raise BoardError(f"unknown board {name!r}; the boards are {', '.join(names())}")
    try:
        table = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise BoardError(f"boards/{name}/board.toml: {error}") from error
    return parse(name, table)


def parse(name: str, table: Mapping[str, Any]) -> BoardFile:
    """A BoardFile from a parsed board.toml; BoardError naming the key, the value and what would be right."""
    where = f"boards/{name}/board.toml"
    known = ("title", "arch", "safety_timer", "tried_on", "flash", "budgets")
    for key in table:
        if key not in known:
            raise BoardError(f"{where}: unknown key {key!r}, known are {', '.join(known)}")
    for key in ("title", "arch", "safety_timer", "tried_on"):
        if not isinstance(table.get(key), str):
            raise BoardError(f"{where}: {key} is {table.get(key)!r}, it must be text")
    if table["safety_timer"] not in TIMERS:
        raise BoardError(
            f"{where}: safety_timer is {table['safety_timer']!r}, it must be {' or '.join(TIMERS)}"
        )
    if not isinstance(table.get("flash"), dict) or not isinstance(table.get("budgets"), dict):
        raise BoardError(f"{where}: it needs the tables [flash] and [budgets]")
    flash: dict[str, Any] = table["flash"]
    budgets: dict[str, Any] = table["budgets"]
    if flash.get("method") not in METHODS:
        raise BoardError(
            f"{where}: flash.method is {flash.get('method')!r}, it must be one of {', '.join(METHODS)}"
        )
    for key, value in budgets.items():
        if type(value) is not int or value <= 0:
            raise BoardError(f"{where}: budgets.{key} is {value!r}, it must be a number of bytes above 0")
    return BoardFile(
        name, table["title"], table["arch"], table["safety_timer"], table["tried_on"], flash, budgets
    )
