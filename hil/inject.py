"""Faults put into what the board is told: in the readings, or in the frames that carry them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hil.link import TICK_MS, seal
from hil.plant import Readings

FOREVER = 2**31
GROUPS = ("fast", "cells", "temps")
READING_FAULTS = ("set", "offset", "stuck")
FRAME_FAULTS = ("drop", "bad_crc", "bad_length", "stale", "bad_quality")
SIGNALS = {"current_ma": "fast", "pack_mv": "fast", "link_mv": "fast", "cell_mv": "cells", "temp_dc": "temps"}


@dataclass
class Injection:
    """One fault, active for from_tick <= tick < to_tick.

    Faults of readings (`set`, `offset` by `value`; `stuck` at the first reading in the window) name a signal
    and, for arrays, an `index` (None: all). Faults of frames name a group: `drop` sends none, `bad_crc` and
    `bad_length` spoil it, `stale` repeats the last frame before the window, `bad_quality` disowns it.
    """

    kind: str
    target: str
    from_tick: int = 0
    to_tick: int = FOREVER
    index: int | None = None
    value: int = 0
    _held: object = None

    def __post_init__(self) -> None:
        if self.kind in READING_FAULTS:
            known: Sequence[str] = tuple(SIGNALS)
        elif self.kind in FRAME_FAULTS:
            known = GROUPS
        else:
            raise ValueError(f"fault {self.kind!r} is none of {', '.join(READING_FAULTS + FRAME_FAULTS)}")
        if self.target not in known:
            raise ValueError(f"fault {self.kind!r} cannot act on {self.target!r}, only on {', '.join(known)}")

    def active(self, tick: int) -> bool:
        """Whether the fault is on in that tick."""
        return self.from_tick <= tick < self.to_tick

    def alter(self, readings: Readings) -> None:
        """Apply a fault of readings in place."""
        group = SIGNALS[self.target]
        n = len(readings.current_ma)
        ticks = {
            "fast": range(readings.tick, readings.tick + n),
            "cells": readings.cells_at,
            "temps": readings.temps_at,
        }[group]
        rows = [row for row, tick in enumerate(ticks) if self.active(tick)]
        if not rows:
            return
        values = getattr(readings, self.target)
        where = (rows,) if values.ndim == 1 or self.index is None else (rows, self.index)
        if self.kind == "set":
            values[where] = self.value
        elif self.kind == "offset":
            values[where] += self.value
        else:
            if self._held is None:
                self._held = np.array(values[(rows[0], *where[1:])])
            values[where] = self._held


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
        fault = next((i.kind for i in self._by_group[group] if i.active(tick)), None)
        wire = seal(kind, seq, tick * TICK_MS, payload)
        if fault is None:
            self._last[group] = wire
            return wire, True
        if fault == "drop":
            return b"", False
        if fault == "stale":
            return self._last.get(group, b""), False
        if fault == "bad_crc":
            return seal(kind, seq, tick * TICK_MS, payload, spoil=0x5555), False
        if fault == "bad_length":
            return seal(kind, seq, tick * TICK_MS, payload[:-1]), False
        spot = {"fast": 13, "cells": 2, "temps": 1}[group]
        marked = payload[:spot] + b"\x01" + payload[spot + 1 :]
        return seal(kind, seq, tick * TICK_MS, marked), False
