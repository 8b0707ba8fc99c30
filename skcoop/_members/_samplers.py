# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Models that resample: what weighs rows does not follow rows that are drawn anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sklearn.frozen import FrozenEstimator


def holds_sampler(estimator: Any) -> bool:
    """Tell whether a model hands its rows to a sampler when it is fitted.

    Weights would stay behind: what comes out of a sampler are other rows, and more or
    fewer of them.
    """
    return any(hasattr(part, "fit_resample") for part in _parts(estimator))


def counts_classes(estimator: Any) -> bool:
    """Tell whether a model draws rows by how many there are of each class.

    So do samplers, and the ensembles of imbalanced-learn, which take weights but do not
    count by them.
    """
    return any(
        hasattr(part, "fit_resample") or hasattr(part, "sampling_strategy")
        for part in _parts(estimator)
    )


def _parts(value: Any) -> Iterator[Any]:
    """Go over a model and all that it is made of, grids of a search included."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _parts(item)
        return
    yield value
    # What is frozen is not fitted.
    if hasattr(value, "get_params") and not isinstance(value, FrozenEstimator | type):
        yield from _parts(value.get_params(deep=False))
