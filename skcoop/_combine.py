# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Combine the members' answers into one: a vote or a final estimator."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def top_class(proba: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the most probable class along the last axis, -1 where all are 0.

    That is what a model says which was trained elsewhere, if it takes a row for a class
    that is none here.
    """
    return np.where(proba.any(axis=-1), proba.argmax(axis=-1), -1)


def soft_vote(proba: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average the members' probabilities; each row sums to one again.

    Parameters
    ----------
    proba : ndarray of shape (n_members, n_samples, n_classes)
        Probabilities by member, zero for classes that a member does not know.

    Returns
    -------
    mean : ndarray of shape (n_samples, n_classes)
        The average.
    """
    mean = proba.mean(axis=0)
    total = mean.sum(axis=1, keepdims=True)
    uniform = np.full_like(mean, 1.0 / mean.shape[1])
    return np.divide(mean, total, out=uniform, where=total > 0)


def hard_vote(proba: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the class that most members name; ties go to the first class."""
    votes = top_class(proba)
    classes = np.arange(proba.shape[2])
    return (votes[:, :, None] == classes).sum(axis=0).argmax(axis=1)


def stacked(proba: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lay the members' probabilities side by side for a final estimator.

    With two classes the first one's probability says nothing new and is left out.
    """
    if proba.shape[2] == 2:
        proba = proba[:, :, 1:]
    return np.hstack(list(proba))


def stacked_names(prefix: str, names: Sequence[str], n_classes: int) -> list[str]:
    """Return the names of the columns of all members' probabilities."""
    return [f"{prefix}_{name}{code}" for name in names for code in range(n_classes)]
