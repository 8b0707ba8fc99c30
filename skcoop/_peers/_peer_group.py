# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""What peers say of rows they did not learn from, and how they learn from each other.

To judge the leader on a fold, everything that teaches it must be made without the fold:
the peers, what they say of the other rows, out of fold, and the rows without a label.
So the peers work in several *views*: one of all rows, and one for each fold, of the
rows outside of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcoop._members._fit_parameters import rows_of, rows_of_each
from skcoop._members._label_translation import count_from_zero
from skcoop._members._member import FittedMember, Member, fit_model
from skcoop._members._soft_targets import fit_soft
from skcoop._tables._frames import own_copy, take
from skcoop._tables._task import Task
from skcoop._utils._errors import named
from skcoop._utils._parallel import delayed, in_parallel


@dataclass
class View:
    """The rows that may be learned from when one fold judges, or all of them.

    Attributes
    ----------
    judges : int or None
        The fold that is left out; None in the view of all rows.
    rows : ndarray of int
        The other rows.
    extra : ndarray, data frame or None
        Rows without a label.
    extra_weights : ndarray of shape (n_extra,)
        Their weights, beside those of the task.
    proba : ndarray of shape (n_peers, n_rows, n_classes)
        What the peers say of `rows`, each by a fold model that saw neither the row's
        fold nor the fold that judges.
    extra_proba : ndarray of shape (n_peers, n_extra, n_classes)
        What they say of `extra`, by fold models that did not see the fold that judges.
    models : list of classifiers
        The peers that were fitted on `rows`, in the view of all rows.
    """

    judges: int | None
    rows: NDArray[np.intp]
    extra: Any
    extra_weights: NDArray[np.float64]
    proba: NDArray[np.float64] = field(init=False)
    extra_proba: NDArray[np.float64] = field(init=False)
    models: list[Any] = field(init=False)


@dataclass(frozen=True)
class _Question:
    """One view asks about one fold of its rows, or about its extra rows (None)."""

    view: int
    fold: int | None


@dataclass
class _FoldModels:
    """A fit of every peer, without some folds, and the questions that it answers."""

    without: frozenset[int]
    questions: list[_Question]
    targets: NDArray[np.float64] | None = None


def fit_peers(
    task: Task, members: Sequence[Member], views: Sequence[View], *, n_jobs: int | None
) -> None:
    """Fit the peers on labels and let them answer in all views.

    A fold model without two folds serves the views of both.
    """
    fold_models: dict[frozenset[int], _FoldModels] = {}
    for question, without in _questions(task, views):
        own = fold_models.setdefault(without, _FoldModels(without, []))
        own.questions.append(question)
    _fit_and_ask(task, members, views, list(fold_models.values()), None, n_jobs)


def teach_peers(
    task: Task,
    members: Sequence[Member],
    views: Sequence[View],
    targets: Sequence[NDArray[np.float64]],
    seed: int,
    *,
    n_jobs: int | None,
) -> None:
    """Fit the peers again, each on its own targets, and let them answer in all views.

    Parameters
    ----------
    task : Task
        The rows.
    members : list of Member
        The peers.
    views : list of View
        Their answers are replaced.
    targets : list of ndarray of shape (n_peers, n_rows, n_classes)
        By view, the targets of its rows.
    seed : int
        Seeds learners that take labels only.
    n_jobs : int or None
        Number of parallel jobs.
    """
    shape = (len(members), len(task.y), len(task.classes))
    spread = []
    for view, own in zip(views, targets, strict=True):
        spread.append(np.zeros(shape))
        spread[-1][:, view.rows] = own
    fold_models = [
        _FoldModels(without, [question], spread[question.view])
        for question, without in _questions(task, views)
    ]
    _fit_and_ask(task, members, views, fold_models, seed, n_jobs)


def _questions(
    task: Task, views: Sequence[View]
) -> list[tuple[_Question, frozenset[int]]]:
    """List what each view asks, and the folds that who answers must not have seen."""
    questions = []
    for number, view in enumerate(views):
        hidden = frozenset() if view.judges is None else frozenset({view.judges})
        questions.append((_Question(number, None), hidden))
        for fold in range(task.n_folds):
            if fold != view.judges:
                questions.append((_Question(number, fold), hidden | {fold}))
    return questions


def _fit_and_ask(
    task: Task,
    members: Sequence[Member],
    views: Sequence[View],
    fold_models: Sequence[_FoldModels],
    seed: int | None,
    n_jobs: int | None,
) -> None:
    def fit(k: int, own: _FoldModels) -> Any:
        return delayed(_fit_one)(
            task,
            members[k],
            own.without,
            None if own.targets is None else own.targets[k],
            [_asked(task, views[q.view], q) for q in own.questions],
            seed,
        )

    jobs = [(k, own) for own in fold_models for k in range(len(members))]
    # The fits on all rows come first: they tell who needs labels that are 0, 1, ...
    n_first = 0 if seed is not None or count_from_zero(task.classes) else len(members)
    results = in_parallel((fit(*job) for job in jobs[:n_first]), n_jobs)
    for member, (model, _) in zip(members, results, strict=False):
        member.learn_from(model)
    results += in_parallel((fit(*job) for job in jobs[n_first:]), n_jobs)
    n_peers, n_classes = len(members), len(task.classes)
    for view in views:
        n_extra = len(view.extra_weights)
        view.proba = np.zeros((n_peers, len(view.rows), n_classes))
        view.extra_proba = np.zeros((n_peers, n_extra, n_classes))
        view.models = []
    for (k, own), (model, answers) in zip(jobs, results, strict=True):
        for question, answer in zip(own.questions, answers, strict=True):
            view = views[question.view]
            if question.fold is not None:
                view.proba[k, task.folds[view.rows] == question.fold] = answer
                continue
            if len(view.extra_weights):
                view.extra_proba[k] = answer
            if view.judges is None:
                # A frozen peer stays the object that it is.
                view.models.append(members[k].estimator if model is None else model)


def _asked(task: Task, view: View, question: _Question) -> Any:
    """Return the rows that a question is about; None where there are none.

    They are a copy: a peer may work in place.
    """
    if question.fold is None:
        return own_copy(view.extra)
    return take(task.X, np.flatnonzero(task.folds == question.fold))


def _fit_one(
    task: Task,
    member: Member,
    without: frozenset[int],
    targets: NDArray[np.float64] | None,
    tables: Sequence[Any],
    seed: int | None,
) -> tuple[Any, list[Any]]:
    """Fit one copy of a peer and let it answer; only the one of all rows is kept."""
    rows = np.flatnonzero(~np.isin(task.folds, list(without)))
    who = f"Peer {member.name!r}"
    if member.frozen:
        model = member.estimator
    else:
        with named(who, f"fitted on {len(rows)} rows"):
            model = _fit(task, member, rows, targets, seed)
    asked = FittedMember(member.name, model, task.classes, who)
    answers = [None if X is None else asked.predict_proba(X) for X in tables]
    return None if without or member.frozen else model, answers


def _fit(
    task: Task,
    member: Member,
    rows: NDArray[np.intp],
    targets: NDArray[np.float64] | None,
    seed: int | None,
) -> Any:
    X = take(task.X, rows)
    if targets is None or seed is None:
        metadata = rows_of_each(member.metadata, rows, len(task.y))
        return fit_model(member, X, task.y[rows], metadata)
    weights = given_weights(task, member, rows) if member.metadata else None
    return fit_soft(
        member.estimator,
        X,
        targets[rows],
        task.classes,
        weights=weights,
        seed=seed,
        translate=member.translates,
    )


def given_weights(
    task: Task, member: Member, rows: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the weights of some rows that a member was handed, else the task's.

    With metadata routing they may be others than those of the distiller.
    """
    for value in member.metadata.values():  # nothing but weights, if anything
        return np.asarray(rows_of(value, rows, len(task.y)), dtype=np.float64)
    return task.weights[rows]


def diversity(
    proba: NDArray[np.float64], sample_weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the mean Euclidean distance of each two peers' probabilities.

    Parameters
    ----------
    proba : ndarray of shape (n_peers, n_samples, n_classes)
        Probabilities of the same rows.
    sample_weight : ndarray of shape (n_samples,)
        Weights of the rows.

    Returns
    -------
    distances : ndarray of shape (n_peers, n_peers)
        From 0 for the same answers to the square root of 2.
    """
    apart = np.linalg.norm(proba[:, None] - proba[None, :], axis=3)
    return np.asarray(apart @ (sample_weight / sample_weight.sum()))
