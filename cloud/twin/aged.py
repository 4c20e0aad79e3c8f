"""Aged cells: what lost lithium and lost active material make of a cell, simulated with PyBaMM.

An aged cell is a fresh one (Chen2020: NMC 811 against graphite with silicon, 5 Ah) with less lithium to
cycle, less of each electrode's active material, and a contact resistance. So a whole population with every
mixture of the two losses is made at once; the ageing submodels would need hundreds of cycles for each cell
and end on the one path that their parameters give (lost lithium alone). The two losses are told apart because
they differ where it matters: active material that both electrodes lose alike leaves OCV(SoC) as it was, lost
lithium shifts the electrodes against each other and bends it.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from cloud.twin.table import Array

SET = "Chen2020"
FULL_V, EMPTY_V = 4.2, 2.5
TEST_RATE = 1 / 20
"""C-rate of the discharge that measures a capacity."""
_EDGE = 5e-4
_FINE = 20_001


@dataclass(frozen=True)
class Aged:
    """Shares that are left: active material of both electrodes, lithium. 1.0 is fresh."""

    negative: float = 1.0
    positive: float = 1.0
    lithium: float = 1.0
    contact_ohm: float = 0.0


@dataclass(frozen=True)
class Electrodes:
    """Half-cell curves in V over stoichiometry; capacities and lithium in Ah."""

    stoichiometry: Array
    negative_v: Array
    positive_v: Array
    negative_ah: float
    positive_ah: float
    lithium_ah: float

    def window(self, aged: Aged) -> tuple[float, float, float, float]:
        """Capacity in Ah; stoichiometry of the negative electrode when empty and when full, and per Ah of
        the positive one's at 0 of the negative one's."""
        n_ah, p_ah = self.negative_ah * aged.negative, self.positive_ah * aged.positive
        li_ah = self.lithium_ah * aged.lithium
        x = np.linspace(_EDGE, 1 - _EDGE, _FINE)
        y = (li_ah - x * n_ah) / p_ah
        x = x[(y > _EDGE) & (y < 1 - _EDGE)]
        empty, full = np.interp((EMPTY_V, FULL_V), self._cell_v(aged, x), x)
        return float((full - empty) * n_ah), float(empty), float(full), li_ah / p_ah

    def ocv(self, aged: Aged, soc: Array) -> Array:
        """Open-circuit voltage at `soc`, 0..1 of this cell's own capacity."""
        _, empty, full, _ = self.window(aged)
        return self._cell_v(aged, empty + soc * (full - empty))

    def stoichiometries(self, aged: Aged, soc: float) -> tuple[float, float]:
        """Of both electrodes at `soc`."""
        _, empty, full, top = self.window(aged)
        x = empty + soc * (full - empty)
        return x, top - x * self.negative_ah * aged.negative / (self.positive_ah * aged.positive)

    def without_lithium(self, share: float) -> Aged:
        """The cell that has lost `share` (0..0.4) of its capacity by lithium alone."""
        left = np.linspace(1.0, 0.6, 81)
        capacity = np.array([self.window(Aged(lithium=float(some)))[0] for some in left])
        return Aged(lithium=float(np.interp(share, 1 - capacity / capacity[0], left)))

    def _cell_v(self, aged: Aged, x: Array) -> Array:
        ratio = self.negative_ah * aged.negative / (self.positive_ah * aged.positive)
        y = self.lithium_ah * aged.lithium / (self.positive_ah * aged.positive) - x * ratio
        s = self.stoichiometry
        return np.interp(y, s, self.positive_v) - np.interp(x, s, self.negative_v)


def _pybamm() -> Any:
    return importlib.import_module("pybamm")


@cache
def electrodes() -> Electrodes:
    """The half-cell curves of the parameter set."""
    pybamm = _pybamm()
    values = pybamm.ParameterValues(SET)
    param = pybamm.LithiumIonParameters()
    s = np.linspace(_EDGE, 1 - _EDGE, 4001)

    def curve(side: str) -> Array:
        return np.asarray(values[f"{side} electrode OCP [V]"](pybamm.Array(s)).evaluate()).ravel()

    n_ah, p_ah, li_ah = (
        float(values.evaluate(of)) for of in (param.n.Q_init, param.p.Q_init, param.Q_Li_particles_init)
    )
    return Electrodes(s, curve("Negative"), curve("Positive"), n_ah, p_ah, li_ah)


def simulate(
    aged: Aged,
    soc: float,
    current_a: Array,
    temperature_c: float,
    *,
    step_s: float = 1.0,
    limits: bool = False,
) -> tuple[Array, Array, Array]:
    """Time in s, terminal voltage in V and temperature in degC of a cell that starts at rest at `soc`.

    `current_a` is given each `step_s`, linear between, positive charges. With `limits` it ends at EMPTY_V or
    FULL_V.
    """
    pybamm = _pybamm()
    model = pybamm.lithium_ion.SPMe({"thermal": "lumped", "contact resistance": "true"})
    values = _values(pybamm, aged, soc, temperature_c)
    time_s = step_s * np.arange(len(current_a), dtype=np.float64)
    # knots only where the current bends: the solver is the faster the fewer there are
    bends = np.flatnonzero(np.diff(current_a, n=2)) + 1
    knots = np.unique(np.concatenate(([0], bends, [len(current_a) - 1])))
    values["Current function [A]"] = pybamm.Interpolant(time_s[knots], -current_a[knots], pybamm.t)
    if not limits:
        # a drive may dip below the limits for a second
        model.events = []
    simulation = pybamm.Simulation(model, parameter_values=values, solver=pybamm.IDAKLUSolver())
    solution = simulation.solve([0.0, float(time_s[-1])], t_interp=time_s)
    return (
        np.asarray(solution.t),
        np.asarray(solution["Terminal voltage [V]"].entries),
        np.asarray(solution["X-averaged cell temperature [K]"].entries) - 273.15,
    )


def _values(pybamm: Any, aged: Aged, soc: float, temperature_c: float) -> Any:
    values = pybamm.ParameterValues(SET)
    x, y = electrodes().stoichiometries(aged, soc)
    for side, left, at in (("Negative", aged.negative, x), ("Positive", aged.positive, y)):
        values[f"{side} electrode active material volume fraction"] *= left
        largest = values[f"Maximum concentration in {side.lower()} electrode [mol.m-3]"]
        values[f"Initial concentration in {side.lower()} electrode [mol.m-3]"] = at * largest
    kelvin = temperature_c + 273.15
    values.update({"Ambient temperature [K]": kelvin, "Initial temperature [K]": kelvin})
    values["Contact resistance [Ohm]"] = aged.contact_ohm
    return values


def measured_ah(aged: Aged) -> float:
    """Capacity at 25 degC: from rest at FULL_V down to EMPTY_V at C/20 of the fresh cell."""
    rate_a = TEST_RATE * electrodes().window(Aged())[0]
    minutes = int(1.2 / TEST_RATE * 60)
    time_s, _, _ = simulate(aged, 1.0, np.full(minutes, -rate_a), 25.0, step_s=60.0, limits=True)
    return float(time_s[-1] * rate_a / 3600)
