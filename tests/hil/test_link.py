"""The host's frames are those of the firmware, byte for byte; faults in frames are what they claim."""

from __future__ import annotations

import struct
from binascii import crc_hqx

import pytest
from bms.link import frame
from hypothesis import given
from hypothesis import strategies as st

from hil.inject import FrameFaults, Injection
from hil.link import (
    ACTUATE_DTYPE,
    ACTUATE_WIRE,
    Decoder,
    FrameError,
    cells_payload,
    cobs,
    fast_payload,
    parse_actuate,
    seal,
    temps_payload,
    unseal,
)

payloads = st.binary(min_size=0, max_size=frame.MAX_RAW - frame.HEADER - frame.CRC)


def firmware_frame(kind: int, seq: int, ms: int, payload: bytes) -> bytes:
    writer = frame.Writer()
    writer.seq = seq
    writer.raw[frame.HEADER : frame.HEADER + len(payload)] = payload
    n = writer.finish(kind, ms & 0xFFFF, ms >> 16, len(payload))
    return bytes(writer.wire[:n])


@given(st.integers(0, 255), st.integers(0, 0xFFFF), st.integers(0, 0xFFFF_FFFF), payloads)
def test_both_sides_write_the_same_bytes_and_read_them(kind: int, seq: int, ms: int, payload: bytes) -> None:
    wire = seal(kind, seq, ms, payload)
    assert wire == firmware_frame(kind, seq, ms, payload)
    body = unseal(wire[:-1])
    assert body[frame.HEADER :] == payload
    assert body[1] == kind
    reader = frame.Reader()
    reader.feed(wire, 0, len(wire))
    assert reader.size == frame.HEADER + len(payload)


@given(st.lists(st.tuples(payloads, st.booleans()), max_size=8), st.integers(1, 40))
def test_a_stream_in_any_pieces_gives_the_good_frames_only(
    frames: list[tuple[bytes, bool]], piece: int
) -> None:
    stream = b"".join(seal(1, k, 0, p, spoil=0 if good else 1) for k, (p, good) in enumerate(frames))
    decoder = Decoder()
    found = [b for at in range(0, len(stream), piece) for b in decoder.feed(stream[at : at + piece])]
    assert [b[frame.HEADER :] for b in found] == [p for p, good in frames if good]
    assert decoder.refused.get("crc", 0) == sum(not good for _, good in frames)


def test_noise_is_refused_and_bounded() -> None:
    decoder = Decoder()
    assert decoder.feed(b"\x05ab\0" + b"\x02a\0") == []
    assert decoder.refused == {"cobs": 1, "length": 1}
    for _ in range(100):
        decoder.feed(b"\xff" * 100)
    assert decoder.pending < 300
    decoder.feed(b"\0")
    assert len(decoder.feed(seal(frame.FAST, 0, 0, b"x"))) == 1
    raw = bytes((9, 1)) + bytes(6)
    wire = cobs(raw + struct.pack("<H", crc_hqx(raw, 0xFFFF)))
    with pytest.raises(FrameError, match="version"):
        unseal(wire[:-1])


def test_actuate_is_read_field_by_field() -> None:
    values = (7, 5, 3, 40, 1, 7933, 250, 123, 456, 23, 4, 5, 19)
    payload = struct.pack(
        frame.ACTUATE_FORMAT, *values, b"\x08" + bytes(6) + b"\x80", b"\x08" + bytes(7), b"\x03\0\0\0"
    )
    wire = seal(frame.ACTUATE, 1, 35, payload)
    assert len(wire) == ACTUATE_WIRE
    body = unseal(wire[:-1])
    assert len(body) == ACTUATE_DTYPE.itemsize
    actuate = parse_actuate(body)
    assert (actuate.tick, actuate.gates, actuate.soc_cpct, actuate.kept, actuate.next_seq) == (
        7,
        5,
        7933,
        23,
        19,
    )
    assert (actuate.charge_limit_da, actuate.discharge_limit_da, actuate.requests) == (123, 456, 1)
    assert actuate.faults == 1 << 63 | 8
    assert actuate.latched == 8
    assert actuate.balance == 3
    with pytest.raises(FrameError, match="no ACTUATE"):
        parse_actuate(unseal(seal(frame.LOG, 0, 0, b"hi")[:-1]))


@pytest.mark.parametrize(
    ("kind", "refused_as"),
    [("bad_crc", "BAD_CRC"), ("bad_length", ""), ("drop", ""), ("stale", ""), ("bad_quality", "")],
)
def test_frame_faults_do_what_they_say(kind: str, refused_as: str) -> None:
    faults = FrameFaults([Injection(kind, "cells", 10, 20)])
    payload = cells_payload([3700, 3701])
    good, valid = faults.spoil("cells", 9, frame.CELLS, 5, payload)
    assert valid
    assert good == seal(frame.CELLS, 5, 45, payload)
    wire, valid = faults.spoil("cells", 10, frame.CELLS, 6, payload)
    assert not valid
    reader = frame.Reader()
    reader.feed(wire, 0, len(wire))
    if refused_as:
        assert reader.words[getattr(frame, refused_as)] == 1
    if kind == "drop":
        assert wire == b""
    if kind == "stale":
        assert wire == good
    if kind == "bad_length":
        assert reader.size == frame.HEADER + len(payload) - 1
    if kind == "bad_quality":
        assert reader.raw[frame.HEADER + 2] == 1
    assert faults.spoil("cells", 20, frame.CELLS, 7, payload)[1]
    assert faults.spoil("temps", 12, frame.TEMPS, 7, temps_payload([250], 1000))[1]


def test_faults_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="none of"):
        Injection("melt", "cells")
    with pytest.raises(ValueError, match="cannot act on 'cell_mv'"):
        Injection("drop", "cell_mv")


def test_payloads_have_the_declared_sizes() -> None:
    assert len(fast_payload(-1, 44_000, 0, 5)) == struct.calcsize(frame.FAST_FORMAT)
    assert len(cells_payload([1] * 32)) == 3 + 64
    assert len(temps_payload([-100] * 4, 500)) == 4 + 8
