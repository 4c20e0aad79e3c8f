"""The emulated board loses its power while it writes its journals, and boots again on the same NVM."""

from __future__ import annotations

from pathlib import Path

from hil.campaigns.board_cut import BoardCuts

CUTS = 20
SEED = 7


def test_twenty_power_cuts_lose_nothing_and_make_nothing_up(tmp_path: Path) -> None:
    cuts = BoardCuts(tmp_path, SEED, renew=10)
    made = [cuts.cut(n) for n in range(CUTS)]
    assert [cut.problems for cut in made if cut.problems] == []
    assert sum(cut.seen > 0 for cut in made) > CUTS // 2, "the board stored next to nothing"
    assert any(cut.torn or cut.half_erased for cut in made), "no cut fell into a write"
