"""A string of cells with spread, its contactors, precharge and link capacitor, and what sensors see of it.

Gate bits are those of `bms.tables.signals`: NEGATIVE + POSITIVE close the path, NEGATIVE + PRECHARGE charge
the link capacitor through a resistor, anything else is open: no current flows and the cells relax.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from bms.tables import signals
from numpy.typing import NDArray

from cloud.twin.cell import CellFile
from cloud.twin.model import CellModel
from cloud.twin.table import Array

Integers = NDArray[np.int64]

CLOSED = signals.GATE_NEGATIVE | signals.GATE_POSITIVE
PRECHARGE = signals.GATE_NEGATIVE | signals.GATE_PRECHARGE


@dataclass(frozen=True)
class Spread:
    """Standard deviations between the cells of a string: relative, relative, kelvin, SoC."""

    capacity: float = 0.01
    resistance: float = 0.05
    temperature_k: float = 0.5
    soc: float = 0.003


@dataclass(frozen=True)
class Link:
    """The DC link behind the contactors: farad, ohm of the precharge resistor, ohm of the bleeder."""

    capacitance_f: float = 1e-3
    precharge_ohm: float = 100.0
    bleed_ohm: float = 5_000.0


@dataclass(frozen=True)
class Trace:
    """What the string did in n steps: current, pack and link (n,), cells (n, cells), sensors (temps,)."""

    current_a: Array
    cell_v: Array
    pack_v: Array
    link_v: Array
    temperature_c: Array


def spread_around(rng: np.random.Generator, sigma: float, n: int) -> Array:
    """n values with mean exactly 0 and about `sigma` between them, clipped at 2.5 sigma."""
    values = np.clip(rng.standard_normal(n), -2.5, 2.5) * sigma
    return values - values.mean()


class Contactors:
    """The path between string and load: turns gates and string voltage into the link's."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.link_v = 0.0
        self.gates = 0

    def closed(self) -> bool:
        """Whether the main path conducts."""
        return self.gates & CLOSED == CLOSED

    def run(self, pack_v: Array, dt_s: float) -> tuple[Array, Array]:
        """Link voltage and the current that charging it draws from the string (negative), each shape (n,)."""
        t = dt_s * np.arange(1, len(pack_v) + 1)
        if self.closed():
            link_v, inrush_a = pack_v, np.zeros_like(pack_v)
        else:
            charging = self.gates & PRECHARGE == PRECHARGE
            goal_v = float(pack_v[-1]) if charging else 0.0
            ohm = self.link.precharge_ohm if charging else self.link.bleed_ohm
            link_v = goal_v + (self.link_v - goal_v) * np.exp(t / -(ohm * self.link.capacitance_f))
            inrush_a = (link_v - goal_v) / ohm if charging else np.zeros_like(pack_v)
        self.link_v = float(link_v[-1])
        return link_v, inrush_a


class Pack:
    """Series string: cells with seeded spread, contactors, link and evenly placed temperature sensors."""

    def __init__(
        self,
        cell: CellFile,
        series: int,
        soc: float,
        *,
        sensors: int = 4,
        spread: Spread | None = None,
        link: Link | None = None,
        seed: int = 0,
        ambient_c: float = 25.0,
    ) -> None:
        if series < 1 or sensors < 1:
            raise ValueError(f"a pack of {series} cells and {sensors} sensors: each must be 1 or more")
        spread = spread or Spread()
        rng = np.random.default_rng(seed)
        capacity = 1 + spread_around(rng, spread.capacity, series)
        resistance = np.exp(spread_around(rng, spread.resistance, series))
        self.ambient_offset_k = spread_around(rng, spread.temperature_k, series)
        self.model = CellModel(
            cell,
            soc + spread_around(rng, spread.soc, series),
            temperature_c=ambient_c + self.ambient_offset_k,
            capacity_scale=capacity,
            resistance_scale=resistance,
        )
        self.contactors = Contactors(link or Link())
        self.sensor_cell = np.linspace(0, series - 1, sensors).round().astype(np.intp)
        self.series = series
        self.ambient_c = ambient_c

    @property
    def soc(self) -> float:
        """Mean state of charge of the cells, 0..1."""
        return float(self.model.soc.mean())

    def rest(self, seconds: float) -> None:
        """Park the pack: no current for `seconds`, whatever the gates say."""
        self.model.rest(seconds, self.ambient_c + self.ambient_offset_k)

    def advance(self, demand_a: float, dt_s: float, steps: int) -> Trace:
        """`steps` steps of `dt_s`; the load's `demand_a` flows only while the main path is closed."""
        closed = self.contactors.closed()
        ambient_c = self.ambient_c + self.ambient_offset_k
        current_a = np.full(steps, demand_a if closed else 0.0)
        if self.contactors.gates & PRECHARGE == PRECHARGE and not closed:
            present_v = np.full(steps, self.model.terminal_v().sum())
            link_v, inrush_a = self.contactors.run(present_v, dt_s)
            cell_v = self.model.advance(float(inrush_a.mean()), dt_s, steps, ambient_c)
            return self._trace(inrush_a, cell_v, link_v)
        cell_v = self.model.advance(demand_a if closed else 0.0, dt_s, steps, ambient_c)
        link_v, _ = self.contactors.run(cell_v.sum(axis=1), dt_s)
        return self._trace(current_a, cell_v, link_v)

    def _trace(self, current_a: Array, cell_v: Array, link_v: Array) -> Trace:
        temperature_c = self.model.temperature_c[self.sensor_cell]
        return Trace(current_a, cell_v, cell_v.sum(axis=1), link_v, temperature_c)


@dataclass(frozen=True)
class SensorError:
    """One channel's error: reading = value * (1 + gain) + offset + noise, offset and noise in the SI unit."""

    offset: float = 0.0
    gain: float = 0.0
    noise: float = 0.0


@dataclass(frozen=True)
class Sensors:
    """Errors of an AFE's channels; the defaults are a fair 14-bit monitor with a 0.1 % shunt."""

    cell_v: SensorError = SensorError(noise=0.0007)
    pack_v: SensorError = SensorError(noise=0.005)
    current_a: SensorError = SensorError(offset=0.004, noise=0.01)
    temperature_c: SensorError = SensorError(noise=0.05)


class Afe:
    """Turns a trace into the integers on the wire: mA, mV, 0.1 degC. Noise is seeded."""

    def __init__(self, sensors: Sensors | None = None, seed: int = 0) -> None:
        self.sensors = sensors or Sensors()
        self.rng = np.random.default_rng([seed, 1])

    def _read(self, value: Array, error: SensorError, per_unit: int, low: int, high: int) -> Integers:
        seen = value * (1 + error.gain) + error.offset
        if error.noise:
            seen = seen + error.noise * self.rng.standard_normal(value.shape)
        return np.clip(np.rint(seen * per_unit), low, high).astype(np.int64)

    def current_ma(self, trace: Trace) -> Integers:
        """String current, shape (n,)."""
        return self._read(trace.current_a, self.sensors.current_a, 1000, -(2**31), 2**31 - 1)

    def pack_mv(self, trace: Trace) -> Integers:
        """Pack voltage, shape (n,)."""
        return self._read(trace.pack_v, self.sensors.pack_v, 1000, 0, 2**32 - 1)

    def link_mv(self, trace: Trace) -> Integers:
        """Link voltage, shape (n,)."""
        return self._read(trace.link_v, self.sensors.pack_v, 1000, 0, 2**32 - 1)

    def cell_mv(self, cell_v: Array) -> Integers:
        """Cell voltages, any shape."""
        return self._read(cell_v, self.sensors.cell_v, 1000, 0, 2**16 - 1)

    def temp_dc(self, trace: Trace) -> Integers:
        """Temperature sensors, shape (sensors,)."""
        return self._read(trace.temperature_c, self.sensors.temperature_c, 10, -(2**15), 2**15 - 1)
