"""`cellkeeper blackbox` on the NVM image of a board that tripped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bms.memory.kinds import FRAME, LATCHED, TRIP
from bms.memory.layout import BLACKBOX, END, STATE
from bms.memory.state import CLOSINGS
from bms.memory.store import Memory
from bms.sample import Snapshot
from bms.tables.signals import TRIPPED
from click.testing import CliRunner

from boards.tools.blackbox import blackbox
from hil.campaigns.simulated_cut import CutNor

HASH = b"\x01\x02\x03\x04\x05\x06\x07\x08"


@pytest.fixture
def nor() -> CutNor:
    """NVM of a board with an over-voltage and a fault that no table has."""
    nor = CutNor(END, (), lambda _point, _image: None, 0)
    memory = Memory(nor, 7, 3, HASH)
    snapshot = Snapshot(2, 1)
    snapshot.cell_mv[0], snapshot.cell_mv[1] = 4260, 4201
    snapshot.state = TRIPPED
    snapshot.faults[0] = 8
    memory.latches.store(bytes([8, 0, 0, 0, 0, 0, 0, 0x80]), 2)
    memory.counters.add(CLOSINGS)
    memory.charge.store(0, 9876, 150)
    memory.box.trip(snapshot, 100, 700, 3, 0, 4260, 4250, 10, 9876, 4)
    memory.box.trip(snapshot, 101, 705, 63, -1, 1, 2, 10, 9876, 4)
    for n in range(15):
        snapshot.tick = 110 + 20 * n
        memory.box.frame(snapshot, 9876, 0, 4)
        for _ in range(10):
            memory.step()
    return nor


def test_as_tables(nor: CutNor, tmp_path: Path) -> None:
    image = tmp_path / "board.nvm"
    image.write_bytes(nor.data)
    ran = CliRunner().invoke(blackbox, [str(image)], env={"COLUMNS": "250"})
    assert ran.exit_code == 0, ran.output
    text = " ".join(ran.output.split())
    assert "boot 7; latched: cell_over_voltage, fault 63; weld flags 2; SoC 98.76 % +- 1.50 %" in text
    assert "cell_over_voltage: 4260 against 4250 mV, index 0; boot 7 (cause 3), tick 100" in text
    assert "fault 63: 1 against 2; boot 7" in text
    assert "parameters 0102030405060708" in text
    assert "cells mV: 4260, 4201" in text
    assert text.count("tripped") == 11
    assert "1 incidents" in text
    assert "damaged" not in text


def test_as_json(nor: CutNor, tmp_path: Path) -> None:
    image = tmp_path / "board.nvm"
    image.write_bytes(nor.data)
    found = json.loads(CliRunner().invoke(blackbox, [str(image), "--json"]).output)
    assert found["counters"]["closings"] == 1
    (incident,) = found["incidents"]
    assert [trip["fault"] for trip in incident["trips"]] == ["cell_over_voltage", "fault 63"]
    assert [frame["offset_ms"] for frame in incident["frames"]] == list(range(50, 1051, 100))
    assert incident["frames"][0]["faults"] == ["cell_over_voltage"]


def test_damage_and_a_foreign_file_are_told(nor: CutNor, tmp_path: Path) -> None:
    image = tmp_path / "board.nvm"
    nor.data[STATE + 30] ^= 1
    image.write_bytes(nor.data)
    assert "1 records or sectors of the state journal are damaged" in CliRunner().invoke(
        blackbox, [str(image)]
    ).output.replace("\n", " ")
    assert (nor.data[STATE + 16 + 6], nor.data[BLACKBOX + 16 + 6]) == (LATCHED, TRIP)
    memory = Memory(nor, 8, 0, HASH)
    memory.trips.append(FRAME, b"short", 5)
    for _ in range(30):
        memory.step()
    image.write_bytes(nor.data)
    ran = CliRunner().invoke(blackbox, [str(image)])
    assert ran.exit_code == 1
    assert "a frame record of 5 bytes" in ran.output
    image.write_bytes(b"")
    assert "0 incidents" in CliRunner().invoke(blackbox, [str(image)]).output
