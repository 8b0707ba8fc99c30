# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""The way back: from an end that reaches the target, as far as the teacher allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skcoop._frames import FloatMatrix, same_cells
from skcoop.counterfactuals._protocol import TOLERANCE

if TYPE_CHECKING:
    from skcoop.counterfactuals._search import Found, Search

# Searches cut what is left into 4 steps and ask about all cuts at once: asking a model
# often costs more than asking it about a few more rows. The way between a row and its
# end is cut twice: an answer is within 1/16 of the nearest on its way.
_STEPS, _SECTIONS = 4, 2
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
        search: Search,
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
        low, high = np.zeros(len(rows), dtype=np.intp), (changes > 0).sum(axis=1)
        while (low < high).any():
            some = np.flatnonzero(low < high)
            way = (high[some] - low[some])[:, None]
            # The largest number that is tried first: it counts if it is good.
            cuts = low[some, None] + -(-way * np.arange(_STEPS - 1, 0, -1) // _STEPS)
            each = np.repeat(some, _STEPS - 1)
            back = rank[each] < cuts.reshape(-1, 1)
            good = self._try(rows[each], np.where(back, Q[each], Z[each]), _STEPS - 1)
            # The cut that counts is the new low, and below the one before it the high.
            place = np.where(good.any(axis=1), good.argmax(axis=1), _STEPS - 1)
            bounds = np.column_stack([high[some] + 1, cuts, low[some]])
            at = np.arange(len(some))
            low[some], high[some] = bounds[at, place + 1], bounds[at, place] - 1

    def come_back(self) -> None:
        """Search the way between each row and its end for the nearest valid step."""
        asked, ends = self.asked, self.Z.copy()
        # A certain row has no stricter target: a step of alpha is what it is for.
        near = np.where(asked.certain, asked.alpha, 0.0)
        # Where only categories changed, there is nothing between.
        steady = asked.Q == ends
        steady |= self.search.coded | np.isnan(asked.Q)
        far = np.where(steady.all(axis=1), near, 1.0)
        some = np.flatnonzero(asked.certain & (near < far))
        if len(some):
            good = self._try(some, self._between(some, ends, near[some]))
            far[some[good]] = near[some[good]]
        for _ in range(_SECTIONS):
            for rows in blocks(np.flatnonzero(near < far), _STEPS - 1):
                width = (far[rows] - near[rows]) / _STEPS
                steps = near[rows, None] + width[:, None] * np.arange(1, _STEPS)
                each = np.repeat(rows, _STEPS - 1)
                Z = self._between(each, ends, steps.ravel())
                good = self._try(each, Z, _STEPS - 1)
                found = np.where(good.any(axis=1), good.argmax(axis=1) + 1, _STEPS)
                near[rows], far[rows] = (
                    near[rows] + width * (found - 1),
                    near[rows] + width * found,
                )

    def _between(
        self, rows: NDArray[np.intp], ends: FloatMatrix, step: NDArray[np.float64]
    ) -> FloatMatrix:
        """Go a part of the way; what has no middle changes at half of it."""
        Q, E, step = self.asked.Q[rows], ends[rows], step[:, None]
        with np.errstate(invalid="ignore"):
            Z = (1.0 - step) * Q + step * E
            Z = np.where(self.search.integral, np.rint(Z), Z)
            # Rounding may not lead out of the way.
            Z = np.clip(Z, np.minimum(Q, E), np.maximum(Q, E))
        jumps = self.search.coded | np.isnan(Q)
        Z = np.where(jumps, np.where(step >= 0.5, E, Q), Z)
        return np.where(E == Q, Q, Z)

    def _try(
        self, rows: NDArray[np.intp], Z: FloatMatrix, each: int = 1
    ) -> NDArray[np.bool_]:
        """Ask about candidates and move to those that reach their target.

        Parameters
        ----------
        rows : ndarray of int, shape (n_candidates,)
            The row that each candidate is for.
        Z : ndarray of shape (n_candidates, n_features)
            The candidates, as they would be handed out. One that is the row itself is
            no answer.
        each : int, default=1
            Candidates of one row, next to each other; the first good one counts.

        Returns
        -------
        good : ndarray of bool, shape (n_candidates,) or (n_rows, each)
            Which candidates reach the target.
        """
        proba = self.search.ask_for(self.asked.codes[rows], Z)
        good = proba >= self.asked.target[rows] - TOLERANCE
        good &= ~same_cells(Z, self.asked.Q[rows]).all(axis=1)
        grouped = good.reshape(-1, each)
        some = np.flatnonzero(grouped.any(axis=1))
        chosen = some * each + grouped[some].argmax(axis=1)
        self.Z[rows[chosen]], self.after[rows[chosen]] = Z[chosen], proba[chosen]
        return grouped if each > 1 else good


def blocks(rows: NDArray[np.intp], each: int) -> Iterator[NDArray[np.intp]]:
    """Cut rows into blocks with a bounded number of candidates."""
    step = max(1, _MOST_CANDIDATES // max(1, each))
    for start in range(0, len(rows), step):
        yield rows[start : start + step]
