"""Carries bytes between a pseudo-terminal that an emulator made and a socket."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import termios
import threading
from collections.abc import Callable
from pathlib import Path

_CHUNK = 65536
_AGAIN_S = 1.0


def open_raw(path: Path) -> int:
    """A descriptor of the terminal at `path`, every byte as it is, none echoed.

    All flags are set, none taken over: Renode fills them from its standard input, which may be no terminal.
    """
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
    control = termios.tcgetattr(fd)[6]
    control[termios.VMIN], control[termios.VTIME] = 1, 0
    flags = termios.CS8 | termios.CREAD | termios.CLOCAL
    speed = termios.B115200  # of no effect
    termios.tcsetattr(fd, termios.TCSANOW, [0, 0, flags, 0, speed, speed, control])
    return fd


class PtyBridge:
    """Joins the terminal at `path` to the socket that `connect` gives, in a thread, until `stop`.

    With `again` it connects again when the other end hangs up or is not there, and what the board sends
    meanwhile is lost, as with QEMU's `reconnect=1`. Without it, either end going away closes the other.
    """

    def __init__(self, path: Path, connect: Callable[[], socket.socket], *, again: bool) -> None:
        self._terminal = open_raw(path)
        self._connect = connect
        self._again = again
        self._wake, self._waker = os.pipe()
        self._thread = threading.Thread(target=self._run, name=f"pty {path.name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; the emulator behind the terminal must have ended, or read what it gets."""
        os.close(self._waker)
        self._thread.join()
        os.close(self._terminal)
        os.close(self._wake)

    def _run(self) -> None:
        going = True
        while going:
            try:
                sock = self._connect()
            except OSError:
                going = self._again and self._discard()
                continue
            with sock:
                sock.setblocking(True)
                going = self._carry(sock) and self._again

    def _read(self) -> bytes:
        """What the emulator sent; empty when it has gone."""
        try:
            return os.read(self._terminal, _CHUNK)
        except OSError:  # EIO
            return b""

    def _discard(self) -> bool:
        """Throw away what comes within a second; False when there is nothing more to do."""
        ready, _, _ = select.select([self._wake], [], [], _AGAIN_S)
        while not ready and select.select([self._terminal], [], [], 0)[0]:
            if not self._read():
                return False
        return not ready

    def _carry(self, sock: socket.socket) -> bool:
        """Both ways until one end goes away; True when it was the socket's."""
        while True:
            ready, _, _ = select.select([self._terminal, sock, self._wake], [], [])
            if self._wake in ready:
                return False
            if self._terminal in ready:
                data = self._read()
                if not data:
                    return False
                try:
                    sock.sendall(data)
                except OSError:
                    return True
            if sock in ready:
                data = b""
                with contextlib.suppress(OSError):
                    data = sock.recv(_CHUNK)
                if not data:
                    return True
                if not self._write(data):
                    return False

    def _write(self, data: bytes) -> bool:
        try:
            while data:
                data = data[os.write(self._terminal, data) :]
        except OSError:
            return False
        return True
