"""Puts MicroPython and the application onto a board: `make flash BOARD=... PORT=... [FIRMWARE=file]`.

Without a firmware file only the application is put on. Methods (board.toml, flash.method):
    esptool    writes the published .bin with our partition table in it, keeping NVM and files;
               a chip that ran anything else before needs --erase once, or MicroPython takes what
               lies in its file system's place for a damaged one
    usb_drive  copies .hex or .bin (debug drive) or .uf2 (bootloader's drive); without a drive, NXP's blhost
    console    the application only, onto the running emulated board: PORT=socket://HOST:NUMBER
"""

import argparse
import importlib.util
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from serial.tools import list_ports

from boards.tools import boardfile, mpy, partitions
from boards.tools.boardfile import BoardError, BoardFile

_PYTHON_TOOLS = {"esptool": "esptool", "mpremote": "mpremote"}
_PORT_WAIT_S = 60.0
_BLOCK = 4096
_MOUNTS = ("/media", "/run/media", "/Volumes", "/mnt")


def _shown(path: Path) -> str:
    # from the project's root, where `make` runs, when it lies in there
    root = boardfile.BOARDS.parent
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


@dataclass(frozen=True)
class Run:
    """Run a program; the first word names it."""

    words: tuple[str, ...]

    def line(self) -> str:
        """The exact command line."""
        return shlex.join(self.words)

    def do(self) -> None:
        """Run it; BoardError when it is missing or fails."""
        tool = self.words[0]
        if tool in _PYTHON_TOOLS:
            if importlib.util.find_spec(_PYTHON_TOOLS[tool]) is None:
                raise BoardError(f"{tool} is not installed: pip install 'cellkeeper[boards]'")
            start = [sys.executable, "-m", tool]
        elif (found := shutil.which(tool)) is not None:
            start = [found]
        else:
            raise BoardError(f"{tool} is not on PATH")
        done = subprocess.run([*start, *self.words[1:]], cwd=boardfile.BOARDS.parent)
        if done.returncode:
            raise BoardError(f"{tool} ended with status {done.returncode}: {self.line()}")


@dataclass(frozen=True)
class Copy:
    """Copy a file onto a mounted drive."""

    source: Path
    drive: Path

    def line(self) -> str:
        """As a shell would do it."""
        return shlex.join(("cp", _shown(self.source), f"{self.drive}/"))

    def do(self) -> None:
        """Copy it; BoardError when the drive does not take it."""
        try:
            shutil.copyfile(self.source, self.drive / self.source.name)
        except OSError as error:
            raise BoardError(f"{self.drive} did not take {self.source.name}: {error}") from error


@dataclass(frozen=True)
class Wait:
    """Wait until the board has started MicroPython and its port is there."""

    port: str

    def line(self) -> str:
        """For people."""
        return f"# wait up to {_PORT_WAIT_S:.0f} s for {self.port}; press the board's reset button"

    def do(self) -> None:
        """Wait; BoardError when the port does not come."""
        print(self.line())
        deadline = time.monotonic() + _PORT_WAIT_S
        while not _port_there(self.port):
            if time.monotonic() > deadline:
                raise BoardError(f"{self.port} did not come back within {_PORT_WAIT_S:.0f} s")
            time.sleep(0.5)


Step = Run | Copy | Wait


def _port_there(port: str) -> bool:
    if port.startswith("socket://"):
        host, _, number = port.removeprefix("socket://").rpartition(":")
        try:
            socket.create_connection((host, int(number)), timeout=2).close()
        except (OSError, ValueError):
            return False
        return True
    return Path(port).exists() or any(port == found.device for found in list_ports.comports())


def check_port(row: BoardFile, port: str) -> None:
    """BoardError when there is nothing at `port`, naming the ports that are there."""
    if row.flash["method"] == "console" and not port.startswith("socket://"):
        raise BoardError(f"port {port!r}: an emulated board needs socket://HOST:NUMBER, its console")
    if not _port_there(port):
        if port.startswith("socket://"):
            raise BoardError(f"port {port}: nothing listens there; is the emulated board running?")
        there = ", ".join(found.device for found in list_ports.comports()) or "none"
        raise BoardError(f"port {port} is not there; serial ports here: {there}")


def check_firmware(path: Path, suffixes: tuple[str, ...]) -> None:
    """BoardError when the firmware file is not there or of the wrong kind."""
    if not path.is_file():
        raise BoardError(
            f"firmware file {path} is not there; MicroPython's are at https://micropython.org/download/"
        )
    if path.suffix not in suffixes:
        raise BoardError(f"firmware file {path} must end in {' or '.join(suffixes)}")


def check_space(row: BoardFile, sizes: mpy.Sizes) -> None:
    """BoardError when the files do not fit the board's file system (littlefs, two blocks a folder)."""
    folders = {folder for name in sizes.bytes_by_file for folder in Path(name).parents}
    blocks = sum(-(-size // _BLOCK) for size in sizes.bytes_by_file.values()) + 2 * len(folders)
    space = int(row.flash_setting("space", int))
    if blocks * _BLOCK > space:
        raise BoardError(
            f"{row.name}: the application takes {blocks * _BLOCK:,} B of the file system, "
            f"flash.space in boards/{row.name}/board.toml is {space:,} B"
        )


def make_application(row: BoardFile) -> None:
    """Compile what `application` puts on. A missed size budget is said; BoardError when it does not fit."""
    sizes = mpy.build_mpy(row.name, row.build)
    check_space(row, sizes)
    try:
        sizes.check()
    except BoardError as missed:
        print(f"flash: warning: {missed}", file=sys.stderr)


def application(row: BoardFile, port: str) -> list[Step]:
    """Put what build_mpy made onto a board that runs MicroPython, and restart it."""
    root = str(row.flash_setting("root", str)).rstrip("/")
    device = row.build / "device"
    words = ["mpremote", "connect", port, "cp", "-r", _shown(device / "lib"), f":{root}/"]
    words += ["+", "cp", _shown(device / mpy.MAIN), f":{root}/{mpy.MAIN}"]
    if row.flash.get("skip_sd"):
        words += ["+", "touch", f":{root}/SKIPSD"]
    return [Run((*words, "+", "reset"))]


def esptool(row: BoardFile, port: str, firmware: Path | None, erase: bool) -> list[Step]:
    """ESP32: MicroPython by esptool, the application by mpremote."""
    if firmware is None:
        return application(row, port)
    check_firmware(firmware, (".bin",))
    chip = str(row.flash_setting("chip", str))
    offset = int(row.flash_setting("image_offset", int))
    rows = partitions.read(row.folder / "partitions.csv")
    table_offset = int(row.flash_setting("table_offset", int))
    try:
        image = partitions.with_table(firmware.read_bytes(), offset, table_offset, chip, rows)
    except BoardError as error:
        raise BoardError(f"firmware file {firmware}: {error}") from error
    row.build.mkdir(parents=True, exist_ok=True)
    target = row.build / "image.bin"
    target.write_bytes(image)
    common = ("esptool", "--chip", chip, "--port", port, "--baud", str(row.flash_setting("baud", int)))
    steps: list[Step] = [Run((*common, "erase-flash"))] if erase else []
    steps.append(Run((*common, "write-flash", f"{offset:#x}", _shown(target))))
    return [*steps, Wait(port), *application(row, port)]


def usb_drive(row: BoardFile, port: str, firmware: Path | None, drive: Path | None) -> list[Step]:
    """i.MX RT: MicroPython by its USB drive or NXP's blhost, the application by mpremote."""
    if firmware is None:
        return application(row, port)
    check_firmware(firmware, (".hex", ".bin", ".uf2"))
    drive = drive or find_drive(row, firmware.suffix == ".uf2")
    if drive is not None:
        if not drive.is_dir():
            raise BoardError(f"drive {drive} is not there: mount the board's USB drive")
        return [Copy(firmware, drive), Wait(port), *application(row, port)]
    if shutil.which("blhost") is None:
        volumes = ", ".join(row.flash_setting("volumes", list))
        raise BoardError(
            f"no drive named {volumes} is mounted and NXP's blhost is not on PATH: "
            "mount the drive or name it with --drive"
        )
    return [*blhost(row, firmware), Wait(port), *application(row, port)]


def blhost(row: BoardFile, firmware: Path) -> list[Step]:
    """By NXP's blhost; the board runs NXP's flashloader, which sdphost or SPSDK has started."""
    if firmware.suffix != ".bin":
        raise BoardError(f"blhost writes .bin files, not {firmware.name}; or mount the board's USB drive")
    base = int(row.flash_setting("base_address", int))
    # the flash is erased only as far as the image goes, so that the file system stays
    length = -(-firmware.stat().st_size // 4096) * 4096
    common = ("blhost", "-u", str(row.flash_setting("usb_id", str)), "--")
    return [
        Run((*common, "fill-memory", "0x2000", "4", f"{row.flash_setting('flash_option', int):#x}", "word")),
        Run((*common, "configure-memory", "9", "0x2000")),
        Run((*common, "flash-erase-region", f"{base:#x}", f"{length:#x}")),
        Run((*common, "write-memory", f"{base:#x}", _shown(firmware))),
        Run((*common, "reset")),
    ]


def find_drive(row: BoardFile, uf2: bool, mounts: Sequence[str] = _MOUNTS) -> Path | None:
    """The board's mounted USB drive: by its label, or a UF2 bootloader's by the file that it shows."""
    volumes = [str(name) for name in row.flash_setting("volumes", list)]
    for mount in mounts:
        for pattern in ("*", "*/*"):
            for folder in sorted(Path(mount).glob(pattern)):
                if folder.is_dir() and (
                    (folder / "INFO_UF2.TXT").exists() if uf2 else folder.name in volumes
                ):
                    return folder
    return None


def console(row: BoardFile, port: str, firmware: Path | None) -> list[Step]:
    """The emulated board: the application onto its file system, where files win over frozen modules."""
    if firmware is not None:
        raise BoardError(f"{row.name}: the emulator loads its firmware by itself; leave FIRMWARE out")
    return application(row, port)


def plan(row: BoardFile, port: str, firmware: Path | None, *, erase: bool, drive: Path | None) -> list[Step]:
    """What will be done, in order. Raises BoardError for what can be seen to be wrong before it begins."""
    method = row.flash["method"]
    if method == "esptool":
        return esptool(row, port, firmware, erase)
    if method == "usb_drive":
        return usb_drive(row, port, firmware, drive)
    return console(row, port, firmware)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 1 and one line on stderr when it cannot be done."""
    parser = argparse.ArgumentParser(
        prog="python -m boards.tools.flash",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("board", help=", ".join(boardfile.names()))
    parser.add_argument("--port", help="serial port, or socket://HOST:NUMBER")
    parser.add_argument("--firmware", type=Path, help="MicroPython for the board, from its download page")
    parser.add_argument("--drive", type=Path, help="where the board's USB drive is mounted")
    parser.add_argument(
        "--erase", action="store_true", help="ESP32: erase all flash first, identity and files too"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the command lines, do nothing")
    chosen = parser.parse_args(arguments)
    try:
        row = boardfile.read(chosen.board)
        if not chosen.port:
            raise BoardError(f"which port? PORT=/dev/ttyUSB0 or the like; {chosen.board} is flashed over it")
        steps = plan(row, chosen.port, chosen.firmware, erase=chosen.erase, drive=chosen.drive)
        if chosen.dry_run:
            print("\n".join(step.line() for step in steps))
            return 0
        check_port(row, chosen.port)
        make_application(row)
        for step in steps:
            step.do()
    except BoardError as error:
        print(f"flash: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
