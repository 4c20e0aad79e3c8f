"""CBOR: the examples of RFC 8949 appendix A that we speak, limits, refusals."""

import gc

import micropython
from bms.link import cbor

EXAMPLES: "tuple[tuple[object, str], ...]" = (  # but for maps of several entries
    (0, "00"),
    (1, "01"),
    (10, "0a"),
    (23, "17"),
    (24, "1818"),
    (25, "1819"),
    (100, "1864"),
    (1000, "1903e8"),
    (1000000, "1a000f4240"),
    (1000000000000, "1b000000e8d4a51000"),
    (18446744073709551615, "1bffffffffffffffff"),
    (-18446744073709551616, "3bffffffffffffffff"),
    (-1, "20"),
    (-10, "29"),
    (-100, "3863"),
    (-1000, "3903e7"),
    (False, "f4"),
    (True, "f5"),
    (None, "f6"),
    (b"", "40"),
    (b"\x01\x02\x03\x04", "4401020304"),
    ("", "60"),
    ("a", "6161"),
    ("IETF", "6449455446"),
    ('"\\', "62225c"),
    ("\u00fc", "62c3bc"),
    ("\u6c34", "63e6b0b4"),
    ([], "80"),
    ([1, 2, 3], "83010203"),
    ([1, [2, 3], [4, 5]], "8301820203820405"),
    (list(range(1, 26)), "98190102030405060708090a0b0c0d0e0f101112131415161718181819"),
    ({}, "a0"),
)
MAPS: "tuple[tuple[object, str], ...]" = (
    ({1: 2, 3: 4}, "a201020304"), ({"a": 1, "b": [2, 3]}, "a26161016162820203"),
)  # fmt: skip


def unhex(text: str) -> bytes:
    return bytes(int(text[i : i + 2], 16) for i in range(0, len(text), 2))


def refused(text: str) -> str:
    try:
        item = cbor.decode(unhex(text))
    except cbor.DecodeError as error:
        return str(error)
    raise AssertionError("%s gave %r" % (text, item))


def same(a: object, b: object) -> bool:
    return type(a) is type(b) and a == b


def test_the_examples_of_the_rfc_both_ways():
    for item, text in EXAMPLES:
        assert cbor.encode(item) == unhex(text), item
    for item, _ in MAPS:
        assert cbor.decode(cbor.encode(item)) == item  # MicroPython's maps keep no order
    for item, text in EXAMPLES + MAPS:
        assert same(cbor.decode(unhex(text)), item), item


def test_integers_round_their_width_boundaries():
    for bits in (5, 8, 16, 30, 31, 32, 62, 63, 64):
        for value in range(2**bits - 2, 2**bits + 1):
            for item in (value, -value, -1 - value):
                if -(2**64) <= item < 2**64:
                    assert cbor.decode(cbor.encode(item)) == item, item


def test_an_integer_that_no_head_can_carry_is_refused():
    for item in (2**64, 2**80, -(2**64) - 1):
        try:
            cbor.encode(item)
        except ValueError as error:
            assert str(item) in str(error)
        else:
            raise AssertionError(item)


def test_what_we_do_not_speak_is_refused_with_its_offset():
    for text, word in (
        ("", "offset 0"), ("18", "needs 1"), ("1900", "needs 2"), ("1a000000", "needs 4"),
        ("4401", "needs 4"),
        ("8201", "offset"), ("a101", "offset"), ("c000", "tag"), ("f7", "simple"), ("f90000", "simple"),
        ("fb0000000000000000", "simple"), ("ff", "simple"), ("9fff", "additional"), ("1c", "additional"),
        ("5f4100ff", "additional"), ("0000", "after"), ("a201000100", "twice"), ("a18000", "container"),
        ("a1a000", "container"), ("62c328", "UTF-8"), ("9bffffffffffffffff", "claims"),
        ("bb8000000000000000", "claims"),
        ("9a00ffffff00", "claims"), ("81" * 12 + "00", "deeper"), ("5bffffffffffffffff00", "needs"),
    ):  # fmt: skip
        assert word in refused(text), (text, refused(text))


def test_every_cut_of_a_message_is_refused():
    data = cbor.encode({-1: 2**40, -7: [{0: 1, 11: [1, 2]}, {0: 2}], 3: "text", 4: b"bytes"})
    for n in range(len(data)):
        refused("".join("%02x" % byte for byte in data[:n]))


def test_a_full_buffer_says_how_much_was_needed():
    for item, size in ((b"12345678", 8), ([1] * 30, 31), ("x" * 300, 302), (2**40, 8)):
        try:
            cbor.encode(item, size)
        except cbor.EncodeError as error:
            assert "%d" % (size + 1) in str(error) or "at least" in str(error)
        else:
            raise AssertionError(item)
        assert cbor.decode(cbor.encode(item, size + 9)) == item


def test_items_that_cannot_be_encoded_are_named():
    try:
        cbor.encode(1.5)
    except TypeError as error:
        assert "float" in str(error)
    else:
        raise AssertionError("1.5")


def test_parts_that_are_encoded_already_and_room_for_others():
    encoder = cbor.Encoder(16)
    encoder.array(3)
    encoder.encoded(cbor.encode(2**33))
    at = encoder.reserve(2)
    encoder.buf[at] = 0x01
    encoder.buf[at + 1] = 0x02
    assert cbor.decode(encoder.take()) == [2**33, 1, 2]
    encoder.reset()
    encoder.text("new")
    assert cbor.decode(encoder.take()) == "new"


def test_encoding_integers_allocates_nothing():
    encoder = cbor.Encoder(64)
    gc.collect()
    micropython.heap_lock()
    try:
        encoder.map(2)
        encoder.integer(-7)
        encoder.array(3)
        encoder.integer(0x3FFFFFFF)
        encoder.integer(-0x40000000)
        encoder.integer(300)
        encoder.integer(2)
        encoder.encoded(b"\x01")
    finally:
        micropython.heap_unlock()
    assert cbor.decode(encoder.take()) == {-7: [0x3FFFFFFF, -0x40000000, 300], 2: 1}
