"""Relational knowledge distillation for a linear student (Park et al., CVPR 2019).

Beside soft labels the student is taught how far apart the teacher sees two rows, and in
which angle three. A student without gradients cannot follow these losses.
"""

import numpy as np
from scipy.optimize import minimize

from skcoop._members._logits import centred_logits, softmax

# The weights of the two losses; 25 and 50 were far worse on the tuning tables.
DISTANCE, ANGLE = 1.0, 2.0
MOST = 2000
_TINY = 1e-9


def huber(gap):
    """Return the loss that is square up to 1 and linear beyond, and its slope."""
    size = np.abs(gap)
    return np.where(size < 1, gap**2 / 2, size - 0.5), np.clip(gap, -1, 1)


def lengths(edges):
    return np.sqrt((edges**2).sum(axis=1)) + _TINY


def distance_loss(z, goal, first, second):
    """Return the loss of normalised distances of pairs, and its slope by place."""
    edges = z[first] - z[second]
    size = lengths(edges)
    mean = size.mean()
    value, slope = huber(size / mean - goal)
    slope /= len(size)
    slope = slope / mean - (slope @ size) / mean**2 / len(size)
    pull = slope[:, None] * edges / size[:, None]
    by_place = np.zeros_like(z)
    np.add.at(by_place, first, pull)
    np.add.at(by_place, second, -pull)
    return value.mean(), by_place


def cosines(z, left, corner, right):
    """Return the cosine in the corner of each triple, both unit edges and lengths."""
    a, b = z[left] - z[corner], z[right] - z[corner]
    n_a, n_b = lengths(a), lengths(b)
    a, b = a / n_a[:, None], b / n_b[:, None]
    return (a * b).sum(axis=1), a, b, n_a, n_b


def angle_loss(z, goal, left, corner, right):
    """Return the loss of the cosines of triples, and its slope by place."""
    cosine, a, b, n_a, n_b = cosines(z, left, corner, right)
    value, slope = huber(cosine - goal)
    slope = (slope / len(slope))[:, None]
    to_left = slope * (b - cosine[:, None] * a) / n_a[:, None]
    to_right = slope * (a - cosine[:, None] * b) / n_b[:, None]
    by_place = np.zeros_like(z)
    np.add.at(by_place, left, to_left)
    np.add.at(by_place, right, to_right)
    np.add.at(by_place, corner, -to_left - to_right)
    return value.mean(), by_place


class RelationalLoss:
    """Soft cross-entropy and both relational losses of a linear student, by weights.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_columns)
        Rows with a column of ones.
    proba : ndarray of shape (n_rows, n_classes)
        The teacher's answers.
    seed : int
        Seed of the draw of pairs and triples.
    """

    def __init__(self, X, proba, seed):
        self.X, self.proba = X, proba
        draw = np.random.default_rng(seed)
        triples = np.array([draw.permutation(len(X))[:3] for _ in range(MOST)])
        self.triples = triples.T
        self.pairs = self.triples[:2]
        teacher = centred_logits(proba)
        size = lengths(teacher[self.pairs[0]] - teacher[self.pairs[1]])
        self.distances = size / size.mean()
        self.cosines = cosines(teacher, *self.triples)[0]

    def __call__(self, flat):
        W = flat.reshape(self.X.shape[1], -1)
        z = self.X @ W
        said = softmax(z)
        value = -(self.proba * np.log(said + _TINY)).sum(axis=1).mean()
        slope = (said - self.proba) / len(z)
        for weight, loss, goal, rows in (
            (DISTANCE, distance_loss, self.distances, self.pairs),
            (ANGLE, angle_loss, self.cosines, self.triples),
        ):
            more, by_place = loss(z, goal, *rows)
            value += weight * more
            slope += weight * by_place
        ridge = W / len(z)
        ridge[-1] = 0  # not of the intercept
        return value + (W * ridge).sum() / 2, (self.X.T @ slope + ridge).ravel()


def fit_relational(X, proba, seed):
    """Return a function from rows to a linear student's probabilities."""

    def with_ones(rows):
        return np.hstack([rows, np.ones((len(rows), 1))])

    loss = RelationalLoss(with_ones(X), proba, seed)
    start = 0.01 * np.random.default_rng(seed).normal(
        size=(X.shape[1] + 1) * proba.shape[1]
    )
    found = minimize(loss, start, jac=True, method="L-BFGS-B").x
    W = found.reshape(X.shape[1] + 1, -1)
    return lambda rows: softmax(with_ones(rows) @ W)
