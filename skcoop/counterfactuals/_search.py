# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""The search behind BatchedDice: which confident row to go to, or where to climb."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skcoop._members._columns_read import columns_read
from skcoop._tables._codec import TableCodec
from skcoop._tables._distances import RowMetric
from skcoop._tables._frames import FloatMatrix, same_cells, stack
from skcoop._tables._permissions import Permissions
from skcoop._tables._row_keys import content_keys, mixed
from skcoop._tables._row_labels import joined_labels, replaced_labels
from skcoop.counterfactuals._line import first_steps
from skcoop.counterfactuals._protocol import TOLERANCE, ask, target_probability
from skcoop.counterfactuals._surrogate import LogOddsModel
from skcoop.counterfactuals._walk import (
    AT_ONCE,
    WAY,
    Asked,
    Found,
    Walk,
    blocks,
    nearest_of_each,
)

# Rows of the background that may serve as an end point: distances to them are cheap,
# scoring them is one prediction each.
_MOST_DONORS = 5000
# End points tried for a row before it is left to the climb.
_ENDS_TRIED = 3
# Values of a column that the climb tries, and how often it goes over the columns.
_VALUES_TRIED, _SWEEPS = 5, 4


class Search:
    """One teacher, its scored background, and what may be changed."""

    def __init__(
        self,
        teacher: Any,
        background: Any,
        X: Any,
        *,
        features_to_vary: Any,
        permitted_range: Mapping[Any, Any] | None,
        categorical_features: Any,
        seed: int,
        sparse: bool = True,
        known: tuple[FloatMatrix, FloatMatrix] | None = None,
    ):
        self.teacher, self.sparse = teacher, sparse
        self.codec = TableCodec(stack(background, X))
        self.n_predictions = 0
        rows, self.Q = self.codec.encode(background), self.codec.encode(X)
        permissions = Permissions(
            self.codec, features_to_vary, permitted_range, categorical_features
        )
        self.reads = columns_read(teacher, self.codec.names)
        self.varies, self.coded = permissions.varies & self.reads, permissions.coded
        self._refuse_infinite(rows, "background")
        self._refuse_infinite(self.Q, "X")
        self.metric = RowMetric(self.codec, rows, self.coded)
        self.integral = self.codec.integral | self.metric.integral
        # Rows between which the teacher sees no difference are one.
        self.row_keys, self.places = np.unique(
            content_keys(rows[:, self.reads]), return_index=True
        )
        if len(self.places) > _MOST_DONORS:
            draws = mixed(content_keys(rows[self.places]), seed)
            self.places = self.places[np.argsort(draws)[:_MOST_DONORS]]
        rows = rows[self.places]
        self._weigh(rows)
        self.donors = self._permitted(rows, permissions)
        scored = np.where(np.isnan(self.donors), rows, self.donors)
        changed = np.asarray(~same_cells(scored, rows).all(axis=1))
        if known is None:
            labels = self._labels(background, changed, X)
            asked = self.ask(np.concatenate([scored, self.Q]), labels)
            proba, self.before = np.split(asked, [len(scored)])
        else:  # what was said of both tables before
            proba, self.before = known[0][self.places], known[1]
            proba[changed] = self.ask(scored[changed])
        # One row for each class, as they are looked up by class.
        self.proba_of = _or_hopeless(np.ascontiguousarray(proba.T))
        self.varied = np.flatnonzero(self.varies)
        self.guess = None
        if sparse and len(self.donors) and len(self.varied):
            self.guess = LogOddsModel(
                self.metric, self.donors, self.proba_of, self.varied
            )
        # Between categories there is no way: another end is the way to come nearer.
        self.jumps = bool((self.coded & self.varies).any())

    def _labels(
        self, background: Any, changed: NDArray[np.bool_], X: Any
    ) -> pd.Index | None:
        """Return the labels of the background, of its rows as they were, and of X."""
        if not self.codec.in_pandas:
            return None
        own = replaced_labels(background.index[self.places], changed)
        return joined_labels(own, X.index)

    def _permitted(self, rows: FloatMatrix, permissions: Permissions) -> FloatMatrix:
        """Bring rows to what is permitted; where that cannot be, the cell is missing.

        A missing cell of an end point leaves a row its own value.
        """
        rows = rows.copy()
        for j, codes in permissions.choices.items():
            rows[~np.isin(rows[:, j], codes), j] = np.nan
        for j, (low, high) in permissions.ranges.items():
            low, high = max(low, self.metric.low[j]), min(high, self.metric.high[j])
            if self.integral[j]:
                low, high = np.ceil(low), np.floor(high)
            rows[:, j] = np.clip(rows[:, j], low, high) if low <= high else np.nan
        return rows

    def _refuse_infinite(self, rows: FloatMatrix, table: str) -> None:
        for j in np.flatnonzero(np.isinf(rows).any(axis=0) & self.varies):
            raise ValueError(
                f"Column {self.codec.names[j]!r} of {table} holds infinite values, "
                "between which no search can go. Replace them, or leave the column "
                "out of features_to_vary."
            )

    def ask(
        self, Z: FloatMatrix, labels: pd.Index | None = None
    ) -> NDArray[np.float64]:
        """Return the teacher's probabilities for encoded rows, made up or labelled."""
        if not len(Z):
            return np.zeros((0, len(self.teacher.classes_)))
        self.n_predictions += len(Z)
        return ask(self.teacher, self.codec.decode(Z, labels))

    def ask_for(self, codes: NDArray[np.intp], Z: FloatMatrix) -> NDArray[np.float64]:
        """Return the probability of one class for each encoded row."""
        return self.ask(Z)[np.arange(len(Z)), codes]

    def between(
        self,
        Q: FloatMatrix,
        ends: FloatMatrix,
        step: NDArray[np.float64],
        turns: FloatMatrix | float = 0.5,
    ) -> FloatMatrix:
        """Go a part of the way.

        Parameters
        ----------
        Q, ends : ndarray of shape (n_rows, n_features)
            Where the way begins and ends.
        step : ndarray of shape (n_rows,)
            The part, from 0 to 1.
        turns : ndarray of shape (n_rows, n_features), default=0.5
            The part at which a cell changes between whose two values nothing lies.
        """
        step = step[:, None]
        with np.errstate(invalid="ignore"):
            Z = (1.0 - step) * Q + step * ends
            Z = np.where(self.integral, np.rint(Z), Z)
            # Rounding may not lead out of the way.
            Z = np.clip(Z, np.minimum(Q, ends), np.maximum(Q, ends))
        jumps = self.coded
        if not isinstance(turns, float):
            jumps = jumps | self.integral & (np.abs(ends - Q) == 1)
        Z = np.where(jumps, np.where(step >= turns, ends, Q), Z)
        return np.where(ends == Q, Q, Z)

    def reached(self, asked: Asked, Z: FloatMatrix) -> NDArray[np.float64]:
        """Return the probability of candidates, NaN where they are no answer.

        A candidate that misses its target, is the row itself or repeats a background
        row is none.
        """
        proba = self.ask_for(asked.codes, Z)
        good = np.flatnonzero(proba >= asked.target - TOLERANCE)
        good = good[~same_cells(Z[good], asked.Q[good]).all(axis=1)]
        good = good[~self.repeats(Z[good])]
        reached = np.full(len(proba), np.nan)
        reached[good] = proba[good]
        return reached

    def pose(self, block: slice, labels: NDArray[Any], alpha: float) -> Asked:
        """Work out what is asked of a block of rows, given their labels."""
        Q = self.Q[block]
        match = labels[:, None] == np.asarray(self.teacher.classes_, dtype=object)
        codes, known = match.argmax(axis=1), match.any(axis=1)
        before = np.where(known, self.before[block][np.arange(len(Q)), codes], 0.0)
        target = target_probability(before, alpha)
        return Asked(Q, codes, known, before, target, before >= 1 - TOLERANCE, alpha)

    def answer(self, asked: Asked, total_CFs: int) -> list[Found]:
        """Look for several answers to each row of a block."""
        ends = self._rank_ends(asked, total_CFs)
        answers: list[Found] = []
        for number in range(total_CFs):
            tried = ends[:, number : number + _ENDS_TRIED]
            answers.append(self._answer_once(asked, tried, answers))
        return answers

    def _answer_once(
        self, asked: Asked, ends: NDArray[np.intp], others: Sequence[Found]
    ) -> Found:
        """Try one end after the other; where none leads to an answer, climb.

        To climb is to leave the line between two rows, which only a search for few
        columns does.
        """
        n = len(asked.Q)
        found = Found(
            asked.Q.copy(),
            asked.before.copy(),
            np.zeros(n, dtype=bool),
            np.full(n, -1, dtype=np.intp),
            np.zeros(n, dtype=bool),
        )
        # Where another end is the way to come nearer, two are tried at once.
        first = 2 if self.jumps and not others else 1
        if not self.sparse and n * ends.shape[1] * WAY <= AT_ONCE:
            first = ends.shape[1]  # one question instead of two
        for tried in (ends[:, :first], ends[:, first:]):
            wanted = ~found.valid & asked.known
            rows, rank = np.nonzero(wanted[:, None] & (tried >= 0))
            donors = tried[rows, rank]
            Z = self._towards(asked.Q[rows], self.donors[donors])
            self._walk(asked, found, rows, Z, donors, others)
        rows = np.flatnonzero(~found.valid & asked.known)
        if self.sparse and len(rows) and len(self.donors) and len(self.varied):
            Z, summit = self._climb(asked[rows])
            self._walk(asked, found, rows, Z, summit, others)
        return found

    def _rank_ends(self, asked: Asked, total_CFs: int) -> NDArray[np.intp]:
        """Rank the background rows that reach each row's target, the nearest first.

        Returns
        -------
        ends : ndarray of int, shape (n_rows, n_ranks)
            Positions among the donors, -1 where there are no more.
        """
        ends = np.full((len(asked.Q), total_CFs + _ENDS_TRIED - 1), -1, dtype=np.intp)
        if not len(self.donors):
            return ends

        def confident(block: slice) -> NDArray[np.bool_]:
            proba = self.proba_of[asked.codes[block]]
            return proba >= asked.target[block, None] - TOLERANCE

        nearest, distance = self.metric.nearest(
            asked.Q,
            self.donors,
            confident,
            k=ends.shape[1],
            columns=self.varies,
        )
        ends[:, : nearest.shape[1]] = np.where(np.isfinite(distance), nearest, -1)
        return ends

    def _towards(self, Q: FloatMatrix, donors: FloatMatrix) -> FloatMatrix:
        """Copy the donors' values where they may be changed.

        A missing cell may mean something: it stays missing, and no value is ever lost.
        """
        known = ~np.isnan(donors) & ~np.isnan(Q)
        return np.where(self.varies & known, donors, Q)

    def _scores(
        self, codes: NDArray[np.intp], ends: FloatMatrix, donors: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """Return the probability of ends; it is known where an end is its donor."""
        proba = self.proba_of[codes, donors]
        own = ends[:, self.reads], self.donors[donors][:, self.reads]
        new = np.flatnonzero(~same_cells(*own).all(axis=1))
        proba[new] = self.ask_for(codes[new], ends[new])
        return proba

    def _walk(
        self,
        asked: Asked,
        found: Found,
        rows: NDArray[np.intp],
        ends: FloatMatrix,
        donors: NDArray[np.intp],
        others: Sequence[Found],
    ) -> None:
        """Go between rows and ends, one or more for a row, and keep what is nearest."""
        if not len(rows):
            return
        if self.sparse:
            proba = self._scores(asked.codes[rows], ends, donors)
            walk = Walk(self, asked[rows], ends, proba)
            if others:
                walk.avoid_columns(others, rows)
            walk.keep_few_columns()
            walk.come_back()
            walk.leave_copies()
            at, Z, after = walk.rows, walk.Z, walk.after
        else:
            at, Z, after = first_steps(self, asked[rows], ends)
        rows, donor = rows[at], self.places[donors[at]]
        Z = self.codec.as_handed_out(Z)
        Q = asked.Q[rows]
        moved = ~same_cells(Z, Q).all(axis=1)
        copied = np.isin(content_keys(Z[:, self.reads]), self.row_keys)
        found.copied[rows[moved & copied]] = True
        good = moved & ~copied
        for other in others:
            good &= ~(other.valid[rows] & same_cells(Z, other.Z[rows]).all(axis=1))
        kept, best = nearest_of_each(rows, self.metric.gower(Q, Z), good)
        found.Z[kept], found.after[kept] = Z[best], after[best]
        found.donor[kept], found.valid[kept] = donor[best], True

    def _weigh(self, rows: FloatMatrix) -> None:
        """Order the rows that may be led to by a sum of their cells.

        Rows whose sums differ are different, and to see that costs next to nothing.
        """
        draws = np.random.default_rng(0).uniform(1.0, 2.0, size=rows.shape[1])
        with np.errstate(over="ignore"):
            weights = draws / self.metric.span
        # What varies by next to nothing is left to the comparison of the cells.
        told = self.reads & np.isfinite(weights)
        self.cell_weights = np.where(told, weights, 0.0)
        sums = self._sums(rows)
        largest = self._sums(np.abs(rows)).max(initial=0.0)
        self.rounding = 1e-10 * (1.0 + largest)
        order = np.argsort(sums)
        self.known_rows, self.row_sums = rows[order], sums[order]

    def _sums(self, Z: FloatMatrix) -> NDArray[np.float64]:
        if not np.isfinite(Z).all():
            Z = np.where(np.isfinite(Z), Z, 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(Z @ self.cell_weights)

    def repeats(self, Z: FloatMatrix) -> NDArray[np.bool_]:
        """Mark what equals a row that may be led to, where the teacher reads.

        Where two of these rows have one sum, one of them may go unnoticed. What is
        handed out is compared with the whole background.
        """
        repeated = np.zeros(len(Z), dtype=bool)
        if not len(self.known_rows):
            return repeated
        sums = self._sums(Z)
        place = np.searchsorted(self.row_sums, sums - self.rounding)
        place = np.minimum(place, len(self.row_sums) - 1)
        with np.errstate(invalid="ignore"):
            near = np.abs(self.row_sums[place] - sums) <= self.rounding
        rows = np.flatnonzero(near)
        same = same_cells(Z[rows], self.known_rows[place[rows]]) | ~self.reads
        repeated[rows] = same.all(axis=1)
        return repeated

    def _climb(self, asked: Asked) -> tuple[FloatMatrix, NDArray[np.intp]]:
        """Raise what no background row could reach.

        A row starts from the background row that is most confident of its class; rows
        for which that leaves no difference climb together. All single changes to values
        that confident rows have are tried at once; then the best change of each column
        joins the others, the most useful first.

        Returns
        -------
        Z : ndarray of shape (n_rows, n_features)
            Where the climb of each row ended.
        summit : ndarray of int, shape (n_rows,)
            The donor that it started from.
        """
        summit = self.proba_of.argmax(axis=1)[asked.codes]
        Z = self._towards(asked.Q, self.donors[summit])
        # Rows in which the teacher sees the same start from the same place.
        keys = content_keys(np.column_stack([asked.codes, Z[:, self.reads]]))
        _, first, start = np.unique(keys, return_index=True, return_inverse=True)
        codes, tops = asked.codes[first], Z[first]
        reached = np.full(len(tops), -1.0)
        varied, values = self.varied, self._typical_values
        rising, climbing = np.arange(len(tops)), np.ones(len(Z), dtype=bool)
        for _ in range(_SWEEPS):
            stuck = np.zeros(len(tops), dtype=bool)
            for block in blocks(rising, values[0].size):
                before = reached[block]
                tops[block], reached[block] = self._sweep(
                    tops[block], codes[block], values[codes[block]]
                )
                stuck[block] = reached[block] <= before
            # A row leaves where its own target is reached, whoever climbs on.
            Z[np.ix_(climbing, varied)] = tops[start[climbing]][:, varied]
            climbing &= (reached[start] < asked.target - TOLERANCE) & ~stuck[start]
            rising = np.unique(start[climbing])
        return Z, summit

    @cached_property
    def _typical_values(self) -> NDArray[np.float64]:
        """Return a few values of each class's most confident rows, for each column."""
        places = np.linspace(0, 1, _VALUES_TRIED)
        values = np.full((len(self.proba_of), len(self.varied), _VALUES_TRIED), np.nan)
        for code, proba in enumerate(self.proba_of):
            confident = self.donors[proba >= np.median(proba)]
            for position, j in enumerate(self.varied):
                known = np.unique(confident[~np.isnan(confident[:, j]), j])
                if len(known):
                    at = np.rint(places * (len(known) - 1)).astype(np.intp)
                    values[code, position] = known[at]
        return values

    def _sweep(
        self,
        Z: FloatMatrix,
        codes: NDArray[np.intp],
        values: NDArray[np.float64],
    ) -> tuple[FloatMatrix, NDArray[np.float64]]:
        """Go over the columns once for some rows; return where it led."""
        varied, (n, d, v) = self.varied, values.shape
        trials = np.repeat(Z, d * v, axis=0)
        own = Z[:, varied, None]
        known = np.where(np.isnan(values) | np.isnan(own), own, values)
        trials[np.arange(n * d * v), np.tile(np.repeat(varied, v), n)] = known.ravel()
        single = _or_hopeless(self.ask_for(np.repeat(codes, d * v), trials))
        single = single.reshape(n, d, v)
        best = np.take_along_axis(known, single.argmax(axis=2)[:, :, None], axis=2)
        rank = np.argsort(
            np.argsort(-single.max(axis=2), axis=1, kind="stable"), axis=1
        )
        joined = rank[:, None, :] <= np.arange(d)[None, :, None]
        trials = np.repeat(Z, d, axis=0)
        trials[:, varied] = np.where(
            joined, best[:, None, :, 0], Z[:, None, varied]
        ).reshape(n * d, d)
        proba = _or_hopeless(self.ask_for(np.repeat(codes, d), trials)).reshape(n, d)
        top = proba.argmax(axis=1)
        return trials.reshape(n, d, -1)[np.arange(n), top], proba.max(axis=1)


def _or_hopeless(proba: NDArray[np.float64]) -> NDArray[np.float64]:
    """Put a probability that is none below all others."""
    return np.where(np.isnan(proba), -1.0, proba)
