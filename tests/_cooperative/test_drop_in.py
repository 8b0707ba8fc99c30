"""A distiller wherever scikit-learn takes a classifier."""

import functools
import pickle
import re

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    BaggingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import estimator_html_repr
from sklearn.utils.validation import check_is_fitted

from skcoop import CooperativeDistiller
from skcoop.counterfactuals import BatchedDice

N = 80
_values, _codes = make_classification(
    n_samples=N, n_features=5, n_informative=3, flip_y=0.15, random_state=0
)
X = pd.DataFrame(_values, columns=list("abcde"))
y = np.where(_codes == 1, "yes", "no")
silos = np.where(np.arange(N) % 3 == 0, "tree", "linear")
weights = np.linspace(1.0, 2.0, N)


def members(linear=None, tree=None):
    return [
        ("linear", LogisticRegression() if linear is None else linear),
        ("tree", DecisionTreeClassifier(max_depth=3) if tree is None else tree),
    ]


def distiller(estimators=None, **params):
    defaults = {"n_rounds": 1, "cv": 2, "random_state": 0}
    return CooperativeDistiller(
        members() if estimators is None else estimators, **{**defaults, **params}
    )


def assert_same_fit(first, second, rtol=0.0):
    """Two fits agree in every lesson, every verdict and every answer."""
    assert len(first.lessons_)
    for name in ("lessons_", "history_"):
        pd.testing.assert_frame_equal(
            getattr(first, name), getattr(second, name), rtol=rtol, atol=0.0
        )
    for method in ("predict_proba", "transform"):
        np.testing.assert_allclose(
            getattr(first, method)(X), getattr(second, method)(X), rtol=rtol
        )


def assert_close(first, second):
    """Equal but for the last digit, which depends on the layout of a table."""
    np.testing.assert_allclose(first, second, rtol=1e-9)


class Recorder(LogisticRegression):
    """Remembers the weights that it was fitted with."""

    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight=sample_weight)
        self.weights_ = sample_weight
        return self


# In pipelines, searches and other meta-estimators


def test_last_step_of_a_pipeline():
    pipeline = Pipeline([("scale", StandardScaler()), ("cooperate", distiller())])
    pipeline.fit(X, y, cooperate__silos=silos)
    Z = StandardScaler().fit_transform(X)
    alone = distiller().fit(Z, y, silos=silos)
    assert_close(pipeline.predict_proba(X), alone.predict_proba(Z))
    np.testing.assert_array_equal(pipeline.classes_, ["no", "yes"])
    assert pipeline.score(X, y) == accuracy_score(y, alone.predict(Z))
    assert len(pipeline["cooperate"].lessons_)


def test_first_step_of_a_pipeline():
    pipeline = make_pipeline(distiller(), LogisticRegression()).fit(X, y)
    votes = distiller().fit(X, y).transform(X)
    expected = LogisticRegression().fit(votes, y).predict_proba(votes)
    assert_close(pipeline.predict_proba(X), expected)


GRIDS = {
    "alpha and a member's parameter": {"alpha": [0.3, 0.9], "tree__max_depth": [1, 3]},
    "n_rounds and combine": {
        "n_rounds": [0, 2],
        "combine": ["hard", LogisticRegression(C=0.1)],
    },
    "counterfactuals": {
        "counterfactuals": [BatchedDice(), BatchedDice(features_to_vary=["a", "b"])]
    },
    "inside of parameters": {
        "combine": [LogisticRegression()],
        "combine__C": [1.0, 0.01],
        "counterfactuals": [BatchedDice()],
        "counterfactuals__features_to_vary": [["c"]],
    },
    "members": {"tree": [GaussianNB(), "drop"]},
}


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_grid_search(grid):
    """The scores are those of fits by hand on the same rows with their silos."""
    cv = StratifiedKFold(2)
    search = GridSearchCV(distiller(), grid, cv=cv, error_score="raise")
    search.fit(X, y, silos=silos)
    last = {
        name: clone(value, safe=False)
        for name, value in search.cv_results_["params"][-1].items()
    }
    for fold, (train, test) in enumerate(cv.split(X, y)):
        by_hand = distiller().set_params(**last)
        by_hand.fit(X.iloc[train], y[train], silos=silos[train])
        score = search.cv_results_[f"split{fold}_test_score"][-1]
        assert score == by_hand.score(X.iloc[test], y[test])
    best = clone(search.best_estimator_).fit(X, y, silos=silos)
    np.testing.assert_array_equal(search.predict(X), best.predict(X))


def test_grid_search_leaves_the_candidates_alone():
    engines = [BatchedDice(), BatchedDice(features_to_vary=["a"])]
    final = LogisticRegression()
    grid = {"counterfactuals": engines, "combine": [final]}
    search = GridSearchCV(distiller(), grid, cv=2, error_score="raise").fit(X, y)
    assert search.best_params_["counterfactuals"] in engines
    assert [engine.features_to_vary for engine in engines] == ["all", ["a"]]
    assert not hasattr(final, "coef_")
    assert final.random_state is None


def test_grid_search_routes_silos():
    grid = {"alpha": [0.3, 0.9]}
    plain = GridSearchCV(distiller(), grid, cv=2, error_score="raise")
    plain.fit(X, y, silos=silos)
    with config_context(enable_metadata_routing=True):
        requesting = distiller().set_fit_request(silos=True)
        routed = GridSearchCV(requesting, grid, cv=2, error_score="raise")
        routed.fit(X, y, silos=silos)
    np.testing.assert_array_equal(
        plain.cv_results_["mean_test_score"], routed.cv_results_["mean_test_score"]
    )
    assert_same_fit(plain.best_estimator_, routed.best_estimator_)


def test_routing_asks_whether_silos_are_wanted():
    with config_context(enable_metadata_routing=True):
        search = GridSearchCV(distiller(), {"alpha": [0.5]}, cv=2)
        with pytest.raises(UnsetMetadataPassedError, match="silos"):
            search.fit(X, y, silos=silos)


def test_grid_search_with_a_silo_column():
    table = X.assign(hospital=silos)
    search = GridSearchCV(
        distiller(silo_column="hospital"), {"alpha": [0.3, 0.9]}, cv=2
    ).fit(table, y)
    expected = GridSearchCV(distiller(), {"alpha": [0.3, 0.9]}, cv=2)
    expected.fit(X, y, silos=silos)
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"]
    )
    np.testing.assert_array_equal(search.predict(X), expected.predict(X))


def test_cross_validation():
    cv = StratifiedKFold(3)
    scores = cross_val_score(distiller(), X, y, cv=cv, params={"silos": silos})
    results = cross_validate(
        distiller(),
        X,
        y,
        cv=cv,
        params={"silos": silos},
        scoring=["accuracy", "neg_log_loss", "roc_auc"],
        return_estimator=True,
    )
    out_of_fold = cross_val_predict(
        distiller(), X, y, cv=cv, params={"silos": silos}, method="predict_proba"
    )
    np.testing.assert_array_equal(results["test_accuracy"], scores)
    assert np.isfinite(results["test_neg_log_loss"]).all()
    for fold, (train, test) in enumerate(cv.split(X, y)):
        fitted = distiller().fit(X.iloc[train], y[train], silos=silos[train])
        assert fitted.score(X.iloc[test], y[test]) == scores[fold]
        proba = fitted.predict_proba(X.iloc[test])
        assert_close(out_of_fold[test], proba)
        assert_same_fit(results["estimator"][fold], fitted)


def test_scorers_need_what_the_combination_can_give():
    hard = distiller(combine="hard").fit(X, y)
    assert not hasattr(hard, "predict_proba")
    with pytest.raises(AttributeError, match="predict_proba"):
        hard.predict_proba(X)
    assert cross_val_score(distiller(combine="hard"), X, y, cv=2).shape == (2,)
    assert hasattr(distiller(combine="soft"), "predict_proba")


@pytest.mark.parametrize("in_a_column", [False, True])
def test_calibration(in_a_column):
    cv = StratifiedKFold(2)
    if in_a_column:
        table, passed = X.assign(hospital=silos), {}
        inner = distiller(silo_column="hospital")
    else:
        table, passed, inner = X, {"silos": silos}, distiller()
    calibrated = CalibratedClassifierCV(inner, cv=cv).fit(table, y, **passed)
    proba = calibrated.predict_proba(table)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    for (train, _), one in zip(
        cv.split(X, y), calibrated.calibrated_classifiers_, strict=True
    ):
        alone = distiller().fit(X.iloc[train], y[train], silos=silos[train])
        assert_close(one.estimator.predict_proba(X), alone.predict_proba(X))


def test_permutation_importance_of_the_silo_column_is_nothing():
    table = X.assign(hospital=silos)
    fitted = distiller(silo_column="hospital").fit(table, y)
    importance = permutation_importance(fitted, table, y, n_repeats=3, random_state=0)
    assert importance.importances_mean[:5].max() > 0.05
    np.testing.assert_array_equal(importance.importances[5], 0.0)


def test_feature_union():
    union = FeatureUnion([("votes", distiller()), ("scaled", StandardScaler())])
    union.set_output(transform="pandas")
    joined = union.fit_transform(X, y)
    fitted = distiller().fit(X, y)
    assert list(joined.columns) == [
        *(f"votes__{name}" for name in fitted.get_feature_names_out()),
        *(f"scaled__{name}" for name in X.columns),
    ]
    np.testing.assert_array_equal(joined.to_numpy()[:, :4], fitted.transform(X))


def test_member_of_a_stack():
    stack = StackingClassifier([("group", distiller()), ("bayes", GaussianNB())], cv=2)
    stack.fit(X, y)
    assert_close(stack.transform(X)[:, 0], stack.estimators_[0].predict_proba(X)[:, 1])
    assert len(stack.estimators_[0].lessons_)
    assert set(stack.predict(X)) == {"no", "yes"}


def test_member_of_a_vote():
    vote = VotingClassifier(
        [("group", distiller()), ("bayes", GaussianNB())], voting="soft"
    ).fit(X, y)
    expected = distiller().fit(X, y).predict_proba(X)
    expected = (expected + GaussianNB().fit(X, y).predict_proba(X)) / 2
    np.testing.assert_allclose(vote.predict_proba(X), expected)


def test_base_of_a_bag():
    bag = BaggingClassifier(distiller(), n_estimators=2, random_state=0).fit(X, y)
    assert set(bag.predict(X)) == {"no", "yes"}
    np.testing.assert_allclose(bag.predict_proba(X).sum(axis=1), 1.0)


def test_silos_through_two_levels():
    """Silos reach a distiller through two levels of meta-estimators."""
    with config_context(enable_metadata_routing=True):
        inner = distiller().set_fit_request(silos=True)
        vote = VotingClassifier([("group", inner)])
        outer = Pipeline([("scale", StandardScaler()), ("vote", vote)])
        outer.fit(X, y, silos=silos)
    Z = StandardScaler().fit_transform(X)
    alone = distiller().fit(Z, y, silos=silos)
    np.testing.assert_array_equal(outer.predict(X), alone.predict(Z))


def test_distiller_inside_a_distiller():
    pair = [("bayes", GaussianNB()), ("forest", RandomForestClassifier(3))]
    inner = distiller(pair, random_state=None)
    outer = distiller([("linear", LogisticRegression()), ("pair", inner)], alpha=0.2)
    first, second = outer.fit(X, y), clone(outer).fit(X, y)
    assert_same_fit(first, second)
    assert {"linear", "pair"} == set(first.lessons_["student"])
    assert len(first.named_estimators_["pair"].lessons_)
    assert inner.random_state is None
    assert not hasattr(inner, "estimators_")
    assert "pair__forest__max_depth" in outer.get_params()


def test_inner_distiller_has_silos_of_its_own():
    wards = np.where(np.arange(N) % 2, "bayes", "shallow")
    table = X.assign(ward=wards)
    pair = [("bayes", GaussianNB()), ("shallow", DecisionTreeClassifier(max_depth=1))]
    inner = distiller(pair, silo_column="ward", random_state=None)
    narrow = make_pipeline(StandardScaler(), LogisticRegression())
    outer = distiller([("pair", inner), ("linear", narrow)], combine="soft")
    with pytest.raises(ValueError, match=r"could not convert string to float"):
        # The other member reads the column of names.
        outer.fit(table, y)
    with config_context(enable_metadata_routing=True):
        inner.set_params(silo_column=None).set_fit_request(silos="wards")
        outer.fit(X, y, wards=wards)
    refit = clone(inner).set_params(random_state=outer.estimators_[0].random_state)
    expected = refit.fit(X, y, silos=wards)
    assert_close(outer.initial_estimators_[0].transform(X), expected.transform(X))


# Clones, copies and views


def test_clone():
    engine = BatchedDice(features_to_vary=["a", "c"])
    original = distiller(combine=LogisticRegression(), counterfactuals=engine)
    original.fit(X, y)
    copy = clone(original)
    assert not [name for name in vars(copy) if name.endswith("_")]
    with pytest.raises(NotFittedError):
        copy.predict(X)
    assert copy.counterfactuals is not engine
    assert copy.counterfactuals.features_to_vary == ["a", "c"]
    assert copy.get_params()["tree"] is not original.get_params()["tree"]
    assert_same_fit(original, copy.fit(X, y))


@pytest.mark.parametrize("silo_column", [None, "hospital"])
def test_pickle(silo_column):
    table = X if silo_column is None else X.assign(hospital=silos)
    fitted = distiller(silo_column=silo_column).fit(table, y)
    assert_same_fit(fitted, pickle.loads(pickle.dumps(fitted)))


def test_joblib(tmp_path):
    fitted = distiller().fit(X, y)
    joblib.dump(fitted, tmp_path / "distiller.joblib", compress=3)
    assert_same_fit(fitted, joblib.load(tmp_path / "distiller.joblib"))


def test_pickle_of_an_unfitted_one():
    copy = pickle.loads(pickle.dumps(distiller(combine="soft")))
    assert copy.combine == "soft"
    assert_same_fit(copy.fit(X, y), distiller(combine="soft").fit(X, y))


def test_set_output():
    labelled = X.set_axis([f"row {i}" for i in range(N)])
    fitted = distiller().set_output(transform="pandas").fit(labelled, y)
    table = fitted.transform(labelled)
    assert list(table.index) == list(labelled.index)
    assert list(table.columns) == [
        "cooperativedistiller_linear0",
        "cooperativedistiller_linear1",
        "cooperativedistiller_tree0",
        "cooperativedistiller_tree1",
    ]
    linear, tree = fitted.estimators_
    assert_close(table.iloc[:, :2], linear.predict_proba(X))
    assert_close(table.iloc[:, 2:], tree.predict_proba(X))
    together = distiller().set_output(transform="pandas").fit_transform(labelled, y)
    pd.testing.assert_frame_equal(table, together, rtol=1e-9)


def test_diagram():
    estimators = [
        ("alice", LogisticRegression()),
        ("bob", make_pipeline(StandardScaler(), GaussianNB())),
        ("carol", "drop"),
    ]
    for shown in (distiller(estimators), distiller(estimators).fit(X, y)):
        html = estimator_html_repr(shown)
        for text in ("alice", "bob", "carol", "LogisticRegression", "GaussianNB"):
            assert text in html
    assert "CooperativeDistiller" in estimator_html_repr(CooperativeDistiller([]))


def test_repr():
    shown = "".join(repr(distiller(alpha=0.7, cv=5, random_state=None)).split())
    assert shown == (
        "CooperativeDistiller(alpha=0.7,estimators=[('linear',LogisticRegression()),"
        "('tree',DecisionTreeClassifier(max_depth=3))],n_rounds=1)"
    )
    assert repr(CooperativeDistiller(None)) == "CooperativeDistiller(estimators=None)"


# Parameters


def test_get_params():
    model = distiller(combine=LogisticRegression(C=3.0))
    shallow, deep = model.get_params(deep=False), model.get_params()
    assert set(shallow) == {
        "estimators",
        "counterfactuals",
        "alpha",
        "features_to_vary",
        "permitted_range",
        "categorical_features",
        "n_rounds",
        "silo_column",
        "silo_members",
        "private_columns",
        "min_distance",
        "cv",
        "accept",
        "scoring",
        "combine",
        "max_lessons",
        "n_jobs",
        "random_state",
        "verbose",
    }
    assert deep["tree"] is model.estimators[1][1]
    assert deep["tree__max_depth"] == 3
    assert deep["combine__C"] == 3.0
    assert set(shallow) < set(deep)


def test_set_params():
    model = distiller()
    handed_in = model.estimators
    bayes = GaussianNB()
    assert model.set_params(tree=bayes, linear__C=0.25, alpha=0.75) is model
    assert model.get_params()["tree"] is bayes
    assert model.named_estimators["tree"] is bayes
    assert model.get_params()["linear__C"] == 0.25
    assert model.alpha == 0.75
    assert isinstance(handed_in[1][1], DecisionTreeClassifier)
    fitted = model.fit(X, y)
    assert isinstance(fitted.named_estimators_["tree"], GaussianNB)
    model.set_params(estimators=members(), tree__max_depth=1)
    assert model.get_params()["tree__max_depth"] == 1
    with pytest.raises(ValueError, match="no_such_member"):
        model.set_params(no_such_member__C=1)


def test_set_params_drops_a_member():
    estimators = [*members(), ("bayes", GaussianNB())]
    dropped = distiller(estimators).set_params(bayes="drop").fit(X, y)
    assert_same_fit(dropped, distiller().fit(X, y))
    assert dropped.named_estimators_["bayes"] == "drop"
    assert len(dropped.estimators_) == 2
    assert len(dropped.get_feature_names_out()) == 4
    dropped.set_params(linear="drop", tree="drop")
    with pytest.raises(ValueError, match="All estimators are dropped"):
        dropped.fit(X, y)


@pytest.mark.parametrize(
    ("estimators", "message"),
    [
        ([("a__b", GaussianNB())], "__"),
        ([("alpha", GaussianNB())], "alpha"),
        ([("a", GaussianNB()), ("a", GaussianNB())], "not unique"),
    ],
)
def test_names_that_set_params_could_not_tell_apart(estimators, message):
    with pytest.raises(ValueError, match=message):
        distiller(estimators).fit(X, y)


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("name", ["splitter", "owner", "keys"])
def test_any_other_name_is_a_name(name, routing):
    with config_context(enable_metadata_routing=routing):
        passed = {"sample_weight": weights}
        weighted = Recorder()
        if routing:
            weighted.set_fit_request(sample_weight=True)
            passed["groups"] = np.arange(N) // 8
        pair = [("linear", clone(weighted)), (name, clone(weighted))]
        cv = GroupKFold(2) if routing else 2
        fitted = distiller(pair, combine="soft", cv=cv).fit(X, y, **passed)
    np.testing.assert_array_equal(fitted.initial_estimators_[1].weights_, weights)
    assert fitted.named_estimators_[name] is fitted.estimators_[1]


# Weights and metadata


def test_weights_reach_all_who_take_them():
    piped = make_pipeline(StandardScaler(), Recorder())
    near = KNeighborsClassifier()
    estimators = [("plain", Recorder()), ("piped", piped), ("near", near)]
    with pytest.warns(UserWarning, match=r"\['near'\] do not take sample_weight"):
        fitted = distiller(estimators).fit(X, y, sample_weight=weights)
    plain, piped = fitted.initial_estimators_[0], fitted.initial_estimators_[1][-1]
    np.testing.assert_array_equal(plain.weights_, weights)
    np.testing.assert_array_equal(piped.weights_, weights)


def test_lessons_weigh_as_much_as_their_rows():
    fitted = distiller(members(Recorder()), accept=None)
    fitted.fit(X, y, sample_weight=weights)
    kept = fitted.lessons_.query("kept and student == 'linear'")
    assert len(kept)
    used = fitted.estimators_[0].weights_
    np.testing.assert_array_equal(used[:N], weights)
    np.testing.assert_array_equal(
        np.sort(used[N:]), np.sort(weights[kept["source_row"]])
    )


def test_weights_by_request():
    other = weights[::-1].copy()
    with config_context(enable_metadata_routing=True):
        estimators = [
            ("wants", Recorder().set_fit_request(sample_weight=True)),
            ("refuses", Recorder().set_fit_request(sample_weight=False)),
            ("renames", Recorder().set_fit_request(sample_weight="other")),
        ]
        fitted = distiller(estimators).fit(X, y, sample_weight=weights, other=other)
    wants, refuses, renames = fitted.initial_estimators_
    np.testing.assert_array_equal(wants.weights_, weights)
    assert refuses.weights_ is None
    np.testing.assert_array_equal(renames.weights_, other)


def test_routing_does_not_use_up_splits_that_are_given():
    with config_context(enable_metadata_routing=True):
        recorder = Recorder().set_fit_request(sample_weight=True)
        model = distiller([("a", recorder), ("b", clone(recorder))])
        model.set_params(cv=KFold(3).split(X)).fit(X, y, sample_weight=weights)
        whole = distiller([("a", recorder), ("b", clone(recorder))])
        whole.set_params(cv=KFold(3)).fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(model.transform(X), whole.transform(X))


def test_weights_of_silos_by_request():
    with config_context(enable_metadata_routing=True):
        estimators = members(Recorder().set_fit_request(sample_weight=True))
        estimators[1][1].set_fit_request(sample_weight=False)
        model = distiller(estimators).set_fit_request(silos=True, sample_weight=True)
        model.set_score_request(sample_weight=True)
        search = GridSearchCV(model, {"alpha": [0.5]}, cv=2, error_score="raise")
        search.fit(X, y, silos=silos, sample_weight=weights)
    np.testing.assert_array_equal(
        search.best_estimator_.initial_estimators_[0].weights_,
        weights[silos == "linear"],
    )


def test_weights_that_nobody_asked_for_or_refused():
    with config_context(enable_metadata_routing=True):
        model = distiller(members(Recorder().set_fit_request(sample_weight=True)))
        with pytest.raises(UnsetMetadataPassedError, match="DecisionTreeClassifier"):
            model.fit(X, y, sample_weight=weights)


def test_unknown_metadata():
    with pytest.raises(ValueError, match="enable_metadata_routing"):
        distiller().fit(X, y, groups=np.arange(N))
    with (
        config_context(enable_metadata_routing=True),
        pytest.raises(TypeError, match="nonsense"),
    ):
        distiller().fit(X, y, nonsense=np.arange(N))


def test_metadata_routing_before_fit():
    estimators = [*members(), ("gone", "drop")]
    with config_context(enable_metadata_routing=True):
        estimators[0][1].set_fit_request(sample_weight=True)
        routing = distiller(estimators, cv=GroupKFold(3)).get_metadata_routing()
    assert routing.consumes("fit", ["sample_weight", "groups", "silos", "gone"]) == {
        "sample_weight",
        "groups",
    }
    assert "gone" not in repr(routing)
    assert "'groups': True" in repr(routing)


def test_groups_reach_the_splitter():
    groups = np.random.RandomState(0).randint(12, size=N)
    folds = list(GroupKFold(3).split(X, y, groups))
    with config_context(enable_metadata_routing=True):
        routed = distiller(cv=GroupKFold(3)).fit(X, y, groups=groups)
    assert_same_fit(routed, distiller(cv=folds).fit(X, y))
    with pytest.raises(ValueError, match="groups"):
        distiller(cv=GroupKFold(3)).fit(X, y)


FINAL = {
    "plain": Recorder(),
    "pipeline": make_pipeline(StandardScaler(), Recorder()),
}


@pytest.mark.parametrize("final", FINAL.values(), ids=FINAL)
def test_weights_reach_the_final_estimator(final):
    fitted = distiller(combine=final).fit(X, y, sample_weight=weights)
    last = fitted.final_estimator_
    last = last[-1] if isinstance(last, Pipeline) else last
    np.testing.assert_array_equal(last.weights_, weights)


def test_weights_reach_a_final_pipeline_whatever_is_routed():
    final = make_pipeline(StandardScaler(), LogisticRegression())
    plain = [
        ("linear", LogisticRegression()),
        ("tree", DecisionTreeClassifier(max_depth=2)),
    ]
    params = {"combine": final, "random_state": 0, "n_rounds": 1, "cv": 3}
    expected = CooperativeDistiller(plain, **params).fit(X, y, sample_weight=weights)
    with config_context(enable_metadata_routing=True):
        asking = [
            (name, model.set_fit_request(sample_weight=True)) for name, model in plain
        ]
        routed = CooperativeDistiller(asking, **params)
        routed.fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(routed.predict_proba(X), expected.predict_proba(X))


@pytest.mark.filterwarnings("ignore:.*sample_weight")
def test_final_estimator_that_takes_no_weights():
    fitted = distiller(combine=KNeighborsClassifier()).fit(X, y, sample_weight=weights)
    assert set(fitted.predict(X)) == {"no", "yes"}


@pytest.mark.parametrize(
    "final", [LinearRegression(), StandardScaler(), LogisticRegression]
)
def test_final_estimator_must_be_a_classifier(final):
    with pytest.raises((ValueError, TypeError), match="combine"):
        distiller(combine=final).fit(X, _codes)


def test_final_estimator_is_a_copy():
    final = LogisticRegression(C=0.5)
    fitted = distiller(combine=final).fit(X, y)
    assert not hasattr(final, "coef_")
    assert fitted.final_estimator_.C == 0.5
    assert fitted.set_params(combine="soft").fit(X, y).final_estimator_ is None


# Reproducible, and nothing left over


@functools.cache
def trio_without_jobs():
    return distiller(trio(), n_rounds=2).fit(X, y)


def trio():
    return [*members(), ("forest", RandomForestClassifier(3))]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_jobs_change_nothing(n_jobs):
    fitted = distiller(trio(), n_rounds=2, n_jobs=n_jobs).fit(X, y)
    assert_same_fit(trio_without_jobs(), fitted)


def test_threads_change_nothing():
    with joblib.parallel_config(backend="threading", n_jobs=2):
        fitted = distiller(trio(), n_rounds=2).fit(X, y)
    assert_same_fit(trio_without_jobs(), fitted)


def test_one_seed_for_all():
    """A member without a seed gets one; a member with a seed keeps it."""
    forest = RandomForestClassifier(3)
    seeded = RandomForestClassifier(3, random_state=7)
    pair = [("forest", forest), ("seeded", seeded)]
    first, second = distiller(pair).fit(X, y), distiller(pair).fit(X, y)
    assert_same_fit(first, second)
    assert forest.random_state is None
    assert first.named_estimators_["forest"].random_state is not None
    assert first.named_estimators_["seeded"].random_state == 7
    other = distiller(pair, random_state=1).fit(X, y)
    assert not other.lessons_.equals(first.lessons_)


def test_no_seed_means_another_result():
    forests = [("a", RandomForestClassifier(3)), ("b", RandomForestClassifier(3))]
    first, second = (distiller(forests, random_state=None).fit(X, y) for _ in range(2))
    assert not np.array_equal(first.predict_proba(X), second.predict_proba(X))


def test_global_random_state_is_left_alone():
    before = np.random.get_state()[1].copy()
    distiller().fit(X, y).predict(X)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize(
    "index",
    [np.arange(N)[::-1], np.arange(N) % 7, [f"row {i}" for i in range(N)]],
    ids=["reversed", "repeated", "strings"],
)
def test_row_labels_mean_nothing(index):
    """Rows go together by their place, whatever pandas would align."""
    expected = distiller().fit(X, y, silos=silos, sample_weight=weights)
    labelled = distiller().fit(
        X.set_axis(index),
        pd.Series(y, index=index[::-1]),
        silos=pd.Series(silos, index=np.roll(index, 3)),
        sample_weight=pd.Series(weights, index=np.roll(index, 5)),
    )
    assert_same_fit(expected, labelled, rtol=1e-9)
    assert_close(expected.predict_proba(X), labelled.predict_proba(X.set_axis(index)))


def test_refit_forgets():
    three = np.array(["u", "v", "w"])[np.arange(N) % 3]
    used = distiller(combine="stack").fit(X, three)
    assert len(used.lessons_)
    rows = X.to_numpy()[:, :4]
    used.set_params(combine="soft", n_rounds=0).fit(rows, y)
    fresh = distiller(combine="soft", n_rounds=0).fit(rows, y)
    assert set(vars(used)) == set(vars(fresh))
    assert not hasattr(used, "feature_names_in_")
    assert used.n_features_in_ == 4
    assert not len(used.lessons_)
    np.testing.assert_array_equal(used.classes_, ["no", "yes"])
    np.testing.assert_array_equal(used.predict_proba(rows), fresh.predict_proba(rows))


def test_broken_refit_leaves_no_fit():
    used = distiller().fit(X, y)
    with pytest.raises(ValueError, match="no member's name"):
        used.fit(X, y, silos=np.repeat("nobody", N))
    with pytest.raises(NotFittedError):
        check_is_fitted(used)
    with pytest.raises(NotFittedError):
        used.predict(X)


def test_fit_leaves_its_arguments_alone():
    pair = members()
    handed_in = (X.copy(), y.copy(), silos.copy(), weights.copy())
    distiller(pair).fit(*handed_in[:2], silos=handed_in[2], sample_weight=handed_in[3])
    for given, before in zip(handed_in, (X, y, silos, weights), strict=True):
        np.testing.assert_array_equal(given, before)
    assert not any(hasattr(member, "classes_") for _, member in pair)


@pytest.mark.parametrize("attribute", ["lessons_", "history_"])
def test_tables_without_lines_look_like_tables_with_lines(attribute):
    """A notebook that selects and counts runs on both."""
    full = getattr(distiller(n_rounds=1).fit(X, y), attribute)
    empty = getattr(distiller(n_rounds=0).fit(X, y), attribute)
    assert len(full)
    assert not len(empty)
    assert list(empty.columns) == list(full.columns)
    pd.testing.assert_series_equal(empty.dtypes, full.dtypes)
    assert list(empty[empty["kept"] > 0]["student"]) == []


def test_verbose_prints_a_line_for_each_round(capsys):
    fitted = distiller(verbose=1).fit(X, y)
    first, *lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"\[CooperativeDistiller\] \d members fitted and judged, total=\d+\.\ds", first
    )
    assert len(lines) == fitted.history_["round"].max()
    assert lines[0].startswith("[CooperativeDistiller] round 1 of ")
    kept = fitted.lessons_["kept"].sum()
    end = rf", {kept} lessons kept so far, total=[\d.]+s, at most about 0\.0s to go"
    assert re.search(end + "$", lines[-1])
    distiller().fit(X, y)
    assert capsys.readouterr().out == ""
