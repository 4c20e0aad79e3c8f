"""`cellkeeper demo`: boards, rig, broker, cloud and page on one machine, driven by a measured log."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import tempfile
import time
import webbrowser
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from bms.link import frame
from bms.tables import params, signals
from rich.console import Console
from rich.live import Live
from rich.table import Table

from cloud.twin.cell import load_cell
from cloud.twin.device_image import image_of
from cloud.twin.logs import Log, LogError
from hil.cli import state_dir as rig_state_dir
from hil.cloud_process import CloudError, CloudProcess
from hil.demo_result import Counts, count, fault_names, soc_mae_points
from hil.free import FreeBoard, FreeLoop
from hil.logs import choose_log
from hil.plant import PlantConfig, make_plant
from hil.runner import board_identity
from hil.session import Session
from hil.session import fault_names as names_of_bits
from hil.targets import BoardSetup, TargetError, make_target
from hil.targets.qemu import missing

TENANT = "local"
CELL = "lg_hg2"
_DRAIN_S = 30.0
_SWITCH_S = 0.0005
"""Python hands over to the rig's thread within this time: its ticks come every 5 ms."""
_SOC_RANGE = (0.95, 0.30)


@dataclass
class DemoPack:
    """One board with its pack."""

    name: str
    target: str
    soc_start: float
    board: FreeBoard
    sent: int = 0

    def stop(self) -> None:
        """End the board."""
        self.board.session.board.stop()


def plan_targets(wanted: str, boards: int, say: Callable[[str], None]) -> list[str]:
    """Which target each board runs on; says so when the emulated board is not to be had."""
    if wanted != "auto":
        return [wanted] * boards
    lack = missing()
    if lack:
        say(f"no emulated board ({lack}): the demo runs on the unix port alone")
        return ["unix"] * boards
    return ["mps2_an500"] + ["unix"] * (boards - 1)


def make_pack(number: int, target: str, soc: float, log: Log, broker: str, folder: Path) -> DemoPack:
    """A pack parked at `soc` and its board, not started."""
    cell = load_cell(CELL)
    plant = make_plant("model", cell, log, PlantConfig(start_soc=soc, seed=number))
    name = f"pack-{number:02d}"
    chemistry = params.CHEMISTRIES.index(cell.chemistry)
    setup = BoardSetup(
        {**board_identity(plant, chemistry, name), "tenant": TENANT, "site": "demo"},
        broker=broker,
        cell=image_of(CELL),
        nvm=folder / f"{name}.{target}.nvm",
    )
    board = make_target(target, setup, lockstep=False)
    return DemoPack(name, target, soc, FreeBoard(Session(board, plant, frame.MODE_FREE)))


class Demo:
    """Everything that runs, and the order in which it starts and ends."""

    def __init__(self, cloud: CloudProcess, log: Log, console: Console) -> None:
        self.cloud = cloud
        self.log = log
        self.console = console
        self.packs: list[DemoPack] = []
        self.began_ms = time.time_ns() // 1_000_000
        self.loop = FreeLoop()

    def start(self, targets: list[str], folder: Path) -> None:
        """Cloud and packs first, then the boards, which must get their frames from the first moment on."""
        with self.console.status("starting the cloud"):
            self.cloud.start()
        starts = np.linspace(*_SOC_RANGE, len(targets)).round(3).tolist()
        for number, (target, soc) in enumerate(zip(targets, starts, strict=True), 1):
            with self.console.status(
                f"driving pack {number} of {len(targets)} down to {soc:.0%}, parking it"
            ):
                self.packs.append(make_pack(number, target, soc, self.log, self.cloud.broker, folder))
        sys.setswitchinterval(_SWITCH_S)
        self.loop.start()
        for pack in self.packs:
            with self.console.status(f"starting {pack.name} on {pack.target}"):
                pack.board.session.board.start()
                pack.board.session.hello()
                self.loop.boards.append(pack.board)
            self.console.print(f"{pack.name}: {pack.target}, parked at {pack.soc_start:.0%}")

    def second(self) -> None:
        """Once a second: tell the cloud the reference SoC. A cloud that is down misses it."""
        now_ms = time.time_ns() // 1_000_000
        for pack in self.packs:
            body = [{"time_utc_ms": now_ms, "soc": float(np.clip(pack.board.session.plant.soc, 0, 1))}]
            with contextlib.suppress(
                CloudError
            ):  # the pack is not known yet, or the cloud is being restarted
                self.cloud.post(f"packs/{pack.name}/reference", body)

    def drain(self) -> None:
        """Wait until all that was sent by now is stored, or _DRAIN_S are over."""
        for pack in self.packs:
            actuate = pack.board.actuate
            pack.sent = actuate.next_seq if actuate else pack.sent
        end = time.monotonic() + _DRAIN_S
        while time.monotonic() < end and any(self._counts(pack).lost for pack in self.packs):
            time.sleep(0.5)

    def _counts(self, pack: DemoPack) -> Counts:
        try:
            return count(self.cloud.get(f"packs/{pack.name}/integrity"), pack.sent)
        except CloudError:
            return Counts(pack.sent, 0, pack.sent, 0)

    def result(self) -> dict[str, Any]:
        """The demo's JSON object."""
        rows: list[dict[str, Any]] = []
        try:
            about = {row["pack_id"]: row for row in self.cloud.get("packs")["packs"]}
        except CloudError:
            about = {}
        for pack in self.packs:
            counts = self._counts(pack)
            row: dict[str, Any] = {
                "pack": pack.name,
                "target": pack.target,
                "machine": about.get(pack.name, {}).get("machine"),
                "soc_start": pack.soc_start,
                **counts.__dict__,
                "soc_mae_points": None,
                "faults": [],
            }
            with contextlib.suppress(CloudError):
                mae = soc_mae_points(self.cloud, pack.name, self.began_ms)
                row["soc_mae_points"] = None if mae is None else round(mae, 3)
                row["faults"] = fault_names(self.cloud, pack.name)
            if pack.board.error:
                row["error"] = pack.board.error
            rows.append(row)
        total = {key: sum(row[key] for row in rows) for key in ("sent", "stored", "lost", "duplicated")}
        data = {"log": self.log.name, "source": self.log.source, "simulated": self.log.simulated}
        return {"boards": rows, **total, "data": data, "rig_late_ms": round(self.loop.worst_late_ms, 1)}

    def table(self) -> Table:
        """The boards now."""
        table = Table("pack", "target", "state", "SoC", "reference", "unacknowledged", "sent", "faults")
        for pack in self.packs:
            now = pack.board.actuate
            reference = f"{pack.board.session.plant.soc:.1%}"
            if pack.board.error or now is None:
                table.add_row(pack.name, pack.target, pack.board.error or "silent", "", reference, "", "", "")
                continue
            state = signals.STATES[now.state] if now.state < len(signals.STATES) else str(now.state)
            faults = ", ".join(names_of_bits(now.faults | now.latched))
            soc = f"{now.soc_cpct / 100:.1f} %"
            table.add_row(
                pack.name, pack.target, state, soc, reference, str(now.kept), str(now.next_seq), faults
            )
        return table

    def stop(self) -> None:
        """End everything that was started."""
        self.loop.stop()
        for pack in self.packs:
            pack.stop()
        self.cloud.stop()


@contextlib.contextmanager
def _interruptible() -> Generator[None]:
    # SIGTERM ends the demo as Ctrl-C does: by an exception that lets every `finally` run
    def interrupt(number: int, _: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _watch(demo: Demo, seconds: float | None, kill_after: float | None, live: bool) -> None:
    began = time.monotonic()
    with (
        Live(demo.table(), console=demo.console, auto_refresh=False)
        if live
        else contextlib.nullcontext() as view
    ):
        while seconds is None or time.monotonic() - began < seconds:
            if kill_after is not None and time.monotonic() - began >= kill_after:
                kill_after = None
                demo.console.print("killing the cloud, starting it again")
                demo.cloud.kill()
                demo.cloud.start()
            demo.second()
            if view:
                view.update(demo.table(), refresh=True)
            time.sleep(1.0 - (time.monotonic() - began) % 1.0)


@click.command()
@click.option("--headless", is_flag=True, help="No browser, no live table.")
@click.option("--seconds", type=float, help="End after so long; else at Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Log or folder of logs [CELLKEEPER_DATA, simulated]."
)
@click.option("--boards", type=click.IntRange(1, 32), default=4, show_default=True)
@click.option("--target", type=click.Choice(["auto", "unix", "cpython", "mps2_an500"]), default="auto")
@click.option(
    "--state-dir", type=click.Path(path_type=Path, file_okay=False), help="Keep store and NVM here."
)
@click.option("--kill-cloud-after", type=float, help="Kill and restart the cloud after so many seconds.")
def demo(
    headless: bool, seconds: float | None, as_json: bool, data: Path | None, boards: int, target: str,
    state_dir: Path | None, kill_cloud_after: float | None,
) -> None:  # fmt: skip
    """Run everything on one machine, driven by a measured log."""
    console = Console(stderr=True)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_interruptible())
        temporary = tempfile.TemporaryDirectory(prefix="ck-demo-", ignore_cleanup_errors=True)
        folder = state_dir or Path(stack.enter_context(temporary))
        folder.mkdir(parents=True, exist_ok=True)
        running: Demo | None = None
        try:
            log = choose_log(data, rig_state_dir())
            console.print(f"input: {log.source}{' (simulated)' if log.simulated else ''}")
            targets = plan_targets(target, boards, console.print)
            running = Demo(CloudProcess(folder, TENANT), log, console)
            running.start(targets, folder)
            page = f"{running.cloud.url}/#token={running.cloud.token}"
            console.print(f"page: {page}")
            if not headless:
                webbrowser.open(page)
            with contextlib.suppress(KeyboardInterrupt) if seconds is None else contextlib.nullcontext():
                _watch(running, seconds, kill_cloud_after, live=not headless and console.is_terminal)
            running.drain()
            _print(running, as_json)
        except (LogError, TargetError, CloudError, ValueError) as error:
            raise click.ClickException(str(error)) from error
        except KeyboardInterrupt:
            console.print("interrupted")
            sys.exit(130)
        finally:
            if running:
                running.stop()


def _print(running: Demo, as_json: bool) -> None:
    result = running.result()
    if as_json:
        click.echo(json.dumps(result))
        return
    table = Table("pack", "machine", "sent", "stored", "lost", "duplicated", "SoC error, points", "faults")
    for row in result["boards"]:
        cells = [str(row[key]) for key in ("pack", "machine", "sent", "stored", "lost", "duplicated")]
        table.add_row(*cells, str(row["soc_mae_points"]), ", ".join(row["faults"]) or "none")
    running.console.print(table)
