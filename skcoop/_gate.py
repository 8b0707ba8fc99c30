# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Accept or refuse: a refit stays only if it is better on rows it did not see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skcoop._cooperation import Judgement, cross_fit
from skcoop._lessons import Lessons, without_duplicates
from skcoop._members import Member
from skcoop._task import Task, mixed

# The gate may take all new lessons, this share of them, or none. The share is tried
# only where all of them were refused: refits are what a fit spends most of its time on.
_SHARE = 0.5


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
        Out-of-fold accuracy before the refit, and of the best candidate.
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
    right = proba[rows].argmax(axis=1) == task.codes[rows]
    return float(np.average(right, weights=task.weights[rows]))


def decide(
    task: Task,
    members: Sequence[Member],
    judgements: Sequence[Judgement],
    kept: Sequence[Lessons],
    proposed: Mapping[int, Lessons],
    accept: str | None,
    seed: int,
    *,
    n_jobs: int | None,
) -> dict[int, Verdict]:
    """Refit each student with its lessons and keep what proves better.

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
    seed : int
        Seed of the choice of a share.
    n_jobs : int or None
        Number of parallel jobs.

    Returns
    -------
    verdicts : dict of int to Verdict
        One for each student with new lessons.
    """
    verdicts = {}
    for student in proposed:
        rows = judged_rows(task, members[student], accept)
        before = score(task, judgements[student].proba, rows)
        verdicts[student] = Verdict(
            False, kept[student], judgements[student], before, float("nan")
        )
    for share in (1.0, _SHARE):
        candidates = [
            (student, _with_share(task, kept[student], proposed[student], share, seed))
            for student, verdict in verdicts.items()
            if not (verdict.accepted or verdict.failure)
        ]
        refits = cross_fit(task, members, candidates, forgive=True, n_jobs=n_jobs)
        for (student, lessons), refit in zip(candidates, refits, strict=True):
            rows = judged_rows(task, members[student], accept)
            _consider(task, verdicts[student], lessons, refit, rows, accept)
    return verdicts


def _consider(
    task: Task,
    verdict: Verdict,
    lessons: Lessons,
    refit: Judgement,
    rows: NDArray[np.bool_],
    accept: str | None,
) -> None:
    """Let a refit replace the verdict if it is better."""
    if refit.failure:
        verdict.failure = refit.failure
        return
    after = score(task, refit.proba, rows)
    verdict.score_after = float(np.fmax(verdict.score_after, after))
    if accept is None or after > verdict.score_before:
        verdict.accepted = True
        verdict.lessons, verdict.judgement = lessons, refit


def _with_share(
    task: Task, kept: Lessons, new: Lessons, share: float, seed: int
) -> Lessons:
    """Add a share of the new lessons to the old ones, each instance once."""
    draw = mixed(task.keys[new.source], seed) / 2.0**64
    return without_duplicates(task, kept + new[draw < share])
