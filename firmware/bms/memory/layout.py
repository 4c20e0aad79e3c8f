"""Where things lie in the NVM: byte offsets; every area is whole 4 KiB sectors."""

SECTOR = 4096
PAGE = 256

IDENTITY = 0x0000
BOOT_COUNTER = 0x1000
"""Two sectors, used in turn."""
END = 0x3000
