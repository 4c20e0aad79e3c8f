"""The Sample record: what the AFE measured last, preallocated, in three groups with age and quality."""

from array import array

TICK_MS = 5
"""Period of the safety tick and of the FAST group."""

QUALITY_OK = 0
"""Quality byte of a group; any other value says why the values must not be believed."""


class Sample:
    """Last measurement of one string: `n_cells` cells and `n_temps` sensors, integers only.

    `*_seq` counts valid arrivals (modulo 2^16); `*_quality` is 0 when the values can be believed.
    A group whose quality is not 0 does not count as an arrival: unknown is not fresh.
    """

    def __init__(self, n_cells: int, n_temps: int) -> None:
        self.n_cells = n_cells
        self.n_temps = n_temps
        self.current_ma = 0
        self.pack_mv = 0
        self.link_mv = 0
        self.feedback = 0
        self.fast_seq = 0
        self.fast_quality = 1
        self.cell_mv = array("H", [0] * n_cells)
        self.cells_seq = 0
        self.cells_quality = 1
        self.temp_dc = array("h", [0] * n_temps)
        self.isolation_kohm = 0
        self.temps_seq = 0
        self.temps_quality = 1
