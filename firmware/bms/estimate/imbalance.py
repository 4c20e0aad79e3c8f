"""How the cells of a string differ: state of charge, capacity, the weakest, suspects of self-discharge.

The same charge flows through all cells, so between two rests what one cell's state of charge has moved over
the mean's is the mean's capacity over its own; neither the current sensor nor the pack's capacity matters.
Each pair of rests tells it as well as the voltages do; the mean over pairs, weighted with the square of what
was moved, gets better with each. A charge bled by balancing is small against a pair's.
Integers only, 32-bit safe, nothing allocated after construction.
"""

from array import array

from bms.fixed import root
from bms.estimate.inputs import LEAST_MV, MOST_MV
from bms.estimate.soh import LEAST_CPCT
from bms.sample import UNKNOWN_CPCT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.estimate.leak import Leak
    from bms.estimate.soh import Capacity

_CELL_CPCT = 70
"""Error of one cell's SoC against the mean's: the front end's channels differ by some mV."""
_FADE = 5
_SPAN_CPCT = 3000
"""A cell's capacity over the mean's is held within +-30 %."""
_STRIKES = 2
"""A cell that leaked in so many rests is a suspect."""
_MOST_STRIKES = 8
_VERSION = 2
_HEAD = 5


class Imbalance:
    """Cells of one string. After each rest `soc_cpct` and `soc_spread_cpct` (0.01 %), `weakest`: the cell
    with the least charge left to give, `fullest`: that with the least room; `usable_cpct` the charge that the
    string can give and take between them, 0.01 % of the mean cell's capacity.

    `capacity_cpct`: each cell's capacity over the mean's less one, 0.01 %, known to `sigma_cpct`.
    """

    def __init__(self, n_cells: int) -> None:
        self.n_cells = n_cells
        self.soc_cpct = array("i", [0] * n_cells)
        self.capacity_cpct = array("i", [0] * n_cells)
        self.sigma_cpct = UNKNOWN_CPCT
        self.weakest = self.fullest = -1
        self.usable_cpct = 0
        self._sums_16mv = array("i", [0] * n_cells)
        self._minute_16mv = array("i", [0] * n_cells)
        self._last = array("i", [0] * n_cells)
        self._strikes = bytearray(n_cells)
        self._samples = 0
        self._has_minute = False
        self._has_last = False
        self._weight = 0

    @property
    def soc_spread_cpct(self) -> int:
        """Between the fullest and the emptiest cell."""
        return max(self.soc_cpct) - min(self.soc_cpct)

    @property
    def capacity_spread_cpct(self) -> int:
        """Between the largest and the smallest cell."""
        return max(self.capacity_cpct) - min(self.capacity_cpct)

    def sample(self, cell_16mv: "array[int]") -> None:
        """One sample of a resting string, in 1/16 mV; impossible voltages spoil the minute."""
        for i in range(self.n_cells):
            if not LEAST_MV << 4 <= cell_16mv[i] <= MOST_MV << 4:
                self._samples = -1
            self._sums_16mv[i] += cell_16mv[i]
        if self._samples >= 0:
            self._samples += 1

    def minute(self) -> None:
        """A minute of rest has closed (Rest.observe); its means wait for the rest to end."""
        self._has_minute = self._samples > 0
        for i in range(self.n_cells):
            if self._has_minute:
                self._minute_16mv[i] = self._sums_16mv[i] // self._samples
            self._sums_16mv[i] = 0
        self._samples = 0

    def rested(self, capacity: "Capacity") -> None:
        """The rest that has just ended counted (Rest.ready, after Capacity.step has seen it)."""
        if not self._has_minute:
            return
        self._has_minute = False
        n = self.n_cells
        for i in range(n):
            self.soc_cpct[i] = capacity.soc(self._minute_16mv[i])
        mean = sum(self.soc_cpct) // n
        if self._has_last:
            moved = mean - sum(self._last) // n
            if abs(moved) < LEAST_CPCT:
                self._judge()
                return
            self._compare(moved)
        for i in range(n):
            self._last[i] = self.soc_cpct[i]
        self._has_last = True
        self._judge()

    def _compare(self, moved: int) -> None:
        """What each cell has moved against the mean, weighted with the square of the mean's."""
        more = (moved // 100) * (moved // 100)
        self._weight += more - (self._weight >> _FADE)
        for i in range(self.n_cells):
            own = self.soc_cpct[i] - self._last[i]
            if own * moved <= 0:
                continue
            apart = min(_SPAN_CPCT, max(-_SPAN_CPCT, (moved - own) * 10_000 // own))
            was = self.capacity_cpct[i]
            self.capacity_cpct[i] = was + (apart - was) * more // self._weight
        # two ends a pair; 0.01 % of 0.01 %: the weight counts in (1 %)^2
        self.sigma_cpct = min(UNKNOWN_CPCT, _CELL_CPCT * 141 // max(1, root(self._weight)))

    def _judge(self) -> None:
        """Who gives out first, and who is full first."""
        least = room = 1 << 29
        for i in range(self.n_cells):
            size = 10_000 + self.capacity_cpct[i]
            left = self.soc_cpct[i] * size // 10_000
            free = (10_000 - self.soc_cpct[i]) * size // 10_000
            if left < least:
                least = left
                self.weakest = i
            if free < room:
                room = free
                self.fullest = i
        self.usable_cpct = least + room

    def leaked(self, leak: "Leak") -> None:
        """A rest's finding (Leak, once a rest): strikes for the cell that leaked, all others forget one."""
        if leak.cell < 0:
            return
        for i in range(self.n_cells):
            strikes = self._strikes[i]
            if i == leak.cell:
                self._strikes[i] = min(_MOST_STRIKES, strikes + 1)
            elif strikes:
                self._strikes[i] = strikes - 1

    def suspect(self, cell: int) -> bool:
        """Whether a cell leaked in several rests."""
        return self._strikes[cell] >= _STRIKES

    @property
    def size(self) -> int:
        """Bytes of a saved record."""
        return _HEAD + 2 * self.n_cells

    def save(self, record: bytearray) -> None:
        """Write what must survive a reboot into `record`, `size` bytes."""
        record[0] = _VERSION
        record[1] = self.n_cells
        for i in range(3):
            record[2 + i] = self._weight >> 8 * i & 0xFF
        for i in range(self.n_cells):
            # 0.02 % are enough, so that strikes find room
            word = (self.capacity_cpct[i] + _SPAN_CPCT >> 1) << 4 | self._strikes[i]
            record[_HEAD + 2 * i] = word & 0xFF
            record[_HEAD + 2 * i + 1] = word >> 8

    def load(self, record: "bytes | bytearray") -> bool:
        """Go on from a saved record; False, and nothing changed, where it is of another string or version."""
        if len(record) != self.size or record[0] != _VERSION or record[1] != self.n_cells:
            return False
        self._weight = record[2] | record[3] << 8 | record[4] << 16
        for i in range(self.n_cells):
            word = record[_HEAD + 2 * i] | record[_HEAD + 2 * i + 1] << 8
            self.capacity_cpct[i] = min(_SPAN_CPCT, (word >> 4 << 1) - _SPAN_CPCT)
            self._strikes[i] = min(_MOST_STRIKES, word & 15)
        if self._weight:
            self.sigma_cpct = min(UNKNOWN_CPCT, _CELL_CPCT * 141 // root(self._weight))
        self._has_last = False
        return True
