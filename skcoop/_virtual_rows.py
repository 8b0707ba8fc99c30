# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Virtual rows: places between rows, where a teacher can be asked and no label is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcoop._distances import RowMetric
from skcoop._frames import FloatMatrix, TableCodec
from skcoop._task import content_keys, mixed

# Neighbours among which the other end of a virtual row is drawn.
_NEIGHBOURS = 5


def virtual_rows(
    X: Any, n_rows: int, *, weights: NDArray[np.float64] | None = None, seed: int = 0
) -> tuple[Any, NDArray[np.float64]]:
    """Draw rows between rows of a table and their neighbours.

    Numbers lie on the way from the one to the other, whole numbers are rounded, and
    anything else, as a missing cell, is taken from one of the two, from each with the
    share that it has in the numbers. Every distinct row is the start of as many virtual
    rows, or one more. A row that occurs twice counts as one of twice the weight, and
    the order of the rows does not matter.

    Parameters
    ----------
    X : ndarray or data frame of shape (n_samples, n_features)
        The table.
    n_rows : int
        Virtual rows to draw.
    weights : ndarray of shape (n_samples,), default=None
        Weights of the rows; all the same by default.
    seed : int, default=0
        Seed of the draws.

    Returns
    -------
    rows : ndarray or data frame of shape (n_rows, n_features)
        In the container and the types of X.
    weights : ndarray of shape (n_rows,)
        Weights of the rows that they started from.
    """
    codec = TableCodec(X)
    Z = codec.encode(X)
    weights = np.ones(len(Z)) if weights is None else weights
    keys, first, same = np.unique(
        content_keys(Z), return_index=True, return_inverse=True
    )
    totals = np.bincount(same, weights).astype(np.float64)
    order = np.argsort(mixed(keys, seed))
    Z, totals = Z[first][order], totals[order]

    start = np.arange(n_rows) % len(Z)
    drawn = totals[start]
    if len(Z) == 1 or not n_rows:
        return codec.decode(Z[start]), drawn
    neighbours = _neighbours(codec, Z)
    draw = np.random.default_rng(seed)
    end = neighbours[start, draw.integers(neighbours.shape[1], size=n_rows)]
    return codec.decode(_between(codec, Z[start], Z[end], draw)), drawn


def _neighbours(codec: TableCodec, Z: FloatMatrix) -> NDArray[np.intp]:
    """Return the nearest other rows of each row."""
    numbers = np.arange(len(Z))
    nearest, _ = RowMetric(codec, Z).nearest(
        Z,
        Z,
        lambda block: numbers[block, None] != numbers,
        k=min(_NEIGHBOURS, len(Z) - 1),
    )
    return nearest


def _between(
    codec: TableCodec, start: FloatMatrix, end: FloatMatrix, draw: np.random.Generator
) -> FloatMatrix:
    """Return rows between pairs of rows."""
    share = draw.random((len(start), 1))
    way = start + share * (end - start)
    either = np.where(draw.random(start.shape) < share, end, start)
    return np.where(codec.coded | np.isnan(way), either, way)
