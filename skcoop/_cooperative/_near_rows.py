# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""What is too near to a row of its silo to leave it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skcoop._tables._distances import RowMetric
from skcoop._tables._frames import FloatMatrix
from skcoop._tables._row_keys import content_keys, mixed, one_cell_apart
from skcoop._tables._task import Task

# With fewer columns nearly everything is a row but for one cell, and tells nothing.
_LEAST_COLUMNS = 5
# Rows that tell how far rows usually are apart.
_MOST_ROWS = 1000


def too_near(
    task: Task, silo: int, Z: FloatMatrix, min_distance: float
) -> NDArray[np.bool_]:
    """Mark what all but tells somebody elsewhere a row of the silo.

    Parameters
    ----------
    task : Task
        The rows.
    silo : int
        Whose rows.
    Z : ndarray of shape (n_rows, n_features)
        What would leave it.
    min_distance : float
        Least distance to every row of the silo, as a share of the usual one: the
        median distance of a row to the nearest that differs.
    """
    travels = ~task.private & ~task.unrecorded[silo]
    rows = task.Z[task.silo(silo)]
    near = np.zeros(len(Z), dtype=bool)
    if travels.sum() >= _LEAST_COLUMNS:
        near |= one_cell_apart(Z[:, travels], rows[:, travels])
    if min_distance > 0 and len(Z):
        metric = task.metrics[silo]
        _, squared = metric.nearest(Z, rows, columns=travels)
        least = min_distance * _usual_distance(metric, rows, travels)
        near |= np.sqrt(squared[:, 0]) < least
    return near


def _usual_distance(
    metric: RowMetric, rows: FloatMatrix, columns: NDArray[np.bool_]
) -> float:
    """Return the median distance of some rows to the nearest that differs."""
    keys = content_keys(rows[:, columns])
    some = np.argsort(mixed(keys, 1), kind="stable")[:_MOST_ROWS]

    def differs(block: slice) -> NDArray[np.bool_]:
        return keys[some[block], None] != keys

    _, squared = metric.nearest(rows[some], rows, differs, columns=columns)
    known = np.isfinite(squared[:, 0])
    return float(np.median(np.sqrt(squared[known, 0]))) if known.any() else 0.0
