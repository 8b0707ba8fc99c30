# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""What the user's models answer, as classes, one a row, or as columns of classes.

Every answer of a member, leader, student, final estimator or teacher comes through
here: libraries return labels in columns, labels of another type than those that they
were fitted on, and frames whose columns are the classes in an order of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skcoop._tables._frames import FloatMatrix, column_names, is_frame, is_pandas

# Models round: their probabilities may sum to one plus or minus the first, and be
# below zero by the second.
_SLACK, _BELOW_ZERO = 1e-2, 1e-6
# Labels of an answer that are looked up one by one.
_LOOKED_UP = 30


def predicted_labels(
    answer: Any, classes: NDArray[Any], X: Any, who: str
) -> NDArray[Any]:
    """Return what a model predicts as elements of the classes, one for each row.

    Parameters
    ----------
    answer : array-like
        What ``predict`` returned.
    classes : ndarray of shape (n_classes,)
        The classes, sorted.
    X : ndarray or data frame of shape (n_rows, n_features)
        The rows that the model was asked about.
    who : str
        The model's name in errors.

    Returns
    -------
    labels : ndarray of shape (n_rows,)
        Labels of the type that the classes have.

    Raises
    ------
    ValueError
        If there is not one label for each row, or one that is none of the classes.
    """
    if type(answer) is not np.ndarray or answer.shape != X.shape[:1]:
        answer = _one_per_row(answer, X, who)
    if answer.dtype == classes.dtype and _are_classes(answer, classes):
        return answer
    codes = label_codes(answer, classes)
    if (codes < 0).any():
        raise ValueError(
            f"{who}: predict returned {answer[codes < 0].tolist()[0]!r}, which is none "
            f"of the classes {classes.tolist()} that it was fitted on. Check what the "
            "model does to its labels."
        )
    return classes[codes]


def predicted_codes(
    answer: Any, classes: NDArray[Any], X: Any, who: str
) -> NDArray[np.intp]:
    """Return the position among the classes of what a model predicts; -1 for none."""
    return label_codes(_one_per_row(answer, X, who), classes)


def _one_per_row(answer: Any, X: Any, who: str) -> NDArray[Any]:
    """Return an answer with one entry for each row; some libraries return a column."""
    check_row_labels(answer, X, f"{who}: predict returned")
    values, n_rows = np.asarray(answer), X.shape[0]
    if values.shape == (n_rows, 1):
        values = values[:, 0]
    if values.shape != (n_rows,):
        raise ValueError(
            f"{who}: predict returned an array of shape {values.shape} where one class "
            f"for each of {n_rows} rows was expected."
        )
    return values


def _are_classes(answer: NDArray[Any], classes: NDArray[Any]) -> bool:
    """Tell within microseconds whether labels of the classes' own type are classes.

    Of many texts only some are looked up: to compare all takes as long as a tree takes
    to predict them, and a model that renames its labels renames all of them.
    """
    kind = answer.dtype.kind
    if kind not in "biuf" or len(answer) <= _LOOKED_UP:
        some = answer[:: 1 + len(answer) // _LOOKED_UP]
        return set(some.tolist()) <= set(classes.tolist())
    first, last = classes.item(0), classes.item(-1)
    if kind in "iu" and last - first == len(classes) - 1:
        least, most = np.minimum.reduce(answer), np.maximum.reduce(answer)
        return bool(first <= least and most <= last)
    nearest = classes.take(classes.searchsorted(answer), mode="clip")
    return bool((nearest == answer).all())


def label_codes(labels: NDArray[Any], classes: NDArray[Any]) -> NDArray[np.intp]:
    """Return the position of each label among the classes, -1 for none of them."""
    if labels.dtype.kind not in "biuf":
        labels = labels.astype(object)
    codes, distinct = pd.factorize(labels, use_na_sentinel=False)
    return positions_of(distinct.tolist(), classes)[codes]


def positions_of(labels: Iterable[Any], classes: NDArray[Any]) -> NDArray[np.intp]:
    """Return the position among the classes of a few labels, -1 for none of them.

    A label that equals no class is looked for as a number in a text or as the text of
    a number: libraries and files turn one into the other.
    """
    places = {label: place for place, label in enumerate(classes.tolist())}
    found = []
    for label in labels:
        spellings = [label] if label in places else _spellings(label)
        known = (places[s] for s in spellings if s in places)
        found.append(next(known, -1))
    return np.array(found, dtype=np.intp)


def _spellings(label: Any) -> list[Any]:
    """Return how else a label may be written: a text as a number, or a number as text.

    Two texts are never the same label.
    """
    if isinstance(label, float) and label.is_integer():
        return [str(label), str(int(label))]
    if not isinstance(label, str):
        is_number = isinstance(label, Real | np.bool_) and label == label
        return [str(label)] if is_number else []
    if label in ("False", "True"):
        return [label == "True"]
    for number in (int, float):
        try:
            return [number(label)]
        except ValueError:
            continue
    return []


def class_probabilities(
    answer: Any, known: NDArray[Any], classes: NDArray[Any], X: Any, who: str
) -> FloatMatrix:
    """Return the probabilities of all classes, zero for those that a model knows not.

    `classes` are all classes, for the rest see :func:`probability_table`.
    """
    return align(probability_table(answer, known, X, who), known, classes, who)


def probability_table(
    answer: Any, known: NDArray[Any], X: Any, who: str
) -> FloatMatrix:
    """Return what ``predict_proba`` returned, a column for each class of the model.

    Parameters
    ----------
    answer : array-like or data frame
        The answer. Columns of a frame are taken by their labels.
    known : ndarray of shape (n_known,)
        The classes that the model knows, in the order of its columns.
    X : ndarray or data frame of shape (n_rows, n_features)
        The rows that the model was asked about.
    who : str
        The model's name in errors.

    Returns
    -------
    proba : ndarray of shape (n_rows, n_known)
        Whether they are probabilities is for the caller to check.

    Raises
    ------
    ValueError
        If there is not one column for each class, or if columns or rows are labelled
        as something else.
    """
    table = number_table(answer, known, X, f"{who}: predict_proba returned")
    if table.shape != (X.shape[0], len(known)):
        raise ValueError(
            f"{who}: predict_proba returned an array of shape {table.shape} for "
            f"{X.shape[0]} rows and {len(known)} classes."
        )
    return table


def class_scores(
    answer: Any, known: NDArray[Any], classes: NDArray[Any], X: Any, who: str
) -> FloatMatrix:
    """Return the scores of a ``decision_function``, in the order of the classes.

    Columns that are not the classes, as those of pairs of classes, stay as they are.
    """
    if is_labelled(answer) and answer.shape[1] != len(known):
        answer = frame_numbers(answer)
    scores = number_table(answer, known, X, f"{who}: decision_function returned")
    if scores.shape[:1] != X.shape[:1]:
        raise ValueError(
            f"{who}: decision_function returned an array of shape {scores.shape} for "
            f"{X.shape[0]} rows."
        )
    if scores.shape[1:] == (1,) and len(known) == 2:
        scores = scores[:, 0]
    if np.array_equal(known, classes):
        return scores
    places = positions_of(known.tolist(), classes)
    if scores.shape[1:] == (len(classes),):
        return scores[:, np.argsort(places)]
    return -scores if places.tolist() == [1, 0] else scores


def number_table(
    answer: Any, known: NDArray[Any], X: Any, what: str, *, handed_in: bool = False
) -> FloatMatrix:
    """Return an answer as an array of floats; a frame's columns go by their labels.

    Parameters
    ----------
    answer : array-like or data frame
        The answer.
    known : ndarray of shape (n_known,)
        The classes, in the order of columns without a label.
    X : ndarray or data frame
        The rows that it is about.
    what : str
        How errors begin: whose table it is, and a verb.
    handed_in : bool, default=False
        Whether the user handed it in, see :func:`check_row_labels`.
    """
    if is_labelled(answer):
        check_row_labels(answer, X, what, handed_in=handed_in)
        order = _column_order(answer, known, what)
        table = frame_numbers(answer)
        return table if order is None else table[:, order]
    try:
        return np.asarray(answer, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{what} {type(answer).__name__}, and an array of numbers was expected: "
            f"{error}."
        ) from error


def is_labelled(answer: Any) -> bool:
    """Tell whether an answer is a data frame, at no cost where it is an array."""
    return not isinstance(answer, np.ndarray) and is_frame(answer)


def frame_numbers(frame: Any) -> FloatMatrix:
    """Return the cells of a frame as floats, NaN where they are missing."""
    if is_pandas(frame):
        return frame.to_numpy(dtype=np.float64, na_value=np.nan)
    columns = nw.from_native(frame, eager_only=True).iter_columns()
    floats = [column.cast(nw.Float64()).to_numpy() for column in columns]
    return np.column_stack(floats).astype(np.float64)


def column_labels(frame: Any) -> list[Any] | None:
    """Return the labels of a frame's columns, None if its library has numbered them."""
    names = column_names(frame)
    if is_pandas(frame):
        return None if _is_numbered(frame.columns) else names
    return None if names == [f"column_{j}" for j in range(len(names))] else names


def _is_numbered(index: pd.Index) -> bool:
    """Tell whether pandas has made up the labels 0, 1, ..."""
    return isinstance(index, pd.RangeIndex) and index.equals(pd.RangeIndex(len(index)))


def _column_order(
    frame: Any, known: NDArray[Any], what: str
) -> NDArray[np.intp] | None:
    """Return the columns that stand for the classes, None where they have no label."""
    labels, in_order = column_labels(frame), list(range(len(known)))
    if labels is None:
        # Numbers among the labels may stand for positions in another order.
        places = positions_of(range(frame.shape[1]), known).tolist()
        if places == in_order or sorted(places) != in_order:
            return None
        raise ValueError(
            f"{what} columns that are numbered 0, 1, ..., and the classes are "
            f"{known.tolist()}, in this order: the numbers may be classes or places. "
            "Label the columns with pandas.DataFrame(..., columns=[...]), or pass an "
            "array with columns in this order."
        )
    places = positions_of(labels, known)
    if sorted(places.tolist()) != in_order:
        raise ValueError(
            f"{what} columns labelled {labels}, and the classes are {known.tolist()}. "
            "Label them with the classes, or pass an array with columns in this order."
        )
    return np.argsort(places)


def check_row_labels(
    answer: Any, X: Any, what: str, *, handed_in: bool = False
) -> None:
    """Raise an error if the rows of an answer are labelled as other rows than those.

    A row is found by its place. Where both tables are of pandas, their labels tell
    whether the places are the same; labels that pandas has made up tell nothing, but
    for a table that is handed in beside the very same labels in another order.
    """
    if not isinstance(answer, pd.DataFrame | pd.Series) or not is_pandas(X):
        return
    own, rows = answer.index, X.index
    if len(own) != len(rows) or own.equals(rows):
        return
    if _is_numbered(own) and not handed_in:
        return
    mixed = own.isin(rows).all() and rows.isin(own).all()
    if mixed or not (_is_numbered(own) or _is_numbered(rows)):
        raise ValueError(
            f"{what} rows labelled {own[:5].tolist()}..., where X has "
            f"{'the same in another order' if mixed else 'others'}: "
            f"{rows[:5].tolist()}... Take .loc[X.index] of it, or pass an array if its "
            "rows are those of X in their order."
        )


def align(
    proba: FloatMatrix, known: NDArray[Any], classes: NDArray[Any], who: str
) -> FloatMatrix:
    """Return the columns of all classes: zeros for those that are not known."""
    if np.array_equal(known, classes):
        return proba
    places = positions_of(known.tolist(), classes)
    if (places < 0).all():
        raise ValueError(
            f"{who} knows the classes {known.tolist()}, none of which is among "
            f"{classes.tolist()}. Check what the model does to its labels."
        )
    aligned = np.zeros((len(proba), len(classes)))
    aligned[:, places[places >= 0]] = proba[:, places >= 0]
    return aligned


def misses_one(proba: FloatMatrix) -> NDArray[np.bool_]:
    """Mark rows of finite numbers whose sum is not one, but for rounding."""
    with np.errstate(invalid="ignore"):  # infinities may cancel
        return np.asarray(np.abs(proba.sum(axis=1) - 1) > _SLACK)


def holds_negatives(proba: FloatMatrix) -> NDArray[np.bool_]:
    """Mark rows that hold a number below zero, but for rounding."""
    return np.asarray((proba < -_BELOW_ZERO).any(axis=1))


def top_class(proba: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the most probable class along the last axis, -1 where all are 0.

    That is what a model says which was trained elsewhere, if it takes a row for a class
    that is none here.
    """
    return np.where(proba.any(axis=-1), proba.argmax(axis=-1), -1)
