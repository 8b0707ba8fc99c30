"""Four hospitals teach each other: UCI Heart Disease (Janosi et al., 1989).

Each hospital trains one algorithm on two thirds of its own rows. All are judged on the
held-out rows of all hospitals. What a hospital did not record is left missing (a
cholesterol of 0 means that it was not recorded) and imputed in each member's pipeline.
"""

import warnings

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from benchmarks.formatting import mean_and_error, table
from skcoop import CooperativeDistiller
from skcoop.datasets import fetch_heart_disease

HOSPITALS = ["cleveland", "hungarian", "switzerland", "va"]


def load(data_home):
    """Return the rows of all hospitals, whether they are ill, and whose they are."""
    return fetch_heart_disease(data_home=data_home, return_X_y=True)


def members(seed):
    algorithms = [
        LogisticRegression(max_iter=1000),
        RandomForestClassifier(random_state=seed),
        DecisionTreeClassifier(random_state=seed),
        KNeighborsClassifier(),
    ]
    return [
        (
            hospital,
            make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), model),
        )
        for hospital, model in zip(HOSPITALS, algorithms, strict=True)
    ]


def soft_vote_accuracy(models, X, y):
    """Score what VotingClassifier(voting="soft") makes of fitted models."""
    mean = np.mean([model.predict_proba(X) for model in models], axis=0)
    return (mean.argmax(axis=1) == y).mean()


def split(X, y, seed):
    """Hold out a third of each hospital's healthy and ill patients."""
    groups = X["hospital"] + y.astype(str)
    return train_test_split(X, y, test_size=1 / 3, random_state=seed, stratify=groups)


def one_split(X, y, seed):
    """Return accuracies by member and of the ensembles, for one split."""
    X_train, X_test, y_train, y_test = split(X, y, seed)
    distiller = CooperativeDistiller(
        members(seed), silo_column="hospital", random_state=seed
    ).fit(X_train, y_train)
    X_train, X_test = (part.drop(columns="hospital") for part in (X_train, X_test))
    pooled = [clone(model).fit(X_train, y_train) for _, model in members(seed)]
    alone = distiller.initial_estimators_
    improved = distiller.estimators_
    return {
        "alone": [model.score(X_test, y_test) for model in alone],
        "after": [model.score(X_test, y_test) for model in improved],
        "pooled": [model.score(X_test, y_test) for model in pooled],
        "vote alone": soft_vote_accuracy(alone, X_test, y_test),
        "vote after": soft_vote_accuracy(improved, X_test, y_test),
        "distiller": distiller.score(X_test, y_test),
        "vote pooled": soft_vote_accuracy(pooled, X_test, y_test),
    }


def run(options):
    # Members impute what their hospital never recorded, which scikit-learn remarks on.
    warnings.filterwarnings("ignore", message="Skipping features without")
    X, y = load(options.data_home)
    splits = [one_split(X, y, seed) for seed in range(options.seeds)]
    by = {key: np.array([split[key] for split in splits]) for key in splits[0]}
    lines = []
    for k, (hospital, pipeline) in enumerate(members(0)):
        values = [by[key][:, k] for key in ("alone", "after", "pooled")]
        name = f"{hospital} ({type(pipeline[-1]).__name__})"
        lines.append([name, *map(mean_and_error, values)])
    alone, after, pooled = (
        by[key].mean(axis=1) for key in ("alone", "after", "pooled")
    )
    lines.append(["mean of the members", *map(mean_and_error, (alone, after, pooled))])
    votes = [by[f"vote {key}"] for key in ("alone", "after", "pooled")]
    lines.append(["soft vote of the members", *map(mean_and_error, votes)])
    lines.append(["`CooperativeDistiller`", "", mean_and_error(by["distiller"]), ""])

    closed = (after.mean() - alone.mean()) / (pooled.mean() - alone.mean())
    worst = (by["after"] - by["alone"]).mean(axis=0).min()
    return "\n".join(
        [
            table(["accuracy on all hospitals' held-out rows", *by][:4], lines),
            "",
            f"- The members close {closed:.0%} of the distance between their own rows "
            "and pooled raw rows.",
            f"- The distiller scores {by['distiller'].mean() - pooled.mean():+.3f} "
            "against the mean of the models trained on pooled raw rows, and "
            f"{by['distiller'].mean() - by['vote alone'].mean():+.3f} against the soft "
            "vote of the unimproved members.",
            f"- The member that gained least changed by {worst:+.3f}.",
        ]
    )
