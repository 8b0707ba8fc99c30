"""Situations from bug reports of other libraries of this field, named in each test."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_classification
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    ExtraTreesRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from skcoop import ComparativeDistiller, CooperativeDistiller, DiversePeersDistiller
from skcoop._columns import columns_read
from skcoop.counterfactuals import BatchedDice, StockDice

_values, _codes = make_classification(
    120, 5, n_informative=3, flip_y=0.15, random_state=0
)
FRAME = pd.DataFrame(_values, columns=list("abcde"))
YES_NO = np.where(_codes == 1, "yes", "no")


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
    assert rounds == ({2} if late else set())


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
            return compare(teacher, model, n_virtual=50, max_comparisons=200)
        if role == "peer":
            return lead(shallow(), model, GaussianNB())
        return cooperate(model, GaussianNB())

    fits = count_fits(make(YES_NO), YES_NO)
    assert fits == count_fits(make(_codes), _codes) + 1 > 3


# Labels in other parameters of fit

_more, _more_codes = make_classification(
    400, 8, n_informative=4, flip_y=0.2, random_state=1
)
TRAIN, VALID = _more[:300], _more[300:]
LABELS = {"text": ["no", "yes"], "from one": [1, 2], "from zero": [0, 1]}


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


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("given", ["list", "lists", "Series"])
def test_labels_of_an_evaluation_set_are_translated(kind, given):
    """xgboost #803: early stopping listens to the right labels."""
    model = early_stopping(random_state=0)
    expected = clone(model).fit(
        TRAIN, _more_codes[:300], eval_set=[(VALID, _more_codes[300:])], verbose=False
    )
    assert 5 < expected.best_iteration < 150
    labels = np.array(LABELS[kind])[_more_codes]
    truth = {"list": list, "lists": list, "Series": pd.Series}[given](labels[300:])
    pair = [VALID, truth] if given == "lists" else (VALID, truth)
    with config_context(enable_metadata_routing=True):
        model.set_fit_request(eval_set=True, verbose=True)
        found = best_round(model, labels, eval_set=[pair], verbose=False)
        assert found == expected.best_iteration
        piped = make_pipeline(StandardScaler(with_mean=False, with_std=False), model)
        found = best_round(piped, labels, eval_set=[pair], verbose=False)
        assert found == expected.best_iteration


@pytest.mark.parametrize("kind", LABELS)
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
    labels = np.array(LABELS[kind])[_more_codes]
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


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("wrap", [as_it_is, in_a_pipeline])
def test_weights_of_classes_are_translated(kind, wrap):
    """xgboost #803: labels are the keys of other parameters, too."""
    low, high = LABELS[kind]
    labels = np.array([low, high])[_codes]
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
    model = MAKERS[maker]().fit(table, _codes)
    expected = model.predict_proba(table)
    turned = table.iloc[:, SHUFFLED].assign(more=1.0)
    frozen = FrozenEstimator(model)
    members = [frozen, make_pipeline(StandardScaler(), LogisticRegression())]
    turned.columns = [*turned.columns[:-1], "more" if labelling == "blanks" else 99]
    fitted = cooperate(*members).fit(turned, _codes)
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
    model = MAKERS[maker]().fit(WITH_BLANKS, YES_NO if "xg" not in maker else _codes)
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
    model = FrozenEstimator(
        MAKERS[maker]().fit(FRAME.set_axis(range(5), axis=1), _codes)
    )
    table = FRAME.set_axis([0, 1, 2, 7, 4], axis=1)
    with pytest.raises(ValueError, match=r"'m0' .* columns \['3'\], which X lacks"):
        cooperate(model, GaussianNB()).fit(table, _codes)


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
    model = MAKERS[maker]().fit(FRAME.to_numpy(), _codes)
    fitted = cooperate(FrozenEstimator(model), shallow()).fit(FRAME, _codes)
    np.testing.assert_allclose(
        fitted.transform(FRAME)[:, :2], model.predict_proba(FRAME.to_numpy())
    )
    with pytest.raises(ValueError, match="'m0' was fitted on 5 features, X has 6"):
        cooperate(FrozenEstimator(model), shallow()).fit(FRAME.assign(z=1), _codes)


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
            return BatchedDice().generate(*rows, **params)

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

TEXTS = FRAME.assign(text="some words")
MISSING_TEXT = TEXTS.assign(text=["some words"] * 119 + [None])


def reads_text():
    return make_pipeline(
        make_column_transformer((TfidfVectorizer(), "text")), LogisticRegression()
    )


def reads_numbers(model=None):
    numbers = make_column_transformer(("passthrough", list("abcde")))
    return make_pipeline(numbers, GaussianNB() if model is None else model)


def test_missing_text_names_who_cannot_read_it():
    """A TF-IDF pipeline with a missing text, in each part that it can have."""
    teacher = reads_text().fit(TEXTS, YES_NO)
    for who, distiller in {
        "Member 'm0', fitted on 120 rows": cooperate(reads_text(), reads_numbers()),
        "Peer 'p0', fitted on 120 rows": lead(
            reads_numbers(), reads_text(), reads_numbers(), n_virtual=0
        ),
        "The leader, fitted on 120 labelled": lead(
            reads_text(), reads_numbers(), reads_numbers(shallow()), n_virtual=0
        ),
        "The student, fitted on": compare(
            reads_numbers().fit(TEXTS, YES_NO), reads_text()
        ),
        "The teacher, asked about": compare(
            teacher, reads_numbers(), teacher_budget=None
        ),
    }.items():
        with pytest.raises((ValueError, AttributeError)) as caught:
            distiller.fit(MISSING_TEXT, YES_NO)
        assert first_line(caught).startswith(who)
        assert type(caught.value.__cause__) is type(caught.value)
    fitted = cooperate(reads_text(), reads_numbers()).fit(TEXTS, YES_NO)
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
        "The student, fitted on": compare(GaussianNB().fit(FRAME, _codes), Forgetful()),
    }.items():
        with pytest.raises(RuntimeError, match=f"^{who}.*: Cannot clone object"):
            distiller.fit(FRAME, _codes)


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
            raise KeyError("led_to")

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
        compare(Ridge().fit(FRAME, _codes), shallow()).fit(FRAME)
