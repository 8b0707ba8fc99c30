"""What each choice in the method is worth, on the four hospitals.

Every line changes one thing in the default distiller. Where the choice is no parameter,
the step is replaced.
"""

import warnings
from contextlib import contextmanager
from unittest import mock

import numpy as np

from benchmarks.formatting import mean_and_error, table
from benchmarks.hospitals import load, members, soft_vote_accuracy, split
from benchmarks.lessons import all_columns
from skcoop import CooperativeDistiller


def ask_the_most_confident(task, qualified, *, max_lessons, seed, judgements):
    """Choose the teacher that gives most to the true class."""
    rows = np.arange(len(task.y))
    proba = np.array([judgement.proba[rows, task.codes] for judgement in judgements])
    best = np.where(qualified, proba, -1.0).argmax(axis=1)
    return np.where(qualified.any(axis=1), best, -1)


def teach_every_row(right, students, teachers):
    """Let whoever is right teach everybody else, right or wrong."""
    pairs = ~np.eye(len(right), dtype=bool)[:, :, None]
    return pairs & students[:, None, None] & (right & teachers[:, None])[None]


@contextmanager
def confident_teachers():
    """Replace the draw; the judgements it needs are caught where they are made."""
    seen = {}
    from skcoop import _distiller

    cross_fit, decide = _distiller.cross_fit, _distiller.decide

    def catch(*args, **kwargs):
        seen["judgements"] = cross_fit(*args, **kwargs)
        return seen["judgements"]

    def follow(*args, **kwargs):
        verdicts = decide(*args, **kwargs)
        for k, verdict in verdicts.items():
            seen["judgements"][k] = verdict.judgement
        return verdicts

    def choose(task, qualified, *, max_lessons, seed):
        return ask_the_most_confident(
            task, qualified, max_lessons=max_lessons, seed=seed, **seen
        )

    with (
        mock.patch.object(_distiller, "cross_fit", catch),
        mock.patch.object(_distiller, "decide", follow),
        mock.patch.object(_distiller, "choose_teachers", choose),
    ):
        yield


def replaced(name, function):
    return lambda: mock.patch(name, function)


@contextmanager
def nothing_replaced():
    yield


VARIANTS = {
    "default": ({}, nothing_replaced),
    "alpha=0.2": ({"alpha": 0.2}, nothing_replaced),
    "alpha=0.5, as published": ({"alpha": 0.5}, nothing_replaced),
    "one round": ({"n_rounds": 1}, nothing_replaced),
    "no gate (accept=None, one round, as published)": (
        {"accept": None},
        nothing_replaced,
    ),
    'judged by own rows (accept="own")': ({"accept": "own"}, nothing_replaced),
    "lessons change all columns": ({}, all_columns),
    "the most confident teacher": ({}, confident_teachers),
    "no completion": (
        {},
        replaced("skcoop._lessons.complete", lambda lessons, own, metric: lessons),
    ),
    "every row is taught, one round": (
        {"n_rounds": 1},
        replaced("skcoop._distiller.qualified_teachers", teach_every_row),
    ),
}


def one_split(X, y, seed, params):
    X_train, X_test, y_train, y_test = split(X, y, seed)
    distiller = CooperativeDistiller(
        members(seed), silo_column="hospital", random_state=seed, **params
    ).fit(X_train, y_train)
    X_test = X_test.drop(columns="hospital")
    alone = np.array([m.score(X_test, y_test) for m in distiller.initial_estimators_])
    after = np.array([m.score(X_test, y_test) for m in distiller.estimators_])
    return [
        after.mean() - alone.mean(),
        (after - alone).min(),
        soft_vote_accuracy(distiller.estimators_, X_test, y_test),
        distiller.score(X_test, y_test),
        distiller.lessons_["kept"].sum(),
    ]


def run(options):
    warnings.filterwarnings("ignore", message="Skipping features without")
    X, y = load(options.data_home)
    lines = []
    for name, (params, replacement) in VARIANTS.items():
        with replacement():
            splits = np.array(
                [one_split(X, y, seed, params) for seed in range(options.seeds)]
            )
        *scores, lessons = splits.T
        lines.append([name, *map(mean_and_error, scores), f"{lessons.mean():.0f}"])
    return table(
        [
            "",
            "members' mean gain",
            "least gain of a member",
            "soft vote",
            "distiller",
            "lessons kept",
        ],
        lines,
    )
