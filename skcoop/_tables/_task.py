# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""What all steps on rows share: the rows, their classes, their weights, the folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcoop._tables._checks import check_finite
from skcoop._tables._codec import TableCodec
from skcoop._tables._distances import RowMetric
from skcoop._tables._frames import FloatMatrix, aligned, stack, take
from skcoop._tables._permissions import Permissions
from skcoop._tables._row_keys import content_keys, mixed

# Rows that tell how far rows usually are apart.
_MOST_ROWS = 1000


@dataclass
class Task:
    """The rows of one silo or of a single table, in their container and as floats.

    Attributes
    ----------
    X : ndarray or data frame of shape (n_samples, n_features)
        The rows.
    y : ndarray of shape (n_samples,)
        Their labels.
    classes : ndarray of shape (n_classes,)
        The distinct labels; a silo may lack some.
    codes : ndarray of int, shape (n_samples,)
        Positions of the labels in `classes`.
    weights : ndarray of shape (n_samples,)
        Weight of each row where scores are computed.
    folds : ndarray of int, shape (n_samples,)
        The fold that holds out each row.
    n_folds : int
        Number of folds; a small silo may have rows in some of them only.
    codec : TableCodec
        Goes between the container and floats.
    Z : ndarray of shape (n_samples, n_features)
        The rows as floats.
    keys : ndarray of uint64, shape (n_samples,)
        A number for each row's content. Choices that are made by these keys do not
        depend on the order of the rows.
    permissions : Permissions
        What may change in a row; by default everything that a search can vary. It also
        knows the columns of codes, between two of which nothing lies.
    private : ndarray of bool, shape (n_features,)
        Columns whose values stay in the silo of their row.
    """

    X: Any
    y: NDArray[Any]
    classes: NDArray[Any]
    codes: NDArray[np.intp]
    weights: NDArray[np.float64]
    folds: NDArray[np.intp]
    n_folds: int
    codec: TableCodec
    Z: FloatMatrix
    keys: NDArray[np.uint64]
    permissions: Permissions
    private: NDArray[np.bool_]

    def part(self, rows: NDArray[np.intp]) -> Task:
        """Return some of the rows as a task of their own."""
        return replace(
            self,
            X=take(self.X, rows),
            y=self.y[rows],
            codes=self.codes[rows],
            weights=self.weights[rows],
            folds=self.folds[rows],
            Z=self.Z[rows],
            keys=self.keys[rows],
        )

    def in_fold(self, fold: int) -> NDArray[np.intp]:
        """Return the rows that a fold holds out."""
        return np.flatnonzero(self.folds == fold)

    @cached_property
    def unrecorded(self) -> NDArray[np.bool_]:
        """Columns that are never recorded, of shape (n_features,)."""
        return np.asarray(np.isnan(self.Z).all(axis=0))

    @cached_property
    def metric(self) -> RowMetric:
        """Distances in the ranges of the rows."""
        return RowMetric(self.codec, self.Z, self.permissions.coded)

    @property
    def travels(self) -> NDArray[np.bool_]:
        """Mark the columns whose cells leave a silo: recorded there and not private."""
        return ~self.private & ~self.unrecorded

    @cached_property
    def usual_distance(self) -> float:
        """The median distance of a row to the nearest that differs."""
        return _usual_distance(self.metric, self.Z, self.travels)

    @cached_property
    def ranks(self) -> NDArray[np.intp]:
        """A number for each row that says nothing about its place or content."""
        ranks = np.empty(len(self.keys), dtype=np.intp)
        ranks[np.argsort(self.keys, kind="stable")] = np.arange(len(self.keys))
        return ranks

    @cached_property
    def contents(self) -> NDArray[np.intp]:
        """The least of the numbers of the rows that have a row's content."""
        first = np.searchsorted(np.sort(self.keys), self.keys)
        return np.asarray(first, dtype=np.intp)

    def repeats(
        self,
        Z: FloatMatrix,
        reads: NDArray[np.bool_],
        rows: NDArray[np.intp] | None = None,
    ) -> NDArray[np.bool_]:
        """Mark what equals one of the rows, or of some, on the columns read.

        Private columns do not count: a copy with other cells there is one.
        """
        reads = reads & ~self.private
        if reads.all():
            known = self.keys if rows is None else self.keys[rows]
        else:
            some = self.Z if rows is None else self.Z[rows]
            known = content_keys(some[:, reads])
        return np.isin(content_keys(Z[:, reads]), known)

    def __sizeof__(self) -> int:
        """Return the bytes of the rows: backends send what is large only once."""
        return object.__sizeof__(self) + 2 * self.Z.nbytes

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Align what came from another process.

        Products of arrays that are not differ in the last digit, and so would models.
        """
        self.__dict__.update({name: aligned(value) for name, value in state.items()})


def make_task(
    X: Any,
    y: NDArray[Any],
    folds: NDArray[np.intp],
    weights: NDArray[np.float64],
    rows: NDArray[np.intp],
) -> Task:
    """Lay out the given rows of a table for a fit.

    Parameters
    ----------
    X : ndarray or data frame of shape (n_samples, n_features)
        The whole table.
    y, folds, weights : ndarray of shape (n_samples,)
        As in :class:`Task`.
    rows : ndarray of int
        The rows that take part.

    Returns
    -------
    task : Task
        These rows, encoded.

    Raises
    ------
    ValueError
        If a number is infinite; the message names the column.
    """
    X, y = take(X, rows), y[rows]
    codec = TableCodec(X)
    Z = codec.encode(X)
    check_finite(Z, codec.names)
    classes, codes = np.unique(y, return_inverse=True)
    used, folds = np.unique(folds[rows], return_inverse=True)
    return Task(
        X=X,
        y=y,
        classes=classes,
        codes=codes,
        weights=weights[rows],
        folds=folds,
        n_folds=len(used),
        codec=codec,
        Z=Z,
        keys=content_keys(Z),
        permissions=Permissions(codec),
        private=np.zeros(Z.shape[1], dtype=bool),
    )


def task_without_cells(
    classes: NDArray[Any],
    codes: NDArray[np.intp],
    weights: NDArray[np.float64],
    folds: NDArray[np.intp],
    n_folds: int,
) -> Task:
    """Return what is known of rows elsewhere: labels, weights and folds, no columns.

    Parameters
    ----------
    classes, codes, weights, folds, n_folds
        As of :class:`Task`.
    """
    nothing = np.zeros((len(codes), 0))
    codec = TableCodec(nothing)
    return Task(
        X=nothing,
        y=classes[codes],
        classes=classes,
        codes=codes,
        weights=weights,
        folds=folds,
        n_folds=n_folds,
        codec=codec,
        Z=nothing,
        keys=np.zeros(len(codes), dtype=np.uint64),
        permissions=Permissions(codec),
        private=np.zeros(0, dtype=bool),
    )


def joined(tasks: Sequence[Task]) -> Task:
    """Put the rows of several tasks on top of each other."""
    return replace(
        tasks[0],
        X=reduce(stack, [task.X for task in tasks]),
        y=np.concatenate([task.y for task in tasks]),
        codes=np.concatenate([task.codes for task in tasks]),
        weights=np.concatenate([task.weights for task in tasks]),
        folds=np.concatenate([task.folds for task in tasks]),
        Z=np.concatenate([task.Z for task in tasks]),
        keys=np.concatenate([task.keys for task in tasks]),
    )


def _usual_distance(
    metric: RowMetric, rows: FloatMatrix, columns: NDArray[np.bool_]
) -> float:
    """Return the median distance of some rows to the nearest that differs."""
    keys = content_keys(rows[:, columns])
    some = np.argsort(mixed(keys, 1), kind="stable")[:_MOST_ROWS]

    def differs(block: slice) -> NDArray[np.bool_]:
        return keys[some[block], None] != keys

    _, squared = metric.nearest(rows[some], rows, differs, columns=columns)
    known = np.isfinite(squared[:, 0])
    return float(np.median(np.sqrt(squared[known, 0]))) if known.any() else 0.0
