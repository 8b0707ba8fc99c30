"""dice-ml can show and store what the engines answer."""

import json
import sys
from types import ModuleType

import numpy as np
import pandas as pd
import polars as pl
import pytest
from dice_ml.counterfactual_explanations import CounterfactualExplanations
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skcoop.counterfactuals import BatchedDice, Counterfactuals, StockDice


def table(n=60, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=n),
            "count": rng.integers(0, 9, size=n),
            "flag": rng.random(n) < 0.5,
            "colour": rng.choice(["red", "green"], size=n),
            "when": pd.date_range("2020-01-01", periods=n),
        }
    )
    frame.loc[3, "size"] = np.nan
    return frame, np.where(frame["size"].fillna(0) + frame["count"] > 4, "yes", "no")


def numbers(X):
    size = X["size"].to_numpy().astype(float)
    return np.column_stack([np.nan_to_num(size), X["count"].to_numpy()])


@pytest.fixture(params=["pandas", "polars"])
def answered(request):
    frame, y = table()
    X = pl.DataFrame(frame.to_dict("list")) if request.param == "polars" else frame
    teacher = make_pipeline(FunctionTransformer(numbers), LogisticRegression())
    teacher.fit(X, y)
    y = np.append(y[:9], "maybe")  # the teacher has no such class: no answer
    answer = BatchedDice().generate(teacher, X[:10], y, background=X, total_CFs=2)
    return X[:10], answer


def test_explanations_hold_the_answers(answered):
    X, answer = answered
    explained = answer.to_dice_ml(X, outcome_name="score")
    assert isinstance(explained, CounterfactualExplanations)
    assert len(explained.cf_examples_list) == 10
    assert explained.cf_examples_list[9].final_cfs_df is None
    assert answer.valid[:18].any()
    for row, example in enumerate(explained.cf_examples_list[:9]):
        own = slice(2 * row, 2 * row + 2)
        valid = answer.valid[own]
        assert list(example.test_instance_df) == [*list(X.columns), "score"]
        assert example.test_instance_df["score"][0] == answer.proba_before[own][0]
        assert example.desired_range == [answer.target[own][0], 1.0]
        if valid.any():
            found = example.final_cfs_df
            np.testing.assert_array_equal(
                found["score"], answer.proba_after[own][valid]
            )
            sizes = np.asarray(answer.X_cf["size"], dtype=float)[own][valid]
            np.testing.assert_array_equal(found["size"].astype(float), sizes)


def test_json_goes_there_and_back(answered):
    X, answer = answered
    text = answer.to_dice_ml(X).to_json()
    assert json.loads(text)["feature_names"] == list(X.columns)
    again = CounterfactualExplanations.from_json(text)
    for first, second in zip(
        answer.to_dice_ml(X).cf_examples_list, again.cf_examples_list, strict=True
    ):
        if first.final_cfs_df is None:
            assert second.final_cfs_df is None
        else:
            pd.testing.assert_frame_equal(
                first.final_cfs_df, second.final_cfs_df, check_dtype=False
            )


@pytest.mark.parametrize("only_changes", [False, True])
def test_is_shown_in_a_notebook(answered, only_changes, monkeypatch, capsys):
    shown = []
    display = ModuleType("IPython.display")
    display.display = shown.append
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    X, answer = answered
    explained = answer.to_dice_ml(X)
    explained.visualize_as_dataframe(show_only_changes=only_changes)
    n_answered = int(answer.valid.reshape(-1, 2).any(axis=1).sum())
    assert len(shown) == 10 + n_answered
    assert capsys.readouterr().out.count("No counterfactuals found!") == 10 - n_answered
    if only_changes:
        assert (shown[1] == "-").any(axis=None)


def test_answers_of_dice_ml_itself_and_arrays():
    frame, y = table()
    X = frame[["size", "count"]].fillna(0.0).to_numpy()
    teacher = LogisticRegression().fit(X, y)
    answer = StockDice().generate(teacher, X[:3], y[:3], background=X, random_state=0)
    assert answer.valid.all()
    first = answer.to_dice_ml(X[:3]).cf_examples_list[0]
    assert list(first.final_cfs_df) == ["x0", "x1", "probability"]
    assert first.desired_range[0] == answer.target[0]


def test_engines_of_others_need_no_target():
    X = np.array([[1.0], [2.0]])
    answer = Counterfactuals(X + 1, np.ones(2, bool), X[:, 0] / 4, X[:, 0] / 2, 0, 0.0)
    explained = answer.to_dice_ml(X)
    assert explained.cf_examples_list[0].desired_range == [0.5, 1.0]
    assert repr(answer) == "<Counterfactuals: 2 of 2 valid, 0 predictions, 0 s>"


def test_no_rows_are_no_explanations():
    X = np.zeros((0, 2))
    answer = Counterfactuals(X, np.zeros(0, bool), np.zeros(0), np.zeros(0), 0, 0.0)
    assert answer.to_dice_ml(X).cf_examples_list == []


def test_refuses_another_table_and_a_name_that_is_taken(answered):
    X, answer = answered
    with pytest.raises(ValueError, match="9 rows"):
        answer.to_dice_ml(X[:9])
    with pytest.raises(ValueError, match="the columns"):
        answer.to_dice_ml(X[["size"]])
    with pytest.raises(ValueError, match="outcome_name='size'"):
        answer.to_dice_ml(X, outcome_name="size")
