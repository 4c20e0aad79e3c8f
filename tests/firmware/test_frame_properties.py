"""Frames through arbitrary lines: any cut, any noise."""

from bms.link.frame import HEADER, MAX_RAW, Reader, Writer
from hypothesis import given, settings
from hypothesis import strategies as st

PAYLOADS = st.binary(max_size=MAX_RAW - HEADER - 2)


def wire(writer: Writer, payload: bytes) -> bytes:
    writer.raw[HEADER : HEADER + len(payload)] = payload
    n = writer.finish(2, 1, 2, len(payload))
    return bytes(writer.wire[:n])


def read(reader: Reader, pieces: list[bytes]) -> list[bytes]:
    found: list[bytes] = []
    for data in pieces:
        at = 0
        while at < len(data):
            before = at
            at = reader.feed(data, at, len(data))
            assert at > before
            if reader.size:
                found.append(bytes(reader.raw[HEADER : reader.size]))
    return found


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces: list[bytes] = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [*pieces, data]


@settings(deadline=None)
@given(st.lists(PAYLOADS, max_size=5), st.lists(st.integers(0, 40), max_size=10))
def test_frames_come_back_however_the_line_cuts_them(payloads: list[bytes], sizes: list[int]) -> None:
    writer, reader = Writer(), Reader()
    data = b"".join(wire(writer, payload) for payload in payloads)
    assert read(reader, cut(data, sizes)) == payloads
    assert reader.errors() == 0


@settings(deadline=None)
@given(st.binary(max_size=600), PAYLOADS, st.lists(st.integers(0, 40), max_size=10))
def test_noise_costs_no_frame_behind_its_delimiter(noise: bytes, payload: bytes, sizes: list[int]) -> None:
    reader = Reader()
    data = noise + b"\x00" + wire(Writer(), payload)
    assert read(reader, cut(data, sizes))[-1:] == [payload]
    assert reader.errors() <= noise.count(0) + 1


@settings(deadline=None)
@given(PAYLOADS, st.data())
def test_a_burst_of_damage_up_to_two_bytes_is_never_believed(payload: bytes, draw: st.DataObject) -> None:
    # a CRC of 16 bits finds every burst of up to 16 bits, and COBS only moves zeros
    data = bytearray(wire(Writer(), payload))
    at = draw.draw(st.integers(0, len(data) - 2))
    data[at] ^= draw.draw(st.integers(1, 255))
    assert payload not in read(Reader(), [bytes(data)])
