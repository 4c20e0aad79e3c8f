"""A small client of the debugger that QEMU offers (GDB remote serial protocol): stop, read, write, go on."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Self

_TIMEOUT_S = 10.0


class GdbError(RuntimeError):
    """The debugger did not do what it was asked for."""


class Gdb:
    """A stopped emulator: connecting stops it, leaving lets it go on. A context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._buffer = b""
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def __enter__(self) -> Self:
        end = time.monotonic() + _TIMEOUT_S
        self._sock.settimeout(_TIMEOUT_S)
        while True:
            try:
                self._sock.connect(str(self._path))
                break
            except OSError as error:
                if time.monotonic() > end:
                    raise GdbError(f"no debugger at {self._path}: {error.strerror}") from error
                time.sleep(0.05)
        self.ask("?")
        return self

    def __exit__(self, *_: object) -> None:
        self.ask("D")
        self._sock.close()

    def ask(self, command: str) -> str:
        """Send one packet; the answer's text. Raises GdbError."""
        body = command.encode()
        self._sock.sendall(b"$" + body + b"#%02x" % (sum(body) & 0xFF))
        while True:
            packet = self._packet()
            if packet is None:
                continue
            self._sock.sendall(b"+")
            # the emulator reports its stop by itself, too
            if command == "?" or not packet.startswith(("T", "S")):
                return packet

    def _packet(self) -> str | None:
        begin = self._buffer.find(b"$")
        end = self._buffer.find(b"#", begin)
        if begin >= 0 and 0 <= end <= len(self._buffer) - 3:
            text = self._buffer[begin + 1 : end].decode("latin-1")
            self._buffer = self._buffer[end + 3 :]
            return text
        try:
            data = self._sock.recv(4096)
        except TimeoutError as error:
            raise GdbError("the debugger does not answer") from error
        if not data:
            raise GdbError("the debugger hung up")
        self._buffer += data
        return None

    def read(self, address: int, size: int) -> bytes:
        """Memory."""
        answer = self.ask(f"m{address:x},{size:x}")
        if answer.startswith("E"):
            raise GdbError(f"cannot read {size} bytes at {address:#x}: {answer}")
        return bytes.fromhex(answer)

    def write(self, address: int, data: bytes) -> None:
        """Memory."""
        answer = self.ask(f"M{address:x},{len(data):x}:{data.hex()}")
        if answer != "OK":
            raise GdbError(f"cannot write {len(data)} bytes at {address:#x}: {answer}")
