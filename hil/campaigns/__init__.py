"""Long trials with faults inside the controller; each prints its seed and can be resumed."""

from pathlib import Path


def feeder_path() -> Path:
    """The program that feeds the kernel with samples."""
    return Path(__file__).with_name("feeder.py")


def flipper_path() -> Path:
    """The program that flips the kernel's bits."""
    return Path(__file__).with_name("flipper.py")
