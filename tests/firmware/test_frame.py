"""Serial frames: reference CRC and COBS values, resynchronisation, every single damage found."""

import gc

import micropython
from bms.link import frame
from bms.link.frame import HEADER, MAX_RAW, Reader, Writer


def wire(writer: Writer, kind: int, ms: int, payload: bytes) -> bytes:
    writer.raw[HEADER : HEADER + len(payload)] = payload
    n = writer.finish(kind, ms & 0xFFFF, ms >> 16, len(payload))
    return bytes(writer.wire[:n])


def read(reader: Reader, data: bytes) -> "list[tuple[int, int, int, bytes]]":
    """(kind, seq, ms, payload) of each frame in data."""
    found: "list[tuple[int, int, int, bytes]]" = []
    at = 0
    while at < len(data):
        at = reader.feed(data, at, len(data))
        if reader.size:
            raw = reader.raw
            ms = raw[4] | raw[5] << 8 | raw[6] << 16 | raw[7] << 24
            found.append((reader.kind, reader.seq, ms, bytes(raw[HEADER : reader.size])))
    return found


def test_crc_has_the_value_that_the_catalogue_gives():
    # CRC-16/CCITT-FALSE (also CRC-16/IBM-3740), reveng catalogue: check 0x29B1
    assert frame.crc16(b"123456789", 9) == 0x29B1
    assert frame.crc16(b"", 0) == 0xFFFF
    assert frame.crc16(b"123456789 and more", 9) == 0x29B1


def test_a_frame_is_laid_out_as_documented():
    data = wire(Writer(), frame.TEMPS, 0xA1B2C3D4, b"\x00\x11")
    # COBS: version, type 3, seq 0 0 (zeros), ms little endian, payload 00 11, CRC
    raw = b"\x01\x03\x00\x00\xd4\xc3\xb2\xa1\x00\x11"
    crc = frame.crc16(raw, len(raw))
    tail = bytes((crc & 255, crc >> 8))
    assert data == b"\x03\x01\x03\x01\x05\xd4\xc3\xb2\xa1\x04\x11" + tail + b"\x00"


def test_frames_of_every_length_and_kind_of_payload_come_back():
    writer = Writer()
    reader = Reader()
    seq = 0
    for n in range(MAX_RAW - HEADER - frame.CRC + 1):
        for payload in (bytes(n), b"\xff" * n, bytes((i * 37) & 255 for i in range(n))):
            data = wire(writer, n & 127, 0xFFFFFFFF - n, payload)
            assert 0 not in data[:-1]
            assert data[-1] == 0
            assert len(data) <= frame.MAX_WIRE
            assert read(reader, data) == [(n & 127, seq, 0xFFFFFFFF - n, payload)]
            seq += 1
    assert reader.errors() == 0


def test_sequence_wraps_at_sixteen_bits():
    writer = Writer()
    writer.seq = 0xFFFF
    data = wire(writer, 1, 0, b"") + wire(writer, 1, 0, b"")
    assert [entry[1] for entry in read(Reader(), data)] == [0xFFFF, 0]


def test_a_frame_in_pieces_is_the_same_frame():
    data = wire(Writer(), frame.FAST, 77, bytes(range(14)))
    for cut in range(1, len(data)):
        reader = Reader()
        assert read(reader, data[:cut]) == [] or cut == len(data)
        assert read(reader, data[cut:]) == [(frame.FAST, 0, 77, bytes(range(14)))]


def test_any_changed_bit_is_found_and_the_next_frame_is_read():
    writer = Writer()
    first = wire(writer, frame.FAST, 5, b"\x00\x01\x02\x00\xff")
    second = wire(writer, frame.FAST, 6, b"next")
    for at in range(len(first)):
        for bit in range(8):
            data = bytearray(first + second)
            data[at] ^= 1 << bit
            reader = Reader()
            frames = read(reader, bytes(data))
            assert all(entry[1:] != (0, 5, b"\x00\x01\x02\x00\xff") for entry in frames)
            # a delimiter that is lost takes the next frame with it, nothing else does
            if at < len(first) - 1:
                assert frames == [(frame.FAST, 1, 6, b"next")]
            assert reader.errors() >= 1


def test_each_refusal_is_counted_by_its_reason():
    reader = Reader()
    read(reader, b"\x05\x01\x00")
    assert reader.words[frame.BAD_COBS] == 1
    read(reader, b"\x03\x01\x02\x00")
    assert reader.words[frame.BAD_LENGTH] == 1
    good = bytearray(wire(Writer(), 1, 0, b"\x07"))
    good[2] ^= 2
    read(reader, bytes(good))
    assert reader.words[frame.BAD_CRC] == 1
    # version 9, kind 1, zeros, one byte of payload, sealed by hand
    raw = b"\x09\x01\x00\x00\x00\x00\x00\x00\x07"
    crc = frame.crc16(raw, len(raw))
    tail = bytes((crc & 255, crc >> 8))
    assert 0 not in tail
    read(reader, b"\x03\x09\x01\x01\x01\x01\x01\x01\x04\x07" + tail + b"\x00")
    assert reader.words[frame.BAD_VERSION] == 1
    read(reader, b"\x01" * 400 + b"\x00")
    assert reader.words[frame.BAD_COBS] == 2
    assert reader.errors() == 5


def test_idle_zeros_and_noise_between_frames_do_no_harm():
    good = wire(Writer(), 4, 1, b"ok")
    reader = Reader()
    assert read(reader, b"\x00\x00\x00" + good + b"\x00\x00") == [(4, 0, 1, b"ok")]
    assert reader.errors() == 0
    assert read(reader, bytes(range(255, 0, -1)) * 3 + b"\x00" + good) == [(4, 0, 1, b"ok")]
    assert reader.errors() == 1


def test_reading_and_writing_allocate_nothing():
    writer = Writer()
    reader = Reader()
    data = wire(writer, frame.CELLS, 1, bytes(60))
    gc.collect()
    micropython.heap_lock()
    try:
        n = writer.finish(frame.CELLS, 0xFFFF, 0xFFFF, 60)
        at = reader.feed(data, 0, len(data))
    finally:
        micropython.heap_unlock()
    assert at == len(data)
    assert reader.size == HEADER + 60
    assert n == len(data)
