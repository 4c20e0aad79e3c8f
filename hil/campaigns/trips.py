"""False and missed trips: the real kernel on every measured drive, against a vectorised reference.

The kernel runs on MicroPython's unix port (or CPython) in a process of its own and sees noisy samples; the
reference sees the drive without noise. Limits are the chemistry's shipped preset, gaps are interpolated.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from bms.tables import faults, params

from hil.campaigns import feeder_path
from hil.campaigns.reference import crossings, judge
from hil.campaigns.samples import RATE_HZ, SENSORS, SERIES, Drive, Noise, encode, read_drive
from hil.targets.base import ROOT
from hil.targets.desk import micropython

_PIECE_S = 600
_LONGEST_S = 6 * 3600


@dataclass
class Finding:
    """Of one drive: ticks at which a row tripped falsely, ticks at which one had missed its moment."""

    drive: str
    seconds: int
    trips: int = 0
    false: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    missed: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])

    def line(self) -> str:
        """For people."""
        return f"{self.seconds} s, {self.trips} trips, {len(self.false)} false, {len(self.missed)} missed"


class KernelProcess:
    """The kernel in a process of its own."""

    def __init__(self, interpreter: str, chemistry: int) -> None:
        program = [micropython()] if interpreter == "unix" else [sys.executable, "-B"]
        path = str(ROOT / "firmware")
        env = {**os.environ, "PYTHONPATH": path, "MICROPYPATH": f"{path}:.frozen"}
        self._process = subprocess.Popen(
            [*program, str(feeder_path()), str(SERIES), str(SENSORS), str(chemistry)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env,
        )  # fmt: skip

    def feed(self, blocks: Iterator[bytes]) -> list[str]:
        """Everything that it printed. The kernel prints little, so its output cannot fill the pipe first."""
        process = self._process
        assert process.stdin is not None  # noqa: S101  by construction
        try:
            for block in blocks:
                process.stdin.write(block)
        except BrokenPipeError:
            pass
        out, _ = process.communicate()
        if process.returncode:
            raise RuntimeError(f"the kernel ended with status {process.returncode}: {out[-500:]!r}")
        return out.decode().splitlines()


def try_drive(drive: Drive, seed: int, interpreter: str = "unix", most_s: int = _LONGEST_S) -> Finding:
    """Run one drive, or its first `most_s` seconds."""
    noise = Noise()
    seconds = min(drive.seconds, most_s)
    rng = np.random.default_rng(seed)

    def blocks() -> Iterator[bytes]:
        for begin_s in range(0, seconds, _PIECE_S):
            yield encode(drive.truth(begin_s, min(_PIECE_S, seconds - begin_s)), noise, rng)

    lines = KernelProcess(interpreter, drive.chemistry).feed(blocks())
    *events, last = [tuple(line.split()) for line in lines]
    ticks = seconds * RATE_HZ
    if last[:2] != ("ticks", str(ticks)):
        raise RuntimeError(f"{drive.name}: the kernel did {last}, not {ticks} ticks")
    raised: dict[int, list[int]] = {}
    spans: dict[int, list[tuple[int, int]]] = {}
    for tick, fault, up, _ in ((int(a), int(b), int(c), int(d)) for a, b, c, d in events):
        if up:
            raised.setdefault(fault, []).append(tick)
            spans.setdefault(fault, []).append((tick, ticks + 1))
        else:
            spans[fault][-1] = (spans[fault][-1][0], tick)
    finding = Finding(drive.name, seconds, sum(len(rows) for rows in raised.values()))
    for crossing in crossings(drive.truth(0, seconds), noise, params.defaults(drive.chemistry)):
        row = crossing.row
        false, missed = judge(crossing, raised.get(row.id, []), spans.get(row.id, []))
        finding.false += [(row.name, tick) for tick in false]
        finding.missed += [(row.name, tick) for tick in missed]
    return finding


def try_file(path: Path, folder: Path, seed: int) -> dict[str, object]:
    """The drive in a file below `folder`, for the journal; `drive` is None where it holds none."""
    drive = read_drive(path, folder)
    if drive is None:
        return {"passed": True, "detail": "no drive", "drive": None}
    finding = try_drive(drive, seed ^ zlib.crc32(drive.name.encode()))
    return {"passed": not finding.false and not finding.missed, "detail": finding.line(), **asdict(finding)}


def summary(findings: list[Finding]) -> dict[str, object]:
    """What the findings come to: passes with no false and no missed trip."""
    false = [(f.drive, *trip) for f in findings for trip in f.false]
    missed = [(f.drive, *trip) for f in findings for trip in f.missed]
    hours = sum(f.seconds for f in findings) / 3600
    rows = sum(row.group != faults.SELF for row in faults.FAULTS)
    text = (
        f"{len(findings)} drives, {hours:.1f} h, {rows} rows: {len(false)} false, {len(missed)} missed trips"
    )
    return {
        "passed": bool(findings) and not false and not missed,
        "detail": text,
        "drives": len(findings),
        "hours": round(hours, 1),
        "true_trips": sum(f.trips for f in findings) - len(false),
        "false": false,
        "missed": missed,
    }
