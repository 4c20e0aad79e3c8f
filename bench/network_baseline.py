"""The network to beat: two hidden layers of 64, without memory of its own, told moving averages instead.

Inputs as in Vidal, Kollmeyer et al., "Robust xEV battery state-of-charge estimator design using a feedforward
deep neural network", SAE 2020-01-1181: voltage, current, temperature, both averaged over 500 s.
"""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import numpy as np

from cloud.twin.logs import Log
from cloud.twin.table import Array
from cloud.twin.trials import truth, wrong_current, wrong_voltage

# no stubs
_exceptions: Any = importlib.import_module("sklearn.exceptions")
_networks: Any = importlib.import_module("sklearn.neural_network")
_pipelines: Any = importlib.import_module("sklearn.pipeline")
_scalers: Any = importlib.import_module("sklearn.preprocessing")

_AVERAGE_ROWS = 500
_EVERY = 5
"""Rows a second apart are alike."""


def features(log: Log) -> Array:
    """(rows, 5): V, A, degC, and voltage and current averaged over the rows before."""
    averages = [_average(log.voltage_v), _average(log.current_a)]
    return np.stack([log.voltage_v, log.current_a, log.temperature_c, *averages], axis=1)


def _average(values: Array) -> Array:
    total = np.concatenate(([0.0], np.cumsum(values)))
    end = np.arange(1, len(values) + 1)
    begin = np.maximum(0, end - _AVERAGE_ROWS)
    return (total[end] - total[begin]) / (end - begin)


class Fnn:
    """64-64 trained on `logs`, and on the same with the sensor errors that it will be judged with."""

    def __init__(self, logs: list[Log], capacity_ah: float, seed: int = 1) -> None:
        seen = [made for log in logs for made in (log, wrong_current(log, capacity_ah), wrong_voltage(log))]
        x = np.concatenate([features(log)[::_EVERY] for log in seen])
        y = np.concatenate([truth(log)[::_EVERY] for log in seen])
        network = _networks.MLPRegressor(
            hidden_layer_sizes=(64, 64),
            batch_size=512,
            max_iter=60,
            early_stopping=True,
            n_iter_no_change=8,
            random_state=seed,
        )
        self._model = _pipelines.make_pipeline(_scalers.StandardScaler(), network)
        with warnings.catch_warnings():
            # that it would go on learning after max_iter is meant
            warnings.simplefilter("ignore", _exceptions.ConvergenceWarning)
            self._model.fit(x, y)

    def soc(self, log: Log) -> Array:
        """A value a row, 0..1."""
        return np.clip(self._model.predict(features(log)), 0.0, 1.0)
