"""Fills build/stubs with MicroPython's type stubs, for `pyright -p pyrightconfig.firmware.json`.

The published stubs come first, then our own (boards/typings) over them, then what has to be mended.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from boards.tools.boardfile import BOARDS, BUILD, BoardError

PACKAGE = "micropython-esp32-stubs>=1.29,<1.30"

_MENDS = (
    # viper converts any buffer to a pointer at the call, so callers may pass what they like
    (
        "micropython.pyi",
        r"def viper\(_func: Callable\[_Param, _Ret\], /\) -> Callable\[_Param, _Ret\]:",
        "def viper(_func: Callable[..., _Ret], /) -> Callable[..., _Ret]:",
    ),
    # an ESP32 without Ethernet has an empty LAN class, which hides the documented one
    ("network.pyi", r"^class LAN:\n(    @overload\n)", r"class _NoLAN:\n\1"),
    # an ESP32 has no Unix-domain sockets, the unix port has
    ("socket.pyi", r"^AF_INET: Final", r"AF_UNIX: Final[int] = 1\nAF_INET: Final"),
    # a UART takes the number of bytes to write, as every stream does
    (
        "machine.pyi",
        r"def write\(self, buf: AnyReadableBuf, /\)(?=.*\n.*\n *Write the buffer of bytes to the bus)",
        "def write(self, buf: AnyReadableBuf, nbytes: int = ..., /)",
    ),
    # the rest are types that were left open
    ("_mpy_shed/buffer_mp.pyi", r"^(AnyReadableBuf: .* )array \|", r"\1array[Any] |"),
    ("_mpy_shed/buffer_mp.pyi", r"^(AnyWritableBuf: .* )array \|", r"\1array[Any] |"),
    (
        "_mpy_shed/buffer_mp.pyi",
        r"^from array import array$",
        "from array import array\nfrom typing import Any",
    ),
    ("select.pyi", r"def register\(self, obj, ", "def register(self, obj: object, "),
    ("select.pyi", r"(def poll\(self, timeout=-1, /\)) -> List:", r"\1 -> List[tuple[Any, int]]:"),
    ("esp32.pyi", r"(def find\(.*\)) -> List:", r"\1 -> List[Partition]:"),
    ("network.pyi", r"(def ifconfig\(.*\)) -> Tuple:", r"\1 -> tuple[str, str, str, str]:"),
    (
        "hashlib.pyi",
        r"(class sha256[^#]*?)\n    def digest\(.*\n    def update\(.*",
        r"\1\n    def digest(self) -> bytes: ...\n    def update(self, data: bytes, /) -> None: ...",
    ),
    ("vfs.pyi", r"def ioctl\(self, op: int, arg\)", "def ioctl(self, op: int, arg: int)"),
    ("stdlib/os/__init__.pyi", r"^def mkdir\(path\) -> Incomplete:", "def mkdir(path: str) -> None:"),
    ("stdlib/os/__init__.pyi", r"^def remove\(path\)", "def remove(path: str)"),
)


def fill(folder: Path) -> None:
    """Make `folder` anew. Raises BoardError when pip fails or the stubs cannot be mended any more."""
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*command, "--target", str(folder), PACKAGE], capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise BoardError(f"pip could not install {PACKAGE}: {lines[-1]}")
    for path in (BOARDS / "typings").glob("*.pyi"):
        shutil.copyfile(path, folder / path.name)
    for name, old, new in _MENDS:
        text = (folder / name).read_text("utf-8")
        mended, count = re.subn(old, new, text, flags=re.MULTILINE)
        if count != 1:
            raise BoardError(
                f"{name} of {PACKAGE} has {count} places to mend, 1 was expected: see boards/tools/stubs.py"
            )
        (folder / name).write_text(mended, "utf-8")


def main() -> int:
    """Command line; 1 and one line on stderr when it cannot be done."""
    try:
        fill(BUILD / "stubs")
    except BoardError as error:
        print(f"stubs: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
