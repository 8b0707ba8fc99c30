# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Which columns of a table can reach a model."""

from __future__ import annotations

import warnings
from collections.abc import Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from skcoop._members._column_names import names_of, places_of
from skcoop._members._member import FittedMember, Member
from skcoop._members._predictions import positions_of
from skcoop._tables._frames import column_names, is_frame
from skcoop._tables._task import Task
from skcoop._utils._errors import named


def columns_of_member(task: Task, member: Member, model: Any) -> NDArray[np.bool_]:
    """Find the columns that a member reads, from its fitted model."""
    if isinstance(model, DummyClassifier):
        model = _declared_choice(task, member)
    return columns_read(model, task.codec.names)


def check_frozen(name: str, estimator: Any, X: Any, classes: NDArray[Any]) -> None:
    """Raise an error if a frozen model cannot be asked about this task."""
    if not isinstance(estimator, FrozenEstimator):
        return
    with named(f"The frozen member {name!r}", "asked for its classes"):
        known = np.asarray(estimator.classes_)
    if (positions_of(known, classes) < 0).all():
        raise ValueError(
            f"The frozen member {name!r} knows the classes {known.tolist()}, none of "
            f"which is in y: {classes.tolist()}. Relabel y or the model."
        )
    check_columns(f"The frozen member {name!r}", estimator, X)


def check_columns(who: str, model: Any, X: Any) -> None:
    """Raise an error if a fitted model cannot be given the columns that it reads."""
    labels = column_names(X)
    try:
        places = places_of(model, labels) if is_frame(X) else None
    except ValueError as error:
        raise ValueError(f"{who} cannot be asked: {error}") from error
    if places is not None:
        own = list(names_of(model) or ())
        reads = columns_read(model, own)
        absent = [
            str(name)
            for name, place, used in zip(own, places, reads, strict=True)
            if used and place < 0
        ]
        if absent:
            raise ValueError(
                f"{who} was fitted with the columns {absent}, which X lacks. Add them "
                "(they may be missing values), or do without the model."
            )
        return
    width = getattr(model, "n_features_in_", len(labels))
    if width != len(labels):
        raise ValueError(
            f"{who} was fitted on {width} features, X has {len(labels)}. Hand in data "
            "frames, so that it can take its own by name."
        )


def _declared_choice(task: Task, member: Member) -> Any:
    """Fit a member's choice of columns alone, where a stand-in took its place."""
    first = _first_step(member.estimator)
    if not isinstance(first, ColumnTransformer):
        return first
    # What happens to the chosen columns may need more than one class: leave it out.
    choice = [
        (name, step if step == "drop" else "passthrough", columns)
        for name, step, columns in first.transformers
    ]
    with named(f"Member {member.name!r}", "choosing its columns"):
        return clone(first).set_params(transformers=choice).fit(task.X)


def _first_step(estimator: Any) -> Any:
    """Find the first thing that an unfitted model does with its table."""
    while True:
        if isinstance(estimator, Pipeline):
            steps = [step for _, step in estimator.steps]
            estimator = next(s for s in steps if s is not None and s != "passthrough")
        elif hasattr(estimator, "estimator"):
            estimator = estimator.estimator
        else:
            return estimator


def columns_read(estimator: Any, names: list[Hashable]) -> NDArray[np.bool_]:
    """Find the columns that can reach a model: all, unless its first step chooses.

    Parameters
    ----------
    estimator : estimator
        Fitted on a table with columns `names`; a frozen one on some of them.
    names : list
        The labels of the table's columns.

    Returns
    -------
    reads : ndarray of bool, shape (n_features,)
        Columns outside of it cannot change the model's answer.
    """
    if isinstance(estimator, FittedMember):
        return columns_read(estimator.estimator, names)
    try:
        places = places_of(estimator, names)
    except ValueError:  # who asks it will say so
        places = None
    # An array has no names and is read by position.
    if places is None or all(place < 0 for place in places):
        return _reads(estimator, names)
    own = names_of(estimator) or ()
    inner = _reads(
        estimator, [names[j] if j >= 0 else n for j, n in zip(places, own, strict=True)]
    )
    reads = np.zeros(len(names), dtype=bool)
    reads[[j for j, used in zip(places, inner, strict=True) if used and j >= 0]] = True
    return reads


def _reads(estimator: Any, names: list[Hashable]) -> NDArray[np.bool_]:
    """Find the columns read among those that the model was fitted on, in its order."""
    everything = np.ones(len(names), dtype=bool)
    if isinstance(estimator, FrozenEstimator):
        return columns_read(estimator.estimator, names)
    if isinstance(estimator, Pipeline):
        steps = [step for _, step in estimator.steps]
        first = next((s for s in steps if s is not None and s != "passthrough"), None)
        return columns_read(first, names)
    if isinstance(estimator, ColumnTransformer) and hasattr(estimator, "transformers_"):
        return _columns_chosen(estimator, names)
    parts = [p for p in parts_of(estimator) if _width(p, len(names)) == len(names)]
    if not parts or len(parts) < len(parts_of(estimator)):
        return everything
    return np.any([columns_read(part, names) for part in parts], axis=0)


def parts_of(estimator: Any) -> list[Any]:
    """Return the fitted models inside a meta-estimator, if it hands X to them alone."""
    if getattr(estimator, "passthrough", False):  # stacking that reads X as well
        return []
    if getattr(estimator, "bootstrap_features", False):  # each reads others, renamed
        return []
    for attribute in ("estimators_", "calibrated_classifiers_"):
        if hasattr(estimator, attribute):
            parts = getattr(estimator, attribute)
            # To NumPy, a list of pipelines would be a table of their steps.
            parts = parts.ravel() if isinstance(parts, np.ndarray) else parts
            return [p.estimator if hasattr(p, "calibrators") else p for p in parts]
    for attribute in ("estimator_", "best_estimator_"):
        if hasattr(estimator, attribute):
            return [getattr(estimator, attribute)]
    return []


def _width(estimator: Any, default: int) -> int:
    return int(getattr(estimator, "n_features_in_", default))


def _columns_chosen(
    estimator: ColumnTransformer, names: list[Hashable]
) -> NDArray[np.bool_]:
    """Return the columns that a fitted ColumnTransformer does not drop."""
    inputs = list(getattr(estimator, "feature_names_in_", names))
    chosen: set[Hashable] = set()
    with warnings.catch_warnings():
        # scikit-learn 1.6 announces here that it will list the remainder by name.
        warnings.simplefilter("ignore", FutureWarning)
        for _, transformer, columns in estimator.transformers_:
            if not (isinstance(transformer, str) and transformer == "drop"):
                chosen.update(labels_of(columns, inputs))
    return np.array([name in chosen for name in inputs], dtype=bool)


def labels_of(columns: Any, inputs: list[Hashable]) -> list[Hashable]:
    """Return the labels that a ColumnTransformer's fitted column choice stands for."""
    if isinstance(columns, slice):
        if isinstance(columns.start, str) or isinstance(columns.stop, str):
            first = 0 if columns.start is None else inputs.index(columns.start)
            last = None if columns.stop is None else inputs.index(columns.stop) + 1
            return inputs[first : last : columns.step]
        return inputs[columns]
    if isinstance(columns, str):
        return [columns]
    columns = np.atleast_1d(np.asarray(columns, dtype=object)).tolist()
    if columns and all(isinstance(c, bool | np.bool_) for c in columns):
        return [label for label, used in zip(inputs, columns, strict=True) if used]
    return [c if isinstance(c, str) else inputs[c] for c in columns]
