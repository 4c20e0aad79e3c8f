"""A real board on a serial port, free running."""

from __future__ import annotations

import serial

from hil.targets.base import TargetError

BAUD = 921_600


class SerialTarget:
    """`serial`: the AFE link of a board at `port`, e.g. /dev/ttyUSB0 or a pyserial URL."""

    name = "serial"
    lossy = True

    def __init__(self, port: str, *, lockstep: bool) -> None:
        if not port:
            raise TargetError("serial: no port; name it with --port, e.g. --port /dev/ttyUSB0")
        if lockstep:
            raise TargetError("serial: a real board runs free, not in lock-step; use --clock free")
        self._port = port
        self._serial: serial.Serial | None = None

    def start(self) -> None:
        """See Target."""
        try:
            self._serial = serial.serial_for_url(self._port, baudrate=BAUD, timeout=0)
        except (serial.SerialException, ValueError) as error:
            raise TargetError(
                f"serial: cannot open {self._port}: {error}; is the board plugged in?"
            ) from error

    def _open(self) -> serial.Serial:
        if self._serial is None:
            raise TargetError("serial: not started")
        return self._serial

    def send(self, data: bytes) -> None:
        """See Target."""
        try:
            self._open().write(data)
        except serial.SerialException as error:
            raise TargetError(f"serial: {self._port} failed: {error}") from error

    def offer(self, data: bytes) -> None:
        """See Target."""
        waiting: int = getattr(self._open(), "out_waiting", 0)  # a network line does not tell
        if waiting < 4096:
            self.send(data)

    def recv(self, timeout_s: float, at_least: int = 1) -> bytes:
        """See Target."""
        line = self._open()
        try:
            line.timeout = timeout_s
            first = line.read(at_least)
            return first + line.read(line.in_waiting) if first else b""
        except serial.SerialException as error:
            raise TargetError(f"serial: {self._port} failed: {error}") from error

    def restart(self) -> None:
        """Nobody here can cut a real board's power."""
        raise TargetError(
            "serial: a scenario with a restart needs a board that the rig can start: not serial"
        )

    def console_tail(self) -> str:
        """See Target."""
        return "(a real board's console is its own port)"

    def stop(self) -> None:
        """See Target."""
        if self._serial is not None:
            self._serial.close()
            self._serial = None
