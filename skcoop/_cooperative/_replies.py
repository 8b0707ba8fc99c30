# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""What silos say when they are asked, and the work that it takes to say it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from skcoop._cooperative._credibility import Standing
from skcoop._cooperative._fitting import Failure
from skcoop._cooperative._lessons import Lessons
from skcoop._members._member import FittedMember

Reply = TypeVar("Reply")


@dataclass
class Work(Generic[Reply]):
    """Work of a silo that may be done on any core, and what to do with its results.

    Attributes
    ----------
    calls : list of delayed calls
        Without side effects.
    finish : callable
        Takes their results, in this order, and returns the reply; runs where the silo
        is and may change it.
    instead : callable or None
        Takes the number of a call and says what it comes to if the process ends that
        makes it. None where no models of others are asked.
    """

    calls: list[Any]
    finish: Callable[[list[Any]], Reply]
    instead: Callable[[int, str], Any] | None = None


@dataclass
class Fitted:
    """What a silo says of the first fit of its members.

    Attributes
    ----------
    reads : dict of int to ndarray of bool, shape (n_features,)
        By member, the columns that can reach it.
    coded : ndarray of bool, shape (n_features,)
        Columns of numbers that are codes to a member, or look like it.
    unrecorded : ndarray of bool, shape (n_features,)
        Columns that the silo never records.
    """

    reads: dict[int, NDArray[np.bool_]]
    coded: NDArray[np.bool_]
    unrecorded: NDArray[np.bool_]


@dataclass
class Learned:
    """What a member learned: its fold models, or why there are none.

    Attributes
    ----------
    models : list of FittedMember, or Failure
        The member without each of the folds.
    able : bool
        Whether it can teach.
    mute : bool
        Whether it is known that it cannot.
    taught : ndarray of int, shape (n_members,)
        Lessons by teacher, repeats of rows left out.
    kept : ndarray of int, shape (n_members,)
        The same after double ones were left out.
    total : int
        Lessons that it was fitted with, those of earlier rounds included.
    """

    models: list[FittedMember] | Failure
    able: bool
    mute: bool
    taught: NDArray[np.intp]
    kept: NDArray[np.intp]
    total: int = 0


@dataclass
class Judged:
    """What a silo says of fold models.

    Attributes
    ----------
    parts : dict of int to (Sums, RowAnswers or Failure)
        By member, what the score needs; or why the model could not be asked.
    standing : Standing or None
        What it counts, when members are judged for the first time.
    """

    parts: dict[int, Any]
    standing: Standing | None = None


@dataclass
class Taught:
    """What a silo's rows brought: lessons, and counts for the record.

    Attributes
    ----------
    lessons : dict of int to Lessons
        By student.
    deficiencies, asked, found, rechecked : ndarray of int, shape (n_members, n_members)
        By student and teacher.
    failures : dict of (int, int) to Failure
        By student and teacher, why there is no answer.
    """

    lessons: dict[int, Lessons]
    deficiencies: NDArray[np.intp]
    asked: NDArray[np.intp]
    found: NDArray[np.intp]
    rechecked: NDArray[np.intp]
    failures: dict[tuple[int, int], Failure]
