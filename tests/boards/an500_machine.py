"""Starts the emulated board's real image in QEMU for tests, and talks to its three serial lines."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
NVM_BYTES = 16 << 20
FACTORY_START = 0xA00008  # "REPL" here: start neither boot nor main
LOCKSTEP = ("-icount", "shift=2,sleep=off")


def fresh_nvm(path: Path, start: bytes = b"REPL") -> Path:
    """A new NVM file as the rig makes it: all erased; `start` at its place in the factory page."""
    path.write_bytes(b"\xff" * NVM_BYTES)
    with path.open("r+b") as handle:
        handle.seek(FACTORY_START)
        handle.write(start)
    return path


def image_path(board: str = "mps2_an500") -> Path:
    """The built image; fails in one line when it, or the emulator, is not there."""
    image = ROOT / "build" / board / "firmware.elf"
    assert image.is_file(), f"{image.relative_to(ROOT)} is not built: make firmware BOARD=mps2_an500"
    assert shutil.which("qemu-system-arm"), "qemu-system-arm is not on PATH: apt-get install qemu-system-arm"
    return image


class Machine:
    """One emulator process; `console`, `uart1` and `uart2` are unix sockets to its serial lines."""

    def __init__(self, folder: Path, nvm: Path, extra: tuple[str, ...] = (), board: str = "mps2_an500"):
        image = image_path(board)
        folder.mkdir(parents=True, exist_ok=True)
        command = ["qemu-system-arm", "-M", "mps2-an500,memory-backend=nvm", "-display", "none"]
        command += ["-object", f"memory-backend-file,id=nvm,size=16M,mem-path={nvm},share=on"]
        command += ["-monitor", "none", "-kernel", str(image), *extra]
        self._listeners: list[socket.socket] = []
        for n in range(3):
            # QEMU is the client: the sockets are there before it starts, so nothing it sends is lost.
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            path = folder / f"u{n}"
            path.unlink(missing_ok=True)
            listener.bind(str(path))
            listener.listen(1)
            listener.settimeout(30)
            self._listeners.append(listener)
            command += ["-chardev", f"socket,id=c{n},path={path}", "-serial", f"chardev:c{n}"]
        self._errors = (folder / "stderr").open("wb")
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self._errors, stderr=self._errors
        )
        self.console, self.uart1, self.uart2 = (listener.accept()[0] for listener in self._listeners)
        self.log = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.kill()

    def kill(self) -> None:
        """A power cut."""
        self.process.kill()
        self.process.wait()
        for end in (*self._listeners, self.console, self.uart1, self.uart2):
            end.close()
        self._errors.close()

    def read_until(self, mark: bytes, timeout_s: float = 30.0) -> bytes:
        """Console output up to and with `mark`; what comes after it waits for the next call."""
        deadline = time.monotonic() + timeout_s
        while mark not in self.log:
            left_s = deadline - time.monotonic()
            assert left_s > 0, f"no {mark!r} within {timeout_s} s; the console said {self.log[-600:]!r}"
            self.console.settimeout(left_s)
            with suppress(TimeoutError):
                self.log += self.console.recv(65536)
        end = self.log.index(mark) + len(mark)
        head, self.log = self.log[:end], self.log[end:]
        return head

    def read(self, count: int) -> bytes:
        """The next `count` bytes of the console."""
        while len(self.log) < count:
            self.log += self.console.recv(65536)
        head, self.log = self.log[:count], self.log[count:]
        return head

    def raw_repl(self) -> None:
        """Waits for the prompt, interrupts what runs and enters the raw REPL."""
        self.read_until(b">>> ")
        self.console.sendall(b"\r\x03\x01")
        self.read_until(b"raw REPL; CTRL-B to exit\r\n>")

    def start(self, source: str) -> None:
        """Sends a program to the raw REPL and does not wait for its end."""
        self.console.sendall(source.encode() + b"\x04")
        self.read_until(b"OK")

    def finish(self, timeout_s: float = 30.0) -> tuple[str, str]:
        """What the running program printed, and its traceback."""
        out = self.read_until(b"\x04", timeout_s)[:-1]
        error = self.read_until(b"\x04>", timeout_s)[:-2]
        return out.decode(), error.decode()

    def run(self, source: str, timeout_s: float = 30.0) -> str:
        """Runs a program to its end and returns its output; its traceback fails the test."""
        self.start(source)
        out, error = self.finish(timeout_s)
        assert error == "", error
        return out.replace("\r\n", "\n").strip()


def receive(line: socket.socket, count: int, timeout_s: float = 30.0) -> bytes:
    """Exactly `count` bytes, or what came before the timeout."""
    line.settimeout(timeout_s)
    data = b""
    while len(data) < count:
        try:
            part = line.recv(count - len(data))
        except TimeoutError:
            break
        if not part:
            break
        data += part
    return data
