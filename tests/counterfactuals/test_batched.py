"""The batched engine keeps its promises on any table and teacher."""

import itertools
import random
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skcoop.counterfactuals import BatchedDice, CounterfactualEngine, _search, _walk
from skcoop.counterfactuals import _batched as batched

TEACHERS = {
    "linear": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    "forest": lambda: RandomForestClassifier(20, random_state=0),
    "boosting": lambda: HistGradientBoostingClassifier(max_iter=20, random_state=0),
    "tree": lambda: DecisionTreeClassifier(max_depth=4, random_state=0),
    "bayes": GaussianNB,
}


def own_proba(teacher, X, y):
    """Return the teacher's probability of each row's class, found the slow way."""
    classes = list(teacher.classes_)
    proba = teacher.predict_proba(X)
    return np.array([row[classes.index(c)] for row, c in zip(proba, y, strict=True)])


def mixed_table(n=150, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=n),
            "count": rng.integers(0, 6, size=n),
            "flag": rng.random(n) < 0.5,
            "colour": rng.choice(["red", "green", "blue"], size=n),
            "grade": pd.Categorical(rng.choice(list("abc"), size=n), list("cba")),
            "tiny": rng.integers(0, 255, size=n).astype(np.uint8),
            "constant": 7,
        }
    )
    score = frame["size"] + 0.5 * frame["count"] + (frame["colour"] == "red")
    y = np.where(score + rng.normal(scale=0.5, size=n) > 1.5, "yes", "no")
    return frame, y


def mixed_teacher(frame, y):
    encoder = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["colour", "grade"]),
        remainder="passthrough",
    )
    return make_pipeline(encoder, LogisticRegression(max_iter=2000)).fit(frame, y)


@pytest.mark.parametrize("kind", TEACHERS)
@pytest.mark.parametrize("alpha", [0.3, 0.9])
def test_reaches_the_target_where_a_training_row_does(kind, alpha):
    X, y = load_breast_cancer(return_X_y=True)
    teacher = TEACHERS[kind]().fit(X[::2], y[::2])
    queries, labels = X[1::2], y[1::2]
    right = teacher.predict(queries) == labels
    queries, labels = queries[right], labels[right]
    answer = BatchedDice().generate(
        teacher, queries, labels, background=X[::2], alpha=alpha
    )
    before = own_proba(teacher, queries, labels)
    target = before + alpha * (1 - before)
    best = np.array(
        [own_proba(teacher, X[::2], [c] * len(X[::2])).max() for c in labels]
    )
    feasible = best >= target
    assert feasible.any()
    assert answer.valid[feasible].mean() >= 0.99
    after = own_proba(teacher, answer.X_cf, labels)
    assert (after[answer.valid] >= target[answer.valid] - 1e-9).all()
    np.testing.assert_allclose(answer.proba_before, before)
    np.testing.assert_allclose(answer.proba_after[answer.valid], after[answer.valid])


def test_valid_answers_differ_and_others_are_untouched():
    X, y = load_iris(return_X_y=True)
    teacher = TEACHERS["tree"]().fit(X, y)
    wrong = np.where(y == 2, 0, y)  # asks for what the teacher does not believe
    answer = BatchedDice().generate(teacher, X, wrong, background=X[y == 2])
    changed = (answer.X_cf != X).any(axis=1)
    assert (changed == answer.valid).all()
    assert not answer.valid.all()


def test_certain_teacher_gets_a_step_towards_a_certain_row():
    X, y = load_iris(return_X_y=True)
    teacher = DecisionTreeClassifier(random_state=0).fit(X, y)
    assert (own_proba(teacher, X, y) == 1).all()
    answer = BatchedDice().generate(teacher, X + 0.01, y, background=X, alpha=0.5)
    assert answer.valid.mean() > 0.95
    assert (own_proba(teacher, answer.X_cf, y)[answer.valid] == 1).all()


def test_closer_than_the_confident_row_it_walks_to():
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    teacher = LogisticRegression().fit(X, y)
    right = teacher.predict(X) == y
    answer = BatchedDice().generate(teacher, X[right], y[right], background=X)
    assert answer.valid.mean() > 0.9
    confident = own_proba(teacher, X, y)
    ways = []
    for row, found, label, p in zip(
        X[right], answer.X_cf, y[right], answer.proba_before, strict=True
    ):
        others = X[(y == label) & (confident >= p + 0.5 * (1 - p))]
        if len(others) and (row != found).any():
            nearest = np.abs(others - row).sum(axis=1).min()
            if nearest > 0:  # a certain row is its own nearest one
                ways.append(np.abs(found - row).sum() / nearest)
    assert len(ways) > 400
    assert np.median(ways) < 0.7


def test_changes_few_columns():
    X, y = load_breast_cancer(return_X_y=True)
    teacher = TEACHERS["linear"]().fit(X, y)
    right = teacher.predict(X) == y
    queries, labels = X[right][:100], y[right][:100]
    answer = BatchedDice().generate(teacher, queries, labels, background=X)
    assert answer.valid.all()
    changed = (answer.X_cf != queries).sum(axis=1)
    assert changed.mean() < 0.2 * X.shape[1]


def test_mixed_columns_keep_their_types_ranges_and_categories():
    frame, y = mixed_table()
    teacher = mixed_teacher(frame, y)
    answer = BatchedDice().generate(teacher, frame, y, background=frame)
    assert answer.valid.mean() > 0.9
    pd.testing.assert_series_equal(answer.X_cf.dtypes, frame.dtypes)
    for column in ["size", "count", "tiny"]:
        assert (
            answer.X_cf[column].between(frame[column].min(), frame[column].max()).all()
        )
    for column in ["colour", "grade", "flag"]:
        assert set(answer.X_cf[column]) <= set(frame[column])
    assert (answer.X_cf["constant"] == 7).all()


def test_columns_that_may_not_vary_stay():
    frame, y = mixed_table()
    teacher = mixed_teacher(frame, y)
    engine = BatchedDice(
        features_to_vary=["size", "colour"],
        permitted_range={"size": [-1.0, 1.0], "colour": ["red", "green"]},
    )
    answer = engine.generate(teacher, frame, y, background=frame)
    assert answer.valid.any()
    fixed = ["count", "flag", "grade", "tiny", "constant"]
    pd.testing.assert_frame_equal(answer.X_cf[fixed], frame[fixed])
    new_size = answer.X_cf["size"] != frame["size"]
    # Coming from outside, the way back to the row may still be outside: never farther.
    assert (
        answer.X_cf["size"][new_size].abs()
        <= np.maximum(frame["size"][new_size].abs(), 1.0)
    ).all()
    new_colour = answer.X_cf["colour"] != frame["colour"]
    assert set(answer.X_cf["colour"][new_colour]) <= {"red", "green"}


def test_narrow_ranges_leave_answers_to_be_found():
    """Hardly a row of the background fits, but its values can be combined."""
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    teacher = LogisticRegression().fit(X, y)
    ranges = {f"x{j}": [-0.2, 0.2] for j in range(15)}
    inside = (np.abs(X[:, :15]) <= 0.2).all(axis=1)
    assert not inside.any()
    uncertain = np.abs(own_proba(teacher, X, y) - 0.7) < 0.2
    rows, labels = X[uncertain], y[uncertain]
    answer = BatchedDice(permitted_range=ranges).generate(
        teacher, rows, labels, background=X
    )
    assert len(rows) > 10 and answer.valid.all()
    changed = answer.X_cf[:, :15] != rows[:, :15]
    assert changed.any()
    # What changed is permitted, or on its way there.
    limit = np.maximum(np.abs(rows[:, :15]), 0.2)
    assert (np.abs(answer.X_cf[:, :15]) <= limit)[changed].all()


def test_ranges_outside_of_the_background_permit_nothing():
    X, y = load_iris(return_X_y=True)
    teacher = LogisticRegression(max_iter=1000).fit(X, y)
    answer = BatchedDice(permitted_range={"x2": [100, 200]}).generate(
        teacher, X, y, background=X
    )
    np.testing.assert_array_equal(answer.X_cf[:, 2], X[:, 2])
    assert answer.valid.any()


def test_a_range_may_be_a_single_value():
    X, y = load_iris(return_X_y=True)
    teacher = LogisticRegression(max_iter=1000).fit(X, y)
    engine = BatchedDice(permitted_range={"x2": [4.5, 4.5], "x3": [0.2, 0.2]})
    answer = engine.generate(teacher, X, y, background=X)
    for column, value in ((2, 4.5), (3, 0.2)):
        low, high = np.sort([X[:, column], np.full(150, value)], axis=0)
        moved = answer.X_cf[:, column]
        assert (moved != X[:, column]).any()
        assert ((low <= moved) & (moved <= high)).all()


@pytest.mark.parametrize("parameter", ["features_to_vary", "permitted_range"])
def test_unknown_columns_are_named(parameter):
    frame, y = mixed_table()
    value = ["sise"] if parameter == "features_to_vary" else {"sise": [0, 1]}
    engine = BatchedDice(**{parameter: value})
    with pytest.raises(ValueError, match="sise"):
        engine.generate(mixed_teacher(frame, y), frame, y, background=frame)


def test_columns_that_the_teacher_does_not_read_stay():
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    read = list(X.columns[:6])
    teacher = make_pipeline(
        make_column_transformer((StandardScaler(), read)), LogisticRegression()
    ).fit(X, y)
    answer = BatchedDice().generate(teacher, X, y, background=X)
    others = X.columns[6:]
    pd.testing.assert_frame_equal(answer.X_cf[others], X[others])
    assert (answer.X_cf[read] != X[read]).any(axis=None)


def test_missing_cells_are_kept_or_filled_and_never_made():
    X, y = load_breast_cancer(return_X_y=True)
    rng = np.random.default_rng(0)
    X = np.where(rng.random(X.shape) < 0.2, np.nan, X)
    teacher = HistGradientBoostingClassifier(max_iter=30, random_state=0).fit(X, y)
    answer = BatchedDice().generate(teacher, X, y, background=X)
    assert answer.valid.any()
    assert not (np.isnan(answer.X_cf) & ~np.isnan(X)).any()
    filled = np.isnan(X) & ~np.isnan(answer.X_cf)
    low, high = np.nanmin(X, axis=0), np.nanmax(X, axis=0)
    where = np.nonzero(filled)
    assert (answer.X_cf[where] >= low[where[1]]).all()
    assert (answer.X_cf[where] <= high[where[1]]).all()


def test_class_that_the_teacher_does_not_know_has_no_answer():
    X, y = load_iris(return_X_y=True)
    teacher = TEACHERS["linear"]().fit(X[y < 2], y[y < 2])
    answer = BatchedDice().generate(teacher, X, y, background=X)
    assert not answer.valid[y == 2].any()
    assert (answer.proba_before[y == 2] == 0).all()
    assert answer.valid[y < 2].all()


def test_rows_are_answered_independently():
    X, y = load_breast_cancer(return_X_y=True)
    teacher = TEACHERS["forest"]().fit(X[::2], y[::2])
    queries, labels = X[1:120:2], y[1:120:2]
    engine = BatchedDice()
    whole = engine.generate(teacher, queries, labels, background=X[::2])
    order = np.random.default_rng(0).permutation(len(queries))
    shuffled = engine.generate(
        teacher, queries[order], labels[order], background=X[::2]
    )
    np.testing.assert_array_equal(shuffled.X_cf, whole.X_cf[order])
    alone = engine.generate(teacher, queries[7:8], labels[7:8], background=X[::2])
    np.testing.assert_array_equal(alone.X_cf[0], whole.X_cf[7])


def test_order_and_repetition_of_the_background_do_not_matter():
    X, y = load_breast_cancer(return_X_y=True)
    teacher = TEACHERS["forest"]().fit(X, y)
    engine = BatchedDice()
    once = engine.generate(teacher, X[:50], y[:50], background=X)
    twice = engine.generate(teacher, X[:50], y[:50], background=np.vstack([X, X])[::-1])
    np.testing.assert_array_equal(once.X_cf, twice.X_cf)


def test_same_in_threads_and_leaves_global_states(capfd):
    X, y = load_breast_cancer(return_X_y=True)
    teacher = TEACHERS["boosting"]().fit(X, y)
    engine = BatchedDice()
    alone = engine.generate(teacher, X[:80], y[:80], background=X)
    states = random.getstate(), np.random.get_state()[1].copy()
    with ThreadPoolExecutor(4) as pool:
        results = list(
            pool.map(
                lambda _: engine.generate(teacher, X[:80], y[:80], background=X).X_cf,
                range(4),
            )
        )
    for result in results:
        np.testing.assert_array_equal(result, alone.X_cf)
    assert random.getstate() == states[0]
    assert (np.random.get_state()[1] == states[1]).all()
    assert capfd.readouterr() == ("", "")


def test_counts_the_rows_that_the_teacher_predicts():
    X, y = load_breast_cancer(return_X_y=True)
    teacher = LogisticRegression(max_iter=5000).fit(
        StandardScaler().fit_transform(X), y
    )

    class Counting:
        classes_ = teacher.classes_
        rows = 0

        def predict_proba(self, X):
            self.rows += len(X)
            return teacher.predict_proba(X)

    counting = Counting()
    Z = StandardScaler().fit_transform(X)
    answer = BatchedDice().generate(counting, Z, y, background=Z)
    assert answer.n_predictions == counting.rows
    assert answer.n_predictions <= 60 * len(Z)


def test_is_an_engine():
    assert isinstance(BatchedDice(), CounterfactualEngine)


def repeats_a_row(answers, rows):
    """Tell for each answer whether it equals one of the rows, cell by cell."""
    known = {tuple(map(str, row)) for row in np.asarray(rows, dtype=object)}
    return np.array(
        [tuple(map(str, row)) in known for row in np.asarray(answers, dtype=object)]
    )


def test_never_hands_out_a_row_of_the_background():
    frame, y = mixed_table(400)
    coarse = frame[["count", "flag", "colour", "grade"]]
    encoder = make_column_transformer(
        (OneHotEncoder(), ["colour", "grade"]), remainder="passthrough"
    )
    for model in (LogisticRegression(), DecisionTreeClassifier(random_state=0)):
        teacher = make_pipeline(encoder, model).fit(coarse[::2], y[::2])
        answer = BatchedDice().generate(teacher, coarse, y, background=coarse[::2])
        assert answer.valid.any()
        assert not repeats_a_row(answer.X_cf[answer.valid], coarse[::2]).any()


def test_where_only_copies_are_to_be_had_they_are_refused_and_counted():
    class Teacher:
        """Likes ones, and zeros beside them."""

        classes_ = np.array([0, 1])

        def predict_proba(self, X):
            one = 0.1 + 0.5 * (X[:, 0] == 1) + 0.3 * (X[:, 1] == 0)
            return np.column_stack([1 - one, one])

    X = np.array([[a, b] for a in (0, 1) for b in (0, 1)])
    queries = np.array([[1, 2], [1, 2], [0, 2]])
    answer = BatchedDice(categorical_features=[0, 1]).generate(
        Teacher(), queries, [1, 1, 0], background=X, alpha=0.1
    )
    # A zero beside the one is what the teacher asks for, but that row exists. The last
    # row's class cannot be raised at all, so nothing was found to be refused.
    np.testing.assert_array_equal(answer.valid, False)
    assert answer.n_repeats == 2
    np.testing.assert_array_equal(answer.X_cf, queries)


def test_codes_of_categories_have_nothing_between_them():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.choice([1, 5, 9], 300), rng.normal(size=300)])
    y = (X[:, 0] == 5).astype(int) ^ (X[:, 1] > 1)
    teacher = RandomForestClassifier(30, max_depth=3, random_state=0).fit(X, y)
    coded = BatchedDice(categorical_features=[0]).generate(teacher, X, y, background=X)
    assert coded.valid.any()
    assert set(coded.X_cf[:, 0]) <= {1.0, 5.0, 9.0}
    assert (coded.X_cf[:, 0] != X[:, 0]).any()
    free = BatchedDice().generate(teacher, X, y, background=X)
    assert set(free.X_cf[:, 0]) > {1.0, 5.0, 9.0}
    mask = BatchedDice(categorical_features=[True, False])
    again = mask.generate(teacher, X, y, background=X)
    np.testing.assert_array_equal(again.X_cf, coded.X_cf)


@pytest.mark.parametrize("n_answers", [2, 4])
def test_several_answers_to_a_row_differ_and_are_valid(n_answers):
    X, y = load_breast_cancer(return_X_y=True)
    teacher = TEACHERS["linear"]().fit(X, y)
    queries, labels = X[:60], y[:60]
    right = teacher.predict(queries) == labels
    queries, labels = queries[right], labels[right]
    answer = BatchedDice().generate(
        teacher, queries, labels, background=X, total_CFs=n_answers
    )
    assert answer.X_cf.shape == (len(queries) * n_answers, X.shape[1])
    assert answer.valid.all()
    each = answer.X_cf.reshape(len(queries), n_answers, -1)
    changed = each != queries[:, None]
    for first in range(n_answers):
        for second in range(first):
            assert (each[:, first] != each[:, second]).any(axis=1).all()
    common = (changed[:, 0] & changed[:, 1]).any(axis=1)
    assert common.mean() < 0.3  # mostly, other columns change
    after = own_proba(teacher, answer.X_cf, np.repeat(labels, n_answers))
    assert (after >= answer.target - 1e-9).all()
    np.testing.assert_array_equal(
        answer.proba_before, np.repeat(answer.proba_before[::n_answers], n_answers)
    )
    one = BatchedDice().generate(teacher, queries, labels, background=X)
    np.testing.assert_array_equal(each[:, 0], one.X_cf)


def test_too_few_different_answers_leave_rows_as_they_were():
    X = np.repeat([[0.0], [1.0]], 10, axis=0)
    y = X[:, 0].astype(int)
    teacher = LogisticRegression().fit(X, y)
    queries = np.array([[0.9]])
    answer = BatchedDice(categorical_features=[0]).generate(
        teacher, queries, [1], background=X, alpha=0.01, total_CFs=3
    )
    np.testing.assert_array_equal(answer.X_cf[~answer.valid], 0.9)


def test_results_do_not_depend_on_the_size_of_blocks(monkeypatch):
    frame, y = mixed_table()
    X, labels = load_breast_cancer(return_X_y=True)
    for teacher, rows, classes in (
        (mixed_teacher(frame, y), frame, y),
        (TEACHERS["forest"]().fit(X, labels), X[:90], labels[:90]),
    ):
        whole = BatchedDice().generate(teacher, rows, classes, background=rows)
        for block, candidates in ((1, 1), (7, 50), (1000, 100)):
            monkeypatch.setattr(batched, "_BLOCK", block)
            monkeypatch.setattr(_walk, "_MOST_CANDIDATES", candidates)
            parts = BatchedDice().generate(teacher, rows, classes, background=rows)
            pd.testing.assert_frame_equal(
                pd.DataFrame(parts.X_cf), pd.DataFrame(whole.X_cf)
            )
            np.testing.assert_array_equal(parts.valid, whole.valid)
            monkeypatch.undo()


def test_same_in_processes():
    frame, y = mixed_table()
    teacher = mixed_teacher(frame, y)

    def ask():
        return BatchedDice().generate(teacher, frame, y, background=frame).X_cf

    alone = ask()
    for other in joblib.Parallel(n_jobs=2, backend="loky")(
        joblib.delayed(BatchedDice().generate)(teacher, frame, y, background=frame)
        for _ in range(2)
    ):
        pd.testing.assert_frame_equal(other.X_cf, alone)


@pytest.mark.parametrize("labels", [[3, 1, 4, 1.5], ["a b", "", "ü", "x0"]])
def test_any_labels_in_any_order(labels):
    X, y = load_iris(return_X_y=True, as_frame=True)
    X = X.set_axis(labels, axis=1)
    model = LogisticRegression(max_iter=1000).fit(X.to_numpy(), y)

    class ByName:
        classes_ = model.classes_

        def predict_proba(self, frame):
            return model.predict_proba(frame[labels].to_numpy())

    engine = BatchedDice(features_to_vary=labels[:2])
    straight = engine.generate(ByName(), X, y, background=X)
    assert straight.valid.any()
    pd.testing.assert_frame_equal(straight.X_cf[labels[2:]], X[labels[2:]])
    turned = engine.generate(ByName(), X[labels[::-1]], y, background=X)
    pd.testing.assert_frame_equal(turned.X_cf[labels], straight.X_cf)


def test_positions_and_masks_choose_columns_of_an_array():
    X, y = load_iris(return_X_y=True)
    teacher = LogisticRegression(max_iter=1000).fit(X, y)
    answers = [
        BatchedDice(features_to_vary=chosen).generate(teacher, X, y, background=X).X_cf
        for chosen in ([2, 3], ["x2", "x3"], [False, False, True, True])
    ]
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[0], answers[2])
    np.testing.assert_array_equal(answers[0][:, :2], X[:, :2])
    assert (answers[0][:, 2:] != X[:, 2:]).any()


def test_times_stay_and_cannot_be_asked_to_vary():
    frame, y = mixed_table()
    dated = frame.assign(when=pd.date_range("2020-01-01", periods=len(frame)))
    teacher = mixed_teacher(frame, y)

    class Reads:
        classes_ = teacher.classes_

        def predict_proba(self, X):
            return teacher.predict_proba(X.drop(columns="when"))

    answer = BatchedDice().generate(Reads(), dated, y, background=dated)
    assert answer.valid.any()
    pd.testing.assert_series_equal(answer.X_cf["when"], dated["when"])
    engine = BatchedDice(features_to_vary=["size", "when"])
    with pytest.raises(ValueError, match="'when', a column of times"):
        engine.generate(Reads(), dated, y, background=dated)


@pytest.mark.parametrize(
    ("parameters", "asked", "message"),
    [
        ({"permitted_range": {"x0": [5, 0]}}, {}, "'x0' must be"),
        ({"permitted_range": {"x0": [0, np.nan]}}, {}, "'x0' must be"),
        (
            {"permitted_range": {"x0": ["red"]}, "categorical_features": ["x0"]},
            {},
            "'x0' must be a list of its categories",
        ),
        (
            {"permitted_range": {"x0": 5}, "categorical_features": ["x0"]},
            {},
            "'x0' must be a list of its categories",
        ),
        ({}, {"background": np.zeros((3, 2))}, "4 columns, but background has 2"),
        ({}, {"background": None}, "background must be a data frame or an array"),
        ({}, {"background": pd.DataFrame({"a": [1]})}, "both be data frames or both"),
        (
            {},
            {"background": np.full((3, 4), np.inf)},
            "'x0' of background holds infinite values, between which no search can go. "
            "Replace them, or leave the column out of features_to_vary",
        ),
        ({"features_to_vary": "size"}, {}, "features_to_vary"),
        ({"features_to_vary": [4]}, {}, "4, which is no column"),
        ({"features_to_vary": [-1]}, {}, "-1, which is no column"),
        ({"features_to_vary": [True]}, {}, "1 entries for 4 columns"),
        ({"categorical_features": ["x9"]}, {}, "categorical_features names 'x9'"),
        ({"permitted_range": {"x0": 3}}, {}, "'x0' must be"),
        ({"permitted_range": {"x0": ["a", "b"]}}, {}, "'x0' must be"),
        ({"permitted_range": [1, 2]}, {}, "permitted_range"),
        ({}, {"alpha": 0}, "alpha"),
        ({}, {"alpha": 1.5}, "alpha"),
        ({}, {"total_CFs": 0}, "total_CFs"),
        ({}, {"random_state": "seed"}, "random_state"),
        ({}, {"y": [0, 1]}, "one class for each of the 150 rows"),
    ],
)
def test_bad_requests_are_named(parameters, asked, message):
    X, y = load_iris(return_X_y=True)
    teacher = TEACHERS["bayes"]().fit(X, y)
    asked = {"y": y, "background": X, **asked}
    with pytest.raises(ValueError, match=message):
        BatchedDice(**parameters).generate(teacher, X, **asked)


def test_frozen_teacher_with_string_labels_and_one_class_less():
    X, y = load_iris(return_X_y=True, as_frame=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    teacher = LogisticRegression(max_iter=1000).fit(X[:100], names[:100])
    answer = BatchedDice().generate(FrozenEstimator(teacher), X, names, background=X)
    assert answer.valid[:100].all()
    assert not answer.valid[100:].any()


def test_seed_chooses_among_many_possible_ends():
    rng = np.random.default_rng(0)
    background = rng.normal(size=(6000, 3))
    y = (background.sum(axis=1) > 0).astype(int)
    teacher = LogisticRegression().fit(background, y)

    def ask(seed):
        return BatchedDice().generate(
            teacher,
            background[:40],
            y[:40],
            background=background,
            random_state=seed,
        )

    np.testing.assert_array_equal(ask(1).X_cf, ask(1).X_cf)
    np.testing.assert_array_equal(ask(None).X_cf, ask(None).X_cf)
    assert (ask(1).X_cf != ask(2).X_cf).any()
    assert ask(1).valid.all() and ask(2).valid.all()


def test_missing_cells_are_never_near():
    X = np.array([[np.nan, 0.0], [0.5, 3.0], [0.0, 9.0], [1.0, 8.0], [np.nan, 10.0]])
    metric = _search.RowMetric(_search.TableCodec(X), X)
    np.testing.assert_array_equal(metric.changes(X[[0]], X[[1]]), [[1.0, 0.3]])
    nearest, _ = metric.nearest(np.array([[0.5, 9.9]]), X, k=5)
    # The last row comes after those that are half a column away.
    assert nearest[0].tolist() == [2, 3, 1, 4, 0]


class Formula:
    """A teacher of two classes whose probability of 1 is a formula of the cells."""

    classes_ = np.array([0, 1])

    def __init__(self, formula):
        self.formula = formula

    def predict_proba(self, X):
        one = self.formula(X)
        return np.column_stack([1 - one, one])


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def test_a_teacher_that_works_in_place_disturbs_nothing():
    X = np.random.default_rng(0).normal(5, 2, size=(80, 3))
    y = (X.sum(axis=1) > 15).astype(int)
    teacher = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    careful = BatchedDice().generate(teacher, X, y, background=X)
    teacher[0].copy = False
    before = X.copy()
    careless = BatchedDice().generate(teacher, X, y, background=X)
    np.testing.assert_array_equal(careless.X_cf, careful.X_cf)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("container", ["frame", "array"])
def test_missing_strings_stay_none(container):
    rng = np.random.default_rng(0)
    word = np.array([["a", "b", None][k % 3] for k in range(200)], dtype=object)
    number = rng.normal(size=200)
    y = (number + (word == "a") > 0.3).astype(int)
    X = pd.DataFrame({"number": number, "word": pd.Series(word, dtype=object)})
    names = ["word"]
    if container == "array":
        X, names = np.column_stack([number.astype(object), word]), [1]
    encoder = make_column_transformer((OneHotEncoder(), names), remainder="passthrough")
    teacher = make_pipeline(encoder, LogisticRegression()).fit(X, y)
    answer = BatchedDice().generate(teacher, X, y, background=X)
    assert answer.valid.mean() > 0.9
    words = pd.DataFrame(answer.X_cf, dtype=None if names == ["word"] else object)
    words = words.iloc[:, 1]
    assert words.dtype == object and set(words) == {"a", "b", None}


@pytest.mark.parametrize("dtype", [int, float])
def test_whole_numbers_meet_fractional_limits(dtype):
    X = np.random.default_rng(0).integers(0, 10, (60, 2)).astype(dtype)
    queries = X[X.max(axis=1) <= 3][:5]
    answer = BatchedDice(permitted_range={"x0": [0, 5.6], "x1": [0, 5.6]}).generate(
        Formula(lambda X: sigmoid(X[:, 0] + X[:, 1] - 12.0)),
        queries,
        np.ones(len(queries), int),
        background=X,
        alpha=0.01,
    )
    assert answer.valid.all()
    assert answer.X_cf.max() <= 5
    np.testing.assert_array_equal(answer.X_cf, np.rint(answer.X_cf))


def test_rounding_does_not_lead_away_from_the_background():
    X = np.array([[0, 0.1], [1, 0.2], [2, 0.3]])

    def formula(X):
        inside = np.where(X[:, 0] >= 2.5, 0.6, 0.9)
        return np.where(X[:, 0] == 2.7, 0.1, inside)

    answer = BatchedDice().generate(
        Formula(formula), np.array([[2.7, 0.5]]), [1], background=X, alpha=0.3
    )
    assert answer.valid.all() and answer.X_cf[0, 0] <= 2.7


def test_answers_of_a_climb_do_not_depend_on_other_rows():
    differ = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        X = rng.random((40, 3))
        teacher = Formula(lambda X: sigmoid(6 * X.sum(axis=1) - 12))
        together = BatchedDice().generate(
            teacher, X, np.ones(40, int), background=X[:8], alpha=0.95
        )
        differ += (together.X_cf != X).any(axis=1).sum()
        for row in (0, 7, 20):
            alone = BatchedDice().generate(
                teacher, X[[row]], [1], background=X[:8], alpha=0.95
            )
            np.testing.assert_allclose(alone.X_cf[0], together.X_cf[row], atol=1e-12)
    assert differ > 50


def test_doubtful_probabilities_of_the_background_are_passed_over():
    X = np.random.default_rng(0).normal(size=(200, 3))
    nowhere = X[0, 0]

    def formula(X):
        return np.where(X[:, 0] == nowhere, np.nan, sigmoid(3 * X.sum(axis=1)))

    rows = X[1:60]
    answer = BatchedDice().generate(
        Formula(formula), rows, np.ones(59, int), background=X, alpha=0.99
    )
    assert answer.valid.all()
    lost = BatchedDice().generate(Formula(formula), X[:2], [1, 1], background=X)
    assert lost.valid.tolist() == [False, True]


def test_repeated_rows_with_missing_cells_change_nothing():
    X, y = load_breast_cancer(return_X_y=True)
    rng = np.random.default_rng(0)
    X = np.where(rng.random(X.shape) < 0.2, np.nan, X)[:300]
    y = y[:300]
    teacher = HistGradientBoostingClassifier(max_iter=30, random_state=0).fit(X, y)
    once = BatchedDice().generate(teacher, X[:60], y[:60], background=X)
    often = BatchedDice().generate(
        teacher, X[:60], y[:60], background=np.tile(X, (6, 1))
    )
    np.testing.assert_array_equal(once.X_cf, often.X_cf)


def test_rows_that_the_teacher_cannot_tell_apart_are_one():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(np.repeat(rng.normal(size=(40, 3)).round(1), 5, axis=0))
    X.columns = ["a", "b", "c"]
    y = (X.sum(axis=1) > 0).astype(int)
    encoder = make_column_transformer(("passthrough", ["a", "b", "c"]))
    teacher = make_pipeline(encoder, TEACHERS["tree"]()).fit(X, y)
    numbered = X.assign(number=np.arange(200.0))
    plain = BatchedDice().generate(teacher, X, y, background=X)
    answer = BatchedDice().generate(teacher, numbered, y, background=numbered)
    pd.testing.assert_frame_equal(answer.X_cf[["a", "b", "c"]], plain.X_cf)
    assert answer.n_predictions == plain.n_predictions


def test_tables_of_other_order_types_and_categories():
    frame, y = mixed_table()
    teacher = mixed_teacher(frame, y)
    straight = BatchedDice().generate(teacher, frame, y, background=frame)
    turned = BatchedDice().generate(
        teacher, frame, y, background=frame[frame.columns[::-1]]
    )
    pd.testing.assert_frame_equal(turned.X_cf, straight.X_cf)
    fewer = frame[frame["grade"] != "a"].assign(
        grade=lambda X: X["grade"].cat.remove_unused_categories()
    )
    answer = BatchedDice().generate(teacher, fewer, y[fewer.index], background=frame)
    assert isinstance(answer.X_cf["grade"].dtype, pd.CategoricalDtype)
    assert set(answer.X_cf["grade"]) <= {"a", "b", "c"}
    assert answer.X_cf.index.tolist() == fewer.index.tolist()
    with pytest.raises(ValueError, match=r"background lacks the columns \['flag'\]"):
        BatchedDice().generate(teacher, frame, y, background=frame.drop(columns="flag"))
    ours = pl.DataFrame(frame[["size", "count"]].to_dict("list"))
    theirs = ours.with_columns(pl.col("count").cast(pl.Int32))
    with pytest.raises(ValueError, match="'count' is Int64 in X and Int32"):
        BatchedDice().generate(teacher, ours, y, background=theirs)


def test_many_categories_are_compared_as_few_are(monkeypatch):
    from skcoop._tables import _distances

    rng = np.random.default_rng(0)
    Z = np.column_stack([rng.integers(0, 80, 300), rng.normal(size=300)]).astype(float)
    Z[rng.random(300) < 0.1, 0] = np.nan
    Z[:5, 0] = -1.0  # a code like any other
    metric = _search.RowMetric(_search.TableCodec(Z), Z, np.array([True, False]))
    compared = metric.nearest(Z[:100], Z[100:], k=4)
    monkeypatch.setattr(_distances, "_MOST_LEVELS", 1000)
    embedded = metric.nearest(Z[:100], Z[100:], k=4)
    np.testing.assert_array_equal(compared[0], embedded[0])
    np.testing.assert_allclose(compared[1], embedded[1], atol=1e-9)
    changes = metric.changes(
        Z[:100, None].repeat(200, 1).reshape(-1, 2), np.tile(Z[100:], (100, 1))
    )
    numbers = np.where(np.isnan(changes), 1.0, changes) ** 2
    np.testing.assert_allclose(
        compared[1][:, 0], numbers.sum(axis=1).reshape(100, 200).min(axis=1), atol=1e-8
    )


def test_odd_labels_and_teachers():
    X, y = load_iris(return_X_y=True)
    teacher = TEACHERS["bayes"]().fit(X, y)
    labels = pd.array([0, pd.NA, 2] * 50, dtype="Int64")
    answer = BatchedDice().generate(teacher, X, labels, background=X)
    assert not answer.valid[1::3].any()

    class Flat:
        classes_ = np.array([0, 1])

        def predict_proba(self, X):
            return np.full(len(X), 0.5)

    with pytest.raises(ValueError, match=r"shape \(299,\) for 299 rows and 2 classes"):
        BatchedDice().generate(Flat(), X, y, background=X)
    with pytest.raises(ValueError, match="'x1' of X holds infinite"):
        endless = X.copy()
        endless[3, 1] = np.inf
        BatchedDice().generate(teacher, endless, y, background=X)


@st.composite
def tables(draw):
    """Draw a mixed table with missing cells, its labels, and a teacher's kind."""
    n = draw(st.integers(6, 40))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    frame = pd.DataFrame(
        {
            "real": rng.normal(size=n).round(draw(st.integers(0, 3))),
            "whole": rng.integers(-3, 4, size=n),
            "code": rng.choice([2, 4, 8], size=n),
            "flag": rng.random(n) < 0.5,
            "word": rng.choice(["one", "two", "three"], size=n),
            "holed": np.where(rng.random(n) < 0.3, np.nan, rng.normal(size=n)),
            "age": rng.integers(20, 80, size=n),
        }
    )
    y = rng.choice(["a", "b", "c"][: draw(st.integers(2, 3))], size=n)
    y[:2] = ["a", "b"]
    return frame, y


PROPERTY = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@PROPERTY
@given(
    table=tables(),
    kind=st.sampled_from(["linear", "tree", "bayes", "forest"]),
    alpha=st.floats(0.05, 1.0),
    n_answers=st.integers(1, 3),
    seed=st.integers(0, 100),
)
def test_promises_hold_on_mixed_tables(table, kind, alpha, n_answers, seed):
    frame, y = table
    encoder = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["word", "code"]),
        (SimpleImputer(), ["real", "whole", "flag", "holed", "age"]),
    )
    teacher = make_pipeline(encoder, TEACHERS[kind]()).fit(frame, y)
    known = frame[: max(3, len(frame) // 2)]
    changeable = [name for name in frame if name != "age"]
    engine = BatchedDice(
        features_to_vary=changeable,
        categorical_features=["code"],
        permitted_range={"whole": [-2, 2]},
    )
    order = np.random.default_rng(seed).permutation(len(frame))

    def ask(rows):
        return engine.generate(
            teacher,
            frame.iloc[rows],
            y[rows],
            background=known,
            alpha=alpha,
            total_CFs=n_answers,
        )

    answer = ask(np.arange(len(frame)))
    rows = np.repeat(np.arange(len(frame)), n_answers)
    asked, labels = frame.iloc[rows].reset_index(drop=True), y[rows]
    assert answer.X_cf.index.tolist() == rows.tolist()
    found, valid = answer.X_cf.reset_index(drop=True), answer.valid
    # Rows without an answer are as they were; the others differ.
    pd.testing.assert_frame_equal(found[~valid], asked[~valid])
    same = (found == asked) | (found.isna() & asked.isna())
    assert not same[valid].all(axis=1).any()
    # Valid means what it says, to whoever asks the teacher again.
    before = own_proba(teacher, asked, labels)
    after = own_proba(teacher, found, labels)
    target = before + alpha * (1 - before)
    assert (after >= target - 1e-9)[valid].all()
    np.testing.assert_allclose(answer.proba_after[valid], after[valid])
    # Nothing leaves the ranges and categories; what may not change does not.
    pd.testing.assert_series_equal(found["age"], asked["age"])
    pd.testing.assert_series_equal(found.dtypes, frame.dtypes)
    for name in ("code", "word", "flag"):
        changed = ~same[name]
        assert set(found[name][changed]) <= set(known[name])
    for name, limits in {"real": None, "holed": None, "whole": (-2, 2)}.items():
        changed = ~same[name]
        low, high = limits or (known[name].min(), known[name].max())
        own = asked[name].fillna(known[name].min())
        assert (found[name] >= np.minimum(own, low))[changed].all()
        assert (found[name] <= np.maximum(own, high))[changed].all()
    assert not (found["holed"].isna() & asked["holed"].notna()).any()
    assert not repeats_a_row(found[valid], known).any()
    # The order of the questions does not matter.
    shuffled = ask(order)
    places = (order[:, None] * n_answers + np.arange(n_answers)).ravel()
    pd.testing.assert_frame_equal(
        shuffled.X_cf.reset_index(drop=True),
        found.iloc[places].reset_index(drop=True),
    )
    np.testing.assert_array_equal(shuffled.valid, valid[places])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(8, 60),
    kind=st.sampled_from(["linear", "tree", "bayes"]),
    alpha=st.floats(0.05, 1.0),
)
def test_promises_hold_on_random_tables(seed, n, kind, alpha):
    rng = np.random.default_rng(seed)
    X = np.column_stack(
        [
            rng.normal(size=n),
            rng.integers(-3, 4, size=n),
            rng.choice([0.0, 1.0], size=n),
            np.full(n, 2.5),
        ]
    )
    y = rng.integers(0, 3, size=n)
    y[:3] = [0, 1, 2]
    teacher = TEACHERS[kind]().fit(X, y)
    answer = BatchedDice().generate(teacher, X, y, background=X, alpha=alpha)
    before = own_proba(teacher, X, y)
    after = own_proba(teacher, answer.X_cf, y)
    assert (after >= before + alpha * (1 - before) - 1e-9)[answer.valid].all()
    np.testing.assert_array_equal(answer.X_cf[~answer.valid], X[~answer.valid])
    assert (answer.X_cf >= X.min(axis=0) - 1e-12).all()
    assert (answer.X_cf <= X.max(axis=0) + 1e-12).all()
    assert (answer.X_cf[:, 1] == np.rint(answer.X_cf[:, 1])).all()
    assert set(answer.X_cf[:, 2]) <= {0.0, 1.0}


# Tables of few values, where nearly everything is a copy


@pytest.mark.parametrize(("width", "n_values", "n"), [(8, 2, 150), (6, 3, 150)])
@pytest.mark.parametrize("alpha", [0.5, 1.0])
@pytest.mark.parametrize(
    "model",
    [DecisionTreeClassifier(min_samples_leaf=5, random_state=0), LogisticRegression()],
)
def test_rows_of_few_values_are_answered(width, n_values, n, alpha, model):
    """Beside brute force: four in five of those who could be answered are."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, n_values, (2 * n, width))
    score = X @ rng.normal(size=width) + rng.normal(0, 0.7, 2 * n)
    y = (score > np.median(score)).astype(int)
    background, rows, labels = X[:n], X[n:], y[n:]
    teacher = clone(model).fit(background, y[:n])
    answer = BatchedDice().generate(
        teacher, rows, labels, background=background, alpha=alpha
    )
    every = np.array(list(itertools.product(range(n_values), repeat=width)))
    new = every[~repeats_a_row(every, background)]
    proba, of_rows = (teacher.predict_proba(A)[:, labels] for A in (new, background))
    reached = proba >= answer.target - 1e-9
    reached &= (new[:, None] != rows).any(axis=2)
    possible = reached.any(axis=0) & (of_rows >= answer.target - 1e-9).any(axis=0)
    assert not repeats_a_row(answer.X_cf[answer.valid], background).any()
    assert (answer.proba_after >= answer.target - 1e-9)[answer.valid].all()
    if possible.any():
        assert answer.valid[possible].mean() >= 0.8


@pytest.mark.parametrize("values", ["46", {4, 6}, {"low": 4, "high": 6}])
def test_range_without_an_order(values):
    engine = BatchedDice(permitted_range={"x0": values})
    X = np.arange(20.0).reshape(10, 2)
    teacher = LogisticRegression().fit(X, [0, 1] * 5)
    with pytest.raises(ValueError, match=r"'x0' must be \[lowest, highest\]"):
        engine.generate(teacher, X, [0, 1] * 5, background=X)


def test_cells_that_are_out_of_reach_disturb_nothing():
    """Infinite where nothing may change, or further away than can be squared."""
    X = np.random.default_rng(0).normal(size=(60, 2))
    y = (X[:, 0] > 0).astype(int)
    teacher = LogisticRegression().fit(X, y)
    expected = BatchedDice(features_to_vary=["x0"]).generate(
        teacher, X, y, background=X
    )
    for cell in (np.inf, -np.inf):
        odd = X.copy()
        odd[3, 1] = cell

        class Blind:
            classes_ = np.array([0, 1])

            def predict_proba(self, rows):
                return teacher.predict_proba(np.where(np.isinf(rows), X[3, 1], rows))

        answer = BatchedDice(features_to_vary=["x0"]).generate(
            Blind(), odd, y, background=odd
        )
        np.testing.assert_array_equal(answer.valid, expected.valid)
        np.testing.assert_allclose(answer.X_cf[:, 0], expected.X_cf[:, 0])
    far = X.copy()
    far[:, 1] = 1e200
    answer = BatchedDice().generate(teacher, far, y, background=X)
    beside = np.where(far == 1e200, 1e9, far)
    expected = BatchedDice().generate(teacher, beside, y, background=X)
    np.testing.assert_array_equal(answer.donor, expected.donor)
    assert answer.valid.any()


# Smaller numbers are zero to some builds of compiled code.
@pytest.mark.parametrize("scale", [1e-300, 1e150, 1e307])
def test_any_scale_of_the_numbers(scale):
    """The answers are the same ones, and nothing overflows."""
    X = np.random.default_rng(0).uniform(-1, 1, size=(60, 3))
    y = (X[:, 0] > 0).astype(int)
    teacher = LogisticRegression().fit(X, y)

    class Scaled:
        classes_ = teacher.classes_

        def predict_proba(self, rows):
            return teacher.predict_proba(rows / scale)

    expected = BatchedDice().generate(teacher, X, y, background=X)
    answer = BatchedDice().generate(Scaled(), X * scale, y, background=X * scale)
    np.testing.assert_array_equal(answer.valid, expected.valid)
    np.testing.assert_allclose(answer.X_cf / scale, expected.X_cf, atol=1e-9)
