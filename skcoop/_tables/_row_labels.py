# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Labels of rows: rows of the user keep theirs, rows that are made up have others.

Only pandas frames label their rows. A model or teacher that looks something up by
label must find its own rows, and nothing for a row that nobody handed in.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# Rows that are made up are numbered downwards from here: below the numbers by which
# people call rows, and near enough to zero for floats to tell them apart.
_FIRST_MADE_UP = -(10**15)


def row_labels(X: Any, each: int = 1) -> pd.Index | None:
    """Return the labels of a table's rows, each several times, or None without."""
    return X.index.repeat(each) if isinstance(X, pd.DataFrame) else None


def made_up_labels(n_rows: int, names: Sequence[Hashable] = (None,)) -> pd.Index:
    """Return labels that no row of the user has, with a level for each name.

    They are whole numbers from -10**15 downwards, in an index of several levels on
    each of them, whatever the labels of the user are.
    """
    numbers = pd.RangeIndex(_FIRST_MADE_UP, _FIRST_MADE_UP - n_rows, -1, name=names[0])
    if len(names) == 1:
        return numbers
    levels: Any = [numbers] * len(names)
    codes: Any = [np.arange(n_rows)] * len(names)
    return pd.MultiIndex(levels, codes, names=list(names), verify_integrity=False)


def joined_labels(first: pd.Index, second: pd.Index) -> pd.Index:
    """Put labels behind others; where the types differ, each label keeps its own."""
    if first.nlevels == second.nlevels > 1:
        return _joined_levels(first, second)
    if first.dtype != second.dtype:
        first, second = first.astype(object), second.astype(object)
    return first.append(second)


def _joined_levels(first: pd.Index, second: pd.Index) -> pd.MultiIndex:
    """Put labels of several levels behind others, level by level.

    pandas would sort the levels, and warn where texts or times stand beside numbers.
    """
    levels: Any = []
    codes: Any = []
    for k in range(first.nlevels):
        both = joined_labels(first.get_level_values(k), second.get_level_values(k))
        places, values = pd.factorize(both)
        levels.append(values)
        codes.append(places)
    names = first.names if first.names == second.names else None
    return pd.MultiIndex(levels, codes, names=names, verify_integrity=False)


def replaced_labels(labels: pd.Index, which: NDArray[np.bool_]) -> pd.Index:
    """Give some rows labels of made-up rows in place of their own."""
    n_rows = int(which.sum())
    if not n_rows:
        return labels
    both = joined_labels(labels, made_up_labels(n_rows, labels.names))
    places = np.arange(len(labels))
    places[which] = len(labels) + np.arange(n_rows)
    return both.take(places)
