# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Checks of members, labels and weights, with errors that say what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from skcoop._compat import _check_sample_weight, _num_samples
from skcoop._members._kinds import advice, is_a
from skcoop._members._member import weight_parameter


def check_estimators(estimators: Any) -> list[tuple[str, Any]]:
    """Return the (name, classifier) pairs that are not dropped.

    Raises
    ------
    ValueError
        If `estimators` is not a list of such pairs, holds something else than
        classifiers, or if all of them are dropped.
    NotFittedError
        If a frozen member was never fitted.
    """
    if hasattr(estimators, "fit"):
        raise ValueError(
            "estimators must be a list of (name, classifier) pairs, got the single "
            f"estimator {estimators!r}. Cooperation needs several models; for a plain "
            "list of them use make_distiller(*estimators)."
        )
    if not isinstance(estimators, list) or not estimators:
        raise ValueError(
            "estimators must be a non-empty list of (name, classifier) pairs, got "
            f"{estimators!r}."
        )
    for item in estimators:
        if not (
            isinstance(item, tuple | list)
            and len(item) == 2
            and isinstance(item[0], str)
        ):
            raise ValueError(
                "estimators must be a list of (name, classifier) pairs; one entry is "
                f"{item!r}. For a plain list of classifiers use "
                "make_distiller(*estimators)."
            )
    kept = [(name, e) for name, e in estimators if not is_dropped(e)]
    if not kept:
        raise ValueError(
            "All estimators are dropped. At least one is required to be an estimator."
        )
    for name, estimator in kept:
        _check_member(name, estimator)
    return kept


def is_dropped(estimator: Any) -> bool:
    return isinstance(estimator, str) and estimator == "drop"


def _check_member(name: str, estimator: Any) -> None:
    if not is_a("classifier", estimator):
        raise ValueError(
            f"The estimator {name!r} should be a classifier, got {estimator!r}."
            + advice("classifier", estimator)
        )
    if isinstance(estimator, FrozenEstimator):
        try:
            check_is_fitted(estimator)
        except NotFittedError as error:
            raise NotFittedError(
                f"The frozen member {name!r} is not fitted. Fit it before freezing it, "
                "or hand it in unfrozen to let it learn here."
            ) from error


def check_learner(role: str, model: Any) -> None:
    """Raise an error if the model in a role is no classifier, or cannot learn."""
    if isinstance(model, FrozenEstimator):
        raise ValueError(
            f"The {role} is frozen and cannot learn. Hand in the model without "
            "FrozenEstimator around it."
        )
    _check_member(role, model)


def check_only_weights(name: str, estimator: Any, metadata: dict[str, Any]) -> None:
    """Raise an error if a model is to learn from a group with more than weights."""
    others = sorted(set(metadata) - {weight_parameter(estimator), "sample_weight"})
    if others:
        raise ValueError(
            f"{name!r} requests the parameters {others} of fit, which no model gets "
            "that learns from a group: rows without a label have none. Only "
            "sample_weight can be routed to the leader, and to the peers if "
            "n_rounds > 1."
        )


def check_weights(sample_weight: Any, X: Any) -> NDArray[np.float64]:
    """Return one finite weight for each row, 1 if none are given.

    Raises
    ------
    ValueError
        If a weight is negative, or if all are zero.
    """
    if sample_weight is None:
        return np.ones(_num_samples(X))
    weights = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weights.astype(np.float64)


def check_classes(estimator: Any, y: NDArray[Any]) -> None:
    """Raise an error if there is nothing to tell apart."""
    classes = np.unique(y)
    if len(classes) < 2:
        raise ValueError(
            f"{type(estimator).__name__} needs rows of at least two classes, but y "
            f"(rows without weight left out) holds 1 class: {classes.tolist()}."
        )
