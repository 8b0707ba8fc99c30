# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Which columns of a table a model was fitted on, by the names that it remembers.

Some libraries remember names their own way: as text, or with underscores for blanks. A
model asked for its columns by position would read the wrong ones where a table has them
in another order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import Any

from skcoop._frames import column_names, is_frame, select


def _joined(label: Hashable) -> str:
    return " ".join(map(str, label)) if isinstance(label, tuple) else str(label)


# How libraries write the label of a column: as it is (scikit-learn), as text (CatBoost,
# XGBoost), the levels of a label side by side (XGBoost), no blanks (LightGBM).
_SPELLINGS: tuple[Callable[[Hashable], Hashable], ...] = (
    lambda label: label,
    str,
    _joined,
    lambda label: str(label).replace(" ", "_"),
)
# What they call the columns of an array (LightGBM, CatBoost).
_MADE_UP: tuple[Callable[[int], str], ...] = ("Column_{}".format, str)


def columns_of(estimator: Any, X: Any) -> Any:
    """Return the columns of a frame that a model was fitted on, in its order.

    Parameters
    ----------
    estimator : estimator
        A fitted one. If it remembers no names, it gets all columns.
    X : ndarray or data frame
        An array has no names and is returned as it is.

    Returns
    -------
    columns : ndarray or data frame
        The columns, under their labels in X.

    Raises
    ------
    ValueError
        If X lacks a column, or has two that the model's library would write alike.
    """
    if _names_of(estimator) is None or not is_frame(X):
        return X
    labels = column_names(X)
    places = places_of(estimator, labels)
    return X if places is None else select(X, [labels[place] for place in places])


def _names_of(estimator: Any) -> Any:
    names = getattr(estimator, "feature_names_in_", None)
    # CatBoost has its own word for it.
    return getattr(estimator, "feature_names_", None) if names is None else names


def places_of(estimator: Any, labels: Sequence[Hashable]) -> Sequence[int] | None:
    """Return where the columns of a fitted model stand in a table, in its order.

    Returns
    -------
    places : sequence of int or None
        None if these are all columns as they stand, also for want of names.

    Raises
    ------
    ValueError
        As :func:`columns_of` does.
    """
    names = _names_of(estimator)
    return None if names is None else _places(tuple(names), tuple(labels))


@lru_cache(maxsize=256)
def _places(
    names: tuple[Hashable, ...], labels: tuple[Hashable, ...]
) -> tuple[int, ...] | None:
    for spell in _SPELLINGS:
        written = [spell(label) for label in labels]
        counts = Counter(written)
        if all(counts[name] == 1 for name in names):
            place = {name: position for position, name in enumerate(written)}
            places = tuple(place[name] for name in names)
            return None if places == tuple(range(len(labels))) else places
    made_up = any(names == tuple(map(call, range(len(names)))) for call in _MADE_UP)
    if made_up or not any(isinstance(label, str) for label in labels):
        return None  # one of the two has no names
    raise ValueError(_why_not(names, labels))


def _why_not(names: tuple[Hashable, ...], labels: tuple[Hashable, ...]) -> str:
    """Say which columns of a model are missing in a table, or there more than once."""
    known = {spell(label) for label in labels for spell in _SPELLINGS}
    absent = [str(name) for name in names if name not in known]
    if absent:
        return (
            f"it was fitted with the columns {absent}, which X lacks. Add them (they "
            "may be missing values)."
        )
    written = Counter(_SPELLINGS[-1](label) for label in labels)
    alike = [label for label in labels if written[_SPELLINGS[-1](label)] > 1]
    return (
        f"which of the columns {alike} of X it was fitted on cannot be told: its "
        "library writes some of them alike. Rename them, in X and for the model."
    )
