"""What went over the link in a run, for verdicts and plots."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from bms.tables import faults
from numpy.typing import NDArray

from hil.link import ACTUATE_DTYPE
from hil.plant import Readings

Values = NDArray[np.int64]
_SILENT = bytes(ACTUATE_DTYPE.itemsize)


@dataclass
class Record:
    """Every ACTUATE body, what the protections see of the readings, and the frames spoilt.

    Ticks are the rig's, from 0; the ACTUATE that answers tick k carries, without restarts, the number k + 1.
    """

    actuates: bytearray = field(default_factory=bytearray)
    answered: list[int] = field(default_factory=list[int])
    """Rig ticks sent when each ACTUATE came: in lock-step 1, 2, 3, ..."""
    fast: list[Values] = field(default_factory=list[Values])
    """Rows current_ma, pack_mv; a column a tick."""
    cells: list[tuple[int, int, int, int]] = field(default_factory=list[tuple[int, int, int, int]])
    """Tick, lowest, highest, sum of the cells in mV."""
    temps: list[tuple[int, int, int, int]] = field(default_factory=list[tuple[int, int, int, int]])
    """Tick, coldest, hottest in 0.1 degC, isolation in kOhm."""
    missed: dict[str, list[int]] = field(default_factory=lambda: {"fast": [], "cells": [], "temps": []})
    soc: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]])
    logs: list[str] = field(default_factory=list[str])
    boots: list[int] = field(default_factory=list[int])
    """Ticks before which the board started anew."""

    def add(self, body: bytes, answered: int) -> None:
        """An ACTUATE, come when `answered` ticks had been sent."""
        self.actuates += body
        self.answered.append(answered)

    def silence(self, count: int, tick: int) -> None:
        """`count` ACTUATE frames did not come: the dead-man has opened the gates."""
        self.actuates += _SILENT * count
        self.answered += range(tick - count + 1, tick + 1)

    def frames(self) -> NDArray[np.void]:
        """All ACTUATE frames as a structured array (ACTUATE_DTYPE)."""
        return np.frombuffer(bytes(self.actuates), dtype=ACTUATE_DTYPE)

    def ticks(self) -> Values:
        """Of each of `frames`: how many ticks had been sent."""
        return np.array(self.answered, dtype=np.int64)

    def fast_rows(self) -> Values:
        """Current in mA and pack voltage in mV, shape (2, ticks)."""
        return np.concatenate(self.fast, axis=1) if self.fast else np.zeros((2, 0), dtype=np.int64)

    def take(self, readings: Readings, soc: float) -> None:
        """Keep the extremes of each sample, as the protections see them."""
        self.fast.append(np.stack((readings.current_ma, readings.pack_mv)))
        cell_mv, temp_dc = readings.cell_mv, readings.temp_dc
        self.cells += zip(
            readings.cells_at,
            cell_mv.min(axis=1).tolist(),
            cell_mv.max(axis=1).tolist(),
            cell_mv.sum(axis=1).tolist(),
            strict=True,
        )
        self.temps += zip(
            readings.temps_at,
            temp_dc.min(axis=1).tolist(),
            temp_dc.max(axis=1).tolist(),
            readings.isolation_kohm.tolist(),
            strict=True,
        )
        self.soc.append((readings.tick + len(readings.current_ma), soc))

    def signal(self, name: str) -> tuple[Values, Values] | None:
        """Ticks (from 1: as answered) and values of a fault row's signal as it was sent; None: not sent."""
        if name in ("current_ma", "pack_mv"):
            values = self.fast_rows()[0 if name == "current_ma" else 1]
            return np.arange(1, len(values) + 1), values
        cells = np.array(self.cells, dtype=np.int64).reshape(-1, 4)
        temps = np.array(self.temps, dtype=np.int64).reshape(-1, 4)
        if name == "sum_error_mv":
            return cells[:, 0] + 1, np.abs(self.fast_rows()[1][cells[:, 0]] - cells[:, 3])
        known = {
            "cell_min_mv": (cells, cells[:, 1]),
            "cell_max_mv": (cells, cells[:, 2]),
            "spread_mv": (cells, cells[:, 2] - cells[:, 1]),
            "temp_min_dc": (temps, temps[:, 1]),
            "temp_max_dc": (temps, temps[:, 2]),
            "isolation_kohm": (temps, temps[:, 3]),
        }
        return (known[name][0][:, 0] + 1, known[name][1]) if name in known else None

    def ages_ms(self, group: int, tick_ms: int) -> tuple[Values, Values]:
        """Ticks (from 1) and the age of a group's last valid frame at each."""
        n = sum(block.shape[1] for block in self.fast)
        sent = {
            faults.FAST: range(n),
            faults.CELLS: [row[0] for row in self.cells],
            faults.TEMPS: [row[0] for row in self.temps],
        }[group]
        missed = set(self.missed[faults.GROUPS[group]])
        good = np.array([0, *(tick + 1 for tick in sent if tick not in missed)], dtype=np.int64)
        ticks = np.arange(1, n + 1)
        last = good[np.searchsorted(good, ticks, side="right") - 1]
        return ticks, (ticks - last) * tick_ms
