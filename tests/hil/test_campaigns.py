"""The long campaigns, cut short: they find what is there and do not find what is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bms.tables import faults, params

from hil.bad_broker import BadBroker
from hil.campaigns.flips import KINDS, flip_all
from hil.campaigns.reference import Crossing, crossings, judge
from hil.campaigns.samples import RATE_HZ, Drive, Noise, Truth, drives
from hil.campaigns.trips import summary, try_drive
from hil.full import Journal
from hil.simulate import drive_profile

ROW = next(row for row in faults.FAULTS if row.name == "cell_under_voltage")


def made_drive(seconds: int = 90) -> Drive:
    """A drive whose cell falls below its limit for some seconds, twice, and whose shunt peaks once."""
    time_s = np.arange(float(seconds))
    current_a = np.clip(drive_profile(seconds, 3.0), -12, 4)
    current_a[70:72] = -26.0
    cell_v = 3.6 + 0.03 * current_a
    cell_v[30:36] = 2.5
    cell_v[50:53] = 2.6
    return Drive("made", params.NMC, time_s, current_a, cell_v, np.full(seconds, 25.0))


@pytest.mark.parametrize("interpreter", ["cpython", "unix"])
def test_the_kernel_trips_when_it_should_and_only_then(interpreter: str) -> None:
    finding = try_drive(made_drive(), 5, interpreter)
    assert (finding.false, finding.missed) == ([], [])
    assert finding.trips >= 3
    result = summary([finding])
    assert result["passed"]
    assert result["true_trips"] == finding.trips


def test_a_trip_without_a_crossing_is_false_and_a_crossing_without_a_trip_is_missed() -> None:
    beyond = np.zeros(100_000, dtype=bool)
    beyond[50_000:50_010] = True
    crossing = Crossing(ROW, beyond, beyond)
    due = (50_000 + ROW.fresh) * 4 + 1
    assert judge(crossing, [due], [(due, due + 1000)]) == ([], [])
    assert judge(crossing, [1], []) == ([1], [due])
    assert judge(crossing, [], [(due + 8, due + 1000)]) == ([], [due])


def test_noise_near_the_limit_is_neither() -> None:
    limits = params.defaults(params.NMC)
    edge_v = limits["cell_uv_mv"] / 1000
    n = 10 * RATE_HZ
    truth = Truth(np.zeros(n), np.full(n, edge_v - 0.001), np.full(n, 25.0))
    found = next(c for c in crossings(truth, Noise(), limits) if c.row is ROW)
    assert found.beyond.all()
    assert not found.surely.any()


def test_drives_are_found_by_content(tmp_path: Path) -> None:
    rest = "time_s,current_a,voltage_v\n" + "".join(f"{k},0.0,3.7\n" for k in range(300))
    (tmp_path / "rest.csv").write_text(rest)
    (tmp_path / "note.csv").write_text("a,b\n1,2\n")
    restless = "".join(f"{k},{-k % 7},{3.3 + 0.01 * (k % 5)}\n" for k in range(300))
    (tmp_path / "drive.csv").write_text("time_s,current_a,voltage_v\n" + restless)
    found = list(drives(tmp_path))
    assert [drive.name for drive in found] == ["drive.csv"]
    assert found[0].chemistry == params.LFP
    assert len(found[0].truth(0, 5).current_a) == 5 * RATE_HZ


def test_bits_flip_and_the_kernel_is_found_safe_or_named() -> None:
    found = flip_all(stride=211, first=7)
    assert sum(found[kind] for kind in KINDS) > 50
    assert found["caught"] > 20
    assert len(found["exceptions"]) == found["crashed"] + found["failed_safe"] + found["dangerous"] > 0
    assert found["passed"] == (not any(line.endswith("dangerous") for line in found["exceptions"]))


def test_a_journal_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "full.jsonl"
    Journal(path, "key", fresh=False).add("a", {"passed": True})
    with path.open("a") as file:
        file.write('{"key": "key", "name": "b", "resu')
    again = Journal(path, "key", fresh=False)
    assert again.done == {"a": {"passed": True}}
    assert Journal(path, "other", fresh=False).done == {}
    assert Journal(path, "key", fresh=True).done == {}


def test_a_bad_broker_is_one_of_three() -> None:
    with pytest.raises(ValueError, match="none of black_hole"):
        BadBroker("lazy")
