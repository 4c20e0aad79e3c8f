"""Cell model: OCV(SoC), two RC pairs and one thermal node, vectorised over cells.

    v = OCV(soc) + i R0 + v1 + v2        dv_k/dt = (i R_k - v_k) / tau_k        dsoc/dt = i / (3600 Q)
    C_th dT/dt = i^2 R0 + v1^2/R1 + v2^2/R2 - (T - T_ambient) / R_th

R0, R1, R2 are tables over SoC, scaled with temperature by Arrhenius; the time constants are constant.
Within one call parameters are frozen and current is constant, so that each state has a closed form: a step of
any length is exact for them. Positive current charges.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CELLS_DIR = Path(__file__).with_name("cells")
KELVIN = 273.15
_OVER = 0.1  # SoC by which the OCV table is continued with its end slopes


class CellFileError(ValueError):
    """A cell file that cannot be used; the message names the file, the field and what would be right."""


@dataclass(frozen=True)
class CellFile:
    """Parameters of one cell type, as fitted from measurements.

    `ocv_v` belongs to `ocv_soc`, `r0_ohm`, `r1_ohm`, `r2_ohm` to `r_soc` (SoC in 0..1, rising);
    `activation_k` holds the Arrhenius temperatures (E/R) of R0, R1, R2 around `reference_c`.
    """

    name: str
    chemistry: str
    capacity_ah: float
    ocv_soc: Array
    ocv_v: Array
    r_soc: Array
    r0_ohm: Array
    r1_ohm: Array
    r2_ohm: Array
    tau1_s: float
    tau2_s: float
    activation_k: tuple[float, float, float]
    reference_c: float
    heat_capacity_j_k: float
    thermal_resistance_k_w: float
    source: str = ""
    fit: dict[str, Any] = field(default_factory=dict[str, Any])

    def ocv(self, soc: Array | float) -> Array:
        """Open-circuit voltage at `soc`, any shape; continued with the end slopes beyond 0..1."""
        s, v = self._ocv_table
        return np.asarray(np.interp(soc, s, v))

    def soc_of_ocv(self, voltage_v: Array | float) -> Array:
        """SoC at which the cell rests at `voltage_v`."""
        s, v = self._ocv_table
        return np.asarray(np.interp(voltage_v, v, s))

    @property
    def _ocv_table(self) -> tuple[Array, Array]:
        return self.__dict__["_table"]

    def __post_init__(self) -> None:
        s, v = self.ocv_soc, self.ocv_v
        low = v[0] - _OVER * (v[1] - v[0]) / (s[1] - s[0])
        high = v[-1] + _OVER * (v[-1] - v[-2]) / (s[-1] - s[-2])
        table = (np.concatenate(([s[0] - _OVER], s, [s[-1] + _OVER])), np.concatenate(([low], v, [high])))
        self.__dict__["_table"] = table


_ARRAYS = ("ocv_soc", "ocv_v", "r_soc", "r0_ohm", "r1_ohm", "r2_ohm")
_POSITIVE = ("capacity_ah", "tau1_s", "tau2_s", "heat_capacity_j_k", "thermal_resistance_k_w")


def cell_names() -> list[str]:
    """Names of the cell files that come with the project."""
    return sorted(path.stem for path in CELLS_DIR.glob("*.json"))


def load_cell(name: str | Path) -> CellFile:
    """The cell file of that name (or at that path). Raises CellFileError."""
    path = Path(name)
    if path.suffix != ".json":
        path = CELLS_DIR / f"{name}.json"
    if not path.is_file():
        raise CellFileError(f"cell file {str(name)!r} does not exist; known cells: {', '.join(cell_names())}")
    try:
        raw: object = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise CellFileError(f"{path}: not JSON: {error}") from error
    if not isinstance(raw, dict):
        raise CellFileError(f"{path}: must be a JSON object, not {type(raw).__name__}")
    return _checked(path, cast(dict[str, Any], raw))


def _checked(path: Path, raw: dict[str, Any]) -> CellFile:
    try:
        values: dict[str, Any] = {**raw, **{key: np.asarray(raw[key], dtype=np.float64) for key in _ARRAYS}}
        a0, a1, a2 = (float(k) for k in raw["activation_k"])
        values["activation_k"] = (a0, a1, a2)
        cell = CellFile(**values)
        positive = {key: float(getattr(cell, key)) for key in _POSITIVE}
    except KeyError as error:
        raise CellFileError(f"{path}: field {error.args[0]!r} is missing") from error
    except (TypeError, ValueError, IndexError) as error:
        raise CellFileError(f"{path}: {error}") from error
    for grid, tables in (("ocv_soc", ("ocv_v",)), ("r_soc", ("r0_ohm", "r1_ohm", "r2_ohm"))):
        soc: Array = getattr(cell, grid)
        if soc.ndim != 1 or len(soc) < 2 or not (np.diff(soc) > 0).all():
            raise CellFileError(f"{path}: {grid} must be a rising list of at least two SoC values")
        for table in tables:
            values_of: Array = getattr(cell, table)
            if values_of.shape != soc.shape:
                raise CellFileError(f"{path}: {table} has {values_of.size} values, {grid} has {soc.size}")
            if not (values_of >= 0).all():
                raise CellFileError(f"{path}: {table} must not be negative")
    for key, value in positive.items():
        if not value > 0:
            raise CellFileError(f"{path}: {key} is {value}, must be above 0")
    return cell


class CellModel:
    """A group of cells of one type, all carrying the same current.

    State arrays have one entry a cell: `soc` (0..1), `v1_v`, `v2_v`, `temperature_c`. `capacity_scale` and
    `resistance_scale` tell this cell from the type's mean: ageing and spread.
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
        self.capacity_ah: Array = cell.capacity_ah * capacity
        self.v1_v: Array = np.zeros_like(self.soc)
        self.v2_v: Array = np.zeros_like(self.soc)

    def resistances(self) -> tuple[Array, Array, Array]:
        """R0, R1, R2 in ohm of each cell at its present SoC and temperature."""
        cell = self.cell
        warmth = 1 / (self.temperature_c + KELVIN) - 1 / (cell.reference_c + KELVIN)
        k0, k1, k2 = cell.activation_k
        scale = self.resistance_scale
        return (
            np.interp(self.soc, cell.r_soc, cell.r0_ohm) * np.exp(k0 * warmth) * scale,
            np.interp(self.soc, cell.r_soc, cell.r1_ohm) * np.exp(k1 * warmth) * scale,
            np.interp(self.soc, cell.r_soc, cell.r2_ohm) * np.exp(k2 * warmth) * scale,
        )

    def step(self, current_a: Array | float, dt_s: float, ambient_c: Array | float) -> Array:
        """Advance by one step at constant current; terminal voltage of each cell at its end, in V."""
        return self.advance(current_a, dt_s, 1, ambient_c)[0]

    def advance(self, current_a: Array | float, dt_s: float, steps: int, ambient_c: Array | float) -> Array:
        """Advance by `steps` steps of `dt_s` at constant current (one for all cells, or one each).

        Returns the terminal voltages at the end of each step, shape (steps, cells), in V.
        """
        cell = self.cell
        r0, r1, r2 = self.resistances()
        t = dt_s * np.arange(1, steps + 1, dtype=np.float64)[:, None]
        soc = self.soc + (current_a / 3600.0) * t / self.capacity_ah
        fall1 = np.exp(t / -cell.tau1_s)
        fall2 = np.exp(t / -cell.tau2_s)
        goal1, goal2 = current_a * r1, current_a * r2
        v1 = goal1 + (self.v1_v - goal1) * fall1
        v2 = goal2 + (self.v2_v - goal2) * fall2
        voltage_v = cell.ocv(soc) + current_a * r0 + v1 + v2
        self.soc, self.v1_v, self.v2_v = soc[-1], v1[-1], v2[-1]
        self._warm(current_a, t[-1, 0], ambient_c, (r0, r1, r2))
        return voltage_v

    def _warm(
        self, current_a: Array | float, span_s: float, ambient_c: Array | float, r: tuple[Array, Array, Array]
    ) -> None:
        cell = self.cell
        tiny = 1e-9  # ohm: a pair without resistance has no loss either
        # losses of the pairs as they are at the step's end: right for short steps, and for a long rest, too
        heat_w = current_a**2 * r[0] + self.v1_v**2 / (r[1] + tiny) + self.v2_v**2 / (r[2] + tiny)
        goal_c = ambient_c + heat_w * cell.thermal_resistance_k_w
        fall = np.exp(-span_s / (cell.heat_capacity_j_k * cell.thermal_resistance_k_w))
        self.temperature_c = goal_c + (self.temperature_c - goal_c) * fall

    def terminal_v(self, current_a: float = 0.0) -> Array:
        """Terminal voltage of each cell now, at `current_a`, in V."""
        return self.cell.ocv(self.soc) + current_a * self.resistances()[0] + self.v1_v + self.v2_v

    def rest(self, seconds: float, ambient_c: Array | float) -> None:
        """Park: no current for `seconds`."""
        self.step(0.0, seconds, ambient_c)
