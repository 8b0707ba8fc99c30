# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""What is too near to a row of its silo to leave it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skcoop._tables._frames import FloatMatrix
from skcoop._tables._row_keys import one_cell_apart
from skcoop._tables._task import Task

# With fewer columns nearly everything is a row but for one cell, and tells nothing.
_LEAST_COLUMNS = 5


def too_near(task: Task, Z: FloatMatrix, min_distance: float) -> NDArray[np.bool_]:
    """Mark what all but tells somebody elsewhere a row of the silo.

    Parameters
    ----------
    task : Task
        The rows of the silo.
    Z : ndarray of shape (n_rows, n_features)
        What would leave it.
    min_distance : float
        Least distance to every row of the silo, as a share of the usual one.
    """
    travels = task.travels
    near = np.zeros(len(Z), dtype=bool)
    if travels.sum() >= _LEAST_COLUMNS:
        near |= one_cell_apart(Z[:, travels], task.Z[:, travels])
    if min_distance > 0 and len(Z):
        _, squared = task.metric.nearest(Z, task.Z, columns=travels)
        near |= np.sqrt(squared[:, 0]) < min_distance * task.usual_distance
    return near
