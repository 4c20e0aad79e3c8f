"""Where things lie in the NVM: byte offsets; every area is whole 4 KiB sectors."""

SECTOR = 4096
PAGE = 256

IDENTITY = 0x0000
BOOT_COUNTER = 0x1000
"""Two sectors, used in turn."""
STATE = 0x3000
"""Ring of the state journal: latched faults, state of charge, counters, boots."""
STATE_SECTORS = 8
BLACKBOX = 0xB000
"""Ring of the trips' journal; apart, so that a day of SoC records cannot push a trip out."""
BLACKBOX_SECTORS = 16
CELL = 0x1B000
"""What the board was told of its cell (cell.py), if anything."""
CELL_SECTORS = 4
END = 0x1F000
