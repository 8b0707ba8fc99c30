# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Checks of what the user hands in, with errors that say where and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from skcoop._compat import _check_sample_weight, _num_samples
from skcoop._members._kinds import advice, is_a
from skcoop._members._member import Member, weight_parameter
from skcoop._tables._frames import (
    TableCodec,
    TableSchema,
    column_names,
    each_column,
    is_frame,
    is_pandas,
    pop_column,
    select,
)
from skcoop._utils._warnings import warn


def check_estimators(estimators: Any) -> list[tuple[str, Any]]:
    """Return the (name, classifier) pairs that are not dropped.

    Raises
    ------
    ValueError
        If `estimators` is not a list of such pairs, holds something else than
        classifiers, or if all of them are dropped.
    NotFittedError
        If a frozen member was never fitted.
    """
    if hasattr(estimators, "fit"):
        raise ValueError(
            "estimators must be a list of (name, classifier) pairs, got the single "
            f"estimator {estimators!r}. Cooperation needs several models; for a plain "
            "list of them use make_distiller(*estimators)."
        )
    if not isinstance(estimators, list) or not estimators:
        raise ValueError(
            "estimators must be a non-empty list of (name, classifier) pairs, got "
            f"{estimators!r}."
        )
    for item in estimators:
        if not (
            isinstance(item, tuple | list)
            and len(item) == 2
            and isinstance(item[0], str)
        ):
            raise ValueError(
                "estimators must be a list of (name, classifier) pairs; one entry is "
                f"{item!r}. For a plain list of classifiers use "
                "make_distiller(*estimators)."
            )
    kept = [(name, e) for name, e in estimators if not is_dropped(e)]
    if not kept:
        raise ValueError(
            "All estimators are dropped. At least one is required to be an estimator."
        )
    for name, estimator in kept:
        _check_member(name, estimator)
    return kept


def is_dropped(estimator: Any) -> bool:
    return isinstance(estimator, str) and estimator == "drop"


def _check_member(name: str, estimator: Any) -> None:
    if not is_a("classifier", estimator):
        raise ValueError(
            f"The estimator {name!r} should be a classifier, got {estimator!r}."
            + advice("classifier", estimator)
        )
    if isinstance(estimator, FrozenEstimator):
        try:
            check_is_fitted(estimator)
        except NotFittedError as error:
            raise NotFittedError(
                f"The frozen member {name!r} is not fitted. Fit it before freezing it, "
                "or hand it in unfrozen to let it learn here."
            ) from error


def check_learner(role: str, model: Any) -> None:
    """Raise an error if the model in a role is no classifier, or cannot learn."""
    if isinstance(model, FrozenEstimator):
        raise ValueError(
            f"The {role} is frozen and cannot learn. Hand in the model without "
            "FrozenEstimator around it."
        )
    _check_member(role, model)


def check_only_weights(name: str, estimator: Any, metadata: dict[str, Any]) -> None:
    """Raise an error if a model is to learn from a group with more than weights."""
    others = sorted(set(metadata) - {weight_parameter(estimator), "sample_weight"})
    if others:
        raise ValueError(
            f"{name!r} requests the parameters {others} of fit, which no model gets "
            "that learns from a group: rows without a label have none. Only "
            "sample_weight can be routed to the leader, and to the peers if "
            "n_rounds > 1."
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


def split_silo_column(
    X: Any, silo_column: Any, silos: Any, names: Sequence[str]
) -> tuple[Any, Any]:
    """Take the silo labels out of the table, if they are there.

    A column that holds nothing but names of members, where nobody said who owns which
    row, is most likely a silo column that was forgotten: that is a warning.

    Parameters
    ----------
    X : array-like or data frame
        The table as handed in.
    silo_column : str or None
        The column of the silo labels.
    silos : array-like or None
        The silo labels, if they are apart.
    names : list of str
        The names of all members.

    Returns
    -------
    X : ndarray or data frame
        The table without the silo column.
    silos : array-like or None
        The silo labels.
    """
    if silo_column is None:
        if silos is None and is_frame(X) and X.shape[0]:
            _warn_of_forgotten_silos(X, names)
        return X, silos
    if silos is not None:
        raise ValueError(
            "Silos are given twice: pass either silo_column or fit(..., silos=...)."
        )
    if not is_frame(X):
        raise ValueError(
            f"silo_column={silo_column!r} names a column of a data frame, but X is "
            f"{type(X).__name__}. Pass the labels as fit(X, y, silos=...) instead."
        )
    if silo_column not in column_names(X):
        raise ValueError(
            f"silo_column={silo_column!r} is not a column of X; the columns are "
            f"{column_names(X)}."
        )
    return pop_column(X, silo_column)


def _warn_of_forgotten_silos(X: Any, names: Sequence[str]) -> None:
    for column, series in zip(column_names(X), each_column(X), strict=True):
        cells = nw.from_native(series, series_only=True)
        # The first cell says no at once for nearly all columns.
        if not isinstance(cells[0], str) or cells[0] not in names:
            continue
        values = set(cells.unique().to_list())
        if len(values) > 1 and values <= set(names):
            warn(
                f"Column {column!r} holds the names of members and nothing else, and "
                "every member trains on all rows. If it says whose row it is, pass "
                f"silo_column={column!r}."
            )


def check_owners(
    silos: Any, n_samples: int, estimators: Sequence[tuple[str, Any]]
) -> NDArray[np.intp]:
    """Return for each row the number of the member in whose silo it lies.

    Rows of a dropped member are marked with -1.

    Parameters
    ----------
    silos : array-like of shape (n_samples,)
        The name of the member that owns each row.
    n_samples : int
        Number of rows of X.
    estimators : list of (str, estimator)
        All members, dropped ones included.

    Raises
    ------
    ValueError
        If the labels are of the wrong number, missing, or no names of members.
    """
    silos = np.asarray(silos, dtype=object)
    if silos.shape != (n_samples,):
        raise ValueError(
            f"silos must hold one label for each row: X has {n_samples} rows, silos "
            f"has shape {silos.shape}."
        )
    missing = np.asarray(pd.isna(silos), dtype=bool)
    if missing.any():
        raise ValueError(
            f"silos holds {missing.sum()} missing labels (first in row "
            f"{np.flatnonzero(missing)[0]}). Each row must name its member."
        )
    names = [name for name, _ in estimators]
    unknown = sorted({repr(s) for s in silos if s not in names})
    if unknown:
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        raise ValueError(
            f"silos holds labels that are no member's name: "
            f"[{', '.join(unknown[:5])}]{more}. The members are {names}, all of them "
            "strings. Name the members after the silos, or add (label, 'drop') to "
            "estimators to leave the rows of a silo out."
        )
    owners = np.array([names.index(s) for s in silos], dtype=np.intp)
    numbers = {}
    for position, (_, estimator) in enumerate(estimators):
        if is_dropped(estimator):
            numbers[position] = -1
            continue
        numbers[position] = sum(number >= 0 for number in numbers.values())
    return np.array([numbers[owner] for owner in owners], dtype=np.intp)


def check_silo(member: Member, y: NDArray[Any]) -> None:
    """Raise an error for a learner without rows; warn if its rows hold one class."""
    if member.frozen:
        return
    labels = np.unique(y[member.rows])
    if not len(labels):
        raise ValueError(
            f"Member {member.name!r} has no rows to train on. Give its silo rows of "
            "positive weight, drop it, or hand it in fitted as a FrozenEstimator."
        )
    if len(member.rows) == 1:
        raise ValueError(
            f"Member {member.name!r} has one row only: no judgement can leave it out. "
            "Give its silo more rows, drop it, or hand it in fitted as a "
            "FrozenEstimator."
        )
    if len(labels) == 1:
        warn(
            f"Silo {member.name!r} holds a single class ({labels.tolist()[0]!r}): its "
            "member answers that class always until lessons teach it others."
        )


def check_combine(combine: Any) -> None:
    """Raise an error if the final estimator is no classifier."""
    if isinstance(combine, str):
        return
    if not is_a("classifier", combine):
        raise ValueError(
            "combine must be 'stack', 'soft', 'hard' or an unfitted classifier, got "
            f"{combine!r}." + advice("classifier", combine)
        )


def check_weights(sample_weight: Any, X: Any) -> NDArray[np.float64]:
    """Return one finite weight for each row, 1 if none are given.

    Raises
    ------
    ValueError
        If a weight is negative, or if all are zero.
    """
    if sample_weight is None:
        return np.ones(_num_samples(X))
    weights = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weights.astype(np.float64)


def check_classes(estimator: Any, y: NDArray[Any]) -> None:
    """Raise an error if there is nothing to tell apart."""
    classes = np.unique(y)
    if len(classes) < 2:
        raise ValueError(
            f"{type(estimator).__name__} needs rows of at least two classes, but y "
            f"(rows without weight left out) holds 1 class: {classes.tolist()}."
        )
