"""ESP32 partition tables."""

import hashlib
from pathlib import Path

import pytest

from boards.tools import boardfile, partitions
from boards.tools.boardfile import BoardError

GOLDEN = Path(__file__).parent / "golden"


def image(chip: int = 0, size: int = 0x20000, offset: int = 0x1000) -> bytes:
    """Looks like what MicroPython publishes: bootloader, a partition table, an application."""
    data = bytearray(size)
    data[0] = 0xE9
    data[12] = chip
    data[0x8000 - offset : 0x8002 - offset] = b"\xaa\x50"
    data[0x10000 - offset] = 0xE9
    data[-1] = 0x77
    return bytes(data)


@pytest.mark.parametrize("board", ["esp32", "esp32s3"])
def test_binary_table_is_the_golden_one(board: str) -> None:
    table = partitions.binary(partitions.read(boardfile.read(board).folder / "partitions.csv"))
    assert len(table) == 0xC00
    lines = [table[at : at + 32].hex() for at in range(0, 32 * 6, 32)]
    assert lines == (GOLDEN / f"{board}.partitions.hex").read_text().split()
    assert set(table[32 * 6 :]) == {0xFF}


def test_an_entry_byte_by_byte() -> None:
    row = partitions.Partition("nvm", "data", "undefined", 0x200000, 0x100000)
    expected = "aa50 01 06 00002000 00001000 6e766d00000000000000000000000000 00000000"
    assert row.entry() == bytes.fromhex(expected)
    table = partitions.binary([row])
    assert table[32:48] == b"\xeb\xeb" + b"\xff" * 14
    assert table[48:64] == hashlib.md5(row.entry(), usedforsecurity=False).digest()


@pytest.mark.parametrize("board", ["esp32", "esp32s3"])
def test_nvm_lies_behind_the_application_and_apart_from_the_files(board: str) -> None:
    rows = {row.name: row for row in partitions.read(boardfile.read(board).folder / "partitions.csv")}
    assert rows["nvm"].size >= 0x100000
    assert rows["factory"].end <= rows["nvm"].offset
    assert rows["nvm"].end <= rows["vfs"].offset
    assert rows["vfs"].end == (0x400000 if board == "esp32" else 0x800000)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a, data, nvs, 0x9000", "not enough values"),
        ("a, data, nvs, 0x9000, big", "invalid literal"),
        ("a, data, moon, 0x9000, 0x1000", "unknown type 'data' with subtype 'moon'"),
        ("a, app, factory, 0x11000, 0x1000", "multiple of 0x10000"),
        ("a, data, nvs, 0x9000, 0x10", "multiple of"),
        ("a_name_that_is_long, data, nvs, 0x9000, 0x1000", "1 to 15 bytes"),
        ("x, data, nvs, 0x9000, 0x1000", "x comes twice"),
        ("a, data, nvs, 0x1000, 0x2000", "a overlaps x"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "partitions.csv"
    path.write_text(f"# comment\nx, data, nvs, 0x2000, 0x1000\n{line}\n")
    with pytest.raises(BoardError, match=rf"partitions.csv:3: .*{message}"):
        partitions.read(path)


def test_the_image_changes_in_its_table_only() -> None:
    rows = partitions.read(boardfile.read("esp32").folder / "partitions.csv")
    made = partitions.with_table(image(), 0x1000, 0x8000, "esp32", rows)
    assert made[0x7000:0x7C00] == partitions.binary(rows)
    assert made[:0x7000] == image()[:0x7000]
    assert made[0x7C00:] == image()[0x7C00:]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "begins with nothing, not e9"),
        (b"\x7fELF" + bytes(100), "begins with 7f, not e9"),
        (image(chip=9), "the image is for esp32s3, the board is an esp32"),
        (image(chip=5), "the image is for chip number 5"),
        (image()[:0x6000], "no partition table at 0x8000"),
        (image()[:0x8000], "no application at 0x10000"),
        (image(size=0x200000), "the image ends at 0x201000, partition factory at 0x200000"),
    ],
)
def test_a_wrong_image_is_refused(data: bytes, message: str) -> None:
    rows = partitions.read(boardfile.read("esp32").folder / "partitions.csv")
    with pytest.raises(BoardError, match=message):
        partitions.with_table(data, 0x1000, 0x8000, "esp32", rows)
