# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Learn how two rows differ in the teacher's eyes, and place other rows by that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from skcoop._members._logits import centred_logits
from skcoop._members._member import FittedMember
from skcoop._members._soft_targets import fit_soft
from skcoop._tables._frames import FloatMatrix
from skcoop._utils._errors import named

# Rows with an answer that each other row is compared with.
_MOST_ANCHORS = 20
# Spreads below are those of a linear comparison model, whose anchors agree.
_ROUNDING = 1e-9
# Comparisons that are predicted at once.
_BLOCK = 50_000


def sample_groups(
    n_rows: int, group_size: int, most: int, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Draw comparisons without repeats: some rows against some others.

    Half of a group, rounded down, are negatives; all its rows are distinct. Only
    the order of the two sides means something.

    Parameters
    ----------
    n_rows : int
        Rows to choose from.
    group_size : int
        Rows in a comparison; at most all.
    most : int
        Comparisons to draw; all of them where there are fewer.
    seed : int
        Seed of the draw.

    Returns
    -------
    positives : ndarray of int, shape (n_comparisons, group_size - group_size // 2)
        Rows of one side.
    negatives : ndarray of int, shape (n_comparisons, group_size // 2)
        Rows of the other.
    """
    size = min(group_size, n_rows)
    n_positives = size - size // 2
    draw = np.random.default_rng(seed)
    total = comb(n_rows, size) * comb(size, n_positives)
    if total <= 2 * most:
        groups = np.array(
            [
                [*positives, *negatives]
                for chosen in combinations(range(n_rows), size)
                for positives in combinations(chosen, n_positives)
                for negatives in [sorted(set(chosen) - set(positives))]
            ],
            dtype=np.intp,
        )
        groups = groups[draw.permutation(total)[:most]]
        return groups[:, :n_positives], groups[:, n_positives:]
    groups = np.empty((0, size), dtype=np.intp)
    while len(groups) < most:
        if size**2 <= 4 * n_rows:
            more = draw.integers(n_rows, size=(2 * most, size))
        else:  # next to no draw would be of distinct rows
            more = draw.random((most, n_rows)).argsort(axis=1)[:, :size]
        ordered = np.sort(more, axis=1)
        more = more[(ordered[:, 1:] != ordered[:, :-1]).all(axis=1)]
        sides = np.split(more, [n_positives], axis=1)
        groups = np.vstack([groups, np.hstack([np.sort(s, axis=1) for s in sides])])
        _, first = np.unique(groups, axis=0, return_index=True)
        groups = groups[np.sort(first)]
    return groups[:most, :n_positives], groups[:most, n_positives:]


def side_by_side(first: FloatMatrix, second: FloatMatrix) -> FloatMatrix:
    """Return what a comparison model reads: both sides and their difference."""
    return np.hstack([first, second, first - second])


def fit_regressor(regressor: Any, X: FloatMatrix, targets: FloatMatrix) -> Any:
    """Fit a copy of a regressor to several targets at once, or one after the other."""
    regressor = clone(regressor)
    if not get_tags(regressor).target_tags.multi_output:
        regressor = MultiOutputRegressor(regressor)
    with named(_who_compares(regressor), f"fitted on {len(X)} rows"):
        return regressor.fit(X, targets)


def place_directly(
    regressor: Any, places: FloatMatrix, logits: FloatMatrix, wanted: FloatMatrix
) -> FloatMatrix:
    """Predict the logits of the wanted rows from those of the answered ones."""
    return _predict(fit_regressor(regressor, places, logits), wanted)


def place_by_comparisons(
    regressor: Any,
    places: FloatMatrix,
    logits: FloatMatrix,
    wanted: FloatMatrix,
    *,
    group_size: int = 2,
    most: int = 8000,
    seed: int = 0,
) -> tuple[FloatMatrix, NDArray[np.float64]]:
    """Place rows by how they compare with anchors whose logits are known.

    A regressor learns d(p, q) = mean logits of p - mean logits of q for groups of
    answered rows. A row x is then where the anchors a, on average, see it:
    z_a + (g(x, a) - g(a, x)) / 2.

    Parameters
    ----------
    regressor : regressor
        What learns to compare; its open seeds are set.
    places : ndarray of shape (n_answered, n_coordinates)
        Rows with an answer.
    logits : ndarray of shape (n_answered, n_classes)
        Their logits, or what some trend leaves of them.
    wanted : ndarray of shape (n_wanted, n_coordinates)
        Rows to place.
    group_size, most, seed : int
        As in :func:`sample_groups`.

    Returns
    -------
    logits : ndarray of shape (n_wanted, n_classes)
        Mean over the anchors.
    spread : ndarray of shape (n_wanted,)
        Standard deviation over the anchors, mean over the classes.
    """
    sides = sample_groups(len(places), group_size, most, seed)
    first, second = (places[rows].mean(axis=1) for rows in sides)
    above, below = (logits[rows].mean(axis=1) for rows in sides)
    model = fit_regressor(regressor, side_by_side(first, second), above - below)
    draw = np.random.default_rng(seed)
    anchors = draw.permutation(len(places))[:_MOST_ANCHORS]
    mean = np.empty((len(wanted), logits.shape[1]))
    spread = np.empty(len(wanted))
    step = max(1, _BLOCK // len(anchors))
    for start in range(0, len(wanted), step):
        block = wanted[start : start + step]
        here = np.repeat(block, len(anchors), axis=0)
        there = np.tile(places[anchors], (len(block), 1))
        gaps = _predict(model, side_by_side(here, there))
        gaps -= _predict(model, side_by_side(there, here))
        gaps = gaps.reshape(len(block), len(anchors), -1)
        seen = logits[anchors] + gaps / 2
        mean[start : start + step] = seen.mean(axis=1)
        spread[start : start + step] = seen.std(axis=1).mean(axis=1)
    return mean, spread


def _trust(spread: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return half the weight where the anchors spread as usual, less beyond; mean 1."""
    usual = float(np.median(spread))
    if usual < _ROUNDING:
        return np.ones(len(spread))
    trust = 1 / (1 + (spread / usual) ** 2)
    return np.asarray(trust / trust.mean())


def _predict(model: Any, X: FloatMatrix) -> FloatMatrix:
    with named(_who_compares(model), f"asked about {len(X)} rows"):
        return np.asarray(model.predict(X), dtype=np.float64).reshape(len(X), -1)


def _who_compares(regressor: Any) -> str:
    return f"The comparison regressor {type(regressor).__name__}"


@dataclass(frozen=True)
class Estimates:
    """How rows without an answer get one from the rows that have it.

    First a trend: logistic regression on the answers, which is all that can be seen
    in a few of them. What it leaves is predicted by a regressor, directly or through
    comparisons.

    Attributes
    ----------
    regressor : regressor
        What predicts the rest, with its seeds set.
    group_size, most, seed : int
        As in :func:`sample_groups`.
    """

    regressor: Any
    group_size: int
    most: int
    seed: int

    def logits(
        self, how: str, places: FloatMatrix, answers: FloatMatrix, wanted: FloatMatrix
    ) -> tuple[FloatMatrix, NDArray[np.float64]]:
        """Estimate the teacher's logits of the wanted rows.

        Parameters
        ----------
        how : {"comparison", "direct"}
            How the rest is predicted.
        places : ndarray of shape (n_answered, n_coordinates)
            Rows with an answer.
        answers : ndarray of shape (n_answered, n_classes)
            Their answers.
        wanted : ndarray of shape (n_wanted, n_coordinates)
            Rows without.

        Returns
        -------
        logits : ndarray of shape (n_wanted, n_classes)
            Centred logits.
        trust : ndarray of shape (n_wanted,)
            Weight of each estimate, one on average: less where the anchors of a
            comparison contradict each other.
        """
        trend = self._trend(places, answers)
        rest = centred_logits(answers) - trend(places)
        trust = np.ones(len(wanted))
        if how == "direct":
            predicted = place_directly(self.regressor, places, rest, wanted)
        else:
            predicted, spread = place_by_comparisons(
                self.regressor,
                places,
                rest,
                wanted,
                group_size=self.group_size,
                most=self.most,
                seed=self.seed,
            )
            trust = _trust(spread)
        return trend(wanted) + predicted, trust

    def _trend(
        self, places: FloatMatrix, answers: FloatMatrix
    ) -> Callable[[FloatMatrix], FloatMatrix]:
        classes = np.arange(answers.shape[1])
        linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        model = FittedMember(
            "trend", fit_soft(linear, places, answers, classes), classes, "The trend"
        )
        return lambda rows: centred_logits(model.predict_proba(rows))
