# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Whose row is whose: silo labels beside a table or in it, and what must hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.frozen import FrozenEstimator

from skcoop._members._checks import is_dropped
from skcoop._tables._frames import (
    column_names,
    each_column,
    is_frame,
    pop_column,
)
from skcoop._utils._warnings import warn


def split_silo_column(
    X: Any, silo_column: Any, silos: Any, names: Sequence[str]
) -> tuple[Any, Any]:
    """Take the silo labels out of the table, if they are there.

    A column that holds nothing but names of silos, where nobody said who owns which
    row, is most likely a silo column that was forgotten: that is a warning.

    Parameters
    ----------
    X : array-like or data frame
        The table as handed in.
    silo_column : str or None
        The column of the silo labels.
    silos : array-like or None
        The silo labels, if they are apart.
    names : list
        The labels that silos may have.

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
                f"Column {column!r} holds the names of silos and nothing else, and "
                "every member trains on all rows. If it says whose row it is, pass "
                f"silo_column={column!r}."
            )


@dataclass
class Owners:
    """Whose row is whose.

    Attributes
    ----------
    silos : list of str
        Labels of the silos that have rows.
    of_rows : ndarray of int, shape (n_samples,)
        Number of each row's silo, -1 for rows that are left out.
    homes : dict of str to int
        By member, the number of the silo that it lives at; guests are missing.
    """

    silos: list[Any]
    of_rows: NDArray[np.intp]
    homes: dict[str, int]


def find_owners(
    silos: Any,
    taking_part: NDArray[np.bool_],
    estimators: Sequence[tuple[str, Any]],
    silo_members: Mapping[Any, Sequence[str]] | None,
) -> Owners:
    """Find out which silo holds each row, and where each member lives.

    Parameters
    ----------
    silos : array-like of shape (n_samples,)
        The label of the silo that holds each row.
    taking_part : ndarray of bool, shape (n_samples,)
        Rows that have a weight.
    estimators : list of (str, estimator)
        All members, dropped ones included.
    silo_members : dict or None
        By label, the names of the members that live there; None where each silo bears
        its member's name. Rows of a silo whose only member is dropped leave with it.

    Raises
    ------
    ValueError
        If the labels are of the wrong number, missing, or unknown, or if a member is
        unknown or lives at two silos.
    """
    labels = _check_labels(silos, len(taking_part))
    names = [name for name, _ in estimators]
    dropped = {name for name, estimator in estimators if is_dropped(estimator)}
    if silo_members is None:
        living: dict[Any, list[str]] = {name: [name] for name in names}
    else:
        living = _check_silo_members(silo_members, names)
    _check_known(labels, living, names, silo_members is None)
    used = [
        label
        for label, members in living.items()
        if (not members or set(members) - dropped)
        and (labels[taking_part] == label).any()
    ]
    numbers = {label: number for number, label in enumerate(used)}
    of_rows = np.array([numbers.get(label, -1) for label in labels], dtype=np.intp)
    of_rows[~taking_part] = -1
    homes = {
        member: numbers[label]
        for label in used
        for member in living[label]
        if member not in dropped
    }
    return Owners(used, of_rows, homes)


def _check_labels(silos: Any, n_samples: int) -> NDArray[Any]:
    labels = np.asarray(silos, dtype=object)
    if labels.shape != (n_samples,):
        raise ValueError(
            f"silos must hold one label for each row: X has {n_samples} rows, silos "
            f"has shape {labels.shape}."
        )
    missing = np.asarray(pd.isna(labels), dtype=bool)
    if missing.any():
        raise ValueError(
            f"silos holds {missing.sum()} missing labels (first in row "
            f"{np.flatnonzero(missing)[0]}). Each row must name its silo."
        )
    return labels


def _check_silo_members(
    silo_members: Any, names: Sequence[str]
) -> dict[Any, list[str]]:
    living: dict[Any, list[str]] = {}
    seen: dict[str, Any] = {}
    for label, members in silo_members.items():
        if isinstance(members, str) or not isinstance(members, Iterable):
            raise ValueError(
                f"silo_members[{label!r}] must be a list of members' names, got "
                f"{members!r}. A silo without members has an empty list."
            )
        living[label] = list(members)
        for member in living[label]:
            if member not in names:
                raise ValueError(
                    f"silo_members[{label!r}] names {member!r}, which is no member. "
                    f"The members are {list(names)}."
                )
            if member in seen:
                raise ValueError(
                    f"silo_members lets {member!r} live at {seen[member]!r} and at "
                    f"{label!r}. A member has one home; add a second one to estimators."
                )
            seen[member] = label
    return living


def _check_known(
    labels: NDArray[Any],
    living: Mapping[Any, Sequence[str]],
    names: Sequence[str],
    named_alike: bool,
) -> None:
    """Raise an error for labels of silos that nobody knows."""
    unknown = sorted({repr(s) for s in labels if s not in living})
    if not unknown:
        return
    more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
    which = f"[{', '.join(unknown[:5])}]{more}"
    if named_alike:
        raise ValueError(
            f"silos holds labels that are no member's name: {which}. The members are "
            f"{list(names)}, all of them strings. Say which members live at which silo "
            "with silo_members={label: [name, ...]}, name the members after the silos, "
            "or add (label, 'drop') to estimators to leave the rows of a silo out."
        )
    raise ValueError(
        f"silos holds labels that silo_members lacks: {which}. It has the silos "
        f"{list(living)}, and the members are {list(names)}. Add the others to it; a "
        "silo without members has an empty list."
    )


def one_silo(taking_part: NDArray[np.bool_], names: Sequence[str]) -> Owners:
    """Return who owns what where all members own all rows."""
    of_rows = np.where(taking_part, 0, -1)
    return Owners(["all rows"], of_rows, dict.fromkeys(names, 0))


def known_labels(
    estimators: Sequence[tuple[str, Any]], silo_members: Mapping[Any, Any] | None
) -> list[Any]:
    """Return the labels that silos may have."""
    named_alike = [name for name, _ in estimators]
    return named_alike if silo_members is None else list(silo_members)


def check_homes(
    estimators: Sequence[tuple[str, Any]],
    owners: Owners,
    y: NDArray[Any],
    of_rows: NDArray[np.intp],
) -> None:
    """Raise an error for a learner that cannot learn; warn of silos with one class.

    Parameters
    ----------
    estimators : list of (str, classifier)
        The members that take part.
    owners : Owners
        Where they live.
    y, of_rows : ndarray of shape (n_samples,)
        Label and silo of each row that takes part.
    """
    learners = [name for name, e in estimators if not isinstance(e, FrozenEstimator)]
    for name in learners:
        if name not in owners.homes:
            raise ValueError(
                f"Member {name!r} has no rows to train on. Give its silo rows of "
                "positive weight, drop it, or hand it in fitted as a FrozenEstimator."
            )
        own = y[of_rows == owners.homes[name]]
        if len(own) == 1:
            raise ValueError(
                f"Member {name!r} has one row only: no judgement can leave it out. "
                "Give its silo more rows, drop it, or hand it in fitted as a "
                "FrozenEstimator."
            )
    taught = {owners.homes[name] for name in learners}
    for number in sorted(taught):
        own = np.unique(y[of_rows == number])
        if len(own) == 1 and len(owners.silos) > 1:
            warn(
                f"Silo {owners.silos[number]!r} holds a single class "
                f"({own.tolist()[0]!r}): who lives there answers that class always "
                "until lessons teach others."
            )
