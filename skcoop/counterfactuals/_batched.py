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
from skcoop.counterfactuals._protocol import (
    TOLERANCE,
    Counterfactuals,
    target_probability,
)


class BatchedDice(BaseEstimator):
    def __init__(self, sparse=False, fill=True, n_donors=1, minimal=True, sat=True):
        self.sparse = sparse
        self.fill = fill
        self.n_donors = n_donors
        self.minimal = minimal
        self.sat = sat

    def generate(self, teacher, X, y, *, background, alpha=0.5, random_state=None):
        started = perf_counter()
        codec = TableCodec(stack(background, X))
        Q, B = codec.encode(X), codec.encode(background)
        self_n = 0

        def proba(Z):
            nonlocal self_n
            self_n += len(Z)
            return np.asarray(teacher.predict_proba(codec.decode(Z)))

        classes = np.asarray(teacher.classes_, dtype=object)
        yc = (np.asarray(y, dtype=object)[:, None] == classes).argmax(axis=1)
        n = len(Q)
        rows = np.arange(n)
        PB = proba(B)
        p = proba(Q)[rows, yc]
        target = np.minimum(target_probability(p, alpha), 1.0)
        metric = RowMetric(codec, B)
        best = Q.copy()
        valid = np.zeros(n, bool)
        p_best = p.copy()
        idx, dist = metric.nearest(
            Q, B, lambda s: PB[:, yc[s]].T >= target[s][:, None] - TOLERANCE, k=3
        )
        E = np.full_like(Q, np.nan)
        for j in range(idx.shape[1]):
            todo = np.flatnonzero(~valid & np.isfinite(dist[:, j]))
            if not len(todo):
                continue
            C = self._end(Q[todo], B[idx[todo, j]], codec)
            pc = proba(C)[np.arange(len(todo)), yc[todo]]
            ok = pc >= target[todo] - TOLERANCE
            E[todo[ok]] = C[ok]
            best[todo[ok]] = C[ok]
            p_best[todo[ok]] = pc[ok]
            valid[todo[ok]] = True
        v = np.flatnonzero(valid)
        if len(v):
            lo, hi = np.zeros(len(v)), np.ones(len(v))
            if self.sat:
                lo[p[v] > 1 - 1e-6] = alpha
            if not self.minimal:
                lo[:] = alpha
            for _ in range(7):
                t = (lo + hi) / 2
                C = self._between(Q[v], E[v], t, codec, metric)
                pc = proba(C)[np.arange(len(v)), yc[v]]
                ok = pc >= target[v] - TOLERANCE
                hi[ok] = t[ok]
                lo[~ok] = t[~ok]
                best[v[ok]] = C[ok]
                p_best[v[ok]] = pc[ok]
            if self.sparse:
                for j in np.argsort(metric.changes(Q[v], best[v]).mean(0)):
                    C = best[v].copy()
                    C[:, j] = Q[v, j]
                    ch = np.flatnonzero(
                        (C[:, j] != best[v, j])
                        & ~(np.isnan(C[:, j]) & np.isnan(best[v, j]))
                    )
                    if not len(ch):
                        continue
                    pc = proba(C[ch])[np.arange(len(ch)), yc[v[ch]]]
                    ok = pc >= target[v[ch]] - TOLERANCE
                    best[v[ch[ok]]] = C[ch[ok]]
                    p_best[v[ch[ok]]] = pc[ok]
        return Counterfactuals(
            codec.decode(best), valid, p, p_best, self_n, perf_counter() - started
        )

    def _end(self, Q, D, codec):
        E = np.where(np.isnan(D), Q, D)
        if not self.fill:
            E = np.where(np.isnan(Q), Q, E)
        return E

    def _between(self, Q, E, t, codec, metric):
        t = t[:, None]
        C = Q + t * (E - Q)
        switch = codec.coded | np.isnan(Q)
        C = np.where(switch, np.where(t >= 0.5, E, Q), C)
        integral = codec.integral | metric.integral
        return np.where(integral, np.rint(C), C)
