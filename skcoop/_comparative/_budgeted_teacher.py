# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Ask a teacher that counts its calls: never too much, never twice, nothing lost."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from skcoop._comparative._teacher_columns import (
    all_classes,
    check_two_classes,
    faults_of,
    named_columns,
    summing_to_one,
    widened,
)
from skcoop._members._column_names import columns_of
from skcoop._members._kinds import advice
from skcoop._members._predictions import number_table, positions_of
from skcoop._tables._frames import FloatMatrix, take
from skcoop._utils._errors import renamed

# Rows in one call. What a call that fails half-way has answered is lost with it.
_BATCH = 50


def check_budget(teacher: Any, budget: int | None, n_rows: int) -> None:
    """Raise an error if a callable might be asked about all rows unasked for."""
    if budget is not None or teacher is None or hasattr(teacher, "predict_proba"):
        return
    raise ValueError(
        "A teacher that is a callable needs teacher_budget, the most rows that may "
        f"have an answer: without one it would be asked about all {n_rows} different "
        f"rows of X that have none. Pass teacher_budget={n_rows} if you want that."
    )


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
        Answers that were handed in; NaN in the rows without. One column of NaN if no
        class is known.
    classes : ndarray of shape (n_classes,) or None
        The classes that are known so far.
    known : ndarray of shape (n_columns,) or None
        What the columns of the teacher's answers stand for, if that was said. Else
        labels of the columns say it, else `own`.
    own : ndarray or None
        The labels in y.
    budget : int or None
        Most rows that may have an answer; no limit if None.

    Attributes
    ----------
    answers : ndarray of shape (n_rows, n_classes)
        All answers so far.
    classes : ndarray of shape (n_classes,) or None
        All classes, once the teacher has answered.
    n_calls : int
        Rows that the teacher was asked about.
    """

    def __init__(
        self,
        teacher: Any,
        X: Any,
        askable: NDArray[np.bool_],
        answers: FloatMatrix,
        classes: NDArray[Any] | None,
        known: NDArray[Any] | None,
        own: NDArray[Any] | None,
        budget: int | None,
    ):
        self.teacher = teacher
        self.X = X
        self.askable = askable
        self.answers = answers
        self.classes = classes
        self.known = known
        self.own = own
        self.budget = budget
        self.n_calls = 0

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Mark the rows with an answer."""
        return np.asarray(~np.isnan(self.answers).any(axis=1))

    @property
    def taught(self) -> NDArray[np.intp]:
        """Positions of the classes that the teacher knows, all if nobody says."""
        classes = np.asarray(self.classes)
        return positions_of(classes if self.known is None else self.known, classes)

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
        while len(rows):
            # Where nobody said what the columns are, one row has to show it.
            n_asked = 1 if self.known is None else _BATCH
            self._ask_batch(rows[:n_asked])
            rows = rows[n_asked:]

    def _ask_batch(self, rows: NDArray[np.intp]) -> None:
        X = columns_of(self.teacher, take(self.X, rows))
        self.n_calls += len(rows)
        try:
            answer = getattr(self.teacher, "predict_proba", self.teacher)(X)
        except Exception as error:
            prefix = f"The teacher, asked about {len(rows)} rows"
            raise renamed(error, prefix, self._kept()) from error
        try:
            proba = self._as_probabilities(answer, X)
        except ValueError as error:
            raise ValueError(f"{error} {self._kept()}") from error
        self._note(rows, proba)

    def _as_probabilities(self, answer: Any, X: Any) -> FloatMatrix:
        known = self._columns_of(answer)
        proba = number_table(answer, known, X, "The teacher returned")
        expected = (X.shape[0], len(known))
        if proba.shape != expected:
            raise ValueError(
                f"The teacher returned an array of shape {proba.shape} where "
                f"{expected} was expected: a row of probabilities for each row, a "
                "column for each class that it knows. Name these in `classes`, in the "
                "order of its columns."
            )
        if self.known is None:
            self._learn_columns(known)
        return proba

    def _columns_of(self, answer: Any) -> NDArray[Any]:
        """Return what the columns of an answer stand for."""
        known = self.known
        if known is None:
            known = named_columns(answer)
        if known is None:
            known = self.own
        if known is None:
            raise ValueError(
                "What the columns of the teacher's answers stand for must be said, as "
                "there is no y: name them in `classes`, or let the teacher return a "
                "data frame whose columns are labelled with the classes."
            )
        return known

    def _learn_columns(self, known: NDArray[Any]) -> None:
        """Keep what the first answer said of the teacher's columns."""
        classes = all_classes(self.classes, known)
        check_two_classes(classes)
        self.answers = widened(self.answers, self.classes, classes)
        self.known, self.classes = known, classes

    def _note(self, rows: NDArray[np.intp], proba: FloatMatrix) -> None:
        """Keep the answers that are some, and raise an error if not all are."""
        faults = faults_of(proba)
        good = np.setdiff1d(np.arange(len(rows)), list(faults))
        self.answers[rows[good]] = widened(
            summing_to_one(proba[good]), self.known, self.classes
        )
        if faults:
            first, reason = next(iter(faults.items()))
            raise ValueError(
                f"{len(faults)} of {len(rows)} answers of the teacher are no "
                f"probabilities; the first, {proba[first].tolist()}, {reason}. Check "
                f"what it returns for such rows. {self._kept()}"
            )

    def _kept(self) -> str:
        """Say where the answers so far are, if there are any."""
        if not self.answered.any():
            return "There is no answer so far."
        return (
            f"The {int(self.answered.sum())} answers so far are in teacher_answers_: "
            "hand them to fit as teacher_proba, and nothing is paid for twice."
        )
