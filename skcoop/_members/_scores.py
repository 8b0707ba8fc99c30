# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""What members are judged by: scores of out-of-fold predictions, fold by fold."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import Parameter, signature
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import get_scorer

from skcoop._members._predictions import top_class
from skcoop._tables._frames import take
from skcoop._tables._task import Task, joined
from skcoop._utils._rounding import ROUNDING

Floats = NDArray[np.float64]


def _right(proba: Floats, codes: NDArray[np.intp]) -> Floats:
    return 1.0 * (top_class(proba) == codes)


def _log_likelihood(proba: Floats, codes: NDArray[np.intp]) -> Floats:
    given = proba[np.arange(len(codes)), codes]
    return np.log(np.clip(given, np.finfo(np.float64).eps, 1.0))


def _negative_brier(proba: Floats, codes: NDArray[np.intp]) -> Floats:
    # As scikit-learn does: with two classes, the square of one of the two differences.
    share = 0.5 if proba.shape[1] == 2 else 1.0
    truth = np.eye(proba.shape[1])[codes]
    return np.asarray(-share * ((proba - truth) ** 2).sum(axis=1))


# Scores that are means over rows, by scikit-learn's names.
_BY_ROW: dict[str, Callable[[Floats, NDArray[np.intp]], Floats]] = {
    "accuracy": _right,
    "balanced_accuracy": _right,
    "neg_log_loss": _log_likelihood,
    "neg_brier_score": _negative_brier,
}
# Those of them that are shares of rows, whose differences are points.
SHARES = ("accuracy", "balanced_accuracy")


@dataclass
class Sums:
    """What a silo says of its rows: a score that is a mean over rows needs no more.

    Attributes
    ----------
    values : ndarray of shape (n_folds, n_classes)
        Weighted values of the rows by fold and class.
    weights : ndarray of shape (n_classes,)
        Weights of the rows by class.
    """

    values: Floats
    weights: Floats

    def with_folds(self, versions: Sequence[Sums]) -> Sums:
        """Take each fold's line from a version of its own."""
        lines = [version.values[fold] for fold, version in enumerate(versions)]
        return Sums(np.array(lines), self.weights)


@dataclass
class RowAnswers:
    """Rows and what was said of them, for what cannot be had from sums.

    Attributes
    ----------
    task : Task
        The rows.
    rows : ndarray of int, shape (n_samples,)
        Their places in the table that the user passed.
    proba : ndarray of shape (..., n_samples, n_classes)
        Out-of-fold predictions of one model or of several.
    """

    task: Task
    rows: NDArray[np.intp]
    proba: Floats

    def with_folds(self, versions: Sequence[RowAnswers]) -> RowAnswers:
        """Take each fold's rows from a version of its own."""
        chosen = np.empty_like(self.proba)
        for fold, version in enumerate(versions):
            own = self.task.folds == fold
            chosen[..., own, :] = version.proba[..., own, :]
        return RowAnswers(self.task, self.rows, chosen)


def pooled(parts: Sequence[RowAnswers]) -> RowAnswers:
    """Put rows of several silos together, in the order of the user's table."""
    if len(parts) == 1:
        return parts[0]
    order = np.argsort(np.concatenate([part.rows for part in parts]), kind="stable")
    proba = np.concatenate([part.proba for part in parts], axis=-2)
    return RowAnswers(
        joined([part.task for part in parts]).part(order),
        np.concatenate([part.rows for part in parts])[order],
        proba[..., order, :],
    )


@dataclass
class FoldScores:
    """A score, fold by fold.

    Attributes
    ----------
    values : ndarray of shape (n_folds,)
        What each fold adds to the score; NaN where it cannot judge.
    failures : list of str
        Types of the errors of the scorer, one for each fold that it failed in.
    """

    values: Floats
    failures: list[str]

    @property
    def total(self) -> float:
        """The score; NaN where no fold judges."""
        known = self.values[~np.isnan(self.values)]
        return float(known.sum()) if len(known) else float("nan")


def not_judged(n_folds: int) -> FoldScores:
    """Return the score where nobody judges."""
    return FoldScores(np.full(n_folds, np.nan), [])


class Score:
    """Accuracy balanced by class, or what the user chose by `scoring`.

    Means over rows are sums over silos and folds; any other score is computed in each
    fold, and its mean over the folds counts.

    Parameters
    ----------
    scoring : str, callable or None
        As of the distiller.

    Attributes
    ----------
    name : str
        What it is called in tables and pictures.
    """

    def __init__(self, scoring: Any = None):
        scoring = "balanced_accuracy" if scoring is None else scoring
        self.name = scoring if isinstance(scoring, str) else _name_of(scoring)
        self.by_row = _BY_ROW.get(scoring) if isinstance(scoring, str) else None
        self.scorer = None if self.by_row else _as_scorer(scoring)

    def part(
        self, task: Task, rows: NDArray[np.intp], proba: Floats
    ) -> Sums | RowAnswers:
        """Say of one silo's rows what the score needs.

        Parameters
        ----------
        task : Task
            The rows.
        rows : ndarray of int, shape (n_samples,)
            Their places in the user's table.
        proba : ndarray of shape (n_samples, n_classes)
            Out-of-fold predictions.
        """
        if self.by_row is None:
            return RowAnswers(task, rows, proba)
        n_classes = len(task.classes)
        values = self.by_row(proba, task.codes) * task.weights
        cells = task.folds * n_classes + task.codes
        by_cell = np.bincount(cells, values, task.n_folds * n_classes)
        return Sums(
            by_cell.astype(np.float64).reshape(task.n_folds, n_classes),
            np.bincount(task.codes, task.weights, n_classes).astype(np.float64),
        )

    def of(self, parts: Sequence[Any]) -> FoldScores:
        """Score what silos say together, at least one of them.

        Parameters
        ----------
        parts : list of Sums or of RowAnswers
            As :meth:`part` returned them.

        Returns
        -------
        scores : FoldScores
            What each fold adds.
        """
        if self.by_row is None:
            together = pooled(parts)
            return self._by_fold(together.task, together.proba)
        # (n_folds, n_classes) and (n_classes,), in the order of the silos
        values, weights = parts[0].values, parts[0].weights
        for part in parts[1:]:
            values, weights = values + part.values, weights + part.weights
        if self.name != "balanced_accuracy":
            return FoldScores(values.sum(axis=1) / weights.sum(), [])
        present = weights > 0
        means = values[:, present] / weights[present]
        return FoldScores(means.sum(axis=1) / present.sum(), [])

    def _by_fold(self, task: Task, proba: Floats) -> FoldScores:
        values, failures = np.full(task.n_folds, np.nan), []
        for fold in range(task.n_folds):
            try:
                values[fold] = self._ask_scorer(task, proba, task.in_fold(fold))
            except Exception as error:  # scorers are the user's: this fold is silent
                failures.append(type(error).__name__)
            else:
                if np.isnan(values[fold]):
                    failures.append("NaN")
        known = int((~np.isnan(values)).sum())
        return FoldScores(values / max(known, 1), failures)

    def _ask_scorer(self, task: Task, proba: Floats, rows: NDArray[np.intp]) -> float:
        assert self.scorer is not None
        weights, params = task.weights[rows], {}
        if not (task.weights == task.weights[0]).all() and _takes_weights(self.scorer):
            params["sample_weight"] = weights
        predictions = Predicted(proba[rows], task.classes)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a score that is undefined is NaN
            return float(
                self.scorer(predictions, take(task.X, rows), task.y[rows], **params)
            )


class Predicted(ClassifierMixin, BaseEstimator):
    """A classifier that has predicted already, for a scorer to look at.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes)
        The predictions for the rows that the scorer is shown.
    classes : ndarray of shape (n_classes,)
        The classes.
    """

    def __init__(self, proba: Any, classes: Any):
        self.proba = proba
        self.classes = classes
        self.classes_ = classes

    def __sklearn_is_fitted__(self) -> bool:
        """Tell that there is nothing to fit."""
        return True

    def predict_proba(self, X: Any) -> Any:
        """Return the predictions."""
        # A guest that takes a row for a class that is none here gives all classes 0.
        totals = self.proba.sum(axis=1, keepdims=True)
        uniform = np.full_like(self.proba, 1.0 / self.proba.shape[1])
        return np.divide(self.proba, totals, out=uniform, where=totals > 0)

    def predict(self, X: Any) -> Any:
        """Return the most probable classes."""
        return self.classes[self.proba.argmax(axis=1)]


def gains(before: FoldScores, after: FoldScores) -> Floats:
    """Return what each fold adds to the gain, of the folds that judge both."""
    return after.values - before.values


def standard_error(gains: Floats) -> float:
    """Estimate the standard error of a sum of folds' gains g: root of sum(g^2)."""
    return float(np.sqrt(np.nansum(gains**2)))


def is_clear(gained: Floats) -> bool:
    """Tell whether the gain, summed over the folds, is more than its standard error."""
    total = float(np.nansum(gained))
    return total > standard_error(gained) + ROUNDING


def _as_scorer(scoring: Any) -> Callable[..., Any]:
    return get_scorer(scoring) if isinstance(scoring, str) else scoring


def _name_of(scorer: Any) -> str:
    inner = getattr(scorer, "_score_func", scorer)
    return str(getattr(inner, "__name__", type(inner).__name__))


def _takes_weights(scorer: Callable[..., Any]) -> bool:
    """Tell whether a scorer can be given weights of the rows."""
    if hasattr(scorer, "_score_func"):
        return "sample_weight" in signature(scorer._score_func).parameters
    parameters = signature(scorer).parameters
    any_name = Parameter.VAR_KEYWORD in {p.kind for p in parameters.values()}
    return any_name or "sample_weight" in parameters
