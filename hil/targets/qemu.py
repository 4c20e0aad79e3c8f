"""The emulated Cortex-M7: QEMU's mps2-an500 with our MicroPython image.

UART0 (console) is a server socket, UART1 (AFE) connects to the rig, UART2 (broker) to the broker's TCP port.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from hil.targets.base import ROOT, BoardSetup, SocketTarget, TargetError

NVM_BYTES = 16 << 20
IMAGE = ROOT / "build" / "mps2_an500" / "firmware.elf"


def missing() -> str:
    """What stands in the way of running the emulated board, in one line; empty when nothing does."""
    if not shutil.which("qemu-system-arm"):
        return "no `qemu-system-arm`; get it with: apt-get install qemu-system-arm"
    if not IMAGE.exists():
        return f"no image at {IMAGE.relative_to(ROOT)}; build it with: make firmware BOARD=mps2_an500"
    return ""


class QemuTarget(SocketTarget):
    """`mps2_an500` under QEMU, in lock-step (`-icount`) or free."""

    def __init__(self, setup: BoardSetup, *, lockstep: bool) -> None:
        super().__init__("mps2_an500", setup)
        lack = missing()
        if lack and not (setup.image and setup.image.exists() and "image" in lack):
            raise TargetError(f"mps2_an500: {lack}")
        self._image = setup.image or IMAGE
        self._lockstep = lockstep

    @property
    def console(self) -> Path:
        """Unix-domain socket of UART0; what it prints is in the log, too."""
        return self.folder / "uart0"

    def start(self) -> None:
        """See Target."""
        afe = self.folder / "afe"
        nvm = self.nvm(NVM_BYTES)
        host, _, port = self.setup.broker.rpartition(":")
        uart2 = f"socket,id=uart2,host={host},port={port},reconnect=1" if port else "null,id=uart2"
        command = [
            "qemu-system-arm", "-machine", "mps2-an500,memory-backend=nvm",
            "-object", f"memory-backend-file,id=nvm,size=16M,mem-path={nvm},share=on",
            "-display", "none", "-monitor", "none", "-nodefaults",
            "-chardev", f"socket,id=uart0,path={self.console},server=on,wait=off,logfile={self.uart_log}",
            "-chardev", f"socket,id=uart1,path={afe}",
            "-chardev", uart2,
            "-serial", "chardev:uart0", "-serial", "chardev:uart1", "-serial", "chardev:uart2",
            *(["-icount", "shift=2,sleep=off"] if self._lockstep else []),
            "-kernel", str(self._image),
        ]  # fmt: skip
        self.launch(command, {}, afe)

    @property
    def uart_log(self) -> Path:
        """What UART0 printed."""
        return self.folder / "uart0.log"

    def console_tail(self) -> str:
        """See Target: the board's own console, else QEMU's messages."""
        try:
            text = self.uart_log.read_text(errors="replace").strip()
        except OSError:
            text = ""
        return " | ".join(text.splitlines()[-4:]) or super().console_tail()
