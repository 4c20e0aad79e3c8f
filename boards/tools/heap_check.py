"""Loads a board's .mpy set from littlefs on the emulated board and measures the heap left after start.

The emulated board has the heap of an ESP32 (160 kB); the modules are compiled for its own processor.
"""

import json
import socket
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bms.link import frame
from bms.memory import identity
from bms.memory.layout import IDENTITY

from boards.tools import boardfile, emulator, manifest, mpy
from boards.tools.boardfile import BoardError
from boards.tools.emulator import EmulatorError, ReplBoard
from boards.tools.file_system import tree, write_files

EMULATED = "mps2_an500"
EMULATED_ARCH = "armv7emsp"
BOOT = "_boot.py"
BUDGET = "heap_free_after_start"
SERIES, TEMPS = 16, 4

_WHO: dict[str, object] = {
    "tenant": "heap", "site": "desk", "pack": "check",
    "chemistry": 0, "capacity_mah": 3000, "series": SERIES, "temps": TEMPS,
}  # fmt: skip
_DEADLINE_S = 120.0

_SCRIPT = """
import gc
gc.threshold(4096)  # as main.py does
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


def config_frame() -> bytes:
    """The front end's CONFIG, which the application waits for."""
    writer = frame.Writer()
    payload = bytes((SERIES, TEMPS, frame.MODE_FREE, 0, 0, 0, 0))
    writer.raw[frame.HEADER : frame.HEADER + len(payload)] = payload
    n = writer.finish(frame.CONFIG, 0, 0, len(payload))
    return bytes(writer.wire[:n])


@contextmanager
def _front_end(folder: Path) -> Generator[tuple[str, socket.socket]]:
    """A listening socket for the board's AFE link, and QEMU's words for it."""
    path = folder / "afe"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        listener.settimeout(_DEADLINE_S)
        yield f"socket,path={path}", listener


def _of_board(module: manifest.Module) -> bool:
    return not module.target.startswith("bms/") and module.target != mpy.MAIN


def run(board: str, image: Path, compiler: Path, out: Path, script: str) -> str:
    """What `script` prints on the emulated board `image` that has `board`'s modules in /lib.

    They are compiled for it with its own mpy-cross, into `out`. Raises BoardError naming what is missing or
    went wrong.
    """
    emulated = out / "on_emulated"
    # the emulated board's own board.py, and what that needs, in place of the board's
    modules = [m for m in manifest.modules(boardfile.read(board)) if not _of_board(m)]
    modules += [m for m in manifest.modules(boardfile.read(EMULATED)) if _of_board(m) and m.target != BOOT]
    mpy.build_mpy(board, emulated, arch=EMULATED_ARCH, compiler=compiler, modules=modules)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        nvm = emulator.blank_nvm(folder / "nvm.bin")
        emulator.poke(nvm, IDENTITY, identity.image(_WHO))
        write_files(nvm, tree(emulated / "device" / "lib", "/lib"))
        try:
            with (
                _front_end(folder) as (afe, listener),
                ReplBoard(folder, image=image, afe=afe, nvm=nvm) as running,
                listener.accept()[0] as line,
            ):
                line.sendall(config_frame())
                return running.exec(script, _DEADLINE_S)
        except EmulatorError as error:
            raise BoardError(f"the emulated board: {error}") from error


def measure(board: str, image: Path, compiler: Path, out: Path) -> Heap:
    """Start `board`'s modules on the emulated board; writes heap.json into `out`. BoardError as `run`."""
    heap = parse(board, run(board, image, compiler, out, _SCRIPT), boardfile.read(board).budget(BUDGET))
    (out / "heap.json").write_text(json.dumps(asdict(heap), indent=2) + "\n")
    return heap
