"""A string of cells with spread, its contactors, precharge and link capacitor, and what sensors see of it.

Gate bits are those of `bms.tables.signals`: NEGATIVE + POSITIVE close the path, NEGATIVE + PRECHARGE charge
the link capacitor through a resistor, anything else is open: no current flows and the cells relax. Contactors
take their time to follow a gate, and can weld or stick.
"""

from __future__ import annotations

import math
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
CONTACTORS = (signals.GATE_NEGATIVE, signals.GATE_PRECHARGE, signals.GATE_POSITIVE)
DELAY_S = 0.015
"""Of a contactor: from gate to contact, both ways."""


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
    """The path between string and load: turns gates and string voltage into the link's.

    A contactor follows its gate after `delay_s`. Faults are bitmaps of GATE_*: `welded` contacts conduct and
    `stuck_open` ones do not, whatever their gates say; `feedback_high` and `feedback_low` are mirror contacts
    that stick. `link_leak_ohm` is a load that lies across the link while it is being charged, `slowness` says
    how many times too large its capacitor is.
    """

    def __init__(self, link: Link, delay_s: float = DELAY_S) -> None:
        self.link = link
        self.delay_s = delay_s
        self.link_v = 0.0
        self.gates = 0
        self.welded = 0
        self.stuck_open = 0
        self.feedback_high = 0
        self.feedback_low = 0
        self.link_leak_ohm = math.inf
        self.slowness = 1.0
        self._moved = 0
        self._left_s = dict.fromkeys(CONTACTORS, delay_s)

    @property
    def position(self) -> int:
        """Contacts that conduct, GATE_* bits."""
        return (self._moved | self.welded) & ~self.stuck_open

    @property
    def feedback(self) -> int:
        """What the mirror contacts say of `position`."""
        return (self.position | self.feedback_high) & ~self.feedback_low

    def closed(self) -> bool:
        """Whether the main path conducts."""
        return self.position & CLOSED == CLOSED

    def steps_alike(self, dt_s: float, most: int) -> int:
        """For how many steps, 1..`most`, no contactor moves."""
        moving = [self._left_s[bit] for bit in CONTACTORS if (self.gates ^ self._moved) & bit]
        return min(most, max(1, math.ceil(min(moving) / dt_s - 1e-9))) if moving else most

    def pass_by(self, seconds: float) -> None:
        """Time passes: contactors whose delay is over follow their gates."""
        for bit in CONTACTORS:
            if not (self.gates ^ self._moved) & bit:
                self._left_s[bit] = self.delay_s
                continue
            self._left_s[bit] -= seconds
            if self._left_s[bit] <= 1e-9:
                self._moved ^= bit
                self._left_s[bit] = self.delay_s

    def run(self, pack_v: Array, dt_s: float) -> tuple[Array, Array]:
        """Link voltage and the current that charging it draws from the string (negative), each shape (n,)."""
        t = dt_s * np.arange(1, len(pack_v) + 1)
        if self.closed():
            link_v, inrush_a = pack_v, np.zeros_like(pack_v)
        else:
            charging = self.position & PRECHARGE == PRECHARGE
            goal_v, ohm = 0.0, self.link.bleed_ohm
            if charging:
                share = 1.0 if math.isinf(self.link_leak_ohm) else self._divider()
                goal_v, ohm = float(pack_v[-1]) * share, self.link.precharge_ohm * share
            link_v = goal_v + (self.link_v - goal_v) * np.exp(
                t / -(ohm * self.link.capacitance_f * self.slowness)
            )
            resistor_v = link_v - float(pack_v[-1])
            inrush_a = resistor_v / self.link.precharge_ohm if charging else np.zeros_like(pack_v)
        self.link_v = float(link_v[-1])
        return link_v, inrush_a

    def _divider(self) -> float:
        return self.link_leak_ohm / (self.link_leak_ohm + self.link.precharge_ohm)


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
        self.leak_a = np.zeros(series)
        """Current that each cell loses inside, unseen by the shunt: an internal short."""

    @property
    def soc(self) -> float:
        """Mean state of charge of the cells, 0..1."""
        return float(self.model.soc.mean())

    def rest(self, seconds: float) -> None:
        """Park the pack: no current from outside for `seconds`, whatever the gates say."""
        self.model.rest(seconds, self.ambient_c + self.ambient_offset_k)

    def advance(self, demand_a: float, dt_s: float, steps: int) -> Trace:
        """`steps` steps of `dt_s`; the load's `demand_a` flows only while the main path is closed.

        The contactors stay as they are: ask them for `steps_alike` first.
        """
        contactors = self.contactors
        closed = contactors.closed()
        if contactors.position & PRECHARGE == PRECHARGE and not closed:
            present_v = np.full(steps, self.model.terminal_v().sum())
            link_v, current_a = contactors.run(present_v, dt_s)
            cell_v = self._step(float(current_a.mean()), dt_s, steps)
        else:
            current_a = np.full(steps, demand_a if closed else 0.0)
            cell_v = self._step(demand_a if closed else 0.0, dt_s, steps)
            link_v, _ = contactors.run(cell_v.sum(axis=1), dt_s)
        contactors.pass_by(steps * dt_s)
        return self._trace(current_a, cell_v, link_v)

    def _step(self, current_a: float, dt_s: float, steps: int) -> Array:
        ambient_c = self.ambient_c + self.ambient_offset_k
        return self.model.advance(current_a - self.leak_a, dt_s, steps, ambient_c)

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
