"""How the emulated board is started: QEMU's command line, its NVM file and the factory page in it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self, cast

from mpremote.transport import TransportError  # pyright: ignore[reportMissingTypeStubs]  it has none
from mpremote.transport_serial import SerialTransport  # pyright: ignore[reportMissingTypeStubs]  it has none

ROOT = Path(__file__).resolve().parents[2]
IMAGE = ROOT / "build" / "mps2_an500" / "firmware.elf"
MPY_CROSS = ROOT / "build" / "mpy-cross" / "mpy-cross"
"""Of the image's own MicroPython: .mpy files must match the interpreter."""
NVM_BYTES = 16 << 20

# Offsets in the NVM file; boards/mps2_an500/port/nvm.h and modmps2_dma.c have the other half of this.
FACTORY_START = 0xA00008
FACTORY_LINE = 0xA00010
REPL_ONLY = b"REPL"
DMA_LINE = b"DMA1"
NOT_GIVEN = b"\xff" * 4
DMA_WINDOW = 0xB00000
DMA_HEADER = 0x1000
DMA_RING = 0x10000

_START_S = 20

LOCKSTEP = ("-icount", "shift=2,sleep=off")
"""250 MIPS, ESP32 class; device time runs only where the board works."""
COUNTED = ("-icount", "shift=0")
"""One instruction is one nanosecond of device time."""


def missing(image: Path = IMAGE) -> str:
    """What stands in the way of running the emulated board, in one line; empty when nothing does."""
    if not shutil.which("qemu-system-arm"):
        return "no `qemu-system-arm`; get it with: apt-get install qemu-system-arm"
    if not image.is_file():
        return f"no image at {image}; build it with: make firmware BOARD=mps2_an500"
    return ""


def blank_nvm(path: Path) -> Path:
    """A new NVM file, erased; one that exists is left as it is."""
    if not path.exists():
        path.write_bytes(b"\xff" * NVM_BYTES)
    return path


def poke(path: Path, offset: int, data: bytes) -> None:
    """Write into the NVM file of a board that is not running: factory page, identity."""
    with path.open("r+b") as handle:
        handle.seek(offset)
        handle.write(data)


def command(
    nvm: Path, serial: Sequence[str], *, image: Path = IMAGE, icount: Sequence[str] = ()
) -> list[str]:
    """QEMU's command line. `serial`: chardev options without `id=` for console, AFE link and broker link."""
    line = [
        "qemu-system-arm", "-machine", "mps2-an500,memory-backend=nvm",
        "-object", f"memory-backend-file,id=nvm,size=16M,mem-path={nvm},share=on",
        "-nic", "none", "-display", "none", "-monitor", "none", "-nodefaults", *icount, "-kernel", str(image),
    ]  # fmt: skip
    for n, options in enumerate(serial):
        line += ["-chardev", f"{options},id=uart{n}", "-serial", f"chardev:uart{n}"]
    return line


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class EmulatorError(RuntimeError):
    """The emulator did not start or its board did not answer; says what it last said."""


class _Console(Protocol):
    """What we use of mpremote's SerialTransport."""

    def enter_raw_repl(self, soft_reset: bool) -> None: ...
    def exec_raw(self, command: str, timeout: float) -> tuple[bytes, bytes]: ...
    def close(self) -> None: ...


class ReplBoard:
    """An emulated board that waits at its prompt; `exec` runs code there and gives back what it printed.

    `port` is the console's TCP port (mpremote: socket://127.0.0.1:PORT). A context manager: leaving it ends
    the emulator, and only that.
    """

    def __init__(
        self,
        folder: Path,
        *,
        image: Path = IMAGE,
        icount: Sequence[str] = (),
        afe: str = "null",
        nvm: Path | None = None,
    ) -> None:
        if lack := missing(image):
            raise EmulatorError(lack)
        nvm = blank_nvm(nvm or folder / "nvm.bin")
        poke(nvm, FACTORY_START, REPL_ONLY)
        self.port = free_port()
        self._log = folder / "qemu.log"
        console = f"socket,host=127.0.0.1,port={self.port},server=on,wait=off,nodelay=on"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command(nvm, (console, afe, "null"), image=image, icount=icount),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._transport: _Console | None = None
        self._await_console()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._transport is not None:
            self._transport.close()
        self._process.kill()
        self._process.wait()

    def _await_console(self) -> None:
        end = time.monotonic() + _START_S
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1):
                    return
            except OSError as error:
                if self._process.poll() is not None or time.monotonic() > end:
                    self.__exit__()
                    raise EmulatorError(f"no console: {self._log.read_text()[-200:]}") from error
                time.sleep(0.02)

    def _connect(self) -> _Console:
        if self._transport is None:
            self._transport = cast(_Console, SerialTransport(f"socket://127.0.0.1:{self.port}"))
        return self._transport

    def exec(self, code: str, timeout_s: float = 60.0, *, fresh: bool = True) -> str:
        """Run `code`, after a soft reset when `fresh`. Raises EmulatorError with the board's traceback."""
        transport = self._connect()
        try:
            transport.enter_raw_repl(soft_reset=fresh)
            output, error = transport.exec_raw(code, timeout=timeout_s)
        except TransportError as problem:
            raise EmulatorError(f"the emulated board did not answer: {problem}") from problem
        if error:
            raise EmulatorError(error.decode(errors="replace").strip())
        return output.decode(errors="replace")

    def put(self, path: str, data: bytes) -> None:
        """Write a file onto the board's file system."""
        self.exec(f"_f = open({path!r}, 'wb')\n_w = _f.write", fresh=False)
        for at in range(0, len(data), 1024):
            self.exec(f"_w({data[at : at + 1024]!r})", fresh=False)
        self.exec("_f.close()", fresh=False)
