"""Faults of scenarios: in the pack, in what its sensors say, or in the frames that carry the readings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from bms.link import frame
from bms.sample import INVALID, OPEN_WIRE
from bms.tables import signals
from numpy.typing import NDArray

from cloud.twin.pack import Contactors, Trace
from hil.link import TICK_MS, seal
from hil.load import Pushes
from hil.plant import Readings

FOREVER = 2**31
GROUPS = ("fast", "cells", "temps")
READING_FAULTS = ("set", "offset", "ramp", "noise", "stuck", "swap")
FRAME_FAULTS = ("drop", "bad_crc", "bad_length", "stale", "bad_quality", "open_wire")
CONTACTOR_FAULTS = ("weld", "stuck_open", "feedback_high", "feedback_low")
PACK_FAULTS = ("load", "leak", "link_leak", "slow_link", *CONTACTOR_FAULTS)
RESTART = "restart"
KINDS = (*READING_FAULTS, *FRAME_FAULTS, *PACK_FAULTS, RESTART)
SIGNALS = {
    "current_ma": "fast",
    "pack_mv": "fast",
    "link_mv": "fast",
    "feedback": "fast",
    "cell_mv": "cells",
    "temp_dc": "temps",
    "isolation_kohm": "temps",
}
CONTACTOR_BITS = {
    "negative": signals.GATE_NEGATIVE,
    "precharge": signals.GATE_PRECHARGE,
    "positive": signals.GATE_POSITIVE,
}
_U16, _U32 = (0, 2**16 - 1), (0, 2**32 - 1)
_ON_THE_WIRE = {
    "current_ma": (-(2**31), 2**31 - 1),
    "pack_mv": _U32,
    "link_mv": _U32,
    "feedback": (0, 255),
    "cell_mv": _U16,
    "temp_dc": (-(2**15), 2**15 - 1),
    "isolation_kohm": _U16,
}
"""What a frame can carry of each signal."""
_QUALITY_AT = {"fast": 13, "cells": 2, "temps": 1}
_CELLS_HEAD = 3


def targets_of(kind: str) -> Sequence[str]:
    """What a fault of this kind can act on; ("",) for one that names nothing. Raises ValueError."""
    if kind in READING_FAULTS:
        return tuple(SIGNALS)
    if kind == "open_wire":
        return ("cells",)
    if kind in FRAME_FAULTS:
        return GROUPS
    if kind in CONTACTOR_FAULTS:
        return tuple(CONTACTOR_BITS)
    if kind in KINDS:
        return ("",)
    raise ValueError(f"fault {kind!r} is none of {', '.join(KINDS)}")


@dataclass
class Injection:
    """One fault, active for from_tick <= tick < to_tick.

    Readings (a signal; for arrays an `index`, None: all): `set` to value, `offset` by value and per_s a
    second, `ramp` from value on by per_s a second, `noise` of sigma value, `stuck` at the first reading in
    the window, `swap` index with other. With `really`, cell voltages do so: the pack's voltage follows.
    Frames (a group): `drop` sends none, `bad_crc` and `bad_length` spoil it, `stale` repeats the last one
    before the window, `bad_quality` disowns it, `open_wire` says so at index. Pack: `load` draws value mA and
    per_s a second more, `leak` empties cell index inside by value mA, `link_leak` lays value ohm across the
    link, `slow_link` makes its capacitor value times as large; contactors: `cloud.twin.pack.Contactors`.
    `restart` cuts the board's power for a moment.
    """

    kind: str
    target: str = ""
    from_tick: int = 0
    to_tick: int = FOREVER
    index: int | None = None
    value: float = 0
    per_s: float = 0.0
    other: int = 0
    really: bool = False
    seed: int = 0
    _held: Any = None

    def __post_init__(self) -> None:
        known = targets_of(self.kind)
        if self.target not in known:
            what = ", ".join(known) if known != ("",) else "nothing"
            raise ValueError(f"fault {self.kind!r} cannot act on {self.target!r}, only on {what}")
        self._rng = np.random.default_rng([self.seed, self.from_tick])

    def active(self, tick: int) -> bool:
        """Whether the fault is on in that tick."""
        return self.from_tick <= tick < self.to_tick

    def at(self, tick: Any) -> Any:
        """`value` with its change by `per_s` since the fault began."""
        return self.value + self.per_s * (tick - self.from_tick) * TICK_MS / 1000

    def apply(self, values: NDArray[Any], ticks: Sequence[int]) -> None:
        """Alter `values` (a row for each of `ticks`) in place, as the kinds of READING_FAULTS say."""
        rows = [row for row, tick in enumerate(ticks) if self.active(tick)]
        if not rows:
            return
        if self.kind == "swap":
            pair = [self.index or 0, self.other]
            values[np.ix_(rows, pair)] = values[np.ix_(rows, pair[::-1])]
            return
        where = (rows,) if values.ndim == 1 or self.index is None else (rows, self.index)
        wanted = self.at(np.array([ticks[row] for row in rows]))
        wide = wanted if values[where].ndim == 1 else wanted[:, None]
        wide = wide if values.dtype.kind == "f" else np.rint(wide)
        if self.kind == "ramp":
            values[where] = wide
        elif self.kind == "noise":
            values[where] += np.rint(self.value * self._rng.standard_normal(values[where].shape)).astype(
                values.dtype
            )
        elif self.kind == "offset":
            values[where] += wide.astype(values.dtype)
        else:
            if self.kind == "stuck" and self._held is None:
                self._held = np.array(values[(rows[0], *where[1:])])
            values[where] = self.value if self.kind == "set" else self._held

    def alter(self, readings: Readings) -> None:
        """Apply a fault of readings."""
        ticks: Sequence[int] = {
            "fast": range(readings.tick, readings.tick + len(readings.current_ma)),
            "cells": readings.cells_at,
            "temps": readings.temps_at,
        }[SIGNALS[self.target]]
        values = getattr(readings, self.target)
        self.apply(values, ticks)
        np.clip(values, *_ON_THE_WIRE[self.target], out=values)


class PackFaults(Pushes):
    """Those among `injections` that the pack itself suffers; the plant asks before and after each block."""

    def __init__(self, injections: Iterable[Injection]) -> None:
        mine = list(injections)
        self._faults = [i for i in mine if i.kind in PACK_FAULTS]
        self._real = [i for i in mine if i.kind in READING_FAULTS and i.really]
        self._edges = sorted(
            {edge for i in (*self._faults, *self._real) for edge in (i.from_tick, i.to_tick)}
        )

    def alike(self, tick: int, most: int) -> int:
        """For how many ticks, 1..`most`, the same faults are on."""
        if any(i.kind == "load" and i.per_s and i.active(tick) for i in self._faults):
            return 1
        return next((min(most, edge - tick) for edge in self._edges if edge > tick), most)

    def load_a(self, tick: int) -> float | None:
        """What the load draws by force; None: what it likes."""
        on = [float(i.at(tick)) / 1000 for i in self._faults if i.kind == "load" and i.active(tick)]
        return on[-1] if on else None

    def leaks_a(self, tick: int) -> dict[int, float]:
        """Leaking cells."""
        return {i.index or 0: i.value / 1000 for i in self._faults if i.kind == "leak" and i.active(tick)}

    def push(self, contactors: Contactors, tick: int) -> None:
        """Set the contactors' faults of this tick."""
        on = [i for i in self._faults if i.active(tick)]

        def bits(kind: str) -> int:
            return sum({CONTACTOR_BITS[i.target] for i in on if i.kind == kind})

        contactors.welded, contactors.stuck_open = bits("weld"), bits("stuck_open")
        contactors.feedback_high, contactors.feedback_low = bits("feedback_high"), bits("feedback_low")
        contactors.link_leak_ohm = min((i.value for i in on if i.kind == "link_leak"), default=float("inf"))
        contactors.slowness = max((i.value for i in on if i.kind == "slow_link"), default=1.0)

    def alter(self, trace: Trace, tick: int, closed: bool) -> Trace:
        """The trace with the cells' voltages as the faults make them; pack and link follow."""
        n = len(trace.current_a)
        on = [i for i in self._real if any(i.active(t) for t in (tick, tick + n - 1))]
        if not on:
            return trace
        cell_mv = trace.cell_v * 1000
        for injection in on:
            injection.apply(cell_mv, range(tick, tick + n))
        rise_v = (cell_mv / 1000 - trace.cell_v).sum(axis=1)
        link_v = trace.link_v + rise_v if closed else trace.link_v
        return replace(trace, cell_v=cell_mv / 1000, pack_v=trace.pack_v + rise_v, link_v=link_v)


class FrameFaults:
    """Applies the frame faults among `injections`; keeps the last good frame of each group for `stale`."""

    def __init__(self, injections: Sequence[Injection]) -> None:
        self._by_group = {
            group: [i for i in injections if i.kind in FRAME_FAULTS and i.target == group] for group in GROUPS
        }
        self.any = any(self._by_group.values())
        self._last: dict[str, bytes] = {}

    def spoil(self, group: str, tick: int, kind: int, seq: int, payload: bytes) -> tuple[bytes, bool]:
        """The bytes to send for this frame, and whether they carry a valid, new sample."""
        fault = next((i for i in self._by_group[group] if i.active(tick)), None)
        wire = seal(kind, seq, tick * TICK_MS, payload)
        if fault is None:
            self._last[group] = wire
            return wire, True
        if fault.kind == "drop":
            return b"", False
        if fault.kind == "stale":
            return self._last.get(group, b""), False
        if fault.kind == "bad_crc":
            return seal(kind, seq, tick * TICK_MS, payload, spoil=0x5555), False
        if fault.kind == "bad_length":
            return seal(kind, seq, tick * TICK_MS, payload[:-1]), False
        marked = bytearray(payload)
        marked[_QUALITY_AT[group]] = INVALID
        if fault.kind == "open_wire":
            marked[_QUALITY_AT[group]] = OPEN_WIRE
            at = _CELLS_HEAD + 2 * ((fault.index or 0) - payload[0])
            if _CELLS_HEAD <= at < len(payload):
                marked[at : at + 2] = frame.OPEN_CELL_MV.to_bytes(2, "little")
        return seal(kind, seq, tick * TICK_MS, bytes(marked)), False
