"""What the firmware tests share: a serial line in memory and a string of cells at its other end."""

import struct

import micropython
from bms.link import frame
from bms.link.afe_serial import SerialAfe
from bms.safety.kernel import Kernel
from bms.sample import OPEN_WIRE, QUALITY_OK, TICK_MS, Command, Estimate, Sample, Snapshot
from bms.tables import params

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


@micropython.viper
def _copy(dst: ptr8, src: ptr8, at: int, n: int):
    i = 0
    while i < n:
        dst[i] = src[at + i]
        i += 1


class Line:
    """Both ends of a serial line: `load` what the firmware will read, look at what it wrote in `sent`."""

    def __init__(self) -> None:
        self._data = bytearray(2048)
        self._at = 0
        self._n = 0
        self.sent = bytearray(256)
        self.n_sent = 0

    def load(self, data: bytes) -> None:
        self._data[: len(data)] = data
        self._at = 0
        self._n = len(data)

    def readinto(self, buf: bytearray) -> int:
        n = min(self._n - self._at, len(buf))
        _copy(buf, self._data, self._at, n)
        self._at += n
        return n

    def write(self, buf: bytearray, n: int) -> int:
        _copy(self.sent, buf, 0, n)
        self.n_sent = n
        return n

    def wait_frame(self) -> bool:
        return self._at < self._n  # an empty line would wait for ever: interrupted instead


class Clock:
    def __init__(self) -> None:
        self.late_ms = 0

    def elapsed_ms(self) -> int:
        late_ms = self.late_ms
        self.late_ms = 0
        return TICK_MS + late_ms


class Gate:
    def __init__(self) -> None:
        self.bits = 0

    def set(self, bits: int) -> None:
        self.bits = bits


class Feed:
    """Builds a front end's frames as bytes."""

    def __init__(self) -> None:
        self.writer = frame.Writer()
        self.ms = 0

    def frame(self, kind: int, payload: bytes) -> bytes:
        self.writer.raw[frame.HEADER : frame.HEADER + len(payload)] = payload
        n = self.writer.finish(kind, self.ms & 0xFFFF, self.ms >> 16, len(payload))
        return bytes(self.writer.wire[:n])

    def fast(self, current_ma: int, pack_mv: int, link_mv: int, feedback: int = 0, quality: int = 0) -> bytes:
        payload = struct.pack(frame.FAST_FORMAT, current_ma, pack_mv, link_mv, feedback, quality)
        return self.frame(frame.FAST, payload)

    def end(self) -> bytes:
        """Ends a tick's frames; the next ones are a tick later."""
        data = self.frame(frame.END, b"")
        self.ms += TICK_MS
        return data

    def cells(self, cell_mv: "list[int]", first: int = 0, quality: int = 0) -> bytes:
        n = len(cell_mv)
        head = struct.pack(frame.CELLS_FORMAT, first, n, quality)
        return self.frame(frame.CELLS, head + struct.pack("<%dH" % n, *cell_mv))

    def temps(self, temp_dc: "list[int]", quality: int = 0, isolation_kohm: int = 1000) -> bytes:
        n = len(temp_dc)
        head = struct.pack(frame.TEMPS_FORMAT, n, quality, isolation_kohm)
        return self.frame(frame.TEMPS, head + struct.pack("<%dh" % n, *temp_dc))


class String:
    """A kernel over a line in memory, and the pack at its other end; the pack obeys the gates.

    Current and last cell carry 1 mA and 1 mV of noise away from zero and 3.7 V, unless they are `frozen`.
    """

    def __init__(self, n_cells: int = 4, n_temps: int = 2, chemistry: int = params.NMC) -> None:
        self.line = Line()
        self.afe = SerialAfe(self.line)
        self.afe.lockstep = True
        self.clock = Clock()
        self.gate = Gate()
        self.command = Command()
        self.snapshot = Snapshot(n_cells, n_temps)
        self.estimate = Estimate()
        self.sample = Sample(n_cells, n_temps)
        self.kernel = Kernel(
            self, self.sample, self.command, self.snapshot, self.estimate, params.defaults(chemistry), 20
        )
        self.kernel.contactor.wanted = True
        self.feed = Feed()
        self.cell_mv = [3700] * n_cells
        self.temp_dc = [250] * n_temps
        self.isolation_kohm = 1000
        self.current_ma = 0
        self.link_mv = 0
        self.welded = self.stuck_open = 0
        self.pack_error_mv = 0
        self.precharge_mv = 100_000  # a tick
        self.open_wire = self.link_held = self.link_shorted = False
        self.noise = b""
        self.idle = False
        self.frozen = ""
        self.tick_n = 0
        self.send_fast = self.send_cells = self.send_temps = True

    def frames(self) -> bytes:
        """This tick's frames of the front end."""
        data = b""
        pack_mv = sum(self.cell_mv)
        feedback = self.gate.bits & ~self.stuck_open | self.welded
        if feedback & 5 == 5:
            self.link_mv = pack_mv
        elif feedback & 3 == 3:
            self.link_mv = 0 if self.link_shorted else min(pack_mv, self.link_mv + self.precharge_mv)
        elif not self.link_held:
            self.link_mv = self.link_mv * 199 // 200  # bled in about a second
        if self.send_cells and self.tick_n % 4 == 0:
            cells = list(self.cell_mv)
            if self.frozen != "cells":
                cells[-1] += (self.tick_n >> 2 & 1) * (1 if cells[-1] > 3700 or not cells[-1] else -1)
            if self.open_wire:
                cells[1] = cells[2] = frame.OPEN_CELL_MV
            data += self.feed.cells(cells, 0, OPEN_WIRE if self.open_wire else QUALITY_OK)
        if self.send_temps and self.tick_n % 20 == 0:
            data += self.feed.temps(self.temp_dc, 0, self.isolation_kohm)
        if self.send_fast:
            current_ma = self.current_ma if feedback & 5 == 5 else 0
            if self.frozen != "current":
                current_ma += (self.tick_n & 1) * (1 if current_ma > 0 else -1)
            data += self.feed.fast(current_ma, pack_mv + self.pack_error_mv, self.link_mv, feedback)
        return self.noise + data + self.feed.end()

    def tick(self) -> None:
        """One tick, and the task above it unless it is `idle`."""
        self.line.load(self.frames())
        self.tick_n += 1
        self.kernel.tick(0)
        if self.kernel.due and not self.idle:
            self.kernel.take()
            self.kernel.done()

    def run(self, ticks: int) -> None:
        for _ in range(ticks):
            self.tick()

    def until(self, condition: "Callable[[], bool]", ticks: int) -> int:
        """Tick until `condition()`; returns how many ticks it took, or -1 after `ticks`."""
        for n in range(ticks):
            if condition():
                return n
            self.tick()
        return -1

    def active(self, fault_id: int) -> bool:
        return bool(self.kernel.monitor.active[fault_id >> 3] & 1 << (fault_id & 7))

    def latched(self, fault_id: int) -> bool:
        return bool(self.kernel.monitor.latched[fault_id >> 3] & 1 << (fault_id & 7))
