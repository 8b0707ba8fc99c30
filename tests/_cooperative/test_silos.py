"""Silos: each member trains on its own rows, whatever way the rows name their owner."""

import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from skcoop import CooperativeDistiller, DiversePeersDistiller
from skcoop.counterfactuals import BatchedDice

# What recording members were fitted on and asked about, by the member's name.
FITS: dict[str, list] = {}
ASKED: dict[str, list] = {}
# (teacher, background) of each question to the recording engine.
QUESTIONS: list = []


@pytest.fixture(autouse=True)
def _forget_records():
    for record in (FITS, ASKED, QUESTIONS):
        record.clear()


class Recorder(ClassifierMixin, BaseEstimator):
    """A classifier that notes what it is shown."""

    def __init__(self, name, estimator=None):
        self.name = name
        self.estimator = estimator

    def fit(self, X, y):
        FITS.setdefault(self.name, []).append((X, y))
        estimator = self.estimator or GaussianNB(var_smoothing=1e-3)
        self.model_ = type(estimator)(**estimator.get_params()).fit(X, y)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X):
        ASKED.setdefault(self.name, []).append(X)
        return self.model_.predict_proba(X)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class RecordingEngine(BatchedDice):
    """An engine that notes who was asked and which rows were the background."""

    def generate(self, teacher, X, y, *, background, alpha=0.5, random_state=None):
        QUESTIONS.append((teacher.name, np.asarray(background), np.asarray(X)))
        return super().generate(teacher, X, y, background=background, alpha=alpha)


def members():
    return [
        ("north", LogisticRegression()),
        ("south", DecisionTreeClassifier(max_depth=3, random_state=0)),
        ("west", GaussianNB()),
    ]


def clinics(n=90, seed=0):
    """Three clinics with patients of different ages; the rule needs all of them."""
    rng = np.random.default_rng(seed)
    owner = np.array(["north", "south", "west"], dtype=object)[np.arange(n) % 3]
    age = rng.normal(np.array([40.0, 50.0, 60.0])[np.arange(n) % 3], 12.0)
    dose, pulse = rng.uniform(0, 10, n), rng.normal(70, 10, n)
    X = pd.DataFrame({"age": age, "dose": dose, "pulse": pulse})
    y = np.where((age - 50) * (dose - 5) + rng.normal(0, 20, n) > 0, "ill", "well")
    return X, y, owner


def as_container(X, container):
    if container == "pandas":
        return X
    return pl.DataFrame(
        {
            name: [None if pd.isna(value) else value for value in column]
            for name, column in X.items()
        }
    )


def semi_experts(n=150, seed=0, spread=0.6):
    """Three blobs; each member's rows lack one of the classes."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    centres = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]])
    X = centres[y] + rng.normal(0, spread, (n, 2))
    # The member that lacks class k owns rows of the two others.
    lacking = (y + 1 + rng.integers(0, 2, n)) % 3
    return X, y, np.array(["lacks0", "lacks1", "lacks2"], dtype=object)[lacking]


def rows_of(X):
    return {tuple(row) for row in np.asarray(X, dtype=float).tolist()}


def lessons_of(distiller, student, n_features):
    """Return the cells and labels of all lessons that were made for a student."""
    table = distiller.lessons_
    table = table[table["student"] == student]
    cells = table[[c for c in table.columns if c.startswith("x__")]]
    assert cells.shape[1] == n_features
    return [
        (tuple(row), label)
        for row, label in zip(
            cells.to_numpy(dtype=float).tolist(), table["label"], strict=True
        )
    ]


def assert_same_fit(first, second, X):
    assert_frame_equal(first.lessons_, second.lessons_)
    assert_frame_equal(first.history_, second.history_)
    assert_array_equal(first.predict_proba(X), second.predict_proba(X))


# The silo column and the argument


@pytest.mark.parametrize("container", ["pandas", "polars"])
@pytest.mark.parametrize("position", [1, 3])
def test_column_and_argument_agree(container, position):
    X, y, owner = clinics(60)
    with_column = X.copy()
    with_column.insert(position, "clinic", owner)
    X, with_column = as_container(X, container), as_container(with_column, container)
    by_argument = CooperativeDistiller(members(), cv=3, random_state=0)
    by_argument.fit(X, y, silos=owner)
    by_column = CooperativeDistiller(
        members(), silo_column="clinic", cv=3, random_state=0
    ).fit(with_column, y)

    assert len(by_column.lessons_)
    assert_same_fit(by_column, by_argument, X)
    assert by_column.n_features_in_ == 3
    assert by_column.feature_names_in_.tolist() == ["age", "dose", "pulse"]
    # Predictions take the table with the column, wherever it stands, and without.
    assert_array_equal(by_column.predict_proba(with_column), by_column.predict_proba(X))
    assert_array_equal(by_column.predict(with_column), by_column.predict(X))
    assert_array_equal(by_column.transform(with_column), by_column.transform(X))
    assert by_column.score(with_column, y) == by_column.score(X, y)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_silo_column_is_not_looked_at_in_predict(container):
    X, y, owner = clinics()
    table = as_container(X.assign(clinic=owner), container)
    distiller = CooperativeDistiller(
        members(), silo_column="clinic", n_rounds=1, cv=3, random_state=0
    ).fit(table, y)
    strange = X.assign(clinic=["elsewhere", None] * 45)
    assert_array_equal(
        distiller.predict_proba(as_container(strange, container)),
        distiller.predict_proba(table),
    )


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_members_never_see_the_silo_column(container):
    X, y, owner = clinics()
    table = as_container(X.assign(clinic=owner), container)
    distiller = CooperativeDistiller(
        [(name, Recorder(name)) for name in ("north", "south", "west")],
        silo_column="clinic",
        n_rounds=1,
        cv=3,
        random_state=0,
    ).fit(table, y)
    distiller.predict(table)
    shown = [X for fits in FITS.values() for X, _ in fits]
    shown += [X for asked in ASKED.values() for X in asked]
    assert len(shown) > 30
    assert {tuple(X.columns) for X in shown} == {("age", "dose", "pulse")}
    assert {type(X) for X in shown} == {type(table)}


def test_silo_column_whose_name_is_no_string():
    X, y, owner = clinics()
    X = X.set_axis([0, 1, 2], axis=1)
    by_column = CooperativeDistiller(
        members(), silo_column=3, n_rounds=1, cv=3, random_state=0
    ).fit(X.assign(**{"clinic": owner}).set_axis([0, 1, 2, 3], axis=1), y)
    by_argument = CooperativeDistiller(members(), n_rounds=1, cv=3, random_state=0)
    by_argument.fit(X, y, silos=owner)
    assert_same_fit(by_column, by_argument, X)


@pytest.mark.parametrize(
    "convert",
    [
        list,
        tuple,
        pd.Series,
        lambda s: pd.Series(s, index=np.arange(len(s))[::-1]),
        lambda s: pd.Series(s, dtype="category"),
        lambda s: pd.Series(s, dtype="string"),
        lambda s: pd.Categorical(s, categories=["west", "east", "north", "south"]),
        lambda s: np.asarray(s, dtype=str),
        lambda s: pl.Series(s, dtype=pl.String),
        lambda s: pl.Series(s, dtype=pl.Categorical),
        lambda s: pl.Series(s, dtype=pl.Enum(["west", "north", "south"])),
    ],
)
def test_kinds_of_silo_labels(convert):
    X, y, owner = clinics(60)
    params = {"n_rounds": 1, "cv": 3, "random_state": 0}
    expected = CooperativeDistiller(members(), **params).fit(X, y, silos=owner)
    converted = CooperativeDistiller(members(), **params)
    converted.fit(X, y, silos=convert(owner))
    assert len(expected.lessons_)
    assert_same_fit(converted, expected, X)


@pytest.mark.parametrize("dtype", ["category", "string", "object"])
def test_kinds_of_silo_column(dtype):
    X, y, owner = clinics(60)
    params = {"n_rounds": 1, "cv": 3, "random_state": 0}
    expected = CooperativeDistiller(members(), **params).fit(X, y, silos=owner)
    by_column = CooperativeDistiller(members(), silo_column="clinic", **params)
    by_column.fit(X.assign(clinic=pd.Series(owner, dtype=dtype)), y)
    assert_same_fit(by_column, expected, X)


@pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum(["west", "north", "south"])])
def test_kinds_of_polars_silo_column(dtype):
    X, y, owner = clinics(60)
    X = as_container(X, "polars")
    params = {"n_rounds": 1, "cv": 3, "random_state": 0}
    expected = CooperativeDistiller(members(), **params).fit(X, y, silos=owner)
    by_column = CooperativeDistiller(members(), silo_column="clinic", **params)
    by_column.fit(X.with_columns(pl.Series("clinic", owner.tolist(), dtype=dtype)), y)
    assert_same_fit(by_column, expected, X)


def test_index_of_the_frame_does_not_matter():
    X, y, owner = clinics(60)
    params = {"silo_column": "clinic", "n_rounds": 1, "cv": 3, "random_state": 0}
    table = X.assign(clinic=owner)
    expected = CooperativeDistiller(members(), **params).fit(table, y)
    rng = np.random.default_rng(0)
    indexed = table.set_index(rng.permutation(60))
    repeated = table.set_index(np.zeros(60, dtype=int))
    for other in (indexed, repeated):
        fitted = CooperativeDistiller(members(), **params)
        fitted.fit(other, pd.Series(y, index=other.index))
        assert_same_fit(fitted, expected, X)


def readers_of_age():
    return [
        (name, make_pipeline(make_column_transformer(("passthrough", ["age"])), model))
        for name, model in members()
    ]


@pytest.mark.parametrize("kind", ["object", "str", "category", "polars"])
def test_silo_column_that_was_forgotten_is_pointed_out(kind):
    X, y, owner = clinics()
    table = X.assign(clinic=owner)
    if kind == "polars":
        table = as_container(table, kind)
    else:
        table["clinic"] = table["clinic"].astype(kind)
    with pytest.warns(UserWarning, match=r"pass silo_column='clinic'") as caught:
        CooperativeDistiller(readers_of_age(), n_rounds=0, cv=3).fit(table, y)
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize("cells", [["north"] * 90, ["north", "elsewhere"] * 45])
def test_other_columns_are_not_taken_for_silos(cells):
    X, y, owner = clinics()
    distiller = CooperativeDistiller(readers_of_age(), n_rounds=0, cv=3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        distiller.fit(X.assign(at=cells), y)
        distiller.fit(X.assign(clinic=owner), y, silos=owner)
    assert caught == []


# What is refused


def test_silos_given_twice():
    X, y, owner = clinics()
    distiller = CooperativeDistiller(members(), silo_column="clinic")
    with pytest.raises(ValueError, match=r"twice.*silo_column.*silos="):
        distiller.fit(X.assign(clinic=owner), y, silos=owner)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_silo_column_that_is_not_there(container):
    X, y, _ = clinics()
    distiller = CooperativeDistiller(members(), silo_column="clinc")
    with pytest.raises(ValueError, match=r"'clinc'.*columns are \['age', 'dose'"):
        distiller.fit(as_container(X, container), y)


def test_silo_column_of_an_array():
    X, y, _ = clinics()
    distiller = CooperativeDistiller(members(), silo_column="clinic")
    with pytest.raises(ValueError, match=r"data frame.*ndarray.*silos="):
        distiller.fit(X.to_numpy(), y)


def test_unknown_silo_labels():
    X, y, owner = clinics()
    owner[4], owner[7] = "east", "nrth"
    with pytest.raises(ValueError, match=r"\['east', 'nrth'\].*'north', 'south'"):
        CooperativeDistiller(members()).fit(X, y, silos=owner)
    with pytest.raises(ValueError, match=r"\['east', 'nrth'\]"):
        CooperativeDistiller(members(), silo_column="clinic").fit(
            X.assign(clinic=owner), y
        )


def test_many_unknown_silo_labels_are_not_all_listed():
    X, y, _ = clinics()
    with pytest.raises(ValueError, match="no member's name") as error:
        CooperativeDistiller(members()).fit(X, y, silos=np.arange(90))
    assert len(str(error.value)) < 400


def test_silo_labels_that_are_numbers():
    """They look like the names and are none."""
    X, y, owner = clinics()
    numbers = pd.factorize(owner)[0]
    models = [(str(k), GaussianNB()) for k in range(3)]
    with pytest.raises(ValueError, match=r"\[0, 1, 2\]. The members are \['0', '1'"):
        CooperativeDistiller(models).fit(X, y, silos=numbers)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
def test_missing_silo_labels(missing):
    X, y, owner = clinics()
    owner[[5, 8]] = missing
    with pytest.raises(ValueError, match=r"2 missing labels \(first in row 5\)"):
        CooperativeDistiller(members()).fit(X, y, silos=owner)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_missing_labels_in_the_silo_column(container):
    X, y, owner = clinics()
    owner[5] = None
    table = as_container(X.assign(clinic=owner), container)
    with pytest.raises(ValueError, match=r"1 missing labels? \(first in row 5\)"):
        CooperativeDistiller(members(), silo_column="clinic").fit(table, y)


@pytest.mark.parametrize("rows", [slice(0, 89), slice(0, 0)])
def test_silos_of_the_wrong_length(rows):
    X, y, owner = clinics()
    with pytest.raises(ValueError, match="90 rows"):
        CooperativeDistiller(members()).fit(X, y, silos=owner[rows])


@pytest.mark.parametrize("silos", ["north", 3, {"north": [0, 1]}])
def test_silos_that_are_no_labels(silos):
    X, y, _ = clinics()
    with pytest.raises(ValueError, match="one label for each row"):
        CooperativeDistiller(members()).fit(X, y, silos=silos)


def test_silos_of_two_columns():
    X, y, owner = clinics()
    with pytest.raises(ValueError, match=r"\(90, 2\)"):
        CooperativeDistiller(members()).fit(X, y, silos=np.c_[owner, owner])


def test_member_without_rows():
    X, y, owner = clinics()
    owner[owner == "west"] = "south"
    with pytest.raises(ValueError, match="'west' has no rows"):
        CooperativeDistiller(members()).fit(X, y, silos=owner)


def test_member_whose_rows_all_have_weight_zero():
    X, y, owner = clinics()
    weight = np.where(owner == "west", 0.0, 1.0)
    with pytest.raises(ValueError, match=r"'west' has no rows.*weight"):
        CooperativeDistiller(members()).fit(X, y, silos=owner, sample_weight=weight)


def test_frozen_member_needs_no_rows():
    X, y, owner = clinics()
    owner[owner == "west"] = "south"
    group = members()
    # It has learned the rule from many other patients.
    model = DecisionTreeClassifier(max_depth=5, random_state=0)
    group[2] = ("west", FrozenEstimator(model.fit(*clinics(400, seed=50)[:2])))
    distiller = CooperativeDistiller(group, cv=3, n_rounds=1, random_state=0)
    distiller.fit(X, y, silos=owner)
    assert "west" in set(distiller.lessons_["teacher"])
    assert "west" not in set(distiller.history_["student"])


def test_splitter_that_leaves_a_member_without_rows():
    X, y, owner = clinics()
    order = np.argsort(owner, kind="stable")
    with pytest.raises(ValueError, match=r"'(north|south|west)' has no rows left"):
        CooperativeDistiller(members(), cv=KFold(3)).fit(
            X.iloc[order], y[order], silos=owner[order]
        )


# Who trains on what


@pytest.mark.parametrize("accept", ["all", "own", None])
def test_training_rows_are_own_rows_and_lessons(accept):
    X, y, owner = clinics(120)
    X = X.to_numpy()
    names = ["north", "south", "west"]
    distiller = CooperativeDistiller(
        [(name, Recorder(name)) for name in names],
        accept=accept,
        cv=3,
        random_state=0,
    ).fit(X, y, silos=owner)
    assert len(distiller.lessons_)
    assert set(FITS) == set(names)
    label_of = {tuple(row): label for row, label in zip(X.tolist(), y, strict=True)}
    for name in names:
        own, lessons = rows_of(X[owner == name]), lessons_of(distiller, name, 3)
        foreign = rows_of(X) - own
        fits = FITS[name]
        assert rows_of(fits[0][0]) == own
        for rows, labels in fits:
            for row, label in zip(rows.tolist(), labels, strict=True):
                if tuple(row) in own:
                    assert label == label_of[tuple(row)]
                else:
                    assert tuple(row) not in foreign
                    assert (tuple(row), label) in lessons
        assert any(rows_of(rows) - own for rows, _ in fits)


def test_without_silos_every_member_trains_on_all_rows():
    X, y, _ = clinics()
    X = X.to_numpy()
    CooperativeDistiller(
        [(name, Recorder(name)) for name in ("north", "south")], n_rounds=0, cv=3
    ).fit(X, y)
    assert rows_of(FITS["north"][0][0]) == rows_of(FITS["south"][0][0]) == rows_of(X)


def test_search_stays_within_one_silo():
    """Every teacher searches among the rows of the silo that holds the row."""
    X, y, owner = clinics(120)
    X = X.to_numpy()
    guest = FrozenEstimator(DecisionTreeClassifier(random_state=0).fit(X, y))
    CooperativeDistiller(
        [*members(), ("guest", guest)],
        counterfactuals=RecordingEngine(),
        cv=3,
        random_state=0,
    ).fit(X, y, silos=owner)
    assert {teacher for teacher, *_ in QUESTIONS} == {"north", "south", "west", "guest"}
    silos = {name: rows_of(X[owner == name]) for name in ("north", "south", "west")}
    for _, background, asked in QUESTIONS:
        (home,) = [name for name, own in silos.items() if rows_of(asked) <= own]
        assert rows_of(background) <= silos[home]
    homes = [rows_of(background) <= silos["west"] for _, background, _ in QUESTIONS]
    assert any(homes)
    assert not all(homes)


def test_frozen_member_searches_where_the_row_is():
    X, y, owner = clinics(120)
    X = X.to_numpy()
    group = members()
    guest = DecisionTreeClassifier(random_state=0).fit(X, y)
    group[2] = ("west", FrozenEstimator(guest))
    CooperativeDistiller(
        group, counterfactuals=RecordingEngine(), cv=3, random_state=0, n_rounds=1
    ).fit(X, y, silos=owner)
    silos = [rows_of(X[owner == name]) for name in ("north", "south", "west")]
    asked = [(rows_of(b), rows_of(x)) for name, b, x in QUESTIONS if name == "west"]
    assert asked
    for background, rows in asked:
        assert any(rows <= own and background <= own for own in silos)


def test_rows_of_a_dropped_member_leave():
    X, y, owner = clinics(120)
    X = X.to_numpy()
    y = y.astype(object)
    y[np.flatnonzero(owner == "south")[:5]] = "unsure"  # only the dropped member's
    distiller = CooperativeDistiller(
        [
            ("north", Recorder("north")),
            ("south", "drop"),
            ("west", Recorder("west")),
        ],
        cv=3,
        random_state=0,
    ).fit(X, y, silos=owner)
    gone = rows_of(X[owner == "south"])
    shown = [rows_of(rows) for fits in FITS.values() for rows, _ in fits]
    shown += [rows_of(rows) for asked in ASKED.values() for rows in asked]
    assert shown
    assert not any(rows & gone for rows in shown)
    assert distiller.classes_.tolist() == ["ill", "well"]
    assert len(distiller.estimators_) == 2
    assert distiller.named_estimators_["south"] == "drop"
    sources = distiller.lessons_["source_row"].to_numpy(dtype=int)
    assert len(sources)
    assert set(owner[sources]) <= {"north", "west"}
    assert_array_equal(distiller.lessons_["label"], y[sources])


@pytest.mark.parametrize("make", [CooperativeDistiller, DiversePeersDistiller])
def test_folds_are_dealt_to_rows_with_weight(make):
    """As if the others were not there, also where these are a run of the table."""
    X, y, _ = clinics(200)
    more = {} if make is CooperativeDistiller else {"leader": GaussianNB()}
    weights = np.where(np.arange(200) < 60, 1.0, 0.0)
    whole = make(members(), random_state=0, **more).fit(X, y, sample_weight=weights)
    part = make(members(), random_state=0, **more).fit(X[:60], y[:60])
    assert_allclose(whole.predict_proba(X), part.predict_proba(X), rtol=1e-9)


def test_rows_of_weight_zero_leave():
    X, y, owner = clinics(120)
    X = X.to_numpy()
    weight = np.where(np.arange(120) % 7 == 0, 0.0, 1.0)
    with pytest.warns(UserWarning, match="do not take sample_weight"):
        distiller = CooperativeDistiller(
            [(name, Recorder(name)) for name in ("north", "south", "west")],
            cv=3,
            random_state=0,
        ).fit(X, y, silos=owner, sample_weight=weight)
    gone = rows_of(X[weight == 0])
    shown = [rows_of(rows) for fits in FITS.values() for rows, _ in fits]
    shown += [rows_of(rows) for asked in ASKED.values() for rows in asked]
    assert shown
    assert not any(rows & gone for rows in shown)
    sources = distiller.lessons_["source_row"].to_numpy(dtype=int)
    assert len(sources)
    assert (weight[sources] > 0).all()
    assert_array_equal(distiller.lessons_["label"], y[sources])


# Silos that know little


def test_semi_experts_learn_the_class_that_they_never_saw():
    X, y, owner = semi_experts()
    X_test, y_test, _ = semi_experts(seed=1)
    names = ["lacks0", "lacks1", "lacks2"]
    models = [LogisticRegression(), GaussianNB(), LogisticRegression(C=10.0)]
    distiller = CooperativeDistiller(
        list(zip(names, models, strict=True)), random_state=0
    ).fit(X, y, silos=owner)
    assert distiller.classes_.tolist() == [0, 1, 2]
    everyone = np.arange(3)
    for k, name in enumerate(names):
        before, after = distiller.initial_estimators_[k], distiller.estimators_[k]
        assert before.classes_.tolist() == [c for c in everyone if c != k]
        assert after.classes_.tolist() == [0, 1, 2]
        unseen = y_test == k
        assert (before.predict(X_test)[unseen] != k).all()
        assert (after.predict(X_test)[unseen] == k).mean() > 0.8
        assert after.score(X_test, y_test) > before.score(X_test, y_test) + 0.15
        lessons = distiller.lessons_
        taught = lessons[lessons["kept"] & (lessons["student"] == name)]
        assert k in set(taught["label"])
    assert distiller.score(X_test, y_test) > 0.9


@pytest.mark.parametrize("combine", ["soft", "stack"])
def test_probabilities_are_aligned_where_members_lack_classes(combine):
    X, y, owner = semi_experts()
    names = ["lacks0", "lacks1", "lacks2"]
    distiller = CooperativeDistiller(
        [(name, GaussianNB()) for name in names],
        n_rounds=0,
        combine=combine,
        random_state=0,
    ).fit(X, y, silos=owner)
    member_proba = distiller.transform(X).reshape(len(X), 3, 3)
    for k in range(3):
        known = [c for c in range(3) if c != k]
        model = distiller.estimators_[k]
        assert_array_equal(member_proba[:, k, known], model.predict_proba(X))
        assert (member_proba[:, k, k] == 0).all()
    proba = distiller.predict_proba(X)
    assert proba.shape == (len(X), 3)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    if combine == "soft":
        np.testing.assert_allclose(proba, member_proba.mean(axis=1))
    assert_array_equal(distiller.predict(X), proba.argmax(axis=1))
    assert (distiller.predict(X) == y).mean() > 0.9


def single_class(n=90):
    X, y, owner = clinics(n)
    y = np.where(owner == "west", "well", y)
    return X, y, owner


def test_silo_with_a_single_class_is_named_in_a_warning():
    X, y, owner = single_class()
    distiller = CooperativeDistiller(members(), n_rounds=0, cv=3)
    # The label is printed as the user wrote it.
    with pytest.warns(UserWarning, match=r"Silo 'west'.*\('well'\)"):
        distiller.fit(X, y, silos=owner)


def test_member_of_a_single_class_answers_it_until_taught():
    X, y, owner = clinics(90)
    extreme = X.assign(age=np.where(owner == "west", 90.0, X["age"]))
    y = np.where(owner == "west", "well", np.where(X["dose"] > 5, "ill", "well"))
    with pytest.warns(UserWarning, match="Silo 'west' holds a single class"):
        distiller = CooperativeDistiller(members(), cv=3, random_state=0).fit(
            extreme, y, silos=owner
        )
    before, after = distiller.initial_estimators_[2], distiller.estimators_[2]
    assert set(before.predict(extreme)) == {"well"}
    taught = distiller.lessons_.query("student == 'west' and kept")
    assert "ill" in set(taught["label"])
    assert isinstance(after, GaussianNB)
    assert (after.predict(extreme) == y).mean() > (before.predict(extreme) == y).mean()
    assert set(after.predict(extreme)) == {"ill", "well"}


def test_member_of_a_single_class_without_probabilities_never_teaches():
    """What stands in for it until it is taught could, but the member cannot."""
    X, y, owner = single_class(120)
    group = members()
    # With few rows of a second class, the first one would be all that it says.
    mute = LinearSVC(random_state=0, C=0.01, class_weight="balanced")
    group[2] = ("west", mute)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        distiller = CooperativeDistiller(group, cv=3, random_state=0)
        distiller.fit(X / 10, y, silos=owner)
    assert any("no predict_proba" in str(w.message) for w in caught)
    assert len(distiller.history_)
    assert "west" not in set(distiller.history_["teacher"])


@pytest.mark.parametrize("others", range(10, 15))
def test_silo_of_two_rows(others):
    """Its rows are held out one at a time, whatever number of rows others have."""
    rng = np.random.default_rng(0)
    y = np.array([0] * 20 + [0] + [1] * others + [1])
    owner = np.array(["large"] * len(y), dtype=object)
    owner[[20, len(y) - 1]] = "small"
    X = rng.normal(0, 1, (len(y), 2)) + 2 * y[:, None]
    distiller = CooperativeDistiller(
        [("large", GaussianNB()), ("small", LogisticRegression())], random_state=0
    ).fit(X, y, silos=owner)
    assert distiller.initial_estimators_[1].classes_.tolist() == [0, 1]
    assert distiller.score(X, y) > 0.8


def test_silo_of_two_rows_of_one_class():
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    owner = np.array(["large"] * 40, dtype=object)
    owner[[7, 9]] = "small"
    X = rng.normal(0, 1, (40, 2)) + 2 * y[:, None]
    with pytest.warns(UserWarning, match="Silo 'small' holds a single class"):
        distiller = CooperativeDistiller(
            [("large", GaussianNB()), ("small", LogisticRegression())], random_state=0
        ).fit(X, y, silos=owner)
    assert set(distiller.initial_estimators_[1].predict(X)) == {1}
    assert set(distiller.estimators_[1].predict(X)) == {0, 1}


def test_silo_of_one_row():
    X, y, owner = clinics()
    owner[owner == "west"] = "south"
    owner[1] = "west"
    with (
        warnings.catch_warnings(),
        pytest.raises(ValueError, match=r"'west'.*(one|1|single) row"),
    ):
        warnings.simplefilter("ignore", UserWarning)
        CooperativeDistiller(members()).fit(X, y, silos=owner)


def test_same_rows_in_two_silos():
    X, y, owner = clinics(90)
    X = X.to_numpy()
    shared = np.flatnonzero(owner == "north")[:10]
    X, y = np.vstack([X, X[shared]]), np.append(y, y[shared])
    owner = np.append(owner, ["west"] * 10)
    distiller = CooperativeDistiller(
        [(name, Recorder(name)) for name in ("north", "south", "west")],
        cv=3,
        random_state=0,
    ).fit(X, y, silos=owner)
    assert rows_of(X[shared]) <= rows_of(FITS["north"][0][0])
    assert rows_of(X[shared]) <= rows_of(FITS["west"][0][0])
    assert not rows_of(X[shared]) & rows_of(FITS["south"][0][0])
    assert len(FITS["west"][0][0]) == 40
    for name in ("north", "south", "west"):
        assert not {row for row, _ in lessons_of(distiller, name, 3)} & rows_of(X)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_columns_that_only_one_silo_recorded(container):
    """What a silo never recorded is missing in its rows and comes in with lessons."""
    X, y, owner = clinics(120)
    X = X.assign(
        oxygen=np.where(owner == "west", np.round(X["age"] * 1.5), np.nan),
        ward=np.where(owner == "south", np.where(X["dose"] > 5, "u", "v"), None),
    )
    wards = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    group = [
        (
            "north",
            make_pipeline(
                make_column_transformer(("passthrough", ["age", "dose"])),
                LogisticRegression(),
            ),
        ),
        (
            "south",
            make_pipeline(
                make_column_transformer(
                    (wards, ["ward"]),
                    ("passthrough", ["dose"]),
                ),
                DecisionTreeClassifier(max_depth=3),
            ),
        ),
        (
            "west",
            make_pipeline(
                make_column_transformer(("passthrough", ["oxygen", "dose"])),
                DecisionTreeClassifier(max_depth=3),
            ),
        ),
    ]
    table = as_container(X.assign(clinic=owner), container)
    distiller = CooperativeDistiller(
        group, silo_column="clinic", cv=3, random_state=0
    ).fit(table, y)
    lessons = distiller.lessons_
    assert {"south", "west"} <= set(lessons["student"])
    for student, column in (("south", "x__ward"), ("west", "x__oxygen")):
        assert lessons.loc[lessons["student"] == student, column].notna().all()
    # A silo's own column cannot reach a silo that never recorded it, but from the row.
    for lesson in lessons[lessons["student"] == "north"].itertuples():
        if not pd.isna(lesson.x__ward):
            assert owner[lesson.source_row] == "south" or lesson.teacher == "south"
    assert distiller.predict(table).shape == (120,)


def test_error_of_unknown_labels_is_one_line():
    X, y, owner = clinics()
    owner[0] = "east"
    with pytest.raises(ValueError, match="east") as error:
        CooperativeDistiller(members()).fit(X, y, silos=owner)
    assert re.search(r"\n", str(error.value)) is None


def test_order_of_the_rows_does_not_matter_where_cells_are_completed():
    """What was never recorded comes from one of many rows that are equally near."""
    X, y, owner = clinics(120)
    X = X.round(-1)
    X["ward"] = np.where(owner == "north", np.nan, np.arange(120) % 7)
    folds = np.arange(120) % 3
    folds = folds[np.random.default_rng(0).permutation(120)]

    def lessons_of_fit(order):
        splits = [
            (np.flatnonzero(folds[order] != k), np.flatnonzero(folds[order] == k))
            for k in range(3)
        ]
        group = [
            ("north", DecisionTreeClassifier(max_depth=2)),
            ("south", make_pipeline(SimpleImputer(), LogisticRegression())),
            ("west", DecisionTreeClassifier(max_depth=4)),
        ]
        distiller = CooperativeDistiller(
            group, cv=splits, accept=None, combine="soft", random_state=0
        )
        distiller.fit(X.iloc[order], y[order], silos=owner[order])
        lessons = distiller.lessons_
        lessons["source_row"] = order[lessons["source_row"]]
        columns = ["student", "source_row", "teacher", *(f"x__{name}" for name in X)]
        return lessons[columns].sort_values(columns[:2], ignore_index=True)

    expected = lessons_of_fit(np.arange(120))
    completed = expected[expected["student"] != "north"]
    completed = completed[owner[completed["source_row"]] == "north"]
    assert completed["x__ward"].notna().sum() > 5
    for seed in range(2):
        order = np.random.default_rng(seed).permutation(120)
        assert_frame_equal(lessons_of_fit(order), expected)
