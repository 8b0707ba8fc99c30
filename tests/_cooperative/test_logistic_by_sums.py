"""The default final estimator over silos: sums of each, the same as pooled rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from skcoop import CooperativeDistiller
from skcoop._cooperative import _combined, _silo
from skcoop._cooperative._combine import stacked
from skcoop._cooperative._logistic_by_sums import (
    added,
    as_classifier,
    loss_sums,
    newton,
)


def by_sums(X, y, weights, silos, n_classes):
    own = [
        (X[silos == s], y[silos == s], weights[silos == s]) for s in np.unique(silos)
    ]

    def ask(asked):
        return {k: added(loss_sums(*rows, W) for rows in own) for k, W in asked.items()}

    return as_classifier(newton(ask, X.shape[1], [n_classes])[0], np.unique(y))


def exactly(X, y, weights):
    model = LogisticRegression(solver="newton-cg", tol=1e-12, max_iter=10_000)
    return model.fit(X, y, weights)


TABLES = {
    "two classes": lambda: load_breast_cancer(return_X_y=True),
    "three classes": lambda: load_iris(return_X_y=True),
    "separable": lambda: (np.repeat(np.eye(2), 40, axis=0), np.repeat([0, 1], 40)),
    "nothing to learn": lambda: (np.ones((60, 2)), np.arange(60) % 3),
    "one column": lambda: (np.linspace(0, 1, 30)[:, None], np.arange(30) // 12),
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_lead_to_what_pooled_rows_give(name, weighted):
    X, y = TABLES[name]()
    rng = np.random.default_rng(0)
    X = X / np.abs(X).max(axis=0)  # as probabilities are
    weights = rng.uniform(0.1, 3.0, len(y)) if weighted else np.ones(len(y))
    silos = rng.integers(0, 4, len(y))
    model = by_sums(X, y, weights, silos, len(np.unique(y)))
    pooled = exactly(X, y, weights)
    assert_allclose(model.predict_proba(X), pooled.predict_proba(X), atol=1e-8)
    assert_allclose(model.coef_, pooled.coef_, atol=1e-6)


def test_a_silo_may_lack_a_class():
    X, y = load_iris(return_X_y=True)
    model = by_sums(X / 8, y, np.ones(150), y, 3)  # one class in each silo
    assert_allclose(
        model.predict_proba(X), exactly(X / 8, y, np.ones(150)).predict_proba(X)
    )


def test_models_are_found_side_by_side_as_alone():
    X, y = load_iris(return_X_y=True)
    X, asked = X / 8, []

    def ask(W):
        asked.append(sorted(W))
        sums = {0: (X, y), 1: (X[::2], y[::2]), 2: (X[50:], y[50:] - 1)}
        return {
            k: loss_sums(*sums[k], np.ones(len(sums[k][1])), own)
            for k, own in W.items()
        }

    together = newton(ask, 4, [3, 3, 2])
    assert asked[0] == [0, 1, 2]
    for k, n_classes in enumerate([3, 3, 2]):
        alone = newton(lambda W, k=k: {0: ask({k: W[0]})[k]}, 4, [n_classes])[0]
        assert_array_equal(together[k], alone)


def test_derivatives_are_those_of_the_loss():
    rng = np.random.default_rng(0)
    for n_classes, n_outputs in ((2, 1), (3, 3)):
        F, codes = rng.normal(size=(30, 2)), rng.integers(0, n_classes, 30)
        weights, W = rng.uniform(size=30), rng.normal(size=(n_outputs, 3))
        here = loss_sums(F, codes, weights, W)
        for k, step in enumerate(1e-6 * np.eye(W.size)):
            there = loss_sums(F, codes, weights, W + step.reshape(W.shape))
            slope = (there.loss - here.loss) / 1e-6
            assert slope == pytest.approx(here.gradient[k], abs=1e-4)
            bend = (there.gradient - here.gradient) / 1e-6
            assert_allclose(bend, here.hessian[k], atol=1e-4)


def members():
    return [
        ("a", LogisticRegression(max_iter=1000)),
        ("b", DecisionTreeClassifier(max_depth=3)),
    ]


@pytest.mark.parametrize("n_classes", [2, 3])
def test_final_estimator_over_silos_sees_one_silo_at_a_time(n_classes, monkeypatch):
    X, y = load_iris(return_X_y=True)
    rng = np.random.default_rng(0)
    X = X + rng.normal(scale=1.5, size=X.shape)
    X, y = X[y < n_classes], y[y < n_classes]
    silos = np.where(np.arange(len(y)) % 3, "a", "b")
    seen = []

    def counted(F, codes, weights, W):
        seen.append(len(F))
        return loss_sums(F, codes, weights, W)

    monkeypatch.setattr(_silo, "loss_sums", counted)
    model = CooperativeDistiller(members(), n_rounds=0, cv=3, random_state=0)
    model.fit(X, y, silos=silos)
    assert max(seen) == (silos == "a").sum()
    final = model.final_estimator_
    assert isinstance(final, LogisticRegression)
    assert_array_equal(final.classes_, np.arange(n_classes))
    proba = np.array([m.predict_proba(X) for m in model.estimators_])
    assert_allclose(model.predict_proba(X), final.predict_proba(stacked(proba)))


def test_a_single_table_has_the_final_estimator_that_it_had(monkeypatch):
    monkeypatch.setattr(_combined, "newton", None)
    X, y = load_iris(return_X_y=True)
    model = CooperativeDistiller(members(), n_rounds=0, random_state=0).fit(X, y)
    # scikit-learn counts its own iterations.
    assert model.final_estimator_.n_iter_.min() >= 1
