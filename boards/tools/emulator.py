"""How the emulated board is started: QEMU's command line, its NVM file and the factory page in it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IMAGE = ROOT / "build" / "mps2_an500" / "firmware.elf"
NVM_BYTES = 16 << 20

# Offsets in the NVM file; boards/mps2_an500/port/nvm.h and modmps2_dma.c have the other half of this.
FACTORY_START = 0xA00008
FACTORY_CLOCK = 0xA0000C
FACTORY_LINE = 0xA00010
REPL_ONLY = b"REPL"
STEPPED = b"STEP"
DMA_LINE = b"DMA1"
DMA_WINDOW = 0xB00000
DMA_HEADER = 0x1000
DMA_RING = 0x10000

LOCKSTEP = ("-icount", "shift=2,sleep=off")
"""250 MIPS, ESP32 class; device time runs only where the board works."""
COUNTED = ("-icount", "shift=0")
"""One instruction is one nanosecond of device time."""


def missing(image: Path = IMAGE) -> str:
    """What stands in the way of running the emulated board, in one line; empty when nothing does."""
    if not shutil.which("qemu-system-arm"):
        return "no `qemu-system-arm`; get it with: apt-get install qemu-system-arm"
    if not image.is_file():
        return f"no image at {image}; build it with: make firmware BOARD=mps2_an500"
    return ""


def blank_nvm(path: Path) -> Path:
    """A new NVM file, erased; one that exists is left as it is."""
    if not path.exists():
        path.write_bytes(b"\xff" * NVM_BYTES)
    return path


def poke(path: Path, offset: int, data: bytes) -> None:
    """Write into the NVM file of a board that is not running: factory page, identity."""
    with path.open("r+b") as handle:
        handle.seek(offset)
        handle.write(data)


def command(
    nvm: Path, serial: Sequence[str], *, image: Path = IMAGE, icount: Sequence[str] = ()
) -> list[str]:
    """QEMU's command line. `serial`: chardev options without `id=` for console, AFE link and broker link."""
    line = [
        "qemu-system-arm", "-machine", "mps2-an500,memory-backend=nvm",
        "-object", f"memory-backend-file,id=nvm,size=16M,mem-path={nvm},share=on",
        "-nic", "none", "-display", "none", "-monitor", "none", "-nodefaults", *icount, "-kernel", str(image),
    ]  # fmt: skip
    for n, options in enumerate(serial):
        line += ["-chardev", f"{options},id=uart{n}", "-serial", f"chardev:uart{n}"]
    return line
