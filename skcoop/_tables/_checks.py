# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Checks of tables, with errors that name the columns and say what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import validate_data

from skcoop._tables._codec import TableCodec
from skcoop._tables._frames import (
    column_names,
    is_frame,
    is_pandas,
    select,
)
from skcoop._tables._schema import TableSchema


def check_table(estimator: Any, X: Any, *, reset: bool) -> Any:
    """Return X as a data frame or an array, with its width and names checked.

    Numbers may be missing (whether they may is for the members to say) but not
    infinite; sparse matrices are refused.
    """
    if nw.dependencies.is_polars_lazyframe(X):
        raise ValueError("X is a lazy frame: hand in X.collect().")
    if is_frame(X):
        labels = column_names(X)
        repeated = sorted({str(label) for label in labels if labels.count(label) > 1})
        if repeated:
            raise ValueError(
                f"The column labels {repeated} of X occur more than once. Rename them."
            )
        if 0 in X.shape:
            raise ValueError(
                f"Found a data frame with 0 sample(s) or 0 feature(s) (shape={X.shape})"
                f" while a minimum of 1 is required by {type(estimator).__name__}."
            )
        validate_data(estimator, X=X, reset=reset, skip_check_array=True)
        return X
    _refuse_bare_texts(X)
    X = validate_data(
        estimator,
        X=X,
        reset=reset,
        accept_sparse=False,
        dtype=None,
        ensure_all_finite=False,
    )
    X = _numbers_if_possible(X)
    if X.dtype.kind == "f":
        check_finite(X, column_names(X))
    return X


def _refuse_bare_texts(X: Any) -> None:
    """Say how to hand in texts, which have no shape to mend as numbers have."""
    cells = X
    if nw.dependencies.is_into_series(X):
        cells = nw.from_native(X, series_only=True).head(5).to_list()
    if not isinstance(cells, list | tuple | np.ndarray | pd.Index):
        return
    if any(isinstance(cell, str) for cell in cells[:5]):  # the first may be missing
        raise ValueError(
            f"Expected 2D array, got {len(X)} texts without columns "
            f"({type(X).__name__}) instead. Hand in a data frame with one column, "
            'pd.DataFrame({"text": X}), and let each member pick the column by its '
            'name: a ColumnTransformer with (TfidfVectorizer(), "text").'
        )


def _numbers_if_possible(X: NDArray[Any]) -> NDArray[Any]:
    """Turn an array of objects that are all numbers into an array of numbers."""
    if X.dtype.kind != "O":
        return X
    columns = pd.DataFrame(X).infer_objects().dtypes
    numeric = all(getattr(dtype, "kind", "O") in "fiub" for dtype in columns)
    return X.astype(np.float64) if numeric else X


def check_finite(Z: NDArray[np.float64], names: Sequence[Any]) -> None:
    """Raise an error that names the columns that hold infinity, if any do."""
    infinite = np.isinf(Z).any(axis=0)
    if infinite.any():
        columns = [names[int(j)] for j in np.flatnonzero(infinite)]
        raise ValueError(
            f"Input X contains infinity in column(s) {columns}. Replace these values "
            "or mark them as missing."
        )


def check_no_missing(X: Any) -> None:
    """Raise an error that names the columns with missing cells, if there are any."""
    names = column_names(X)
    if is_frame(X):
        X = X.to_numpy() if is_pandas(X) else nw.from_native(X).to_numpy()
    if X.dtype.kind == "f" and not np.isnan(np.vdot(X, X)):
        return  # the usual case, at the cost of one product
    missing = np.asarray(pd.isna(X)).any(axis=0)
    if missing.any():
        columns = [names[int(j)] for j in np.flatnonzero(missing)]
        raise ValueError(
            f"Input X contains NaN in column(s) {columns}. Some of the models in this "
            "distiller take no missing cells, so it was fitted without any. Impute "
            "them, or put imputers before the models and fit it with such cells."
        )


def check_unlabeled(estimator: Any, X_unlabeled: Any, X: Any) -> Any:
    """Return the rows without a label as X has them: container, types, columns.

    Raises
    ------
    ValueError
        If they are of another kind of container, lack columns of X or hold others, or
        if a column has another type where tables cannot be stacked with two.
    """
    if X_unlabeled is None:
        return None
    if is_frame(X) != is_frame(X_unlabeled):
        raise ValueError(
            f"X_unlabeled is {type(X_unlabeled).__name__}, but X is "
            f"{type(X).__name__}. Hand in both as arrays or both as data frames."
        )
    schema, codec = TableSchema(X), TableCodec(X)
    try:
        X_unlabeled = schema.conform(check_table(estimator, X_unlabeled, reset=False))
        Z = codec.encode(X_unlabeled)
        check_finite(np.where(codec.coded, 0.0, Z), codec.names)
    except (ValueError, TypeError) as error:
        raise ValueError(f"X_unlabeled cannot be used: {error}") from error
    if is_frame(X) and column_names(X_unlabeled) != codec.names:
        X_unlabeled = select(X_unlabeled, codec.names)
    if is_frame(X) and not is_pandas(X):
        own, other = (nw.from_native(table).schema for table in (X, X_unlabeled))
        wrong = [name for name in own if own[name] != other[name]]
        if wrong:
            raise ValueError(
                f"The columns {wrong} of X_unlabeled are of type "
                f"{[str(other[name]) for name in wrong]}, in X they are "
                f"{[str(own[name]) for name in wrong]}. Cast them."
            )
    return X_unlabeled
