"""Time and memory against the number of rows, beside stacking and voting.

Tables of 30 columns from scikit-learn's generator, a tenth of the labels wrong;
logistic regression, histogram gradient boosting and a decision tree, all on the same
rows, with the distiller's defaults. Each figure comes from a process of its own; memory
is what it needed at its peak beyond the table, and predicting the shortest of five
times. Up to 10,000 rows, medians of three tables. *Cooperation* is the distiller's time
less the time of a distiller that teaches nothing; *of it refits* is what the members'
own ``fit`` takes of that. At the end, 50 silos with 400 rows each, a member of one of
three quick kinds in each.
"""

import json
import subprocess
import sys
import timeit
import warnings
from pathlib import Path
from time import perf_counter

import numpy as np
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from benchmarks import figures
from benchmarks.formatting import table
from benchmarks.splits import kept
from skcoop import CooperativeDistiller

SEEDS = 1
# A fit of so many rows takes seconds: the median of three tables says more.
SMALL, SEEDS_OF_SMALL = 10_000, 3
SIZES = [2_000, 10_000, 50_000, 200_000, 1_000_000]
KINDS = ["stacking", "voting", "no teaching", "distiller", "distiller, 2 jobs"]
SILOS, ROWS_OF_SILOS = 50, 20_000


class _Clocked:
    """Adds up the seconds that all members of this process spend in ``fit``."""

    seconds = 0.0

    def fit(self, *args, **kwargs):
        started = perf_counter()
        super().fit(*args, **kwargs)
        _Clocked.seconds += perf_counter() - started
        return self


class Linear(_Clocked, LogisticRegression):
    """A logistic regression with a clock."""


class Boosting(_Clocked, HistGradientBoostingClassifier):
    """A histogram gradient boosting with a clock."""


class Tree(_Clocked, DecisionTreeClassifier):
    """A decision tree with a clock."""


def ensemble(kind, seed):
    """Return an unfitted ensemble of the three members."""
    members = [
        ("linear", Linear(max_iter=200)),
        ("boosting", Boosting(random_state=seed)),
        ("tree", Tree(max_depth=8, random_state=seed)),
    ]
    if kind == "silos":
        quick = [LogisticRegression(), DecisionTreeClassifier(), GaussianNB()]
        members = [(f"silo {i}", quick[i % 3]) for i in range(SILOS)]
        return CooperativeDistiller(members, random_state=seed)
    if kind == "stacking":
        return StackingClassifier(members, cv=5)
    if kind == "voting":
        return VotingClassifier(members, voting="soft")
    params = {"no teaching": {"n_rounds": 0}, "distiller, 2 jobs": {"n_jobs": 2}}
    return CooperativeDistiller(members, random_state=seed, **params.get(kind, {}))


def status(field):
    """Return a figure of this process's memory in MB, as Linux keeps it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith(field))
    return int(line.split()[1]) / 1024


def measure(kind, n_rows, seed):
    """Fit and predict once, in a process of its own."""
    warnings.simplefilter("ignore")
    X, y = make_classification(
        n_samples=n_rows + 1000,
        n_features=30,
        n_informative=10,
        flip_y=0.1,
        random_state=seed,
    )
    X, y, X_test, y_test = X[:n_rows], y[:n_rows], X[n_rows:], y[n_rows:]
    model, before = ensemble(kind, seed), status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    started = perf_counter()
    if kind == "silos":
        model.fit(X, y, silos=[f"silo {i % SILOS}" for i in range(n_rows)])
    else:
        model.fit(X, y)
    seconds = perf_counter() - started
    memory = status("VmHWM") - before
    result = {
        "fit": seconds,
        "members": _Clocked.seconds,
        "predict": min(timeit.repeat(lambda: model.predict(X), number=1, repeat=5)),
        "memory": memory,
        "accuracy": model.score(X_test, y_test),
    }
    if hasattr(model, "history_"):
        result["asked"] = int(model.history_["asked"].sum())
        result["pairs"] = len(model.history_)
        result["kept"] = int(model.lessons_["kept"].sum())
    return result


def one_process(kind, n_rows, seed):
    """Run a measurement in a fresh process, so that none uses another's memory."""
    command = [sys.executable, "-m", "benchmarks.scale", kind, str(n_rows), str(seed)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def run(options):
    """Return the page."""
    measured = kept(one_process, options)
    sizes = SIZES[:2] if options.quick else SIZES
    by = {
        (kind, n): [
            measured(kind, n, seed)
            for seed in range(max(options.seeds, SEEDS_OF_SMALL if n <= SMALL else 1))
        ]
        for n in sizes
        for kind in KINDS
    }

    def middle(kind, n, key):
        return float(np.median([result[key] for result in by[kind, n]]))

    lines, cooperation, refits = [], [], []
    for n in sizes:
        stacking, ours = (middle(kind, n, "fit") for kind in ("stacking", "distiller"))
        cooperation.append(max(ours - middle("no teaching", n, "fit"), 1e-3))
        refits.append(
            middle("distiller", n, "members") - middle("no teaching", n, "members")
        )
        predict = middle("distiller", n, "predict") / middle("voting", n, "predict")
        lines.append(
            [
                f"{n:,}",
                f"{stacking:.1f}",
                f"{ours:.1f}",
                f"{ours / stacking:.1f}",
                f"{cooperation[-1]:.1f}",
                f"{refits[-1]:.1f}",
                f"{middle('distiller, 2 jobs', n, 'fit') / ours:.2f}",
                f"{middle('stacking', n, 'memory'):.0f}",
                f"{middle('distiller', n, 'memory'):.0f}",
                f"{predict:.2f}",
                f"{middle('distiller', n, 'asked'):,.0f}",
                f"{middle('stacking', n, 'accuracy'):.3f}",
                f"{middle('distiller', n, 'accuracy'):.3f}",
            ]
        )
    slope, slope_of_refits, slope_of_rest = (
        np.polyfit(np.log(sizes), np.log(np.maximum(seconds, 1e-3)), 1)[0]
        for seconds in (cooperation, refits, np.subtract(cooperation, refits))
    )
    heads = ["rows", "stacking, s", "distiller, s", "distiller / stacking"]
    heads += [
        "cooperation, s",
        "of it refits, s",
        "2 jobs / 1 job",
        "stacking, MB",
        "distiller, MB",
    ]
    heads += ["predict / voting's", "rows asked about", "accuracy, stacking"]
    heads += ["accuracy, distiller"]
    texts = [
        __doc__.split("\n", 2)[2].strip(),
        "",
        table(heads, lines),
        "",
        f"- The time of the cooperation grows with the number of rows to the power of "
        f"{slope:.2f}: that of the members' refits, which is theirs, of "
        f"{slope_of_refits:.2f}, that of questions, lessons and gate of "
        f"{slope_of_rest:.2f}.",
        f"- {silos(options)}",
    ]
    if options.save:
        seconds = {
            kind: [middle(kind, n, "fit") for n in sizes]
            for kind in ("stacking", "distiller")
        }
        figures.growth(sizes, {**seconds, "cooperation": cooperation}, slope)
        texts += ["", "![Seconds against the number of rows](scale.svg)"]
    return "\n".join(texts)


def silos(options):
    """Return a line about many silos."""
    n_rows = ROWS_OF_SILOS // (10 if options.quick else 1)
    one = kept(one_process, options)("silos", n_rows, 0)
    return (
        f"{SILOS} silos with {n_rows:,} rows together: {one['fit']:.0f} s, "
        f"{one['memory']:.0f} MB; {one['asked']:,} questions by {one['pairs']:,} pairs "
        f"of members, {one['kept']:,} lessons kept; accuracy {one['accuracy']:.3f}."
    )


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
