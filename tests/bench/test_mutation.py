"""The mutation score: mutants are what they say, and what the tests find is told from what they do not."""

import ast

import pytest

from bench.mutants import ROOT, compiled, mutants, path_of
from bench.mutation import SUITES, survivors


@pytest.mark.parametrize("module", SUITES)
def test_every_mutant_is_another_program(module: str) -> None:
    sound = compile(ast.parse(path_of(module).read_text("utf-8")), str(path_of(module)), "exec")
    for mutant in mutants(module)[::7]:
        assert compiled(mutant) != sound, mutant.what


def test_rows_of_the_fault_table_keep_what_decides_nothing() -> None:
    path = path_of("bms.tables.faults")
    at = next(n for n, line in enumerate(path.read_text("utf-8").splitlines(), 1) if "Fault(9," in line)
    places = tuple(f"{path.relative_to(ROOT)}:{n}: " for n in (at, at + 1))
    rows = [mutant.what for mutant in mutants("bms.tables.faults") if mutant.what.startswith(places)]
    changed = {what.split("  in  ")[0].split(": ", 1)[1] for what in rows}
    assert changed == {
        "'charge_over_temp_dc'  ->  'charge_over_temp_clear_dc'",
        "'charge_over_temp_clear_dc'  ->  'charge_over_temp_dc'",
        "20  ->  21",
        "20  ->  19",
        "ABOVE  ->  BELOW",
        "SELF_CLEARING  ->  LATCHED",
        "OPEN_SOFT  ->  DERATE",
        "CHARGING  ->  ALWAYS",
        "False  ->  True",
    }


def test_what_the_tests_find_is_told_from_what_they_do_not() -> None:
    every = mutants("bms.link.frame")
    found, endless, unseen = (
        next(mutant for mutant in every if part in mutant.what)
        for part in (
            "words[BAD_CRC] += 1  ->  pass",
            "i += 1  ->  pass",
            "fill <= MAX_RAW + 1",  # writes one byte more, which lies in the buffer and is never read
        )
    )
    told: list[str] = []
    assert survivors([found, endless, unseen], 2, told.append) == [unseen]
    assert told[-1] == "mutants: 3 of 3, 2 killed"
    assert f"survived: {unseen.what}" in told
