# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Fold numbers for cross-fitting."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import check_cv


def fold_of_each_row(
    cv: Any,
    X: Any,
    y: NDArray[Any],
    owners: NDArray[Any] | None,
    split_params: Mapping[str, Any],
    rows: NDArray[np.intp] | None = None,
) -> NDArray[np.intp]:
    """Return for each row the number of the one fold in which it is held out.

    Parameters
    ----------
    cv : int, cross-validation generator or iterable
        An int gives folds stratified by silo and class, at most one for each row.
    X : ndarray or data frame of shape (n_samples, n_features)
        The rows.
    y : ndarray of shape (n_samples,)
        Their classes.
    owners : ndarray of shape (n_samples,) or None
        The number of each row's silo.
    split_params : dict
        Passed to the splitter's ``split``.
    rows : ndarray of int, default=None
        The rows that take part; all by default. A splitter sees the others, too.

    Returns
    -------
    folds : ndarray of int, shape (n_samples,)
        Fold numbers from 0; with an int, -1 for rows that take no part.

    Raises
    ------
    ValueError
        If the test sets of the splitter do not hold each row exactly once, or if its
        training sets are not all other rows.
    """
    if isinstance(cv, Integral):
        rows = np.arange(len(y)) if rows is None else rows
        folds = np.full(len(y), -1, dtype=np.intp)
        own = None if owners is None else owners[rows]
        folds[rows] = _stratified_folds(int(cv), y[rows], own)
        return folds
    splits = check_cv(cv, y, classifier=True).split(X, y, **split_params)
    folds = np.full(len(y), -1, dtype=np.intp)
    times_held_out = np.zeros(len(y), dtype=np.intp)
    for number, (train, test) in enumerate(splits):
        held_out, trained = np.zeros((2, len(y)), dtype=bool)
        held_out[test], trained[train] = True, True
        if (held_out == trained).any():
            raise ValueError(
                "cv must train on all rows that it does not hold out, as KFold does: "
                f"split {number} does not with {(held_out == trained).sum()} of "
                f"{len(y)} rows. Splits that purge rows, or draw some, cannot be used."
            )
        folds[test] = number
        np.add.at(times_held_out, np.arange(len(y))[test], 1)
    if (times_held_out != 1).any():
        raise ValueError(
            "cv must hold out each row exactly once, as KFold does: "
            f"{(times_held_out != 1).sum()} of {len(y)} rows are held out "
            "never or more than once."
        )
    return folds


def _stratified_folds(
    n_splits: int, y: NDArray[Any], owners: NDArray[Any] | None
) -> NDArray[np.intp]:
    """Deal the rows to folds, silo by silo and class by class.

    Neighbours in that order go to different folds, so a silo of two rows is in two
    folds and every group is spread as evenly as can be. Within a group the first rows
    go to the first fold, and so on: rows that follow each other stay together.
    """
    n_splits = min(n_splits, len(y))
    # Classes in the order in which they occur: without silos, the folds are then
    # those of StratifiedKFold.
    _, first, inverse = np.unique(y, return_index=True, return_inverse=True)
    classes = np.argsort(np.argsort(first))[inverse]
    silos = np.zeros(len(y)) if owners is None else owners
    order = np.lexsort((classes, silos))
    dealt = np.arange(len(y)) % n_splits
    folds = np.empty(len(y), dtype=np.intp)
    folds[order] = dealt[np.lexsort((dealt, classes[order], silos[order]))]
    return folds
