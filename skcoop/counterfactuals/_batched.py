# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""BatchedDice: counterfactuals of many rows in one vectorised search."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from skcoop._distances import RowMetric
from skcoop._frames import FloatMatrix, TableCodec, stack
from skcoop._members import columns_read
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
_DONORS_TRIED = 3
# Each halving brings a lesson closer to its row: 2**-6 is below 2% of the way.
_HALVINGS = 6
# Values of a column that the climb tries.
_VALUES_TRIED = 6
# Query rows handled at once; bounds memory, changes no answer.
_BLOCK = 20_000


class BatchedDice(BaseEstimator):
    """Counterfactuals for many rows at once, by walking towards confident rows.

    For each row the search takes the nearest background row that reaches the target,
    copies its values, and comes back as far as the teacher allows: first along the
    straight line, then column by column. What it returns is valid by construction,
    lies within the values of the background, and changes few columns. All rows are
    put to the teacher together, a few dozen predictions for each.

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

    def __init__(self, features_to_vary: Any = "all", permitted_range: Any = None):
        self.features_to_vary = features_to_vary
        self.permitted_range = permitted_range

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
        for start in range(0, len(Q), _BLOCK):
            block = slice(start, start + _BLOCK)
            answer = search.answer(Q[block], labels[block], alpha)
            found[block], valid[block], before[block], after[block] = answer
        return Counterfactuals(
            X=search.codec.decode(found),
            valid=valid,
            proba_before=before,
            proba_after=after,
            n_predictions=search.n_predictions,
            seconds=perf_counter() - started,
        )


class _Search:
    """One teacher, its scored background, and what may be changed."""

    def __init__(self, engine: BatchedDice, teacher: Any, background: Any, X: Any):
        self.teacher = teacher
        self.codec = TableCodec(stack(background, X))
        self.n_predictions = 0
        rows = self.codec.encode(background)
        self.metric = RowMetric(self.codec, rows)
        self.integral = self.codec.integral | self.metric.integral
        self.varies = self._columns_to_vary(engine.features_to_vary)
        rows = np.unique(self._permitted(rows, engine.permitted_range), axis=0)
        if len(rows) > _MOST_DONORS:
            rows = rows[np.argsort(content_keys(rows))[:_MOST_DONORS]]
        self.donors = rows
        self.donor_proba = self.ask(rows)

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

    def _permitted(self, rows: FloatMatrix, permitted_range: Any) -> FloatMatrix:
        """Drop donors whose values are not permitted in a column that may change."""
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
        return rows[allowed]

    def ask(self, Z: FloatMatrix) -> NDArray[np.float64]:
        """Return the teacher's probabilities for encoded rows."""
        if not len(Z):
            return np.zeros((0, len(self.teacher.classes_)))
        self.n_predictions += len(Z)
        return np.asarray(
            self.teacher.predict_proba(self.codec.decode(Z)), dtype=np.float64
        )

    def answer(
        self, Q: FloatMatrix, labels: NDArray[Any], alpha: float
    ) -> tuple[
        FloatMatrix, NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]
    ]:
        """Answer a block of rows."""
        known = labels[:, None] == np.asarray(self.teacher.classes_, dtype=object)
        state = _State(Q, known.argmax(axis=1), known.any(axis=1), alpha, self)
        self._find_ends(state)
        self._climb(state)
        self._come_back(state)
        self._revert_columns(state)
        return state.best, state.valid, state.before, state.after

    def _find_ends(self, state: _State) -> None:
        """Give each row the nearest confident row's values, where that is valid."""
        if not len(self.donors):
            return

        def confident(block: slice) -> NDArray[np.bool_]:
            proba = self.donor_proba[:, state.codes[block]].T
            return proba >= state.target[block, None] - TOLERANCE

        nearest, distance = self.metric.nearest(
            state.Q, self.donors, confident, k=_DONORS_TRIED, columns=self.varies
        )
        for tried in range(nearest.shape[1]):
            rows = np.flatnonzero(
                ~state.valid & state.known & np.isfinite(distance[:, tried])
            )
            ends = self._towards(state.Q[rows], self.donors[nearest[rows, tried]])
            state.offer(rows, ends)
        state.ends = state.best.copy()

    def _towards(self, Q: FloatMatrix, donors: FloatMatrix) -> FloatMatrix:
        """Copy the donors' values where they may be changed; none is ever lost."""
        return np.where(self.varies & ~np.isnan(donors), donors, Q)

    def _climb(self, state: _State) -> None:
        """Raise what no background row could reach, one column after the other.

        A row starts from the background row that is most confident of its class; each
        column then takes the value, out of a few that confident rows have, which the
        teacher likes best.
        """
        open_rows = np.flatnonzero(~state.valid & state.known)
        if not len(open_rows) or not len(self.donors):
            return
        best_donor = self.donor_proba.argmax(axis=0)[state.codes[open_rows]]
        Z = self._towards(state.Q[open_rows], self.donors[best_donor])
        proba = state.offer(open_rows, Z)
        for j in np.flatnonzero(self.varies):
            active = np.flatnonzero(~state.valid[open_rows])
            for code in np.unique(state.codes[open_rows[active]]):
                some = active[state.codes[open_rows[active]] == code]
                for value in self._typical_values(j, code):
                    trial = Z[some].copy()
                    trial[:, j] = value
                    reached = state.offer(open_rows[some], trial)
                    better = reached > proba[some]
                    Z[some[better]] = trial[better]
                    proba[some[better]] = reached[better]
        state.ends = state.best.copy()

    def _typical_values(self, j: int, code: int) -> NDArray[np.float64]:
        """Return a few values of a column among the rows most confident of a class."""
        proba = self.donor_proba[:, code]
        values = self.donors[proba >= np.median(proba), j]
        values = np.unique(values[~np.isnan(values)])
        places = np.linspace(0, len(values) - 1, min(_VALUES_TRIED, len(values)))
        return values[np.unique(np.rint(places).astype(np.intp))]

    def _come_back(self, state: _State) -> None:
        """Halve the way between each row and its end point as long as it is valid."""
        rows = np.flatnonzero(state.valid)
        near = np.where(state.certain[rows], state.alpha, 0.0)
        far = np.ones(len(rows))
        # A certain row has no stricter target: a step of alpha is what it is for.
        step = np.where(state.certain[rows], near, 0.5)
        for _ in range(_HALVINGS):
            Z = self._between(state.Q[rows], state.ends[rows], step)
            good = state.offer(rows, Z) >= state.target[rows] - TOLERANCE
            far = np.where(good, step, far)
            near = np.where(good, near, step)
            step = (near + far) / 2

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
        """Give columns their own values back, the farthest first, several at once."""
        rows = np.flatnonzero(state.valid & ~state.certain)
        if not len(rows):
            return
        size = max(1, int(np.sqrt(self.varies.sum())))
        for chunk in (size, 1):
            changes = self.metric.changes(state.Q[rows], state.best[rows])
            order = np.argsort(-changes, axis=1, kind="stable")
            n_changed = (changes > 0).sum(axis=1)
            for start in range(0, int(n_changed.max(initial=0)), chunk):
                some = np.flatnonzero(n_changed > start)
                columns = order[some, start : start + chunk]
                Z = state.best[rows[some]]
                own = np.take_along_axis(state.Q[rows[some]], columns, axis=1)
                np.put_along_axis(Z, columns, own, axis=1)
                state.offer(rows[some], Z)


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
        self.valid = np.zeros(len(Q), dtype=bool)

    def offer(self, rows: NDArray[np.intp], Z: FloatMatrix) -> NDArray[np.float64]:
        """Ask the teacher about candidates and keep those that reach their target.

        An instance is judged after rounding, as it would be handed out. One that is
        the row itself is no answer.

        Returns
        -------
        proba : ndarray of shape (n_candidates,)
            The teacher's probabilities of the true classes.
        """
        proba = self.search.ask(Z)[np.arange(len(rows)), self.codes[rows]]
        Q = self.Q[rows]
        moved = ~((Z == Q) | (np.isnan(Z) & np.isnan(Q))).all(axis=1)
        good = moved & (proba >= self.target[rows] - TOLERANCE)
        self.best[rows[good]] = Z[good]
        self.after[rows[good]] = proba[good]
        self.valid[rows[good]] = True
        return proba
