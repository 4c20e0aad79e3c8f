"""Decoding: every row of the table comes out in SI, and no bytes can do more than DecodeError."""

import contextlib
import json
from typing import Any

import cbor2
import pytest
from bms.link import cbor
from bms.tables import signals
from bms.tables.signals import SIGNALS, STREAMS
from hypothesis import given
from hypothesis import strategies as st

from cloud.ingest import decode
from cloud.ingest.decode import LEAVES, DecodeError, Samples
from cloud.telemetry import columns
from tests.cloud import edge

KEYS = st.one_of(st.integers(-20, 30), st.integers(), st.text(max_size=3))
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 65), 1 << 65),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=5),
)
ANY = st.recursive(
    PLAIN,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=6)),
    max_leaves=30,
)
GOOD = edge.message(5, 7, [edge.tele(10), edge.tele(20)], 30)


def survives(leaf: str, payload: bytes) -> None:
    with contextlib.suppress(DecodeError):
        decode.decode(leaf, payload)


@given(st.sampled_from(LEAVES), st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_decode_error(leaf: str, payload: bytes) -> None:
    survives(leaf, payload)


@given(st.sampled_from(LEAVES), st.dictionaries(st.integers(-20, -1), ANY, max_size=12))
def test_any_map_is_a_message_or_a_decode_error(leaf: str, body: dict[int, Any]) -> None:
    survives(leaf, cbor2.dumps(body))


@given(st.data())
def test_a_damaged_message_is_a_message_or_a_decode_error(data: st.DataObject) -> None:
    good = bytearray(cbor2.dumps(GOOD))
    for _ in range(data.draw(st.integers(1, 6))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    survives("tele", bytes(good[: data.draw(st.integers(0, len(good)))]))


@given(st.sampled_from(sorted(GOOD)), ANY)
def test_any_field_with_anything_in_it(key: int, value: Any) -> None:
    survives("tele", cbor2.dumps(GOOD | {key: value}))
    survives("tele", cbor2.dumps(GOOD | {signals.N: 1, signals.SAMPLES: [{0: 1, key: value, 3: value}]}))


@given(st.text(max_size=40))
def test_any_topic(topic: str) -> None:
    with contextlib.suppress(DecodeError):
        decode.address(topic)


def test_topics() -> None:
    where = decode.address(signals.topic("t", "s", "p", "tele"))
    assert (where.tenant, where.site, where.pack, where.leaf) == ("t", "s", "p", "tele")
    for wrong in ("bms/2/t/s/p/tele", "bms/1/t/s/p/ack", "bms/1/t//p/tele", "bms/1/t/s/p/tele/x"):
        with pytest.raises(DecodeError, match="is not bms/1/TENANT"):
            decode.address(wrong)


@pytest.mark.parametrize("stream", STREAMS)
def test_every_row_of_the_table_comes_out_in_si(stream: str) -> None:
    rows = [row for row in SIGNALS if stream in row.streams]
    sample = {row.key: [row.key, -7] if row.array else row.key * 3 for row in rows}
    body = {signals.BOOT_ID: 1, signals.SEQ: 0, signals.N: 1, signals.NOW_MS: 9, signals.SAMPLES: [sample]}
    # encoded by the firmware's own encoder
    message = decode.decode(stream, cbor.encode(body, 1024))
    assert isinstance(message, Samples)
    assert message.unknown == ()
    for row, cell in zip(columns.COLUMNS[stream], message.samples[0].cells, strict=True):
        expected = [row.key / row.per_unit, -7 / row.per_unit] if row.array else row.key * 3 / row.per_unit
        found = json.loads(cell) if isinstance(cell, str) else cell
        assert found == expected, row.name


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({signals.N: 3}, "field n is 3 but samples has 2 entries"),
        ({signals.SEQ: (1 << 32) - 1}, "which runs past"),
        ({signals.BOOT_ID: 1 << 64}, "field boot_id"),
        ({signals.BOOT_ID: True}, "field boot_id"),
        ({signals.SAMPLES: [{0: 1}, 5]}, "sample 8 is 5, it must be a map"),
        ({signals.SAMPLES: [{0: 1}, {3: 1}]}, "sample 8: device_ms"),
        ({signals.SAMPLES: [{0: 1, 3: 0.5}, {0: 2}]}, "sample 7: soc is 0.5, it must be an integer"),
        ({signals.SAMPLES: [{0: 1, 11: 3}, {0: 2}]}, "sample 7: faults is 3, it must be an array"),
        ({signals.UTC_MS: 5}, "field utc_source (-6) is missing"),
    ],
)
def test_reasons_name_the_thing(change: dict[int, Any], reason: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode.decode("tele", cbor2.dumps(GOOD | change))
    assert reason in str(caught.value)


def test_unknown_keys_are_named_and_the_rest_is_kept() -> None:
    body = GOOD | {-99: 1, signals.SAMPLES: [{0: 1, 2: -5, 77: 1}, {0: 2, "x": 1}]}
    message = decode.decode("tele", cbor2.dumps(body))
    assert isinstance(message, Samples)
    assert message.unknown == ("-99", "77", "'x'")
    assert message.samples[0].cells[1] == -0.005
