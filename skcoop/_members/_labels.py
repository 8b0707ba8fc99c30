# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""The labels that the user hands in, where all are needed and where some may miss."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from skcoop._members._predictions import positions_of


def check_labels(estimator: Any, y: Any) -> NDArray[Any]:
    """Return the labels as an array with one entry for each row.

    Raises
    ------
    ValueError
        If `y` is missing, or some of it, if it is not one-dimensional, or not a
        classification target.
    """
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is "
            "None. Pass the class of each row."
        )
    shape: tuple[int, ...] = getattr(y, "shape", ())
    if len(shape) == 2 and shape[1] > 1:
        raise ValueError(
            f"{type(estimator).__name__} supports targets with one label for each row: "
            f"y should be a 1d array, got an array of shape {shape}. Multilabel and "
            "multioutput targets are not supported."
        )
    missing = np.flatnonzero(missing_labels(y)).tolist()
    if missing:
        first = ", ".join(map(str, missing[:5])) + " and more" * (len(missing) > 5)
        raise ValueError(
            f"Input y contains NaN or None: {len(missing)} missing label(s), at "
            f"position(s) {first}. {type(estimator).__name__} needs the class of each "
            "row. Leave these rows out; DiversePeersDistiller takes them as "
            "X_unlabeled."
        )
    y = validate_data(estimator, X="no_validation", y=y)
    check_classification_targets(y)
    return np.asarray(y)


def missing_labels(y: Any) -> NDArray[np.bool_]:
    """Mark the labels that are None, NaN, NA or NaT."""
    if isinstance(y, np.ndarray) and y.dtype.kind in "biuSU":
        return np.zeros(y.shape[:1], dtype=bool)
    # As objects: among texts NumPy would write NaN as a text.
    missing = np.atleast_1d(pd.isna(np.asarray(y, dtype=object)))
    return np.asarray(missing.reshape(len(missing), -1).any(axis=1))


def known_labels(
    estimator: Any, y: Any, said: NDArray[Any] | None
) -> tuple[NDArray[Any] | None, NDArray[np.bool_] | None]:
    """Return the labels of rows that may have none, and which have one.

    Without `y`, both are None.

    Parameters
    ----------
    estimator : estimator
        The distiller, for errors.
    y : array-like of shape (n_samples,)
        Labels; None, NaN, NA and NaT are unknown ones.
    said : ndarray of shape (n_classes,) or None
        The classes that the teacher knows, as far as anybody said.

    Returns
    -------
    labels : ndarray of shape (n_samples,)
        The labels; any in the rows without one.
    known : ndarray of bool, shape (n_samples,)
        The rows with a label.

    Raises
    ------
    ValueError
        As in :func:`check_labels`, or if -1 is among the labels and nobody calls it a
        class.
    """
    if y is None:
        return None, None
    known = ~missing_labels(y)
    if known.all():
        # A list of texts and numbers would become one of texts.
        _refuse_marks(np.asarray(y, None if hasattr(y, "dtype") else object), said)
        return check_labels(estimator, y), known
    if not known.any():
        return known, known
    some = _infer_type(np.asarray(y, dtype=object)[known])
    _refuse_marks(some, said)
    some = check_labels(estimator, some)
    labels = np.full(len(known), some[0], dtype=some.dtype)
    labels[known] = some
    return labels, known


def coded(
    labels: NDArray[Any] | None,
    known: NDArray[np.bool_] | None,
    taking_part: NDArray[np.bool_],
) -> tuple[NDArray[Any] | None, NDArray[np.intp]]:
    """Return the different labels of rows that take part, and each row's among them.

    The position of a row without a label is -1; without any label there is None.
    """
    codes = np.full(len(taking_part), -1, dtype=np.intp)
    if labels is None or known is None or not (known & taking_part).any():
        return None, codes
    rows = known & taking_part
    own, codes[rows] = np.unique(labels[rows], return_inverse=True)
    return own, codes


def _infer_type(labels: NDArray[Any]) -> NDArray[Any]:
    """Return labels in the type that they would have had, were none missing.

    Whole numbers beside NaN are floats for no other reason.
    """
    typed = pd.Series(labels.ravel()).infer_objects().to_numpy()
    if typed.dtype.kind == "f" and (typed == np.rint(typed)).all():
        typed = typed.astype(np.int64)
    return typed.reshape(labels.shape)


def _refuse_marks(labels: NDArray[Any], said: NDArray[Any] | None) -> None:
    """Raise an error if -1 may be the mark of rows without a label.

    Two classes are often called -1 and 1; otherwise somebody must call it a class.
    """
    if labels.dtype.kind == "O":
        marked = np.array([isinstance(x, Real) and x == -1 for x in labels.ravel()])
        others = [x for x in labels.ravel()[~marked] if not isinstance(x, Real)]
    elif labels.dtype.kind in "if":
        marked, others = labels == -1, []
    else:
        return
    if not marked.any():
        return
    if said is not None:
        is_class: Any = positions_of([-1], said)[0] >= 0
    else:
        is_class = not others and set(np.unique(labels).tolist()) == {-1, 1}
    if is_class:
        return
    raise ValueError(
        f"y is -1 in {marked.sum()} rows, and nothing says that -1 is a class. If it "
        "marks rows without a label, as scikit-learn's semi-supervised estimators have "
        "it, pass np.where(y == -1, np.nan, y), or None in place of -1 among texts. If "
        "it is a class that the teacher knows, name its classes in `classes`; if it is "
        "another one, call it something else."
    )
