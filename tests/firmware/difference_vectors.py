"""Random strings and random steps for the cells' differences, the same on every interpreter."""

from array import array

from bms.estimate.differences import Differences
from bms.estimate.ekf import Ekf
from ekf_vectors import Random, block, digest


def drive(ekf: Ekf, cells: Differences, random: Random, steps: int, before: int) -> int:
    """`steps` random samples: drives and rests, gaps, lost and impossible values; returns the digest."""
    level = 0
    mv = 3000 + random.below(1200)
    apart = random.below(300) if random.below(4) else random.below(1500)
    cell_mv = array("H", [0] * cells.n_cells)
    for n in range(steps):
        kind = random.below(64)
        if kind == 0:
            level = random.below(40_000) - 25_000
        elif kind == 1:
            level = 0
        elif kind == 2:
            mv = random.below(6500)
        elif kind == 3:
            mv = 3000 + random.below(1200)
        ma = level + random.below(2000) - 1000 if level else 0
        dt = 1000 if kind < 60 else 1 + random.below(1000)
        for i in range(cells.n_cells):
            cell_mv[i] = mv + apart * (i & 3) + random.below(8)
        if kind == 6:
            cell_mv[random.below(cells.n_cells)] = random.below(65536)
        temp = 250 + random.below(40) if kind != 7 else random.below(4000) - 2000
        ekf.observe(
            dt, ma, 0 if kind == 4 else sum(cell_mv) * 16 // cells.n_cells, temp, dt if kind == 5 else 0
        )
        cells.follow(ekf.words, cell_mv)
        if n & 15 == 15:
            before = digest(cells.words, before)
    return before


def vectors(strings: int, steps: int) -> int:
    """Digest over `strings` random strings of 2 to 17 cells, `steps` steps each."""
    random = Random(9)
    result = 1
    for n in range(strings):
        tables = block(random)
        ekf = Ekf(500 + random.below(5000) + (120_000 if n & 3 == 3 else 0), tables)
        ekf.start(random.below(10_001), random.below(6000), bool(n & 1))
        cells = Differences(2 + random.below(16), tables, random.below(1600))
        result = drive(ekf, cells, random, steps, result)
    return result
