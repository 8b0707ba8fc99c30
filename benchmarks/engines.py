"""Searches that are here for comparison only, and ways to let them pass."""

from contextlib import contextmanager
from unittest import mock

import numpy as np
from sklearn.base import BaseEstimator

from skcoop._tables._codec import TableCodec
from skcoop._tables._frames import stack
from skcoop.counterfactuals import Counterfactuals


class _Plain(BaseEstimator):
    """A search that is here for comparison only; subclasses say where to go."""

    def generate(self, teacher, X, y, *, background, alpha=0.5, random_state=None):
        codec = TableCodec(stack(background, X))
        Q, donors = codec.encode(X), codec.encode(background)
        draw = np.random.default_rng(random_state)
        classes = list(teacher.classes_)
        known = np.array([c in classes for c in y])
        codes = np.array([classes.index(c) if c in classes else 0 for c in y])

        def ask(Z, rows):
            proba = teacher.predict_proba(codec.decode(Z))
            return proba[np.arange(len(Z)), codes[rows]]

        before = ask(Q, np.arange(len(Q)))
        target = before + alpha * (1 - before)
        self.reached = teacher.predict_proba(background)[:, codes].T
        found, valid = self.look(ask, Q, donors, target - 1e-9, draw)
        valid &= known
        found = np.where(valid[:, None], found, Q)
        return Counterfactuals(codec.decode(found), valid, before, before, 0, 0.0, None)


class RawRow(_Plain):
    """The row itself."""

    def look(self, ask, Q, donors, target, draw):
        return Q.copy(), np.ones(len(Q), dtype=bool)


class RandomValues(_Plain):
    """Values of random rows in random columns, one more at a time, as in DiCE."""

    tries = 64

    def look(self, ask, Q, donors, target, draw):
        found, valid = Q.copy(), np.zeros(len(Q), dtype=bool)
        for n_columns in (1, 2, 3, 4, 6, 8):
            rows = np.repeat(np.flatnonzero(~valid), self.tries)
            if not len(rows):
                break
            Z, d = Q[rows], Q.shape[1]
            columns = draw.random(Z.shape).argsort(axis=1)[:, : min(n_columns, d)]
            places = draw.integers(len(donors), size=columns.shape)
            values = donors[places, columns]
            own = np.take_along_axis(Z, columns, axis=1)
            values = np.where(np.isnan(values), own, values)
            np.put_along_axis(Z, columns, values, axis=1)
            good = (ask(Z, rows) >= target[rows]).reshape(-1, self.tries)
            good &= (Z != Q[rows]).any(axis=1).reshape(good.shape)
            some = np.flatnonzero(good.any(axis=1))
            place = some * self.tries + good[some].argmax(axis=1)
            found[rows[place]], valid[rows[place]] = Z[place], True
        return found, valid


class SingleChange(_Plain):
    """The smallest change of one column among 64 random ones."""

    def look(self, ask, Q, donors, target, draw):
        found, valid = Q.copy(), np.zeros(len(Q), dtype=bool)
        span = np.nanmax(donors, axis=0) - np.nanmin(donors, axis=0)
        rows = np.repeat(np.arange(len(Q)), 64)
        column = draw.integers(Q.shape[1], size=len(rows))
        value = donors[draw.integers(len(donors), size=len(rows)), column]
        Z, at = Q[rows], np.arange(len(rows))
        Z[at, column] = np.where(np.isnan(value), Z[at, column], value)
        with np.errstate(invalid="ignore", divide="ignore"):
            cost = np.abs(Z[at, column] - Q[rows, column]) / span[column]
        good = (ask(Z, rows) >= target[rows]) & (cost != 0)
        cost = np.where(good, np.nan_to_num(cost, nan=1.0), np.inf).reshape(-1, 64)
        valid = np.isfinite(cost.min(axis=1))
        best = np.arange(len(Q)) * 64 + cost.argmin(axis=1)
        return np.where(valid[:, None], Z[best], found), valid


class MostOfTheWay(_Plain):
    """Nine tenths of the way to the nearest row that reaches the target."""

    def look(self, ask, Q, donors, target, draw):
        found, valid = Q.copy(), np.zeros(len(Q), dtype=bool)
        low, high = np.nanmin(donors, axis=0), np.nanmax(donors, axis=0)
        span = np.where(high > low, high - low, 1.0)
        for i in range(len(Q)):
            good = (self.reached[i] >= target[i]) & (donors != Q[i]).any(axis=1)
            good = np.flatnonzero(good)
            if len(good):
                steps = np.abs((donors[good] - Q[i]) / span)
                end = donors[good[np.nan_to_num(steps, nan=1.0).sum(axis=1).argmin()]]
                Z = Q[i] + 0.9 * (end - Q[i])
                found[i] = np.where(np.isnan(Z), Q[i], Z)
                valid[i] = (found[i] != Q[i]).any()
        return found, valid


@contextmanager
def unchecked():
    """Let an untouched row pass for a lesson."""
    from skcoop._cooperative import _lessons, _teaching
    from skcoop._tables import _task

    def believe(task, teacher, rows, Z, found, *_):
        nothing = np.full(len(rows), np.nan)
        return found, nothing, nothing

    def never(task, Z, *columns_and_rows):
        return np.zeros(len(Z), dtype=bool)

    def far(task, Z, min_distance):
        return np.zeros(len(Z), dtype=bool)

    with (
        mock.patch.object(_teaching, "recheck", believe),
        mock.patch.object(_task.Task, "repeats", never),
        mock.patch.object(_lessons, "too_near", far),
    ):
        yield
