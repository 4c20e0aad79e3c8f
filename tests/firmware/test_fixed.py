"""Integer helpers, bit-equal everywhere."""

from array import array

import micropython
from bms.fixed import address, get_16s, get_u16, interpolate, inverse, root, word, words_of


@micropython.viper
def _store(to: int, value: int):
    words = ptr32(to)
    words[1] = value


def test_an_address_is_as_good_as_the_buffer():
    words = array("i", [0] * 3)
    _store(address(words), 7)
    assert list(words) == [0, 7, 0]
    raw = bytearray(12)
    _store(address(memoryview(raw)[4:12]), 258)
    assert list(raw[6:]) == [0, 0, 2, 1, 0, 0]


def test_words_are_bytes_in_order():
    memory = words_of([1, 2, 0x12345678])
    assert len(memory) == 12
    assert [word(memory, i) for i in range(3)] == [1, 2, 0x12345678]
    assert memory[8] == 0x78


def test_little_endian():
    assert get_u16(b"\x00\x34\x12", 1) == 0x1234
    words = array("H", [0] * 3)
    get_16s(words, 1, b"\xff\x01\x02\x03\xff", 1, 2)
    assert list(words) == [0, 0x0201, 0xFF03]


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


def test_root_is_the_whole_one():
    for n in (0, 1, 2, 3, 5, 46, 1000, 32767):
        assert root(n * n) == n
        assert root(n * n + 2 * n) == n
    assert root(1 << 30) == 1 << 15
    assert root((1 << 30) - 1) == (1 << 15) - 1
    assert root(0x7FFFFFFF) == 46340
    assert root(-5) == 0
