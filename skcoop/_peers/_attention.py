# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Attention: whose answers each peer listens to, learned from out-of-fold answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from skcoop._members._logits import centred_logits, softmax

FloatArray = NDArray[np.float64]

# Coordinates of a query and of a key.
_WIDTH = 4
# Ridge of the projections and of the peers' own scores, for a mean loss.
_RIDGE = 0.03
_RIDGE_OF_SCORES = 1e-3
_MOST_STEPS = 100


@dataclass
class Attention:
    """How much each peer listens to each.

    Peer a gives peer b the weight ``softmax_b(scores[b] + q_a . k_b / sqrt(d))``. Its
    query q_a and key k_b are projections of what the peers say about the row, so that
    the weights differ by row; without projections they are the same everywhere.

    Attributes
    ----------
    scores : ndarray of shape (n_peers,)
        Score of each peer, whatever the row.
    query, key : ndarray of shape (d, n_classes + n_peers) or None
        Projections of a peer's centred log-probabilities and of its number as an
        indicator; None for weights that do not depend on the row.
    """

    scores: FloatArray
    query: FloatArray | None = None
    key: FloatArray | None = None

    def weights(self, proba: FloatArray) -> FloatArray:
        """Return how much each peer listens to each about some rows.

        Parameters
        ----------
        proba : ndarray of shape (n_peers, n_samples, n_classes)
            The peers' probabilities.

        Returns
        -------
        weights : ndarray of shape (n_samples, n_peers, n_peers)
            ``weights[i, a, b]`` is what peer a gives to peer b; they sum to one over b.
        """
        return weights_of(self, describe(by_row(proba)))

    def targets(self, proba: FloatArray) -> FloatArray:
        """Return what each peer hears from all, (n_peers, n_samples, n_classes).

        Log-probabilities are mixed, as the paper mixes logits.
        """
        logits = by_row(proba)
        weights = weights_of(self, describe(logits))
        return softmax(weights @ logits).swapaxes(0, 1)

    def group(self, proba: FloatArray) -> FloatArray:
        """Return what the group says, the mean of the peers' targets."""
        return np.asarray(self.targets(proba).mean(axis=0))


def by_row(proba: FloatArray) -> FloatArray:
    """Return centred log-probabilities row by row, (n_samples, n_peers, n_classes)."""
    return np.ascontiguousarray(centred_logits(proba).swapaxes(0, 1))


def describe(logits: FloatArray) -> FloatArray:
    """Lay out what queries and keys are made of, (n_samples, n_peers, C + n_peers)."""
    n_samples, n_peers, _ = logits.shape
    number = np.broadcast_to(np.eye(n_peers), (n_samples, n_peers, n_peers))
    return np.concatenate([logits, number], axis=2)


def weights_of(attention: Attention, described: FloatArray) -> FloatArray:
    """Return how much each peer listens to each, (n_samples, n_peers, n_peers)."""
    n_samples, n_peers, _ = described.shape
    scores = np.broadcast_to(attention.scores, (n_samples, n_peers, n_peers))
    if attention.query is not None and attention.key is not None:
        queries, keys = described @ attention.query.T, described @ attention.key.T
        scores = scores + queries @ keys.swapaxes(1, 2) / np.sqrt(len(attention.query))
    return softmax(scores)


def loss_and_gradient(
    parameters: FloatArray,
    logits: FloatArray,
    codes: NDArray[np.intp],
    sample_weight: FloatArray,
    width: int,
) -> tuple[float, FloatArray]:
    """Return the regularised cross-entropy of all peers' targets with the labels.

    Parameters
    ----------
    parameters : ndarray
        Scores, queries and keys one after the other, as `unpack` reads them.
    logits : ndarray of shape (n_samples, n_peers, n_classes)
        The peers' centred log-probabilities.
    codes : ndarray of int, shape (n_samples,)
        The classes of the rows.
    sample_weight : ndarray of shape (n_samples,)
        Weights that sum to one.
    width : int
        Coordinates of a query; 0 for weights that do not depend on the row.

    Returns
    -------
    loss : float
        Mean over peers and rows, plus the ridge.
    gradient : ndarray
        Its derivative by `parameters`.
    """
    _, n_peers, n_classes = logits.shape
    attention = unpack(parameters, n_peers, n_classes, width)
    described = describe(logits)
    weights = weights_of(attention, described)
    targets = softmax(weights @ logits)
    rows = np.arange(len(codes))
    # A target can be certain of the wrong class only in floating point.
    surprise = -np.log(np.maximum(targets[rows, :, codes], 1e-300))
    share = sample_weight / n_peers
    off = targets
    off[rows, :, codes] -= 1.0
    by_weights = (off * share[:, None, None]) @ logits.swapaxes(1, 2)
    gradient = slopes(attention, described, weights, by_weights)
    ridge = np.full(len(parameters), _RIDGE)
    ridge[:n_peers] = _RIDGE_OF_SCORES
    loss = share @ surprise.sum(axis=1) + 0.5 * ridge @ parameters**2
    return float(loss), gradient + ridge * parameters


def slopes(
    attention: Attention,
    described: FloatArray,
    weights: FloatArray,
    by_weights: FloatArray,
) -> FloatArray:
    """Return a loss's derivative by scores, queries and keys, one after the other.

    Parameters
    ----------
    attention : Attention
        Scores, queries and keys.
    described : ndarray of shape (n_samples, n_peers, n_classes + n_peers)
        What queries and keys are made of.
    weights : ndarray of shape (n_samples, n_peers, n_peers)
        The weights that follow.
    by_weights : ndarray of shape (n_samples, n_peers, n_peers)
        The loss's derivative by these weights.

    Returns
    -------
    gradient : ndarray
        In the order of `unpack`.
    """
    mean = (weights * by_weights).sum(axis=2, keepdims=True)
    by_scores = weights * (by_weights - mean)
    gradient = [by_scores.sum(axis=(0, 1))]
    if attention.query is not None and attention.key is not None:
        by_scores = by_scores / np.sqrt(len(attention.query))
        queries, keys = described @ attention.query.T, described @ attention.key.T
        flat = described.reshape(-1, described.shape[2])
        for by_own in (by_scores @ keys, by_scores.swapaxes(1, 2) @ queries):
            gradient.append((by_own.reshape(len(flat), -1).T @ flat).ravel())
    return np.concatenate(gradient)


def unpack(
    parameters: FloatArray, n_peers: int, n_classes: int, width: int
) -> Attention:
    """Read scores, queries and keys from one vector."""
    if not width:
        return Attention(parameters)
    scores, query, key = np.split(
        parameters, [n_peers, n_peers + width * (n_classes + n_peers)]
    )
    return Attention(scores, query.reshape(width, -1), key.reshape(width, -1))


def learn_attention(
    proba: FloatArray,
    codes: NDArray[np.intp],
    sample_weight: FloatArray,
    folds: NDArray[np.intp],
    kind: str | None,
    seed: int,
) -> Attention:
    """Learn whom each peer should listen to.

    Parameters
    ----------
    proba : ndarray of shape (n_peers, n_samples, n_classes)
        Out-of-fold probabilities.
    codes : ndarray of int, shape (n_samples,)
        The classes of the rows.
    sample_weight : ndarray of shape (n_samples,)
        Weights of the rows.
    folds : ndarray of int, shape (n_samples,)
        Fold of each row, for the choice.
    kind : {"auto", "row", "global"} or None
        Weights by row, one weight for each peer, the one of the two whose targets are
        better on rows that it did not learn from, or the plain average.
    seed : int
        Seeds the start of the projections.

    Returns
    -------
    attention : Attention
        What was learned.
    """
    logits = by_row(proba)
    if kind is None or len(proba) == 1:
        return Attention(np.zeros(len(proba)))
    if kind == "auto":
        losses = {
            each: _out_of_fold_loss(logits, codes, sample_weight, folds, each, seed)
            for each in ("global", "row")
        }
        kind = min(losses, key=losses.__getitem__)
    return _learn(logits, codes, sample_weight, kind, seed)


def _learn(
    logits: FloatArray,
    codes: NDArray[np.intp],
    sample_weight: FloatArray,
    kind: str,
    seed: int,
) -> Attention:
    _, n_peers, n_classes = logits.shape
    width = _WIDTH if kind == "row" else 0
    # At zero, queries and keys would never move: each one's slope is the other.
    start = np.random.default_rng(seed).normal(
        0, 0.1, size=2 * width * (n_classes + n_peers)
    )
    start = np.concatenate([np.zeros(n_peers), start])
    shares = sample_weight / sample_weight.sum()
    found = minimize(
        loss_and_gradient,
        start,
        args=(logits, codes, shares, width),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _MOST_STEPS},
    )
    return unpack(found.x, n_peers, n_classes, width)


def _out_of_fold_loss(
    logits: FloatArray,
    codes: NDArray[np.intp],
    sample_weight: FloatArray,
    folds: Sequence[int] | NDArray[np.intp],
    kind: str,
    seed: int,
) -> float:
    """Return the group's cross-entropy on rows that its weights were not learned on."""
    total = 0.0
    for fold in np.unique(folds):
        out = folds == fold
        learned = _learn(logits[~out], codes[~out], sample_weight[~out], kind, seed)
        weights = weights_of(learned, describe(logits[out]))
        group = softmax(weights @ logits[out]).mean(axis=1)
        right = group[np.arange(out.sum()), codes[out]]
        total -= float(np.log(np.maximum(right, 1e-300)) @ sample_weight[out])
    return total
