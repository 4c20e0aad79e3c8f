"""What was measured in a second: the means over its periods that the estimators take for one sample."""

from array import array

from bms.sample import PERIOD_MS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.sample import Snapshot

PERIODS = 10
MS = PERIODS * PERIOD_MS


class Second:
    """Sums up snapshots of `n_cells` cells. Once `add` has said that a second is full:

    `current_ma`, its mean while it was measured, as it was not for `lost_ms` of the time; `cell_16mv` of each
    cell and `mean_16mv` of all in 1/16 mV, `cell_mv` in mV, 0 where the cells were not measured; the coldest
    and the hottest sensor `cold_dc`, `hot_dc`, as last known, and whether they were measured in this second,
    `temps_known`; `quiet`: the contactors were open all the time, no current could flow.
    """

    def __init__(self, n_cells: int) -> None:
        self.n_cells = n_cells
        self.cell_16mv = array("i", [0] * n_cells)
        self.cell_mv = array("H", [0] * n_cells)
        self.mean_16mv = 0
        self.current_ma = 0
        self.lost_ms = 0
        self.cold_dc = self.hot_dc = 250
        self.temps_known = False
        self.quiet = False
        self._sum_mv = array("i", [0] * n_cells)
        self._charge_ma_ms = 0
        self._seen_ms = 0
        self._n_mv = self._n_temps = self._n_open = 0
        self._periods = 0

    def add(self, snapshot: "Snapshot") -> bool:
        """One period of 100 ms; True with the last of a second."""
        if snapshot.fast_known:
            self._charge_ma_ms += snapshot.charge_ma_ms
            self._seen_ms += PERIOD_MS
        if snapshot.cells_known:
            cell_mv = snapshot.cell_mv
            for i in range(self.n_cells):
                self._sum_mv[i] += cell_mv[i]
            self._n_mv += 1
        if snapshot.temps_known:
            self.cold_dc = snapshot.temp_min_dc
            self.hot_dc = snapshot.temp_max_dc
            self._n_temps += 1
        if snapshot.gates == 0:
            self._n_open += 1
        self._periods += 1
        if self._periods < PERIODS:
            return False
        self._close()
        return True

    def _close(self) -> None:
        if self._seen_ms:
            self.current_ma = self._charge_ma_ms // self._seen_ms
        # without its current a voltage tells nothing
        known = self._n_mv > 0 and self._seen_ms > 0
        total = 0
        for i in range(self.n_cells):
            mean = (self._sum_mv[i] << 4) // self._n_mv if known else 0
            self.cell_16mv[i] = mean
            self.cell_mv[i] = mean + 8 >> 4
            total += mean
            self._sum_mv[i] = 0
        self.mean_16mv = total // self.n_cells
        self.lost_ms = MS - self._seen_ms
        self.temps_known = self._n_temps > 0
        self.quiet = self._n_open == self._periods
        self._charge_ma_ms = self._seen_ms = 0
        self._n_mv = self._n_temps = self._n_open = self._periods = 0
