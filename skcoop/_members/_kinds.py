# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Whether a model is a classifier or a regressor, and what to do if it should be."""

from __future__ import annotations

from typing import Any

from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    RegressorMixin,
    is_classifier,
    is_regressor,
)

_CHECKS = {"classifier": is_classifier, "regressor": is_regressor}
_MIXINS = {"classifier": ClassifierMixin, "regressor": RegressorMixin}


def is_a(kind: str, model: Any) -> bool:
    """Tell whether a model is a ``"classifier"`` or a ``"regressor"``, and no class."""
    if isinstance(model, type) or not hasattr(model, "fit"):
        return False
    try:
        return hasattr(model, "__sklearn_tags__") and bool(_CHECKS[kind](model))
    except AttributeError:  # a model inside of it has no tags
        return False


def advice(kind: str, model: Any) -> str:
    """Say what makes a model a classifier or a regressor, if that can be told."""
    if isinstance(model, type):
        return f" Pass an instance of it: {model.__name__}()."
    if kind == "classifier" and is_a("regressor", model):
        return " Regression is not supported yet."
    inner = _who_answers(model)
    if not hasattr(inner, "fit") or not hasattr(inner, "predict"):
        return ""
    name, mixin, order = type(inner).__name__, _MIXINS[kind], type(inner).__mro__
    header = f"class {name}({mixin.__name__}, BaseEstimator)"
    if BaseEstimator not in order:
        return (
            f" scikit-learn cannot tell what {name} is. Derive it from "
            f"{mixin.__name__} and BaseEstimator, in this order: {header}."
        )
    if mixin in order and order.index(BaseEstimator) < order.index(mixin):
        return (
            f" {name} derives from BaseEstimator before {mixin.__name__}, which hides "
            f"what it is. Turn them round: {header}."
        )
    if inner.__sklearn_tags__().estimator_type is None:
        return f" If {name} is one, derive it from {mixin.__name__} too: {header}."
    return ""


def _who_answers(model: Any) -> Any:
    """Return the model at the end of a pipeline and inside of a meta-estimator."""
    while True:
        if hasattr(model, "steps"):
            model = model.steps[-1][1]
        elif hasattr(model, "estimator"):
            model = model.estimator
        else:
            return model
