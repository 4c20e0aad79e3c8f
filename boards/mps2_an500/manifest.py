# pyright: reportUndefinedVariable=false
"""What is frozen into the image: this port's start-up, asyncio, and the application as far as it exists.

Run by MicroPython's makemanifest with this folder as working directory; `freeze` and `include` are its words.
"""

import os

FIRMWARE = os.path.join("..", "..", "firmware")
CPYTHON_ONLY = ("bms/desk.py",)


def _application_files():
    found = []
    for folder, _folders, names in os.walk(os.path.join(FIRMWARE, "bms")):
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), FIRMWARE).replace(os.sep, "/")
            if name.endswith(".py") and path not in CPYTHON_ONLY:
                found.append(path)
    return sorted(found)


freeze("port/modules", "_boot.py", opt=0)
include("$(MPY_DIR)/extmod/asyncio")
for _path in _application_files():
    freeze(FIRMWARE, _path, opt=0)
if os.path.exists(os.path.join(FIRMWARE, "main.py")):
    freeze(FIRMWARE, "main.py", opt=0)
if os.path.exists("board.py"):
    freeze(".", "board.py", opt=0)
