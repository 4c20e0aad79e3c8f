"""The analogue half of the emulated BQ76952: inputs, ADC loop, protections, FET outputs, balancing."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass

SCD_MV = (10, 20, 40, 60, 80, 100, 125, 150, 175, 200, 250, 300, 350, 400, 450, 500)
_OPEN_DROP_MV = 1650.0
"""55 uA for a slot of 3 ms out of 100 nF."""
_STEP_US = 1500
FULLSCAN, ADSCAN = 0x80, 0x02

# where the thresholds of the temperatures lie, and the delays in loops of 3.3 ms
_TEMPERATURES = {"OTC": 0x929A, "OTD": 0x929D, "UTC": 0x92A6, "UTD": 0x92A9}
_LOOPS = {"COV": (0x9279, 2), "CUV": (0x9276, 2), "OCC": (0x9281, 1), "OCD1": (0x9283, 1)}


@dataclass
class Protection:
    """A protection: its bit in safety status A or B, and how long its condition has held (ms)."""

    name: str
    status: int
    bit: int
    held_ms: float = 0.0
    gone_ms: float = 0.0


def _protections() -> list[Protection]:
    a = (("SCD", 7), ("OCD1", 5), ("OCC", 4), ("COV", 3), ("CUV", 2))
    b = (("OTD", 5), ("OTC", 4), ("UTD", 1), ("UTC", 0))
    return [Protection(n, 0, i) for n, i in a] + [Protection(n, 1, i) for n, i in b]


class Analog:
    """Inputs: `cell_mv` (16), `current_ma` (positive charges), `pack_mv`, `temperature_c` (TS1..3),
    `shunt_uohm`, `open_wires` (numbers of the upper sense wires that are cut, from 0).

    `setting(address, size)` reads the data memory. `broken_rule` tells balancing that is not
    allowed: neighbours at once, too many cells, or one that is not there.
    """

    def __init__(self, setting: Callable[[int, int], int]) -> None:
        self._setting = setting
        self.cell_mv = [3700.0] * 16
        self.current_ma = 0.0
        self.pack_mv = 0.0
        self.temperature_c = [25.0] * 3
        self.shunt_uohm = 1000.0
        self.open_wires: set[int] = set()
        self.broken_rule = ""
        self._drift_mv = [0.0] * 16
        self.reset()

    def reset(self) -> None:
        """What a brown-out leaves."""
        self._registers = bytearray(0x80)
        self._step_us = 0
        self._loop_us = 0.0
        self._loops = 0
        self._check_us = 0.0
        self._cc_us = 0
        self.safety = [0, 0, 0]
        self.protections = _protections()
        self.fet_enable = False
        self.balancing = 0
        self._balancing_us = 0

    def register(self, register: int) -> int:
        """A byte of the direct commands."""
        if register in (0x03, 0x05, 0x07):
            return self.safety[(register - 3) // 2]
        if register == 0x7F:
            return self.chg_on | self.dsg_on << 2
        return self._registers[register]

    @property
    def chg_on(self) -> bool:
        """The CHG output."""
        stop = self.safety[0] & self._setting(0x9265, 1) | self.safety[1] & self._setting(0x9266, 1)
        return self.fet_enable and not stop

    @property
    def dsg_on(self) -> bool:
        """The DSG output."""
        stop = self.safety[0] & self._setting(0x9269, 1) | self.safety[1] & self._setting(0x926A, 1)
        return self.fet_enable and not stop

    # ---- time

    def advance(self, us: int, frozen: bool) -> int:
        """Let time pass; returns the alarm bits that were raised."""
        raised = 0
        self._step_us += us
        while self._step_us >= _STEP_US:
            self._step_us -= _STEP_US
            if not frozen:
                raised |= self._measure()
            self._protect(_STEP_US / 1000)
            self._balancing_us -= _STEP_US
            if self._balancing_us <= 0:
                self.balancing = 0
        return raised

    def _measure(self) -> int:
        self._cc_us += _STEP_US
        if self._cc_us >= 3000:
            self._cc_us = 0
            self._put(0x3A, self._current_counts())
        self._loop_us += _STEP_US
        sensors = sum(1 for a in (0x92FD, 0x92FE, 0x92FF) if self._setting(a, 1))
        slot_us = 1500 if self._setting(0x9234, 2) & 0x40 else 3000
        if self._loop_us < (18 + min(sensors, 3)) * slot_us:
            return 0
        self._loop_us = 0.0
        self._loops += 1
        self._check_wires((18 + sensors) * slot_us)
        for i, mv in enumerate(self._pins_mv()):
            used = self._setting(0x9304, 2) & 1 << i
            self._put(0x14 + 2 * i, round(mv) if used else 0)
        if self._loops % 3:
            return ADSCAN
        self._put(0x34, round(self._stack_mv() / 10))
        self._put(0x36, round(self.pack_mv / 10))
        self._put(0x38, round(self.pack_mv / 10))
        for i, address in enumerate((0x92FD, 0x92FE, 0x92FF)):
            on = self._setting(address, 1)
            self._put(0x70 + 2 * i, round(10 * (self.temperature_c[i] + 273.15)) if on else 0)
        return ADSCAN | FULLSCAN

    def _put(self, register: int, value: int) -> None:
        struct.pack_into("<h", self._registers, register, max(-32768, min(32767, value)))

    def _current_counts(self) -> int:
        # what the chip makes of the shunt's voltage depends on the gain that it was given
        gain = struct.unpack("<f", self._setting(0x91A8, 4).to_bytes(4, "little"))[0]
        unit_ma = (0.1, 1, 10, 100)[self._setting(0x9303, 1) & 3]
        counts = self.current_ma * self.shunt_uohm / 7476.8 * gain / unit_ma
        return 0 if math.isnan(counts) or math.isinf(counts) else round(counts)

    def _stack_mv(self) -> float:
        used = self._setting(0x9304, 2)
        return sum(mv for i, mv in enumerate(self.cell_mv) if used & 1 << i)

    def _check_wires(self, loop_us: int) -> None:
        # A small current out of each input, once an interval: a floating one loses its voltage.
        interval_us = self._setting(0x9314, 1) * 1_000_000
        if not interval_us:
            return
        self._check_us += loop_us
        if self._check_us < interval_us:
            return
        self._check_us = 0.0
        for wire in self.open_wires:
            self._drift_mv[wire] += _OPEN_DROP_MV

    def _pins_mv(self) -> list[float]:
        found = list(self.cell_mv)
        if not self.open_wires:
            self._drift_mv[:] = [0.0] * 16
            return found
        for wire in range(16):
            if wire not in self.open_wires:
                self._drift_mv[wire] = 0.0
                continue
            drop = min(self._drift_mv[wire], self.cell_mv[wire])
            found[wire] -= drop
            if wire < 15:
                found[wire + 1] += drop
        return found

    # ---- protections: comparators of their own, not the ADC loop

    def _protect(self, ms: float) -> None:
        mask = self._setting(0x9304, 2)
        cells = [mv for i, mv in enumerate(self._pins_mv()) if mask & 1 << i] or [3000.0]
        sensors = [self.temperature_c[i] for i in range(3) if self._setting(0x92FD + i, 1)] or [25.0]
        for row in self.protections:
            over = self._beyond(row.name, cells, sensors)
            enabled = over and self._setting(0x9261 + row.status, 1) & 1 << row.bit
            row.held_ms = row.held_ms + ms if enabled else 0.0
            row.gone_ms = 0.0 if over else row.gone_ms + ms
            if enabled and row.held_ms >= self._delay_ms(row.name):
                self.safety[row.status] |= 1 << row.bit
            elif row.gone_ms >= 1000 * self._setting(0x92AF, 1):
                self.safety[row.status] &= ~(1 << row.bit)

    def _beyond(self, name: str, cells: list[float], sensors: list[float]) -> bool:
        shunt_mv = self.current_ma * self.shunt_uohm / 1e6
        if name in _TEMPERATURES:
            raw = self._setting(_TEMPERATURES[name], 1)
            threshold_c = raw - 256 if raw & 0x80 else raw
            return max(sensors) > threshold_c if name[0] == "O" else min(sensors) < threshold_c
        if name == "COV":
            return max(cells) > 50.6 * self._setting(0x9278, 1)
        if name == "CUV":
            return min(cells) < 50.6 * self._setting(0x9275, 1)
        if name == "OCC":
            return shunt_mv > 2 * self._setting(0x9280, 1)
        if name == "OCD1":
            return -shunt_mv > 2 * self._setting(0x9282, 1)
        return -shunt_mv > SCD_MV[self._setting(0x9286, 1)]

    def _delay_ms(self, name: str) -> float:
        if name in _TEMPERATURES:
            return 1000.0 * self._setting(_TEMPERATURES[name] + 1, 1)
        if name == "SCD":
            return 0.015 * (self._setting(0x9287, 1) - 1)
        address, size = _LOOPS[name]
        return 3.3 * (2 + self._setting(address, size))

    # ---- balancing

    def balance(self, mask: int) -> None:
        """CB_ACTIVE_CELLS from the host: for 20 s at most, or none where the host may not."""
        if self._setting(0x9335, 1) & 0x10:
            return
        if mask & mask >> 1:
            self.broken_rule = f"neighbours balanced at once: {mask:#06x}"
        if mask & ~self._setting(0x9304, 2):
            self.broken_rule = f"cells balanced that are not there: {mask:#06x}"
        if mask.bit_count() > self._setting(0x933A, 1):
            self.broken_rule = f"more cells balanced than are allowed: {mask:#06x}"
        self.balancing = mask
        self._balancing_us = 20_000_000
