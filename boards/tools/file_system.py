"""Files on the emulated board, written into its NVM file while it does not run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from littlefs import LittleFS, LittleFSError, UserContext

# boards/mps2_an500/port/nvm.h and modules/_boot.py have the other half of this.
_START = 0x800000
_BYTES = 0x200000
_BLOCK = 4096
_PROGRAM = 256
_READ = 32


def tree(folder: Path, at: str) -> dict[str, bytes]:
    """Every file below `folder` by its path below `at` on the board."""
    return {
        f"{at}/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def write_files(nvm: Path, files: Mapping[str, bytes]) -> None:
    """Put `files` (path on the board -> content) into the NVM file, which keeps what it held beside them.

    A file system is made where there is none. Raises LittleFSError when they do not fit.
    """
    with nvm.open("r+b") as handle:
        handle.seek(_START)
        flash = bytearray(handle.read(_BYTES))
        system = _mount(flash)
        for path, content in files.items():
            system.makedirs(str(PurePosixPath(path).parent), exist_ok=True)
            with cast(BinaryIO, system.open(path, "wb")) as file:  # pyright: ignore[reportUnknownMemberType]
                file.write(content)
        system.unmount()
        handle.seek(_START)
        handle.write(flash)


def _mount(flash: bytearray) -> LittleFS:
    system = LittleFS(
        UserContext(buffer=flash), mount=False, block_size=_BLOCK, block_count=_BYTES // _BLOCK,
        read_size=_READ, prog_size=_PROGRAM, lookahead_size=_READ, cache_size=4 * _PROGRAM,
    )  # fmt: skip
    try:
        system.mount()
    except LittleFSError:
        system.format()
        system.mount()
    return system
