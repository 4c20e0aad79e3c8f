"""Boot counter in NVM: two sectors of 8-byte records (counter, its complement), used in turn.

A record torn by a power cut does not match its complement and is passed over; the counter never
repeats a value that was ever returned, because it is written before it is returned.
"""

from bms.memory.layout import BOOT_COUNTER, SECTOR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.contract import Nvm

_RECORD = 8
_SLOTS = SECTOR // _RECORD


def count_boot(nvm: "Nvm") -> int:
    """Count this boot; returns its number, 1 for the first."""
    record = bytearray(_RECORD)
    highest = 0
    at_sector = 0
    for sector in range(2):
        value = _highest(nvm, sector, record)
        if value > highest:
            highest = value
            at_sector = sector
    slot = _free_slot(nvm, at_sector, record)
    if slot == _SLOTS:
        at_sector = 1 - at_sector
        nvm.erase(BOOT_COUNTER + at_sector * SECTOR)
        slot = 0
    program(nvm, BOOT_COUNTER + at_sector * SECTOR + slot * _RECORD, highest + 1)
    return highest + 1


def program(nvm: "Nvm", at: int, value: int) -> None:
    """Write one record of the counter at the NVM address `at`, which is erased."""
    record = bytearray(_RECORD)
    for i in range(4):
        record[i] = value >> 8 * i & 0xFF
        record[4 + i] = record[i] ^ 0xFF
    nvm.program(at, record)


def _highest(nvm: "Nvm", sector: int, record: bytearray) -> int:
    highest = 0
    for slot in range(_SLOTS):
        nvm.read(BOOT_COUNTER + sector * SECTOR + slot * _RECORD, record)
        if all(record[i] ^ record[4 + i] == 0xFF for i in range(4)):
            value = record[0] | record[1] << 8 | record[2] << 16 | record[3] << 24
            highest = max(highest, value)
    return highest


def _free_slot(nvm: "Nvm", sector: int, record: bytearray) -> int:
    # Records are written in order, so the free ones are behind the last that was touched.
    for slot in range(_SLOTS - 1, -1, -1):
        nvm.read(BOOT_COUNTER + sector * SECTOR + slot * _RECORD, record)
        if any(byte != 0xFF for byte in record):
            return slot + 1
    return 0
