# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Which rows a teacher is asked about, when not about all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skcoop._tables._frames import FloatMatrix


def at_random(
    rows: NDArray[np.intp], n_rows: int, draw: np.random.Generator
) -> NDArray[np.intp]:
    """Draw rows without replacement."""
    return draw.permutation(rows)[:n_rows]


def far_apart(
    places: FloatMatrix,
    rows: NDArray[np.intp],
    n_rows: int,
    draw: np.random.Generator,
    known: NDArray[np.intp],
) -> NDArray[np.intp]:
    """Draw rows one by one, far from those drawn so far, as k-means++ draws centres.

    A row's chance is its squared distance from the nearest row that was drawn before
    or whose answer is known.
    """
    nearest = np.full(len(rows), np.inf)
    for row in known:
        nearest = np.minimum(nearest, _squared(places[rows], places[row]))
    chosen: list[int] = []
    for _ in range(min(n_rows, len(rows))):
        chance = np.where(np.isinf(nearest), 1.0, nearest)
        chance[chosen] = 0.0
        if not chance.any():  # what is left lies on top of what was drawn
            chance = np.ones(len(rows))
            chance[chosen] = 0.0
        pick = int(draw.choice(len(rows), p=chance / chance.sum()))
        chosen.append(pick)
        nearest = np.minimum(nearest, _squared(places[rows], places[rows[pick]]))
    return rows[chosen]


def _squared(places: FloatMatrix, place: FloatMatrix) -> NDArray[np.float64]:
    return np.asarray(((places - place) ** 2).sum(axis=1))


def least_certain(
    proba: FloatMatrix,
    rows: NDArray[np.intp],
    n_rows: int,
    draw: np.random.Generator,
) -> NDArray[np.intp]:
    """Return the rows whose two most probable classes are closest; ties by draw.

    Parameters
    ----------
    proba : ndarray of shape (len(rows), n_classes)
        What a first student says about the rows.
    """
    best = np.sort(proba, axis=1)
    margin = best[:, -1] - best[:, -2] if proba.shape[1] > 1 else best[:, -1]
    order = draw.permutation(len(rows))
    return rows[order[np.argsort(margin[order], kind="stable")]][:n_rows]
