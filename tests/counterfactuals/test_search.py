"""The steps of the search behind the batched engine, one by one."""

from dataclasses import replace

import numpy as np
import pytest

from skcoop.counterfactuals._search import Search
from skcoop.counterfactuals._walk import Walk, blocks

draw = np.random.default_rng(0)
ROWS = draw.normal(size=(30, 3))


class Formula:
    """A teacher of two classes that knows a formula for the second one."""

    classes_ = np.array([0, 1])

    def __init__(self, formula):
        self.formula = formula

    def predict_proba(self, X):
        second = self.formula(np.asarray(X, dtype=float))
        return np.column_stack([1 - second, second])


def logistic(Z):
    return 1 / (1 + np.exp(-Z))


def search_with(formula, X=ROWS[:4], background=ROWS):
    return Search(
        Formula(formula),
        background,
        X,
        features_to_vary="all",
        permitted_range=None,
        categorical_features=None,
        seed=0,
    )


def posed(search, codes, alpha=0.5):
    asked = search.pose(slice(len(codes)), np.array(codes, dtype=object), alpha)
    np.testing.assert_array_equal(asked.codes, codes)
    return asked


class TestSweep:
    """Three columns that are 0, and one other value for each."""

    @pytest.mark.parametrize(
        ("best", "expected"), [([1, 1, 0], 0.9), ([1, 1, 1], 0.8), ([1, 0, 0], 0.6)]
    )
    def test_joins_the_most_useful_first(self, best, expected):
        """Alone, the columns give 0.6, 0.5 and 0.4."""
        alone = {(1, 0, 0): 0.6, (0, 1, 0): 0.5, (0, 0, 1): 0.4}

        def formula(Z):
            rows = [tuple(row) for row in (Z == 1).astype(int)]
            together = {**dict.fromkeys(rows, 0.1), **alone, tuple(best): expected}
            return np.array([together[row] for row in rows])

        search = search_with(formula, X=np.zeros((1, 3)))
        Z, reached = search._sweep(np.zeros((1, 3)), np.array([1]), np.ones((1, 3, 1)))
        np.testing.assert_array_equal(Z, [best])
        np.testing.assert_allclose(reached, [expected])

    def test_each_row_has_its_own_order_values_and_class(self):
        weights = np.array([[0.0, 1.0, 3.0], [2.0, -1.0, 0.0]])

        def formula(Z):  # which row it is stands in the last column
            return logistic((Z[:, :3] * weights[Z[:, 3].astype(int)]).sum(axis=1) - 2)

        X = np.array([[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
        background = np.vstack([X, X + np.array([1.0, 1.0, 1.0, 0.0])])
        search = search_with(formula, X=X, background=background)
        search.varied = np.arange(3)
        values = np.array(
            [[[0.5, 1.0], [1.0, 0.2], [-1.0, 2.0]], [[2.5, -2.0], [1.0, -1.0], [0, 0]]]
        )
        for code, best in (
            (1, [[1.0, 2.0], [2.5, -1.0]]),
            (0, [[0.0, -1.0], [-2.0, 1.0]]),
        ):
            Z, reached = search._sweep(X.copy(), np.array([code, code]), values)
            np.testing.assert_array_equal(Z[0, 1:3], best[0])
            np.testing.assert_array_equal(Z[1, :2], best[1])
            np.testing.assert_array_equal(Z[:, 3], [0, 1])
            proba = Formula(formula).predict_proba(Z)[:, code]
            np.testing.assert_allclose(reached, proba)
            assert abs(proba[0] - proba[1]) > 0.001

    def test_columns_without_a_typical_value_stay(self):
        search = search_with(lambda Z: logistic(Z.sum(axis=1)), X=np.zeros((1, 3)))
        values = np.array([[[np.nan], [1.0], [np.nan]]])
        Z, _ = search._sweep(np.zeros((1, 3)), np.array([1]), values)
        np.testing.assert_array_equal(Z, [[0, 1, 0]])


class TestClimb:
    """What each sweep reaches is given; where it leads is the number of the sweep."""

    def climb(self, monkeypatch, targets, reached, codes=None):
        codes = [1] * len(targets) if codes is None else codes
        search = search_with(
            lambda Z: logistic(Z.sum(axis=1)), X=np.zeros((len(targets), 3))
        )
        asked = replace(posed(search, codes), target=np.array(targets))
        sweeps = []

        def sweep(Z, codes, values):
            sweeps.append(sorted(codes.tolist()))
            at = np.array([reached[code][len(sweeps) - 1] for code in codes])
            return np.full(Z.shape, float(len(sweeps))), at

        monkeypatch.setattr(search, "_sweep", sweep)
        Z, summit = search._climb(asked)
        proba = search.proba_of[codes]
        np.testing.assert_array_equal(summit, proba.argmax(axis=1))
        return Z[:, 0].tolist(), sweeps

    def test_a_row_leaves_where_its_own_target_is_reached(self, monkeypatch):
        ends, sweeps = self.climb(
            monkeypatch, [0.5, 0.6, 0.7, 0.99], {1: [0.6, 0.8, 0.9, 0.95]}
        )
        assert ends == [1, 1, 2, 4]
        assert sweeps == [[1]] * 4

    def test_nobody_climbs_on_who_is_stuck(self, monkeypatch):
        ends, sweeps = self.climb(monkeypatch, [0.5, 0.99], {1: [0.6, 0.8, 0.8, 1.0]})
        assert ends == [1, 3]
        assert len(sweeps) == 3

    def test_classes_climb_by_themselves(self, monkeypatch):
        ends, sweeps = self.climb(
            monkeypatch,
            [0.7, 0.9, 0.99],
            {0: [0.8, 0.8, 0.8, 0.8], 1: [0.6, 0.95, 0.97, 0.98]},
            codes=[0, 1, 1],
        )
        assert ends == [1, 2, 4]
        assert sweeps == [[0, 1], [1], [1], [1]]

    def test_even_a_hopeless_start_is_left(self, monkeypatch):
        """Where the teacher has no probability, a sweep reaches -1."""
        ends, sweeps = self.climb(monkeypatch, [0.9], {1: [0.0, 0.5, 0.95, 1.0]})
        assert ends == [3]
        assert len(sweeps) == 3


class TestWalk:
    """Two rows and their ends, one in each column away; the teacher adds up."""

    WEIGHTS = np.array([1.0, 3.0, 2.0])

    def walk(self, target, steps, codes=(1, 1)):
        X = np.zeros((2, 3))
        search = search_with(lambda Z: logistic(Z @ self.WEIGHTS - 2), X=X)
        search.metric.span[:] = 10.0
        asked = replace(posed(search, list(codes)), target=np.full(2, target))
        ends = np.array(steps, dtype=float)
        return Walk(search, asked, ends, search.ask_for(asked.codes, ends))

    def test_ends_that_miss_the_target_are_left_out(self):
        walk = self.walk(0.95, [[1, 1, 1], [1, 0, 1]])
        np.testing.assert_array_equal(walk.rows, [0])
        walk = self.walk(0.1, [[0, 0, 0], [1, 0, 1]])  # the row itself is no end
        np.testing.assert_array_equal(walk.rows, [1])

    def test_losses_of_each_column_alone(self):
        walk = self.walk(0.5, [[1, 1, 1], [0, 1, 2]])
        losses = walk._losses(np.arange(2))
        full = logistic(np.array([4.0, 5.0]))
        np.testing.assert_allclose(
            losses,
            [
                full[0] - logistic(np.array([3.0, 1.0, 2.0])),
                full[1] - logistic(np.array([5.0, 2.0, 1.0])),
            ],
        )
        assert losses[1, 0] == 0
        # What speaks against the class loses nothing.
        walk = self.walk(0.5, [[-1, 1, 1], [1, 1, 1]])
        assert walk._losses(np.arange(2))[0, 0] == 0

    def test_the_most_worthless_columns_go_back_first(self):
        walk = self.walk(0.7, [[1, 1, 1], [1, 1, 1]])
        # Three of six are needed: either the second column, or both others.
        walk._revert(np.arange(2), np.array([[0.1, 0.3, 0.2], [0.2, 0.1, 0.3]]))
        np.testing.assert_array_equal(walk.Z, [[0, 1, 0], [1, 0, 1]])
        np.testing.assert_allclose(walk.after, logistic(np.array([1.0, 1.0])))

    def test_worth_is_what_a_step_of_the_way_adds(self):
        """A column that went twice as far must be worth twice as much."""
        walk = self.walk(0.7, [[4, 1, 1], [1, 1, 1.5]])
        walk._revert(np.arange(2), np.array([[0.3, 0.2, 0.2], [0.1, 0.2, 0.2]]))
        np.testing.assert_array_equal(walk.Z, [[0, 1, 1], [0, 1, 0]])

    def test_what_did_not_change_is_not_counted(self):
        walk = self.walk(0.7, [[0, 1, 1], [1, 1, 0]])
        walk._revert(np.arange(2), np.zeros((2, 3)))
        # The first of equals goes back first, which is too much for the first row.
        np.testing.assert_array_equal(walk.Z, [[0, 1, 1], [0, 1, 0]])

    def test_few_columns_by_guess_and_by_trial(self):
        """The guess is wrong, what the columns are worth indeed decides."""
        walk = self.walk(0.7, [[1, 1, 1], [1, 1, 1]])
        walk.search.guess.effects = lambda *args: np.tile([0.1, 0.3, 0.2], (2, 1))
        walk.keep_few_columns()
        np.testing.assert_array_equal(walk.Z, [[0, 1, 0]] * 2)
        walk = self.walk(0.4, [[1, 1, 1], [1, 1, 1]])
        walk.search.guess.effects = lambda *args: np.tile([0.1, 0.2, 0.3], (2, 1))
        walk.keep_few_columns()
        assert ((walk.Z != 0).sum(axis=1) == 1).all()


@pytest.mark.parametrize(
    ("n_rows", "each", "sizes"),
    [
        (5, 10_000, [3, 2]),
        (6, 10_000, [3, 3]),
        (4, 100_000, [1, 1, 1, 1]),
        (40_000, 0, [30_000, 10_000]),
        (0, 7, []),
    ],
)
def test_blocks_hold_so_many_candidates(n_rows, each, sizes):
    cut = list(blocks(np.arange(n_rows), each))
    assert [len(block) for block in cut] == sizes
    if cut:
        np.testing.assert_array_equal(np.concatenate(cut), np.arange(n_rows))
