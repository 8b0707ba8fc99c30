"""Virtual rows lie between rows, in the table's own container and types."""

from decimal import Decimal

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal

from skcoop._tables._virtual_rows import virtual_rows

draw = np.random.default_rng(0)
X = draw.normal(size=(30, 3))
FRAME = pd.DataFrame(
    {
        "number": X[:, 0],
        "whole": draw.integers(0, 9, 30),
        "flag": X[:, 1] > 0,
        "word": np.where(X[:, 2] > 0, "high", "low"),
        "kind": pd.Categorical(draw.choice(["a", "b", "c"], 30)),
        "hole": np.where(X[:, 0] > 1, np.nan, X[:, 1]),
        "day": pd.date_range("2024-01-01", periods=30),
    }
)


@pytest.mark.parametrize("n_rows", [0, 1, 29, 30, 100])
def test_array(n_rows):
    rows, weights = virtual_rows(X, n_rows)
    assert rows.shape == (n_rows, 3)
    assert rows.dtype == X.dtype
    assert_array_equal(weights, np.ones(n_rows))
    assert (rows >= X.min(axis=0)).all()
    assert (rows <= X.max(axis=0)).all()


def test_rows_are_between_two_rows_and_none_of_them():
    rows, _ = virtual_rows(X, 20, seed=1)
    for row in rows:
        assert not (row == X).all(axis=1).any()
        # On the line from one to another: |a - r| + |r - b| = |a - b|.
        to = np.linalg.norm(X - row, axis=1)
        apart = np.linalg.norm(X[:, None] - X[None], axis=2)
        off = np.abs(to[:, None] + to[None] - apart)
        assert np.triu(off, 1)[np.triu_indices(30, 1)].min() < 1e-9


def test_frame_keeps_its_types_and_values():
    rows, _ = virtual_rows(FRAME, 60)
    assert_array_equal(rows.dtypes, FRAME.dtypes)
    assert list(rows.columns) == list(FRAME.columns)
    assert set(rows["word"]) == {"high", "low"}
    assert rows["whole"].between(0, 8).all()
    assert rows["day"].isin(FRAME["day"]).all()
    assert 0 < rows["hole"].isna().mean() < 0.6


def test_polars_frame_and_pandas_frame_hold_the_same():
    numbers = FRAME[["number", "whole", "word"]]
    theirs, _ = virtual_rows(pl.from_pandas(numbers), 25, seed=3)
    assert isinstance(theirs, pl.DataFrame)
    ours, _ = virtual_rows(numbers.set_axis(range(-10, 20)), 25, seed=3)
    assert ours.index.tolist() == [-(10**15) - k for k in range(25)]
    assert_frame_equal(
        theirs.to_pandas(), ours.reset_index(drop=True), check_dtype=False
    )


def test_seeds():
    first, again, other = (virtual_rows(X, 40, seed=s)[0] for s in (0, 0, 1))
    assert_array_equal(first, again)
    assert not np.isin(first, other).any()


def test_global_state_and_input_are_left_alone():
    before, copy = np.random.get_state()[1].copy(), FRAME.copy()
    virtual_rows(FRAME, 10)
    assert_array_equal(np.random.get_state()[1], before)
    assert_frame_equal(FRAME, copy)


def test_the_order_of_the_rows_means_nothing():
    order = np.random.default_rng(1).permutation(30)
    assert_array_equal(virtual_rows(X, 50)[0], virtual_rows(X[order], 50)[0])


def test_repeated_rows_are_weights():
    times = np.arange(30) % 3 + 1
    repeated, by_count = virtual_rows(np.repeat(X, times, axis=0), 50)
    weighted, by_weight = virtual_rows(X, 50, weights=times.astype(float))
    assert_array_equal(repeated, weighted)
    assert_array_equal(by_count, by_weight)
    assert set(by_count) == {1.0, 2.0, 3.0}


def test_one_distinct_row_is_all_there_is():
    rows, weights = virtual_rows(np.ones((4, 2)), 3)
    assert_array_equal(rows, np.ones((3, 2)))
    assert_array_equal(weights, [4, 4, 4])


@pytest.mark.parametrize(
    "container",
    [
        pytest.param(
            "polars",
            marks=pytest.mark.skipif(
                not hasattr(nw.Decimal, "precision"), reason="narwhals before 2.16"
            ),
        ),
        "pandas",
    ],
)
def test_decimals_are_no_whole_numbers(container):
    cells = [Decimal("0.25"), Decimal("0.50"), Decimal("1.00")] * 5
    table = pl.DataFrame({"p": pl.Series(cells, dtype=pl.Decimal(10, 2))})
    if container == "pandas":
        table = table.to_pandas(use_pyarrow_extension_array=True)
    rows, _ = virtual_rows(table, 200, seed=0)
    values = np.array([float(value) for value in rows["p"]])
    assert rows["p"].dtype == table["p"].dtype
    assert len(np.unique(values)) > 20
    assert values.min() >= 0.25
    assert values.max() <= 1
