"""Which lesson teaches best: the students' gain for other virtual instances.

One round without a gate shows what lessons are worth by themselves; the teachers, the
rows and the members are the same for all. Three tables are split into silos, three are
shared by all members.
"""

import warnings
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from benchmarks import keel, single_tables
from benchmarks.engines import (
    MostOfTheWay,
    RandomValues,
    RawRow,
    SingleChange,
    unchecked,
)
from benchmarks.formatting import mean_and_error, table
from benchmarks.splits import side_by_side
from skcoop import CooperativeDistiller
from skcoop.counterfactuals import BatchedDice
from skcoop.datasets import fetch_heart_disease

PICTURE = Path(__file__).parent.parent / "docs" / "images" / "lesson_value.svg"
ALGORITHMS = [
    LogisticRegression(max_iter=1000),
    RandomForestClassifier(),
    DecisionTreeClassifier(),
    KNeighborsClassifier(),
]


def pipelines():
    return [make_pipeline(single_tables.scaled(), model) for model in ALGORITHMS]


def four_hospitals(data_home, seed):
    """Silos: the hospital (UCI Heart Disease)."""
    X, y = fetch_heart_disease(data_home=data_home, return_X_y=True)
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
    """One table for all members (breast cancer)."""
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    return X, y.to_numpy(), None


def vehicle(data_home, seed):
    """One table for all members, four classes."""
    return *keel.read("vehicle", data_home), None


def phoneme(data_home, seed):
    """One table for all members, 1200 of its rows."""
    X, y = keel.read("phoneme", data_home)
    return *single_tables.sample(X, y, seed, 1200), None


TABLES = [four_hospitals, credit_by_age, digits_lacking, cancer, vehicle, phoneme]


ALPHAS = (0.2, 0.5, 0.8, 0.95)
ENGINE, STRAIGHT = BatchedDice(), BatchedDice(sparse=False)
# What replaces the engine, how far it goes, and what is changed around it.
VARIANTS = {
    "the row itself": (RawRow(), 0.5, unchecked),
    "random values in random columns": (RandomValues(), 0.5, nullcontext),
    "smallest change of one column": (SingleChange(), 0.5, nullcontext),
    "most of the way": (MostOfTheWay(), 0.5, nullcontext),
    **{f"straight line, alpha={a}": (STRAIGHT, a, nullcontext) for a in ALPHAS},
    **{f"few columns, alpha={a}": (ENGINE, a, nullcontext) for a in ALPHAS},
}
GATED = [
    "random values in random columns",
    "straight line, alpha=0.5",
    "few columns, alpha=0.5",
    "few columns, alpha=0.8",
]


def one_split(load, options, seed):
    """Return the members' mean gain and the number of lessons, by variant."""
    warnings.simplefilter("ignore")
    X, y, silos = load(options.data_home, seed)
    strata = y.astype(str)
    if silos is not None:
        strata = np.char.add(strata, silos.astype(str))
    train, test = train_test_split(
        np.arange(len(y)), test_size=1 / 3, random_state=seed, stratify=strata
    )
    names = ["a", "b", "c", "d"] if silos is None else np.unique(silos)
    owners = None if silos is None else silos[train]
    results = {}
    for accept, variants in ((None, VARIANTS), ("all", GATED)):
        for variant in variants:
            engine, alpha, context = VARIANTS[variant]
            distiller = CooperativeDistiller(
                list(zip(names, pipelines(), strict=True)),
                counterfactuals=engine,
                alpha=alpha,
                n_rounds=1,
                accept=accept,
                combine="soft",
                random_state=seed,
            )
            with context():
                distiller.fit(X.iloc[train], y[train], silos=owners)
            alone, after = (
                np.mean([m.score(X.iloc[test], y[test]) for m in members])
                for members in (distiller.initial_estimators_, distiller.estimators_)
            )
            results[accept, variant] = (after - alone, len(distiller.lessons_))
    return results


def run(options):
    jobs = [(load, options, seed) for load in TABLES for seed in range(options.seeds)]
    splits = side_by_side(one_split, jobs, options)
    parts = [
        splits[k : k + options.seeds] for k in range(0, len(splits), options.seeds)
    ]
    keys = list(splits[0])
    gains = {
        key: np.array([[split[key][0] for split in part] for part in parts])
        for key in keys
    }
    counts = {
        key: np.array([[split[key][1] for split in part] for part in parts])
        for key in keys
    }
    texts = []
    reference = "few columns, alpha=0.5"
    for accept, title in ((None, "Without a gate"), ("all", "With the gate")):
        lines = []
        for key in keys:
            if key[0] != accept:
                continue
            own = gains[key]
            against = (own - gains[accept, reference]).mean(axis=0)
            lines.append(
                [
                    key[1],
                    *map(mean_and_error, own),
                    mean_and_error(own.mean(axis=0)),
                    "" if key[1] == reference else mean_and_error(against),
                    f"{counts[key].mean():.0f}",
                ]
            )
        heads = ["lesson", *(load.__name__ for load in TABLES), "mean"]
        heads += [f"against {reference}", "lessons"]
        texts += [f"## {title}, one round", "", table(heads, lines), ""]
    text = "\n".join(
        [
            "The members' mean gain of accuracy on held-out rows, mean ± standard "
            "error over the seeds. Tables:",
            "",
            *(f"- `{load.__name__}`: {load.__doc__}" for load in TABLES),
            "",
            *texts,
        ]
    )
    if options.save:
        draw(text)
    return text


def draw(text):
    """Save a picture of the gains on the tables with silos, from the results."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "skcoop"  # the same picture for the same figures
    figure, axes = plt.subplots(1, 3, figsize=(9, 4), sharey=True)
    ungated = text.split("## ")[1]
    lines = [
        line.strip("| ").split(" | ") for line in ungated.splitlines() if "±" in line
    ]
    names = [line[0] for line in lines]
    places = np.arange(len(lines))[::-1]
    for column, ax in enumerate(axes, start=1):
        for place, line in zip(places, lines, strict=True):
            gain, error = (100 * float(part) for part in line[column].split(" ± "))
            ours = line[0].startswith("few")
            ax.errorbar(
                gain,
                place,
                xerr=error,
                fmt="o" if ours else "s",
                color="#0072B2" if ours else "#767676",
                capsize=3,
            )
        ax.set_title(TABLES[column - 1].__name__.replace("_", " "))
        ax.set_xlabel("mean gain, points")
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_yticks(places, names)
    figure.tight_layout()
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, metadata={"Date": None})
    plt.close(figure)
