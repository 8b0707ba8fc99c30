"""The single steps: folds, deficiencies, the choice of teachers, completion, gate."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, ShuffleSplit

from skcoop._combine import hard_vote, soft_vote, stacked
from skcoop._completion import complete
from skcoop._cooperation import Judgement, rows_of
from skcoop._deficiencies import qualified_teachers
from skcoop._distances import RowMetric
from skcoop._folds import fold_of_each_row
from skcoop._frames import TableCodec
from skcoop._gate import decide, judged_rows, score
from skcoop._lessons import Lessons, no_lessons, without_duplicates
from skcoop._members import make_member, set_seeds
from skcoop._task import content_keys, make_task
from skcoop._teaching import choose_teachers


def small_task(n=60, n_folds=3, owners=None, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    y = (X[:, 0] > 0).astype(int)
    folds = np.arange(n) % n_folds
    return make_task(X, y, owners, folds, np.ones(n), np.arange(n))


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
        task = small_task(len(codes), owners=None if owners is None else owners)
        task.codes, task.classes = np.array(codes), np.unique(codes)
        if weights is not None:
            task.weights = np.array(weights, dtype=float)
        everyone = np.ones(len(answers), dtype=bool)
        masks = {k: np.array(v, dtype=bool) for k, v in masks.items()}
        chosen = [masks.get(k, everyone) for k in ("students", "teachers", "changed")]
        return qualified_teachers(task, np.array(answers), *chosen)

    def test_only_wrong_rows_are_taught_by_those_who_are_right(self):
        answers = [[0, 1, 0, 1], [2, 1, 1, 1], [2, 2, 1, 0]]
        qualified = self.qualified(answers, codes=[0, 1, 1, 0])
        assert np.argwhere(qualified).tolist() == [
            *([0, 1, 2], [0, 2, 2], [0, 2, 3]),
            *([1, 0, 0], [1, 2, 3]),
            *([2, 0, 0], [2, 0, 1], [2, 1, 1]),
        ]

    def test_frozen_do_not_learn_and_mute_do_not_teach(self):
        answers, first, second = [[0, 0], [1, 1]], [True, False], [False, True]
        codes = [0, 1]
        taught = self.qualified(answers, codes, students=first, teachers=second)
        assert not taught.any()  # the second says 1 everywhere: right once in two
        taught = self.qualified([[0, 0], [0, 1]], codes, students=first)
        assert np.argwhere(taught).tolist() == [[0, 1, 1]]
        mute = self.qualified([[0, 0], [0, 1]], codes, teachers=first)
        assert not mute.any()

    def test_who_is_right_by_luck_does_not_teach(self):
        # The second member contradicts the first with a 1: right once, wrong twice.
        codes, answers = [1, 0, 0], [[0, 0, 0], [1, 1, 1]]
        assert not self.qualified(answers, codes).any(axis=2)[0, 1]
        # It is a matter of weight, of the silo, and of the answer given.
        taught = self.qualified(answers, codes, weights=[3, 1, 1])
        assert np.argwhere(taught[0, 1]).tolist() == [[0]]
        taught = self.qualified(answers, codes, owners=np.array([0, 1, 1]))
        assert np.argwhere(taught[0, 1]).tolist() == [[0]]
        taught = self.qualified([[0, 0, 0], [1, 2, 2]], codes=[1, 0, 0])
        assert np.argwhere(taught[0, 1]).tolist() == [[0]]

    def test_to_be_right_as_often_as_wrong_is_not_enough(self):
        codes = [1, 0]
        assert not self.qualified([[0, 0], [1, 1]], codes)[0, 1].any()

    def test_who_has_not_changed_has_nothing_new_to_say(self):
        codes, answers = [0, 0], [[0, 1], [1, 0], [1, 1]]
        changed = [True, False, False]
        taught = self.qualified(answers, codes, changed=changed).any(axis=2)
        assert np.argwhere(taught).tolist() == [[0, 1], [1, 0], [2, 0]]
        assert not self.qualified(answers, codes, changed=[False] * 3).any()

    def test_one_qualified_teacher_each_all_with_the_same_chance(self):
        task = small_task(n=900)
        qualified = np.zeros((3, 3, 900), dtype=bool)
        qualified[0, 1:, :] = True
        qualified[0, 2, :300] = False
        chosen = choose_teachers(task, qualified, max_lessons=None, seed=3)
        assert (chosen[0, :300] == 1).all()
        assert 0.43 < (chosen[0, 300:] == 1).mean() < 0.57
        assert set(chosen[0]) == {1, 2}
        assert (chosen[1:] == -1).all()
        again = choose_teachers(task, qualified, max_lessons=None, seed=3)
        other = choose_teachers(task, qualified, max_lessons=None, seed=4)
        np.testing.assert_array_equal(chosen, again)
        assert (chosen != other).any()

    def test_most_lessons_come_from_all_classes(self):
        task = small_task(n=100)
        task.codes = np.repeat([0, 1, 2], [90, 8, 2])
        qualified = np.zeros((2, 2, 100), dtype=bool)
        qualified[0, 1] = True
        chosen = choose_teachers(task, qualified, max_lessons=12, seed=0)
        taken = np.bincount(task.codes[chosen[0] == 1])
        assert taken.tolist() == [5, 5, 2]


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

    def test_fills_from_the_nearest_own_row(self):
        lessons = np.array([[8.5, np.nan, 3.0, np.nan], [0.1, np.nan, 3.0, 1.0]])
        completed = complete(lessons, self.own, self.metric)
        np.testing.assert_array_equal(completed, [[8.5, 30, 3, 7], [0.1, 10, 3, 1]])

    def test_leaves_what_the_student_never_records_or_its_neighbour_lacks(self):
        lessons = np.array([[1.1, np.nan, np.nan, np.nan]])
        completed = complete(lessons, self.own, self.metric)
        np.testing.assert_array_equal(completed, [[1.1, 20, np.nan, np.nan]])

    def test_nothing_missing_nothing_done(self):
        lessons = np.ones((2, 4))
        np.testing.assert_array_equal(complete(lessons, self.own, self.metric), lessons)


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
        monkeypatch.setattr("skcoop._distances._BLOCK", 1)
        again, _ = metric.nearest(Z[:20], Z[20:], k=3)
        np.testing.assert_array_equal(again, nearest)

    def test_missing_is_never_near(self):
        Z = np.array([[np.nan], [0.0], [0.5], [1.0]])
        metric = RowMetric(TableCodec(Z), Z)
        _, distance = metric.nearest(Z[:1], Z[1:], k=3)
        assert (distance >= 1).all()


class TestLessons:
    @staticmethod
    def lessons(Z, source, number=1):
        n = len(source)
        ones = np.ones(n)
        return Lessons(
            np.asarray(Z, dtype=float),
            np.asarray(source),
            np.full(n, -1),
            np.zeros(n, dtype=int),
            np.full(n, number),
            *(ones, ones, ones),
            np.ones((n, 3), dtype=bool),
        )

    def test_same_instance_and_label_stay_once(self):
        task = small_task()
        task.codes[:4] = [0, 0, 1, 1]
        lessons = self.lessons(np.ones((4, 3)), [0, 1, 2, 3])
        unique = without_duplicates(task, lessons)
        assert sorted(task.codes[unique.source]) == [0, 1]

    def test_repeated_rows_keep_a_lesson_each(self):
        task = small_task()
        task.keys[1] = task.keys[0]
        task.codes[:2] = 0
        lessons = self.lessons(np.ones((2, 3)), [0, 1])
        assert len(without_duplicates(task, lessons)) == 2
        twice = lessons + self.lessons(np.ones((2, 3)), [0, 1], number=2)
        assert len(without_duplicates(task, twice)) == 2

    def test_content_keys_see_content_only(self):
        Z = np.array([[0.0, np.nan], [-0.0, np.nan], [np.nan, 0.0], [0.0, 1.0]])
        keys = content_keys(Z)
        assert keys[0] == keys[1]
        assert len(set(keys)) == 3


class TestGate:
    def setup_method(self):
        self.task = small_task(n=60)
        names = ["good", "bad"]
        self.members = [
            make_member(name, LogisticRegression(), np.arange(60), 3, 0, {})
            for name in names
        ]
        self.kept = [no_lessons(3), no_lessons(3)]

    def judgement(self, share_right):
        codes = self.task.codes
        wrong = np.arange(60) >= 60 * share_right
        proba = np.eye(2)[np.where(wrong, 1 - codes, codes)]
        return Judgement([None] * 3, proba)

    def helpful(self):
        rows = np.arange(0, 60, 5)
        return TestLessons.lessons(self.task.Z[rows] * 1.5, rows)

    def harmful(self):
        rows = np.arange(60)
        # Each lesson lies among the rows of the other class.
        return TestLessons.lessons(self.task.Z[rows] * [-5, 1, 1], rows)

    def decide(self, proposed, before, accept="all"):
        return decide(
            self.task,
            self.members,
            [self.judgement(before)] * 2,
            self.kept,
            proposed,
            accept,
            n_jobs=None,
        )

    def test_better_is_kept_and_worse_is_refused(self):
        verdicts = self.decide({0: self.helpful(), 1: self.harmful()}, before=0.7)
        assert verdicts[0].accepted
        assert len(verdicts[0].lessons) == 12
        assert verdicts[0].score_before == pytest.approx(0.7)
        assert verdicts[0].score_after > 0.9
        assert not verdicts[1].accepted
        assert len(verdicts[1].lessons) == 0
        assert verdicts[1].judgement.copies == [None] * 3

    def test_no_better_is_refused(self):
        assert not self.decide({0: self.helpful()}, before=1.0)[0].accepted

    def test_without_gate_everything_is_kept(self):
        verdict = self.decide({1: self.harmful()}, before=1.0, accept=None)[1]
        assert verdict.accepted
        assert len(verdict.lessons) == 60

    def test_own_rows_judge_alone(self):
        self.members[0].rows = np.arange(10)
        assert judged_rows(self.task, self.members[0], "own").sum() == 10
        assert judged_rows(self.task, self.members[0], "all").sum() == 60
        verdict = self.decide({0: self.helpful()}, before=0.5, accept="own")[0]
        assert verdict.score_before == 1.0

    def test_score_is_weighted(self):
        self.task.weights[:6] = 55.0
        rows = np.ones(60, dtype=bool)
        proba = np.eye(2)[self.task.codes]
        proba[:6] = proba[:6, ::-1]
        assert score(self.task, proba, rows) == pytest.approx(54 / (54 + 330))


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
