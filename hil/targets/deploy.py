"""What the emulated board's file system holds before it starts, in QEMU and in Renode."""

from __future__ import annotations

from pathlib import Path

from boards.tools import emulator, mpy
from boards.tools.file_system import tree, write_files
from hil.targets.base import BoardSetup


def deploy(setup: BoardSetup, nvm: Path, scratch: Path) -> None:
    """Put another firmware or main.py onto the board, where it wins over the frozen one; `scratch` is for the
    compiler."""
    files: dict[str, bytes] = {}
    if setup.firmware != mpy.FIRMWARE:
        mpy.build_mpy("mps2_an500", scratch, compiler=emulator.MPY_CROSS, firmware=setup.firmware)
        files |= tree(scratch / "device" / "lib", "/lib")
    if setup.main:
        files["/main.py"] = setup.main.encode()
    if files:
        write_files(nvm, files)
