# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Which rows a student is taught about, and who is qualified to teach them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from skcoop._members._member import Member
from skcoop._tables._row_keys import mixed
from skcoop._tables._task import Task
from skcoop._utils._rounding import ROUNDING


def pairs_with_news(
    students: NDArray[np.bool_],
    teachers: NDArray[np.bool_],
    changed: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Tell which student may learn from which teacher in this round.

    Two members that have not changed since the last round have nothing new to say to
    each other.

    Parameters
    ----------
    students : ndarray of bool, shape (n_members,)
        Members that can learn.
    teachers : ndarray of bool, shape (n_members,)
        Members that can teach.
    changed : ndarray of bool, shape (n_members,)
        Members that are new or were improved in the last round.

    Returns
    -------
    pairs : ndarray of bool, shape (n_members, n_members)
        ``pairs[j, i]`` says whether teacher i may teach student j.
    """
    pairs = students[:, None] & teachers & (changed[:, None] | changed)
    return pairs & ~np.eye(len(pairs), dtype=bool)


def qualified_teachers(
    task: Task,
    answers: NDArray[np.intp],
    pairs: NDArray[np.bool_],
    taught: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Find R(i->j), the rows that member j gets wrong and member i gets right.

    A teacher that is right about a row by luck teaches noise. So it must deserve the
    student's trust: where it contradicts the student with this answer, about rows of
    this silo, it is right more often than the student.

    Parameters
    ----------
    task : Task
        The rows.
    answers : ndarray of int, shape (n_members, n_samples)
        The class that each member gives to each row, judged out of sample.
    pairs : ndarray of bool, shape (n_members, n_members)
        As :func:`pairs_with_news` gives them.
    taught : ndarray of bool, shape (n_members, n_samples)
        ``taught[j, r]`` marks the rows whose labels are believed for student j.

    Returns
    -------
    qualified : ndarray of bool, shape (n_members, n_members, n_samples)
        ``qualified[j, i]`` marks the rows that teacher i can teach to student j.
    """
    right = answers == task.codes
    qualified = np.zeros((len(answers), *answers.shape), dtype=bool)
    for silo in np.unique(task.silos):
        for code in range(len(task.classes)):
            # Rows that have this label, and rows that teachers give it without reason.
            rows = np.flatnonzero((task.silos == silo) & (task.codes == code))
            others = np.flatnonzero((task.silos == silo) & (task.codes != code))
            # (students, rows) @ (rows, teachers): weight of the rows with this label
            # that the student has wrong and the teacher right.
            deserved = (~right[:, rows] * task.weights[rows]) @ right[:, rows].T
            # The same shapes: weight of the rows with another label that the student
            # has right and the teacher takes for this one.
            misled = right[:, others] * task.weights[others]
            misled = misled @ (answers[:, others] == code).T
            trusted = pairs & (deserved > (1 + ROUNDING) * misled)
            deficient = (taught & ~right)[:, None, rows] & right[:, rows]
            qualified[:, :, rows] = deficient & trusted[:, :, None]
    return qualified


def rehearsed_rows(
    task: Task,
    members: Sequence[Member],
    deficiencies: NDArray[np.bool_],
    answers: NDArray[np.intp],
    pairs: NDArray[np.bool_],
    taught: NDArray[np.bool_],
    seed: int,
) -> NDArray[np.bool_]:
    """Add about as many rows that a student has right as there are deficiencies.

    Taught only what it gets wrong, a student takes the exceptions of other silos for
    the rule. So it also hears about rows of other silos that it has right; its own it
    knows.

    Parameters
    ----------
    task, answers, pairs, taught
        As in :func:`qualified_teachers`.
    members : list of Member
        All members.
    deficiencies : ndarray of bool, shape (n_members, n_members, n_samples)
        What :func:`qualified_teachers` found.
    seed : int
        Seed of the draw of rows, which depends on their content, not on their place.

    Returns
    -------
    rehearsed : ndarray of bool, shape (n_members, n_members, n_samples)
        ``rehearsed[j, i]`` marks the rows that teacher i can rehearse with student j.
    """
    right = answers == task.codes
    rehearsed = np.zeros_like(deficiencies)
    for student, able in enumerate(pairs):
        known = taught[student] & right[student] & right[able].any(axis=0)
        known[members[student].rows] = False
        wrong = task.weights[deficiencies[student].any(axis=0)].sum()
        share = wrong / max(task.weights[known].sum(), wrong, np.finfo(float).tiny)
        drawn = known & (mixed(task.keys, seed, student + 1) / 2.0**64 < share)
        rehearsed[student] = right & able[:, None] & drawn
    return rehearsed
