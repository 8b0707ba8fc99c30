"""One bad silo among honest ones: what its lessons do, and which rule holds it off.

Honest members are judged by held-out rows of all honest silos: alone, after the
distiller with each rule against bad silos, and where raw rows are pooled, bad ones
included. Each split has another bad silo, or another two.
"""

import warnings
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from benchmarks import baselines, silo_tables
from benchmarks.formatting import mean_and_error, table
from benchmarks.paper import small
from benchmarks.settings import credit_by_job, four_hospitals, judge, three_hospitals
from benchmarks.silo_rules import OTHER_RULES, RULES, following
from benchmarks.splits import side_by_side

SETTINGS = {
    "hospitals": four_hospitals,
    "lenders": credit_by_job,
    "digits": silo_tables.digits_lacking,
    "small hospitals": three_hospitals,
    "stations": silo_tables.six_stations,
    "wines": silo_tables.two_wines,
}
# Those that the page is about, and where other rules are tried.
SHOWN, COMPARED = ["hospitals", "lenders", "digits"], ["hospitals", "lenders"]
COMPARED_CASES = ["all honest", "inverted", "one class, most rows"]


def as_it_was(X, y, classes, draw):
    """Change nothing."""
    return X, y


def inverted(X, y, classes, draw):
    """Move each label to the next class; with two classes that inverts it."""
    return X, classes[(np.searchsorted(classes, y) + 1) % len(classes)]


def random_labels(X, y, classes, draw):
    """Draw each label anew, all classes alike."""
    return X, draw.choice(classes, len(y))


def columns_shuffled(X, y, classes, draw):
    """Shuffle each column by itself."""
    return X.apply(lambda column: draw.permutation(column.to_numpy())), y


def one_class(X, y, classes, draw):
    """Give all rows one label, drawn from all classes; the member says no other."""
    return X, np.full_like(y, draw.choice(classes))


@dataclass
class Case:
    """What is wrong with how many silos.

    They may own most of the rows, and may lie in the sums that they report as well.
    """

    attack: object
    n_bad: int = 1
    most: bool = False
    forges: bool = False


CASES = {
    "all honest": Case(as_it_was, 0),
    "inverted": Case(inverted),
    "random": Case(random_labels),
    "shuffled": Case(columns_shuffled),
    "one class": Case(one_class),
    "inverted, most rows": Case(inverted, most=True),
    "one class, most rows": Case(one_class, most=True),
    "inverted, forged sums": Case(inverted, forges=True),
    "two inverted": Case(inverted, 2),
    "two random": Case(random_labels, 2),
}


def cases(setting):
    """Name the cases that a setting has: two bad silos want two others at least."""
    most = max(1, len(setting.members) // 2)
    return [name for name, case in CASES.items() if case.n_bad <= most]


def bad_silos(setting, n_bad, seed):
    """Name the bad silos, others for each seed."""
    names = [name for name, _ in setting.members]
    return [names[(seed + k) % len(names)] for k in range(n_bad)]


def attacked(setting, attack, bad, seed):
    """Return the setting with the training rows of some silos changed."""
    draw = np.random.default_rng([seed, 2])
    classes = np.unique(setting.y)
    X, y = setting.X.reset_index(drop=True), setting.y.copy()
    for name in bad:
        rows = np.flatnonzero(setting.owners == name)
        changed, y[rows] = attack(X.iloc[rows], y[rows], classes, draw)
        X.iloc[rows] = changed.to_numpy()
    return replace(setting, X=X, y=y)


def owning_most(setting, bad, seed):
    """Leave the honest silos half as many rows as the bad ones have.

    They keep the same share of each silo and class, but two rows at least.
    """
    draw = np.random.default_rng([seed, 3])
    theirs = np.isin(setting.owners, bad)
    share = min(1, theirs.sum() / 2 / (~theirs).sum())
    kept = [np.flatnonzero(theirs)]
    for name in np.unique(setting.owners[~theirs]):
        for label in np.unique(setting.y):
            mine = np.flatnonzero((setting.owners == name) & (setting.y == label))
            kept.append(draw.permutation(mine)[: max(2, round(share * len(mine)))])
    rows = np.sort(np.concatenate(kept))
    X, y, owners = setting.X.iloc[rows], setting.y[rows], setting.owners[rows]
    return replace(setting, X=X, y=y, owners=owners)


def prepared(name, case, options, seed):
    """Return the setting of a case and the names of its bad silos."""
    setting = SETTINGS[name](options.data_home, seed)
    setting = small(setting) if options.quick else setting
    case = CASES[case]
    bad = bad_silos(setting, case.n_bad, seed)
    if case.most:
        setting = owning_most(setting, bad, seed)
    return attacked(setting, case.attack, bad, seed), bad


def judged_by_honest(setting, bad):
    """Return a function that judges models by held-out rows of honest silos.

    It returns the accuracies of the honest silos' models.
    """
    rows = ~np.isin(setting.owners_test, bad)
    honest = ~np.isin([name for name, _ in setting.members], bad)
    X, y = setting.X_test[rows], setting.y_test[rows]
    return lambda models: judge(models, X, y)[0][honest], lambda end: end.score(X, y)


def one_split(name, case, rule, options, seed):
    """Return what honest members were and are right about, and the distiller."""
    warnings.simplefilter("ignore")
    setting, bad = prepared(name, case, options, seed)
    members, end = judged_by_honest(setting, bad)
    if rule == "pooled raw rows":
        return {"after": members(baselines.pooled(setting, seed))}
    names = [member for member, _ in setting.members]
    forging = [names.index(silo) for silo in bad] if CASES[case].forges else []
    with following(rule, forging) as params:
        model = baselines.distiller(setting, seed, **params)
    before, after = members(model.initial_estimators_), members(model.estimators_)
    return {"before": before, "after": after, "distiller": end(model)}


def run(options):
    pages = [page(name, options) for name in options.experiments or SHOWN]
    if not options.experiments:
        pages += ["# Other rules", ""]
        rules = {**RULES, **OTHER_RULES}
        pages += [page(name, options, rules, COMPARED_CASES) for name in COMPARED]
    return "\n".join([__doc__.split("\n", 2)[2].strip(), "", *pages])


def page(name, options, rules=None, shown=None):
    """Return the tables of one setting: lines are rules, columns are cases."""
    shown = shown or cases(SETTINGS[name](options.data_home, 0))
    tried = list(rules or RULES)
    rules = ["pooled raw rows", *tried]
    jobs = [
        (name, case, rule, options, seed)
        for rule in rules
        for case in shown
        for seed in range(options.seeds)
    ]
    splits = iter(side_by_side(one_split, jobs, options))
    results = {
        (rule, case): [next(splits) for _ in range(options.seeds)]
        for rule in rules
        for case in shown
    }

    def lines(cell, rules):
        return [[rule, *(cell(results[rule, c]) for c in shown)] for rule in rules]

    alone = ["alone", *(mean_of("before", results["none", c]) for c in shown)]
    tables = {
        "honest members": [alone, *lines(partial(mean_of, "after"), rules)],
        "their gain over alone": lines(gain, tried),
        "least gain of one": lines(least, tried),
        "distiller": lines(partial(mean_of, "distiller"), tried),
    }
    texts = [f"## {name}", "", SETTINGS[name].__doc__.split("\n")[0], ""]
    for title, rows in tables.items():
        texts += [table([title, *shown], rows), ""]
    return "\n".join(texts)


def mean_of(what, splits):
    """Return mean and standard error of a result."""
    return mean_and_error([np.mean(split[what]) for split in splits])


def gain(splits):
    """Return mean and standard error of the honest members' mean gain."""
    return mean_and_error([(s["after"] - s["before"]).mean() for s in splits])


def least(splits):
    """Return the least gain of an honest member, in the mean over the seeds."""
    return mean_and_error([(s["after"] - s["before"]).min() for s in splits])
