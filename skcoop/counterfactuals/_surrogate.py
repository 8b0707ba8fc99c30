# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""A cheap guess at which columns a teacher's answer depends on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skcoop._tables._distances import RowMetric
from skcoop._tables._frames import FloatMatrix

# Probabilities are kept this far from 0 and 1 before their odds are taken.
_MARGIN = 1e-3
# Ridge penalty for each row: columns are scaled to [0, 1].
_PENALTY = 0.01
# Categories of a column that have an effect of their own, the most frequent ones.
_MOST_LEVELS = 30


class LogOddsModel:
    """A linear model of a teacher's log-odds for each class.

    It decides nothing: the search asks the teacher about everything that it hands out.
    It only says in which order to try, and so saves most of the questions.

    Parameters
    ----------
    metric : RowMetric
        Scales the columns and tells which are coded.
    rows : ndarray of shape (n_samples, n_features)
        Encoded rows that the teacher has scored.
    proba_of : ndarray of shape (n_classes, n_samples)
        The teacher's probabilities for them.
    columns : ndarray of int
        The columns that may change.
    """

    def __init__(
        self,
        metric: RowMetric,
        rows: FloatMatrix,
        proba_of: NDArray[np.float64],
        columns: NDArray[np.intp],
    ):
        self.metric, self.columns = metric, columns
        self.levels = {j: _frequent(rows[:, j]) for j in columns if metric.coded[j]}
        self.width = [len(self.levels.get(j, [0])) for j in columns]
        proba = np.clip(proba_of.T, _MARGIN, 1 - _MARGIN)
        odds = np.log(proba / (1 - proba))
        E = self._embed(rows)
        E -= E.mean(axis=0)
        penalty = _PENALTY * len(E) * np.eye(E.shape[1])
        self.weights = np.linalg.solve(E.T @ E + penalty, E.T @ (odds - odds.mean(0)))

    def effects(
        self, first: FloatMatrix, second: FloatMatrix, codes: NDArray[np.intp]
    ) -> FloatMatrix:
        """Guess what each column adds to the log-odds on the way between two rows.

        Parameters
        ----------
        first, second : ndarray of shape (n_rows, n_features)
            Encoded rows.
        codes : ndarray of int, shape (n_rows,)
            The class to look at for each of them.

        Returns
        -------
        effects : ndarray of shape (n_rows, n_features)
            0 for columns that may not change.
        """
        steps = self._embed(second) - self._embed(first)
        steps *= self.weights.T[codes]
        effects = np.zeros(first.shape)
        starts = np.cumsum([0, *self.width[:-1]])
        effects[:, self.columns] = np.add.reduceat(steps, starts, axis=1)
        return effects

    def _embed(self, rows: FloatMatrix) -> FloatMatrix:
        """Scale numbers to [0, 1] (missing: 0.5); one cell for each category."""
        parts = []
        for j in self.columns:
            cells = rows[:, [j]]
            if j in self.levels:
                parts.append((cells == self.levels[j]).astype(np.float64))
            else:
                scaled = (cells - self.metric.low[j]) / self.metric.span[j]
                parts.append(np.where(np.isnan(cells), 0.5, scaled))
        return np.hstack(parts)


def _frequent(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    levels, counts = np.unique(cells[~np.isnan(cells)], return_counts=True)
    if not len(levels):
        return np.zeros(1)
    return np.sort(levels[np.argsort(-counts, kind="stable")[:_MOST_LEVELS]])
