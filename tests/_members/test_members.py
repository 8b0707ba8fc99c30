"""Members of all kinds: what they read, what they know, what they can answer."""

import warnings

import lightgbm
import numpy as np
import pandas as pd
import polars as pl
import pytest
import xgboost
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.datasets import make_classification
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    Perceptron,
    RidgeClassifier,
)
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from skcoop import CooperativeDistiller
from skcoop._members._columns_read import columns_read

N = 90
NAMES = list("abcde")
_values, _codes = make_classification(
    n_samples=N, n_features=5, n_informative=3, flip_y=0.15, random_state=0
)
X = pd.DataFrame(_values, columns=NAMES)
y = np.where(_codes == 1, "yes", "no")
three = np.array(["u", "v", "w"])[np.digitize(X["a"] + X["c"], [-0.7, 0.7])]
silos = np.where(np.arange(N) % 2, "first", "second")


def sides(column, low, high):
    """Let members own the rows on either side of a median: each knows its side best."""
    return np.where(X[column] > X[column].median(), high, low)


def distiller(*estimators, **params):
    # On these few rows nobody is sure enough for the default alpha.
    defaults = {"n_rounds": 1, "cv": 3, "random_state": 0, "combine": "soft"}
    defaults["alpha"] = 0.5
    return CooperativeDistiller(list(estimators), **{**defaults, **params})


class Numbered(LinearSVC):
    """Takes no labels but 0, 1, ..., and has no probabilities."""

    def fit(self, X, y, sample_weight=None):
        if np.asarray(y).dtype.kind not in "iu":
            raise ValueError("labels must be 0, 1, ...")
        return super().fit(X, y, sample_weight)


def assert_close(first, second):
    """Equal but for the last digit, which depends on the layout of a table."""
    np.testing.assert_allclose(first, second, rtol=1e-9)


def linear(name="linear"):
    return name, LogisticRegression()


def tree(name="tree", max_depth=2):
    return name, DecisionTreeClassifier(max_depth=max_depth)


def lightgbm_classifier():
    return lightgbm.LGBMClassifier(
        n_estimators=5, min_child_samples=3, learning_rate=0.5, n_jobs=1, verbose=-1
    )


def xgboost_classifier():
    return xgboost.XGBClassifier(n_estimators=5, max_depth=3, n_jobs=1)


BOOSTERS = {"xgboost": xgboost_classifier, "lightgbm": lightgbm_classifier}


# What a member reads


def as_column(values):
    return np.asarray(values).reshape(-1, 1)


CHOICES = {
    "names": (["d", "b"], "bd"),
    "one name": ("b", "b"),
    "index of names": (pd.Index(["c"]), "c"),
    "slice of names": (slice("b", "d"), "bcd"),
    "open slice of names": (slice(None, "b"), "ab"),
    "positions": ([3, 1], "bd"),
    "one position": (2, "c"),
    "from the end": ([-1, -2], "de"),
    "slice": (slice(1, 3), "bc"),
    "mask": (np.array([True, False, True, False, False]), "ac"),
    "list of bools": ([False, False, False, True, True], "de"),
    "selector": (make_column_selector("a|e"), "ae"),
    "function": (lambda X: [0, 3], "ad"),
}
NAMELESS = [name for name in CHOICES if "name" not in name and name != "selector"]


def chooser(choice, remainder="drop"):
    if np.isscalar(choice):
        transformer = FunctionTransformer(as_column)
    else:
        transformer = StandardScaler()
    columns = ColumnTransformer([("chosen", transformer, choice)], remainder=remainder)
    return make_pipeline(columns, LogisticRegression())


def letters(read):
    return "".join(np.array(NAMES)[read])


@pytest.mark.parametrize(("choice", "expected"), CHOICES.values(), ids=list(CHOICES))
@pytest.mark.parametrize("wrap", [None, FrozenEstimator])
def test_columns_read(choice, expected, wrap):
    fitted = chooser(choice).fit(X, y)
    fitted = fitted if wrap is None else wrap(fitted)
    assert letters(columns_read(fitted, NAMES)) == expected


@pytest.mark.parametrize("kind", [VotingClassifier, StackingClassifier])
def test_columns_read_by_pipelines_together(kind):
    """Two pipelines of two steps are no table of four models."""
    pipes = [("first", chooser(["a", "b"])), ("second", chooser(["b", "d"]))]
    assert letters(columns_read(kind(pipes).fit(X, y), NAMES)) == "abd"


def test_no_lesson_of_a_vote_of_pipelines_repeats_a_row():
    whole = np.random.default_rng(0).integers(0, 6, (200, 2)).astype(float)
    table = pd.DataFrame(whole, columns=["a", "b"]).assign(c=np.arange(200.0))
    labels = (whole[:, 0] > whole[:, 1]).astype(int)
    pipes = [("first", chooser(["a", "b"])), ("second", chooser(["a", "b"]))]
    members = [("vote", VotingClassifier(pipes, voting="soft")), tree(max_depth=6)]
    fitted = distiller(*members, accept=None, n_rounds=1).fit(table, labels)
    taught = fitted.lessons_.query("student == 'vote'")[["x__a", "x__b"]]
    assert not set(map(tuple, taught.to_numpy())) & set(map(tuple, whole))


@pytest.mark.parametrize("name", NAMELESS)
def test_columns_read_of_an_array(name):
    choice, expected = CHOICES[name]
    fitted = chooser(choice).fit(X.to_numpy(), y)
    assert letters(columns_read(fitted, [f"x{j}" for j in range(5)])) == expected


@pytest.mark.parametrize("name", ["names", "slice of names", "positions", "mask"])
def test_columns_read_of_polars(name):
    choice, expected = CHOICES[name]
    fitted = chooser(choice).fit(pl.DataFrame(X.to_dict("list")), y)
    assert letters(columns_read(fitted, NAMES)) == expected


@pytest.mark.parametrize("remainder", ["passthrough", StandardScaler()])
def test_the_remainder_is_read(remainder):
    fitted = chooser(["b"], remainder).fit(X, y)
    assert columns_read(fitted, NAMES).all()


def test_dropped_and_unused_columns_are_not_read():
    columns = ColumnTransformer(
        [
            ("scaled", StandardScaler(), ["a"]),
            ("out", "drop", ["b", "c"]),
            ("as they are", "passthrough", ["e"]),
            ("nothing", StandardScaler(), []),
        ]
    )
    fitted = make_pipeline(columns, LogisticRegression()).fit(X, y)
    assert letters(columns_read(fitted, NAMES)) == "ae"


def test_a_pipeline_in_a_pipeline_reads_what_its_first_step_reads():
    inner = make_pipeline(chooser(["c", "d"])[0], StandardScaler())
    fitted = make_pipeline(inner, LogisticRegression()).fit(X, y)
    assert letters(columns_read(fitted, NAMES)) == "cd"


def test_a_model_of_fewer_columns_reads_these():
    frozen = FrozenEstimator(LogisticRegression().fit(X[["d", "a"]], y))
    assert letters(columns_read(frozen, NAMES)) == "ad"
    frozen = FrozenEstimator(chooser([0]).fit(X[["d", "a"]], y))
    assert letters(columns_read(frozen, NAMES)) == "d"


@pytest.mark.parametrize("remainder", ["drop", "passthrough"])
@pytest.mark.parametrize("labels", [NAMES, range(5)], ids=["names", "numbers"])
def test_a_teacher_changes_only_what_it_reads(labels, remainder):
    table = X.set_axis(labels, axis=1)
    fitted = distiller(
        ("narrow", chooser([0, 1, 2], remainder)), tree(max_depth=1)
    ).fit(table, y)
    lessons = fitted.lessons_.query("teacher == 'narrow'")
    assert len(lessons)
    changed = {label for line in lessons["changed"] for label in line}
    allowed = list(labels) if remainder == "passthrough" else list(labels)[:3]
    assert changed <= set(allowed)
    for label in set(labels) - changed:
        np.testing.assert_array_equal(
            lessons[f"x__{label}"], table[label].iloc[lessons["source_row"]]
        )


def test_members_that_read_different_columns():
    left = ("first", chooser(["a", "b", "c"]))
    right = ("second", chooser(make_column_selector("c|d|e")))
    fitted = distiller(left, right, alpha=0.2).fit(X, y, silos=silos)
    changed = fitted.lessons_.groupby("teacher")["changed"].sum()
    assert "c" in changed["first"]
    assert "c" in changed["second"]
    assert set(changed["first"]) <= {"a", "b", "c"}
    assert set(changed["second"]) <= {"c", "d", "e"}


def test_members_without_a_column_in_common_have_nothing_to_teach():
    """All that a lesson changes is out of the student's sight: a row as it was."""
    fitted = distiller(("left", chooser(["a", "b"])), ("right", chooser(["c", "d"])))
    fitted.fit(X, y)
    assert fitted.history_["asked"].sum() > 0
    assert not len(fitted.lessons_)
    assert not fitted.history_["accepted"].any()


# Models from elsewhere


@pytest.mark.parametrize("make", BOOSTERS.values(), ids=BOOSTERS)
@pytest.mark.parametrize("as_frame", [True, False])
# LightGBM < 4.7 names the columns of an array, and misses the names at predict.
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_booster_with_strings(make, as_frame):
    table = X if as_frame else X.to_numpy()
    fitted = distiller(("booster", make()), linear(), n_rounds=2)
    fitted.fit(table, y, silos=sides("b", "booster", "linear"))
    booster = fitted.named_estimators_["booster"]
    assert set(booster.predict(table)) == {"no", "yes"}
    np.testing.assert_array_equal(booster.classes_, ["no", "yes"])
    assert_close(fitted.transform(table)[:, :2], booster.predict_proba(table))
    assert "booster" in set(fitted.lessons_["student"])
    asked = fitted.history_.query("teacher == 'booster'")["asked"]
    assert asked.sum() > 0


@pytest.mark.parametrize("make", BOOSTERS.values(), ids=BOOSTERS)
@pytest.mark.parametrize("labels", [["u", "v", "w"], [0, 1, 2], [-5, 10, 30]])
@pytest.mark.parametrize("lacking", [0, 1, 2])
def test_booster_whose_silo_lacks_a_class(make, labels, lacking):
    labels = np.array(labels)
    target = labels[np.searchsorted(["u", "v", "w"], three)]
    kept = ~((silos == "first") & (target == labels[lacking]))
    rows, target, owners = X[kept], target[kept], silos[kept]
    fitted = distiller(("first", make()), linear("second"), n_rounds=0)
    fitted.fit(rows, target, silos=owners)
    booster = fitted.estimators_[0]
    known = np.delete(labels, lacking)
    np.testing.assert_array_equal(booster.classes_, known)
    assert set(booster.predict(X)) == set(known)
    np.testing.assert_array_equal(fitted.classes_, labels)
    votes = fitted.transform(X)[:, :3]
    np.testing.assert_array_equal(votes[:, lacking], 0.0)
    assert_close(np.delete(votes, lacking, axis=1), booster.predict_proba(X))
    own = owners == "first"
    right = booster.predict(rows[own]) == target[own]
    assert right.mean() > 0.7


@pytest.mark.parametrize("make", BOOSTERS.values(), ids=BOOSTERS)
def test_booster_learns_a_class_that_its_silo_lacks(make):
    kept = ~((silos == "first") & (three == "v"))
    rows, target, owners = X[kept], three[kept], silos[kept]
    fitted = distiller(("first", make()), linear("second"), accept=None)
    fitted.fit(rows, target, silos=owners)
    assert "v" not in fitted.initial_estimators_[0].classes_
    assert "v" in fitted.estimators_[0].predict(X)
    assert set(fitted.predict(X)) == {"u", "v", "w"}


@pytest.mark.parametrize("make", BOOSTERS.values(), ids=BOOSTERS)
def test_booster_with_weights(make):
    weights = np.linspace(0.5, 2.0, N)
    fitted = distiller(("booster", make()), linear(), n_rounds=0)
    fitted.fit(X, y, sample_weight=weights)
    expected = (
        make()
        .set_params(random_state=fitted.estimators_[1].random_state)
        .fit(X, _codes, sample_weight=weights)
    )
    np.testing.assert_array_equal(
        fitted.estimators_[0].predict_proba(X), expected.predict_proba(X)
    )


@pytest.mark.parametrize("make", BOOSTERS.values(), ids=BOOSTERS)
@pytest.mark.parametrize(
    "labels",
    [["the first", "b (cm)", "c", "d_e", "d e f"], range(5)],
    ids=["spaces", "numbers"],
)
def test_column_labels_that_boosters_write_in_their_own_way(make, labels):
    pair = [("booster", make()), linear()]
    owners = sides("b", "booster", "linear")
    fitted = distiller(*pair).fit(X.set_axis(labels, axis=1), y, silos=owners)
    plain = distiller(*pair).fit(X, y, silos=owners)
    assert len(fitted.lessons_) == len(plain.lessons_) > 0
    assert set(plain.lessons_["student"]) == {"booster", "linear"}
    assert_close(
        fitted.predict_proba(X.set_axis(labels, axis=1)), plain.predict_proba(X)
    )
    frozen = FrozenEstimator(make().fit(X.set_axis(labels, axis=1), _codes))
    assert columns_read(frozen, list(labels)).all()


@pytest.mark.parametrize("labels", [["no", "yes"], [0, 1], [1, 2]])
def test_booster_as_final_estimator(labels):
    target = np.array(labels)[_codes]
    pair = linear(), tree(max_depth=6)
    fitted = distiller(*pair, combine=xgboost_classifier()).fit(X, target)
    assert set(fitted.predict(X)) == set(labels)
    assert fitted.score(X, target) > 0.7
    np.testing.assert_allclose(fitted.predict_proba(X).sum(axis=1), 1.0, rtol=1e-6)


META = {
    "search": lambda: GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2),
    "calibrated": lambda: CalibratedClassifierCV(GaussianNB(), cv=2),
    "bag": lambda: BaggingClassifier(GaussianNB(), n_estimators=3),
    "vote": lambda: VotingClassifier([linear(), tree()], voting="soft"),
    "neighbors": lambda: KNeighborsClassifier(),
}


@pytest.mark.parametrize("name", META)
def test_other_members_learn_and_teach(name):
    fitted = distiller((name, META[name]()), tree(max_depth=1), n_rounds=2)
    fitted.fit(X, y, silos=sides("b", name, "tree"))
    assert {name, "tree"} == set(fitted.lessons_["student"])
    assert {name, "tree"} == set(fitted.lessons_["teacher"])
    assert_close(fitted.transform(X)[:, :2], fitted.estimators_[0].predict_proba(X))


# Dropped members


def test_rows_of_a_dropped_member_leave_with_it():
    owners = np.array(["first", "second", "gone"])[np.arange(N) % 3]
    trio = [linear("first"), ("gone", "drop"), tree("second")]
    fitted = distiller(*trio).fit(X, y, silos=owners)
    stay = owners != "gone"
    expected = distiller(linear("first"), tree("second"))
    expected.fit(X[stay], y[stay], silos=owners[stay])
    assert_close(fitted.predict_proba(X), expected.predict_proba(X))
    assert len(fitted.lessons_) == len(expected.lessons_) > 0
    assert set(fitted.lessons_["source_row"]) <= set(np.flatnonzero(stay))
    np.testing.assert_array_equal(
        np.flatnonzero(stay)[expected.lessons_["source_row"]],
        fitted.lessons_["source_row"],
    )
    assert fitted.named_estimators_["gone"] == "drop"


def test_classes_of_a_dropped_member_leave_with_it():
    owners = np.where(three == "w", "gone", silos)
    fitted = distiller(linear("first"), tree("second"), ("gone", "drop"))
    fitted.fit(X, three, silos=owners)
    np.testing.assert_array_equal(fitted.classes_, ["u", "v"])
    assert fitted.predict_proba(X).shape == (N, 2)


# Frozen members


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_frozen_member_teaches_and_never_learns(n_jobs):
    model = LogisticRegression().fit(X, y)
    before = {name: np.copy(value) for name, value in vars(model).items()}
    frozen = FrozenEstimator(model)
    fitted = distiller(("frozen", frozen), tree(), n_rounds=2, n_jobs=n_jobs)
    fitted.fit(X, y)
    assert set(fitted.lessons_["teacher"]) == {"frozen"}
    assert set(fitted.lessons_["student"]) == {"tree"}
    assert set(fitted.history_["student"]) == {"tree"}
    assert fitted.named_estimators_["frozen"] is frozen
    assert fitted.initial_estimators_[0] is frozen
    assert frozen.estimator is model
    for name, value in before.items():
        np.testing.assert_array_equal(vars(model)[name], value)


@pytest.mark.parametrize("container", [pd.DataFrame, pl.DataFrame])
def test_frozen_member_knows_some_columns_in_its_own_order(container):
    table = container(X.to_dict("list"))
    model = LogisticRegression().fit(container(X[["d", "b", "c"]].to_dict("list")), y)
    fitted = distiller(("frozen", FrozenEstimator(model)), tree(max_depth=1))
    fitted.fit(table, y)
    assert_close(
        fitted.transform(table)[:, :2], model.predict_proba(table[["d", "b", "c"]])
    )
    lessons = fitted.lessons_
    assert len(lessons)
    assert {name for line in lessons["changed"] for name in line} <= {"b", "c", "d"}


def test_frozen_member_knows_some_classes():
    known = three != "v"
    model = LogisticRegression().fit(X[known], three[known])
    fitted = distiller(("frozen", FrozenEstimator(model)), tree(max_depth=1))
    fitted.fit(X, three)
    votes = fitted.transform(X)[:, :3]
    np.testing.assert_array_equal(votes[:, 1], 0.0)
    assert_close(votes[:, [0, 2]], model.predict_proba(X))
    taught = fitted.lessons_.query("teacher == 'frozen'")
    assert set(taught["label"]) <= {"u", "w"}
    assert len(taught)
    np.testing.assert_allclose(fitted.predict_proba(X).sum(axis=1), 1.0)


def test_frozen_member_knows_a_class_that_y_lacks():
    model = LogisticRegression().fit(X, three)
    seen = three != "w"
    fitted = distiller(("frozen", FrozenEstimator(model)), tree(max_depth=1))
    fitted.fit(X[seen], three[seen])
    np.testing.assert_array_equal(fitted.classes_, ["u", "v"])
    assert_close(fitted.transform(X)[:, :2], model.predict_proba(X)[:, :2])
    np.testing.assert_allclose(fitted.predict_proba(X).sum(axis=1), 1.0)
    assert set(fitted.predict(X)) <= {"u", "v"}


def test_frozen_member_without_rows_of_its_own():
    frozen = FrozenEstimator(LogisticRegression().fit(X, y))
    trio = [tree("first"), ("frozen", frozen), linear("second")]
    fitted = distiller(*trio).fit(X, y, silos=silos)
    taught = fitted.lessons_.query("teacher == 'frozen'")
    assert len(taught)
    # What it teaches about a row lies within the rows of the silo that holds the row.
    homes = np.asarray(silos)[taught["source_row"].to_numpy(dtype=int)]
    assert set(homes) == {"first", "second"}
    for home, lessons in taught.groupby(homes):
        own = X[silos == home]
        for name in NAMES:
            moved = lessons[[name in line for line in lessons["changed"]]]
            assert moved[f"x__{name}"].between(own[name].min(), own[name].max()).all()


def test_all_frozen():
    pair = [
        ("linear", FrozenEstimator(LogisticRegression().fit(X, y))),
        ("tree", FrozenEstimator(DecisionTreeClassifier(max_depth=2).fit(X, y))),
    ]
    fitted = distiller(*pair).fit(X, y)
    assert not len(fitted.lessons_)
    expected = sum(frozen.predict_proba(X) for _, frozen in pair) / 2
    np.testing.assert_allclose(fitted.predict_proba(X), expected)


UNFITTED = {
    "plain": LogisticRegression(),
    "pipeline": make_pipeline(StandardScaler(), LogisticRegression()),
    "distiller": distiller(linear(), tree()),
}


@pytest.mark.parametrize("model", UNFITTED.values(), ids=UNFITTED)
def test_frozen_member_that_was_never_fitted(model):
    with pytest.raises(NotFittedError, match="'cold'"):
        distiller(("cold", FrozenEstimator(model)), tree()).fit(X, y)


@pytest.mark.parametrize("target", [_codes, _codes == 1, np.where(_codes, "Y", "N")])
def test_frozen_member_without_a_class_of_y(target):
    frozen = FrozenEstimator(LogisticRegression().fit(X, y))
    with pytest.raises(ValueError, match="'foreign' knows the classes"):
        distiller(("foreign", frozen), tree()).fit(X, target)


def test_messages_show_labels_as_the_user_writes_them():
    frozen = FrozenEstimator(LogisticRegression().fit(X, y))
    with pytest.raises(ValueError, match=r"\['no', 'yes'\].*\[0, 1\]"):
        distiller(("foreign", frozen), tree()).fit(X, _codes)
    with pytest.raises(ValueError, match=r"\['no'\]"):
        distiller(linear(), tree()).fit(X, np.repeat("no", N))
    kept = ~((silos == "first") & (y == "no"))
    with pytest.warns(UserWarning, match=r"\('yes'\)"):
        distiller(linear("first"), tree("second")).fit(
            X[kept], y[kept], silos=silos[kept]
        )


def test_frozen_member_that_needs_a_column_x_lacks():
    model = LogisticRegression().fit(X.assign(thallium=X["a"]), y)
    with pytest.raises(
        ValueError, match=r"(?s)'foreign'.*thallium|thallium.*'foreign'"
    ):
        distiller(("foreign", FrozenEstimator(model)), tree()).fit(X, y)


def test_frozen_member_of_another_width():
    model = LogisticRegression().fit(X.to_numpy()[:, :3], y)
    with pytest.raises(ValueError, match="'foreign'"):
        distiller(("foreign", FrozenEstimator(model)), tree()).fit(X.to_numpy(), y)


def test_frozen_bag_of_pipelines():
    """What a meta-estimator calls estimator_ need not be a fitted model."""
    bag = BaggingClassifier(chooser([0, 1, 2]), n_estimators=3, random_state=0)
    model = bag.fit(X, y)
    fitted = distiller(("bag", FrozenEstimator(model)), tree(max_depth=1)).fit(X, y)
    assert "bag" in set(fitted.lessons_["teacher"])
    assert_close(fitted.transform(X)[:, :2], model.predict_proba(X))


def test_bag_of_pipelines_with_columns_of_their_own_reads_all():
    """What a bag hands to its parts are other columns, under other numbers."""
    bag = BaggingClassifier(
        chooser([0]), n_estimators=3, bootstrap_features=True, random_state=0
    )
    reads = columns_read(bag.fit(X.to_numpy(), y), [f"x{j}" for j in range(5)])
    assert reads.all()


# Members without probabilities

MUTE = {
    "LinearSVC": LinearSVC(),
    "RidgeClassifier": RidgeClassifier(),
    "Perceptron": Perceptron(),
    "SVC": SVC(),
    "pipeline": make_pipeline(StandardScaler(), LinearSVC()),
}


@pytest.mark.filterwarnings("ignore:Silos that the others contradict")
@pytest.mark.parametrize("model", MUTE.values(), ids=MUTE)
@pytest.mark.parametrize("combine", ["soft", "hard", "stack"])
def test_member_without_probabilities_learns_and_votes(model, combine):
    estimators = [tree(), ("mute", model), linear()]
    # Each of them knows a third of the rows better than the others do.
    third = np.digitize(X["b"], np.quantile(X["b"], [1 / 3, 2 / 3]))
    thirds = np.array(["tree", "mute", "linear"])[third]
    with pytest.warns(UserWarning, match=r"\['mute'\] have no predict_proba"):
        fitted = distiller(*estimators, combine=combine, accept=None)
        fitted.fit(X, y, silos=thirds)
    assert "mute" in set(fitted.lessons_.query("kept")["student"])
    assert "mute" not in set(fitted.history_["teacher"])
    votes = fitted.transform(X)[:, 2:4]
    assert set(votes.ravel()) == {0.0, 1.0}
    np.testing.assert_array_equal(
        fitted.classes_[votes.argmax(axis=1)], fitted.estimators_[1].predict(X)
    )


def test_member_without_probabilities_never_teaches_what_its_silo_began_with():
    """A silo of one class has a stand-in with probabilities; that is no teacher."""
    owners = sides("d", "first", "second")
    kept = ~((owners == "first") & (y == "yes"))
    estimators = [("first", LinearSVC()), linear("second")]
    with pytest.warns(UserWarning, match=r"single class|no predict_proba") as caught:
        fitted = distiller(*estimators, n_rounds=3).fit(
            X[kept], y[kept], silos=owners[kept]
        )
    assert set(fitted.initial_estimators_[0].predict(X)) == {"no"}
    assert fitted.history_["round"].max() >= 2
    assert any("['first'] have no predict_proba" in str(w.message) for w in caught)
    assert isinstance(fitted.estimators_[0], LinearSVC)
    assert "first" not in set(fitted.history_["teacher"])


def test_frozen_member_without_probabilities_only_votes():
    model = LinearSVC().fit(X, y)
    with pytest.warns(UserWarning, match=r"\['mute'\] have no predict_proba"):
        fitted = distiller(("mute", FrozenEstimator(model)), tree(), linear()).fit(X, y)
    assert "mute" not in set(fitted.lessons_["student"])
    assert "mute" not in set(fitted.lessons_["teacher"])
    np.testing.assert_array_equal(
        fitted.classes_[fitted.transform(X)[:, :2].argmax(axis=1)], model.predict(X)
    )


# Members that answer nonsense, or are no classifiers


class Odd(ClassifierMixin, BaseEstimator):
    """Answers well until told otherwise."""

    def __init__(self, answer="well"):
        self.answer = answer

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        answers = {
            "well": np.full((len(X), 2), 0.5),
            "nan": np.full((len(X), 2), np.nan),
            "infinite": np.full((len(X), 2), np.inf),
            "narrow": np.full((len(X), 1), 0.5),
            "wide": np.full((len(X), 3), 0.5),
            "short": np.full((len(X) - 1, 2), 0.5),
            "flat": np.full(len(X), 0.5),
            "negative": np.tile([-0.5, 1.5], (len(X), 1)),
            "too much": np.full((len(X), 2), 0.7),
            "rounded": np.tile(np.float32([-1e-7, 1 + 1e-7]), (len(X), 1)),
            "nothing": np.zeros((len(X), 2)),
        }
        return answers[self.answer]

    def predict(self, X):
        return np.repeat(self.classes_[:1], len(X))


NONSENSE = {
    "nan": "NaN or infinity",
    "infinite": "NaN or infinity",
    "narrow": r"\(\d+, 1\)",
    "wide": r"\(\d+, 3\)",
    "short": r"\(\d+, 2\)",
    "flat": r"\(\d+,\)",
    "negative": r"no probabilities, such as \[-0.5, 1.5\]",
    "too much": r"no probabilities, such as \[0.7, 0.7\]",
}


@pytest.mark.parametrize(("answer", "message"), NONSENSE.items(), ids=NONSENSE)
def test_answers_that_are_no_probabilities(answer, message):
    with pytest.raises(ValueError, match=f"'odd'.*{message}"):
        distiller(("odd", Odd(answer)), tree()).fit(X, y)


@pytest.mark.parametrize("answer", ["rounded", "nothing"])
def test_answers_that_are_good_enough(answer):
    fitted = distiller(("odd", Odd(answer)), tree()).fit(X, y)
    assert np.isfinite(fitted.predict_proba(X)).all()


@pytest.mark.parametrize("combine", ["hard", "soft"])
def test_a_class_that_is_none_here_is_no_vote_for_another(combine):
    """A model from elsewhere may take all rows for something else."""
    far_off = pd.concat([X, X[:1] + 1e6])
    elsewhere = DecisionTreeClassifier().fit(
        far_off, ["unsure"] * len(X) + [np.unique(y)[-1]]
    )
    members = [("a", FrozenEstimator(elsewhere)), ("b", FrozenEstimator(elsewhere))]
    fitted = distiller(*members, linear(), combine=combine, n_rounds=1).fit(X, y)
    scores = fitted.scores_.loc[0]
    assert scores["a"] == scores["b"] == 0
    alone = fitted.named_estimators_["linear"]
    np.testing.assert_array_equal(fitted.predict(X), alone.predict(X))


def test_answers_that_are_no_probabilities_at_predict():
    fitted = distiller(("odd", Odd()), tree()).fit(X, y)
    fitted.estimators_[0].answer = "nan"
    for method in (fitted.predict, fitted.predict_proba, fitted.transform):
        with pytest.raises(ValueError, match=r"'odd'.*NaN"):
            method(X)


class Stubborn(Odd):
    """Cannot be fitted."""

    def fit(self, X, y):
        raise RuntimeError("no licence")


def test_member_that_cannot_be_fitted_is_named():
    message = "^Member 'stubborn', fitted on 90 rows and 0 lessons: no licence$"
    with pytest.raises(RuntimeError, match=message):
        distiller(tree(), ("stubborn", Stubborn())).fit(X, y)


@pytest.mark.parametrize(
    "model",
    [
        LinearRegression(),
        KMeans(2),
        StandardScaler(),
        make_pipeline(StandardScaler(), LinearRegression()),
        FrozenEstimator(LinearRegression().fit(X, _codes)),
        LogisticRegression,
        None,
        "dropped",
    ],
    ids=lambda model: getattr(model, "__name__", type(model).__name__),
)
def test_no_classifier(model):
    with pytest.raises(ValueError, match="'wrong'"):
        distiller(tree(), ("wrong", model)).fit(X, y)


# Classes


def test_absent_classes_are_aligned():
    """Each silo lacks another class; columns follow classes_, not the member."""
    owners = np.array(["first", "second", "third"])[np.arange(N) % 3]
    lacks = {"first": "u", "second": "v", "third": "w"}
    kept = np.array([lacks[o] != c for o, c in zip(owners, three, strict=True)])
    estimators = [
        linear("first"),
        ("second", GaussianNB()),
        ("third", KNeighborsClassifier()),
    ]
    fitted = distiller(*estimators, n_rounds=0)
    fitted.fit(X[kept], three[kept], silos=owners[kept])
    np.testing.assert_array_equal(fitted.classes_, ["u", "v", "w"])
    votes = fitted.transform(X).reshape(N, 3, 3)
    for k, model in enumerate(fitted.estimators_):
        position = np.searchsorted(fitted.classes_, model.classes_)
        expected = np.zeros((N, 3))
        expected[:, position] = model.predict_proba(X)
        assert_close(votes[:, k], expected)
        assert lacks[estimators[k][0]] not in model.classes_
    proba = fitted.predict_proba(X)
    np.testing.assert_allclose(proba, votes.mean(axis=1))
    np.testing.assert_array_equal(
        fitted.predict(X), fitted.classes_[proba.argmax(axis=1)]
    )


def test_silo_of_one_class():
    kept = ~((silos == "first") & (y == "no"))
    pair = [linear("first"), tree("second")]
    with pytest.warns(UserWarning, match="'first' holds a single class"):
        fitted = distiller(*pair, accept=None).fit(X[kept], y[kept], silos=silos[kept])
    assert set(fitted.initial_estimators_[0].predict(X)) == {"yes"}
    learned = fitted.estimators_[0]
    assert isinstance(learned, LogisticRegression)
    np.testing.assert_array_equal(learned.classes_, ["no", "yes"])


@pytest.mark.parametrize(
    "target",
    [_codes, _codes + 5, _codes == 1, _codes.astype(float), y, y.astype(object)],
    ids=["codes", "numbers", "bools", "floats", "strings", "objects"],
)
def test_labels_come_back_as_they_were(target):
    fitted = distiller(linear(), ("booster", xgboost_classifier())).fit(X, target)
    np.testing.assert_array_equal(fitted.classes_, np.unique(target))
    assert fitted.predict(X).dtype == np.asarray(target).dtype
    assert set(fitted.estimators_[1].predict(X)) == set(np.unique(target))
    assert set(fitted.lessons_["label"]) <= set(np.unique(target))


def test_a_single_member_has_no_teacher():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = distiller(linear()).fit(X, y)
    assert not len(fitted.lessons_)
    assert_close(
        fitted.predict_proba(X), LogisticRegression().fit(X, y).predict_proba(X)
    )


def test_pipelines_stay_pipelines():
    fitted = distiller(
        ("scaled", make_pipeline(StandardScaler(), LogisticRegression())), tree()
    ).fit(X, y)
    assert isinstance(fitted.named_estimators_["scaled"], Pipeline)
    assert isinstance(fitted.named_estimators_["tree"], DecisionTreeClassifier)


class ByHand(GaussianNB):
    """Works with labels as if they were 0, 1, ..., in one of the usual ways."""

    def __init__(self, way="one-hot"):
        super().__init__()
        self.way = way

    def fit(self, X, y, sample_weight=None):
        n_classes = len(np.unique(y))
        {
            "one-hot": lambda: np.eye(n_classes)[y],
            "counts": lambda: np.bincount(y, minlength=n_classes),
            "numbers": lambda: y.astype(float),
            "differences": lambda: y - np.zeros(len(y)).mean(),
            "checked": lambda: self._check(y),
        }[self.way]()
        return super().fit(X, y, sample_weight)

    def _check(self, y):
        if not set(y) <= {0, 1}:
            raise RuntimeError("Targets must be encoded")


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["no", "yes"]),
        np.array(["no", "yes"], dtype=object),
        np.array([-1, 1]),
        np.array([7, 9]),
        np.array([1.0, 2.0]),
    ],
    ids=["text", "objects", "signs", "numbers", "floats"],
)
@pytest.mark.parametrize(
    "way", ["one-hot", "counts", "numbers", "differences", "checked"]
)
def test_labels_are_translated_whatever_a_member_says_about_them(way, labels):
    target = labels[_codes]
    fitted = distiller(("hand", ByHand(way)), tree(), n_rounds=0).fit(X, target)
    assert set(fitted.estimators_[0].predict(X)) == set(labels)
    np.testing.assert_allclose(
        fitted.estimators_[0].predict_proba(X),
        GaussianNB().fit(X, _codes).predict_proba(X),
    )


def test_votes_behind_a_translation_of_labels():
    """What stands in for a model has probabilities if the model has."""
    with pytest.warns(UserWarning, match=r"\['votes'\] have no predict_proba"):
        fitted = distiller(("votes", Numbered()), ("bayes", GaussianNB())).fit(X, y)
    assert not hasattr(fitted.named_estimators_["votes"], "predict_proba")
    assert set(fitted.predict(X)) <= {"no", "yes"}
    stacked = distiller(("bayes", GaussianNB()), combine=Numbered()).fit(X, y)
    assert not hasattr(stacked, "predict_proba")
    assert stacked.score(X, y) > 0.5


@pytest.mark.parametrize("container", [np.array, pd.DataFrame], ids=["array", "frame"])
def test_members_that_work_in_place_answer_for_the_same_rows(container):
    answers = []
    for copy in (True, False):
        members = [
            (name, make_pipeline(StandardScaler(copy=copy), GaussianNB()))
            for name in ("one", "two")
        ]
        asked = container(X.copy())
        fitted = distiller(*members).fit(container(X), y)
        answers.append(fitted.predict_proba(asked))
        np.testing.assert_array_equal(asked, X.to_numpy())
        assert container is pd.DataFrame or asked.flags.writeable
    np.testing.assert_array_equal(*answers)
