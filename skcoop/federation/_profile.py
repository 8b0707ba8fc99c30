# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""What a silo says of its table before the start, and what all of them agree on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skcoop._tables._codec import TableCodec


@dataclass
class Profile:
    """All that a silo tells of its rows before the start.

    Attributes
    ----------
    name : str
        The silo's name.
    kinds : dict of str to str
        By column, the name of its type in pandas.
    levels : dict of str to list
        By column of categories or texts, its distinct values.
    missing : list of str
        Columns with missing cells.
    classes : list
        The classes, in the order in which they occur first.
    counts : list of int
        Number of rows of each.
    members : list of str
        Names of the members that live there.
    frozen : list of bool
        Which of them teach and never learn.
    weights : list of str or None
        Under which name each member's ``fit`` takes weights.
    weighted : bool
        Whether the rows have weights.
    shares_predictions : bool
        Whether rows' predictions and labels may leave, see :class:`Consent`.
    """

    name: str
    kinds: dict[str, str]
    levels: dict[str, list[Any]]
    missing: list[str]
    classes: list[Any]
    counts: list[int]
    members: list[str]
    frozen: list[bool]
    weights: list[str | None]
    weighted: bool
    shares_predictions: bool


@dataclass(frozen=True)
class Schema:
    """The columns of all silos' tables, as they agreed on.

    Attributes
    ----------
    kinds : dict of str to str
        By column, the name of its type in pandas.
    levels : dict of str to list
        By column of categories or texts, all values that a silo may have.
    missing : list of str
        Columns that miss cells somewhere.
    """

    kinds: dict[str, str]
    levels: dict[str, list[Any]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    @property
    def columns(self) -> list[str]:
        """The labels of the columns."""
        return list(self.kinds)

    def codec(self) -> TableCodec:
        """Return what turns every silo's rows into the same numbers."""
        lengths = [len(self.levels.get(name, [0])) for name in self.kinds]
        n = max(lengths, default=1) + 1
        columns = {}
        for name in self.kinds:
            values = list(self.levels.get(name, [0]))
            last = None if name in self.missing else values[0]
            cells = [*values, *[values[0]] * (n - 1 - len(values)), last]
            columns[name] = self._column(name, pd.Series(cells, dtype=object))
        return TableCodec(pd.DataFrame(columns))

    def _column(self, name: str, cells: Any) -> Any:
        """Return cells as a column of the agreed type."""
        kind: Any = self.kinds[name]
        if kind == "category":
            kind = pd.CategoricalDtype(self.levels.get(name, []))
        return cells.astype(kind)

    def with_levels_of(self, X: pd.DataFrame, columns: Sequence[str]) -> Schema:
        """Return the schema of a silo that alone knows the values of some columns."""
        own = {
            name: in_order(X[name].dropna().unique().tolist())
            for name in columns
            if name in X and not pd.api.types.is_numeric_dtype(X[name])
        }
        return replace(self, levels={**self.levels, **own})

    def conform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Bring a silo's table to the columns and types of all."""
        nothing = pd.Series([None] * len(X), index=X.index, dtype=object)
        columns = {
            name: self._column(name, X.get(name, nothing)) for name in self.kinds
        }
        return pd.DataFrame(columns, index=X.index)


def profile_of(
    name: str,
    X: pd.DataFrame,
    y: NDArray[Any],
    least_count: int,
    known: Mapping[str, Sequence[Any]],
    private: Sequence[str],
) -> dict[str, Any]:
    """Describe a table: types, levels, missing columns and classes.

    Parameters
    ----------
    name : str
        The silo's name.
    X : DataFrame
        Its rows.
    y : ndarray
        Their classes.
    least_count : int
        Least number of rows that have a level which is told.
    known : dict of str to list
        By column, levels that everybody knows: they may be rare.
    private : list of str
        Columns of which no level is told.

    Raises
    ------
    ValueError
        If a column of texts or categories has a rare level, or holds times.
    """
    kinds, levels = {}, {}
    for column in map(str, X):
        values = X[column]
        kinds[column] = str(values.dtype)
        if pd.api.types.is_bool_dtype(values) or pd.api.types.is_numeric_dtype(values):
            continue
        if pd.api.types.is_datetime64_any_dtype(values):
            raise ValueError(
                f"Column {column!r} of silo {name!r} holds times, which other silos "
                "cannot be told of. Hand in numbers made from it, or drop it."
            )
        counts = values.value_counts()
        counts = counts[counts > 0]
        public = counts.index.isin(list(known.get(column, [])))
        rare = counts.index[(counts < least_count) & ~public]
        if len(rare) and column not in private:
            raise ValueError(
                f"Column {column!r} of silo {name!r} has {len(rare)} values that fewer "
                f"than {least_count} rows have, and other silos would be told of them. "
                "Put them together, hand in a schema with all values that the column "
                "may have, or lower Consent(least_count=...)."
            )
        if column not in private:
            levels[column] = in_order(counts.index.tolist())
    labels, first, n_rows = np.unique(y, return_index=True, return_counts=True)
    order = np.argsort(first)
    return {
        "name": name,
        "kinds": kinds,
        "levels": levels,
        "missing": [str(c) for c in X if X[c].isna().any()],
        "classes": labels[order].tolist(),
        "counts": n_rows[order].tolist(),
    }


def agreed_schema(profiles: Sequence[Profile]) -> Schema:
    """Return the columns of all silos together.

    Raises
    ------
    ValueError
        If a column is of another kind in two silos; the message names them.
    """
    kinds: dict[str, str] = {}
    owner: dict[str, str] = {}
    missing: set[str] = set()
    levels: dict[str, list[Any]] = {}
    for profile in profiles:
        missing |= set(profile.missing)
        for column, kind in profile.kinds.items():
            if column not in kinds:
                kinds[column], owner[column] = kind, profile.name
            kinds[column] = _common_kind(
                column, kinds[column], kind, owner[column], profile.name
            )
            known = levels.setdefault(column, [])
            known += [v for v in profile.levels.get(column, []) if v not in known]
    for profile in profiles:
        missing |= set(kinds) - set(profile.kinds)
    levels = {column: in_order(known) for column, known in levels.items() if known}
    for column in missing:
        if _is_numpy(kinds[column]) and np.dtype(kinds[column]).kind in "biu":
            kinds[column] = "float64"
    return Schema(kinds, levels, sorted(missing))


def in_order(values: Sequence[Any]) -> list[Any]:
    """Sort values that may be of several types."""
    return sorted(values, key=lambda value: (type(value).__name__, value))


def _is_numpy(kind: str) -> bool:
    try:
        np.dtype(kind)
    except TypeError:
        return False
    return kind != "str"


def _common_kind(column: str, first: str, second: str, here: str, there: str) -> str:
    """Return the type that a column has in two silos.

    Parameters
    ----------
    column : str
        Its name.
    first, second : str
        Its types, as pandas names them.
    here, there : str
        The silos.
    """
    if first == second:
        return first
    numbers = [_is_numpy(k) and np.dtype(k).kind in "biuf" for k in (first, second)]
    if all(numbers):
        return str(np.result_type(first, second))
    texts = {"object", "str", "string", "category"}
    if {first, second} <= texts:
        return "object"
    raise ValueError(
        f"Column {column!r} is {first} in silo {here!r} and {second} in silo "
        f"{there!r}. Bring it to one type, or call one of the two columns something "
        "else."
    )
