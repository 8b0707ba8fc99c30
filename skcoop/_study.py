# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""What a student is to learn from: answers, estimates of answers, and labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcoop._asking import Inquiry
from skcoop._comparisons import Estimates, centred_logits, softmax
from skcoop._frames import FloatMatrix, TableSchema
from skcoop._pool import Pool

# What a label leaves to the classes that it does not name.
_DOUBT = 0.1


@dataclass
class Study:
    """All that one fit knows.

    Attributes
    ----------
    pool : Pool
        The rows.
    inquiry : Inquiry
        The teacher's answers about them.
    labels : ndarray of shape (n_rows, n_classes) or None
        Shares of the labels of each row; NaN where it has none.
    estimates : Estimates
        How rows without an answer get one.
    temperature : float
        Softens answers and estimates.
    """

    pool: Pool
    inquiry: Inquiry
    labels: FloatMatrix | None
    estimates: Estimates
    temperature: float
    known_classes: NDArray[Any] | None
    folds: NDArray[np.intp] | None
    schema: TableSchema
    handed_in: FloatMatrix

    @property
    def classes(self) -> NDArray[Any]:
        """The classes; numbers where the teacher's first answer told how many."""
        if self.known_classes is None:
            return np.arange(self.inquiry.answers.shape[1])
        return self.known_classes

    @property
    def answered(self) -> NDArray[np.intp]:
        """The rows with an answer."""
        return np.flatnonzero(self.inquiry.answered)

    def training_set(
        self, how: str, hidden: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.intp], FloatMatrix, NDArray[np.float64]]:
        """Return rows, their targets and their weights.

        Parameters
        ----------
        how : {"answers", "direct", "comparison"}
            What stands in for missing answers: nothing, or an estimate.
        hidden : ndarray of bool, shape (n_rows,), default=None
            Rows that must not be known, as they are going to judge.

        Returns
        -------
        rows : ndarray of int, shape (n_chosen,)
            Positions in the pool.
        targets : ndarray of shape (n_chosen, n_classes)
            Probabilities of the classes.
        weights : ndarray of shape (n_chosen,)
            Weights of the rows.
        """
        asked = self.inquiry.answered
        seen = np.ones(len(self.pool), dtype=bool) if hidden is None else ~hidden
        known = np.flatnonzero(asked & seen)
        others = np.flatnonzero(~asked & seen)
        labelled = np.zeros(len(self.pool), dtype=bool)
        if self.labels is not None:
            labelled = ~np.isnan(self.labels).any(axis=1)
        if how == "answers":
            others = others[labelled[others]]
            targets = self.labels[others] if len(others) else None
        elif len(others):
            targets = self._estimated(how, known, others)
            marked = labelled[others]
            if marked.any():
                doubtful = (1 - _DOUBT) * self.labels[others[marked]]
                targets[marked] *= doubtful + _DOUBT / targets.shape[1]
                targets /= targets.sum(axis=1, keepdims=True)
        weights = self.pool.weights
        given = self._softened(self.inquiry.answers[known])
        if not len(others):
            return known, given, weights[known]
        share = np.where(labelled[others], 1.0, self._share(known, others, labelled))
        return (
            np.append(known, others),
            np.vstack([given, targets]),
            np.append(weights[known], weights[others] * share),
        )

    def _estimated(
        self, how: str, known: NDArray[np.intp], others: NDArray[np.intp]
    ) -> FloatMatrix:
        places = self.pool.places
        logits = self.estimates.logits(
            how, places[known], self.inquiry.answers[known], places[others]
        )
        return softmax(logits / self.temperature)

    def _softened(self, proba: FloatMatrix) -> FloatMatrix:
        if self.temperature == 1:
            return proba
        return softmax(centred_logits(proba) / self.temperature)

    def _share(
        self,
        known: NDArray[np.intp],
        others: NDArray[np.intp],
        labelled: NDArray[np.bool_],
    ) -> float:
        """Let estimates weigh up to twice as much as the answers, all together."""
        weights = self.pool.weights
        estimated = weights[others[~labelled[others]]].sum()
        return min(1.0, 2 * weights[known].sum() / max(estimated, 1e-300))


def score_kinds(said, answers, weights):
    return said


def choose_kind(scores):
    return "comparison"
