"""Attention: its gradient, what it learns, and what must not change it."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from skcoop._members._logits import centred_logits, softmax
from skcoop._peers._attention import (
    Attention,
    by_row,
    describe,
    learn_attention,
    loss_and_gradient,
    unpack,
    weights_of,
)

draw = np.random.default_rng(0)
N, C, M = 60, 3, 4
CODES = draw.integers(C, size=N)
WEIGHTS = draw.uniform(0.5, 2.0, N)
FOLDS = np.arange(N) % 3


def answers(skill, rows=None, seed=1):
    """Return probabilities of one peer that is right with some skill."""
    noise = np.random.default_rng(seed).dirichlet(np.ones(C), N)
    proba = skill * np.eye(C)[CODES] + (1 - skill) * noise
    if rows is not None:
        proba[~rows] = noise[~rows]
    return proba


GROUP = np.array([answers(s, seed=k) for k, s in enumerate([0.5, 0.3, 0.1, 0.0])])


def learn(proba=GROUP, kind="global", weights=WEIGHTS, **changes):
    given = {"codes": CODES, "folds": FOLDS, **changes}
    return learn_attention(proba, given["codes"], weights, given["folds"], kind, seed=0)


@pytest.mark.parametrize("width", [0, 1, 4])
@pytest.mark.parametrize("scale", [0.0, 1.0, 5.0])
def test_gradient_is_that_of_finite_differences(width, scale):
    logits = by_row(GROUP)
    point = scale * draw.normal(size=M + 2 * width * (C + M))
    share = WEIGHTS / WEIGHTS.sum()
    given = (logits, CODES, share, width)
    _, gradient = loss_and_gradient(point, *given)
    expected = approx_fprime(
        point, lambda x: loss_and_gradient(x, *given)[0], epsilon=1e-7
    )
    np.testing.assert_allclose(gradient, expected, atol=2e-5)
    assert gradient.shape == point.shape
    # At zero, query and key have no slope, but the scores have.
    assert np.abs(gradient[:M]).max() > 1e-4


def test_loss_is_the_cross_entropy_of_the_targets():
    point = draw.normal(size=M + 8 * (C + M))
    attention = unpack(point, M, C, 4)
    share = WEIGHTS / WEIGHTS.sum()
    loss, _ = loss_and_gradient(point, by_row(GROUP), CODES, share, 4)
    targets = attention.targets(GROUP)
    right = targets[:, np.arange(N), CODES]
    ridge = 0.5 * (1e-3 * (point[:M] ** 2).sum() + 0.03 * (point[M:] ** 2).sum())
    assert loss == pytest.approx(-(np.log(right) @ share).mean() + ridge)


def test_logits_are_centred_and_finite_for_certain_peers():
    certain = np.eye(C)[CODES][None]
    logits = centred_logits(certain)
    assert np.isfinite(logits).all()
    np.testing.assert_allclose(logits.sum(axis=2), 0, atol=1e-12)
    np.testing.assert_allclose(softmax(logits), certain, atol=2e-3)


@pytest.mark.parametrize("kind", ["row", "global", "auto", None])
def test_weights_are_weights(kind):
    weights = learn(kind=kind).weights(GROUP)
    assert weights.shape == (N, M, M)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=2), 1)
    targets = learn(kind=kind).targets(GROUP)
    np.testing.assert_allclose(targets.sum(axis=2), 1)
    np.testing.assert_allclose(learn(kind=kind).group(GROUP), targets.mean(axis=0))


def test_no_attention_is_the_plain_average():
    attention = learn(kind=None)
    np.testing.assert_array_equal(attention.weights(GROUP), np.full((N, M, M), 1 / M))
    np.testing.assert_allclose(
        attention.group(GROUP), softmax(centred_logits(GROUP).mean(axis=0))
    )


def test_one_peer_is_heard_alone():
    for kind in ("row", "global", "auto", None):
        attention = learn(GROUP[:1], kind)
        np.testing.assert_allclose(attention.group(GROUP[:1]), GROUP[0], atol=2e-3)


def test_better_peers_are_heard_more():
    scores = learn(kind="global").scores
    assert (np.diff(scores) < 0).all()
    assert learn(kind="global").weights(GROUP)[0, 0, 0] > 0.5


def test_the_order_of_the_peers_only_renames_them():
    order = [2, 0, 3, 1]
    first, second = learn(), learn(GROUP[order])
    np.testing.assert_allclose(second.scores, first.scores[order], atol=1e-3)
    np.testing.assert_allclose(
        second.group(GROUP[order]), first.group(GROUP), atol=1e-3
    )


def test_rows_and_weights():
    """A row of weight 2 is a row that stands there twice; weight 0 is none."""
    whole = np.where(np.arange(N) < 10, 2.0, 1.0)
    whole[-5:] = 0.0
    rows = np.repeat(np.arange(N), whole.astype(int))
    for kind in ("global", "row"):
        repeated = learn_attention(
            GROUP[:, rows], CODES[rows], np.ones(len(rows)), FOLDS[rows], kind, 0
        )
        weighted = learn(kind=kind, weights=whole)
        np.testing.assert_allclose(
            weighted.group(GROUP), repeated.group(GROUP), atol=1e-4
        )


def test_scale_of_the_weights_means_nothing():
    first, second = learn(), learn(weights=1000 * WEIGHTS)
    np.testing.assert_allclose(first.scores, second.scores, atol=1e-6)


def test_row_attention_hears_a_peer_where_it_knows_more():
    """Each peer knows one half of the rows, and its answers show which."""
    first = np.arange(N) % 2 == 0
    # Where a peer knows nothing it names class 0, rather surely.
    nothing = np.tile([0.8, 0.1, 0.1], (N, 1))
    codes = np.where(CODES == 0, 1, CODES)
    sure = 0.9 * np.eye(C)[codes] + 0.1 / C
    proba = np.array(
        [
            np.where(first[:, None], sure, nothing),
            np.where(first[:, None], nothing, sure),
        ]
    )
    by_kind = {
        kind: learn(proba, kind, weights=np.ones(N), codes=codes)
        for kind in ("global", "row", "auto")
    }
    right = {
        kind: attention.group(proba)[np.arange(N), codes].mean()
        for kind, attention in by_kind.items()
    }
    assert right["row"] > right["global"] + 0.1
    assert by_kind["auto"].query is not None
    heard = by_kind["row"].weights(proba).mean(axis=1)
    assert heard[first, 0].min() > 0.5 > heard[~first, 0].max()


def test_auto_takes_the_kind_that_is_better_on_rows_it_did_not_learn_from():
    def loss(kind):
        total = 0.0
        for fold in range(3):
            out = fold == FOLDS
            learned = learn_attention(
                GROUP[:, ~out], CODES[~out], WEIGHTS[~out], FOLDS[~out], kind, 0
            )
            right = learned.group(GROUP[:, out])[np.arange(out.sum()), CODES[out]]
            total -= np.log(right) @ WEIGHTS[out]
        return total

    better = min(("global", "row"), key=loss)
    chosen, expected = learn(kind="auto"), learn(kind=better)
    assert (chosen.query is None) == (expected.query is None)
    np.testing.assert_array_equal(chosen.scores, expected.scores)


def test_targets_of_a_row_do_not_depend_on_other_rows():
    attention = learn(kind="row")
    np.testing.assert_allclose(
        attention.group(GROUP)[:7], attention.group(GROUP[:, :7]), atol=1e-12
    )


def test_weights_follow_the_formula():
    query, key = draw.normal(size=(2, 4, C + M))
    attention = Attention(draw.normal(size=M), query, key)
    described = describe(by_row(GROUP))
    i, a = 5, 2
    scores = attention.scores + [
        (query @ described[i, a]) @ (key @ described[i, b]) / 2 for b in range(M)
    ]
    np.testing.assert_allclose(
        weights_of(attention, described)[i, a], softmax(np.array(scores))
    )
    np.testing.assert_array_equal(described[i, a, C:], np.eye(M)[a])
