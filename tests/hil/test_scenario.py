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
        ({"quantum_ticks": 21}, "quantum_ticks"),
        ({"targets": ["toaster"]}, "toaster is none of"),
        ({"covers": ["cell_list", "step"]}, "no row of the fault table"),
        ({"expect": [{"state": "shut"}]}, "none of boot"),
        ({"duration_s": -1}, "duration_s"),
        ({"cell": "none"}, "'none' is none of"),
        ({"surprise": 1}, "surprise"),
        ({"mutate": {"cell_ov": 1}}, "'cell_ov' is no parameter"),
        ({"inject": [{"at_s": 1, "kind": "set", "target": "cell_mv"}]}, "either `value` or `beyond`"),
        (
            {"inject": [{"at_s": 1, "kind": "drop", "target": "cell_mv"}]},
            "acts on fast, cells, temps, not on 'cell_mv'",
        ),
        ({"inject": [{"at_s": 1, "kind": "set", "target": "cell_mv", "beyond": "nope"}]}, "no limit"),
        ({"inject": [{"at_s": 1, "kind": "melt", "target": "fast"}]}, "kind 'melt' is none of"),
        ({"inject": [{"at_s": 1, "kind": "restart", "value": 1}]}, "neither `value`"),
        (
            {"inject": [{"at_s": 1, "kind": "set", "target": "pack_mv", "value": 1, "really": True}]},
            "only cell_mv",
        ),
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
    with pytest.raises(ScenarioError, match="is none of broker_dies"):
        find_scenario("cell_overvoltage")


@pytest.mark.parametrize(
    "row", [row for row in faults.FAULTS if row.limit and row.signal != "age_ms"], ids=lambda row: row.name
)
def test_beyond_lies_on_the_unsafe_side_of_the_limit(tmp_path: Path, row: faults.Fault) -> None:
    entry = {"at_s": 1, "kind": "set", "target": "cell_mv", "beyond": row.limit, "by": 7}
    value = load(tmp_path, inject=[entry]).inject[0].injection(params.NMC).value
    limit = params.preset(row.limit, params.NMC)[0]
    assert value - limit == (7 if row.compare == faults.ABOVE else -7)


def test_a_limit_of_cells_in_series_is_multiplied_for_the_pack(tmp_path: Path) -> None:
    entry = {"at_s": 1, "kind": "set", "target": "pack_mv", "beyond": "pack_ov_cell_mv", "by": 10}
    made = load(tmp_path, inject=[entry]).inject[0].injection(params.NMC, series=12)
    assert made.value == 12 * (params.preset("pack_ov_cell_mv", params.NMC)[0] + 10)


def test_a_run_is_coarse_until_shortly_before_its_first_fault(tmp_path: Path) -> None:
    made = load(tmp_path, quantum_ticks=4, duration_s=3)
    assert made.pieces() == [(160, 4), (440, 1)]
    assert load(tmp_path, fine_s=2).pieces() == [(400, 1), (600, 1)]
