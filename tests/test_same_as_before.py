"""While the house is rebuilt: the same results as before, to the last bit."""

import importlib

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

import skcoop

before = importlib.import_module("tests.before")

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

# What has another name now: by what the results were called before.
RENAMED = {"led_to": "donor_row"}


def table(n=240, n_classes=2, seed=0):
    X, y = make_classification(
        n_samples=n,
        n_features=6,
        n_informative=4,
        n_classes=n_classes,
        flip_y=0.1,
        random_state=seed,
    )
    frame = pd.DataFrame(np.round(X, 3), columns=list("abcdef"))
    return frame, np.array(["no", "yes", "maybe"])[y]


def mixed(missing=True):
    X, y = table()
    X["color"] = np.where(X["a"] > 0, "red", np.where(X["b"] > 0, "blue", "green"))
    X["code"] = np.array([3, 6, 7])[np.digitize(X["c"], [-0.5, 0.5])]
    X["whole"] = np.rint(5 * X["d"]).astype(int)
    if missing:
        X.loc[np.arange(0, 240, 7), "e"] = np.nan
    return X, y


def silos(X, names=("linear", "tree", "bayes")):
    cuts = np.quantile(X["a"], np.linspace(0, 1, len(names) + 1)[1:-1])
    return np.array(names)[np.digitize(X["a"] + 0.3 * X["b"], cuts)]


def members():
    return [
        ("linear", LogisticRegression()),
        ("tree", DecisionTreeClassifier(max_depth=4)),
        ("bayes", GaussianNB()),
    ]


def mixed_members():
    numbers, strings = ["a", "b", "c", "d", "e", "f", "whole"], ["color", "code"]
    read = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), strings),
    )
    chosen = make_column_transformer(
        (SimpleImputer(), ["a", "c", "e"]), ("drop", ["color"])
    )
    return [
        ("linear", make_pipeline(read, LogisticRegression(max_iter=1000))),
        ("tree", make_pipeline(chosen, DecisionTreeClassifier(max_depth=4))),
        ("bayes", make_pipeline(read, RandomForestClassifier(10))),
    ]


def one_table():
    return members(), {}, *table(), {}


def three_silos():
    X, y = table()
    return members(), {}, X, y, {"silos": silos(X)}


def three_classes():
    X, y = table(n_classes=3)
    return members(), {}, X, y, {"silos": silos(X)}


def gaps_and_categories():
    X, y = mixed()
    own = silos(X)
    X.loc[own == "tree", "f"] = np.nan  # never recorded there
    return mixed_members(), {}, X, y, {"silos": own}


def mixed_table():
    return mixed_members(), {"categorical_features": ["code"]}, *mixed(), {}


def weights():
    X, y = table()
    return (
        members(),
        {},
        X,
        y,
        {
            "silos": silos(X),
            "sample_weight": np.random.default_rng(0).uniform(0.0, 2.0, len(y)).round(),
        },
    )


def few_lessons():
    X, y = table()
    return members(), {"max_lessons": 9}, X, y, {"silos": silos(X)}


def guest():
    X, y = table()
    guest = DecisionTreeClassifier(max_depth=3, random_state=0).fit(*table())
    guest = FrozenEstimator(guest)
    return [*members(), ("guest", guest)], {}, X, y, {"silos": silos(X)}


def one_class_silo():
    X, y = table()
    own = silos(X)
    kept = (own != "bayes") | (y == "yes")
    return members(), {}, X[kept], y[kept], {"silos": own[kept]}


def a_liar():
    X, y = table(n=480)
    own = silos(X, ("linear", "tree", "bayes"))
    own = np.array(["linear", "tree", "bayes"])[np.arange(480) % 3]
    liar = own == "bayes"
    y = y.copy()
    y[liar] = np.where(y[liar] == "yes", "no", "yes")
    return members(), {}, X, y, {"silos": own}


def limits():
    X, y = table()
    params = {
        "features_to_vary": ["a", "b", "d"],
        "permitted_range": {"a": [-2, 2]},
        "private_columns": ["f"],
        "min_distance": 0.2,
        "alpha": 0.3,
    }
    return members(), params, X, y, {"silos": silos(X)}


def boosted():
    X, y = mixed()
    X = X.astype({"color": "category"})
    boosting = HistGradientBoostingClassifier(max_iter=20)
    both = [("linear", boosting), ("tree", boosting), ("bayes", boosting)]
    return both, {"scoring": "neg_log_loss"}, X, y, {"silos": silos(X)}


def arrays():
    X, y = table()
    return members(), {}, X.to_numpy(), y, {"silos": silos(X)}


DATA = [
    one_table,
    three_silos,
    three_classes,
    gaps_and_categories,
    mixed_table,
    weights,
    few_lessons,
    guest,
    one_class_silo,
    a_liar,
    limits,
    boosted,
    arrays,
]
VARIATIONS = {
    "default": {},
    "own": {"accept": "own", "combine": "soft"},
    "none": {"accept": None, "combine": "hard"},
    "robust": {"accept": "robust", "scoring": "roc_auc"},
    "forest": {"combine": RandomForestClassifier(5), "scoring": "accuracy"},
    "no rounds": {"n_rounds": 0},
    "few": {"counterfactuals": "random", "n_rounds": 1},
    "jobs": {"n_jobs": 2},
}
CASES = [(data, "default") for data in DATA] + [
    (three_silos, variation) for variation in VARIATIONS if variation != "default"
]


def fitted(package, data, variation):
    estimators, params, X, y, fit_params = data()
    params = {"cv": 3, "random_state": 0, **params, **VARIATIONS[variation]}
    if params.get("counterfactuals") == "random":
        engine = package.counterfactuals.BatchedDice(sparse=True)
        params["counterfactuals"] = engine
    return package.CooperativeDistiller(estimators, **params).fit(X, y, **fit_params), X


def renamed(frame):
    return frame.rename(columns=RENAMED)


@pytest.mark.parametrize("data, variation", CASES)
def test_cooperation_is_the_same(data, variation):
    importlib.import_module("tests.before.counterfactuals")
    importlib.import_module("skcoop.counterfactuals")
    old, X = fitted(before, data, variation)
    new, _ = fitted(skcoop, data, variation)
    assert (
        data in (one_class_silo, few_lessons)
        or len(old.history_)
        or (variation == "no rounds")
    )
    # A member is asked about a silo's rows at once, and scores are sums over the sums
    # of silos: the last digit of what it says and of scores may be another.
    said = ["proba_before", "proba_after"]
    lessons = renamed(old.lessons_), new.lessons_
    assert_frame_equal(*(own.drop(columns=said) for own in lessons), check_exact=True)
    assert_frame_equal(*(own[said] for own in lessons), rtol=0, atol=1e-12)
    for name in ("history_", "scores_", "gains_"):
        first, second = renamed(getattr(old, name)), getattr(new, name)
        assert_frame_equal(first, second, rtol=1e-10, atol=1e-12)
    for first, second in zip(old.estimators_, new.estimators_, strict=True):
        np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    np.testing.assert_array_equal(old.predict(X), new.predict(X))
    if hasattr(old, "predict_proba"):
        # The final estimator is found by the same sums, added silo by silo.
        np.testing.assert_allclose(
            old.predict_proba(X), new.predict_proba(X), rtol=0, atol=1e-12
        )


def test_these_fits_teach_and_are_refused():
    """What is compared is not empty."""
    taught = {data.__name__: fitted(skcoop, data, "default")[0] for data in DATA}
    assert sum(len(model.lessons_) > 0 for model in taught.values()) >= 8
    refused = [m.history_["accepted"].eq(False).any() for m in taught.values()]
    assert sum(refused) >= 5
    assert (taught["a_liar"].history_["round"] == 0).any()


@pytest.mark.parametrize("n_classes", [2, 3])
def test_peers_are_the_same(n_classes):
    X, y = table(n_classes=n_classes)
    models = [
        package.DiversePeersDistiller(
            members(), DecisionTreeClassifier(max_depth=4), random_state=0
        ).fit(X, y)
        for package in (before, skcoop)
    ]
    np.testing.assert_array_equal(*(model.predict_proba(X) for model in models))


def test_comparative_is_the_same():
    X, y = table()
    teacher = RandomForestClassifier(20, random_state=0).fit(X, y)
    models = [
        package.ComparativeDistiller(
            teacher,
            DecisionTreeClassifier(max_depth=4),
            teacher_budget=50,
            random_state=0,
        ).fit(X)
        for package in (before, skcoop)
    ]
    np.testing.assert_array_equal(*(model.predict_proba(X) for model in models))
