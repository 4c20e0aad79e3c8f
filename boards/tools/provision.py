"""Writes a board's identity into its NVM, and its network files where they are given.

`--network FILE` is the board's network.json, `--certificates FOLDER` holds ca.der and, for a client
certificate, client.der and client.key. `--cell FILE` (cellkeeper cell-tables) holds the tables by which the
board estimates with a filter instead of counting charge.
"""

import argparse
import binascii
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bms.estimate import ecm
from bms.memory import cell as cell_memory
from bms.memory import identity
from bms.memory.layout import CELL
from bms.tables.params import CHEMISTRIES

from boards.tools import boardfile
from boards.tools.boardfile import BoardError, BoardFile
from boards.tools.flash import check_port

_CERTIFICATES = ("ca.der", "client.der", "client.key")


def script(fields: dict[str, object], cell: bytes = b"") -> str:
    """The program that the board runs; IdentityError when a field is wrong. An old cell is forgotten."""
    identity.image(fields)
    text = binascii.b2a_base64(cell, newline=False).decode()
    lines = [
        "import binascii",
        "from bms.memory import cell, identity",
        "from board import Board",
        "board = Board()",
        "nvm = board.nvm",
        f"identity.write(nvm, {fields!r})",
        f"cell.write(nvm, binascii.a2b_base64('{text}'))",
    ]
    if cell:
        lines.append(
            "if not board.observer: print('this board has no memory for a filter: it counts charge')"
        )
    return "\n".join([*lines, "print('provisioned as', identity.load(nvm).pack)", ""])


def files(row: BoardFile, network: Path | None, certificates: Path | None) -> list[str]:
    """mpremote's words that copy the network files; BoardError for one that is not there."""
    root = str(row.flash_setting("root", str)).rstrip("/")
    words: list[str] = []
    if network is not None:
        if not network.is_file():
            raise BoardError(f"network file {network} is not there; boards/README.md shows one")
        words += ["cp", str(network), f":{root}/network.json", "+"]
    if certificates is not None:
        found = [name for name in _CERTIFICATES if (certificates / name).is_file()]
        if "ca.der" not in found:
            raise BoardError(f"{certificates} holds no ca.der, without which the broker cannot be checked")
        # mkdir fails where the folder is; exec does not
        words += ["exec", f"import os\ntry:\n os.mkdir('{root}/cert')\nexcept OSError:\n pass", "+"]
        for name in found:
            words += ["cp", str(certificates / name), f":{root}/cert/{name}", "+"]
    return words


def _fields(chosen: argparse.Namespace) -> dict[str, object]:
    fields: dict[str, object] = {
        name: getattr(chosen, name) for name in ("tenant", "site", "pack", "series", "temps")
    }
    fields["chemistry"] = CHEMISTRIES.index(chosen.chemistry)
    fields["capacity_mah"] = chosen.capacity_mah
    if chosen.user is not None:
        fields["user"] = chosen.user
    if chosen.password_file is not None:
        try:
            fields["password"] = chosen.password_file.read_text().rstrip("\r\n")
        except OSError as error:
            raise BoardError(f"password file {chosen.password_file}: {error.strerror}") from error
    return fields


class _Blank:
    """A blank NVM with an image in the place of the cell's tables, to be read only."""

    def __init__(self, image: bytes) -> None:
        self._image = image + b"\xff" * (cell_memory.MOST_BYTES - len(image))

    def read(self, addr: int, buf: bytearray) -> None:
        """Fill `buf` from the address."""
        at = addr - CELL
        buf[:] = self._image[at : at + len(buf)]


def _cell(path: Path | None, chemistry: str) -> bytes:
    """The tables in a file that `cellkeeper cell-tables` wrote; BoardError for another, or another cell's."""
    if path is None:
        return b""
    try:
        image = path.read_bytes()
        parts = cell_memory.load(_Blank(image))
        ecm.load(parts[cell_memory.ECM])
        found = CHEMISTRIES[parts[cell_memory.CHEMISTRY][0]]
    except OSError as error:
        raise BoardError(f"cell tables {path}: {error.strerror}") from error
    except (LookupError, ValueError) as error:
        raise BoardError(f"{path} holds no tables of a cell, cellkeeper cell-tables writes them") from error
    if found != chemistry:
        raise BoardError(f"{path} holds the tables of a cell that is {found}, --chemistry says {chemistry}")
    return image


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m boards.tools.provision", description=__doc__)
    parser.add_argument("board", help=", ".join(boardfile.names()))
    parser.add_argument("--port", required=True, help="serial port, or socket://HOST:NUMBER")
    for name in ("tenant", "site", "pack"):
        parser.add_argument(f"--{name}", required=True, help="1 to 40 characters, part of the MQTT topic")
    parser.add_argument("--chemistry", required=True, choices=CHEMISTRIES)
    parser.add_argument("--series", required=True, type=int, help="cells in series")
    parser.add_argument("--temps", required=True, type=int, help="temperature sensors")
    parser.add_argument("--capacity-mah", required=True, type=int, help="usable capacity of one string")
    parser.add_argument(
        "--cell", type=Path, help="file of cellkeeper cell-tables; without it charge is counted"
    )
    parser.add_argument("--user", help="MQTT user")
    parser.add_argument("--password-file", type=Path, help="file with the MQTT password")
    parser.add_argument("--network", type=Path, help="network.json to put onto the board")
    parser.add_argument("--certificates", type=Path, help="folder with ca.der, client.der, client.key")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 1 and one line on stderr when it cannot be done."""
    chosen = _arguments(arguments)
    try:
        row = boardfile.read(chosen.board)
        program = script(_fields(chosen), _cell(chosen.cell, chosen.chemistry))
        copies = files(row, chosen.network, chosen.certificates)
        check_port(row, chosen.port)
        # from a file that only we can read: a command line shows the password to everybody here
        with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
            file.write(program)
            file.flush()
            words = [*copies, "rtc", "--set", "+", "run", file.name, "+", "reset"]
            done = subprocess.run([sys.executable, "-m", "mpremote", "connect", chosen.port, *words])
        if done.returncode:
            raise BoardError(
                f"mpremote ended with status {done.returncode}; is the application on the board?"
            )
    except (BoardError, identity.IdentityError) as error:
        print(f"provision: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
