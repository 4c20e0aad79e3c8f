"""What estimators of the state of charge are tried with besides the bare log: sensor errors, a late start."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cloud.twin.logs import Log
from cloud.twin.table import Array

LATE_START = 0.6
"""State of charge at which a late start falls into the load."""
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
