"""Health of a string: told after enough rests, kept over a reboot."""

from bms.estimate import ecm
from bms.estimate import ekf_kernel as k
from bms.estimate.health import Health
from bms.estimate.second import Second
from bms.memory.journal import Journal
from bms.memory.kinds import STATE_KINDS
from bms.memory.layout import SECTOR, STATE, STATE_SECTORS
from bms.sample import UNKNOWN_CPCT
from ekf_vectors import plain_block
from test_app import Nvm

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array

N = 2


class Pack:
    """Two cells of 3 Ah times `soh` (0.01 %), OCV 3 V + 1 V times SoC; the second one holds 100 mAh less."""

    def __init__(self, nvm: Nvm, soh: int) -> None:
        self.journal = Journal(nvm, STATE // SECTOR, STATE_SECTORS, STATE_KINDS)
        tab = ecm.load(plain_block())
        self.health = Health(3000, N, tab, self.journal)
        self.second = Second(N)
        self.words: "array[int]" = _words()
        self.sizes = (3000 * soh // 10_000, (3000 - 100) * soh // 10_000)
        self.left_mams = [size * 3240 * 1000 for size in self.sizes]  # 90 %

    def seconds(self, n: int, current_ma: int) -> None:
        second = self.second
        for _ in range(n):
            total = 0
            for i in range(N):
                self.left_mams[i] += current_ma * 1000
                mv16 = 48_000 + self.left_mams[i] // (self.sizes[i] * 225)
                second.cell_16mv[i] = mv16
                total += mv16
            second.mean_16mv = total // N
            second.current_ma = current_ma
            second.quiet = current_ma == 0
            self.health.observe(second, self.words)
            while self.journal.step(True):
                pass

    def cycle(self) -> None:
        """Half of the charge out and in again, with a rest after each."""
        for current_ma in (-1500, 1500):
            self.seconds(3600, current_ma)
            self.seconds(1260, 0)


def _words() -> "array[int]":
    from array import array

    words = array("i", [k.BIAS] * k.WORDS)
    words[k.TEMP] = 250 + k.BIAS
    words[k.R0] = 983 + k.BIAS
    return words


def test_capacity_after_some_rests_and_after_a_reboot():
    nvm = Nvm()
    pack = Pack(nvm, 9000)
    assert pack.health.capacity.sigma_cpct == UNKNOWN_CPCT
    for _ in range(2):
        pack.cycle()
    pack.seconds(60, -1500)
    found = pack.health.capacity
    assert found.pairs >= 2
    assert found.sigma_cpct < UNKNOWN_CPCT
    # without shifts it does not know how ageing bends the curve; the mean cell has 88.5 %
    assert abs(found.soh_cpct - 8850) < 2 * found.sigma_cpct
    spread = pack.health.imbalance.capacity_spread_cpct
    assert 200 < spread < 500

    again = Pack(nvm, 9000).health
    assert again.capacity.pairs == found.pairs
    assert abs(again.capacity.soh_cpct - found.soh_cpct) <= found.sigma_cpct // 8
    assert abs(again.imbalance.capacity_spread_cpct - spread) <= 4


def test_a_record_of_another_pack_is_not_taken():
    nvm = Nvm()
    pack = Pack(nvm, 9000)
    for _ in range(2):
        pack.cycle()
    pack.seconds(60, -1500)
    journal = Journal(nvm, STATE // SECTOR, STATE_SECTORS, STATE_KINDS)
    other = Health(5000, 3, ecm.load(plain_block()), journal)
    assert other.capacity.pairs == 0
    assert other.capacity.sigma_cpct == other.imbalance.sigma_cpct == UNKNOWN_CPCT
