"""Situations from the issues of other libraries of this field, each by its thread."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, make_classification
from sklearn.ensemble import ExtraTreesRegressor, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    StratifiedKFold,
    cross_val_predict,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import RadiusNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from skcoop import (
    ComparativeDistiller,
    DiversePeersDistiller,
    make_distiller,
)
from skcoop.counterfactuals import BatchedDice, StockDice

CELLS, CODES = make_classification(
    n_samples=400, n_features=5, n_informative=4, n_redundant=0, random_state=0
)
TABLE = pd.DataFrame(CELLS, columns=list("abcde"))
Y = np.array(["no", "yes"])[CODES]
FOREST = RandomForestClassifier(20, random_state=0).fit(TABLE[:150], Y[:150])
ROWS, LABELS, KNOWN = TABLE[150:300], Y[150:300], CODES[150:300]
PROBA = FOREST.predict_proba(ROWS)
TREE = DecisionTreeClassifier(max_depth=4)
LIBRARIES = {
    "catboost": ("CatBoostClassifier", {
        "iterations": 8, "depth": 3, "verbose": 0, "allow_writing_files": False,
        "thread_count": 1,
    }),
    "lightgbm": ("LGBMClassifier", {"n_estimators": 5, "verbose": -1, "n_jobs": 1}),
    "xgboost": ("XGBClassifier", {"n_estimators": 5, "n_jobs": 1}),
}  # fmt: skip


def from_library(name):
    module = pytest.importorskip(name, reason=f"{name} is not installed")
    kind, params = LIBRARIES[name]
    return getattr(module, kind)(**params)


def learner(teacher, student=TREE, **params):
    regressor = ExtraTreesRegressor(3, max_depth=8)
    defaults = {"comparison": regressor, "max_comparisons": 200, "accept": None}
    defaults["n_virtual"] = 0
    params = {**defaults, "random_state": 0, **params}
    return ComparativeDistiller(teacher, student, **params)


def group(*members, **params):
    params = {"n_rounds": 1, "cv": 3, "random_state": 0, **params}
    return make_distiller(*members, **params)


def peers(leader, *members, **params):
    params = {"cv": 3, "n_virtual": 20, "random_state": 0, **params}
    members = members or (GaussianNB(), TREE)
    named = [(f"peer {number}", member) for number, member in enumerate(members)]
    return DiversePeersDistiller(named, leader=leader, **params)


# Probabilities whose columns or rows have labels


def as_table(proba, columns, library):
    """Return probabilities as a frame with columns in the given order."""
    if library == "pandas":
        return pd.DataFrame(proba, columns=FOREST.classes_)[columns]
    return pl.DataFrame(proba, schema=FOREST.classes_.tolist())[columns]


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("columns", [["no", "yes"], ["yes", "no"]])
def test_answers_with_labelled_columns_that_are_handed_in(library, columns):
    """automlbenchmark #212, AutoGluon #976: the teacher is not inverted."""
    expected = learner(None).fit(ROWS, LABELS, teacher_proba=PROBA)
    answers = as_table(PROBA, columns, library)
    for params in ({}, {"classes": ["yes", "no"]}, {"classes": ["no", "yes"]}):
        model = learner(None, **params).fit(ROWS, LABELS, teacher_proba=answers)
        assert_array_equal(model.predict_proba(TABLE), expected.predict_proba(TABLE))
        assert_allclose(model.teacher_answers_, PROBA)
    # The labels alone say what the classes are.
    alone = learner(None).fit(ROWS, teacher_proba=answers)
    assert_array_equal(alone.classes_, ["no", "yes"])
    assert (alone.predict(ROWS) == FOREST.predict(ROWS)).mean() > 0.85


TWELVE = np.array([str(number) for number in range(12)])


@pytest.mark.parametrize("kind", [int, str])
@pytest.mark.parametrize("labels", [int, str])
@pytest.mark.parametrize("order", ["as text", "as numbers", "mixed"])
def test_twelve_classes_sorted_as_text_or_as_numbers(kind, labels, order):
    """mljar #400: classes "0" to "11", columns called by numbers or by texts."""
    codes = np.arange(240) % 12
    y = codes if kind is int else TWELVE[codes]
    X = np.random.default_rng(0).normal(codes[:, None], 0.2, (240, 2))
    teacher = GaussianNB().fit(X, y)
    proba = teacher.predict_proba(X)
    columns = {
        "as text": np.sort(TWELVE), "as numbers": TWELVE, "mixed": TWELVE[::-1],
    }[order]  # fmt: skip
    columns = list(map(labels, columns))
    frame = pd.DataFrame(proba, columns=list(map(labels, teacher.classes_)))[columns]
    for known in (y, None):
        if known is None and labels is not kind:
            continue  # the classes are then called as the columns are
        model = learner(None).fit(X, known, teacher_proba=frame)
        assert_array_equal(model.classes_, teacher.classes_)
        assert_array_equal(model.teacher_answers_, proba)
        assert model.score(X, y) > 0.9


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("params", [{}, {"classes": ["no", "yes"]}])
@pytest.mark.parametrize("y", [None, LABELS, LABELS.astype(object)])
def test_callable_that_returns_labelled_columns(library, params, y):
    """cleanlab #991: columns by their labels, in each call."""
    calls = []

    def teacher(rows):
        calls.append(len(rows))
        columns = ["no", "yes"] if len(calls) % 2 else ["yes", "no"]
        return as_table(FOREST.predict_proba(rows), columns, library)

    model = learner(teacher, teacher_budget=120, **params).fit(ROWS, y)
    asked = model.teacher_answers_.notna().all(axis=1).to_numpy()
    assert asked.sum() == sum(calls) == model.n_teacher_calls_ == 120
    assert_allclose(model.teacher_answers_[asked], PROBA[asked])
    expected = learner(FOREST, teacher_budget=120).fit(ROWS, y)
    assert_array_equal(model.predict_proba(TABLE), expected.predict_proba(TABLE))


def test_callable_whose_labels_know_more_classes_than_y():
    """AutoGluon #976: rows with a label may be of some of the classes only."""
    codes = np.digitize(CELLS[:, 0], [-0.5, 0.5])
    teacher = GaussianNB().fit(CELLS[:150], codes[:150])

    def frames(rows):
        return pd.DataFrame(teacher.predict_proba(rows), columns=[0, 1, 2])[[2, 0, 1]]

    rows, labels = CELLS[150:300], np.where(codes[150:300] < 2, codes[150:300], np.nan)
    model = learner(frames, teacher_budget=40).fit(rows, labels)
    assert_array_equal(model.classes_, [0, 1, 2])
    expected = learner(teacher, teacher_budget=40).fit(rows, labels)
    assert_array_equal(model.predict_proba(CELLS), expected.predict_proba(CELLS))
    assert (model.predict(CELLS) == 2).any()


class Labelled(LogisticRegression):
    """Returns its probabilities as a frame, the last class first."""

    def predict_proba(self, X):
        proba = super().predict_proba(X)
        return pd.DataFrame(proba, columns=self.classes_)[self.classes_[::-1]]


class Mislabelled(LogisticRegression):
    """Calls its columns by names that are no classes."""

    def predict_proba(self, X):
        return pd.DataFrame(super().predict_proba(X)).add_prefix("p")


def in_each_role(model):
    """Yield distillers in which a model has one role each."""
    yield "member", group(model, GaussianNB())
    yield "member", group(model, GaussianNB(), combine="soft")
    yield "final", group(TREE, GaussianNB(), combine=model)
    yield "leader", peers(model, n_virtual=0)
    yield "peer", peers(TREE, model, GaussianNB(), accept=None)
    yield "student", learner(FOREST, model, teacher_budget=40)
    fitted = clone(model).fit(TABLE[:150], Y[:150])
    yield "teacher", learner(fitted, teacher_budget=40)
    yield "frozen", group(FrozenEstimator(fitted), GaussianNB(), TREE)


ROLES = ["member", "voter", "final", "leader", "peer", "student", "teacher", "frozen"]


@pytest.mark.parametrize("role", range(8), ids=ROLES)
def test_model_whose_probabilities_have_labelled_columns(role):
    """cleanlab #991: it may have any role, and is what it is without labels."""
    _, labelled = list(in_each_role(Labelled()))[role]
    _, plain = list(in_each_role(LogisticRegression()))[role]
    labelled.fit(ROWS, LABELS)
    plain.fit(ROWS, LABELS)
    assert_array_equal(labelled.predict(TABLE), plain.predict(TABLE))
    assert_allclose(labelled.predict_proba(TABLE), plain.predict_proba(TABLE))
    assert type(labelled.predict_proba(TABLE)) is np.ndarray


@pytest.mark.parametrize("role", range(8), ids=ROLES)
def test_model_whose_columns_have_labels_of_their_own(role):
    """mljar #400: columns p0 and p1 stand for nobody knows what."""
    _, model = list(in_each_role(Mislabelled()))[role]
    message = r"columns labelled \['p0', 'p1'\], and the classes are \['no', 'yes'\]"
    with pytest.raises(ValueError, match=message):
        model.fit(ROWS, LABELS).predict_proba(ROWS)


@pytest.mark.parametrize("engine", [BatchedDice(), StockDice("kdtree")])
def test_engine_whose_teacher_labels_its_columns(engine):
    """cleanlab #991: the probability of a row's own class, not of the other one."""
    found = []
    for kind in (Labelled, LogisticRegression):
        teacher = kind().fit(ROWS, LABELS)
        answers = engine.generate(
            teacher, ROWS[:4], LABELS[:4], background=ROWS, random_state=0
        )
        found.append(answers)
    assert_allclose(found[0].proba_before, found[1].proba_before)
    assert_allclose(found[0].proba_after, found[1].proba_after)
    assert_array_equal(found[0].X_cf, found[1].X_cf)
    with pytest.raises(ValueError, match="columns labelled"):
        engine.generate(
            Mislabelled().fit(ROWS, LABELS), ROWS[:2], LABELS[:2], background=ROWS
        )


@pytest.mark.parametrize(
    "columns", [["p0", "p1"], ["no", "maybe"], ["no", "no"], ["No", "Yes"], [1, 2]]
)
@pytest.mark.parametrize("params", [{}, {"classes": ["no", "yes"]}])
def test_answers_handed_in_with_other_labels_are_refused(columns, params):
    """mljar #400, AutoGluon #976: labels that are no classes are named."""
    frame = pd.DataFrame(PROBA, columns=columns)
    model = learner(None, **params)
    if columns == ["no", "maybe"] and not params:
        # Nobody but these labels says what the classes are, and y has one more.
        model.fit(ROWS, LABELS, teacher_proba=frame)
        assert_array_equal(model.classes_, ["maybe", "no", "yes"])
        return
    message = re.escape(f"teacher_proba has columns labelled {columns}")
    with pytest.raises(ValueError, match=message):
        model.fit(ROWS, LABELS, teacher_proba=frame)


def test_rows_of_answers_in_another_order_are_refused():
    """cleanlab #991: by place or by label, never by the wrong one."""
    answers = pd.DataFrame(PROBA, columns=["no", "yes"], index=ROWS.index)
    expected = learner(None).fit(ROWS, LABELS, teacher_proba=PROBA)
    for same in (answers, answers.reset_index(drop=True), pl.from_pandas(answers)):
        model = learner(None).fit(ROWS, LABELS, teacher_proba=same)
        assert_array_equal(model.predict(TABLE), expected.predict(TABLE))
    shuffled = answers.sample(frac=1, random_state=0)
    with pytest.raises(ValueError, match=r"rows labelled .*\.loc\[X\.index\]"):
        learner(None).fit(ROWS, LABELS, teacher_proba=shuffled)
    again = learner(None).fit(ROWS, LABELS, teacher_proba=shuffled.loc[ROWS.index])
    assert_array_equal(again.predict(TABLE), expected.predict(TABLE))
    with pytest.raises(ValueError, match="X has others"):
        learner(None).fit(ROWS, LABELS, teacher_proba=answers.set_axis(ROWS.index + 9))
    # X was sorted, and what was numbered before is not.
    mixed = ROWS.reset_index(drop=True).sample(frac=1, random_state=0)
    with pytest.raises(ValueError, match="the same in another order"):
        learner(None).fit(mixed, LABELS, teacher_proba=answers.reset_index(drop=True))


def test_teacher_that_returns_rows_in_its_own_order():
    """cleanlab #991: a cache answers in the order of the cache."""
    cache = pd.DataFrame(FOREST.predict_proba(TABLE), columns=FOREST.classes_)

    def sorted_rows(rows):
        return cache[cache.index.isin(rows.index)]

    with pytest.raises(ValueError, match="The teacher returned rows labelled"):
        learner(sorted_rows, teacher_budget=60).fit(ROWS)
    model = learner(lambda rows: cache.loc[rows.index], teacher_budget=60).fit(ROWS)
    asked = model.teacher_answers_.notna().all(axis=1).to_numpy()
    assert_allclose(model.teacher_answers_[asked], PROBA[asked])


# What `classes` says of the columns holds for all answers


@pytest.mark.parametrize("order", [["no", "yes"], ["yes", "no"]])
@pytest.mark.parametrize("y", [None, LABELS])
@pytest.mark.parametrize("container", [np.asarray, np.ndarray.tolist, pd.DataFrame])
def test_classes_name_the_columns_of_all_answers(order, y, container):
    """LightAutoML #57: of those that a callable gives, and of those handed in."""
    places = [FOREST.classes_.tolist().index(name) for name in order]

    def teacher(rows):
        return container(FOREST.predict_proba(rows)[:, places])

    expected = learner(FOREST).fit(ROWS, y).predict_proba(TABLE)
    asked = learner(teacher, classes=order, teacher_budget=150).fit(ROWS, y)
    handed_in = learner(None, classes=order)
    handed_in.fit(ROWS, y, teacher_proba=container(PROBA[:, places]))
    for model in (asked, handed_in):
        assert_array_equal(model.predict_proba(TABLE), expected)
        assert_array_equal(model.classes_, ["no", "yes"])
        assert_allclose(model.teacher_answers_, PROBA)


@pytest.mark.parametrize("classes", [["yes", "no"], ["no", "yes"]])
def test_answers_of_one_fit_are_understood_by_the_next(classes):
    """LightAutoML #57: whatever order the teacher or the next distiller has."""
    places = [FOREST.classes_.tolist().index(name) for name in classes]

    def teacher(rows):
        return FOREST.predict_proba(rows)[:, places]

    first = learner(teacher, classes=classes, teacher_budget=60).fit(ROWS)
    answers = first.teacher_answers_
    assert list(answers.columns) == ["no", "yes"]
    assert answers.index.equals(ROWS.index)
    for params in ({"classes": classes}, {"classes": ["no", "yes"]}, {}):
        again = learner(None, **params).fit(ROWS, teacher_proba=answers)
        assert_array_equal(again.predict(TABLE), first.predict(TABLE))
        assert answers.equals(again.teacher_answers_)
    grid = {"student__max_depth": [1, 4]}
    search = GridSearchCV(clone(first).set_params(teacher_budget=0), grid, cv=2)
    search.fit(ROWS, LABELS, teacher_proba=answers)
    assert search.best_params_ == {"student__max_depth": 4}


def test_classes_of_a_teacher_that_knows_only_some():
    """LightAutoML #57: columns in any order, and labels that have none."""
    codes = np.digitize(CELLS[:, 0], [-0.5, 0.5])
    y = np.array(["low", "middle", "high"])[codes]
    some = (codes[:150] > 0).nonzero()[0]
    teacher = GaussianNB().fit(CELLS[some], y[some])
    assert teacher.classes_.tolist() == ["high", "middle"]
    rows, labels = CELLS[150:300], y[150:300]
    expected = learner(teacher, teacher_budget=150).fit(rows, labels)
    turned = teacher.predict_proba(rows)[:, ::-1]
    full = np.c_[turned[:, 1], np.zeros(150), turned[:, 0]]
    assert_allclose(expected.teacher_answers_, full)
    named = learner(None, classes=["middle", "high"])
    for answers in (
        turned,
        full,
        pd.DataFrame(full, columns=["high", "low", "middle"]),
    ):
        model = named.fit(rows, labels, teacher_proba=answers)
        assert_array_equal(model.classes_, ["high", "low", "middle"])
        assert_array_equal(model.predict(CELLS), expected.predict(CELLS))
    own = learner(teacher).fit(rows, labels, teacher_proba=turned[:, ::-1])
    assert_array_equal(own.predict(CELLS), expected.predict(CELLS))
    assert own.n_teacher_calls_ == 0


def test_classes_that_contradict_the_teacher():
    """LightAutoML #57: two orders of the same columns cannot both be right."""
    with pytest.raises(ValueError, match=r"classes is \['yes', 'no'\], but the teach"):
        learner(FOREST, classes=["yes", "no"]).fit(ROWS)
    renamed = learner(FOREST, classes=["bad", "good"], teacher_budget=30).fit(ROWS)
    assert_array_equal(renamed.classes_, ["bad", "good"])


def test_numbered_columns_of_classes_that_are_such_numbers():
    """LightAutoML #57: 0 and 1 may be labels or places."""
    frame = pd.DataFrame(PROBA[:, ::-1])
    with pytest.raises(ValueError, match="numbered 0, 1"):
        learner(None, classes=[1, 0]).fit(ROWS, teacher_proba=frame)
    model = learner(None, classes=[1, 0]).fit(ROWS, teacher_proba=frame.to_numpy())
    assert (model.predict(ROWS) == KNOWN).mean() > 0.7


def test_teacher_that_sorts_its_classes_as_numbers():
    """mljar #400: CatBoost has "2" before "10", NumPy has not."""
    y = np.array(["1", "2", "10"])[np.digitize(CELLS[:, 0], [-0.5, 0.5])]
    teacher = from_library("catboost").fit(CELLS[:150], y[:150])
    assert teacher.classes_.tolist() == ["1", "2", "10"]
    rows, labels = CELLS[150:300], y[150:300]
    truth = teacher.predict(rows).ravel()
    asked = learner(teacher).fit(rows)
    handed_in = learner(teacher).fit(rows, teacher_proba=teacher.predict_proba(rows))
    again = learner(None).fit(rows, labels, teacher_proba=asked.teacher_answers_)
    for model in (asked, handed_in, again):
        assert_array_equal(model.classes_, ["1", "10", "2"])
        assert_array_equal(model.classes_[np.argmax(model.teacher_answers_, 1)], truth)
        assert (model.predict(rows) == truth).mean() > 0.9


# What is predicted is a class, one for each row

IRIS, THREE = load_iris(return_X_y=True)
LETTERS = np.array(["a", "b", "c"])[THREE]
SPELLINGS = {
    "numbers from 0": THREE,
    "numbers": THREE + 1,
    "small numbers": (THREE + 1).astype("int8"),
    "floats": 1.0 + THREE,
    "texts": LETTERS,
    "objects": LETTERS.astype(object),
    "texts of numbers": np.array(["1", "10", "2"])[THREE],
    "categories": pd.Series(LETTERS, dtype="category"),
    "pandas numbers": pd.Series(THREE + 1, dtype="Int64"),
    "pandas texts": pd.Series(LETTERS, dtype="string"),
    "two texts": np.array(["no", "yes"])[1 * (THREE > 0)],
    "booleans": THREE > 0,
    "pandas booleans": pd.Series(THREE > 0, dtype="boolean"),
}


def assert_predicts_classes(model, X, y, least):
    predicted = model.predict(X)
    assert type(predicted) is np.ndarray
    assert predicted.shape == (len(X),)
    assert predicted.dtype == model.classes_.dtype
    assert set(predicted.tolist()) <= set(model.classes_.tolist())
    right = (predicted == np.asarray(y)).mean()
    assert right == model.score(X, y) >= least
    if hasattr(model, "predict_proba"):
        proba = model.predict_proba(X)
        assert proba.shape == (len(X), len(model.classes_))
        assert (model.classes_[proba.argmax(axis=1)] == predicted).mean() > 0.95


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_student_of_a_library_predicts_elements_of_classes(library, spelling):
    """scikit-learn #28935, tpot2 #45: no column, no labels of another type."""
    y = SPELLINGS[spelling]
    teacher = GaussianNB().fit(IRIS, np.asarray(y))
    model = learner(teacher, from_library(library))
    model.fit(IRIS, y)
    assert_predicts_classes(model, IRIS, y, 0.9)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("spelling", ["numbers", "texts", "booleans"])
@pytest.mark.parametrize("role", ["final", "leader", "member", "voter", "pipeline"])
def test_library_in_any_role_predicts_elements_of_classes(library, spelling, role):
    """ml-wrappers #55, lale #364: CatBoost predicts three classes in a column."""
    y, model = SPELLINGS[spelling], from_library(library)
    model = {
        "final": lambda: group(GaussianNB(), TREE, combine=model, n_rounds=0),
        "leader": lambda: peers(model, accept=None, n_virtual=0, cv=2),
        "member": lambda: group(GaussianNB(), model, n_rounds=0),
        "voter": lambda: group(TREE, model, combine="hard", n_rounds=0),
        "pipeline": lambda: learner(
            GaussianNB().fit(IRIS, y), make_pipeline(StandardScaler(), model),
        ),
    }[role]()  # fmt: skip
    assert_predicts_classes(model.fit(IRIS, y), IRIS, y, 0.9)


def test_figure_of_a_column_is_the_score():
    """scikit-learn #28935: comparing a column with labels gives a third."""
    model = group(GaussianNB(), TREE, combine=from_library("catboost"), n_rounds=0)
    model.fit(IRIS, THREE)
    assert (model.predict(IRIS) == THREE).mean() > 0.9
    assert model.final_estimator_.predict([[0.5] * 6]).shape == (1, 1)
    folds = cross_val_predict(model, IRIS, THREE, cv=3)
    assert folds.shape == (150,)


class Odd(DecisionTreeClassifier):
    """Knows and predicts its labels as a library may have written them."""

    def __init__(self, write=None, max_depth=3):
        super().__init__(max_depth=max_depth)
        self.write = write

    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        self.own_, self.classes_ = self.classes_, np.array(self.write(self.classes_))
        return self

    def predict(self, X):
        proba = DecisionTreeClassifier.predict_proba(self, X)
        return self.write(self.own_[proba.argmax(axis=1)])


class OddVoter(Odd):
    """The same without probabilities."""

    predict_proba = property()


WRITTEN = {
    "texts": lambda labels: labels.astype(str),
    "floats": lambda labels: labels.astype(float),
    "a list": lambda labels: labels.tolist(),
    "a series": lambda labels: pd.Series(labels.astype(str), dtype="category"),
    "objects": lambda labels: labels.astype(object),
    "texts of floats": lambda labels: labels.astype(float).astype(str),
}


@pytest.mark.parametrize("kind", [Odd, OddVoter])
@pytest.mark.parametrize("write", WRITTEN.values(), ids=list(WRITTEN))
@pytest.mark.parametrize("role", ["member", "leader", "student", "final"])
def test_labels_that_a_model_writes_its_own_way(kind, write, role):
    """tpot2 #45, lale #364: labels come back in the type that they had."""
    y = THREE + 1
    if kind is Odd:
        odd = Odd(lambda labels: np.array(write(labels)))
    else:
        odd = OddVoter(write)
    model = {
        "member": lambda: group(odd, GaussianNB(), n_rounds=0, combine="soft"),
        "leader": lambda: peers(odd, cv=3),
        "student": lambda: learner(GaussianNB().fit(IRIS, y), odd),
        "final": lambda: group(TREE, GaussianNB(), combine=odd, n_rounds=0),
    }[role]()
    if role == "member" and kind is OddVoter:
        with pytest.warns(UserWarning, match="no predict_proba"):
            model.fit(IRIS, y)
    else:
        model.fit(IRIS, y)
    assert_predicts_classes(model, IRIS, y, 0.9)
    if role == "member":  # it votes for classes of this task
        assert_allclose(model.transform(IRIS)[:, :3].sum(axis=1), 1)


def test_leader_that_writes_labels_its_own_way_can_be_taught():
    """tpot2 #45: its classes are those of y, whatever it calls them."""
    noisy = np.where(np.random.default_rng(0).random(150) < 0.2, 2 - THREE, THREE) + 1
    kept = []
    for write in (lambda labels: labels, lambda labels: labels.astype(str)):
        leader = Odd(write, max_depth=None)
        kept.append(peers(leader).fit(IRIS, noisy).history_["kept"].tolist())
    assert kept[0] == kept[1]
    assert kept[0][-1]


def test_frozen_model_that_writes_labels_its_own_way():
    """lale #364: a model from elsewhere knows True and False as texts."""
    y = THREE > 0
    odd = Odd(lambda labels: labels.astype(str)).fit(IRIS[::2], y[::2])
    assert odd.classes_.tolist() == ["False", "True"]
    model = group(FrozenEstimator(odd), GaussianNB(), combine="soft")
    model.fit(IRIS[1::2], y[1::2])
    assert_predicts_classes(model, IRIS, y, 0.95)
    student = learner(odd).fit(IRIS[1::2], y[1::2])
    assert_predicts_classes(student, IRIS, y, 0.95)


class Codes(DecisionTreeClassifier):
    """Forgets to translate codes back into labels."""

    def predict(self, X):
        return np.searchsorted(self.classes_, super().predict(X))


@pytest.mark.parametrize("y", [THREE + 5, LETTERS])
@pytest.mark.parametrize("role", ["leader", "student", "final"])
def test_model_that_predicts_no_class_is_named(y, role):
    """scikit-learn #28935: an error and no class that does not exist."""
    model = {
        "leader": lambda: peers(Codes(), n_virtual=0, accept=None),
        "student": lambda: learner(GaussianNB().fit(IRIS, y), Codes()),
        "final": lambda: group(TREE, GaussianNB(), combine=Codes(), n_rounds=0),
    }[role]().fit(IRIS, y)
    name = "final estimator" if role == "final" else role
    with pytest.raises(ValueError, match=f"The {name}: predict returned 0, which is"):
        model.predict(IRIS)


def test_member_that_votes_for_no_class_is_named():
    """scikit-learn #28935."""

    class Voter(Codes):
        predict_proba = property()

    with (
        pytest.warns(UserWarning, match="no predict_proba"),
        pytest.raises(ValueError, match="Member 'voter': predict returned 0, which"),
    ):
        group(Voter(), GaussianNB()).fit(IRIS, THREE + 5)


def test_label_for_outliers_is_no_class():
    """scikit-learn #28935: a label of its own is not in `classes_`."""
    student = RadiusNeighborsClassifier(2.0, outlier_label=-1)
    model = learner(GaussianNB().fit(IRIS, THREE), student).fit(IRIS)
    assert_predicts_classes(model, IRIS, THREE, 0.8)
    far = np.where(np.arange(150)[:, None] == 99, 100.0, IRIS)
    with (
        pytest.warns(UserWarning, match="Outlier label -1"),
        pytest.raises(ValueError, match="The student: predict returned -1, which is"),
    ):
        model.predict(far)


def test_scores_of_a_model_with_its_own_order_of_classes():
    """lale #364: the second class is the one that comes second here."""

    class Turned(LinearSVC):
        def fit(self, X, y, sample_weight=None):
            super().fit(X, y, sample_weight)
            self.classes_ = self.classes_[::-1]
            self.coef_, self.intercept_ = -self.coef_, -self.intercept_
            return self

    plain = learner(FOREST, LinearSVC()).fit(ROWS)
    turned = learner(FOREST, Turned()).fit(ROWS)
    assert turned.student_.classes_.tolist() == ["yes", "no"]
    assert_array_equal(turned.predict(TABLE), plain.predict(TABLE))
    assert_allclose(turned.decision_function(TABLE), plain.decision_function(TABLE))


# Labels that nobody knows

MISSING = {
    "None": lambda y, known: np.where(known, y.astype(object), None),
    "NaN": lambda y, known: np.where(known, y.astype(object), np.nan),
    "NA": lambda y, known: np.where(known, y.astype(object), pd.NA),
    "NaT": lambda y, known: np.where(known, y.astype(object), pd.NaT),
    "list": lambda y, known: [k if known[i] else None for i, k in enumerate(y)],
    "list of texts and NaN": lambda y, known: [
        k if known[i] else float("nan") for i, k in enumerate(y.tolist())
    ],
    "category": lambda y, known: pd.Series(y).where(known).astype("category"),
    "series": lambda y, known: pd.Series(y).where(known),
    "pandas type": lambda y, known: pd.Series(y).convert_dtypes().where(known),
    "polars": lambda y, known: pl.Series(
        [k if known[i] else None for i, k in enumerate(y.tolist())]
    ),
}


@pytest.mark.parametrize("kind", MISSING)
@pytest.mark.parametrize("y", [LABELS, KNOWN, KNOWN == 1], ids=["text", "int", "bool"])
def test_missing_labels_are_unknown_where_labels_are_optional(kind, y):
    """scikit-learn #11682: in whatever way they are missing."""
    known = np.arange(150) < 40
    teacher = GaussianNB().fit(ROWS[40:], y[40:])
    model = learner(teacher, teacher_budget=40)
    partly = model.fit(ROWS, MISSING[kind](y, known))
    assert_array_equal(partly.classes_, np.unique(y))
    assert partly.classes_.dtype.kind in np.asarray(y).dtype.kind + "O"
    by_rows = partly.predict_proba(TABLE)
    # Rows without a label are rows of X without a label, and nothing else.
    plain = MISSING["None"](y, known)
    assert_array_equal(by_rows, clone(model).fit(ROWS, plain).predict_proba(TABLE))
    without = clone(model).fit(ROWS).predict_proba(TABLE)
    assert not np.array_equal(by_rows, without)
    nothing = MISSING[kind](y, np.zeros(150, dtype=bool))
    all_missing = clone(model).fit(ROWS, nothing).predict_proba(TABLE)
    assert_array_equal(all_missing, without)


def test_numbers_beside_missing_ones_stay_whole():
    """scikit-learn #1243: NumPy has no whole number that is missing."""
    y = np.where(np.arange(150) < 60, KNOWN, np.nan)
    teacher = GaussianNB().fit(TABLE[:150], CODES[:150])
    for ask in (teacher, teacher.predict_proba):
        model = learner(ask, teacher_budget=30).fit(ROWS, y)
        assert model.classes_.dtype == np.int64
        assert_array_equal(np.unique(model.predict(TABLE)), [0, 1])


@pytest.mark.parametrize("cv", [3, KFold(3), StratifiedKFold(3)])
def test_folds_of_rows_of_which_some_have_a_label(cv):
    """scikit-learn #11682: splitters take what there is."""
    y = np.where(np.arange(150) < 60, LABELS, None)
    model = learner(FOREST, cv=cv, teacher_budget=50, accept="improves").fit(ROWS, y)
    assert model.scores_["accuracy"].between(0.5, 1).all()


def test_labels_of_rows_without_weight_are_unknown():
    """scikit-learn #11682."""
    y = np.where(np.arange(150) < 60, LABELS, None)
    y[:5] = "other"
    weights = np.where(np.arange(150) < 5, 0.0, 1.0)
    model = learner(FOREST, teacher_budget=50).fit(ROWS, y, sample_weight=weights)
    assert_array_equal(model.classes_, ["no", "yes"])


@pytest.mark.parametrize(
    "y",
    [
        np.where(np.arange(150) < 60, KNOWN, -1),
        np.where(np.arange(150) < 60, KNOWN, -1.0),
        pd.Series(np.where(np.arange(150) < 60, KNOWN, -1), dtype="Int64"),
        np.where(np.arange(150) < 60, KNOWN + 1, -1),
        np.where(np.arange(150) < 60, LABELS.astype(object), -1),
        list(np.where(np.arange(150) < 60, LABELS.astype(object), -1)),
        np.where(np.arange(150) < 60, KNOWN + 1, -1).astype(object),
        np.where(np.arange(150) < 60, 1, -1),
        [None, *np.where(np.arange(149) < 60, KNOWN[1:], -1)],
    ],
)
@pytest.mark.parametrize("ask", ["classifier", "callable", "answers"])
def test_minus_one_is_no_class_by_itself(y, ask):
    """scikit-learn #1243: the mark of rows without a label, or a class?"""
    asked = []
    text = "yes" in list(y)
    classes = np.array(["no", "yes"]) if text else np.array([0, 1])
    if 2 in list(y):
        classes = np.array([1, 2])
    teacher = GaussianNB().fit(TABLE[:150], classes[CODES[:150]])

    def count(rows):
        asked.append(rows)
        return teacher.predict_proba(rows)

    model, answers = learner(teacher), None
    if ask == "callable":
        model = learner(count, teacher_budget=50, classes=classes)
    elif ask == "answers":
        model, answers = learner(None, classes=classes), teacher.predict_proba(ROWS)
    with pytest.raises(ValueError, match=r"y is -1 in \d+ rows.*np\.where\(y == -1"):
        model.fit(ROWS, y, teacher_proba=answers)
    assert not asked
    # What the message says works.
    told = pd.Series(list(y), dtype=object)
    told = told.where(told.map(lambda label: label != -1), None)
    model.fit(ROWS, told, teacher_proba=answers)
    assert_array_equal(model.classes_, classes)
    assert set(model.predict(TABLE).tolist()) <= set(classes.tolist())


def test_minus_one_is_a_class_where_somebody_says_so():
    """scikit-learn #1243: -1 and 1 are two classes, and -1, 0 and 1 are three."""
    sides = 2 * KNOWN - 1
    teacher = GaussianNB().fit(TABLE[:150], 2 * CODES[:150] - 1)
    for ask in (teacher, teacher.predict_proba):
        for y in (sides, np.where(np.arange(150) < 60, sides, np.nan)):
            model = learner(ask, teacher_budget=40).fit(ROWS, y)
            assert_array_equal(model.classes_, [-1, 1])
    signs = np.sign(np.round(CELLS[:, 0])).astype(int)
    teacher = GaussianNB().fit(TABLE[:150], signs[:150])
    proba, signs = teacher.predict_proba(ROWS), signs[150:300]
    frame = pd.DataFrame(proba, columns=[-1, 0, 1])
    for model, answers in [
        (learner(teacher), None),
        (learner(None, classes=[-1, 0, 1]), proba),
        (learner(None), frame),
    ]:
        model.fit(ROWS, signs, teacher_proba=answers)
        assert_array_equal(model.classes_, [-1, 0, 1])
    with pytest.raises(ValueError, match="y is -1"):
        learner(None).fit(ROWS, signs, teacher_proba=proba)


@pytest.mark.parametrize("kind", MISSING)
@pytest.mark.parametrize("y", [LABELS, KNOWN, KNOWN == 1], ids=["text", "int", "bool"])
@pytest.mark.parametrize("make", [group, peers])
def test_missing_labels_are_counted_where_labels_are_needed(kind, y, make):
    """scikit-learn #11682: how many, and where."""
    model = make(TREE, GaussianNB())
    known = ~np.isin(np.arange(150), [3, 8, 20, 21, 90, 149])
    message = r"6 missing label\(s\), at position\(s\) 3, 8, 20, 21, 90 and more\."
    with pytest.raises(ValueError, match=message):
        model.fit(ROWS, MISSING[kind](y, known))
    known = np.arange(150) != 7
    with pytest.raises(ValueError, match=r"1 missing label\(s\), at position\(s\) 7\."):
        model.fit(ROWS, MISSING[kind](y, known))


# Costs and classes that somebody has to choose


class Shop:
    """Sells answers about digits and notes what was paid."""

    def __init__(self, names=None):
        self.names = names
        self.sold = 0

    def __call__(self, rows):
        self.sold += len(rows)
        proba = DIGITS.predict_proba(rows)
        return proba if self.names is None else pd.DataFrame(proba, columns=self.names)


PIXELS, NUMBERS = load_digits(n_class=3, return_X_y=True)
DIGITS = GaussianNB(var_smoothing=1e-3).fit(PIXELS[:200], NUMBERS[:200])
IMAGES, SHOWN = PIXELS[200:320], NUMBERS[200:320]


def test_callable_needs_a_budget():
    """The cost of the whole table is told, and nothing is bought."""
    shop = Shop()
    for fit in ({}, {"y": SHOWN}, {"X_unlabeled": PIXELS[:100]}):
        with pytest.raises(ValueError, match=r"teacher_budget.*all 120 different rows"):
            learner(shop, classes=[0, 1, 2]).fit(IMAGES, **fit)
    twice, weights = np.r_[IMAGES, IMAGES], np.r_[np.ones(60), np.zeros(60)]
    with pytest.raises(ValueError, match="all 120 different rows"):
        learner(shop, classes=[0, 1, 2]).fit(twice)
    with pytest.raises(ValueError, match="all 60 different rows"):
        learner(shop, classes=[0, 1, 2]).fit(IMAGES, sample_weight=weights)
    paid = np.where(np.arange(120)[:, None] < 20, DIGITS.predict_proba(IMAGES), np.nan)
    with pytest.raises(ValueError, match=r"all 100 .*Pass teacher_budget=100 if"):
        learner(shop, classes=[0, 1, 2]).fit(IMAGES, teacher_proba=paid)
    with pytest.raises(ValueError, match="all 120 different rows"):
        learner(DIGITS.predict_proba).fit(IMAGES, SHOWN)
    assert shop.sold == 0
    model = learner(shop, classes=[0, 1, 2], teacher_budget=120).fit(IMAGES)
    assert shop.sold == model.n_teacher_calls_ == 120


def test_fitted_classifier_is_asked_about_everything_by_default():
    """It is the user's own, and asking costs nothing."""
    for teacher in (DIGITS, FrozenEstimator(DIGITS), make_pipeline(DIGITS)):
        model = learner(teacher).fit(IMAGES)
        assert model.n_teacher_calls_ == 120
        assert not model.teacher_answers_.isna().any(axis=None)


@pytest.mark.parametrize("names", [[1, 2, 3], ["one", "three", "two"], [2.0, 5.0, 9.0]])
def test_classes_of_a_callable_are_those_that_somebody_named(names):
    """Never 0, 1, ... where nobody said so."""
    labels = np.array(names)[SHOWN]
    for model in (
        learner(Shop(), classes=names, teacher_budget=60).fit(IMAGES),
        learner(Shop(names), teacher_budget=60).fit(IMAGES),
        learner(Shop(), teacher_budget=60).fit(IMAGES, labels),
    ):
        assert_array_equal(model.classes_, names)
        assert model.score(IMAGES, labels) > 0.8
        assert model.n_teacher_calls_ == 60


def test_answers_that_nobody_can_understand_cost_one_row_at_most():
    """Only the first answer can show that it has no labels."""
    shop = Shop()
    with pytest.raises(ValueError, match=r"name them in `classes`"):
        learner(shop, teacher_budget=60).fit(IMAGES)
    assert shop.sold == 1
    proba = DIGITS.predict_proba(IMAGES)
    proba[60:] = np.nan
    with pytest.raises(ValueError, match=r"teacher_proba stand for must be said"):
        learner(shop, teacher_budget=60).fit(IMAGES, teacher_proba=proba)
    with pytest.raises(ValueError, match=r"shape \(1, 3\) where \(1, 2\) was expected"):
        learner(shop, teacher_budget=60).fit(IMAGES, SHOWN == 1)
    assert shop.sold == 2
