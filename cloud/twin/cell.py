"""Cell file: what was fitted from measurements of one cell type, and the laws that read it.

    v = OCV(soc, T) + h M(soc) + i R0 + v1 + v2

OCV is linear between the temperatures at which it is known and held beyond them. Resistances and time
constants are bilinear in their logarithms over (1/T, SoC): Arrhenius between neighbours. Beyond the table's
temperatures resistances go on with `activation_k`, time constants are held. M is half the gap between the
rest voltages after charge and after discharge; h in -1..1 follows the charge moved:
h -> sign(i) + (h - sign(i)) exp(-|d soc| / hysteresis_soc). Positive current charges.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, cast

import numpy as np

from cloud.twin.table import Array, Table, place

CELLS_DIR = Path(__file__).with_name("cells")
KELVIN = 273.15
_OVER = 0.1  # SoC by which the OCV table is continued with its end slopes


class CellFileError(ValueError):
    """A cell file that cannot be used; the message names the file, the field and what would be right."""


@dataclass(frozen=True)
class CellFile:
    """Parameters of one cell type. SoC is 0..1 of the capacity at the cell's temperature; all grids rise.

    `capacity_ah` is that of `reference_c`; `capacity_ratio` tells the capacity of other temperatures from it.
    Shapes: `capacity_ratio` (capacity_temperature_c); `ocv_v` (ocv_temperature_c, ocv_soc); `hysteresis_v`
    (ocv_soc); `r0_ohm`, `r1_ohm`, `r2_ohm` (r_temperature_c, r_soc); `tau1_s`, `tau2_s` (r_temperature_c).
    `activation_k` holds the Arrhenius temperatures (E/R) of R0, R1, R2 for temperatures outside the table.
    `knee_v` bends the first pair (see `goals`); 0: straight.
    `uncertainty` has one standard deviation for each fitted field, in its unit and shape.
    """

    name: str
    chemistry: str
    capacity_ah: float
    capacity_temperature_c: Array
    capacity_ratio: Array
    ocv_temperature_c: Array
    ocv_soc: Array
    ocv_v: Array
    hysteresis_v: Array
    hysteresis_soc: float
    r_temperature_c: Array
    r_soc: Array
    r0_ohm: Array
    r1_ohm: Array
    r2_ohm: Array
    tau1_s: Array
    tau2_s: Array
    activation_k: tuple[float, float, float]
    reference_c: float
    heat_capacity_j_k: float
    thermal_resistance_k_w: float
    knee_v: float = 0.0
    uncertainty: dict[str, Any] = field(default_factory=dict[str, Any])
    source: str = ""
    fit: dict[str, Any] = field(default_factory=dict[str, Any])

    def capacity(self, temperature_c: Array) -> Array:
        """Capacity in Ah at `temperature_c`, any shape."""
        return self.capacity_ah * np.interp(temperature_c, self.capacity_temperature_c, self.capacity_ratio)

    def ocv(self, soc: Array | float, temperature_c: Array | float | None = None) -> Array:
        """Open-circuit voltage at `soc`, any shape; continued with the end slopes beyond 0..1."""
        at = self.reference_c if temperature_c is None else temperature_c
        return self._ocv.at(np.asarray(at, dtype=np.float64), np.asarray(soc, dtype=np.float64))

    def soc_of_ocv(self, voltage_v: Array | float, temperature_c: float | None = None) -> Array:
        """SoC at which the cell rests at `voltage_v`, hysteresis aside."""
        soc = self._ocv.columns
        at = np.asarray(self.reference_c if temperature_c is None else temperature_c, dtype=np.float64)
        return np.asarray(np.interp(voltage_v, self._ocv.at(at, soc), soc))

    def hysteresis(self, soc: Array) -> Array:
        """Half the gap between the rest voltages after charge and after discharge, in V, any shape."""
        return np.interp(soc, self.ocv_soc, self.hysteresis_v)

    def resistances(self, soc: Array, temperature_c: Array) -> tuple[Array, Array, Array]:
        """R0, R1, R2 in ohm at each (soc, temperature_c), same shape."""
        cold, hot = self.r_temperature_c[0], self.r_temperature_c[-1]
        inside = np.minimum(np.maximum(temperature_c, cold), hot)
        beyond = 1 / (temperature_c + KELVIN) - 1 / (inside + KELVIN)
        logs = self._log_r.at(-1 / (inside + KELVIN), soc) + beyond[..., None] * np.asarray(self.activation_k)
        r = np.exp(logs)
        return r[..., 0], r[..., 1], r[..., 2]

    def taus(self, temperature_c: Array) -> tuple[Array, Array]:
        """Time constants of the two pairs in s, shape of `temperature_c`."""
        if len(self.r_temperature_c) == 1:
            return np.full_like(temperature_c, self.tau1_s[0]), np.full_like(temperature_c, self.tau2_s[0])
        left, w = place(self._log_r.rows, -1 / (temperature_c + KELVIN))
        low, high = self._log_tau[:, left], self._log_tau[:, left + 1]
        first, second = np.exp(low + w * (high - low))
        return first, second

    def goals(self, current_a: Array | float, r1_ohm: Array, r2_ohm: Array) -> tuple[Array, Array]:
        """Voltages to which v1 and v2 tend at `current_a`: i R2, and i R1 bent as charge transfer is.

        The first is knee asinh(i R1 / knee), Butler-Volmer's law for the inverse: i R1 for small currents.
        """
        straight = current_a * r1_ohm
        bent = self.knee_v * np.arcsinh(straight / self.knee_v) if self.knee_v else straight
        return bent, current_a * r2_ohm

    @property
    def _ocv(self) -> Table:
        return self.__dict__["ocv_table"]

    @property
    def _log_r(self) -> Table:
        return self.__dict__["log_r_table"]

    @property
    def _log_tau(self) -> Array:
        return self.__dict__["log_tau_rows"]

    def __post_init__(self) -> None:
        s, v = self.ocv_soc, self.ocv_v
        low = v[:, :1] - _OVER * (v[:, 1:2] - v[:, :1]) / (s[1] - s[0])
        high = v[:, -1:] + _OVER * (v[:, -1:] - v[:, -2:-1]) / (s[-1] - s[-2])
        wide = np.concatenate(([s[0] - _OVER], s, [s[-1] + _OVER]))
        own = self.__dict__
        own["ocv_table"] = Table(self.ocv_temperature_c, wide, np.concatenate((low, v, high), axis=1))
        logs = np.log(np.stack((self.r0_ohm, self.r1_ohm, self.r2_ohm), axis=-1))
        own["log_r_table"] = Table(-1 / (self.r_temperature_c + KELVIN), self.r_soc, logs)
        own["log_tau_rows"] = np.log(np.stack((self.tau1_s, self.tau2_s)))


# field -> the grids over which it is given
_SHAPES: dict[str, tuple[str, ...]] = {
    "capacity_ratio": ("capacity_temperature_c",),
    "ocv_v": ("ocv_temperature_c", "ocv_soc"),
    "hysteresis_v": ("ocv_soc",),
    "r0_ohm": ("r_temperature_c", "r_soc"),
    "r1_ohm": ("r_temperature_c", "r_soc"),
    "r2_ohm": ("r_temperature_c", "r_soc"),
    "tau1_s": ("r_temperature_c",),
    "tau2_s": ("r_temperature_c",),
}
_SOC_GRIDS = ("ocv_soc", "r_soc")
_GRIDS = ("capacity_temperature_c", "ocv_temperature_c", "r_temperature_c", *_SOC_GRIDS)
_POSITIVE = ("capacity_ah", "hysteresis_soc", "heat_capacity_j_k", "thermal_resistance_k_w")
_NUMBERS = (*_POSITIVE, "reference_c", "knee_v")
_MAY_BE_ZERO = ("hysteresis_v", "ocv_v")


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
    values = cast(dict[str, Any], raw)
    try:
        return _checked(values)
    except CellFileError as error:
        raise CellFileError(f"{path}: {error}") from error
    except KeyError as error:
        raise CellFileError(f"{path}: field {error.args[0]!r} is missing") from error


def _checked(raw: dict[str, Any]) -> CellFile:
    known = {item.name for item in fields(CellFile)}
    if unknown := sorted(set(raw) - known):
        raise CellFileError(f"field {unknown[0]!r} is not one of a cell file's: {', '.join(sorted(known))}")
    values = dict(raw)
    for key in (*_GRIDS, *_SHAPES):
        values[key] = _numbers(key, raw[key])
    values.setdefault("knee_v", 0.0)
    for key in _NUMBERS:
        values[key] = float(_numbers(key, values[key]).reshape(()))
    values["activation_k"] = tuple(_numbers("activation_k", raw["activation_k"]).tolist())
    if len(values["activation_k"]) != 3:
        raise CellFileError(
            f"activation_k has {len(values['activation_k'])} values, must have 3 (R0, R1, R2)"
        )
    for key in _GRIDS:
        _check_grid(key, values[key])
    for key, grids in _SHAPES.items():
        _check_values(key, values[key], {grid: len(values[grid]) for grid in grids})
    for key in _POSITIVE:
        if not values[key] > 0:
            raise CellFileError(f"{key} is {values[key]}, must be above 0")
    if not values["knee_v"] >= 0:
        raise CellFileError(f"knee_v is {values['knee_v']}, must be 0 (straight) or above")
    return CellFile(**values)


def _numbers(key: str, given: object) -> Array:
    try:
        values = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise CellFileError(f"{key} must be a number or lists of numbers: {error}") from error
    if not np.isfinite(values).all():
        raise CellFileError(f"{key} holds a value that is not a finite number")
    if key in _NUMBERS and values.ndim:
        raise CellFileError(f"{key} must be one number, not a list")
    return values


def _check_grid(key: str, grid: Array) -> None:
    least = 2 if key in _SOC_GRIDS else 1
    if grid.ndim != 1 or len(grid) < least or not (np.diff(grid) > 0).all():
        what = "two SoC values" if least == 2 else "one temperature"
        raise CellFileError(f"{key} must be a rising list of at least {what}")


def _check_values(key: str, values: Array, shape: dict[str, int]) -> None:
    if values.shape != tuple(shape.values()):
        want = " x ".join(f"{n} ({grid})" for grid, n in shape.items())
        raise CellFileError(f"{key} has shape {list(values.shape)}, must have {want}")
    if key in _MAY_BE_ZERO:
        if not (values >= 0).all():
            raise CellFileError(f"{key} must not be negative; its least value is {values.min():g}")
    elif not (values > 0).all():
        raise CellFileError(f"{key} must be above 0; its least value is {values.min():g}")
