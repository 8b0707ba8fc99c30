# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Ask a teacher that counts its calls: never too much, never twice, nothing lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from skcoop._errors import renamed
from skcoop._frames import FloatMatrix, take
from skcoop._kinds import advice
from skcoop._members import holds_negatives, misses_one
from skcoop._names import columns_of

# Rows in one call. What a call that fails half-way has answered is lost with it.
_BATCH = 50
# Sums of probabilities may miss one by this much without being mended.
_ROUNDING = 1e-9


def check_teacher(teacher: Any) -> None:
    """Raise an error if a teacher cannot be asked."""
    if isinstance(teacher, type):
        raise ValueError(
            f"teacher must be a fitted classifier or a callable, got the class "
            f"{teacher!r}. Hand in a fitted instance."
        )
    if hasattr(teacher, "fit"):
        _check_fitted(teacher)
    if not (teacher is None or callable(teacher) or hasattr(teacher, "predict_proba")):
        raise ValueError(
            "teacher must be a fitted classifier with predict_proba, a callable or "
            f"None, got {teacher!r}. A CalibratedClassifierCV around a classifier has "
            f"predict_proba.{advice('classifier', teacher)}"
        )


def _check_fitted(teacher: Any) -> None:
    """Raise an error if scikit-learn says that a teacher is not fitted."""
    if not hasattr(teacher, "__sklearn_tags__"):
        return
    try:
        check_is_fitted(teacher)
    except NotFittedError as error:
        raise NotFittedError(
            f"The teacher {teacher!r} is not fitted. It is asked, never fitted: fit it "
            "before you hand it in."
        ) from error
    except AttributeError:  # a model inside of it is none of scikit-learn's
        return


def classes_of_answers(
    teacher: Any, classes: Any, labels: NDArray[Any] | None, handed_in: Any
) -> NDArray[Any] | None:
    """Return what the columns of a teacher's answers stand for, if anybody says.

    Parameters
    ----------
    teacher : classifier or callable
        Its ``classes_`` come second.
    classes : array-like of shape (n_columns,) or None
        What the user says, which comes first.
    labels : ndarray or None
        The labels of the rows, which come third.
    handed_in : array-like of shape (n_samples, n_columns) or None
        Answers that are there already; without all these, their columns are numbered.

    Returns
    -------
    known : ndarray of shape (n_columns,) or None
        The class of each column; None if they are to be numbered.
    """
    if classes is not None:
        known = np.asarray(classes)
        if known.ndim != 1 or len(set(known.tolist())) != known.size:
            raise ValueError(
                "classes must be a list of distinct labels, one for each column of "
                f"the teacher's answers, got {classes!r}."
            )
        return known
    if getattr(teacher, "classes_", None) is not None:
        return np.asarray(teacher.classes_)
    if labels is not None:
        return np.unique(labels)
    return None if handed_in is None else np.arange(np.shape(handed_in)[-1])


def all_classes(
    known: NDArray[Any] | None, labels: NDArray[Any] | None
) -> NDArray[Any] | None:
    """Return the classes of teacher and labels together, in order."""
    if known is None:
        return None
    classes = np.unique(known)
    if labels is not None:
        own = np.unique(labels)
        if not np.isin(own.astype(object), known.astype(object)).any():
            raise ValueError(
                f"The teacher knows the classes {known.tolist()}, none of which is in "
                f"y: {own.tolist()}. Relabel y, or name the columns of the teacher's "
                "answers in `classes`."
            )
        classes = np.union1d(classes, own)
    if len(classes) < 2:
        raise ValueError(
            "There must be at least two classes, but teacher and labels know 1 class: "
            f"{classes.tolist()}."
        )
    return classes


def holds_no_answer(proba: Any) -> bool:
    """Tell whether what was handed in is left from a fit that got no answer at all.

    It then has one column, as nobody could tell how many classes there are.
    """
    single = np.shape(proba)[1:] == (1,)
    return single and bool(pd.isna(np.asarray(proba, dtype=object)).all())


def check_answers(proba: Any, n_rows: int, classes: NDArray[Any] | None) -> FloatMatrix:
    """Return answers that were handed in, each row probabilities or all NaN."""
    if proba is None:
        return np.full((n_rows, 1 if classes is None else len(classes)), np.nan)
    proba = np.array(proba, dtype=np.float64)
    known = [] if classes is None else classes.tolist()
    if proba.shape != (n_rows, len(known)):
        raise ValueError(
            f"teacher_proba has shape {proba.shape}; {(n_rows, len(known))} was "
            f"expected: a row for each row of X, NaN where there is no answer, and a "
            f"column for each of the classes {known}, in this order."
        )
    asked = np.flatnonzero(~np.isnan(proba).all(axis=1))
    faults = faults_of(proba[asked])
    if faults:
        first, reason = next(iter(faults.items()))
        raise ValueError(
            f"Row {asked[first]} of teacher_proba, {proba[asked[first]].tolist()}, "
            f"{reason} ({len(faults)} such rows). An answer is a row of probabilities; "
            "without one, all of it is NaN."
        )
    proba[asked] = _summing_to_one(proba[asked])
    return proba


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


def _summing_to_one(proba: FloatMatrix) -> FloatMatrix:
    """Mend what a teacher rounded; answers that were mended before stay as they are."""
    proba = np.maximum(proba, 0.0)
    sums = proba.sum(axis=1, keepdims=True)
    return np.where(np.abs(sums - 1) > _ROUNDING, proba / sums, proba)


class Inquiry:
    """The answers to some rows, and what may still be asked.

    Parameters
    ----------
    teacher : classifier or callable
        Whom to ask.
    X : ndarray or data frame of shape (n_rows, n_features)
        The rows, in the user's container.
    askable : ndarray of bool, shape (n_rows,)
        Rows that the teacher may be asked about.
    answers : ndarray of shape (n_rows, n_classes)
        Answers that were handed in; NaN in the rows without.
    columns : ndarray of int or None
        Position among the classes of each column that the teacher answers; None if
        the first answer tells how many there are.
    budget : int or None
        Most rows that may have an answer; no limit if None.

    Attributes
    ----------
    answers : ndarray of shape (n_rows, n_classes)
        All answers so far.
    n_calls : int
        Rows that the teacher was asked about.
    """

    def __init__(
        self,
        teacher: Any,
        X: Any,
        askable: NDArray[np.bool_],
        answers: FloatMatrix,
        columns: NDArray[np.intp] | None,
        budget: int | None,
    ):
        self.teacher = teacher
        self.X = X
        self.askable = askable
        self.answers = answers
        self.columns: Any = columns
        self.budget = budget
        self.n_calls = 0

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Mark the rows with an answer."""
        return np.asarray(~np.isnan(self.answers).any(axis=1))

    @property
    def open(self) -> NDArray[np.intp]:
        """The rows that may be asked about and have no answer."""
        return np.flatnonzero(self.askable & ~self.answered)

    @property
    def left(self) -> int:
        """Number of rows that may still be asked about."""
        if self.teacher is None:
            return 0
        if self.budget is None:
            return len(self.open)
        return min(len(self.open), max(0, self.budget - int(self.answered.sum())))

    def ask(self, rows: NDArray[np.intp]) -> None:
        """Ask about rows that have no answer yet, as far as the budget goes.

        Raises
        ------
        ValueError
            If an answer is no probability; answers to other rows are kept.
        """
        rows = rows[~self.answered[rows]][: self.left]
        for start in range(0, len(rows), _BATCH):
            self._ask_batch(rows[start : start + _BATCH])

    def _ask_batch(self, rows: NDArray[np.intp]) -> None:
        X = columns_of(self.teacher, take(self.X, rows))
        self.n_calls += len(rows)
        try:
            answer = getattr(self.teacher, "predict_proba", self.teacher)(X)
        except Exception as error:
            prefix = f"The teacher, asked about {len(rows)} rows"
            raise renamed(error, prefix, self._kept()) from error
        proba = self._as_probabilities(answer, len(rows))
        faults = faults_of(proba)
        good = np.setdiff1d(np.arange(len(rows)), list(faults))
        self.answers[rows[good]] = 0.0
        self.answers[np.ix_(rows[good], self.columns)] = _summing_to_one(proba[good])
        if faults:
            first, reason = next(iter(faults.items()))
            raise ValueError(
                f"{len(faults)} of {len(rows)} answers of the teacher are no "
                f"probabilities; the first, {proba[first].tolist()}, {reason}. Check "
                f"what it returns for such rows. {self._kept()}"
            )

    def _as_probabilities(self, answer: Any, n_rows: int) -> FloatMatrix:
        try:
            proba = np.asarray(answer, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(
                "The teacher must return an array of numbers, got "
                f"{type(answer).__name__}: {error}. {self._kept()}"
            ) from error
        if self.columns is None and proba.ndim == 2 and proba.shape[1] > 1:
            # Nobody said what the teacher knows: its first answer does.
            self.columns = np.arange(proba.shape[1])
            self.answers = np.full((len(self.answers), proba.shape[1]), np.nan)
        n_columns = "n_classes" if self.columns is None else len(self.columns)
        expected = (n_rows, n_columns)
        if proba.shape != expected:
            raise ValueError(
                f"The teacher returned an array of shape {proba.shape} where "
                f"{expected} was expected: a row of probabilities for each row, a "
                "column for each class that it knows. Name these in `classes`, in the "
                f"order of its columns. {self._kept()}"
            )
        return proba

    def _kept(self) -> str:
        """Say where the answers so far are, if there are any."""
        if not self.answered.any():
            return "There is no answer so far."
        return (
            f"The {int(self.answered.sum())} answers so far are in teacher_answers_: "
            "hand them to fit as teacher_proba, and nothing is paid for twice."
        )
