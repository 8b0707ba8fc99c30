"""Other ways of saying what a group of peers says, to compare attention with."""

import numpy as np
from scipy.optimize import minimize

from skcoop._members._logits import softmax
from skcoop._peers._attention import by_row, describe, slopes, unpack, weights_of


class Gate:
    """One weight a peer and row, shared by all who listen, from all peers' answers.

    As the gate of ONE (Lan, Zhu and Gong, NeurIPS 2018), linear in what it sees.
    """

    def __init__(self, view, task, seed):
        logits, codes = by_row(view.proba), task.codes[view.rows]
        n, n_peers, _ = logits.shape
        seen = self._seen(logits)

        def loss(flat):
            W = flat.reshape(seen.shape[1], n_peers)
            weights = softmax(seen @ W)
            off = softmax(np.einsum("ib,ibc->ic", weights, logits))
            right = off[np.arange(n), codes].copy()
            off[np.arange(n), codes] -= 1
            by = np.einsum("ic,ibc->ib", off, logits) / n
            slope = weights * (by - (weights * by).sum(axis=1, keepdims=True))
            ridge = 0.03 * flat
            value = -np.log(np.maximum(right, 1e-300)).mean() + 0.5 * ridge @ flat
            return value, (seen.T @ slope).ravel() + ridge

        start = np.zeros(seen.shape[1] * n_peers)
        self.W = minimize(loss, start, jac=True, method="L-BFGS-B").x
        self.W = self.W.reshape(seen.shape[1], n_peers)

    @staticmethod
    def _seen(logits):
        return np.hstack([logits.reshape(len(logits), -1), np.ones((len(logits), 1))])

    def group(self, proba):
        logits = by_row(proba)
        weights = softmax(self._seen(logits) @ self.W)
        return softmax(np.einsum("ib,ibc->ic", weights, logits))


def authors_objective(view, task, seed, width=4, temperature=3.0):
    """Attention by the published loss alone: the peers' divergence from their targets.

    The peers are fixed here, so it can only fall by making the targets what the peers
    say anyway.
    """
    logits = by_row(view.proba)
    n, n_peers, n_classes = logits.shape
    own = logits / temperature
    own = own - np.log(np.exp(own).sum(axis=2, keepdims=True))
    described = describe(logits)

    def loss(parameters):
        attention = unpack(parameters, n_peers, n_classes, width)
        weights = weights_of(attention, described)
        mixed = weights @ logits / temperature
        targets = softmax(mixed)
        apart = mixed - np.log(np.exp(mixed).sum(axis=2, keepdims=True)) - own
        mean = (targets * apart).sum(axis=2, keepdims=True)
        off = temperature * targets * (apart - mean) / n
        by_weights = off @ logits.swapaxes(1, 2)
        value = temperature**2 * mean.sum() / n
        return value, slopes(attention, described, weights, by_weights)

    size = n_peers + 2 * width * (n_classes + n_peers)
    start = np.random.default_rng(seed).normal(0, 0.1, size)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 100})
    return unpack(found.x, n_peers, n_classes, width)


def average_of_probabilities(view, task, seed):
    class Mean:
        def group(self, proba):
            return proba.mean(axis=0)

    return Mean()
