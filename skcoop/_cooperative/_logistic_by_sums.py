# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Logistic regression over silos: each reports sums over its rows, never a row.

Newton's method needs the loss, its gradient and its Hessian, and each is a sum over
rows. So the silos' sums, added up, lead to the model that their pooled rows would give
(Y. Wu, X. Jiang, J. Kim, L. Ohno-Machado, "Grid Binary LOgistic REgression (GLORE)",
JAMIA 19(5), 2012).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

# Newton's steps double the number of good digits: most fits take six to ten.
_MOST_STEPS, _CONVERGED = 100, 1e-9
# Rows whose derivatives are laid out at once.
_BLOCK = 4096


@dataclass
class LossSums:
    """What one silo says of its rows, or several together.

    Attributes
    ----------
    loss : float
        The sum of the log loss.
    gradient : ndarray of shape (n_coefficients,)
        Its first derivatives.
    hessian : ndarray of shape (n_coefficients, n_coefficients)
        Its second derivatives.
    """

    loss: float
    gradient: NDArray[np.float64]
    hessian: NDArray[np.float64]

    def __add__(self, other: LossSums) -> LossSums:
        return LossSums(
            self.loss + other.loss,
            self.gradient + other.gradient,
            self.hessian + other.hessian,
        )


def added(parts: Iterable[LossSums]) -> LossSums:
    """Add what silos say, in their order."""
    return reduce(add, parts)


def loss_sums(
    F: NDArray[np.float64],
    codes: NDArray[np.intp],
    weights: NDArray[np.float64],
    W: NDArray[np.float64],
) -> LossSums:
    """Sum up one silo's rows.

    Parameters
    ----------
    F : ndarray of shape (n_rows, n_features)
        What the model reads.
    codes : ndarray of int, shape (n_rows,)
        Each row's class.
    weights : ndarray of shape (n_rows,)
        Each row's weight.
    W : ndarray of shape (n_outputs, n_features + 1)
        A line of coefficients for each class, the intercept last; of two classes for
        the second alone.
    """
    F = np.column_stack([F, np.ones(len(F))])  # (n, d)
    scores = F @ W.T  # (n, m)
    if len(W) == 1:
        scores = np.column_stack([np.zeros(len(F)), scores])
    log_proba = log_softmax(scores, axis=1)  # (n, K)
    each = np.arange(len(F))
    loss = -float(weights @ log_proba[each, codes])
    proba = np.exp(log_proba)
    off = proba.copy()
    off[each, codes] -= 1.0
    proba, off = proba[:, -len(W) :], off[:, -len(W) :]  # (n, m)
    gradient = ((weights[:, None] * off).T @ F).ravel()
    hessian = _hessian(F, weights, proba)
    return LossSums(loss, gradient, hessian)


def _hessian(
    F: NDArray[np.float64], weights: NDArray[np.float64], proba: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum ``w F F'`` times the derivatives of probability a by score b, (m d, m d)."""
    (n, m), d = proba.shape, F.shape[1]
    if m == 1:
        return (F * (weights * proba[:, 0] * (1.0 - proba[:, 0]))[:, None]).T @ F
    hessian = np.zeros((m * d, m * d))
    for start in range(0, n, _BLOCK):
        rows = slice(start, start + _BLOCK)
        own = proba[rows, :, None] * F[rows, None]  # (rows, m, d)
        own = own.reshape(len(own), m * d)
        hessian -= (own * weights[rows, None]).T @ own
    for a in range(m):
        share = (weights * proba[:, a])[:, None]
        hessian[a * d : (a + 1) * d, a * d : (a + 1) * d] += (F * share).T @ F
    return hessian


def newton_steps(
    n_features: int, n_classes: int
) -> Generator[NDArray[np.float64], LossSums, NDArray[np.float64]]:
    """Minimise the loss with scikit-learn's default penalty, ``|w|² / 2``.

    Yields coefficients of shape (n_outputs, n_features + 1), is sent the sums over all
    silos there, and returns the best coefficients.

    Parameters
    ----------
    n_features, n_classes : int
        What the model reads and tells apart.
    """
    m, d = (1 if n_classes == 2 else n_classes), n_features + 1
    penalised = np.tile(np.arange(d) < n_features, m)
    # All classes' intercepts may move together for nothing: hold them.
    free = np.diag(penalised.astype(float))
    if m > 1:
        free += np.outer(~penalised, ~penalised)
    w, least = np.zeros(m * d), np.inf
    step, share = np.zeros(m * d), 1.0
    for _ in range(_MOST_STEPS):
        tried = w + share * step
        sums = yield tried.reshape(m, d)
        loss = sums.loss + float(tried[penalised] @ tried[penalised]) / 2
        if loss > least + 1e-12 * abs(least):
            share /= 2  # too far
            continue
        w, least, share = tried, loss, 1.0
        step = -solve(sums.hessian + free, sums.gradient + penalised * w)
        if np.abs(step).max() <= _CONVERGED * (1.0 + np.abs(w).max()):
            break
    return w.reshape(m, d)


def newton(
    ask: Callable[[dict[int, NDArray[np.float64]]], dict[int, LossSums]],
    n_features: int,
    n_classes: Sequence[int],
) -> list[NDArray[np.float64]]:
    """Find several models side by side, so that silos are asked about all at once.

    Parameters
    ----------
    ask : callable
        Given coefficients by the number of the model, returns the sums over all silos
        there.
    n_features : int
        What each model reads.
    n_classes : list of int
        What each tells apart.

    Returns
    -------
    coefficients : list of ndarray
        The best coefficients of each.
    """
    searches = [newton_steps(n_features, n) for n in n_classes]
    asked = {number: next(search) for number, search in enumerate(searches)}
    found: dict[int, NDArray[np.float64]] = {}
    while asked:
        sums, asked = ask(asked), {}
        for number, own in sums.items():
            try:
                asked[number] = searches[number].send(own)
            except StopIteration as end:
                found[number] = end.value
    return [found[number] for number in range(len(searches))]


def as_classifier(
    W: NDArray[np.float64], classes: NDArray[np.object_]
) -> LogisticRegression:
    """Return the fitted classifier that has these coefficients."""
    model = LogisticRegression()
    model.classes_, model.n_features_in_ = classes, W.shape[1] - 1
    model.coef_, model.intercept_ = W[:, :-1].copy(), W[:, -1].copy()
    return model
