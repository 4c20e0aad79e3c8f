"""How a string ages: capacity, resistance and what sets its cells apart, told and kept over reboots."""

from bms.estimate import ekf_kernel as k
from bms.estimate.imbalance import Imbalance
from bms.estimate.resistance import Resistance
from bms.estimate.rest import Rest
from bms.estimate.second import MS
from bms.estimate.soh import SIZE, Capacity
from bms.memory.kinds import CAPACITY, IMBALANCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array

    from bms.estimate.second import Second
    from bms.memory.journal import Journal


class Health:
    """Of `n_cells` in series of `capacity_mah` (nominal) and the circuit's words `tab`; begins with what the
    state `journal` has of it, and stores there what each pair of rests adds."""

    def __init__(self, capacity_mah: int, n_cells: int, tab: "array[int]", journal: "Journal") -> None:
        self.rest = Rest(capacity_mah)
        self.capacity = Capacity(capacity_mah, tab)
        self.resistance = Resistance(capacity_mah)
        self.imbalance = Imbalance(n_cells)
        self._journal = journal
        self._capacity_record = bytearray(SIZE)
        self._imbalance_record = bytearray(self.imbalance.size)
        self.capacity.load(journal.last(CAPACITY) or b"")
        self.imbalance.load(journal.last(IMBALANCE) or b"")

    def observe(self, second: "Second", words: "array[int]") -> None:
        """A second, after the filter has seen it: its words."""
        rest = self.rest
        if second.lost_ms:
            self.resistance.skip()
        else:
            self.resistance.observe(second.current_ma, second.mean_16mv, words[k.R0] - k.BIAS)
        minute = rest.observe(
            MS, second.current_ma, second.mean_16mv, words[k.TEMP] - k.BIAS, second.quiet, second.lost_ms
        )
        if rest.resting:
            self.imbalance.sample(second.cell_16mv)
        if minute:
            self.imbalance.minute()
        rested = rest.ready
        if self.capacity.step(rest, words[k.HYST] - k.BIAS >> 10):
            self._store()
        if rested:
            self.imbalance.rested(self.capacity)

    def _store(self) -> None:
        self.capacity.save(self._capacity_record)
        self._journal.append(CAPACITY, self._capacity_record, SIZE)
        self.imbalance.save(self._imbalance_record)
        self._journal.append(IMBALANCE, self._imbalance_record, self.imbalance.size)
