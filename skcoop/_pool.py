# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""All rows that a student may learn from: asked or not, unlabelled, made up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcoop._distances import RowMetric
from skcoop._frames import FloatMatrix, TableCodec, stack, take
from skcoop._task import content_keys
from skcoop._validation import check_finite

# Neighbours of a row towards which virtual rows are drawn.
_NEIGHBOURS = 5


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
    virtual : ndarray of bool, shape (n_rows,)
        Rows that were made up.
    positions : ndarray of int, shape (n_samples,)
        The row here of each row of X; -1 for a row without weight.
    """

    X: Any
    Z: FloatMatrix
    codec: TableCodec
    metric: RowMetric
    weights: NDArray[np.float64]
    own: NDArray[np.bool_]
    virtual: NDArray[np.bool_]
    positions: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.weights)

    @cached_property
    def places(self) -> FloatMatrix:
        """The rows where comparisons are made, coded columns spread out."""
        places, many = self.metric.embed(self.Z)
        codes = np.nan_to_num(self.Z[:, many], nan=-1.0)
        return np.hstack([places, codes])

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
        weights_of_all = np.concatenate([weights_of_all, np.ones(n_more)])
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
        virtual=np.zeros(len(first), dtype=bool),
        positions=positions,
    )


def with_virtual_rows(pool: Pool, n_virtual: int, seed: int) -> Pool:
    """Add rows between neighbours to a pool, each of the mean weight."""
    if n_virtual <= 0 or len(pool) < 2:
        return pool
    Z = pool.codec.as_handed_out(_interpolated(pool, n_virtual, seed))
    made_up = np.ones(len(Z), dtype=bool)
    return replace(
        pool,
        X=stack(pool.X, pool.codec.decode(Z)),
        Z=np.vstack([pool.Z, Z]),
        weights=np.append(pool.weights, np.full(len(Z), pool.weights.mean())),
        own=np.append(pool.own, ~made_up),
        virtual=np.append(pool.virtual, made_up),
    )


def _interpolated(pool: Pool, n_rows: int, seed: int) -> FloatMatrix:
    """Draw rows on the way from a row to one of its nearest ones.

    Codes, whole numbers and missing cells are those of the nearer end.
    """
    draw = np.random.default_rng(seed)
    ends = draw.integers(len(pool), size=n_rows)
    start, back = np.unique(ends, return_inverse=True)
    neighbours, _ = pool.metric.nearest(
        pool.Z[start],
        pool.Z,
        lambda block: start[block, None] != np.arange(len(pool)),
        k=min(_NEIGHBOURS, len(pool) - 1),
    )
    other = neighbours[back, draw.integers(neighbours.shape[1], size=n_rows)]
    way = draw.random((n_rows, 1))
    first, second = pool.Z[ends], pool.Z[other]
    between = first + way * (second - first)
    whole = pool.metric.integral | pool.codec.coded | ~pool.codec.varies
    return np.where(
        whole | np.isnan(between), np.where(way < 0.5, first, second), between
    )
