# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Members: who takes part, what each may train on, what each can read and answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import has_fit_parameter

from skcoop._frames import column_names, is_frame, own_copy, select
from skcoop._predictions import (
    align,
    holds_negatives,
    misses_one,
    predicted_codes,
    predicted_labels,
    probability_table,
)
from skcoop._progress import Progress
from skcoop._samplers import holds_sampler
from skcoop._warnings import warn


@dataclass
class Member:
    """One model that takes part, before it is fitted.

    Attributes
    ----------
    name : str
        Its name in `estimators`, which is also the name of its silo.
    estimator : classifier
        The unfitted prototype; a fitted one where `frozen`.
    rows : ndarray of int
        The rows that it may train on.
    frozen : bool
        Whether it only teaches.
    reads : ndarray of bool, shape (n_features,)
        The columns that can reach it.
    metadata : dict
        Row-aligned parameters of its ``fit``.
    """

    name: str
    estimator: Any
    rows: NDArray[np.intp]
    frozen: bool
    reads: NDArray[np.bool_]
    metadata: dict[str, Any] = field(default_factory=dict)


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
        """Fit the classifier on the positions of the labels in `classes_`."""
        encoder = LabelEncoder().fit(y)
        self.estimator_ = clone(self.estimator)
        self.estimator_.fit(X, encoder.transform(y), **fit_params)
        self.classes_ = encoder.classes_
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


@dataclass
class FittedMember:
    """A fitted model behind one way of asking it.

    It answers for all classes of the task, asks the model for the columns that it was
    fitted on, and refuses answers that are no probabilities.
    """

    name: str
    estimator: Any
    classes_: NDArray[Any]

    @property
    def has_proba(self) -> bool:
        """Whether the model gives probabilities, without which it cannot teach."""
        return hasattr(self.estimator, "predict_proba")

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return probabilities of all classes; a vote for one where it has none."""
        X = columns_of(self.estimator, X)
        who = f"Member {self.name!r}"
        if not self.has_proba:
            return self._votes(X, who)
        known = np.asarray(self.estimator.classes_)
        proba = probability_table(self.estimator.predict_proba(X), known, X, who)
        if not np.isfinite(proba).all():
            raise ValueError(
                f"{who}: predict_proba returned NaN or infinity. Check the model on "
                "rows like these, or drop the member."
            )
        # All zeros is what neighbours say who know nobody near.
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
        one reads. An array is locked; who insists on writing gets a copy.
        """
        if not isinstance(X, np.ndarray):
            return self.predict_proba(own_copy(X))
        locked = X.view()
        locked.flags.writeable = False
        try:
            return self.predict_proba(locked)
        except ValueError:
            return self.predict_proba(own_copy(X))


def columns_of(estimator: Any, X: Any) -> Any:
    """Return the columns of a frame that a frozen model was fitted on, in its order.

    A model trained elsewhere may know only some of the columns of this table. Members
    that were fitted here were fitted on all of them.
    """
    names = getattr(estimator, "feature_names_in_", None)
    if names is None or not isinstance(estimator, FrozenEstimator) or not is_frame(X):
        return X
    known = column_names(X)
    if list(names) == known or not set(names) <= set(known):
        return X
    return select(X, list(names))


def able_to_teach(members: Sequence[Member]) -> NDArray[np.bool_]:
    """Mark the members that give probabilities, and say who does not."""
    # The prototype tells: what stands in for a member of one class says nothing of it.
    able = np.array([hasattr(member.estimator, "predict_proba") for member in members])
    mute = [member.name for member, can in zip(members, able, strict=True) if not can]
    if mute:
        warn(
            f"The members {mute} have no predict_proba: they vote but cannot teach. A "
            "CalibratedClassifierCV around them can."
        )
    return able


def make_member(
    name: str,
    estimator: Any,
    rows: NDArray[np.intp],
    n_features: int,
    seed: int,
    metadata: Mapping[str, Any],
) -> Member:
    """Set up one member; its columns are known once it has been fitted."""
    frozen = isinstance(estimator, FrozenEstimator)
    return Member(
        name=name,
        estimator=estimator if frozen else set_seeds(estimator, seed),
        rows=rows,
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
    """
    if member.frozen:
        return member.estimator
    model, only = clone(member.estimator), len(np.unique(y)) == 1
    if only:
        model, metadata = DummyClassifier(), {}
    with nullcontext() if progress is None else progress.around(model):
        return fit_any_labels(model, X, y, metadata)


def fit_any_labels(
    estimator: Any, X: Any, y: NDArray[Any], metadata: Mapping[str, Any]
) -> Any:
    """Fit a classifier, behind a translation if it takes no labels but 0, 1, ..."""
    try:
        return estimator.fit(X, y, **metadata)
    except Exception as error:
        labels = np.unique(y)
        if np.array_equal(labels.astype(object), np.arange(len(labels))):
            raise
        reason = error
    try:
        return LabelEncodedClassifier(clone(estimator)).fit(X, y, **metadata)
    except Exception:  # the labels were not the reason
        raise reason from None
