"""Integer helpers, bit-equal everywhere."""

from array import array

from bms.fixed import copy16, get_16s, get_i32, get_u16, interpolate, inverse


def test_copies_signed_and_unsigned():
    source = array("h", [-1, 2, -32768, 32767])
    target = array("h", [0] * 4)
    copy16(target, source, 4)
    assert list(target) == list(source)
    words = array("H", [0] * 3)
    get_16s(words, 1, b"\xff\x01\x02\x03\xff", 1, 2)
    assert list(words) == [0, 0x0201, 0xFF03]


def test_little_endian():
    assert get_u16(b"\x00\x34\x12", 1) == 0x1234
    for value in (0, 1, -1, 17_400, -17_400, 2**30 - 1, -(2**30)):
        raw = bytes([value >> 8 * i & 0xFF for i in range(4)])
        assert get_i32(raw, 0) == value


def test_saturates_beyond_small_ints():
    assert get_i32(b"\xff\xff\xff\x7f", 0) == 2**30 - 1
    assert get_i32(b"\x00\x00\x00\x80", 0) == -(2**30)


def test_tables_both_ways():
    table = (1000, 2000, 4000)
    assert [interpolate(table, x, 10) for x in (-5, 0, 5, 10, 15, 20, 99)] == [
        1000,
        1000,
        1500,
        2000,
        3000,
        4000,
        4000,
    ]
    for x in range(21):
        assert inverse(table, interpolate(table, x, 10), 10) == x
    assert inverse(table, 999, 10) == 0
    assert inverse(table, 5000, 10) == 20
