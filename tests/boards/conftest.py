"""Boards under test: every board.py, on fakes of its hardware's modules where it has any."""

import importlib
import os
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).resolve().parents[2]
for _folder in (_ROOT / "firmware", _ROOT / "boards" / "common", Path(__file__).parent):
    if str(_folder) not in sys.path:
        sys.path.insert(0, str(_folder))

importlib.import_module("bms")  # installs the desk's stand-ins
from fakes import hardware  # noqa: E402
from workbench import Bench, load  # noqa: E402


@pytest.fixture
def make_bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """A function that puts a board on a bench."""

    def make(name: str) -> Bench:
        chip = hardware.Chip()
        for module_name, module in hardware.modules(chip).items():
            monkeypatch.setitem(sys.modules, module_name, module)
        for module_name in [key for key in sys.modules if key == "hal" or key.startswith("hal.")]:
            monkeypatch.delitem(sys.modules, module_name)
        monkeypatch.setattr(time, "ticks_ms", chip.ticks_ms, raising=False)
        monkeypatch.setattr(time, "ticks_diff", hardware.ticks_diff, raising=False)
        monkeypatch.setattr(time, "sleep_ms", chip.advance, raising=False)
        monkeypatch.setattr(os, "uname", lambda: types.SimpleNamespace(machine=f"fake {name}"))
        module = load(name)
        monkeypatch.setattr(module, "ROOT", f"{tmp_path}/", raising=False)
        return Bench(name, module, chip, tmp_path)

    yield make
    # what was imported on this chip must not outlive it
    for module_name in [key for key in sys.modules if key == "hal" or key.startswith("hal.")]:
        del sys.modules[module_name]
