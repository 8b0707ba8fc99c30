"""What goes wrong is said clearly, where it happened, and costs nothing else."""

import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import BaggingClassifier, HistGradientBoostingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneOut,
    PredefinedSplit,
    RepeatedKFold,
    ShuffleSplit,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.validation import check_is_fitted

from skcoop import CooperativeDistiller, make_distiller
from skcoop.counterfactuals import BatchedDice, Counterfactuals

# What happened so far, in order: ("fit", member's name) and ("ask", teacher's name).
EVENTS: list = []


@pytest.fixture(autouse=True)
def _forget_events():
    EVENTS.clear()


def rows(n=90, d=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(0, 1, (n, d))
    y = (X[:, :3] + rng.normal(0, 0.6, (n, 3))).argmax(axis=1)
    return X, y


def members(**replaced):
    group = {
        "linear": LogisticRegression(),
        "tree": DecisionTreeClassifier(max_depth=3, random_state=0),
        "bayes": GaussianNB(),
    }
    return list((group | replaced).items())


def distiller(group=None, **params):
    params = {"cv": 3, "random_state": 0, **params}
    return CooperativeDistiller(members() if group is None else group, **params)


def rounds_of_events():
    """Count the rounds: a question after a fit starts another one."""
    kinds = [kind for kind, _ in EVENTS]
    return sum(
        kind == "ask" and (before == "fit")
        for before, kind in zip(["start", *kinds], kinds, strict=False)
    )


# Parameters and members


@pytest.mark.parametrize(
    ("estimators", "message"),
    [
        ([], "non-empty list"),
        (None, r"list of \(name, classifier\) pairs"),
        ("drop", r"list of \(name, classifier\) pairs"),
        (LogisticRegression(), "single estimator.*make_distiller"),
        ({"linear": LogisticRegression()}, r"list of \(name, classifier\) pairs"),
        ([LogisticRegression(), GaussianNB()], "one entry is.*make_distiller"),
        ([("linear",)], "one entry is"),
        ([("linear", LogisticRegression(), 1)], "one entry is"),
        ([(1, LogisticRegression())], "one entry is"),
        ([(LogisticRegression(), "linear")], "one entry is"),
        (["linear"], "one entry is"),
        ([("a", LogisticRegression()), ("a", GaussianNB())], r"not unique.*'a'"),
        ([("alpha", GaussianNB()), ("b", GaussianNB())], r"conflict.*'alpha'"),
        ([("estimators", GaussianNB())], r"conflict.*'estimators'"),
        ([("a__b", GaussianNB()), ("b", GaussianNB())], r"must not contain __.*a__b"),
        ([("a", LinearRegression()), ("b", GaussianNB())], "'a' should be a class"),
        (
            [("a", LogisticRegression), ("b", GaussianNB())],
            r"'a'.*LogisticRegression\(\)",
        ),
        ([("a", None), ("b", GaussianNB())], "'a' should be a classifier, got None"),
        ([("a", 3), ("b", GaussianNB())], "'a' should be a classifier, got 3"),
        ([("a", "dorp"), ("b", GaussianNB())], "'a' should be a class.*'dorp'"),
        ([("a", make_pipeline(LinearRegression()))], "'a' should be a classifier"),
        ([("a", "drop"), ("b", "drop")], "All estimators are dropped"),
    ],
)
def test_bad_estimators(estimators, message):
    X, y = rows()
    with pytest.raises(ValueError, match=message):
        CooperativeDistiller(estimators).fit(X, y)


def test_member_named_like_the_splitter():
    """A name that means something inside works, or is refused with a reason."""
    X, y = rows()
    group = [("splitter", GaussianNB()), ("other", LogisticRegression())]
    try:
        fitted = distiller(group).fit(X, y)
    except ValueError as error:
        assert "'splitter'" in str(error)
    else:
        assert fitted.score(X, y) > 0.4


def test_frozen_member_that_was_never_fitted():
    X, y = rows()
    group = members(guest=FrozenEstimator(GaussianNB()))
    with pytest.raises(NotFittedError, match="'guest' is not fitted"):
        distiller(group).fit(X, y)


def test_frozen_member_of_other_classes():
    X, y = rows()
    guest = FrozenEstimator(GaussianNB().fit(X, np.array(["p", "q", "r"])[y]))
    with pytest.raises(ValueError, match=r"'guest' knows the classes \['p', 'q', 'r'"):
        distiller(members(guest=guest)).fit(X, y)


def test_frozen_member_of_other_columns():
    X, y = rows()
    guest = FrozenEstimator(GaussianNB().fit(X[:, :2], y))
    with pytest.raises(ValueError, match="2 features") as error:
        distiller(members(guest=guest)).fit(X, y)
    assert "guest" in said_about(error.value)
    table = pd.DataFrame(X, columns=["p", "q", "r", "s"])
    guest = FrozenEstimator(
        GaussianNB().fit(table[["p", "q"]].set_axis(["p", "z"], axis=1), y)
    )
    with pytest.raises((ValueError, KeyError), match="z") as error:
        distiller(members(guest=guest)).fit(table, y)
    assert "guest" in said_about(error.value)


@pytest.mark.parametrize(
    "ensemble",
    [
        BaggingClassifier(LogisticRegression(), n_estimators=3),
        BaggingClassifier(
            make_pipeline(
                make_column_transformer(("passthrough", [0, 1])), LogisticRegression()
            ),
            n_estimators=3,
        ),
    ],
    ids=["classifier", "column choice"],
)
def test_frozen_ensemble(ensemble):
    """What a frozen model is made of is not the model."""
    X, y = rows()
    guest = FrozenEstimator(clone(ensemble).set_params(random_state=0).fit(X, y))
    fitted = distiller(members(guest=guest)).fit(X, y)
    assert "guest" in set(fitted.lessons_["teacher"])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"alpha": 0}, r"'alpha'.*\(0.0, 1.0\]"),
        ({"alpha": -0.5}, "'alpha'"),
        ({"alpha": 1.01}, "'alpha'"),
        ({"alpha": np.nan}, "'alpha'"),
        ({"alpha": "half"}, "'alpha'"),
        ({"n_rounds": -1}, "'n_rounds'"),
        ({"n_rounds": 1.5}, "'n_rounds'"),
        ({"n_rounds": None}, "'n_rounds'"),
        ({"counterfactuals": "dice"}, "'counterfactuals'.*'batched'"),
        ({"counterfactuals": object()}, "'counterfactuals'.*'generate'"),
        (
            {"counterfactuals": BatchedDice},
            r"the class BatchedDice. Write BatchedDice\(\)",
        ),
        ({"accept": "none"}, "'accept'.*'own'"),
        ({"accept": True}, "'accept'"),
        ({"combine": "mean"}, "'combine'.*'stack'"),
        ({"combine": None}, "'combine'"),
        ({"combine": LinearRegression()}, "combine.*classifier"),
        ({"combine": LogisticRegression}, "combine.*(class|instance)"),
        ({"max_lessons": 0}, "'max_lessons'"),
        ({"cv": 1}, "'cv'"),
        ({"cv": "five"}, "'cv'"),
        ({"random_state": "lucky"}, "'random_state'"),
        ({"n_jobs": 1.5}, "'n_jobs'"),
        ({"silo_column": "clinic"}, "silo_column.*data frame"),
    ],
)
def test_bad_parameters(params, message):
    X, y = rows()
    recorder = Counting("recorder")
    with pytest.raises((ValueError, TypeError), match=message):
        distiller(members(recorder=recorder), **params).fit(X, y)
    # Said before anything was trained.
    assert not EVENTS


def test_alpha_1_is_allowed():
    X, y = rows()
    fitted = distiller(alpha=1.0, n_rounds=1).fit(X, y)
    assert (fitted.lessons_["proba_after"] > 1 - 1e-8).all()


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        (ShuffleSplit(3, random_state=0), "hold out each row exactly once"),
        (RepeatedKFold(n_splits=2, n_repeats=2), "90 of 90 rows"),
        (PredefinedSplit(np.arange(90) % 3 - 1), "30 of 90 rows"),
        ([(np.arange(45), np.arange(45, 90))], "45 of 90 rows"),
        ([], "90 of 90 rows"),
        (GroupKFold(3), "groups"),
    ],
)
def test_splitter_that_does_not_partition(cv, message):
    X, y = rows()
    with pytest.raises(ValueError, match=message):
        distiller(cv=cv).fit(X, y)


@pytest.mark.parametrize("lost", [1, 10])
def test_splitter_that_purges_rows(lost):
    X, y = rows()
    numbers = np.arange(90)
    purged = [
        (np.setdiff1d(numbers, np.arange(test[0] - lost, test[-1] + 1)), test)
        for test in np.array_split(numbers, 3)
    ]
    message = rf"split 1 does not with {lost} of 90 rows.*purge"
    with pytest.raises(ValueError, match=message):
        distiller(cv=purged).fit(X, y)


def test_other_ways_to_partition():
    X, y = rows(30)
    plain = distiller(cv=KFold(3)).fit(X, y)
    listed = distiller(cv=list(KFold(3).split(X))).fit(X, y)
    masks = [
        (np.isin(np.arange(30), train), np.isin(np.arange(30), test))
        for train, test in KFold(3).split(X)
    ]
    masked = distiller(cv=masks).fit(X, y)
    assert_frame_equal(listed.history_, plain.history_)
    assert_frame_equal(masked.history_, plain.history_)
    assert_array_equal(listed.predict_proba(X), plain.predict_proba(X))
    distiller(cv=LeaveOneOut(), n_rounds=0).fit(X, y)


# Labels, rows and weights


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (lambda y: None, "y cannot be None|requires y"),
        (lambda y: np.zeros_like(y), "at least two classes.*1 class"),
        (lambda y: np.c_[y, y], r"1d array.*\(90, 2\)"),
        (lambda y: np.c_[y, y].tolist(), "1d array"),
        (lambda y: pd.DataFrame({"p": y, "q": y}), r"1d array.*\(90, 2\)"),
        (lambda y: np.c_[y == 0, y == 1].astype(int), "1d array"),
        (lambda y: y + 0.5, "continuous"),
        (lambda y: np.where(y == 0, np.nan, y), "y contains NaN"),
        (lambda y: np.where(y == 0, np.inf, y), "y contains infinity"),
        (lambda y: y[:-1], r"\[90, 89\]"),
        (lambda y: y[:0], "sample|empty"),
        (lambda y: np.where(y == 0, None, y.astype(object)), "34 missing label"),
        (lambda y: pd.Series(["p", None, "q"] * 30), "missing|NaN|None"),
        (lambda y: np.array(["p", 1, 2], dtype=object)[y], "label type"),
    ],
)
def test_bad_labels(labels, message):
    X, y = rows()
    with pytest.raises((ValueError, TypeError), match=message):
        distiller().fit(X, labels(y))


def test_single_class_is_printed_as_it_was_written():
    X, _ = rows()
    with pytest.raises(ValueError, match=r"holds 1 class: \['ill'\]"):
        distiller().fit(X, np.array(["ill"] * 90))


def test_single_class_among_rows_with_weight():
    X, y = rows()
    with pytest.raises(ValueError, match=r"without weight.*1 class"):
        distiller().fit(X, y, sample_weight=(y == 1).astype(float))


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("container", ["array", "pandas", "polars", "objects"])
def test_infinity_is_named_with_its_column(container, value):
    X, y = rows()
    X[7, 2] = value
    names = ["age", "dose", "pulse", "height"]
    column = "'pulse'" if container in ("pandas", "polars") else "'?x2'?|column 2"
    if container == "pandas":
        X = pd.DataFrame(X, columns=names)
    elif container == "polars":
        X = pl.DataFrame(X, schema=names)
    elif container == "objects":
        X = X.astype(object)
    with pytest.raises(ValueError, match=f"infinity.*({column})"):
        distiller().fit(X, y)


def first_line(caught):
    return str(caught.value).splitlines()[0]


def said_about(error):
    """Return all that an error says, notes included."""
    return "\n".join([str(error), *getattr(error, "__notes__", [])])


@pytest.mark.parametrize("frame", [False, True])
def test_missing_values_that_a_member_cannot_take(frame):
    X, y = rows()
    X[7, 2] = np.nan
    X = pd.DataFrame(X, columns=["p", "q", "r", "s"]) if frame else X
    group = [
        ("boosting", HistGradientBoostingClassifier(max_iter=3)),
        ("linear", LogisticRegression()),
    ]
    with pytest.raises(ValueError, match="contains NaN") as error:
        distiller(group).fit(X, y)
    assert first_line(error) == (
        "Member 'linear', fitted on 90 rows and 0 lessons: Input X contains NaN."
    )
    # Those who can, do.
    fitted = distiller([group[0], ("tree", DecisionTreeClassifier())]).fit(X, y)
    assert fitted.predict(X).shape == (90,)


def test_missing_values_that_a_member_meets_in_another_silo():
    """It can be trained on its own rows, but it cannot judge those of others."""
    X, y = rows()
    owner = np.array(["boosting", "linear"], dtype=object)[np.arange(90) % 2]
    X[np.flatnonzero(owner == "boosting")[::2], 2] = np.nan
    group = [
        ("boosting", HistGradientBoostingClassifier(max_iter=3)),
        ("linear", LogisticRegression()),
    ]
    with pytest.raises(ValueError, match="contains NaN") as error:
        distiller(group).fit(X, y, silos=owner)
    assert re.fullmatch(
        r"Member 'linear', asked about \d+ rows: Input X contains NaN.",
        first_line(error),
    )
    assert any("rows of all silos" in note for note in error.value.__notes__)


@pytest.mark.parametrize("answer", ["nan", "shape"])
def test_member_whose_probabilities_are_none(answer):
    X, y = rows()
    with pytest.raises(ValueError, match=r"'broken'.*predict_proba returned"):
        distiller(members(broken=BadProba(answer))).fit(X, y)


class BadProba(ClassifierMixin, BaseEstimator):
    def __init__(self, answer="nan"):
        self.answer = answer

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        width = len(self.classes_) + (self.answer == "shape")
        return np.full((len(X), width), np.nan if self.answer == "nan" else 0.2)

    def predict(self, X):
        return np.repeat(self.classes_[0], len(X))


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.r_[-1.0, np.ones(89)], "[Nn]egative"),
        (np.ones(89), r"\(89,\).*\(90,\)"),
        (np.ones((90, 2)), "1D"),
        (np.zeros(90), "at least one non-zero"),
        (np.r_[np.nan, np.ones(89)], "sample_weight contains NaN"),
        (np.r_[np.inf, np.ones(89)], "sample_weight contains infinity"),
        (["heavy"] * 90, "string|float"),
    ],
)
def test_bad_weights(weight, message):
    X, y = rows()
    with pytest.raises(ValueError, match=message):
        distiller().fit(X, y, sample_weight=weight)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (lambda X: X[:, 0], "2D array"),
        (lambda X: X[:0], "0 sample|inconsistent"),
        (lambda X: X[:, :0], r"0 feature\(s\)"),
        (lambda X: pd.DataFrame(X)[[]], r"0 feature\(s\)|no column"),
        (lambda X: pl.DataFrame(X).lazy(), "LazyFrame|collect"),
        (lambda X: pd.DataFrame(X, columns=["p", "p", "q", "r"]), "'p'"),
        (lambda X: X.astype(complex), "[Cc]omplex"),
        (lambda X: None, "None|2D array"),
    ],
    ids=["1d", "no rows", "no columns", "empty frame", "lazy", "twice", "complex", "-"],
)
def test_bad_tables(table, message):
    X, y = rows()
    with pytest.raises(ValueError, match=message):
        distiller().fit(table(X), y)


# Members that fail


class Trouble(Exception):
    """Nothing that anybody else raises."""


class Counting(DecisionTreeClassifier):
    """Raises an error in the fits that `when` says."""

    def __init__(self, name="counting", when=None, error=Trouble, max_depth=None):
        super().__init__(max_depth=max_depth, random_state=0)
        self.name = name
        self.when = when
        self.error = error

    def fit(self, X, y):
        EVENTS.append(("fit", self.name))
        if self.when is not None and self.when(X):
            raise self.error("out of memory")
        return super().fit(X, y)


class Asking(BatchedDice):
    """Notes each question."""

    def generate(self, teacher, X, y, **params):
        EVENTS.append(("ask", teacher.name))
        return super().generate(teacher, X, y, **params)


@pytest.mark.parametrize("error", [Trouble, ValueError, MemoryError, RuntimeError])
def test_member_that_raises_in_its_first_fit(error):
    X, y = rows()
    group = members(broken=Counting("broken", when=lambda X: True, error=error))
    model = distiller(group)
    with pytest.raises(error, match="out of memory") as caught:
        model.fit(X, y)
    assert type(caught.value) is error
    assert first_line(caught) == (
        "Member 'broken', fitted on 90 rows and 0 lessons: out of memory"
    )
    assert str(caught.value.__cause__) == "out of memory"
    with pytest.raises(NotFittedError):
        check_is_fitted(model)


def test_member_that_raises_in_a_cross_fitted_copy():
    X, y = rows()
    group = members(broken=Counting("broken", when=lambda X: len(X) < 90))
    with pytest.raises(Trouble) as caught:
        distiller(group).fit(X, y)
    assert "Member 'broken', fitted on" in first_line(caught)


def fit_with_warning(model, X, y, match="Some teaching failed", **params):
    with pytest.warns(UserWarning, match=match):
        return model.fit(X, y, **params)


def test_member_that_raises_in_all_refits():
    X, y = rows(120, seed=1)
    # Each silo has 30 rows.
    owner = np.array(["linear", "tree", "bayes", "broken"], dtype=object)[
        np.arange(120) % 4
    ]
    group = members(broken=Counting("broken", when=lambda X: len(X) > 30, max_depth=3))
    model = distiller(group, n_rounds=1)
    failure = (
        r"Trouble: Member 'broken', fitted on \d+ rows and \d+ lessons: out of memo"
    )
    with pytest.warns(UserWarning, match=f"'broken'.*{failure}") as caught:
        model.fit(X, y, silos=owner)
    assert len(caught) == 1
    lines = model.history_.query("student == 'broken'")
    assert lines["failure"].str.match(failure).all()
    assert not lines["accepted"].any()
    assert lines["kept"].sum() == 0
    assert not model.lessons_.query("student == 'broken'")["kept"].any()
    others = model.history_.query("student != 'broken'")
    assert others["failure"].eq("").all()
    assert others["accepted"].any()
    assert_array_equal(
        model.named_estimators_["broken"].predict_proba(X),
        model.initial_estimators_[3].predict_proba(X),
    )
    assert np.isfinite(model.predict_proba(X)).all()


def test_member_that_raises_from_the_second_round_on():
    # On these rows, the first round is a success.
    X, y = rows(120, seed=3)
    group = [
        ("broken", Counting("broken", when=fails_late, max_depth=2)),
        ("guest", FrozenEstimator(GaussianNB().fit(*rows(500, seed=7)))),
    ]
    taught = distiller(group, counterfactuals=Asking(), alpha=0.8)
    model = fit_with_warning(taught, X, y)
    history = model.history_.set_index("round")
    assert history.index.tolist() == [1, 2]
    assert "Trouble: Member 'broken', fitted on" in "".join(history["failure"])
    assert "out of memory" in "".join(history["failure"])
    # The last fit of the improved member failed as well: nothing is kept.
    assert not history["accepted"].any()
    assert history["kept"].sum() == 0
    assert not model.lessons_["kept"].any()
    EVENTS.clear()
    plain = distiller(group, n_rounds=0).fit(X, y)
    assert_array_equal(model.transform(X), plain.transform(X))
    # The final estimator belongs to the members that are there.
    np.testing.assert_allclose(model.predict_proba(X), plain.predict_proba(X))


def fails_late(X):
    return rounds_of_events() >= 2


class Limited(DecisionTreeClassifier):
    """Takes no more rows than in the first round: later lessons are too many."""

    most: dict = {}

    def fit(self, X, y):
        EVENTS.append(("fit", "limited"))
        share = "whole" if len(X) >= 120 else "fold"
        if rounds_of_events() <= 1:
            self.most[share] = max(self.most.get(share, 0), len(X))
        elif len(X) > self.most[share] and share == "fold":
            raise Trouble("out of memory")
        return super().fit(X, y)


def test_lessons_of_earlier_rounds_stay_when_later_ones_fail():
    # With these rows and this alpha, the first round is a success.
    X, y = rows(120, seed=8)
    Limited.most.clear()
    group = [
        ("limited", Limited(max_depth=3, random_state=0)),
        ("guest", FrozenEstimator(GaussianNB().fit(*rows(500, seed=7)))),
    ]
    taught = distiller(group, counterfactuals=Asking(sparse=False), alpha=0.5)
    model = fit_with_warning(taught, X, y)
    history = model.history_.set_index("round")
    assert history["accepted"].to_dict() == {1: True, 2: False}
    assert history.loc[1, "failure"] == ""
    assert re.match(
        "Trouble: Member 'limited', fitted on .*: out of memory",
        history.loc[2, "failure"],
    )
    assert history.loc[2, "kept"] == 0
    kept = model.lessons_[model.lessons_["kept"]]
    assert set(kept["round"]) == {1}
    assert len(kept) == history.loc[1, "kept"] > 0
    first = distiller(
        [("limited", DecisionTreeClassifier(max_depth=3, random_state=0)), group[1]],
        n_rounds=1,
        alpha=0.5,
    ).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), first.predict_proba(X))


@pytest.mark.parametrize("combine", ["soft", "hard", "stack"])
def test_member_that_raises_in_its_last_fit_without_a_gate(combine):
    """Where members vote, no refit is judged: the last fit is the first to fail."""
    X, y = rows(120)
    owner = np.array(["linear", "tree", "bayes", "broken"], dtype=object)[
        np.arange(120) % 4
    ]
    group = members(broken=Counting("broken", when=lambda X: len(X) > 30, max_depth=3))
    model = distiller(group, accept=None, combine=combine)
    failure = "Trouble: Member 'broken', fitted on .*: out of memory"
    fit_with_warning(model, X, y, match=f"'broken'.*{failure}", silos=owner)
    lines = model.history_.query("student == 'broken' and taught > 0")
    assert len(lines)
    assert lines["failure"].str.match(failure).all()
    assert not lines["accepted"].any()
    assert lines["kept"].sum() == 0
    assert not model.lessons_.query("student == 'broken'")["kept"].any()
    others = model.history_.query("student != 'broken' and taught > 0")
    assert others["failure"].eq("").all()
    assert others["accepted"].all()
    assert others["kept"].sum() == model.lessons_["kept"].sum() > 0
    assert model.named_estimators_["broken"] is model.initial_estimators_[3]
    assert model.named_estimators_["linear"] is not model.initial_estimators_[0]
    # The member, three copies, and the fits that failed.
    fits = [name for kind, name in EVENTS if (kind, name) == ("fit", "broken")]
    assert len(fits) == 4 + (3 if combine == "stack" else 1)


# Engines that fail


class Engine(BaseEstimator):
    """Answers what `answer` makes of the rows."""

    def __init__(self, answer):
        self.answer = answer

    def generate(self, teacher, X, y, *, background, alpha=0.5, random_state=None):
        n = len(y)
        result = Counterfactuals(X, np.ones(n, bool), np.zeros(n), np.ones(n), 0, 0.0)
        changed = self.answer(result, teacher, background)
        return result if changed is None else changed


def best_rows(result, teacher, background):
    """Answer with one certain row of the background; most teachers accept it."""
    position = teacher.predict_proba(background).max(axis=1).argmax()
    row = background.iloc[[position] * len(result.valid)].reset_index(drop=True)
    result.X_cf = row.assign(dose=row["dose"] * 0.99 + 0.01 * background["dose"].mean())


def raises(result, teacher, background):
    raise Trouble("no answer today")


def returns_nothing(result, teacher, background):
    return {"answer": None}


def too_few_rows(result, teacher, background):
    best_rows(result, teacher, background)
    result.X_cf = result.X_cf.iloc[:-1]


def too_few_columns(result, teacher, background):
    best_rows(result, teacher, background)
    result.X_cf = result.X_cf.drop(columns="dose")


def too_few_flags(result, teacher, background):
    best_rows(result, teacher, background)
    result.valid = result.valid[:-1]


def an_array(result, teacher, background):
    best_rows(result, teacher, background)
    result.X_cf = result.X_cf.to_numpy()


def a_list(result, teacher, background):
    best_rows(result, teacher, background)
    result.X_cf = result.X_cf.to_numpy().tolist()


def words_for_numbers(result, teacher, background):
    best_rows(result, teacher, background)
    result.X_cf = result.X_cf.assign(dose="a lot")


def missing_numbers(result, teacher, background):
    best_rows(result, teacher, background)
    result.X_cf = result.X_cf.assign(dose=np.nan)


def missing_words(result, teacher, background):
    best_rows(result, teacher, background)
    result.X_cf = result.X_cf.assign(ward=None)


def everything_missing(result, teacher, background):
    result.X_cf = result.X_cf.assign(dose=np.nan, pulse=np.nan)


def infinite_numbers(result, teacher, background):
    best_rows(result, teacher, background)
    result.X_cf = result.X_cf.assign(dose=np.inf)


def out_of_range(result, teacher, background):
    best_rows(result, teacher, background)
    result.X_cf = result.X_cf.assign(dose=background["dose"].max() + 1e-6)


def unknown_category(result, teacher, background):
    best_rows(result, teacher, background)
    result.X_cf = result.X_cf.assign(ward="basement")


def not_probable_enough(result, teacher, background):
    """A row that the teacher likes least, flagged as an answer."""
    worst = teacher.predict_proba(background).max(axis=1).argmin()
    n = len(result.valid)
    result.X_cf = background.iloc[[worst] * n].reset_index(drop=True)
    result.proba_after = np.ones(n)


def the_row_itself(result, teacher, background):
    result.X_cf = result.X_cf.copy()


BROKEN = [
    raises,
    returns_nothing,
    too_few_rows,
    too_few_columns,
    too_few_flags,
    an_array,
    a_list,
    words_for_numbers,
]
LYING = [
    missing_numbers,
    missing_words,
    everything_missing,
    infinite_numbers,
    out_of_range,
    unknown_category,
]


def table(n=90, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "dose": rng.uniform(0, 10, n),
            "pulse": rng.normal(70, 10, n),
            "ward": np.array(["left", "right"], dtype=object)[rng.integers(0, 2, n)],
        }
    )
    score = X["dose"] - 5 + (X["pulse"] - 70) / 5 + 3 * (X["ward"] == "left")
    return X, np.where(score + rng.normal(0, 2, n) > 1, "ill", "well")


def table_members():
    def encoded(model):
        encoder = OneHotEncoder(handle_unknown="ignore")
        return make_pipeline(
            make_column_transformer((encoder, ["ward"]), remainder="passthrough"), model
        )

    return [
        ("linear", encoded(LogisticRegression(max_iter=1000))),
        ("tree", encoded(DecisionTreeClassifier(max_depth=5, random_state=0))),
        ("shallow", encoded(DecisionTreeClassifier(max_depth=1, random_state=0))),
    ]


def fit_with_engine(answer):
    X, y = table()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        model = distiller(table_members(), counterfactuals=Engine(answer)).fit(X, y)
    return model, X, y, [w for w in caught if issubclass(w.category, UserWarning)]


def test_engine_that_answers_well():
    """The other tests of engines change what this one does."""
    model, *_ = fit_with_engine(best_rows)
    assert model.history_["rechecked"].sum() > 5
    assert len(model.lessons_)


@pytest.mark.parametrize(
    "answer", [*BROKEN, *LYING, the_row_itself], ids=lambda a: a.__name__
)
def test_answers_of_a_bad_engine_are_refused_and_counted(answer):
    model, X, y, _ = fit_with_engine(answer)
    history = model.history_
    assert history["asked"].sum() > 5
    assert set(history["round"]) == {1}
    assert history["rechecked"].sum() == 0
    assert history["taught"].sum() == 0
    assert history["kept"].sum() == 0
    assert not history["accepted"].any()
    if answer in BROKEN:
        assert history["found"].sum() == 0
    else:
        assert_array_equal(history["found"], history["asked"])
    assert len(model.lessons_) == 0
    plain = distiller(table_members(), n_rounds=0).fit(X, y)
    assert_array_equal(model.predict_proba(X), plain.predict_proba(X))


@pytest.mark.parametrize("answer", BROKEN + LYING, ids=lambda a: a.__name__)
def test_bad_engine_is_not_silent(answer):
    model, _, _, caught = fit_with_engine(answer)
    assert len(caught) == 1
    asked = model.history_[model.history_["asked"] > 0]
    assert asked["failure"].ne("").all()


def test_reason_of_an_engine_is_told():
    model, _, _, caught = fit_with_engine(raises)
    failure = r"Trouble: The engine Engine, asked about \d+ rows: no answer today"
    assert re.search(failure, str(caught[0].message))
    asked = model.history_[model.history_["asked"] > 0]
    assert asked["failure"].str.fullmatch(failure).all()


def test_answers_that_do_not_reach_the_target_are_refused():
    model, *_ = fit_with_engine(not_probable_enough)
    history, lessons = model.history_, model.lessons_
    assert_array_equal(history["found"], history["asked"])
    assert history["rechecked"].sum() < 0.5 * history["found"].sum()
    # What the engine says of the probability does not count.
    before, after = lessons["proba_before"], lessons["proba_after"]
    assert (after >= before + 0.5 * (1 - before) - 1e-9).all()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"features_to_vary": "al"}, "'features_to_vary' parameter"),
        ({"features_to_vary": ["no such"]}, "'no such', which is no column"),
        ({"permitted_range": [1]}, "'permitted_range' parameter"),
        ({"permitted_range": {"x0": [2, 1]}}, r"must be \[lowest, highest\]"),
        ({"categorical_features": [99]}, "99, which is no column"),
    ],
)
def test_parameters_of_the_engine_are_the_users_mistake(params, message):
    """They are said, and not counted as lessons that could not be found."""
    X, y = rows()
    with pytest.raises(ValueError, match=message):
        distiller(counterfactuals=BatchedDice(**params)).fit(X, y)


def test_engine_that_fails_for_one_teacher():
    class Partial(BatchedDice):
        def generate(self, teacher, *args, **params):
            if teacher.name == "linear":
                raise Trouble("no answer today")
            return super().generate(teacher, *args, **params)

    X, y = table()
    model = distiller(table_members(), counterfactuals=Partial(), n_rounds=1)
    failure = r"Trouble: The engine Partial, asked about \d+ rows: no answer today"
    fit_with_warning(model, X, y, match=f"teacher 'linear': {failure}")
    linear = model.history_.query("teacher == 'linear' and asked > 0")
    others = model.history_.query("teacher != 'linear' and asked > 0")
    assert linear["failure"].str.fullmatch(failure).all()
    assert linear["found"].sum() == 0
    assert others["failure"].eq("").all()
    assert others["taught"].sum() > 0


@pytest.mark.parametrize(
    "order",
    [
        ["pulse", "dose", "ward"],
        ["ward", "pulse", "dose"],
        ["more", "dose", "pulse", "ward"],
    ],
)
def test_columns_of_an_answer_in_another_order(order):
    """They are told apart by their names, or the answer is refused."""
    X, y = table()
    X["pulse"] = (X["pulse"] - 40) / 6  # the same range as the dose
    good = distiller(table_members(), n_rounds=1).fit(X, y)

    class Shuffled(BatchedDice):
        def generate(self, *args, **params):
            result = super().generate(*args, **params)
            result.X_cf = result.X_cf.assign(more=1.0)[order]
            return result

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = distiller(
            table_members(), counterfactuals=Shuffled(sparse=False), n_rounds=1
        ).fit(X, y)
    if len(model.lessons_):
        assert_frame_equal(model.lessons_, good.lessons_)


@pytest.mark.parametrize("change", [1, -1])
def test_answers_in_an_array_of_the_wrong_width(change):
    X, y = rows()

    class Wide(BatchedDice):
        def generate(self, *args, **params):
            result = super().generate(*args, **params)
            columns = np.arange(4 + change) % 4
            result.X_cf = result.X_cf[:, columns]
            return result

    model = distiller(counterfactuals=Wide())
    fit_with_warning(model, X, y, match="columns")
    assert model.history_["asked"].sum() > 5
    assert model.history_["found"].sum() == 0
    assert not len(model.lessons_)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda places: places[:-1],
        lambda places: np.append(places, 0),
        lambda places: 0,
        lambda places: np.c_[places, places],
        lambda places: places + 1000,
        lambda places: np.full(len(places), np.nan),
        lambda places: ["first"] * len(places),
    ],
    ids=["short", "long", "one", "wide", "beyond", "nan", "words"],
)
# A place that is not a number becomes one with a warning of NumPy's.
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
def test_places_of_an_answer_that_are_none(spoil):
    """What an answer was drawn to must be a row of the background."""
    X, y = rows()

    class Lost(BatchedDice):
        def generate(self, *args, **params):
            result = super().generate(*args, **params)
            result.donor = spoil(result.donor)
            return result

    model = distiller(counterfactuals=Lost())
    fit_with_warning(model, X, y)
    assert model.history_["asked"].sum() > 5
    assert not len(model.lessons_)


def test_engine_that_spoils_what_it_is_given():
    class Spoiling(BatchedDice):
        def generate(self, teacher, X, y, *, background, **params):
            result = super().generate(teacher, X, y, background=background, **params)
            X.iloc[:, :2] = 0.0
            background.iloc[:, :2] = 0.0
            y[:] = y[0]
            return result

    X, y = table(60)
    copied = X.copy()
    good = distiller(table_members(), n_rounds=1).fit(X, y)
    spoiled = distiller(
        table_members(), n_rounds=1, counterfactuals=Spoiling(sparse=False)
    )
    spoiled.fit(X, y)
    assert len(good.lessons_)
    assert_frame_equal(X, copied)
    assert_frame_equal(spoiled.lessons_, good.lessons_)
    assert_frame_equal(spoiled.history_, good.history_)


def test_teacher_that_can_reach_nothing():
    """No answer to any question is no failure of the engine."""
    X, y = rows(60)
    # The most frequent class is right more often than what noise suggests.
    X = X[:, 3:]
    guest = FrozenEstimator(Constant().fit(X, y))
    model = distiller([("noise", KNeighborsClassifier(1)), ("guest", guest)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, y)
    history = model.history_
    assert history["asked"].sum() > 5
    assert history["found"].sum() == 0
    assert history["failure"].eq("").all()


class Constant(ClassifierMixin, BaseEstimator):
    """Says the same about each row."""

    def fit(self, X, y):
        self.classes_, counts = np.unique(y, return_counts=True)
        self.proba_ = counts / counts.sum()
        return self

    def predict_proba(self, X):
        return np.tile(self.proba_, (len(X), 1))

    def predict(self, X):
        return np.repeat(self.classes_[self.proba_.argmax()], len(X))


# Interrupted


@pytest.mark.parametrize("fitted_before", [False, True])
@pytest.mark.parametrize("fits", [1, 3, 6, 7])
def test_interrupted_while_a_member_trains(fits, fitted_before):
    X, y = rows(120)
    owner = np.array(["linear", "tree", "bayes", "slow"], dtype=object)[
        np.arange(120) % 4
    ]
    interrupted = []

    def when(X):
        count = sum(name == "slow" for _, name in EVENTS)
        if interrupted or count < fits:
            return False
        interrupted.append(True)
        return True

    def never(X):
        return False

    slow = Counting("slow", when=never, error=KeyboardInterrupt, max_depth=2)
    model = distiller(members(slow=slow))
    if fitted_before:
        model.fit(X, y, silos=owner)
        check_is_fitted(model)
        EVENTS.clear()
    model.set_params(slow__when=when)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y, silos=owner)
    assert_not_fitted(model, X)
    # It can be fitted again.
    model.fit(X, y, silos=owner)
    assert model.predict(X).shape == (120,)


@pytest.mark.parametrize("fitted_before", [False, True])
def test_interrupted_while_a_teacher_is_asked(fitted_before):
    X, y = table()

    def interrupts(result, teacher, background):
        raise KeyboardInterrupt

    model = distiller(table_members())
    if fitted_before:
        model.fit(X, y)
    model.set_params(counterfactuals=Engine(interrupts))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert_not_fitted(model, X)


def assert_not_fitted(model, X):
    with pytest.raises(NotFittedError):
        check_is_fitted(model)
    for method in ("predict", "predict_proba", "transform"):
        with pytest.raises(NotFittedError):
            getattr(model, method)(X)
    with pytest.raises(NotFittedError):
        model.get_feature_names_out()
    for name in ("estimators_", "lessons_", "history_", "final_estimator_"):
        assert not hasattr(model, name)


def test_fit_that_fails_leaves_no_earlier_result():
    X, y = rows()
    model = distiller().fit(X, y)
    with pytest.raises(ValueError, match="two classes"):
        model.fit(X, np.zeros(90, dtype=int))
    assert_not_fitted(model, X)


def test_methods_before_fit():
    X, _ = rows()
    assert_not_fitted(distiller(), X)


# Warnings lead to the user's own line


def warned(model, X, y, **params):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        model.fit(X, y, **params)
    caught = [w for w in caught if issubclass(w.category, UserWarning)]
    assert len(caught) == 1
    return caught[0]


def test_line_of_the_warning_about_members_without_probabilities():
    X, y = rows()
    warning = warned(distiller(members(svc=LinearSVC(C=0.1))), X, y)
    assert "['svc'] have no predict_proba" in str(warning.message)
    assert warning.filename == __file__


def test_line_of_the_warning_about_weights():
    X, y = rows()
    group = members(near=KNeighborsClassifier())
    warning = warned(distiller(group), X, y, sample_weight=np.ones(90))
    assert "['near'] do not take sample_weight" in str(warning.message)
    assert warning.filename == __file__


def test_line_of_the_warning_about_single_classes():
    X, y = rows()
    owner = np.array(["linear", "tree", "bayes"], dtype=object)[y]
    owner[::3] = "linear"
    owner[1::3] = "tree"
    owner[(owner == "bayes") & (y != 2)] = "tree"
    warning = warned(distiller(), X, y, silos=owner)
    assert "'bayes' holds a single class" in str(warning.message)
    assert warning.filename == __file__


def test_line_of_the_warning_about_failures():
    X, y = table()
    warning = warned(distiller(table_members(), counterfactuals=Engine(raises)), X, y)
    assert "Some teaching failed" in str(warning.message)
    assert warning.filename == __file__


def test_members_without_probabilities_learn_and_vote():
    X, y = rows(120)
    group = [
        ("svc", LinearSVC(C=0.001)),
        ("bayes", GaussianNB()),
        ("calibrated", CalibratedClassifierCV(LinearSVC(C=0.1), cv=2)),
    ]
    model = distiller(group, accept=None)
    with pytest.warns(UserWarning, match="no predict_proba"):
        model.fit(X, y)
    assert "svc" in set(model.history_["student"])
    assert "svc" not in set(model.history_["teacher"])
    assert "calibrated" in set(model.history_["teacher"])
    votes = model.transform(X)[:, :3]
    assert_array_equal(votes.argmax(axis=1), model.estimators_[0].predict(X))
    assert set(np.unique(votes)) == {0.0, 1.0}


def test_make_distiller_with_bad_members():
    X, y = rows()
    with pytest.raises(ValueError, match="'linearregression' should be a classifier"):
        make_distiller(LinearRegression(), GaussianNB()).fit(X, y)
    with pytest.raises(ValueError, match="non-empty list"):
        make_distiller().fit(X, y)
