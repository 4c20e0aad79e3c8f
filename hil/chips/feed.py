"""Puts what a string does onto the inputs of the emulated chips, wired as docs/afe.md says."""

from collections.abc import Sequence
from dataclasses import dataclass

from hil.chips.bq76952 import Bq76952Chip
from hil.chips.ltc6811 import Ltc6811Chain


@dataclass(frozen=True)
class Frontend:
    """What stands round the first LTC6811: shunt, its amplifier, the divider of the link's voltage."""

    shunt_uohm: float = 100
    amp_gain: float = 50
    amp_zero_mv: float = 1500
    link_divider: float = 21


def feed_bq76952(
    chip: Bq76952Chip,
    cell_mv: Sequence[float],
    temperature_c: Sequence[float],
    current_ma: float,
    link_mv: float,
) -> None:
    """Cells from the pack's negative end; the topmost one is always at the topmost input."""
    analog = chip.analog
    below = list(cell_mv[:-1])
    analog.cell_mv[:] = [*below, *[0.0] * (15 - len(below)), cell_mv[-1]]
    analog.temperature_c[: len(temperature_c)] = temperature_c
    analog.current_ma = current_ma
    analog.pack_mv = link_mv


def feed_ltc6811(
    chain: Ltc6811Chain,
    cell_mv: Sequence[float],
    temperature_c: Sequence[float],
    current_ma: float,
    link_mv: float,
    frontend: Frontend | None = None,
) -> None:
    """Cells from the pack's negative end, spread over the chips; thermistors at GPIO3 to GPIO5 of each."""
    around = frontend or Frontend()
    first = -(-len(cell_mv) // len(chain.chips))
    for number, chip in enumerate(chain.chips):
        mine = list(cell_mv[number * first : (number + 1) * first])
        chip.cell_mv[:] = [*mine, *[0.0] * (12 - len(mine))]
        sensors = temperature_c[3 * number : 3 * number + 3]
        chip.thermistor_c = {3 + i: degrees for i, degrees in enumerate(sensors)}
    amplified_mv = current_ma * around.shunt_uohm / 1e6 * around.amp_gain
    chain.chips[0].gpio_mv[:2] = [around.amp_zero_mv + amplified_mv, link_mv / around.link_divider]
