"""The method with one thing changed: parameters, or a step replaced.

Each variant is the distiller's parameters and a context in which it is fitted.
"""

from contextlib import nullcontext
from unittest import mock

import numpy as np

from benchmarks.engines import RandomValues
from benchmarks.silo_rules import NoWitness, believing
from skcoop import CooperativeDistiller
from skcoop._cooperative._plan import Rules
from skcoop._members._scores import standard_error
from skcoop._utils._rounding import ROUNDING
from skcoop.counterfactuals import BatchedDice


def replaced(**steps):
    """Fit by other steps, see :class:`Rules`."""
    return lambda: mock.patch.object(CooperativeDistiller, "_rules", Rules(**steps))


def trust_everybody(task, answers, pairs, taught):
    """Let whoever is right teach whoever is wrong, however often by luck."""
    right = answers == task.codes
    return (taught & ~right)[:, None] & right & pairs[:, :, None]


def nothing_to_rehearse(right, pairs, taught, at_home):
    """Teach only what a student gets wrong, as published."""
    return np.zeros_like(right)


def everything_rehearsed(task, right, pairs, known, shares, seed):
    """Teach every row of others that some teacher has right (no focus)."""
    return known[:, None] & right & pairs[:, :, None]


def confident_teacher(task, qualified, proba, seed):
    """Let the teacher answer that gives most to the true class."""
    best = np.where(qualified, proba, -1.0).argmax(axis=1)
    first = np.arange(qualified.shape[1])[:, None] == best[:, None]
    return qualified & first


def all_teachers(task, qualified, proba, seed):
    """Let every qualified teacher answer for a row, not one of them."""
    return qualified


def gate(margin):
    """Accept a refit whose score rises by more than some standard errors."""

    def is_clear(gained):
        return np.nansum(gained) > margin * standard_error(gained) + ROUNDING

    return replaced(is_clear=is_clear)


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
    "no witness": ({}, replaced(believe=believing(NoWitness))),
    "min_distance=0.5": ({"min_distance": 0.5}, nullcontext),
    "min_distance=1": ({"min_distance": 1.0}, nullcontext),
    "no cross-fitting, with gate": ({}, replaced(held_out=False)),
    "no cross-fitting, no gate": ({"accept": None}, replaced(held_out=False)),
    "whoever is right teaches, trusted or not": (
        {},
        replaced(qualify=trust_everybody),
    ),
    "no rehearsal": (
        {},
        replaced(to_rehearse=nothing_to_rehearse),
    ),
    "no rehearsal, everybody trusted, no gate, as published": (
        {"accept": None},
        replaced(qualify=trust_everybody, to_rehearse=nothing_to_rehearse),
    ),
    "all rows of others are taught (no focus), one round": (
        {"n_rounds": 1},
        replaced(rehearse=everything_rehearsed),
    ),
    "the most confident teacher": ({}, replaced(choose=confident_teacher)),
    "all teachers answer each row": ({}, replaced(choose=all_teachers)),
    "no completion": (
        {},
        replaced(complete=lambda lessons, *home: lessons),
    ),
    "lessons change few columns": ({"counterfactuals": BatchedDice()}, nullcontext),
    "engine: random values in random columns": (
        {"counterfactuals": RandomValues()},
        nullcontext,
    ),
}
