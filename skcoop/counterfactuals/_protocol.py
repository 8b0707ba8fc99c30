# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""What an engine is asked and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from skcoop._members._column_names import columns_of
from skcoop._members._member import FittedMember
from skcoop._members._predictions import probability_table
from skcoop._utils._errors import named

# Probabilities closer than this are the same probability.
TOLERANCE = 1e-9


@dataclass(repr=False)
class Counterfactuals:
    """Virtual instances, one for each row that was asked about.

    Parameters
    ----------
    X_cf : ndarray or data frame of shape (n_rows, n_features)
        The virtual instances, in the container of the rows that were asked about and
        with their labels; a row without an answer is returned unchanged. If several
        answers to each row were asked for, they stand next to each other, here and in
        all arrays.
    valid : ndarray of bool, shape (n_rows,)
        Whether the row has an answer: its target was reached.
    proba_before : ndarray of shape (n_rows,)
        The teacher's probability of the true class for the row as it was.
    proba_after : ndarray of shape (n_rows,)
        The same for the virtual instance.
    n_predictions : int
        Rows that the teacher was asked to predict.
    seconds : float
        Wall time of the search.
    donor : ndarray of int, shape (n_rows,), default=None
        Position of the background row that an answer was drawn to, -1 if there is
        none. The label of that row shows in the answer, so the answer may not be used
        where that row judges. None if the engine looks at no single row.
    target : ndarray of shape (n_rows,), default=None
        The probability that an answer had to reach.
    n_repeats : int, default=0
        Answers missing because all that was found repeats a background row.
    """

    X_cf: Any
    valid: NDArray[np.bool_]
    proba_before: NDArray[np.float64]
    proba_after: NDArray[np.float64]
    n_predictions: int
    seconds: float
    donor: NDArray[np.intp] | None = None
    target: NDArray[np.float64] | None = None
    n_repeats: int = 0

    def __repr__(self) -> str:
        found = f"{int(np.sum(self.valid))} of {len(self.valid)} valid"
        cost = f"{self.n_predictions} predictions, {self.seconds:.3g} s"
        return f"<{type(self).__name__}: {found}, {cost}>"

    def to_dice_ml(self, X: Any, *, outcome_name: str = "probability") -> Any:
        """Hand the answers to dice-ml, for its views and its JSON.

        Parameters
        ----------
        X : ndarray or data frame of shape (n_rows, n_features)
            The rows that were asked about.
        outcome_name : str, default="probability"
            Name of the column that gets the teacher's probability of the row's class.

        Returns
        -------
        dice_ml.counterfactual_explanations.CounterfactualExplanations
            With ``visualize_as_dataframe`` (which needs IPython) and ``to_json``. The
            teacher appears as a regressor whose output is that probability. Times are
            written as strings.

        Raises
        ------
        ValueError
            If X does not fit the answers, or has a column called `outcome_name`.
        """
        from skcoop.counterfactuals._dice_ml import as_explanations  # dice-ml is slow

        return as_explanations(self, X, outcome_name)


@runtime_checkable
class CounterfactualEngine(Protocol):
    """Anything that finds quintessential counterfactuals for many rows at once."""

    def generate(
        self,
        teacher: Any,
        X: Any,
        y: Any,
        *,
        background: Any,
        alpha: float = 0.5,
        random_state: Any = None,
    ) -> Counterfactuals:
        """Look for a more typical version of each row in the teacher's eyes.

        Parameters
        ----------
        teacher : object
            A fitted classifier with ``predict_proba`` and ``classes_``.
        X : ndarray or data frame of shape (n_rows, n_features)
            Rows to answer for.
        y : array-like of shape (n_rows,)
            Their true classes.
        background : ndarray or data frame of shape (n_samples, n_features)
            Rows that give the ranges and the known categories; nothing outside of
            them may be answered.
        alpha : float, default=0.5
            How far to go towards certainty: the target is ``p + alpha * (1 - p)``.
        random_state : int or None, default=None
            Seed of a search that draws at random.

        Returns
        -------
        Counterfactuals
            One virtual instance for each row.
        """
        ...


def target_probability(proba: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    """Return ``p + alpha (1 - p)``: part of the way from `proba` to certainty."""
    return proba + alpha * (1.0 - proba)


def ask(teacher: Any, X: Any) -> NDArray[np.float64]:
    """Return a teacher's probabilities for rows; it reads their columns by name."""
    if isinstance(teacher, FittedMember):  # which names itself and its columns
        return teacher.predict_proba(X)
    with named("The teacher", f"asked about {X.shape[0]} rows"):
        answer = teacher.predict_proba(columns_of(teacher, X))
    return probability_table(answer, np.asarray(teacher.classes_), X, "The teacher")


def true_class_proba(teacher: Any, X: Any, y: Any) -> NDArray[np.float64]:
    """Return the teacher's probability of each row's own class, 0 where unknown."""
    proba, known = ask(teacher, X), np.asarray(teacher.classes_)
    match = np.asarray(y, dtype=object)[:, None] == known.astype(object)
    return np.where(match, proba, 0.0).sum(axis=1)
