"""Files put into the emulated board's NVM file are what its own file system finds."""

from pathlib import Path

import pytest

from boards.tools import emulator
from boards.tools.file_system import tree, write_files

LISTING = """
import os
for name in ("/main.py", "/lib/bms/long.py", "/lib/kept.txt"):
    try:
        print(name, os.stat(name)[6])
    except OSError:
        print(name, "none")
"""


@pytest.mark.skipif(bool(emulator.missing()), reason=emulator.missing())
def test_the_board_finds_them_and_keeps_its_own(tmp_path: Path) -> None:
    nvm = emulator.blank_nvm(tmp_path / "nvm.bin")
    write_files(nvm, {"/main.py": b"pass", "/lib/bms/long.py": b"#" * 20_000})
    with emulator.ReplBoard(tmp_path, nvm=nvm) as board:
        assert board.exec(LISTING).split() == [
            "/main.py",
            "4",
            "/lib/bms/long.py",
            "20000",
            "/lib/kept.txt",
            "none",
        ]
        board.exec("with open('/lib/kept.txt', 'w') as file: file.write('kept')")
    write_files(nvm, {"/main.py": b"longer than before"})
    with emulator.ReplBoard(tmp_path, nvm=nvm) as board:
        assert board.exec(LISTING).split() == [
            "/main.py",
            "18",
            "/lib/bms/long.py",
            "20000",
            "/lib/kept.txt",
            "4",
        ]


def test_a_tree_is_named_from_where_it_goes(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c.mpy").write_bytes(b"M")
    (tmp_path / "d.mpy").write_bytes(b"N")
    assert tree(tmp_path, "/lib") == {"/lib/a/b/c.mpy": b"M", "/lib/d.mpy": b"N"}
