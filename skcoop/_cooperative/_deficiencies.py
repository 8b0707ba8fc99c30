# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Which rows a student is taught about, and who is qualified to teach them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
        The rows of a silo.
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
    for code in np.unique(task.codes):
        # Rows that have this label, and rows that teachers give it without reason.
        rows = np.flatnonzero(task.codes == code)
        others = np.flatnonzero(task.codes != code)
        # (students, rows) @ (rows, teachers): weight of the rows with this label that
        # the student has wrong and the teacher right.
        deserved = (~right[:, rows] * task.weights[rows]) @ right[:, rows].T
        # The same shapes: weight of the rows with another label that the student has
        # right and the teacher takes for this one.
        misled = right[:, others] * task.weights[others]
        misled = misled @ (answers[:, others] == code).T
        trusted = pairs & (deserved > (1 + ROUNDING) * misled)
        deficient = (taught & ~right)[:, None, rows] & right[:, rows]
        qualified[:, :, rows] = deficient & trusted[:, :, None]
    return qualified


def rows_to_rehearse(
    right: NDArray[np.bool_],
    pairs: NDArray[np.bool_],
    taught: NDArray[np.bool_],
    at_home: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Mark rows that a student from elsewhere has right, as some teacher has.

    Taught only what it gets wrong, a student takes the exceptions of other silos for
    the rule. So it also hears about rows of other silos that it has right; its own it
    knows.

    Parameters
    ----------
    right : ndarray of bool, shape (n_members, n_samples)
        Whether each member is right about each row of a silo.
    pairs, taught
        As in :func:`qualified_teachers`.
    at_home : ndarray of bool, shape (n_members,)
        Members that live at the silo.

    Returns
    -------
    known : ndarray of bool, shape (n_members, n_samples)
        By student.
    """
    known = np.zeros_like(right)
    for student in np.flatnonzero(~at_home):
        able = pairs[student]
        known[student] = taught[student] & right[student] & right[able].any(axis=0)
    return known


def rehearsed_shares(
    wrong: NDArray[np.float64], known: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the share of rows that each student has right and hears about.

    It is about as many as there are deficiencies.

    Parameters
    ----------
    wrong, known : ndarray of shape (n_members,)
        Weight of a student's deficiencies and of the rows that it may rehearse, over
        all silos.
    """
    most = np.maximum(np.maximum(known, wrong), np.finfo(float).tiny)
    return np.asarray(wrong / most)


def rehearsed_rows(
    task: Task,
    right: NDArray[np.bool_],
    pairs: NDArray[np.bool_],
    known: NDArray[np.bool_],
    shares: NDArray[np.float64],
    seed: int,
) -> NDArray[np.bool_]:
    """Draw rows that students rehearse, by their content, not by their place.

    Parameters
    ----------
    task, right, pairs
        As in :func:`rows_to_rehearse`.
    known : ndarray of bool, shape (n_members, n_samples)
        What :func:`rows_to_rehearse` found.
    shares : ndarray of shape (n_members,)
        Share of these to draw.
    seed : int
        Seed of the draw.

    Returns
    -------
    rehearsed : ndarray of bool, shape (n_members, n_members, n_samples)
        ``rehearsed[j, i]`` marks the rows that teacher i can rehearse with student j.
    """
    rehearsed = np.zeros((len(pairs), *right.shape), dtype=bool)
    for student in np.flatnonzero(known.any(axis=1)).tolist():
        draws = mixed(task.keys, seed, student + 1) / 2.0**64
        drawn = known[student] & (draws < shares[student])
        rehearsed[student] = right & pairs[student][:, None] & drawn
    return rehearsed
