"""The batched engine keeps its promises on any table and teacher."""

import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skcoop.counterfactuals import BatchedDice, CounterfactualEngine

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
        assert answer.X_cf[column].between(frame[column].min(), frame[column].max()).all()
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
    answer = BatchedDice().generate(
        teacher, X, y, background=X, alpha=alpha
    )
    before = own_proba(teacher, X, y)
    after = own_proba(teacher, answer.X_cf, y)
    assert (after >= before + alpha * (1 - before) - 1e-9)[answer.valid].all()
    np.testing.assert_array_equal(answer.X_cf[~answer.valid], X[~answer.valid])
    assert (answer.X_cf >= X.min(axis=0) - 1e-12).all()
    assert (answer.X_cf <= X.max(axis=0) + 1e-12).all()
    assert (answer.X_cf[:, 1] == np.rint(answer.X_cf[:, 1])).all()
    assert set(answer.X_cf[:, 2]) <= {0.0, 1.0}
