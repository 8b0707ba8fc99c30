# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""What members are judged by: scores of out-of-fold predictions, fold by fold."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter, signature
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import get_scorer

from skcoop._members._predictions import top_class
from skcoop._tables._frames import take
from skcoop._tables._task import Task

Rows = NDArray[np.bool_]
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

    def of(self, task: Task, proba: Floats, rows: Rows) -> FoldScores:
        """Score out-of-fold predictions on some rows.

        Parameters
        ----------
        task : Task
            The rows.
        proba : ndarray of shape (n_samples, n_classes)
            The predictions.
        rows : ndarray of bool, shape (n_samples,)
            The rows that judge.

        Returns
        -------
        scores : FoldScores
            What each fold adds.
        """
        if self.scorer is not None:
            return self._by_fold(task, proba, rows)
        assert self.by_row is not None
        values = self.by_row(proba, task.codes) * self._shares(task, rows)
        by_fold = np.bincount(task.folds, values, task.n_folds)
        return FoldScores(by_fold.astype(np.float64), [])

    def _shares(self, task: Task, rows: Rows) -> Floats:
        """Return the weight of each row in the mean; all sum to one."""
        weights = np.where(rows, task.weights, 0.0)
        if self.name != "balanced_accuracy":
            return weights / weights.sum()
        totals = np.bincount(task.codes, weights, len(task.classes))
        present = totals > 0
        each = np.divide(1.0, totals, out=np.zeros(len(totals)), where=present)
        return weights * each[task.codes] / present.sum()

    def _by_fold(self, task: Task, proba: Floats, rows: Rows) -> FoldScores:
        values, failures = np.full(task.n_folds, np.nan), []
        for fold in range(task.n_folds):
            judges = np.flatnonzero(rows & (task.folds == fold))
            try:
                values[fold] = self._ask_scorer(task, proba, judges)
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
