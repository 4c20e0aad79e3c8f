"""The campaigns of `make hil-full` that are one part of its work each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hil.campaigns import power_cut
from hil.campaigns.dead_man import dead_man
from hil.campaigns.flips import flip_all, flip_some
from hil.targets.base import ROOT

_BOARD_FLIPS_PER_COUNT = 10
"""A position on the board takes seconds: one for so many of --count."""


@dataclass(frozen=True)
class Campaign:
    """`run(count, seed, data)` gives what the results keep: `passed`, `detail` and figures."""

    name: str
    title: str
    run: Callable[[int, int, Path | None], dict[str, Any]]


def _board_cuts(count: int, seed: int, _: Path | None) -> dict[str, Any]:
    folder = ROOT / "build" / "hil" / "power-cut" / "mps2_an500"
    kept = power_cut.Campaign(folder / f"seed-{seed}.json", "mps2_an500", seed)
    try:
        for cut in power_cut.board_cuts(folder, seed, kept.done, count):
            kept.add(cut)
    finally:
        kept.save()
    return _cuts(kept)


def _simulated_cuts(_: int, seed: int, _data: Path | None) -> dict[str, Any]:
    kept = power_cut.Campaign(ROOT / "build" / "hil" / "power-cut" / "all.json", "cpython", seed)
    kept.result |= {"cuts": 0, "in_a_record": 0, "in_an_erase": 0, "failures": []}
    for cut in power_cut.simulated_cuts(seed, 0, 0):
        kept.add(cut)
    return _cuts(kept)


def _cuts(kept: power_cut.Campaign) -> dict[str, Any]:
    found = kept.result
    text = (
        f"{found['cuts']} cuts, seed {found['seed']}: {found['in_a_record']} in a record, "
        f"{found['in_an_erase']} in an erase, {len(kept.failures)} failures"
    )
    return {"passed": not kept.failures, "detail": text, **found}


def campaigns() -> Iterator[Campaign]:
    """All of them, the quick ones first."""
    yield Campaign("bit_flips", "every bit of the kernel's memory", lambda _count, _seed, _data: flip_all())
    yield Campaign("dead_man", "a starved scheduled tick", lambda _count, _seed, _data: dead_man())
    yield Campaign(
        "board_bit_flips",
        "random bits of the emulated board's memory",
        lambda count, seed, _data: flip_some(max(1, count // _BOARD_FLIPS_PER_COUNT), seed),
    )
    yield Campaign("power_cut", "power cuts of the emulated board", _board_cuts)
    yield Campaign("power_cut_every_bit", "power cuts at every bit of a simulated memory", _simulated_cuts)
