# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Rows as hashes of their content: to find equal ones, and to draw without order."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skcoop._tables._frames import FloatMatrix

_CELLS_AT_ONCE = 200_000
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


def content_keys(Z: FloatMatrix) -> NDArray[np.uint64]:
    """Return a hash of each encoded row, equal for equal rows (NaN equals NaN)."""
    keys = np.zeros(len(Z), dtype=np.uint64)
    for cells in _cell_keys(Z):
        keys = keys * _FACTOR + cells
    return keys ^ (keys >> np.uint64(31))


def mixed(keys: NDArray[np.uint64], *numbers: int) -> NDArray[np.uint64]:
    """Return new pseudo-random numbers from keys and a few counters or seeds."""
    for number in numbers:
        keys = (keys ^ np.uint64(number)) * np.uint64(0xBF58476D1CE4E5B9)
        keys = keys ^ (keys >> np.uint64(29))
    return keys


def one_cell_apart(Z: FloatMatrix, rows: FloatMatrix) -> NDArray[np.bool_]:
    """Mark what equals one of the rows in all cells, or in all but one."""
    both = np.vstack([Z, rows])
    totals = np.zeros(len(both), dtype=np.uint64)
    factor = np.ones(1, dtype=np.uint64)  # an array: its products may overflow
    parts = []
    for cells in _cell_keys(both):
        parts.append(cells * factor)
        totals += parts[-1]
        factor = factor * _FACTOR
    apart = np.zeros(len(Z), dtype=bool)
    for part in parts:
        rest = totals - part
        apart |= np.isin(rest[: len(Z)], rest[len(Z) :])
    return apart


def _cell_keys(Z: FloatMatrix) -> Iterator[NDArray[np.uint64]]:
    """Yield hashes of the cells, column by column."""
    n_rows, n_columns = Z.shape
    # Small tables are hashed at once: to begin takes longer than to do it.
    step = max(1, _CELLS_AT_ONCE // max(n_rows, 1))
    for start in range(0, n_columns, step):
        cells = Z[:, start : start + step].T + 0.0  # which turns -0.0 into 0.0
        cells[np.isnan(cells)] = np.nan
        yield from pd.util.hash_array(cells.ravel()).reshape(cells.shape)
