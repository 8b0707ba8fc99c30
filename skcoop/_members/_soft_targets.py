# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Train any classifier on probabilities of the classes instead of labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.neighbors import (
    KNeighborsClassifier,
    KNeighborsRegressor,
    RadiusNeighborsClassifier,
    RadiusNeighborsRegressor,
)
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from skcoop._members._member import fit_any_labels, set_seeds, weight_parameter
from skcoop._members._samplers import counts_classes, holds_sampler
from skcoop._tables._frames import take

# Labels drawn for each row where a classifier takes no weights.
_DRAWS = 10
# Classifiers whose answer is an average of labels, and what averages probabilities.
_AVERAGES = {
    KNeighborsClassifier: KNeighborsRegressor,
    RadiusNeighborsClassifier: RadiusNeighborsRegressor,
}


class ProbabilityAverager(ClassifierMixin, BaseEstimator):
    """A classifier that averages its neighbours' probabilities.

    Parameters
    ----------
    regressor : regressor
        Fitted on one column of probabilities for each class.
    classes : ndarray of shape (n_classes,)
        The classes, in the order of these columns.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes.
    """

    def __init__(self, regressor: Any, classes: Any):
        self.regressor = regressor
        self.classes = classes

    def fit(self, X: Any, targets: Any) -> ProbabilityAverager:
        """Fit the regressor on one row of probabilities for each row of X.

        What comes before it in a pipeline is fitted to the most probable classes.
        """
        self.classes_ = np.asarray(self.classes)
        self.regressor_ = clone(self.regressor)
        if isinstance(self.regressor_, Pipeline) and len(self.regressor_) > 1:
            before, last = self.regressor_[:-1], self.regressor_.steps[-1]
            X = before.fit_transform(X, self.classes_[targets.argmax(axis=1)])
            last[1].fit(X, targets)
            self.regressor_ = Pipeline([*before.steps, last])
        else:
            self.regressor_.fit(X, targets)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the average of the neighbours' probabilities."""
        proba = np.asarray(self.regressor_.predict(X), dtype=np.float64)
        # Sums differ from one by rounding; NaN where a row has no neighbours.
        proba = np.nan_to_num(proba, nan=1.0 / len(self.classes_))
        return np.asarray(proba / proba.sum(axis=1, keepdims=True))

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])


def fit_soft(
    estimator: Any,
    X: Any,
    targets: NDArray[np.float64],
    classes: NDArray[Any],
    *,
    weights: NDArray[np.float64] | None = None,
    seed: int = 0,
    translate: bool = False,
) -> Any:
    """Fit a copy of a classifier to probabilities of the classes.

    Three ways, the first that the classifier allows:

    1. Nearest neighbours average probabilities as they average labels.
    2. A classifier that takes ``sample_weight`` gets each row once for each class, with
       the class's probability as its weight: the loss of a row is then the expected
       one. Repeated rows count towards limits in rows, as `min_samples_leaf` has, and
       ``class_weight="balanced"`` is worked out from the probabilities.
    3. Any other, and any that draws rows by the number of each class, as samplers do,
       gets each row ten times, with labels in the proportions of the probabilities,
       rounded by one draw for each row.

    Where all probabilities are 0 or 1, it is fitted to labels as it always is.

    Parameters
    ----------
    estimator : classifier
        Unfitted, or a pipeline that ends in one.
    X : {array-like, dataframe} of shape (n_samples, n_features)
        The rows.
    targets : ndarray of shape (n_samples, n_classes)
        A row of probabilities for each; they sum to one.
    classes : ndarray of shape (n_classes,)
        The classes, in the order of the columns of `targets`.
    weights : ndarray of shape (n_samples,), default=None
        Weight of each row; all the same by default. Nearest neighbours know no weights
        and ignore them; rows without weight are left out by all.
    seed : int, default=0
        Seed of the draws, and of every open ``random_state`` of the classifier.
    translate : bool, default=False
        Whether the classifier is known to take no labels but 0, 1, ...

    Returns
    -------
    fitted : classifier
        Its ``classes_`` are those classes that have a positive probability somewhere;
        with labels drawn, those that were.
    """
    weights = np.ones(len(targets)) if weights is None else weights
    taking_part = np.flatnonzero(weights > 0)
    if len(taking_part) < len(weights):
        X, targets = take(X, taking_part), targets[taking_part]
        weights = weights[taking_part]
    present = targets.any(axis=0)
    targets, classes = targets[:, present], classes[present]
    if len(classes) == 1:
        return DummyClassifier().fit(X, np.repeat(classes, len(targets)))
    estimator = set_seeds(estimator, seed)
    rows, codes = np.nonzero(targets)
    labelled = len(rows) == len(targets)  # no row has two classes
    if labelled and bool((weights == weights[0]).all()):
        return fit_any_labels(estimator, X, classes[codes], {}, translate=translate)
    if averager := _averager(estimator, classes):
        return averager.fit(X, targets)
    metadata = {}
    if parameter := _weight_parameter(estimator):
        shares = weights[:, None] * targets
        if balanced := _balanced_parameters(estimator):
            # Each class has as many rows now: what is to be balanced is their weight.
            estimator.set_params(**dict.fromkeys(balanced))
            shares *= shares.sum() / shares.shape[1] / shares.sum(axis=0)
        metadata = {parameter: shares[rows, codes]}
    else:
        rows, codes = drawn_labels(targets, weights, seed)
        if len(np.unique(codes)) == 1:
            return DummyClassifier().fit(take(X, rows), classes[codes])
    # These weights are no metadata of the user's: they go to the last step by its name,
    # whoever has requested what.
    with config_context(enable_metadata_routing=False):
        return fit_any_labels(
            estimator, take(X, rows), classes[codes], metadata, translate=translate
        )


def drawn_labels(
    targets: NDArray[np.float64], weights: NDArray[np.float64], seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Draw labels for rows in the proportions of their probabilities.

    Each row is drawn ten times if all weigh the same, else by its weight. The draws of
    a row are evenly spaced over its probabilities, so that their shares are off by
    less than one draw.

    Returns
    -------
    rows : ndarray of int, shape (n_draws,)
        The row of each draw.
    codes : ndarray of int, shape (n_draws,)
        Position of the label among the classes.
    """
    draw = np.random.default_rng(seed)
    counts = _DRAWS * weights / weights.mean()
    counts = np.floor(counts + draw.random(len(counts))).astype(np.intp)
    rows = np.repeat(np.arange(len(targets)), counts)
    number = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    at = (number + draw.random(len(targets))[rows]) / counts[rows]
    steps = targets.cumsum(axis=1)
    codes = (at[:, None] * steps[rows, -1:] >= steps[rows]).sum(axis=1)
    return rows, np.minimum(codes, targets.shape[1] - 1)


def _last_step(estimator: Any) -> Any:
    return estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator


def _weight_parameter(estimator: Any) -> str | None:
    """Return the name of a classifier's weights, if all that it fits takes them.

    None where classes are counted: with a row for each class, all would be as many.
    """
    if counts_classes(estimator):
        return None
    params = _last_step(estimator).get_params(deep=False)
    inner = [params.get("estimator"), params.get("final_estimator")]
    for item in params.get("estimators") or []:
        inner += item if isinstance(item, tuple) else [item]
    for model in inner:
        if hasattr(model, "fit") and not (
            has_fit_parameter(model, "sample_weight") and _weight_parameter(model)
        ):
            return None
    return weight_parameter(estimator)


def _balanced_parameters(estimator: Any) -> list[str]:
    """Return the names of parameters that balance classes by their number of rows."""
    last = f"{estimator.steps[-1][0]}__" if isinstance(estimator, Pipeline) else ""
    names = [f"{last}class_weight", f"{last}estimator__class_weight"]
    params = estimator.get_params()
    return [name for name in names if str(params.get(name)).startswith("balanced")]


def _averager(estimator: Any, classes: NDArray[Any]) -> ProbabilityAverager | None:
    """Return what averages probabilities as this classifier averages labels."""
    last = _last_step(estimator)
    kind = _AVERAGES.get(type(last))
    if kind is None or holds_sampler(estimator):  # which needs labels, not averages
        return None
    # RadiusNeighborsRegressor has no outlier_label.
    if getattr(last, "outlier_label", None) is not None:
        return None
    known = kind().get_params(deep=False)
    params = last.get_params(deep=False)
    regressor = kind(**{name: v for name, v in params.items() if name in known})
    if isinstance(estimator, Pipeline):
        regressor = clone(estimator).set_params(**{estimator.steps[-1][0]: regressor})
    return ProbabilityAverager(regressor, classes)
