"""The AFE link: a measuring front end (or the rig) at the other end of a serial line."""

import micropython
import struct
from array import array

from bms.fixed import address
from bms.link import frame
from bms.link.frame import (
    ACTUATE,
    AT,
    CELLS,
    CONFIG,
    CRC,
    DUMP,
    END,
    FAST,
    HEADER,
    TEMPS,
    TIME,
    Reader,
    Writer,
)
from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.contract import Stream
    from bms.sample import Command, Sample

_CHUNK = const(256)
_CHUNKS_PER_READ = const(4)
"""Bounds a free-running read at 1 kB, twice what the line carries in a tick: a flood cannot hold the tick."""

# Numbers of other modules that viper must know; a test compares them.
_HEADER = const(8)
_LARGEST_HIGH = const(64)  # sample.LARGEST_MA >> 16; voltages saturate there too
_OPEN_WIRE = const(2)
_OPEN_CELL_MV = const(0xFFFF)
_NONE = const(0x10000)  # no frame of that group yet

# What became of a payload
_IGNORED = const(0)
_TAKEN = const(1)
_BAD = const(2)

# Stamps: of each group the sequence and time of the last frame, then the cell that the next block begins with
_NEXT_CELL = const(6)


@micropython.viper
def _is_new(raw_at: int, stamps_at: int) -> int:
    # A frame that repeats the sequence or the time of the last one of its group tells nothing new.
    raw = ptr8(raw_at)
    stamps = ptr32(stamps_at)
    group = (raw[1] - 1) * 2
    seq = raw[2] | raw[3] << 8
    ms = raw[4] | raw[5] << 8 | raw[6] << 16 | (raw[7] & 0x3F) << 24
    if stamps[group] != _NONE:
        if stamps[group] == seq:
            return 0
        later = (ms - stamps[group + 1]) & 0x3FFFFFFF
        if later > 0x1FFFFFFF:
            return 0
        if later == 0 and (raw[1] != 2 or raw[8] == 0):  # but the blocks of a set have one time
            return 0
    stamps[group] = seq
    stamps[group + 1] = ms
    return 1


@micropython.viper
def _take_fast(raw_at: int, size: int, fast_at: int) -> int:
    raw = ptr8(raw_at)
    fast = ptr32(fast_at)
    if size != _HEADER + 14:
        return _BAD
    if raw[_HEADER + 13]:
        return _IGNORED
    i = 0
    while i < 3:
        at = _HEADER + 4 * i
        low = raw[at] | raw[at + 1] << 8
        high = raw[at + 2] | raw[at + 3] << 8
        if high & 0x8000:
            high -= 0x10000
        if high >= _LARGEST_HIGH:
            high = _LARGEST_HIGH
            low = 0
        if high < 0 - _LARGEST_HIGH:
            high = 0 - _LARGEST_HIGH
            low = 0
        fast[i] = high * 0x10000 + low
        i += 1
    fast[3] = raw[_HEADER + 12]
    return _TAKEN


@micropython.viper
def _take_cells(raw_at: int, size: int, cells_at: int, n_cells: int, stamps_at: int) -> int:
    # _TAKEN with the last block of a set, if none before it was missing; 3 + k: a wire is open at cell k.
    raw = ptr8(raw_at)
    cells = ptr16(cells_at)
    stamps = ptr32(stamps_at)
    first = raw[_HEADER]
    n = raw[_HEADER + 1]
    quality = raw[_HEADER + 2]
    if size < _HEADER + 3 or size != _HEADER + 3 + 2 * n or first + n > n_cells:
        return _BAD
    at = _HEADER + 3
    i = 0
    if quality == _OPEN_WIRE:
        while i < n:
            if (raw[at] | raw[at + 1] << 8) == _OPEN_CELL_MV:
                return 3 + first + i
            at += 2
            i += 1
    if quality or (first and first != stamps[_NEXT_CELL]):
        stamps[_NEXT_CELL] = _NONE
        return _IGNORED
    while i < n:
        cells[first + i] = raw[at] | raw[at + 1] << 8
        at += 2
        i += 1
    first += n
    stamps[_NEXT_CELL] = first
    return _TAKEN if first == n_cells else _IGNORED


@micropython.viper
def _take_temps(raw_at: int, size: int, temps_at: int, n_temps: int) -> int:
    raw = ptr8(raw_at)
    temps = ptr16(temps_at)
    n = raw[_HEADER]
    if size < _HEADER + 4 or size != _HEADER + 4 + 2 * n or n != n_temps:
        return _BAD
    if raw[_HEADER + 1]:
        return _IGNORED
    at = _HEADER + 4
    i = 0
    while i < n:
        temps[i] = raw[at] | raw[at + 1] << 8
        at += 2
        i += 1
    return _TAKEN


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
        self._find = self._reader.finder(self._chunk)
        self._n = 0
        self._stamps = array("i", [_NONE] * 7)
        self._sample: "Sample | None" = None
        self._command: "Command | None" = None
        self.configured = False
        self.lockstep = False
        self.n_cells = 0
        self.n_temps = 0
        self.seed = 0
        self.dump_wanted = False
        self._utc = bytearray(8)
        self._utc_fresh = False
        self.bad_payload = 0

    def bind(self, sample: "Sample", command: "Command") -> None:
        """Look up addresses once, before the safety tick reads and writes these."""
        self._take(sample)
        self._give(command)

    def _give(self, command: "Command") -> None:
        self._command = command
        self._seal = self._writer.sealer(command.frame, ACTUATE)

    def _take(self, sample: "Sample") -> None:
        self._sample = sample
        raw_at, stamps_at = address(self._reader.raw), address(self._stamps)
        self._accepting = (
            (_is_new, raw_at, stamps_at),
            (_take_fast, address(sample.fast)),
            (_take_cells, address(sample.cell_mv), sample.n_cells),
            (_take_temps, address(sample.temp_dc), sample.n_temps, self._reader.raw),
            sample.seq,
        )

    @micropython.native
    def read(self, sample: "Sample") -> None:
        """Take in the frames that have come; in lock-step exactly up to and with this tick's END."""
        if sample is not self._sample:
            self._take(sample)
        find = self._find
        raw = self._reader.raw
        lockstep = self.lockstep  # CONFIG, inside, may begin it: from the next read on
        chunks = 0
        while True:
            n = self._n
            while True:
                size = find(n)
                if not size:
                    break
                kind = raw[1]
                if kind <= TEMPS:
                    self._accept(sample, kind, size)
                elif kind != END:
                    self._other(kind, size)
                elif lockstep:
                    return
            if lockstep:
                if not self._stream.wait_frame():
                    return  # interrupted from the console
            elif chunks == _CHUNKS_PER_READ:
                return
            chunks += 1
            self._reader.words[AT] = 0
            self._n = self._stream.readinto(self._chunk)
            if not self._n and not lockstep:
                return

    @micropython.native
    def _accept(self, sample: "Sample", kind: int, size: int) -> None:
        # A frame of one of the three groups came.
        new, fast, cells, temps, seq = self._accepting
        is_new, raw_at, stamps_at = new
        if not is_new(raw_at, stamps_at):
            return
        if kind == FAST:
            take, fast_at = fast
            taken = take(raw_at, size, fast_at)
        elif kind == CELLS:
            take, cells_at, n = cells
            taken = take(raw_at, size, cells_at, n, stamps_at)
            if taken != _BAD:
                sample.open_wire = taken - 2 if taken > 2 else 0
        else:
            take, temps_at, n, raw = temps
            taken = take(raw_at, size, temps_at, n)
            if taken == _TAKEN:
                sample.isolation_kohm = raw[HEADER + 2] | raw[HEADER + 3] << 8
        if taken == _TAKEN:
            seq[kind - 1] = (seq[kind - 1] + 1) & 0xFFFF
        elif taken == _BAD:
            self.bad_payload += 1

    def _other(self, kind: int, size: int) -> None:
        if kind == CONFIG and size == HEADER + 7:
            self._config()
        elif kind == TIME and size == HEADER + 8:
            # Once a second; a u64 does not fit a small int, so the bytes are kept for the task above.
            self._utc_fresh = True
            for i in range(8):
                self._utc[i] = self._reader.raw[HEADER + i]
        elif kind == DUMP:
            self.dump_wanted = True
        else:
            self.bad_payload += 1

    def _config(self) -> None:
        # A rig that begins anew counts anew. CONFIG is repeated until we answer: the first one decides.
        for i in range(7):
            self._stamps[i] = _NONE
        if self.configured:
            return
        raw = self._reader.raw
        self.n_cells = raw[HEADER]
        self.n_temps = raw[HEADER + 1]
        self.lockstep = raw[HEADER + 2] == frame.MODE_LOCKSTEP
        self.seed = (raw[HEADER + 3] | raw[HEADER + 4] << 8) << 14 ^ (raw[HEADER + 5] | raw[HEADER + 6] << 8)
        self.configured = True

    @micropython.native
    def write(self, command: "Command", ms_low: int, ms_high: int) -> None:
        """Send ACTUATE; device time in two 16-bit halves."""
        if command is not self._command:
            self._give(command)
        self._stream.write(self._writer.wire, self._seal(ms_low, ms_high))

    def take_utc_ms(self) -> int:
        """UTC in ms of a TIME frame that came since the last call, else 0. Not for the tick: allocates."""
        utc_ms = 0
        while self._utc_fresh:  # again when the tick put in a new one while we were reading
            self._utc_fresh = False
            utc_ms = struct.unpack("<Q", self._utc)[0]
        return utc_ms

    def log(self, text: str) -> None:
        """Send a LOG line to the rig. Not for the tick: allocates, and shares nothing with it."""
        self.send(frame.LOG, text.encode())

    def send(self, kind: int, payload: "bytes | bytearray | memoryview") -> None:
        """Send a frame of `kind`, cut to what fits. Not for the tick."""
        writer = Writer()
        data = payload[: frame.MAX_RAW - HEADER - CRC]
        writer.raw[HEADER : HEADER + len(data)] = data
        self._stream.write(writer.wire, writer.finish(kind, 0, 0, len(data)))

    def errors(self) -> int:
        """Frames refused so far: bad COBS, CRC, length, version or payload."""
        return self._reader.errors() + self.bad_payload
