"""One board and one plant joined by the AFE link: encoding, recording, and the clock of both."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from bms.link import frame
from bms.tables import faults

from cloud.twin.pack import CLOSED
from hil.inject import READING_FAULTS, RESTART, FrameFaults, Injection
from hil.link import (
    ACTUATE_DTYPE,
    ACTUATE_WIRE,
    TICK_MS,
    Decoder,
    cells_payload,
    config_payload,
    fast_payload,
    parse_actuate,
    seal,
    temps_payload,
    time_payload,
)
from hil.plant import Plant, Readings
from hil.record import Record
from hil.targets.base import Target, TargetError

HELLO_S = 30.0
HUNG_S = 20.0
RESET_S = 10.0
"""Wall time after which a board that may reset itself has."""
DOWN_S = 0.2
"""Device time without power in a restart."""
UNSETTLED_TICKS = 4
_GATES_AT = frame.HEADER + 4


class Encoder:
    """Readings into the frames of each tick: CELLS and TEMPS when due, FAST; `ends`: END after them."""

    def __init__(
        self,
        injections: Sequence[Injection] = (),
        missed: dict[str, list[int]] | None = None,
        *,
        ends: bool = False,
    ) -> None:
        self._ends = ends
        self._altering = [i for i in injections if i.kind in READING_FAULTS and not i.really]
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
        temps = (readings.temps_at, readings.temp_dc.tolist(), readings.isolation_kohm.tolist())
        for at, temp_dc, isolation_kohm in zip(*temps, strict=True):
            payload = temps_payload(temp_dc, isolation_kohm)
            out[at - first] += self._frame("temps", frame.TEMPS, at, payload)
        columns = (readings.current_ma, readings.pack_mv, readings.link_mv, readings.feedback)
        for k, values in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
            out[k] += self._frame("fast", frame.FAST, first + k, fast_payload(*values))
            if self._ends:
                out[k] += self.plain(frame.END, (first + k) * TICK_MS, b"")
        return out


class Session:
    """A board under the rig's clock. `hello` first, then `lockstep` or `free`."""

    def __init__(self, board: Target, plant: Plant, mode: int, injections: Sequence[Injection] = ()) -> None:
        self.board = board
        self.plant = plant
        self.record = Record()
        self.encoder = Encoder(injections, self.record.missed, ends=mode == frame.MODE_LOCKSTEP)
        self.decoder = Decoder()
        config = plant.config
        self._config = config_payload(config.series, config.sensors, mode, config.seed)
        self.recording = mode == frame.MODE_LOCKSTEP
        self._restarts = sorted(i.from_tick for i in injections if i.kind == RESTART)
        self.actuates = 0
        self.sent = 0
        """Ticks whose frames the board has been sent."""
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
                self.actuates += 1
                self.last = body
                if self.recording:
                    self.record.add(body, min(self.sent, self.sent - due + self.actuates - before))
            elif body[1] == frame.LOG:
                self.record.logs.append(body[frame.HEADER :].decode("utf-8", "replace"))
        return self.actuates - before

    def hello(self, timeout_s: float = HELLO_S, every_s: float = 0.0) -> None:
        """Send CONFIG until the board answers with its first ACTUATE, which is not recorded.

        A socket loses nothing, so there once is enough; a CONFIG too many would cost a board in lock-step
        instructions, and with them device time. A serial line gets it each 100 ms.
        """
        end = time.monotonic() + timeout_s
        every_s = every_s or (0.1 if self.board.lossy else timeout_s)
        recording, self.recording = self.recording, False
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
        self.recording = recording
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
        """Advance the plant under the newest gates; the bytes of each of the next ticks (at most `ticks`).

        While the path is open blocks are short: contactors must answer their gates in time.
        """
        self.plant.gates = self.gates
        if self.last and self.plant.load.obedient:
            self.plant.load.hear(parse_actuate(self.last))
        settled = self.plant.closed and self.gates == CLOSED
        readings = self.plant.advance(ticks if settled else min(ticks, UNSETTLED_TICKS))
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
        resets: bool = False,
    ) -> None:
        """Run `ticks` ticks of device time, `quantum` at a time: send, then wait for as many ACTUATEs.

        `resets`: a board that falls silent may be resetting itself, and is greeted anew. Raises TargetError
        when the board stays silent for HUNG_S wall seconds.
        """
        done = 0
        settled = False  # not while it still starts
        while done < ticks and not (until and until()):
            if self._restarts and self.plant.tick >= self._restarts[0]:
                self._restarts.pop(0)
                self._begin_anew(self.board.restart)
                settled = False
            wires = self.next_ticks(min(quantum, ticks - done))
            want = self.actuates + len(wires)
            self.sent += len(wires)
            self.board.send(b"".join(wires))
            end = time.monotonic() + (RESET_S if resets and settled else HUNG_S)
            while self.actuates < want:
                if self.receive(max(0.0, end - time.monotonic()), want - self.actuates):
                    end = time.monotonic() + HUNG_S
                elif time.monotonic() > end:
                    if resets:
                        self.record.silence(want - self.actuates, self.sent)
                        self._begin_anew(lambda: None)
                        settled = False
                        break
                    raise TargetError(
                        f"{self.board.name}: hung at tick {self.plant.tick}: {want - self.actuates} ACTUATE "
                        f"frames missing after {HUNG_S:.0f} s; console: {self.board.console_tail()}"
                    )
            else:
                settled = True
            done += len(wires)
            if progress:
                progress(len(wires))

    def _begin_anew(self, restart: Callable[[], None]) -> None:
        self.last = b""
        self.plant.gates = 0
        self.plant.park(DOWN_S)
        restart()
        self.decoder = Decoder()
        self.record.boots.append(self.plant.tick)
        self.hello(every_s=1.0)


def fault_names(bits: int) -> list[str]:
    """Names of the rows whose bit is set."""
    return [row.name for row in faults.FAULTS if bits >> row.id & 1]
