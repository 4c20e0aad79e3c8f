"""Stands in for Renode on our side of the contract: its command line, monitor commands and pseudo-terminals.

Behind the AFE terminal the firmware runs on CPython. What it does not know it refuses as Renode's monitor
would, and stays at its prompt. Its terminals echo and edit lines until somebody makes them raw.
"""

from __future__ import annotations

import argparse
import os
import pty
import re
import select
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PSRAM, PSRAM_BYTES, FACTORY_LINE, DESK_NVM_BYTES = 0x6000_0000, 16 << 20, 0xA0_0010, 1 << 20


class MonitorError(Exception):
    """A command that Renode's monitor would refuse."""


def existing(word: str) -> Path:
    """The file that a path of the monitor names."""
    path = Path(word.removeprefix("@"))
    if not word.startswith("@") or not path.is_file():
        raise MonitorError(f"no file {word}")
    return path


class Monitor:
    """Variables, macros and the few commands that our scripts use."""

    def __init__(self) -> None:
        self.variables: dict[str, str] = {}
        self.macros: dict[str, list[str]] = {}
        self.terminals: dict[str, int] = {}
        self.uarts: dict[str, int] = {}
        self.memory: dict[int, bytes] = {}
        self.console = Path(os.devnull)
        self.loaded = 0
        self.board: subprocess.Popen[bytes] | None = None
        self.commands: list[tuple[str, Callable[..., None]]] = [
            (r"using sysbus", lambda: None),
            (r"include (\S+)", self.include),
            (r"mach create \"\w+\"", lambda: None),
            (r"machine LoadPlatformDescription (\S+)", self.platform),
            (r"cpu PerformanceInMips \d+", lambda: None),
            (r"cpu VectorTableOffset 0x0", lambda: None),
            (r"sysbus LoadELF (\S+)", self.load_elf),
            (r"sysbus LoadBinary (\S+) (0x\w+)", self.load_binary),
            (r"sysbus\.uart0 CreateFileBackend @(\S+) true", self.file_backend),
            (r'emulation CreateUartPtyTerminal "(\w+)" "(\S+)" true', self.terminal),
            (r"connector Connect sysbus\.(uart[12]) (\w+)", self.connect),
            (r"emulation SetGlobalAdvanceImmediately (?:true|false)", lambda: None),
            (r"start", self.start),
        ]

    def run(self, lines: list[str]) -> None:
        """A script's lines. Raises MonitorError at the first bad one."""
        at = 0
        while at < len(lines):
            line = lines[at].strip()
            at += 1
            if line.startswith("macro "):
                end = lines.index('"""', at + 1)
                self.macros[line.split()[1]] = lines[at + 1 : end]
                at = end + 1
            elif line.startswith("runMacro $"):
                self.run(self.macros[line.removeprefix("runMacro $")])
            elif found := re.fullmatch(r"\$(\w+)(\??)=(.*)", line):
                if not (found[2] and found[1] in self.variables):
                    self.variables[found[1]] = self.expand(found[3])
            elif line and line[0] not in "#:":
                self.execute(self.expand(line))

    def expand(self, line: str) -> str:
        """The line with its variables' values."""
        return re.sub(r"\$(\w+)", lambda name: self.variables[name[1]], line)

    def execute(self, line: str) -> None:
        """One command."""
        for pattern, command in self.commands:
            if found := re.fullmatch(pattern, line):
                command(*found.groups())
                return
        raise MonitorError(f"No such command or device: {line}")

    def include(self, word: str) -> None:
        path = existing(word)
        outer = self.variables.get("ORIGIN", "")
        self.variables["ORIGIN"] = f"@{path.parent}"
        self.run(path.read_text().splitlines())
        self.variables["ORIGIN"] = outer

    def platform(self, word: str) -> None:
        if "UART.CMSDK_APB_UART @ sysbus" not in existing(word).read_text():
            raise MonitorError(f"{word} is no platform")

    def load_elf(self, word: str) -> None:
        if existing(word).read_bytes()[:4] != b"\x7fELF":
            raise MonitorError(f"{word} is no ELF file")
        self.loaded += 1

    def load_binary(self, word: str, address: str) -> None:
        self.memory[int(address, 16)] = existing(word).read_bytes()

    def file_backend(self, path: str) -> None:
        self.console = Path(path)
        self.console.touch()

    def terminal(self, name: str, path: str) -> None:
        self.terminals[name], slave = pty.openpty()
        Path(path).symlink_to(os.ttyname(slave))

    def connect(self, uart: str, name: str) -> None:
        self.uarts[uart] = self.terminals[name]

    def start(self) -> None:
        """Run the desk board with the NVM that was loaded."""
        psram = self.memory.get(PSRAM, b"")
        if (
            len(psram) != PSRAM_BYTES
            or psram[FACTORY_LINE : FACTORY_LINE + 4] != b"\xff" * 4
            or not self.loaded
        ):
            raise MonitorError("the board would not find its image, its NVM or its AFE link")
        folder = Path(os.environ["TMPDIR"])
        nvm = folder / "nvm"
        nvm.write_bytes(psram[:DESK_NVM_BYTES])
        path = [ROOT / "boards" / "unix", ROOT / "boards" / "common", ROOT / "firmware"]
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(folder / "s"))
        server.listen(1)
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, path)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "CELLKEEPER_AFE": f"unix:{folder / 's'}",
            "CELLKEEPER_NVM": str(nvm),
            "CELLKEEPER_BROKER": "",
        }
        with self.console.open("wb") as output:
            main = str(ROOT / "firmware" / "main.py")
            self.board = subprocess.Popen([sys.executable, "-u", main], env=env, stdout=output, stderr=output)
        self.carry(server.accept()[0], self.uarts["uart1"])

    def carry(self, sock: socket.socket, terminal: int) -> None:
        """Bytes between the board and the terminal, byte by byte as a UART does, until the input ends."""
        while True:
            ready, _, _ = select.select([sock, terminal, sys.stdin], [], [])
            if sys.stdin in ready:
                return
            if sock in ready:
                data = sock.recv(4096)
                if not data:
                    return
                for n in range(len(data)):
                    os.write(terminal, data[n : n + 1])
            if terminal in ready:
                sock.sendall(os.read(terminal, 4096))


def main() -> None:
    parser = argparse.ArgumentParser(prog="renode", allow_abbrev=False)
    parser.add_argument("--version", action="version", version="Renode v1.16.1 (stands in)")
    for name in ("--disable-xwt", "--console", "--plain"):
        parser.add_argument(name, action="store_true", required=True)
    parser.add_argument("-e", dest="execute", action="append", required=True)
    monitor = Monitor()
    for command in parser.parse_args().execute:
        try:
            monitor.execute(command)
        except MonitorError as error:
            print(f"There was an error executing command '{command}'\n{error}", flush=True)
    sys.stdin.read()
    sys.exit("(monitor) end of input: Renode would spin here")


if __name__ == "__main__":
    main()
