"""One emulated LTC6811-1: inputs, conversions and register groups."""

from __future__ import annotations

import struct
from collections.abc import Callable

from hil.chips import thermistor

_NONE = 0xFFFF
_REFERENCE_UP_US = 4400
_OPEN_STEP_MV = 150.0
"""How far one ADOW conversion moves a floating input; the next one in the same direction as far again."""
_OPEN_MOST_MV = 300.0
_OPEN_ZERO_MV = 250.0

# Conversions in the 7 kHz mode: command without its MD, DCP and PUP bits -> time in us.
CONVERSIONS = {"cells": 2335, "cells_aux": 3133, "cells_sum": 2741, "aux": 2335, "open": 2335, "test": 2335}


def conversion_of(code: int) -> str | None:
    """Which conversion a command starts (all channels, MD = 10); None for another command."""
    known = {
        0x360: "cells",
        0x370: "cells",
        0x56F: "cells_aux",
        0x567: "cells_sum",
        0x560: "aux",
        0x328: "open",
        0x368: "open",
        0x327: "test",
    }
    return known.get(code)


class Ltc6811Chip:
    """Inputs: `cell_mv` (12), `gpio_mv` (5), `open_wires` (0..12, C0 to C12), `thermistor_c` by GPIO number
    (3..5; they take precedence over gpio_mv). `fixed`: configuration bytes that keep a value.
    """

    def __init__(self) -> None:
        self.cell_mv = [3700.0] * 12
        self.gpio_mv = [0.0] * 5
        self.thermistor_c: dict[int, float] = {}
        self.open_wires: set[int] = set()
        self.fixed: dict[int, int] = {}
        self.resets = -1
        self.silicon_self_test = 0x9555
        self._floating_mv = [0.0] * 13
        self.reset()

    def reset(self) -> None:
        """As after SLEEP or a brown-out."""
        self.config = bytearray((0xF8, 0, 0, 0, 0, 0))
        self.cells = [_NONE] * 12
        self.aux = [_NONE] * 6
        self.status = [_NONE] * 4
        self.flags = 0
        self.resets += 1
        self._busy_us = 0
        self._finish: Callable[[], None] | None = None

    # ---- commands

    def configure(self, group: bytes) -> None:
        """WRCFGA; REFON starts the reference."""
        self.config[:] = bytes(self.fixed.get(i, value) for i, value in enumerate(group))

    @property
    def discharging(self) -> int:
        """Discharge switches that are on, bit = cell."""
        return self.config[4] | (self.config[5] & 0xF) << 8

    def order(self, code: int) -> None:
        """A command without data."""
        if code == 0x711:
            self.cells = [_NONE] * 12
        elif code == 0x712:
            self.aux = [_NONE] * 6
        elif code == 0x713:
            self.status = [_NONE] * 4
            self.flags = 0xFFFFFF
        else:
            self._convert(code)

    def _convert(self, code: int) -> None:
        kind = conversion_of(code)
        if kind is None:
            return
        self._busy_us = CONVERSIONS[kind] + (0 if self.config[0] & 0x04 else _REFERENCE_UP_US)
        if kind == "open":
            self._finish = self._open_up if code & 0x40 else self._open_down
        else:
            self._finish = {
                "cells": self._convert_cells,
                "cells_aux": self._convert_cells_aux,
                "cells_sum": self._convert_cells_sum,
                "aux": self._convert_aux,
                "test": self._convert_test,
            }[kind]

    def advance(self, us: int) -> None:
        """Let time pass; a conversion that ends puts its results into the registers."""
        if self._finish is None:
            return
        self._busy_us -= us
        if self._busy_us <= 0:
            finish, self._finish = self._finish, None
            finish()

    def group(self, name: str) -> bytes:
        """The six bytes of a register group."""
        kind, number = (name, 0) if name == "config" else (name[:-1], int(name[-1]))
        if kind == "config":
            return bytes(self.config)
        if kind == "cells":
            return struct.pack("<3H", *self.cells[3 * number : 3 * number + 3])
        if kind == "aux":
            return struct.pack("<3H", *self.aux[3 * number : 3 * number + 3])
        if number == 0:
            return struct.pack("<3H", *self.status[:3])
        return struct.pack("<H", self.status[3]) + self.flags.to_bytes(3, "little") + b"\x10"

    # ---- conversions

    def _reading(self, mv: float) -> int:
        return max(0, min(_NONE - 1, round(10 * mv)))

    def _pins_mv(self) -> list[float]:
        # A floating input moves against both of its neighbours; those of the ends show as a cell at zero.
        found = list(self.cell_mv)
        for wire in range(13):
            offset = self._floating_mv[wire] if wire in self.open_wires else 0.0
            if wire == 0:
                found[0] = 0.0 if offset >= _OPEN_ZERO_MV else found[0] - offset
            elif wire == 12:
                found[11] = 0.0 if offset <= -_OPEN_ZERO_MV else found[11] + offset
            else:
                found[wire - 1] += offset
                found[wire] -= offset
        return found

    def _convert_cells(self) -> None:
        self._floating_mv = [mv / 2 for mv in self._floating_mv]
        self._sample_cells()

    def _sample_cells(self) -> None:
        self.cells = [self._reading(mv) for mv in self._pins_mv()]
        uv = ((self.config[2] & 0xF) << 8 | self.config[1]) + 1
        ov = self.config[3] << 4 | self.config[2] >> 4
        self.flags = 0
        for i, reading in enumerate(self.cells):
            if reading < 16 * uv:
                self.flags |= 1 << 2 * i
            if reading > 16 * ov:
                self.flags |= 2 << 2 * i

    def _convert_cells_aux(self) -> None:
        self._convert_cells()
        self.aux[:2] = [self._reading(self._gpio(n)) for n in (1, 2)]

    def _convert_cells_sum(self) -> None:
        self._convert_cells()
        self.status[0] = round(sum(self.cell_mv) / 2)

    def _convert_aux(self) -> None:
        self.aux = [self._reading(self._gpio(n)) for n in range(1, 6)] + [self._reading(3000)]

    def _convert_test(self) -> None:
        self.cells = [self.silicon_self_test] * 12

    def _gpio(self, number: int) -> float:
        if number in self.thermistor_c:
            return 3000 * thermistor.share(self.thermistor_c[number])
        return self.gpio_mv[number - 1]

    def _open_up(self) -> None:
        self._pull(_OPEN_STEP_MV)

    def _open_down(self) -> None:
        self._pull(-_OPEN_STEP_MV)

    def _pull(self, mv: float) -> None:
        self._floating_mv = [max(-_OPEN_MOST_MV, min(_OPEN_MOST_MV, at + mv)) for at in self._floating_mv]
        self._sample_cells()
