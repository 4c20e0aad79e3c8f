"""A board on a serial port: the firmware on MicroPython's unix port at the other end of a pseudo-terminal."""

from __future__ import annotations

import os
import select
import socket
import threading
import tty
from collections.abc import Iterator

import pytest

from cloud.twin.cell import load_cell
from hil.matrix import matrix
from hil.plant import PlantConfig, make_plant
from hil.runner import RunOptions, board_identity, run_scenario
from hil.scenario import find_scenario
from hil.targets.base import BoardSetup
from hil.targets.desk import DeskTarget


class OnATerminal(DeskTarget):
    """The unix port with its AFE link on a terminal; the rig opens `port` as a serial port."""

    def __init__(self, setup: BoardSetup) -> None:
        super().__init__("unix", setup)
        self._near, self._far = os.openpty()
        tty.setraw(self._far)
        self.port = os.ttyname(self._far)
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def attach(self, sock: socket.socket) -> None:
        """The board has connected: carry bytes between its socket and the terminal."""
        super().attach(sock)
        self._thread = threading.Thread(target=self._carry, args=(sock,), daemon=True)
        self._thread.start()

    def _carry(self, sock: socket.socket) -> None:
        while not self._done.is_set():
            ready, _, _ = select.select([self._near, sock], [], [], 0.1)
            if self._near in ready:
                sock.sendall(os.read(self._near, 4096))
            if sock in ready:
                data = sock.recv(4096)
                if not data:
                    return
                os.write(self._near, data)

    def stop(self) -> None:
        """End it, then the terminal."""
        self._done.set()
        if self._thread is not None:
            self._thread.join(5)
        super().stop()
        os.close(self._far)
        os.close(self._near)


@pytest.fixture
def board() -> Iterator[OnATerminal]:
    plant = make_plant("model", load_cell("lg_hg2"), None, PlantConfig())
    running = OnATerminal(BoardSetup(board_identity(plant, 0, "serial")))
    running.start()
    yield running
    running.stop()


def test_a_scenario_on_a_serial_port(board: OnATerminal) -> None:
    scenario = matrix()["cell_over_voltage__step"]
    outcome = run_scenario(scenario, None, RunOptions("serial", port=board.port, clock="free"))
    assert not outcome.error
    trip = next(trip for trip in outcome.trips if trip.fault == "cell_over_voltage")
    assert trip.latched
    assert trip.acted_tick is not None
    # Wall time on a machine that has other work: that it trips is judged here, when is judged in lock-step.
    assert outcome.record.frames()["gates"][-1] == 0


def test_what_needs_lock_step_is_refused_by_name(board: OnATerminal) -> None:
    scenario = find_scenario("brown_out_while_driving")
    outcome = run_scenario(scenario, None, RunOptions("serial", port=board.port, clock="free"))
    assert "brown_out_while_driving needs lock-step" in outcome.error
