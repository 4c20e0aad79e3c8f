"""BQ76952 at the level of its registers: protocol, subcommands and data memory.

After TI's "BQ76952 Technical Reference Manual" (SLUUBY2B) and "Software Development Guide" (SLUAA11B).
Not emulated: SLEEP and below, security, OTP, permanent failures, calibration but the current's.
"""

from __future__ import annotations

import functools
import struct

from hil.chips.bq76952_analog import Analog

ADDRESS = 0x08
DEVICE_NUMBER = 0x7695

_BUFFER_US = 600
"""Time until an answer to a subcommand lies in the transfer buffer."""
_CFGUPDATE_US = 2000

# Data memory whose value after a reset is not 0: address -> (bytes, value).
DEFAULTS = {
    0x91A8: (4, 0x40EF41F2),  # CC Gain of 1 mOhm
    0x91AC: (4, 0x4A081D13),
    0x9234: (2, 0x2982), 0x9239: (1, 0x00), 0x9261: (1, 0x88), 0x9265: (1, 0x98), 0x9266: (1, 0xD5),
    0x9269: (1, 0xE4), 0x926A: (1, 0xE6), 0x926D: (2, 0xF800), 0x9275: (1, 50), 0x9276: (2, 74),
    0x9278: (1, 86), 0x9279: (2, 74), 0x927B: (1, 2), 0x927C: (1, 2), 0x9280: (1, 2), 0x9281: (1, 4),
    0x9282: (1, 4), 0x9283: (1, 1), 0x9286: (1, 0), 0x9287: (1, 2), 0x929A: (1, 55), 0x929B: (1, 2),
    0x929C: (1, 50), 0x929D: (1, 60), 0x929E: (1, 2), 0x929F: (1, 55), 0x92A6: (1, 0), 0x92A7: (1, 2),
    0x92A8: (1, 5), 0x92A9: (1, 0), 0x92AA: (1, 2), 0x92AB: (1, 5), 0x92AF: (1, 3), 0x92FD: (1, 0x07),
    0x9303: (1, 0x05), 0x9314: (1, 5), 0x9339: (1, 20), 0x933A: (1, 1), 0x9343: (2, 0x0040),
}  # fmt: skip


@functools.cache
def crc8(data: bytes, crc: int = 0) -> int:
    """x^8 + x^2 + x + 1, bit by bit."""
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x107) if crc & 0x80 else crc << 1
    return crc


class Bq76952Chip:
    """An I2C device (hil.chips.i2c.Device). `analog` holds what it measures and its protections.

    `crc_at_reset`: the variant that speaks CRC from the start. Faults to inject: `corrupt_next` (reads
    whose data are disturbed), `frozen` (the ADC stands still), `fixed` (data memory bytes that keep a
    value), `device_number`.
    """

    def __init__(self, crc_at_reset: bool = False) -> None:
        self._crc_at_reset = crc_at_reset
        self.now_us = 0
        self.corrupt_next = 0
        self.frozen = False
        self.fixed: dict[int, int] = {}
        self.device_number = DEVICE_NUMBER
        self.config_updates = 0
        self.memory = bytearray(0x400)
        self.analog = Analog(self.setting)
        self.reset()

    def reset(self) -> None:
        """As after a brown-out: the data memory is what it was at the factory."""
        self.memory[:] = bytes(len(self.memory))
        for address, (size, value) in DEFAULTS.items():
            at = address - 0x9000
            self.memory[at : at + size] = value.to_bytes(size, "little")
        self.crc = self._crc_at_reset
        self.por = True
        self.cfgupdate = False
        self._cfgupdate_at: int | None = None
        self.alarm = 0
        self.alarm_enable = self.setting(0x926D, 2)
        self._echo = 0
        self._ready_us = 0
        self._pointer = bytearray(2)
        self._buffer = bytearray(34)
        self.analog.reset()

    def setting(self, address: int, size: int = 1) -> int:
        """Unsigned value in the data memory."""
        at = address - 0x9000
        return self.memory[at] if size == 1 else int.from_bytes(self.memory[at : at + size], "little")

    def advance(self, us: int) -> None:
        """Let time pass."""
        self.now_us += us
        if self._cfgupdate_at is not None and self.now_us >= self._cfgupdate_at:
            self._cfgupdate_at = None
            self.cfgupdate = True
        if not self.cfgupdate:
            self.alarm |= self.analog.advance(us, self.frozen) & self.alarm_enable

    # ---- the wire

    def write(self, data: bytes) -> bool:
        """Register and data, with CRC bytes between them where they are on; False at the first bad one."""
        register, rest = data[0], data[1:]
        if not self.crc:
            self._store(register, rest)
            return True
        before = bytes((2 * ADDRESS, register))
        payload = bytearray()
        for i in range(0, len(rest) - 1, 2):
            if crc8(before + rest[i : i + 1]) != rest[i + 1]:
                self._store(register, bytes(payload))
                return False
            payload.append(rest[i])
            before = b""
        self._store(register, bytes(payload))
        return len(rest) % 2 == 0

    def read(self, register: int, n: int) -> bytes | None:
        """n bytes on the wire: data from `register` on, each followed by its CRC where it is on."""
        out = bytearray()
        before = bytes((2 * ADDRESS, register, 2 * ADDRESS + 1))
        while len(out) < n:
            value = self._register(register & 0x7F)
            register += 1
            out.append(value)
            if self.crc:
                out.append(crc8(before + bytes((value,))))
                before = b""
        if self.corrupt_next:
            self.corrupt_next -= 1
            out[n // 2] ^= 0x10
        return bytes(out[:n])

    def _store(self, register: int, data: bytes) -> None:
        for i, value in enumerate(data):
            self._store_byte(register + i, value)

    def _store_byte(self, register: int, value: int) -> None:
        if register in (0x3E, 0x3F):
            self._pointer[register - 0x3E] = value
            if register == 0x3F:
                self._subcommand(self._pointer[0] | value << 8)
        elif 0x40 <= register <= 0x61:
            self._buffer[register - 0x40] = value
            if register == 0x61:
                self._commit(value)
        elif register in (0x62, 0x63):
            self.alarm &= ~(value << 8 * (register - 0x62))
        elif register in (0x66, 0x67):
            shift = 8 * (register - 0x66)
            self.alarm_enable = self.alarm_enable & ~(0xFF << shift) | value << shift

    def _register(self, register: int) -> int:
        if register in (0x3E, 0x3F):
            if self.now_us < self._ready_us:
                return 0xFF
            return self._echo >> 8 * (register - 0x3E) & 0xFF
        if 0x40 <= register <= 0x61:
            return self._buffer[register - 0x40]
        if register in (0x12, 0x13):
            status = 0x0100 | self.por << 3 | self.cfgupdate  # FULLACCESS
            return status >> 8 * (register - 0x12) & 0xFF
        if register in (0x62, 0x63):
            return self.alarm >> 8 * (register - 0x62) & 0xFF
        if register in (0x66, 0x67):
            return self.alarm_enable >> 8 * (register - 0x66) & 0xFF
        return self.analog.register(register)

    # ---- subcommands and data memory

    def _subcommand(self, number: int) -> None:
        self._echo = number
        self._ready_us = self.now_us + _BUFFER_US
        self._buffer[:32] = bytes(32)
        if 0x9180 <= number < 0x9400 - 32:
            at = number - 0x9000
            self._answer(bytes(self.memory[at : at + 32]))
        elif number == 0x0001:
            self._answer(self.device_number.to_bytes(2, "little"))
        elif number == 0x0083:
            self._answer(self.analog.balancing.to_bytes(2, "little"))
        elif number == 0x0090:
            self._cfgupdate_at = self.now_us + _CFGUPDATE_US
        elif number == 0x0092 and self.cfgupdate:
            self._leave_cfgupdate()
        elif number == 0x0012:
            self.reset()
        elif number == 0x0022:
            self.analog.fet_enable = not self.analog.fet_enable
        elif number == 0x29BC:
            self.crc = self.setting(0x9239) in (0x11, 0x12)

    def _leave_cfgupdate(self) -> None:
        self.cfgupdate = False
        self.por = False
        self.config_updates += 1
        self.alarm_enable = self.setting(0x926D, 2)
        self.analog.fet_enable = bool(self.setting(0x9343, 2) & 0x10)

    def _answer(self, data: bytes) -> None:
        self._buffer[: len(data)] = data
        total = self._pointer[0] + self._pointer[1] + sum(data)
        self._buffer[32] = ~total & 0xFF
        self._buffer[33] = len(data) + 4

    def _commit(self, length: int) -> None:
        # The transfer buffer counts only with its checksum and length.
        n = length - 4
        if not 1 <= n <= 32:
            return
        data = bytes(self._buffer[:n])
        if ~(self._pointer[0] + self._pointer[1] + sum(data)) & 0xFF != self._buffer[32]:
            return
        number = self._pointer[0] | self._pointer[1] << 8
        if number == 0x0083:
            self.analog.balance(struct.unpack("<H", data[:2])[0])
        elif 0x9180 <= number < 0x9400 - 32 and self.cfgupdate:
            for i, value in enumerate(data):
                self.memory[number - 0x9000 + i] = self.fixed.get(number + i, value)
