"""Random cells and random steps for the SoC filter, the same on every interpreter."""

from array import array

from bms.estimate import ecm

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.estimate.ekf import Ekf

BITS = 0x7FFFFFFF


class Random:
    """A small generator that every interpreter computes alike."""

    def __init__(self, seed: int) -> None:
        self._state = seed

    def below(self, n: int) -> int:
        """0 .. n-1, n up to 2^16."""
        self._state = (self._state * 1103515245 + 12345) & BITS
        return (self._state >> 15) % n


def block(random: Random) -> bytearray:
    """The ECM block of a cell that nobody has made."""
    rows = 2 + random.below(4)
    words = array("H", [0] * ecm.words_needed(rows))
    words[ecm.W_MAGIC] = ecm.MAGIC
    words[ecm.W_VERSION] = ecm.VERSION
    words[ecm.W_ROWS] = rows
    words[ecm.W_BASE_MV] = 2000 + random.below(1000)
    words[ecm.W_HYST_SOC] = 500 + random.below(5000)
    at = ecm.HEAD
    for i in range(rows):
        words[at + i] = 700 + 150 * i + random.below(100)
        words[at + rows + i] = 12000 + random.below(6000)
        words[at + 2 * rows + i] = 20 + random.below(400)
        words[at + 3 * rows + i] = 400 + random.below(9000)
    at += 4 * rows
    steep = 1 + random.below(300)
    for _ in range(rows):
        ocv = random.below(3000)
        for i in range(129):
            words[at] = ocv
            ocv += 1 + random.below(steep) + (1500 >> i if i < 11 else 0)
            at += 1
    for largest in (3000, 3000, 12000):
        largest = 100 + random.below(largest)
        for _ in range(33 * rows):
            words[at] = largest // 4 + random.below(largest)
            at += 1
    words[ecm.W_KNEE] = random.below(4) * random.below(4000)
    while at < len(words) - ecm.ASINH_COLUMNS:
        words[at] = random.below(400)
        at += 1
    for i in range(ecm.ASINH_COLUMNS):
        words[at + i] = i * 200 + random.below(400)
    return _bytes(words)


def plain_block() -> bytearray:
    """OCV 3 V + 1 V times SoC, 30 mV at 1C in each of R0, R1, R2, 10 s and 100 s; no hysteresis."""
    rows = 2
    words = array("H", [0] * ecm.words_needed(rows))
    words[ecm.W_MAGIC] = ecm.MAGIC
    words[ecm.W_VERSION] = ecm.VERSION
    words[ecm.W_ROWS] = rows
    words[ecm.W_BASE_MV] = 3000
    words[ecm.W_HYST_SOC] = 3000
    for at, pair in enumerate(((700, 1600), (16384, 16384), (100, 100), (1000, 1000))):
        words[ecm.HEAD + 2 * at], words[ecm.HEAD + 2 * at + 1] = pair
    at = ecm.HEAD + 4 * rows
    for i in range(129 * rows):
        words[at + i] = i % 129 * 128
    at += 129 * rows
    for i in range(33 * rows * 3):
        words[at + i] = 983
    return _bytes(words)


def _bytes(words: "array[int]") -> bytearray:
    words[ecm.W_CHECK] = ecm.checksum(words)
    out = bytearray(2 * len(words))
    for i in range(len(words)):
        out[2 * i] = words[i] & 0xFF
        out[2 * i + 1] = words[i] >> 8
    return out


def digest(x: "array[int]", before: int) -> int:
    """31-bit digest of the filter's words after those of the steps before."""
    for word in x:
        before = ((before * 31) ^ word) & BITS
    return before


class Course:
    """Random drives and rests at random voltages. After `step`: `ma` and `dt`, and `kind`, 0..63, which says
    what else may be wrong in this sample (4: no voltage, 5: no current)."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._level = 0
        self.mv = 3000 + random.below(1200)
        self.ma = 0
        self.dt = 1000
        self.kind = 0

    def step(self) -> int:
        """The next sample; returns its kind."""
        random = self._random
        kind = self.kind = random.below(64)
        if kind == 0:
            self._level = random.below(40_000) - 25_000
        elif kind == 1:
            self._level = 0
        elif kind == 2:
            self.mv = random.below(6500)
        elif kind == 3:
            self.mv = 3000 + random.below(1200)
        self.ma = self._level + random.below(2000) - 1000 if self._level else 0
        self.dt = 1000 if kind < 60 else 1 + random.below(1000)
        return kind


def drive(ekf: "Ekf", random: Random, steps: int, before: int) -> int:
    """`steps` random samples: drives and rests, gaps, lost and impossible values; returns the digest."""
    course = Course(random)
    for n in range(steps):
        kind = course.step()
        seen = 0 if kind == 4 else (course.mv << 4) + random.below(500)
        temp = 250 + random.below(40) if kind != 6 else random.below(4000) - 2000
        ekf.observe(course.dt, course.ma, seen, temp, course.dt if kind == 5 else 0)
        if n & 15 == 15:
            before = digest(ekf.words, before)
    return before


def vectors(make: "type[Ekf]", cells: int, steps: int) -> int:
    """Digest over `cells` random cells, `steps` steps each; `make(capacity_mah, block)` gives the filter."""
    random = Random(7)
    result = 1
    for n in range(cells):
        ekf = make(500 + random.below(5000) + (120_000 if n & 3 == 3 else 0), block(random))
        ekf.start(random.below(10_001), random.below(6000), bool(n & 1))
        result = drive(ekf, random, steps, result)
    return result
