"""A chain of LTC6811-1 at the level of its commands and register groups (data sheet rev. C, tables 36 to 51).

Emulated: PEC-15 both ways, ports that fall idle after 4.3 ms and chips that sleep after 2 s, conversion
times, the reference's start-up, ADCV, ADCVAX, ADCVSC, ADAX, ADOW, CVST, the clear commands, VUV and VOV
flags, discharge switches. Not emulated: COMM and PWM groups, other self tests, other ADC modes than MD = 10.
"""

from __future__ import annotations

from hil.chips.ltc6811_analog import CONVERSIONS, Ltc6811Chip, conversion_of

_IDLE_US = 4300
_SLEEP_US = 2_000_000
_WAKE_US = 400

_GROUPS = {
    0x002: "config", 0x004: "cells0", 0x006: "cells1", 0x008: "cells2", 0x00A: "cells3",
    0x00C: "aux0", 0x00E: "aux1", 0x010: "status0", 0x012: "status1",
}  # fmt: skip
_WRCFGA = 0x001


def pec15(data: bytes) -> bytes:
    """PEC-15 of data, bit by bit, as the two bytes that are sent."""
    pec = 16
    for byte in data:
        for bit in range(7, -1, -1):
            carry = (byte >> bit & 1) ^ (pec >> 14)
            pec = (pec << 1 & 0x7FFF) ^ (0x4599 if carry else 0)
    return (pec << 1).to_bytes(2, "big")


class Ltc6811Chain:
    """An SPI device (hil.chips.spi.Device). `chips[0]` is the nearest.

    Faults to inject: `corrupt_next` (answers that are disturbed), `deaf` (commands do not get through).
    `ignored` counts frames that came with a bad PEC or to an idle port.
    """

    def __init__(self, n: int) -> None:
        self.chips = [Ltc6811Chip() for _ in range(n)]
        self.now_us = 0
        self.corrupt_next = 0
        self.deaf = False
        self.ignored = 0
        self._awake = 0
        self._heard_us = -_SLEEP_US
        self._usable_us = 0
        self._frame = bytearray()
        self._answer = b""

    def advance(self, us: int) -> None:
        """Let time pass."""
        self.now_us += us
        for chip in self.chips:
            chip.advance(us)

    # ---- the wire

    def select(self) -> None:
        """A falling chip select wakes the next port that sleeps or idles."""
        silent_us = self.now_us - self._heard_us
        if silent_us >= _IDLE_US:
            self._awake = 0
        if silent_us >= _SLEEP_US:
            self._usable_us = self.now_us + _WAKE_US
            for chip in self.chips:
                chip.reset()
        self._heard_us = self.now_us
        self._frame = bytearray()
        self._answer = b""

    def exchange(self, data: bytes) -> bytes:
        """Bytes of a frame; after command and PEC a read's answer comes back."""
        out = bytearray()
        for byte in data:
            at = len(self._frame) - 4
            out.append(self._answer[at] if 0 <= at < len(self._answer) else 0xFF)
            self._frame.append(byte)
            if len(self._frame) == 4:
                self._answer = self._read(self._command())
        return bytes(out)

    def deselect(self) -> None:
        """The frame is complete: do what it says."""
        if self._awake < len(self.chips):
            self._awake += 1  # it was this port's wake-up pulse, and nothing more
            return
        code = self._command()
        if len(self._frame) < 4:
            return
        if code is None:
            self.ignored += 1
        elif code == _WRCFGA:
            self._write_config(bytes(self._frame[4:]))
        elif code not in _GROUPS:
            for chip in self.chips:
                chip.order(code)

    def _command(self) -> int | None:
        # None when the ports do not hear, or the PEC is wrong
        frame = bytes(self._frame[:4])
        hears = self._awake >= len(self.chips) and self.now_us >= self._usable_us and not self.deaf
        if not hears or len(frame) < 4 or pec15(frame[:2]) != frame[2:]:
            return None
        return frame[0] << 8 | frame[1]

    def _read(self, code: int | None) -> bytes:
        if code not in _GROUPS:
            return b""
        out = bytearray()
        for chip in self.chips:
            group = chip.group(_GROUPS[code])
            out += group + pec15(group)
        if self.corrupt_next:
            self.corrupt_next -= 1
            out[len(out) // 2] ^= 0x04
        return bytes(out)

    def _write_config(self, data: bytes) -> None:
        # The farthest chip's group is sent first.
        for i, chip in enumerate(reversed(self.chips)):
            group, pec = data[8 * i : 8 * i + 6], data[8 * i + 6 : 8 * i + 8]
            if len(pec) == 2 and pec15(group) == pec:
                chip.configure(group)
            else:
                self.ignored += 1


__all__ = ["CONVERSIONS", "Ltc6811Chain", "Ltc6811Chip", "conversion_of", "pec15"]
