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
from sklearn.linear_model import LogisticRegression

from skcoop._cooperative._logistic_by_sums import (
    LossSums,
    added,
    as_classifier,
    loss_sums,
    newton,
)
from skcoop._members._kinds import advice, is_a
from skcoop._members._member import (
    FittedMember,
    fit_any_labels,
    set_seeds,
    weight_parameter,
)
from skcoop._members._predictions import top_class
from skcoop._tables._task import Task
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

    def fit(
        self, task: Task, proba: NDArray[np.float64], rows: NDArray[np.bool_]
    ) -> Any | None:
        """Train the final estimator on out-of-fold predictions; None for a vote.

        Parameters
        ----------
        task : Task
            The rows.
        proba : ndarray of shape (n_members, n_samples, n_classes)
            The members' out-of-fold predictions.
        rows : ndarray of bool, shape (n_samples,)
            The rows to learn from.
        """
        if not self.stacks:
            return None
        own = isinstance(self.combine, str)
        if own and len(np.unique(task.silos)) > 1 and len(np.unique(task.y[rows])) > 1:
            return _logistic_by_sums(task, proba, rows)
        final = LogisticRegression() if own else self.combine
        who = who_combines(final)
        with named(who, "copied"):
            final = set_seeds(final, self.seed)
        weights, metadata = task.weights[rows], {}
        if not (weights == weights[0]).all():
            parameter = weight_parameter(final)
            metadata = {} if parameter is None else {parameter: weights}
        # scikit-learn 1.6 fits LogisticRegression through joblib.
        at_home = parallel_config("sequential") if own else nullcontext()
        # The weights go to the last step by its name, whoever has requested what.
        features = stacked(proba[:, rows])
        with (
            at_home,
            config_context(enable_metadata_routing=False),
            named(who, f"fitted on {len(features)} rows"),
        ):
            return fit_any_labels(final, features, task.y[rows], metadata)

    def out_of_fold(
        self,
        task: Task,
        by_fold: Sequence[NDArray[np.float64]],
        learned_from: NDArray[np.bool_],
    ) -> NDArray[np.float64]:
        """Return what the members say together of each fold, learned from the others.

        Parameters
        ----------
        task : Task
            The rows.
        by_fold : list of ndarray of shape (n_members, n_samples, n_classes)
            The members' predictions, as each fold is to see them.
        learned_from : ndarray of bool, shape (n_samples,)
            The rows that a final estimator may learn from.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Probabilities; votes for one class where there are none.
        """
        calls = (
            delayed(self._fit_and_predict)(task, proba, fold, learned_from)
            for fold, proba in enumerate(by_fold)
        )
        # The default final estimator takes no longer than to send it somewhere.
        jobs = 1 if isinstance(self.combine, str) else self.n_jobs
        combined = np.zeros(by_fold[0].shape[1:])
        for fold, said in enumerate(in_parallel(calls, jobs)):
            combined[task.folds == fold] = said
        return combined

    def _fit_and_predict(
        self,
        task: Task,
        proba: NDArray[np.float64],
        fold: int,
        learned_from: NDArray[np.bool_],
    ) -> NDArray[np.float64]:
        held_out = task.folds == fold
        if not self.stacks:
            return self.vote(proba[:, held_out])
        final = self.fit(task, proba, learned_from & ~held_out)
        asked = FittedMember(
            "final estimator", final, task.classes, who_combines(final)
        )
        return asked.predict_proba(stacked(proba[:, held_out]))

    def vote(self, proba: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean probability, or the majority with probability one."""
        if self.combine == "soft":
            return soft_vote(proba)
        return np.eye(proba.shape[2])[hard_vote(proba)]


def _logistic_by_sums(
    task: Task, proba: NDArray[np.float64], rows: NDArray[np.bool_]
) -> LogisticRegression:
    """Fit the default final estimator without bringing rows of two silos together."""
    classes, codes = np.unique(task.codes[rows], return_inverse=True)
    features, weights = stacked(proba[:, rows]), task.weights[rows]
    silos = [
        (features[own], codes[own], weights[own])
        for silo in np.unique(task.silos[rows])
        for own in [task.silos[rows] == silo]
    ]

    def sums_at(W: NDArray[np.float64]) -> LossSums:
        return added(loss_sums(*own, W) for own in silos)

    W = newton(sums_at, features.shape[1], len(classes))
    return as_classifier(W, task.classes[classes])


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
