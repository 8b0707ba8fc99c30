# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""The leader learns from labels and from the group, and must prove that it helped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcoop._members._member import FittedMember, Member, fit_model
from skcoop._members._predictions import positions_of, top_class
from skcoop._members._soft_targets import fit_soft
from skcoop._peers._attention import Attention
from skcoop._peers._peer_group import View, given_weights
from skcoop._tables._frames import stack, take
from skcoop._tables._task import Task
from skcoop._utils._errors import describe, named
from skcoop._utils._parallel import delayed, in_parallel
from skcoop._utils._rounding import ROUNDING

# Share of the label in the leader's target. Half, as in the paper's loss, was worse
# for trees, most of all under label noise, and equal for the others.
_SHARE_OF_LABEL = 0.25
# Least probability that a log loss reckons with: one row must not decide alone.
_FLOOR = 1e-3


@dataclass
class Verdict:
    """Which leader is used, and why.

    Attributes
    ----------
    model : classifier
        The fitted leader.
    taught : bool
        Whether it learned from the group.
    before, after : tuple of float
        Out-of-fold accuracy and log loss, alone and taught; NaN where nobody asked.
    failure : str
        What the leader raised when it was taught, if it did.
    """

    model: Any
    taught: bool
    before: tuple[float, float]
    after: tuple[float, float]
    failure: str = ""


def score(
    task: Task, proba: NDArray[np.float64], *, probabilities: bool = True
) -> tuple[float, float]:
    """Return weighted accuracy and log loss of out-of-fold answers.

    Votes have no log loss.
    """
    losses = _log_losses(task, proba)
    accuracy = np.average(top_class(proba) == task.codes, weights=task.weights)
    if not probabilities:
        return float(accuracy), float("nan")
    return float(accuracy), float(np.average(losses, weights=task.weights))


def _log_losses(task: Task, proba: NDArray[np.float64]) -> NDArray[np.float64]:
    right = proba[np.arange(len(proba)), task.codes]
    return np.asarray(-np.log((right + _FLOOR) / (1 + proba.shape[1] * _FLOOR)))


def decide(
    task: Task,
    leader: Member,
    views: Sequence[View],
    attentions: Sequence[Attention],
    accept: str | None,
    seed: int,
    *,
    n_jobs: int | None,
) -> Verdict:
    """Teach the leader, and keep what it learned if that made it no worse.

    Each fold is judged by two leaders that were fitted without it, one of them taught
    in the view of the fold. The taught one is kept if its log loss is smaller and its
    accuracy not clearly worse.

    Parameters
    ----------
    task : Task
        The rows.
    leader : Member
        The leader.
    views : list of View
        The view of all rows and, if somebody judges, those of all folds.
    attentions : list of Attention
        What was learned in each.
    accept : {"improves"} or None
        None keeps the taught leader unseen.
    seed : int
        Seeds leaders that take labels only.
    n_jobs : int or None
        Number of parallel jobs.

    Returns
    -------
    verdict : Verdict
        The leader.
    """
    pairs = list(zip(views, attentions, strict=True))
    unknown = (float("nan"), float("nan"))
    if accept is None:
        return Verdict(_teach(task, leader, *pairs[0], seed), True, unknown, unknown)
    alone, before = _fit_all(_fit_alone, task, leader, pairs, seed, n_jobs)
    leader.learn_from(alone)
    probabilities = hasattr(alone, "predict_proba")
    scores = score(task, before, probabilities=probabilities)
    verdict = Verdict(alone, False, scores, unknown)
    try:
        taught, after = _fit_all(_teach, task, leader, pairs, seed, n_jobs)
    except Exception as error:  # the leader is the user's: it stays what it was
        verdict.failure = describe(error)
        return verdict
    verdict.after = score(task, after, probabilities=probabilities)
    known = positions_of(getattr(taught, "classes_", task.classes), task.classes)
    knows_all = len(set(known) - {-1}) == len(task.classes)
    if knows_all and _no_worse(task, before, after, probabilities=probabilities):
        verdict.model, verdict.taught = taught, True
    return verdict


def _no_worse(
    task: Task,
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    *,
    probabilities: bool,
) -> bool:
    """Tell whether the log loss fell and the accuracy did not clearly fall.

    Accuracy changes with a few rows near the border: what it loses must not be more
    than its standard error, estimated from the folds' gains g as the root of sum(g^2).
    Without probabilities, it must not lose anything.
    """
    was, became = (top_class(proba) == task.codes for proba in (before, after))
    gains = np.bincount(task.folds, task.weights * (1.0 * became - was), task.n_folds)
    rounding = ROUNDING * task.weights.sum()
    if not probabilities:
        return bool(gains.sum() >= -rounding)
    saved = _log_losses(task, before) - _log_losses(task, after)
    error = np.sqrt((gains**2).sum())
    return bool(saved @ task.weights > rounding and gains.sum() >= -error - rounding)


def _fit_all(
    fit: Any,
    task: Task,
    leader: Member,
    pairs: Sequence[tuple[View, Attention]],
    seed: int,
    n_jobs: int | None,
) -> tuple[Any, NDArray[np.float64]]:
    """Fit the leader in all views: the model of all rows, and each fold's answers."""
    calls = (
        delayed(_fit_and_answer)(fit, task, leader, view, attention, seed)
        for view, attention in pairs
    )
    results = in_parallel(calls, n_jobs)
    model, proba = None, np.zeros((len(task.y), len(task.classes)))
    for (view, _), result in zip(pairs, results, strict=True):
        if view.judges is None:
            model = result
        else:
            proba[task.folds == view.judges] = result
    return model, proba


def _fit_and_answer(
    fit: Any, task: Task, leader: Member, view: View, attention: Attention, seed: int
) -> Any:
    """Return the model in the view of all rows, else answers for the judging fold."""
    with named("The leader", f"fitted on {len(view.rows)} labelled rows"):
        model = fit(task, leader, view, attention, seed)
    if view.judges is None:
        return model
    judge = np.flatnonzero(task.folds == view.judges)
    asked = FittedMember(leader.name, model, task.classes, "The leader")
    return asked.predict_proba(take(task.X, judge))


def _fit_alone(
    task: Task, leader: Member, view: View, attention: Attention, seed: int
) -> Any:
    """Fit the leader on labels."""
    weights = given_weights(task, leader, view.rows)
    metadata = dict.fromkeys(leader.metadata, weights)
    return fit_model(leader, take(task.X, view.rows), task.y[view.rows], metadata)


def _teach(
    task: Task, leader: Member, view: View, attention: Attention, seed: int
) -> Any:
    """Fit the leader on labels and on what the group says."""
    X, weights = take(task.X, view.rows), given_weights(task, leader, view.rows)
    labels = np.eye(len(task.classes))[task.codes[view.rows]]
    group = attention.group(view.proba)
    targets = _SHARE_OF_LABEL * labels + (1 - _SHARE_OF_LABEL) * group
    if len(view.extra_weights):
        X = stack(X, view.extra)
        targets = np.vstack([targets, attention.group(view.extra_proba)])
        scale = weights.sum() / task.weights[view.rows].sum()
        weights = np.concatenate([weights, view.extra_weights * scale])
    if not leader.metadata:
        # A leader that was not given the rows' weights still weighs extra rows less.
        own = len(view.rows)
        weights = weights * own / weights[:own].sum()
        weights[:own] = 1.0
    return fit_soft(
        leader.estimator,
        X,
        targets,
        task.classes,
        weights=weights,
        seed=seed,
        translate=leader.translates,
    )
