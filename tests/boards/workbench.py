"""Boards under test: every board.py, on fakes of its hardware's modules where it has any."""

import importlib.util
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fakes import hardware

ROOT = Path(__file__).resolve().parents[2]
MACHINE_BOARDS = ("esp32", "esp32s3", "mimxrt1060_evk")
FAKED_BOARDS = (*MACHINE_BOARDS, "mps2_an500")


@dataclass
class Bench:
    """A board's module on a fake chip; `root` stands for the device's file system."""

    name: str
    module: types.ModuleType
    chip: hardware.Chip
    root: Path

    def board(self) -> Any:
        """Start it."""
        return self.module.Board()


def load(name: str) -> types.ModuleType:
    """boards/<name>/board.py as a fresh module."""
    spec = importlib.util.spec_from_file_location(f"board_{name}", ROOT / "boards" / name / "board.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
