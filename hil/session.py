"""One board and one plant joined by the AFE link: encoding, recording, and the lock-step clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from bms.link import frame
from bms.tables import faults
from numpy.typing import NDArray

from hil.inject import READING_FAULTS, FrameFaults, Injection
from hil.link import (
    ACTUATE_DTYPE,
    ACTUATE_WIRE,
    TICK_MS,
    Decoder,
    cells_payload,
    config_payload,
    fast_payload,
    seal,
    temps_payload,
    time_payload,
)
from hil.plant import Plant, Readings
from hil.targets.base import Target, TargetError

HELLO_S = 30.0
HUNG_S = 20.0
_GATES_AT = frame.HEADER + 4


@dataclass
class Record:
    """What went over the link: every ACTUATE body, the extremes of the readings, and the frames spoilt."""

    actuates: bytearray = field(default_factory=bytearray)
    current_ma: list[NDArray[np.int64]] = field(default_factory=list[NDArray[np.int64]])
    cells: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])
    temps: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])
    missed: dict[str, list[int]] = field(default_factory=lambda: {"fast": [], "cells": [], "temps": []})
    soc: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]])
    logs: list[str] = field(default_factory=list[str])

    def frames(self) -> NDArray[np.void]:
        """All ACTUATE frames as a structured array (ACTUATE_DTYPE)."""
        return np.frombuffer(bytes(self.actuates), dtype=ACTUATE_DTYPE)

    def currents(self) -> NDArray[np.int64]:
        """Current in mA at every tick."""
        return np.concatenate(self.current_ma) if self.current_ma else np.zeros(0, dtype=np.int64)

    def take(self, readings: Readings, soc: float) -> None:
        """Keep the extremes of each sample, as the protections see them."""
        self.current_ma.append(readings.current_ma)
        self.cells += zip(
            readings.cells_at,
            readings.cell_mv.min(axis=1).tolist(),
            readings.cell_mv.max(axis=1).tolist(),
            strict=True,
        )
        self.temps += zip(
            readings.temps_at,
            readings.temp_dc.min(axis=1).tolist(),
            readings.temp_dc.max(axis=1).tolist(),
            strict=True,
        )
        self.soc.append((readings.tick + len(readings.current_ma), soc))


class Encoder:
    """Readings into the frames of each tick: CELLS and TEMPS when due, FAST last."""

    def __init__(
        self, injections: Sequence[Injection] = (), missed: dict[str, list[int]] | None = None
    ) -> None:
        self._altering = [i for i in injections if i.kind in READING_FAULTS]
        self._faults = FrameFaults(injections)
        self._missed = missed
        self._seq = 0

    def plain(self, kind: int, ms: int, payload: bytes) -> bytes:
        """A frame outside the three groups: CONFIG, TIME."""
        wire = seal(kind, self._seq, ms, payload)
        self._seq += 1
        return wire

    def _frame(self, group: str, kind: int, tick: int, payload: bytes) -> bytes:
        seq = self._seq
        self._seq = seq + 1
        if not self._faults.any:
            return seal(kind, seq, tick * TICK_MS, payload)
        wire, valid = self._faults.spoil(group, tick, kind, seq, payload)
        if not valid and self._missed is not None:
            self._missed[group].append(tick)
        return wire

    def encode(self, readings: Readings) -> list[bytes]:
        """The bytes of each tick of `readings`; reading faults are applied to them first."""
        for injection in self._altering:
            injection.alter(readings)
        first = readings.tick
        out = [b""] * len(readings.current_ma)
        for at, cell_mv in zip(readings.cells_at, readings.cell_mv.tolist(), strict=True):
            for begin in range(0, len(cell_mv), frame.MAX_CELLS):
                payload = cells_payload(cell_mv[begin : begin + frame.MAX_CELLS], first=begin)
                out[at - first] += self._frame("cells", frame.CELLS, at, payload)
        for at, temp_dc in zip(readings.temps_at, readings.temp_dc.tolist(), strict=True):
            payload = temps_payload(temp_dc, readings.isolation_kohm)
            out[at - first] += self._frame("temps", frame.TEMPS, at, payload)
        columns = (readings.current_ma.tolist(), readings.pack_mv.tolist(), readings.link_mv.tolist())
        for k, (current_ma, pack_mv, link_mv) in enumerate(zip(*columns, strict=True)):
            payload = fast_payload(current_ma, pack_mv, link_mv, readings.feedback)
            out[k] += self._frame("fast", frame.FAST, first + k, payload)
        return out


class Session:
    """A board under the rig's clock. `hello` first, then `lockstep`."""

    def __init__(self, board: Target, plant: Plant, mode: int, injections: Sequence[Injection] = ()) -> None:
        self.board = board
        self.plant = plant
        self.record = Record()
        self.encoder = Encoder(injections, self.record.missed)
        self.decoder = Decoder()
        config = plant.config
        self._config = config_payload(config.series, config.sensors, mode, config.seed)
        self.recording = mode == frame.MODE_LOCKSTEP
        self.actuates = 0
        self.last = b""
        """Newest ACTUATE body."""

    def receive(self, timeout_s: float, due: int = 0) -> int:
        """Take in what the board sends within the timeout; how many ACTUATE frames came.

        `due`: so many ACTUATE frames must still come, so it pays to wait for their bytes.
        """
        at_least = due * ACTUATE_WIRE - self.decoder.pending
        bodies = self.decoder.feed(self.board.recv(timeout_s, max(1, at_least)))
        before = self.actuates
        for body in bodies:
            if body[1] == frame.ACTUATE and len(body) == ACTUATE_DTYPE.itemsize:
                if self.recording:
                    self.record.actuates += body
                self.actuates += 1
                self.last = body
            elif body[1] == frame.LOG:
                self.record.logs.append(body[frame.HEADER :].decode("utf-8", "replace"))
        return self.actuates - before

    def hello(self, timeout_s: float = HELLO_S) -> None:
        """Send CONFIG until the board answers with its first ACTUATE, which is not recorded.

        A socket loses nothing, so there once is enough; a CONFIG too many would cost a board in lock-step
        instructions, and with them device time. A serial line gets it each 100 ms.
        """
        end = time.monotonic() + timeout_s
        every_s = 0.1 if self.board.lossy else timeout_s
        answered = False
        while not answered:
            if time.monotonic() >= end:
                said = self.record.logs[-1] if self.record.logs else self.board.console_tail()
                raise TargetError(
                    f"{self.board.name}: no answer to CONFIG in {timeout_s:.0f} s; it said: {said}"
                )
            self.board.send(self.encoder.plain(frame.CONFIG, 0, self._config))
            again = time.monotonic() + every_s
            while not answered and time.monotonic() < again:
                answered = self.receive(0.1) > 0
        self.record.actuates.clear()
        self.actuates = 0

    def time_frame(self) -> bytes:
        """A TIME frame with the host's UTC."""
        utc_ms = time.time_ns() // 1_000_000
        return self.encoder.plain(frame.TIME, self.plant.tick * TICK_MS, time_payload(utc_ms))

    @property
    def gates(self) -> int:
        """Gates of the newest ACTUATE, 0 before the first."""
        return self.last[_GATES_AT] if self.last else 0

    def next_ticks(self, ticks: int) -> list[bytes]:
        """Advance the plant under the newest gates; the bytes of each of the next ticks (at most `ticks`)."""
        self.plant.gates = self.gates
        readings = self.plant.advance(ticks)
        wires = self.encoder.encode(readings)
        if self.recording:
            self.record.take(readings, self.plant.soc)
        return wires

    def lockstep(
        self,
        ticks: int,
        quantum: int = 1,
        *,
        until: Callable[[], bool] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Run `ticks` ticks of device time, `quantum` at a time: send, then wait for as many ACTUATEs.

        Raises TargetError when the board stays silent for HUNG_S wall seconds.
        """
        done = 0
        while done < ticks and not (until and until()):
            wires = self.next_ticks(min(quantum, ticks - done))
            want = self.actuates + len(wires)
            self.board.send(b"".join(wires))
            end = time.monotonic() + HUNG_S
            while self.actuates < want:
                if self.receive(HUNG_S, want - self.actuates):
                    end = time.monotonic() + HUNG_S
                elif time.monotonic() > end:
                    raise TargetError(
                        f"{self.board.name}: hung at tick {self.plant.tick}: {want - self.actuates} ACTUATE "
                        f"frames missing after {HUNG_S:.0f} s; console: {self.board.console_tail()}"
                    )
            done += len(wires)
            if progress:
                progress(len(wires))


def fault_names(bits: int) -> list[str]:
    """Names of the rows whose bit is set."""
    return [row.name for row in faults.FAULTS if bits >> row.id & 1]
