"""What the board's front end sees: a pack that follows a log's current, or the log's own voltages.

The drive waits: log time passes only while the main contactors are closed, so that the reference SoC stays
right. A row of the log holds until the next one: they are means over it, so this conserves charge.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from cloud.twin.cell import CellFile
from cloud.twin.logs import Log
from cloud.twin.pack import Afe, Contactors, Integers, Link, Pack, Sensors, Spread, Trace, spread_around
from cloud.twin.table import Array
from hil.link import CELLS_EVERY, TEMPS_EVERY, TICK_MS
from hil.load import Load, Pushes
from hil.logs import Cursor

TICK_S = TICK_MS / 1000
ISOLATION_KOHM = 10_000
RELAX_TAU_S = 60.0


@dataclass(frozen=True)
class PlantConfig:
    """Topology and errors of the string; the seed fixes spread and noise."""

    series: int = 12
    sensors: int = 4
    start_soc: float | None = None
    rest_s: float = 1800.0
    seed: int = 1
    ambient_c: float | None = None
    spread: Spread = field(default_factory=Spread)
    sensor_errors: Sensors = field(default_factory=Sensors)
    link: Link = field(default_factory=Link)


@dataclass
class Readings:
    """Integers of n ticks from `tick` on; `cell_mv`, `temp_dc` have rows for ticks `cells_at`, `temps_at`."""

    tick: int
    feedback: Integers
    current_ma: Integers
    pack_mv: Integers
    link_mv: Integers
    cells_at: list[int]
    cell_mv: Integers
    temps_at: list[int]
    temp_dc: Integers
    isolation_kohm: Integers


class Source(Protocol):
    """A string of cells at the front end; `contactors.gates` is the board's command."""

    contactors: Contactors
    capacity_ah: float

    @property
    def cursor(self) -> Cursor | None:
        """Where in the log it is; None without a drive."""
        ...

    @property
    def log_a(self) -> float:
        """The log's current now, scaled to this string."""
        ...

    @property
    def soc(self) -> float:
        """Reference SoC, 0..1."""
        ...

    def advance(self, demand_a: float, ticks: int) -> Trace:
        """The next ticks, all in one row of the log, with that load."""
        ...

    def leak(self, leaks_a: dict[int, float]) -> None:
        """Cells that lose so much current inside."""
        ...


class ModelSource:
    """The twin's pack, driven by the log's current from a parked start at `start_soc`."""

    def __init__(self, cell: CellFile, log: Log | None, config: PlantConfig) -> None:
        ambient_c = float(np.median(log.temperature_c)) if log else 25.0
        ambient_c = ambient_c if config.ambient_c is None else config.ambient_c
        begin = config.start_soc if config.start_soc is not None else 1.0
        top = begin if log is None else max(begin, 1.0 if log.soc is None else min(1.0, float(log.soc[0])))
        self.pack = Pack(
            cell, config.series, top, sensors=config.sensors, spread=config.spread, link=config.link,
            seed=config.seed, ambient_c=ambient_c,
        )  # fmt: skip
        self._per_log_a = _parallel(cell, log)
        self.cursor = None if log is None else Cursor(log, self._drive_down(log, begin))
        self.pack.rest(config.rest_s)
        self.contactors = self.pack.contactors
        self.capacity_ah = float(self.pack.model.capacity_ah.mean())

    def _drive_down(self, log: Log, soc: float) -> int:
        """Run the log until the pack has come down to `soc`; the row where it goes on."""
        for row, dt_s in enumerate(np.diff(log.time_s)):
            if self.pack.soc <= soc:
                return row
            ambient_c = self.pack.ambient_c + self.pack.ambient_offset_k
            self.pack.model.step(float(log.current_a[row]) * self._per_log_a, float(dt_s), ambient_c)
        raise ValueError(f"log {log.name} ends at {self.pack.soc:.0%} SoC, before the start SoC of {soc:.0%}")

    @property
    def soc(self) -> float:
        """Mean SoC of the cells."""
        return self.pack.soc

    @property
    def log_a(self) -> float:
        """See Source."""
        return self.cursor.current_a * self._per_log_a if self.cursor else 0.0

    def advance(self, demand_a: float, ticks: int) -> Trace:
        """See Source."""
        return self.pack.advance(demand_a, TICK_S, ticks)

    def leak(self, leaks_a: dict[int, float]) -> None:
        """See Source."""
        self.pack.leak_a[:] = [leaks_a.get(k, 0.0) for k in range(self.pack.series)]


def _parallel(cell: CellFile, log: Log | None) -> float:
    # A log of a cell of quite another size stands for so many of ours in parallel: the same C-rate.
    capacity_ah = log.capacity_ah if log else None
    ratio = 1.0 if not capacity_ah else cell.capacity_ah / capacity_ah
    return 1.0 if 0.7 < ratio < 1.4 else ratio


class ReplaySource:
    """The log's own voltages, with offsets a cell that sum to zero; relaxes to the OCV when open."""

    def __init__(self, cell: CellFile, log: Log, config: PlantConfig) -> None:
        if log.soc is None:
            raise ValueError(f"log {log.name} has no soc column: replay needs it as reference")
        rng = np.random.default_rng(config.seed)
        self._cell = cell
        self._log = log
        self._log_soc = log.soc
        self._offset_v = spread_around(rng, 0.004, config.series)
        self._offset_k = spread_around(rng, config.spread.temperature_k, config.sensors)
        begin = 1.0 if config.start_soc is None else config.start_soc
        below = np.flatnonzero(log.soc <= begin)
        if not len(below):
            raise ValueError(
                f"log {log.name} ends at {log.soc[-1]:.0%} SoC, before the start SoC of {begin:.0%}"
            )
        self.cursor = Cursor(log, int(below[0]))
        self.contactors = Contactors(config.link)
        self.capacity_ah = log.capacity_ah or cell.capacity_ah
        self._open_v = float(cell.ocv(self.soc))

    @property
    def soc(self) -> float:
        """The log's reference."""
        return float(self._log_soc[self.cursor.row])

    @property
    def log_a(self) -> float:
        """See Source."""
        return self.cursor.current_a

    def leak(self, leaks_a: dict[int, float]) -> None:
        """A recording cannot leak."""
        if leaks_a:
            raise ValueError("a replayed log has no cells that could leak: use source: model")

    def advance(self, demand_a: float, ticks: int) -> Trace:
        """See Source; a recording follows its own current, whatever the demand."""
        row = self.cursor.row
        steps = np.arange(1, ticks + 1)
        if self.contactors.closed():
            current_a = np.full(ticks, self.cursor.current_a)
            voltage_v = np.full(ticks, self._log.voltage_v[row])
        else:
            current_a = np.zeros(ticks)
            goal_v = float(self._cell.ocv(self.soc))
            voltage_v = goal_v + (self._open_v - goal_v) * np.exp(steps * (-TICK_S / RELAX_TAU_S))
        self._open_v = float(voltage_v[-1])
        cell_v = voltage_v[:, None] + self._offset_v
        pack_v = cell_v.sum(axis=1)
        link_v, inrush_a = self.contactors.run(pack_v, TICK_S)
        self.contactors.pass_by(ticks * TICK_S)
        temperature_c: Array = self._log.temperature_c[row] + self._offset_k
        return Trace(current_a + inrush_a, cell_v, pack_v, link_v, temperature_c)


class Plant:
    """Source, load and sensors: gives the readings of the next ticks and obeys the board's gates."""

    def __init__(
        self, source: Source, config: PlantConfig, load: Load | None = None, faults: Pushes | None = None
    ) -> None:
        self.source = source
        self.config = config
        self.load = load or Load()
        self.faults = faults
        self._afe = Afe(config.sensor_errors, config.seed)
        self.tick = 0

    @property
    def gates(self) -> int:
        """The gate command in force."""
        return self.source.contactors.gates

    @gates.setter
    def gates(self, bits: int) -> None:
        self.source.contactors.gates = bits

    @property
    def closed(self) -> bool:
        """Whether the main path conducts."""
        return self.source.contactors.closed()

    @property
    def soc(self) -> float:
        """Reference SoC now, 0..1."""
        return self.source.soc

    @property
    def finished(self) -> bool:
        """Whether the log has come to its end."""
        return self.source.cursor is not None and self.source.cursor.finished

    def _alike(self, ticks: int) -> int:
        # A block ends where the log's row, a contactor's position, the load or a fault changes.
        contactors = self.source.contactors
        if self.faults:
            ticks = self.faults.alike(self.tick, ticks)
            self.faults.push(contactors, self.tick)
            self.source.leak(self.faults.leaks_a(self.tick))
        ticks = contactors.steps_alike(TICK_S, self.load.alike(self.tick, ticks))
        cursor = self.source.cursor
        return cursor.span(ticks) if cursor is not None and contactors.closed() else ticks

    def _trace(self, n: int) -> Trace:
        cursor = self.source.cursor
        closed = self.closed
        forced_a = self.faults.load_a(self.tick) if self.faults else None
        wish_a = self.source.log_a if cursor else self.load.demand_a(self.tick)
        trace = self.source.advance(self.load.allowed_a(wish_a) if forced_a is None else forced_a, n)
        if cursor is not None and closed:
            cursor.pass_by(n)
        if self.faults:
            trace = self.faults.alter(trace, self.tick, closed)
            if closed:
                self.source.contactors.link_v = float(trace.link_v[-1])
        return trace

    def park(self, seconds: float) -> None:
        """Time passes unseen: nobody reads the front end."""
        for _ in range(round(seconds / TICK_S)):
            self.source.advance(0.0, 1)

    def advance(self, ticks: int) -> Readings:
        """The next ticks, at most `ticks`: less where something in the pack changes in between."""
        n = self._alike(ticks)
        feedback = self.source.contactors.feedback
        trace = self._trace(n)
        tick = self.tick
        self.tick += n
        cells_at = list(range(tick + -tick % CELLS_EVERY, tick + n, CELLS_EVERY))
        temps_at = list(range(tick + -tick % TEMPS_EVERY, tick + n, TEMPS_EVERY))
        afe = self._afe
        rows = trace.cell_v[[at - tick for at in cells_at]]
        return Readings(
            tick, np.full(n, feedback), afe.current_ma(trace), afe.pack_mv(trace), afe.link_mv(trace),
            cells_at, afe.cell_mv(rows), temps_at, afe.temp_dc(trace)[None, :].repeat(len(temps_at), axis=0),
            np.full(len(temps_at), ISOLATION_KOHM),
        )  # fmt: skip


def make_plant(
    kind: str,
    cell: CellFile,
    log: Log | None,
    config: PlantConfig,
    load: Load | None = None,
    faults: Pushes | None = None,
) -> Plant:
    """A plant of `kind` model or replay."""
    if kind == "model":
        return Plant(ModelSource(cell, log, config), config, load, faults)
    if kind == "replay":
        if log is None:
            raise ValueError("a replay needs a log")
        return Plant(ReplaySource(cell, log, config), config, load, faults)
    raise ValueError(f"source is {kind!r}, it must be model or replay")
