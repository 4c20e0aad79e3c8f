"""Boards with a measuring chip: what afe.json selects, on the fake chip with an emulated one at its bus."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from bms.memory import identity
from bms.safety.kernel import Kernel
from bms.sample import Command, Estimate, Sample, Snapshot
from bms.tables import params
from bms.tables.signals import CLOSED, GATE_NEGATIVE, GATE_POSITIVE, WELD_TEST
from workbench import MACHINE_BOARDS, Bench

from hil.chips.bq76952 import ADDRESS, Bq76952Chip
from hil.chips.feed import feed_bq76952, feed_ltc6811
from hil.chips.i2c import I2cBus
from hil.chips.ltc6811 import Ltc6811Chain
from hil.chips.spi import SpiBus

BQ = {"chip": "bq76952", "shunt_uohm": 1000}
LTC = {
    "chip": "ltc6811", "chips": 1, "shunt_uohm": 100, "amp_gain": 50, "amp_zero_mv": 1500, "link_divider": 21,
}  # fmt: skip


def reset(bench: Bench) -> None:
    bench.chip.pins.clear()
    bench.chip.uarts.clear()


def provision(bench: Bench, n_cells: int) -> None:
    fields: dict[str, object] = {
        "tenant": "t", "site": "s", "pack": "p-1", "chemistry": 0, "series": n_cells, "temps": 3,
        "capacity_mah": 3000,
    }  # fmt: skip
    identity.write(bench.board().nvm, fields)
    reset(bench)


def with_chip(bench: Bench, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], emulated: Any) -> Any:
    """The board after a reset, with afe.json and the emulated chip, which lives in the board's time."""
    provision(bench, 12)
    (bench.root / "afe.json").write_text(json.dumps(settings))
    if isinstance(emulated, Bq76952Chip):
        bench.chip.i2c = I2cBus({ADDRESS: emulated})
    else:
        bench.chip.spi = SpiBus(emulated)
        bench.chip.selects = {bench.module.PIN_AFE_CS: bench.chip.spi}

    def sleep_ms(ms: int) -> None:
        for _ in range(ms):
            emulated.advance(1000)
            bench.chip.advance(1)

    monkeypatch.setattr(time, "sleep_ms", sleep_ms, raising=False)
    return bench.board()


@pytest.fixture(params=MACHINE_BOARDS)
def bench(request: pytest.FixtureRequest, make_bench: Callable[[str], Bench]) -> Bench:
    """Every board on MicroPython's `machine`, on its bench."""
    return make_bench(request.param)


def test_a_bq76952_is_the_front_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    emulated = Bq76952Chip()
    board = with_chip(bench, monkeypatch, BQ, emulated)
    assert bench.chip.uarts == {}
    assert bench.chip.bus_options["freq"] == 400_000
    assert bench.chip.bus_options["timeout"] <= 2000
    sample = Sample(12, 3)
    for _ in range(60):
        board.afe.read(sample)
        time.sleep_ms(5)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]  MicroPython's
    assert board.afe.configured
    assert (board.afe.n_cells, board.afe.n_temps) == (12, 3)
    assert list(sample.cell_mv) == [3700] * 12
    assert sample.seq[2] > 0


def test_an_ltc6811_is_the_front_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    emulated = Ltc6811Chain(1)
    emulated.chips[0].thermistor_c = {3: 20.0, 4: 25.0, 5: 30.0}
    board = with_chip(bench, monkeypatch, LTC, emulated)
    assert bench.chip.bus_options["baudrate"] == (1_000_000,)
    assert (bench.chip.bus_options["polarity"], bench.chip.bus_options["phase"]) == (1, 1)
    sample = Sample(12, 3)
    for _ in range(40):
        board.afe.read(sample)
        time.sleep_ms(5)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]  MicroPython's
    assert list(sample.cell_mv) == [3700] * 12
    assert list(sample.temp_dc) == pytest.approx([200, 250, 300], abs=4)


def test_auxiliary_contacts_are_the_feedback(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    board = with_chip(bench, monkeypatch, BQ, Bq76952Chip())
    sample = Sample(12, 3)
    negative, _, positive = bench.module.PINS_FEEDBACK
    bench.chip.pins[negative].level = 0
    bench.chip.pins[positive].level = 0
    for _ in range(3):
        board.afe.read(sample)
        time.sleep_ms(5)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]  MicroPython's
    assert sample.feedback == GATE_NEGATIVE | GATE_POSITIVE


def test_without_afe_json_or_identity_it_is_the_serial_line(bench: Bench) -> None:
    (bench.root / "afe.json").write_text(json.dumps(BQ))
    bench.board()
    assert len(bench.chip.uarts) == 1, "a board that has to be provisioned must start"
    reset(bench)
    provision(bench, 12)
    (bench.root / "afe.json").unlink()
    bench.board()
    assert len(bench.chip.uarts) == 1
    assert len(bench.chip.pins) == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not JSON"),
        ("[]", "must be an object"),
        ('{"chip": "bq76940"}', "chip is 'bq76940', it must be one of bq76952, ltc6811"),
        ('{"chip": "bq76952"}', "shunt_uohm is None, it must be a whole number above 0"),
        ('{"chip": "bq76952", "shunt_uohm": 0}', "shunt_uohm is 0"),
        ('{"chip": "bq76952", "shunt_uohm": 1000, "chips": 2}', "unknown key 'chips' for bq76952"),
    ],
)
def test_a_wrong_afe_json_is_explained(make_bench: Callable[[str], Bench], text: str, words: str) -> None:
    bench = make_bench("esp32")
    (bench.root / "afe.json").write_text(text)
    with pytest.raises(ValueError, match=words):
        bench.board()


# ---- the kernel on the chips: the whole way from a cell to the gates


@pytest.mark.parametrize("chip", ["bq76952", "ltc6811"])
def test_an_over_voltage_at_the_chip_opens_the_gates(
    make_bench: Callable[[str], Bench], monkeypatch: pytest.MonkeyPatch, chip: str
) -> None:
    bench = make_bench("esp32")
    emulated: Any = Bq76952Chip() if chip == "bq76952" else Ltc6811Chain(1)
    board = with_chip(bench, monkeypatch, BQ if chip == "bq76952" else LTC, emulated)
    feed: Callable[..., None] = feed_bq76952 if chip == "bq76952" else feed_ltc6811
    cells = [3700.0] * 12
    feed(emulated, cells, [25.0] * 3, 0, sum(cells))
    board.afe.read(Sample(12, 3))
    limits = params.defaults(params.NMC)
    kernel = Kernel(board, Sample(12, 3), Command(), Snapshot(12, 3), Estimate(), limits, 20)
    kernel.contactor.wanted = True

    def run(ticks: int) -> None:
        for _ in range(ticks):
            time.sleep_ms(5)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]  MicroPython's
            kernel.tick(None)
            for pin, bit in zip(bench.module.PINS_FEEDBACK, (1, 2, 4), strict=True):
                bench.chip.pins[pin].level = 0 if kernel.contactor.gates & bit else 1
            if kernel.due:
                kernel.done()

    board.clock.elapsed_ms()
    run(440)
    assert kernel.contactor.state == CLOSED
    cells[5] = 4262.0
    feed(emulated, cells, [25.0] * 3, 0, sum(cells))
    before = kernel.tick_n()
    while kernel.contactor.gates:
        run(1)
        assert kernel.tick_n() - before <= 20, "two sets of cells, and no more"
    assert kernel.contactor.state == WELD_TEST
    assert bench.chip.pins[bench.module.PIN_POSITIVE].level == 0
