# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""What the columns of a teacher's answers stand for, also of those bought before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skcoop._members._predictions import (
    column_labels,
    holds_negatives,
    is_labelled,
    misses_one,
    number_table,
    positions_of,
)
from skcoop._tables._frames import FloatMatrix

# Sums of probabilities may miss one by this much without being mended.
_ROUNDING = 1e-9


def said_classes(teacher: Any, classes: Any) -> NDArray[Any] | None:
    """Return what the columns of a teacher's answers stand for, as far as it was said.

    Parameters
    ----------
    teacher : classifier or callable
        Its ``classes_`` are what it says itself.
    classes : array-like of shape (n_columns,) or None
        What the user says, which comes first.

    Returns
    -------
    known : ndarray of shape (n_columns,) or None
        The class of each column.

    Raises
    ------
    ValueError
        If the classes are not distinct, or if teacher and user say the same of other
        columns.
    """
    own = getattr(teacher, "classes_", None)
    own = None if own is None else np.asarray(own)
    if classes is None:
        return own
    known = np.asarray(classes)
    if known.ndim != 1 or len(set(known.tolist())) != known.size:
        raise ValueError(
            "classes must be a list of distinct labels, one for each column of "
            f"the teacher's answers, got {classes!r}."
        )
    places = [] if own is None else positions_of(own, known).tolist()
    if places != sorted(places) and sorted(places) == list(range(len(known))):
        raise ValueError(
            f"classes is {known.tolist()}, but the teacher says that its columns are "
            f"{np.asarray(own).tolist()}. Leave `classes` out."
        )
    return known


def named_columns(proba: Any) -> NDArray[Any] | None:
    """Return the labels of the columns of answers, if they have any."""
    labels = column_labels(proba) if is_labelled(proba) else None
    return None if labels is None else pd.Index(labels).to_numpy()


def all_classes(*known: NDArray[Any] | None) -> NDArray[Any] | None:
    """Return all classes that somebody knows, sorted and in the first one's spelling.

    Raises
    ------
    ValueError
        If one of them knows nothing of what the others know.
    """
    classes = None
    for labels in known:
        if labels is None:
            continue
        if classes is None:
            classes = np.unique(labels)
            continue
        places = positions_of(labels, classes)
        new = labels[places < 0]
        mixed = any(isinstance(x, str) != isinstance(classes[0], str) for x in new)
        if (places < 0).all() or mixed:
            share = "not all" if (places >= 0).any() else "none"
            raise ValueError(
                f"The teacher knows the classes {labels.tolist()}, {share} of "
                f"which is in y or like it: {classes.tolist()}. Relabel y, or name the "
                "columns of the teacher's answers in `classes`."
            )
        if len(new):
            classes = np.union1d(classes, new)
    return classes


def check_two_classes(classes: NDArray[Any] | None) -> None:
    """Raise an error if there is nothing to tell apart."""
    if classes is not None and len(classes) < 2:
        raise ValueError(
            "There must be at least two classes, but teacher and labels know 1 class: "
            f"{classes.tolist()}."
        )


def holds_no_answer(proba: Any) -> bool:
    """Tell whether what was handed in is left from a fit that got no answer at all.

    It then has one column, as nobody could tell how many classes there are.
    """
    single = np.shape(proba)[1:] == (1,)
    return single and bool(pd.isna(np.asarray(proba, dtype=object)).all())


def check_answers(
    proba: Any, X: Any, said: NDArray[Any] | None, own: NDArray[Any] | None
) -> tuple[FloatMatrix, NDArray[Any] | None]:
    """Return answers that were handed in, and the class of each of their columns.

    Without any, that is one column of NaN, and None.

    Parameters
    ----------
    proba : array-like or data frame of shape (n_samples, n_columns)
        The answers, each row probabilities or all NaN.
    X : ndarray or data frame of shape (n_samples, n_features)
        The rows that they are about.
    said : ndarray or None
        What the columns of the teacher's answers stand for, if that was said.
    own : ndarray or None
        The labels in y.

    Raises
    ------
    ValueError
        If columns or rows are others than expected, or a row is no answer.
    """
    if proba is None:
        return np.full((X.shape[0], 1), np.nan), None
    columns = _columns_handed_in(proba, said, own)
    table = np.array(
        number_table(proba, columns, X, "teacher_proba has", handed_in=True)
    )
    expected = (X.shape[0], len(columns))
    if table.shape != expected:
        raise ValueError(
            f"teacher_proba has shape {table.shape}; {expected} was expected: a row "
            "for each row of X, NaN where there is no answer, and a column for each of "
            f"the classes {columns.tolist()}, in this order."
        )
    asked = np.flatnonzero(~np.isnan(table).all(axis=1))
    faults = faults_of(table[asked])
    if faults:
        first, reason = next(iter(faults.items()))
        raise ValueError(
            f"Row {asked[first]} of teacher_proba, {table[asked[first]].tolist()}, "
            f"{reason} ({len(faults)} such rows). An answer is a row of probabilities; "
            "without one, all of it is NaN."
        )
    table[asked] = summing_to_one(table[asked])
    return table, columns


def _columns_handed_in(
    proba: Any, said: NDArray[Any] | None, own: NDArray[Any] | None
) -> NDArray[Any]:
    """Return the classes that the columns handed in stand for.

    They are what the teacher knows, or all classes: earlier answers have a column for
    each label in y too. What nobody names, labels of the columns do.
    """
    labels = named_columns(proba)
    candidates = [
        known for known in (said, all_classes(own, said)) if known is not None
    ]
    for known in candidates:
        if labels is None and np.shape(proba)[1:] == (len(known),):
            return known
        if labels is not None and _same(labels, known):
            return known
    if labels is not None and said is None and _overlap(labels, own):
        return labels
    if candidates:
        return candidates[0]
    raise ValueError(
        "What the columns of teacher_proba stand for must be said: name them in "
        "`classes`, or label the columns of a data frame with the classes."
    )


def _overlap(labels: NDArray[Any], own: NDArray[Any] | None) -> bool:
    return own is None or bool((positions_of(labels, own) >= 0).any())


def _same(labels: NDArray[Any], known: NDArray[Any]) -> bool:
    """Tell whether these are the same classes, in whatever order."""
    return sorted(positions_of(labels, known).tolist()) == list(range(len(known)))


def widened(
    answers: FloatMatrix, known: NDArray[Any] | None, classes: NDArray[Any] | None
) -> FloatMatrix:
    """Return answers with a column for each class, zero for those that are new.

    Where no class is known, there is one column, and where no column is, no answer.
    """
    if known is None or classes is None:
        n_columns = 1 if classes is None else len(classes)
        return np.full((len(answers), n_columns), np.nan)
    wide = np.zeros((len(answers), len(classes)))
    wide[:, positions_of(known, classes)] = answers
    wide[np.isnan(answers).any(axis=1)] = np.nan
    return wide


def faults_of(proba: FloatMatrix) -> dict[int, str]:
    """Say which rows of answers are no probabilities, and why."""
    reasons = {
        "holds NaN or infinity": ~np.isfinite(proba).all(axis=1),
        "holds a negative probability": holds_negatives(proba),
        "does not sum to one": misses_one(proba),
    }
    faults: dict[int, str] = {}
    for reason, wrong in reasons.items():
        for row in np.flatnonzero(wrong).tolist():  # the first reason counts
            faults.setdefault(row, reason)
    return faults


def summing_to_one(proba: FloatMatrix) -> FloatMatrix:
    """Mend what a teacher rounded; answers that were mended before stay as they are."""
    proba = np.maximum(proba, 0.0)
    sums = proba.sum(axis=1, keepdims=True)
    return np.where(np.abs(sums - 1) > _ROUNDING, proba / sums, proba)
