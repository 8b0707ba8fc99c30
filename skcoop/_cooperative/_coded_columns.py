# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Which columns of numbers are codes, between two of which nothing lies."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from skcoop._members._columns_read import labels_of, parts_of
from skcoop._tables._frames import FloatMatrix

# A column of at most so many values, each of which occurs so often on average, may be
# one of codes. Counts with gaps are taken for codes, too: that makes them coarser.
_MOST_VALUES, _OCCURRENCES = 20, 5


def look_like_codes(Z: FloatMatrix) -> NDArray[np.bool_]:
    """Mark columns of whole numbers with gaps among few distinct values.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_features)
        Encoded rows of one silo.

    Returns
    -------
    codes : ndarray of bool, shape (n_features,)
        True for 3, 6, 7 or 36, 60, not for 1, 2, 3, 4.
    """
    return np.array([_has_gaps(cells) for cells in Z.T], dtype=bool)


def _has_gaps(cells: NDArray[np.float64]) -> bool:
    cells = cells[~np.isnan(cells)]
    few = cells[: _MOST_VALUES * _OCCURRENCES]
    if len(np.unique(few)) > _MOST_VALUES:  # most columns are told by their beginning
        return False
    values = np.unique(cells)
    known = 2 <= len(values) <= min(_MOST_VALUES, len(cells) / _OCCURRENCES)
    if not known or not (values == np.rint(values)).all():
        return False
    return bool(values[-1] - values[0] + 1 > len(values))


def encoded_columns(estimator: Any, names: Sequence[Hashable]) -> NDArray[np.bool_]:
    """Mark columns that a fitted model reads as categories.

    Parameters
    ----------
    estimator : estimator
        A fitted model: a pipeline that one-hot or ordinal encodes columns, gradient
        boosting with `categorical_features`, or a meta-estimator around such models.
    names : list
        The labels of the table's columns.

    Returns
    -------
    encoded : ndarray of bool, shape (n_features,)
        Columns whose numbers are codes to the model.
    """
    encoded = np.zeros(len(names), dtype=bool)
    for step in _steps_on_the_table(estimator, len(names)):
        if isinstance(step, ColumnTransformer):
            encoded |= _encoded_by_parts(step, names)
        elif hasattr(step, "categories_"):  # one-hot, ordinal and target encoders
            encoded[:] = True
        elif getattr(step, "is_categorical_", None) is not None:
            encoded |= np.asarray(step.is_categorical_, dtype=bool)
        else:
            for part in parts_of(step):
                encoded |= encoded_columns(part, names)
    return encoded


def _steps_on_the_table(estimator: Any, width: int) -> list[Any]:
    """List the steps of a model that see the columns of the table, in their order."""
    if not isinstance(estimator, Pipeline):
        seen = getattr(estimator, "n_features_in_", width) == width
        return [estimator] if seen else []
    steps: list[Any] = []
    for _, step in estimator.steps:
        if step is None or isinstance(step, str):
            continue
        if getattr(step, "n_features_in_", None) != width:
            break
        steps += _steps_on_the_table(step, width)
        if isinstance(step, ColumnTransformer):  # columns have other places after it
            break
    return steps


def _encoded_by_parts(
    transformer: ColumnTransformer, names: Sequence[Hashable]
) -> NDArray[np.bool_]:
    inputs = list(getattr(transformer, "feature_names_in_", names))
    encoded: set[Hashable] = set()
    for _, step, columns in transformer.transformers_:
        inner = [s for _, s in step.steps] if isinstance(step, Pipeline) else [step]
        if any(hasattr(each, "categories_") for each in inner):
            encoded.update(labels_of(columns, inputs))
    # The labels of the table may be written otherwise in the transformer.
    return np.array([name in encoded for name in names], dtype=bool)
