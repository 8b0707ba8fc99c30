# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Accept or refuse: a refit stays only if it is better on rows it did not see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skcoop._cooperative._fitting import Judgement, cross_fit
from skcoop._cooperative._lessons import Lessons, without_duplicates
from skcoop._members._member import Member
from skcoop._members._scores import Score, gains, standard_error
from skcoop._tables._task import Task
from skcoop._utils._rounding import ROUNDING


@dataclass
class Verdict:
    """What the gate decided for one student in one round.

    Attributes
    ----------
    accepted : bool
        Whether the student keeps the refit.
    accepted_without : ndarray of bool, shape (n_folds,)
        The same, decided without each of the folds.
    lessons : Lessons
        The lessons that the student is fitted with from now on.
    judgement : Judgement
        Its out-of-fold predictions from now on.
    tried : ndarray of shape (n_samples, n_classes) or None
        Out-of-fold predictions of the refit, kept or not; None if there was no need of
        them.
    score_before, score_after : float
        Out-of-fold score before and after the refit.
    standard_error : float
        Of the gain; what the gain had to be more than.
    reason : str
        Why the refit was refused, and which folds did not judge.
    failure : str
        What the member raised in a refit, if it did.
    """

    accepted: bool
    accepted_without: NDArray[np.bool_]
    lessons: Lessons
    judgement: Judgement
    tried: NDArray[np.float64] | None
    score_before: float
    score_after: float
    standard_error: float = np.nan
    reason: str = ""
    failure: str = ""


@dataclass(frozen=True)
class Gate:
    """What decides whether a refit is kept.

    Attributes
    ----------
    score : Score
        What a refit is judged by.
    accept : {"all", "own", "robust"} or None
        Rows that judge; ``"robust"`` wants a gain without any single silo, too; None
        keeps every refit.
    """

    score: Score
    accept: str | None

    def judges(self, task: Task, member: Member) -> NDArray[np.bool_]:
        """Mark the rows that judge a member's refit."""
        if self.accept != "own":
            return task.judges
        own = np.zeros(len(task.y), dtype=bool)
        own[member.rows] = True
        return own & task.judges

    def present_scores(
        self, task: Task, members: Sequence[Member], judgements: Sequence[Judgement]
    ) -> list[float]:
        """Score each member on the rows that judge it, NaN where there are none.

        Raises
        ------
        ValueError
            If the user's scorer fails in all folds.
        """
        scores = []
        for member, judgement in zip(members, judgements, strict=True):
            rows = self.judges(task, member)
            if not rows.any():
                scores.append(np.nan)
                continue
            present = self.score.of(task, judgement.proba, rows)
            if len(present.failures) == task.n_folds:
                raise ValueError(
                    f"scoring={self.score.name!r} gives no score of member "
                    f"{member.name!r} in any fold ({', '.join(set(present.failures))})."
                    " Choose a score that suits the labels, such as None."
                )
            scores.append(present.total)
        return scores

    def decide(
        self,
        task: Task,
        members: Sequence[Member],
        judgements: Sequence[Judgement],
        kept: Sequence[Lessons],
        proposed: Mapping[int, Lessons],
        *,
        blindly: bool,
        n_jobs: int | None,
    ) -> dict[int, Verdict]:
        """Refit each student with its lessons and keep what proves better.

        A refit proves better if its gain, judged fold by fold, is more than its
        standard error: a gain of a few rows is as often luck.

        Parameters
        ----------
        task : Task
            The rows.
        members : list of Member
            All members.
        judgements : list of Judgement
            Their present out-of-fold predictions.
        kept : list of Lessons
            The lessons that each member was fitted with so far.
        proposed : dict of int to Lessons
            New lessons by student.
        blindly : bool
            Whether to keep the lessons without a refit, because nobody needs its
            predictions.
        n_jobs : int or None
            Number of parallel jobs.

        Returns
        -------
        verdicts : dict of int to Verdict
            One for each student with new lessons.
        """
        candidates = [
            (student, without_duplicates(task, kept[student] + new))
            for student, new in proposed.items()
        ]
        if blindly:
            everywhere = np.ones(task.n_folds, dtype=bool)
            return {
                k: Verdict(
                    True, everywhere, lessons, judgements[k], None, np.nan, np.nan
                )
                for k, lessons in candidates
            }
        refits = cross_fit(task, members, candidates, forgive=True, n_jobs=n_jobs)
        return {
            student: self._judge(
                task,
                members[student],
                (judgements[student], kept[student]),
                (refit, lessons),
            )
            for (student, lessons), refit in zip(candidates, refits, strict=True)
        }

    def _judge(
        self,
        task: Task,
        member: Member,
        present: tuple[Judgement, Lessons],
        new: tuple[Judgement, Lessons],
    ) -> Verdict:
        rows, nowhere = self.judges(task, member), np.zeros(task.n_folds, dtype=bool)
        (was, known), (refit, lessons) = present, new
        before = self.score.of(task, was.proba, rows)
        verdict = Verdict(False, nowhere, known, was, refit.proba, before.total, np.nan)
        if refit.failure:
            verdict.failure = refit.failure
            return verdict
        after = self.score.of(task, refit.proba, rows)
        gained = [gains(before, after)]
        verdict.score_after = after.total
        verdict.standard_error = standard_error(gained[0])
        for others in self._without_any_silo(task, rows):
            was_there, is_there = (
                self.score.of(task, proba, others) for proba in (was.proba, refit.proba)
            )
            gained.append(gains(was_there, is_there))
        if self.accept is None:
            verdict.accepted, verdict.accepted_without = True, ~nowhere
        else:
            verdict.accepted = all(map(_is_clear, gained))
            verdict.accepted_without = np.array(
                [
                    all(_is_clear(np.delete(by_fold, fold)) for by_fold in gained)
                    for fold in range(task.n_folds)
                ]
            )
        if verdict.accepted:
            verdict.judgement, verdict.lessons = refit, lessons
        refused = "" if verdict.accepted else _why(verdict, _is_clear(gained[0]))
        silent = _silent(after.failures, task.n_folds)
        verdict.reason = "; ".join(filter(None, [refused, silent]))
        return verdict

    def _without_any_silo(
        self, task: Task, rows: NDArray[np.bool_]
    ) -> list[NDArray[np.bool_]]:
        """Return the rows without each silo in turn, if a gain has to hold there."""
        silos = np.unique(task.silos[rows])
        if self.accept != "robust" or len(silos) == 1:
            return []
        return [rows & (task.silos != silo) for silo in silos]


def _is_clear(gained: NDArray[np.float64]) -> bool:
    """Tell whether the gain, summed over the folds, is more than its standard error."""
    total = float(np.nansum(gained))
    return total > standard_error(gained) + ROUNDING


def _why(verdict: Verdict, is_clear: bool) -> str:
    """Say why a refit was refused, given whether its gain is clear over all."""
    if is_clear:
        return "the gain is not clear without one of the silos"
    gain = verdict.score_after - verdict.score_before
    if not gain > 0:
        return "no gain"
    return (
        f"the gain of {gain:.4f} is not more than its standard error, "
        f"{verdict.standard_error:.4f}"
    )


def _silent(failures: Sequence[str], n_folds: int) -> str:
    """Say which folds could not judge."""
    kinds = ", ".join(sorted(set(failures)))
    said = f"{len(failures)} of {n_folds} folds did not judge ({kinds})"
    return said if failures else ""
