# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Accept or refuse: a refit stays only if it is better on rows it did not see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skcoop._combine import top_class
from skcoop._cooperation import Judgement, cross_fit
from skcoop._lessons import Lessons, without_duplicates
from skcoop._members import Member
from skcoop._task import ROUNDING, Task


@dataclass
class Verdict:
    """What the gate decided for one student in one round.

    Attributes
    ----------
    accepted : bool
        Whether the student keeps the refit.
    lessons : Lessons
        All lessons that the refit was fitted with.
    judgement : Judgement
        The refit's out-of-fold answers, or the old ones if it was refused.
    score_before, score_after : float
        Out-of-fold accuracy before and after the refit.
    failure : str
        What the member raised in a refit, if it did.
    """

    accepted: bool
    lessons: Lessons
    judgement: Judgement
    score_before: float
    score_after: float
    failure: str = ""


def judged_rows(task: Task, member: Member, accept: str | None) -> NDArray[np.bool_]:
    """Mark the rows that judge a member's refit."""
    mask = np.ones(len(task.y), dtype=bool)
    if accept == "own":
        mask[:] = False
        mask[member.rows] = True
    return mask


def score(task: Task, proba: NDArray[np.float64], rows: NDArray[np.bool_]) -> float:
    """Return the weighted accuracy of out-of-fold answers on the given rows."""
    right = top_class(proba[rows]) == task.codes[rows]
    return float(np.average(right, weights=task.weights[rows]))


def present_scores(
    task: Task,
    members: Sequence[Member],
    judgements: Sequence[Judgement],
    accept: str | None,
) -> list[float]:
    """Score each member on the rows that judge it, NaN where there are none."""
    scores = []
    for member, judgement in zip(members, judgements, strict=True):
        rows = judged_rows(task, member, accept)
        scores.append(score(task, judgement.proba, rows) if rows.any() else np.nan)
    return scores


def decide(
    task: Task,
    members: Sequence[Member],
    judgements: Sequence[Judgement],
    kept: Sequence[Lessons],
    proposed: Mapping[int, Lessons],
    accept: str | None,
    *,
    blindly: bool,
    n_jobs: int | None,
) -> dict[int, Verdict]:
    """Refit each student with its lessons and keep what proves better.

    A refit proves better if its gain, judged fold by fold, is more than its standard
    error: a gain of a few rows is as often luck.

    Parameters
    ----------
    task : Task
        The rows.
    members : list of Member
        All members.
    judgements : list of Judgement
        Their present out-of-fold answers.
    kept : list of Lessons
        The lessons that each member was fitted with so far.
    proposed : dict of int to Lessons
        New lessons by student.
    accept : {"all", "own"} or None
        Rows that judge; None keeps every refit.
    blindly : bool
        Whether to keep the lessons without a refit, because nobody needs its answers.
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
        return {
            k: Verdict(True, lessons, judgements[k], np.nan, np.nan)
            for k, lessons in candidates
        }
    refits = cross_fit(task, members, candidates, forgive=True, n_jobs=n_jobs)
    verdicts = {}
    for (student, lessons), refit in zip(candidates, refits, strict=True):
        present = judgements[student]
        rows = judged_rows(task, members[student], accept)
        before = score(task, present.proba, rows)
        verdict = Verdict(False, kept[student], present, before, np.nan)
        verdicts[student] = verdict
        if refit.failure:
            verdict.failure = refit.failure
            continue
        verdict.score_after = score(task, refit.proba, rows)
        if accept is None or _gains(task, present.proba, refit.proba, rows):
            verdict.accepted = True
            verdict.lessons, verdict.judgement = lessons, refit
    return verdicts


def _gains(
    task: Task,
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    rows: NDArray[np.bool_],
) -> bool:
    """Tell whether the gain, summed over the folds, is more than its standard error.

    With the error estimated from the folds' gains g, that is sum(g)^2 > sum(g^2).
    """
    was, became = (top_class(proba) == task.codes for proba in (before, after))
    weights = np.where(rows, task.weights, 0.0)
    gains = np.bincount(task.folds, weights * (1.0 * became - was))
    error = np.sqrt((gains**2).sum())
    return bool(gains.sum() > error + ROUNDING * weights.sum())
