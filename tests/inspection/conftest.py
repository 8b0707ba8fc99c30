"""Fits to look at: one with all that can happen, one where nothing does."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier

from skcoop import CooperativeDistiller

SCRIPT = "<script>window.broken = true; console.error('ran')</script>"
YOUNG, OLD = "young <b>& co</b>", "old"


def odd_table(n=240, seed=0):
    """Return rows whose names and values are HTML, formulas and missing cells."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "$income_of$ {the} household in a year, with a long name": rng.normal(
                size=n
            ),
            SCRIPT: rng.choice(["<b>x</b>", "y & z", 'w"'], n),
            "age": rng.integers(18, 80, n),
            "gone": np.where(rng.random(n) < 0.3, np.nan, rng.normal(size=n)),
        }
    )
    X["gone"] = X["gone"].fillna(0.0).where(X["age"] < 60, 1.0)
    good = X.iloc[:, 0] + (X["age"] - 45) / 20 + (X[SCRIPT] == "y & z")
    y = np.where(good + rng.normal(0, 0.5, n) > 0.3, "<i>pays</i>", "$no")
    silos = np.where(X["age"] < 42, YOUNG, OLD)
    return X, y, silos


def reader(model):
    return make_pipeline(
        make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), [SCRIPT]),
            remainder="passthrough",
            verbose_feature_names_out=False,
        ),
        model,
    )


def fit_odd_table(**params):
    X, y, silos = odd_table()
    members = [
        (YOUNG, reader(DecisionTreeClassifier(max_depth=3))),
        (OLD, reader(LogisticRegression(max_iter=2000))),
    ]
    params = {"cv": 3, "random_state": 0, **params}
    return CooperativeDistiller(members, **params).fit(X, y, silos=silos), X, y


@pytest.fixture(scope="session")
def odd():
    """Names that are HTML and formulas; lessons kept, refits refused."""
    return fit_odd_table()


@pytest.fixture(scope="session")
def idle():
    """Two members that are the same have nothing to teach each other."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = (X[:, 0] + rng.normal(0, 0.5, 60) > 0).astype(int)
    members = [("a", GaussianNB()), ("b", GaussianNB())]
    return CooperativeDistiller(members, cv=3, random_state=0).fit(X, y), X, y


@pytest.fixture(scope="session")
def many():
    """Ten members with long names, ten classes, sixty-four columns."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    X, y = X[:800] / 16, y[:800]
    names = [f"the member with the number {k}" for k in range(10)]
    silos = np.array(names, dtype=object)[np.random.default_rng(0).integers(0, 10, 800)]
    keep = np.array([int(s[-1]) != label for s, label in zip(silos, y, strict=True)])
    members = [(name, LogisticRegression(max_iter=500)) for name in names]
    model = CooperativeDistiller(members, cv=3, n_rounds=1, random_state=0)
    return model.fit(X[keep], y[keep], silos=silos[keep]), X[keep], y[keep]


@pytest.fixture
def close_figures():
    import matplotlib.pyplot as plt

    yield
    plt.close("all")
