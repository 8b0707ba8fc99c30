"""Which lesson teaches best: the students' gain for other virtual instances.

One round without a gate shows what lessons are worth by themselves; the teachers, the
rows and the members are the same for all. Three tables are split into silos, three are
shared by all members.
"""

import warnings
from contextlib import contextmanager, nullcontext
from unittest import mock

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from benchmarks import hospitals, keel
from benchmarks.formatting import mean_and_error, table
from skcoop import CooperativeDistiller
from skcoop._frames import TableCodec, stack
from skcoop.counterfactuals import BatchedDice, Counterfactuals

ALGORITHMS = [
    LogisticRegression(max_iter=1000),
    RandomForestClassifier(),
    DecisionTreeClassifier(),
    KNeighborsClassifier(),
]


def pipelines():
    strings = make_column_selector(dtype_include=["object", "str"])
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    encoder = make_column_transformer((one_hot, strings), remainder=numbers)
    return [make_pipeline(encoder, algorithm) for algorithm in ALGORITHMS]


def four_hospitals(data_home, seed):
    """Silos: the hospital (UCI Heart Disease)."""
    X, y = hospitals.load(data_home)
    return X.drop(columns="hospital"), y.to_numpy(), X["hospital"].to_numpy()


def credit_by_age(data_home, seed):
    """Silos: quarters of the customers by age (German credit)."""
    X, y = keel.read("german", data_home)
    age = X["german_12"].to_numpy()
    quarter = np.searchsorted(np.quantile(age, [0.25, 0.5, 0.75]), age)
    return X, y, np.array([f"quarter {q}" for q in quarter])


def digits_lacking(data_home, seed):
    """Silos: four quarters at random, each without two or three of the ten digits."""
    X, y = load_digits(return_X_y=True, as_frame=True)
    y = y.to_numpy()
    draw = np.random.default_rng(seed)
    owner = draw.integers(4, size=len(y))
    lacking = draw.permutation(10) % 4
    moved = owner == lacking[y]
    owner[moved] = (owner[moved] + draw.integers(1, 4, size=moved.sum())) % 4
    return X, y, np.array([f"part {k}" for k in owner])


def cancer(data_home, seed):
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    return X, y.to_numpy(), None


def vehicle(data_home, seed):
    return *keel.read("vehicle", data_home), None


def phoneme(data_home, seed):
    X, y = keel.read("phoneme", data_home)
    rows = np.random.default_rng(seed).permutation(len(y))[:1200]
    return X.iloc[rows].reset_index(drop=True), y[rows], None


TABLES = [four_hospitals, credit_by_age, digits_lacking, cancer, vehicle, phoneme]


class _Plain(BaseEstimator):
    """A search that is here for comparison only; subclasses say where to go."""

    def generate(self, teacher, X, y, *, background, alpha=0.5, random_state=None):
        codec = TableCodec(stack(background, X))
        Q, donors = codec.encode(X), codec.encode(background)
        draw = np.random.default_rng(random_state)
        classes = list(teacher.classes_)
        known = np.array([c in classes for c in y])
        codes = np.array([classes.index(c) if c in classes else 0 for c in y])

        def ask(Z, rows):
            proba = teacher.predict_proba(codec.decode(Z))[
                np.arange(len(Z)), codes[rows]
            ]
            return proba

        before = ask(Q, np.arange(len(Q)))
        target = before + alpha * (1 - before)
        found, valid = self.look(ask, Q, donors, target - 1e-9, draw)
        valid &= known
        found = np.where(valid[:, None], found, Q)
        return Counterfactuals(codec.decode(found), valid, before, before, 0, 0.0, None)


class RawRow(_Plain):
    """The row itself."""

    def look(self, ask, Q, donors, target, draw):
        return Q.copy(), np.ones(len(Q), dtype=bool)


class RandomValues(_Plain):
    """Values of random rows in random columns, one more at a time, as in DiCE."""

    tries = 64

    def look(self, ask, Q, donors, target, draw):
        found, valid = Q.copy(), np.zeros(len(Q), dtype=bool)
        for n_columns in (1, 2, 3, 4, 6, 8):
            rows = np.repeat(np.flatnonzero(~valid), self.tries)
            if not len(rows):
                break
            Z, d = Q[rows], Q.shape[1]
            columns = draw.random(Z.shape).argsort(axis=1)[:, : min(n_columns, d)]
            places = draw.integers(len(donors), size=columns.shape)
            values = donors[places, columns]
            own = np.take_along_axis(Z, columns, axis=1)
            values = np.where(np.isnan(values), own, values)
            np.put_along_axis(Z, columns, values, axis=1)
            good = (ask(Z, rows) >= target[rows]).reshape(-1, self.tries)
            good &= (Z != Q[rows]).any(axis=1).reshape(good.shape)
            some = np.flatnonzero(good.any(axis=1))
            place = some * self.tries + good[some].argmax(axis=1)
            found[rows[place]], valid[rows[place]] = Z[place], True
        return found, valid


class SingleChange(_Plain):
    """The smallest change of one column among 64 random ones."""

    def look(self, ask, Q, donors, target, draw):
        found, valid = Q.copy(), np.zeros(len(Q), dtype=bool)
        span = np.nanmax(donors, axis=0) - np.nanmin(donors, axis=0)
        rows = np.repeat(np.arange(len(Q)), 64)
        column = draw.integers(Q.shape[1], size=len(rows))
        value = donors[draw.integers(len(donors), size=len(rows)), column]
        Z, at = Q[rows], np.arange(len(rows))
        Z[at, column] = np.where(np.isnan(value), Z[at, column], value)
        with np.errstate(invalid="ignore", divide="ignore"):
            cost = np.abs(Z[at, column] - Q[rows, column]) / span[column]
        good = (ask(Z, rows) >= target[rows]) & (cost != 0)
        cost = np.where(good, np.nan_to_num(cost, nan=1.0), np.inf).reshape(-1, 64)
        valid = np.isfinite(cost.min(axis=1))
        best = np.arange(len(Q)) * 64 + cost.argmin(axis=1)
        return np.where(valid[:, None], Z[best], found), valid


class MostOfTheWay(_Plain):
    """Nine tenths of the way to the nearest row that reaches the target."""

    def look(self, ask, Q, donors, target, draw):
        found, valid = Q.copy(), np.zeros(len(Q), dtype=bool)
        low, high = np.nanmin(donors, axis=0), np.nanmax(donors, axis=0)
        span = np.where(high > low, high - low, 1.0)
        for i in range(len(Q)):
            proba = ask(donors, np.full(len(donors), i))
            good = np.flatnonzero((proba >= target[i]) & (donors != Q[i]).any(axis=1))
            if len(good):
                steps = np.abs((donors[good] - Q[i]) / span)
                end = donors[good[np.nan_to_num(steps, nan=1.0).sum(axis=1).argmin()]]
                Z = Q[i] + 0.9 * (end - Q[i])
                found[i] = np.where(np.isnan(Z), Q[i], Z)
                valid[i] = (found[i] != Q[i]).any()
        return found, valid


@contextmanager
def unchecked():
    """Let an untouched row pass for a lesson."""
    from skcoop import _lessons, _teaching

    def believe(task, teacher, rows, Z, found, background, alpha):
        nothing = np.full(len(rows), np.nan)
        return found, nothing, nothing

    def never(task, member, Z):
        return np.zeros(len(Z), dtype=bool)

    with (
        mock.patch.object(_teaching, "recheck", believe),
        mock.patch.object(_lessons, "_repeats_a_row", never),
    ):
        yield


VARIANTS = {
    "the row itself": (RawRow(), 0.5),
    "random values": (RandomValues(), 0.5),
    "one change": (SingleChange(), 0.5),
    "most of the way": (MostOfTheWay(), 0.5),
    **{
        f"{name}, alpha={alpha}": (engine, alpha)
        for name, engine in {
            "line": BatchedDice(),
            "few columns": BatchedDice(sparse="end"),
        }.items()
        for alpha in (0.2, 0.5, 0.8, 0.95)
    },
    "line, then few columns": (BatchedDice(sparse=True), 0.5),
}


def one_split(load, data_home, seed, gated):
    warnings.simplefilter("ignore")
    X, y, silos = load(data_home, seed)
    strata = (
        y.astype(str)
        if silos is None
        else np.char.add(silos.astype(str), y.astype(str))
    )
    train, test = train_test_split(
        np.arange(len(y)), test_size=1 / 3, random_state=seed, stratify=strata
    )
    names = ["a", "b", "c", "d"] if silos is None else np.unique(silos)
    gains = {}
    for variant, (engine, alpha) in VARIANTS.items():
        raw = unchecked() if isinstance(engine, RawRow) else nullcontext()
        method = {} if gated else {"n_rounds": 1, "accept": None}
        with raw:
            distiller = CooperativeDistiller(
                list(zip(names, pipelines(), strict=True)),
                counterfactuals=engine,
                alpha=alpha,
                combine="soft",
                random_state=seed,
                **method,
            ).fit(
                X.iloc[train], y[train], silos=None if silos is None else silos[train]
            )
        before = [m.score(X.iloc[test], y[test]) for m in distiller.initial_estimators_]
        after = [m.score(X.iloc[test], y[test]) for m in distiller.estimators_]
        lessons = distiller.lessons_["kept"].sum()
        gains[variant] = (
            np.mean(before),
            np.mean(after) - np.mean(before),
            lessons,
            distiller.score(X.iloc[test], y[test]),
        )
    return gains


def run(options, gated=False):
    seeds = range(options.seeds)
    jobs = [
        delayed(one_split)(load, options.data_home, seed, gated)
        for load in TABLES
        for seed in seeds
    ]
    res = Parallel(n_jobs=2)(jobs)
    lines = []
    for k, variant in enumerate(VARIANTS):
        cells = []
        for t in range(len(TABLES)):
            part = res[t * len(seeds) : (t + 1) * len(seeds)]
            cells.append(np.array([p[variant] for p in part]))
        g = np.array([c[:, 1] for c in cells])
        lines.append(
            [
                variant,
                *(mean_and_error(c[:, 1]) for c in cells),
                mean_and_error(g.mean(0)),
                *(f"{c[:, 3].mean():.3f}" for c in cells),
                " ".join(f"{c[:, 2].mean():.0f}" for c in cells),
            ]
        )
    return table(
        [
            "",
            *(t.__name__ for t in TABLES),
            "mean",
            *(t.__name__ for t in TABLES),
            "lessons",
        ],
        lines,
    )
