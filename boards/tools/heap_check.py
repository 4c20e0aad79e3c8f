"""Loads a board's .mpy set from littlefs on the emulated board and measures the heap left after start.

The emulated board has the heap of an ESP32 (160 kB); the modules are compiled for its own processor.
"""

import binascii
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from bms.link import frame
from bms.memory import identity

from boards.tools import boardfile, mpy
from boards.tools.boardfile import BoardError

EMULATED = "mps2_an500"
EMULATED_ARCH = "armv7emsp"
BUDGET = "heap_free_after_start"
SERIES, TEMPS = 16, 4

_NVM_BYTES = 16 << 20
_FACTORY_START = 0xA00008
"""Of the emulated board's NVM window; "REPL" here: start neither boot nor main."""
_DEADLINE_S = 120.0

_SCRIPT = """
import gc
gc.collect()
before = gc.mem_free()
import bms.app
from board import Board
app = bms.app.App(Board())
gc.collect()
print('HEAP', gc.mem_free(), before, gc.mem_free() + gc.mem_alloc(), bms.app.__file__)
"""


@dataclass(frozen=True)
class Heap:
    """Bytes free after start and before it, size of the heap, and what must be free."""

    board: str
    free_bytes: int
    free_before_bytes: int
    heap_bytes: int
    budget_bytes: int

    def line(self) -> str:
        """For people."""
        return (
            f"heap: {self.free_bytes:,} B of {self.heap_bytes:,} B free after start with {SERIES} cells, "
            f"at least {self.budget_bytes:,} B wanted"
        )

    def check(self) -> None:
        """BoardError when too little is free."""
        if self.free_bytes < self.budget_bytes:
            raise BoardError(
                f"{self.board}: {self.free_bytes:,} B of heap are free after start, "
                f"budgets.{BUDGET} in boards/{self.board}/board.toml is {self.budget_bytes:,} B"
            )


def parse(board: str, output: str, budget_bytes: int) -> Heap:
    """The result in what the board printed; BoardError with its last line when there is none."""
    lines = output.strip().splitlines()
    for line in lines:
        words = line.split()
        if len(words) == 5 and words[0] == "HEAP":
            if not words[4].startswith("/lib/"):
                raise BoardError(f"the emulated board took bms.app from {words[4]}, not from /lib")
            return Heap(board, int(words[1]), int(words[2]), int(words[3]), budget_bytes)
    raise BoardError(
        f"the emulated board did not start the application: {lines[-1] if lines else 'no output'}"
    )


def nvm_image(path: Path) -> None:
    """An erased NVM with an identity in it, for a board that shall wait at its prompt."""
    who = {"tenant": "heap", "site": "desk", "pack": "check", "chemistry": 0, "capacity_mah": 3000}
    with path.open("wb") as file:
        file.write(b"\xff" * _NVM_BYTES)
        file.seek(0)
        file.write(identity.image(who | {"series": SERIES, "temps": TEMPS}))
        file.seek(_FACTORY_START)
        file.write(b"REPL")


def config_frame() -> bytes:
    """The front end's CONFIG, which the application waits for."""
    writer = frame.Writer()
    payload = bytes((SERIES, TEMPS, frame.MODE_FREE, 0, 0, 0, 0))
    writer.raw[frame.HEADER : frame.HEADER + len(payload)] = payload
    n = writer.finish(frame.CONFIG, 0, 0, len(payload))
    return bytes(writer.wire[:n])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def emulator(image: Path, folder: Path) -> Iterator[tuple[str, socket.socket]]:
    """A running emulated board: its console for mpremote, and its AFE line."""
    program = shutil.which("qemu-system-arm")
    if program is None:
        raise BoardError("qemu-system-arm is not on PATH: apt-get install qemu-system-arm")
    port = _free_port()
    afe_path = str(folder / "afe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(afe_path)
        listener.listen(1)
        listener.settimeout(10)
        command = [
            program,
            "-machine",
            "mps2-an500,memory-backend=nvm",
            "-display",
            "none",
            "-monitor",
            "none",
        ]
        command += ["-object", f"memory-backend-file,id=nvm,size=16M,mem-path={folder / 'nvm'},share=on"]
        command += ["-serial", f"tcp:127.0.0.1:{port},server=on,wait=off", "-serial", f"unix:{afe_path}"]
        command += ["-serial", "null", "-kernel", str(image)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            afe, _ = listener.accept()
            with afe:
                yield f"socket://127.0.0.1:{port}", afe
        except TimeoutError as error:
            raise BoardError(f"the emulator did not start: {(folder / 'log').read_text()[-200:]}") from error
        finally:
            process.kill()
            process.wait()


def _mpremote(console: str, *words: str) -> list[str]:
    return [sys.executable, "-m", "mpremote", "connect", console, *words]


def _load(console: str, lib: Path, scratch: Path) -> None:
    """Copy `lib` onto the board: one program a file, which is much faster than mpremote's cp."""
    entries = sorted(lib.rglob("*"))
    folders = ["/lib", *(f"/lib/{path.relative_to(lib).as_posix()}" for path in entries if path.is_dir())]
    programs = [f"import os\nfor folder in {folders!r}:\n os.mkdir(folder)\n"]
    for path in entries:
        if path.is_file():
            data = binascii.b2a_base64(path.read_bytes(), newline=False)
            programs.append(
                "import binascii\n"
                f"with open('/lib/{path.relative_to(lib).as_posix()}', 'wb') as f:\n"
                f" f.write(binascii.a2b_base64({data!r}))\n"
            )
    words: list[str] = []
    for number, program in enumerate(programs):
        file = scratch / f"load{number}.py"
        file.write_text(program)
        words += [*["+"][: len(words)], "run", str(file)]
    done = subprocess.run(_mpremote(console, *words), capture_output=True, text=True, timeout=_DEADLINE_S)
    if done.returncode:
        text = (done.stdout + done.stderr).strip()
        raise BoardError(f"mpremote could not copy onto the emulated board: {text[-200:]}")


def _start(console: str, afe: socket.socket) -> str:
    """Run the script while telling the board its front end's configuration; returns what it printed."""
    config = config_frame()
    deadline = time.monotonic() + _DEADLINE_S
    command = _mpremote(console, "exec", _SCRIPT)
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        while process.poll() is None:
            if time.monotonic() > deadline:
                process.kill()
            with suppress(BlockingIOError):
                afe.send(config, socket.MSG_DONTWAIT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
        output.seek(0)
        return output.read()


def measure(board: str, image: Path, compiler: Path, out: Path) -> Heap:
    """Compile `board`'s modules for the emulated board `image` with its own mpy-cross, start them there.

    Writes heap.json into `out`. Raises BoardError naming what is missing or went wrong.
    """
    row = boardfile.read(board)
    emulated = out / "on_emulated"
    mpy.build_mpy(board, emulated, arch=EMULATED_ARCH, compiler=compiler)
    # its own board.py and what that needs are in the emulated image
    (emulated / "device" / "lib" / "board.mpy").unlink()
    shutil.rmtree(emulated / "device" / "lib" / "hal", ignore_errors=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        nvm_image(folder / "nvm")
        with emulator(image, folder) as (console, afe):
            _load(console, emulated / "device" / "lib", folder)
            heap = parse(board, _start(console, afe), row.budget(BUDGET))
    (out / "heap.json").write_text(json.dumps(asdict(heap), indent=2) + "\n")
    return heap
