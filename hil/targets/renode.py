"""The emulated Cortex-M7 in Renode: the same image, its UARTs on pseudo-terminals.

Renode's TCP servers listen on all interfaces, pseudo-terminals on none. It is in no package registry, so
people install it themselves. What is relied on here was read in its sources, versions 1.15 to 1.17.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from functools import partial
from pathlib import Path

from boards.tools import emulator
from hil.scenario import Scenario
from hil.targets.base import ROOT, BoardSetup, Child, SocketTarget, TargetError
from hil.targets.deploy import deploy
from hil.targets.pty_bridge import PtyBridge

BOARD = ROOT / "boards" / "mps2_an500" / "renode"
PSRAM = 0x6000_0000
CONSOLE = "uart0.log"
GET_IT = (
    "no `renode` on PATH; get version 1.15 or newer, the portable package for Linux, from "
    "https://github.com/renode/renode/releases, unpack it and put its folder on PATH"
)
NO_POWER_CUT = "Renode's PSRAM is no file, so nothing lives on over a power cut"
NO_WATCHDOG = "Renode has no model of the CMSDK watchdog"

_START_S = 60.0
_STOP_S = 3.0
_JOINED_S = 5.0
_MONITOR_ERRORS = ("There was an error", "No such command or device", "Bad parameters for command")


def missing(image: Path = emulator.IMAGE) -> str:
    """What stands in the way of running the board in Renode, in one line; empty when nothing does."""
    if not shutil.which("renode"):
        return GET_IT
    if not image.is_file():
        return f"no image at {image}; build it with: make firmware BOARD=mps2_an500"
    return ""


def unsupported(scenario: Scenario) -> str:
    """Why the scenario cannot run on Renode; empty when it can."""
    if "mps2_an500" not in scenario.targets:
        return f"it is for {', '.join(scenario.targets)}"
    if any(entry.kind == "restart" for entry in scenario.inject):
        return NO_POWER_CUT
    told_to = scenario.controller is not None and scenario.controller.kind == "reboot"
    return NO_WATCHDOG if scenario.resets and not told_to else ""


def script(folder: Path, *, free: bool, broker: bool) -> str:
    """What Renode is told. Everything lies in `folder`: its monitor cannot quote a path with a blank in it.

    `free`: virtual time keeps to wall time. Else it runs as fast as the host can: device time stands still
    wherever the board waits for the rig.
    """
    lines = [
        f"$bin=@{folder}/firmware.elf",
        f"$platform=@{folder}/mps2_an500.repl",
        f"include @{folder}/mps2_an500.resc",
        f"sysbus LoadBinary @{folder}/nvm.bin {PSRAM:#x}",
    ]
    for n, name in enumerate(("afe", "broker") if broker else ("afe",), 1):
        lines += [
            f'emulation CreateUartPtyTerminal "{name}" "{folder}/{name}" true',
            f"connector Connect sysbus.uart{n} {name}",
        ]
    lines += [
        f"emulation SetGlobalAdvanceImmediately {str(not free).lower()}",
        f"sysbus.uart0 CreateFileBackend @{folder}/{CONSOLE} true",
        "start",
    ]
    return "\n".join(lines) + "\n"


class RenodeTarget(SocketTarget):
    """`mps2_an500` under Renode, free or in lock-step; both over the UART, there is no DMA line."""

    lossy = True
    """What comes before Renode has joined the UART to its terminal is lost."""

    def __init__(self, setup: BoardSetup, *, lockstep: bool) -> None:
        super().__init__("mps2_an500", setup)
        self._image = setup.image or emulator.IMAGE
        if lack := missing(self._image):
            raise TargetError(f"renode: {lack}")
        self._lockstep = lockstep
        self._bridges: list[PtyBridge] = []

    def start(self) -> None:
        """See Target. Renode takes some three seconds to start."""
        self._lay_out()
        # `--console`, or it would open its monitor on a TCP port of every interface. At the end of its input
        # the monitor spins, so the input never ends.
        monitor = ["--disable-xwt", "--console", "--plain", "-e", f"include @{self.folder}/rig.resc"]
        child = Child(self.name, ["renode", *monitor], self._environment(), self.log, keep_stdin=True)
        self.child = child
        terminal = self._terminal(child, "afe")
        rig, afe = socket.socketpair()
        self.attach(rig)
        self._bridge(PtyBridge(terminal, lambda: afe, again=False))
        if self.setup.broker:
            host, _, port = self.setup.broker.rpartition(":")
            connect = partial(socket.create_connection, (host, int(port)), 1.0)
            self._bridge(PtyBridge(self._terminal(child, "broker"), connect, again=True))
        end = time.monotonic() + _JOINED_S
        while not self.uart_log.exists() and time.monotonic() < end:  # made once the UARTs are joined
            time.sleep(0.02)

    def _lay_out(self) -> None:
        for source in BOARD.iterdir():
            (self.folder / source.name).symlink_to(source)
        (self.folder / "firmware.elf").symlink_to(self._image.resolve())
        nvm = self.nvm(emulator.NVM_BYTES)
        if self.setup.nvm is not None:
            (self.folder / "nvm.bin").symlink_to(nvm.resolve())
        deploy(self.setup, nvm, self.folder / "firmware")
        emulator.poke(nvm, emulator.FACTORY_LINE, emulator.NOT_GIVEN)
        text = script(self.folder, free=not self._lockstep, broker=bool(self.setup.broker))
        (self.folder / "rig.resc").write_text(text)

    def _environment(self) -> dict[str, str]:
        """A home and a temporary folder of its own: Renode deletes what it takes for left over there."""
        own = {"HOME": self.folder / "home", "TMPDIR": self.folder / "tmp"}
        for path in own.values():
            path.mkdir()
        return {**os.environ, **{name: str(path) for name, path in own.items()}, **self.setup.extra_env}

    def _bridge(self, bridge: PtyBridge) -> None:
        bridge.start()
        self._bridges.append(bridge)

    def _terminal(self, child: Child, name: str) -> Path:
        """Where that pseudo-terminal is, once Renode has made it."""
        path = self.folder / name
        end = time.monotonic() + _START_S
        while not path.is_symlink():
            child.require_alive()
            said = child.tail(12)
            if time.monotonic() > end or any(error in said for error in _MONITOR_ERRORS):
                raise TargetError(f"renode: made no {name} terminal; it said: {said}")
            time.sleep(0.02)
        return path

    @property
    def uart_log(self) -> Path:
        """What UART0 printed."""
        return self.folder / CONSOLE

    def console_tail(self) -> str:
        """See Target: the board's own console, else Renode's messages."""
        try:
            text = self.uart_log.read_text(errors="replace").strip()
        except OSError:
            text = ""
        return " | ".join(text.splitlines()[-4:]) or super().console_tail()

    def restart(self) -> None:
        """See Target."""
        raise TargetError(f"renode: {NO_POWER_CUT}; use --emulator qemu")

    def stop(self) -> None:
        """See Target."""
        if self.child is not None:
            _end(self.child.process)
        for bridge in self._bridges:
            bridge.stop()
        self._bridges.clear()
        super().stop()


def _end(process: subprocess.Popen[bytes]) -> None:
    """`renode` may be a launcher with the emulator as its child: both are in the session made for it."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.stdin is not None:
        process.stdin.close()
