"""The scheduled build when its main loop spins in machine code: the tick starves, and the gates must fall.

ESP32 and i.MX RT ports of MicroPython only schedule timers. The tick can then be held up; the gate is a
dead-man. Runs on wall time, since a board whose tick stands still says nothing in lock-step. The rig's
dead-man stands for that of the hardware: gates fall DEAD_MAN_TICKS after the last ACTUATE.
"""

from __future__ import annotations

import time
from typing import Any

from boards.tools import emulator
from hil.expect import Expect
from hil.free import DEAD_MAN_TICKS, FreeBoard
from hil.link import TICK_MS
from hil.runner import RunOptions, make_session
from hil.scenario import Controller, LoadSpec, Scenario
from hil.session import Session
from hil.targets import TargetError

SCHEDULED = emulator.ROOT / "build" / "mps2_an500-scheduled" / "firmware.elf"
BOUND_MS = 100
_SPIN_S = 5.0
_LONGEST_S = 30.0


def _scenario() -> Scenario:
    return Scenario(
        name="dead_man", title="The main loop spins in machine code", drive=False, load=LoadSpec(mean_a=-2.0),
        duration_s=_SPIN_S + 4, controller=Controller(at_s=_SPIN_S, kind="spin"),
        targets=("mps2_an500",), expect=(Expect(gates_open=True),),
    )  # fmt: skip


def dead_man() -> dict[str, Any]:
    """Start, wait for the path to close and the loop to spin, and time the gates' fall."""
    options = RunOptions("mps2_an500", image=SCHEDULED, clock="free")
    session = make_session(_scenario(), None, options)
    try:
        session.board.start()
        session.hello()
        fell_ms = _fall_ms(session)
    finally:
        session.board.stop()
    passed = fell_ms <= BOUND_MS
    return {
        "passed": passed,
        "detail": f"gates fell {fell_ms} ms after the last ACTUATE, bound {BOUND_MS} ms",
        "fell_ms": fell_ms,
    }


def _fall_ms(session: Session) -> int:
    """Device time from the last ACTUATE with closed gates to open gates at the plant."""
    board = FreeBoard(session, block_ticks=1)
    closed_at = 0
    began_s = time.monotonic()
    tick = 0
    while time.monotonic() - began_s < _LONGEST_S:
        before = session.actuates
        board.tick()
        tick += 1
        if session.actuates > before and session.gates:
            closed_at = tick
        if closed_at and session.plant.gates == 0 and tick - closed_at >= DEAD_MAN_TICKS - 1:
            return (tick - closed_at) * TICK_MS
        time.sleep(max(0.0, began_s + tick * TICK_MS / 1000 - time.monotonic()))
    raise TargetError(f"dead_man: the gates did not fall in {_LONGEST_S:.0f} s: gates {session.gates}")
