"""What a board was told of its cell: as it was written, and nothing where nothing was."""

from bms.memory import cell
from bms.memory.layout import CELL, END
from test_app import Nvm


def test_a_blank_flash_holds_no_parts():
    assert cell.load(Nvm()) == {}


def test_parts_come_back_as_they_were():
    nvm = Nvm()
    parts = {cell.ECM: bytes(range(251)), cell.THERMAL: b"", 7: b"x" * 600}
    cell.write(nvm, cell.image(parts))
    assert cell.load(nvm) == parts


def test_what_was_there_before_is_gone():
    nvm = Nvm()
    cell.write(nvm, cell.image({cell.ECM: b"a" * 5000, 9: b"b" * 3000}))
    cell.write(nvm, cell.image({cell.ECM: b"c"}))
    assert cell.load(nvm) == {cell.ECM: b"c"}


def test_the_room_is_all_there_is():
    assert CELL + cell.MOST_BYTES == END
    kilobyte = b"a" * 1020  # with its head
    parts = dict.fromkeys(range(1, cell.MOST_BYTES // 1024 + 1), kilobyte)
    assert len(cell.image(parts)) == cell.MOST_BYTES
    parts[99] = b""
    try:
        cell.image(parts)
    except ValueError as error:
        assert str(cell.MOST_BYTES) in str(error)
    else:
        raise AssertionError("taken")


def test_a_part_that_leaves_the_room_is_left_out():
    nvm = Nvm()
    cell.write(nvm, cell.image({cell.ECM: b"a" * 10}))
    nvm.program(CELL + 14, bytes((2, 0, 0xFE, 0x7F)))
    assert cell.load(nvm) == {cell.ECM: b"a" * 10}
