# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Completion: what was never recorded for a row comes from the student's own rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skcoop._tables._distances import RowMetric
from skcoop._tables._frames import FloatMatrix
from skcoop._tables._row_keys import content_keys


def complete(
    lessons: FloatMatrix,
    unrecorded: NDArray[np.bool_],
    own: FloatMatrix,
    metric: RowMetric,
) -> FloatMatrix:
    """Fill cells that were never recorded from the student's nearest row (hot deck).

    A cell that is missing in a column that the lesson's silo does record means
    something, and stays missing.

    One neighbour fills all missing cells of a lesson, so that the values go together.
    A cell that is missing in the neighbour as well stays missing: the lesson then
    looks like the student's own rows, and their pattern of missing values says
    nothing about the class. Of rows that are equally near their content chooses one, so
    that the order of the rows does not matter.

    Parameters
    ----------
    lessons : ndarray of shape (n_lessons, n_features)
        Encoded virtual instances, NaN where a cell is missing.
    unrecorded : ndarray of bool, shape (n_lessons, n_features)
        Columns that the silo of a lesson never records.
    own : ndarray of shape (n_own, n_features)
        The student's own encoded rows.
    metric : RowMetric
        Measures nearness on the columns that both sides know.

    Returns
    -------
    completed : ndarray of shape (n_lessons, n_features)
        A copy of the lessons without the cells that the student could fill.
    """
    completed = lessons.copy()
    recorded = ~np.isnan(own).all(axis=0)
    gaps = unrecorded & recorded & np.isnan(lessons)
    open_rows = np.flatnonzero(gaps.any(axis=1))
    if not len(open_rows):
        return completed
    own = own[np.argsort(content_keys(own))]  # the first of the nearest fills the gaps
    # Rows with the same gaps know the same columns and are matched on these alone.
    patterns, pattern_of = np.unique(
        np.isnan(lessons[open_rows]), axis=0, return_inverse=True
    )
    for number, missing in enumerate(patterns):
        rows = open_rows[pattern_of.ravel() == number]
        common = ~missing & recorded
        nearest, _ = metric.nearest(lessons[rows], own, columns=common)
        donors = own[nearest[:, 0]]
        completed[rows] = np.where(gaps[rows], donors, lessons[rows])
    return completed
