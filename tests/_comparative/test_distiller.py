"""The ComparativeDistiller: a hard budget, nothing lost, any teacher, any student."""

import pickle
import threading

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_classification
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesRegressor, RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from skcoop import ComparativeDistiller
from skcoop._comparative._pool import make_pool
from skcoop._comparative._transfer_set import SOURCES, better_source

X, y = make_classification(
    n_samples=400, n_features=5, n_informative=4, n_redundant=0, n_classes=3,
    random_state=0,
)  # fmt: skip
FOREST = RandomForestClassifier(20, random_state=0).fit(X[:150], y[:150])
ROWS, LABELS = X[150:250], y[150:250]
TRUTH = FOREST.predict_proba(ROWS)
NAMES = [0, 1, 2]
TREES = ExtraTreesRegressor(3, max_depth=8)
QUERIES = ["random", "uncertain", "diverse"]


class Counting:
    """A teacher that notes what it was asked, and may stop answering."""

    def __init__(self, fail_after=np.inf):
        self.asked = []
        self.fail_after = fail_after
        self.lock = threading.Lock()  # cannot be copied or pickled

    def __call__(self, rows):
        if len(self.asked) + len(rows) > self.fail_after:
            raise ConnectionError("no more credit")
        self.asked += [tuple(row) for row in np.asarray(rows)]
        return FOREST.predict_proba(np.asarray(rows))


def distiller(teacher=FOREST, student=None, **params):
    defaults = {
        "comparison": TREES, "max_comparisons": 200, "n_virtual": 30, "random_state": 0,
    }  # fmt: skip
    student = DecisionTreeClassifier(max_depth=5) if student is None else student
    return ComparativeDistiller(teacher, student, **{**defaults, **params})


def answered(fitted):
    return ~np.isnan(fitted.teacher_answers_).any(axis=1)


# The budget


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("budget", [0, 1, 2, 7, 60, 100, 1000])
@pytest.mark.parametrize("labelled", [False, True])
def test_budget_is_a_hard_promise(query, budget, labelled):
    teacher = Counting()
    model = distiller(
        teacher, teacher_budget=budget, query=query, classes=None if labelled else NAMES
    )
    labels = LABELS if labelled else None
    if budget == 0 and not labelled:
        with pytest.raises(ValueError, match="nothing to learn from"):
            model.fit(ROWS)
        assert teacher.asked == []
        return
    model.fit(ROWS, labels, X_unlabeled=X[250:300])
    expected = min(budget, 100)
    assert len(teacher.asked) == model.n_teacher_calls_ == expected
    assert len(set(teacher.asked)) == expected  # each row at most once
    assert {tuple(row) for row in ROWS} >= set(teacher.asked)
    assert answered(model).sum() == expected
    assert_allclose(model.teacher_answers_[answered(model)], TRUTH[answered(model)])


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("accept", ["improves", None])
@pytest.mark.parametrize("cv", [2, KFold(3), StratifiedKFold(3)])
def test_judging_asks_nobody(query, accept, cv):
    teacher = Counting()
    model = distiller(teacher, teacher_budget=12, query=query, accept=accept, cv=cv)
    model.fit(ROWS, LABELS)
    assert len(teacher.asked) == 12


@pytest.mark.parametrize("query", QUERIES)
def test_call_that_fails_half_way_loses_no_answer(query):
    teacher = Counting(fail_after=70)
    model = distiller(teacher, teacher_budget=80, query=query)
    message = r"^The teacher, asked about \d+ rows: no more credit"
    with pytest.raises(ConnectionError, match=message) as error:
        model.fit(ROWS, LABELS)
    assert "are in teacher_answers_" in str(error.value)
    paid = len(teacher.asked)
    assert 0 < paid == answered(model).sum() <= 70
    assert paid <= model.n_teacher_calls_ <= 80
    with pytest.raises(NotFittedError):
        model.predict(ROWS)
    # The second fit asks for the rest, and for nothing twice.
    teacher.fail_after = np.inf
    model.fit(ROWS, LABELS, teacher_proba=model.teacher_answers_)
    assert len(teacher.asked) == len(set(teacher.asked)) == 80
    assert model.n_teacher_calls_ == 80 - paid


def test_student_that_fails_loses_no_answer():
    class Broken(DecisionTreeClassifier):
        def fit(self, X, y, sample_weight=None):
            raise RuntimeError("out of memory")

    model = distiller(student=Broken(), teacher_budget=10).fit
    with pytest.raises(RuntimeError, match="out of memory"):
        model(ROWS)
    assert answered(model.__self__).sum() == model.__self__.n_teacher_calls_ == 10


def test_mistakes_are_found_before_anybody_is_asked():
    teacher = Counting()
    for params, fit in [
        ({"student": LinearRegression()}, {}),
        ({"cv": ShuffleSplit(2)}, {}),
        ({"classes": ["a", "a", "b"]}, {}),
        ({"query": "clever"}, {}),
        ({"comparison": LogisticRegression()}, {}),
        ({"comparison": KMeans(3)}, {}),
        ({}, {"X_unlabeled": X[:, :3]}),
        ({}, {"X_unlabeled": pd.DataFrame(X)}),
        ({}, {"X_unlabeled": np.full_like(X, np.inf)}),
        ({}, {"teacher_proba": np.zeros((3, 3))}),
        ({}, {"sample_weight": np.zeros(100)}),
        ({}, {"y": LABELS[:50]}),
    ]:
        with pytest.raises(ValueError):
            distiller(teacher, **params).fit(ROWS, **fit)
    assert teacher.asked == []


def test_clone_keeps_the_teacher_itself():
    teacher = Counting()
    model = distiller(teacher, GaussianNB())
    twin = clone(model)
    assert twin.teacher is teacher
    assert twin.student is not model.student
    assert clone(distiller()).teacher is FOREST  # and it stays fitted
    assert teacher.asked == []
    assert not any(name.startswith("teacher__") for name in model.get_params())
    assert model.set_params(student__priors=None) is model


def test_grid_search_costs_what_the_notes_say_and_nothing_with_answers():
    teacher = Counting()
    grid = {"student__max_depth": [1, 3]}
    model = distiller(teacher, teacher_budget=10)
    GridSearchCV(model, grid, cv=3).fit(ROWS, LABELS)
    assert len(teacher.asked) == (2 * 3 + 1) * 10
    teacher.asked.clear()
    asked_once = model.fit(ROWS, LABELS).teacher_answers_
    assert len(teacher.asked) == 10
    search = GridSearchCV(clone(model).set_params(teacher_budget=0), grid, cv=3)
    search.fit(ROWS, LABELS, teacher_proba=asked_once)
    assert len(teacher.asked) == 10
    assert search.best_estimator_.n_teacher_calls_ == 0
    assert answered(search.best_estimator_).sum() == 10


def test_equal_rows_are_asked_about_once():
    teacher = Counting()
    twice = np.repeat(ROWS[:20], 2, axis=0)
    model = distiller(teacher, teacher_budget=20, classes=NAMES).fit(twice)
    assert len(teacher.asked) == 20
    assert answered(model).all()
    assert_array_equal(model.teacher_answers_[::2], model.teacher_answers_[1::2])


def test_rows_without_weight_are_not_asked_about():
    teacher = Counting()
    weights = np.r_[np.zeros(60), np.ones(40)]
    model = distiller(teacher, teacher_budget=100, classes=NAMES)
    model.fit(ROWS, sample_weight=weights)
    assert set(teacher.asked) == {tuple(row) for row in ROWS[60:]}
    assert_array_equal(answered(model), weights > 0)


@pytest.mark.parametrize("ask", [FOREST, FOREST.predict_proba], ids=["model", "call"])
def test_class_of_a_row_without_weight_is_no_class(ask):
    labels = np.zeros(100, dtype=int)
    labels[:5], labels[5:50], labels[50:] = 7, 1, 2
    weights = np.where(labels == 7, 0.0, 1.0)
    if ask is not FOREST:
        known = {"teacher": lambda rows: ask(rows)[:, 1:] + ask(rows)[:, :1] / 2}
        known["teacher_budget"] = 100
    else:
        known = {"teacher": FOREST}
    model = distiller(**known).fit(ROWS, labels, sample_weight=weights)
    expected = [1, 2] if ask is not FOREST else [0, 1, 2]
    assert_array_equal(model.classes_, expected)


def test_fit_again_after_a_teacher_that_never_answered():
    def down(rows):
        raise ConnectionError("503")

    model = distiller(down, teacher_budget=100, classes=NAMES)
    with pytest.raises(ConnectionError) as raised:
        model.fit(ROWS)
    first, last = str(raised.value).splitlines()
    assert first == "The teacher, asked about 50 rows: 503"
    assert last == "There is no answer so far."
    model.set_params(teacher=FOREST.predict_proba)
    model.fit(ROWS, teacher_proba=model.teacher_answers_)
    assert answered(model).any()


# Answers that are there already


def test_answers_handed_in_replace_the_teacher():
    bought = distiller(teacher_budget=30).fit(ROWS)
    again = distiller(None, classes=[0, 1, 2])
    again.fit(ROWS, teacher_proba=bought.teacher_answers_)
    assert again.n_teacher_calls_ == 0
    assert again.source_ == bought.source_
    assert_array_equal(again.predict_proba(X), bought.predict_proba(X))


def test_answers_handed_in_are_left_as_they_are():
    handed_in = TRUTH.copy()
    handed_in[40:] = np.nan
    before = handed_in.copy()
    table, labels = ROWS.copy(), LABELS.copy()
    distiller(None).fit(table, labels, teacher_proba=handed_in)
    assert_array_equal(handed_in, before)
    assert_array_equal(table, ROWS)
    assert_array_equal(labels, LABELS)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([0.5, np.nan, 0.5], "Row 3 of teacher_proba.*NaN or infinity"),
        ([np.inf, 0, 0], "Row 3 of teacher_proba.*NaN or infinity"),
        ([0.5, 0.7, -0.2], "Row 3 of teacher_proba.*negative"),
        ([0.5, 0.7, 0.2], "Row 3 of teacher_proba.*sum to one"),
    ],
)
def test_bad_answers_handed_in(row, message):
    handed_in = np.full((100, 3), np.nan)
    handed_in[:3], handed_in[3] = TRUTH[:3], row
    with pytest.raises(ValueError, match=message):
        distiller().fit(ROWS, teacher_proba=handed_in)


# What the teacher says


@pytest.mark.parametrize(
    ("spoil", "message", "kept"),
    [
        (lambda p: p * [[1], [np.nan]] * np.ones_like(p), "NaN or infinity", 1),
        (lambda p: p * [[1], [2.0]], "does not sum to one", 1),
        (lambda p: p - [[0], [1.0]] + [[0], [1 / 3]], "negative", 1),
        (lambda p: p[:, :2], r"shape \(2, 2\).*\(2, 3\) was expected", 0),
        (lambda p: p[:1], r"shape \(1, 3\)", 0),
        (lambda p: p.argmax(axis=1), r"shape \(2,\)", 0),
        (lambda p: None, r"\(\)|array of numbers", 0),
        (lambda p: [["high"] * 3] * 2, "array of numbers", 0),
    ],
)
def test_bad_answers_of_the_teacher_lose_no_paid_one(spoil, message, kept):
    model = distiller(
        lambda rows: spoil(FOREST.predict_proba(rows)), classes=[0, 1, 2],
        teacher_budget=2,
    )  # fmt: skip
    with pytest.raises(ValueError, match=message) as raised:
        model.fit(ROWS)
    assert answered(model).sum() == kept
    # Nothing is no answer that could be handed in again.
    assert ("hand them to fit" in str(raised.value)) == (kept > 0)
    assert model.n_teacher_calls_ == 2
    with pytest.raises(NotFittedError):
        model.predict(ROWS)


def test_rounding_below_zero_is_mended():
    def rounded(rows):
        proba = FOREST.predict_proba(rows)
        return proba - [[1e-7, 0, -1e-7]]

    model = distiller(rounded, classes=[0, 1, 2], teacher_budget=40).fit(ROWS)
    answers = model.teacher_answers_[answered(model)].to_numpy()
    assert len(answers) == 40
    assert answers.min() == 0
    assert_allclose(answers.sum(axis=1), 1)


def test_rounded_answers_are_mended():
    model = distiller(
        lambda rows: FOREST.predict_proba(rows).round(2),
        teacher_budget=100, classes=NAMES,
    ).fit(ROWS)  # fmt: skip
    assert_allclose(model.teacher_answers_.sum(axis=1), 1)


def test_unfitted_teacher_and_teacher_that_is_a_class():
    with pytest.raises(NotFittedError, match=r"teacher.*not fitted"):
        distiller(RandomForestClassifier()).fit(ROWS)
    with pytest.raises(NotFittedError, match=r"teacher.*not fitted"):
        distiller(FrozenEstimator(RandomForestClassifier())).fit(ROWS)
    with pytest.raises(ValueError, match="class"):
        distiller(RandomForestClassifier).fit(ROWS)


@pytest.mark.parametrize(
    ("student", "message"),
    [
        (LinearRegression(), r"'student' should be a classifier.*LinearRegression"),
        (FrozenEstimator(FOREST), "student is frozen and cannot learn"),
        (DecisionTreeClassifier, r"Pass an instance of it: DecisionTreeClassifier\(\)"),
        (None, "'student' should be a classifier.*None"),
        ("tree", "'student' should be a classifier.*'tree'"),
    ],
)
def test_bad_student(student, message):
    with pytest.raises(ValueError, match=message):
        ComparativeDistiller(FOREST, student).fit(ROWS)


# Classes


def test_classes_by_teacher_labels_parameter_or_number():
    def bare(rows):
        return FOREST.predict_proba(rows)

    assert_array_equal(distiller().fit(ROWS).classes_, FOREST.classes_)
    names = np.array(["high", "low", "middle"])
    bought = {"teacher_budget": 100}
    named = distiller(bare, **bought).fit(ROWS, names[LABELS])
    assert_array_equal(named.classes_, names)
    assert set(named.predict(ROWS)) <= set(names)
    told = distiller(bare, classes=["z", "b", "a"], **bought).fit(ROWS)
    assert_array_equal(told.classes_, ["a", "b", "z"])
    assert_allclose(told.teacher_answers_, TRUTH[:, ::-1])
    # Numbers are nobody's choice: without a name there is an error.
    with pytest.raises(ValueError, match="name them in `classes`"):
        distiller(bare, **bought).fit(ROWS)

    # Classes that nobody said are known from the labels of the first answer on.
    def frames(rows):
        return pd.DataFrame(FOREST.predict_proba(rows), columns=["z", "b", "a"])

    shown = distiller(frames, query="uncertain", **bought).fit(ROWS)
    assert_array_equal(shown.classes_, ["a", "b", "z"])
    assert_allclose(shown.teacher_answers_, TRUTH[:, ::-1])


def test_teacher_that_knows_fewer_classes_than_the_labels():
    some = y[:150] < 2
    teacher = FrozenEstimator(GaussianNB().fit(X[:150][some], y[:150][some]))
    model = distiller(teacher, teacher_budget=30).fit(ROWS, LABELS)
    assert_array_equal(model.classes_, [0, 1, 2])
    assert (model.teacher_answers_.loc[answered(model), 2] == 0).all()
    assert (model.predict(ROWS) == 2).any()  # what only the labels know is learned


def test_teacher_that_knows_more_classes_than_the_labels():
    two = LABELS < 2
    model = distiller(teacher_budget=20).fit(ROWS[two], LABELS[two])
    assert_array_equal(model.classes_, [0, 1, 2])
    assert model.predict_proba(ROWS).shape == (100, 3)


def test_teacher_of_other_classes():
    with pytest.raises(ValueError, match=r"knows the classes \[0, 1, 2\].*'high'"):
        distiller().fit(ROWS, np.array(["high", "low", "so"])[LABELS])


def test_classes_in_a_wrong_number():
    with pytest.raises(ValueError, match=r"\(50, 3\).*\(50, 2\) was expected"):
        distiller(FOREST.predict_proba, classes=[0, 1], teacher_budget=100).fit(ROWS)


def test_one_class_is_nothing_to_learn():
    with pytest.raises(ValueError, match="at least two classes"):
        distiller(FOREST.predict_proba, teacher_budget=9).fit(ROWS, np.zeros(100))


# What is learned


def test_estimates_help_where_there_is_something_to_learn():
    """A tree with 40 answers and 210 rows without comes closer to its teacher."""
    rows, truth = X[150:], FOREST.predict(X[150:])
    gains = []
    for seed in range(4):
        params = {"teacher_budget": 40, "random_state": seed, "comparison": None}
        student = DecisionTreeClassifier(random_state=0)
        model = distiller(student=student, **params).fit(rows)
        asked = answered(model)
        alone = clone(student).fit(rows[asked], truth[asked])
        gains.append(
            np.mean(model.predict(rows)[~asked] == truth[~asked])
            - np.mean(alone.predict(rows)[~asked] == truth[~asked])
        )
    assert np.mean(gains) > 0.03


def test_gate_refuses_estimates_that_mislead():
    """A regressor that predicts nonsense is not believed."""

    class Nonsense(Ridge):
        def predict(self, X):
            bad = np.zeros((len(X), 3))
            bad[:, 0] = 50.0
            # Of a comparison (15 columns) the two directions must not cancel out.
            return bad * (np.sign(X[:, 10:11]) if X.shape[1] == 15 else 1)

    params = {"comparison": Nonsense(), "teacher_budget": 60}
    refused = distiller(student=GaussianNB(), **params).fit(ROWS)
    assert refused.source_ == "answers"
    losses = refused.scores_["cross_entropy"]
    assert losses["answers"] < losses["direct"]
    ungated = distiller(student=GaussianNB(), accept=None, **params).fit(ROWS)
    assert ungated.source_ == "comparison"
    assert not len(ungated.scores_)
    truth = FOREST.predict(X[250:])
    assert (refused.predict(X[250:]) == truth).mean() > 0.6
    assert (ungated.predict(X[250:]) == truth).mean() < 0.6


def test_without_labels_the_lowest_out_of_fold_loss_is_chosen():
    model = distiller(teacher_budget=50).fit(ROWS)
    assert list(model.scores_.index) == ["answers", "direct", "comparison"]
    assert model.source_ == model.scores_["cross_entropy"].idxmin()
    assert model.scores_["agreement"].between(0, 1).all()


def test_judgement_does_not_see_the_answer_that_it_is_judged_by():
    """On answers that are noise nothing can seem better than a guess."""
    noise = np.random.default_rng(0).permutation(np.eye(2)[np.arange(100) % 2])
    model = distiller(None, KNeighborsClassifier(1), n_virtual=200, classes=[0, 1])
    scores = model.fit(ROWS, teacher_proba=noise).scores_
    assert scores["agreement"].max() < 0.65


def test_judgement_does_not_see_the_label_that_it_is_judged_by():
    noise = np.random.default_rng(0).permutation(np.arange(100) % 2)
    answers = np.full((100, 2), np.nan)
    answers[:40] = np.eye(2)[noise[:40]]
    for cv in (4, KFold(4)):
        model = distiller(None, KNeighborsClassifier(1), n_virtual=200, cv=cv)
        scores = model.fit(ROWS, noise, teacher_proba=answers).scores_
        assert scores["accuracy"].max() < 0.65
        assert scores["agreement"].max() < 0.65


def test_each_fold_has_its_share_of_the_answers():
    y = np.arange(100) % 10
    answers = np.full((100, 10), np.nan)
    answers[:22] = np.eye(10)[y[:22]]
    model = distiller(None, GaussianNB())
    study = model._read(ROWS, y, answers, None, None, 0)
    folds = model._folds(study)
    assert np.ptp(np.bincount(folds[study.answered])) <= 1
    assert np.ptp(np.bincount(folds[study.labelled])) <= 1
    assert (folds[~study.judges] == -1).all()


def test_estimates_that_cost_labels_are_not_used():
    """What the teacher says is not what the labels say."""
    y, said = (ROWS[:, 0] > 0).astype(int), (ROWS[:, 1] > 0).astype(int)
    answers = np.where(np.arange(100)[:, None] < 50, np.eye(2)[said], np.nan)
    model = distiller(None, LogisticRegression(), n_virtual=300, classes=[0, 1])
    without = model.fit(ROWS, teacher_proba=answers)
    assert without.source_ != "answers"
    with_labels = model.fit(ROWS, y, teacher_proba=answers)
    losses, right = (
        with_labels.scores_["cross_entropy"],
        with_labels.scores_["accuracy"],
    )
    assert losses.idxmin() != "answers"
    assert right.drop("answers").max() < right["answers"]
    assert with_labels.source_ == "answers"


def test_accuracy_is_judged_where_there_are_labels():
    y = FOREST.predict(ROWS)
    model = distiller(student=GaussianNB(), teacher_budget=30).fit(ROWS, y)
    assert (model.scores_["accuracy"] > 0.6).all()
    # Rows that weigh nothing do not judge.
    wrong = np.where(np.arange(100) < 50, y, (y + 1) % 3)
    weights = 1.0 * (np.arange(100) < 50)
    model.fit(ROWS, wrong, sample_weight=weights)
    assert (model.scores_["accuracy"] > 0.6).all()
    assert model.fit(ROWS).scores_["accuracy"].isna().all()


@pytest.mark.parametrize(
    ("accuracy", "chosen"),
    [
        ([np.nan, np.nan, np.nan], "direct"),
        ([0.8, 0.8, 0.7], "direct"),
        ([0.8, 0.8 - 1e-12, 0.8], "direct"),
        ([0.8, 0.79, 0.9], "comparison"),
        ([0.8, 0.79, 0.79], "answers"),
    ],
)
def test_what_is_nearer_to_the_answers_must_cost_no_label(accuracy, chosen):
    losses = [0.5, 0.3, 0.4]
    columns = {"cross_entropy": losses, "agreement": 0.5, "accuracy": accuracy}
    assert better_source(pd.DataFrame(columns, index=list(SOURCES))) == chosen


def test_all_answered_and_nothing_else_is_plain_soft_labels():
    model = distiller(student=LogisticRegression(), n_virtual=0).fit(ROWS)
    assert model.source_ == "answers"
    by_hand = LogisticRegression().fit(
        np.repeat(ROWS, 3, axis=0), np.tile([0, 1, 2], 100), TRUTH.ravel()
    )
    assert_allclose(model.predict_proba(X), by_hand.predict_proba(X), atol=1e-3)


def test_temperature_softens():
    sharp = distiller(student=GaussianNB(), n_virtual=0).fit(ROWS)
    soft = distiller(student=GaussianNB(), n_virtual=0, temperature=5.0).fit(ROWS)
    assert soft.predict_proba(X).max() < sharp.predict_proba(X).max()


def test_labels_teach_what_was_not_asked():
    model = distiller(teacher_budget=3, n_virtual=0, student=GaussianNB())
    with_labels = model.fit(ROWS, LABELS).score(X[250:], y[250:])
    without = clone(model).fit(ROWS).score(X[250:], y[250:])
    assert with_labels > without


def test_uncertain_rows_are_those_between_classes():
    rows = np.r_[np.linspace(-1, -0.9, 40), 0.05, -0.05, np.linspace(0.9, 1, 40)]

    def teacher(x):
        return np.c_[1 / (1 + np.exp(5 * x)), 1 / (1 + np.exp(-5 * x))]

    model = distiller(
        teacher,
        LogisticRegression(C=1e3),
        query="uncertain",
        teacher_budget=8,
        classes=[0, 1],
    ).fit(rows[:, None])
    assert answered(model)[[40, 41]].all()


def test_diverse_rows_cover_what_chance_leaves_out():
    """Ten rows lie far from 190 that are nearly the same."""
    rows = np.r_[draw_near(190), 10.0 + np.arange(10)[:, None] * np.ones((10, 2))]

    def teacher(x):
        return np.c_[x[:, 0] > 5, x[:, 0] <= 5].astype(float)

    params = {"teacher_budget": 8, "random_state": 1, "classes": [0, 1]}
    far = [
        answered(distiller(teacher, query=query, **params).fit(rows))[190:].sum()
        for query in ("diverse", "random")
    ]
    assert far[0] >= 5 > far[1]


def draw_near(n_rows):
    return np.random.default_rng(0).normal(0, 0.01, (n_rows, 2))


# scikit-learn's ways


@pytest.mark.parametrize(
    "student",
    [
        KNeighborsClassifier(3),
        LinearDiscriminantAnalysis(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        RandomForestClassifier(5),
    ],
    ids=lambda s: type(s).__name__,
)
def test_any_student(student):
    model = distiller(student=student, teacher_budget=40).fit(ROWS)
    assert_allclose(model.predict_proba(X).sum(axis=1), 1)
    again = clone(model).fit(ROWS)
    assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    truth = FOREST.predict(X[250:])
    assert (model.predict(X[250:]) == truth).mean() > 0.5


def test_student_without_probabilities():
    model = distiller(student=LinearSVC(), teacher_budget=40)
    assert not hasattr(model, "predict_proba")
    model.fit(ROWS)
    assert not hasattr(model, "predict_proba")
    assert set(model.predict(X)) <= {0, 1, 2}


def test_pipeline_pickle_and_cross_validation():
    inner = distiller(FOREST.predict_proba, teacher_budget=20)
    pipeline = make_pipeline(StandardScaler(with_mean=False, with_std=False), inner)
    pipeline.fit(ROWS, LABELS)
    loaded = pickle.loads(pickle.dumps(pipeline))
    assert_array_equal(loaded.predict_proba(X), pipeline.predict_proba(X))
    assert len(cross_val_score(pipeline, ROWS, LABELS, cv=3)) == 3


def test_metadata_routing():
    with config_context(enable_metadata_routing=True):
        inner = distiller(None, classes=[0, 1, 2])
        inner.set_fit_request(teacher_proba=True, sample_weight=True, X_unlabeled=False)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, inner)
        weights = np.r_[np.zeros(50), np.ones(50)]
        pipeline.fit(ROWS, LABELS, teacher_proba=TRUTH, sample_weight=weights)
    direct = distiller(None, classes=[0, 1, 2]).fit(
        StandardScaler().fit_transform(ROWS), LABELS,
        teacher_proba=TRUTH, sample_weight=weights,
    )  # fmt: skip
    assert_array_equal(pipeline.predict(X), direct.predict(pipeline[0].transform(X)))


def test_order_of_the_rows_does_not_matter():
    order = np.random.default_rng(1).permutation(100)
    model = distiller(None, LogisticRegression(), classes=NAMES)
    model.fit(ROWS, teacher_proba=TRUTH)
    mixed = distiller(None, LogisticRegression(), classes=NAMES)
    mixed.fit(ROWS[order], teacher_proba=TRUTH[order])
    assert_allclose(model.predict_proba(X), mixed.predict_proba(X))


def test_global_random_state_is_left_alone():
    state = np.random.get_state()[1].copy()
    distiller(teacher_budget=20, random_state=3).fit(ROWS)
    assert_array_equal(np.random.get_state()[1], state)


def table(rows):
    return pd.DataFrame(rows, columns=list("abcde")).assign(
        kind=pd.Categorical(np.where(rows[:, 0] > 0, "up", "down")),
        level=np.arange(len(rows)) % 4,
        flag=rows[:, 1] > 0,
    )


def frame_model(teacher, **params):
    encode = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["kind"]),
        ("passthrough", [*"abcde", "level", "flag"]),
    )
    return distiller(teacher, make_pipeline(encode, GaussianNB()), **params)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_reach_teacher_and_student_as_they_are(library):
    def container(frame):
        return frame if library == "pandas" else pl.from_pandas(frame)

    seen = []

    def teacher(rows):
        seen.append(rows)
        return FOREST.predict_proba(np.asarray(rows[list("abcde")], dtype=float))

    model = frame_model(teacher, teacher_budget=20, classes=NAMES)
    frame = container(table(ROWS))
    model.fit(frame, X_unlabeled=container(table(X[250:300])))
    assert all(type(rows) is type(frame) for rows in seen)
    assert all(list(rows.columns) == list(frame.columns) for rows in seen)
    types = frame.dtypes if library == "polars" else list(frame.dtypes)
    assert all(list(rows.dtypes) == list(types) for rows in seen)
    assert_array_equal(model.feature_names_in_, list(frame.columns))
    # An answer does not depend on the container.
    other = table(X[300:])
    assert_array_equal(
        model.predict(container(other)), model.predict(pl.from_pandas(other))
    )


def test_containers_give_the_same_student():
    params = {"teacher_budget": 30, "classes": NAMES}
    arrays = distiller(FOREST.predict_proba, **params).fit(ROWS)
    frames = distiller(
        lambda rows: FOREST.predict_proba(rows.to_numpy()), **params
    ).fit(pd.DataFrame(ROWS, columns=list("abcde")))
    assert_array_equal(
        frames.predict_proba(pd.DataFrame(X, columns=list("abcde"))),
        arrays.predict_proba(X),
    )


def test_missing_cells():
    holes = ROWS.copy()
    holes[::7, 1] = np.nan
    model = distiller(
        lambda rows: FOREST.predict_proba(np.nan_to_num(rows)), teacher_budget=40,
        classes=NAMES,
    ).fit(holes)  # fmt: skip
    assert model.n_teacher_calls_ == 40
    assert np.isfinite(model.predict_proba(holes)).all()


def test_verbose_says_one_line(capsys):
    distiller(teacher_budget=10).fit(ROWS)
    assert capsys.readouterr().out == ""
    distiller(teacher_budget=10, verbose=1).fit(ROWS)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert "asked about 10 rows" in lines[0]


def test_refit_forgets():
    model = distiller(teacher_budget=30).fit(ROWS)
    with pytest.raises(ValueError):
        model.fit(ROWS, LABELS[:3])
    assert not hasattr(model, "student_")
    assert not hasattr(model, "teacher_answers_")


# Its student's methods


def test_decision_function_is_the_students():
    model = distiller(student=LinearSVC(), teacher_budget=40).fit(ROWS)
    assert not hasattr(model, "predict_proba")
    np.testing.assert_array_equal(
        model.decision_function(ROWS), model.student_.decision_function(ROWS)
    )
    assert not hasattr(distiller(), "decision_function")  # a tree has none


def test_a_class_that_the_student_was_not_taught_has_probability_zero_and_no_score():
    """Classes come from the teacher; it gives one of them to nobody here."""
    sure = np.eye(3)[np.arange(100) % 2]
    student = LogisticRegression()
    model = distiller(None, student, n_virtual=0, classes=[0, 1, 2])
    model.fit(ROWS, teacher_proba=sure)
    assert model.classes_.tolist() == [0, 1, 2]
    assert model.student_.classes_.tolist() == [0, 1]
    proba = model.predict_proba(ROWS)
    assert (proba[:, 2] == 0).all()
    np.testing.assert_array_equal(proba[:, :2], model.student_.predict_proba(ROWS))
    with pytest.raises(AttributeError) as error:
        model.decision_function(ROWS)
    assert "only the classes [0, 1] of [0, 1, 2]" in str(error.value.__cause__)


def test_columns_of_unlabelled_rows_go_by_their_names():
    """Texts in another order are refused at once, as everywhere in scikit-learn."""
    names = [3, 7, 1, 0, 2]
    rows, more = (pd.DataFrame(part, columns=names) for part in (ROWS, X[250:300]))
    straight = distiller(lambda A: FOREST.predict_proba(np.asarray(A))).set_params(
        classes=[0, 1, 2], teacher_budget=30
    )
    turned = clone(straight).fit(rows, X_unlabeled=more[names[::-1]])
    straight.fit(rows, X_unlabeled=more)
    assert_array_equal(straight.predict_proba(rows), turned.predict_proba(rows))
    with pytest.raises(ValueError, match="X_unlabeled cannot be used"):
        straight.fit(rows, X_unlabeled=more.rename(columns={names[0]: 99}))


@pytest.mark.parametrize("scale", [2.0**-7, 2.0**7])
def test_unlabelled_rows_weigh_as_much_as_the_others(scale):
    plain = distiller(teacher_budget=30).fit(ROWS, X_unlabeled=X[250:300])
    scaled = distiller(teacher_budget=30).fit(
        ROWS, X_unlabeled=X[250:300], sample_weight=np.full(len(ROWS), scale)
    )
    assert_allclose(plain.predict_proba(X), scaled.predict_proba(X))


def test_no_column_counts_for_more_than_one_in_a_choice_of_rows():
    """Texts of many values lie at their place in the alphabet, between 0 and 1."""
    names = [f"name {i:03d}" for i in range(len(ROWS))]
    table = pd.DataFrame(ROWS).assign(name=names).rename(columns=str)
    pool = make_pool(table, None, np.ones(len(table)))
    spans = np.ptp(pool.places, axis=0)
    assert spans.shape == (6,)
    assert spans.max() <= 1 + 1e-9
