"""Boards that the rig can try: how to start them, talk to them and end them."""

from __future__ import annotations

from hil.targets.base import BoardSetup, Target, TargetError

NAMES = ("cpython", "unix", "mps2_an500", "serial")


def make_target(
    name: str, setup: BoardSetup, *, lockstep: bool, emulator: str = "qemu", port: str = ""
) -> Target:
    """The target of that name, not started. Raises TargetError saying what is missing and how to get it."""
    if name in ("cpython", "unix"):
        from hil.targets.desk import DeskTarget

        return DeskTarget(name, setup)
    if name == "mps2_an500":
        if emulator == "renode":
            from hil.targets.renode import RenodeTarget

            return RenodeTarget(setup, lockstep=lockstep)
        from hil.targets.qemu import QemuTarget

        return QemuTarget(setup, lockstep=lockstep)
    if name == "serial":
        from hil.targets.serial_port import SerialTarget

        return SerialTarget(port, lockstep=lockstep)
    raise TargetError(f"target {name!r} is none of {', '.join(NAMES)}")


__all__ = ["NAMES", "BoardSetup", "Target", "TargetError", "make_target"]
