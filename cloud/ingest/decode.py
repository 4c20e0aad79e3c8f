"""From a topic and its bytes to a checked message, or DecodeError with a reason that names the thing.

Pure: no store, no clock. Whatever bytes come, the only exception is DecodeError.
"""

from dataclasses import dataclass, field
from typing import Any, cast

import cbor2
from bms.memory import trips
from bms.memory.kinds import FRAME, TRIP
from bms.memory.trips import RecordError
from bms.tables import params, signals
from bms.tables.signals import FIELDS, SIGNALS, STREAMS, UTC_SOURCES, Signal

from cloud.errors import CloudError
from cloud.telemetry import columns
from cloud.telemetry.columns import Cell

LEAVES = ("birth", "state", *STREAMS, "hist", "blackbox")
MAX_SAMPLES = 1000
MAX_ARRAY = 1024
_U32 = 1 << 32
_U64 = 1 << 64
_SAFE_INT = 1 << 53
_FIELD_NAMES = {row.key: row.name for row in FIELDS}
_SIGNAL_NAMES = {row.key: row.name for row in SIGNALS}


class DecodeError(CloudError):
    """A message that is not what the topic promises; the text names field, value and what would be right."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a message came from: bms/1/{tenant}/{site}/{pack}/{leaf}."""

    tenant: str
    site: str
    pack: str
    leaf: str


@dataclass(frozen=True, slots=True)
class Birth:
    """What a pack says of itself after connecting."""

    boot_id: int
    now_ms: int
    utc_ms: int | None
    utc_source: str | None
    about: dict[str, Any]


@dataclass(frozen=True, slots=True)
class State:
    """Connected, or the last will."""

    boot_id: int
    online: bool


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample: device time and the stream's columns in order, in SI."""

    device_ms: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of consecutive seq of one stream; `unknown` names keys that no row of the table has."""

    boot_id: int
    stream: str
    first_seq: int
    now_ms: int
    utc_ms: int | None
    utc_source: str | None
    samples: tuple[Sample, ...]
    unknown: tuple[str, ...] = field(default=())

    @property
    def last_seq(self) -> int:
        return self.first_seq + len(self.samples) - 1


@dataclass(frozen=True, slots=True)
class BlackBox:
    """Records of a pack's black box, checked and raw, each with the boot and incident that it belongs to."""

    boot_id: int
    records: tuple[tuple[int, int, bytes], ...]


def address(topic: str) -> Address:
    """The parts of a topic. Raises DecodeError for a topic that is not one of ours."""
    parts = topic.split("/")
    if len(parts) != 6 or parts[:2] != ["bms", "1"] or not all(parts) or parts[5] not in LEAVES:
        raise DecodeError(
            f"topic {topic!r} is not bms/1/TENANT/SITE/PACK/LEAF with LEAF of {', '.join(LEAVES)}"
        )
    return Address(*parts[2:])


def decode(leaf: str, payload: bytes) -> Birth | State | Samples | BlackBox:
    """The message that `payload` of topic leaf `leaf` is. Raises DecodeError."""
    body = _map(payload)
    if leaf == "birth":
        return _birth(body)
    if leaf == "state":
        return State(_integer(body, signals.BOOT_ID, 0, _U64), _integer(body, signals.ONLINE, 0, 2) == 1)
    if leaf == "blackbox":
        return _black_box(body)
    if leaf == "hist":
        return _samples(body, STREAMS[_integer(body, signals.STREAM, 0, len(STREAMS))])
    return _samples(body, leaf)


def _map(payload: bytes) -> dict[Any, Any]:
    try:
        body: object = cbor2.loads(payload, max_depth=8, allow_indefinite=False, allow_duplicate_keys=False)
    except Exception as error:  # cbor2's decoders of tags raise many kinds
        raise DecodeError(f"{len(payload)} bytes are not CBOR: {str(error)[:200]}") from error
    if not isinstance(body, dict):
        raise DecodeError(f"the message is a {type(body).__name__}, it must be a map")
    return cast("dict[Any, Any]", body)


def _integer(body: dict[Any, Any], key: int, low: int, end: int) -> int:
    name = _FIELD_NAMES[key]
    if key not in body:
        raise DecodeError(f"field {name} ({key}) is missing")
    value: object = body[key]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value < end:
        raise DecodeError(
            f"field {name} ({key}) is {_show(value)}, it must be an integer of {low}..{end - 1}"
        )
    return value


def _show(value: object) -> str:
    # tags of CBOR can build things that contain themselves: only plain values are shown
    return repr(value)[:40] if isinstance(value, int | float | str | bytes) else type(value).__name__


def _utc(body: dict[Any, Any]) -> tuple[int | None, str | None]:
    if signals.UTC_MS not in body:
        return None, None
    source = _integer(body, signals.UTC_SOURCE, 0, len(UTC_SOURCES))
    return _integer(body, signals.UTC_MS, 0, _SAFE_INT), UTC_SOURCES[source]


def _text(body: dict[Any, Any], key: int) -> str:
    value: object = body.get(key)
    if not isinstance(value, str) or len(value) > 200:
        raise DecodeError(
            f"field {_FIELD_NAMES[key]} ({key}) is {_show(value)}, it must be a text of at most 200"
        )
    return value


def _birth(body: dict[Any, Any]) -> Birth:
    schema = _integer(body, signals.SCHEMA_ID, 0, _U32)
    if schema > signals.SCHEMA:
        raise DecodeError(f"field schema is {schema}, this cloud knows up to {signals.SCHEMA}: update it")
    digest: object = body.get(signals.PARAMS_HASH)
    if not isinstance(digest, bytes) or len(digest) > 64:
        raise DecodeError(f"field params_hash is {_show(digest)}, it must be a byte string")
    topology: object = body.get(signals.TOPOLOGY)
    if not _is_integers(topology, 0, MAX_ARRAY) or len(cast("list[int]", topology)) != 2:
        raise DecodeError(f"field topology is {_show(topology)}, it must be [cells, temperature sensors]")
    n_cells, n_temps = cast("list[int]", topology)
    chemistry = _integer(body, signals.CHEMISTRY, 0, len(params.CHEMISTRIES))
    about = {
        "schema_id": schema,
        "firmware": _text(body, signals.FIRMWARE),
        "params_hash": digest.hex(),
        "chemistry": params.CHEMISTRIES[chemistry],
        "cells": n_cells,
        "temperature_sensors": n_temps,
        "machine": _text(body, signals.MACHINE),
        "capacity_ah": _integer(body, signals.CAPACITY, 0, _U32) / 1000,
    }
    boot_id = _integer(body, signals.BOOT_ID, 0, _U64)
    return Birth(boot_id, _integer(body, signals.NOW_MS, 0, _SAFE_INT), *_utc(body), about)


def _is_integers(value: object, low: int, end: int) -> bool:
    return isinstance(value, list) and all(
        isinstance(entry, int) and not isinstance(entry, bool) and low <= entry < end
        for entry in cast("list[object]", value)
    )


def _black_box(body: dict[Any, Any]) -> BlackBox:
    entries: object = body.get(signals.RECORDS)
    if not isinstance(entries, list):
        raise DecodeError(f"field records is {_show(entries)}, it must be an array of byte strings")
    boot_id = _integer(body, signals.BOOT_ID, 0, _U64)
    return BlackBox(boot_id, tuple(_record(entry) for entry in cast("list[object]", entries)))


def _record(entry: object) -> tuple[int, int, bytes]:
    if not isinstance(entry, bytes):
        raise DecodeError(f"field records holds {_show(entry)}, it must hold byte strings")
    try:
        kind, _, payload = trips.parse(entry)
        if kind not in (TRIP, FRAME):
            raise DecodeError(f"field records holds a record of kind {kind}, it must be a trip or a frame")
        row = trips.trip(payload) if kind == TRIP else trips.frame(payload)
    except RecordError as error:
        raise DecodeError(f"field records holds {error}") from error
    return cast(int, row["boot"]), cast(int, row["incident"]), entry


_COLUMN_OF = {
    stream: {row.key: (at, row) for at, row in enumerate(columns.COLUMNS[stream])} for stream in STREAMS
}


def _samples(body: dict[Any, Any], stream: str) -> Samples:
    first_seq = _integer(body, signals.SEQ, 0, _U32)
    count = _integer(body, signals.N, 1, MAX_SAMPLES + 1)
    entries: object = body.get(signals.SAMPLES)
    if not isinstance(entries, list):
        raise DecodeError(f"field samples is {_show(entries)}, it must be an array of maps")
    entries = cast("list[object]", entries)
    if len(entries) != count:
        raise DecodeError(f"field n is {count} but samples has {len(entries)} entries")
    if first_seq + count > _U32:
        raise DecodeError(f"field seq is {first_seq} with {count} samples, which runs past {_U32 - 1}")
    unknown: dict[str, None] = {_show(key): None for key in body if key not in _FIELD_NAMES}
    return Samples(
        _integer(body, signals.BOOT_ID, 0, _U64),
        stream,
        first_seq,
        _integer(body, signals.NOW_MS, 0, _SAFE_INT),
        *_utc(body),
        tuple(_sample(entry, stream, first_seq + at, unknown) for at, entry in enumerate(entries)),
        tuple(unknown)[:8],
    )


def _sample(entry: object, stream: str, seq: int, unknown: dict[str, None]) -> Sample:
    if not isinstance(entry, dict):
        raise DecodeError(f"sample {seq} is {_show(entry)}, it must be a map")
    known = _COLUMN_OF[stream]
    cells: list[Cell] = [None] * len(known)
    device_ms: object = None
    for key, value in cast("dict[object, object]", entry).items():
        place = known.get(key) if isinstance(key, int) else None
        if place is not None:
            at, row = place
            cells[at] = columns.to_cell(row, _value(row, value, seq))
        elif key == columns.DEVICE_MS.key:
            device_ms = value
        elif not isinstance(key, int) or key not in _SIGNAL_NAMES:
            unknown[_show(key)] = None
    if isinstance(device_ms, bool) or not isinstance(device_ms, int) or not 0 <= device_ms < _SAFE_INT:
        raise DecodeError(f"sample {seq}: device_ms is {_show(device_ms)}, it must be 0..{_SAFE_INT - 1}")
    return Sample(device_ms, tuple(cells))


def _value(row: Signal, value: Any, seq: int) -> int | list[int]:
    if row.array:
        if _is_integers(value, -_SAFE_INT, _SAFE_INT) and len(value) <= MAX_ARRAY:
            return value
        raise DecodeError(f"sample {seq}: {row.name} is {_show(value)}, it must be an array of integers")
    if isinstance(value, int) and -_SAFE_INT < value < _SAFE_INT:
        return int(value)
    raise DecodeError(f"sample {seq}: {row.name} is {_show(value)}, it must be an integer")
