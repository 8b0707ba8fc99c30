# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Lessons: virtual instances in the student's feature space, and their origin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, reduce
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skcoop._cooperative._near_rows import too_near
from skcoop._cooperative._teaching import Answers, Question
from skcoop._members._member import Member
from skcoop._tables._frames import FloatMatrix, same_cells, stack, take
from skcoop._tables._row_keys import content_keys
from skcoop._tables._task import Task


@dataclass
class Lessons:
    """Virtual instances for one student; all arrays have one entry for each.

    What a student's home needs comes first; the last five stay where rows are, if that
    is another machine.

    Attributes
    ----------
    Z : ndarray of shape (n_lessons, n_features)
        The virtual instances as floats.
    label : ndarray of int
        Position of each one's class.
    fold : ndarray of int
        The fold of the row that each was made from.
    donor_fold : ndarray of int
        The fold of the row that each was drawn to, -1 where there is none.
    silo : ndarray of int
        The silo of both rows.
    source : ndarray of int
        Which row of the silo each was made from: a number that says nothing of it.
    content : ndarray of int
        The same number for rows of the same content.
    teacher : ndarray of int
        Number of the member that made it.
    round : ndarray of int
        The round in which it was made.
    donor : ndarray of int
        The number of the row that each was drawn to, -1 where there is none.
    before, after : ndarray of float
        The teacher's probability of the true class, for the row and the lesson.
    distance : ndarray of float
        Mean change of a column between row and lesson (Gower), before completion.
    changed : ndarray of bool, shape (n_lessons, n_features)
        The columns that the teacher changed.
    parameters : dict
        Parameters of the student's ``fit`` that go row by row, such as weights.
    """

    Z: FloatMatrix
    label: NDArray[np.intp]
    fold: NDArray[np.intp]
    donor_fold: NDArray[np.intp]
    silo: NDArray[np.intp]
    source: NDArray[np.intp]
    content: NDArray[np.intp]
    teacher: NDArray[np.intp]
    round: NDArray[np.intp]
    donor: NDArray[np.intp]
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    distance: NDArray[np.float64]
    changed: NDArray[np.bool_]
    parameters: dict[str, Any] = field(default_factory=dict)

    def outside(self, fold: int) -> Lessons:
        """Leave out what a row of the fold shows in: made from it or drawn to it."""
        return self[(self.fold != fold) & (self.donor_fold != fold)]

    def by_teacher(self, n_members: int) -> NDArray[np.intp]:
        """Count the lessons of each member."""
        return np.bincount(self.teacher, minlength=n_members)

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> Lessons:
        rows: NDArray[np.intp] = np.arange(len(self))[which]
        arrays = {name: getattr(self, name)[rows] for name in ARRAYS}
        return Lessons(**arrays, parameters=taken(self.parameters, rows))

    def __add__(self, other: Lessons) -> Lessons:
        return joined([self, other])


ARRAYS = [each.name for each in fields(Lessons) if each.name != "parameters"]


def joined(parts: Sequence[Lessons]) -> Lessons:
    """Return all lessons of several sets."""
    arrays = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in ARRAYS
    }
    some = [part.parameters for part in parts if len(part)]
    names = some[0] if some else {}
    parameters = {name: reduce(stack, [own[name] for own in some]) for name in names}
    return Lessons(**arrays, parameters=parameters)


def taken(parameters: Mapping[str, Any], rows: NDArray[np.intp]) -> dict[str, Any]:
    """Take some rows of parameters that all go row by row."""
    return {name: take(value, rows) for name, value in parameters.items()}


def no_lessons(n_features: int) -> Lessons:
    """Return an empty set of lessons."""
    index, number = np.zeros(0, dtype=np.intp), np.zeros(0)
    cells = np.zeros((0, n_features))
    kinds: dict[str, Any] = {"Z": cells, "changed": cells.astype(bool)}
    kinds.update(dict.fromkeys(("before", "after", "distance"), number))
    return Lessons(**{name: kinds.get(name, index) for name in ARRAYS})


@dataclass(frozen=True)
class Origin:
    """Where lessons come from.

    Attributes
    ----------
    silo : int
        The silo.
    round : int
        The round.
    min_distance : float
        Least distance of what leaves the silo to its rows, as a share of the usual one.
    """

    silo: int
    round: int
    min_distance: float


class Answered:
    """What teachers answered about the rows of a silo, for all who asked them.

    Parameters
    ----------
    task : Task
        The rows.
    answers : dict
        What the teachers answered, by teacher and fold.
    origin : Origin
        Where the rows are.
    """

    def __init__(self, task: Task, answers: Mapping[Question, Answers], origin: Origin):
        self.task, self.min_distance = task, origin.min_distance
        nothing = no_lessons(task.Z.shape[1])
        parts = [
            (answer.rows[answer.kept], _held(task, teacher, answer, origin))
            for (teacher, _), answer in answers.items()
        ]
        self.rows = np.concatenate([nothing.source, *(rows for rows, _ in parts)])
        self.lessons = joined([nothing, *(own for _, own in parts)])
        self._repeats: dict[bytes, NDArray[np.bool_]] = {}

    @cached_property
    def too_near(self) -> NDArray[np.bool_]:
        """Mark what all but tells a row of the silo."""
        return too_near(self.task, self.lessons.Z, self.min_distance)

    def repeats(self, reads: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Mark what equals a row of the silo on some columns."""
        key = reads.tobytes()
        if key not in self._repeats:
            self._repeats[key] = self.task.repeats(self.lessons.Z, reads)
        return self._repeats[key]

    def for_student(
        self,
        asked: NDArray[np.bool_],
        reads: NDArray[np.bool_],
        parameters: Mapping[str, Any],
        *,
        at_home: bool,
    ) -> Lessons:
        """Return the lessons of one student: nothing is completed yet.

        A lesson that would hand over a row of the silo as it is, on the columns that
        the student reads, or is too near to one, does not leave.

        Parameters
        ----------
        asked : ndarray of bool, shape (n_members, n_samples)
            The teachers that were asked for this student, by row.
        reads : ndarray of bool, shape (n_features,)
            Columns that can reach the student.
        parameters : dict
            Row by row, parameters of the student's ``fit``.
        at_home : bool
            Whether the student lives in this silo, too.
        """
        mine = asked[self.lessons.teacher, self.rows] & ~self.repeats(reads)
        if not at_home:
            mine &= ~self.too_near
        lessons = self.lessons[mine]
        lessons.parameters = taken(parameters, self.rows[mine])
        if not at_home:
            lessons.Z[:, self.task.private] = np.nan
        return lessons


def _held(task: Task, teacher: int, answer: Answers, origin: Origin) -> Lessons:
    """Return the answers of one fold model that stood the re-check."""
    rows, Z = answer.rows[answer.kept], answer.Z[answer.kept]
    donors = answer.donor_row[answer.kept]
    n, drawn = len(rows), donors >= 0
    return Lessons(
        Z=Z,
        label=task.codes[rows],
        fold=task.folds[rows],
        donor_fold=np.where(drawn, task.folds[donors], -1),
        silo=np.full(n, origin.silo),
        source=task.ranks[rows],
        content=task.contents[rows],
        teacher=np.full(n, teacher),
        round=np.full(n, origin.round),
        donor=np.where(drawn, task.ranks[donors], -1),
        before=answer.before[answer.kept],
        after=answer.after[answer.kept],
        distance=task.metric.gower(task.Z[rows], Z),
        changed=~same_cells(task.Z[rows], Z),
    )


def completed(
    task: Task,
    member: Member,
    silo: int,
    lessons: Lessons,
    unrecorded: Mapping[int, NDArray[np.bool_]],
    complete: Callable[..., FloatMatrix],
) -> Lessons:
    """Bring lessons into the feature space of a student, at its home.

    What the teacher changed carries over, what only the student reads stays as it was
    in the row, and what was never recorded for the row, or must not leave its silo, is
    completed from the student's own nearest rows. A lesson that equals one of these, on
    the columns that the student reads, is refused.

    Parameters
    ----------
    task : Task
        The rows of the student's home.
    member : Member
        The student.
    silo : int
        Its home.
    lessons : Lessons
        Of all silos.
    unrecorded : dict of int to ndarray of bool, shape (n_features,)
        Columns that each of these silos never records.
    complete : callable
        As :func:`~skcoop._cooperative._completion.complete`.
    """
    gaps = np.zeros(lessons.Z.shape, dtype=bool)
    for source in np.unique(lessons.silo).tolist():
        own = unrecorded[source] | (task.private & (source != silo))
        gaps[lessons.silo == source] = own
    Z = complete(lessons.Z, gaps, task.Z, task.metric)
    lessons = replace(lessons, Z=Z)
    return lessons[~task.repeats(lessons.Z, member.reads)]


def without_duplicates(lessons: Lessons) -> Lessons:
    """Keep each virtual instance once for its label.

    Rows that the training data itself repeats keep a lesson each, so that repeating a
    row is the same as weighting it.
    """
    table = pd.DataFrame(
        {
            "lesson": content_keys(lessons.Z),
            "label": lessons.label,
            "silo": lessons.silo,
            "source": lessons.source,
            # One order for all silos' contents.
            "content": lessons.silo * 2**40 + lessons.content,
        }
    )
    first = table.groupby(["lesson", "label"])["content"].transform("min")
    repeated = table.duplicated(["lesson", "label", "silo", "source"])
    return lessons[((table["content"] == first) & ~repeated).to_numpy()]
