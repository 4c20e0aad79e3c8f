"""The AFE link: a measuring front end (or the rig) at the other end of a serial line."""

import micropython
import struct

from bms.fixed import get_16s, get_i32, get_u16
from bms.link import frame
from bms.link.frame import HEADER, Reader, Writer
from bms.sample import QUALITY_OK, Command, Sample

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.contract import Stream

_CHUNK = 256
_CHUNKS_PER_READ = 4
"""Bounds a free-running read at 1 kB, twice what the line carries in a tick: a flood cannot hold the tick."""


class SerialAfe:
    """`afe` of a board whose cells are measured behind a serial line.

    `stream` offers `readinto(buf) -> int` (0: nothing now), `write(buf, n)` and `wait_frame()`, which
    sleeps, device time standing still, until a whole frame is there (False: interrupted); lock-step only.
    """

    def __init__(self, stream: "Stream") -> None:
        self._stream = stream
        self._reader = Reader()
        self._writer = Writer()
        self._chunk = bytearray(_CHUNK)
        self._at = 0
        self._n = 0
        self.configured = False
        self.lockstep = False
        self.n_cells = 0
        self.n_temps = 0
        self.seed = 0
        self._utc = bytearray(8)
        self._utc_fresh = False
        self.bad_payload = 0

    @micropython.native
    def read(self, sample: Sample) -> None:
        """Take in the frames that have come; in lock-step exactly up to and with this tick's FAST."""
        reader = self._reader
        lockstep = self.lockstep  # CONFIG, inside, may begin it: from the next read on
        chunks = 0
        while True:
            while self._at < self._n:
                self._at = reader.feed(self._chunk, self._at, self._n)
                if reader.size and self._accept(sample) and lockstep:
                    return
            if lockstep:
                if not self._stream.wait_frame():
                    return  # interrupted from the console
            elif chunks == _CHUNKS_PER_READ:
                return
            chunks += 1
            self._at = 0
            self._n = self._stream.readinto(self._chunk)
            if not self._n and not lockstep:
                return

    @micropython.native
    def _accept(self, sample: Sample) -> bool:
        # One of six frames came. True only for FAST, which ends a tick's frames.
        kind = self._reader.kind
        if kind == frame.FAST:
            self._fast(sample)
            return True
        if kind == frame.CELLS:
            self._cells(sample)
        elif kind == frame.TEMPS:
            self._temps(sample)
        elif kind == frame.CONFIG:
            self._config()
        elif kind == frame.TIME:
            self._time()
        else:
            self.bad_payload += 1
        return False

    @micropython.native
    def _payload(self, n: int) -> bool:
        if self._reader.size == HEADER + n:
            return True
        self.bad_payload += 1
        return False

    @micropython.native
    def _fast(self, sample: Sample) -> None:
        raw = self._reader.raw
        if self._payload(14) and raw[HEADER + 13] == QUALITY_OK:
            sample.current_ma = get_i32(raw, HEADER)
            sample.pack_mv = get_i32(raw, HEADER + 4)
            sample.link_mv = get_i32(raw, HEADER + 8)
            sample.feedback = raw[HEADER + 12]
            sample.fast_seq = (sample.fast_seq + 1) & 0xFFFF

    @micropython.native
    def _cells(self, sample: Sample) -> None:
        raw = self._reader.raw
        first = raw[HEADER]
        n = raw[HEADER + 1]
        if not self._payload(3 + 2 * n) or raw[HEADER + 2] != QUALITY_OK:
            return
        if first + n > sample.n_cells:
            self.bad_payload += 1
            return
        get_16s(sample.cell_mv, first, raw, HEADER + 3, n)
        if first + n == sample.n_cells:  # the last block completes the set
            sample.cells_seq = (sample.cells_seq + 1) & 0xFFFF

    @micropython.native
    def _temps(self, sample: Sample) -> None:
        raw = self._reader.raw
        n = raw[HEADER]
        if not self._payload(4 + 2 * n) or raw[HEADER + 1] != QUALITY_OK:
            return
        if n != sample.n_temps:
            self.bad_payload += 1
            return
        sample.isolation_kohm = get_u16(raw, HEADER + 2)
        get_16s(sample.temp_dc, 0, raw, HEADER + 4, n)
        sample.temps_seq = (sample.temps_seq + 1) & 0xFFFF

    def _config(self) -> None:
        if self.configured or not self._payload(7):
            return  # CONFIG is repeated until we answer: the first one counts
        raw = self._reader.raw
        self.n_cells = raw[HEADER]
        self.n_temps = raw[HEADER + 1]
        self.lockstep = raw[HEADER + 2] == frame.MODE_LOCKSTEP
        self.seed = get_u16(raw, HEADER + 3) << 14 ^ get_u16(raw, HEADER + 5)
        self.configured = True

    def _time(self) -> None:
        # Once a second; a u64 does not fit a small int, so the bytes are kept for the task above.
        if self._payload(8):
            self._utc_fresh = True
            for i in range(8):
                self._utc[i] = self._reader.raw[HEADER + i]

    @micropython.native
    def write(self, command: Command, ms_low: int, ms_high: int) -> None:
        """Send ACTUATE; device time in two 16-bit halves."""
        struct.pack_into(
            frame.ACTUATE_FORMAT, self._writer.raw, HEADER,
            command.tick, command.gates, command.state, command.pump_pct, command.limiter,
            command.soc_cpct, command.sigma_cpct, command.current_limit_da, command.kept, command.next_seq,
            command.faults, command.latched, command.balance,
        )  # fmt: skip
        self._stream.write(self._writer.wire, self._writer.finish(frame.ACTUATE, ms_low, ms_high, 40))

    def take_utc_ms(self) -> int:
        """UTC in ms of a TIME frame that came since the last call, else 0. Not for the tick: allocates."""
        utc_ms = 0
        while self._utc_fresh:  # again when the tick put in a new one while we were reading
            self._utc_fresh = False
            utc_ms = struct.unpack("<Q", self._utc)[0]
        return utc_ms

    def log(self, text: str) -> None:
        """Send a LOG line to the rig. Not for the tick: allocates, and shares nothing with it."""
        writer = Writer()
        data = text.encode()[: frame.MAX_RAW - HEADER - frame.CRC]
        writer.raw[HEADER : HEADER + len(data)] = data
        self._stream.write(writer.wire, writer.finish(frame.LOG, 0, 0, len(data)))

    def errors(self) -> int:
        """Frames refused so far: bad COBS, CRC, length, version or payload."""
        return self._reader.errors() + self.bad_payload
