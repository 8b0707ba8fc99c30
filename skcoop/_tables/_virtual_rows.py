# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Virtual rows: places between rows, where a teacher can be asked and no label is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcoop._tables._codec import TableCodec
from skcoop._tables._row_keys import content_keys, mixed


def virtual_rows(
    X: Any, n_rows: int, *, weights: NDArray[np.float64] | None = None, seed: int = 0
) -> tuple[Any, NDArray[np.float64]]:
    """Draw rows between two rows of a table.

    Numbers lie on the way from the one to the other, as in mixup, rounded where the
    column is of a type for whole numbers. Anything else, and a missing cell, is taken
    from one of the two, more often from the nearer. Every distinct row is the start of
    as many virtual rows, or one more. A row that occurs twice counts as one of twice
    the weight, and the order of the rows does not matter.

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
        Weights of the rows that they start from.

    References
    ----------
    H. Zhang, M. Cisse, Y. N. Dauphin, D. Lopez-Paz. "mixup: Beyond Empirical Risk
    Minimization". ICLR 2018.
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

    draw = np.random.default_rng(seed)
    start = np.arange(n_rows) % len(Z)
    # Any other row: the difference is never 0, nor a whole turn.
    step = draw.integers(1, max(len(Z), 2), size=n_rows)
    one, other = Z[start], Z[(start + step) % len(Z)]
    share = draw.random((n_rows, 1))
    between = one + share * (other - one)
    either = np.where(draw.random(one.shape) < share, other, one)
    rows = np.where(codec.coded | np.isnan(between), either, between)
    return codec.decode(rows), totals[start]
