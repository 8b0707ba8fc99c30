# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Tables of any library: rows and columns of arrays and data frames."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skcoop._tables._row_labels import joined_labels

FloatMatrix = NDArray[np.float64]


def same_cells(first: FloatMatrix, second: FloatMatrix) -> NDArray[np.bool_]:
    """Compare encoded rows cell by cell; missing cells are the same."""
    return (first == second) | (np.isnan(first) & np.isnan(second))


def is_frame(X: Any) -> bool:
    """Tell whether `X` is a data frame (pandas, polars, pyarrow)."""
    return nw.dependencies.is_into_dataframe(X)


def is_pandas(X: Any) -> bool:
    """Tell whether `X` is a pandas data frame."""
    return isinstance(X, pd.DataFrame)


def column_names(X: Any) -> list[Hashable]:
    """Return the labels of the columns; an array's are x0, x1, ..."""
    if is_frame(X):
        return list(X.columns) if is_pandas(X) else nw.from_native(X).columns
    return [f"x{j}" for j in range(X.shape[1])]


def take(X: Any, rows: Any) -> Any:
    """Return a copy of the given rows of a table, in its own container."""
    rows = np.asarray(rows)
    if rows.dtype == bool:
        rows = np.flatnonzero(rows)
    if is_pandas(X):
        some = _with_repeatable_labels(X).iloc[rows]
        # For rows at equal steps pandas returns a view, and a model that works in
        # place would write to the user's table.
        steps = np.diff(rows)
        return some.copy() if (steps == steps[:1]).all() else some
    if is_frame(X):
        return nw.from_native(X, eager_only=True)[rows].to_native()
    return X[rows]


def aligned(value: Any) -> Any:
    """Return an array or a pandas frame whose numbers lie where processors want them.

    Everything else is returned as it is.
    """
    if isinstance(value, np.ndarray):
        return np.require(value, requirements="A")
    if isinstance(value, pd.DataFrame):
        columns = (value.iloc[:, j].to_numpy() for j in range(value.shape[1]))
        if not all(column.flags.aligned for column in columns):
            return value.copy()
    return value


def own_copy(X: Any) -> Any:
    """Return a copy of a table that can be changed in place, else the table."""
    return X.copy() if isinstance(X, np.ndarray) or is_pandas(X) else X


def stack(first: Any, second: Any) -> Any:
    """Put two tables of the same container and columns on top of each other.

    The rows keep their labels.
    """
    if is_pandas(first):
        tables = map(_with_repeatable_labels, _with_common_categories(first, second))
        both = pd.concat(tables, ignore_index=True)
        both.index = joined_labels(first.index, second.index)
        return both
    if is_frame(first):
        frames = [nw.from_native(X, eager_only=True) for X in (first, second)]
        return nw.concat(frames, how="vertical").to_native()
    return np.concatenate([first, second])


def _with_repeatable_labels(X: pd.DataFrame) -> pd.DataFrame:
    """Lift a ban on repeated labels: rows are drawn more than once, and stacked."""
    if X.flags.allows_duplicate_labels:
        return X
    return X.set_flags(allows_duplicate_labels=True)


def _with_common_categories(
    first: pd.DataFrame, second: pd.DataFrame
) -> list[pd.DataFrame]:
    """Give categorical columns the categories of both, or pandas makes them strings."""
    for name in first.columns[first.dtypes == "category"].intersection(second.columns):
        own, other = first[name].dtype, second[name].dtype
        if own == other or not isinstance(own, pd.CategoricalDtype):
            continue
        if not isinstance(other, pd.CategoricalDtype):
            continue
        known = own.categories.union(other.categories, sort=False)
        common = pd.CategoricalDtype(known, ordered=own.ordered)
        first, second = (X.astype({name: common}) for X in (first, second))
    return [first, second]


def select(X: Any, columns: Sequence[Hashable]) -> Any:
    """Return the named columns of a frame, in the given order."""
    if is_pandas(X):
        return X[list(columns)]
    names: list[Any] = list(columns)
    return nw.from_native(X, eager_only=True).select(names).to_native()


def without_column(X: Any, column: Hashable) -> Any:
    """Return a frame without one column, which it may lack."""
    return select(X, [name for name in column_names(X) if name != column])


def pop_column(X: Any, column: Hashable) -> tuple[Any, NDArray[Any]]:
    """Split a frame into its other columns and the values of one column."""
    values: Any = X[column] if is_pandas(X) else nw.from_native(X)[str(column)]
    return without_column(X, column), values.to_numpy()


def to_plain_pandas(X: Any) -> pd.DataFrame:
    """Return a table as pandas with plain numbers and strings, for other programs.

    Labels of columns become strings, times their ISO form, missing cells NaN.
    """
    columns = {}
    for name, series in zip(column_names(X), each_column(X), strict=True):
        cells = pd.Series(as_objects(series), dtype=object)
        if nw.from_native(series, series_only=True).dtype.is_temporal():
            cells = cells.map(str, na_action="ignore")
        columns[str(name)] = cells.where(cells.notna(), np.nan).infer_objects()
    return pd.DataFrame(columns)


def each_column(X: Any) -> list[Any]:
    """Return the columns of a table as series of its own library."""
    if not is_frame(X):
        return [_array_column(X[:, j]) for j in range(X.shape[1])]
    if is_pandas(X):
        return [X.iloc[:, j] for j in range(X.shape[1])]
    return [column.to_native() for column in nw.from_native(X).iter_columns()]


def _array_column(cells: NDArray[Any]) -> pd.Series:
    """Return a column of an array; numbers and times among objects are recognised.

    Other objects stay what they are: pandas would turn None beside strings into NaN.
    """
    column = pd.Series(cells, dtype=cells.dtype)
    guess = column.infer_objects()
    return column if guess.dtype.kind == "O" else guess


def as_objects(series: Any) -> NDArray[Any]:
    """Return a column's values as Python objects, the same ones in every container."""
    if isinstance(series, pd.Series):
        return series.astype(object).to_numpy()
    values = np.empty(len(series), dtype=object)
    values[:] = nw.from_native(series, series_only=True).to_list()
    return values
