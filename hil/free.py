"""The free-running clock: wall time, 200 Hz, several boards in one thread.

The plant is computed a block of up to 20 ticks ahead, so gates act on it within 100 ms; bounds on reaction
are exact in lock-step only. When no ACTUATE comes for 100 ms the plant's gates fall by themselves (dead-man).
"""

from __future__ import annotations

import contextlib
import gc
import os
import threading
import time
from collections.abc import Callable

from hil.link import TICK_MS, Actuate, parse_actuate
from hil.scenario import Scenario, ticks_of
from hil.session import Session
from hil.targets.base import TargetError

BLOCK_TICKS = 20
DEAD_MAN_TICKS = 20
TIME_EVERY_TICKS = 200
_TICK_S = TICK_MS / 1000
_MOST_BEHIND_TICKS = 10


class FreeBoard:
    """One board in free mode. `error` holds why it has dropped out, else is empty."""

    def __init__(self, session: Session, block_ticks: int = BLOCK_TICKS) -> None:
        self.session = session
        self._block_ticks = block_ticks
        self.error = ""
        self._waiting: list[bytes] = []
        self._silent_ticks = 0
        self._tick = 0

    @property
    def actuate(self) -> Actuate | None:
        """The newest ACTUATE; None before the first."""
        return parse_actuate(self.session.last) if self.session.last else None

    def tick(self) -> None:
        """Send the next tick's frames and take in what came. Raises TargetError."""
        session = self.session
        self._silent_ticks = 0 if session.receive(0.0) else self._silent_ticks + 1
        if self._silent_ticks >= DEAD_MAN_TICKS:
            session.last = b""
        if not self._waiting:
            self._waiting = session.next_ticks(self._block_ticks)[::-1]
        data = self._waiting.pop()
        if self._tick % TIME_EVERY_TICKS == 0:
            data = session.time_frame() + data
        self._tick += 1
        session.sent += 1
        session.board.offer(data)


def run_free(session: Session, scenario: Scenario, progress: Callable[[int], None] | None = None) -> None:
    """Run a scenario on wall time, for boards without lock-step. Raises TargetError.

    What the rig records of the gates comes a line's delay late, and that is judged: a bound that holds here
    holds on the board.
    """
    if scenario.duration_s == "log" or any(i.kind == "restart" for i in scenario.inject):
        raise TargetError(f"{session.board.name}: {scenario.name} needs lock-step")
    session.recording = True
    board = FreeBoard(session, block_ticks=1)
    began_s = time.monotonic()
    total = ticks_of(scenario.duration_s)
    for tick in range(total):
        board.tick()
        if progress:
            progress(1)
        time.sleep(max(0.0, began_s + (tick + 1) * _TICK_S - time.monotonic()))


class FreeLoop:
    """Runs `boards`, whatever the list holds at the time, until `stop` is called from another thread.

    A board that fails drops out with its `error` set. Late ticks are made up for one after the other; more
    than 50 ms behind, the clock is set anew. `worst_late_ms` is the longest that a tick came too late.
    """

    def __init__(self) -> None:
        self.boards: list[FreeBoard] = []
        self.worst_late_ms = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rig", daemon=True)

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """End; returns when the thread has ended."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def _run(self) -> None:
        # A pause of 40 ms looks like a dead front end: no full collections, and this thread, which needs a
        # few per cent of a core, before all others where we may.
        gc.freeze()
        with contextlib.suppress(OSError, AttributeError):
            os.sched_setscheduler(threading.get_native_id(), os.SCHED_RR, os.sched_param(1))
        due_s = time.monotonic()
        while not self._stop.is_set():
            for board in tuple(self.boards):
                if not board.error:
                    try:
                        board.tick()
                    except TargetError as error:
                        board.error = str(error)
            due_s += _TICK_S
            left_s = due_s - time.monotonic()
            if left_s > 0:
                time.sleep(left_s)
                continue
            self.worst_late_ms = max(self.worst_late_ms, -1000 * left_s)
            if left_s < -_MOST_BEHIND_TICKS * _TICK_S:
                due_s = time.monotonic()
