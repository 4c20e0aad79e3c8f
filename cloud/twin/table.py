"""Values over (temperature, SoC): bilinear, one row a temperature, vectorised over cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.intp]


def place(grid: Array, x: Array) -> tuple[Index, Array]:
    """Left grid point and weight of the right one for each x, any shape; held beyond the ends."""
    if len(grid) == 1:
        return np.zeros(x.shape, dtype=np.intp), np.zeros(x.shape)
    left = np.minimum(np.maximum(grid.searchsorted(x, side="right") - 1, 0), len(grid) - 2)
    start = grid[left]
    weight = (x - start) / (grid[left + 1] - start)
    return left, np.minimum(np.maximum(weight, 0.0), 1.0)


class Table:
    """`values` has shape (rows, columns) or (rows, columns, n); `rows` and `columns` rise."""

    def __init__(self, rows: Array, columns: Array, values: Array) -> None:
        self.rows, self.columns = rows, columns
        # A last column beyond the end, never weighted, lets every lookup read four neighbours.
        padded = np.concatenate((values, values[-1:]), axis=0)
        padded = np.concatenate((padded, padded[:, -1:]), axis=1)
        self._width = padded.shape[1]
        self._flat = padded.reshape(-1, *padded.shape[2:])

    def at(self, row: Array, column: Array) -> Array:
        """Value at each (row, column); the two broadcast; shape is theirs (plus n). Held beyond the ends."""
        i, u = place(self.rows, row)
        j, w = place(self.columns, column)
        k = i * self._width + j
        if self._flat.ndim > 1:
            u, w = u[..., None], w[..., None]
        if len(self.rows) == 1:
            return (1 - w) * self._flat[k] + w * self._flat[k + 1]
        low = (1 - w) * self._flat[k] + w * self._flat[k + 1]
        below = k + self._width
        high = (1 - w) * self._flat[below] + w * self._flat[below + 1]
        return (1 - u) * low + u * high
