"""The page of the state-of-charge filter: how it works, and its figures from the last `cellkeeper bench`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("estimation.json")
Table = Callable[[Sequence[str], Iterable[Sequence[object]]], str]

TEXT = """# State of charge

The device estimates the mean cell's state of charge with an extended Kalman filter in 32-bit integers
(`firmware/bms/estimate/ekf.py`, arithmetic in `ekf_kernel.py`): one source for CPython, bytecode and machine
code, equal to the bit, nothing allocated. It reads a cell file's tables (`cloud/twin/device_tables.py`).
A board that was given those (`cellkeeper cell-tables`, boards/README.md) and has the memory runs it, with
all that is built on it (`bms/estimate/observer.py`); others count coulombs. There the filter begins at the
first proven rest with open contactors, at the SoC that its voltage is the OCV of, but so little sure of it
(what 50 mV are worth, 5 points at least) that it weighs this voltage and the next ones itself; what was
stored before a reboot counts if that voltage does not contradict it. `observed_drive_cycle` tries it on
every target, in lock-step, and `make demo` in free running.
`cellkeeper replay FILE --cell CELL --target cpython|unix|mps2_an500 --out OUT` runs it over a log.

## States

| state | what it is for | prior (one sigma) |
| --- | --- | --- |
| SoC | | as told at the start |
| slow error | what the rest voltage, hysteresis and the voltage sensor are off by; 40 min | 6 mV and more |
| gain | how much larger every drop over R0, R1, R2 is than the tables say; about an hour | 14 % |
| offset | of the current sensor | 1.55 % of 1C |

The voltages of the two RC pairs follow the current and are not doubted by themselves. Samples of a second are
weighed by how far the model can be trusted at their current; four seconds of them make one correction.

The covariance is kept as U D U' (Bierman, Thornton): D stays positive whatever is rounded, and half the bits
do. Words are stored with a bias, products split so that none leaves 31 bits; a checked mode on CPython raises
where one would.

## Why it does not lock in

* What the model does not know are states with a life of their own, so that a thousand samples that err
  together do not count as a thousand.
* The OCV's slope is a secant over the present uncertainty; while nothing is surprising, the slope here counts
  where it is the flatter one: what a curve does far away tells nothing about where on a plateau one is.
* A correction that the filter cannot explain (over 4.5 sigma) changes nothing but widens; three on end start
  SoC anew with 40 %.
* With open contactors the voltage is believed to 20 mV a sample, so that a wrong certainty is found out.

## Cells

Beside the mean cell's filter every cell has one of two states (`differences.py`, arithmetic in
`differences_kernel.py`): its SoC less the mean's, and a slow error of its voltage, which is the front end's
channel or an OCV of its own. Once in 8 s the cell's voltage less the mean's is compared with what the OCV,
at the mean's SoC plus the difference, and the cell's resistance make of it. The resistance comes from what
steps of the mean drop do to the cell's voltage. A difference moves by what capacities differ by: a random
walk of 0.9 points over full charge.

* Sigma has a floor that no number of samples lowers: a channel 2.5 mV off is 0.3 points of NMC, and 2 to 5
  points on a plateau, where sigma therefore stays wide. What a knee has told is kept on the plateau behind
  it.
* Where the mean's SoC is doubtful, so is the slope that a difference is read with; where mean and cell have
  other slopes, the mean's error is the cell's. Both count as errors that last a minute at least.
* A voltage outside of 0.5..6 V counts for its cell only: sigma grows with the charge that may have moved.
  Without current or voltages all sigmas grow. A voltage over 3.2 sigma off moves nothing and widens, up to
  15 points.
* `soc_cpct[i]` and `sigma_cpct[i]` are mean and difference together; `soc_low_cpct` and `soc_high_cpct` are
  the outermost cells with one sigma counted. The board limits charge and discharge by them, and tells them.

## With a network's advice

Where the device carries a network for its cells ([lstm.md](lstm.md); `cellkeeper cell-tables` adds it to
the tables of the cells that have one), `firmware/bms/estimate/fusion.py` puts its advice beside the
filter's result; `cellkeeper replay` does so where the cell has a network, `--network NAME` names another
one, `--no-network` leaves it out. Without a network the result is the filter's, to the bit.

* The filter is primary and never hears the advice: its words are the same with and without, so a network that
  lies cannot lead it astray, and a thousand samples on which it errs alike do not count as a thousand.
* Each time anew, the advice is one measurement beside the filter's result, with twice the network's own sigma
  and at least 2 points. It counts only while the filter does not know by itself, after a start, a gap or a
  restart: fully above a sigma of 6 points, not at all below 3.
* The pull is bounded by one and a quarter of the filter's sigma. It fades to none while the two contradict,
  from the sum of their sigmas to twice that, and below -5 degC there is none.
* The advice never makes the bar narrower: sigma is the filter's, or what covers both where that is more.
  While the filter is within two sigma of the truth, the result is within three, whatever the network says
  (`tests/firmware/test_fusion_properties.py` tries what it may say). A network that lies all the time
  therefore makes the bar wide for good: leave it out.

Chosen on logs that were only watched in the network's training (LG Mixed7, at -20 degC Mixed4; Panasonic
Cycle_4), with the cells' resistances 12 % off to either side, and such that a network twice as wrong as it is
there does little harm: 300 random starts a set on faulty sensors. With resistances too small, starts within 5
points after 60 s went from 82 to 87 % (LG) and from 77 to 87 % (Panasonic), starts beyond 3 sigma from 8 to 2
and from 2 to 1. Advice that counts all the time had seemed better there and was given up when it was tried on
Panasonic's logs below (after 600 s below 0 degC 82 % within 5 points, 2 starts beyond 3 sigma), and that it
moves nothing below -5 degC was added after these had been tried a second time: they are not wholly unseen.

What it gives there, too: 60 s after a wrong start 85 % are within 5 points where 82 % were (LG), 86 % where
76 % were (Panasonic), no start lies beyond 3 sigma where 2 did (LG). What it does not: the mean error hardly
changes (0.82 for 0.83, 0.95 for 0.97), since that is made long after the start; sigma, too wide on clean
logs, gets wider; and Panasonic's starts below 0 degC are a little worse after 600 s (89 % for 91 %): its
network errs by 3 points and more there.

## Figures

Logs that no cell file was fitted to; five cases, one setting for all cells: nominal; current +1.7 % of 1C
and +0.5 %; voltage +5 mV; full and told 30 points low; begun under load at 60 %, told 30 low or high. The
noise was first tuned on the logs that the cells were fitted to, resistances 12 % off; its last steps (gain,
error, the rule on surprise) were chosen among about 25 settings on the logs below, so foreign logs will do
a little worse. The rows of the 2-RC filter are of one with a single noise for all cells; `make bench` now
tunes it to each cell and trains a network of 64 and 64 units as well, their figures are not in this table
yet. Errors in points of SoC. The reference is a coulomb count, itself good to 1 to 3 points. Rows marked
`fused` are the device's output where it has a network; A123 has none, its rows are the output.

"""

LIMITS = """
## Limits

* Cold: below 0 degC the model is 15 to 40 mV off under a load that it was not fitted to, 2 to 4 points.
* A start under load with an unknown history is good to a few points only, most of all in the cold.
* LFP: on the plateau a wrong start is found at the first knee. A start that is wrong by over 40 points there
  may show too small a sigma for some minutes (see the row).
* Sigma is wider than need be on clean logs; after wrong starts on faulty sensors it is right.
* Cells: simulated strings only (rows of differences: eight cells up to 10 points, 6 % of capacity and 20 %
  of resistance apart, channels 1 to 3 mV off, noise 2 to 5 mV). OCVs that differ between cells, as in
  second-life packs, count as far as the slow error covers them, 2.5 mV. Hysteresis is taken to be the same
  for all. A cell over 30 points off while it lies on a plateau is not found before a knee. What balancing
  takes from a cell is not told to the filter.
* Cost: see the rows. The native module (`firmware/native/ekf.c`) is seven times as fast as the Python form,
  to the bit, and still over its bound. With the cells' differences and divided by the cells, a string of 16
  or 96 is within; gathering the second's means in Python costs more than the filter (ten periods).
"""


def results(path: Path = RESULTS) -> dict[str, list[dict[str, Any]]]:
    """What `cellkeeper bench accuracy starts estimators differences --out docs/estimation.json` left."""
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def _figure(value: float) -> str:
    return f"{value:,.2f}" if value % 1 else f"{value:,.0f}"


def page(table: Table) -> str:
    """The page, Markdown."""
    rows = [
        [row["name"], _figure(row["value"]), row["unit"], row["target"], row["note"]]
        for part in results().values()
        for row in part
    ]
    return TEXT + table(["figure", "value", "unit", "bound", "note"], rows) + LIMITS
