# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""All rows that a student may learn from: asked or not, unlabelled, made up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcoop._tables._checks import check_finite
from skcoop._tables._codec import TableCodec
from skcoop._tables._distances import RowMetric
from skcoop._tables._frames import FloatMatrix, stack, take
from skcoop._tables._row_keys import content_keys
from skcoop._tables._virtual_rows import virtual_rows


@dataclass
class Pool:
    """Rows of one fit. Equal rows are one row, and their order is not the user's.

    Attributes
    ----------
    X : ndarray or data frame of shape (n_rows, n_features)
        The rows in the user's container.
    Z : ndarray of shape (n_rows, n_features)
        The same as floats.
    codec : TableCodec
        Goes between the two.
    metric : RowMetric
        Distances between them.
    weights : ndarray of shape (n_rows,)
        Weight of each row, summed over equal ones.
    own : ndarray of bool, shape (n_rows,)
        Rows of X; the teacher may be asked about no others.
    positions : ndarray of int, shape (n_samples,)
        The row here of each row of X; -1 for a row without weight.
    """

    X: Any
    Z: FloatMatrix
    codec: TableCodec
    metric: RowMetric
    weights: NDArray[np.float64]
    own: NDArray[np.bool_]
    positions: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.weights)

    @cached_property
    def places(self) -> FloatMatrix:
        """The rows where comparisons are made, coded columns spread out."""
        places, many = self.metric.embed(self.Z)
        codes = np.nan_to_num(self.Z[:, many], nan=-1.0)
        # No column counts for more than one.
        return np.hstack([places, codes / np.maximum(codes.max(axis=0), 1.0)])

    def gather(self, values: FloatMatrix, weights: NDArray[np.float64]) -> FloatMatrix:
        """Return the weighted mean of values of X's rows, NaN where there is none.

        Parameters
        ----------
        values : ndarray of shape (n_samples, n_columns)
            Values of the rows of X; rows of NaN do not count.
        weights : ndarray of shape (n_samples,)
            Their weights.

        Returns
        -------
        means : ndarray of shape (n_rows, n_columns)
            One line for each row of the pool.
        """
        counted = (self.positions >= 0) & ~np.isnan(values).any(axis=1)
        at = self.positions[counted]
        total = np.bincount(at, weights[counted], len(self))
        sums = np.zeros((len(self), values.shape[1]))
        np.add.at(sums, at, values[counted] * weights[counted, None])
        means = np.full_like(sums, np.nan)
        known = total > 0
        means[known] = sums[known] / total[known, None]
        return means


def make_pool(X: Any, X_unlabeled: Any, weights: NDArray[np.float64]) -> Pool:
    """Lay out the rows with weight, equal ones together.

    Raises
    ------
    ValueError
        If a number is infinite; the message names the column.
    """
    taking_part = np.flatnonzero(weights > 0)
    table = take(X, taking_part)
    weights_of_all = weights[taking_part]
    if X_unlabeled is not None:
        table = stack(table, X_unlabeled)
        n_more = table.shape[0] - len(taking_part)
        weights_of_all = np.concatenate(
            [weights_of_all, np.full(n_more, weights_of_all.mean())]
        )
    codec = TableCodec(table)
    Z = codec.encode(table)
    check_finite(Z, codec.names)
    _, first, position = np.unique(
        content_keys(Z), return_index=True, return_inverse=True
    )
    positions = np.full(len(weights), -1)
    positions[taking_part] = position[: len(taking_part)]
    return Pool(
        X=take(table, first),
        Z=Z[first],
        codec=codec,
        metric=RowMetric(codec, Z),
        weights=np.bincount(position, weights_of_all).astype(np.float64),
        own=first < len(taking_part),
        positions=positions,
    )


def with_virtual_rows(pool: Pool, n_virtual: int, seed: int) -> Pool:
    """Add rows between two rows to a pool, with the weight of one of them."""
    if n_virtual <= 0 or len(pool) < 2:
        return pool
    rows, weights = virtual_rows(pool.X, n_virtual, weights=pool.weights, seed=seed)
    return replace(
        pool,
        X=stack(pool.X, rows),
        Z=np.vstack([pool.Z, pool.codec.encode(rows)]),
        weights=np.append(pool.weights, weights),
        own=np.append(pool.own, np.zeros(n_virtual, dtype=bool)),
    )
