# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Whose rows are believed: silos that the others do not contradict, and witnesses.

Labels that were inverted, by accident or on purpose, look like knowledge that all
others lack. Nobody can see another silo's rows; but each silo can count how often
members from elsewhere are right about its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skcoop._tables._task import Task

# Members from elsewhere that must know about a silo's rows before they are doubted.
_LEAST_VOICES = 2


@dataclass
class Standing:
    """What one silo counts of its rows and of what the members say about them.

    Attributes
    ----------
    counts : ndarray of int, shape (n_classes, n_folds)
        Number of rows.
    weights : ndarray of shape (n_classes,)
        Weight of the rows.
    right : ndarray of shape (n_members, n_classes)
        Weight of the rows that each member has right.
    named : ndarray of bool, shape (n_members, n_classes)
        Classes that each member gives to some row.
    """

    counts: NDArray[np.intp]
    weights: NDArray[np.float64]
    right: NDArray[np.float64]
    named: NDArray[np.bool_]


def standing(task: Task, answers: NDArray[np.intp]) -> Standing:
    """Count a silo's rows, and how many of them each member has right.

    Parameters
    ----------
    task : Task
        The rows.
    answers : ndarray of int, shape (n_members, n_samples)
        The class that each member gives to each row, judged out of sample.
    """
    n_classes = len(task.classes)
    cells = task.codes * task.n_folds + task.folds
    counts = np.bincount(cells, minlength=n_classes * task.n_folds)
    right = [
        np.bincount(task.codes, task.weights * (said == task.codes), n_classes)
        for said in answers
    ]
    return Standing(
        counts.reshape(n_classes, task.n_folds),
        np.bincount(task.codes, task.weights, n_classes).astype(np.float64),
        np.array(right, dtype=np.float64),
        np.array([np.isin(np.arange(n_classes), said) for said in answers]),
    )


def no_standing(n_members: int, n_classes: int, n_folds: int) -> Standing:
    """Return the counts of a silo that is not there."""
    return Standing(
        np.zeros((n_classes, n_folds), dtype=np.intp),
        np.zeros(n_classes),
        np.zeros((n_members, n_classes)),
        np.zeros((n_members, n_classes), dtype=bool),
    )


@dataclass
class Credibility:
    """What members from elsewhere know about each silo's rows.

    Attributes
    ----------
    agreement : ndarray of shape (n_silos,)
        Their mean accuracy there, balanced by class; NaN where it cannot be told.
    least : ndarray of shape (n_silos,)
        What it must not be below: a guess, less the standard error of one.
    credible : ndarray of bool, shape (n_silos,)
        Silos that teach and judge.
    homes : ndarray of int, shape (n_members,)
        The silo of each member, -1 for a guest without rows.
    knows : ndarray of bool, shape (n_members, n_classes)
        Classes that a member can know: it names them, or its home has them.
    """

    agreement: NDArray[np.float64]
    least: NDArray[np.float64]
    credible: NDArray[np.bool_]
    homes: NDArray[np.intp]
    knows: NDArray[np.bool_]

    @property
    def members(self) -> NDArray[np.bool_]:
        """Members that are believed: guests, and those of credible silos."""
        return (self.homes < 0) | self.credible[self.homes]

    def doubts(self, names: Sequence[str]) -> dict[int, str]:
        """Say why silos are set aside, by their numbers.

        Parameters
        ----------
        names : list of str
            The silos' names.
        """
        return {
            silo: f"rows of {names[silo]!r} neither teach nor judge: members from "
            f"elsewhere are right about {self.agreement[silo]:.3f} of them (mean "
            f"recall), less than chance ({self.least[silo]:.3f})"
            for silo in np.flatnonzero(~self.credible).tolist()
        }

    def witnessed(
        self, task: Task, silo: int, right: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Mark the rows of a silo that a student may be taught about.

        The labels of a silo about which the others are right more often than chance are
        believed. Elsewhere somebody must bear witness to a label: a member that has it
        right and is neither the student nor at home where the row is. Where no such
        member knows the class, as in a single table or among two silos, none is asked
        for.

        Parameters
        ----------
        task : Task
            The rows.
        silo : int
            The silo that holds them.
        right : ndarray of bool, shape (n_members, n_samples)
            Whether each member is right about each row, judged out of sample.

        Returns
        -------
        witnessed : ndarray of bool, shape (n_members, n_samples)
            By student and row.
        """
        if not self.credible[silo]:
            return np.zeros_like(right)
        apart = (self.members & (self.homes != silo))[:, None]
        able = apart & self.knows[:, task.codes]
        right = apart & right
        at_its_word = self.agreement[silo] > 1.0 / self.knows.shape[1]
        needed = (able.sum(axis=0) > able) & ~at_its_word
        there = right.sum(axis=0) > right
        return np.asarray(there | ~needed)


def credible_silos(
    standings: Sequence[Standing], homes: NDArray[np.intp]
) -> Credibility:
    """Tell which silos are not contradicted by members from elsewhere.

    A silo is set aside if these are right about its rows less often than chance. The
    one that they contradict most goes first, and its member has no say about the rest:
    a liar contradicts honest silos too. One voice against one decides nothing: of two
    silos, nobody can tell which one lies.

    Parameters
    ----------
    standings : list of Standing
        What each silo counts.
    homes : ndarray of int, shape (n_members,)
        The silo of each member, -1 for a guest.

    Returns
    -------
    credibility : Credibility
        What was found; a single table is believed.
    """
    counts = np.array([own.counts for own in standings])  # (silos, classes, folds)
    rows = counts.sum(axis=2)
    present = rows > 0
    knows = np.any([own.named for own in standings], axis=0)
    knows[homes >= 0] |= present[homes[homes >= 0]]
    chance = 1.0 / present.shape[1]
    rarest = np.where(present, rows, np.inf).min(axis=1)
    found = Credibility(
        agreement=np.full(len(rows), np.nan),
        least=chance - np.sqrt(chance * (1.0 - chance) / rarest),
        credible=np.ones(len(rows), dtype=bool),
        homes=homes,
        knows=knows,
    )
    if len(rows) == 1:
        return found
    recalls = _mean_recalls(standings, knows)
    recalls[homes[:, None] == np.arange(len(rows))] = np.nan  # at home
    while True:
        heard = np.where(found.members[:, None], recalls, np.nan)
        judged = found.credible & ((~np.isnan(heard)).sum(axis=0) >= _LEAST_VOICES)
        judged &= _others_have_all_classes(counts, found.credible)
        found.agreement[judged] = np.nanmean(heard[:, judged], axis=0)
        margins = np.where(judged, found.agreement - found.least, np.inf)
        worst = int(margins.argmin())
        if margins[worst] >= 0:
            break
        found.credible[worst] = False
    return found


def _mean_recalls(
    standings: Sequence[Standing], knows: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return each member's mean recall in each silo, of shape (n_members, n_silos).

    It is taken over the classes that the silo has and that the member can know; NaN for
    fewer than two of these, where a constant answer is as good as knowledge.
    """
    recalls = np.full((len(knows), len(standings)), np.nan)
    for silo, own in enumerate(standings):
        present = own.counts.any(axis=1)
        recall = own.right / np.where(present, own.weights, 1.0)  # (members, classes)
        judged = present & knows
        several = judged.sum(axis=1) > 1
        means = (recall * judged).sum(axis=1) / np.maximum(judged.sum(axis=1), 1)
        recalls[several, silo] = means[several]
    return recalls


def _others_have_all_classes(
    counts: NDArray[np.intp], credible: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Mark silos without which rows of each class are left, in two folds.

    Nobody else could say what a class is that one silo alone has, and whoever learns
    and judges by the rest needs rows of it to do so.
    """
    left = (counts > 0) & credible[:, None, None]
    without = (left.sum(axis=0) > left).sum(axis=2)  # (n_silos, n_classes)
    return np.asarray((without >= 2).all(axis=1))
