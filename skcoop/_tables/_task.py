# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""What all steps of one fit share: the rows, their classes, their owners, the folds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcoop._tables._checks import check_finite
from skcoop._tables._codec import TableCodec
from skcoop._tables._distances import RowMetric
from skcoop._tables._frames import FloatMatrix, aligned, take
from skcoop._tables._permissions import Permissions
from skcoop._tables._row_keys import content_keys, mixed

# Rows that tell how far rows usually are apart.
_MOST_ROWS = 1000


@dataclass
class Task:
    """The rows of one fit, in the user's container and as floats.

    Attributes
    ----------
    X : ndarray or data frame of shape (n_samples, n_features)
        The rows.
    y : ndarray of shape (n_samples,)
        Their labels.
    classes : ndarray of shape (n_classes,)
        The distinct labels.
    codes : ndarray of int, shape (n_samples,)
        Positions of the labels in `classes`.
    weights : ndarray of shape (n_samples,)
        Weight of each row where scores are computed.
    folds : ndarray of int, shape (n_samples,)
        The fold that holds out each row.
    silos : ndarray of int, shape (n_samples,)
        The silo that holds each row: the number of the member that owns it, 0 where
        all members own all.
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
    judges : ndarray of bool, shape (n_samples,)
        Rows that judge, and that a final estimator learns from.
    private : ndarray of bool, shape (n_features,)
        Columns whose values stay in the silo of their row.
    """

    X: Any
    y: NDArray[Any]
    classes: NDArray[Any]
    codes: NDArray[np.intp]
    weights: NDArray[np.float64]
    folds: NDArray[np.intp]
    silos: NDArray[np.intp]
    codec: TableCodec
    Z: FloatMatrix
    keys: NDArray[np.uint64]
    permissions: Permissions
    judges: NDArray[np.bool_]
    private: NDArray[np.bool_]

    @property
    def n_folds(self) -> int:
        """Number of folds."""
        return int(self.folds.max()) + 1

    def silo(self, number: int) -> NDArray[np.intp]:
        """Return the rows of a silo."""
        return np.flatnonzero(self.silos == number)

    def home(self, rows: NDArray[np.intp]) -> int:
        """Return the silo of a member's rows, -1 for a guest that has none."""
        return int(self.silos[rows[0]]) if len(rows) else -1

    @cached_property
    def unrecorded(self) -> NDArray[np.bool_]:
        """Columns that a silo never records, of shape (n_silos, n_features)."""
        missing = [
            np.isnan(self.Z[self.silo(number)]).all(axis=0)
            for number in range(int(self.silos.max()) + 1)
        ]
        return np.array(missing)

    @cached_property
    def metrics(self) -> dict[int, RowMetric]:
        """Distances by silo, in the ranges of its own rows."""
        return {
            number: RowMetric(
                self.codec, self.Z[self.silo(number)], self.permissions.coded
            )
            for number in np.unique(self.silos).tolist()
        }

    def travels(self, silo: int) -> NDArray[np.bool_]:
        """Mark the columns whose cells leave a silo: recorded there and not private."""
        return ~self.private & ~self.unrecorded[silo]

    @cached_property
    def usual_distances(self) -> dict[int, float]:
        """By silo, the median distance of a row to the nearest that differs."""
        return {
            silo: _usual_distance(metric, self.Z[self.silo(silo)], self.travels(silo))
            for silo, metric in self.metrics.items()
        }

    def repeats(
        self,
        Z: FloatMatrix,
        reads: NDArray[np.bool_],
        rows: NDArray[np.intp],
    ) -> NDArray[np.bool_]:
        """Mark what equals one of the given rows on the columns read.

        Private columns do not count: a copy with other cells there is one.
        """
        reads = reads & ~self.private
        every = reads.all()
        known = self.keys[rows] if every else content_keys(self.Z[rows][:, reads])
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
    owners: NDArray[np.intp] | None,
    folds: NDArray[np.intp],
    weights: NDArray[np.float64],
    rows: NDArray[np.intp],
) -> Task:
    """Lay out the given rows of a table for a fit.

    Parameters
    ----------
    X : ndarray or data frame of shape (n_samples, n_features)
        The whole table.
    y, owners, folds, weights : ndarray of shape (n_samples,)
        As in :class:`Task`; `owners` is None where all members own all rows.
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
    return Task(
        X=X,
        y=y,
        classes=classes,
        codes=codes,
        weights=weights[rows],
        folds=np.unique(folds[rows], return_inverse=True)[1],
        silos=np.zeros(len(rows), dtype=np.intp) if owners is None else owners[rows],
        codec=codec,
        Z=Z,
        keys=content_keys(Z),
        permissions=Permissions(codec),
        judges=np.ones(len(rows), dtype=bool),
        private=np.zeros(Z.shape[1], dtype=bool),
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
