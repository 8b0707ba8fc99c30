# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Whose row is whose: silo labels beside a table or in it, and what must hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skcoop._members._checks import is_dropped
from skcoop._members._member import Member
from skcoop._tables._frames import (
    column_names,
    each_column,
    is_frame,
    pop_column,
)
from skcoop._utils._warnings import warn


def split_silo_column(
    X: Any, silo_column: Any, silos: Any, names: Sequence[str]
) -> tuple[Any, Any]:
    """Take the silo labels out of the table, if they are there.

    A column that holds nothing but names of members, where nobody said who owns which
    row, is most likely a silo column that was forgotten: that is a warning.

    Parameters
    ----------
    X : array-like or data frame
        The table as handed in.
    silo_column : str or None
        The column of the silo labels.
    silos : array-like or None
        The silo labels, if they are apart.
    names : list of str
        The names of all members.

    Returns
    -------
    X : ndarray or data frame
        The table without the silo column.
    silos : array-like or None
        The silo labels.
    """
    if silo_column is None:
        if silos is None and is_frame(X) and X.shape[0]:
            _warn_of_forgotten_silos(X, names)
        return X, silos
    if silos is not None:
        raise ValueError(
            "Silos are given twice: pass either silo_column or fit(..., silos=...)."
        )
    if not is_frame(X):
        raise ValueError(
            f"silo_column={silo_column!r} names a column of a data frame, but X is "
            f"{type(X).__name__}. Pass the labels as fit(X, y, silos=...) instead."
        )
    if silo_column not in column_names(X):
        raise ValueError(
            f"silo_column={silo_column!r} is not a column of X; the columns are "
            f"{column_names(X)}."
        )
    return pop_column(X, silo_column)


def _warn_of_forgotten_silos(X: Any, names: Sequence[str]) -> None:
    for column, series in zip(column_names(X), each_column(X), strict=True):
        cells = nw.from_native(series, series_only=True)
        # The first cell says no at once for nearly all columns.
        if not isinstance(cells[0], str) or cells[0] not in names:
            continue
        values = set(cells.unique().to_list())
        if len(values) > 1 and values <= set(names):
            warn(
                f"Column {column!r} holds the names of members and nothing else, and "
                "every member trains on all rows. If it says whose row it is, pass "
                f"silo_column={column!r}."
            )


def check_owners(
    silos: Any, n_samples: int, estimators: Sequence[tuple[str, Any]]
) -> NDArray[np.intp]:
    """Return for each row the number of the member in whose silo it lies.

    Rows of a dropped member are marked with -1.

    Parameters
    ----------
    silos : array-like of shape (n_samples,)
        The name of the member that owns each row.
    n_samples : int
        Number of rows of X.
    estimators : list of (str, estimator)
        All members, dropped ones included.

    Raises
    ------
    ValueError
        If the labels are of the wrong number, missing, or no names of members.
    """
    silos = np.asarray(silos, dtype=object)
    if silos.shape != (n_samples,):
        raise ValueError(
            f"silos must hold one label for each row: X has {n_samples} rows, silos "
            f"has shape {silos.shape}."
        )
    missing = np.asarray(pd.isna(silos), dtype=bool)
    if missing.any():
        raise ValueError(
            f"silos holds {missing.sum()} missing labels (first in row "
            f"{np.flatnonzero(missing)[0]}). Each row must name its member."
        )
    names = [name for name, _ in estimators]
    unknown = sorted({repr(s) for s in silos if s not in names})
    if unknown:
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        raise ValueError(
            f"silos holds labels that are no member's name: "
            f"[{', '.join(unknown[:5])}]{more}. The members are {names}, all of them "
            "strings. Name the members after the silos, or add (label, 'drop') to "
            "estimators to leave the rows of a silo out."
        )
    owners = np.array([names.index(s) for s in silos], dtype=np.intp)
    numbers = {}
    for position, (_, estimator) in enumerate(estimators):
        if is_dropped(estimator):
            numbers[position] = -1
            continue
        numbers[position] = sum(number >= 0 for number in numbers.values())
    return np.array([numbers[owner] for owner in owners], dtype=np.intp)


def check_silo(member: Member, y: NDArray[Any]) -> None:
    """Raise an error for a learner without rows; warn if its rows hold one class."""
    if member.frozen:
        return
    labels = np.unique(y[member.rows])
    if not len(labels):
        raise ValueError(
            f"Member {member.name!r} has no rows to train on. Give its silo rows of "
            "positive weight, drop it, or hand it in fitted as a FrozenEstimator."
        )
    if len(member.rows) == 1:
        raise ValueError(
            f"Member {member.name!r} has one row only: no judgement can leave it out. "
            "Give its silo more rows, drop it, or hand it in fitted as a "
            "FrozenEstimator."
        )
    if len(labels) == 1:
        warn(
            f"Silo {member.name!r} holds a single class ({labels.tolist()[0]!r}): its "
            "member answers that class always until lessons teach it others."
        )
