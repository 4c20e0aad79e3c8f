"""Cell model: OCV(SoC, T) with hysteresis, two RC pairs and one thermal node, vectorised over cells.

    v = OCV(soc, T) + h M(soc) + i R0 + v1 + v2     dv_k/dt = (i R_k - v_k) / tau_k     dsoc/dt = i / (3600 Q)
    C_th dT/dt = i^2 R0 + v1^2/R1 + v2^2/R2 - (T - T_ambient) / R_th

Within one call parameters are frozen and current is constant, so that each state has a closed form: a step of
any length is exact for them. Positive current charges.
"""

from __future__ import annotations

import numpy as np

from cloud.twin.cell import CellFile
from cloud.twin.table import Array


class CellModel:
    """A group of cells of one type.

    State arrays have one entry a cell: `soc` (0..1), `v1_v`, `v2_v`, `temperature_c`, and `hysteresis` (-1
    after discharge .. 1 after charge). `capacity_scale` and `resistance_scale` tell this cell from the type's
    mean: ageing and spread. The capacity is that of the temperature at which the cell starts.
    """

    def __init__(
        self,
        cell: CellFile,
        soc: Array | float,
        *,
        temperature_c: Array | float = 25.0,
        capacity_scale: Array | float = 1.0,
        resistance_scale: Array | float = 1.0,
    ) -> None:
        parts = np.broadcast_arrays(soc, temperature_c, capacity_scale, resistance_scale)
        self.soc, self.temperature_c, capacity, self.resistance_scale = (
            np.atleast_1d(np.array(part, dtype=np.float64)) for part in parts
        )
        self.cell = cell
        self.capacity_ah: Array = cell.capacity(self.temperature_c) * capacity
        self.v1_v: Array = np.zeros_like(self.soc)
        self.v2_v: Array = np.zeros_like(self.soc)
        self.hysteresis: Array = np.zeros_like(self.soc)

    def resistances(self) -> tuple[Array, Array, Array]:
        """R0, R1, R2 in ohm of each cell at its present SoC and temperature."""
        r0, r1, r2 = self.cell.resistances(self.soc, self.temperature_c)
        scale = self.resistance_scale
        return r0 * scale, r1 * scale, r2 * scale

    def step(self, current_a: Array | float, dt_s: float, ambient_c: Array | float) -> Array:
        """Advance by one step at constant current; terminal voltage of each cell at its end, in V."""
        return self.advance(current_a, dt_s, 1, ambient_c)[0]

    def advance(self, current_a: Array | float, dt_s: float, steps: int, ambient_c: Array | float) -> Array:
        """Advance by `steps` steps of `dt_s` at constant current (one for all cells, or one each).

        Returns the terminal voltages at the end of each step, shape (steps, cells), in V.
        """
        cell = self.cell
        r0, r1, r2 = self.resistances()
        tau1, tau2 = cell.taus(self.temperature_c)
        t = dt_s * np.arange(1, steps + 1, dtype=np.float64)[:, None]
        moved = (current_a / 3600.0) * t / self.capacity_ah
        soc = self.soc + moved
        goal1, goal2 = cell.goals(current_a, r1, r2)
        v1 = goal1 + (self.v1_v - goal1) * np.exp(-t / tau1)
        v2 = goal2 + (self.v2_v - goal2) * np.exp(-t / tau2)
        side = np.sign(current_a)
        h = side + (self.hysteresis - side) * np.exp(-np.abs(moved) / cell.hysteresis_soc)
        rest_v = cell.ocv(soc, self.temperature_c) + h * cell.hysteresis(soc)
        self.soc, self.v1_v, self.v2_v, self.hysteresis = soc[-1], v1[-1], v2[-1], h[-1]
        # the bent pair as a resistance
        chord1 = np.divide(goal1, current_a, out=r1.copy(), where=np.abs(current_a) > 1e-9)
        self._warm(current_a**2 * r0 + self.v1_v**2 / chord1 + self.v2_v**2 / r2, t[-1, 0], ambient_c)
        return rest_v + current_a * r0 + v1 + v2

    def _warm(self, heat_w: Array, span_s: float, ambient_c: Array | float) -> None:
        # losses of the pairs as they are at the step's end: right for short steps, and for a long rest, too
        cell = self.cell
        goal_c = ambient_c + heat_w * cell.thermal_resistance_k_w
        fall = np.exp(-span_s / (cell.heat_capacity_j_k * cell.thermal_resistance_k_w))
        self.temperature_c = goal_c + (self.temperature_c - goal_c) * fall

    def rest_v(self) -> Array:
        """Voltage at which each cell would settle now, in V: OCV and hysteresis."""
        cell = self.cell
        return cell.ocv(self.soc, self.temperature_c) + self.hysteresis * cell.hysteresis(self.soc)

    def terminal_v(self, current_a: float = 0.0) -> Array:
        """Terminal voltage of each cell now, at `current_a`, in V."""
        return self.rest_v() + current_a * self.resistances()[0] + self.v1_v + self.v2_v

    def rest(self, seconds: float, ambient_c: Array | float) -> None:
        """Park: no current for `seconds`."""
        self.step(0.0, seconds, ambient_c)
