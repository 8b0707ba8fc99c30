"""What members are judged by: scikit-learn's scores, and what a fit reports of them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    brier_score_loss,
    f1_score,
    log_loss,
    make_scorer,
    roc_auc_score,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from skcoop import CooperativeDistiller
from skcoop._members._scores import SHARES, Score, gains, standard_error
from skcoop._tables._task import make_task


def task_of(n_classes=2, n=90, n_folds=3, seed=0):
    draw = np.random.default_rng(seed)
    y = np.array(["a", "b", "c"])[
        draw.choice(n_classes, n, p=[0.7, 0.3, 0][:n_classes])
        if n_classes == 2
        else draw.choice(3, n)
    ]
    X = draw.normal(size=(n, 2))
    weights = draw.uniform(0.5, 3.0, n)
    task = make_task(X, y, np.arange(n) % n_folds, weights, np.arange(n))
    proba = draw.dirichlet(np.ones(n_classes), n)
    return task, proba


EVERY = np.ones(90, dtype=bool)


def scored(score, task, proba, rows, n_silos=3):
    """Score some rows, dealt to silos in no order."""
    silos = np.random.default_rng(1).integers(0, n_silos, len(rows))
    places = [np.flatnonzero(rows & (silos == s)) for s in range(n_silos)]
    return score.of([score.part(task.part(own), own, proba[own]) for own in places])


METRICS = {
    "accuracy": lambda t, p: accuracy_score(
        t.codes, p.argmax(axis=1), sample_weight=t.weights
    ),
    "balanced_accuracy": lambda t, p: balanced_accuracy_score(
        t.codes, p.argmax(axis=1), sample_weight=t.weights
    ),
    "neg_log_loss": lambda t, p: -log_loss(t.codes, p, sample_weight=t.weights),
}


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_sums_over_rows_are_the_scores_of_scikit_learn(name, n_classes):
    task, proba = task_of(n_classes)
    expected = METRICS[name](task, proba)
    scores = scored(Score(name), task, proba, EVERY)
    assert scores.values.shape == (3,)
    np.testing.assert_allclose(scores.total, expected)


def test_brier_score():
    task, proba = task_of(2)
    expected = -brier_score_loss(task.codes, proba[:, 1], sample_weight=task.weights)
    np.testing.assert_allclose(
        scored(Score("neg_brier_score"), task, proba, EVERY).total, expected
    )


def test_default_is_balanced_by_class_among_the_rows_that_judge():
    task, proba = task_of(3)
    rows = np.arange(90) < 50
    assert Score().name == "balanced_accuracy"
    np.testing.assert_allclose(
        scored(Score(), task, proba, rows).total,
        balanced_accuracy_score(
            task.codes[rows],
            proba[rows].argmax(axis=1),
            sample_weight=task.weights[:50],
        ),
    )


def test_other_scores_are_means_over_the_folds():
    task, proba = task_of(2)
    by_fold = [
        roc_auc_score(
            task.codes[rows], proba[rows, 1], sample_weight=task.weights[rows]
        )
        for rows in (task.folds == fold for fold in range(3))
    ]
    scores = scored(Score("roc_auc"), task, proba, EVERY)
    np.testing.assert_allclose(scores.values, np.array(by_fold) / 3)
    np.testing.assert_allclose(scores.total, np.mean(by_fold))
    assert scores.failures == []


def test_a_fold_of_one_class_does_not_judge():
    task, proba = task_of(2)
    rows = ~((task.folds == 1) & (task.codes == 1))
    before = scored(Score("roc_auc"), task, proba, rows)
    assert len(before.failures) == 1
    assert np.isnan(before.values).tolist() == [False, True, False]
    after = scored(Score("roc_auc"), task, np.eye(2)[task.codes], rows)
    np.testing.assert_allclose(after.total, 1.0)
    gained = gains(before, after)
    assert np.isnan(gained).tolist() == [False, True, False]
    np.testing.assert_allclose(
        standard_error(gained), np.sqrt(gained[0] ** 2 + gained[2] ** 2)
    )


def test_scorers_see_rows_labels_and_predictions():
    seen = []

    def scorer(estimator, X, y):
        seen.append((X, y))
        assert estimator.classes_.tolist() == ["a", "b"]
        np.testing.assert_array_equal(
            estimator.predict(X),
            estimator.classes_[estimator.predict_proba(X).argmax(axis=1)],
        )
        return float((estimator.predict(X) == y).mean())

    task, proba = task_of(2)
    task.weights[:] = 1.0
    score = Score(scorer)
    assert score.name == "scorer"
    assert score.name not in SHARES
    total = scored(score, task, proba, EVERY).total
    np.testing.assert_allclose(total, (proba.argmax(axis=1) == task.codes).mean())
    for fold, (X, y) in enumerate(seen):
        np.testing.assert_array_equal(X, task.X[task.folds == fold])
        np.testing.assert_array_equal(y, task.y[task.folds == fold])


def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    X = X[::2, :6] + np.random.default_rng(0).normal(0, X[:, :6].std(axis=0), (285, 6))
    return X, np.array(["ill", "well"])[y[::2]]


def fit(**params):
    X, y = cancer()
    members = [
        ("tree", DecisionTreeClassifier(max_depth=8)),
        ("bayes", GaussianNB()),
        ("linear", LogisticRegression(max_iter=5000)),
    ]
    silos = np.array(["tree", "bayes", "linear"])[np.digitize(X[:, 0], [12, 16])]
    params = {"cv": 3, "random_state": 0, **params}
    return CooperativeDistiller(members, **params).fit(X, y, silos=silos)


F1 = make_scorer(f1_score, pos_label="ill")


@pytest.mark.parametrize(
    ("scoring", "name"),
    [
        (None, "balanced_accuracy"),
        ("accuracy", "accuracy"),
        ("neg_log_loss", "neg_log_loss"),
        ("roc_auc", "roc_auc"),
        (F1, "f1_score"),
    ],
)
def test_the_score_is_named_and_decides(scoring, name):
    model = fit(scoring=scoring)
    assert model.scores_.columns.name == model.gains_.columns.name == name
    assert list(model.gains_.index) == ["tree", "bayes", "linear", "combined"]
    np.testing.assert_allclose(
        model.gains_["gain"], model.gains_["after"] - model.gains_["before"]
    )
    np.testing.assert_allclose(
        model.gains_["before"].iloc[:3], model.scores_.iloc[0], atol=1e-12
    )
    judged = model.history_[model.history_["score_after"].notna()]
    gained = judged["score_after"] - judged["score_before"]
    clear = gained > judged["standard_error"] + 1e-9
    assert (clear == judged["accepted"]).all()
    refused = judged[~judged["accepted"]]
    assert (refused["reason"] != "").all()
    assert (judged.loc[judged["accepted"], "reason"] == "").all()
    words = name.replace("_", " ")
    page = model.report_._repr_html_()
    assert words in page


def test_a_refusal_says_what_it_lacked():
    history = fit(n_rounds=3).history_
    refused = history[(history["taught"] > 0) & ~history["accepted"]]
    assert len(refused)
    for _, line in refused.iterrows():
        gain = line["score_after"] - line["score_before"]
        if gain > 0:
            assert f"{gain:.4f}" in line["reason"]
            assert f"{line['standard_error']:.4f}" in line["reason"]
        else:
            assert line["reason"] == "no gain"


def test_score_that_cannot_be_computed_is_an_error_before_anybody_is_taught():
    with pytest.raises(ValueError, match=r"scoring='f1' gives no score .*'tree'"):
        fit(scoring="f1")  # which takes 1 for the positive label


@pytest.mark.parametrize("scoring", ["no_such_score", 3, {"a": "accuracy"}])
def test_no_scorers(scoring):
    with pytest.raises(ValueError, match="'scoring' parameter"):
        fit(scoring=scoring)


def test_nobody_judged():
    model = fit(accept=None, combine="soft")
    taught = set(model.lessons_["student"])
    assert taught
    assert model.gains_.loc[sorted(taught), "gain"].isna().all()
    assert np.isnan(model.gains_.loc["combined", "gain"])
    assert model.gains_["before"].notna().all()


def test_without_rounds_nothing_is_gained():
    model = fit(n_rounds=0)
    assert (model.gains_["gain"] == 0).all()
    X, y = load_iris(return_X_y=True)
    members = [("a", GaussianNB()), ("combined", DecisionTreeClassifier())]
    table = CooperativeDistiller(members, n_rounds=0, random_state=0).fit(X, y).gains_
    assert list(table.index) == ["a", "combined", "combined"]
    assert isinstance(table, pd.DataFrame)
