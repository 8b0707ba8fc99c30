# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""What all silos have agreed on before the first step, and which steps are used."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcoop._cooperative._completion import complete
from skcoop._cooperative._credibility import credible_silos
from skcoop._cooperative._deficiencies import (
    qualified_teachers,
    rehearsed_rows,
    rows_to_rehearse,
)
from skcoop._cooperative._teaching import choose_teachers
from skcoop._members._scores import Score, is_clear


@dataclass(frozen=True)
class Rules:
    """The steps of the method that comparisons replace, each a function.

    Attributes
    ----------
    believe : callable
        Tells which silos teach and judge, see :func:`credible_silos`.
    qualify : callable
        Finds who may teach whom about which rows, see :func:`qualified_teachers`.
    to_rehearse, rehearse : callable
        Find the rows that a student has right, and draw among them.
    choose : callable
        Chooses among qualified teachers, see :func:`choose_teachers`.
    complete : callable
        Fills in what was never recorded for a lesson.
    is_clear : callable
        Tells whether gains, fold by fold, are more than luck.
    held_out : bool
        Whether fold models do not see the fold that they judge.
    """

    believe: Callable[..., Any] = credible_silos
    qualify: Callable[..., Any] = qualified_teachers
    to_rehearse: Callable[..., Any] = rows_to_rehearse
    rehearse: Callable[..., Any] = rehearsed_rows
    choose: Callable[..., Any] = choose_teachers
    complete: Callable[..., Any] = complete
    is_clear: Callable[..., bool] = is_clear
    held_out: bool = True


@dataclass(frozen=True)
class Plan:
    """What all silos have agreed on before the first step.

    Attributes
    ----------
    members : list of str
        The members' names.
    homes : ndarray of int, shape (n_members,)
        The silo that each member lives at, -1 for a guest.
    frozen : ndarray of bool, shape (n_members,)
        Members that teach and never learn.
    silos : list of str
        The silos' names.
    classes : ndarray of shape (n_classes,)
        The classes.
    columns : list
        The labels of the columns.
    n_folds : int
        Number of folds.
    n_rows : int
        Number of rows of all silos.
    score : Score
        What judges.
    guests : dict of int to classifier
        Fitted members without a silo, by their numbers.
    accept, alpha, min_distance, counterfactuals, max_lessons : object
        As of the distiller.
    recognises_codes : bool
        Whether columns of codes are to be recognised; else the user named them.
    seed : int
        Of all draws.
    rules : Rules
        The steps.
    """

    members: list[str]
    homes: NDArray[np.intp]
    frozen: NDArray[np.bool_]
    silos: list[str]
    classes: NDArray[Any]
    columns: list[Hashable]
    n_folds: int
    n_rows: int
    score: Score
    guests: Mapping[int, Any] = field(default_factory=dict)
    accept: str | None = "all"
    alpha: float = 0.5
    min_distance: float = 0.0
    counterfactuals: Any = "batched"
    max_lessons: int | None = 10_000
    recognises_codes: bool = True
    seed: int = 0
    rules: Rules = field(default_factory=Rules)

    @property
    def most_lessons(self) -> int | None:
        """Most lessons for one student, None where there are not so many rows."""
        most = self.max_lessons
        return None if most is None or self.n_rows <= most else most

    def at_home(self, silo: int) -> list[int]:
        """Return the numbers of the members that live at a silo."""
        return np.flatnonzero(self.homes == silo).tolist()
