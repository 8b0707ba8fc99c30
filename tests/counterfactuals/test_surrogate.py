"""The guess at a teacher's log-odds is a good one where it can be."""

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge

from skcoop._tables._codec import TableCodec
from skcoop._tables._distances import RowMetric
from skcoop.counterfactuals._surrogate import LogOddsModel


def model_of(X, teacher, coded=None, columns=None):
    coded = np.zeros(X.shape[1], dtype=bool) if coded is None else np.array(coded)
    columns = np.arange(X.shape[1]) if columns is None else np.array(columns)
    metric = RowMetric(TableCodec(X), X, coded)
    return LogOddsModel(metric, X, teacher(X).T, columns)


def test_recovers_a_linear_teacher():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 4)) * [1, 10, 100, 1]
    y = (X @ [1, 0.1, -0.005, 0] + rng.normal(size=500) > 0).astype(int)
    teacher = LogisticRegression(max_iter=5000).fit(X, y)
    guess = model_of(X, teacher.predict_proba)
    first, second = X[:100], X[100:200]
    ones = np.ones(100, dtype=int)
    effects = guess.effects(first, second, ones)
    true = teacher.coef_ * (second - first)
    for j in range(3):
        assert np.corrcoef(effects[:, j], true[:, j])[0, 1] > 0.99
    np.testing.assert_allclose(guess.effects(first, second, 0 * ones), -effects)
    np.testing.assert_allclose(guess.effects(second, first, ones), -effects)


def test_categories_have_their_own_effects():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.choice([1, 5, 9], 600), rng.normal(size=600)])

    def teacher(Z):
        middle = np.where(Z[:, 0] == 5, 0.9, 0.1)
        return np.column_stack([1 - middle, middle])

    guess = model_of(X, teacher, coded=[True, False])
    first = np.array([[1.0, 0.0], [1.0, 0.0], [5.0, 0.0]])
    second = np.array([[5.0, 0.0], [9.0, 0.0], [9.0, 0.0]])
    up, level, down = guess.effects(first, second, np.array([1, 1, 1]))[:, 0]
    assert up > 3 and down < -3 and abs(level) < 0.2


def test_leaves_out_columns_that_stay_and_survives_missing_cells():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 3))
    X[rng.random(X.shape) < 0.3] = np.nan

    def teacher(Z):
        first = 1 / (1 + np.exp(-np.nan_to_num(Z[:, 0])))
        return np.column_stack([1 - first, first])

    guess = model_of(X, teacher, columns=[0, 2])
    effects = guess.effects(X[:50], X[50:], np.ones(50, dtype=int))
    assert np.isfinite(effects).all()
    np.testing.assert_array_equal(effects[:, 1], 0.0)
    assert np.abs(effects[:, 0]).mean() > 5 * np.abs(effects[:, 2]).mean()


def test_numbers_are_scaled_and_categories_have_cells():
    X = np.array([[2.0, 1.0], [4.0, 5.0], [np.nan, 5.0], [6.0, 9.0]])
    guess = model_of(X, lambda Z: np.full((len(Z), 2), 0.5), coded=[False, True])
    np.testing.assert_array_equal(
        guess._embed(X), [[0, 1, 0, 0], [0.5, 0, 1, 0], [0.5, 0, 1, 0], [1, 0, 0, 1]]
    )
    np.testing.assert_array_equal(
        guess._embed(np.array([[8.0, 7.0]])), [[1.5, 0, 0, 0]]
    )


def test_is_a_ridge_regression_with_an_intercept():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3)) * [1, 5, 100] + [3, 0, 0]

    def teacher(Z):
        first = 1 / (1 + np.exp(-(Z[:, 0] ** 2) + Z[:, 1] + 3))
        return np.column_stack([1 - first, first])

    guess = model_of(X, teacher)
    proba = np.clip(teacher(X), 1e-3, 1 - 1e-3)
    by_hand = Ridge(alpha=0.01 * 40).fit(guess._embed(X), np.log(proba / (1 - proba)))
    np.testing.assert_allclose(guess.weights, by_hand.coef_.T)


def test_the_most_frequent_categories_have_cells():
    cells = np.repeat(np.arange(40.0), np.arange(1, 41))
    X = np.column_stack([cells, np.zeros(len(cells))])
    guess = model_of(X, lambda Z: np.full((len(Z), 2), 0.5), coded=[True, False])
    np.testing.assert_array_equal(guess.levels[0], np.arange(10.0, 40.0))


def test_many_categories_cost_little():
    rng = np.random.default_rng(0)
    X = np.column_stack([np.arange(2000.0), rng.normal(size=2000)])
    guess = model_of(X, lambda Z: np.full((len(Z), 2), 0.5), coded=[True, False])
    assert guess.weights.shape == (31, 2)
    np.testing.assert_allclose(guess.weights, 0.0, atol=1e-12)
