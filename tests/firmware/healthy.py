"""A pack with nothing wrong, for the tests of control: change what the test is about."""

from bms.sample import Estimate, Snapshot
from bms.tables import params
from bms.tables.signals import CLOSED

MID_MV = (3700, 3700, 3300)
"""A cell at middle charge, by chemistry."""


def snapshot(n_cells: int = 4, chemistry: int = params.NMC) -> Snapshot:
    made = Snapshot(n_cells, 2)
    made.proven = made.fast_known = made.cells_known = made.temps_known = True
    made.state = CLOSED
    cells(made, MID_MV[chemistry])
    temps(made, 250, 250)
    return made


def cells(to: Snapshot, *cell_mv: int) -> None:
    """Set the cells, one value for all or one each, and what is derived from them."""
    for i in range(len(to.cell_mv)):
        to.cell_mv[i] = cell_mv[i % len(cell_mv)]
    to.cell_min_mv = min(to.cell_mv)
    to.cell_max_mv = max(to.cell_mv)
    to.pack_mv = sum(to.cell_mv)


def temps(to: Snapshot, low_dc: int, high_dc: int) -> None:
    to.temp_dc[0] = to.temp_min_dc = low_dc
    to.temp_dc[1] = to.temp_max_dc = high_dc


def estimate(soc_cpct: int = 5000, sigma_cpct: int = 100) -> Estimate:
    made = Estimate()
    made.soc_cpct = soc_cpct
    made.sigma_cpct = sigma_cpct
    return made
