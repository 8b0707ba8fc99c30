"""Situations from bug reports of other libraries, each test naming its thread."""

import os
import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits, load_iris, make_classification
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.metrics import recall_score
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    StratifiedKFold,
    cross_val_predict,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, RadiusNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from skcoop import (
    ComparativeDistiller,
    CooperativeDistiller,
    DiversePeersDistiller,
    make_distiller,
)
from skcoop._members._columns_read import columns_read
from skcoop.counterfactuals import BatchedDice, StockDice
from skcoop.exchange import load_member, save_member

# Row labels: modAL #142, evalml #1442, sktime #8036

LABELLED, _codes = make_classification(
    120, 5, n_informative=3, flip_y=0.15, random_state=0
)
LABELS = np.where(_codes == 1, "yes", "no")
ORDER = np.random.default_rng(0).permutation(120)
INDEXES = {
    "numbers": ORDER + 1000,
    "negative": ORDER - 60,
    "texts": [f"patient {k}" for k in ORDER],
    "times": pd.date_range("2024-01-01", periods=120)[ORDER],
    "levels": pd.MultiIndex.from_arrays(
        [np.array(["north", "south"] * 60), pd.date_range("2024", periods=120)[ORDER]],
        names=["clinic", "day"],
    ),
    "large": pd.Index(ORDER.astype("uint64") + np.uint64(2**63), name="hash"),
}
# Made-up rows have whole numbers from here on downwards, on each level.
MADE_UP = -(10**15)
# (what was done, the table) of each call to a model that notes what it is shown.
SHOWN: list = []


class Noting(ClassifierMixin, BaseEstimator):
    """A classifier that notes the tables that it is shown."""

    def __init__(self, model):
        self.model = model

    def fit(self, X, y, sample_weight=None):
        SHOWN.append(("fit", X))
        self.model_ = clone(self.model).fit(X, y, sample_weight)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X):
        SHOWN.append(("predict_proba", X))
        return self.model_.predict_proba(X)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def labelled_table(kind, mixed=False):
    SHOWN.clear()
    table = pd.DataFrame(LABELLED, columns=list("abcde"), index=INDEXES[kind])
    if mixed:  # of several types, which are put together column by column
        table["whole"] = np.rint(LABELLED[:, 0] * 5).astype(int)
    return table


def assert_labels_are_right(*tables):
    """Each row shown is the user's row of that label, or is labelled as made up."""
    X = pd.concat(tables)
    assert X.index.is_unique
    known, n_own, n_made_up = set(X.index), 0, 0
    assert SHOWN
    for _, shown in SHOWN:
        assert list(shown.index.names) == list(X.index.names)
        own = np.array([label in known for label in shown.index], dtype=bool)
        expected = X.loc[list(shown.index[own])]
        assert_array_equal(shown[own].to_numpy(), expected.to_numpy())
        others = np.array([*shown.index[~own]], dtype=object).astype(float)
        assert (others <= MADE_UP).all()
        n_own, n_made_up = n_own + own.sum(), n_made_up + (~own).sum()
    return n_own, n_made_up


@pytest.mark.parametrize("kind", INDEXES)
def test_stored_answers_are_found_by_the_labels_of_rows(kind):
    """modAL #142: a pool that is shuffled or cut keeps the labels of its rows."""
    X = labelled_table(kind)
    teacher = RandomForestClassifier(10, random_state=0).fit(X, LABELS)
    stored = pd.DataFrame(teacher.predict_proba(X), index=X.index)
    distiller = ComparativeDistiller(
        lambda rows: stored.loc[list(rows.index)].to_numpy(),
        DecisionTreeClassifier(max_depth=3),
        teacher_budget=40,
        classes=["no", "yes"],
        n_virtual=150,
        cv=2,
        random_state=0,
    ).fit(X)
    answers = distiller.teacher_answers_.to_numpy()
    asked = ~np.isnan(answers[:, 0])
    assert asked.sum() == 40
    assert_array_equal(answers[asked], stored[asked])


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("kind", INDEXES)
def test_members_are_shown_rows_with_their_labels(kind, mixed):
    """evalml #1442."""
    X = labelled_table(kind, mixed)
    members = [
        ("linear", Noting(LogisticRegression())),
        ("tree", Noting(DecisionTreeClassifier(max_depth=2))),
    ]
    distiller = CooperativeDistiller(
        members, cv=2, n_rounds=1, accept=None, random_state=0
    ).fit(X, LABELS, silos=np.array(["linear", "tree"] * 60))
    distiller.predict(X)
    n_lessons = len(distiller.lessons_)
    assert n_lessons > 5
    n_own, n_made_up = assert_labels_are_right(X)
    assert n_own > 4 * len(X)
    assert n_made_up > 5 * n_lessons


@pytest.mark.parametrize("kind", INDEXES)
def test_lessons_lie_below_the_rows_of_a_student(kind):
    """sktime #8036: rows that are put together keep their index."""
    X = labelled_table(kind)
    silos = np.array(["linear", "tree"] * 60)
    members = [("linear", Noting(LogisticRegression())), ("tree", GaussianNB())]
    distiller = CooperativeDistiller(
        members, cv=2, n_rounds=1, accept=None, random_state=0
    ).fit(X, LABELS, silos=silos)
    n_lessons = distiller.lessons_["kept"][distiller.lessons_["student"] == "linear"]
    last = [shown for done, shown in SHOWN if done == "fit"][-1]
    assert n_lessons.sum() > 0
    assert len(last) == 60 + n_lessons.sum()
    assert list(last.index[:60]) == list(X.index[silos == "linear"])
    assert last.index[60:].is_unique
    assert not set(last.index[60:]) & set(X.index)


@pytest.mark.parametrize("kind", INDEXES)
def test_peers_and_leader_are_shown_rows_with_their_labels(kind):
    """evalml #1442, where rows are made up besides."""
    X = labelled_table(kind)
    DiversePeersDistiller(
        [("linear", Noting(LogisticRegression())), ("bayes", Noting(GaussianNB()))],
        leader=Noting(DecisionTreeClassifier(max_depth=3)),
        cv=3,
        n_virtual=30,
        random_state=0,
    ).fit(X, LABELS)
    n_own, n_made_up = assert_labels_are_right(X)
    assert n_own > 10 * len(X)
    assert n_made_up >= 30 * 10


@pytest.mark.parametrize("distilled", ["peers", "comparative"])
@pytest.mark.parametrize("kind", INDEXES)
def test_unlabelled_rows_keep_their_labels(kind, distilled):
    """evalml #1442, for rows without a label."""
    X = labelled_table(kind)
    unlabeled = X.iloc[80:].sample(frac=1.0, random_state=0)
    if distilled == "peers":
        distiller = DiversePeersDistiller(
            [("linear", Noting(LogisticRegression())), ("bayes", GaussianNB())],
            leader=Noting(DecisionTreeClassifier(max_depth=3)),
            accept=None,
            cv=2,
            random_state=0,
        )
    else:
        distiller = ComparativeDistiller(
            RandomForestClassifier(5, random_state=0).fit(X, LABELS),
            Noting(DecisionTreeClassifier(max_depth=3)),
            teacher_budget=20,
            n_virtual=0,
            cv=2,
            random_state=0,
        )
    distiller.fit(X[:80], LABELS[:80], X_unlabeled=unlabeled)
    assert_labels_are_right(X)
    fitted = [list(shown.index) for done, shown in SHOWN if done == "fit"]
    assert any(set(unlabeled.index) <= set(labels) for labels in fitted)


def test_equal_rows_have_the_label_of_the_first_of_them():
    """modAL #142: equal rows are one row, asked about once."""
    X = labelled_table("texts").iloc[:40]
    again = X.iloc[::-1].set_axis([f"again {k}" for k in range(40)])
    both, asked = pd.concat([X, again]), []

    def teacher(rows):
        asked.extend(rows.index)
        return np.column_stack([rows["a"] > 0, rows["a"] <= 0])

    ComparativeDistiller(
        teacher,
        DecisionTreeClassifier(),
        teacher_budget=80,
        classes=["no", "yes"],
        n_virtual=0,
        random_state=0,
    ).fit(both)
    assert sorted(asked) == sorted(X.index)


@pytest.mark.parametrize("kind", INDEXES)
@pytest.mark.parametrize(
    "engine",
    [
        BatchedDice(),
        BatchedDice(permitted_range={"a": [-0.3, 0.3]}),
        StockDice(sample_size=50),
    ],
    ids=["batched", "permitted", "stock"],
)
def test_engines_show_teachers_rows_with_their_labels(kind, engine):
    """evalml #1442, for what is asked about made-up rows."""
    X = labelled_table(kind)
    teacher = Noting(GaussianNB()).fit(X[:100], LABELS[:100])
    SHOWN.clear()
    answers = engine.generate(
        teacher, X[100:104], LABELS[100:104], background=X[:100], random_state=0
    )
    n_own, n_made_up = assert_labels_are_right(X)
    assert n_own >= 4
    assert n_made_up > 0
    # Answers are called as the rows that they answer.
    assert list(answers.X_cf.index) == list(X.index[100:104])


@pytest.mark.parametrize("container", ["polars", "numpy"])
def test_rows_without_labels_are_not_taken_for_others(container):
    """sktime #8036: a table that was fitted with labels, and rows that have none."""
    X = labelled_table("numbers").set_axis(range(120))
    members = [
        ("linear", Noting(LogisticRegression())),
        ("bayes", Noting(GaussianNB())),
    ]
    distiller = CooperativeDistiller(members, cv=2, n_rounds=0, random_state=0)
    distiller.fit(X, LABELS)
    SHOWN.clear()
    bare = {"polars": pl.DataFrame(X.to_dict("list")), "numpy": X.to_numpy()}[container]
    with warnings.catch_warnings():
        # Of scikit-learn, about names that an array has not.
        warnings.simplefilter("ignore", UserWarning)
        assert_array_equal(distiller.predict(bare), distiller.predict(X))
    of_bare = SHOWN[:2]
    assert all(not set(shown.index) & set(X.index) for _, shown in of_bare)


def flagged(table):
    return table.set_flags(allows_duplicate_labels=False)


@pytest.mark.parametrize("distilled", ["cooperative", "peers", "comparative"])
def test_frames_that_forbid_repeated_labels(distilled):
    """modAL #142: rows are repeated for each class, and stacked with others."""
    X = labelled_table("texts")
    tree = DecisionTreeClassifier(max_depth=3)
    fit = {"X": flagged(X), "y": LABELS}
    if distilled == "cooperative":
        distiller = CooperativeDistiller(
            [("linear", LogisticRegression()), ("t", tree)]
        )
    elif distilled == "peers":
        distiller = DiversePeersDistiller(
            [("linear", LogisticRegression()), ("bayes", GaussianNB())], leader=tree
        )
        fit["X_unlabeled"] = flagged(X)
    else:
        teacher = RandomForestClassifier(5, random_state=0).fit(X, LABELS)
        distiller = ComparativeDistiller(teacher, tree, teacher_budget=20)
        fit["X_unlabeled"] = flagged(X)
    distiller.set_params(cv=3, random_state=0)
    plain = clone(distiller)
    distiller.fit(**fit)  # a warning of a leader whose teaching failed is an error
    plain.fit(**{**fit, **{name: X for name in fit if name.startswith("X")}})
    assert_array_equal(distiller.predict_proba(fit["X"]), plain.predict_proba(X))
    assert not fit["X"].flags.allows_duplicate_labels


def test_engines_take_frames_that_forbid_repeated_labels():
    """modAL #142."""
    X = labelled_table("texts")
    teacher = GaussianNB().fit(X, LABELS)
    answers = BatchedDice().generate(
        teacher, flagged(X)[:3], LABELS[:3], background=flagged(X), total_CFs=2
    )
    expected = BatchedDice().generate(
        teacher, X[:3], LABELS[:3], background=X, total_CFs=2
    )
    pd.testing.assert_frame_equal(answers.X_cf, expected.X_cf)


# Samplers: imbalanced-learn #833, #457


def rare_class(seed=3):
    """Rows of which about one in twelve is of the class to be found."""
    X, codes = make_classification(
        1200,
        6,
        n_informative=4,
        weights=[0.93],
        flip_y=0.03,
        class_sep=0.8,
        random_state=seed,
    )
    y = np.where(codes == 1, "rare", "usual")
    return X[:600], y[:600], X[600:], y[600:]


def resampling_models():
    imblearn = pytest.importorskip("imblearn", reason="imbalanced-learn is not there")
    from imblearn.ensemble import (
        BalancedBaggingClassifier,
        BalancedRandomForestClassifier,
        EasyEnsembleClassifier,
        RUSBoostClassifier,
    )
    from imblearn.over_sampling import SMOTE
    from imblearn.under_sampling import RandomUnderSampler

    joined = imblearn.pipeline.make_pipeline
    linear, tree = LogisticRegression(), DecisionTreeClassifier(max_depth=5)
    smote = joined(SMOTE(random_state=0), linear)
    return {
        "smote": smote,
        "smote, tree": joined(StandardScaler(), SMOTE(random_state=0), tree),
        "neighbours": joined(SMOTE(random_state=0), KNeighborsClassifier(15)),
        "undersampled": joined(RandomUnderSampler(random_state=0), linear),
        "searched": GridSearchCV(smote, {"logisticregression__C": [1.0]}, cv=2),
        "in the grid": GridSearchCV(
            joined("passthrough", linear),
            {"passthrough": [SMOTE(random_state=0)]},
            cv=2,
        ),
        "bagged": BaggingClassifier(smote, 3, random_state=0),
        "voting": VotingClassifier([("a", smote), ("b", smote)], voting="soft"),
        "forest": BalancedRandomForestClassifier(20, random_state=0),
        "boosted": RUSBoostClassifier(
            DecisionTreeClassifier(max_depth=3), n_estimators=10, random_state=0
        ),
        "easy": EasyEnsembleClassifier(
            3, estimator=AdaBoostClassifier(n_estimators=10), random_state=0
        ),
        "balanced bags": BalancedBaggingClassifier(n_estimators=5, random_state=0),
    }


SAMPLERS = [
    *(
        "smote",
        "smote, tree",
        "neighbours",
        "undersampled",
        "searched",
        "in the grid",
        "bagged",
    ),
    *("voting", "forest", "boosted", "easy", "balanced bags"),
]


def recall(model, X, y):
    return recall_score(y, model.predict(X), pos_label="rare")


@pytest.mark.parametrize("name", SAMPLERS)
def test_leader_that_resamples_still_finds_the_rare_class(name):
    """imbalanced-learn #833: a row for each class leaves a sampler nothing to do."""
    X, y, X_test, y_test = rare_class()
    leader = resampling_models()[name]
    alone = recall(clone(leader).fit(X, y), X_test, y_test)
    distiller = DiversePeersDistiller(
        [("forest", RandomForestClassifier(10, random_state=0)), ("b", GaussianNB())],
        leader=leader,
        cv=2,
        accept=None,
        n_virtual=200,
        random_state=0,
    ).fit(X, y)
    assert alone >= 0.5
    assert recall(distiller, X_test, y_test) > alone - 0.25


@pytest.mark.parametrize("name", SAMPLERS)
def test_student_that_resamples_still_finds_the_rare_class(name):
    """imbalanced-learn #457: weights do not follow rows through a sampler."""
    X, y, X_test, y_test = rare_class()
    teacher = RandomForestClassifier(30, min_samples_leaf=3, random_state=0)
    student = resampling_models()[name]
    alone = recall(clone(student).fit(X, y), X_test, y_test)
    distiller = ComparativeDistiller(
        teacher.fit(X[::2], y[::2]), student, n_virtual=0, random_state=0
    ).fit(X)
    assert alone >= 0.5
    assert recall(distiller, X_test, y_test) > alone - 0.25


def test_sampler_sees_the_balance_of_the_labels():
    """imbalanced-learn #833."""
    pytest.importorskip("imblearn", reason="imbalanced-learn is not there")
    from imblearn import FunctionSampler
    from imblearn.pipeline import make_pipeline as joined

    X, y, _, _ = rare_class()
    seen = []

    def look(X, y):
        seen.append((y == "rare").mean())
        return X, y

    sampler = FunctionSampler(func=look, validate=False)
    DiversePeersDistiller(
        [("forest", RandomForestClassifier(10, random_state=0)), ("b", GaussianNB())],
        leader=joined(sampler, LogisticRegression()),
        cv=2,
        accept=None,
        random_state=0,
    ).fit(X, y)
    assert seen
    np.testing.assert_allclose(seen, (y == "rare").mean(), atol=0.03)


@pytest.mark.parametrize("routed", [False, True])
def test_weights_of_a_member_that_resamples(routed):
    """imbalanced-learn #457: it is trained without, and a warning says so."""
    X, y, X_test, y_test = rare_class()
    member = resampling_models()["smote"]
    tree = DecisionTreeClassifier(max_depth=3)
    weights = np.where(np.arange(len(y)) % 2, 1.0, 2.0)
    with config_context(enable_metadata_routing=routed):
        if routed:
            member.named_steps["logisticregression"].set_fit_request(sample_weight=True)
            tree.set_fit_request(sample_weight=True)
        distiller = CooperativeDistiller(
            [("smote", member), ("tree", tree)], cv=2, n_rounds=0, random_state=0
        )
        with pytest.warns(UserWarning, match=r"\['smote'\] do not take sample_weight"):
            distiller.fit(X, y, sample_weight=weights)
        fitted = distiller.named_estimators_["smote"]
        plain = clone(member).fit(X, y)
        assert_array_equal(fitted.predict(X_test), plain.predict(X_test))
        weighted = clone(tree).set_params(random_state=0)
        weighted.fit(X, y, sample_weight=weights)
    found = recall(distiller.named_estimators_["tree"], X_test, y_test)
    assert found == recall(weighted, X_test, y_test)
    assert recall(fitted, X_test, y_test) > 0.5


@pytest.mark.parametrize("name", ["forest", "boosted"])
def test_weights_of_ensembles_that_resample_by_themselves(name):
    """imbalanced-learn #457: what takes weights is given them."""
    X, y, X_test, _ = rare_class()
    model = resampling_models()[name]
    weights = np.where(X[:, 0] > 0, 1.5, 1.0)
    distiller = CooperativeDistiller(
        [("model", model), ("bayes", GaussianNB())], cv=2, n_rounds=0, random_state=0
    ).fit(X, y, sample_weight=weights)
    expected = clone(model).fit(X, y, sample_weight=weights).predict_proba(X_test)
    fitted = distiller.named_estimators_["model"]
    assert_array_equal(fitted.predict_proba(X_test), expected)


def test_calibrated_member_that_resamples_is_weighted_without_an_error():
    """imbalanced-learn #457, one level deeper."""
    X, y, X_test, y_test = rare_class()
    member = CalibratedClassifierCV(resampling_models()["smote"], cv=2)
    distiller = CooperativeDistiller(
        [("smote", member), ("bayes", GaussianNB())], cv=2, n_rounds=0, random_state=0
    )
    with pytest.warns(UserWarning, match=r"\['smote'\] do not take sample_weight"):
        distiller.fit(X, y, sample_weight=np.ones(len(y)))
    assert distiller.score(X_test, y_test) > 0.85


# Files: openml-python #458, skops #184


def unreadable_models():
    class Local(FunctionTransformer):
        pass

    def halved(X):
        return np.asarray(X) / 2

    halved.__name__ = halved.__qualname__ = "flagged"  # a namesake in this module
    nested = make_column_transformer(
        (FunctionTransformer(lambda X: X), [0]), remainder="passthrough"
    )
    return {
        "functiontransformer__func": FunctionTransformer(lambda X: X),
        "functiontransformer__inverse_func": FunctionTransformer(
            np.log1p, inverse_func=halved, check_inverse=False
        ),
        "local": Local(),
        "columntransformer__functiontransformer__func": nested,
    }


@pytest.mark.parametrize(
    "step",
    [
        "functiontransformer__func",
        "functiontransformer__inverse_func",
        "local",
        "columntransformer__functiontransformer__func",
    ],
)
def test_what_could_not_be_read_again_is_not_saved(tmp_path, step):
    """openml-python #458, skops #184."""
    pytest.importorskip("skops", reason="skops is not there")
    X = np.abs(LABELLED)
    path = tmp_path / "member.skops"
    good = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, LABELS)
    save_member(good, path)
    before = path.read_bytes()
    model = make_pipeline(unreadable_models()[step], LogisticRegression())
    model.fit(X, LABELS)
    with pytest.raises(ValueError, match=rf"^'{step}' of the Pipeline .*importable"):
        save_member(model, path)
    assert os.listdir(tmp_path) == ["member.skops"]
    assert path.read_bytes() == before
    with pytest.raises(ValueError, match=step):
        save_member(model, tmp_path / "other.skops")
    assert os.listdir(tmp_path) == ["member.skops"]


def halves(X):
    return np.asarray(X) / 2


def test_functions_of_a_module_are_saved(tmp_path):
    """openml-python #458: what can be imported is no reason to refuse."""
    pytest.importorskip("skops", reason="skops is not there")
    model = make_pipeline(FunctionTransformer(halves), LogisticRegression())
    model.fit(LABELLED, LABELS)
    save_member(model, tmp_path / "member.skops")
    name = f"{__name__}.halves"
    member = load_member(tmp_path / "member.skops", trusted=[name])
    assert_array_equal(member.predict_proba(LABELLED), model.predict_proba(LABELLED))


# Identifiers: smogn #4, SDV #1632


def customers(n_rows=300):
    X, codes = make_classification(
        n_rows, 4, n_informative=3, n_redundant=1, flip_y=0.1, random_state=0
    )
    table = pd.DataFrame(X, columns=list("pqrs"))
    table["customerID"] = [
        f"C{k:04d}" for k in np.random.default_rng(0).permutation(n_rows)
    ]
    silos = np.array(["north", "south", "west"], dtype=object)[np.arange(n_rows) % 3]
    return table, np.where(codes == 1, "yes", "no"), silos


def readers_of_everything():
    def reader(model):
        encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        columns = make_column_transformer(
            (encoder, ["customerID"]), remainder="passthrough"
        )
        return make_pipeline(columns, model)

    return [
        ("north", reader(LogisticRegression(max_iter=1000))),
        ("south", reader(DecisionTreeClassifier(max_depth=3))),
        ("west", reader(GaussianNB(var_smoothing=1e-3))),
    ]


def as_categories(table):
    return table.assign(customerID=table["customerID"].astype("category"))


def as_polars(table):
    return pl.DataFrame(table.to_dict("list"))


def with_some_twice_and_some_missing(table):
    names = table["customerID"].where(np.arange(len(table)) % 10 > 0)
    return table.assign(customerID=names.where(np.arange(len(table)) != 1, names[2]))


@pytest.mark.parametrize(
    "change",
    [
        *(pd.DataFrame.copy, as_categories, as_polars),
        with_some_twice_and_some_missing,
    ],
)
def test_texts_that_name_rows_do_not_travel(change):
    """smogn #4, SDV #1632."""
    table, y, silos = customers()
    distiller = CooperativeDistiller(readers_of_everything(), n_rounds=1, cv=2)
    with pytest.raises(ValueError, match=r"\['customerID'\].*Drop.*private_columns"):
        distiller.fit(change(table), y, silos=silos)


def test_texts_that_name_rows_are_found_beside_a_silo_column():
    """smogn #4: the silo column itself names no row."""
    table, y, silos = customers()
    distiller = CooperativeDistiller(
        readers_of_everything(), silo_column="clinic", n_rounds=1, cv=2, random_state=0
    )
    with pytest.raises(ValueError, match=r"columns \['customerID'\] hold texts"):
        distiller.fit(table.assign(clinic=silos), y)


@pytest.mark.parametrize(
    "change, engine",
    [
        (pd.DataFrame.copy, "batched"),
        (as_polars, BatchedDice(features_to_vary=["p", "q", "customerID"])),
        (pd.DataFrame.copy, StockDice("random", sample_size=20)),
    ],
    ids=["pandas", "polars", "stock"],
)
def test_private_columns_stay_at_home(change, engine):
    """SDV #1632: no member knows an identifier of another silo's customers."""
    table, y, silos = customers(90)
    distiller = CooperativeDistiller(
        readers_of_everything(),
        private_columns=["customerID"],
        counterfactuals=engine,
        accept=None,
        max_lessons=6,
        cv=2,
        random_state=0,
    ).fit(change(table), y, silos=silos)
    lessons = distiller.lessons_
    assert len(lessons)
    for name, member in distiller.named_estimators_.items():
        own = set(table["customerID"][silos == name])
        known = member[0].named_transformers_["onehotencoder"].categories_[0]
        assert set(known) == own
        assert set(lessons["x__customerID"][lessons["student"] == name]) <= own
    assert not any("customerID" in changed for changed in lessons["changed"])
    # A row of another silo does not travel as it was, with another identifier.
    cells = [f"x__{column}" for column in "pqrs"]
    source = table.loc[lessons["source_row"], list("pqrs")].to_numpy()
    assert (lessons[cells].to_numpy() != source).any(axis=1).all()


def test_private_texts_are_read_at_home():
    """SDV #1632: free text is different in each row, and a legitimate column."""
    table, y, silos = customers(120)
    words = np.array(["good", "bad", "late", "early", "cheap", "dear"])
    drawn = np.random.default_rng(0).choice(words, (120, 5))
    table["customerID"] = [
        f"{' '.join(line)} {'fine' if label == 'yes' else 'poor'} {k}"
        for k, (line, label) in enumerate(zip(drawn, y, strict=True))
    ]

    def reader(model):
        texts = (TfidfVectorizer(token_pattern="[a-z]+"), "customerID")
        return make_pipeline(
            make_column_transformer(texts, ("passthrough", list("pqrs"))), model
        )

    members = [
        ("north", reader(LogisticRegression())),
        ("south", reader(DecisionTreeClassifier(max_depth=2, random_state=0))),
        ("west", reader(LogisticRegression(C=0.01))),
    ]
    distiller = CooperativeDistiller(
        members, private_columns=["customerID"], accept=None, cv=2, random_state=0
    ).fit(table, y, silos=silos)
    lessons = distiller.lessons_
    assert len(lessons)
    for name in ("north", "south", "west"):
        told = set(lessons["x__customerID"][lessons["student"] == name])
        assert told <= set(table["customerID"][silos == name])
    assert distiller.score(table, y) > 0.9


@pytest.mark.parametrize("dtype", [np.int64, np.float64, "Int64"])
def test_numbers_that_name_rows_are_a_warning(dtype):
    """smogn #4: they may be anything, and are said to be different in all rows."""
    table, y, silos = customers()
    numbers = np.random.default_rng(0).permutation(300) + 5000
    table["customerID"] = pd.array(numbers, dtype=dtype)
    members = [(name, GaussianNB()) for name in ("north", "south", "west")]
    distiller = CooperativeDistiller(members, n_rounds=0, cv=2)
    with pytest.warns(UserWarning, match=r"\['customerID'\] hold whole numbers"):
        distiller.fit(table, y, silos=silos)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        distiller.set_params(private_columns=["customerID"])
        distiller.fit(table, y, silos=silos)


@pytest.mark.parametrize("case", ["few rows", "towns", "one table", "one silo", "ages"])
def test_columns_that_name_nobody_travel(case):
    """smogn #4: nothing is said without a reason."""
    table, y, silos = customers(45 if case == "few rows" else 300)
    if case == "towns":  # two rows in three share a town with another one
        table["customerID"] = [f"town {k % 200}" for k in range(300)]
    if case == "one table":
        silos = None
    if case == "one silo":
        silos = np.repeat("north", len(y))
    if case == "ages":
        table["customerID"] = np.arange(300) % 90
    members = readers_of_everything()[: 1 if case == "one silo" else 3]
    distiller = CooperativeDistiller(members, n_rounds=0, cv=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        distiller.fit(table, y, silos=silos)
    assert set(distiller.predict(table)) <= {"yes", "no"}


def test_private_columns_need_silos_and_columns():
    """SDV #1632."""
    table, y, silos = customers()
    distiller = CooperativeDistiller(
        readers_of_everything(), private_columns=["customerID"]
    )
    with pytest.raises(ValueError, match="there are none"):
        distiller.fit(table, y)
    distiller.set_params(private_columns=["customer"])
    with pytest.raises(ValueError, match=r"'customer', which is no column of X"):
        distiller.fit(table, y, silos=silos)
    distiller.set_params(private_columns="customerID")
    with pytest.raises(ValueError, match="private_columns"):
        distiller.fit(table, y, silos=silos)


# Small ones


@pytest.mark.parametrize("kind", ["bool", "boolean", "polars"])
@pytest.mark.parametrize("permitted", [[True], (True, True), [True, False], [False]])
def test_permitted_truth_values_are_a_list(kind, permitted):
    """DiCE's words: a list of the categories that are permitted."""
    flag = LABELLED[:, 0] > 0
    X = pd.DataFrame({"flag": flag, "size": LABELLED[:, 1]})
    y = np.where(flag ^ (np.arange(120) % 6 == 0), "yes", "no")
    if kind == "boolean":
        X = X.astype({"flag": "boolean"})
    if kind == "polars":
        X = pl.DataFrame(X.to_dict("list"))
    to_array = FunctionTransformer(lambda X: np.asarray(X).astype(float))
    teacher = make_pipeline(to_array, GaussianNB()).fit(X, y)
    rows = X[:60]
    engine = BatchedDice(permitted_range={"flag": permitted})
    answers = engine.generate(teacher, rows, y[:60], background=X)
    after, before = np.asarray(answers.X_cf["flag"]), np.asarray(rows["flag"])
    assert answers.valid.any()
    assert set(after[after != before].tolist()) == set(permitted)


def named_distillers(names):
    models = [GaussianNB(), DecisionTreeClassifier(max_depth=2)]
    members = list(zip(names, models, strict=True))
    return [
        CooperativeDistiller(members, cv=2, n_rounds=1, random_state=0),
        DiversePeersDistiller(
            members, leader=LogisticRegression(), cv=3, n_virtual=20, random_state=0
        ),
    ]


@pytest.mark.parametrize("which", [0, 1], ids=["cooperative", "peers"])
@pytest.mark.parametrize("routed", [False, True])
def test_members_may_be_called_as_arguments_are(which, routed):
    """Names of members travel as keywords, and a keyword may be taken."""
    names = ["self", "method_mapping"]
    expected = named_distillers(["one", "other"])[which].fit(LABELLED, LABELS)
    with config_context(enable_metadata_routing=routed):
        distiller = named_distillers(names)[which]
        assert list(distiller.named_estimators) == names
        distiller.set_params(self__var_smoothing=1e-3)
        assert distiller.get_params()["self"].var_smoothing == 1e-3
        distiller.set_params(**{"self": GaussianNB()})
        assert distiller.get_params()["self__var_smoothing"] == 1e-9
        assert list(distiller.get_params(deep=False)["estimators"][0]) == [
            "self",
            distiller.named_estimators["self"],
        ]
        distiller = clone(distiller).fit(LABELLED, LABELS)
        assert "'model self'" in repr(distiller.get_metadata_routing())
    fitted = distiller.peers_ if which else distiller.named_estimators_
    assert list(fitted) == names
    assert_array_equal(
        distiller.predict_proba(LABELLED), expected.predict_proba(LABELLED)
    )


def test_grid_over_a_member_called_self():
    distiller, _ = named_distillers(["self", "attr"])
    distiller.set_params(n_rounds=0)
    grid = {"self": [GaussianNB(), "drop"], "attr__max_depth": [1, 2]}
    search = GridSearchCV(distiller, grid, cv=2).fit(LABELLED, LABELS)
    assert search.best_score_ > 0.6


def test_parameters_of_a_teacher_are_not_set():
    """The object is the user's, and a fitted model does not change with them."""
    teacher = LogisticRegression().fit(LABELLED, LABELS)
    distiller = ComparativeDistiller(teacher, DecisionTreeClassifier(), cv=2)
    for one in (distiller, clone(distiller)):
        with pytest.raises(ValueError, match=r"\['teacher__C'\].*`teacher`"):
            one.set_params(teacher__C=100.0, student__max_depth=2)
        assert one.student.max_depth is None
    assert teacher.C == 1.0
    other = clone(teacher).fit(LABELLED[:60], LABELS[:60])
    distiller.set_params(teacher=other, student__max_depth=2)
    assert distiller.teacher is other
    assert distiller.student.max_depth == 2


TEXTS = [f"{'good' if label == 'yes' else 'bad'} {k}" for k, label in enumerate(LABELS)]


@pytest.mark.parametrize(
    "texts",
    [
        *(TEXTS, tuple(TEXTS), np.array(TEXTS), pd.Series(TEXTS), pl.Series(TEXTS)),
        *(np.array(TEXTS, dtype=object), pd.Series([None, *TEXTS[1:]])),
    ],
)
def test_bare_texts_are_told_to_come_in_a_frame(texts):
    """The advice works."""
    reader = make_column_transformer((TfidfVectorizer(), "text"))
    linear = make_pipeline(reader, LogisticRegression())
    bayes = make_pipeline(reader, DecisionTreeClassifier(max_depth=2))
    distillers = [
        CooperativeDistiller([("a", linear), ("b", bayes)], cv=2, n_rounds=0),
        DiversePeersDistiller([("a", linear), ("b", bayes)], leader=linear),
        ComparativeDistiller(linear.fit(pd.DataFrame({"text": TEXTS}), LABELS), linear),
    ]
    for distiller in distillers:
        with pytest.raises(ValueError, match=r"120 texts.*data frame with one column"):
            distiller.fit(texts, LABELS)
    fitted = distillers[0].fit(pd.DataFrame({"text": TEXTS}), LABELS)
    assert fitted.score(pd.DataFrame({"text": TEXTS}), LABELS) > 0.9
    with pytest.raises(ValueError, match=re.escape('pd.DataFrame({"text": X})')):
        fitted.predict(texts)


CELLS, CODES = make_classification(
    n_samples=400, n_features=5, n_informative=4, n_redundant=0, random_state=0
)
TABLE = pd.DataFrame(CELLS, columns=list("abcde"))
Y = np.array(["no", "yes"])[CODES]
FOREST = RandomForestClassifier(20, random_state=0).fit(TABLE[:150], Y[:150])
ROWS, CALLED, KNOWN = TABLE[150:300], Y[150:300], CODES[150:300]
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
    expected = learner(None).fit(ROWS, CALLED, teacher_proba=PROBA)
    answers = as_table(PROBA, columns, library)
    for params in ({}, {"classes": ["yes", "no"]}, {"classes": ["no", "yes"]}):
        model = learner(None, **params).fit(ROWS, CALLED, teacher_proba=answers)
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
@pytest.mark.parametrize("y", [None, CALLED, CALLED.astype(object)])
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
    labelled.fit(ROWS, CALLED)
    plain.fit(ROWS, CALLED)
    assert_array_equal(labelled.predict(TABLE), plain.predict(TABLE))
    assert_allclose(labelled.predict_proba(TABLE), plain.predict_proba(TABLE))
    assert type(labelled.predict_proba(TABLE)) is np.ndarray


@pytest.mark.parametrize("role", range(8), ids=ROLES)
def test_model_whose_columns_have_labels_of_their_own(role):
    """mljar #400: columns p0 and p1 stand for nobody knows what."""
    _, model = list(in_each_role(Mislabelled()))[role]
    message = r"columns labelled \['p0', 'p1'\], and the classes are \['no', 'yes'\]"
    with pytest.raises(ValueError, match=message):
        model.fit(ROWS, CALLED).predict_proba(ROWS)


@pytest.mark.parametrize("engine", [BatchedDice(), StockDice("kdtree")])
def test_engine_whose_teacher_labels_its_columns(engine):
    """cleanlab #991: the probability of a row's own class, not of the other one."""
    found = []
    for kind in (Labelled, LogisticRegression):
        teacher = kind().fit(ROWS, CALLED)
        answers = engine.generate(
            teacher, ROWS[:4], CALLED[:4], background=ROWS, random_state=0
        )
        found.append(answers)
    assert_allclose(found[0].proba_before, found[1].proba_before)
    assert_allclose(found[0].proba_after, found[1].proba_after)
    assert_array_equal(found[0].X_cf, found[1].X_cf)
    with pytest.raises(ValueError, match="columns labelled"):
        engine.generate(
            Mislabelled().fit(ROWS, CALLED), ROWS[:2], CALLED[:2], background=ROWS
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
        model.fit(ROWS, CALLED, teacher_proba=frame)
        assert_array_equal(model.classes_, ["maybe", "no", "yes"])
        return
    message = re.escape(f"teacher_proba has columns labelled {columns}")
    with pytest.raises(ValueError, match=message):
        model.fit(ROWS, CALLED, teacher_proba=frame)


def test_rows_of_answers_in_another_order_are_refused():
    """cleanlab #991: by place or by label, never by the wrong one."""
    answers = pd.DataFrame(PROBA, columns=["no", "yes"], index=ROWS.index)
    expected = learner(None).fit(ROWS, CALLED, teacher_proba=PROBA)
    for same in (answers, answers.reset_index(drop=True), pl.from_pandas(answers)):
        model = learner(None).fit(ROWS, CALLED, teacher_proba=same)
        assert_array_equal(model.predict(TABLE), expected.predict(TABLE))
    shuffled = answers.sample(frac=1, random_state=0)
    with pytest.raises(ValueError, match=r"rows labelled .*\.loc\[X\.index\]"):
        learner(None).fit(ROWS, CALLED, teacher_proba=shuffled)
    again = learner(None).fit(ROWS, CALLED, teacher_proba=shuffled.loc[ROWS.index])
    assert_array_equal(again.predict(TABLE), expected.predict(TABLE))
    with pytest.raises(ValueError, match="X has others"):
        learner(None).fit(ROWS, CALLED, teacher_proba=answers.set_axis(ROWS.index + 9))
    # X was sorted, and what was numbered before is not.
    mixed = ROWS.reset_index(drop=True).sample(frac=1, random_state=0)
    with pytest.raises(ValueError, match="the same in another order"):
        learner(None).fit(mixed, CALLED, teacher_proba=answers.reset_index(drop=True))


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
@pytest.mark.parametrize("y", [None, CALLED])
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
    search.fit(ROWS, CALLED, teacher_proba=answers)
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
    with pytest.raises(ValueError, match=f"The {name}.*: predict returned 0, which"):
        model.predict(IRIS)


def test_member_that_votes_for_no_class_is_named():
    """scikit-learn #28935."""

    class Voter(Codes):
        predict_proba = property()

    with pytest.raises(ValueError, match=r"Member 'voter', .*: predict returned 0"):
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
@pytest.mark.parametrize("y", [CALLED, KNOWN, KNOWN == 1], ids=["text", "int", "bool"])
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
    y = np.where(np.arange(150) < 60, CALLED, None)
    model = learner(FOREST, cv=cv, teacher_budget=50, accept="improves").fit(ROWS, y)
    assert model.scores_["accuracy"].between(0.5, 1).all()


def test_labels_of_rows_without_weight_are_unknown():
    """scikit-learn #11682."""
    y = np.where(np.arange(150) < 60, CALLED, None)
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
        np.where(np.arange(150) < 60, CALLED.astype(object), -1),
        list(np.where(np.arange(150) < 60, CALLED.astype(object), -1)),
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
@pytest.mark.parametrize("y", [CALLED, KNOWN, KNOWN == 1], ids=["text", "int", "bool"])
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
IMAGES, SEEN = PIXELS[200:320], NUMBERS[200:320]


def test_callable_needs_a_budget():
    """The cost of the whole table is told, and nothing is bought."""
    shop = Shop()
    for fit in ({}, {"y": SEEN}, {"X_unlabeled": PIXELS[:100]}):
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
        learner(DIGITS.predict_proba).fit(IMAGES, SEEN)
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
    labels = np.array(names)[SEEN]
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
        learner(shop, teacher_budget=60).fit(IMAGES, SEEN == 1)
    assert shop.sold == 2


_values, _y01 = make_classification(
    120, 5, n_informative=3, flip_y=0.15, random_state=0
)
FRAME = pd.DataFrame(_values, columns=list("abcde"))
YES_NO = np.where(_y01 == 1, "yes", "no")


def cooperate(*models, **params):
    members = [(f"m{k}", model) for k, model in enumerate(models)]
    return CooperativeDistiller(
        members, **{"n_rounds": 1, "cv": 3, "random_state": 0, **params}
    )


def lead(leader, *peers, **params):
    group = [(f"p{k}", peer) for k, peer in enumerate(peers)]
    params = {"cv": 3, "n_virtual": 20, "random_state": 0, **params}
    return DiversePeersDistiller(group, leader, **params)


def compare(teacher, student, **params):
    params = {"teacher_budget": 20, "n_virtual": 0, "random_state": 0, **params}
    return ComparativeDistiller(teacher, student, **params)


def first_line(caught):
    return str(caught.value).splitlines()[0]


def shallow(**params):
    return DecisionTreeClassifier(max_depth=2, random_state=0, **params)


def xgboost_classifier(**params):
    xgboost = pytest.importorskip("xgboost", reason="needs XGBoost")
    return xgboost.XGBClassifier(n_estimators=5, max_depth=3, n_jobs=1, **params)


def lightgbm_classifier(**params):
    lightgbm = pytest.importorskip("lightgbm", reason="needs LightGBM")
    defaults = {"n_estimators": 5, "min_child_samples": 3, "learning_rate": 0.5}
    defaults |= {"n_jobs": 1, "verbose": -1}
    return lightgbm.LGBMClassifier(**{**defaults, **params})


def catboost_classifier(**params):
    catboost = pytest.importorskip("catboost", reason="needs CatBoost")
    return catboost.CatBoostClassifier(
        iterations=5, thread_count=1, verbose=0, allow_writing_files=False, **params
    )


# Who can teach is asked of the fitted model


def stack(*models):
    return StackingClassifier([(str(k), m) for k, m in enumerate(models)], cv=2)


def search_of_losses(before, after):
    """A search whose prototype has one loss and whose result has another."""
    return GridSearchCV(
        SGDClassifier(loss=before, random_state=0), {"loss": [after]}, cv=2
    )


ABLE_ONCE_FITTED = {
    "stack": lambda: stack(GaussianNB(), shallow()),
    "stack in a pipeline": lambda: make_pipeline(
        StandardScaler(), stack(GaussianNB(), shallow())
    ),
    "search": lambda: search_of_losses("hinge", "log_loss"),
    "calibrated": lambda: CalibratedClassifierCV(LinearSVC(), cv=2),
    "vote": lambda: VotingClassifier([("b", GaussianNB())], voting="soft"),
    "frozen stack": lambda: FrozenEstimator(
        stack(GaussianNB(), shallow()).fit(FRAME, YES_NO)
    ),
}
MUTE_ONCE_FITTED = {
    "search": lambda: search_of_losses("log_loss", "hinge"),
    "vote": lambda: VotingClassifier([("b", GaussianNB())], voting="hard"),
    "stack": lambda: StackingClassifier([("b", GaussianNB())], LinearSVC(), cv=2),
    "pipeline": lambda: make_pipeline(StandardScaler(), LinearSVC()),
}


def two_silos(column="d"):
    """Rows of two members, each of which knows its side of a column best."""
    return np.where(FRAME[column] > FRAME[column].median(), "m0", "m1")


@pytest.mark.parametrize("name", ABLE_ONCE_FITTED)
@pytest.mark.filterwarnings("error")
def test_who_has_probabilities_once_fitted_teaches_without_a_warning(name):
    """scikit-learn #19119, scikit-lego #501."""
    model = ABLE_ONCE_FITTED[name]()
    silos = None if "frozen" in name else two_silos("b")
    fitted = cooperate(model, shallow()).fit(FRAME, YES_NO, silos=silos)
    asked = fitted.history_.query("teacher == 'm0'")
    assert asked["asked"].sum() > 0
    assert asked["taught"].sum() > 0
    assert "none of them has predict_proba" not in fitted.report_.verdict


@pytest.mark.parametrize("name", MUTE_ONCE_FITTED)
def test_who_has_no_probabilities_once_fitted_is_said_and_does_not_teach(name):
    """scikit-learn #19119: the warning stays true the other way round, too."""
    model = cooperate(MUTE_ONCE_FITTED[name](), shallow())
    with pytest.warns(UserWarning, match=r"\['m0'\] have no predict_proba") as caught:
        model.fit(FRAME, YES_NO, silos=two_silos())
    assert len(caught) == 1
    assert "m0" not in set(model.history_["teacher"])
    assert "m0" in set(model.history_["student"])


@pytest.mark.parametrize("late", [False, True], ids=["LinearSVC", "search"])
def test_nothing_is_said_of_a_member_that_something_stands_in_for(late):
    """scikit-learn #19119: a silo of one class says nothing of its member."""
    mute = search_of_losses("hinge", "log_loss") if late else LinearSVC()
    silos = two_silos()
    kept = ~((silos == "m0") & (YES_NO == "yes"))
    model = cooperate(mute, LogisticRegression(), n_rounds=3)
    with pytest.warns(UserWarning) as caught:
        model.fit(FRAME[kept], YES_NO[kept], silos=silos[kept])
    said = [str(warning.message) for warning in caught]
    assert isinstance(model.initial_estimators_[0], DummyClassifier)
    assert not isinstance(model.estimators_[0], DummyClassifier)
    assert any("'m0' holds a single class" in text for text in said)
    assert any("['m0'] have no predict_proba" in text for text in said) != late
    # It teaches once a model of its own is there, if that can.
    rounds = set(model.history_.query("teacher == 'm0'")["round"])
    assert bool(rounds) == late
    assert 1 not in rounds


def test_leader_is_judged_by_probabilities_that_it_has_once_fitted():
    """scikit-learn #19119."""
    fitted = lead(stack(GaussianNB(), shallow()), GaussianNB(), LogisticRegression())
    fitted.fit(FRAME, YES_NO)
    assert fitted.history_.query("model == 'leader'")["log_loss"].notna().all()


def test_unfitted_stack_as_teacher_is_not_fitted():
    """scikit-learn #19119: that it has no predict_proba is not what is wrong."""
    with pytest.raises(NotFittedError, match=r"teacher StackingClassifier.*not fitted"):
        compare(stack(GaussianNB()), shallow()).fit(FRAME)
    fitted = stack(GaussianNB(), shallow()).fit(FRAME, YES_NO)
    assert compare(fitted, shallow()).fit(FRAME).n_teacher_calls_ == 20


# The error that matters

TROUBLE = {
    "early stopping": ({"early_stopping_rounds": 3}, "at least 1 validation dataset"),
    "parameter": ({"tree_method": "nonsense"}, "'nonsense', valid values are"),
}


def in_a_pipeline(model):
    return make_pipeline(StandardScaler(), model)


def in_a_search(model):
    return GridSearchCV(model, {"max_depth": [2]}, cv=2, error_score="raise")


def as_it_is(model):
    return model


@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("wrap", [as_it_is, in_a_pipeline, in_a_search])
def test_what_xgboost_complains_of_is_said_with_labels_that_are_text(trouble, wrap):
    """xgboost #8479, TPOT #1351."""
    params, message = TROUBLE[trouble]
    model = wrap(xgboost_classifier(**params))
    rows = (FRAME, YES_NO)
    teacher = GaussianNB().fit(*rows)
    others = GaussianNB(), LogisticRegression()
    for who, distiller in {
        "Member 'm0', fitted on 120 rows": cooperate(model, *others),
        "The final estimator": cooperate(*others, combine=model),
        "Peer 'p0', fitted on 120 rows": lead(shallow(), model, *others),
        "The leader, fitted on 120 labelled": lead(model, *others),
        "The student, fitted on": compare(teacher, model),
    }.items():
        with pytest.raises(ValueError, match=f"(?s)^{who}.*{message}") as caught:
            distiller.fit(*rows)
        assert "Invalid classes" not in str(caught.value)
        # Why it was fitted to numbers can be read further up.
        assert "Invalid classes" in str(caught.value.__cause__.__context__)


@pytest.mark.parametrize(
    ("make", "name", "message"),
    [
        (xgboost_classifier, "b<1", "feature_names must be string"),
        (lightgbm_classifier, "{b}", "JSON characters in feature name"),
    ],
)
def test_names_that_a_library_forbids_are_said_with_labels_that_are_text(
    make, name, message
):
    """LightGBM #6202, xgboost #8479: the names are wrong, not the labels."""
    model = cooperate(make(), GaussianNB())
    with pytest.raises(Exception, match=f"^Member 'm0', fitted .*{message}") as caught:
        model.fit(FRAME.rename(columns={"b": name}), YES_NO)
    assert type(caught.value) is type(caught.value.__cause__)


class Failing(GaussianNB):
    """Counts its fits, all of which fail for a reason that is not the labels."""

    fits = 0

    def fit(self, X, y, sample_weight=None):
        type(self).fits += 1
        raise MemoryError("Unable to allocate 8 GiB")


def test_member_that_fails_for_another_reason_is_fitted_once():
    """xgboost #8479: nothing is gained by a second attempt."""
    for distiller in (
        cooperate(Failing(), GaussianNB()),
        cooperate(GaussianNB(), shallow(), combine=Failing()),
        lead(shallow(), Failing(), GaussianNB()),
        lead(Failing(), shallow(), GaussianNB()),
        compare(GaussianNB().fit(FRAME, YES_NO), Failing()),
    ):
        Failing.fits = 0
        with pytest.raises(MemoryError, match="Unable to allocate 8 GiB"):
            distiller.fit(FRAME, YES_NO)
        assert Failing.fits == 1


class Scaling(StandardScaler):
    """Counts its fits."""

    fits = 0

    def fit(self, X, y=None, sample_weight=None):
        type(self).fits += 1
        return super().fit(X, y, sample_weight)


def count_fits(distiller, labels):
    Scaling.fits = 0
    distiller.fit(FRAME, labels)
    return Scaling.fits


@pytest.mark.parametrize("role", ["member", "peer", "student"])
def test_whether_labels_are_translated_is_found_out_once(role):
    """TPOT #1351: by one attempt for each member, not for each of its fits."""

    def make(labels):
        model = make_pipeline(Scaling(), xgboost_classifier())
        if role == "student":
            teacher = GaussianNB().fit(FRAME, labels)
            few = {"comparison": ExtraTreesRegressor(2), "max_comparisons": 50}
            return compare(teacher, model, n_virtual=50, **few)
        if role == "peer":
            return lead(shallow(), model, GaussianNB())
        return cooperate(model, GaussianNB())

    fits = count_fits(make(YES_NO), YES_NO)
    assert fits == count_fits(make(_y01), _y01) + 1 > 3


# Labels in other parameters of fit

_more, _more_codes = make_classification(
    400, 8, n_informative=4, flip_y=0.2, random_state=1
)
TRAIN, VALID = _more[:300], _more[300:]
SPELT = {"text": ["no", "yes"], "from one": [1, 2], "from zero": [0, 1]}


def early_stopping(**params):
    model = xgboost_classifier(early_stopping_rounds=5, learning_rate=0.1, **params)
    return model.set_params(n_estimators=200)


def best_round(model, labels, **validation):
    """Return the round at which a member of a distiller stopped."""
    fitted = CooperativeDistiller([("m", model), ("b", GaussianNB())], n_rounds=0)
    fitted.set_params(random_state=0, cv=3).fit(TRAIN, labels[:300], **validation)
    model = fitted.estimators_[0]
    model = getattr(model, "estimator_", model)
    model = model[-1] if hasattr(model, "steps") else model
    return getattr(model, "best_iteration_", None) or model.best_iteration


@pytest.mark.parametrize("kind", SPELT)
@pytest.mark.parametrize("given", ["list", "lists", "Series"])
def test_labels_of_an_evaluation_set_are_translated(kind, given):
    """xgboost #803: early stopping listens to the right labels."""
    model = early_stopping(random_state=0)
    expected = clone(model).fit(
        TRAIN, _more_codes[:300], eval_set=[(VALID, _more_codes[300:])], verbose=False
    )
    assert 5 < expected.best_iteration < 150
    labels = np.array(SPELT[kind])[_more_codes]
    truth = {"list": list, "lists": list, "Series": pd.Series}[given](labels[300:])
    pair = [VALID, truth] if given == "lists" else (VALID, truth)
    with config_context(enable_metadata_routing=True):
        model.set_fit_request(eval_set=True, verbose=True)
        found = best_round(model, labels, eval_set=[pair], verbose=False)
        assert found == expected.best_iteration
        piped = make_pipeline(StandardScaler(with_mean=False, with_std=False), model)
        found = best_round(piped, labels, eval_set=[pair], verbose=False)
        assert found == expected.best_iteration


@pytest.mark.parametrize("kind", SPELT)
@pytest.mark.parametrize("given", ["array", "tuple"])
def test_labels_that_come_apart_from_their_rows_are_translated(kind, given):
    """xgboost #803, LightGBM #7400."""
    lightgbm = pytest.importorskip("lightgbm", "4.7", reason="needs eval_X of LightGBM")
    stop = {"callbacks": [lightgbm.early_stopping(5, verbose=False)]}
    model = lightgbm_classifier(n_estimators=200, learning_rate=0.1, random_state=0)
    expected = clone(model).fit(
        TRAIN, _more_codes[:300], eval_X=VALID, eval_y=_more_codes[300:], **stop
    )
    assert 5 < expected.best_iteration_ < 150
    labels = np.array(SPELT[kind])[_more_codes]
    rows, truth = VALID, labels[300:]
    if given == "tuple":
        rows, truth = (rows,), (truth,)
    with config_context(enable_metadata_routing=True):
        model.set_fit_request(eval_X=True, eval_y=True, callbacks=True)
        found = best_round(model, labels, eval_X=rows, eval_y=truth, **stop)
    assert found == expected.best_iteration_


def test_evaluation_set_as_large_as_the_table_stays_whole():
    """xgboost #803: its rows are not those of X, however many they are."""
    lightgbm = pytest.importorskip("lightgbm", "4.7", reason="needs eval_X of LightGBM")
    rows, truth = np.vstack([VALID] * 3), np.tile(_more_codes[300:], 3)
    sizes = []

    def note(env):
        sizes.append(env.model.valid_sets[0].num_data())

    note.order = 10
    stop = {"callbacks": [lightgbm.early_stopping(5, verbose=False), note]}
    silos = np.where(np.arange(300) % 2, "m0", "m1")
    with config_context(enable_metadata_routing=True):
        model = lightgbm_classifier().set_fit_request(
            eval_X=True, eval_y=True, callbacks=True
        )
        fitted = cooperate(model, GaussianNB(), n_rounds=0)
        fitted.fit(
            TRAIN, _more_codes[:300], silos=silos, eval_X=rows, eval_y=truth, **stop
        )
    assert set(sizes) == {300}


def sharp(**requests):
    """Return an XGBoost with labels of other rows under names of its own."""

    class Sharp(type(xgboost_classifier())):
        def fit(self, X, y, truth=None, y_other=None, groups=None, sample_weight=None):
            return super().fit(X, y, sample_weight=sample_weight)

    return Sharp(n_estimators=3).set_fit_request(**requests)


@pytest.mark.parametrize(
    ("name", "value", "refused"),
    [
        ("truth", np.array(["no", "yes"] * 20), True),
        ("truth", (VALID[:2], ["no", "yes"]), True),
        ("truth", np.array(["north", "south"] * 20), False),
        ("truth", pd.DataFrame({"smokes": ["no", "yes"]}), False),
        ("y_other", np.array([0, 1] * 20), True),
        ("groups", np.array([0, 1] * 150), False),
    ],
)
def test_labels_that_cannot_be_translated_are_refused(name, value, refused):
    """xgboost #803: what they mean is not known, so nobody guesses."""
    labels = np.array(["no", "yes"])[_more_codes[:300]]
    with config_context(enable_metadata_routing=True):
        distiller = cooperate(sharp(**{name: True}), GaussianNB(), n_rounds=0)
        if not refused:
            assert distiller.fit(TRAIN, labels, **{name: value}).score(TRAIN, labels)
            return
        with pytest.raises(ValueError, match=f"'m0'.*parameter '{name}' of fit seems"):
            distiller.fit(TRAIN, labels, **{name: value})
        # Labels that are numbers already are the user's own translation.
        distiller.fit(TRAIN, _more_codes[:300], **{name: value})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            [(VALID, np.repeat("maybe", 100))],
            r"labels \['maybe'\].*\['no', 'yes'\] only",
        ),
        ("file.libsvm", r"must be a list of \(X, y\) pairs"),
        ([VALID], r"must be a list of \(X, y\) pairs"),
    ],
)
def test_evaluation_sets_that_cannot_be_translated_are_refused(value, message):
    """xgboost #803."""
    labels = np.array(["no", "yes"])[_more_codes[:300]]
    with config_context(enable_metadata_routing=True):
        model = early_stopping().set_fit_request(eval_set=True)
        with pytest.raises(ValueError, match=f"Member 'm0'.*eval_set.*{message}"):
            cooperate(model, GaussianNB()).fit(TRAIN, labels, eval_set=value)


class Weighed(LogisticRegression):
    """Takes no labels but 0, 1, ..."""

    def fit(self, X, y, sample_weight=None):
        if not np.array_equal(np.unique(y), [0, 1]):
            raise ValueError("Invalid classes: expected [0 1]")
        return super().fit(X, y, sample_weight)


@pytest.mark.parametrize("kind", SPELT)
@pytest.mark.parametrize("wrap", [as_it_is, in_a_pipeline])
def test_weights_of_classes_are_translated(kind, wrap):
    """xgboost #803: labels are the keys of other parameters, too."""
    low, high = SPELT[kind]
    labels = np.array([low, high])[_y01]
    model = wrap(Weighed(class_weight={low: 1, high: 20}))
    expected = wrap(LogisticRegression(class_weight={low: 1, high: 20}))
    fitted = cooperate(model, GaussianNB(), n_rounds=0).fit(FRAME, labels)
    np.testing.assert_allclose(
        fitted.estimators_[0].predict_proba(FRAME),
        expected.fit(FRAME, labels).predict_proba(FRAME),
    )


# Names that a library changes

BLANKS = ["a b", "c d e", "f (cm)", "g", "h_i j"]
WITH_BLANKS = FRAME.set_axis(BLANKS, axis=1)
SHUFFLED = [3, 0, 4, 2, 1]
MAKERS = {
    "lightgbm": lightgbm_classifier,
    "calibrated lightgbm": lambda: CalibratedClassifierCV(lightgbm_classifier(), cv=2),
    "xgboost": xgboost_classifier,
    "catboost": catboost_classifier,
    "scikit-learn": GaussianNB,
}
LABELLINGS = {"blanks": BLANKS, "numbers": [3, 7, 1, 0, 2]}


def same_rows(library, table):
    return pl.from_pandas(table) if library == "polars" else table


@pytest.mark.parametrize("labelling", LABELLINGS)
@pytest.mark.parametrize("maker", MAKERS)
def test_model_from_elsewhere_reads_columns_by_their_names(maker, labelling):
    """LightGBM #7338, #4102: also under names that the library changed."""
    if maker == "scikit-learn" and labelling == "numbers":
        pytest.skip("scikit-learn remembers no names that are numbers")
    table = FRAME.set_axis(LABELLINGS[labelling], axis=1)
    model = MAKERS[maker]().fit(table, _y01)
    expected = model.predict_proba(table)
    turned = table.iloc[:, SHUFFLED].assign(more=1.0)
    frozen = FrozenEstimator(model)
    members = [frozen, make_pipeline(StandardScaler(), LogisticRegression())]
    turned.columns = [*turned.columns[:-1], "more" if labelling == "blanks" else 99]
    fitted = cooperate(*members).fit(turned, _y01)
    np.testing.assert_allclose(fitted.transform(turned)[:, :2], expected, rtol=1e-6)
    # The column that it does not know never changes in its lessons.
    lessons = fitted.lessons_.query("teacher == 'm0'")
    assert len(lessons)
    unknown = turned.columns[-1]
    assert all(unknown not in changed for changed in lessons["changed"])
    np.testing.assert_array_equal(
        columns_read(frozen, list(turned.columns)), [True] * 5 + [False]
    )


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("maker", MAKERS)
def test_teacher_reads_columns_by_their_names(maker, library):
    """LightGBM #7338, #4102: a teacher that is not frozen, too."""
    model = MAKERS[maker]().fit(WITH_BLANKS, YES_NO if "xg" not in maker else _y01)
    turned = WITH_BLANKS.iloc[:, SHUFFLED].assign(more=1.0)
    fitted = compare(model, shallow(), teacher_budget=None)
    if library == "polars" and maker == "catboost":
        pytest.skip("CatBoost takes no polars frames")
    fitted.fit(same_rows(library, turned))
    np.testing.assert_allclose(
        fitted.teacher_answers_, model.predict_proba(WITH_BLANKS), rtol=1e-6
    )


@pytest.mark.parametrize("engine", [BatchedDice(), StockDice("random")])
def test_engine_asks_its_teacher_for_columns_by_their_names(engine):
    """LightGBM #7338: an engine on its own."""
    model = lightgbm_classifier(n_estimators=20).fit(WITH_BLANKS, YES_NO)
    turned = WITH_BLANKS.iloc[:, SHUFFLED]
    answer = engine.generate(
        model, turned[:5], YES_NO[:5], background=turned, random_state=0
    )
    truth = (YES_NO[:5] == "yes").astype(int)
    for rows, said in [(turned[:5], "proba_before"), (answer.X_cf, "proba_after")]:
        expected = model.predict_proba(rows[BLANKS])[np.arange(5), truth]
        np.testing.assert_allclose(getattr(answer, said), expected)


def test_columns_read_under_names_that_a_library_changed():
    """LightGBM #7338: a choice of columns inside keeps its own names."""
    narrow = make_pipeline(
        make_column_transformer(("passthrough", ["a b", "g"])), GaussianNB()
    )
    model = VotingClassifier(
        [("first", narrow), ("second", lightgbm_classifier())], voting="soft"
    ).fit(WITH_BLANKS, YES_NO)
    assert model.feature_names_in_[0] == "a_b"
    alone = FrozenEstimator(narrow.fit(WITH_BLANKS, YES_NO))
    labels = [BLANKS[place] for place in SHUFFLED]
    reads = columns_read(alone, labels)
    assert [label for label, used in zip(labels, reads, strict=True) if used] == [
        "g",
        "a b",
    ]
    model.estimators_ = model.estimators_[:1]  # what is left reads two columns
    reads = columns_read(FrozenEstimator(model), labels)
    assert [label for label, used in zip(labels, reads, strict=True) if used] == [
        "g",
        "a b",
    ]


REFUSED = {
    "lacking": (
        WITH_BLANKS.rename(columns={"g": "z"}),
        r"columns \['g'\], which X lacks",
    ),
    "alike": (WITH_BLANKS.assign(a_b=1.0), r"\['a b', 'a_b'\] of X.*cannot be told"),
}


@pytest.mark.parametrize("table", REFUSED)
def test_columns_that_cannot_be_told_are_refused_before_anybody_is_asked(table):
    """LightGBM #7338: never by position where there are names."""
    X, message = REFUSED[table]
    model = lightgbm_classifier().fit(WITH_BLANKS, YES_NO)
    with pytest.raises(ValueError, match=f"frozen member 'm0' .*{message}"):
        cooperate(FrozenEstimator(model), GaussianNB()).fit(X, YES_NO)
    with pytest.raises(ValueError, match=f"frozen member 'p0' .*{message}"):
        lead(shallow(), FrozenEstimator(model), GaussianNB()).fit(X, YES_NO)
    distiller = compare(model, shallow())
    with pytest.raises(ValueError, match=f"The teacher .*{message}"):
        distiller.fit(X)
    assert not hasattr(distiller, "n_teacher_calls_")


@pytest.mark.parametrize("maker", ["lightgbm", "xgboost", "catboost"])
def test_numbers_that_are_names_are_no_positions(maker):
    """LightGBM #7338: a model of columns 0 to 4 does not read column 7 for column 3."""
    model = FrozenEstimator(MAKERS[maker]().fit(FRAME.set_axis(range(5), axis=1), _y01))
    table = FRAME.set_axis([0, 1, 2, 7, 4], axis=1)
    with pytest.raises(ValueError, match=r"'m0' .* columns \['3'\], which X lacks"):
        cooperate(model, GaussianNB()).fit(table, _y01)


@pytest.mark.parametrize("order", [list("baced"), list("deb")])
def test_columns_that_a_model_drops_need_not_be_there(order):
    """LightGBM #4102: what it does not read cannot be missed."""
    model = make_pipeline(
        make_column_transformer(("passthrough", ["b", "e"])), GaussianNB()
    ).fit(FRAME, YES_NO)
    table, expected = FRAME[order], model.predict_proba(FRAME)
    fitted = cooperate(FrozenEstimator(model), shallow()).fit(table, YES_NO)
    np.testing.assert_allclose(fitted.transform(table)[:, :2], expected)
    changed = {name for line in fitted.lessons_["changed"] for name in line}
    assert changed <= {"b", "e"}
    taught = compare(model, shallow(), teacher_budget=None).fit(table)
    np.testing.assert_allclose(taught.teacher_answers_, expected)
    reads = columns_read(FrozenEstimator(model), order)
    assert {n for n, used in zip(order, reads, strict=True) if used} == {"b", "e"}


@pytest.mark.parametrize("maker", ["lightgbm", "xgboost", "catboost", "scikit-learn"])
@pytest.mark.filterwarnings("ignore:X has feature names")
def test_model_without_names_reads_by_position(maker):
    """LightGBM #7338: what it calls the columns of an array is no name."""
    model = MAKERS[maker]().fit(FRAME.to_numpy(), _y01)
    fitted = cooperate(FrozenEstimator(model), shallow()).fit(FRAME, _y01)
    np.testing.assert_allclose(
        fitted.transform(FRAME)[:, :2], model.predict_proba(FRAME.to_numpy())
    )
    with pytest.raises(ValueError, match="'m0' was fitted on 5 features, X has 6"):
        cooperate(FrozenEstimator(model), shallow()).fit(FRAME.assign(z=1), _y01)


# Classes that scikit-learn does not know


class Duck:
    """Has all methods of a classifier and derives from nothing."""

    def fit(self, X, y):
        self.classes_, counts = np.unique(y, return_counts=True)
        self.proba_ = counts / counts.sum()
        return self

    def predict_proba(self, X):
        return np.tile(self.proba_, (len(X), 1))

    def predict(self, X):
        return np.repeat(self.classes_[self.proba_.argmax()], len(X))

    def get_params(self, deep=True):
        return {}

    def set_params(self, **params):
        return self


class TurnedRound(BaseEstimator, ClassifierMixin, Duck):
    get_params = BaseEstimator.get_params
    set_params = BaseEstimator.set_params


class MixinAlone(ClassifierMixin, Duck):
    pass


class Halfway(BaseEstimator):
    fit, predict_proba, predict = Duck.fit, Duck.predict_proba, Duck.predict


class Whole(ClassifierMixin, BaseEstimator):
    fit, predict_proba, predict = Duck.fit, Duck.predict_proba, Duck.predict


ADVICE = {
    Duck: r"Derive it.*: class Duck\(ClassifierMixin, BaseEstimator\)",
    MixinAlone: r"Derive it.*: class MixinAlone\(ClassifierMixin, BaseEstimator\)",
    TurnedRound: r"before ClassifierMixin.*: class TurnedRound\(ClassifierMixin, Base",
    Halfway: r"derive it from ClassifierMixin too: class Halfway\(ClassifierMixin, Bas",
}
AROUND = {
    "itself": as_it_is,
    "pipeline": in_a_pipeline,
    "search": lambda model: GridSearchCV(model, {}),
    "frozen": lambda model: FrozenEstimator(model.fit(FRAME, YES_NO)),
}


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("kind", ADVICE)
def test_class_that_scikit_learn_does_not_know_is_told_what_it_lacks(kind, around):
    """scikit-learn #31555, #30479."""
    model, advice = AROUND[around](kind()), ADVICE[kind]
    with pytest.raises(ValueError, match=f"(?s)'m0' should be a class.*{advice}"):
        cooperate(model, GaussianNB()).fit(FRAME, YES_NO)
    with pytest.raises(ValueError, match=f"(?s)combine must be.*{advice}"):
        cooperate(GaussianNB(), shallow(), combine=model).fit(FRAME, YES_NO)
    if around != "frozen":
        with pytest.raises(ValueError, match=f"(?s)'leader' should be.*{advice}"):
            lead(model, GaussianNB()).fit(FRAME, YES_NO)
        with pytest.raises(ValueError, match=f"(?s)'student' should be.*{advice}"):
            compare(GaussianNB().fit(FRAME, YES_NO), model).fit(FRAME)


@pytest.mark.parametrize("kind", [TurnedRound, Halfway])
def test_model_that_is_no_classifier_is_not_saved(kind, tmp_path):
    """scikit-learn #31555: nor is one inside of a search, or a regressor."""
    model = kind().fit(FRAME, YES_NO)
    with pytest.raises(ValueError, match=f"(?s)fitted classifier.*{ADVICE[kind]}"):
        save_member(model, tmp_path / "member.skops")
    search = GridSearchCV(Duck(), {})
    with pytest.raises(ValueError, match=f"(?s)fitted classifier.*{ADVICE[Duck]}"):
        save_member(search, tmp_path / "member.skops")
    with pytest.raises(ValueError, match=r"got Ridge\(\).*Regression is not supported"):
        save_member(Ridge().fit(FRAME, _y01), tmp_path / "member.skops")
    assert not list(tmp_path.iterdir())


def test_class_with_its_mixins_in_order_is_a_member():
    """scikit-learn #31555."""
    assert cooperate(Whole(), shallow()).fit(FRAME, YES_NO).score(FRAME, YES_NO) > 0.6


@pytest.mark.parametrize("kind", [Duck, MixinAlone, TurnedRound, Halfway])
@pytest.mark.parametrize("wrap", [as_it_is, FrozenEstimator])
def test_a_teacher_needs_nothing_but_predict_proba(kind, wrap):
    """scikit-learn #31555: it is asked and neither copied nor fitted."""
    model = kind().fit(FRAME, YES_NO)
    fitted = compare(wrap(model), shallow(), teacher_budget=None).fit(FRAME)
    np.testing.assert_array_equal(fitted.classes_, ["no", "yes"])
    np.testing.assert_allclose(fitted.teacher_answers_, model.predict_proba(FRAME))
    assert clone(fitted).teacher is fitted.teacher


def test_an_engine_needs_nothing_but_generate():
    """scikit-learn #31555."""

    class Engine:
        def generate(self, *rows, **params):
            return BatchedDice(sparse=False).generate(*rows, **params)

    fitted = clone(cooperate(shallow(), GaussianNB(), counterfactuals=Engine()))
    plain = cooperate(shallow(), GaussianNB()).fit(FRAME, YES_NO)
    fitted.fit(FRAME, YES_NO)
    assert len(fitted.lessons_)
    pd.testing.assert_frame_equal(fitted.lessons_, plain.lessons_)


def test_regressor_of_comparisons_is_told_what_it_lacks():
    """scikit-learn #31555."""
    teacher = GaussianNB().fit(FRAME, YES_NO)
    with pytest.raises(ValueError, match=r"class Duck\(RegressorMixin, BaseEstimator"):
        compare(teacher, shallow(), comparison=Duck()).fit(FRAME)


# Errors that name who raised them

LINES = FRAME.assign(text="some words")
MISSING_TEXT = LINES.assign(text=["some words"] * 119 + [None])


def reads_text():
    return make_pipeline(
        make_column_transformer((TfidfVectorizer(), "text")), LogisticRegression()
    )


def reads_numbers(model=None):
    numbers = make_column_transformer(("passthrough", list("abcde")))
    return make_pipeline(numbers, GaussianNB() if model is None else model)


def test_missing_text_names_who_cannot_read_it():
    """A TF-IDF pipeline with a missing text, in each part that it can have."""
    teacher = reads_text().fit(LINES, YES_NO)
    for who, distiller in {
        "Member 'm0', fitted on 120 rows": cooperate(reads_text(), reads_numbers()),
        "Peer 'p0', fitted on 120 rows": lead(
            reads_numbers(), reads_text(), reads_numbers(), n_virtual=0
        ),
        "The leader, fitted on 120 labelled": lead(
            reads_text(), reads_numbers(), reads_numbers(shallow()), n_virtual=0
        ),
        "The student, fitted on": compare(
            reads_numbers().fit(LINES, YES_NO), reads_text()
        ),
        "The teacher, asked about": compare(
            teacher, reads_numbers(), teacher_budget=None
        ),
    }.items():
        with pytest.raises((ValueError, AttributeError)) as caught:
            distiller.fit(MISSING_TEXT, YES_NO)
        assert first_line(caught).startswith(who)
        assert type(caught.value.__cause__) is type(caught.value)
    fitted = cooperate(reads_text(), reads_numbers()).fit(LINES, YES_NO)
    for method in (fitted.predict, fitted.predict_proba, fitted.transform):
        with pytest.raises((ValueError, AttributeError)) as caught:
            method(MISSING_TEXT)
        assert first_line(caught).startswith("Member 'm0', asked about 120 rows: ")


class Full(Exception):
    """Its constructor takes two numbers."""

    def __init__(self, used, total):
        super().__init__(f"{used} of {total} are in use")
        self.used = used


class Tired(GaussianNB):
    """Fails when it is told to, in one of its methods."""

    fails_in: dict = {}

    def _work(self, method, *rows):
        if method in self.fails_in:
            raise self.fails_in[method]
        return getattr(super(), method)(*rows)

    def fit(self, X, y, sample_weight=None):
        return self._work("fit", X, y, sample_weight)

    def predict_proba(self, X):
        return self._work("predict_proba", X)

    def predict(self, X):
        return self._work("predict", X)


@pytest.fixture
def tired():
    Tired.fails_in = {}
    yield Tired
    Tired.fails_in = {}


def undecodable():
    try:
        b"\xff".decode()
    except UnicodeDecodeError as error:
        return error


ERRORS = {
    "own": (lambda: Full(3, 4), Full, "3 of 4 are in use"),
    "key": (lambda: KeyError("age"), KeyError, "'age'"),
    "codec": (undecodable, UnicodeError, "'utf-8' codec"),
    "system": (lambda: OSError(28, "No room"), OSError, r"\[Errno 28\] No room"),
    "silent": (lambda: AssertionError(), AssertionError, "AssertionError"),
    "group": (lambda: ExceptionGroup("two", [KeyError(1)]), RuntimeError, "two"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_of_any_type_are_named(name, tired):
    """Types whose constructors take something else keep their kind."""
    make, kind, said = ERRORS[name]
    tired.fails_in = {"fit": make()}
    with pytest.raises(kind) as caught:
        cooperate(tired(), GaussianNB()).fit(FRAME, YES_NO)
    message = str(caught.value).strip('"')
    assert message.startswith("Member 'm0', fitted on 120 rows and 0 lessons: ")
    assert caught.match(said)
    assert caught.value.__cause__ is tired.fails_in["fit"]
    if name == "own":
        assert caught.value.used == 3


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("method", ["fit", "predict_proba"])
def test_interrupts_pass_as_they_are(stop, method, tired):
    """A user who stops a fit is no error of a member."""
    tired.fails_in = {method: stop("now")}
    for distiller in (
        cooperate(tired(), GaussianNB()),
        lead(shallow(), tired(), GaussianNB()),
        lead(tired(), shallow(), GaussianNB()),
        compare(GaussianNB().fit(FRAME, YES_NO), tired(), query="uncertain"),
    ):
        with pytest.raises(stop) as caught:
            distiller.fit(FRAME, YES_NO)
        assert caught.value is tired.fails_in[method]


def test_errors_of_predictions_are_named(tired):
    """What answers behind the distiller is named at predict as well."""
    boom = ValueError("boom")
    rows = FRAME, YES_NO
    final = cooperate(GaussianNB(), shallow(), combine=tired()).fit(*rows)
    leader = lead(tired(), GaussianNB(), shallow(), accept=None).fit(*rows)
    peers = lead(shallow(), tired(), GaussianNB()).fit(*rows)
    student = compare(GaussianNB().fit(*rows), tired()).fit(*rows)
    member = cooperate(GaussianNB(), tired()).fit(*rows)
    tired.fails_in = {"predict": boom, "predict_proba": boom}
    for ask, who in [
        (final.predict, "The final estimator Tired, asked for classes"),
        (final.predict_proba, "The final estimator Tired, asked for probabilities"),
        (leader.predict, "The leader, asked to predict"),
        (leader.predict_proba, "The leader, asked to predict_proba"),
        (student.predict, "The student, asked to predict"),
        (peers.attention_weights, "Peer 'p0', asked about 120 rows"),
        (member.predict, "Member 'm1', asked about 120 rows"),
    ]:
        with pytest.raises(ValueError, match=f"^{who}: boom$") as caught:
            ask(FRAME)
        assert caught.value.__cause__ is boom


def test_each_distiller_in_a_distiller_is_named(tired):
    """A name inside of a member does not say which member that is."""
    tired.fails_in = {"fit": ValueError("boom")}
    inner = cooperate(tired(), GaussianNB())
    outer = lead(shallow(), inner, GaussianNB())
    with pytest.raises(ValueError, match=r"^Peer 'p0', fitted.*: Member 'm0', fitted"):
        outer.fit(FRAME, YES_NO)


class Forgetful(GaussianNB):
    """Breaks the rule that a constructor only keeps what it is given."""

    def __init__(self, width=1):
        super().__init__()
        self.width = width * 2


def test_errors_of_copies_are_named():
    """Nothing has been fitted yet, and the message says whose class is to be mended."""
    for who, distiller in {
        "Member 'm0', copied": cooperate(Forgetful(), GaussianNB()),
        "The final estimator Forgetful, copied": cooperate(
            GaussianNB(), shallow(), combine=Forgetful()
        ),
        "Member 'p0', copied": lead(shallow(), Forgetful(), GaussianNB()),
        "The student, fitted on": compare(GaussianNB().fit(FRAME, _y01), Forgetful()),
    }.items():
        with pytest.raises(RuntimeError, match=f"^{who}.*: Cannot clone object"):
            distiller.fit(FRAME, _y01)


class Overwhelmed(ExtraTreesRegressor):
    def fit(self, X, y):
        raise ArithmeticError("too much")


def test_errors_of_regressors_and_engines_are_named(tired):
    """Also where the failure is recorded and not raised."""
    rows = FRAME, YES_NO
    model = compare(GaussianNB().fit(*rows), shallow(), comparison=Overwhelmed())
    message = r"^The comparison regressor Overwhelmed, fitted on \d+ rows: too much$"
    with pytest.raises(ArithmeticError, match=message):
        model.fit(*rows)
    teacher = tired().fit(*rows)
    tired.fails_in = {"predict_proba": ValueError("boom")}
    with pytest.raises(ValueError, match=r"^The teacher, asked about \d+ rows: boom$"):
        BatchedDice().generate(teacher, FRAME[:3], YES_NO[:3], background=FRAME)

    class Late(BatchedDice):
        def generate(self, teacher, *args, **params):
            if teacher.name == "m0":
                tired.fails_in = {"predict_proba": ValueError("boom")}
                return super().generate(teacher, *args, **params)
            raise KeyError("donor")

    tired.fails_in = {}
    model = cooperate(tired(), shallow(), counterfactuals=Late(), accept=None)
    with pytest.warns(UserWarning, match="Some teaching failed"):
        model.set_params(combine="soft").fit(*rows, silos=two_silos())
    failure = model.history_.set_index("teacher")["failure"]
    asked = r"ValueError: The engine Late, asked .*: Member 'm0', asked .*: boom"
    assert re.fullmatch(asked, failure.loc["m0"])
    assert failure.loc["m1"].startswith('KeyError: "The engine Late, asked about')


def test_regressors_are_told_that_they_are_not_supported():
    """Regression is not there yet, and the error says so."""
    teacher = GaussianNB().fit(FRAME, YES_NO)
    message = "(?s)should be a classifier, got .*Regression is not supported yet"
    for model in (Ridge(), in_a_pipeline(Ridge()), GridSearchCV(Ridge(), {})):
        for distiller in (
            cooperate(model, GaussianNB()),
            lead(model, GaussianNB()),
            lead(shallow(), model),
            compare(teacher, model),
        ):
            with pytest.raises(ValueError, match=message):
                distiller.fit(FRAME, YES_NO)
        with pytest.raises(ValueError, match=r"(?s)combine.*Regression is not supp"):
            cooperate(GaussianNB(), shallow(), combine=model).fit(FRAME, YES_NO)
    with pytest.raises(ValueError, match=r"teacher.*Regression is not supported yet"):
        compare(Ridge().fit(FRAME, _y01), shallow()).fit(FRAME)
