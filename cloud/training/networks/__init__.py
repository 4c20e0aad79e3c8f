"""The trained networks that are shipped: blob, float weights, .tflite, and how each was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def shipped() -> list[str]:
    """Cell types that have a network for the state of charge."""
    return sorted(path.stem.removeprefix("soc_") for path in FOLDER.glob("soc_*.ckls"))


def path_of(name: str, suffix: str) -> Path:
    """The file `suffix` (.ckls, .npz, .tflite, .json) of the network for `name`. Raises ValueError."""
    path = FOLDER / f"soc_{name}{suffix}"
    if not path.is_file():
        raise ValueError(f"no network for {name!r}; there are {', '.join(shipped())}")
    return path


def blob_of(name: str) -> bytes:
    """What the device reads."""
    return path_of(name, ".ckls").read_bytes()


def record_of(name: str) -> dict[str, Any]:
    """Seed, command, logs and score."""
    return json.loads(path_of(name, ".json").read_text("utf-8"))


def load_network(name: str) -> tuple[bytes, float]:
    """Blob and the cell's rated capacity in Ah, of a shipped network or of a .ckls file with its .json beside
    it. Raises ValueError naming what is missing."""
    path = Path(name) if name.endswith(".ckls") else path_of(name, ".ckls")
    record = path.with_suffix(".json")
    for file in (path, record):
        if not file.is_file():
            raise ValueError(f"{file}: no such file; a network is NAME.ckls with NAME.json beside it")
    capacity_ah = json.loads(record.read_text("utf-8")).get("capacity_ah")
    if not isinstance(capacity_ah, int | float) or capacity_ah <= 0:
        raise ValueError(f"{record}: capacity_ah is {capacity_ah!r}; it must be above 0")
    return path.read_bytes(), float(capacity_ah)
