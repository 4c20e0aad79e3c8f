"""What acts on the pack from outside: the load at the link, and faults that push the pack."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from bms.link import frame

from cloud.twin.pack import Contactors, Trace
from hil.link import Actuate


@dataclass
class Load:
    """What hangs on the link without a log, and how it obeys: a mean current and a square wave around it.

    An `obedient` one keeps to the board's limits and takes its current away when asked to.
    """

    mean_a: float = 0.0
    swing_a: float = 0.0
    half_period_ticks: int = 20
    obedient: bool = False
    charge_limit_a: float = math.inf
    discharge_limit_a: float = math.inf
    zero: bool = False

    def demand_a(self, tick: int) -> float:
        """What it would draw in that tick."""
        return self.mean_a + (self.swing_a if tick // self.half_period_ticks % 2 else -self.swing_a)

    def alike(self, tick: int, most: int) -> int:
        """For how many ticks, 1..`most`, it draws the same."""
        return min(most, self.half_period_ticks - tick % self.half_period_ticks) if self.swing_a else most

    def hear(self, actuate: Actuate) -> None:
        """Take note of what the board allows and asks for."""
        self.charge_limit_a = actuate.charge_limit_da / 10
        self.discharge_limit_a = actuate.discharge_limit_da / 10
        self.zero = bool(actuate.requests & frame.REQUEST_ZERO_CURRENT)

    def allowed_a(self, demand_a: float) -> float:
        """The part of a demand that it dares to draw."""
        if not self.obedient:
            return demand_a
        return 0.0 if self.zero else min(max(demand_a, -self.discharge_limit_a), self.charge_limit_a)


class Pushes(Protocol):
    """Faults of the pack: see hil.inject.PackFaults."""

    def alike(self, tick: int, most: int) -> int: ...
    def load_a(self, tick: int) -> float | None: ...
    def leaks_a(self, tick: int) -> dict[int, float]: ...
    def push(self, contactors: Contactors, tick: int) -> None: ...
    def alter(self, trace: Trace, tick: int, closed: bool) -> Trace: ...
