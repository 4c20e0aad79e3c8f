"""Random strings and random steps for the cells' differences, the same on every interpreter."""

from array import array

from bms.estimate.differences import Differences
from bms.estimate.ekf import Ekf
from ekf_vectors import Course, Random, block, digest


def drive(ekf: Ekf, cells: Differences, random: Random, steps: int, before: int) -> int:
    """`steps` random samples: drives and rests, gaps, lost and impossible values; returns the digest."""
    course = Course(random)
    apart = random.below(300) if random.below(4) else random.below(1500)
    n_cells = cells.n_cells
    cell_mv = array("H", [0] * n_cells)
    for n in range(steps):
        kind = course.step()
        for i in range(n_cells):
            cell_mv[i] = course.mv + apart * (i & 3) + random.below(8)
        if kind == 6:
            cell_mv[random.below(n_cells)] = random.below(65536)
        temp = 250 + random.below(40) if kind != 7 else random.below(4000) - 2000
        seen = 0 if kind == 4 else sum(cell_mv) * 16 // n_cells
        ekf.observe(course.dt, course.ma, seen, temp, course.dt if kind == 5 else 0)
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
