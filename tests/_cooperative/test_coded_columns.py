"""Columns of codes: how they are recognised, and that lessons respect them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skcoop import CooperativeDistiller
from skcoop._cooperative._coded_columns import encoded_columns, look_like_codes
from skcoop.counterfactuals import BatchedDice, StockDice


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        ([3, 6, 7], True),
        ([36, 60], True),
        ([-1, 1, 2], True),
        ([1, 2, 3, 4], False),
        ([0, 1], False),
        ([5], False),
        ([1.5, 2.5, 4.5], False),
        (list(range(0, 42, 2)), False),  # too many of them
    ],
)
@pytest.mark.parametrize("gaps", [False, True])
def test_whole_numbers_with_gaps_among_few_values(values, codes, gaps):
    cells = np.array(values * 10, dtype=float)
    if gaps:
        cells = np.append(cells, [np.nan] * 30)
    assert look_like_codes(cells[:, None]).tolist() == [codes]


def test_few_rows_tell_nothing():
    assert not look_like_codes(np.array([[3.0], [6.0], [7.0], [3.0]])).any()


X = pd.DataFrame(
    {
        "age": np.random.default_rng(0).normal(50, 10, 120),
        "kind": np.arange(120) % 3 + 1,
        "grade": np.arange(120) % 4 + 1,
    }
)
Y = (X["age"] + 10 * (X["kind"] == 2) > 52).to_numpy()
ONE_HOT = make_column_transformer(
    (OneHotEncoder(), ["kind"]), (StandardScaler(), ["age"])
)
INNER = make_column_transformer(
    (make_pipeline(SimpleImputer(), OrdinalEncoder()), ["grade"]),
    ("passthrough", ["age", "kind"]),
)


@pytest.mark.parametrize(
    ("model", "codes"),
    [
        (make_pipeline(ONE_HOT, LogisticRegression()), ["kind"]),
        (make_pipeline(INNER, GaussianNB()), ["grade"]),
        (make_pipeline(OneHotEncoder(), LogisticRegression()), list(X)),
        (make_pipeline(SimpleImputer(), OrdinalEncoder(), GaussianNB()), list(X)),
        (make_pipeline(StandardScaler(), LogisticRegression()), []),
        (HistGradientBoostingClassifier(categorical_features=["grade"]), ["grade"]),
        (HistGradientBoostingClassifier(), []),
        (
            CalibratedClassifierCV(make_pipeline(ONE_HOT, GaussianNB()), cv=2),
            ["kind"],
        ),
        (DecisionTreeClassifier(), []),
    ],
)
def test_columns_that_a_member_takes_for_categories(model, codes):
    found = encoded_columns(model.fit(X, Y), list(X))
    assert list(X.columns[found]) == codes


def table(n=240, seed=0):
    """Two clinics; a code of three values, a count, and the rule needs both."""
    draw = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "age": draw.normal(50, 12, n),
            "thal": draw.choice([3.0, 6.0, 7.0], n),
            "term": draw.choice([36, 60], n),
            "count": draw.integers(0, 9, n),
            "dose": draw.uniform(0, 1, n),
        }
    )
    risk = (rows["age"] - 50) / 12 + (rows["thal"] == 7) + 2 * rows["dose"] - 1
    y = np.where(risk + draw.normal(0, 0.4, n) > 0.4, "ill", "well")
    silos = np.where(rows["count"] % 2 == 0, "east", "west")
    return rows, y, silos


def fit(rows, y, silos, **params):
    members = [("east", DecisionTreeClassifier(max_depth=4)), ("west", GaussianNB())]
    params = {"accept": None, "cv": 3, "random_state": 0, **params}
    return CooperativeDistiller(members, **params).fit(rows, y, silos=silos)


# dice-ml knows nothing of codes and ranges: few of its answers may be all refused.
REFUSED = "ignore:Some teaching failed"


@pytest.mark.filterwarnings(REFUSED)
@pytest.mark.parametrize("engine", ["batched", BatchedDice(), StockDice("random")])
def test_a_lesson_holds_no_code_that_does_not_exist(engine):
    rows, y, silos = table(120 if isinstance(engine, StockDice) else 240)
    model = fit(rows, y, silos, counterfactuals=engine, max_lessons=20)
    lessons = model.lessons_
    assert len(lessons) > (0 if isinstance(engine, StockDice) else 10)
    assert set(lessons["x__thal"]) <= {3.0, 6.0, 7.0}
    assert set(lessons["x__term"]) <= {36, 60}
    changed = np.concatenate(lessons["changed"].to_list())
    assert set(changed) & {"thal", "term", "age", "dose"}


def test_codes_change():
    lessons = fit(*table()).lessons_
    changed = [name for names in lessons["changed"] for name in names]
    assert changed.count("thal") >= 5


def test_named_columns_are_codes_and_no_others():
    rows, y, silos = table()
    lessons = fit(rows, y, silos, categorical_features=["count"]).lessons_
    assert not set(lessons["x__thal"]) <= {3.0, 6.0, 7.0}  # so it is searched over
    # No code between two others: each is that of the row or of where it was led.
    source = rows["count"].to_numpy()[lessons["source_row"]]
    end = rows["count"].to_numpy()[lessons["donor_row"]]
    cells = lessons["x__count"].to_numpy()
    assert ((cells == source) | (cells == end)).all()
    assert (cells != source).any()


def test_a_missing_cell_stays_missing_where_the_silo_records_the_column():
    rows, y, silos = table()
    rows["visit"] = rows["dose"].where(np.arange(240) % 3 > 0)
    members = [
        ("east", DecisionTreeClassifier(max_depth=4)),
        ("west", make_pipeline(SimpleImputer(), LogisticRegression(max_iter=1000))),
    ]
    model = CooperativeDistiller(members, accept=None, cv=3, random_state=0)
    lessons = model.fit(rows, y, silos=silos).lessons_
    missing = rows["visit"].isna().to_numpy()[lessons["source_row"]]
    assert 5 < missing.sum() < len(lessons)
    np.testing.assert_array_equal(lessons["x__visit"].isna(), missing)


@pytest.mark.filterwarnings(REFUSED)
@pytest.mark.parametrize("engine", ["batched", BatchedDice(), StockDice("random")])
def test_what_may_change_is_said_at_the_distiller(engine):
    rows, y, silos = table(120)
    limits = {"age": [40, 60], "thal": [3.0, 7.0]}
    model = fit(
        *(rows, y, silos),
        counterfactuals=engine,
        features_to_vary=["age", "thal", "dose"],
        permitted_range=limits,
        max_lessons=20,
    )
    lessons = model.lessons_
    assert len(lessons) > (0 if isinstance(engine, StockDice) else 5)
    for names in lessons["changed"]:
        assert set(names) <= {"age", "thal", "dose"}
    source = rows.iloc[lessons["source_row"]]
    for name in ("term", "count"):
        np.testing.assert_array_equal(lessons[f"x__{name}"], source[name])
    moved = lessons["x__age"].to_numpy() != source["age"].to_numpy()
    ages, own = lessons["x__age"].to_numpy()[moved], source["age"].to_numpy()[moved]
    # A row from outside may be brought closer.
    assert ((ages >= np.minimum(own, 40)) & (ages <= np.maximum(own, 60))).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"features_to_vary": ["size"]},
        {"permitted_range": {"size": [0, 1]}},
        {"categorical_features": ["size"]},
        {"permitted_range": {"age": [60, 40]}},
    ],
)
def test_what_cannot_be_said(wrong):
    rows, y, silos = table(60)
    with pytest.raises(ValueError, match=r"size|\[60, 40\]"):
        fit(rows, y, silos, **wrong)
