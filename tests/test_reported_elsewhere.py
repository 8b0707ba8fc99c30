"""Situations from bug reports of other libraries, each test naming its thread."""

import os
import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skcoop import ComparativeDistiller, CooperativeDistiller, DiversePeersDistiller
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
    asked = ~np.isnan(distiller.teacher_answers_[:, 0])
    assert asked.sum() == 40
    assert_array_equal(distiller.teacher_answers_[asked], stored[asked])


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
