"""The steps of the search behind the batched engine, one by one."""

from dataclasses import replace
from time import perf_counter

import numpy as np
import pandas as pd
import pytest
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skcoop.counterfactuals import BatchedDice, _batched, _walk
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


def search_with(formula, X=ROWS[:4], background=ROWS, categorical_features=None):
    return Search(
        Formula(formula),
        np.asarray(background),
        X,
        features_to_vary="all",
        permitted_range=None,
        categorical_features=categorical_features,
        seed=0,
    )


def posed(search, codes, alpha=0.5):
    asked = search.pose(slice(len(codes)), np.array(codes, dtype=object), alpha)
    np.testing.assert_array_equal(asked.codes, codes)
    return asked


class TestWhatMayChange:
    def search(self, **given):
        rng = np.random.default_rng(0)
        X = np.column_stack([rng.normal(size=(20, 2)), rng.integers(0, 4, (20, 2))])
        params = {
            "features_to_vary": "all",
            "permitted_range": None,
            "categorical_features": [2, 3],
        }
        teacher = Formula(lambda Z: logistic(Z.sum(axis=1)))
        return Search(teacher, X, X, **{**params, **given}, seed=0), X

    def test_categories_are_categories_everywhere(self):
        search, _ = self.search()
        for coded in (search.coded, search.metric.coded):
            assert coded.tolist() == [False, False, True, True]
        assert search.jumps
        assert not self.search(features_to_vary=[0, 1])[0].jumps

    def test_ends_are_brought_to_all_permitted_ranges(self):
        ranges = {"x2": [1, 3], "x0": [-0.5, 0.5], "x3": [0], "x1": [-9, 0.2]}
        search, X = self.search(permitted_range=ranges)
        rows = X[search.places]
        for j, values in ((2, [1, 3]), (3, [0])):
            inside = np.isin(rows[:, j], values)
            np.testing.assert_array_equal(search.donors[inside, j], rows[inside, j])
            assert np.isnan(search.donors[~inside, j]).all()
        np.testing.assert_array_equal(
            search.donors[:, 0], np.clip(rows[:, 0], -0.5, 0.5)
        )
        np.testing.assert_array_equal(search.donors[:, 1], np.minimum(rows[:, 1], 0.2))

    def test_ranges_of_columns_that_stay_change_nothing(self):
        ranges = {"x0": [0, 0.1], "x1": [0, 0.1]}
        search, X = self.search(permitted_range=ranges, features_to_vary=["x1"])
        np.testing.assert_array_equal(search.donors[:, 0], X[search.places, 0])
        assert (search.donors[:, 1] <= 0.1).all()

    @pytest.mark.parametrize("bad", ["x0", 0])
    def test_lists_are_lists(self, bad):
        with pytest.raises(
            ValueError, match=r"list of columns, got .*are \['x0', 'x1'"
        ):
            self.search(features_to_vary=bad)

    def test_errors_name_the_parameter(self):
        with pytest.raises(ValueError, match="permitted_range names 'x7'"):
            self.search(permitted_range={"x7": [0, 1]})


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


class TestWayBack:
    """One column from 0 to 1, in sixteenths; the teacher says where an answer is."""

    def back(self, valid, alpha=0.5, certain=False, start=0.0, **params):
        """Return where the way from 1 back to the start ends."""

        def formula(Z):
            first = Z[:, 0] == 0 if certain else np.zeros(len(Z), dtype=bool)
            return np.where(valid(Z[:, 0]) | first, 1.0, 0.2)

        X, ends = np.array([[start, 5.0]]), np.array([[1.0, 5.0]])
        # No whole numbers, and no step of the way: a row that is there is no answer.
        background = np.vstack([X, ends, [[0.26, 5.0]]])
        search = search_with(formula, X=X, background=background, **params)
        asked = posed(search, [1], alpha)
        assert asked.certain.all() == certain
        walk = Walk(search, asked, ends, np.ones(1))
        walk.come_back()
        assert walk.after.tolist() == [1.0]
        assert walk.Z[0, 1] == 5.0
        return walk.Z[0, 0], search.n_predictions - 4

    @pytest.mark.parametrize("share", [1 / 16, 0.1, 0.4, 0.5, 0.9, 15 / 16, 0.99])
    def test_ends_at_the_nearest_step_that_is_good(self, share):
        where, _ = self.back(lambda x: x >= share)
        assert where == np.ceil(16 * share) / 16

    def test_few_steps_are_asked_about_where_rows_are_many(self, monkeypatch):
        """They are searched; with few rows all of them are asked about at once."""
        assert self.back(lambda x: x >= 0.4) == (7 / 16, 15)
        monkeypatch.setattr(_walk, "AT_ONCE", 14)
        assert self.back(lambda x: x >= 0.4) == (7 / 16, 6)

    def test_a_certain_row_goes_as_far_as_alpha(self):
        for alpha in (0.3, 0.8):
            assert self.back(lambda x: x >= 0.3, alpha, certain=True) == (alpha, 1)

    def test_or_farther_where_that_is_not_good(self):
        """The way left, from alpha to the end, has sixteen steps too."""
        where, _ = self.back(lambda x: x >= 0.76, 0.5, certain=True)
        assert where == 1 - 0.5 * 7 / 16
        where, _ = self.back(lambda x: x >= 0.9999, 0.5, certain=True)
        assert where == 1

    @pytest.mark.parametrize("certain", [True, False])
    def test_between_categories_is_nothing_to_ask_about(self, certain):
        where = self.back(lambda x: x >= 0.3, certain=certain, categorical_features=[0])
        assert where == (1, 0)

    def test_between_missing_and_known_is_nothing_to_ask_about(self):
        assert self.back(lambda x: x >= 0.3, start=np.nan) == (1, 0)

    def test_each_row_has_its_own_way(self):
        X = np.array([[0.0, 0.0], [np.nan, 0.0], [0.0, 10.0]])
        ends = np.array([[1.0, 0.0], [np.nan, 10.0], [0.0, 0.0]])

        def formula(Z):
            good = (np.nan_to_num(Z[:, 0]) >= 0.4) | (Z[:, 1] == 0) & (Z[:, 0] == 0)
            good |= np.isnan(Z[:, 0]) & (Z[:, 1] >= 4.9)
            return np.where(good, 0.9, 0.1)

        search = search_with(formula, X=X, background=ends - 0.25)
        asked = replace(posed(search, [1, 1, 1]), target=np.array([0.9, 0.8, 0.9]))
        walk = Walk(search, asked, ends, np.full(3, 0.9))
        walk.come_back()
        # The missing cell of the second row stays missing.
        np.testing.assert_array_equal(walk.Z[:2], [[7 / 16, 0], [np.nan, 5]])
        np.testing.assert_array_equal(walk.Z[2], [0, 0])


class TestAnswer:
    def ends_tried(self, monkeypatch, categorical_features, others=()):
        """Return how many ends of each row are tried together."""
        X, background = np.zeros((2, 3)), ROWS + 5
        search = search_with(
            lambda Z: np.where(Z[:, 0] > 1, 0.9, 0.1),
            X=X,
            background=background,
            categorical_features=categorical_features,
        )
        asked, tried = posed(search, [1, 1]), []

        def walk(asked, found, rows, *args):
            tried.append(np.bincount(rows, minlength=2).tolist())

        monkeypatch.setattr(search, "_walk", walk)
        monkeypatch.setattr(search, "_climb", lambda asked: (asked.Q, asked.codes))
        ends = search._rank_ends(asked, 1)
        assert ends.shape == (2, 3)
        search._answer_once(asked, ends, others)
        return tried

    def test_two_ends_at_once_where_there_are_categories(self, monkeypatch):
        assert self.ends_tried(monkeypatch, []) == [[1, 1], [2, 2], [1, 1]]
        assert self.ends_tried(monkeypatch, [1]) == [[2, 2], [1, 1], [1, 1]]
        others = [object()]
        tried = self.ends_tried(monkeypatch, [1], others)
        assert tried == [[1, 1], [2, 2], [1, 1]]

    def test_fewer_ends_than_are_tried(self):
        """The first of all donors is one like others."""
        background = np.array([[2.0, 0, 0], [0.5, 1, 0], [-1, 0, 3]])
        search = search_with(
            lambda Z: np.where(Z[:, 0] > 1, 0.9, 0.1), np.zeros((1, 3)), background
        )
        asked = posed(search, [1])
        first = int(np.flatnonzero(search.donors[:, 0] == 2)[0])
        np.testing.assert_array_equal(search._rank_ends(asked, 1), [[first, -1, -1]])
        assert search._rank_ends(asked, 4).shape == (1, 6)
        found = search.answer(asked, 1)[0]
        assert found.valid.all()
        assert found.donor.tolist() == [0]
        assert found.Z[0, 0] == 2 * 9 / 16
        alone = search_with(
            lambda Z: np.where(Z[:, 0] > 1, 0.9, 0.1), np.zeros((1, 3)), [[2.5, 0, 0]]
        )
        assert alone.answer(posed(alone, [1]), 1)[0].donor.tolist() == [0]
        # Nobody reaches this one.
        found = search.answer(replace(asked, target=np.array([0.95])), 1)[0]
        assert not found.valid.any()
        assert found.donor.tolist() == [-1]
        np.testing.assert_array_equal(found.Z, asked.Q)


class TestWhatIsHandedOut:
    X = np.vstack([ROWS[:6] / 10, [[9.0, 9.0, 9.0]]])
    Y = np.array([0, 1, 0, 1, 0, 1, 5])  # nobody knows the last class
    TEACHER = Formula(lambda Z: logistic(Z.sum(axis=1)))

    def generate(self, X=X, **params):
        params = {"background": ROWS, **params}
        return BatchedDice().generate(self.TEACHER, X, self.Y, **params)

    def test_donor_is_a_row_of_the_background_or_nowhere(self):
        answer = self.generate()
        assert answer.valid.tolist() == [True] * 6 + [False]
        assert answer.donor[-1] == -1
        ends = ROWS[answer.donor[:6]]
        low, high = np.minimum(self.X[:6], ends), np.maximum(self.X[:6], ends)
        assert ((low <= answer.X_cf[:6]) & (answer.X_cf[:6] <= high)).all()

    def test_how_long_it_took(self):
        started = perf_counter()
        seconds = self.generate().seconds
        assert 0 < seconds < perf_counter() - started

    def test_several_answers_stand_below_the_row_that_they_are_for(self):
        frame = pd.DataFrame(self.X, columns=list("abc"), index=np.arange(7) * 10)
        answer = self.generate(
            frame, background=pd.DataFrame(ROWS, columns=list("abc")), total_CFs=2
        )
        assert answer.X_cf.index.tolist() == np.repeat(frame.index, 2).tolist()

    @pytest.mark.parametrize("block", [1, 3, 7])
    def test_blocks_change_nothing(self, monkeypatch, block):
        whole = self.generate(total_CFs=2)
        monkeypatch.setattr(_batched, "_BLOCK", block)
        parts = self.generate(total_CFs=2)
        for name in ("X_cf", "valid", "donor", "proba_after", "target"):
            np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))

    def test_rows_that_stay_are_no_copies(self):
        """The background is the rows themselves, and nothing reaches the target."""
        teacher = Formula(lambda Z: np.full(len(Z), 0.5))
        answer = BatchedDice().generate(teacher, ROWS, np.ones(30), background=ROWS)
        assert not answer.valid.any()
        assert answer.n_repeats == 0

    def test_one_row_that_stays_does_not_stop_the_others(self):
        X, ends = np.zeros((2, 3)), np.array([[0.0, 0, 0], [1.5, 2.5, 3.5]])
        search = search_with(lambda Z: np.where(Z[:, 0] > 0.2, 0.9, 0.1), X, ends)
        asked = replace(posed(search, [1, 1]), target=np.array([0.0, 0.9]))
        found = search.answer(asked, 1)[0]
        assert found.valid[1]


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


def test_periods_are_times_and_stay():
    months = pd.Series(pd.period_range("2000", periods=200, freq="M"))
    draw = np.random.default_rng(0)
    X = pd.DataFrame({"month": months, "size": draw.normal(size=200)})
    y = (X["size"] + draw.normal(0, 0.5, 200) > 0).astype(int)
    years = FunctionTransformer(lambda t: t.assign(month=t["month"].dt.year))
    teacher = make_pipeline(years, GaussianNB()).fit(X, y)
    answers = BatchedDice().generate(teacher, X[:40], y[:40], background=X)
    assert answers.valid.sum() > 20
    assert answers.X_cf["month"].equals(X["month"][:40])
    engine = BatchedDice(features_to_vary=["month"])
    with pytest.raises(ValueError, match="'month', a column of times"):
        engine.generate(teacher, X[:40], y[:40], background=X)
