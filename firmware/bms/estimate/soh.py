"""State of health with an error bar: capacity by total least squares, resistance against the tables.

Between two rests the open-circuit voltage tells how far the state of charge has moved, the current how much
charge it took; both have errors. The weighted total least squares of Plett (J. Power Sources 196, 2011) judge
a capacity by the sum of (charge - capacity dSoC)^2 / (var(charge) + capacity^2 var(dSoC)). That sum has no
recursive minimum; his AWTLS makes one by approximation. Here the sum itself is kept, fading, for a row of
candidates, each with three shares of lost lithium (curve.py) and three errors of the voltage sensor, which
every pair of rests has in common; the minimum and its width are read off. No start value, nothing to
linearise, no covariance to lose; a pair that fits nothing can do no more than `_MOST`.

Integers only, 32-bit safe, nothing allocated after construction. A pair is worked off candidate by candidate,
one a call, so that no call takes long.
"""

from array import array


from bms.fixed import root
from bms.estimate.curve import Curve
from bms.estimate.inputs import scaled
from bms.sample import UNKNOWN_CPCT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.estimate.rest import Rest

NODES = 24
FIRST_CPCT = 6200
NODE_CPCT = 200
"""Candidates: 62 % to 108 % of the nominal capacity."""
SHARES = 3
"""Lost lithium's share of what is lost: none, half, all."""
OFFSETS = 3
_OFFSET_16MV = 4 << 4
"""Errors of the voltage sensor: 4 mV low, none, 4 mV high."""
_ONE = 1 << 16
"""Chi-square counts in 2^-16."""
_OFFSET_PRIOR = _ONE * 16 // 9
"""Chi-square of an error of 4 mV: the sensor's is 3 mV, one sigma."""
_CELLS = SHARES * OFFSETS
_MOST = 4 << 8
"""Sigmas, 2^-8, that one pair may be off by: more is an error, not a measurement."""
_FADE = 5
"""Each pair takes 2^-5 off what was before."""
_FLOOR_CPCT = 60
"""Error of a SoC read from a curve, voltage aside: the curve's own."""
_BENT = 30
"""Where it is not known how ageing bends the curve: error of a SoC in percent of what is lost."""
_GAIN_CPCT = 60
"""Error of the current sensor's gain, which no number of pairs takes away."""
LEAST_CPCT = 2000
"""A pair's dSoC, and by how many of its sigmas it must exceed them."""
_LEAST_SIGMAS = 8
_STALE_CPCT = 150
"""A charge known worse makes no pair."""
_BEYOND_CPCT = 500
"""Error of a SoC read beyond the curve's ends."""

_VERSION = 2
_HEAD = 10
SIZE = _HEAD + NODES * _CELLS
"""Bytes of a saved record, which fits into the journal."""


class Capacity:
    """Capacity of a string of `capacity_mah` (nominal, as a fresh cell has it) of cells with ECM words `tab`
    (ecm.load) and, where known, `shift` (curve.load_shift).

    `soh_cpct`, 0.01 % of the nominal capacity, is known to `sigma_cpct` (one sigma; 10000: not at all);
    `pairs` were taken. `newest` is the curve at the newest rest.
    """

    def __init__(self, capacity_mah: int, tab: "array[int]", shift: "array[int] | None" = None) -> None:
        self._capacity, self._bits = scaled(capacity_mah)
        self._end = Curve(tab, shift)
        self.newest = Curve(tab, shift)
        self._chi = array("i", [0] * (NODES * _CELLS))
        self._best = array("i", [0] * NODES)
        self._weight = 0
        self._have_end = False
        self._node = NODES
        self._ends = array("i", [0] * 4)  # voltage and sigma of the older and the newer end
        self._soc = array("i", [0] * 6)
        self._charge = self._charge_sigma = 0
        self.soh_cpct = 10_000
        self.sigma_cpct = UNKNOWN_CPCT
        self.lost_cpct = 0
        self.pairs = 0

    @property
    def capacity_mah(self) -> int:
        """As estimated."""
        return (self._capacity * self.soh_cpct // 10_000) << self._bits

    def step(self, rest: "Rest", hysteresis_q10: int = 0) -> bool:
        """Once a second after Rest.observe. True when a pair has just been worked in.

        `hysteresis_q10`: -1024 after discharge .. 1024 after charge, as the filter has it at the rest.
        """
        if self._node < NODES:
            self._work(self._node)
            self._node += 1
            if self._node < NODES:
                return False
            self._end.copy(self.newest)
            self._ends[0] = self._ends[2]
            self._ends[1] = self._ends[3]
            self._tell()
            return True
        if rest.ready:
            self._take(rest, hysteresis_q10)
        return False

    def soc(self, rest_16mv: int) -> int:
        """SoC in 0.01 % at a rest voltage, on the curve of the newest rest as it is bent by now."""
        return self.newest.soc(rest_16mv, self.lost_cpct)

    def _take(self, rest: "Rest", hysteresis_q10: int) -> None:
        new = self.newest
        ends = self._ends
        new.at(rest.temp_dc)
        gap = new.gap_16mv(new.soc(rest.rest_16mv, self.lost_cpct))
        ends[2] = rest.rest_16mv - (gap * hysteresis_q10 >> 10)
        ends[3] = rest.sigma_16mv + (gap >> 1)
        if not self._have_end or rest.charge_sigma_cpct > _STALE_CPCT:
            self._restart(rest)
        elif self._wide():
            ratio = self._end.ratio_q14 + new.ratio_q14 >> 1
            charge = min(20_000, max(-20_000, rest.charge_cpct))
            self._charge = (charge << 14) // ratio
            self._charge_sigma = rest.charge_sigma_cpct
            rest.mark()
            self._node = 0
            self.pairs = min(30_000, self.pairs + 1)
            self._weight += _ONE - (self._weight >> _FADE)
        else:
            rest.ready = False

    def _restart(self, rest: "Rest") -> None:
        """This rest becomes the older end of the next pair."""
        self._end.copy(self.newest)
        self._ends[0] = self._ends[2]
        self._ends[1] = self._ends[3]
        self._have_end = True
        rest.mark()

    def _wide(self) -> bool:
        """Whether the two ends are far enough apart for what is known of them."""
        if abs(self._end.ratio_q14 - self.newest.ratio_q14) > 1 << 9:
            return False
        sigma = self._look_up(self.lost_cpct, 10_000)
        moved = abs(self._soc[4] - self._soc[1])
        return moved >= LEAST_CPCT and moved >= _LEAST_SIGMAS * sigma

    def _look_up(self, lost_cpct: int, soh_cpct: int) -> int:
        """SoC of both ends for each error of the voltage into `_soc`; sigma of what lies between."""
        variance = 0
        for n in range(2):
            curve = self.newest if n else self._end
            v = self._ends[2 * n]
            for k in range(OFFSETS):
                self._soc[3 * n + k] = curve.soc(v + (1 - k) * _OFFSET_16MV, lost_cpct)
            low = self._soc[3 * n + 2]
            high = self._soc[3 * n]
            sigma = (high - low) * self._ends[2 * n + 1] // (2 * _OFFSET_16MV)
            if low == 0 or high == 10_000:
                sigma += _BEYOND_CPCT
            if not curve.ages:
                sigma += abs(10_000 - soh_cpct) * _BENT // 100
            sigma = min(2000, sigma)
            variance += sigma * sigma + _FLOOR_CPCT * _FLOOR_CPCT
        return root(variance)

    def _work(self, node: int) -> None:
        """Add the pair to one candidate."""
        soh = FIRST_CPCT + node * NODE_CPCT
        chi = self._chi
        at = node * _CELLS
        sigma = 1
        for share in range(SHARES):
            if share == 0 or (self.newest.ages and soh < 10_000):
                lost = (10_000 - soh) * share // (SHARES - 1) if soh < 10_000 else 0
                sigma = self._look_up(lost, soh) * soh // 10_000
                sigma = root(sigma * sigma + self._charge_sigma * self._charge_sigma)
            for k in range(OFFSETS):
                moved = self._soc[3 + k] - self._soc[k]
                wrong = abs(self._charge - moved * soh // 10_000)
                off = min(_MOST, ((wrong << 8) + (sigma >> 1)) // sigma)
                before = chi[at]
                chi[at] = before - (before >> _FADE) + off * off
                at += 1

    def _tell(self) -> None:
        """Minimum of the sum over the candidates and its width."""
        best = self._best
        place = 0
        shape = 0
        for node in range(NODES):
            at = node * _CELLS
            least = 1 << 29
            for k in range(_CELLS):
                value = self._chi[at + k] + (_OFFSET_PRIOR if k % OFFSETS != 1 else 0)
                if value < least:
                    least = value
                    if node == 0 or value < best[place]:
                        shape = k // OFFSETS
            best[node] = least
            if least < best[place]:
                place = node
        self.lost_cpct = max(0, (10_000 - FIRST_CPCT - place * NODE_CPCT) * shape // (SHARES - 1))
        self._widths(place)

    def _widths(self, place: int) -> None:
        best = self._best
        node_cpct = FIRST_CPCT + place * NODE_CPCT
        if place == 0 or place == NODES - 1:
            # beyond the candidates: nobody knows how far
            self.soh_cpct = node_cpct
            self.sigma_cpct = UNKNOWN_CPCT
            return
        bend = max(64, best[place - 1] + best[place + 1] - 2 * best[place])
        aside = (best[place - 1] - best[place + 1] >> 6) * NODE_CPCT // (bend >> 5)
        self.soh_cpct = node_cpct + min(NODE_CPCT, max(-NODE_CPCT, aside))
        sigma = NODE_CPCT * root((2 * _ONE << 12) // bend) >> 6
        # a sum with more than one valley, or a flat one
        for node in range(NODES):
            if best[node] - best[place] <= 4 * _ONE:
                sigma = max(sigma, abs(FIRST_CPCT + node * NODE_CPCT - self.soh_cpct) >> 1)
        if best[place] > self._weight:
            # the pairs contradict each other by more than they should
            sigma = sigma * root(best[place] // max(1, self._weight >> 8)) >> 4
        sigma = min(UNKNOWN_CPCT, sigma)
        gain = self.soh_cpct * _GAIN_CPCT // 10_000
        self.sigma_cpct = min(UNKNOWN_CPCT, root(sigma * sigma + gain * gain))

    def save(self, record: bytearray) -> None:
        """Write what must survive a reboot into `record`, SIZE bytes."""
        least = min(self._chi)
        words = (self._weight >> 6, least >> 10, self.pairs, self._capacity)
        record[0] = _VERSION
        record[1] = self._bits
        for i in range(len(words)):
            record[2 + 2 * i] = words[i] & 0xFF
            record[3 + 2 * i] = words[i] >> 8
        for i in range(NODES * _CELLS):
            # in sigmas, 1/32 each, rounded; what is more than 8 away stays away
            above = min(65_025, self._chi[i] - least >> 6)
            low = root(above)
            record[_HEAD + i] = low + (above - low * low > low)

    def load(self, record: "bytes | bytearray") -> bool:
        """Go on from a saved record; False, and nothing changed, where it is of another pack or version."""
        if len(record) != SIZE or record[0] != _VERSION or record[1] != self._bits:
            return False
        if record[8] | record[9] << 8 != self._capacity:
            return False
        least = (record[4] | record[5] << 8) << 10
        for i in range(NODES * _CELLS):
            above = record[_HEAD + i]
            self._chi[i] = least + (above * above << 6)
        self._weight = (record[2] | record[3] << 8) << 6
        self.pairs = record[6] | record[7] << 8
        self._have_end = False
        self._node = NODES
        if self.pairs:
            self._tell()
        return True
