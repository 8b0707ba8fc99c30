# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""The way back: from an end that reaches the target, as far as the teacher allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from skcoop._tables._distances import RowMetric
from skcoop._tables._frames import FloatMatrix, same_cells
from skcoop.counterfactuals._protocol import TOLERANCE
from skcoop.counterfactuals._surrogate import LogOddsModel

# Searches cut what is left into 4 steps and ask about all cuts at once: asking a model
# often costs more than asking it about a few more rows. For few rows, it costs more
# than asking about all that a search could come to ask. Neither changes an answer.
_STEPS, AT_ONCE = 4, 1000
# The way between a row and its end has 16 steps.
WAY = 16
# Candidates put to the teacher at once: bounds memory, changes no answer.
_MOST_CANDIDATES = 30_000


@dataclass
class Asked:
    """A block of rows, and what is asked of each.

    Attributes
    ----------
    Q : ndarray of shape (n_rows, n_features)
        The rows as floats.
    codes : ndarray of int, shape (n_rows,)
        Positions of their labels among the teacher's classes.
    known : ndarray of bool, shape (n_rows,)
        Whether the teacher knows the label at all.
    before, target : ndarray of shape (n_rows,)
        The probability of the label, and what an answer must reach.
    certain : ndarray of bool, shape (n_rows,)
        Whether there is no stricter target.
    alpha : float
        How far to go towards certainty.
    """

    Q: FloatMatrix
    codes: NDArray[np.intp]
    known: NDArray[np.bool_]
    before: NDArray[np.float64]
    target: NDArray[np.float64]
    certain: NDArray[np.bool_]
    alpha: float

    def __getitem__(self, rows: NDArray[np.intp] | slice) -> Asked:
        return Asked(
            self.Q[rows],
            self.codes[rows],
            self.known[rows],
            self.before[rows],
            self.target[rows],
            self.certain[rows],
            self.alpha,
        )


@dataclass
class Found:
    """The best answer so far for each row of a block.

    Attributes
    ----------
    Z : ndarray of shape (n_rows, n_features)
        The answers; the row itself where there is none.
    after : ndarray of shape (n_rows,)
        The probability of the label there.
    valid : ndarray of bool, shape (n_rows,)
        Whether there is an answer.
    donor : ndarray of int, shape (n_rows,)
        Position of the background row that it was drawn to.
    copied : ndarray of bool, shape (n_rows,)
        Whether an answer was refused because it repeated a background row.
    """

    Z: FloatMatrix
    after: NDArray[np.float64]
    valid: NDArray[np.bool_]
    donor: NDArray[np.intp]
    copied: NDArray[np.bool_]


class Landscape(Protocol):
    """What a way between two rows asks of the search: one teacher and its background.

    Attributes
    ----------
    metric : RowMetric
        How far rows are apart.
    varied : ndarray of int
        The columns that may change.
    coded : ndarray of bool, shape (n_features,)
        Columns between two of whose values nothing lies.
    guess : LogOddsModel or None
        A cheap guess of the teacher's probabilities.
    """

    metric: RowMetric
    varied: NDArray[np.intp]
    coded: NDArray[np.bool_]
    guess: LogOddsModel | None

    def ask_for(
        self, codes: NDArray[np.intp], Z: FloatMatrix
    ) -> NDArray[np.float64]: ...

    def between(
        self,
        Q: FloatMatrix,
        ends: FloatMatrix,
        step: NDArray[np.float64],
        turns: FloatMatrix | float = 0.5,
    ) -> FloatMatrix: ...

    def reached(self, asked: Asked, Z: FloatMatrix) -> NDArray[np.float64]: ...

    def repeats(self, Z: FloatMatrix) -> NDArray[np.bool_]: ...


class Walk:
    """The way back from end points that reach the target, for some rows at once.

    Attributes
    ----------
    rows : ndarray of int
        The rows whose end reaches the target; the others are left out.
    Z : ndarray of shape (n_rows, n_features)
        Where each of them is; always valid.
    after : ndarray of shape (n_rows,)
        The probability of the label there.
    """

    def __init__(
        self,
        search: Landscape,
        asked: Asked,
        ends: FloatMatrix,
        proba: NDArray[np.float64],
    ):
        self.search = search
        good = proba >= asked.target - TOLERANCE
        self.rows = np.flatnonzero(good & ~same_cells(ends, asked.Q).all(axis=1))
        self.asked = asked[self.rows]
        self.Z, self.after = ends[self.rows], proba[self.rows]

    def avoid_columns(self, others: Sequence[Found], rows: NDArray[np.intp]) -> None:
        """Give back what other answers changed, if the rest reaches the target."""
        rows = rows[self.rows]
        changed = np.any(
            [~same_cells(other.Z[rows], self.asked.Q) for other in others], axis=0
        )
        self._try(np.arange(len(rows)), np.where(changed, self.asked.Q, self.Z))

    def keep_few_columns(self) -> None:
        """Give as many columns as possible their own values back.

        First, in the order that a guess at their worth suggests; then each of those
        that are still changed is reverted alone, to see what it is worth indeed. A
        certain row has no stricter target, so nothing to tell columns apart by: it
        stays on its line.
        """
        if self.search.guess is None:
            return
        uncertain = np.flatnonzero(~self.asked.certain)
        for rows in blocks(uncertain, len(self.search.varied)):
            Q, Z, codes = self.asked.Q[rows], self.Z[rows], self.asked.codes[rows]
            self._revert(rows, self.search.guess.effects(Q, Z, codes))
            self._revert(rows, self._losses(rows))

    def _losses(self, rows: NDArray[np.intp]) -> FloatMatrix:
        """Return what reverting each changed column alone loses of the probability."""
        Q, Z = self.asked.Q[rows], self.Z[rows]
        at, column = np.nonzero(self.search.metric.changes(Q, Z))
        trials = Z[at]
        trials[np.arange(len(at)), column] = Q[at, column]
        losses = np.zeros(Q.shape)
        proba = self.search.ask_for(self.asked.codes[rows[at]], trials)
        losses[at, column] = np.maximum(self.after[rows[at]] - proba, 0.0)
        return losses

    def _revert(self, rows: NDArray[np.intp], losses: FloatMatrix) -> None:
        """Revert as many columns as the target allows, the most worthless first.

        Worth is what a column adds for the way that it went.
        """
        Q, Z = self.asked.Q[rows], self.Z[rows]
        changes = self.search.metric.changes(Q, Z)
        worth = np.full(changes.shape, np.inf)
        np.divide(losses, changes, out=worth, where=changes > 0)
        rank = np.argsort(np.argsort(worth, axis=1, kind="stable"), axis=1)

        def reverted(at: NDArray[np.intp], n: NDArray[np.intp]) -> FloatMatrix:
            return np.where(rank[at] < n[:, None], Q[at], Z[at])

        self._go_back(rows, (changes > 0).sum(axis=1), reverted)

    def come_back(self) -> None:
        """Search the way between each row and its end for the nearest valid step."""
        asked, ends = self.asked, self.Z.copy()
        # A certain row has no stricter target: a step of alpha is what it is for.
        near = np.where(asked.certain, asked.alpha, 0.0)
        # Where only categories changed, there is nothing between.
        steady = (asked.Q == ends) | self.search.coded | np.isnan(asked.Q)
        far = np.where(steady.all(axis=1), near, 1.0)
        some = np.flatnonzero(asked.certain & (near < far))
        if len(some):
            good = self._try(
                some, self.search.between(asked.Q[some], ends[some], near[some])
            )
            far[some[good]] = near[some[good]]

        def back(
            rows: NDArray[np.intp], at: NDArray[np.intp], n: NDArray[np.intp]
        ) -> FloatMatrix:
            rows, start = rows[at], near[rows[at]]
            step = 1.0 - (1.0 - start) * n / WAY
            return self.search.between(asked.Q[rows], ends[rows], step)

        for rows in blocks(np.flatnonzero(near < far), _STEPS - 1):
            self._go_back(rows, np.full(len(rows), WAY - 1), partial(back, rows))

    def leave_copies(self) -> None:
        """Take single steps away from ends that nothing could be given back of.

        An end is a background row, which is no answer: where columns have few values,
        what lies on the way is often another one. Each changed column is tried alone,
        and all but each.
        """
        rows = np.flatnonzero(self.search.repeats(self.Z))
        for block in blocks(rows, 2 * len(self.search.varied)):
            Q, Z = self.asked.Q[block], self.Z[block]
            at, column = np.nonzero(self.search.metric.changes(Q, Z))
            all_but, alone = Z[at], Q[at]
            here = np.arange(len(at)), column
            all_but[here], alone[here] = alone[here], all_but[here]
            trials, at = np.vstack([alone, all_but]), np.tile(at, 2)
            proba = self.search.reached(self.asked[block[at]], trials)
            far = self.search.metric.gower(Q[at], trials)
            left, best = nearest_of_each(at, far, ~np.isnan(proba))
            self.Z[block[left]], self.after[block[left]] = trials[best], proba[best]

    def _go_back(
        self,
        rows: NDArray[np.intp],
        most: NDArray[np.intp],
        candidate: Callable[[NDArray[np.intp], NDArray[np.intp]], FloatMatrix],
    ) -> None:
        """Move each row back by as many steps as the target allows.

        Parameters
        ----------
        rows : ndarray of int, shape (n_rows,)
            The rows.
        most : ndarray of int, shape (n_rows,)
            Most steps that each can go back.
        candidate : callable
            Returns where some rows, given by their positions among `rows`, are after
            so many steps back.
        """
        known = None
        if most.sum() <= AT_ONCE:
            at = np.repeat(np.arange(len(rows)), most)
            n = np.arange(len(at)) - np.repeat(np.cumsum(most) - most, most) + 1
            known = np.full((len(rows), most.max(initial=0) + 1), np.nan)
            known[at, n] = self.search.reached(self.asked[rows[at]], candidate(at, n))
        low, high = np.zeros_like(most), most.copy()
        after = self.after[rows]
        while (low < high).any():
            some = np.flatnonzero(low < high)
            way = (high[some] - low[some])[:, None]
            # The largest number comes first: it counts if it is good.
            cuts = low[some, None] + -(-way * np.arange(_STEPS - 1, 0, -1) // _STEPS)
            at, n = np.repeat(some, _STEPS - 1), cuts.ravel()
            if known is None:
                proba = self.search.reached(self.asked[rows[at]], candidate(at, n))
            else:
                proba = known[at, n]
            proba = proba.reshape(-1, _STEPS - 1)
            good = ~np.isnan(proba)
            # The cut that counts is the new low, and below the one before it the high.
            place = np.where(good.any(axis=1), good.argmax(axis=1), _STEPS - 1)
            bounds = np.column_stack([high[some] + 1, cuts, low[some]])
            proba = np.column_stack([proba, after[some]])
            here = np.arange(len(some))
            after[some] = proba[here, place]
            low[some], high[some] = bounds[here, place + 1], bounds[here, place] - 1
        moved = np.flatnonzero(low)
        self.Z[rows[moved]] = candidate(moved, low[moved])
        self.after[rows[moved]] = after[moved]

    def _try(self, rows: NDArray[np.intp], Z: FloatMatrix) -> NDArray[np.bool_]:
        """Move rows to candidates that reach their target, and tell which do."""
        proba = self.search.reached(self.asked[rows], Z)
        good = ~np.isnan(proba)
        self.Z[rows[good]], self.after[rows[good]] = Z[good], proba[good]
        return good


def nearest_of_each(
    rows: NDArray[np.intp], far: NDArray[np.float64], good: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Choose for each row the nearest of its good candidates, the first of equals.

    Returns
    -------
    chosen : ndarray of int
        The rows that have a good candidate, in order.
    best : ndarray of int
        Position of the nearest one of each among the candidates.
    """
    order = np.lexsort((far, rows))
    order = order[good[order]]
    chosen, first = np.unique(rows[order], return_index=True)
    return chosen, order[first]


def blocks(rows: NDArray[np.intp], each: int) -> Iterator[NDArray[np.intp]]:
    """Cut rows into blocks with a bounded number of candidates."""
    step = max(1, _MOST_CANDIDATES // max(1, each))
    for start in range(0, len(rows), step):
        yield rows[start : start + step]
