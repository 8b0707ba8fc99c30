"""Many peers teach one leader: what the leader gains, and what each part gives.

Ten tables that no choice was made on. A leader is fitted alone and taught, on 200
labelled rows beside up to 400 without a label, or on all rows beside virtual ones; with
clean labels, or 20 % of them replaced by another class. Peers: logistic regression,
forest, tree, nearest neighbours, naive Bayes. All figures are paired with the same
leader fitted alone on the same rows: points of accuracy and log loss (probabilities are
cut at 1e-6), mean and standard error over the seeds of the means over the tables.
"""

import pickle
import warnings
from contextlib import contextmanager
from time import perf_counter

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from benchmarks import single_tables
from benchmarks.formatting import standard_error, table
from benchmarks.listening import Gate, authors_objective, average_of_probabilities
from benchmarks.made_up_rows import VIRTUAL
from benchmarks.single_tables import REPORTED
from benchmarks.splits import side_by_side
from skcoop import DiversePeersDistiller
from skcoop._cooperative._combine import stacked
from skcoop._members._member import FittedMember, make_member
from skcoop._peers import _leader
from skcoop._peers._attention import (
    Attention,
    learn_attention,
)
from skcoop._peers._leader import decide
from skcoop._peers._peer_group import diversity, fit_peers, teach_peers
from skcoop._tables._frames import take
from skcoop._tables._schema import TableSchema

LABELLED, UNLABELLED, TESTED = 200, 400, 1000
NOISE = {"clean": 0.0, "20 % noise": 0.2}
CUT = 1e-6


def leaders(seed):
    return {
        "tree": make_pipeline(
            single_tables.ranked(), DecisionTreeClassifier(random_state=seed)
        ),
        "tree of depth 5": make_pipeline(
            single_tables.ranked(),
            DecisionTreeClassifier(max_depth=5, random_state=seed),
        ),
        "logistic regression": make_pipeline(
            single_tables.scaled(), LogisticRegression(max_iter=1000)
        ),
        "naive Bayes": make_pipeline(single_tables.scaled(), GaussianNB()),
        "forest": make_pipeline(
            single_tables.ranked(), RandomForestClassifier(25, random_state=seed)
        ),
    }


def peers(seed):
    """The five members of the single tables, with a forest of 25 trees."""
    members = single_tables.members(seed)
    return [
        (name, m.set_params(randomforestclassifier__n_estimators=25))
        if name == "forest"
        else (name, m)
        for name, m in members
    ]


class Split:
    """One split of a table: its rows, and what the peers say of them."""

    def __init__(self, name, options, seed, noise, *, labelled, unlabelled, accept):
        X, y = single_tables.load(name, options.data_home)
        X, y = single_tables.sample(X, y, seed)
        draw = np.random.default_rng([seed, 2])
        n = min(labelled or 2 * len(y) // 3, 2 * len(y) // 3)
        m = min(UNLABELLED, (len(y) - n) // 2)
        self.X, self.y = X.iloc[:n].reset_index(drop=True), y[:n].copy()
        self.X_unlabeled = X.iloc[n : n + m] if unlabelled else None
        test = slice(n + m, n + m + TESTED)
        self.X_test, self.y_test = X.iloc[test], y[test]
        classes = np.unique(self.y)
        wrong = np.flatnonzero(draw.random(n) < noise)
        turn = draw.integers(1, len(classes), size=len(wrong))
        codes = np.searchsorted(classes, self.y)
        self.y[wrong] = classes[(codes[wrong] + turn) % len(classes)]
        self.seed = seed
        self.distiller = DiversePeersDistiller(
            peers(seed), LogisticRegression(), accept=accept, random_state=seed
        )
        self.task, self.members, _, unlabeled, _ = self.distiller._read(
            self.X, self.y, self.X_unlabeled, None, {}, seed
        )
        self.views = self.distiller._views(self.task, unlabeled, seed)
        started = perf_counter()
        fit_peers(self.task, self.members, self.views, n_jobs=None)
        self.seconds = perf_counter() - started

    def attentions(self, kind):
        """Learn attention: the default in all views, others in the one of all rows."""
        if callable(kind):
            return [kind(self.views[0], self.task, self.seed)]
        return [
            learn_attention(
                view.proba,
                self.task.codes[view.rows],
                self.task.weights[view.rows],
                self.task.folds[view.rows],
                kind,
                self.seed,
            )
            for view in (self.views if kind == "auto" else self.views[:1])
        ]

    def member(self, leader):
        return make_member("leader", leader, self.task.Z.shape[1], self.seed, {})

    def taught(self, leader, attention):
        """Teach a leader in the view of all rows, without a judge."""
        return decide(
            self.task,
            self.member(leader),
            self.views[:1],
            [attention],
            None,
            self.seed,
            n_jobs=None,
        ).model

    def gated(self, leader, attentions):
        """Teach a leader as the distiller does."""
        return decide(
            self.task,
            self.member(leader),
            self.views,
            attentions,
            "improves",
            self.seed,
            n_jobs=None,
        )

    def score(self, model):
        """Return accuracy and log loss of a model on the test rows."""
        asked = FittedMember("", model, self.task.classes)
        return self.score_proba(asked.predict_proba(self.X_test))

    def score_proba(self, proba):
        known = np.isin(self.y_test, self.task.classes)
        codes = np.searchsorted(self.task.classes, self.y_test)
        codes = np.where(known, codes, 0)
        right = np.where(known, proba[np.arange(len(proba)), codes], 0.0)
        accuracy = (known & (proba.argmax(axis=1) == codes)).mean()
        return np.array([accuracy, -np.log(np.clip(right, CUT, 1.0)).mean()])


@contextmanager
def answers(view, proba, extra_proba):
    """Let the peers say something else for a while."""
    saved = view.proba, view.extra_proba, view.models
    view.proba, view.extra_proba = proba, extra_proba
    try:
        yield
    finally:
        view.proba, view.extra_proba, view.models = saved


def mutual(split):
    """Return what peers say that were each taught by the average of the others.

    As deep mutual learning (Zhang, Xiang, Hospedales and Lu, CVPR 2018), in one step.
    """
    view = split.views[0]
    n_peers = len(view.proba)
    mean = (view.proba.sum(axis=0) - view.proba) / (n_peers - 1)
    labels = np.eye(len(split.task.classes))[split.task.codes]
    targets = [(labels + mean) / 2]
    with answers(view, view.proba, view.extra_proba):
        teach_peers(split.task, split.members, [view], targets, split.seed, n_jobs=None)
        return view.proba, view.extra_proba


# The questions


METHODS = {
    "plain average": None,
    "average of probabilities": average_of_probabilities,
    "one weight a peer": "global",
    "row attention": "row",
    "gate (ONE)": Gate,
    "published attention loss": authors_objective,
    "auto": "auto",
}


# The share of the label in the leader's target, beside the default of a quarter.
SHARES = {"auto, label's share 1/2": 0.5, "auto, label's share 0": 0.0}


@contextmanager
def share_of_label(share):
    saved = _leader._SHARE_OF_LABEL
    _leader._SHARE_OF_LABEL = share
    try:
        yield
    finally:
        _leader._SHARE_OF_LABEL = saved


def main_question(split, seed, methods, *, whole=True):
    """Fit each leader alone, taught in all ways, and gated."""
    result = {}
    attentions = {method: split.attentions(kind) for method, kind in methods.items()}
    for method, own in attentions.items():
        said = own[0].group(test_proba(split))
        result["group", method] = split.score_proba(said)
    said = mutual(split) if whole else None
    for name, leader in leaders(seed).items():
        alone = split.member(leader).estimator
        alone = clone(alone).fit(split.X, split.y)
        result[name, "alone"] = split.score(alone)
        for method, own in attentions.items():
            taught = split.taught(leader, own[0])
            result[name, method] = split.score(taught)
        for method, share in SHARES.items() if whole else ():
            with share_of_label(share):
                taught = split.taught(leader, attentions["auto"][0])
            result[name, method] = split.score(taught)
        verdict = split.gated(leader, attentions["auto"])
        result[name, "default: auto, gated"] = split.score(verdict.model)
        result[name, "kept"] = np.array([verdict.taught, np.nan])
        if whole:
            costs(split, result, name, alone, verdict.model)
        if said:
            plain = Attention(np.zeros(len(split.members)))
            with answers(split.views[0], *said):
                taught = split.taught(leader, plain)
            result[name, "mutual learning"] = split.score(taught)
    ceilings(split, result)
    return result


def test_proba(split):
    if not hasattr(split, "said_of_test"):
        models = getattr(split, "models", split.views[0].models)
        split.said_of_test = np.array(
            [
                FittedMember("", model, split.task.classes).predict_proba(split.X_test)
                for model in models
            ]
        )
    return split.said_of_test


def ceilings(split, result):
    """Score scikit-learn's ways of using all peers.

    The same fits as VotingClassifier and StackingClassifier with these folds make.
    """
    said = test_proba(split)
    result["group", "VotingClassifier"] = split.score_proba(said.mean(axis=0))
    final = LogisticRegression(max_iter=1000)
    final.fit(stacked(split.views_proba), split.task.y)
    result["group", "StackingClassifier"] = split.score_proba(
        FittedMember("", final, split.task.classes).predict_proba(stacked(said))
    )


def seconds_of(predict, X, repeats=5):
    times = []
    for _ in range(repeats):
        started = perf_counter()
        predict(X)
        times.append(perf_counter() - started)
    return min(times)


def costs(split, result, name, alone, model):
    """Measure sizes in kilobytes and seconds to predict 2000 rows."""
    rows = np.resize(np.arange(len(split.X_test)), 2000)
    X = take(split.X_test, rows)
    distiller = split.distiller
    distiller.classes_, distiller.leader_ = split.task.classes, model
    distiller._schema = TableSchema(split.X)
    distiller.n_features_in_ = split.X.shape[1]
    distiller.feature_names_in_ = np.asarray(split.X.columns, dtype=object)
    group = split.models
    result[name, "size"] = np.array(
        [len(pickle.dumps(m)) / 1000 for m in (alone, model, group)]
    )
    # By turns, so that a busy machine is as busy for all.
    times = np.array(
        [
            [
                seconds_of(alone.predict_proba, X, 1),
                seconds_of(model.predict_proba, X, 1),
                seconds_of(distiller.predict_proba, X, 1),
            ]
            for _ in range(3)
        ]
    )
    everybody = seconds_of(lambda X: [m.predict_proba(X) for m in group], X, 1)
    result[name, "seconds"] = np.append(times.min(axis=0), everybody)


def virtual_question(split, seed):
    """Teach leaders with virtual rows of several kinds."""
    result = {}
    view, task = split.views[0], split.task
    attention = split.attentions("auto")[0]
    models = [FittedMember("", m, task.classes) for m in view.models]
    for kind, make in VIRTUAL.items():
        extra = make(split, UNLABELLED)
        n = 0 if extra is None else extra.shape[0]
        view.extra, view.extra_weights = (
            extra,
            np.full(n, min(1.0, 2 * LABELLED / max(n, 1))),
        )
        view.extra_proba = np.array(
            [
                m.predict_proba(extra) if n else np.zeros((0, len(task.classes)))
                for m in models
            ]
        )
        for name, leader in leaders(seed).items():
            result[name, kind] = split.score(split.taught(leader, attention))
    for name, leader in leaders(seed).items():
        alone = clone(split.member(leader).estimator).fit(split.X, split.y)
        result[name, "alone"] = split.score(alone)
    return result


def rounds_question(split, seed):
    """Train the peers again on their targets; what that does to them and the leader."""
    result = {}
    view = split.views[0]
    first = peers_accuracy(split)
    for way, kind in {"attention": "row", "plain average": None}.items():
        distiller = DiversePeersDistiller([], None, attention=kind, n_rounds=3)
        with answers(view, view.proba, view.extra_proba):
            for number in range(1, 4):
                attention = distiller._learn_attention(split.task, view, seed)
                apart = diversity(view.proba, split.task.weights)
                mean = apart.sum() / (len(apart) * (len(apart) - 1))
                gain = peers_accuracy(split) - first
                result[way, number, "peers"] = np.array([mean, gain])
                for name, leader in leaders(seed).items():
                    taught = split.taught(leader, attention)
                    result[way, number, name] = split.score(taught)
                if number == 3:
                    break
                targets = distiller._peers_targets(
                    split.task, view, attention, number + 1
                )
                teach_peers(
                    split.task, split.members, [view], [targets], seed, n_jobs=None
                )
    for name, leader in leaders(seed).items():
        alone = clone(split.member(leader).estimator).fit(split.X, split.y)
        result[name, "alone"] = split.score(alone)
    return result


def peers_accuracy(split):
    return np.mean([split.score(model)[0] for model in split.views[0].models])


# How many peers: the first of these.
ORDER = ["forest", "linear", "neighbours", "bayes", "tree"]


def number_question(split, seed):
    """Teach by the first one, two, ... peers."""
    result = {}
    view, task = split.views[0], split.task
    names = [member.name for member in split.members]
    for count in range(1, len(ORDER) + 1):
        chosen = [names.index(name) for name in ORDER[:count]]
        said = view.proba[chosen]
        attention = learn_attention(
            said, task.codes, task.weights, task.folds, "auto", seed
        )
        with answers(view, said, view.extra_proba[chosen]):
            for name, leader in leaders(seed).items():
                result[name, count] = split.score(split.taught(leader, attention))
    return result


# All of it


def one_split(name, options, seed, noise, question):
    """Return figures by what was measured."""
    warnings.simplefilter("ignore")
    split = Split(
        name,
        options,
        seed,
        noise,
        labelled=None if question == "all rows" else LABELLED,
        unlabelled=question in ("main", "parts"),
        accept="improves" if question in ("main", "all rows") else None,
    )
    split.models, split.views_proba = split.views[0].models, split.views[0].proba
    if question == "main":
        return main_question(split, seed, METHODS)
    if question == "all rows":
        few = {method: METHODS[method] for method in ("plain average", "auto")}
        return main_question(split, seed, few, whole=False)
    if question == "virtual":
        return virtual_question(split, seed)
    return rounds_question(split, seed) | number_question(split, seed)


LEADERS = ["tree", "tree of depth 5", "logistic regression", "naive Bayes", "forest"]


def run(options):
    names = REPORTED[:3] if options.quick else REPORTED
    plan = [
        *(("main", kind) for kind in NOISE),
        ("parts", "clean"),
        *(("virtual", kind) for kind in NOISE),
        *(("all rows", kind) for kind in NOISE),
    ]
    jobs = [
        (name, options, seed, NOISE[kind], question)
        for question, kind in plan
        for name in names
        for seed in range(options.seeds)
    ]
    splits = side_by_side(one_split, jobs, options)
    shape = (len(names), options.seeds)
    by = {}
    for place, key in enumerate(plan):
        own = splits[place * np.prod(shape) :][: np.prod(shape)]
        by[key] = {
            # Tables, seeds, figures.
            figure: np.array([one[figure] for one in own]).reshape(*shape, -1)
            for figure in own[0]
        }
    return "\n".join([__doc__.split("\n", 2)[2].strip(), "", *page(names, by)])


def points(differences):
    """Return mean and standard error, over seeds, of the means over tables."""
    means = 100 * np.asarray(differences).mean(axis=0)
    return f"{means.mean():+.1f} ± {standard_error(means):.1f}"


def loss(differences):
    means = np.asarray(differences).mean(axis=0)
    return f"{means.mean():+.3f} ± {standard_error(means):.3f}"


def gains(figures, keys, first="leader"):
    """Return tables of what the leaders gain in accuracy and in log loss."""
    lines = {0: [], 1: []}
    for leader in LEADERS:
        alone = figures[leader, "alone"]
        for what, written in ((0, points), (1, loss)):
            lines[what].append(
                [leader]
                + [written((figures[leader, k] - alone)[..., what]) for k in keys]
            )
    return [
        "Accuracy, points:",
        "",
        table([first, *keys], lines[0]),
        "",
        "Log loss:",
        "",
        table([first, *keys], lines[1]),
        "",
    ]


def page(names, by):
    text = []
    default = "default: auto, gated"
    for kind in NOISE:
        figures = by["main", kind]
        text += [f"## 200 labelled rows and 400 without a label, {kind}", ""]
        text += [
            "What the taught leader gains over itself alone. Only the last is gated."
        ]
        text += [""]
        text += gains(figures, [*METHODS, *SHARES, "mutual learning", default])
        text += differences(figures)
        text += worst(names, figures, default)
    text += [
        "## What it costs, clean",
        "",
        *ceiling_table(by["main", "clean"], default),
    ]
    for kind in NOISE:
        figures = by["all rows", kind]
        text += [f"## All rows (up to 1333) and 500 virtual ones, {kind}", ""]
        text += gains(figures, ["plain average", "auto", default])
        text += worst(names, figures, default)
    for kind in NOISE:
        text += [f"## Which rows without a label, 200 labelled rows, {kind}", ""]
        text += ["Not gated.", ""]
        text += gains(by["virtual", kind], list(VIRTUAL))
    return [*text, *parts(by["parts", "clean"])]


def differences(figures):
    """Return what attention gives beyond simpler ways, paired."""
    others = ["plain average", "average of probabilities", "one weight a peer"]
    lines = [
        [leader]
        + [
            points((figures[leader, "auto"] - figures[leader, k])[..., 0])
            for k in others
        ]
        for leader in LEADERS
    ]
    heads = ["auto beyond, accuracy", *others]
    return [table(heads, lines), ""]


def worst(names, figures, default):
    """Say where leaders lose by more than two standard errors."""
    lines = []
    for leader in LEADERS:
        change = figures[leader, default] - figures[leader, "alone"]
        kept = 100 * figures[leader, "kept"][..., 0].mean()
        lines.append([leader, f"{kept:.0f} %"])
        for what, sign, form in ((0, -1, "{:+.3f}"), (1, 1, "{:+.3f}")):
            mean = change[..., what].mean(axis=1)
            error = standard_error(change[..., what])
            at = (sign * mean).argmax()
            clear = np.array(names)[sign * mean > 2 * error]
            lines[-1] += [
                f"{form.format(mean[at])} ± {error[at]:.3f} ({names[at]})",
                ", ".join(clear) or "none",
            ]
    heads = ["leader, gated", "taught one kept", "least gain of accuracy"]
    heads += ["tables that lose (2 errors)", "largest rise of log loss"]
    heads += ["tables that rise (2 errors)"]
    return [table(heads, lines), ""]


def ceiling_table(figures, default):
    def cells(values):
        a, b = values.mean(axis=(0, 1))
        return [f"{a:.3f}", f"{b:.3f}"]

    lines = []
    for leader in LEADERS:
        size = figures[leader, "size"].mean(axis=(0, 1))
        seconds = 1000 * figures[leader, "seconds"].mean(axis=(0, 1))
        ratio = figures[leader, "seconds"]
        for k, what in enumerate(["alone", default]):
            lines.append(
                [
                    f"{leader}, {what}",
                    *cells(figures[leader, what]),
                    f"{size[k]:.0f}",
                    f"{seconds[2 * k]:.1f}",
                ]
            )
        same = np.median(ratio[..., 2] / ratio[..., 1])
        lines[-1].append(f"{same:.2f}")
        lines[-2].append("")
    group = [f"{size[2]:.0f}", f"{seconds[3]:.1f}", ""]
    for what in ("VotingClassifier", "StackingClassifier", "auto"):
        name = "what the group says (auto)" if what == "auto" else what
        lines.append([name, *cells(figures["group", what]), *group])
    heads = ["model", "accuracy", "log loss", "size, kB", "2000 rows, ms"]
    return [
        table([*heads, "distiller's time / its leader's"], lines),
        "",
    ]


def parts(figures):
    """Return diversity by round, the ablation of both levels, the number of peers."""
    lines = []
    for way in ("attention", "plain average"):
        for number in range(1, 4):
            own = figures[way, number, "peers"]
            lines.append(
                [way, number, f"{own[..., 0].mean():.3f}", points(own[..., 1])]
                + [
                    points((figures[way, number, k] - figures[k, "alone"])[..., 0])
                    for k in LEADERS
                ]
            )
    text = ["## Rounds: diversity, and what each level gives, clean", ""]
    text += [
        "Row attention. In round 1 only the leader is taught; from round 2 the peers "
        "are as well, with a share that ramps up.",
        "",
    ]
    heads = ["peers' targets", "round", "diversity", "peers' gain", *LEADERS]
    text += [table(heads, lines), "", "## How many peers, clean", ""]
    text += [f"The first of: {', '.join(ORDER)}.", ""]
    lines = [
        [count]
        + [points((figures[k, count] - figures[k, "alone"])[..., 0]) for k in LEADERS]
        for count in range(1, len(ORDER) + 1)
    ]
    return [*text, table(["peers", *LEADERS], lines), ""]
