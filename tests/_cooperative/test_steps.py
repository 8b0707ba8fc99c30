"""The single steps: folds, deficiencies, the choice of teachers, completion, gate."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, ShuffleSplit

from skcoop._cooperative import _near_rows, _teaching
from skcoop._cooperative._combine import hard_vote, soft_vote, stacked
from skcoop._cooperative._completion import complete
from skcoop._cooperative._deficiencies import (
    pairs_with_news,
    qualified_teachers,
    rehearsed_rows,
    rehearsed_shares,
    rows_to_rehearse,
)
from skcoop._cooperative._fitting import Failure, fit_fold_model, laid_out
from skcoop._cooperative._gate import Gate
from skcoop._cooperative._lessons import (
    Answered,
    Lessons,
    Origin,
    completed,
    joined,
    no_lessons,
    without_duplicates,
)
from skcoop._cooperative._teaching import (
    Answers,
    _outside,
    _seen_by_search,
    at_most,
    choose_teachers,
    quotas,
)
from skcoop._members._fit_parameters import rows_of
from skcoop._members._folds import fold_of_each_row
from skcoop._members._member import make_member, set_seeds
from skcoop._members._scores import Score, gains, is_clear
from skcoop._tables._codec import TableCodec
from skcoop._tables._distances import RowMetric
from skcoop._tables._frames import same_cells
from skcoop._tables._row_keys import content_keys
from skcoop._tables._task import make_task


def small_task(n=60, n_folds=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    y = (X[:, 0] > 0).astype(int)
    folds = np.arange(n) % n_folds
    return make_task(X, y, folds, np.ones(n), np.arange(n))


def by_silo(task, owners):
    """Return the rows of each silo and their places."""
    silos = np.zeros(len(task.y)) if owners is None else owners
    places = [np.flatnonzero(silos == s) for s in np.unique(silos)]
    return [(task.part(rows), rows) for rows in places]


class TestFolds:
    def test_int_balances_silos_and_classes(self):
        y = np.tile([0, 0, 1], 50)
        owners = np.repeat([0, 1, 2], 50)
        folds = fold_of_each_row(5, np.zeros((150, 1)), y, owners, {})
        counts = pd.crosstab([owners, y], folds)
        assert (counts.max(axis=1) - counts.min(axis=1) <= 1).all()

    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize("n", [2, 3, 4, 7])
    def test_int_degrades_on_few_rows(self, n):
        y = np.arange(n)
        folds = fold_of_each_row(5, np.zeros((n, 1)), y, y % 2, {})
        assert set(folds) == set(range(min(n, 5)))

    def test_small_silos_are_spread(self):
        y = np.array([0, 1] + [0, 1] * 20)
        owners = np.array([0, 0] + [1] * 40)
        folds = fold_of_each_row(5, np.zeros((42, 1)), y, owners, {})
        assert folds[0] != folds[1]

    def test_splitter_and_iterable(self):
        X, y = np.zeros((9, 1)), np.arange(9) % 2
        splitter = KFold(3)
        by_splitter = fold_of_each_row(splitter, X, y, None, {})
        by_list = fold_of_each_row(list(splitter.split(X)), X, y, None, {})
        np.testing.assert_array_equal(by_splitter, np.repeat([0, 1, 2], 3))
        np.testing.assert_array_equal(by_list, by_splitter)

    def test_no_partition_is_refused(self):
        with pytest.raises(ValueError, match="exactly once"):
            fold_of_each_row(
                ShuffleSplit(3, random_state=0),
                np.zeros((9, 1)),
                np.arange(9) % 2,
                None,
                {},
            )


class TestTeachers:
    def qualified(self, answers, codes, owners=None, weights=None, **masks):
        task = small_task(len(codes))
        task.codes, task.classes = np.array(codes), np.unique(codes)
        if weights is not None:
            task.weights = np.array(weights, dtype=float)
        everyone = np.ones(len(answers), dtype=bool)
        masks = {k: np.array(v, dtype=bool) for k, v in masks.items()}
        chosen = [masks.get(k, everyone) for k in ("students", "teachers", "changed")]
        answers, pairs = np.array(answers), pairs_with_news(*chosen)
        everything = np.ones(answers.shape, dtype=bool)
        qualified = np.zeros((len(answers), *answers.shape), dtype=bool)
        for own, rows in by_silo(task, owners):
            qualified[:, :, rows] = qualified_teachers(
                own, answers[:, rows], pairs, everything[:, rows]
            )
        return qualified

    def test_only_wrong_rows_are_taught_by_those_who_are_right(self):
        # No row has the label 2: who says so is wrong, and contradicts nobody wrongly
        # where it says 0 or 1.
        answers = [[0, 1, 2, 2], [2, 1, 1, 2], [2, 2, 1, 0]]
        qualified = self.qualified(answers, codes=[0, 1, 1, 0])
        assert np.argwhere(qualified).tolist() == [
            *([0, 1, 2], [0, 2, 2], [0, 2, 3]),
            *([1, 0, 0], [1, 2, 3]),
            *([2, 0, 0], [2, 0, 1], [2, 1, 1]),
        ]

    def test_wrong_contradictions_cost_the_trust_in_an_answer(self):
        # As before, but the first two say 0 and 1 where they are wrong. With its 0, the
        # first contradicts both others about rows 0 and 2 and is right once in two; so
        # it is with its 1, and that of the second, against the third (rows 1 and 3).
        answers = [[0, 1, 0, 1], [2, 1, 1, 1], [2, 2, 1, 0]]
        qualified = self.qualified(answers, codes=[0, 1, 1, 0])
        assert np.argwhere(qualified).tolist() == [
            *([0, 1, 2], [0, 2, 2], [0, 2, 3]),
            [1, 2, 3],
        ]

    def test_rows_that_both_have_wrong_cost_no_trust(self):
        codes, answers = [1, 0, 0], [[0, 1, 2], [1, 1, 1]]
        assert np.argwhere(self.qualified(answers, codes)[0, 1]).tolist() == [[0]]

    def test_frozen_do_not_learn_and_mute_do_not_teach(self):
        first, second = [True, False], [False, True]
        answers, codes = [[0, 2], [2, 1]], [0, 1]
        taught = self.qualified(answers, codes)
        assert np.argwhere(taught).tolist() == [[0, 1, 1], [1, 0, 0]]
        taught = self.qualified(answers, codes, students=first)
        assert np.argwhere(taught).tolist() == [[0, 1, 1]]
        taught = self.qualified(answers, codes, teachers=first)
        assert np.argwhere(taught).tolist() == [[1, 0, 0]]
        taught = self.qualified(answers, codes, students=first, teachers=second)
        assert np.argwhere(taught).tolist() == [[0, 1, 1]]
        assert not self.qualified(answers, codes, students=first, teachers=first).any()

    def test_who_is_right_by_luck_does_not_teach(self):
        # The second member contradicts the first with a 1: right once, wrong twice.
        codes, answers = [1, 0, 0], [[0, 0, 0], [1, 1, 1]]
        assert not self.qualified(answers, codes)[0, 1].any()
        # It is a matter of weight, of the silo, and of the answer given.
        taught = self.qualified(answers, codes, weights=[3, 1, 1])
        assert np.argwhere(taught[0, 1]).tolist() == [[0]]
        taught = self.qualified(answers, codes, weights=[3, 2, 2])
        assert not taught[0, 1].any()
        taught = self.qualified(answers, codes, owners=np.array([0, 1, 1]))
        assert np.argwhere(taught[0, 1]).tolist() == [[0]]
        taught = self.qualified(answers, codes, owners=np.array([0, 1, 0]))
        assert not taught[0, 1].any()
        taught = self.qualified([[0, 0, 0], [1, 2, 2]], codes)
        assert np.argwhere(taught[0, 1]).tolist() == [[0]]

    def test_each_silo_and_each_answer_is_trusted_by_itself(self):
        # Against the first member, the second is right with its 1 in silo 0 only, and
        # with its 0 in silo 2 only; the owner of the rows need not be one of the two.
        codes = [1, 1, 0, 0, 0, 1, 0, 0, 1, 1]
        owners = np.array([0, 0, 0, 0, 0, 2, 2, 2, 2, 2])
        answers = np.array([[0, 0, 0, 2, 1, 1, 1, 1, 0, 1], [1, 1, 1, 2, 2] + [0] * 5])
        taught = self.qualified(answers, codes, owners=owners)
        # Silo 0, a 1: rows 0 and 1 against row 2. Silo 2, a 0: rows 6 and 7 against
        # rows 5 and 9, as often right as wrong.
        assert np.argwhere(taught[0, 1]).tolist() == [[0], [1]]
        answers[1, 9] = 1
        taught = self.qualified(answers, codes, owners=owners)
        assert np.argwhere(taught[0, 1]).tolist() == [[0], [1], [6], [7]]

    def test_to_be_right_as_often_as_wrong_is_not_enough(self):
        codes = [1, 0]
        assert not self.qualified([[0, 0], [1, 1]], codes)[0, 1].any()

    def test_who_has_not_changed_has_nothing_new_to_say(self):
        codes, answers = [0, 0], [[0, 1], [1, 0], [1, 1]]
        changed = [True, False, False]
        taught = self.qualified(answers, codes, changed=changed)
        assert np.argwhere(taught).tolist() == [[0, 1, 1], [1, 0, 0], [2, 0, 0]]
        taught = self.qualified(answers, codes, changed=[False, False, True])
        assert np.argwhere(taught).tolist() == [[2, 0, 0], [2, 1, 1]]
        assert not self.qualified(answers, codes, changed=[False] * 3).any()

    @pytest.mark.parametrize(
        "weights", [[1, 1, 1, 1, 1, 1], [0.1, 0.2, 0.3, 0.3, 0.2, 0.1]]
    )
    def test_sums_that_are_equal_but_for_rounding_deserve_no_trust(self, weights):
        answers, codes = [[0] * 6, [1] * 6], [1, 1, 1, 0, 0, 0]
        assert not self.qualified(answers, codes, weights=weights)[0, 1].any()

    def test_one_qualified_teacher_each_all_with_the_same_chance(self):
        task = small_task(n=900)
        qualified = np.zeros((3, 3, 900), dtype=bool)
        qualified[0, 1:, :] = True
        qualified[0, 2, :300] = False
        asked, again, other = (
            choose_teachers(task, qualified, None, seed) for seed in (3, 3, 4)
        )
        assert not (asked & ~qualified).any()
        assert (asked[0].sum(axis=0) == 1).all()
        assert asked[0, 1, :300].all()
        assert 0.43 < asked[0, 1, 300:].mean() < 0.57
        assert not asked[1:].any()
        np.testing.assert_array_equal(asked, again)
        assert (asked != other).any()

    def test_most_lessons_come_from_all_classes(self):
        task = small_task(n=100)
        task.codes = np.repeat([0, 1, 2], [90, 8, 2])
        qualified = np.zeros((2, 2, 100), dtype=bool)
        qualified[0, 1] = True
        asked = choose_teachers(task, qualified, None, 0)
        few = at_most(task, asked, np.array([12, 12]), 0)
        assert not (few & ~asked).any()
        taken = np.bincount(task.codes[few[0, 1]])
        assert taken.tolist() == [5, 5, 2]
        np.testing.assert_array_equal(at_most(task, asked, np.full(2, 100), 0), asked)

    def test_silos_share_what_a_student_may_hear(self):
        assert quotas(np.array([10, 20, 70]), 100).tolist() == [10, 20, 70]
        assert quotas(np.array([10, 20, 70]), 10).tolist() == [1, 2, 7]
        # What rounding leaves goes to those that lost most by it.
        assert quotas(np.array([15, 15, 70]), 10).tolist() == [2, 1, 7]
        assert quotas(np.array([0, 3, 3]), 3).tolist() == [0, 2, 1]


class TestBackground:
    def test_rows_outside_of_the_fold_if_there_are_any(self):
        task = small_task(n=6).part(np.array([0, 1, 3, 4]))  # of folds 0, 1, 0, 1
        assert _outside(task, 0).tolist() == [1, 3]
        assert _outside(task, 2).tolist() == [0, 1, 2, 3]
        assert _outside(task.part(np.array([0, 2])), 0).tolist() == [0, 1]

    def test_not_too_many_from_all_classes_seeded_and_by_content(self, monkeypatch):
        task = small_task()
        task.codes = (np.arange(60) % 15 == 0).astype(int)  # four of one class
        rows = np.arange(5, 60)
        assert _seen_by_search(task, rows, 0) is rows
        monkeypatch.setattr(_teaching, "_MOST_BACKGROUND", 10)
        first, again, other = (_seen_by_search(task, rows, seed) for seed in (1, 1, 2))
        assert len(first) == 10
        assert np.isin(first, rows).all()
        assert task.codes[first].sum() == 3  # all that there are
        assert (np.diff(first) > 0).all()
        np.testing.assert_array_equal(first, again)
        assert set(first) != set(other)
        order = np.random.default_rng(0).permutation(60)
        task.keys, task.codes = task.keys[order], task.codes[order]
        moved = _seen_by_search(task, np.flatnonzero(order >= 5), 1)
        assert set(order[moved]) == set(first)


class TestRehearsal:
    """Two silos of 1000 rows each; the first member has 200 of the second's wrong."""

    def setup_method(self):
        self.owners = np.repeat([0, 1], 1000)
        self.homes = np.array([0, 1])
        self.task = small_task(n=2000)
        self.answers = np.array([self.task.codes, self.task.codes])
        self.answers[0, 1000:1200] = 1 - self.answers[0, 1000:1200]
        self.answers[1, 1900:] = 1 - self.answers[1, 1900:]

    def rehearsed(self, seed=0, **masks):
        everyone = np.ones(len(self.homes), dtype=bool)
        roles = [masks.get(k, everyone) for k in ("students", "teachers", "changed")]
        pairs = pairs_with_news(*roles)
        surveyed, weights = [], np.zeros((2, len(self.homes)))
        for own, rows in by_silo(self.task, self.owners):
            answers = self.answers[:, rows]
            taught, right = np.ones(answers.shape, dtype=bool), answers == own.codes
            at_home = self.homes == self.owners[rows[0]]
            wrong = qualified_teachers(own, answers, pairs, taught).any(axis=1)
            known = rows_to_rehearse(right, pairs, taught, at_home)
            weights += [wrong @ own.weights, known @ own.weights]
            surveyed.append((own, rows, right, known))
        shares = rehearsed_shares(*weights)
        rehearsed = np.zeros((len(everyone), *self.answers.shape), dtype=bool)
        for own, rows, right, known in surveyed:
            rehearsed[:, :, rows] = rehearsed_rows(
                own, right, pairs, known, shares, seed
            )
        return rehearsed

    def test_rows_of_others_about_as_many_as_deficiencies(self):
        rehearsed = self.rehearsed()
        rows = np.flatnonzero(rehearsed[0, 1])
        # Its own it knows, it is wrong before 1200, its teacher is wrong from 1900 on.
        assert rows.min() >= 1200
        assert rows.max() < 1900
        assert 150 < len(rows) < 250
        assert not rehearsed[0, 0].any()
        assert not rehearsed[1].any()  # nothing that the first could teach it

    def test_all_that_there_are_where_deficiencies_are_more(self):
        self.answers[0, 1000:1800] = 1 - self.task.codes[1000:1800]
        rows = np.flatnonzero(self.rehearsed()[0, 1])
        np.testing.assert_array_equal(rows, np.arange(1800, 1900))

    def test_rows_that_no_teacher_has_right_do_not_dilute_the_draw(self):
        self.answers[1, 1300:] = 2  # which contradicts nobody's 0 or 1
        rows = np.flatnonzero(self.rehearsed()[0, 1])
        np.testing.assert_array_equal(rows, np.arange(1200, 1300))

    def test_each_student_draws_for_itself(self):
        self.homes = np.array([0, 0, 1])
        self.answers = self.answers[[0, 0, 1]]
        first, twin, _ = self.rehearsed()
        assert first[2].any()
        assert (first[2] != twin[2]).any()

    def test_seeded_and_by_content(self):
        first, again, other = (self.rehearsed(seed=s) for s in (0, 0, 1))
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()
        order = np.random.default_rng(0).permutation(2000)
        self.task, self.owners = self.task.part(order), self.owners[order]
        self.answers = self.answers[:, order]
        np.testing.assert_array_equal(self.rehearsed(), first[:, :, order])

    def test_counts_by_weight(self):
        plain = self.rehearsed().sum()
        self.task.weights[:] = 0.01
        assert self.rehearsed().sum() == plain
        self.task.weights[1000:1200] = 0.02
        assert 1.6 * plain < self.rehearsed().sum() < 2.4 * plain

    @pytest.mark.parametrize("role", ["students", "teachers", "changed"])
    def test_nobody_else_takes_part(self, role):
        assert not self.rehearsed(**{role: np.zeros(2, dtype=bool)}).any()

    def test_who_shares_all_rows_has_nothing_to_rehearse(self):
        self.owners[:], self.homes[:] = 0, 0
        assert not self.rehearsed().any()


class TestCompletion:
    def setup_method(self):
        self.own = np.array(
            [
                [0.0, 10.0, np.nan, 5.0],
                [1.0, 20.0, np.nan, np.nan],
                [9.0, 30.0, np.nan, 7],
            ]
        )
        self.metric = RowMetric(TableCodec(self.own), self.own)

    def completed(self, lessons, unrecorded=True):
        unrecorded = np.full(lessons.shape, unrecorded)
        return complete(lessons, unrecorded, self.own, self.metric)

    def test_what_is_missing_in_a_recorded_column_means_something(self):
        lessons = np.array([[8.5, np.nan, 3.0, np.nan], [0.1, np.nan, 3.0, 1.0]])
        np.testing.assert_array_equal(self.completed(lessons, False), lessons)
        recorded = [True, False, True, True]
        completed = self.completed(lessons, recorded)
        np.testing.assert_array_equal(completed, [[8.5, np.nan, 3, 7], lessons[1]])

    def test_fills_from_the_nearest_own_row(self):
        lessons = np.array([[8.5, np.nan, 3.0, np.nan], [0.1, np.nan, 3.0, 1.0]])
        completed = self.completed(lessons)
        np.testing.assert_array_equal(completed, [[8.5, 30, 3, 7], [0.1, 10, 3, 1]])

    def test_leaves_what_the_student_never_records_or_its_neighbour_lacks(self):
        lessons = np.array([[1.1, np.nan, np.nan, np.nan]])
        completed = self.completed(lessons)
        np.testing.assert_array_equal(completed, [[1.1, 20, np.nan, np.nan]])

    def test_order_of_the_own_rows_does_not_matter(self):
        """Of rows that are equally near, their content chooses."""
        draw = np.random.default_rng(0)
        own = draw.integers(0, 3, (200, 4)).astype(float)
        own[::7, 3] = np.nan
        lessons = draw.integers(0, 3, (50, 4)).astype(float)
        lessons[:, 2:] = np.nan
        metric = RowMetric(TableCodec(own), own)
        gaps = np.ones(lessons.shape, dtype=bool)
        completed = complete(lessons, gaps, own, metric)
        near = (own[:, None, :2] == lessons[:, :2]).all(axis=2)
        assert (near.sum(axis=0) > 10).all()  # nearly all have many to choose from
        for seed in range(5):
            order = np.random.default_rng(seed).permutation(200)
            again = complete(lessons, gaps, own[order], metric)
            np.testing.assert_array_equal(again, completed)
        # Values that go together come from one row.
        for row in completed:
            assert same_cells(own, row).all(axis=1).any()

    def test_nothing_missing_nothing_done(self):
        lessons = np.ones((2, 4))
        np.testing.assert_array_equal(self.completed(lessons), lessons)


class TestDistances:
    def test_every_column_counts_for_at_most_one(self):
        frame = pd.DataFrame(
            {"a": [0.0, 10.0, 5.0], "b": ["x", "y", "x"], "c": [np.nan, 1.0, 2.0]}
        )
        codec = TableCodec(frame)
        Z = codec.encode(frame)
        metric = RowMetric(codec, Z)
        np.testing.assert_allclose(metric.changes(Z[:1], Z[1:2]), [[1, 1, 1]])
        np.testing.assert_allclose(metric.changes(Z[:1], Z[2:]), [[0.5, 0, 1]])
        np.testing.assert_allclose(metric.gower(Z[:1], Z[:1]), [0])
        assert metric.gower(Z[:1], Z[1:2] * [1e6, 1, 1])[0] <= 1

    def test_nearest_agrees_with_brute_force_in_any_block(self, monkeypatch):
        rng = np.random.default_rng(0)
        frame = pd.DataFrame(
            {
                "a": rng.normal(size=80),
                "b": rng.choice(list("xyz"), size=80),
                "c": np.where(rng.random(80) < 0.2, np.nan, rng.normal(size=80)),
            }
        )
        codec = TableCodec(frame)
        Z = codec.encode(frame)
        metric = RowMetric(codec, Z)
        nearest, distance = metric.nearest(Z[:20], Z[20:], k=3)
        steps = (Z[:20, None, [0, 2]] - Z[None, 20:, [0, 2]]) / metric.span[[0, 2]]
        squared = np.square(steps[:, :, 0]) + (Z[:20, None, 1] != Z[None, 20:, 1])
        first, second = np.isnan(Z[:20, None, 2]), np.isnan(Z[None, 20:, 2])
        known = np.where(first | second, 0.0, steps[:, :, 1] ** 2)
        one = first != second
        scaled = (np.where(first, Z[None, 20:, 2], Z[:20, None, 2]) - metric.low[2]) / (
            metric.span[2]
        )
        missing = np.where(one, 1 + (scaled - 0.5) ** 2, 0.0)
        squared = squared + known + missing
        np.testing.assert_allclose(distance, np.sort(squared, axis=1)[:, :3], atol=1e-8)
        monkeypatch.setattr("skcoop._tables._distances._BLOCK", 1)
        again, _ = metric.nearest(Z[:20], Z[20:], k=3)
        np.testing.assert_array_equal(again, nearest)

    def test_missing_is_never_near(self):
        Z = np.array([[np.nan], [0.0], [0.5], [1.0]])
        metric = RowMetric(TableCodec(Z), Z)
        _, distance = metric.nearest(Z[:1], Z[1:], k=3)
        assert (distance >= 1).all()


class TestLessons:
    @staticmethod
    def lessons(Z, source, number=1, label=None, content=None):
        source = np.asarray(source)
        n, ones = len(source), np.ones(len(source))
        return Lessons(
            Z=np.asarray(Z, dtype=float),
            label=np.zeros(n, dtype=int) if label is None else np.asarray(label),
            fold=source % 3,
            donor_fold=np.full(n, -1),
            silo=np.zeros(n, dtype=int),
            source=source,
            content=source if content is None else np.asarray(content),
            teacher=np.zeros(n, dtype=int),
            round=np.full(n, number),
            donor=np.full(n, -1),
            before=ones,
            after=ones,
            distance=ones,
            changed=np.ones((n, 3), dtype=bool),
        )

    def test_same_instance_and_label_stay_once(self):
        lessons = self.lessons(np.ones((4, 3)), [0, 1, 2, 3], label=[0, 0, 1, 1])
        unique = without_duplicates(lessons)
        assert unique.label.tolist() == [0, 1]
        assert unique.source.tolist() == [0, 2]

    def test_same_instance_of_two_silos_stays_once(self):
        lessons = self.lessons(np.ones((2, 3)), [1, 0])
        lessons.silo[:] = [0, 1]
        assert without_duplicates(lessons).silo.tolist() == [0]

    def test_repeated_rows_keep_a_lesson_each(self):
        lessons = self.lessons(np.ones((2, 3)), [0, 1], content=[0, 0])
        assert len(without_duplicates(lessons)) == 2
        again = self.lessons(np.ones((2, 3)), [0, 1], number=2, content=[0, 0])
        assert len(without_duplicates(lessons + again)) == 2

    def test_fold_models_know_nothing_of_the_fold_that_they_judge(self):
        lessons = self.lessons(np.zeros((6, 3)), [0, 0, 1, 1, 2, 2])
        lessons.donor_fold = np.array([-1, 2, 0, 2, -1, 1])
        for fold, left in enumerate([[3, 4, 5], [0, 1, 4], [0, 2]]):
            outside = lessons.outside(fold)
            np.testing.assert_array_equal(outside.source, lessons.source[left])
            np.testing.assert_array_equal(outside.donor_fold, lessons.donor_fold[left])

    def test_none_to_begin_with(self):
        empty = no_lessons(3)
        both = empty + self.lessons(np.ones((2, 3)), [0, 1])
        assert (len(empty), len(both)) == (0, 2)
        assert both.changed.dtype == bool
        assert both.source.dtype == both.round.dtype == np.intp

    def test_parameters_of_fit_stay_with_their_lessons(self):
        first, second = (self.lessons(np.ones((2, 3)), [0, 1]) for _ in range(2))
        first.parameters = {"sample_weight": np.array([1.0, 2.0])}
        second.parameters = {"sample_weight": np.array([3.0, 4.0])}
        both = no_lessons(3) + first + second
        assert both.parameters["sample_weight"].tolist() == [1, 2, 3, 4]
        some = both[np.array([True, False, False, True])]
        assert some.parameters["sample_weight"].tolist() == [1, 4]

    def test_numbers_of_rows_follow_their_content_not_their_place(self):
        task = small_task()
        order = np.random.default_rng(0).permutation(60)
        assert sorted(task.ranks) == list(range(60))
        np.testing.assert_array_equal(task.part(order).ranks, task.ranks[order])
        twice = task.part(np.array([3, 7, 3]))
        assert twice.contents[0] == twice.contents[2] != twice.contents[1]
        assert len(set(twice.ranks)) == 3

    def test_content_keys_see_content_only(self):
        Z = np.array([[0.0, np.nan], [-0.0, np.nan], [np.nan, 0.0], [0.0, 1.0]])
        keys = content_keys(Z)
        assert keys[0] == keys[1]
        assert len(set(keys)) == 3


FAR = np.array([10.0, 10.0, 0.0])


class TestTranslation:
    """Two members with 30 rows each; the second never records the last column."""

    def setup_method(self):
        self.task = small_task()
        self.task.Z[30:, 2] = np.nan
        self.members = [
            make_member(name, LogisticRegression(), 3, number, {})
            for name, number in [("first", 0), ("second", 1)]
        ]
        self.chosen = np.full((2, 60), -1)

    def answers(self, rows, Z, **changes):
        rows, n = np.asarray(rows), len(rows)
        given = {
            "found": np.ones(n, dtype=bool),
            "kept": np.ones(n, dtype=bool),
            "before": np.linspace(0.5, 0.6, n),
            "after": np.linspace(0.8, 0.9, n),
            "donor_row": np.arange(n),
        }
        return Answers(rows, np.asarray(Z, dtype=float), **{**given, **changes})

    def translated(self, answers, number=4, floor=0.0):
        """Bring answers, by teacher, fold and silo, to students at their homes."""
        homes = [self.task.part(np.arange(30) + 30 * k) for k in range(2)]
        proposed = {}
        for student, member in enumerate(self.members):
            gathered = [no_lessons(3)]
            for silo, own in enumerate(homes):
                there = {
                    (teacher, fold): replace(answer, rows=answer.rows - 30 * silo)
                    for (teacher, fold, where), answer in answers.items()
                    if where == silo
                }
                chosen = self.chosen[student, 30 * silo : 30 * silo + 30]
                answered = Answered(own, there, Origin(silo, number, floor))
                lessons = answered.for_student(
                    chosen == np.arange(2)[:, None],
                    member.reads,
                    {},
                    at_home=silo == student,
                )
                # Back from the numbers of rows to their places.
                places = np.append(np.argsort(own.ranks), -1)
                lessons.source = places[lessons.source] + 30 * silo
                lessons.donor = places[lessons.donor]
                gathered.append(lessons)
            unrecorded = {k: own.unrecorded for k, own in enumerate(homes)}
            lessons = completed(
                homes[student], member, student, joined(gathered), unrecorded, complete
            )
            if len(lessons):
                proposed[student] = lessons
        return proposed

    def test_answers_of_the_chosen_teacher_become_lessons(self):
        rows = np.array([40, 45, 50, 55])
        Z = self.task.Z[rows] + FAR
        self.chosen[1, rows] = 0
        self.chosen[1, 50] = -1  # somebody else teaches this row
        kept = np.array([True, True, True, False])
        lessons = self.translated({(0, 1, 1): self.answers(rows, Z, kept=kept)})
        assert list(lessons) == [1]
        own = lessons[1]
        np.testing.assert_array_equal(own.source, [40, 45])
        np.testing.assert_array_equal(own.teacher, [0, 0])
        np.testing.assert_array_equal(own.round, [4, 4])
        np.testing.assert_array_equal(own.donor, [0, 1])
        np.testing.assert_array_equal(own.donor_fold, [0, 1])
        np.testing.assert_array_equal(own.fold, [1, 0])
        np.testing.assert_array_equal(own.label, self.task.codes[[40, 45]])
        np.testing.assert_allclose(own.before, [0.5, 0.5 + 0.1 / 3])
        np.testing.assert_allclose(own.after, [0.8, 0.8 + 0.1 / 3])
        # What was not recorded is not a change, and stays unknown: no own row has it.
        np.testing.assert_array_equal(own.changed, [[True, True, False]] * 2)
        np.testing.assert_array_equal(own.Z, Z[:2])
        # Two of three columns change by their whole range.
        np.testing.assert_allclose(own.distance, [2 / 3, 2 / 3])

    def test_answers_of_all_copies_come_together(self):
        self.chosen[1, [40, 41, 42]] = 0
        lessons = self.translated(
            {
                (0, fold, 1): self.answers(rows, self.task.Z[rows] + FAR)
                for fold, rows in enumerate([[42], [40, 41]])
            }
        )
        np.testing.assert_array_equal(lessons[1].source, [42, 40, 41])

    def test_an_answer_reaches_those_who_chose_its_teacher(self):
        self.chosen[0, [40, 41]], self.chosen[1, [41, 42]] = 1, 1
        Z = self.task.Z[[40, 41, 42]] + FAR
        lessons = self.translated({(1, 0, 1): self.answers([40, 41, 42], Z)})
        np.testing.assert_array_equal(lessons[0].source, [40, 41])
        np.testing.assert_array_equal(lessons[1].source, [41, 42])

    @pytest.mark.parametrize("enough", [True, False])
    def test_nothing_leaves_that_is_a_row_but_for_one_cell(self, enough, monkeypatch):
        """Among a few columns that tells nothing."""
        monkeypatch.setattr(_near_rows, "_LEAST_COLUMNS", 2 if enough else 3)
        self.chosen[0, [40, 41]], self.chosen[1, [40, 41]] = 1, 1
        Z = self.task.Z[[40, 41]] + FAR
        Z[0] = self.task.Z[50] + [10.0, 0.0, 0.0]
        lessons = self.translated({(1, 0, 1): self.answers([40, 41], Z)})
        expected = [41] if enough else [40, 41]
        np.testing.assert_array_equal(lessons[0].source, expected)
        # At home there is nothing to hide.
        np.testing.assert_array_equal(lessons[1].source, [40, 41])

    @pytest.mark.parametrize("floor", [0.5, 1.0, 2.0])
    def test_nothing_leaves_that_is_nearer_than_the_floor(self, floor):
        rows = np.arange(30, 60)
        recorded = [0, 1]
        own = self.task.Z[np.ix_(rows, recorded)]
        own = (own - own.min(axis=0)) / np.ptp(own, axis=0)
        apart = np.linalg.norm(own[:, None] - own, axis=2) + 9 * np.eye(30)
        usual = np.median(apart.min(axis=1))
        self.chosen[0, rows] = 1
        Z = self.task.Z[rows].copy()
        step = np.linspace(0.02, 3.0, 30) * usual * np.ptp(Z[:, 0])
        # The outermost row moves outwards, so that it is the nearest one.
        outermost = Z[:, 0].argmax()
        Z[:] = Z[outermost]
        Z[:, 0] += step
        answers = {(1, 0, 1): self.answers(rows, Z)}
        lessons = self.translated(answers, floor=floor)
        expected = rows[np.linspace(0.02, 3.0, 30) >= floor]
        np.testing.assert_array_equal(lessons[0].source, expected)
        # At home there is nothing to hide.
        self.chosen[:] = -1
        self.chosen[1, rows] = 1
        at_home = self.translated(answers, floor=floor)
        np.testing.assert_array_equal(at_home[1].source, rows)

    def test_rows_that_are_all_the_same_have_no_usual_distance(self):
        self.task.Z[30:] = [1.0, 2.0, np.nan]
        own = self.task.part(np.arange(30, 60))
        near = _near_rows.too_near(own, own.Z + FAR, 1.0)
        assert not near.any()

    def test_what_was_never_recorded_is_completed(self):
        self.chosen[0, 40] = 1
        Z = self.task.Z[[40]] + FAR
        lesson = self.translated({(1, 0, 1): self.answers([40], Z)})[0]
        assert lesson.Z[0, 2] in self.task.Z[:30, 2]
        np.testing.assert_array_equal(lesson.changed, [[True, True, False]])

    @pytest.mark.parametrize("reads_all", [True, False])
    def test_no_row_is_handed_over(self, reads_all):
        """Not even one that is a row only on the columns that the student reads."""
        self.chosen[0, [40, 41]] = 1
        if not reads_all:
            self.members[0].reads = np.array([True, True, False])
        Z = self.task.Z[[40, 41]] + FAR
        Z[0, :2] = self.task.Z[7, :2]
        Z[0, 2] = 5.0  # of no row
        lessons = self.translated({(1, 0, 1): self.answers([40, 41], Z)})
        expected = [40, 41] if reads_all else [41]
        np.testing.assert_array_equal(lessons[0].source, expected)
        Z[0] = self.task.Z[7]
        lessons = self.translated({(1, 0, 1): self.answers([40, 41], Z)})
        np.testing.assert_array_equal(lessons[0].source, [41])

    def test_not_even_by_completion(self):
        self.chosen[0, [40, 41]] = 1
        Z = self.task.Z[[40, 41]] + FAR
        # The last cell is taken from the nearest row, which makes it that row.
        Z[0] = [*self.task.Z[7, :2], np.nan]
        lessons = self.translated({(1, 0, 1): self.answers([40, 41], Z)})
        np.testing.assert_array_equal(lessons[0].source, [41])
        alone = self.translated({(1, 0, 1): self.answers([40], Z[:1])})
        assert alone == {}

    def test_a_student_that_learns_nothing_does_not_end_the_round(self):
        self.chosen[0, 40], self.chosen[1, 7] = 1, 0
        first = self.answers([40], self.task.Z[[7]])  # is a row
        second = self.answers([7], self.task.Z[[7]] + FAR)
        lessons = self.translated({(1, 0, 1): first, (0, 0, 0): second})
        assert list(lessons) == [1]


class Sign(ClassifierMixin, BaseEstimator):
    """Knows the rule from the start, but for rows with a mark."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.eye(2)[((X[:, 0] > 0) ^ (X[:, 2] == 99.0)).astype(int)]

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


ACCURACY = Score("accuracy")


def clear_gain(task, before, after, rows):
    own, places = task.part(np.flatnonzero(rows)), np.flatnonzero(rows)
    scores = [
        ACCURACY.of([ACCURACY.part(own, places, proba[rows])])
        for proba in (before, after)
    ]
    return is_clear(gains(*scores))


def counted(method, calls):
    """Return a method that notes each call."""

    def noted(self, *args):
        calls.append(args)
        return method(self, *args)

    return noted


class TestGate:
    def setup_method(self):
        self.task = small_task(n=60)
        self.members = [
            make_member(name, LogisticRegression(), 3, 0, {})
            for name in ("good", "bad")
        ]
        # Which rows are at the first member's home, if they are not all.
        self.own = np.ones(60, dtype=bool)

    def share_right(self, share):
        codes = self.task.codes
        wrong = np.arange(60) >= 60 * share
        return np.eye(2)[np.where(wrong, 1 - codes, codes)]

    def helpful(self):
        rows = np.arange(0, 60, 5)
        return self.lessons(self.task.Z[rows] * 1.5, rows)

    def harmful(self):
        rows = np.arange(60)
        # Each lesson lies among the rows of the other class.
        return self.lessons(self.task.Z[rows] * [-5, 1, 1], rows)

    def lessons(self, Z, rows):
        lessons = TestLessons.lessons(Z, rows, label=self.task.codes[rows])
        lessons.fold = self.task.folds[rows]
        return lessons

    def gate(self, accept):
        n_silos = 1 if self.own.all() else 2
        return Gate(
            ACCURACY,
            accept,
            homes=np.zeros(2, dtype=int),
            credible=np.ones(n_silos, dtype=bool),
            n_folds=3,
        )

    def parts(self, proba):
        """Return what the silo of the first member's rows says, and the other."""
        silos = [self.own] if self.own.all() else [self.own, ~self.own]
        return {
            s: ACCURACY.part(self.task.part(rows), rows, proba[rows])
            for s, rows in enumerate(map(np.flatnonzero, silos))
        }

    def decide(self, proposed, before, accept="all"):
        if np.isscalar(before):
            before = self.share_right(before)
        gate, verdicts = self.gate(accept), {}
        for k, lessons in proposed.items():
            results = [
                fit_fold_model(self.task, self.members[k], lessons, fold)
                for fold in range(3)
            ]
            failed = [each for each in results if isinstance(each, Failure)]
            if failed:
                verdicts[k] = gate.failed(k, self.parts(before), failed[0].said)
                continue
            after = laid_out(self.task, [answers for _, answers in results])
            verdicts[k] = gate.decide(k, self.parts(before), self.parts(after))
        return verdicts

    def test_better_is_kept_and_worse_is_refused(self):
        verdicts = self.decide({0: self.helpful(), 1: self.harmful()}, before=0.7)
        assert verdicts[0].accepted
        assert verdicts[0].score_before == pytest.approx(0.7)
        assert verdicts[0].score_after > 0.9
        assert not verdicts[1].accepted

    def test_no_better_is_refused(self):
        assert not self.decide({0: self.helpful()}, before=1.0)[0].accepted

    def test_without_gate_everything_is_kept(self):
        verdict = self.decide({1: self.harmful()}, before=1.0, accept=None)[1]
        assert verdict.accepted
        assert verdict.accepted_without.all()
        assert verdict.score_before == 1.0
        assert verdict.score_after < 0.5

    def winning(self, by_fold):
        """Let a refit of the first member win or lose a number of rows in each fold."""
        self.members[0].estimator = Sign()
        before = self.share_right(1.0)
        for fold, number in enumerate(by_fold):
            some = np.flatnonzero(self.task.folds == fold)[: abs(number)]
            if number > 0:
                before[some] = before[some, ::-1]
            else:
                self.task.X[some, 2] = 99.0
        return before

    def gain(self, by_fold):
        return self.decide({0: self.helpful()}, self.winning(by_fold))[0]

    @pytest.mark.parametrize(
        ("by_fold", "accepted"),
        [
            ([4, 4, 4], True),
            ([1, 1, 1], True),
            ([1, 1, 0], True),
            ([6, 1, 0], True),
            ([3, -1, 3], True),
            # As much as the standard error: a gain in a single fold.
            ([0, 1, 0], False),
            ([6, 0, 0], False),
            # Less than it.
            ([6, -1, 0], False),
            ([3, -2, 3], False),
            ([0, 0, 0], False),
            ([0, -1, 0], False),
            ([-4, -4, -4], False),
        ],
        ids=str,
    )
    def test_a_gain_within_one_standard_error_is_refused(self, by_fold, accepted):
        verdict = self.gain(by_fold)
        gain = 60 * (verdict.score_after - verdict.score_before)
        assert gain == pytest.approx(sum(by_fold))
        assert verdict.accepted == accepted
        if np.std(by_fold) > 0:
            standard_error = np.std(by_fold, ddof=1) / np.sqrt(3)
            assert accepted == (np.mean(by_fold) > standard_error + 1e-9)

    @pytest.mark.parametrize("weight", [1.0, 0.1, 0.3])
    @pytest.mark.parametrize("n_folds", [1, 2, 5, 10])
    def test_a_gain_in_one_fold_alone_is_refused(self, n_folds, weight):
        """It is its own standard error; rounding must not decide."""
        task = small_task(n=40 * n_folds, n_folds=n_folds)
        task.weights *= weight
        after = np.eye(2)[task.codes]
        everywhere = np.ones(len(task.y), dtype=bool)
        for fold in range(n_folds):
            mine = np.flatnonzero(task.folds == fold)
            elsewhere = np.flatnonzero(task.folds != fold)
            for won in (1, 3, 7, 9):
                before = after.copy()
                before[mine[:won]] = before[mine[:won], ::-1]
                assert not clear_gain(task, before, after, everywhere)
                assert not clear_gain(task, after, before, everywhere)
                if n_folds > 1:
                    before[elsewhere[:1]] = before[elsewhere[:1], ::-1]
                    assert clear_gain(task, before, after, everywhere)

    def test_as_much_won_as_lost_is_no_gain(self):
        task = small_task(n=18)
        task.weights[:] = 0.1
        before = np.eye(2)[np.where(np.arange(18) % 2, task.codes, 1 - task.codes)]
        everywhere = np.ones(18, dtype=bool)
        assert not clear_gain(task, before, before[:, ::-1], everywhere)

    def test_gains_count_by_weight_and_among_the_rows_that_judge(self):
        before, proposed = self.winning([3, -1, 3]), {0: self.helpful()}
        assert self.decide(proposed, before)[0].accepted
        # The row that was lost, in the second fold, is worth as much as five.
        self.task.weights[1] = 5.0
        verdict = self.decide(proposed, before)[0]
        assert verdict.score_after > verdict.score_before
        assert not verdict.accepted
        # It belongs to somebody else.
        self.own[1] = False
        assert self.decide(proposed, before, accept="own")[0].accepted
        assert not self.decide(proposed, before, accept="all")[0].accepted

    def test_all_lessons_are_tried_once(self, monkeypatch):
        fits = []
        monkeypatch.setattr(Sign, "fit", counted(Sign.fit, fits))
        assert not self.gain([0, -1, 0]).accepted
        assert len(fits) == 3

    def test_blindly_nothing_is_judged(self):
        verdict = self.gate(None).kept_blindly()
        assert verdict.accepted
        assert verdict.tried is None
        assert np.isnan([verdict.score_before, verdict.score_after]).all()

    def test_own_rows_judge_alone(self):
        self.own = np.arange(60) < 10
        assert self.gate("own").judges(0) == [0]
        assert self.gate("all").judges(0) == [0, 1]
        verdict = self.decide({0: self.helpful()}, before=0.5, accept="own")[0]
        assert verdict.score_before == 1.0

    def test_a_member_that_fails_stays_and_the_next_one_is_judged(self):
        self.members[0].estimator = LogisticRegression(C="much")
        verdicts = self.decide({0: self.helpful(), 1: self.helpful()}, before=0.7)
        assert "InvalidParameterError" in verdicts[0].failure
        assert not verdicts[0].accepted
        assert np.isnan(verdicts[0].score_after)
        assert verdicts[1].accepted
        assert not verdicts[1].failure

    def test_rows_that_do_not_judge_do_not_count(self):
        """Neither by themselves nor in what rounding is taken for."""
        task = small_task()
        after = np.eye(2)[task.codes]
        before, mine = after.copy(), np.arange(60) < 6
        before[:6] = before[:6, ::-1]
        after[6:] = after[6:, ::-1]
        assert clear_gain(task, before, after, mine)
        assert not clear_gain(task, before, after, ~mine)
        task.weights[6:] = 1e12
        assert clear_gain(task, before, after, mine)

    def test_present_scores_of_all_or_own_rows(self):
        self.own = np.arange(60) < 40
        parts = self.parts(self.share_right(0.5))
        assert self.gate("all").present_score(0, "a", parts) == pytest.approx(0.5)
        assert self.gate("own").present_score(0, "a", parts) == pytest.approx(0.75)
        guest = replace(self.gate("own"), homes=np.array([-1, 0]))
        assert np.isnan(guest.present_score(0, "a", parts))

    def test_only_silos_that_said_something_of_both_judge(self):
        self.own = np.arange(60) < 40
        before, after = (self.parts(self.share_right(p)) for p in (0.5, 1.0))
        del after[1]
        verdict = self.gate("all").decide(0, before, after)
        assert verdict.score_before == pytest.approx(0.75)
        assert verdict.score_after == 1.0
        nobody = self.gate("all").decide(0, before, {})
        assert not nobody.accepted
        assert nobody.reason == "nobody judged it"

    def test_score_is_weighted(self):
        self.task.weights[:6] = 55.0
        rows = np.arange(60)
        proba = np.eye(2)[self.task.codes]
        proba[:6] = proba[:6, ::-1]
        score = ACCURACY.of([ACCURACY.part(self.task, rows, proba)])
        assert score.total == pytest.approx(54 / (54 + 330))


class TestCombine:
    proba = np.array(
        [[[0.9, 0.1, 0.0]], [[0.4, 0.6, 0.0]], [[0.3, 0.6, 0.1]]]  # three members
    )

    def test_votes(self):
        np.testing.assert_allclose(soft_vote(self.proba), [[1.6 / 3, 1.3 / 3, 0.1 / 3]])
        assert hard_vote(self.proba).tolist() == [1]

    def test_soft_vote_sums_to_one_where_nobody_knows_the_class(self):
        np.testing.assert_allclose(soft_vote(np.zeros((2, 1, 4))), [[0.25] * 4])
        half_known = np.array([[[0.5, 0.0]], [[0.5, 0.0]]])
        np.testing.assert_allclose(soft_vote(half_known), [[1.0, 0.0]])

    def test_stacked_leaves_out_what_is_redundant(self):
        assert stacked(self.proba).shape == (1, 9)
        assert stacked(self.proba[:, :, :2]).tolist() == [[0.1, 0.6, 0.6]]


def test_open_seeds_are_set_and_chosen_ones_kept():
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline

    assert set_seeds(RandomForestClassifier(), 5).random_state == 5
    assert set_seeds(RandomForestClassifier(random_state=1), 5).random_state == 1
    pipeline = make_pipeline(RandomForestClassifier())
    assert set_seeds(pipeline, 5)[-1].random_state == 5
    assert pipeline[-1].random_state is None


def test_rows_of_a_parameter():
    rows = np.array([2, 0])
    assert rows_of([1, 2, 3], rows, 3).tolist() == [3, 1]
    assert rows_of(pd.Series([1, 2, 3], index=[7, 8, 9]), rows, 3).tolist() == [3, 1]
    assert rows_of("abc", rows, 3) == "abc"
    assert rows_of(None, rows, 3) is None
    assert rows_of([1, 2], rows, 3) == [1, 2]
