"""Samples of the three streams as CBOR: maps of signal key -> integer, keys from the signal table."""

from array import array

from bms.link import cbor
from bms.sample import MISSING
from bms.tables import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.sample import Snapshot

_SAMPLE_BYTES = 488
"""Room for 96 cells, 32 of them being bled, and 32 sensors."""


def _key(name: str) -> int:
    for row in signals.SIGNALS:
        if row.name == name:
            return row.key
    raise ValueError("telemetry: no signal is named %s" % name)


def _scalars(stream: str) -> bytes:
    return bytes(row.key for row in signals.SIGNALS if stream in row.streams and not row.array and row.key)


_FAULTS = _key("faults")
DROPPED = _key("dropped")
_CELL_V = _key("cell_voltage_v")
_TEMP_C = _key("temperature_c")
_BLED = _key("balancing_cells")
_TELE_KEYS = _scalars(signals.TELE)
_EVT_KEYS = _scalars(signals.EVT)


def row() -> "array[int]":
    """A row for `report` and `event`: one integer a signal, indexed by its key, all MISSING: left out."""
    return array("i", [MISSING] * (1 + max(entry.key for entry in signals.SIGNALS)))


def ones(bitmap: bytearray) -> int:
    """How many bits are set."""
    n = 0
    for byte in bitmap:
        while byte:
            byte &= byte - 1
            n += 1
    return n


class Encoder:
    """Encodes one sample at a time into `encoder` (buf, n); decides when a cells sample is due."""

    def __init__(self, cells_every_ms: int, cells_step_mv: int) -> None:
        self.encoder = cbor.Encoder(_SAMPLE_BYTES)
        self._every_ms = cells_every_ms
        self._step_mv = cells_step_mv
        self._cells_at: "int | None" = None
        self._cells_mv: "array[int]" = array("H")

    def tele(self, device_ms: int, values: "array[int]", faults: "array[int]", n_faults: int) -> None:
        """A tele sample: the row's scalars and the ids faults[:n_faults]."""
        self._scalars(device_ms, values, _TELE_KEYS)
        self._array(_FAULTS, faults, n_faults)

    def event(self, device_ms: int, values: "array[int]", faults: "array[int]", n_faults: int) -> None:
        """An event with its freeze frame."""
        self._scalars(device_ms, values, _EVT_KEYS)
        self._array(_FAULTS, faults, n_faults)

    def cells(
        self, device_ms: int, snapshot: "Snapshot", on_change: bool, bled: "bytearray | None" = None
    ) -> bool:
        """A cells sample; False when none is due. An array that is not known is left out.

        `bled` is the bitmap of the cells being bled, by cell.
        """
        good_cells = snapshot.cells_known
        good_temps = snapshot.temps_known
        if not (good_cells or good_temps):
            return False
        if not self._elapsed(device_ms) and not (on_change and good_cells and self._moved(snapshot.cell_mv)):
            return False
        self._begin(device_ms, 1 + good_cells + good_temps + (bled is not None))
        if good_cells:
            self._array(_CELL_V, snapshot.cell_mv, len(snapshot.cell_mv))
            self._remember(snapshot.cell_mv)
        if good_temps:
            self._array(_TEMP_C, snapshot.temp_dc, len(snapshot.temp_dc))
        if bled is not None:
            self._bits(_BLED, bled)
        self._cells_at = device_ms
        return True

    def _elapsed(self, device_ms: int) -> bool:
        return self._cells_at is None or device_ms - self._cells_at >= self._every_ms

    def _moved(self, cell_mv: "array[int]") -> bool:
        if len(cell_mv) != len(self._cells_mv):
            return True
        for i in range(len(cell_mv)):
            if abs(cell_mv[i] - self._cells_mv[i]) >= self._step_mv:
                return True
        return False

    def _remember(self, cell_mv: "array[int]") -> None:
        if len(self._cells_mv) != len(cell_mv):
            self._cells_mv = array("H", cell_mv)
        for i in range(len(cell_mv)):
            self._cells_mv[i] = cell_mv[i]

    def _begin(self, device_ms: int, count: int) -> None:
        self.encoder.reset()
        self.encoder.map(count)
        self.encoder.integer(0)
        self.encoder.integer(device_ms)

    def _scalars(self, device_ms: int, values: "array[int]", keys: bytes) -> None:
        count = 2  # device_ms and the faults
        for key in keys:
            if values[key] != MISSING:
                count += 1
        self._begin(device_ms, count)
        for key in keys:
            if values[key] != MISSING:
                self.encoder.integer(key)
                self.encoder.integer(values[key])

    def _array(self, key: int, values: "array[int]", n: int) -> None:
        encoder = self.encoder
        encoder.integer(key)
        encoder.array(n)
        for i in range(n):
            encoder.integer(values[i])

    def _bits(self, key: int, bitmap: bytearray) -> None:
        encoder = self.encoder
        encoder.integer(key)
        encoder.array(ones(bitmap))
        for i in range(8 * len(bitmap)):
            if bitmap[i >> 3] & 1 << (i & 7):
                encoder.integer(i)
