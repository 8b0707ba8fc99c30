# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""How far two rows are apart when columns differ in kind and cells may be missing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from skcoop._tables._codec import TableCodec
from skcoop._tables._frames import FloatMatrix

# Rows x rows held at once: 2e6 doubles are 16 MB.
_BLOCK = 2_000_000
# Squared distances are compared to nine decimals: equal rows are equally far.
_PRECISION = 10**4.5
# Cells further outside a column's range than this many ranges count as this far.
_FARTHEST = 1e6
# Values of a coded column up to which each gets a coordinate of its own.
_MOST_LEVELS = 50


class RowMetric:
    """Distances between encoded rows, each column counting for at most one.

    Numbers are divided by their range among the reference rows, coded values are
    equal or not, and a missing cell is as far as can be from any value.

    Parameters
    ----------
    codec : TableCodec
        Tells which columns are coded.
    reference : ndarray of shape (n_samples, n_features)
        Encoded rows that define the ranges.
    coded : ndarray of bool, shape (n_features,), default=None
        Columns whose values are equal or not; what the codec says by default.
    """

    def __init__(
        self,
        codec: TableCodec,
        reference: FloatMatrix,
        coded: NDArray[np.bool_] | None = None,
    ):
        self.coded = codec.coded if coded is None else coded
        known = ~np.isnan(reference)
        has_values = known.any(axis=0)
        low = np.where(known, reference, np.inf).min(axis=0, initial=np.inf)
        high = np.where(known, reference, -np.inf).max(axis=0, initial=-np.inf)
        self.low = np.where(has_values, low, 0.0)
        self.high = np.where(has_values, high, 0.0)
        span = self.high - self.low
        self.span = np.where(span > 0, span, 1.0)
        whole = np.where(known, reference == np.rint(reference), True)
        self.integral = whole.all(axis=0)

    def gower(self, first: FloatMatrix, second: FloatMatrix) -> NDArray[np.float64]:
        """Return the mean change of a column, row by row (Gower, 1971)."""
        return (
            self.changes(first, second).mean(axis=1)
            if first.shape[1]
            else (np.zeros(len(first)))
        )

    def changes(self, first: FloatMatrix, second: FloatMatrix) -> FloatMatrix:
        """Return how far each cell moved, from 0 to 1, row by row."""
        missing = np.isnan(first) != np.isnan(second)
        stayed = (first == second) | (np.isnan(first) & np.isnan(second))
        with np.errstate(invalid="ignore"):  # an infinity that stays is no step
            steps = np.abs(first - second)
        steps = np.where(self.coded, steps > 0, np.minimum(steps / self.span, 1.0))
        return np.where(missing, 1.0, np.where(stayed, 0.0, steps))

    def nearest(
        self,
        rows: FloatMatrix,
        others: FloatMatrix,
        allowed: Callable[[slice], NDArray[np.bool_]] | None = None,
        k: int = 1,
        columns: NDArray[np.bool_] | None = None,
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Find the nearest other rows of each row, over the columns both may know.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features)
            Encoded rows that look for neighbours.
        others : ndarray of shape (n_others, n_features)
            Encoded rows to choose from; ties go to the first.
        allowed : callable, default=None
            Given a slice of rows, says which others each may choose.
        k : int, default=1
            Number of neighbours.
        columns : ndarray of bool, shape (n_features,), default=None
            The columns to compare; all of them by default.

        Returns
        -------
        indices : ndarray of shape (n_rows, k)
            Positions in `others`.
        distances : ndarray of shape (n_rows, k)
            Squared distances, infinite where nothing was allowed.
        """
        places, many = self.embed(np.vstack([rows, others]), columns)
        A, B = np.split(places * _PRECISION, [len(rows)])
        k = min(k, len(B))
        indices = np.empty((len(A), k), dtype=np.intp)
        distances = np.empty((len(A), k))
        norms = (B**2).sum(axis=1)
        step = max(1, _BLOCK // max(len(B), 1))
        for start in range(0, len(A), step):
            block = slice(start, start + step)
            squared = (A[block] * -2.0) @ B.T
            squared += norms
            squared += (A[block] ** 2).sum(axis=1)[:, None]
            for j in many:
                unequal = _code(rows[block, j])[:, None] != _code(others[:, j])
                squared += unequal * _PRECISION**2
            # Rounding keeps equal rows equal, whatever the size of the block.
            np.rint(np.maximum(squared, 0.0, out=squared), out=squared)
            if allowed is not None:
                squared[~allowed(block)] = np.inf
            at = np.arange(len(squared))
            for place in range(k):  # for few neighbours, cheaper than to sort
                best = squared.argmin(axis=1)
                indices[block, place] = best
                distances[block, place] = squared[at, best]
                squared[at, best] = np.inf
        distances /= _PRECISION**2
        return indices, distances

    def embed(
        self, rows: FloatMatrix, columns: NDArray[np.bool_] | None = None
    ) -> tuple[FloatMatrix, list[int]]:
        """Place rows where squared Euclidean distances add up column by column.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features)
            Encoded rows; places of different calls cannot be compared.
        columns : ndarray of bool, shape (n_features,), default=None
            The columns to use; all of them by default.

        Returns
        -------
        places : ndarray of shape (n_rows, n_coordinates)
            Numbers in shares of their range, coded columns as a coordinate for each
            value.
        many : list of int
            Coded columns that were left out because they have many values.
        """
        used = np.ones(rows.shape[1], dtype=bool) if columns is None else columns
        missing = np.isnan(rows)
        numbers = used & ~self.coded
        scaled = (rows[:, numbers] - self.low[numbers]) / self.span[numbers]
        # The square of an even larger number could overflow.
        scaled = np.clip(scaled, -_FARTHEST, _FARTHEST)
        # A missing cell stands beside the middle of the column, away from all values.
        parts = [np.where(missing[:, numbers], 0.5, scaled)]
        parts.append(missing[:, numbers & missing.any(axis=0)].astype(np.float64))
        many = []
        for j in np.flatnonzero(used & self.coded).tolist():
            codes = _code(rows[:, j])
            levels = np.unique(codes)
            if len(levels) > _MOST_LEVELS:
                many.append(j)
            else:
                parts.append((codes[:, None] == levels) * np.sqrt(0.5))
        return np.hstack(parts), many


def _code(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """Let a missing cell be a category of its own."""
    return np.where(np.isnan(cells), -np.inf, cells)
