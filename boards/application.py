# pyright: reportUndefinedVariable=false
"""The application, the same on every board: include this in a board's manifest.py.

`freeze` is the manifest language's word (MicroPython's makemanifest, boards/tools/manifest.py).
"""

import os

FIRMWARE = os.path.join("..", "firmware")
CPYTHON_ONLY = ("bms/desk.py", "bms/contract.py", "bms/int32.py")


def _files():
    found = []
    for folder, _folders, names in os.walk(os.path.join(FIRMWARE, "bms")):
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), FIRMWARE).replace(os.sep, "/")
            if name.endswith(".py") and path not in CPYTHON_ONLY:
                found.append(path)
    return sorted(found)


for _path in _files():
    freeze(FIRMWARE, _path, opt=0)
freeze(FIRMWARE, "main.py", opt=0)
