# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""A distiller from a plain list of classifiers."""

from __future__ import annotations

from collections import Counter
from typing import Any

from skcoop._cooperative._distiller import CooperativeDistiller


def make_distiller(*estimators: Any, **params: Any) -> CooperativeDistiller:
    """Build a :class:`CooperativeDistiller` and name its members after their types.

    Parameters
    ----------
    *estimators : classifiers
        The members. A pipeline is named after its last step.
    **params : dict
        Parameters of :class:`CooperativeDistiller`.

    Returns
    -------
    distiller : CooperativeDistiller
        Members are named by the lower-case name of their type, with ``-1``, ``-2``,
        ... where a type occurs more than once.

    Examples
    --------
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skcoop import make_distiller
    >>> make_distiller(GaussianNB(), DecisionTreeClassifier(), n_rounds=1)
    CooperativeDistiller(estimators=[('gaussiannb', GaussianNB()),
                                     ('decisiontreeclassifier',
                                      DecisionTreeClassifier())],
                         n_rounds=1)
    """
    types = [_type_name(estimator) for estimator in estimators]
    repeated = {name for name, count in Counter(types).items() if count > 1}
    seen: Counter[str] = Counter()
    named = []
    for name, estimator in zip(types, estimators, strict=True):
        if name in repeated:
            seen[name] += 1
            name = f"{name}-{seen[name]}"
        named.append((name, estimator))
    return CooperativeDistiller(named, **params)


def _type_name(estimator: Any) -> str:
    while hasattr(estimator, "steps"):
        estimator = estimator.steps[-1][1]
    return type(estimator).__name__.lower()
