"""Single tables: all members train on the same rows, so they differ by algorithm only.

The distiller is compared with scikit-learn's own ensembles of the same members, with
the same folds and final estimator.
"""

from time import perf_counter

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.ensemble import (
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from benchmarks.formatting import mean_and_error, table
from skcoop import CooperativeDistiller

TABLES = {
    "breast_cancer": load_breast_cancer,
    "wine": load_wine,
    "digits": load_digits,
}


def members(seed):
    return [
        ("linear", make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))),
        ("forest", RandomForestClassifier(random_state=seed)),
        ("tree", DecisionTreeClassifier(random_state=seed)),
        ("neighbours", make_pipeline(StandardScaler(), KNeighborsClassifier())),
        ("bayes", GaussianNB()),
    ]


def ensembles(seed):
    final = LogisticRegression(max_iter=1000)
    return {
        "soft vote": VotingClassifier(members(seed), voting="soft"),
        "stacking": StackingClassifier(members(seed), final),
        "distiller, soft": CooperativeDistiller(
            members(seed), combine="soft", random_state=seed
        ),
        "distiller": CooperativeDistiller(
            members(seed), combine=final, random_state=seed
        ),
    }


def one_split(X, y, seed):
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=1 / 3, random_state=seed, stratify=y
    )
    result = {}
    for name, ensemble in ensembles(seed).items():
        started = perf_counter()
        ensemble.fit(X_train, y_train)
        result[f"{name} seconds"] = perf_counter() - started
        result[name] = ensemble.score(X_test, y_test)
    before = [m.score(X_test, y_test) for m in ensemble.initial_estimators_]
    after = [m.score(X_test, y_test) for m in ensemble.estimators_]
    return {**result, "members alone": np.mean(before), "members after": np.mean(after)}


def run(options):
    accuracy, differences, times = [], [], []
    for name, loader in TABLES.items():
        X, y = loader(return_X_y=True)
        splits = [one_split(X, y, seed) for seed in range(options.seeds)]
        by = {key: np.array([split[key] for split in splits]) for key in splits[0]}
        kinds = ["members alone", "members after", *ensembles(0)]
        accuracy.append([name, *(mean_and_error(by[kind]) for kind in kinds)])
        differences.append(
            [
                name,
                mean_and_error(by["distiller"] - by["soft vote"]),
                mean_and_error(by["distiller, soft"] - by["soft vote"]),
                mean_and_error(by["distiller"] - by["stacking"]),
            ]
        )
        seconds = [by[f"{kind} seconds"].mean() for kind in ensembles(0)]
        times.append([name, *(f"{value:.2f}" for value in seconds)])
    return "\n\n".join(
        [
            table(["accuracy", *kinds], accuracy),
            table(
                [
                    "paired difference",
                    "distiller - soft vote",
                    "distiller, soft - soft vote",
                    "distiller - stacking",
                ],
                differences,
            ),
            table(["seconds to fit", *ensembles(0)], times),
        ]
    )
