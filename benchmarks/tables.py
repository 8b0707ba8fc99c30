"""Single tables: all members train on the same rows, with all columns or own ones.

The distiller is compared with scikit-learn's own ensembles of the same members, with
the same folds and final estimator. Five algorithms: logistic regression, random forest,
decision tree, nearest neighbours, naive Bayes. With columns of their own, each member
reads a random 60 % of them.
"""

import warnings
from time import perf_counter

import numpy as np
from scipy.stats import rankdata
from sklearn.ensemble import StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from benchmarks import single_tables
from benchmarks.formatting import mean_and_error, standard_error, table
from benchmarks.settings import judge
from benchmarks.single_tables import REPORTED, TUNED_ON
from benchmarks.splits import side_by_side
from skcoop import CooperativeDistiller

COLUMNS = {False: "The same columns", True: "Own columns"}
ENSEMBLES = ["soft vote", "stacking", "distiller"]


def one_split(name, options, seed, own_columns):
    """Return accuracies and seconds of one split."""
    warnings.simplefilter("ignore")
    X, y = single_tables.load(name, options.data_home)
    most = 300 if options.quick else single_tables.MOST_ROWS
    X, y = single_tables.sample(X, y, seed, most)
    X, X_test, y, y_test = train_test_split(
        X, y, test_size=1 / 3, random_state=seed, stratify=y
    )
    members = single_tables.members(seed)
    if own_columns:
        members = single_tables.members_with_own_columns(seed, X)
    final = LogisticRegression(max_iter=1000)
    result = {}

    def fit(kind, ensemble):
        started = perf_counter()
        ensemble.fit(X, y)
        result[f"{kind}, seconds"] = perf_counter() - started
        return ensemble

    stacking = fit("stacking", StackingClassifier(members, final, cv=5))
    distiller = fit(
        "distiller", CooperativeDistiller(members, combine=final, random_state=seed)
    )
    fit(
        "no gate, soft vote",
        CooperativeDistiller(members, accept=None, combine="soft", random_state=seed),
    )
    before, vote = judge(distiller.initial_estimators_, X_test, y_test)
    after, vote_after = judge(distiller.estimators_, X_test, y_test)
    return {
        **result,
        "members alone": np.mean(before),
        "members after": np.mean(after),
        "least gain": np.min(after - before),
        "soft vote": vote,
        "soft vote after": vote_after,
        "stacking": stacking.score(X_test, y_test),
        "distiller": distiller.score(X_test, y_test),
    }


def run(options):
    names = [*TUNED_ON, *REPORTED]
    jobs = [
        (name, options, seed, own)
        for own in COLUMNS
        for name in names
        for seed in range(options.seeds)
    ]
    splits = side_by_side(one_split, jobs, options)
    shape = (len(COLUMNS), len(names), options.seeds)
    by = {
        key: np.array([split[key] for split in splits]).reshape(shape)
        for key in splits[0]
    }
    texts = [__doc__.split("\n", 2)[2].strip(), ""]
    for place, title in enumerate(COLUMNS.values()):
        texts += [f"## {title}", "", *page(names, {k: v[place] for k, v in by.items()})]
    return "\n".join(texts)


def page(names, by):
    """Return the tables of one kind of members; arrays are by table and seed."""
    kinds = ["members alone", "members after", "soft vote", "soft vote after"]
    kinds += ["stacking", "distiller"]
    accuracy = [
        [name, *(mean_and_error(by[kind][k]) for kind in kinds)]
        for k, name in enumerate(names)
    ]
    differences = {
        "distiller - soft vote": by["distiller"] - by["soft vote"],
        "distiller - stacking": by["distiller"] - by["stacking"],
        "members' gain": by["members after"] - by["members alone"],
        "least gain of a member": by["least gain"],
    }
    lines = [
        [name, *(mean_and_error(values[k]) for values in differences.values())]
        for k, name in enumerate(names)
    ]
    ranks = rankdata(
        -np.array([by[kind].mean(axis=1) for kind in ENSEMBLES]).round(6), axis=0
    )
    summary = []
    groups = {"tuned on": TUNED_ON, "reported only": REPORTED, "all": names}
    for group, members in groups.items():
        mine = np.isin(names, members)
        summary.append(
            [
                f"{group} ({mine.sum()})",
                *(f"{rank:.2f}" for rank in ranks[:, mine].mean(axis=1)),
                *(
                    mean_and_error(values[mine].mean(axis=1))
                    for values in list(differences.values())[:3]
                ),
            ]
        )
    against = differences["distiller - soft vote"]
    worse = np.array(names)[against.mean(axis=1) < -2 * standard_error(against)]
    ratios = {
        kind: by[f"{kind}, seconds"].mean(axis=1) / by["stacking, seconds"].mean(axis=1)
        for kind in ("distiller", "no gate, soft vote")
    }
    seconds = [
        f"- Fit time against stacking ({kind}): {np.median(ratio):.1f} times in the "
        f"median of the tables, {ratio.min():.1f} to {ratio.max():.1f}."
        for kind, ratio in ratios.items()
    ]
    return [
        table(["accuracy", *kinds], accuracy),
        "",
        table(["paired difference", *differences], lines),
        "",
        table(
            ["tables", *(f"mean rank, {kind}" for kind in ENSEMBLES)]
            + [f"{name}, mean over tables" for name in list(differences)[:3]],
            summary,
        ),
        "",
        "- Worse than the soft vote by more than two standard errors: "
        f"{', '.join(worse) or 'no table'}.",
        *seconds,
        "",
    ]
