"""Whole fits on random tables: a clear error, or an estimator that keeps its promises.

More cases: ``SKCOOP_FUZZ=2000 python -m pytest tests/test_fuzzing.py -n 0 -o
faulthandler_timeout=0``. Each run then draws others.
"""

import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, event, example, given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from skcoop import CooperativeDistiller
from skcoop._tables._codec import TableCodec

CASES = int(os.environ.get("SKCOOP_FUZZ", "100"))
COLUMNS = ["number", "whole", "flag", "text", "category", "constant", "missing"]
MODELS = {
    "linear": LogisticRegression(max_iter=50),
    "tree": DecisionTreeClassifier(max_depth=3),
    "bayes": GaussianNB(),
    "near": KNeighborsClassifier(1),
    "mute": LinearSVC(),
    "boosting": HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=2),
}
# What a table may honestly be refused for; each says what to do.
REFUSALS = [
    "needs rows of at least two classes",
    "has no rows to train on",
    "has one row only",
    "has no rows left when fold",
    "Expected n_neighbors <= n_samples",  # the member's own
    "predict_proba returned NaN or infinity",  # naive Bayes, constant columns
]


def column(kind, n, draw):
    """Return one random column."""
    if kind == "number":
        return pd.Series(draw.normal(size=n) * 10.0 ** draw.integers(-8, 9))
    if kind == "whole":
        return pd.Series(draw.integers(-3, 4, n))
    if kind == "flag":
        return pd.Series(draw.random(n) < 0.5)
    if kind == "text":
        return pd.Series(draw.choice(["a", "b", "ü", ""], n))
    if kind == "category":
        return pd.Series(draw.choice(list("xyz"), n)).astype("category")
    if kind == "constant":
        return pd.Series(np.full(n, 7.0))
    cells = draw.normal(size=n)
    return pd.Series(np.where(draw.random(n) < 0.3, np.nan, cells))


def member(model, columns):
    """Put whatever reads the columns before a model."""

    def of(*kinds):
        return [name for name in columns if name.startswith(kinds)]

    read = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), of("text", "category")),
        (SimpleImputer(keep_empty_features=True), of("number", "whole", "missing")),
        ("passthrough", of("flag", "constant")),
        sparse_threshold=0,
    )
    return make_pipeline(read, model)


@st.composite
def cases(draw):
    """Draw a table, labels, silos, members and parameters."""
    # Mostly enough of everything to teach something, sometimes hardly anything.
    n = draw(st.sampled_from([60, 50, 40, 60, 50, 40, 30, 20, 10, 3, 1]))
    seed = draw(st.integers(0, 10_000))
    kinds = draw(st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=6))
    numbers = np.random.default_rng(seed)
    X = pd.DataFrame(
        {f"{kind}{k}": column(kind, n, numbers) for k, kind in enumerate(kinds)}
    )
    if draw(st.booleans()):  # the same column twice
        X["again"] = X.iloc[:, 0].to_numpy()
        X = X.rename(columns={"again": X.columns[0] + "again"})
    if draw(st.booleans()):  # the same rows twice
        X = X.iloc[numbers.integers(0, n, n)].reset_index(drop=True)
    n_classes = draw(st.sampled_from([2, 3, 2, 3, 2, 3, 2, 3, 5, 1]))
    y = numbers.integers(0, n_classes, n)
    if draw(st.booleans()):  # something to learn, and a rare class
        first = pd.factorize(X.iloc[:, 0])[0]
        y = np.minimum((first + (numbers.random(n) < 0.2)) % 5, n_classes - 1)
    labels = np.array(draw(st.sampled_from([list("vwxyz"), [3, 1, 4, 15, 9]])))[y]
    names = draw(
        st.lists(st.sampled_from(sorted(MODELS)), min_size=2, max_size=3, unique=True)
    )
    if draw(st.integers(0, 9)) == 9:
        names = names[:1]
    members = [
        (
            name,
            member(
                MODELS[name],
                sorted(draw(st.sets(st.sampled_from(sorted(X.columns)), min_size=1))),
            ),
        )
        for name in names
    ]
    silos = None
    if draw(st.booleans()):
        silos = numbers.choice(names, n)
    weights = None
    if draw(st.booleans()):
        weights = numbers.choice([0.0, 0.5, 1.0, 2.0], n)
    params = {
        "alpha": draw(st.sampled_from([0.1, 0.5, 0.8, 1.0])),
        "n_rounds": draw(st.sampled_from([1, 2, 0])),
        "cv": draw(st.sampled_from([2, 3, 2, 3, 5])),
        "accept": draw(st.sampled_from(["all", "own", None])),
        "combine": draw(st.sampled_from(["stack", "soft", "hard"])),
        "max_lessons": draw(st.sampled_from([None, 1, 7])),
        "random_state": seed,
    }
    return X, labels, silos, weights, members, params


# Naive Bayes has no variance in its silo, which no fold shows: each has one class.
ONE_VALUE_IN_A_SILO = (
    pd.DataFrame({"constant": np.full(10, 7.0), "number": np.arange(10.0)}),
    np.array(list("vvvwwwvwwv")),
    np.array([("tree", "bayes")[k in (0, 4)] for k in range(10)]),
    None,
    [
        ("bayes", member(MODELS["bayes"], ["constant"])),
        ("tree", member(MODELS["tree"], ["number"])),
    ],
    {"n_rounds": 1, "cv": 2, "accept": "own", "alpha": 0.1, "combine": "stack",
     "max_lessons": None, "random_state": 0},
)  # fmt: skip


@settings(
    max_examples=CASES,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    derandomize="SKCOOP_FUZZ" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(cases())
@example(ONE_VALUE_IN_A_SILO)
@pytest.mark.filterwarnings("ignore")
def test_fits_or_says_why(case):
    X, y, silos, weights, members, params = case
    before = X.copy()

    def fit():
        # Most of the time on small tables goes into checking parameters.
        with config_context(skip_parameter_validation=True):
            return CooperativeDistiller(members, **params).fit(
                X, y, silos=silos, sample_weight=weights
            )

    try:
        model = fit()
        predicted = model.predict(X)
    except ValueError as error:
        known = [*REFUSALS, "Sample weights must contain at least one non-zero"]
        assert any(text in str(error) for text in known), error
        event("refused: " + next(text for text in known if text in str(error)))
        return
    pd.testing.assert_frame_equal(X, before)
    event(f"lessons: {len(model.lessons_) > 0}")
    # It predicts.
    assert predicted.shape == (len(X),)
    assert set(predicted) <= set(model.classes_)
    if params["combine"] != "hard":
        proba = model.predict_proba(X)
        assert np.isfinite(proba).all()
        np.testing.assert_allclose(proba.sum(axis=1), 1)
    # Lessons are what they claim.
    check_lessons(model, X, y, params["alpha"])
    # The same seed gives the same again.
    if params["random_state"] % 3:
        return
    again = fit()
    pd.testing.assert_frame_equal(again.lessons_, model.lessons_)
    pd.testing.assert_frame_equal(again.history_, model.history_)
    np.testing.assert_array_equal(again.transform(X), model.transform(X))


def check_lessons(model, X, y, alpha):
    """Labels, targets, ranges, and no copies of rows on the columns that are read."""
    lessons = model.lessons_
    assert (lessons["label"].to_numpy() == y[lessons["source_row"]]).all()
    target = lessons["proba_before"] + alpha * (1 - lessons["proba_before"])
    assert (lessons["proba_after"] >= target - 1e-6).all()
    assert (lessons["teacher"] != lessons["student"]).all()
    if not len(lessons):
        return
    codec = TableCodec(X)
    Z = codec.encode(X)
    cells = lessons[[f"x__{name}" for name in codec.names]]
    virtual = codec.encode(cells.set_axis(codec.names, axis=1).astype(X.dtypes))
    with np.errstate(invalid="ignore"):
        low, high = np.nanmin(Z, axis=0), np.nanmax(Z, axis=0)
        inside = (virtual >= low) & (virtual <= high) | np.isnan(virtual)
    assert inside.all()
