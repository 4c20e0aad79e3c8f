"""Bytes between a terminal and a socket: unchanged both ways, again after a hang-up, and an end to it."""

from __future__ import annotations

import os
import pty
import socket
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from hil.targets.pty_bridge import PtyBridge

EVERY_BYTE = bytes(range(256)) * 8


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """The emulator's end of a terminal that echoes and edits lines, and where its other end is."""
    master, slave = pty.openpty()
    yield master, Path(os.ttyname(slave))
    os.close(slave)
    os.close(master)


def read(fd: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += os.read(fd, size - len(data))
    return data


def receive(sock: socket.socket, size: int) -> bytes:
    sock.settimeout(5)
    return sock.recv(size, socket.MSG_WAITALL)


def test_every_byte_passes_both_ways_and_none_is_echoed(terminal: tuple[int, Path]) -> None:
    master, path = terminal
    rig, end = socket.socketpair()
    bridge = PtyBridge(path, lambda: end, again=False)
    bridge.start()
    with rig:
        os.write(master, EVERY_BYTE)
        assert receive(rig, len(EVERY_BYTE)) == EVERY_BYTE
        rig.sendall(EVERY_BYTE)
        assert read(master, len(EVERY_BYTE)) == EVERY_BYTE
        os.write(master, b"end")
        assert receive(rig, 3) == b"end"
        bridge.stop()
        assert receive(rig, 1) == b""


def test_a_broker_that_hangs_up_is_called_again(terminal: tuple[int, Path]) -> None:
    master, path = terminal
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        bridge = PtyBridge(path, partial(socket.create_connection, server.getsockname()[:2], 1.0), again=True)
        bridge.start()
        first, _ = server.accept()
        with first:
            os.write(master, b"connect")
            assert receive(first, 7) == b"connect"
        second, _ = server.accept()
        with second:
            second.sendall(b"connack")
            assert read(master, 7) == b"connack"
            bridge.stop()


def test_what_is_sent_without_a_broker_is_lost_and_stops_nobody(terminal: tuple[int, Path]) -> None:
    master, path = terminal
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()[:2]
    bridge = PtyBridge(path, partial(socket.create_connection, address, 1.0), again=True)
    bridge.start()
    began = time.monotonic()
    for _ in range(64):  # four times what a terminal holds
        os.write(master, bytes(4096))
    assert time.monotonic() - began < 10
    bridge.stop()
