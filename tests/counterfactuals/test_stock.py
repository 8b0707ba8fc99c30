"""StockDice contains dice-ml's faults; the second half reproduces them on dice-ml."""

import pickle
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import dice_ml
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import tqdm
from dice_ml.explainer_interfaces import dice_random, explainer_base
from joblib import Parallel, delayed
from raiutils.exceptions import UserConfigValidationException
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skcoop._tables._codec import TableCodec
from skcoop.counterfactuals import _stock
from skcoop.counterfactuals._protocol import (
    TOLERANCE,
    CounterfactualEngine,
    target_probability,
    true_class_proba,
)
from skcoop.counterfactuals._stock import StockDice

METHODS = ["random", "genetic", "kdtree"]
every_method = pytest.mark.parametrize("method", METHODS)


def stock(method="random", **params):
    return StockDice(method, **{"time_limit": 5.0, "sample_size": 200, **params})


def unsure_rows(teacher, X, y, n=4, alpha=0.5):
    """Rows that the teacher has right, not for certain, with a target in reach."""
    proba = np.asarray(teacher.predict_proba(X))
    own = np.searchsorted(teacher.classes_, y)
    p = proba[np.arange(len(y)), own]
    reach = proba.T[own] >= target_probability(p, alpha)[:, None] + 0.01
    rows = np.flatnonzero((p > 0.5) & (p < 0.95) & (reach.mean(axis=1) >= 0.1))
    assert len(rows) >= n
    return rows[np.linspace(0, len(rows) - 1, n).astype(int)]


def assert_honest(answer, teacher, X, y, alpha=0.5):
    """Ask the teacher again about everything that an answer claims."""
    p = true_class_proba(teacher, X, y)
    after = true_class_proba(teacher, answer.X_cf, y)
    np.testing.assert_allclose(answer.proba_before, p, atol=1e-12)
    np.testing.assert_allclose(answer.proba_after, after, atol=1e-12)
    reached = after >= target_probability(p, alpha) - 2 * TOLERANCE
    assert reached[answer.valid].all()
    assert answer.valid.dtype == bool
    assert answer.valid.shape == (len(p),)
    changed = ~same_cells(X, answer.X_cf)
    np.testing.assert_array_equal(changed.any(axis=1), answer.valid)
    return changed


def same_cells(first, second):
    first, second = (pd.DataFrame(cells_of(X)) for X in (first, second))
    return ((first == second) | (first.isna() & second.isna())).to_numpy()


def cells_of(X):
    return X.to_numpy() if hasattr(X, "to_numpy") else X


class Constant(ClassifierMixin, BaseEstimator):
    """A teacher that nothing can convince; it counts and may be slow."""

    def __init__(self, proba=0.6, seconds=0.0):
        self.proba = proba
        self.seconds = seconds
        self.classes_ = np.array([0, 1])
        self.calls = 0

    def predict_proba(self, X):
        self.calls += 1
        time.sleep(self.seconds)
        return np.tile([self.proba, 1 - self.proba], (len(X), 1))


@pytest.fixture(scope="module")
def iris():
    """Three classes with names, numbers only, an unsure linear teacher."""
    X, y = load_iris(return_X_y=True)
    y = np.array(["setosa", "versicolor", "virginica"], dtype=object)[y]
    teacher = LogisticRegression(C=3, max_iter=1000).fit(X, y)
    return teacher, X, y, unsure_rows(teacher, X, y, alpha=0.8)


@pytest.fixture(scope="module")
def mixed():
    """A frame with every kind of column, and a teacher that reads all but two."""
    rng = np.random.default_rng(0)
    n = 120
    X = pd.DataFrame(
        {
            "when": pd.date_range("2020-01-01", periods=n),
            "place": rng.choice(["north", "south east", "west"], n),
            "size": pd.Categorical(
                rng.choice(["S", "M", "L"], n), categories=["S", "M", "L", "XL"]
            ),
            "flag": rng.random(n) < 0.5,
            "byte": rng.integers(0, 256, n).astype(np.uint8),
            "big": rng.integers(2**40, 2**50, n),
            "single": rng.normal(size=n).astype(np.float32),
            "number": rng.normal(size=n),
            "constant": np.full(n, 7),
            "unread": rng.normal(size=n),
        }
    )
    score = X["number"] + X["single"] + (X["place"] == "west") + X["flag"]
    score += X["byte"] / 255 + X["big"] / 2**50 + (X["size"] == "L")
    y = np.where(score > score.median(), "yes", "no")
    encode = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["place", "size"]),
        (StandardScaler(), ["flag", "byte", "big", "single", "number", "constant"]),
    )
    teacher = make_pipeline(encode, LogisticRegression()).fit(X, y)
    return teacher, X, y, unsure_rows(teacher, X, y)


# The engine: parameters and answers


def test_parameters_follow_scikit_learn():
    engine = StockDice("kdtree", time_limit=3, sample_size=50, max_iterations=7)
    params = {"method": "kdtree", "time_limit": 3, "sample_size": 50}
    assert clone(engine).get_params() == {**params, "max_iterations": 7}
    assert isinstance(engine, CounterfactualEngine)


@pytest.mark.parametrize(
    "params",
    [
        {"method": "gradient"},
        {"time_limit": 0},
        {"time_limit": None},
        {"sample_size": 0},
        {"max_iterations": 1.5},
    ],
)
def test_wrong_parameters_are_named(params, iris):
    teacher, X, y, _ = iris
    engine = StockDice(**params)
    with pytest.raises(ValueError, match=f"The '{next(iter(params))}' parameter"):
        engine.generate(teacher, X[:1], y[:1], background=X)


@every_method
@pytest.mark.parametrize("alpha", [0.2, 0.8])
def test_valid_means_valid(method, alpha, iris):
    teacher, X, y, rows = iris
    answer = stock(method).generate(
        teacher, X[rows], y[rows], background=X, alpha=alpha, random_state=0
    )
    assert_honest(answer, teacher, X[rows], y[rows], alpha)
    assert answer.valid.mean() >= 0.5
    assert isinstance(answer.X_cf, np.ndarray)
    assert answer.X_cf.dtype == X.dtype
    assert answer.n_predictions > len(rows)
    assert answer.seconds > 0


def test_alpha_is_how_far_a_lesson_goes(iris):
    teacher, X, y, rows = iris
    step = {}
    for alpha in (0.1, 0.9):
        answer = stock().generate(
            teacher, X[rows], y[rows], background=X, alpha=alpha, random_state=0
        )
        assert answer.valid.any()
        step[alpha] = (answer.proba_after - answer.proba_before)[answer.valid]
    assert step[0.1].mean() < step[0.9].mean()


@every_method
def test_an_int_repeats_the_answer(method, iris):
    teacher, X, y, rows = iris
    first, second = (
        stock(method).generate(
            teacher, X[rows], y[rows], background=X, random_state=seed
        )
        for seed in (3, 3)
    )
    np.testing.assert_array_equal(first.X_cf, second.X_cf)
    np.testing.assert_array_equal(first.valid, second.valid)
    assert first.n_predictions == second.n_predictions


def test_seeds_differ_and_may_be_random_states(iris):
    teacher, X, y, rows = iris

    def ask(random_state):
        return stock().generate(
            teacher, X[rows], y[rows], background=X, random_state=random_state
        )

    assert not np.array_equal(ask(1).X_cf, ask(2).X_cf)
    np.testing.assert_array_equal(ask(np.random.RandomState(1)).X_cf, ask(1).X_cf)


def test_without_a_seed_the_global_state_decides(iris):
    teacher, X, y, rows = iris
    answers = []
    for _ in range(2):
        np.random.seed(5)
        answers.append(stock().generate(teacher, X[rows], y[rows], background=X).X_cf)
    np.testing.assert_array_equal(*answers)
    third = stock().generate(teacher, X[rows], y[rows], background=X).X_cf
    assert not np.array_equal(answers[0], third)


def test_a_row_does_not_depend_on_the_rows_after_it(iris):
    teacher, X, y, rows = iris
    for method in METHODS:
        alone, together = (
            stock(method).generate(
                teacher, X[some], y[some], background=X, random_state=0
            )
            for some in (rows[:1], rows)
        )
        np.testing.assert_array_equal(alone.X_cf, together.X_cf[:1])


# Nothing leaks out


def states():
    kind, keys, *rest = np.random.get_state()
    return random.getstate(), kind, keys.tolist(), rest


@every_method
def test_global_states_are_restored(method, iris):
    teacher, X, y, rows = iris
    random.gauss(0, 1)
    np.random.standard_normal()
    before = states()
    answer = stock(method).generate(
        teacher, X[rows], y[rows], background=X, random_state=0
    )
    assert answer.valid.any()
    assert states() == before


@every_method
def test_global_states_are_restored_after_trouble(method, iris):
    _, X, _, _ = iris
    before = states()
    engine = stock(method, time_limit=0.2)
    answer = engine.generate(Constant(), X[:2], [0, 1], background=X, random_state=0)
    assert not answer.valid.any()
    assert states() == before


class Failing(Constant):
    def predict_proba(self, X):
        if self.calls == 2:
            raise ValueError("this teacher is tired")
        return super().predict_proba(X)


@every_method
def test_the_teachers_own_error_is_not_hidden(method, iris):
    _, X, _, _ = iris
    before = states()
    with pytest.raises(ValueError, match="this teacher is tired"):
        stock(method).generate(
            Failing(), X[:3], [0, 0, 0], background=X, random_state=0
        )
    assert states() == before
    assert explainer_base.tqdm is tqdm.tqdm


@every_method
def test_silence(method, iris, capfd):
    teacher, X, y, rows = iris
    engine = stock(method, time_limit=0.2)
    engine.generate(teacher, X[rows], y[rows], background=X, random_state=0)
    engine.generate(Constant(), X[:2], [0, 1], background=X, random_state=0)
    assert capfd.readouterr() == ("", "")
    assert explainer_base.tqdm is tqdm.tqdm
    assert "print" not in vars(dice_random)


def test_others_may_print_meanwhile(iris, capsys):
    _, X, _, _ = iris

    class Talking(Constant):
        def predict_proba(self, X):
            print("the teacher speaks")
            return super().predict_proba(X)

    stock().generate(Talking(), X[:1], [0], background=X, random_state=0)
    assert capsys.readouterr().out.count("the teacher speaks") > 1


def test_answers_carry_no_explainer(iris):
    teacher, X, y, rows = iris
    answer = stock().generate(teacher, X[rows], y[rows], background=X, random_state=0)
    assert b"dice_ml" not in pickle.dumps(answer)


def test_dice_ml_is_imported_when_it_is_used():
    code = (
        "import sys, skcoop.counterfactuals._stock as stock; stock.StockDice();"
        "sys.exit('dice_ml' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_threads_get_the_answers_of_lonely_callers(iris):
    teacher, X, y, rows = iris
    tasks = [(method, seed) for seed in range(3) for method in METHODS]

    def ask(task):
        method, seed = task
        some = rows[seed : seed + 2]
        return (
            stock(method)
            .generate(teacher, X[some], y[some], background=X, random_state=seed)
            .X_cf
        )

    alone = [ask(task) for task in tasks]
    before = states()
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(ask, tasks))
    for first, second in zip(alone, together, strict=True):
        np.testing.assert_array_equal(first, second)
    assert states() == before
    assert explainer_base.tqdm is tqdm.tqdm


def test_processes_get_the_answers_of_lonely_callers(iris):
    teacher, X, y, rows = iris
    arguments = (teacher, X[rows], y[rows])
    alone, *together = [
        stock().generate(*arguments, background=X, random_state=0),
        *Parallel(n_jobs=2)(
            delayed(stock(method).generate)(*arguments, background=X, random_state=0)
            for method in ("random", "kdtree")
        ),
    ]
    np.testing.assert_array_equal(alone.X_cf, together[0].X_cf)
    assert_honest(together[1], *arguments)


# Searches end


@every_method
def test_an_unreachable_target_ends_the_search(method, iris):
    _, X, _, _ = iris
    limit, rows = 0.3, 3
    engine = stock(method, time_limit=limit)
    started = time.perf_counter()
    answer = engine.generate(
        Constant(), X[:rows], [0, 1, 0], background=X, random_state=0
    )
    assert time.perf_counter() - started < rows * limit + 5
    assert not answer.valid.any()
    np.testing.assert_array_equal(answer.X_cf, X[:rows])
    np.testing.assert_allclose(answer.proba_before, [0.6, 0.4, 0.6])
    np.testing.assert_array_equal(answer.proba_after, answer.proba_before)


def test_an_endless_search_ends_in_a_thread(iris):
    _, X, _, _ = iris
    engine = stock("genetic", time_limit=0.2)
    with ThreadPoolExecutor(2) as pool:
        answers = [
            pool.submit(engine.generate, Constant(), X[:1], [0], background=X)
            for _ in range(2)
        ]
        assert not any(a.result(timeout=10).valid.any() for a in answers)


@every_method
def test_a_slow_teacher_is_not_asked_after_the_limit(method, iris):
    _, X, _, _ = iris
    teacher = Constant(seconds=0.15)
    stock(method, time_limit=0.1).generate(
        teacher, X[:1], [0], background=X, random_state=0
    )
    # The row as it was, and the one question that exceeded the limit.
    assert teacher.calls == 2


def test_one_explainer_serves_all_rows_that_may_change_alike(iris, monkeypatch):
    teacher, X, y, rows = iris
    built, asked = [], []

    class Counted(dice_ml.Dice):
        def __init__(self, *args, **kwargs):
            built.append(kwargs)
            super().__init__(*args, **kwargs)

    generate = explainer_base.ExplainerBase.generate_counterfactuals

    def noted(self, *args, **kwargs):
        asked.append(kwargs)
        return generate(self, *args, **kwargs)

    monkeypatch.setattr(dice_ml, "Dice", Counted)
    monkeypatch.setattr(explainer_base.ExplainerBase, "generate_counterfactuals", noted)
    stock("kdtree").generate(teacher, X[rows], y[rows], background=X)
    assert len(built) == 1
    assert len(asked) == len(rows)
    # It would make all columns draw the same quantile.
    assert not any("random_seed" in kwargs for kwargs in asked)


def test_rows_of_the_same_gaps_share_an_explainer(gaps, monkeypatch):
    teacher, X, y, rows, background = gaps
    built = []
    build = _stock._Search._explainer
    monkeypatch.setattr(
        _stock._Search, "_explainer", lambda *args: built.append(1) or build(*args)
    )
    twice = np.concatenate([rows, rows])
    stock("kdtree").generate(
        teacher, X.iloc[twice], y[twice], background=background, random_state=0
    )
    gaps_of_rows = X.iloc[rows].isna().to_numpy()
    assert len(built) == len(np.unique(gaps_of_rows, axis=0))


# Ranges, and columns that must not change


@every_method
def test_changes_stay_within_the_background(method, iris):
    teacher, X, y, rows = iris
    background = X[(X[:, 2] > 1.5) & (X[:, 2] < 5.5) & (X[:, 0] < 6.5)]
    low, high = background.min(axis=0), background.max(axis=0)
    outside = np.flatnonzero((high < X).any(axis=1))[:3]
    some = np.concatenate([rows, outside])
    answer = stock(method, time_limit=3.0).generate(
        teacher, X[some], y[some], background=background, random_state=1
    )
    changed = assert_honest(answer, teacher, X[some], y[some])
    assert changed.any()
    inside = (low <= answer.X_cf) & (high >= answer.X_cf)
    assert inside[changed].all()


@pytest.mark.parametrize("cut", [np.float64, np.float32])
def test_what_does_not_change_does_not_change_by_a_bit(cut):
    rng = np.random.default_rng(0)
    X = np.exp(rng.normal(0, 3, size=(50, 4)))
    codec = TableCodec(X)
    view = _stock._View(codec, X, np.ones(4, dtype=bool))
    for z in np.exp(rng.normal(0, 3, size=(20, 4))):
        columns = view.columns(z)
        shown = view.show(np.vstack([z, X]), columns).astype(cut)
        np.testing.assert_array_equal(view.read(shown, z, columns), np.vstack([z, X]))


def test_dice_ml_sees_numbers_first_and_cannot_leave_their_range():
    X = pd.DataFrame(
        {
            "c": ["x", "y", "x"],
            "n": [5.0, 1.0, 3.5],
            "endless": [-1e308, 0.0, 1e308],
            "m": [2.0, 8.0, np.nan],
        }
    )
    codec = TableCodec(X)
    view = _stock._View(codec, codec.encode(X), np.ones(4, dtype=bool))
    z = codec.encode(X)[0]
    columns = view.columns(z)
    # "genetic" would round a number that stands behind a category.
    assert columns == (1, 3, 0)
    shown = view.show(view.background, columns)
    assert list(shown["f0"]) == ["c0", "c1", "c0"]
    assert list(shown["f3"]) == [0.0, 1.0, 0.0]
    spoiled = shown.assign(f1=[1.1, -0.1, 0.5], f3=[2.0, 0.9, -1.0])
    read = view.read(spoiled, z, columns)
    np.testing.assert_array_equal(read[:, 0], [0, 1, 0])
    np.testing.assert_array_equal(read[:, 1], [5.0, 1.0, 3.0])
    np.testing.assert_array_equal(read[:, 2], z[2])
    np.testing.assert_array_equal(read[:, 3], [8.0, 7.0, 2.0])


@every_method
def test_whole_numbers_stay_whole(method):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.integers(0, 9, 80), rng.normal(size=80)]).astype(float)
    y = (X[:, 0] + X[:, 1] > 4).astype(int)
    teacher = LogisticRegression(C=0.1).fit(X, y)
    rows = unsure_rows(teacher, X, y)
    answer = stock(method).generate(
        teacher, X[rows], y[rows], background=X, random_state=0
    )
    changed = assert_honest(answer, teacher, X[rows], y[rows])
    assert changed[:, 0].any()
    np.testing.assert_array_equal(answer.X_cf[:, 0], np.rint(answer.X_cf[:, 0]))


def test_a_long_tail_keeps_its_small_numbers():
    rng = np.random.default_rng(0)
    X = np.exp(rng.normal(0, 8, size=(100, 2)))
    y = (np.log(X).sum(axis=1) > 0).astype(int)
    log = make_pipeline(_Log(), LogisticRegression(C=1e-3)).fit(X, y)
    rows = unsure_rows(log, X, y)
    answer = stock("kdtree").generate(log, X[rows], y[rows], background=X)
    changed = assert_honest(answer, log, X[rows], y[rows])
    assert changed.any()
    # kdtree answers with rows of the background, to the last bit.
    assert np.isin(answer.X_cf[changed], X).all()


def test_says_which_row_is_repeated_where_cells_may_change():
    """A date and a missing cell stay the row's own: that makes no new instance."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(80, 3)), columns=list("abc"))
    y = (X["a"] + X["b"] > 0).to_numpy(dtype=int)
    X["day"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.permutation(80), "D")
    X.loc[::7, "c"] = np.nan
    teacher = make_pipeline(_Numbers(), LogisticRegression(C=0.1)).fit(X, y)
    rows = unsure_rows(teacher, X, y)
    query = X.iloc[rows]
    answer = stock("kdtree").generate(teacher, query, y[rows], background=X)
    assert answer.valid.any()
    assert ((answer.donor >= 0) == answer.valid).all()
    donor = X.iloc[answer.donor[answer.valid]]
    given = answer.X_cf[answer.valid]
    np.testing.assert_array_equal(given["a"], donor["a"])
    np.testing.assert_array_equal(given["b"], donor["b"])
    assert (given["day"].to_numpy() == query["day"][answer.valid].to_numpy()).all()
    drawn = stock("random").generate(teacher, query, y[rows], background=X)
    assert drawn.valid.any()
    assert (drawn.donor == -1).all()


class _Numbers(BaseEstimator):
    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return X[["a", "b", "c"]].fillna(0.0)


class _Log(BaseEstimator):
    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return np.log(X)


@every_method
@pytest.mark.parametrize("container", ["pandas", "polars", "objects"])
def test_every_kind_of_column_survives(method, container, mixed):
    teacher, X, y, rows = mixed
    if container == "polars":
        X = pl.from_pandas(X)
        teacher = clone(teacher).fit(X, y)
    elif container == "objects":
        teacher, X = _Frames(teacher, X), X.to_numpy(dtype=object)
    query = X.iloc[rows] if container == "pandas" else X[rows]
    answer = stock(method).generate(
        teacher, query, y[rows], background=X, random_state=0
    )
    changed = assert_honest(answer, teacher, query, y[rows])
    assert answer.valid.sum() >= 2
    assert type(answer.X_cf) is type(query)
    if container == "objects":
        unread = [0, 8]  # whether a mere array's last column is read is not known
        types = [[type(cell) for cell in row[1:]] for row in query]
        assert [[type(cell) for cell in row[1:]] for row in answer.X_cf] == types
    else:
        unread = [0, 8, 9]
        assert list(answer.X_cf.columns) == list(X.columns)
        assert list(answer.X_cf.dtypes) == list(X.dtypes)
    assert not changed[:, unread].any()
    for j, name in enumerate(mixed[1].columns):
        values = mixed[1][name]
        cells = pd.Series(cells_of(answer.X_cf)[changed[:, j], j])
        if name in ("place", "size", "flag"):
            assert cells.isin(list(values)).all()
        else:
            assert ((cells >= values.min()) & (cells <= values.max())).all()
        if method == "kdtree":
            assert cells.isin(list(values)).all()


class _Frames(Constant):
    """Lets a teacher of frames read arrays of objects."""

    def __init__(self, teacher, X):
        self.teacher, self.dtypes, self.classes_ = teacher, X.dtypes, teacher.classes_

    def predict_proba(self, X):
        frame = pd.DataFrame(X, columns=self.dtypes.index).astype(self.dtypes)
        return self.teacher.predict_proba(frame)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float32])
def test_arrays_keep_their_type(dtype):
    rng = np.random.default_rng(1)
    top = 200 if dtype == np.uint8 else 2**45
    X = rng.integers(0, top, size=(80, 3)).astype(dtype)
    y = X.astype(float).sum(axis=1) > 1.5 * top
    teacher = make_pipeline(StandardScaler(), LogisticRegression(C=0.1)).fit(X, y)
    rows = unsure_rows(teacher, X, y)
    for method in METHODS:
        answer = stock(method).generate(
            teacher, X[rows], y[rows], background=X, random_state=0
        )
        changed = assert_honest(answer, teacher, X[rows], y[rows])
        assert changed.any()
        assert answer.X_cf.dtype == dtype
        assert (X.max(axis=0) >= answer.X_cf).all()
        assert (X.min(axis=0) <= answer.X_cf).all()


def test_a_table_of_two_flags():
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 10, dtype=bool)
    y = X.all(axis=1)
    teacher = LogisticRegression().fit(X, y)
    for method in ("random", "kdtree"):
        answer = stock(method).generate(
            teacher, X[:2], y[:2], background=X, alpha=0.05, random_state=0
        )
        assert_honest(answer, teacher, X[:2], y[:2], 0.05)
        assert answer.X_cf.dtype == bool


@every_method
def test_categories_only(method):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.choice(["a", "b", "c"], size=(80, 3)), columns=["p", "q", "r"])
    y = (X == "a").sum(axis=1).to_numpy() >= 1
    encode = OneHotEncoder(sparse_output=False)
    teacher = make_pipeline(encode, LogisticRegression(C=10)).fit(X, y)
    rows = unsure_rows(teacher, X, y)
    answer = stock(method).generate(
        teacher, X.iloc[rows], y[rows], background=X, random_state=0
    )
    assert_honest(answer, teacher, X.iloc[rows], y[rows])
    assert answer.valid.any()


@every_method
def test_labels_of_rows_and_columns_mean_nothing(method, iris):
    teacher, X, y, rows = iris
    plain = stock(method).generate(
        teacher, X[rows], y[rows], background=X, random_state=0
    )
    weird = pd.DataFrame(X, columns=pd.Index(["f1", "outcome", ("t", 1), 0], dtype="O"))
    weird.index = ["same"] * len(X)

    class ByPosition(Constant):
        classes_ = teacher.classes_

        def __init__(self):
            pass

        def predict_proba(self, X):
            assert list(X.columns) == list(weird.columns)
            return teacher.predict_proba(X.to_numpy())

    answer = stock(method).generate(
        ByPosition(),
        weird.iloc[rows],
        pd.Series(y[rows], index=range(7, 7 + len(rows))),
        background=weird,
        random_state=0,
    )
    np.testing.assert_array_equal(answer.X_cf.to_numpy(), plain.X_cf)
    assert list(answer.X_cf.index) == ["same"] * len(rows)
    assert list(answer.X_cf.columns) == list(weird.columns)


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_output_containers_of_scikit_learn_do_not_matter(output, mixed):
    teacher, X, y, rows = mixed
    with sklearn.config_context(transform_output=output):
        teacher = clone(teacher).fit(X, y)
        for method in METHODS:
            answer = stock(method).generate(
                teacher, X.iloc[rows[:2]], y[rows[:2]], background=X, random_state=0
            )
            assert answer.valid.any()
            assert_honest(answer, teacher, X.iloc[rows[:2]], y[rows[:2]])


# Missing cells and unknown categories


@pytest.fixture(scope="module")
def gaps(mixed):
    """Missing cells in the rows, and in a background that lacks a column's values."""
    _, X, y, _ = mixed
    rng = np.random.default_rng(2)
    X = X[["size", "number", "single", "byte"]].assign(lost=rng.normal(size=len(X)))
    for name in ("size", "number", "single"):
        X[name] = X[name].mask(rng.random(len(X)) < 0.2)
    teacher = HistGradientBoostingClassifier(
        max_iter=15, max_depth=2, categorical_features="from_dtype"
    ).fit(X, y)
    return teacher, X, y, unsure_rows(teacher, X, y, 6), X.assign(lost=np.nan)


@every_method
def test_missing_cells_stay_missing_and_known_cells_known(method, gaps):
    teacher, X, y, rows, background = gaps
    query = X.iloc[rows]
    incomplete = query.isna().any(axis=1).to_numpy()
    assert 0 < incomplete.sum() < len(rows)
    answer = stock(method, time_limit=6.0).generate(
        teacher, query, y[rows], background=background, alpha=0.2, random_state=0
    )
    changed = assert_honest(answer, teacher, query, y[rows], 0.2)
    without_a_number = query[["number", "single"]].isna().any(axis=1).to_numpy()
    assert changed[without_a_number].any()
    assert changed[query["size"].isna().to_numpy()].any()
    assert changed[~incomplete].any()
    np.testing.assert_array_equal(answer.X_cf.isna(), query.isna())
    # A column of which the background knows no value has nothing to change to.
    assert not changed[:, list(X.columns).index("lost")].any()
    assert list(answer.X_cf.dtypes) == list(X.dtypes)


def test_rows_with_other_gaps_are_answered_in_their_own_order(gaps):
    teacher, X, y, rows, background = gaps
    assert len(set(map(tuple, X.iloc[rows].isna().to_numpy()))) > 2
    forth, back = (
        stock("kdtree").generate(teacher, X.iloc[some], y[some], background=background)
        for some in (rows, rows[::-1])
    )
    assert forth.valid.any()
    pd.testing.assert_frame_equal(forth.X_cf, back.X_cf.iloc[::-1])
    np.testing.assert_array_equal(forth.valid, back.valid[::-1])


@every_method
def test_a_row_without_any_cell_has_no_answer(method, iris):
    _, X, y, rows = iris
    teacher = HistGradientBoostingClassifier(max_iter=5).fit(X, y)
    query = X[rows].copy()
    query[0] = np.nan
    answer = stock(method, time_limit=0.5).generate(
        teacher, query, y[rows], background=X, random_state=0
    )
    assert not answer.valid[0]
    assert np.isnan(answer.X_cf[0]).all()
    assert_honest(answer, teacher, query, y[rows])


@every_method
def test_an_unknown_category_stays_as_it_is(method, mixed):
    teacher, X, y, rows = mixed
    west = rows[(X["place"].iloc[rows] == "west").to_numpy()]
    others = X[X["place"] != "west"]
    assert len(west)
    answer = stock(method).generate(
        teacher, X.iloc[west], y[west], background=others, random_state=0
    )
    assert_honest(answer, teacher, X.iloc[west], y[west])
    assert answer.valid.any()
    assert (answer.X_cf["place"] == "west").all()


def test_infinite_cells_in_the_background_are_no_bounds(iris):
    teacher, X, y, rows = iris
    background = np.vstack([X, np.full((1, 4), np.inf), np.full((1, 4), -np.inf)])
    for method in METHODS:
        plain, infinite = (
            stock(method).generate(
                teacher, X[rows], y[rows], background=table, random_state=0
            )
            for table in (X, background)
        )
        assert np.isfinite(infinite.X_cf).all()
        assert infinite.valid.sum() >= plain.valid.sum() - 1
        assert (X.max(axis=0) >= infinite.X_cf).all()


# Rows that cannot or need not be answered


@every_method
def test_a_certain_row_is_answered_by_another_row_or_not_at_all(method, iris):
    _, X, y, _ = iris
    teacher = RandomForestClassifier(10, random_state=0).fit(X, y)
    certain = np.flatnonzero(true_class_proba(teacher, X, y) == 1.0)[::40]
    # The rows stand in the background: the nearest valid row is the row itself.
    answer = stock(method).generate(
        teacher, X[certain], y[certain], background=X, random_state=0
    )
    changed = assert_honest(answer, teacher, X[certain], y[certain])
    assert answer.valid.any()
    assert changed.any(axis=1)[answer.valid].all()
    assert (answer.proba_after == 1.0).all()


def test_an_alpha_of_zero_needs_a_changed_row_too(iris):
    teacher, X, y, rows = iris
    answer = stock("kdtree").generate(
        teacher, X[rows], y[rows], background=X, alpha=0.0
    )
    assert answer.valid.all()
    assert_honest(answer, teacher, X[rows], y[rows], 0.0)


def test_a_class_the_teacher_never_saw_costs_no_search(iris):
    teacher, X, y, rows = iris
    labels = y[rows].copy()
    labels[1] = "lotus"
    answer = stock("genetic").generate(
        teacher, X[rows], labels, background=X, random_state=0
    )
    assert answer.seconds < 5.0  # the limit of a single search
    assert not answer.valid[1]
    assert answer.proba_before[1] == answer.proba_after[1] == 0.0
    np.testing.assert_array_equal(answer.X_cf[1], X[rows[1]])
    assert answer.valid[[0, 2]].any()


def test_no_rows_no_answers(iris):
    teacher, X, y, _ = iris
    answer = stock().generate(teacher, X[:0], y[:0], background=X, random_state=0)
    assert answer.X_cf.shape == (0, 4)
    assert answer.valid.shape == answer.proba_after.shape == (0,)


def test_nothing_may_change(iris):
    teacher, X, y, rows = iris
    answer = stock().generate(
        teacher, X[rows], y[rows], background=np.ones((5, 4)), random_state=0
    )
    assert not answer.valid.any()
    np.testing.assert_array_equal(answer.X_cf, X[rows])


def test_an_answer_that_misses_its_target_is_taken_back(iris, monkeypatch):
    teacher, X, y, rows = iris
    lowest = X[true_class_proba(teacher, X, np.full(len(X), y[rows[0]])).argmin()]
    monkeypatch.setattr(_stock._Search, "answer", lambda self, seed: lowest)
    some = rows[y[rows] == y[rows[0]]]
    answer = stock().generate(teacher, X[some], y[some], background=X, random_state=0)
    assert not answer.valid.any()
    np.testing.assert_array_equal(answer.X_cf, X[some])
    np.testing.assert_array_equal(answer.proba_after, answer.proba_before)


def test_a_broken_dice_ml_is_reported_not_fatal(iris, monkeypatch):
    teacher, X, y, rows = iris

    def broken(self, *args, **kwargs):
        raise TypeError("no such argument")

    monkeypatch.setattr(dice_random.DiceRandom, "_generate_counterfactuals", broken)
    with pytest.warns(RuntimeWarning, match="failed on 4 of them.*no such argument"):
        answer = stock().generate(
            teacher, X[rows], y[rows], background=X, random_state=0
        )
    assert not answer.valid.any()
    np.testing.assert_array_equal(answer.X_cf, X[rows])


def test_one_failure_among_answers_is_only_a_row_without_answer(iris, monkeypatch):
    teacher, X, y, rows = iris
    generate, calls = dice_random.DiceRandom._generate_counterfactuals, []

    def broken_once(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 1:
            raise TypeError("no such argument")
        return generate(self, *args, **kwargs)

    name = "_generate_counterfactuals"
    monkeypatch.setattr(dice_random.DiceRandom, name, broken_once)
    answer = stock().generate(teacher, X[rows], y[rows], background=X, random_state=0)
    assert not answer.valid[0]
    assert answer.valid.any()


# dice-ml itself: a test that fails here tells that a fault is mended upstream, and
# that what StockDice does about it may go.

dice_ml_itself = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "a": rng.uniform(0, 1, 60).round(3),
            "b": rng.uniform(0, 10, 60).round(3),
        }
    )


def first_column(X):
    return X["a"].to_numpy(dtype=float)


def explainer(table, f, method="random", kind="regressor", numbers=None):
    class Model:
        def predict(self, X):
            return f(X)

        def predict_proba(self, X):
            proba = f(X)
            return proba if proba.ndim == 2 else np.column_stack([1 - proba, proba])

    data = dice_ml.Data(
        dataframe=table.assign(outcome=0),
        continuous_features=list(table.columns) if numbers is None else numbers,
        outcome_name="outcome",
    )
    model = dice_ml.Model(model=Model(), backend="sklearn", model_type=kind)
    return dice_ml.Dice(data, model, method=method)


def answers_of(explainer, query, **params):
    result = explainer.generate_counterfactuals(query, **params)
    return result.cf_examples_list[0].final_cfs_df


@dice_ml_itself
def test_fault_random_seed_reseeds_numpy(table):
    draws = []
    for start in (0, 1):
        np.random.seed(start)
        answers_of(
            explainer(table, first_column),
            table[:1],
            total_CFs=1,
            desired_range=[0.5, 1],
            random_seed=7,
        )
        draws.append(np.random.random())
    assert draws[0] == draws[1]


@dice_ml_itself
def test_fault_random_seed_draws_one_quantile_for_all_columns(table):
    asked = explainer(table, first_column)
    draws = asked.get_samples({}, {"a": [0, 1], "b": [0, 10]}, 7, 100)
    assert np.corrcoef(draws["a"], draws["b"])[0, 1] > 0.999


@dice_ml_itself
def test_fault_genetic_never_returns_from_an_unreachable_target(table):
    class Enough(Exception):
        pass

    questions = []

    def hopeless(X):
        questions.append(len(X))
        if len(questions) > 300:
            raise Enough
        return np.zeros(len(X))

    asked = explainer(table, hopeless, method="genetic")
    with pytest.raises(Enough):
        answers_of(
            asked, table[:1], total_CFs=1, desired_range=[0.5, 1], maxiterations=1
        )


@dice_ml_itself
def test_fault_genetic_mutates_to_the_smallest_value_only(table):
    asked = explainer(table, first_column, method="genetic")
    asked.feature_range = {"a": [0.0, 1.0], "b": [0.0, 10.0]}
    parent = [0.5, 5.0]
    children = [asked.mate(parent, parent, ["a", "b"], parent) for _ in range(200)]
    assert set(np.ravel(children)) == {0.0, 0.5, 5.0}


@dice_ml_itself
def test_fault_genetic_mixes_up_precisions_behind_categories(table):
    mixed_up = pd.DataFrame({"c": ["x", "y"] * 30, "a": table["a"]})
    asked = explainer(mixed_up, first_column, method="genetic", numbers=["a"])
    place = asked.data_interface.feature_names.index("a")
    assert asked.data_interface.get_decimal_precisions()[place] == 0


@dice_ml_itself
def test_fault_class_0_lowers_the_threshold(table):
    asked = explainer(table, lambda X: 1 - first_column(X), kind="classifier")
    low = table[table["a"] < 0.2][:1]
    found = answers_of(
        asked, low, total_CFs=5, desired_class=0, stopping_threshold=0.99
    )
    assert asked.stopping_threshold == 0.25
    assert found["a"].min() < 0.99


@dice_ml_itself
def test_fault_three_classes_ignore_the_threshold(table):
    def three(X):
        last = first_column(X)
        return np.column_stack([(1 - last) / 2, (1 - last) / 2, last])

    asked = explainer(table, three, kind="classifier")
    low = table[table["a"] < 0.2][:1]
    params = {"desired_class": 2, "stopping_threshold": 0.99, "sample_size": 100}
    assert answers_of(asked, low, total_CFs=5, **params)["a"].min() < 0.99


@dice_ml_itself
def test_fault_kdtree_ignores_the_threshold(table):
    asked = explainer(table, first_column, method="kdtree", kind="classifier")
    low = table[table["a"] < 0.2][:1]
    found = answers_of(
        asked, low, total_CFs=5, desired_class=1, stopping_threshold=0.99
    )
    assert found["a"].min() < 0.99


@dice_ml_itself
def test_fault_rounding_loses_the_target():
    table = pd.DataFrame({"a": [0.5] * 10 + [0.8999, 0.9001, 0.9201]})
    asked = explainer(table, first_column, method="kdtree")
    found = answers_of(asked, table[:1], total_CFs=1, desired_range=[0.9002, 1])
    assert found["a"].iat[0] < 0.9002 or found["a"].iat[0] not in set(table["a"])


@dice_ml_itself
def test_fault_draws_leave_the_range(table):
    np.random.seed(0)
    draws = explainer(table, first_column).get_continuous_samples(0.0, 1.0, 1)
    assert max(draws) > 1.0


@dice_ml_itself
def test_fault_numbers_are_cut_to_32_bits():
    whole = pd.DataFrame({"a": [2**31 + 1, 5]})
    kept = explainer(whole, first_column).data_interface.data_df["a"]
    assert kept.tolist() == [-(2**31) + 1, 5]
    real = pd.DataFrame({"a": [2.0**24 + 1, 5.0]})
    kept = explainer(real, first_column).data_interface.data_df["a"]
    assert kept.tolist() == [2.0**24, 5.0]


@dice_ml_itself
@pytest.mark.parametrize("dtype", [bool, np.uint8])
def test_fault_columns_of_other_types_are_refused(dtype, table):
    with pytest.raises(ValueError, match="Unknown data type of feature b"):
        explainer(table.assign(b=table["b"].astype(dtype)), first_column)


@dice_ml_itself
def test_fault_a_small_mode_has_no_precision(table):
    with pytest.raises(IndexError):
        explainer(table.assign(b=1e-7), first_column)


@dice_ml_itself
@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda row: row.assign(a=np.nan), UserConfigValidationException),
        (lambda row: row.to_numpy(), AttributeError),
        (lambda row: row.assign(c="new"), ValueError),
    ],
    ids=["missing cell", "array", "unknown category"],
)
def test_fault_rows_that_are_refused(spoil, error, table):
    table = table.assign(c=["x", "y", "z"] * 20)
    asked = explainer(table, first_column, numbers=["a", "b"])
    with pytest.raises(error):
        answers_of(asked, spoil(table[:1]), total_CFs=1, desired_range=[0.5, 1])


@dice_ml_itself
@pytest.mark.skipif(int(pd.__version__.split(".")[0]) < 3, reason="needs pandas 3")
def test_fault_whole_numbers_as_categories(table):
    table = table.assign(c=[0, 1, 2] * 20)
    asked = explainer(table, first_column, numbers=["a", "b"])
    with pytest.raises(TypeError, match="Invalid value"):
        answers_of(asked, table[:1], total_CFs=1, desired_range=[0.5, 1])


@dice_ml_itself
def test_fault_a_missing_category_becomes_a_word(table):
    table = table.assign(c=pd.Series(["x", "y", np.nan] * 20, dtype=object))
    asked = explainer(table, first_column, numbers=["a", "b"])
    assert "nan" in asked.data_interface.permitted_range["c"]


@dice_ml_itself
def test_fault_threads_that_share_an_explainer_mix_up_their_questions(table):
    asked_in_between = []

    def interrupted(X):
        if len(X) > 1 and not asked_in_between:  # in the middle of the search
            asked_in_between.append(True)
            with ThreadPoolExecutor(1) as pool:
                pool.submit(
                    answers_of, asked, table[1:2], total_CFs=1, desired_range=[0, 0.2]
                ).result()
        return first_column(X)

    asked = explainer(table, interrupted)
    query = table[:1].assign(a=0.5)
    found = answers_of(asked, query, total_CFs=5, desired_range=[0.8, 1], random_seed=0)
    assert asked_in_between
    assert (found["a"] <= 0.2).any()  # the answer to the other question


@dice_ml_itself
def test_fault_noise_and_an_error_for_no_answer(table, capfd):
    asked = explainer(table, first_column)
    with pytest.raises(UserConfigValidationException, match="No counterfactuals found"):
        answers_of(asked, table[:1], total_CFs=1, desired_range=[2, 3], sample_size=20)
    printed = capfd.readouterr()
    assert "No Counterfactuals found" in printed.out
    assert "1/1" in printed.err


@dice_ml_itself
def test_fault_answers_carry_the_training_table(table):
    result = explainer(table, first_column).generate_counterfactuals(
        table[:1], total_CFs=1, desired_range=[0.5, 1]
    )
    carried = pickle.loads(pickle.dumps(result.cf_examples_list[0].data_interface))
    assert len(carried.data_df) == len(table)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"alpha": -3}, "'alpha'.*generate"),
        ({"alpha": 7}, "'alpha'.*generate"),
        ({"random_state": "x"}, "'random_state'.*generate"),
        ({"y": [0, 1]}, "y must hold one class for each of the 5 rows"),
        ({"background": np.zeros((5, 4))}, "both be data frames or both be arrays"),
    ],
)
def test_what_is_asked_is_checked(wrong, message, iris):
    X, y = load_iris(return_X_y=True, as_frame=True)
    teacher = LogisticRegression(max_iter=500).fit(X, y)
    asked = {"y": y[:5], "background": X, **wrong}
    with pytest.raises(ValueError, match=message):
        stock().generate(teacher, X[:5], **asked)


def test_columns_of_the_background_may_be_in_another_order():
    X, y = load_iris(return_X_y=True, as_frame=True)
    teacher = LogisticRegression(max_iter=500).fit(X, y)
    first, second = (
        stock().generate(teacher, X[:5], y[:5], background=rows, random_state=0)
        for rows in (X, X[X.columns[::-1]])
    )
    pd.testing.assert_frame_equal(first.X_cf, second.X_cf)
