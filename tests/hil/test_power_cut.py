"""Power cuts in the simulated NOR, and that the campaign finds what is wrong with a worse journal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bms.memory.journal import Journal
from bms.memory.kinds import LATCHED
from click.testing import CliRunner

from hil.campaigns.journal_check import Found, judge
from hil.campaigns.power_cut import power_cut, simulated_cuts, total
from hil.campaigns.simulated_cut import CutNor, Life


def failures(count: int, seed: int = 3) -> list[str]:
    return [problem for cut in simulated_cuts(seed, 0, count) for problem in cut["problems"]]


def test_no_cut_loses_what_is_stored() -> None:
    cuts = list(simulated_cuts(3, 0, 200))
    assert len(cuts) == 400 == total("cpython", 3, 200)
    assert [cut["problems"] for cut in cuts if cut["problems"]] == []
    assert sum(cut["torn"] for cut in cuts) > 50
    assert sum(cut["half_erased"] for cut in cuts) > 50


def test_every_bit_is_a_point() -> None:
    points = Life(5, (), lambda _point, _found, _problems: None).run()
    seen: list[int] = []
    Life(5, range(200), lambda point, _found, problems: seen.extend([point] * (not problems))).run()
    assert seen == [point for point in range(200) for _ in range(2)]
    assert total("cpython", 5, 0) == 2 * points > 100_000


def test_a_journal_that_does_not_carry_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_carry(_: Journal) -> bool:
        return False

    monkeypatch.setattr(Journal, "_carry", no_carry)
    assert any("kind 1" in problem for problem in failures(100))


def test_a_journal_that_erases_what_looks_alive_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    program = CutNor.program

    def no_retiring(self: CutNor, addr: int, data: bytes) -> None:
        if data != bytes(16):
            program(self, addr, data)

    monkeypatch.setattr(CutNor, "program", no_retiring)
    assert any("damaged" in problem for problem in failures(150))


def test_the_judge() -> None:
    found = Found({LATCHED: b"a"}, [(LATCHED, 7, b"a")], 0, False, False)
    assert judge(found, {LATCHED: [b"a"]}, {(LATCHED, b"a")}) == []
    assert "found 61" in judge(found, {LATCHED: [b"b", None]}, {(LATCHED, b"a")})[0]
    assert "record 7 of kind 1" in judge(found, {}, [])[0]
    found.last[LATCHED] = None
    found.damaged = 2
    told = judge(found, {LATCHED: [b""]}, {(LATCHED, b"a")})
    assert "nothing" in told[0]
    assert "2 records" in told[1]


def test_the_command_resumes_and_fails_when_something_did(tmp_path: Path) -> None:
    words = ["--target", "cpython", "--count", "30", "--seed", "9", "--out", str(tmp_path)]
    first = CliRunner().invoke(power_cut, words)
    assert first.exit_code == 0, first.output
    assert "seed 9" in first.output
    assert "60 cuts" in first.output.replace("\n", " ")
    (results,) = (tmp_path / "cpython").glob("*.json")
    kept = json.loads(results.read_text())
    assert (kept["cuts"], kept["failures"]) == (60, [])
    results.write_text(json.dumps(kept | {"cuts": 40, "failures": [{"n": 5, "problems": ["made up"]}]}))
    second = CliRunner().invoke(power_cut, [*words, "--json"])
    assert second.exit_code == 1
    again = json.loads(second.output)
    assert again["cuts"] == 60
    assert again["failures"][0]["problems"] == ["made up"]
    assert "made up" in CliRunner().invoke(power_cut, words).output
