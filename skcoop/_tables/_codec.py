# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Tables as floats and back.

Searching, completing and comparing rows is done on one float matrix; models are
always asked with the container and the dtypes that they were fitted on. A
:class:`TableCodec` goes between the two.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Protocol

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skcoop._tables._frames import (
    FloatMatrix,
    as_objects,
    column_names,
    each_column,
    is_frame,
    is_pandas,
    select,
)
from skcoop._tables._row_labels import made_up_labels

# Integers beyond this do not survive a trip through a 64-bit float.
_LARGEST_EXACT_INTEGER = 2**53

# A null where its column holds NaN besides: a NaN with bits of its own, which copies
# keep and by which nothing else tells the two apart.
_NULL_BITS = np.uint64(0x7FF80000000007A2)

_PLAIN = (np.dtype(np.float64), np.dtype(np.float32), np.dtype(bool))


class _Column(Protocol):
    """How one column becomes floats and floats become the column again."""

    varies: bool
    is_time: bool
    integral: bool
    coded: bool
    may_be_missing: bool

    def encode(self, series: Any) -> FloatMatrix: ...

    def decode(self, values: FloatMatrix) -> Any: ...


class _NumberColumn:
    """Integers, floats and booleans: the value itself, NaN where missing."""

    varies = True
    coded = False
    is_time = False

    def __init__(self, series: Any):
        if _is_plain(series):  # searches lay out small tables hundreds of times
            self.in_pandas, self.dtype = True, series.dtype
            self.integral = series.dtype.kind == "b"
            self.may_be_missing = not self.integral
            return
        column = nw.from_native(series, series_only=True)
        self.in_pandas = column.implementation.is_pandas()
        self.backend = column.implementation
        self.dtype = series.dtype if self.in_pandas else column.dtype
        self.integral = column.dtype.is_integer() or column.dtype == nw.Boolean
        # Only NumPy's own whole numbers and booleans have no place for a missing value.
        self.may_be_missing = not (self.integral and isinstance(self.dtype, np.dtype))
        self.has_nulls = not self.in_pandas and bool(column.is_null().any())
        self.has_both = (
            self.has_nulls and column.dtype.is_float() and bool(column.is_nan().any())
        )

    def encode(self, series: Any) -> FloatMatrix:
        if isinstance(series, pd.Series):
            return series.to_numpy(dtype=np.float64, na_value=np.nan)
        column = nw.from_native(series, series_only=True)
        values = np.asarray(column.cast(nw.Float64()).to_numpy(), dtype=np.float64)
        if self.has_both:
            nulls = column.is_null().to_numpy()
            values = np.where(nulls, _NULL_BITS.view(np.float64), values)
        return values

    def decode(self, values: FloatMatrix) -> Any:
        if self.integral:
            values = np.rint(values)
        if self.in_pandas:
            if isinstance(self.dtype, np.dtype):
                return values.astype(self.dtype)
            return pd.Series(values).astype(self.dtype).array
        column = nw.new_series("", values, nw.Float64(), backend=self.backend)
        if self.has_nulls or self.integral:
            # Outside pandas a missing number is null, which is not the same as NaN.
            filled = column.fill_nan(None)
            if self.has_both:
                nulls = values.view(np.uint64) == _NULL_BITS
                mask = nw.new_series("", nulls, nw.Boolean(), backend=self.backend)
                filled = filled.zip_with(mask, column)
            column = filled
        return column.cast(self.dtype).to_native()


class _CodedColumn:
    """Anything else: a position among the column's distinct values, in their order.

    One row for each distinct value is kept in the column's own type, so that decoding
    gives back exactly what the table held: categories, strings, times.
    """

    integral = True
    coded = True

    def __init__(self, series: Any, name: Hashable):
        column = nw.from_native(series, series_only=True)
        # Times and integers beyond 2**53 cannot be searched over: they are carried.
        is_period = isinstance(getattr(series, "dtype", None), pd.PeriodDtype)
        self.is_time = is_period or column.dtype.is_temporal()
        self.varies = not (self.is_time or column.dtype.is_integer())
        codes, self.levels = _factorize(as_objects(series), name)
        self.may_be_missing = bool((codes < 0).any())
        first = np.full(len(self.levels) + 1, -1)
        first[codes[::-1]] = np.arange(len(codes))[::-1]
        # Code -1, a missing value, has its row at the end where there is one.
        self.prototypes = column[first[first >= 0].tolist()]

    def encode(self, series: Any) -> FloatMatrix:
        values = as_objects(series)
        codes = self.levels.get_indexer(pd.Index(values, dtype=object))
        unknown = np.where(pd.isna(values), np.nan, np.inf)
        return np.where(codes < 0, unknown, codes).astype(np.float64)

    def decode(self, values: FloatMatrix) -> Any:
        codes = np.where(np.isnan(values), len(self.levels), np.rint(values))
        if self.prototypes.implementation.is_pandas():
            return self.prototypes.to_native().array.take(codes.astype(np.intp))
        return self.prototypes[codes.astype(np.intp)].to_native()


def _factorize(
    values: NDArray[Any], name: Hashable
) -> tuple[NDArray[np.intp], pd.Index]:
    try:
        codes, levels = pd.factorize(values)
    except TypeError as error:
        raise TypeError(
            f"Column {name!r} cannot be used: a value argument must be a string or a "
            f"number ({error}). Turn its cells into one of them, or leave it out."
        ) from error
    try:
        order = np.argsort(levels)
    except TypeError:  # values of several types have no common order
        order = np.argsort([f"{type(v).__name__} {v}" for v in levels])
    rank = np.append(np.argsort(order), -1)
    return rank[codes], pd.Index(levels[order], dtype=object)


def _is_plain(series: Any) -> bool:
    """Tell whether pandas holds NumPy's own floats or booleans."""
    return isinstance(series, pd.Series) and series.dtype in _PLAIN


def _make_column(series: Any, name: Hashable) -> _Column:
    if _is_plain(series):
        return _NumberColumn(series)
    column = nw.from_native(series, series_only=True)
    if column.dtype.is_integer() and not column.is_null().all():
        if max(abs(int(column.min())), abs(int(column.max()))) > _LARGEST_EXACT_INTEGER:
            return _CodedColumn(series, name)
        return _NumberColumn(series)
    if column.dtype.is_numeric() or column.dtype == nw.Boolean:
        return _NumberColumn(series)
    return _CodedColumn(series, name)


def _is_exact(X: Any) -> bool:
    """Tell whether floats hold all values of an array."""
    if X.dtype.kind in "iu" and X.size:
        largest = max(abs(int(X.min())), abs(int(X.max())))
        return bool(largest <= _LARGEST_EXACT_INTEGER)
    return X.dtype.kind in "fiub"


class TableCodec:
    """Turn rows of a table into floats and floats into rows of the same kind.

    Parameters
    ----------
    X : ndarray or data frame of shape (n_samples, n_features)
        A table with all values that are to be encoded.

    Attributes
    ----------
    names : list
        Column labels.
    coded : ndarray of bool, shape (n_features,)
        Columns whose floats are positions among distinct values, without distance.
    integral : ndarray of bool, shape (n_features,)
        Columns whose values are whole numbers.
    times : ndarray of bool, shape (n_features,)
        Columns that hold times.
    varies : ndarray of bool, shape (n_features,)
        Columns that a search may change (not times, not integers beyond 2**53).
    """

    def __init__(self, X: Any):
        self.names = column_names(X)
        self.is_array = not is_frame(X)
        self.in_pandas = is_pandas(X)
        self.plain = self.is_array and _is_exact(X)
        if self.is_array:
            self.array_dtype = X.dtype
        if self.plain:
            d = X.shape[1]
            self.coded = np.zeros(d, dtype=bool)
            self.times = self.coded
            self.integral = np.full(d, X.dtype.kind != "f")
            self.varies = np.ones(d, dtype=bool)
            return
        if self.in_pandas:
            self.label_names = list(X.index.names)
        elif not self.is_array:
            self.backend = nw.from_native(X).implementation
        self.columns = [
            _make_column(series, name)
            for series, name in zip(each_column(X), self.names, strict=True)
        ]
        self.coded = np.array([column.coded for column in self.columns], dtype=bool)
        self.integral = np.array([c.integral for c in self.columns], dtype=bool)
        self.times = np.array([column.is_time for column in self.columns], dtype=bool)
        self.varies = np.array([column.varies for column in self.columns], dtype=bool)
        self.single_dtype = self._single_number_dtype(X)

    def can_hold(self, Z: FloatMatrix) -> NDArray[np.bool_]:
        """Tell which rows of floats can be decoded: known values in every column."""
        if self.plain:
            whole = self.array_dtype.kind != "f"
            allowed = np.full(Z.shape[1], not whole)
        else:
            allowed = np.array([c.may_be_missing for c in self.columns], dtype=bool)
        lost = np.isinf(Z) | (np.isnan(Z) & ~allowed)
        return np.asarray(~lost.any(axis=1))

    def _single_number_dtype(self, X: Any) -> Any:
        """Return the dtype that all columns share, where decoding can be one copy."""
        dtypes = set(X.dtypes) if self.in_pandas and not self.coded.any() else set()
        dtype = dtypes.pop() if len(dtypes) == 1 else None
        return dtype if isinstance(dtype, np.dtype) and dtype.kind in "fiu" else None

    def encode(self, X: Any) -> FloatMatrix:
        """Return the table as floats of shape (n_samples, n_features)."""
        if not self.is_array and column_names(X) != self.names:
            if sorted(map(str, column_names(X))) != sorted(map(str, self.names)):
                raise ValueError(
                    f"the columns {self.names} were expected, got {column_names(X)}"
                )
            X = select(X, self.names)
        if self.plain:
            return np.array(X, dtype=np.float64, order="C")
        if self.single_dtype is not None:
            return np.array(X, dtype=np.float64)
        Z = np.empty((X.shape[0], len(self.names)))
        for j, series in enumerate(each_column(X)):
            Z[:, j] = self.columns[j].encode(series)
        return Z

    def decode(self, Z: FloatMatrix, labels: Any = None) -> Any:
        """Return floats of shape (n_samples, n_features) as rows of the table.

        Parameters
        ----------
        Z : ndarray of shape (n_samples, n_features)
            Encoded rows.
        labels : Index of length n_samples, default=None
            Labels of the rows of a pandas frame; those of made-up rows by default.
            Other containers have none.
        """
        if self.plain:
            Z = np.rint(Z) if self.integral.any() else Z
            return Z.astype(self.array_dtype)  # a copy, as models may work in place
        if self.in_pandas and labels is None:
            labels = made_up_labels(len(Z), self.label_names)
        if self.single_dtype is not None:
            Z = np.rint(Z) if self.integral.any() else Z
            Z = Z.astype(self.single_dtype)
            return pd.DataFrame(Z, index=labels, columns=self.names)
        decoded = [column.decode(Z[:, j]) for j, column in enumerate(self.columns)]
        if self.is_array:
            rows = np.empty(Z.shape, dtype=self.array_dtype)
            for j, cells in enumerate(decoded):
                rows[:, j] = cells.astype(object)
            return rows
        if self.in_pandas:
            columns = [pd.Series(c, dtype=c.dtype, copy=False) for c in decoded]
            frame = pd.DataFrame(dict(enumerate(columns)), copy=False)
            frame.columns, frame.index = pd.Index(self.names), labels
            return frame
        cells = {str(k): v for k, v in zip(self.names, decoded, strict=True)}
        return nw.from_dict(cells, backend=self.backend).to_native()

    def levels_of(self, j: int) -> list[Any]:
        """Return the distinct values of a coded column in the order of their codes."""
        known: Any = self.columns[j] if self.coded[j] else None
        return [] if known is None else list(known.levels)

    def codes_of(self, j: int, values: Sequence[Any]) -> NDArray[np.float64]:
        """Return the codes of values of one column, NaN for unknown categories."""
        if not self.coded[j]:
            return np.asarray(values, dtype=np.float64)
        known: Any = self.columns[j]
        codes = known.levels.get_indexer(pd.Index(list(values), dtype=object))
        return np.where(codes < 0, np.nan, codes).astype(np.float64)

    def to_pandas(self, Z: FloatMatrix) -> pd.DataFrame:
        """Return floats as a pandas frame with numbered rows, whatever X was."""
        if self.in_pandas:
            return self.decode(Z, pd.RangeIndex(len(Z)))
        if self.plain:
            return pd.DataFrame(self.decode(Z), columns=self.names)
        columns = {}
        for j, (name, column) in enumerate(zip(self.names, self.columns, strict=True)):
            cells = column.decode(Z[:, j])
            if not self.is_array and column.coded:
                cells = pd.Series(as_objects(cells)).infer_objects()
            elif not self.is_array:
                cells = nw.from_native(cells, series_only=True).to_numpy()
            columns[name] = cells
        return pd.DataFrame(columns)

    def as_handed_out(self, Z: FloatMatrix) -> FloatMatrix:
        """Return the floats of what decoding gives: rounded to the columns' types."""
        return self.encode(self.decode(Z))
