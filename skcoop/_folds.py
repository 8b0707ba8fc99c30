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

    Returns
    -------
    folds : ndarray of int, shape (n_samples,)
        Fold numbers from 0.

    Raises
    ------
    ValueError
        If the test sets of the splitter do not hold each row exactly once.
    """
    if isinstance(cv, Integral):
        return _stratified_folds(int(cv), y, owners)
    splits = check_cv(cv, y, classifier=True).split(X, y, **split_params)
    folds = np.full(len(y), -1, dtype=np.intp)
    times_held_out = np.zeros(len(y), dtype=np.intp)
    for number, (_, test) in enumerate(splits):
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
