# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Fit members at home, with lessons or without, and let models judge rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcoop._cooperative._lessons import Lessons
from skcoop._members._fit_parameters import rows_of_each
from skcoop._members._member import FittedMember, Member, fit_model
from skcoop._tables._frames import stack, take
from skcoop._tables._task import Task
from skcoop._utils._errors import able_to_travel, describe, named
from skcoop._utils._progress import Progress

# What a fold model says of the rows of its fold, and of all rows if it was asked.
Said = tuple[NDArray[np.float64], NDArray[np.float64] | None]


@dataclass
class Failure:
    """What a member raised.

    Attributes
    ----------
    said : str
        The type of the error and its text; the text may quote cells of the silo's rows.
    error : Exception or None
        The error; None if it was raised on another machine.
    """

    said: str
    error: Exception | None = None

    @property
    def kind(self) -> str:
        """What may leave a silo: the type of the error without its text."""
        return self.said.partition(":")[0]

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """Note an error, which may have been raised in another process."""
        return cls(describe(error), able_to_travel(error))


def fit_member(
    task: Task,
    member: Member,
    lessons: Lessons | None,
    fold: int | None = None,
    progress: Progress | None = None,
) -> Any:
    """Fit a member at home.

    Parameters
    ----------
    task : Task
        The rows of its home.
    member : Member
        The member; a frozen one is returned as it is.
    lessons : Lessons or None
        What to fit it with, beside its rows.
    fold : int, default=None
        The fold to leave out, and with it the lessons that it shows in.
    progress : Progress, default=None
        What follows the fit.

    Returns
    -------
    model : classifier
        The fitted model.
    """
    if member.frozen:
        return member.estimator
    rows = np.arange(len(task.y))
    if fold is not None:
        rows = np.flatnonzero(task.folds != fold)
        if not len(rows):
            raise ValueError(
                f"Member {member.name!r} has no rows left when fold {fold} is held "
                "out. Use fewer folds or a splitter that spreads its rows."
            )
        lessons = None if lessons is None else lessons.outside(fold)
    X, y = take(task.X, rows), task.y[rows]
    metadata = rows_of_each(member.metadata, rows, len(task.y))
    n_lessons = 0 if lessons is None else len(lessons)
    if lessons is not None and n_lessons:
        X = stack(X, task.codec.decode(lessons.Z))
        y = np.concatenate([y, task.classes[lessons.label]])
        for name, value in lessons.parameters.items():
            metadata[name] = stack(metadata[name], value)
    step = f"fitted on {len(rows)} rows and {n_lessons} lessons"
    with named(f"Member {member.name!r}", step):
        return fit_model(member, X, y, metadata, progress)


def try_to_fit(task: Task, member: Member, lessons: Lessons) -> Any:
    """Fit a member on all its rows and lessons; return a failure where it fails."""
    try:
        return fit_member(task, member, lessons)
    except Exception as error:  # members are the user's: the last good version stays
        return Failure.of(error)


def fit_fold_model(
    task: Task,
    member: Member,
    lessons: Lessons | None,
    fold: int,
    *,
    held_out: bool = True,
    at_once: bool = False,
) -> tuple[FittedMember, Said] | Failure:
    """Fit a member without a fold, and let this fold model judge the fold at home.

    Parameters
    ----------
    task : Task
        The rows of its home.
    member : Member
        The member.
    lessons : Lessons or None
        What to fit it with; a lesson is left out if the fold shows in it.
    fold : int
        The fold.
    held_out : bool, default=True
        Whether to leave the fold out.
    at_once : bool, default=False
        As of :func:`answers_for`.
    """
    try:
        model = fit_member(task, member, lessons, fold if held_out else None)
        asked = FittedMember(member.name, model, task.classes)
        return asked, answers_for(task, asked, fold, at_once)
    except Exception as error:  # for the caller to raise, or to note
        return Failure.of(error)


def judged_by(
    task: Task, models: list[FittedMember], at_once: bool
) -> list[Said] | Failure:
    """Let a member's fold models judge the rows of a silo, each those of its fold."""
    try:
        return [answers_for(task, m, fold, at_once) for fold, m in enumerate(models)]
    except Exception as error:  # for the caller to raise, or to note
        error.add_note("Members judge rows of all silos, which they have to read.")
        return Failure.of(error)


def answers_for(task: Task, model: FittedMember, fold: int, at_once: bool) -> Said:
    """Ask a fold model about the rows of its fold, which judge it.

    Where a teacher's search will want to know what it says of the others, it is asked
    about all at once: with few rows, that takes hardly longer.
    """
    rows = task.in_fold(fold)
    if not len(rows):
        return np.zeros((0, len(task.classes))), None
    if not at_once:
        return model.predict_proba(take(task.X, rows)), None
    everything = model.predict_proba(task.X)
    return everything[rows], everything


def laid_out(task: Task, by_fold: list[Said]) -> NDArray[np.float64]:
    """Bring what fold models say of their folds into the order of the rows."""
    proba = np.zeros((len(task.y), len(task.classes)))
    for fold, (answers, _) in enumerate(by_fold):
        proba[task.in_fold(fold)] = answers
    return proba
