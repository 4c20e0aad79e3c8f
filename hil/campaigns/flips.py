"""Single-bit flips in the memory that protects: all of them in the kernel itself, some on the emulated board.

On the board the debugger of the emulator flips the bit while the rig stands still between two ticks.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bms.tables import signals

from hil.campaigns import flipper_path
from hil.expect import Expect
from hil.gdb import Gdb
from hil.runner import RunOptions, make_session
from hil.scenario import Controller, Inject, LoadSpec, Scenario
from hil.session import Session, fault_names
from hil.targets import TargetError
from hil.targets.base import ROOT
from hil.targets.qemu import QemuTarget

KINDS = ("caught", "crashed", "failed_safe", "harmless", "dangerous")
GUARDS = {"parameters_corrupt", "state_corrupt"}
_FLIP_S = 3.0
_QUIET_TICKS = 80
_TRIAL_TICKS = 6


def flip_all(stride: int = 1, first: int = 0) -> dict[str, Any]:
    """Flip every `stride`-th position of the kernel's memory, in a process of its own."""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "firmware")}
    command = [sys.executable, "-B", str(flipper_path()), str(stride), str(first)]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"flipper ended with status {done.returncode}: {done.stderr[-400:]}")
    *found, last = done.stdout.splitlines()
    counts = dict(zip(KINDS, map(int, last.split()[1:]), strict=True))
    exceptions = [" ".join(line.split()) for line in found]
    text = f"{sum(counts.values())} positions: " + ", ".join(f"{n} {kind}" for kind, n in counts.items())
    return {"passed": not counts["dangerous"], "detail": text, **counts, "exceptions": exceptions}


def _scenario() -> Scenario:
    return Scenario(
        name="flip", title="A bit flips in the board's memory", drive=False, load=LoadSpec(mean_a=-2.0),
        start_soc=0.4, duration_s=_FLIP_S + 1, quantum_ticks=4, targets=("mps2_an500",),
        controller=Controller(at_s=600, kind="hang"),
        inject=(Inject(at_s=_FLIP_S + _QUIET_TICKS * 0.005, kind="load", beyond="charge_oc_ma", by=1000),),
        expect=(Expect(gates_open=True),),
    )  # fmt: skip


class BoardFlips:
    """Flips bits on emulated boards, a fresh one each time. `positions` are (area, byte, bit)."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)  # noqa: S311  positions, not secrets

    def one(self) -> tuple[str, str]:
        """Try a random position; what it was and what came of it (see KINDS)."""
        with tempfile.TemporaryDirectory(prefix="ck-gdb-") as folder:
            gdb = Path(folder) / "gdb"
            session = make_session(_scenario(), None, RunOptions("mps2_an500", gdb=gdb))
            try:
                session.board.start()
                session.hello()
                session.lockstep(round(_FLIP_S * 200), 4)
                if session.gates != signals.GATE_NEGATIVE | signals.GATE_POSITIVE:
                    raise TargetError(f"flip: the path is not closed: gates {session.gates}")
                return self._flip(session, gdb)
            finally:
                session.board.stop()

    def _flip(self, session: Session, gdb: Path) -> tuple[str, str]:
        assert isinstance(session.board, QemuTarget)  # noqa: S101  asked for above
        areas = areas_of(session.board)
        name, address, size = self._rng.choice(areas)
        offset, bit = self._rng.randrange(size), self._rng.randrange(8)
        where = f"{name} {offset >> 2} {(offset & 3) * 8 + bit}"
        with Gdb(gdb) as debugger:
            byte = debugger.read(address + offset, 1)[0]
            debugger.write(address + offset, bytes((byte ^ 1 << bit,)))
        return where, _outcome(session)


def _outcome(session: Session) -> str:
    try:
        session.lockstep(_QUIET_TICKS)
        if session.gates == 0:
            last = session.record.frames()[-1]
            names = fault_names(int(last["latched_low"]) | int(last["latched_high"]) << 32)
            return "caught" if GUARDS & set(names) else "failed_safe"
        session.lockstep(_TRIAL_TICKS)
    except TargetError:
        return "crashed"
    return "harmless" if session.gates == 0 else "dangerous"


def areas_of(board: QemuTarget, timeout_s: float = 5.0) -> list[tuple[str, int, int]]:
    """(name, address, bytes) of the guarded memory, as the sabotaged main printed them."""
    end = time.monotonic() + timeout_s
    while True:
        text = board.uart_log.read_text(errors="replace")
        found = re.findall(r"^area (\w+) (\d+) (\d+)\s*$", text, re.MULTILINE)
        if found and "areas end" in text:
            return [(name, int(address), int(size)) for name, address, size in found]
        if time.monotonic() > end:
            raise TargetError(f"flip: the board did not print where its memory is: {text[-200:]!r}")
        time.sleep(0.05)


def flip_some(count: int, seed: int) -> dict[str, Any]:
    """`count` random positions on emulated boards."""
    flips = BoardFlips(seed)
    counts: dict[str, int] = dict.fromkeys(KINDS, 0)
    exceptions: list[str] = []
    for _ in range(count):
        where, outcome = flips.one()
        counts[outcome] += 1
        if outcome not in ("caught", "harmless"):
            exceptions.append(f"{where} {outcome}")
    text = f"{count} positions, seed {seed}: " + ", ".join(f"{n} {kind}" for kind, n in counts.items())
    return {"passed": not counts["dangerous"], "detail": text, **counts, "exceptions": exceptions}
