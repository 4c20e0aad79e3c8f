"""What the Renode room shares: a `renode` on PATH that stands in for the real one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

FAKE = Path(__file__).with_name("fake_renode.py")


@pytest.fixture
def renode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A launcher named `renode`, first on PATH, with the emulator as its child, as some packages have it."""
    launcher = tmp_path / "bin" / "renode"
    launcher.parent.mkdir()
    launcher.write_text(f'#!/bin/sh\n"{sys.executable}" "{FAKE}" "$@"\nexit $?\n')
    launcher.chmod(0o755)
    monkeypatch.setenv("PATH", f"{launcher.parent}{os.pathsep}{os.environ['PATH']}")
    return launcher


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Something that looks like an image, in a folder with a blank in its name."""
    path = tmp_path / "a folder" / "firmware.elf"
    path.parent.mkdir()
    path.write_bytes(b"\x7fELF")
    return path
