"""Provisioning: the program that the board runs, the files that it gets, the errors."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bms.estimate.late import observer
from bms.memory import cell, identity
from bms.memory.layout import END

from boards.tools import boardfile, provision
from boards.tools.boardfile import BoardError
from cloud.twin.cell import load_cell
from cloud.twin.device_image import cell_image

FIELDS: dict[str, object] = {
    "tenant": "t", "site": "s", "pack": "leaf-1", "chemistry": 2, "series": 12, "temps": 4,
    "capacity_mah": 60_000, "user": "u", "password": "quote ' and \\ slash",
}  # fmt: skip
WORDS = (
    "esp32 --port /dev/ttyNOT --tenant t --site s --pack leaf-1"
    " --chemistry lfp --series 12 --temps 4 --capacity-mah"
)


class Memory:
    """An NVM."""

    def __init__(self) -> None:
        self.data = bytearray(END)

    def erase(self, addr: int) -> None:
        self.data[addr : addr + 4096] = b"\xff" * 4096

    def program(self, addr: int, data: bytes) -> None:
        self.data[addr : addr + len(data)] = data

    def read(self, addr: int, buf: bytearray) -> None:
        buf[:] = self.data[addr : addr + len(buf)]


def test_the_program_writes_the_identity(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nvm: Any = Memory()
    run(provision.script(FIELDS), nvm, monkeypatch)
    found = identity.load(nvm)
    for name, value in FIELDS.items():
        assert getattr(found, name) == value
    assert capsys.readouterr().out == "provisioned as leaf-1\n"


def run(program: str, nvm: Any, monkeypatch: pytest.MonkeyPatch, maker: Any = None) -> None:
    """As a board would."""
    module: Any = SimpleNamespace(Board=lambda: SimpleNamespace(nvm=nvm, observer=maker))
    monkeypatch.setitem(sys.modules, "board", module)
    exec(program, {})  # noqa: S102


def test_the_program_writes_the_cells_tables_and_forgets_the_old_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nvm: Any = Memory()
    image = cell_image(load_cell("lg_hg2"))
    run(provision.script(FIELDS, image), nvm, monkeypatch, observer)
    assert cell.image({part: bytes(data) for part, data in cell.load(nvm).items()}) == image
    assert "counts charge" not in capsys.readouterr().out
    run(provision.script(FIELDS, image), nvm, monkeypatch)
    assert "counts charge" in capsys.readouterr().out
    run(provision.script(FIELDS), nvm, monkeypatch)
    assert cell.load(nvm) == {}


def test_the_tables_of_a_cell_of_another_chemistry_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    tables = tmp_path / "hg2.cell"
    tables.write_bytes(cell_image(load_cell("lg_hg2")))
    assert provision.main(f"{WORDS} 3000 --cell {tables}".split()) == 1
    assert "holds the tables of a cell that is nmc, --chemistry says lfp" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (WORDS + " 5", "capacity_mah is 5, it must be 100..1000000"),
        (WORDS.replace("leaf-1", "a/b") + " 3000", "'a/b' holds '/'"),
        (WORDS + " 3000", "port /dev/ttyNOT is not there"),
        (WORDS + " 3000 --password-file gone", "password file gone: No such file"),
        (WORDS + " 3000 --network gone.json", "network file gone.json is not there"),
        (WORDS + " 3000 --certificates .", "holds no ca.der"),
        (WORDS.replace("esp32", "esp99") + " 3000", "unknown board 'esp99'"),
        (WORDS + " 3000 --cell gone", "cell tables gone: No such file"),
        (WORDS + " 3000 --cell /dev/null", "/dev/null holds no tables of a cell"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    words: str,
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert provision.main(words.split()) == 1
    error = capsys.readouterr().err
    assert error.startswith("provision: ")
    assert len(error.splitlines()) == 1
    assert message in error


def test_files_go_where_the_board_looks_for_them(tmp_path: Path) -> None:
    for name in ("network.json", "ca.der", "client.der"):
        (tmp_path / name).write_bytes(b"x")
    words = provision.files(boardfile.read("mimxrt1060_evk"), tmp_path / "network.json", tmp_path)
    targets = [word for word in words if word.startswith(":")]
    assert targets == [":/flash/network.json", ":/flash/cert/ca.der", ":/flash/cert/client.der"]
    assert provision.files(boardfile.read("esp32"), None, None) == []
    with pytest.raises(BoardError, match=r"holds no ca.der"):
        provision.files(boardfile.read("esp32"), None, tmp_path / "nothing")
