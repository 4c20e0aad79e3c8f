"""The rig's side of the AFE link: the same frames as `bms.link.frame`, coded for speed on the host."""

from __future__ import annotations

import struct
from binascii import crc_hqx
from dataclasses import dataclass

import numpy as np
from bms.link import frame

TICK_MS = 5
CELLS_EVERY = 4
TEMPS_EVERY = 20
"""Ticks between CELLS and TEMPS frames (20 ms, 100 ms)."""

_HEADER = struct.Struct("<BBHI")
_CRC = struct.Struct("<H")
_FAST = struct.Struct(frame.FAST_FORMAT)
_CELLS = struct.Struct(frame.CELLS_FORMAT)
_TEMPS = struct.Struct(frame.TEMPS_FORMAT)
_CONFIG = struct.Struct(frame.CONFIG_FORMAT)
_TIME = struct.Struct(frame.TIME_FORMAT)
_ACTUATE = struct.Struct(frame.ACTUATE_FORMAT)
_BYTES = [bytes((value,)) for value in range(256)]

ACTUATE_DTYPE = np.dtype(
    [
        ("version", "u1"), ("kind", "u1"), ("seq", "<u2"), ("ms", "<u4"),
        ("tick", "<u4"), ("gates", "u1"), ("state", "u1"), ("pump_pct", "u1"), ("requests", "u1"),
        ("soc_cpct", "<u2"), ("sigma_cpct", "<u2"), ("charge_limit_da", "<u2"), ("discharge_limit_da", "<u2"),
        ("kept", "<u2"), ("charge_limiter", "u1"), ("discharge_limiter", "u1"),
        ("next_seq", "<u4"), ("faults_low", "<u4"), ("faults_high", "<u4"),
        ("latched_low", "<u4"), ("latched_high", "<u4"), ("balance", "<u4"),
    ]
)  # fmt: skip
"""An ACTUATE frame before COBS, without its CRC: whole runs are read with it at once."""


@dataclass(frozen=True)
class Actuate:
    """What the board commands and estimates, once a tick (`bms.link.frame.ACTUATE_FORMAT`)."""

    tick: int
    gates: int
    state: int
    pump_pct: int
    requests: int
    soc_cpct: int
    sigma_cpct: int
    charge_limit_da: int
    discharge_limit_da: int
    kept: int
    charge_limiter: int
    discharge_limiter: int
    next_seq: int
    faults: int
    latched: int
    balance: int
    """Bitmaps: active and latched rows of the fault table by id, cells being balanced by position."""


ACTUATE_WIRE = ACTUATE_DTYPE.itemsize + frame.CRC + 2
"""Bytes of an ACTUATE frame on the wire: COBS adds one, the delimiter another."""


class FrameError(ValueError):
    """A frame that must not be believed; `why` is cobs, length, crc, version or payload."""

    def __init__(self, why: str, detail: str) -> None:
        super().__init__(f"frame refused ({why}): {detail}")
        self.why = why


def cobs(raw: bytes) -> bytes:
    """COBS with the delimiter, for frames below 254 bytes."""
    return b"".join([_BYTES[len(block) + 1] + block for block in raw.split(b"\0")]) + b"\0"


def seal(kind: int, seq: int, ms: int, payload: bytes, *, spoil: int = 0) -> bytes:
    """One frame as it goes over the wire; `spoil` is XORed into the CRC."""
    raw = _HEADER.pack(frame.VERSION, kind, seq & 0xFFFF, ms & 0xFFFFFFFF) + payload
    return cobs(raw + _CRC.pack(crc_hqx(raw, 0xFFFF) ^ spoil))


def unseal(wire: bytes) -> bytes:
    """Header and payload of one frame (delimiter stripped). Raises FrameError."""
    blocks: list[bytes] = []
    at, n = 0, len(wire)
    while at < n:
        code = wire[at]
        end = at + code
        if end > n:
            raise FrameError("cobs", f"block of {code} bytes, {n - at} are left")
        blocks.append(wire[at + 1 : end])
        at = end
    raw = b"\0".join(blocks)
    if not frame.HEADER + frame.CRC <= len(raw) <= frame.MAX_RAW:
        raise FrameError("length", f"{len(raw)} bytes")
    body = raw[:-2]
    if crc_hqx(body, 0xFFFF) != raw[-2] | raw[-1] << 8:
        raise FrameError("crc", f"{crc_hqx(body, 0xFFFF):04x} is not {raw[-2] | raw[-1] << 8:04x}")
    if raw[0] != frame.VERSION:
        raise FrameError("version", f"{raw[0]} is not {frame.VERSION}")
    return body


class Decoder:
    """Cuts a byte stream into frames; counts what it refuses by reason in `refused`."""

    def __init__(self) -> None:
        self._rest = b""
        self.refused: dict[str, int] = {}

    @property
    def pending(self) -> int:
        """Bytes of a frame that has not ended yet."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[bytes]:
        """Header and payload of each valid frame that ended in `data`."""
        *wires, self._rest = (self._rest + data).split(b"\0")
        if len(self._rest) > frame.MAX_WIRE:
            self._rest = self._rest[: frame.MAX_WIRE + 1]  # bounded; the delimiter will refuse it
        bodies: list[bytes] = []
        for wire in wires:
            if not wire:
                continue
            try:
                bodies.append(unseal(wire))
            except FrameError as error:
                self.refused[error.why] = self.refused.get(error.why, 0) + 1
        return bodies


def parse_actuate(body: bytes) -> Actuate:
    """The ACTUATE in a frame's header and payload. Raises FrameError for another kind or length."""
    if body[1] != frame.ACTUATE or len(body) != ACTUATE_DTYPE.itemsize:
        raise FrameError("payload", f"kind 0x{body[1]:02x} with {len(body)} bytes is no ACTUATE")
    *numbers, faults, latched, balance = _ACTUATE.unpack_from(body, frame.HEADER)
    bitmaps = (int.from_bytes(bits, "little") for bits in (faults, latched, balance))
    return Actuate(*numbers, *bitmaps)


def config_payload(cells: int, sensors: int, mode: int, seed: int) -> bytes:
    """CONFIG: topology, MODE_FREE or MODE_LOCKSTEP, random seed (u32)."""
    return _CONFIG.pack(cells, sensors, mode, seed & 0xFFFFFFFF)


def time_payload(utc_ms: int) -> bytes:
    """TIME: UTC in ms since 1970."""
    return _TIME.pack(utc_ms)


def fast_payload(current_ma: int, pack_mv: int, link_mv: int, feedback: int, quality: int = 0) -> bytes:
    """FAST: see FAST_FORMAT."""
    return _FAST.pack(current_ma, pack_mv, link_mv, feedback, quality)


def cells_payload(cell_mv: list[int], quality: int = 0, first: int = 0) -> bytes:
    """CELLS: up to 32 cells from `first` on."""
    return _CELLS.pack(first, len(cell_mv), quality) + struct.pack(f"<{len(cell_mv)}H", *cell_mv)


def temps_payload(temp_dc: list[int], isolation_kohm: int, quality: int = 0) -> bytes:
    """TEMPS: sensors in 0.1 degC and the isolation resistance."""
    return _TEMPS.pack(len(temp_dc), quality, isolation_kohm) + struct.pack(f"<{len(temp_dc)}h", *temp_dc)
