"""What estimators of the state of charge are tried with besides the bare log: sensor errors, a late start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cloud.twin.logs import Log
from cloud.twin.table import Array

LATE_START = 0.6
"""State of charge at which a late start falls into the load."""
SETTLED_S = 600.0
_OFFSET_C, _GAIN, _OFFSET_V = 0.017, 1.005, 0.005


def truth(log: Log) -> Array:
    """The log's reference state of charge, 0..1; ValueError when it has none."""
    if log.soc is None:
        raise ValueError(f"{log.name}: no reference SoC")
    return log.soc


def wrong_current(log: Log, capacity_ah: float) -> Log:
    """The current sensor has an offset of 1.7 % of 1C and a gain of 0.5 % too much."""
    return replace(log, current_a=log.current_a * _GAIN + _OFFSET_C * capacity_ah)


def wrong_voltage(log: Log) -> Log:
    """The voltage sensor is 5 mV high."""
    return replace(log, voltage_v=log.voltage_v + _OFFSET_V)


def tail(log: Log, first: int) -> Log:
    """The log from row `first` on."""
    columns = ("time_s", "current_a", "voltage_v", "temperature_c")
    return replace(log, **{name: getattr(log, name)[first:] for name in columns}, soc=truth(log)[first:])


def late(log: Log) -> Log:
    """The log from LATE_START on, under load."""
    return tail(log, int(np.argmax(truth(log) <= LATE_START)))


@dataclass(frozen=True)
class Score:
    """Errors in points of SoC over one log and case, `weight` in a mean; `largest` after SETTLED_S."""

    log: str
    ambient_c: float
    case: str
    weight: float
    mae: float
    rmse: float
    p99: float
    largest: float


def errors(wrong: Array, settled: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """Mean, root of the mean square, 99th percentile, and largest where `settled`; `wrong` is positive."""
    return (
        float(wrong.mean()),
        float(np.sqrt((wrong**2).mean())),
        float(np.quantile(wrong, 0.99)),
        float(wrong[settled].max(initial=0.0)),
    )


def mean_mae(scores: Sequence[Score]) -> float:
    """Mean over temperatures of the mean over cases, every log of a temperature counting alike."""
    means: list[float] = []
    for t in sorted({s.ambient_c for s in scores}):
        some = [s for s in scores if s.ambient_c == t]
        means.append(float(np.average([s.mae for s in some], weights=[s.weight for s in some])))
    return float(np.mean(means))
