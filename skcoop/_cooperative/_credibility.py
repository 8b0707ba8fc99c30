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

from skcoop._members._member import Member
from skcoop._tables._task import Task

# Members from elsewhere that must know about a silo's rows before they are doubted.
_LEAST_VOICES = 2


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

    def witnessed(self, task: Task, right: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Mark the rows that a student may be taught about.

        The labels of a silo about which the others are right more often than chance are
        believed. Elsewhere somebody must bear witness to a label: a member that has it
        right and is neither the student nor at home where the row is. Where no such
        member knows the class, as in a single table or among two silos, none is asked
        for.

        Parameters
        ----------
        task : Task
            The rows.
        right : ndarray of bool, shape (n_members, n_samples)
            Whether each member is right about each row, judged out of sample.

        Returns
        -------
        witnessed : ndarray of bool, shape (n_members, n_samples)
            By student and row.
        """
        apart = self.members[:, None] & (self.homes[:, None] != task.silos)
        able = apart & self.knows[:, task.codes]
        right = apart & right
        with np.errstate(invalid="ignore"):  # where nothing can be told
            at_its_word = self.agreement > 1.0 / self.knows.shape[1]
        needed = (able.sum(axis=0) > able) & ~at_its_word[task.silos]
        there = right.sum(axis=0) > right
        return np.asarray(self.credible[task.silos] & (there | ~needed))


def credible_silos(
    task: Task, members: Sequence[Member], answers: NDArray[np.intp]
) -> Credibility:
    """Tell which silos are not contradicted by members from elsewhere.

    A silo is set aside if these are right about its rows less often than chance. The
    one that they contradict most goes first, and its member has no say about the rest:
    a liar contradicts honest silos too. One voice against one decides nothing: of two
    silos, nobody can tell which one lies.

    Parameters
    ----------
    task : Task
        The rows.
    members : list of Member
        All members.
    answers : ndarray of int, shape (n_members, n_samples)
        The class that each member gives to each row, judged out of sample.

    Returns
    -------
    credibility : Credibility
        What was found; a single table is believed.
    """
    homes = np.array([task.home(member.rows) for member in members])
    counts = _by_silo(task, np.ones(len(task.y)))
    present = counts > 0
    knows = np.array([np.isin(np.arange(len(task.classes)), said) for said in answers])
    knows[homes >= 0] |= present[homes[homes >= 0]]
    chance = 1.0 / len(task.classes)
    rarest = np.where(present, counts, np.inf).min(axis=1)
    found = Credibility(
        agreement=np.full(len(counts), np.nan),
        least=chance - np.sqrt(chance * (1.0 - chance) / rarest),
        credible=np.ones(len(counts), dtype=bool),
        homes=homes,
        knows=knows,
    )
    if (task.silos == task.silos[0]).all():
        return found
    recalls = _mean_recalls(task, answers, present, knows)
    recalls[homes[:, None] == np.arange(len(counts))] = np.nan  # at home
    while True:
        heard = np.where(found.members[:, None], recalls, np.nan)
        judged = found.credible & ((~np.isnan(heard)).sum(axis=0) >= _LEAST_VOICES)
        judged &= _others_have_all_classes(task, found.credible)
        found.agreement[judged] = np.nanmean(heard[:, judged], axis=0)
        margins = np.where(judged, found.agreement - found.least, np.inf)
        worst = int(margins.argmin())
        if margins[worst] >= 0:
            break
        found.credible[worst] = False
    return found


def _mean_recalls(
    task: Task,
    answers: NDArray[np.intp],
    present: NDArray[np.bool_],
    knows: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return each member's mean recall in each silo, of shape (n_members, n_silos).

    It is taken over the classes that the silo has and that the member can know; NaN for
    fewer than two of these, where a constant answer is as good as knowledge.
    """
    totals = np.where(present, _by_silo(task, task.weights), 1.0)
    recalls = np.full((len(answers), len(present)), np.nan)
    for k, said in enumerate(answers):
        recall = _by_silo(task, task.weights * (said == task.codes)) / totals
        judged = present & knows[k]
        several = judged.sum(axis=1) > 1
        means = (recall * judged).sum(axis=1) / np.maximum(judged.sum(axis=1), 1)
        recalls[k, several] = means[several]
    return recalls


def _others_have_all_classes(
    task: Task, credible: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Mark silos without which rows of each class are left, in two folds.

    Nobody else could say what a class is that one silo alone has, and whoever learns
    and judges by the rest needs rows of it to do so.
    """
    shape = len(credible), len(task.classes), task.n_folds
    cells = np.ravel_multi_index((task.silos, task.codes, task.folds), shape)
    there = np.bincount(cells, minlength=np.prod(shape)).reshape(shape) > 0
    left = there & credible[:, None, None]
    without = (left.sum(axis=0) > left).sum(axis=2)  # (n_silos, n_classes)
    return np.asarray((without >= 2).all(axis=1))


def _by_silo(task: Task, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum values of rows, of shape (n_silos, n_classes)."""
    shape = int(task.silos.max()) + 1, len(task.classes)
    cells = task.silos * shape[1] + task.codes
    sums = np.bincount(cells, values, shape[0] * shape[1]).astype(np.float64)
    return sums.reshape(shape)
