# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Lessons: virtual instances in the student's feature space, and their origin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skcoop._cooperative._completion import complete
from skcoop._cooperative._near_rows import too_near
from skcoop._cooperative._teaching import Answers, Question
from skcoop._members._member import Member
from skcoop._tables._frames import FloatMatrix, same_cells
from skcoop._tables._row_keys import content_keys
from skcoop._tables._task import Task


@dataclass
class Lessons:
    """Virtual instances for one student; all arrays have one entry for each.

    Attributes
    ----------
    Z : ndarray of shape (n_lessons, n_features)
        The virtual instances as floats, translated to the student.
    source : ndarray of int
        The row that each was made from; it gives the label.
    donor_row : ndarray of int
        The row of the same silo that each was drawn to, -1 where there is none.
    teacher : ndarray of int
        Number of the member that made it.
    round : ndarray of int
        The round in which it was made.
    before, after : ndarray of float
        The teacher's probability of the true class, for the row and the lesson.
    distance : ndarray of float
        Mean change of a column between row and lesson (Gower), before completion.
    changed : ndarray of bool, shape (n_lessons, n_features)
        The columns that the teacher changed.
    """

    Z: FloatMatrix
    source: NDArray[np.intp]
    donor_row: NDArray[np.intp]
    teacher: NDArray[np.intp]
    round: NDArray[np.intp]
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    distance: NDArray[np.float64]
    changed: NDArray[np.bool_]

    def outside(self, folds: NDArray[np.intp], fold: int) -> Lessons:
        """Leave out what a row of the fold shows in: made from it or drawn to it."""
        drawn = (self.donor_row >= 0) & (folds[self.donor_row] == fold)
        return self[(folds[self.source] != fold) & ~drawn]

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> Lessons:
        return Lessons(*(getattr(self, f.name)[which] for f in fields(self)))

    def __add__(self, other: Lessons) -> Lessons:
        return joined([self, other])


def joined(parts: Sequence[Lessons]) -> Lessons:
    """Return all lessons of several sets."""
    return Lessons(
        *(
            np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(Lessons)
        )
    )


def no_lessons(n_features: int) -> Lessons:
    """Return an empty set of lessons."""
    index, number = np.zeros(0, dtype=np.intp), np.zeros(0)
    cells = np.zeros((0, n_features))
    return Lessons(
        cells, index, index, index, index, number, number, number, cells.astype(bool)
    )


def translate(
    task: Task,
    members: Sequence[Member],
    chosen: NDArray[np.intp],
    answers: Mapping[Question, Answers],
    number: int,
    min_distance: float = 0.0,
) -> dict[int, Lessons]:
    """Bring the answers for each student into the student's feature space.

    What the teacher changed carries over, what only the student reads stays as it was
    in the row, and what was never recorded for the row, or must not leave its silo, is
    completed from the student's own nearest rows. A lesson that would hand over a
    training row as it is, on the columns that the student reads, is refused.

    Parameters
    ----------
    task : Task
        The rows.
    members : list of Member
        All members.
    chosen : ndarray of int, shape (n_members, n_samples)
        The teacher of each student for each row, -1 where there is none.
    answers : dict
        What the teachers answered.
    number : int
        The round.

    Returns
    -------
    lessons : dict of int to Lessons
        New lessons by student, for those who have any.
    """
    proposed = {}
    for student, member in enumerate(members):
        if member.frozen:
            continue
        lessons = _gather(
            task, members, student, chosen[student], answers, number, min_distance
        )
        if not len(lessons):
            continue
        # What was never recorded, or stays in its silo, is completed: what repeats a
        # row of the silo is seen before, what repeats one at home afterwards.
        own, home = task.Z[member.rows], task.home(member.rows)
        unrecorded = task.unrecorded[task.silos[lessons.source]]
        foreign = task.silos[lessons.source] != home
        unrecorded[np.ix_(foreign, task.private)] = True
        lessons.Z[np.ix_(foreign, task.private)] = np.nan
        lessons.Z = complete(lessons.Z, unrecorded, own, task.metrics[home])
        lessons = lessons[~task.repeats(lessons.Z, member.reads, member.rows)]
        if len(lessons):
            proposed[student] = lessons
    return proposed


def _gather(
    task: Task,
    members: Sequence[Member],
    student: int,
    teacher_of: NDArray[np.intp],
    answers: Mapping[Question, Answers],
    number: int,
    min_distance: float,
) -> Lessons:
    """Collect what one student's teachers answered, without repeats of silos' rows."""
    by_silo: dict[int, list[Lessons]] = {}
    for (teacher, _, silo), answer in answers.items():
        mine = answer.kept & (teacher_of[answer.rows] == teacher)
        rows, Z = answer.rows[mine], answer.Z[mine]
        lessons = Lessons(
            Z,
            rows,
            answer.donor_row[mine],
            np.full(len(rows), teacher),
            np.full(len(rows), number),
            answer.before[mine],
            answer.after[mine],
            task.metrics[silo].gower(task.Z[rows], Z),
            ~same_cells(task.Z[rows], Z),
        )
        by_silo.setdefault(silo, []).append(lessons)
    gathered = [no_lessons(task.Z.shape[1])]
    for silo, parts in sorted(by_silo.items()):
        lessons = joined(parts)
        rows, member = task.silo(silo), members[student]
        refused = task.repeats(lessons.Z, member.reads, rows)
        if silo != task.home(member.rows):
            refused |= too_near(task, silo, lessons.Z, min_distance)
        gathered.append(lessons[~refused])
    return joined(gathered)


def without_duplicates(task: Task, lessons: Lessons) -> Lessons:
    """Keep each virtual instance once for its label.

    Rows that the training data itself repeats keep a lesson each, so that repeating a
    row is the same as weighting it.
    """
    table = pd.DataFrame(
        {
            "lesson": content_keys(lessons.Z),
            "label": task.codes[lessons.source],
            "source": lessons.source,
            "content": task.keys[lessons.source],
        }
    )
    first = table.groupby(["lesson", "label"])["content"].transform("min")
    repeated = table.duplicated(["lesson", "label", "source"])
    return lessons[((table["content"] == first) & ~repeated).to_numpy()]
