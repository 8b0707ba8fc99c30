"""A teacher that may only be asked a few times: what a student learns from B answers.

The teacher is a random forest trained on 1200 rows of each table; the student sees no
labels, B rows with the teacher's probabilities and 300 rows without. All methods have
the same answers, about rows drawn at random, and figures are differences of accuracy on
1000 other rows, in points, to the student that is fitted to the B answers as soft
labels: means over the tables, ± standard errors over the splits.

- *hard labels*: the teacher's decisions about the B rows.
- *mixup*: 300 more rows, mixtures of two of the B rows, targets mixed alike.
- *neighbour mixup*: the same between a row and one of its five nearest.
- *published loss*: the students that can follow it (linear, boosted) minimise the
  squared comparison loss, that of centred logits; class intercepts are not identified.
- *RKD*: soft labels and the distances and angles between rows, for the linear student.
- *direct*, *comparison*: estimates for the 300 rows, always used.
- *distiller*: `ComparativeDistiller`, which chooses in the folds.
- *ceiling*: the teacher answers all B + 300 rows.

Students that are slow to fit (forest, boosting, network) run on the first split only.
"""

import warnings
from contextlib import contextmanager
from unittest import mock

import numpy as np
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multioutput import MultiOutputRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier

from benchmarks import figures, single_tables
from benchmarks.formatting import standard_error, table
from benchmarks.relational import fit_relational
from benchmarks.splits import side_by_side
from skcoop import ComparativeDistiller
from skcoop._comparative._label_estimates import Estimates
from skcoop._members._logits import centred_logits, softmax
from skcoop._members._member import FittedMember
from skcoop._members._soft_targets import fit_soft

# Large enough for 500 questions; none of them was looked at while the method was made.
TABLES = [
    *("banana", "texture", "credit_data", "twonorm", "spambase"),
    *("magic", "loans_full_schema", "ring", "credit_cards", "penbased"),
]
BUDGETS = [20, 50, 100, 200, 500]
UNASKED, TEST, FOR_TEACHER = 300, 1000, 1200
SLOW_SEEDS = 1
SLOW = ["forest", "boosting", "network"]
# Settings with fewer students and budgets.
SMALL_BUDGETS = [50, 200]
QUERIES = ["random", "diverse", "uncertain"]
BASELINES = ["hard labels", "mixup", "neighbour mixup", "published loss", "RKD"]
SOURCES = ["direct", "comparison"]


def students(seed):
    return {
        "tree": DecisionTreeClassifier(random_state=seed),
        "logistic": LogisticRegression(max_iter=500),
        "bayes": GaussianNB(),
        "neighbours": KNeighborsClassifier(),
        "forest": RandomForestClassifier(30, random_state=seed),
        "boosting": HistGradientBoostingClassifier(
            max_iter=20, early_stopping=False, random_state=seed
        ),
        "network": MLPClassifier((20,), max_iter=60, random_state=seed),
    }


def answer(model, X, classes):
    return FittedMember("student", model, classes).predict_proba(X)


@contextmanager
def shared_estimates():
    """Compute estimates once for all students that learn from the same answers."""
    known, compute = {}, Estimates.logits

    def logits(self, how, places, answers, wanted):
        key = (how, places.tobytes(), answers.tobytes(), wanted.tobytes())
        key = tuple(map(hash, key))
        if key not in known:
            known[key] = compute(self, how, places, answers, wanted)
        return known[key]

    with mock.patch.object(Estimates, "logits", logits):
        yield


def mixed(X, proba, n_rows, draw, neighbours):
    """Return mixtures of rows and of their targets."""
    first = draw.integers(len(X), size=n_rows)
    second = draw.integers(len(X), size=n_rows)
    if neighbours:
        search = NearestNeighbors(n_neighbors=min(6, len(X))).fit(X)
        near = search.kneighbors(X[first], return_distance=False)
        second = near[np.arange(n_rows), draw.integers(1, near.shape[1], size=n_rows)]
        share = draw.random((n_rows, 1))
    else:
        share = draw.beta(0.2, 0.2, size=(n_rows, 1))
    return (
        share * X[first] + (1 - share) * X[second],
        share * proba[first] + (1 - share) * proba[second],
    )


def by_published_loss(name, X, proba, seed):
    """Return a function from rows to answers, for students that can follow the loss."""
    logits = centred_logits(proba)
    logits = logits - logits.mean(axis=0)
    if name == "logistic":
        centre = X.mean(axis=0)
        model = Ridge(fit_intercept=False).fit(X - centre, logits)
        return lambda rows: softmax(model.predict(rows - centre))
    boosted = HistGradientBoostingRegressor(
        max_iter=20, early_stopping=False, random_state=seed
    )
    model = MultiOutputRegressor(boosted).fit(X, logits)
    return lambda rows: softmax(model.predict(rows))


class Split:
    """Rows of one table, a teacher, and what is measured on it."""

    def __init__(self, name, options, seed):
        X, y = single_tables.load(name, options.data_home)
        X, y = single_tables.sample(X, y, seed, 3000)
        self.classes, self.y = np.unique(y, return_inverse=True)
        self.seed = seed
        self.test = np.arange(TEST)
        to_train = np.arange(TEST, TEST + FOR_TEACHER)
        self.pool = np.arange(TEST + FOR_TEACHER, len(y))
        # What is known of all columns: those of the pool, no labels.
        encoder = single_tables.scaled().fit(X.iloc[self.pool])
        self.X = np.asarray(encoder.transform(X), dtype=np.float64)
        self.codes = np.arange(len(self.classes))
        self.teacher = RandomForestClassifier(100, random_state=seed)
        self.teacher.fit(self.X[to_train], self.y[to_train])
        self.proba = answer(self.teacher, self.X, self.codes)

    def points(self, proba):
        right = proba.argmax(axis=1) == self.y[self.test]
        return 100 * right.mean()

    def score(self, student, rows, targets):
        model = fit_soft(student, rows, targets, self.codes, seed=self.seed)
        return self.points(answer(model, self.X[self.test], self.codes))

    def judged(self, student, rows, budget, labels=None, sources=()):
        """Return the score of the distiller, what it chose, and other sources'."""
        answers = self.proba[rows].copy()
        answers[budget:] = np.nan
        distiller = ComparativeDistiller(
            None, student, classes=self.codes, random_state=self.seed
        )
        args = (self.X[rows], labels, answers, None, None, self.seed)
        study = distiller._read(*args)
        _, chosen = distiller._judge(study, self.seed)
        scores = {}
        for source in {chosen, *sources}:
            model = distiller._fit_student(study, source, self.seed)
            said = answer(model, self.X[self.test], self.codes)
            scores[source] = self.points(said)
        return {**scores, "distiller": scores[chosen]}, chosen


def main_setting(split, name, student, budget):
    """Return the scores of all methods, and what the distiller chose."""
    rows = split.pool[: budget + UNASKED]
    asked = rows[:budget]
    X, proba = split.X[asked], split.proba[asked]
    draw = np.random.default_rng(split.seed)
    scores = {"soft labels": split.score(student, X, proba)}
    decided = np.eye(len(split.codes))[proba.argmax(axis=1)]
    scores["hard labels"] = split.score(student, X, decided)
    for method, neighbours in (("mixup", False), ("neighbour mixup", True)):
        more = mixed(X, proba, UNASKED, draw, neighbours)
        both = np.vstack([X, more[0]]), np.vstack([proba, more[1]])
        scores[method] = split.score(student, *both)
    if name in ("logistic", "boosting"):
        predict = by_published_loss(name, X, proba, split.seed)
        scores["published loss"] = split.points(predict(split.X[split.test]))
    if name == "logistic":
        predict = fit_relational(X, proba, split.seed)
        scores["RKD"] = split.points(predict(split.X[split.test]))
    judged, chosen = split.judged(student, rows, budget, sources=SOURCES)
    scores.update({k: judged[k] for k in (*SOURCES, "distiller")})
    scores["ceiling"] = split.score(student, split.X[rows], split.proba[rows])
    return scores, chosen


def with_labels(split, student, budget):
    """Return the gain where all rows have labels."""
    rows = split.pool[: budget + UNASKED]
    targets = np.eye(len(split.codes))[split.y[rows]]
    targets[:budget] = split.proba[rows[:budget]]
    alone = split.score(student, split.X[rows], targets)
    judged, _ = split.judged(student, rows, budget, labels=split.y[rows])
    return judged["distiller"] - alone


def without_unlabelled(split, student, budget):
    """Return the gain where there are no other rows: virtual ones are made."""
    rows = split.pool[:budget]
    alone = split.score(student, split.X[rows], split.proba[rows])
    return split.judged(student, rows, budget)[0]["distiller"] - alone


def of_query(split, student, budget, query):
    """Return the scores of answers alone and of direct estimates for a query."""
    distiller = ComparativeDistiller(
        split.teacher, student, teacher_budget=budget, query=query
    )
    pool = split.pool[: max(BUDGETS) // 5 + UNASKED]
    study = distiller._read(split.X[pool], None, None, None, None, split.seed)
    distiller._ask_teacher(study, split.seed)
    scores = []
    for source in ("answers", "direct"):
        model = distiller._fit_student(study, source, split.seed)
        proba = FittedMember("student", model, split.teacher.classes_).predict_proba(
            split.X[split.test]
        )
        said = np.zeros((len(proba), len(split.codes)))
        said[:, split.teacher.classes_] = proba
        scores.append(split.points(said))
    return scores


def one_split(name, options, seed):
    """Return the figures of one table and split by (part, student, budget, method)."""
    warnings.simplefilter("ignore")
    split, result = Split(name, options, seed), {}
    for budget in BUDGETS:
        with shared_estimates():
            for student, model in students(seed).items():
                if student in SLOW and seed >= SLOW_SEEDS:
                    continue
                scores, chosen = main_setting(split, student, model, budget)
                for method, score in scores.items():
                    result["main", student, budget, method] = score
                for source in ("answers", *SOURCES):
                    key = "chosen", student, budget, source
                    result[key] = float(chosen == source)
        if budget not in SMALL_BUDGETS:
            continue
        for student in ("tree", "logistic", "bayes"):
            model = students(seed)[student]
            with shared_estimates():
                gain = with_labels(split, model, budget)
                result["labels", student, budget, "gain"] = gain
                gain = without_unlabelled(split, model, budget)
                result["virtual", student, budget, "gain"] = gain
            for query in QUERIES:
                scores = of_query(split, model, budget, query)
                for source, score in zip(("answers", "direct"), scores, strict=True):
                    result[f"query, {source}", student, budget, query] = score
    return result


def run(options):
    names = TABLES[:4] if options.quick else TABLES
    jobs = [(name, options, seed) for seed in range(options.seeds) for name in names]
    splits = side_by_side(one_split, jobs, options)
    keys = {key for split in splits for key in split}
    by = {}
    for key in keys:  # mean over the tables, one value for each seed
        values = np.array([split.get(key, np.nan) for split in splits])
        means = values.reshape(options.seeds, len(names)).mean(axis=1)
        by[key] = means[~np.isnan(means)]
    if options.save:
        figures.accuracy_against_calls(by, students(0), BUDGETS, "comparative")
    return page(by, names)


def gain(values):
    """Return the mean, and its error where there are several splits."""
    error = f" ± {standard_error(values):.1f}" if len(values) > 1 else ""
    return f"{np.mean(values):+.1f}{error}"


def page(by, names):
    texts = [__doc__.split("\n", 2)[2].strip(), "", f"Tables: {', '.join(names)}.", ""]
    texts += ["![Accuracy against calls](comparative.svg)", ""]
    for student in students(0):
        lines = []
        for method in [*BASELINES, *SOURCES, "distiller", "ceiling"]:
            if ("main", student, BUDGETS[0], method) not in by:
                continue
            cells = [
                gain(
                    by["main", student, budget, method]
                    - by["main", student, budget, "soft labels"]
                )
                for budget in BUDGETS
            ]
            lines.append([method, *cells])
        for source in ("answers", *SOURCES):
            shares = [by["chosen", student, budget, source] for budget in BUDGETS]
            lines.append(
                [f"*chosen: {source}*", *(f"{100 * s.mean():.0f} %" for s in shares)]
            )
        n_seeds = len(by["main", student, BUDGETS[0], "soft labels"])
        accuracy = [by["main", student, b, "soft labels"].mean() for b in BUDGETS]
        lines.insert(0, ["*soft labels, accuracy*", *(f"{a:.1f}" for a in accuracy)])
        heads = [f"gain, {n_seeds} splits", *(f"B = {b}" for b in BUDGETS)]
        texts += [f"## {student}", "", table(heads, lines), ""]
    small = [(s, b) for s in ("tree", "logistic", "bayes") for b in SMALL_BUDGETS]
    heads = ["student, B", "labels for all rows", "no unlabelled rows"]
    lines = [
        [f"{s}, {b}", *(gain(by[part, s, b, "gain"]) for part in ("labels", "virtual"))]
        for s, b in small
    ]
    texts += ["## Gain of the distiller with labels, and without other rows", ""]
    texts += ["With labels, against soft labels of the B rows and labels of the rest."]
    texts += ["", table(heads, lines), ""]
    texts += ["## Which rows to ask about", "", "Accuracy by query.", ""]
    kinds = [
        (f"query, {source}", q) for source in ("answers", "direct") for q in QUERIES
    ]
    lines = [
        [f"{s}, {b}", *(f"{by[kind, s, b, q].mean():.1f}" for kind, q in kinds)]
        for s, b in small
    ]
    texts += [table(["student, B", *(f"{k[7:]}, {q}" for k, q in kinds)], lines), ""]
    return "\n".join(texts)
