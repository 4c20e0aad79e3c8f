"""On CPython pytest collects these files as they are; `boards/tools/on_target.py` runs them elsewhere."""

import importlib
import sys
from pathlib import Path

_HERE = Path(__file__).parent
for _folder in (_HERE.parent.parent / "firmware", _HERE):
    if str(_folder) not in sys.path:
        sys.path.insert(0, str(_folder))

importlib.import_module("bms")  # installs the desk's stand-ins before a test imports micropython
