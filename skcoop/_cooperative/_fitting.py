# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Fit and judge: members, their fold models, and their refits with lessons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcoop._cooperative._lessons import Lessons
from skcoop._members._fit_parameters import rows_of_each
from skcoop._members._member import FittedMember, Member, fit_model
from skcoop._tables._frames import stack, take
from skcoop._tables._task import Task
from skcoop._utils._errors import describe, named
from skcoop._utils._parallel import delayed, in_parallel
from skcoop._utils._progress import Progress


@dataclass
class Judgement:
    """One member's answers for all rows, each by a copy that did not see the row.

    Attributes
    ----------
    fold_models : list of FittedMember
        The member without each of the folds.
    proba : ndarray of shape (n_samples, n_classes)
        Out-of-fold probabilities.
    failure : str
        What a fold model raised, if one did; there are no fold models then.
    """

    fold_models: list[FittedMember]
    proba: NDArray[np.float64]
    failure: str = ""


def fit_members(
    task: Task, members: Sequence[Member], progress: Progress, *, n_jobs: int | None
) -> list[Any]:
    """Fit each member on all of its own rows."""
    learners = [member for member in members if not member.frozen]
    part = progress.part("fit members", len(learners)).begin()
    parts = part.members([member.name for member in learners])
    fitted = iter(
        in_parallel(
            (
                delayed(_fit)(task, member, None, progress=own)
                for member, own in zip(learners, parts, strict=True)
            ),
            n_jobs,
        )
    )
    part.end()
    # A frozen member stays the object that it is and travels nowhere.
    models = [m.estimator if m.frozen else next(fitted) for m in members]
    for member, model in zip(members, models, strict=True):
        member.learn_from(model)
    return models


def refit_members(
    task: Task,
    members: Sequence[Member],
    lessons: Mapping[int, Lessons],
    *,
    n_jobs: int | None,
) -> dict[int, Any]:
    """Fit students on all of their own rows and lessons.

    Returns
    -------
    models : dict of int to classifier
        The fitted models by number of the member; a text instead where it failed.
    """
    models = in_parallel(
        (delayed(_try_to_fit)(task, members[k], own) for k, own in lessons.items()),
        n_jobs,
    )
    return dict(zip(lessons, models, strict=True))


def _try_to_fit(task: Task, member: Member, lessons: Lessons) -> Any:
    try:
        return _fit(task, member, lessons)
    except Exception as error:  # members are the user's: the last good version stays
        return describe(error)


def cross_fit(
    task: Task,
    members: Sequence[Member],
    candidates: Iterable[tuple[int, Lessons | None]],
    *,
    forgive: bool,
    n_jobs: int | None,
) -> list[Judgement]:
    """Fit a copy of members without each fold and let it answer for that fold.

    Parameters
    ----------
    task : Task
        The rows.
    members : list of Member
        All members.
    candidates : list of (int, Lessons or None)
        Numbers of the members to fit, each with the lessons to fit them with. A lesson
        is left out of the copy that judges the row it was made from.
    forgive : bool
        Whether an error of a member is recorded instead of raised.
    n_jobs : int or None
        Number of parallel jobs.

    Returns
    -------
    judgements : list of Judgement
        One for each candidate.
    """
    candidates = list(candidates)
    calls = (
        delayed(_fit_and_answer)(task, members[k], lessons, fold, forgive)
        for k, lessons in candidates
        for fold in range(task.n_folds)
    )
    results = in_parallel(calls, n_jobs)
    judgements = []
    for position in range(len(candidates)):
        own = results[position * task.n_folds : (position + 1) * task.n_folds]
        failures = [result for result in own if isinstance(result, str)]
        proba = np.zeros((len(task.y), len(task.classes)))
        if failures:
            judgements.append(Judgement([], proba, failures[0]))
            continue
        for fold, (_, answer) in enumerate(own):
            proba[task.folds == fold] = answer
        judgements.append(Judgement([copy for copy, _ in own], proba))
    return judgements


def _fit_and_answer(
    task: Task, member: Member, lessons: Lessons | None, fold: int, forgive: bool
) -> Any:
    held_out = np.flatnonzero(task.folds == fold)
    try:
        model = _fit(task, member, lessons, fold)
        copy = FittedMember(member.name, model, task.classes)
        return copy, _judge(task, copy, held_out)
    except Exception as error:
        if not forgive:
            raise
        return describe(error)


def _judge(
    task: Task, copy: FittedMember, held_out: NDArray[np.intp]
) -> NDArray[np.float64]:
    try:
        return copy.predict_proba(take(task.X, held_out))
    except Exception as error:
        if task.silos.any():  # there is more than one
            error.add_note("Members judge rows of all silos, which they have to read.")
        raise


def _fit(
    task: Task,
    member: Member,
    lessons: Lessons | None,
    fold: int | None = None,
    progress: Progress | None = None,
) -> Any:
    """Fit a copy of one member, without one fold if it is given."""
    if member.frozen:
        return member.estimator
    rows = member.rows
    if fold is not None:
        rows = rows[task.folds[rows] != fold]
        if not len(rows):
            raise ValueError(
                f"Member {member.name!r} has no rows left when fold {fold} is held "
                "out. Use fewer folds or a splitter that spreads its rows."
            )
    sources, X = rows, take(task.X, rows)
    if lessons is not None and fold is not None:
        lessons = lessons.outside(task.folds, fold)
    if lessons is not None and len(lessons):
        sources = np.concatenate([rows, lessons.source])
        X = stack(X, task.codec.decode(lessons.Z))
    metadata = rows_of_each(member.metadata, sources, len(task.y))
    step = f"fitted on {len(rows)} rows and {len(sources) - len(rows)} lessons"
    with named(f"Member {member.name!r}", step):
        return fit_model(member, X, task.y[sources], metadata, progress)
