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
