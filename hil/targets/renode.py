"""Renode as emulator: not part of any package registry, so people install it themselves."""

from __future__ import annotations

import shutil

from hil.targets.base import TargetError


def require_renode() -> None:
    """Raises TargetError: where to get Renode, or that scenarios do not run on it yet."""
    if not shutil.which("renode"):
        raise TargetError(
            "renode: not on PATH; get the portable package from https://renode.io and put it on PATH"
        )
    raise TargetError("renode: scenarios run on QEMU only so far; use --emulator qemu")
