"""The emulated Cortex-M7: QEMU's mps2-an500 with our MicroPython image.

UART0 (console) is a server socket, UART1 (AFE) connects to the rig, UART2 (broker) to the broker's TCP port.
"""

from __future__ import annotations

import mmap
from pathlib import Path

from boards.tools import emulator
from hil.targets.base import BoardSetup, SocketTarget, TargetError
from hil.targets.deploy import deploy

missing = emulator.missing


class QemuTarget(SocketTarget):
    """`mps2_an500` under QEMU: free on its UARTs, in lock-step (`-icount`) on the DMA line of UART 1."""

    def __init__(self, setup: BoardSetup, *, lockstep: bool) -> None:
        super().__init__("mps2_an500", setup)
        self._image = setup.image or emulator.IMAGE
        if lack := missing(self._image):
            raise TargetError(f"mps2_an500: {lack}")
        self._lockstep = lockstep
        self._deployed = False
        self._window: DmaWindow | None = None

    @property
    def console(self) -> Path:
        """Unix-domain socket of UART0; what it prints is in the log, too."""
        return self.folder / "uart0"

    def start(self) -> None:
        """See Target."""
        afe = self.folder / "afe"
        nvm = self.nvm(emulator.NVM_BYTES)
        if not self._deployed:
            deploy(self.setup, nvm, self.folder / "firmware")
            self._deployed = True
        line = emulator.DMA_LINE if self._lockstep else emulator.NOT_GIVEN
        emulator.poke(nvm, emulator.FACTORY_LINE, line)
        if self._lockstep:
            if self._window is not None:
                self._window.close()
            self._window = DmaWindow(nvm)
        host, _, port = self.setup.broker.rpartition(":")
        command = emulator.command(
            nvm,
            (
                f"socket,path={self.console},server=on,wait=off,logfile={self.uart_log}",
                f"socket,path={afe}",
                f"socket,host={host},port={port},nodelay=on,reconnect=1" if port else "null",
            ),
            image=self._image,
            icount=emulator.LOCKSTEP if self._lockstep else (),
        )
        if self.setup.gdb:
            self.setup.gdb.unlink(missing_ok=True)
            command += ["-gdb", f"unix:path={self.setup.gdb},server=on,wait=off"]
        self.launch(command, {}, afe)

    def send(self, data: bytes) -> None:
        """See Target."""
        if self._window is None:
            super().send(data)
        else:
            self._window.put(data)
            super().send(b"\0")

    def recv(self, timeout_s: float, at_least: int = 1) -> bytes:
        """See Target."""
        if self._window is None:
            return super().recv(timeout_s, at_least)
        super().recv(timeout_s)  # each byte says that there is news in the window
        return self._window.take()

    def stop(self) -> None:
        """See Target."""
        if self._window is not None:
            self._window.close()
            self._window = None
        super().stop()

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


class DmaWindow:
    """The rig's end of the DMA line: two rings in the emulated PSRAM, a byte on the wire when there is news.

    The emulator hands UART bytes over one by one, about 30 us each; here a quantum's frames pass at once.
    """

    _RX_HEAD, _RX_TAIL, _TX_HEAD, _TX_TAIL = range(4)

    def __init__(self, nvm: Path) -> None:
        with nvm.open("r+b") as handle:
            size = emulator.DMA_HEADER + 2 * emulator.DMA_RING
            self._map = mmap.mmap(handle.fileno(), size, offset=emulator.DMA_WINDOW)
        self._map[: emulator.DMA_HEADER] = bytes(emulator.DMA_HEADER)
        self._words = memoryview(self._map).cast("I")

    def put(self, data: bytes) -> None:
        """Append to what the board will read. Raises TargetError when the ring has no room."""
        words = self._words
        head = words[self._RX_HEAD]
        room = emulator.DMA_RING - ((head - words[self._RX_TAIL]) & 0xFFFF_FFFF)
        if len(data) > room:
            raise TargetError(
                f"mps2_an500: {len(data)} bytes for the board, room for {room}: a smaller quantum"
            )
        at = head % emulator.DMA_RING
        first = min(len(data), emulator.DMA_RING - at)
        base = emulator.DMA_HEADER
        self._map[base + at : base + at + first] = data[:first]
        self._map[base : base + len(data) - first] = data[first:]
        words[self._RX_HEAD] = (head + len(data)) & 0xFFFF_FFFF

    def take(self) -> bytes:
        """What the board wrote since the last call."""
        words = self._words
        head, tail = words[self._TX_HEAD], words[self._TX_TAIL]
        count = (head - tail) & 0xFFFF_FFFF
        at = tail % emulator.DMA_RING
        first = min(count, emulator.DMA_RING - at)
        base = emulator.DMA_HEADER + emulator.DMA_RING
        data = self._map[base + at : base + at + first] + self._map[base : base + count - first]
        words[self._TX_TAIL] = head
        return data

    def close(self) -> None:
        """Let go of the file."""
        self._words.release()
        self._map.close()
