"""Faults do what they say, where and when they say it."""

from __future__ import annotations

import numpy as np
import pytest
from bms.link import frame
from bms.sample import OPEN_WIRE
from bms.tables import signals

from cloud.twin.cell import load_cell
from cloud.twin.pack import CLOSED
from hil.inject import FrameFaults, Injection, PackFaults, targets_of
from hil.link import cells_payload, unseal
from hil.plant import Plant, PlantConfig, make_plant


def plant_with(*injections: Injection) -> Plant:
    config = PlantConfig(start_soc=0.6)
    return make_plant("model", load_cell("lg_hg2"), None, config, None, PackFaults(injections))


def closed(made: Plant) -> Plant:
    made.gates = CLOSED
    for _ in range(4):
        made.advance(1)
    return made


def test_a_ramp_an_offset_and_a_swap() -> None:
    ticks = list(range(10))
    values = np.zeros(10, dtype=np.int64)
    Injection("ramp", "current_ma", 4, 8, value=100, per_s=1000).apply(values, ticks)
    assert values.tolist() == [0, 0, 0, 0, 100, 105, 110, 115, 0, 0]
    Injection("offset", "current_ma", 8, value=7, per_s=200).apply(values, ticks)
    assert values.tolist()[8:] == [7, 8]
    cells = np.arange(8).reshape(2, 4)
    Injection("swap", "cell_mv", 0, index=1, other=3).apply(cells, [0, 4])
    assert cells.tolist() == [[0, 3, 2, 1], [4, 7, 6, 5]]


def test_noise_is_seeded_and_has_its_sigma() -> None:
    rows = [np.zeros(4000, dtype=np.int64) for _ in range(2)]
    for row in rows:
        Injection("noise", "pack_mv", 0, value=50, seed=3).apply(row, range(4000))
    assert (rows[0] == rows[1]).all()
    assert rows[0].std() == pytest.approx(50, rel=0.1)


def test_what_the_pack_really_does_shows_in_every_voltage() -> None:
    fault = Injection("offset", "cell_mv", 8, index=3, value=-300, really=True)
    made, sound = closed(plant_with(fault)), closed(plant_with())
    one, other = (plant.advance(4) for plant in (made, sound))
    assert one.current_ma.tolist() == other.current_ma.tolist()
    readings, reference = made.advance(8), sound.advance(8)
    assert (readings.cell_mv - reference.cell_mv)[0].tolist() == [0, 0, 0, -300, *[0] * 8]
    assert (reference.pack_mv - readings.pack_mv).tolist() == [300] * len(readings.pack_mv)
    assert abs(int((readings.link_mv - readings.pack_mv).max())) < 50


def test_a_load_takes_its_current_and_a_block_ends_where_it_begins() -> None:
    made = closed(plant_with(Injection("load", from_tick=10, value=-8000)))
    first = made.advance(20)
    assert first.tick + len(first.current_ma) == 10
    assert made.advance(20).current_ma == pytest.approx(-8000, abs=60)


def test_contactor_faults_reach_the_contactors() -> None:
    made = closed(plant_with(Injection("weld", "positive", 6), Injection("feedback_low", "negative", 8, 12)))
    made.gates = 0
    seen = [int(made.advance(1).feedback[0]) for _ in range(10)]
    assert seen[-1] == signals.GATE_POSITIVE
    assert not made.closed


def test_an_open_wire_marks_its_cell() -> None:
    faults = FrameFaults([Injection("open_wire", "cells", 3, index=2)])
    wire, valid = faults.spoil("cells", 4, frame.CELLS, 7, cells_payload([3700, 3701, 3702, 3703]))
    assert not valid
    body = unseal(wire[:-1])
    assert body[frame.HEADER + 2] == OPEN_WIRE
    cells = np.frombuffer(body, "<u2", offset=frame.HEADER + 3).tolist()
    assert cells == [3700, 3701, frame.OPEN_CELL_MV, 3703]


def test_readings_stay_what_a_frame_can_carry() -> None:
    made = plant_with()
    readings = made.advance(1)
    Injection("ramp", "isolation_kohm", 0, value=-50).alter(readings)
    assert readings.isolation_kohm.tolist() == [0]


def test_kinds_know_their_targets() -> None:
    assert targets_of("weld") == ("negative", "precharge", "positive")
    assert targets_of("restart") == ("",)
    with pytest.raises(ValueError, match="none of"):
        targets_of("melt")
