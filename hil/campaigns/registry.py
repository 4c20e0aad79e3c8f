"""The campaigns of `make hil-full`, each as one part of its work."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hil.campaigns.dead_man import dead_man
from hil.campaigns.flips import flip_all, flip_some
from hil.campaigns.trips import summary, try_all

_BOARD_FLIPS_PER_COUNT = 10
"""A position on the board takes seconds: one for so many of --count."""


@dataclass(frozen=True)
class Campaign:
    """`run(count, seed, data)` gives what the results keep: `passed`, `detail` and figures."""

    name: str
    title: str
    run: Callable[[int, int, Path | None], dict[str, Any]]


def _trips(_: int, seed: int, data: Path | None) -> dict[str, Any]:
    folder = data or (Path(os.environ["CELLKEEPER_DATA"]) if os.environ.get("CELLKEEPER_DATA") else None)
    if folder is None or not folder.is_dir():
        return {"passed": True, "detail": "not run: no folder of measured logs (--data or CELLKEEPER_DATA)"}
    return summary(list(try_all(folder, seed)))


def campaigns() -> Iterator[Campaign]:
    """All of them, the quick ones first."""
    yield Campaign("bit_flips", "every bit of the kernel's memory", lambda _count, _seed, _data: flip_all())
    yield Campaign("dead_man", "a starved scheduled tick", lambda _count, _seed, _data: dead_man())
    yield Campaign(
        "board_bit_flips",
        "random bits of the emulated board's memory",
        lambda count, seed, _data: flip_some(max(1, count // _BOARD_FLIPS_PER_COUNT), seed),
    )
    yield Campaign("trips", "false and missed trips on measured drives", _trips)
