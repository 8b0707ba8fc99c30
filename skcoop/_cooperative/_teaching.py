# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Teaching: choose a teacher for each deficiency and ask it for a virtual instance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skcoop._compat import InvalidParameterError
from skcoop._members._member import FittedMember
from skcoop._tables._frames import FloatMatrix, same_cells, stack, take
from skcoop._tables._row_keys import mixed
from skcoop._tables._task import Task
from skcoop._utils._errors import describe, named
from skcoop.counterfactuals import BatchedDice
from skcoop.counterfactuals._protocol import (
    TOLERANCE,
    target_probability,
    true_class_proba,
)

# Rows of the background that a search sees: more cost time and memory in each question,
# and BatchedDice goes to 5,000 of them.
_MOST_BACKGROUND = 20_000


def choose_teachers(
    task: Task,
    qualified: NDArray[np.bool_],
    proba: NDArray[np.float64],
    seed: int,
) -> NDArray[np.bool_]:
    """Choose for each deficiency one qualified teacher, each with the same chance.

    Models that are always certain, as trees are, would otherwise do nearly all of the
    teaching.

    Parameters
    ----------
    task : Task
        The rows. What is drawn for a row depends on its content, not on its place.
    qualified : ndarray of bool, shape (n_members, n_members, n_samples)
        ``qualified[j, i]`` marks the rows that teacher i can teach to student j.
    proba : ndarray of shape (n_members, n_samples)
        Probability that each member gives to each row's class; not used here.
    seed : int
        Seed of the draw.

    Returns
    -------
    asked : ndarray of bool, shape (n_members, n_members, n_samples)
        The same with one teacher for each student and row.
    """
    asked = np.zeros_like(qualified)
    for student, by_teacher in enumerate(qualified):
        # Row r has counts[r] qualified teachers, and its draw picks one by its rank
        # among them: by_teacher and rank are (teachers, rows), the others (rows,).
        counts = by_teacher.sum(axis=0)
        drawn = _draws(task, seed, student) % np.maximum(counts, 1).astype(np.uint64)
        rank = np.cumsum(by_teacher, axis=0) - 1
        asked[student] = by_teacher & (rank == drawn.astype(np.intp))
    return asked


def _draws(task: Task, seed: int, student: int) -> NDArray[np.uint64]:
    return mixed(task.keys, seed, student + 1)


def quotas(counts: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """Share out lessons among silos, each in proportion to the rows that it has.

    Parameters
    ----------
    counts : ndarray of int, shape (n_silos,)
        Rows that each silo has for one student.
    most : int
        Most lessons for it.

    Returns
    -------
    quotas : ndarray of int, shape (n_silos,)
        Most lessons from each.
    """
    if counts.sum() <= most:
        return counts
    # What rounding down leaves goes to those that lost most by it.
    shares = most * counts / counts.sum()
    floors = np.floor(shares).astype(np.intp)
    left = most - int(floors.sum())
    floors[np.argsort(floors - shares, kind="stable")[:left]] += 1
    return floors


def at_most(
    task: Task, asked: NDArray[np.bool_], most: NDArray[np.intp], seed: int
) -> NDArray[np.bool_]:
    """Leave out what is more than a student's quota, from all classes in turn.

    Parameters
    ----------
    task, asked, seed
        As of :func:`choose_teachers`.
    most : ndarray of int, shape (n_members,)
        Most rows for each student.
    """
    kept = asked.copy()
    for student, by_teacher in enumerate(asked):
        rows = np.flatnonzero(by_teacher.any(axis=0))
        if len(rows) > most[student]:
            draws = _draws(task, seed, student)
            few = _balanced(rows, task.codes, draws, int(most[student]))
            kept[student][:, np.setdiff1d(rows, few)] = False
    return kept


def _balanced(
    rows: NDArray[np.intp],
    codes: NDArray[np.intp],
    draws: NDArray[np.uint64],
    most: int,
) -> NDArray[np.intp]:
    """Take rows from all classes in turn, in the order of their draws."""
    rows = rows[np.argsort(draws[rows], kind="stable")]
    turn = pd.Series(codes[rows]).groupby(codes[rows]).cumcount().to_numpy()
    return rows[np.argsort(turn, kind="stable")[:most]]


@dataclass
class Answers:
    """What one fold model of a teacher answered for some rows.

    Attributes
    ----------
    rows : ndarray of int, shape (n_rows,)
        The rows that were asked about.
    Z : ndarray of shape (n_rows, n_features)
        The virtual instances as floats.
    found : ndarray of bool, shape (n_rows,)
        Whether the engine claims an answer.
    kept : ndarray of bool, shape (n_rows,)
        Whether the answer stood the re-check.
    before, after : ndarray of shape (n_rows,)
        The teacher's probability of the true class, for the row and its answer.
    donor_row : ndarray of int, shape (n_rows,)
        The row that each answer was drawn to, -1 where there is none.
    failure : str
        Why there is no answer at all, if the engine failed.
    """

    rows: NDArray[np.intp]
    Z: FloatMatrix
    found: NDArray[np.bool_]
    kept: NDArray[np.bool_]
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    donor_row: NDArray[np.intp]
    failure: str = ""


# A teacher is asked about the rows of a fold by the model that did not see them.
Question = tuple[int, int]


@dataclass(frozen=True)
class Search:
    """How teachers search.

    Attributes
    ----------
    engine : CounterfactualEngine
        Finds the counterfactuals.
    alpha : float
        How far to go towards certainty.
    seed : int
        Of this round.
    silo : int
        Where the rows are.
    """

    engine: Any
    alpha: float
    seed: int
    silo: int

    def seed_of(self, teacher: int, fold: int) -> int:
        """Return the seed of one question."""
        numbers = (self.seed, teacher, fold, self.silo)
        return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def questions(task: Task, asked: NDArray[np.bool_]) -> dict[Question, NDArray[np.intp]]:
    """List the rows that each teacher is asked about, by teacher and fold.

    The answer does not depend on the student, so students who chose the same teacher
    share it.
    """
    wanted: dict[Question, list[NDArray[np.intp]]] = {}
    for by_teacher in asked:
        for teacher in np.flatnonzero(by_teacher.any(axis=1)).tolist():
            rows = np.flatnonzero(by_teacher[teacher])
            for fold in np.unique(task.folds[rows]).tolist():
                own = rows[task.folds[rows] == fold]
                wanted.setdefault((teacher, fold), []).append(own)
    return {key: np.unique(np.concatenate(rows)) for key, rows in wanted.items()}


def _outside(task: Task, fold: int) -> NDArray[np.intp]:
    outside = np.flatnonzero(task.folds != fold)
    return outside if len(outside) else np.arange(len(task.y))


def _seen_by_search(task: Task, rows: NDArray[np.intp], seed: int) -> NDArray[np.intp]:
    """Choose among the rows of a background, by their content, if they are many."""
    if len(rows) <= _MOST_BACKGROUND:
        return rows
    draws = mixed(task.keys, seed)
    return np.sort(_balanced(rows, task.codes, draws, _MOST_BACKGROUND))


def ask_teacher(
    task: Task,
    question: Question,
    model: FittedMember,
    rows: NDArray[np.intp],
    reads: NDArray[np.bool_],
    search: Search,
    known: FloatMatrix | None = None,
) -> Answers:
    """Put rows to one model of a teacher at once.

    The search is among the rows of the silo that holds them, so that a lesson has
    values of one silo. An engine that fails, or a teacher that cannot answer about the
    virtual instances, costs these answers and not the fit.

    Parameters
    ----------
    task : Task
        The silo's rows.
    question : (int, int)
        Number of the teacher, and the fold.
    model : FittedMember
        The teacher without the fold.
    rows : ndarray of int
        The rows to ask about, all of the fold.
    reads : ndarray of bool, shape (n_features,)
        Columns that can reach the teacher.
    search : Search
        How to search.
    known : ndarray of shape (n_samples, n_classes), default=None
        What the model says of all rows of the silo, if it was asked before.
    """
    try:
        return _answer(task, question, model, rows, reads, search, known)
    except InvalidParameterError:  # of the engine: no other question would do better
        raise
    except Exception as error:  # engines and members are the user's
        return no_answers(task, rows, describe(error))


def no_answers(task: Task, rows: NDArray[np.intp], failure: str) -> Answers:
    """Return what is known of rows to which there is no answer at all."""
    nothing = np.zeros(len(rows), dtype=bool)
    unknown = np.full(len(rows), np.nan)
    nowhere = np.full(len(rows), -1, dtype=np.intp)
    return Answers(
        rows, task.Z[rows], nothing, nothing, unknown, unknown, nowhere, failure
    )


def _answer(
    task: Task,
    question: Question,
    teacher: FittedMember,
    rows: NDArray[np.intp],
    reads: NDArray[np.bool_],
    search: Search,
    known: FloatMatrix | None,
) -> Answers:
    """Do what :func:`ask_teacher` does, which has the parameters; errors are raised."""
    seed, engine = search.seed_of(*question), search.engine
    outside = _outside(task, question[1])
    background = _seen_by_search(task, outside, seed)
    with named(f"The engine {type(engine).__name__}", f"asked about {len(rows)} rows"):
        Z, found, donor_row, told = _generate(
            task, teacher, rows, background, engine, search.alpha, seed, known
        )
    # What the table cannot hold is no answer; the rest is judged as handed out.
    sound = task.codec.can_hold(Z)
    judged = np.where(sound[:, None], Z, task.Z[rows])
    judged[sound] = task.codec.as_handed_out(judged[sound])
    told[:, ~same_cells(judged, Z).all(axis=1)] = np.nan
    Z = judged
    kept, before, after = recheck(
        task, teacher, rows, Z, found, background, search.alpha, told
    )
    failure = ""
    if found.any() and not kept.any():
        failure = f"none of the {found.sum()} answers found stood the re-check"
    # The engine cannot tell what repeats a row that it did not see.
    kept &= ~task.repeats(Z, reads, outside)
    return Answers(rows, Z, found, kept, before, after, donor_row, failure)


def _generate(
    task: Task,
    teacher: FittedMember,
    rows: NDArray[np.intp],
    background: NDArray[np.intp],
    engine: Any,
    alpha: float,
    seed: int,
    known: FloatMatrix | None,
) -> tuple[FloatMatrix, NDArray[np.bool_], NDArray[np.intp], NDArray[np.float64]]:
    """Let the engine answer.

    Parameters
    ----------
    task : Task
        The rows of a silo.
    teacher : FittedMember
        The model to ask.
    rows, background : ndarray of int
        The rows to answer for, and those to search among.
    engine : CounterfactualEngine
        Searches.
    alpha, seed : float, int
        Its parameters.
    known : ndarray of shape (n_samples, n_classes) or None
        What the teacher says of all rows, if it was asked before.

    Returns
    -------
    Z, found, donor_row
        As in :class:`Answers`.
    told : ndarray of shape (2, n_rows)
        The teacher's probability for each row and its answer, NaN if that should be
        asked: only what our own search says was asked with these cells.
    """
    X, y, others = take(task.X, rows), task.y[rows], take(task.X, background)
    if type(engine) is BatchedDice:
        said = None if known is None else (known[background], known[rows])
        result = engine._generate(
            teacher, X, y, others, alpha, random_state=seed, known=said
        )
    else:
        result = engine.generate(
            teacher, X, y, background=others, alpha=alpha, random_state=seed
        )
    Z = task.codec.encode(result.X_cf)
    found = np.asarray(result.valid, dtype=bool)
    if Z.shape != (len(rows), task.Z.shape[1]) or found.shape != (len(rows),):
        raise ValueError(
            f"it returned {Z.shape} cells and {found.shape} flags for {len(rows)} "
            f"rows of {task.Z.shape[1]} columns"
        )
    places = _rows_of_donors(getattr(result, "donor", None), len(rows), background)
    told = np.full((2, len(rows)), np.nan)
    if type(engine) is BatchedDice:
        told[:] = result.proba_before, result.proba_after
    return Z, found, places, told


def _rows_of_donors(
    places: Any, n_rows: int, background: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Turn positions in the background into rows of the task, -1 where none is."""
    if places is None:
        return np.full(n_rows, -1, dtype=np.intp)
    places = np.asarray(places)
    if places.shape != (n_rows,) or places.dtype.kind not in "iu":
        raise ValueError(
            f"donor must hold a whole number for each of the {n_rows} rows, got "
            f"{places.dtype} of shape {places.shape}"
        )
    return np.where(places >= 0, background[np.maximum(places, 0)], -1)


def recheck(
    task: Task,
    teacher: FittedMember,
    rows: NDArray[np.intp],
    Z: FloatMatrix,
    found: NDArray[np.bool_],
    background: NDArray[np.intp],
    alpha: float,
    told: NDArray[np.float64],
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]:
    """Ask the teacher again, where what it says is not known, and keep what holds.

    An answer must reach its target, ``p + alpha (1 - p)``, differ from its row, stay
    within the values of the background (or, for a row from outside, between these and
    its own), be one of them where they are codes, and neither lose nor fill a cell.

    Parameters
    ----------
    task, teacher, rows, background, alpha
        As of the question.
    Z : ndarray of shape (n_rows, n_features)
        The answers as floats.
    found : ndarray of bool, shape (n_rows,)
        Whether there is one.
    told : ndarray of shape (2, n_rows)
        The teacher's probability for each row and its answer, NaN if it must be asked.

    Returns
    -------
    kept : ndarray of bool, shape (n_rows,)
        Answers that hold.
    before, after : ndarray of shape (n_rows,)
        The teacher's probability of the true class, for each row and its answer; NaN
        where there is no answer to ask about.
    """
    kept = found & _within(task, task.Z[rows], Z, task.Z[background])
    before, after = np.where(kept, told, np.nan)
    asked = np.flatnonzero(kept & np.isnan(after))
    if len(asked):
        both = stack(take(task.X, rows[asked]), task.codec.decode(Z[asked]))
        labels = np.tile(task.y[rows[asked]], 2)
        proba = true_class_proba(teacher, both, labels)
        before[asked], after[asked] = np.split(proba, 2)
    with np.errstate(invalid="ignore"):
        kept &= after >= target_probability(before, alpha) - TOLERANCE
    return kept, before, after


def _within(
    task: Task, before: FloatMatrix, after: FloatMatrix, background: FloatMatrix
) -> NDArray[np.bool_]:
    """Tell whether something changed, and only to what the background allows."""
    unchanged = same_cells(before, after)
    with np.errstate(invalid="ignore"):
        # A row from outside the background's range may be on its way into it.
        low = np.fmin(np.fmin.reduce(background, axis=0), before)
        high = np.fmax(np.fmax.reduce(background, axis=0), before)
        inside = (after >= low) & (after <= high)
    # A missing cell may mean something: it stays missing.
    inside &= ~np.isnan(before)
    for j in np.flatnonzero(task.permissions.coded):
        inside[:, j] = np.isin(after[:, j], background[:, j])
    good = (unchanged | inside).all(axis=1) & ~unchanged.all(axis=1)
    return np.asarray(good & task.permissions.allow(before, after))
