"""The method with one thing changed: parameters, or a step replaced.

Each variant is the distiller's parameters and a context in which it is fitted.
"""

from contextlib import contextmanager, nullcontext
from unittest import mock

import numpy as np

from benchmarks.engines import RandomValues
from benchmarks.silo_rules import credible_alone
from skcoop._cooperative import _distiller, _fitting, _gate, _lessons
from skcoop._members._member import FittedMember
from skcoop._members._scores import standard_error
from skcoop._utils._rounding import ROUNDING
from skcoop.counterfactuals import BatchedDice


def replaced(module, **steps):
    return lambda: mock.patch.multiple(module, **steps)


def trust_everybody(task, answers, pairs, taught):
    """Let whoever is right teach whoever is wrong, however often by luck."""
    right = answers == task.codes
    return (taught & ~right)[:, None] & right & pairs[:, :, None]


def nothing_rehearsed(task, members, deficiencies, *args):
    """Teach only what a student gets wrong, as published."""
    return np.zeros_like(deficiencies)


def everything_rehearsed(task, members, deficiencies, answers, pairs, taught, seed):
    """Teach every row of others that some teacher has right (no focus)."""
    right = answers == task.codes
    known = (taught & right)[:, None] & right & pairs[:, :, None]
    for k, member in enumerate(members):
        known[k][:, member.rows] = False
    return known


@contextmanager
def confident_teachers():
    """Let the teacher answer that gives most to the true class."""
    seen = {}
    cross_fit, decide = _distiller.cross_fit, _gate.Gate.decide

    def catch(task, *args, **kwargs):
        seen["judgements"] = cross_fit(task, *args, **kwargs)
        return seen["judgements"]

    def follow(*args, **kwargs):
        verdicts = decide(*args, **kwargs)
        for k, verdict in verdicts.items():
            seen["judgements"][k] = verdict.judgement
        return verdicts

    def choose(task, qualified, *, max_lessons, seed):
        rows = np.arange(len(task.y))
        proba = np.array([j.proba[rows, task.codes] for j in seen["judgements"]])
        best = np.where(qualified, proba, -1.0).argmax(axis=1)
        return np.where(qualified.any(axis=1), best, -1)

    steps = {"cross_fit": catch, "choose_teachers": choose}
    with (
        mock.patch.multiple(_distiller, **steps),
        mock.patch.object(_gate.Gate, "decide", follow),
    ):
        yield


@contextmanager
def all_teachers():
    """Let every qualified teacher answer for a row, not one of them."""
    seen = {}
    ask, translate = _distiller.ask_teachers, _distiller.translate

    def choose(task, qualified, *, max_lessons, seed):
        rank = np.where(qualified, qualified.cumsum(axis=1), 0)
        seen["layers"] = [
            np.where((rank == r).any(axis=1), (rank == r).argmax(axis=1), -1)
            for r in range(1, rank.max(initial=1) + 1)
        ]
        return seen["layers"][0]

    def ask_all(task, members, fold_models, chosen, *args, **kwargs):
        seen["answers"] = [
            ask(task, members, fold_models, layer, *args, **kwargs)
            for layer in seen["layers"]
        ]
        return seen["answers"][0]

    def translate_all(task, members, chosen, answers, *rest):
        proposed = {}
        for layer, own in zip(seen["layers"], seen["answers"], strict=True):
            new = translate(task, members, layer, own, *rest)
            for k, lessons in new.items():
                proposed[k] = proposed[k] + lessons if k in proposed else lessons
        return proposed

    steps = {"choose_teachers": choose, "ask_teachers": ask_all}
    with mock.patch.multiple(_distiller, **steps, translate=translate_all):
        yield


@contextmanager
def no_cross_fitting():
    """Let models judge and teach rows that they were trained on, as published."""

    def fit_and_answer(task, members, candidates, *, forgive, n_jobs):
        judgements = []
        for k, lessons in candidates:
            model = _fitting._fit(task, members[k], lessons)
            copy = FittedMember(members[k].name, model, task.classes)
            proba = copy.predict_proba(task.X)
            judgements.append(_fitting.Judgement([copy] * task.n_folds, proba))
        return judgements

    with (
        mock.patch.object(_distiller, "cross_fit", fit_and_answer),
        mock.patch.object(_gate, "cross_fit", fit_and_answer),
    ):
        yield


def gate(margin):
    """Accept a refit whose score rises by more than some standard errors."""

    def is_clear(gained):
        return np.nansum(gained) > margin * standard_error(gained) + ROUNDING

    return replaced(_gate, _is_clear=is_clear)


VARIANTS = {
    "default": ({}, nullcontext),
    "alpha=0.2": ({"alpha": 0.2}, nullcontext),
    "alpha=0.8": ({"alpha": 0.8}, nullcontext),
    "alpha=0.95": ({"alpha": 0.95}, nullcontext),
    "one round": ({"n_rounds": 1}, nullcontext),
    "six rounds": ({"n_rounds": 6}, nullcontext),
    "no gate, one round": ({"accept": None}, nullcontext),
    "gate: any gain": ({}, gate(0)),
    "gate: two standard errors": ({}, gate(2)),
    "gate: accuracy, not balanced": ({"scoring": "accuracy"}, nullcontext),
    "gate: Brier score": ({"scoring": "neg_brier_score"}, nullcontext),
    "gate: log loss": ({"scoring": "neg_log_loss"}, nullcontext),
    "judged by own rows": ({"accept": "own"}, nullcontext),
    "gate: clear without any silo, too": ({"accept": "robust"}, nullcontext),
    "no witness": ({}, credible_alone),
    "min_distance=0.5": ({"min_distance": 0.5}, nullcontext),
    "min_distance=1": ({"min_distance": 1.0}, nullcontext),
    "no cross-fitting, with gate": ({}, no_cross_fitting),
    "no cross-fitting, no gate": ({"accept": None}, no_cross_fitting),
    "whoever is right teaches, trusted or not": (
        {},
        replaced(_distiller, qualified_teachers=trust_everybody),
    ),
    "no rehearsal": (
        {},
        replaced(_distiller, rehearsed_rows=nothing_rehearsed),
    ),
    "no rehearsal, everybody trusted, no gate, as published": (
        {"accept": None},
        replaced(
            _distiller,
            qualified_teachers=trust_everybody,
            rehearsed_rows=nothing_rehearsed,
        ),
    ),
    "all rows of others are taught (no focus), one round": (
        {"n_rounds": 1},
        replaced(_distiller, rehearsed_rows=everything_rehearsed),
    ),
    "the most confident teacher": ({}, confident_teachers),
    "all teachers answer each row": ({}, all_teachers),
    "no completion": (
        {},
        replaced(_lessons, complete=lambda lessons, *home: lessons),
    ),
    "lessons change few columns": ({"counterfactuals": BatchedDice()}, nullcontext),
    "engine: random values in random columns": (
        {"counterfactuals": RandomValues()},
        nullcontext,
    ),
}
