# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Members: who takes part, what each may train on, what each can read and answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import has_fit_parameter

from skcoop._members._column_names import columns_of
from skcoop._members._label_translation import (
    count_from_zero,
    encoded_parameters,
    holds_labels_apart,
    may_be_about_labels,
    with_codes,
)
from skcoop._members._predictions import (
    align,
    holds_negatives,
    misses_one,
    predicted_codes,
    predicted_labels,
    probability_table,
)
from skcoop._members._samplers import holds_sampler
from skcoop._tables._frames import own_copy
from skcoop._utils._errors import named
from skcoop._utils._progress import Progress


@dataclass
class Member:
    """One model that takes part, before it is fitted.

    Attributes
    ----------
    name : str
        Its name in `estimators`.
    estimator : classifier
        The unfitted prototype; a fitted one where `frozen`.
    frozen : bool
        Whether it only teaches.
    reads : ndarray of bool, shape (n_features,)
        The columns that can reach it.
    metadata : dict
        Row-aligned parameters of its ``fit``.
    translates : bool
        Whether it is known to take no labels but 0, 1, ...
    """

    name: str
    estimator: Any
    frozen: bool
    reads: NDArray[np.bool_]
    metadata: dict[str, Any] = field(default_factory=dict)
    translates: bool = False

    def learn_from(self, model: Any) -> None:
        """Note what a first fit told: whether its labels had to be translated."""
        self.translates |= isinstance(model, LabelEncodedClassifier)


class LabelEncodedClassifier(ClassifierMixin, BaseEstimator):
    """A classifier that insists on the labels 0, 1, ..., answering in the user's own.

    Parameters
    ----------
    estimator : classifier
        The classifier to fit on encoded labels.

    Attributes
    ----------
    estimator_ : classifier
        The fitted classifier.
    classes_ : ndarray of shape (n_classes,)
        The labels.
    """

    def __init__(self, estimator: Any):
        self.estimator = estimator

    def fit(self, X: Any, y: Any, **fit_params: Any) -> LabelEncodedClassifier:
        """Fit the classifier on the positions of the labels in `classes_`.

        Labels of validation rows and the keys of class weights are translated as well.
        """
        classes, codes = np.unique(y, return_inverse=True)
        fit_params = encoded_parameters(fit_params, classes)
        self.estimator_ = with_codes(self.estimator, classes)
        self.estimator_.fit(X, codes, **fit_params)
        self.classes_ = classes
        return self

    def predict(self, X: Any) -> Any:
        """Return the predicted labels."""
        answer, codes = self.estimator_.predict(X), np.arange(len(self.classes_))
        who = type(self.estimator_).__name__
        return self.classes_[predicted_labels(answer, codes, X, who)]

    @available_if(lambda self: hasattr(self.estimator_, "predict_proba"))
    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each of `classes_`."""
        answer, codes = self.estimator_.predict_proba(X), np.arange(len(self.classes_))
        return probability_table(answer, codes, X, type(self.estimator_).__name__)


def _naming_the_member(ask: Any) -> Any:
    """Let the errors of a model that is asked about rows begin with its name."""

    @wraps(ask)
    def asked(self: FittedMember, X: Any) -> Any:
        with named(self._who, f"asked about {X.shape[0]} rows"):
            return ask(self, X)

    return asked


@dataclass
class FittedMember:
    """A fitted model behind one way of asking it.

    It answers for all classes of the task, asks the model for the columns that it was
    fitted on, and refuses answers that are no probabilities. Errors begin with `who`,
    by default the member with its name.
    """

    name: str
    estimator: Any
    classes_: NDArray[Any]
    who: str = ""

    @property
    def _who(self) -> str:
        return self.who or f"Member {self.name!r}"

    @property
    def has_proba(self) -> bool:
        """Whether the model gives probabilities, without which it cannot teach."""
        return hasattr(self.estimator, "predict_proba")

    @_naming_the_member
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return probabilities of all classes; a vote for one where it has none."""
        if isinstance(self.estimator, FrozenEstimator):
            X = columns_of(self.estimator, X)
        who = self._who
        if not self.has_proba:
            return self._votes(X, who)
        known = np.asarray(self.estimator.classes_)
        proba = probability_table(self.estimator.predict_proba(X), known, X, who)
        if not np.isfinite(proba).all():
            raise ValueError(
                f"{who}: predict_proba returned NaN or infinity. Check the model on "
                "rows like these, or drop the member."
            )
        # RadiusNeighborsClassifier returns zeros for a row without neighbours.
        wrong = misses_one(proba) & proba.any(axis=1) | holds_negatives(proba)
        if wrong.any():
            raise ValueError(
                f"{who}: predict_proba returned no probabilities, such as "
                f"{proba[wrong][0].tolist()}: none may be negative, and a row sums to "
                "one. Calibrate the model, or drop the member."
            )
        return align(proba, known, self.classes_, who)

    def _votes(self, X: Any, who: str) -> NDArray[np.float64]:
        """Return one vote for each row; none for a class that is none of this task."""
        answer = self.estimator.predict(X)
        if not isinstance(self.estimator, FrozenEstimator):
            answer = predicted_labels(answer, self.classes_, X, who)
        codes = predicted_codes(answer, self.classes_, X, who)
        return np.asarray(codes[:, None] == np.arange(len(self.classes_)), dtype=float)

    def answer_without_writing(self, X: Any) -> NDArray[np.float64]:
        """Return what ``predict_proba`` does, whatever the model does to its input.

        A model that works in place would change what the user has and what the next
        one reads. An array is locked; models that write to their input get a copy.
        """
        if not isinstance(X, np.ndarray):
            return self.predict_proba(own_copy(X))
        locked = X.view()
        locked.flags.writeable = False
        try:
            return self.predict_proba(locked)
        except ValueError:
            return self.predict_proba(own_copy(X))


def stands_in(model: Any, prototype: Any) -> bool:
    """Tell whether a model only stands in for another, whose rows had one class."""
    return isinstance(model, DummyClassifier) and not isinstance(
        prototype, DummyClassifier
    )


def gives_probabilities(models: Sequence[Any], prototype: Any) -> bool:
    """Ask fitted models of one kind, as what they can do may depend on their fit.

    The prototype is asked where something stands in for all of them.
    """
    own = [model for model in models if not stands_in(model, prototype)]
    return all(hasattr(model, "predict_proba") for model in own or [prototype])


def make_member(
    name: str,
    estimator: Any,
    n_features: int,
    seed: int,
    metadata: Mapping[str, Any],
) -> Member:
    """Set up one member; its columns are known once it has been fitted.

    Parameters
    ----------
    name, estimator : str, classifier
        As the user named it.
    n_features : int
        Number of columns.
    seed : int
        For what is random in it.
    metadata : dict
        Row-aligned parameters of its ``fit``.
    """
    frozen = isinstance(estimator, FrozenEstimator)
    if not frozen:
        with named(f"Member {name!r}", "copied"):
            estimator = set_seeds(estimator, seed)
    return Member(
        name=name,
        estimator=estimator,
        frozen=frozen,
        reads=np.ones(n_features, dtype=bool),
        metadata=dict(metadata),
    )


def set_seeds(estimator: Any, seed: int) -> Any:
    """Return a clone whose every open ``random_state`` is the given seed.

    All copies of a member share their seed, so that two refits differ by what they
    were taught and not by luck.
    """
    estimator = clone(estimator)
    open_seeds = {
        name: seed
        for name, value in estimator.get_params(deep=True).items()
        if value is None and (name == "random_state" or name.endswith("__random_state"))
    }
    return estimator.set_params(**open_seeds) if open_seeds else estimator


def weight_parameter(estimator: Any) -> str | None:
    """Return the name under which ``fit`` takes sample weights, if it does."""
    if holds_sampler(estimator):
        return None
    if isinstance(estimator, Pipeline):
        name, last = estimator.steps[-1]
        inner = None if isinstance(last, str) else weight_parameter(last)
        return None if inner is None else f"{name}__{inner}"
    return "sample_weight" if has_fit_parameter(estimator, "sample_weight") else None


def fit_model(
    member: Member,
    X: Any,
    y: NDArray[Any],
    metadata: Mapping[str, Any],
    progress: Progress | None = None,
) -> Any:
    """Fit a copy of the member's model, which callbacks may follow.

    Labels that hold a single class leave nothing to learn: the copy then answers that
    class always. A classifier that insists on labels 0, 1, ... is given these.

    Parameters
    ----------
    member : Member
        The member; a frozen one is returned as it is.
    X, y : array-like
        What to fit it on.
    metadata : dict
        Parameters of ``fit`` for these rows.
    progress : Progress, default=None
        What follows the fit.
    """
    if member.frozen:
        return member.estimator
    model, only = clone(member.estimator), len(np.unique(y)) == 1
    if only:
        model, metadata = DummyClassifier(), {}
    with nullcontext() if progress is None else progress.around(model):
        return fit_any_labels(model, X, y, metadata, translate=member.translates)


def fit_any_labels(
    estimator: Any,
    X: Any,
    y: NDArray[Any],
    metadata: Mapping[str, Any],
    *,
    translate: bool = False,
) -> Any:
    """Fit a classifier, behind a translation if it takes no labels but 0, 1, ...

    Whether it does is known from an earlier fit (`translate`), or an error that may be
    about labels tells. What it raises behind the translation is what matters.
    """
    translated = LabelEncodedClassifier(estimator)
    # LightGBM 4.7 encodes y, but not labels in other parameters of fit.
    if translate or holds_labels_apart(metadata):
        return (estimator if count_from_zero(y) else translated).fit(X, y, **metadata)
    try:
        return estimator.fit(X, y, **metadata)
    except Exception as error:
        if count_from_zero(y) or not may_be_about_labels(error, y):
            raise
        return translated.fit(X, y, **metadata)
