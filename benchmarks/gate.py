"""The gate: whether what a fit reports is true, and what other scores are worth.

*Reported* is the mean gain in `gains_`, of the members and of their combination;
*held out* is the same score's gain on rows that the fit never saw, of the combination
against one of the members as they were (`n_rounds=0`). With shuffled labels there is
nothing to learn, and both are nothing.
"""

import warnings

import numpy as np
from sklearn.metrics import get_scorer

from benchmarks import baselines
from benchmarks.formatting import mean_and_error, table
from benchmarks.paper import small
from benchmarks.settings import (
    credit_by_job,
    four_hospitals,
    three_hospitals,
    tree_and_network,
    two_networks,
)
from benchmarks.splits import side_by_side

SEEDS = 20
SETTINGS = {
    "hospitals": four_hospitals,
    "small hospitals": three_hospitals,
    "lenders": credit_by_job,
    "networks": two_networks,
    "algorithms": tree_and_network,
}
SCORES = ["balanced_accuracy", "accuracy", "roc_auc", "neg_log_loss"]


def drawn(name, options, seed):
    warnings.simplefilter("ignore")
    setting = SETTINGS[name](options.data_home, seed)
    return small(setting) if options.quick else setting


def one_split(name, shuffled, options, seed):
    """Return gains of members and combination: reported, and held out."""
    setting = drawn(name, options, seed)
    if shuffled:
        draw = np.random.default_rng([seed, 4])
        setting.y = draw.permutation(setting.y)
        setting.y_test = draw.permutation(setting.y_test)
    model = baselines.distiller(setting, seed)
    start = baselines.distiller(setting, seed, n_rounds=0)
    score = get_scorer("balanced_accuracy")

    def held_out(model):
        return score(model, setting.X_test, setting.y_test)

    pairs = zip(model.initial_estimators_, model.estimators_, strict=True)
    gains = model.gains_["gain"].to_numpy()
    return {
        "members": gains[:-1].mean(),
        "members, held out": np.mean([held_out(b) - held_out(a) for a, b in pairs]),
        "combined": gains[-1],
        "combined, held out": held_out(model) - held_out(start),
    }


def scored_split(scoring, options, seed):
    """Return the members' mean held-out scores before and after, judged by a score."""
    setting = drawn("lenders", options, seed)
    model = baselines.distiller(setting, seed, scoring=scoring)
    return {
        name: [
            np.mean(
                [get_scorer(name)(m, setting.X_test, setting.y_test) for m in models]
            )
            for models in (model.initial_estimators_, model.estimators_)
        ]
        for name in SCORES
    }


def run(options):
    names = list(SETTINGS)
    jobs = [
        (name, shuffled, options, seed)
        for shuffled in (False, True)
        for name in names
        for seed in range(options.seeds)
    ]
    splits = iter(side_by_side(one_split, jobs, options))
    texts = [__doc__.split("\n", 2)[2].strip(), ""]
    for title in ("labels as they are", "shuffled labels"):
        lines = [
            line(name, [next(splits) for _ in range(options.seeds)]) for name in names
        ]
        heads = [title, "members, reported", "held out", "difference"]
        heads += ["combined, reported", "held out", "difference"]
        texts += [table(heads, lines), ""]
    jobs = [(s, options, seed) for s in SCORES for seed in range(options.seeds)]
    splits = iter(side_by_side(scored_split, jobs, options))
    lines = []
    for scoring in SCORES:
        results = [next(splits) for _ in range(options.seeds)]
        gains = [[s[name][1] - s[name][0] for s in results] for name in SCORES]
        lines.append([f"`{scoring}`", *map(mean_and_error, gains)])
    texts += [
        "What members of the three lenders gain on held-out rows, by the score that "
        "judges (`scoring`):",
        "",
        table(["judged by", *(f"`{name}`" for name in SCORES)], lines),
    ]
    return "\n".join(texts)


def line(name, splits):
    """Return reported and held-out gains and their paired difference."""
    cells = []
    for what in ("members", "combined"):
        reported = np.array([split[what] for split in splits])
        held_out = np.array([split[f"{what}, held out"] for split in splits])
        cells += map(mean_and_error, (reported, held_out, reported - held_out))
    return [name, *cells]
