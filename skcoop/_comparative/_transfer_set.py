# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""What a student may learn from: answers, estimates of answers, and labels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skcoop._comparative._budgeted_teacher import Inquiry
from skcoop._comparative._label_estimates import Estimates
from skcoop._comparative._pool import Pool
from skcoop._comparative._teacher_columns import widened
from skcoop._members._logits import centred_logits, softmax
from skcoop._members._predictions import positions_of
from skcoop._tables._frames import FloatMatrix
from skcoop._tables._schema import TableSchema
from skcoop._utils._rounding import ROUNDING

# What stands in for the answers that rows have not: nothing, or an estimate.
SOURCES = ("answers", "direct", "comparison")
# How a student is judged, in the order of the columns.
SCORES = ["cross_entropy", "agreement", "accuracy"]
# What a label leaves to the classes that it does not name.
_DOUBT = 0.1
# All estimates together weigh up to so many times as much as the answers.
_MOST_WEIGHT = 2


@dataclass
class Study:
    """All that one fit knows.

    Attributes
    ----------
    pool : Pool
        The rows.
    inquiry : Inquiry
        The teacher's answers about them.
    own : ndarray of shape (n_labels,) or None
        The different labels in y.
    codes : ndarray of int, shape (n_samples,)
        Position among them of the label of each row of X; -1 where it has none.
    weights : ndarray of shape (n_samples,)
        Weight of each row of X.
    estimates : Estimates
        How rows without an answer get one.
    temperature : float
        Softens answers and estimates.
    given_folds : ndarray of int, shape (n_rows,) or None
        The folds of a splitter.
    handed_in : ndarray of shape (n_samples, n_columns)
        The answers that were there before, by row of X.
    columns : ndarray of shape (n_columns,) or None
        The classes of these answers; None if there are none.
    schema : TableSchema
        Container and types of X.
    row_labels : Index or None
        Labels of the rows of X, where it is of pandas.
    translates : bool
        Whether the student is known to take no labels but 0, 1, ...
    """

    pool: Pool
    inquiry: Inquiry
    own: NDArray[Any] | None
    codes: NDArray[np.intp]
    weights: NDArray[np.float64]
    estimates: Estimates
    temperature: float
    given_folds: NDArray[np.intp] | None
    handed_in: FloatMatrix
    columns: NDArray[Any] | None
    schema: TableSchema
    row_labels: pd.Index | None
    translates: bool = False

    @property
    def classes(self) -> NDArray[Any]:
        """The classes; the teacher's first answer may bring further ones."""
        return np.asarray(self.inquiry.classes)

    @cached_property
    def labels(self) -> FloatMatrix:
        """Shares of the labels of each row, NaN where it has none.

        Not to be asked for before the teacher was, as it may name further classes.
        """
        shares = np.full((len(self.codes), len(self.classes)), np.nan)
        if self.own is not None:
            labelled, places = self.codes >= 0, positions_of(self.own, self.classes)
            shares[labelled] = np.eye(len(self.classes))[places[self.codes[labelled]]]
        return self.pool.gather(shares, self.weights)

    def answers_of_X(self) -> pd.DataFrame:
        """Return the answers row by row of X, NaN where there is none."""
        answers, positions = self.inquiry.answers, self.pool.positions
        handed_in = widened(self.handed_in, self.columns, self.inquiry.classes)
        return pd.DataFrame(
            np.where(positions[:, None] >= 0, answers[positions], handed_in),
            index=self.row_labels,
            columns=self.inquiry.classes,
        )

    @property
    def answered(self) -> NDArray[np.intp]:
        """The rows with an answer."""
        return np.flatnonzero(self.inquiry.answered)

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """The rows with a label."""
        return np.asarray(self.labels.sum(axis=1) > 0)

    @property
    def judges(self) -> NDArray[np.bool_]:
        """The rows that can judge a student."""
        return self.inquiry.answered | self.labelled

    def scores(self, proba: FloatMatrix) -> list[float]:
        """Score a student that did not see what it is judged by.

        Parameters
        ----------
        proba : ndarray of shape (n_rows, n_classes)
            The student's probabilities, of which those for the rows that judge count.

        Returns
        -------
        scores : list of float
            As SCORES names them; without labels the accuracy is NaN.
        """
        asked, labelled = self.inquiry.answered, self.labelled
        answers, weights = self.inquiry.answers[asked], self.pool.weights
        by_row = [score(answers, proba[asked]) for score in (cross_entropy, agreement)]
        scores = [float(np.average(each, weights=weights[asked])) for each in by_row]
        if not labelled.any():
            return [*scores, np.nan]
        right = self.labels[labelled, proba[labelled].argmax(axis=1)]
        return [*scores, float(np.average(right, weights=weights[labelled]))]

    def training_set(
        self, source: str, hidden: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], FloatMatrix, NDArray[np.float64]]:
        """Return rows, their targets and their weights.

        Answered rows have their answer. Beside them go rows with a label and, unless
        the source is the answers alone, all others with an estimate; a label then
        multiplies it. A label that the teacher does not know stands for itself.

        Parameters
        ----------
        source : {"answers", "direct", "comparison"}
            What stands in for missing answers.
        hidden : ndarray of int
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
        seen = np.ones(len(self.pool), dtype=bool)
        seen[hidden] = False
        asked = np.flatnonzero(self.inquiry.answered & seen)
        others = np.flatnonzero(~self.inquiry.answered & seen)
        labelled = self.labelled[others]
        if source == "answers" or len(asked) < 2:  # one answer compares with nothing
            others = others[labelled]
            targets, share = self.labels[others], np.ones(len(others))
        else:
            targets, trust = self._estimated(source, asked, others)
            targets[labelled] *= (1 - _DOUBT) * self.labels[others[labelled]] + (
                _DOUBT / targets.shape[1]
            )
            targets /= targets.sum(axis=1, keepdims=True)
            usual = self._share(asked, others[~labelled])
            share = np.where(labelled, 1.0, usual * trust)
        if len(others):
            targets = np.vstack([self._softened(self.inquiry.answers[asked]), targets])
        else:
            targets = self._softened(self.inquiry.answers[asked])
        rows = np.append(asked, others)
        beyond = self._beyond_the_teacher(rows)
        targets[beyond] = self.labels[rows[beyond]]
        weights = self.pool.weights
        return rows, targets, np.append(weights[asked], weights[others] * share)

    def _beyond_the_teacher(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Mark rows whose label is of a class that the teacher does not know."""
        labels = self.labels[rows]
        if np.isnan(labels).all():
            return np.zeros(len(rows), dtype=bool)
        unknown = np.setdiff1d(np.arange(labels.shape[1]), self.inquiry.taught)
        return np.asarray((labels[:, unknown] > 0).any(axis=1))

    def _estimated(
        self, source: str, asked: NDArray[np.intp], others: NDArray[np.intp]
    ) -> tuple[FloatMatrix, NDArray[np.float64]]:
        if not len(others):
            return np.empty((0, self.inquiry.answers.shape[1])), np.empty(0)
        places = self.pool.places
        logits, trust = self.estimates.logits(
            source, places[asked], self.inquiry.answers[asked], places[others]
        )
        return softmax(logits / self.temperature), trust

    def _softened(self, proba: FloatMatrix) -> FloatMatrix:
        if self.temperature == 1 or not len(proba):
            return proba.copy()
        return softmax(centred_logits(proba) / self.temperature)

    def _share(self, asked: NDArray[np.intp], others: NDArray[np.intp]) -> float:
        """Return the weight of an estimate, where an answer weighs one."""
        weights = self.pool.weights
        if not len(others):
            return 1.0
        return min(1.0, _MOST_WEIGHT * weights[asked].sum() / weights[others].sum())


def cross_entropy(answers: FloatMatrix, proba: FloatMatrix) -> NDArray[np.float64]:
    """Return how far a student is from each answer; one that is sure pays a limit."""
    return -(answers * np.log(0.998 * proba + 0.001)).sum(axis=1)


def agreement(answers: FloatMatrix, proba: FloatMatrix) -> NDArray[np.float64]:
    """Return 1 where a student decides as the teacher does, else 0."""
    return np.asarray(1.0 * (answers.argmax(axis=1) == proba.argmax(axis=1)))


def better_source(scores: pd.DataFrame) -> str:
    """Choose by cross-entropy among those that get no more labels wrong.

    Estimates that soften what a student says are nearer to the answers, whether or not
    it decides better.
    """
    accuracy = scores["accuracy"].astype(float).to_dict()
    least = accuracy["answers"] - ROUNDING
    costly = [source for source, value in accuracy.items() if value < least]
    return str(scores["cross_entropy"].drop(costly).idxmin())
