"""Each cell's state of charge beside the mean's: the bar-delta filter.

One filter follows the mean cell (ekf.py); the same current flows through all, so a cell's SoC moves against
the mean's by little more than what capacities differ by. A filter a cell of its difference alone, every 8 s,
is enough (Plett, "Efficient battery pack state estimation using bar-delta filtering", EVS24, 2009; Dai et
al., Applied Energy 95, 2012). It is driven by the cell's voltage less the mean's:

    V - mean V = OCV(SoC + difference) - mean OCV + gain drop + slow error

The slow error (the front end's channel, an OCV that is not the table's) is a state of its own, so that on a
flat OCV, where a millivolt is points of SoC, no number of samples makes sigma smaller than it allows; and
what a knee has told is not lost on the plateau behind it. The gain of a cell's resistance comes from what
steps of the current do to its voltage. A voltage that nothing explains widens its cell's sigma, at most to
15 points.
"""

from array import array

from bms.estimate import differences_kernel as k
from bms.estimate.ecm import load
from bms.sample import UNKNOWN_CPCT

try:
    from native_differences import follow
except ImportError:
    from bms.estimate.differences_kernel import follow

MOST_CELLS = 128
_LEAST_CPCT = 10
_MOST_CPCT = 1500


class Differences:
    """Of `n_cells` cells (2..MOST_CELLS) in series that the ECM `block` describes, at first all alike to
    `spread_cpct` (one deviation, 0.01 %).

    `soc_cpct[i]` and `sigma_cpct[i]` are a cell's SoC and its deviation, both in 0.01 %, with what is doubted
    of the mean; sigma is UNKNOWN_CPCT in the first seconds. Raises ValueError for a number of cells or a
    block that cannot be.
    """

    def __init__(self, n_cells: int, block: "bytes | bytearray", spread_cpct: int = 500) -> None:
        if not 2 <= n_cells <= MOST_CELLS:
            raise ValueError("n_cells is %d, differences are of 2..%d cells" % (n_cells, MOST_CELLS))
        self._tab = load(block)
        self.n_cells = n_cells
        cells = k.HEAD + k.STRIDE * n_cells
        self.words = array("i", [0] * (cells + 2 * n_cells))
        self.soc_cpct = memoryview(self.words)[cells : cells + n_cells]
        self.sigma_cpct = memoryview(self.words)[cells + n_cells :]
        self.start(spread_cpct)

    def start(self, spread_cpct: int) -> None:
        """Forget everything: all cells are alike to `spread_cpct`, 0.01 %."""
        c = self.words
        for i in range(k.HEAD + k.STRIDE * self.n_cells):
            c[i] = 0
        c[k.CELLS] = c[k.NEXT] = self.n_cells
        c[k.DROP] = c[k.STEP] = c[k.SLOPE] = c[k.MEAN_FORECAST] = c[k.SURPRISE] = k.BIAS
        c[k.SOC_HIGH_CPCT] = 10_000
        deviation = min(_MOST_CPCT, max(_LEAST_CPCT, spread_cpct)) * 4096 // 625
        for n in range(self.n_cells):
            at = k.HEAD + k.STRIDE * n
            for field in (k.DELTA, k.SLOW, k.U01, k.BOTH, k.GAIN, k.OPEN, k.FORECAST):
                c[at + field] = k.BIAS
            c[at + k.D0] = min(k.MOST_D0, deviation * deviation)
            c[at + k.D1] = k.SLOW_START
            c[at + k.DEVIATION] = deviation
            self.sigma_cpct[n] = UNKNOWN_CPCT
            self.soc_cpct[n] = 0

    def follow(self, words: "array[int]", cell_mv: "array[int]") -> None:
        """After each sample of the mean's filter (`Ekf.observe`): its words, the cells' voltages in mV.

        A voltage that is impossible counts for its cell only; without current or voltage nothing counts.
        """
        follow(self.words, words, self._tab, cell_mv)

    @property
    def lowest(self) -> int:
        """The cell with the least state of charge."""
        return self.words[k.LOWEST]

    @property
    def highest(self) -> int:
        """The cell with the largest."""
        return self.words[k.HIGHEST]

    @property
    def soc_low_cpct(self) -> int:
        """No cell is below that, one sigma of each counted."""
        return self.words[k.SOC_LOW_CPCT]

    @property
    def soc_high_cpct(self) -> int:
        """No cell is above that, one sigma of each counted."""
        return self.words[k.SOC_HIGH_CPCT]

    @property
    def spread_cpct(self) -> int:
        """Between the lowest and the highest cell."""
        return self.words[k.SPREAD_CPCT]

    def difference_cpct(self, cell: int) -> int:
        """A cell's SoC less the mean's, 0.01 %."""
        return (self.words[k.HEAD + k.STRIDE * cell + k.DELTA] - k.BIAS >> 12) * 10_000 >> 14

    def deviation_cpct(self, cell: int) -> int:
        """What `difference_cpct` is known to, 0.01 %."""
        return self.words[k.HEAD + k.STRIDE * cell + k.DEVIATION] * 10_000 >> 16

    def gain_q12(self, cell: int) -> int:
        """By how much a cell's resistance is larger than the mean's, 2^-12."""
        return self.words[k.HEAD + k.STRIDE * cell + k.GAIN] - k.BIAS
