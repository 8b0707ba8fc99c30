# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""BatchedDice: counterfactuals of many rows in one vectorised search."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from skcoop._columns import columns_read
from skcoop._distances import RowMetric
from skcoop._frames import FloatMatrix, TableCodec, stack
from skcoop._task import content_keys
from skcoop.counterfactuals._protocol import (
    TOLERANCE,
    Counterfactuals,
    target_probability,
)

# Rows of the background that may serve as an end point: distances to them are cheap,
# scoring them is one prediction each.
_MOST_DONORS = 5000
# End points tried for a row before it is left to the climb.
_ENDS_TRIED = 3
# The way between a row and its end is cut into 4 steps, the step that reaches the
# target into 4 again, and again: a lesson is within 1/64 of the nearest on its way.
_STEPS, _SECTIONS = 4, 3
# Values of a column that the climb tries, and how often it goes over the columns.
_VALUES_TRIED, _SWEEPS = 6, 2
# Candidates put to the teacher at once.
_MOST_CANDIDATES = 30_000
# Query rows handled at once; bounds memory, changes no answer.
_BLOCK = 20_000


class BatchedDice(BaseEstimator):
    """Counterfactuals for many rows at once, by walking towards confident rows.

    For each row the search takes the nearest background row that reaches the target,
    copies its values, and comes back as far as the teacher allows: first along the
    straight line, then, with `sparse`, column by column. What it returns is valid by
    construction and lies within the values of the background. All rows are put to the
    teacher together, a dozen predictions for each.

    A row of which the teacher is already certain (a probability of 1, as trees and
    forests often give) has no stricter target. Its virtual instance lies `alpha` of
    the way towards the nearest row of which the teacher is as certain, or further if
    the teacher has doubts there.

    Parameters
    ----------
    features_to_vary : "all" or list, default="all"
        Labels of the columns that may change; others stay as they are in the row.
    permitted_range : dict, default=None
        For a column's label, the ``[lowest, highest]`` number or the list of
        categories that it may be given. The values of the background by default.
    sparse : bool, default=False
        Whether to give columns their own values back as long as the target stays
        reached. For explanations; as lessons, sparse instances teach no better and
        cost more predictions.

    References
    ----------
    .. [1] R. K. Mothilal, A. Sharma, C. Tan. "Explaining Machine Learning Classifiers
       through Diverse Counterfactual Explanations". FAT* 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcoop.counterfactuals import BatchedDice
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = LogisticRegression(max_iter=1000).fit(X, y)
    >>> answer = BatchedDice().generate(teacher, X[50:55], y[50:55], background=X)
    >>> answer.valid
    array([ True,  True,  True,  True,  True])
    >>> bool((answer.proba_after >= (1 + answer.proba_before) / 2).all())
    True
    """

    def __init__(
        self,
        *,
        features_to_vary: Any = "all",
        permitted_range: Any = None,
        sparse: bool = False,
    ):
        self.features_to_vary = features_to_vary
        self.permitted_range = permitted_range
        self.sparse = sparse

    def generate(
        self,
        teacher: Any,
        X: Any,
        y: Any,
        *,
        background: Any,
        alpha: float = 0.5,
        random_state: Any = None,
    ) -> Counterfactuals:
        """Find a more typical version of each row in the teacher's eyes.

        Parameters
        ----------
        teacher : classifier
            Fitted, with ``predict_proba`` and ``classes_``.
        X : ndarray or data frame of shape (n_rows, n_features)
            Rows to answer for.
        y : array-like of shape (n_rows,)
            Their true classes.
        background : ndarray or data frame of shape (n_samples, n_features)
            Rows that give ranges, categories and end points.
        alpha : float, default=0.5
            The target is ``p + alpha * (1 - p)`` for a row of probability p.
        random_state : int or None, default=None
            Not used: the search draws nothing at random.

        Returns
        -------
        Counterfactuals
            One virtual instance for each row.
        """
        started = perf_counter()
        search = _Search(self, teacher, background, X)
        Q = search.codec.encode(X)
        labels = np.asarray(y, dtype=object)
        found, valid = Q.copy(), np.zeros(len(Q), dtype=bool)
        before, after = np.zeros(len(Q)), np.zeros(len(Q))
        led_to = np.full(len(Q), -1, dtype=np.intp)
        for start in range(0, len(Q), _BLOCK):
            block = slice(start, start + _BLOCK)
            state = search.answer(Q[block], labels[block], alpha)
            found[block], valid[block] = state.best, state.valid
            before[block], after[block] = state.before, state.after
            led_to[block] = state.led_to
        return Counterfactuals(
            X=search.codec.decode(found),
            valid=valid,
            proba_before=before,
            proba_after=after,
            n_predictions=search.n_predictions,
            seconds=perf_counter() - started,
            led_to=led_to,
        )


class _Search:
    """One teacher, its scored background, and what may be changed."""

    def __init__(self, engine: BatchedDice, teacher: Any, background: Any, X: Any):
        self.teacher = teacher
        self.sparse = engine.sparse
        self.codec = TableCodec(stack(background, X))
        self.n_predictions = 0
        rows = self.codec.encode(background)
        self.metric = RowMetric(self.codec, rows)
        self.integral = self.codec.integral | self.metric.integral
        self.varies = self._columns_to_vary(engine.features_to_vary)
        permitted = self._permitted(rows, engine.permitted_range)
        _, first = np.unique(rows[permitted], axis=0, return_index=True)
        self.places = permitted[first]
        if len(self.places) > _MOST_DONORS:
            drawn = np.argsort(content_keys(rows[self.places]))[:_MOST_DONORS]
            self.places = self.places[drawn]
        self.donors = rows[self.places]
        self.donor_proba = self.ask(self.donors)

    def _columns_to_vary(self, features_to_vary: Any) -> NDArray[np.bool_]:
        names = self.codec.names
        varies = self.codec.varies & columns_read(self.teacher, names)
        if isinstance(features_to_vary, str) and features_to_vary == "all":
            return varies
        unknown = [name for name in features_to_vary if name not in names]
        if unknown:
            raise ValueError(
                f"features_to_vary names {unknown}, which are no columns of X. The "
                f"columns are {names}."
            )
        return varies & np.array([name in features_to_vary for name in names])

    def _permitted(self, rows: FloatMatrix, permitted_range: Any) -> NDArray[np.intp]:
        """Find rows whose values are permitted in each column that may change."""
        allowed = np.ones(len(rows), dtype=bool)
        for name, values in (permitted_range or {}).items():
            if name not in self.codec.names:
                raise ValueError(
                    f"permitted_range names {name!r}, which is no column of X. The "
                    f"columns are {self.codec.names}."
                )
            j = self.codec.names.index(name)
            if not self.varies[j]:
                continue
            if self.codec.coded[j]:
                codes = self.codec.codes_of(j, values)
                allowed &= np.isin(rows[:, j], codes) | np.isnan(rows[:, j])
            else:
                low, high = values
                allowed &= ~((rows[:, j] < low) | (rows[:, j] > high))
        return np.flatnonzero(allowed)

    def ask(self, Z: FloatMatrix) -> NDArray[np.float64]:
        """Return the teacher's probabilities for encoded rows."""
        if not len(Z):
            return np.zeros((0, len(self.teacher.classes_)))
        self.n_predictions += len(Z)
        return np.asarray(
            self.teacher.predict_proba(self.codec.decode(Z)), dtype=np.float64
        )

    def answer(self, Q: FloatMatrix, labels: NDArray[Any], alpha: float) -> _State:
        """Answer a block of rows."""
        known = labels[:, None] == np.asarray(self.teacher.classes_, dtype=object)
        state = _State(Q, known.argmax(axis=1), known.any(axis=1), alpha, self)
        self._find_ends(state)
        self._climb(state)
        self._come_back(state)
        if self.sparse:
            self._revert_columns(state)
        return state

    def _find_ends(self, state: _State) -> None:
        """Give each row the nearest confident row's values, where that is valid."""
        if not len(self.donors):
            return

        def confident(block: slice) -> NDArray[np.bool_]:
            proba = self.donor_proba[:, state.codes[block]].T
            return proba >= state.target[block, None] - TOLERANCE

        nearest, distance = self.metric.nearest(
            state.Q, self.donors, confident, k=_ENDS_TRIED, columns=self.varies
        )
        for tried in range(nearest.shape[1]):
            rows = np.flatnonzero(
                ~state.valid & state.known & np.isfinite(distance[:, tried])
            )
            ends = self._towards(state.Q[rows], self.donors[nearest[rows, tried]])
            state.offer(rows, ends)
            now = rows[state.valid[rows]]
            state.led_to[now] = self.places[nearest[now, tried]]
        state.ends = state.best.copy()

    def _towards(self, Q: FloatMatrix, donors: FloatMatrix) -> FloatMatrix:
        """Copy the donors' values where they may be changed; none is ever lost."""
        return np.where(self.varies & ~np.isnan(donors), donors, Q)

    def _climb(self, state: _State) -> None:
        """Raise what no background row could reach.

        A row starts from the background row that is most confident of its class. All
        single changes to values that confident rows have are tried at once; then the
        best change of each column joins the others, the most useful first.
        """
        open_rows = np.flatnonzero(~state.valid & state.known)
        varied = np.flatnonzero(self.varies)
        if not len(open_rows) or not len(self.donors) or not len(varied):
            return
        for code in np.unique(state.codes[open_rows]):
            rows = open_rows[state.codes[open_rows] == code]
            best = int(self.donor_proba[:, code].argmax())
            start = self.donors[[best]]
            state.led_to[rows] = self.places[best]
            values = self._typical_values(varied, code)
            per_block = max(1, _MOST_CANDIDATES // values.size)
            for first in range(0, len(rows), per_block):
                block = rows[first : first + per_block]
                Z = self._towards(state.Q[block], start)
                for _ in range(_SWEEPS):
                    Z = self._climb_together(state, block, Z, varied, values)
        state.ends = state.best.copy()

    def _typical_values(self, varied: NDArray[np.intp], code: int) -> FloatMatrix:
        """Return for each column a few values of the rows most confident of a class."""
        proba = self.donor_proba[:, code]
        confident = self.donors[proba >= np.median(proba)]
        places = np.linspace(0, 1, _VALUES_TRIED)
        values = np.empty((len(varied), _VALUES_TRIED))
        for position, j in enumerate(varied):
            known = np.unique(confident[~np.isnan(confident[:, j]), j])
            at = np.rint(places * (len(known) - 1)).astype(np.intp)
            values[position] = known[at] if len(known) else np.nan
        return values

    def _climb_together(
        self,
        state: _State,
        rows: NDArray[np.intp],
        Z: FloatMatrix,
        varied: NDArray[np.intp],
        values: FloatMatrix,
    ) -> FloatMatrix:
        """Make one sweep for a block of rows and return where it led."""
        n, (d, v) = len(rows), values.shape
        trials = np.repeat(Z, d * v, axis=0)
        known = np.where(np.isnan(values), Z[:, varied, None], values)
        trials[np.arange(n * d * v), np.tile(np.repeat(varied, v), n)] = known.ravel()
        proba = state.offer(np.repeat(rows, d * v), trials, first=d * v)
        proba = proba.reshape(n, d, v)
        best = np.take_along_axis(known, proba.argmax(axis=2)[:, :, None], axis=2)
        rank = np.argsort(np.argsort(-proba.max(axis=2), axis=1, kind="stable"), axis=1)
        joined = rank[:, None, :] <= np.arange(d)[None, :, None]
        trials = np.repeat(Z, d, axis=0)
        trials[:, varied] = np.where(
            joined, best[:, None, :, 0], Z[:, None, varied]
        ).reshape(n * d, d)
        proba = state.offer(np.repeat(rows, d), trials, first=d).reshape(n, d)
        return trials.reshape(n, d, -1)[np.arange(n), proba.argmax(axis=1)]

    def _come_back(self, state: _State) -> None:
        """Search the way between each row and its end point for the nearest valid step.

        Several steps are tried at once: asking a model often costs more than asking it
        about a few more rows.
        """
        rows = np.flatnonzero(state.valid)
        if not len(rows):
            return
        # A certain row has no stricter target: a step of alpha is what it is for.
        near = np.where(state.certain[rows], state.alpha, 0.0)
        far = np.ones(len(rows))
        if state.certain.any():
            certain = state.certain[rows]
            some = rows[certain]
            Z = self._between(state.Q[some], state.ends[some], near[certain])
            good = state.offer(some, Z) >= state.target[some] - TOLERANCE
            far[certain] = np.where(good, near[certain], 1.0)
        for _ in range(_SECTIONS):
            width = (far - near) / _STEPS
            steps = near[:, None] + width[:, None] * np.arange(1, _STEPS)
            Z = self._between(
                np.repeat(state.Q[rows], _STEPS - 1, axis=0),
                np.repeat(state.ends[rows], _STEPS - 1, axis=0),
                steps.ravel(),
            )
            proba = state.offer(np.repeat(rows, _STEPS - 1), Z, first=_STEPS - 1)
            good = proba.reshape(len(rows), -1) >= state.target[rows, None] - TOLERANCE
            found = np.where(good.any(axis=1), good.argmax(axis=1) + 1, _STEPS)
            near, far = near + width * (found - 1), near + width * found

    def _between(
        self, Q: FloatMatrix, ends: FloatMatrix, step: NDArray[np.float64]
    ) -> FloatMatrix:
        """Go a part of the way; what has no middle changes at half of it."""
        step = step[:, None]
        with np.errstate(invalid="ignore"):
            Z = Q + step * (ends - Q)
        Z = np.where(self.integral, np.rint(Z), Z)
        jumps = self.codec.coded | np.isnan(Q)
        Z = np.where(jumps, np.where(step >= 0.5, ends, Q), Z)
        return np.where(ends == Q, Q, Z)

    def _revert_columns(self, state: _State) -> None:
        """Give as many columns as possible their own values back.

        Each column is reverted alone to see what it is worth; then those that are worth
        least for the way they went are reverted together, as many as the target allows.
        """
        rows = np.flatnonzero(state.valid & ~state.certain)
        varied = np.flatnonzero(self.varies)
        per_block = max(1, _MOST_CANDIDATES // max(1, len(varied)))
        for first in range(0, len(rows), per_block):
            self._revert_together(state, rows[first : first + per_block], varied)

    def _revert_together(
        self, state: _State, rows: NDArray[np.intp], varied: NDArray[np.intp]
    ) -> None:
        n, d = len(rows), len(varied)
        Q, Z = state.Q[rows][:, varied], state.best[rows]
        changes = self.metric.changes(state.Q[rows], Z)[:, varied]
        trials = np.repeat(Z, d, axis=0)
        trials[np.arange(n * d), np.tile(varied, n)] = Q.ravel()
        proba = self.ask(trials)[np.arange(n * d), np.repeat(state.codes[rows], d)]
        loss = state.after[rows, None] - proba.reshape(n, d)
        # What costs nothing goes first, then by the way saved for each bit of loss.
        worth = np.maximum(loss, 0.0) / np.maximum(changes, TOLERANCE)
        rank = np.argsort(np.argsort(worth, axis=1, kind="stable"), axis=1)
        low, high = np.zeros(n, dtype=np.intp), np.full(n, d)
        while (low < high).any():
            middle = (low + high + 1) // 2
            trial = Z.copy()
            trial[:, varied] = np.where(rank < middle[:, None], Q, Z[:, varied])
            good = state.offer(rows, trial) >= state.target[rows] - TOLERANCE
            low, high = np.where(good, middle, low), np.where(good, high, middle - 1)


class _State:
    """A block of rows: what is asked of each and the best answer so far."""

    def __init__(
        self,
        Q: FloatMatrix,
        codes: NDArray[np.intp],
        known: NDArray[np.bool_],
        alpha: float,
        search: _Search,
    ):
        self.Q, self.codes, self.known, self.alpha = Q, codes, known, alpha
        self.search = search
        proba = search.ask(Q)[np.arange(len(Q)), codes]
        self.before = np.where(known, proba, 0.0)
        self.after = self.before.copy()
        self.target = target_probability(self.before, alpha)
        self.certain = self.before >= 1 - TOLERANCE
        self.best, self.ends = Q.copy(), Q.copy()
        self.led_to = np.full(len(Q), -1, dtype=np.intp)
        self.valid = np.zeros(len(Q), dtype=bool)

    def offer(
        self, rows: NDArray[np.intp], Z: FloatMatrix, first: int = 1
    ) -> NDArray[np.float64]:
        """Ask the teacher about candidates and keep those that reach their target.

        An instance is judged after rounding, as it would be handed out. One that is
        the row itself is no answer.

        Parameters
        ----------
        rows : ndarray of int, shape (n_candidates,)
            The row that each candidate is for.
        Z : ndarray of shape (n_candidates, n_features)
            The candidates.
        first : int, default=1
            Candidates of one row, next to each other; the first valid one counts.

        Returns
        -------
        proba : ndarray of shape (n_candidates,)
            The teacher's probabilities of the true classes.
        """
        proba = self.search.ask(Z)[np.arange(len(rows)), self.codes[rows]]
        Q = self.Q[rows]
        moved = ~((Z == Q) | (np.isnan(Z) & np.isnan(Q))).all(axis=1)
        good = moved & (proba >= self.target[rows] - TOLERANCE)
        chosen = good.reshape(-1, first)
        chosen = (
            np.flatnonzero(chosen.any(axis=1)) * first
            + chosen.argmax(axis=1)[chosen.any(axis=1)]
        )
        self.best[rows[chosen]] = Z[chosen]
        self.after[rows[chosen]] = proba[chosen]
        self.valid[rows[chosen]] = True
        return proba
