"""Scenario files: what is shipped is sound; what is wrong is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from bms.tables import faults, params

from hil.scenario import ScenarioError, find_scenario, load_scenario, scenarios

GOOD: dict[str, Any] = {
    "name": "x",
    "title": "X",
    "duration_s": 5,
    "inject": [{"at_s": 1, "kind": "drop", "target": "cells"}],
    "expect": [{"trip": "cells_lost"}],
}


def load(tmp_path: Path, **change: Any) -> Any:
    path = tmp_path / "x.yaml"
    path.write_text(yaml.safe_dump({**GOOD, **change}))
    return load_scenario(path)


@pytest.mark.parametrize("name", scenarios())
def test_shipped_scenarios_load(name: str) -> None:
    assert find_scenario(name).name == name


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"expect": [{"trip": "cells_list"}]}, "'cells_list' is no row of the fault table"),
        ({"expect": [{"trip": "cells_lost", "no_faults": True}]}, "exactly one of"),
        ({"expect": []}, "expect"),
        ({"expect": [{"state": "closed", "latched": True}]}, "`latched` goes with `trip`"),
        ({"quantum_ticks": 20}, "quantum_ticks 1 only"),
        ({"duration_s": -1}, "duration_s"),
        ({"cell": "none"}, "'none' is none of"),
        ({"surprise": 1}, "surprise"),
        ({"mutate": {"cell_ov": 1}}, "'cell_ov' is no parameter"),
        ({"inject": [{"at_s": 1, "kind": "set", "target": "cell_mv"}]}, "either `value` or `beyond`"),
        ({"inject": [{"at_s": 1, "kind": "drop", "target": "cell_mv"}]}, "acts on a group of frames"),
        ({"inject": [{"at_s": 1, "kind": "set", "target": "cell_mv", "beyond": "nope"}]}, "no limit"),
        ({"inject": [{"at_s": 1, "kind": "drop", "target": "fast"}]}, "bad_quality"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path, **change)
    assert says in str(caught.value)
    assert "x.yaml" in str(caught.value)


def test_files_that_are_no_scenarios(tmp_path: Path) -> None:
    (tmp_path / "y.yaml").write_text("a: [")
    with pytest.raises(ScenarioError, match="not YAML"):
        load_scenario(tmp_path / "y.yaml")
    with pytest.raises(ScenarioError, match="No such file"):
        find_scenario(str(tmp_path / "z.yaml"))
    with pytest.raises(ScenarioError, match="is none of cell_over_voltage"):
        find_scenario("cell_overvoltage")


@pytest.mark.parametrize(
    "row", [row for row in faults.FAULTS if row.signal != "age_ms"], ids=lambda row: row.name
)
def test_beyond_lies_on_the_unsafe_side_of_the_limit(tmp_path: Path, row: faults.Fault) -> None:
    entry = {"at_s": 1, "kind": "set", "target": "cell_mv", "beyond": row.limit, "by": 7}
    value = load(tmp_path, inject=[entry]).inject[0].injection(params.NMC).value
    limit = params.preset(row.limit, params.NMC)[0]
    assert value - limit == (7 if row.compare == faults.ABOVE else -7)
