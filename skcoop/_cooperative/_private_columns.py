# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Columns that stay in their silos, and columns that should: by them rows are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skcoop._tables._distances import RowMetric
from skcoop._tables._frames import FloatMatrix
from skcoop._tables._permissions import column_positions
from skcoop._tables._task import Task
from skcoop._utils._warnings import warn

# In fewer rows, values that mean nothing of the kind are often all different.
_LEAST_ROWS = 50
# A person may have two rows, and a name two persons.
_NEARLY_ALL = 0.9
_TEXTS = ("string", "bytes", "mixed", "mixed-integer")


def keep_at_home(
    task: Task, private_columns: Any, silos: NDArray[np.intp] | None
) -> None:
    """Note which columns stay in their silos, and look at all others.

    Parameters
    ----------
    task : Task
        The rows of all silos.
    private_columns : list or None
        As of the distiller.
    silos : ndarray of int, shape (n_samples,) or None
        The silo of each row, None where there are none.

    Raises
    ------
    ValueError
        If there are no silos to stay in, if a name is no column's, or if a column of
        texts that are nearly all different is to travel.
    """
    mark_private(task, private_columns)
    if task.private.any() and silos is None:
        raise ValueError(
            f"private_columns={private_columns!r} keeps columns in their silos, but "
            "there are none. Say with silo_column or fit(..., silos=...) whose row is "
            "whose, or leave private_columns out."
        )
    if silos is not None and len(np.unique(silos)) > 1:
        _check_identifiers(task)


def mark_private(task: Task, private_columns: Any) -> None:
    """Note which columns of a task stay in their silos, and that nothing varies them.

    Raises
    ------
    ValueError
        If a name is no column's.
    """
    chosen = column_positions(private_columns, task.codec, "private_columns")
    task.private[chosen] = True
    task.permissions.varies = task.permissions.varies & ~task.private


def _check_identifiers(task: Task) -> None:
    """Refuse texts by which rows are known, and warn of numbers that may be such."""
    texts, numbers = [], []
    whole = np.ravel(RowMetric(task.codec, task.Z).integral)
    for j in np.flatnonzero(~task.private).tolist():
        kind = _kind_of(task, j, bool(whole[j]))
        if kind in _TEXTS and _share_distinct(task.Z[:, j]) >= _NEARLY_ALL:
            texts.append(task.codec.names[j])
        if kind == "integer" and _share_distinct(task.Z[:, j]) == 1:
            numbers.append(task.codec.names[j])
    what_to_do = (
        "Drop such columns, or name them in private_columns: a lesson then has a value "
        "of the student's own silo there."
    )
    if texts:
        raise ValueError(
            f"The columns {texts} hold texts that are different in nearly all rows, as "
            "names and identifiers are, and lessons would carry them from silo to "
            f"silo. {what_to_do}"
        )
    if numbers:
        warn(
            f"The columns {numbers} hold whole numbers that are different in all rows, "
            "as identifiers are. If they are, lessons carry them from silo to silo. "
            f"{what_to_do}"
        )


def _kind_of(task: Task, j: int, whole: bool) -> str:
    """Say what a column holds, in pandas' words; nothing of times."""
    if task.codec.times[j]:
        return ""
    if task.codec.coded[j]:
        return pd.api.types.infer_dtype(task.codec.levels_of(j))
    return "integer" if whole else ""


def _share_distinct(cells: FloatMatrix) -> float:
    """Return the share of different cells among many that are known, else nothing."""
    known = cells[~np.isnan(cells)]
    # The usual case at once: whole numbers and categories that are too few.
    if known.size < _LEAST_ROWS or np.ptp(known) + 1 < _NEARLY_ALL * known.size:
        return 0.0
    return float(pd.unique(known).size / known.size)
