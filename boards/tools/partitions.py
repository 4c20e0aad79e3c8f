"""ESP32 partition tables: from partitions.csv to the binary that goes into flash.

Format: ESP-IDF, "Partition Tables": entries of 32 bytes, an MD5 entry, 0xFF up to 0xC00.
"""

import csv
import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path

from boards.tools.boardfile import BoardError

TABLE_BYTES = 0xC00
_ENTRY = struct.Struct("<2sBBII16sI")
_MAGIC = b"\xaa\x50"
_MD5_MAGIC = b"\xeb\xeb" + b"\xff" * 14
_TYPES = {"app": 0, "data": 1}
_SUBTYPES = {
    "app": {"factory": 0x00, "ota_0": 0x10, "ota_1": 0x11},
    "data": {"ota": 0x00, "phy": 0x01, "nvs": 0x02, "undefined": 0x06, "fat": 0x81, "littlefs": 0x83},
}
_SECTOR = 0x1000
_APP_ALIGN = 0x10000


@dataclass(frozen=True)
class Partition:
    """A row: name, type, subtype, offset and size in bytes."""

    name: str
    type: str
    subtype: str
    offset: int
    size: int

    @property
    def end(self) -> int:
        """First byte behind it."""
        return self.offset + self.size

    def entry(self) -> bytes:
        """Its 32 bytes."""
        subtype = _SUBTYPES[self.type][self.subtype]
        return _ENTRY.pack(_MAGIC, _TYPES[self.type], subtype, self.offset, self.size, self.name.encode(), 0)


def read(path: Path) -> list[Partition]:
    """The rows of a partitions.csv; BoardError naming the line that is wrong."""
    rows: list[Partition] = []
    for number, cells in enumerate(csv.reader(path.read_text().splitlines()), 1):
        cells = [cell.strip() for cell in cells]
        if not cells or cells[0].startswith("#"):
            continue
        try:
            name, kind, subtype, offset, size = cells
            row = Partition(name, kind, subtype, int(offset, 0), int(size, 0))
            _check(row, rows)
        except ValueError as error:
            raise BoardError(f"{path.name}:{number}: {error}") from error
        rows.append(row)
    return rows


def _check(row: Partition, before: list[Partition]) -> None:
    if row.type not in _TYPES or row.subtype not in _SUBTYPES[row.type]:
        raise ValueError(f"unknown type {row.type!r} with subtype {row.subtype!r}")
    if not 1 <= len(row.name.encode()) <= 15:
        raise ValueError(f"name {row.name!r} must have 1 to 15 bytes")
    align = _APP_ALIGN if row.type == "app" else _SECTOR
    if row.offset % align or row.size % _SECTOR or row.size <= 0:
        raise ValueError(f"{row.name}: offset must be a multiple of {align:#x}, size of {_SECTOR:#x}")
    for other in before:
        if row.name == other.name:
            raise ValueError(f"{row.name} comes twice")
        if row.offset < other.end and other.offset < row.end:
            raise ValueError(f"{row.name} overlaps {other.name}")


def binary(rows: list[Partition]) -> bytes:
    """The table as it lies in flash, TABLE_BYTES long."""
    entries = b"".join(row.entry() for row in rows)
    table = entries + _MD5_MAGIC + hashlib.md5(entries, usedforsecurity=False).digest()
    if len(table) > TABLE_BYTES:
        raise BoardError(f"{len(rows)} partitions do not fit a table of {TABLE_BYTES} bytes")
    return table.ljust(TABLE_BYTES, b"\xff")


_IMAGE_MAGIC = 0xE9
_CHIP_ID_AT = 12
_CHIP_IDS = {"esp32": 0, "esp32s3": 9}
_BOOTLOADER_TO_TABLE = "it must be the whole image that MicroPython publishes (NAME.bin, not NAME.app-bin)"


def with_table(image: bytes, image_offset: int, table_offset: int, chip: str, rows: list[Partition]) -> bytes:
    """A published MicroPython image (flash from image_offset on) with our partition table in it.

    BoardError when the image is for another chip, is not a whole image, or does not fit its partition.
    """
    if len(image) <= _CHIP_ID_AT + 2 or image[0] != _IMAGE_MAGIC:
        raise BoardError(f"not an ESP32 image: it begins with {image[:1].hex() or 'nothing'}, not e9")
    found = image[_CHIP_ID_AT] | image[_CHIP_ID_AT + 1] << 8
    if found != _CHIP_IDS[chip]:
        names = {number: name for name, number in _CHIP_IDS.items()}
        raise BoardError(
            f"the image is for {names.get(found, f'chip number {found}')}, the board is an {chip}"
        )
    at = table_offset - image_offset
    if image[at : at + 2] != _MAGIC:
        raise BoardError(f"no partition table at {table_offset:#x} in the image: {_BOOTLOADER_TO_TABLE}")
    app = next(row for row in rows if row.type == "app")
    if image[app.offset - image_offset : app.offset - image_offset + 1] != bytes((_IMAGE_MAGIC,)):
        raise BoardError(f"no application at {app.offset:#x} in the image: {_BOOTLOADER_TO_TABLE}")
    if image_offset + len(image) > app.end:
        raise BoardError(
            f"the image ends at {image_offset + len(image):#x}, partition {app.name} at {app.end:#x}: "
            "take a smaller MicroPython or move the partitions"
        )
    return image[:at] + binary(rows) + image[at + TABLE_BYTES :]
