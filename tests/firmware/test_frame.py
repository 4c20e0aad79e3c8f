"""Serial frames: reference CRC and COBS values, resynchronisation, every single damage found."""

import gc
import struct

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


def test_numbers_on_the_wire_are_those_of_the_protocol():
    assert (frame.FAST, frame.CELLS, frame.TEMPS, frame.CONFIG, frame.TIME) == (1, 2, 3, 4, 5)
    assert (frame.END, frame.DUMP, frame.ACTUATE, frame.LOG, frame.RECORD) == (6, 7, 0x81, 0x82, 0x83)
    assert (frame.MODE_FREE, frame.MODE_LOCKSTEP, frame.REQUEST_ZERO_CURRENT) == (0, 1, 1)
    assert (frame.VERSION, frame.OPEN_CELL_MV) == (1, 0xFFFF)
    assert (MAX_RAW, frame.MAX_WIRE, frame.MAX_CELLS) == (128, 130, 32)
    assert (HEADER, frame.CRC) == (8, 2)
    sizes = [struct.calcsize(f) for f in (frame.FAST_FORMAT, frame.CELLS_FORMAT, frame.TEMPS_FORMAT)]
    assert sizes == [14, 3, 4]
    assert struct.calcsize(frame.ACTUATE_FORMAT) == 44
    assert HEADER + 3 + 2 * frame.MAX_CELLS + frame.CRC <= MAX_RAW


def test_a_frame_of_the_greatest_length_is_read_and_a_longer_one_refused_and_left_whole():
    raw = bytes(range(1, MAX_RAW - 1))
    for n, good in ((MAX_RAW - 2, True), (MAX_RAW - 1, False)):
        data = (b"\x01" + raw + b"\x07")[1 : n + 1]  # no zeros: one COBS block
        crc = frame.crc16(data, n)
        sealed = bytes((n + 3,)) + data + bytes((crc & 255, crc >> 8)) + b"\x00"
        if 0 in sealed[:-1]:
            raise ValueError("choose other bytes: the CRC has a zero")
        reader = Reader()
        at = reader.feed(sealed, 0, len(sealed))
        assert at == len(sealed)
        assert reader.size == (n if good else 0)
        assert reader.words[frame.BAD_COBS] == (0 if good else 1)


def test_a_finder_goes_over_bad_frames_to_the_next_good_one():
    source = bytearray(300)
    reader = Reader()
    find = reader.finder(source)
    good = wire(Writer(), frame.TEMPS, 9, b"abc")
    data = b"\x05\x01\x00" + good + b"\x00\x02\x00" + good + good[:5]
    source[: len(data)] = data
    assert [find(len(data)) for _ in range(3)] == [HEADER + 3, HEADER + 3, 0]
    assert reader.errors() == 2
    reader.words[frame.AT] = 0
    source[: len(good) - 5] = good[5:]
    assert find(len(good) - 5) == HEADER + 3
    assert bytes(reader.raw[HEADER : HEADER + 3]) == b"abc"


def test_a_sealer_writes_what_finish_writes():
    one, other = Writer(), Writer()
    whole = bytearray(HEADER + 3 + frame.CRC)
    whole[HEADER : HEADER + 3] = b"\x00\x05\x00"
    seal = one.sealer(whole, frame.ACTUATE)
    for ms in (0, 5, 0xFFFF_FFFF):
        n = seal(ms & 0xFFFF, ms >> 16)
        assert bytes(one.wire[:n]) == wire(other, frame.ACTUATE, ms, b"\x00\x05\x00")
    other.seq = 0xFFFF
    seal = other.sealer(whole, frame.ACTUATE)
    found = read(Reader(), b"".join(bytes(other.wire[: seal(1, 0)]) for _ in range(2)))
    assert [entry[1] for entry in found] == [0xFFFF, 0]
