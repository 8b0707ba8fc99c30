# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Combine the members' predictions into one: a vote or a final estimator."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import parallel_config
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression

from skcoop._cooperative._logistic_by_sums import as_classifier
from skcoop._members._kinds import advice, is_a
from skcoop._members._member import (
    FittedMember,
    fit_any_labels,
    set_seeds,
    weight_parameter,
)
from skcoop._members._predictions import top_class
from skcoop._members._scores import RowAnswers
from skcoop._utils._errors import named
from skcoop._utils._parallel import delayed, in_parallel


def soft_vote(proba: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average the members' probabilities; each row sums to one again.

    Parameters
    ----------
    proba : ndarray of shape (n_members, n_samples, n_classes)
        Probabilities by member, zero for classes that a member does not know.

    Returns
    -------
    mean : ndarray of shape (n_samples, n_classes)
        The average.
    """
    mean = proba.mean(axis=0)
    total = mean.sum(axis=1, keepdims=True)
    uniform = np.full_like(mean, 1.0 / mean.shape[1])
    return np.divide(mean, total, out=uniform, where=total > 0)


def hard_vote(proba: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the class that most members name; ties go to the first class."""
    votes = top_class(proba)
    classes = np.arange(proba.shape[2])
    return (votes[:, :, None] == classes).sum(axis=0).argmax(axis=1)


def stacked(proba: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lay the members' probabilities side by side for a final estimator.

    With two classes the first one's probability says nothing new and is left out.
    """
    if proba.shape[2] == 2:
        proba = proba[:, :, 1:]
    return np.hstack(list(proba))


@dataclass(frozen=True)
class Choice:
    """Whose predictions are combined, and as of when.

    Attributes
    ----------
    members : tuple of int
        Numbers of the members.
    when : {"start", "path", "now"}
        Before any lesson, on the path that each fold scores, or as they are now.
    forgotten : frozenset of int
        Members that are as at the start: what they learned was lost.
    """

    members: tuple[int, ...]
    when: str
    forgotten: frozenset[int] = frozenset()


@dataclass
class Problem:
    """A final estimator to be found, and where the search for it is.

    Attributes
    ----------
    choice : Choice
        What it reads.
    fold : int
        The fold that it does not learn from, -1 for none.
    classes : ndarray of int
        The classes that it can tell apart.
    W : ndarray of shape (n_outputs, n_inputs + 1)
        Its coefficients.
    """

    choice: Choice
    fold: int
    classes: NDArray[np.intp]
    W: NDArray[np.float64]


@dataclass(frozen=True)
class Combiner:
    """One way to combine members: a vote, or a final estimator.

    Attributes
    ----------
    combine : {"stack", "soft", "hard"} or classifier
        As of the distiller.
    seed : int
        Seeds the final estimator.
    n_jobs : int or None
        Number of parallel jobs.
    """

    combine: Any
    seed: int
    n_jobs: int | None

    @property
    def stacks(self) -> bool:
        """Whether a final estimator combines the members."""
        return not isinstance(self.combine, str) or self.combine == "stack"

    def fit(self, answers: RowAnswers) -> Any | None:
        """Train the final estimator on out-of-fold predictions; None for a vote.

        Parameters
        ----------
        answers : RowAnswers
            Rows and the members' predictions, (n_members, n_samples, n_classes).
        """
        if not self.stacks:
            return None
        task, own = answers.task, isinstance(self.combine, str)
        final = LogisticRegression() if own else self.combine
        who = who_combines(final)
        with named(who, "copied"):
            final = set_seeds(final, self.seed)
        weights, metadata = task.weights, {}
        if not (weights == weights[0]).all():
            parameter = weight_parameter(final)
            metadata = {} if parameter is None else {parameter: weights}
        # scikit-learn 1.6 fits LogisticRegression through joblib.
        at_home = parallel_config("sequential") if own else nullcontext()
        # The weights go to the last step by its name, whoever has requested what.
        features = stacked(answers.proba)
        with (
            at_home,
            config_context(enable_metadata_routing=False),
            named(who, f"fitted on {len(features)} rows"),
        ):
            return fit_any_labels(final, features, task.y, metadata)

    def out_of_fold(
        self, answers: RowAnswers, by_fold: Sequence[NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        """Return what final estimators say of each fold, learned from the others.

        Parameters
        ----------
        answers : RowAnswers
            The rows.
        by_fold : list of ndarray of shape (n_members, n_samples, n_classes)
            The members' predictions, as each fold is to see them.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Probabilities; votes for one class where there are none.
        """
        calls = (
            delayed(self._fit_and_predict)(answers, proba, fold)
            for fold, proba in enumerate(by_fold)
        )
        # The default final estimator takes no longer than to send it somewhere.
        jobs = 1 if isinstance(self.combine, str) else self.n_jobs
        combined = np.zeros(by_fold[0].shape[1:])
        for fold, said in enumerate(in_parallel(calls, jobs)):
            combined[answers.task.folds == fold] = said
        return combined

    def _fit_and_predict(
        self, answers: RowAnswers, proba: NDArray[np.float64], fold: int
    ) -> NDArray[np.float64]:
        task = answers.task
        others, own = np.flatnonzero(task.folds != fold), task.in_fold(fold)
        rest = RowAnswers(task.part(others), answers.rows[others], proba[:, others])
        return said_by(self.fit(rest), proba[:, own], task.classes)


def said_by(
    final: Any, proba: NDArray[np.float64], classes: NDArray[Any]
) -> NDArray[np.float64]:
    """Ask a final estimator about the members' predictions."""
    asked = FittedMember("final estimator", final, classes, who_combines(final))
    return asked.predict_proba(stacked(proba))


def final_of(problem: Problem, classes: NDArray[Any]) -> Any:
    """Return the final estimator that has been found."""
    known = classes[problem.classes]
    if len(known) > 1:
        return as_classifier(problem.W, known)
    nothing = np.zeros((1, problem.W.shape[1] - 1))
    return DummyClassifier().fit(nothing, known)


def soft_or_hard(how: str, proba: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean probability, or the majority with probability one."""
    if how == "soft":
        return soft_vote(proba)
    return np.eye(proba.shape[2])[hard_vote(proba)]


def check_combine(combine: Any) -> None:
    """Raise an error if the final estimator is no classifier."""
    if isinstance(combine, str):
        return
    if not is_a("classifier", combine):
        raise ValueError(
            "combine must be 'stack', 'soft', 'hard' or an unfitted classifier, got "
            f"{combine!r}." + advice("classifier", combine)
        )


def who_combines(final: Any) -> str:
    return f"The final estimator {type(final).__name__}"
