"""The page of the cell files: what is fitted, how, and the errors that stand in the files themselves."""

from __future__ import annotations

from typing import Any

from cloud.twin.cell import cell_names, load_cell

TEXT = """# Cell files

A cell file (`cloud/twin/cells/*.json`) holds what one cell type is, fitted from measurements by
`cellkeeper identify`. The plant of the rig, the twin and the tables of the device's estimator are made
from it.

    v = OCV(soc, T) + h M(soc) + i R0 + v1 + v2        dv1/dt = (goal(i R1) - v1) / tau1
    goal(x) = knee asinh(x / knee)                     dv2/dt = (i R2 - v2) / tau2

| field | over | between its points | beyond them |
| --- | --- | --- | --- |
| `ocv_v` | temperature, SoC | linear | held in T; end slopes in SoC |
| `r0_ohm`, `r1_ohm`, `r2_ohm` | temperature, SoC | log, linear in SoC and 1/T | Arrhenius, `activation_k` |
| `tau1_s`, `tau2_s` | temperature | log, linear in 1/T | held |
| `hysteresis_v` (M) | SoC | linear | held |
| `capacity_ratio` | temperature | linear; times `capacity_ah` | held |
| `knee_v` | | bends the first pair at large currents (charge transfer); 0: straight | |

`hysteresis_soc` is the charge over which h turns from -1 (after discharge) to +1 (after charge).
`uncertainty` holds one standard deviation for each field. `fit` tells the logs, by kind, and the errors.
Positive current charges.

## Fitting one's own cell

    cellkeeper identify --ocv slow.csv --pulse hppc.csv --drive a.csv b.csv --test c.csv \\
        --capacity-ah 3.0 --out my_cell.json --plot my_cell.svg

A log is CSV or Parquet with `time_s, current_a, voltage_v, temperature_c`; `FILE@25` gives the
temperature of a log without that column; `--discharge-positive` turns the sign. A column `soc` (0..1) is
used where there is one. Else a log's state of charge is counted from a full charge in it, or from its
rest voltage on the OCV test. Missing kinds are made up for: without `--ocv` the rest curve comes from
the other logs, which then must be full somewhere; with one temperature usual Arrhenius laws stand in.
Either widens the uncertainty.

1. *Rest curve*: slow branches (C/150 to C/8) at each temperature; the charge branch is stretched where
   the tester's counter drifted; the middle is the OCV, half the gap less its ohmic part is the
   hysteresis.
2. *Joint fit*: Gauss-Newton over all pulses and drives at once: corrections of the OCV, logarithms of
   R0, R1, R2 and of the time constants at every grid point, a start error for each log; weak priors keep
   grid points without data near their neighbours. Rows count by the time that they stand for, less where
   the OCV is steep, less when far off.
3. *Uncertainty*: the fit's own normal matrix, with each log's residual spread and the time over which
   its residuals repeat, so that a thousand rows that err together count as one.
4. *Thermal constants*: case temperature as a low pass of i (v - OCV), chamber and start free for each
   log.

A tester's counter is itself good to 1 to 3 points near empty, so errors below 10 % SoC say more about
the log's SoC than about the cell: the tables give both.

## Shipped files

`make cells` makes them again from `CELLKEEPER_DATA`; the options are in the `.args` file beside each. No
log that is fitted is tested. The Leaf's cells and the A123 logs record no temperature: the chamber's was
given.

"""


def _rows(name: str) -> str:
    cell = load_cell(name)
    test: dict[str, dict[str, Any]] = cell.fit["test"]
    rows = [
        f"| {log} | {e['temperature_c']} | {e['rmse_mv']} | {e['rmse_above_10_mv']} | {e['mean_mv']} |"
        for log, e in sorted(test.items(), key=lambda item: item[1]["temperature_c"])
    ]
    fit = cell.fit
    counts = ", ".join(f"{len(logs)} {kind}" for kind, logs in fit["files"].items())
    return (
        f"### {cell.name} (`{name}`, {cell.chemistry}, {cell.capacity_ah:.3g} Ah)\n\n{cell.source}. "
        f"Fitted to {counts} logs: {fit['train_rmse_mv']} mV "
        f"({fit['train_rmse_above_10_mv']} above 10 %).\n\n"
        "| log, not fitted | degC | RMSE mV | above 10 % SoC | mean mV |\n| --- | --- | --- | --- | --- |\n"
        + "\n".join(rows)
        + f"\n| all, each counting once | | {fit['test_rmse_mv']} | {fit['test_rmse_above_10_mv']} | |\n"
    )


def page() -> str:
    """The page, Markdown."""
    return TEXT + "\n".join(_rows(name) for name in cell_names())
