"""What a board was told of its cell when it was provisioned: parts one after the other, ended by blank flash.

    u16 part   u16 bytes   bytes, filled up to an even number      all little endian

Each part checks itself where it is used: ECM is estimate/ecm.py's block, THERMAL estimate/thermal.py's;
CHEMISTRY is one byte, index into params.CHEMISTRIES; NETWORK is a blob of estimate/lstm.py, if there is one.
"""

from bms.memory.layout import CELL, CELL_SECTORS, PAGE, SECTOR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.contract import Nvm, ReadableNvm

ECM = 1
THERMAL = 2
CHEMISTRY = 3
NETWORK = 4
MOST_BYTES = CELL_SECTORS * SECTOR
_HEAD = 4
_BLANK = 0xFFFF


def load(nvm: "ReadableNvm") -> "dict[int, bytearray]":
    """The parts by their id; none where the board was told nothing. One that is cut off is left out."""
    found: "dict[int, bytearray]" = {}
    head = bytearray(_HEAD)
    at = 0
    while at + _HEAD <= MOST_BYTES:
        nvm.read(CELL + at, head)
        part = head[0] | head[1] << 8
        size = head[2] | head[3] << 8
        at += _HEAD
        if part == _BLANK or at + size > MOST_BYTES:
            break
        found[part] = bytearray(size)
        nvm.read(CELL + at, found[part])
        at += size + (size & 1)
    return found


def check(parts: "dict[int, bytearray]", chemistry: int) -> None:
    """Raises ValueError for the tables of a cell that is not of the pack's chemistry."""
    told = parts.get(CHEMISTRY, b"")
    if len(told) != 1 or told[0] != chemistry:
        raise ValueError("the cell's tables are for chemistry %r, the pack's is %d" % (list(told), chemistry))


def image(parts: "dict[int, bytes]") -> bytearray:
    """The parts as they lie in the NVM. Raises ValueError when there is no room."""
    total = sum([_HEAD + len(data) + (len(data) & 1) for data in parts.values()])
    if total > MOST_BYTES:
        raise ValueError("the cell's tables have %d bytes, there is room for %d" % (total, MOST_BYTES))
    made = bytearray(total)
    at = 0
    for part, data in parts.items():
        size = len(data)
        made[at : at + _HEAD] = bytes((part & 0xFF, part >> 8, size & 0xFF, size >> 8))
        at += _HEAD
        made[at : at + size] = data
        at += size + (size & 1)
    return made


def write(nvm: "Nvm", image: "bytes | bytearray") -> None:
    """Provision a board with an image."""
    for at in range(0, MOST_BYTES, SECTOR):
        nvm.erase(CELL + at)
    for at in range(0, len(image), PAGE):
        nvm.program(CELL + at, image[at : at + PAGE])
