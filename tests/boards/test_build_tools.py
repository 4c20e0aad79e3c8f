"""Where the builder takes MicroPython's source from, and how it says what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from boards.tools.boardfile import BoardError
from boards.tools.build import Job, load_job, report
from boards.tools.micropython_source import BuildError, Mirror, debian_mirrors, source_tree

DEB822 = """\
# a comment
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /keys/debian.gpg

Types: deb
URIs: http://elsewhere.example/node
Suites: nodistro
Components: main
"""
ONE_LINE = """\
deb [arch=amd64 signed-by=/keys/old.gpg] http://old.example/debian bookworm main # here
deb http://cloud.example/apt cloud-sdk-bookworm main
deb cdrom:[Debian] bookworm main
"""


def etc_apt(folder: Path) -> Path:
    (folder / "sources.list.d").mkdir()
    (folder / "sources.list.d" / "debian.sources").write_text(DEB822)
    (folder / "sources.list").write_text(ONE_LINE)
    return folder


def test_mirrors_are_the_systems_own_debian_ones(tmp_path: Path) -> None:
    assert debian_mirrors(etc_apt(tmp_path)) == [
        Mirror("http://old.example/debian", "/keys/old.gpg"),
        Mirror("http://mirror.example/debian", "/keys/debian.gpg"),
    ]


def test_inline_key_is_kept(tmp_path: Path) -> None:
    key = "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n -----END PGP PUBLIC KEY BLOCK-----"
    (tmp_path / "sources.list.d").mkdir()
    text = f"Types: deb\nURIs: http://m.example/debian\nSuites: trixie\nComponents: main\nSigned-By:{key}\n"
    (tmp_path / "sources.list.d" / "a.sources").write_text(text)
    assert debian_mirrors(tmp_path) == [Mirror("http://m.example/debian", key)]


def test_override_must_be_a_source_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICROPYTHON", str(tmp_path))
    with pytest.raises(BuildError, match="holds no MicroPython source tree"):
        source_tree(tmp_path)
    (tmp_path / "py").mkdir()
    (tmp_path / "py" / "py.mk").write_text("")
    assert source_tree(tmp_path) == tmp_path


def test_boards_and_variants_have_their_own_folders(tmp_path: Path) -> None:
    assert load_job("mps2_an500", None, tmp_path).out == tmp_path / "mps2_an500"
    assert load_job("mps2_an500", "scheduled", tmp_path).out == tmp_path / "mps2_an500-scheduled"
    with pytest.raises(BoardError, match=r"unknown board 'nowhere'; the boards are .*mps2_an500"):
        load_job("nowhere", None, tmp_path)


def test_over_budget_is_named(tmp_path: Path) -> None:
    job = Job("b", "hard", "armv7emdp", {"text": 100, "data": 10}, tmp_path, tmp_path)
    assert report(job, {"text": 101, "data": 10}) == ["text is 101 bytes, 1 over its budget of 100"]
    assert '"text": 101' in (tmp_path / "sizes.json").read_text()
