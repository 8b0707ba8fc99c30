# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Which columns of a table a model was fitted on, by the names that it remembers.

Some libraries remember names their own way: as text, or with underscores for blanks. A
model asked for its columns by position would read the wrong ones where a table has them
in another order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import lru_cache
from typing import Any

from skcoop._tables._frames import column_names, is_frame, select


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


def names_of(estimator: Any) -> Sequence[Hashable] | None:
    """Return the names of the columns that a fitted model remembers, if it does."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        names = getattr(estimator, "feature_names_", None)  # CatBoost
    return None if names is None else tuple(names)


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
        The columns, under their labels in X. One that X lacks is not there, so that
        none can be taken for another.

    Raises
    ------
    ValueError
        If X has two columns that the model's library would write alike.
    """
    names = names_of(estimator)
    if names is None or not is_frame(X):
        return X
    labels = column_names(X)
    places = _places(names, tuple(labels))
    if places is None:
        return X
    return select(X, [labels[place] for place in places if place >= 0])


def places_of(estimator: Any, labels: Iterable[Hashable]) -> Sequence[int] | None:
    """Return where the columns of a fitted model stand in a table, in its order.

    Returns
    -------
    places : sequence of int or None
        -1 for a column that the table lacks. None if these are all columns as they
        stand, also for want of names.

    Raises
    ------
    ValueError
        As :func:`columns_of` does.
    """
    names = names_of(estimator)
    return None if names is None else _places(names, tuple(labels))


@lru_cache(maxsize=256)
def _places(
    names: tuple[Hashable, ...], labels: tuple[Hashable, ...]
) -> tuple[int, ...] | None:
    best = [-1] * len(names)
    for spell in _SPELLINGS:
        written = [spell(label) for label in labels]
        counts, place = Counter(written), {name: j for j, name in enumerate(written)}
        found = [place[name] if counts[name] == 1 else -1 for name in names]
        if found.count(-1) < best.count(-1):
            best = found
    if best == list(range(len(labels))):
        return None
    if set(best) == {-1} and not _are_names(names, labels):
        return None
    alike = [label for label in labels if counts[spell(label)] > 1]
    if any(j < 0 and counts[name] > 1 for name, j in zip(names, best, strict=True)):
        raise ValueError(
            f"which of the columns {alike} of X it was fitted on cannot be told: its "
            "library writes some of them alike. Rename them, in X and for the model."
        )
    return tuple(best)


def _are_names(names: tuple[Hashable, ...], labels: tuple[Hashable, ...]) -> bool:
    """Tell whether neither side only numbers its columns."""
    made_up = any(names == tuple(map(call, range(len(names)))) for call in _MADE_UP)
    return not made_up and any(isinstance(label, str) for label in labels)
