# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Which parameters of ``fit`` go to which member and to the splitter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sklearn.frozen import FrozenEstimator
from sklearn.utils import Bunch
from sklearn.utils.metadata_routing import process_routing

from skcoop._compat import _raise_for_params, _routing_enabled
from skcoop._members._member import weight_parameter
from skcoop._members._samplers import holds_sampler
from skcoop._utils._warnings import warn


def routing_key(name: str) -> str:
    """Return the name of a member in a router, which takes names as keywords.

    A member may be called "self".
    """
    return f"model {name}"


def route_fit_parameters(
    distiller: Any,
    estimators: Sequence[tuple[str, Any]],
    sample_weight: Any,
    params: dict[str, Any],
) -> Bunch:
    """Route by the members' own requests, or weights to all who take them.

    Parameters
    ----------
    distiller : estimator
        Whose ``fit`` was called.
    estimators : list of (str, classifier)
        The members that take part.
    sample_weight : array-like of shape (n_samples,) or None
        Weights of the rows.
    params : dict
        All other parameters of ``fit``.

    Returns
    -------
    routed : Bunch
        ``routed[name].fit`` for each member and ``routed["cv"].split``.
    """
    _raise_for_params(params, distiller, "fit")
    if _routing_enabled():
        given = {"sample_weight": sample_weight, **params}
        given = {name: value for name, value in given.items() if value is not None}
        answers = process_routing(distiller, "fit", **given)
        routed = Bunch(cv=answers["cv"])
        routed.update((name, answers[routing_key(name)]) for name, _ in estimators)
        lost = [
            name
            for name, estimator in estimators
            if holds_sampler(estimator) and "sample_weight" in routed[name].fit
        ]
        for name in lost:
            del routed[name].fit["sample_weight"]
        _warn_of_lost_weights(lost)
        return routed
    routed = Bunch(cv=Bunch(split={}))
    if sample_weight is None:
        routed.update((name, Bunch(fit={})) for name, _ in estimators)
        return routed
    for name, metadata in _weights_for_members(sample_weight, estimators).items():
        routed[name] = Bunch(fit=metadata)
    return routed


def _weights_for_members(
    sample_weight: Any, estimators: Sequence[tuple[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Say under which name each member's ``fit`` takes the sample weights."""
    metadata: dict[str, dict[str, Any]] = {}
    without = []
    for name, estimator in estimators:
        parameter = weight_parameter(estimator)
        metadata[name] = {} if parameter is None else {parameter: sample_weight}
        if parameter is None and not isinstance(estimator, FrozenEstimator):
            without.append(name)
    _warn_of_lost_weights(without)
    return metadata


def _warn_of_lost_weights(without: list[str]) -> None:
    if without:
        warn(
            f"The members {without} do not take sample_weight and are trained without; "
            "scores and lessons are weighted all the same."
        )
