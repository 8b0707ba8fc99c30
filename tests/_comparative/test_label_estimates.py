"""Comparisons: how they are drawn, what they are worth, where they place rows."""

from math import comb

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor

from skcoop._comparative import _label_estimates
from skcoop._comparative._label_estimates import (
    Estimates,
    place_by_comparisons,
    place_directly,
    sample_groups,
    side_by_side,
)
from skcoop._members._logits import centred_logits, softmax

draw = np.random.default_rng(0)
PLACES = draw.normal(size=(30, 3))
ANSWERS = softmax(PLACES @ draw.normal(size=(3, 4)))


def squared_comparison_loss(residuals, positives, negatives):
    """Sum over groups of the squared gap that the published loss has."""
    gaps = residuals[positives].mean(axis=1) - residuals[negatives].mean(axis=1)
    return (gaps**2).sum()


def all_groups(n_rows, size):
    return sample_groups(n_rows, size, 10**6, seed=0)


def test_published_loss_is_that_of_centred_residuals():
    """Over all ordered pairs: 2 B times the squared centred residuals, nothing more."""
    residuals = draw.normal(size=(12, 3))
    centred = ((residuals - residuals.mean(axis=0)) ** 2).sum()
    loss = squared_comparison_loss(residuals, *all_groups(12, 2))
    assert loss == pytest.approx(2 * 12 * centred)


@pytest.mark.parametrize("size", [3, 4])
def test_published_loss_of_groups_has_the_same_minimiser(size):
    """Over all groups: the number of groups times (1/p + 1/q) times the covariance."""
    residuals = draw.normal(size=(7, 3))
    centred = ((residuals - residuals.mean(axis=0)) ** 2).sum()
    positives, negatives = all_groups(7, size)
    p, q = positives.shape[1], negatives.shape[1]
    loss = squared_comparison_loss(residuals, positives, negatives)
    covariance = centred / (7 - 1)
    assert loss == pytest.approx(len(positives) * (1 / p + 1 / q) * covariance)


@pytest.mark.parametrize(("n_rows", "size"), [(2, 2), (5, 2), (6, 3), (5, 4), (6, 5)])
@pytest.mark.parametrize("most", [1, 7, 10**4])
def test_groups_are_distinct_and_as_many_as_there_are(n_rows, size, most):
    positives, negatives = sample_groups(n_rows, size, most, seed=1)
    assert positives.shape[1] == size - size // 2
    assert negatives.shape[1] == size // 2
    total = comb(n_rows, size) * comb(size, size // 2)
    assert len(positives) == len(negatives) == min(most, total)
    seen = {
        (frozenset(p), frozenset(q))
        for p, q in zip(positives.tolist(), negatives.tolist(), strict=True)
    }
    assert len(seen) == len(positives)
    assert all(len(p | q) == size for p, q in seen)
    assert positives.max() < n_rows


@pytest.mark.parametrize("size", [2, 3])
def test_drawn_groups_are_distinct_seeded_and_favour_nobody(size):
    positives, negatives = sample_groups(200, size, 3000, seed=3)
    assert len(positives) == 3000
    both = np.hstack([positives, negatives])
    assert len(np.unique(both, axis=0)) == 3000
    assert all(len(set(group)) == size for group in both.tolist())
    again = np.hstack(sample_groups(200, size, 3000, seed=3))
    np.testing.assert_array_equal(both, again)
    other = np.hstack(sample_groups(200, size, 3000, seed=4))
    assert (both != other).any()
    counts = np.bincount(both.ravel(), minlength=200)
    assert counts.min() > 0
    assert counts.max() < 3 * counts.mean()
    if size == 2:  # both orders of a pair occur: a comparison has a direction
        below = np.mean(positives[:, 0] < negatives[:, 0])
        assert below == pytest.approx(0.5, abs=0.05)


def test_more_rows_to_a_group_than_there_are():
    positives, negatives = sample_groups(3, 10, 100, seed=0)
    assert positives.shape[1] + negatives.shape[1] == 3


def test_logits_and_softmax_undo_each_other():
    logits = centred_logits(ANSWERS)
    np.testing.assert_allclose(logits.sum(axis=1), 0, atol=1e-12)
    # But for the floor, which leaves no class impossible.
    np.testing.assert_allclose(softmax(logits), ANSWERS, atol=4e-3)
    assert np.isfinite(centred_logits(np.eye(4))).all()


@pytest.mark.parametrize("size", [2, 3])
def test_a_linear_comparison_model_is_the_linear_regression(size, monkeypatch):
    """What the identity says: for a linear learner pairs hold nothing new."""
    monkeypatch.setattr(_label_estimates, "_MOST_ANCHORS", len(PLACES))
    logits = centred_logits(ANSWERS)
    wanted = draw.normal(size=(10, 3))
    direct = place_directly(LinearRegression(), PLACES, logits, wanted)
    compared, spread = place_by_comparisons(
        LinearRegression(), PLACES, logits, wanted, group_size=size, most=30_000
    )
    np.testing.assert_allclose(compared, direct, atol=1e-8)
    assert spread.shape == (10,)


def test_learned_comparisons_place_a_row_where_it_is():
    """Trees that know all pairs by heart give an answered row its own answer."""
    logits = centred_logits(ANSWERS)
    trees = ExtraTreesRegressor(5, random_state=0)
    placed, _ = place_by_comparisons(trees, PLACES, logits, PLACES)
    np.testing.assert_allclose(placed, logits, atol=0.25)


def test_shifting_all_logits_shifts_the_estimates():
    logits, shift = centred_logits(ANSWERS), np.array([1.0, -2.0, 0.5, 0.5])
    near, wanted = KNeighborsRegressor(3), PLACES[:7] + 0.1
    placed, spread = place_by_comparisons(near, PLACES, logits, wanted)
    shifted, again = place_by_comparisons(near, PLACES, logits + shift, wanted)
    np.testing.assert_allclose(shifted, placed + shift, atol=1e-9)
    np.testing.assert_allclose(again, spread, atol=1e-9)


def test_spread_is_that_of_what_the_anchors_see(monkeypatch):
    monkeypatch.setattr(_label_estimates, "_MOST_ANCHORS", len(PLACES))
    logits, near = centred_logits(ANSWERS), KNeighborsRegressor(3)
    wanted = PLACES[:4] + 0.1
    placed, spread = place_by_comparisons(near, PLACES, logits, wanted, seed=1)
    sides = sample_groups(len(PLACES), 2, 8000, 1)
    first, second = (PLACES[rows[:, 0]] for rows in sides)
    gaps = logits[sides[0][:, 0]] - logits[sides[1][:, 0]]
    model = KNeighborsRegressor(3).fit(side_by_side(first, second), gaps)
    for row, place, width in zip(wanted, placed, spread, strict=True):
        here = np.tile(row, (len(PLACES), 1))
        gap = model.predict(side_by_side(here, PLACES))
        gap -= model.predict(side_by_side(PLACES, here))
        seen = logits + gap / 2
        np.testing.assert_allclose(place, seen.mean(axis=0), atol=1e-9)
        assert width == pytest.approx(seen.std(axis=0).mean())


def test_estimates_of_which_anchors_disagree_weigh_less():
    far = np.vstack([PLACES[:20] + 0.01, PLACES[:5] + 50])
    estimates = Estimates(KNeighborsRegressor(3), 2, 2000, 0)
    args = (PLACES, ANSWERS, far)
    _, trust = estimates.logits("comparison", *args)
    assert trust.mean() == pytest.approx(1)
    assert trust.min() < 0.7 < 1.2 < trust.max()
    places_rest = place_by_comparisons(
        KNeighborsRegressor(3),
        PLACES,
        centred_logits(ANSWERS) - estimates._trend(PLACES, ANSWERS)(PLACES),
        far,
        most=2000,
    )[1]
    order = np.argsort(places_rest)
    assert (np.diff(trust[order]) <= 1e-12).all()
    assert (estimates.logits("direct", *args)[1] == 1).all()


def test_anchors_that_agree_but_for_rounding_leave_all_weights_alone():
    assert (_label_estimates._trust(np.array([1e-16, 5e-16, 0.0])) == 1).all()
    trust = _label_estimates._trust(np.array([1.0, 1.0, 2.0]))
    np.testing.assert_allclose(trust / trust[0], [1, 1, 0.4])


@pytest.mark.parametrize("how", ["direct", "comparison"])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_any_regressor_learns_several_targets(how, n_classes):
    answers = softmax(centred_logits(ANSWERS)[:, :n_classes])
    single = HistGradientBoostingRegressor(max_iter=5)
    wanted = PLACES[:4] + 1
    logits, _ = Estimates(single, 2, 300, 0).logits(how, PLACES, answers, wanted)
    assert logits.shape == (4, n_classes)
    assert np.isfinite(logits).all()
    assert not hasattr(single, "n_features_in_")


@pytest.mark.parametrize("how", ["direct", "comparison"])
def test_estimates_are_better_than_the_mean_answer(how):
    rows = np.random.default_rng(1).normal(size=(200, 3))
    answers = softmax(np.c_[rows[:, 0] * rows[:, 1], rows[:, 2], np.zeros(200)] * 2)
    trees = ExtraTreesRegressor(10, random_state=0)
    placed, _ = Estimates(trees, 2, 2000, 0).logits(
        how, rows[:100], answers[:100], rows[100:]
    )
    truth = centred_logits(answers)
    error = ((placed - truth[100:]) ** 2).sum()
    blind = ((truth[:100].mean(axis=0) - truth[100:]) ** 2).sum()
    assert error < 0.6 * blind
    decided = placed.argmax(axis=1) == answers[100:].argmax(axis=1)
    assert decided.mean() > 0.7


@pytest.mark.parametrize("size", [24, 30])
def test_groups_of_next_to_all_rows_are_drawn_as_well(size):
    positives, negatives = sample_groups(30, size, 50, seed=0)
    both = np.hstack([positives, negatives])
    assert both.shape == (50, size)
    assert all(len(set(group)) == size for group in both.tolist())
    assert len(np.unique(both, axis=0)) == 50
