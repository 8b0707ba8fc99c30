# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""What a table was in fit, and other tables brought to that."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from skcoop._tables._frames import as_objects, column_names, is_frame, is_pandas, take
from skcoop._tables._row_labels import made_up_labels


class TableSchema:
    """Remember a table's container, columns and types, and bring other tables to them.

    Parameters
    ----------
    X : ndarray or data frame of shape (n_samples, n_features)
        The table that models were fitted on; its values are not kept.
    """

    def __init__(self, X: Any):
        self.is_frame = is_frame(X)
        self.width = X.shape[1]
        self.holds_objects = not self.is_frame and X.dtype == object
        if self.is_frame:
            self.empty = take(X, np.zeros(0, dtype=np.intp))
            self.backend = nw.from_native(X).implementation

    def is_of_this_kind(self, X: Any) -> bool:
        """Tell at once, where that can be, that X is like the table of fit.

        It then has the same columns, and `conform` would return it as it is.
        """
        if not self.is_frame:
            return (
                isinstance(X, np.ndarray)
                and not self.holds_objects
                and X.dtype.kind in "fiub"
                and X.shape[1:] == (self.width,)
            )
        return (
            is_pandas(X)
            and is_pandas(self.empty)
            and X.columns.equals(self.empty.columns)
            and list(X.dtypes) == list(self.empty.dtypes)
        )

    def conform(self, X: Any) -> Any:
        """Return X in the container and, where that loses nothing, the types of fit.

        A column in which all values are missing takes the type that it had in fit:
        an encoder of strings cannot read a column of missing numbers.
        """
        if not self.is_frame:
            X = nw.from_native(X).to_numpy() if is_frame(X) else X
            return X.astype(object) if self.holds_objects else X
        if not is_frame(X):
            X = pd.DataFrame(X, columns=column_names(self.empty)).infer_objects()
            X.index = self._missing_labels(len(X))
        if nw.from_native(X).implementation != self.backend:
            return self._convert(X)
        return self._mend_missing(X)

    def _convert(self, X: Any) -> Any:
        """Rebuild a frame of another library, column by column, in the types of fit."""
        frame = nw.from_native(X, eager_only=True)
        columns = {}
        for name in frame.columns:
            values = as_objects(frame[name].to_native())
            columns[name] = [None if pd.isna(v) else v for v in values]
        types = self._types(frame.columns)
        if self.backend.is_pandas():
            built = {
                name: _pandas_column(types[name], values)
                for name, values in columns.items()
            }
            table = pd.DataFrame(built)
            table.index = self._missing_labels(len(table))
            return table
        return nw.from_dict(
            {
                name: _native_column(name, values, types[name], self.backend)
                for name, values in columns.items()
            }
        ).to_native()

    def _missing_labels(self, n_rows: int) -> pd.Index:
        """Label rows that came without labels: 0, 1, ... may be those of other rows."""
        names = self.empty.index.names if is_pandas(self.empty) else [None]
        return made_up_labels(n_rows, names)

    def _mend_missing(self, X: Any) -> Any:
        types = self._types(column_names(X))
        if is_pandas(X):
            types = {
                name: types[name]
                for name in X.columns[X.isna().all()]
                if _takes(types[name], X[name])
            }
            return X.astype(types) if types else X
        frame = nw.from_native(X, eager_only=True)
        wrong = [
            column.name
            for column in frame.iter_columns()
            if column.dtype != types[column.name] and column.is_null().all()
        ]
        return frame.with_columns(
            nw.col(name).cast(types[name]) for name in wrong
        ).to_native()

    def _types(self, names: Sequence[Hashable]) -> dict[Hashable, Any]:
        """Return the types that columns had in fit: by position if it had others."""
        in_pandas = is_pandas(self.empty)
        schema = self.empty.dtypes if in_pandas else nw.from_native(self.empty).schema
        types = dict(schema.items())
        same = set(names) <= set(types)
        return types if same else dict(zip(names, types.values(), strict=True))


def _pandas_column(dtype: Any, values: list[Any]) -> pd.Series:
    """Return values in a type if it can hold them, else in the one that suits them."""
    column = pd.Series(values, dtype=object)
    try:
        with warnings.catch_warnings():
            # Of numbers that NumPy wraps, and of categories that pandas loses.
            warnings.simplefilter("ignore")
            cast = column.astype(dtype)
    except (TypeError, ValueError, OverflowError):
        return column.infer_objects()
    back = [None if pd.isna(cell) else cell for cell in cast.astype(object)]
    return cast if back == values else column.infer_objects()


def _native_column(name: str, values: list[Any], dtype: Any, backend: Any) -> Any:
    """Do the same outside pandas."""
    column = nw.new_series(name, values, backend=backend)
    try:
        cast = column.cast(dtype)
    except Exception:  # each library has errors of its own
        return column
    return cast if cast.to_list() == values else column


def _takes(dtype: Any, column: pd.Series) -> bool:
    """Tell whether a type can hold a column: NumPy has no missing whole number."""
    whole = isinstance(dtype, np.dtype) and dtype.kind in "iub"
    return not (whole and bool(column.isna().any()))
