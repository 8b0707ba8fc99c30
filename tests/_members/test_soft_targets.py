"""Probabilities as targets: what they must equal, for each way of fitting them."""

import numpy as np
import pytest
from sklearn import config_context, get_config
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import (
    KNeighborsClassifier,
    NeighborhoodComponentsAnalysis,
    RadiusNeighborsClassifier,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skcoop._members._soft_targets import drawn_labels, fit_soft

X, y = make_classification(
    n_samples=120, n_features=5, n_informative=4, n_redundant=0, n_classes=3,
    random_state=0,
)  # fmt: skip
CLASSES = np.array(["high", "low", "middle"])
LABELS = np.eye(3)[y]
draw = np.random.default_rng(0)
SOFT = draw.dirichlet(np.ones(3), len(y))
WEIGHTS = draw.uniform(0.5, 2.0, len(y))

ALL = [
    LogisticRegression(),
    DecisionTreeClassifier(random_state=0),
    RandomForestClassifier(10, random_state=0),
    GaussianNB(),
    KNeighborsClassifier(),
    LinearDiscriminantAnalysis(),
    make_pipeline(StandardScaler(), LogisticRegression()),
    make_pipeline(StandardScaler(), KNeighborsClassifier(3)),
    make_pipeline(StandardScaler(), LinearDiscriminantAnalysis()),
]


@pytest.mark.parametrize("estimator", ALL, ids=str)
def test_certain_targets_are_labels(estimator):
    soft = fit_soft(estimator, X, LABELS, CLASSES)
    bare = clone(estimator).fit(X, CLASSES[y])
    assert type(soft) is type(bare)
    np.testing.assert_array_equal(soft.predict_proba(X), bare.predict_proba(X))
    np.testing.assert_array_equal(soft.classes_, bare.classes_)


@pytest.mark.parametrize("estimator", ALL, ids=str)
def test_soft_targets_are_followed_and_the_classifier_left_alone(estimator):
    params = estimator.get_params()
    soft = fit_soft(estimator, X, 0.7 * LABELS + 0.1, CLASSES, seed=3)
    assert estimator.get_params().keys() == params.keys()
    assert not hasattr(estimator, "classes_")
    np.testing.assert_array_equal(soft.classes_, CLASSES)
    proba = soft.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert (soft.predict(X) == CLASSES[y]).mean() > 0.6
    again = fit_soft(estimator, X, 0.7 * LABELS + 0.1, CLASSES, seed=3)
    np.testing.assert_array_equal(again.predict_proba(X), proba)


def test_logistic_regression_minimises_the_expected_loss():
    """Repeated rows give the solution of the soft cross-entropy itself."""
    soft = fit_soft(LogisticRegression(tol=1e-10, max_iter=5000), X, SOFT, CLASSES)
    proba = soft.predict_proba(X)
    # At the optimum the gradient of loss and ridge is zero, for each class.
    gradient = (proba - SOFT).T @ X + soft.coef_ / soft.C
    np.testing.assert_allclose(gradient, 0, atol=1e-4)
    np.testing.assert_allclose((proba - SOFT).sum(axis=0), 0, atol=1e-4)


def test_logistic_regression_on_repeated_rows_is_the_weighted_one():
    weighted = fit_soft(
        LogisticRegression(tol=1e-10, max_iter=5000), X, SOFT, CLASSES, weights=WEIGHTS
    )
    by_hand = LogisticRegression(tol=1e-10, max_iter=5000).fit(
        np.repeat(X, 3, axis=0),
        np.tile(CLASSES, len(X)),
        (SOFT * WEIGHTS[:, None]).ravel(),
    )
    np.testing.assert_allclose(weighted.coef_, by_hand.coef_, atol=1e-6)


def test_weights_reach_a_pipeline_with_metadata_routing_as_without():
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    expected = fit_soft(pipeline, X, SOFT, CLASSES).predict_proba(X)
    with config_context(enable_metadata_routing=True):
        routed = fit_soft(pipeline, X, SOFT, CLASSES)
    np.testing.assert_array_equal(routed.predict_proba(X), expected)


def test_tree_leaves_hold_the_mean_targets_of_their_rows():
    tree = fit_soft(
        DecisionTreeClassifier(max_depth=3, random_state=0), X, SOFT, CLASSES
    )
    leaves, proba = tree.apply(X), tree.predict_proba(X)
    assert len(np.unique(leaves)) > 4
    for leaf in np.unique(leaves):
        mean = SOFT[leaves == leaf].mean(axis=0)
        np.testing.assert_allclose(
            proba[leaves == leaf], np.tile(mean, (sum(leaves == leaf), 1))
        )


@pytest.mark.parametrize("scaled", [False, True])
def test_neighbours_average_probabilities(scaled):
    steps = [StandardScaler()] if scaled else []
    model = make_pipeline(*steps, KNeighborsClassifier(4))
    soft = fit_soft(model, X, SOFT, CLASSES)
    bare = clone(model).fit(X, y)
    place = bare[:-1].transform(X) if scaled else X
    nearest = bare[-1].kneighbors(place, return_distance=False)
    np.testing.assert_allclose(soft.predict_proba(X), SOFT[nearest].mean(axis=1))


def test_neighbours_nobody_near():
    far = RadiusNeighborsClassifier(radius=1e-6)
    with pytest.warns(UserWarning, match="no neighbor"):
        soft = fit_soft(far, X, SOFT, CLASSES).predict_proba(X + 100.0)
    np.testing.assert_allclose(soft, 1 / 3)


def test_neighbours_with_a_label_for_what_is_far():
    far = RadiusNeighborsClassifier(radius=1e-6, outlier_label=CLASSES[2])
    soft = fit_soft(far, X, SOFT, CLASSES)
    assert set(soft.predict(X + 100.0)) == {CLASSES[2]}


def test_draws_keep_the_proportions():
    rows, codes = drawn_labels(SOFT, np.ones(len(SOFT)), seed=0)
    assert (np.bincount(rows) == 10).all()
    shares = np.zeros_like(SOFT)
    np.add.at(shares, (rows, codes), 0.1)
    assert np.abs(shares - SOFT).max() < 0.1 + 1e-9
    # Unbiased: the rounding has no favourites.
    mean = np.mean(
        [
            np.bincount(drawn_labels(SOFT, np.ones(len(SOFT)), seed=s)[1], minlength=3)
            for s in range(50)
        ],
        axis=0,
    )
    np.testing.assert_allclose(mean, SOFT.sum(axis=0) * 10, rtol=0.01)


def test_draws_follow_weights():
    weights = np.where(np.arange(len(SOFT)) < 20, 4.0, 1.0)
    rows, _ = drawn_labels(SOFT, weights, seed=0)
    counts = np.bincount(rows, minlength=len(SOFT))
    assert counts[:20].sum() / counts[20:].sum() == pytest.approx(80 / 100, rel=0.05)


@pytest.mark.parametrize(
    "estimator", [LogisticRegression(), LinearDiscriminantAnalysis()], ids=str
)
def test_rows_and_classes_without_weight_are_left_out(estimator):
    weights = np.where(y == 1, 0.0, 1.0)
    targets = np.where(y[:, None] == 1, SOFT, LABELS)
    soft = fit_soft(estimator, X, targets, CLASSES, weights=weights)
    bare = clone(estimator).fit(X[y != 1], CLASSES[y[y != 1]])
    np.testing.assert_array_equal(soft.classes_, ["high", "middle"])
    np.testing.assert_allclose(soft.predict_proba(X), bare.predict_proba(X))


def test_one_class():
    targets = np.tile([0.0, 1.0, 0.0], (len(X), 1))
    model = fit_soft(LogisticRegression(), X, targets, CLASSES)
    assert (model.predict(X) == "low").all()


def test_weights_reach_a_pipeline_with_metadata_routing_enabled():
    model = make_pipeline(StandardScaler(), LogisticRegression())
    plain = fit_soft(model, X, SOFT, CLASSES)
    with config_context(enable_metadata_routing=True):
        routed = fit_soft(model, X, SOFT, CLASSES)
        assert get_config()["enable_metadata_routing"]
    np.testing.assert_array_equal(routed.predict_proba(X), plain.predict_proba(X))


def test_open_seeds_are_set():
    forest = RandomForestClassifier(5)
    first, second = (fit_soft(forest, X, SOFT, CLASSES, seed=7) for _ in range(2))
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    assert forest.random_state is None


NO_WEIGHTS = LinearDiscriminantAnalysis()


@pytest.mark.parametrize(
    "estimator",
    [
        CalibratedClassifierCV(NO_WEIGHTS, cv=3),
        make_pipeline(StandardScaler(), CalibratedClassifierCV(NO_WEIGHTS, cv=3)),
        # Calibration hands no weights through a pipeline.
        CalibratedClassifierCV(make_pipeline(StandardScaler(), GaussianNB()), cv=3),
        BaggingClassifier(NO_WEIGHTS, 5),
        VotingClassifier([("a", NO_WEIGHTS), ("b", GaussianNB())], voting="soft"),
        StackingClassifier([("a", GaussianNB())], KNeighborsClassifier(), cv=3),
    ],
    ids=str,
)
def test_weights_that_would_not_arrive_become_labels(estimator):
    """Half of them would take each row for one of every class."""
    soft = fit_soft(estimator, X, 0.7 * LABELS + 0.1, CLASSES)
    bare = clone(estimator).fit(X, CLASSES[y])
    right = (soft.predict(X) == CLASSES[y]).mean()
    assert right > (bare.predict(X) == CLASSES[y]).mean() - 0.1


@pytest.mark.parametrize(
    "estimator", [CalibratedClassifierCV(GaussianNB(), cv=3), AdaBoostClassifier()]
)
def test_weights_arrive_where_all_take_them(estimator):
    """Labels are drawn by the seed; here nothing is drawn."""
    first, second = (
        fit_soft(clone(estimator), X, SOFT, CLASSES, weights=WEIGHTS, seed=seed)
        for seed in (0, 1)
    )
    np.testing.assert_allclose(first.predict_proba(X), second.predict_proba(X))


@pytest.mark.parametrize(
    "estimator",
    [
        DecisionTreeClassifier(max_depth=3, class_weight="balanced", random_state=0),
        HistGradientBoostingClassifier(max_iter=20, class_weight="balanced"),
        RidgeClassifier(class_weight="balanced"),
        RandomForestClassifier(
            20, max_depth=3, class_weight="balanced_subsample", random_state=0
        ),
        make_pipeline(StandardScaler(), RidgeClassifier(class_weight="balanced")),
        BaggingClassifier(
            DecisionTreeClassifier(max_depth=3, class_weight="balanced"), random_state=0
        ),
    ],
    ids=str,
)
def test_balanced_classes_stay_balanced(estimator):
    """Each class has as many rows once there is a row for each class."""
    draw = np.random.default_rng(1)
    rare = (draw.random(600) < 0.1).astype(int)
    table = draw.normal(size=(600, 2)) + rare[:, None]
    targets = 0.96 * np.eye(2)[rare] + 0.02
    soft = fit_soft(estimator, table, targets, np.arange(2)).predict(table)
    bare = clone(estimator).fit(table, rare).predict(table)
    found, expected = soft[rare == 1].mean(), bare[rare == 1].mean()
    assert expected > 0.6
    assert found > expected - 0.15


class Weighed(LogisticRegression):
    """Keeps the total weight of each class that it was fitted with."""

    def fit(self, X, y, sample_weight=None):
        _, codes = np.unique(y, return_inverse=True)
        self.totals_ = np.bincount(codes, sample_weight)
        return super().fit(X, y, sample_weight)


def test_balancing_keeps_the_total_weight():
    """A penalty of the coefficients weighs against it."""
    for model in (
        Weighed(class_weight="balanced"),
        make_pipeline(StandardScaler(), Weighed(class_weight="balanced")),
    ):
        soft = fit_soft(model, X, SOFT, CLASSES, weights=WEIGHTS)
        last = soft[-1] if hasattr(soft, "steps") else soft
        np.testing.assert_allclose(last.totals_, WEIGHTS.sum() / 3)


@pytest.mark.parametrize(
    "before", [SelectKBest(k=3), NeighborhoodComponentsAnalysis(random_state=0)]
)
def test_neighbours_behind_a_step_that_needs_labels(before):
    model = make_pipeline(before, KNeighborsClassifier(5))
    soft = fit_soft(model, X, 0.7 * LABELS + 0.1, CLASSES)
    seen = clone(before).fit(X, CLASSES[y]).transform(X)
    _, near = KNeighborsClassifier(5).fit(seen, y).kneighbors(seen)
    expected = (0.7 * LABELS + 0.1)[near].mean(axis=1)
    np.testing.assert_allclose(soft.predict_proba(X), expected)


def test_draws_of_a_single_class():
    """No draw need fall to a class that is next to impossible everywhere."""
    targets = np.column_stack([np.full(9, 0.9999), np.full(9, 0.0001)])
    model = fit_soft(NO_WEIGHTS, X[:9], targets, CLASSES[:2])
    np.testing.assert_array_equal(model.classes_, CLASSES[:1])
    np.testing.assert_array_equal(model.predict(X), CLASSES[:1].repeat(len(X)))
