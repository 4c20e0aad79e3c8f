"""The tables of the pack's cell (estimate/ecm.py), which a board may have been given when it was provisioned."""

from bms.estimate.ecm import HEAD, W_ROWS, load as checked, words_needed
from bms.memory.layout import CELL, CELL_SECTORS, PAGE, SECTOR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.contract import Nvm

_MOST = CELL_SECTORS * SECTOR


def load(nvm: "Nvm") -> "bytearray | None":
    """The block in `nvm` as it was written; None where there is none."""
    head = bytearray(2 * HEAD)
    nvm.read(CELL, head)
    if head[0] & head[1] == 0xFF:
        return None
    rows = head[2 * W_ROWS] | head[2 * W_ROWS + 1] << 8
    block = bytearray(min(_MOST, 2 * words_needed(rows)))
    nvm.read(CELL, block)
    return block


def write(nvm: "Nvm", block: bytes) -> None:
    """Provision a board. Raises ValueError when the block is none, or too large."""
    checked(block)
    if len(block) > _MOST:
        raise ValueError("cell tables have %d bytes, there is room for %d" % (len(block), _MOST))
    for at in range(0, _MOST, SECTOR):
        nvm.erase(CELL + at)
    for at in range(0, len(block), PAGE):
        nvm.program(CELL + at, block[at : at + PAGE])
