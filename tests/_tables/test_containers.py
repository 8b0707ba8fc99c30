"""Tables of all kinds: containers, types of columns, missing values, and privacy."""

import datetime
import functools
import gc
import pickle
import types

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xgboost
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skcoop import CooperativeDistiller
from skcoop._tables._codec import TableCodec
from skcoop.counterfactuals import BatchedDice

N = 80
NAMES = list("abcde")
_values, _codes = make_classification(
    n_samples=N, n_features=5, n_informative=3, flip_y=0.15, random_state=0
)
VALUES = _values
X = pd.DataFrame(VALUES, columns=NAMES)
y = np.where(_codes == 1, "yes", "no")
silos = np.where(np.arange(N) % 2, "linear", "tree")

CONTAINERS = {
    "pandas": pd.DataFrame,
    "polars": lambda table: pl.DataFrame(
        {name: list(values) for name, values in table.items()}
    ),
    "numpy": lambda table: np.column_stack(list(table.values())),
}


def distiller(linear=None, tree=None, **params):
    members = [
        ("linear", LogisticRegression() if linear is None else linear),
        ("tree", DecisionTreeClassifier(max_depth=2) if tree is None else tree),
    ]
    defaults = {"n_rounds": 1, "cv": 2, "random_state": 0, "combine": "soft"}
    return CooperativeDistiller(members, **{**defaults, **params})


def mixed_table():
    """A dict of columns: a number, a whole number, two strings and a truth value."""
    number = [None if k % 7 == 0 else float(v) for k, v in enumerate(VALUES[:, 0])]
    color = [
        None if k % 9 == 0 else ("red" if v > 0 else "blue")
        for k, v in enumerate(VALUES[:, 2])
    ]
    return {
        "number": number,
        "whole": [int(v) for v in np.rint(VALUES[:, 1] * 10)],
        "color": color,
        "flag": [bool(v > 0) for v in VALUES[:, 3]],
        "size": [("small", "large")[int(v > 0)] for v in VALUES[:, 4]],
    }


def reader(
    model, numbers=("number", "whole"), strings=("color", "size"), others=("flag",)
):
    """A pipeline that reads columns by name."""
    columns = make_column_transformer(
        (SimpleImputer(), list(numbers)),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(strings)),
        ("passthrough", list(others)),
    )
    return make_pipeline(columns, model)


def mixed_distiller(*columns, **params):
    return distiller(
        reader(LogisticRegression(max_iter=1000), *columns),
        reader(DecisionTreeClassifier(max_depth=3), *columns),
        **params,
    )


def assert_same_answers(first, second):
    """Two answers agree, up to how a container's layout rounds a product."""
    np.testing.assert_allclose(first, second, rtol=1e-10)


def assert_same_lessons(first, second, check_dtype=True):
    assert len(first.lessons_)
    pd.testing.assert_frame_equal(
        first.lessons_, second.lessons_, check_dtype=check_dtype
    )
    pd.testing.assert_frame_equal(first.history_, second.history_)


# The container makes no difference


@pytest.mark.parametrize("as_silos", [None, silos], ids=["one table", "silos"])
def test_containers_of_numbers(as_silos):
    table = {name: VALUES[:, j] for j, name in enumerate(NAMES)}
    tables = {kind: make(table) for kind, make in CONTAINERS.items()}
    fitted = {
        kind: distiller().fit(table, y, silos=as_silos)
        for kind, table in tables.items()
    }
    for kind in ("polars", "numpy"):
        assert_same_answers(
            fitted[kind].predict_proba(tables[kind]),
            fitted["pandas"].predict_proba(tables["pandas"]),
        )
    assert_same_lessons(fitted["pandas"], fitted["polars"])
    renamed = {f"x__x{j}": f"x__{name}" for j, name in enumerate(NAMES)}
    for name in ("lessons_", "history_"):
        of_array = getattr(fitted["numpy"], name).rename(columns=renamed)
        of_frame = getattr(fitted["pandas"], name)
        if name == "lessons_":
            of_array["changed"] = [
                [NAMES[int(label[1:])] for label in line]
                for line in of_array["changed"]
            ]
        pd.testing.assert_frame_equal(of_array, of_frame)


@pytest.mark.parametrize("as_silos", [None, silos], ids=["one table", "silos"])
def test_containers_of_mixed_columns(as_silos):
    in_pandas = CONTAINERS["pandas"](mixed_table())
    in_polars = CONTAINERS["polars"](mixed_table())
    first = mixed_distiller().fit(in_pandas, y, silos=as_silos)
    second = mixed_distiller().fit(in_polars, y, silos=as_silos)
    assert_same_lessons(first, second, check_dtype=False)
    assert_same_answers(first.predict_proba(in_pandas), second.predict_proba(in_polars))


class AskedAgain(BatchedDice):
    """The same search, but its word for a probability is not taken."""


@pytest.mark.parametrize("kind", ["pandas", "polars", "numpy", "float32"])
def test_what_the_search_says_of_its_answers_is_what_the_teacher_says(kind):
    if kind in ("numpy", "float32"):
        own = VALUES.astype("float32" if kind == "float32" else float)
        make, table = distiller, np.column_stack([own, np.rint(10 * VALUES[:, 0])])
    else:
        make, table = mixed_distiller, CONTAINERS[kind](mixed_table())
    asked_again = []
    for engine in (BatchedDice(sparse=False), AskedAgain(sparse=False)):
        model = make(counterfactuals=engine).fit(table, y, silos=silos)
        asked_again.append(model)
    assert_same_lessons(*asked_again)
    assert asked_again[0].lessons_["proba_after"].notna().all()


@pytest.mark.parametrize("seen", ["pandas", "polars"])
@pytest.mark.parametrize("asked", ["pandas", "polars"])
@pytest.mark.parametrize("rows", [slice(None), slice(0, 1), slice(7, 8), slice(9, 10)])
def test_fit_on_one_frame_and_predict_on_another(seen, asked, rows):
    """Rows 0, 7 and 9 hold missing values: alone, they are columns without any."""
    fitted = mixed_distiller().fit(CONTAINERS[seen](mixed_table()), y)
    expected = fitted.predict_proba(CONTAINERS[seen](mixed_table()))[rows]
    some = {name: values[rows] for name, values in mixed_table().items()}
    answer = fitted.predict_proba(CONTAINERS[asked](some))
    assert_same_answers(answer, expected)


def test_models_get_the_container_that_they_were_fitted_on():
    kinds = set()

    def look(table):
        kinds.add(type(table))
        return table[["a", "b"]]

    members = [
        make_pipeline(FunctionTransformer(look), LogisticRegression()),
        make_pipeline(FunctionTransformer(look), DecisionTreeClassifier(max_depth=2)),
    ]
    in_polars = pl.DataFrame(X.to_dict("list"))
    fitted = distiller(*members).fit(in_polars, y)
    fitted.predict(X)
    assert kinds == {pl.DataFrame}
    kinds.clear()
    fitted = distiller(*members).fit(X, y)
    fitted.predict(in_polars)
    assert kinds == {pd.DataFrame}


def test_categories_survive_a_change_of_container():
    color = np.where(VALUES[:, 2] > 0, "red", "blue")
    table = X.assign(color=pd.Categorical(color))
    members = [
        xgboost.XGBClassifier(
            n_estimators=3, max_depth=depth, enable_categorical=True, n_jobs=1
        )
        for depth in (1, 3)
    ]
    fitted = distiller(*members).fit(table, y)
    in_polars = pl.DataFrame(
        {**X.to_dict("list"), "color": pl.Series(color, dtype=pl.Categorical)}
    )
    assert_same_answers(fitted.predict_proba(in_polars), fitted.predict_proba(table))


@pytest.mark.parametrize("kind", ["list", "series", "polars", "categorical", "column"])
def test_containers_of_labels(kind):
    target = {
        "list": list(y),
        "series": pd.Series(y, index=np.arange(N)[::-1]),
        "polars": pl.Series(list(y)),
        "categorical": pd.Series(pd.Categorical(y, categories=["yes", "no", "maybe"])),
        "column": y.astype(object),
    }[kind]
    fitted = distiller().fit(X, target)
    np.testing.assert_array_equal(fitted.classes_, ["no", "yes"])
    assert_same_lessons(fitted, distiller().fit(X, y), check_dtype=False)


def test_lists_are_tables():
    fitted = distiller().fit(VALUES.tolist(), y)
    expected = distiller().fit(VALUES, y)
    assert_same_lessons(fitted, expected)
    assert_same_answers(
        fitted.predict_proba(VALUES.tolist()), expected.predict_proba(VALUES)
    )


@pytest.mark.parametrize("change", [np.asfortranarray, lambda X: X.astype(np.float32)])
def test_layout_and_precision_of_arrays(change):
    table = change(VALUES)
    table.setflags(write=False)
    fitted = distiller().fit(table, y)
    assert len(fitted.lessons_)
    assert (fitted.predict(table) == distiller().fit(VALUES, y).predict(VALUES)).all()


# Types of columns


def typed_table():
    """Return columns of many types; a code, times and large numbers are carried."""
    table = pd.DataFrame(mixed_table())
    day, hours = pd.Timestamp("2020-02-28"), np.arange(N)
    return table.assign(
        color=table["color"].astype("category"),
        byte=np.rint(np.abs(VALUES[:, 4]) * 20).astype(np.uint8),
        maybe=pd.array(table["whole"].where(np.arange(N) % 5 > 0), dtype="Int64"),
        truth=pd.array(table["flag"].where(np.arange(N) % 6 > 0), dtype="boolean"),
        short=VALUES[:, 0].astype(np.float32),
        when=[day + pd.Timedelta(hours=k) for k in range(N)],
        fine=pd.Series([day] * N).astype("datetime64[ns]")
        + pd.to_timedelta(hours, "h"),
        sometimes=pd.Series([day] * N).where(hours % 2 > 0).astype("datetime64[ns]"),
        date=[day.date() + datetime.timedelta(days=k) for k in range(N)],
        zoned=[day.tz_localize("UTC") + pd.Timedelta(hours=k) for k in range(N)],
        lasting=pd.to_timedelta(np.arange(N), unit="h"),
        large=2**60 + np.arange(N),
    )


TYPED = (
    ["number", "whole", "byte", "maybe", "short"],
    ["color", "size"],
    ["flag", "truth"],
)


@functools.cache
def fit_of_typed_table():
    return typed_distiller().fit(typed_table(), y)


def typed_distiller():
    def model(last):
        columns = make_column_transformer(
            (SimpleImputer(), [*TYPED[0], "truth"]),
            (OneHotEncoder(handle_unknown="ignore", sparse_output=False), TYPED[1]),
            ("passthrough", ["flag"]),
            (FunctionTransformer(hour_of_day), ["when"]),
            (FunctionTransformer(np.asarray), ["large"]),
        )
        return make_pipeline(columns, StandardScaler(with_mean=False), last)

    return distiller(
        model(DecisionTreeClassifier(max_depth=3)),
        model(LogisticRegression()),
        alpha=0.1,
    )


def hour_of_day(table):
    return np.column_stack([table["when"].dt.hour])


def test_types_of_lessons_are_those_of_the_table():
    table, fitted = typed_table(), fit_of_typed_table()
    assert len(fitted.lessons_) > 5
    for name in table:
        assert fitted.lessons_[f"x__{name}"].dtype == table[name].dtype, name


def test_values_of_lessons_are_among_those_of_the_table():
    table, lessons = typed_table(), fit_of_typed_table().lessons_
    assert {name for line in lessons["changed"] for name in line} > {"whole", "byte"}
    for name in ("color", "size", "flag", "truth"):
        assert set(lessons[f"x__{name}"].dropna()) <= set(table[name].dropna()), name
    for name in ("number", "whole", "byte", "maybe", "short"):
        values = lessons[f"x__{name}"].dropna()
        assert values.between(table[name].min(), table[name].max()).all(), name


@pytest.mark.parametrize(
    "name", ["when", "fine", "sometimes", "date", "zoned", "lasting", "large"]
)
def test_carried_columns_never_change(name):
    table, lessons = typed_table(), fit_of_typed_table().lessons_
    assert len(lessons)
    assert not any(name in line for line in lessons["changed"])
    pd.testing.assert_series_equal(
        lessons[f"x__{name}"],
        table[name].iloc[lessons["source_row"]],
        check_names=False,
        check_index=False,
    )


def kinds_of_gaps(column):
    """Tell null and NaN, and what is neither, apart."""
    return [
        "null" if cell is None else "NaN" if np.isnan(cell) else cell
        for cell in column.to_pylist()
    ]


@pytest.mark.parametrize("make", [pl.DataFrame, pa.table], ids=["polars", "pyarrow"])
@pytest.mark.parametrize("dtype", [pa.float64(), pa.float32()])
def test_null_and_nan_beside_each_other_are_kept(make, dtype):
    gaps = [None, np.nan, 1.5, None, np.nan, -0.5]
    table = pa.table(
        {
            "both": pa.array(gaps, dtype),
            "nulls": pa.array([None if k % 2 else float(k) for k in range(6)], dtype),
            "nans": pa.array([np.nan if k % 2 else float(k) for k in range(6)], dtype),
            "text": pa.array(["a", None, "b", "a", "b", None]),
        }
    )
    frame = pl.from_arrow(table) if make is pl.DataFrame else table
    codec = TableCodec(frame)
    Z = codec.encode(frame)
    assert np.isnan(Z[[0, 1, 3, 4], 0]).all()
    for rows in (np.arange(6), np.array([4, 0, 3, 1])):
        back = codec.decode(codec.as_handed_out(Z[rows]))
        back = back.to_arrow() if make is pl.DataFrame else back
        for name in ("both", "nulls", "nans"):
            assert back[name].type == dtype
            expected = np.array(kinds_of_gaps(table[name]), dtype=object)[rows]
            assert kinds_of_gaps(back[name]) == expected.tolist()


def test_null_and_nan_reach_students_in_lessons():
    gaps = [None if k % 3 else np.nan for k in range(N)]
    table = pl.DataFrame(
        {**X.to_dict("list"), "gap": pl.Series(gaps, dtype=pl.Float64)}
    )
    is_null = dict(zip(table["e"], table["gap"].is_null(), strict=True))
    seen = []

    def look(frame):
        seen.append(frame)
        return frame[["a", "b", "c", "d"]]

    members = [
        make_pipeline(FunctionTransformer(look), LogisticRegression()),
        make_pipeline(FunctionTransformer(look), DecisionTreeClassifier(max_depth=2)),
    ]
    engine = BatchedDice(features_to_vary=list("abcd"))
    fitted = distiller(*members, counterfactuals=engine, accept=None)
    fitted.fit(table, y, silos=silos)
    assert len(fitted.lessons_) > 5
    assert max(len(frame) for frame in seen) > N // 2  # own rows and lessons
    for frame in seen:
        nulls = [is_null[cell] for cell in frame["e"]]
        assert frame["gap"].is_null().to_list() == nulls
        assert frame["gap"].is_nan().fill_null(False).to_list() == [
            not null for null in nulls
        ]


def test_types_of_polars():
    day = datetime.datetime(2020, 2, 28)
    table = CONTAINERS["polars"](mixed_table()).with_columns(
        pl.col("color").cast(pl.Categorical),
        pl.col("size").cast(pl.Enum(["large", "small", "unseen"])),
        pl.col("whole").cast(pl.Int16),
        maybe=pl.when(pl.col("whole") % 5 > 0).then(pl.col("whole")),
        truth=pl.when(pl.col("whole") % 5 > 0).then(pl.col("flag")),
        byte=pl.Series(np.arange(N), dtype=pl.UInt8),
        when=pl.Series([day + datetime.timedelta(hours=k) for k in range(N)]),
        date=pl.Series([day.date() + datetime.timedelta(days=k) for k in range(N)]),
        fine=pl.Series(
            [day + datetime.timedelta(hours=k) for k in range(N)]
        ).dt.cast_time_unit("ns"),
        time=pl.Series([datetime.time(minute=k % 60) for k in range(N)]),
        large=pl.Series([2**60 + k for k in range(N)]),
        nothing=pl.lit(None),
    )
    schemas = []

    def look(frame):
        schemas.append(frame.schema)
        return frame

    def model(last):
        columns = make_column_transformer(
            (SimpleImputer(), ["number", "whole", "maybe", "byte"]),
            (
                OneHotEncoder(handle_unknown="ignore", sparse_output=False),
                ["color", "size"],
            ),
            ("passthrough", ["flag"]),
        )
        return make_pipeline(FunctionTransformer(look), columns, last)

    fitted = distiller(
        model(LogisticRegression(max_iter=2000)),
        model(DecisionTreeClassifier(max_depth=3)),
        accept=None,
    ).fit(table, y)
    lessons = fitted.lessons_
    assert len(lessons)
    assert all(schema == table.schema for schema in schemas)
    source = lessons["source_row"].to_list()
    for name in ("when", "fine", "date", "time", "large"):
        expected = pl.DataFrame({"x": table[name][source]})["x"].to_numpy()
        np.testing.assert_array_equal(lessons[f"x__{name}"].to_numpy(), expected)
        assert not any(name in line for line in lessons["changed"])
    assert set(lessons["x__size"]) <= {"large", "small"}


@pytest.mark.parametrize("kind", list(CONTAINERS))
def test_whole_numbers_beyond_floats_are_carried(kind):
    """Odd numbers above 2**53 are no floats: a detour over floats would show."""
    large = 2**60 + 2 * np.arange(N) + 1
    whole = np.rint(VALUES * 5).astype(np.int64)
    table = {name: whole[:, j] for j, name in enumerate(NAMES)} | {"large": large}
    fitted = distiller(
        DecisionTreeClassifier(max_depth=2), RandomForestClassifier(3), accept=None
    ).fit(CONTAINERS[kind](table), y)
    lessons = fitted.lessons_
    assert len(lessons)
    column = "x__x5" if kind == "numpy" else "x__large"
    np.testing.assert_array_equal(lessons[column], large[lessons["source_row"]])


@pytest.mark.parametrize("largest", [np.iinfo(np.int64).max, np.iinfo(np.uint64).max])
def test_the_largest_whole_numbers(largest):
    dtype = np.int64 if largest == np.iinfo(np.int64).max else np.uint64
    table = np.rint(np.abs(VALUES) * 5).astype(dtype)
    table[::3, 0] = largest
    fitted = distiller(tree=RandomForestClassifier(3)).fit(table, y)
    assert len(fitted.lessons_)
    assert set(fitted.lessons_["x__x0"]) <= {*table[:, 0].tolist()}


@pytest.mark.parametrize("kind", ["pandas", "polars"])
@pytest.mark.parametrize("dtype", ["string", "categorical"])
def test_string_columns(kind, dtype):
    table = {name: mixed_table()[name] for name in ("color", "size", "whole")}
    frame = CONTAINERS[kind](table)
    if dtype == "categorical" and kind == "pandas":
        frame = frame.astype({"color": "category", "size": "category"})
    elif dtype == "categorical":
        frame = frame.with_columns(pl.col("color", "size").cast(pl.Categorical))
    elif kind == "pandas":
        frame = frame.astype({"color": object, "size": "string"})
    columns = (["whole"], ["color", "size"], [])
    fitted = mixed_distiller(*columns, accept=None).fit(frame, y)
    lessons = fitted.lessons_
    assert {"color", "size"} & {name for line in lessons["changed"] for name in line}
    assert set(lessons["x__color"].dropna()) <= {"red", "blue"}
    plain = CONTAINERS["pandas"](table)
    expected = mixed_distiller(*columns, accept=None).fit(plain, y)
    assert_same_answers(fitted.predict_proba(frame), expected.predict_proba(plain))


def test_arrays_of_objects():
    """Strings, numbers, truth values and times side by side in one array."""
    frame = pd.DataFrame(mixed_table())
    times = [
        datetime.datetime(2020, 1, 1) + datetime.timedelta(days=k) for k in range(N)
    ]
    table = np.column_stack(
        [frame.to_numpy(dtype=object), np.array(times, dtype=object)]
    )
    seen = set()

    def look(rows):
        seen.update((j, type(value)) for row in rows for j, value in enumerate(row))
        return rows

    def model(last):
        columns = make_column_transformer(
            (SimpleImputer(), [0, 1]),
            (OneHotEncoder(handle_unknown="ignore", sparse_output=False), [2, 4]),
            (FunctionTransformer(lambda flags: flags.astype(float)), [3]),
        )
        return make_pipeline(FunctionTransformer(look), columns, last)

    fitted = distiller(
        model(LogisticRegression(max_iter=1000)),
        model(DecisionTreeClassifier(max_depth=3)),
        accept=None,
    ).fit(table, y)
    by_name = distiller(
        make_pipeline(FunctionTransformer(), reader(LogisticRegression(max_iter=1000))),
        make_pipeline(
            FunctionTransformer(), reader(DecisionTreeClassifier(max_depth=3))
        ),
        accept=None,
    ).fit(frame.assign(time=times), y)
    assert_same_answers(
        fitted.predict_proba(table), by_name.predict_proba(frame.assign(time=times))
    )
    assert len(fitted.lessons_) == len(by_name.lessons_) > 0
    assert {kind for j, kind in seen if j == 2} <= {str, float, type(None)}
    assert {kind for j, kind in seen if j == 3} == {bool}
    assert all(issubclass(kind, datetime.datetime) for j, kind in seen if j == 5)
    carried = [pd.Timestamp(value) for value in fitted.lessons_["x__x5"]]
    source = fitted.lessons_["source_row"]
    assert carried == [pd.Timestamp(times[row]) for row in source]


def test_arrays_of_objects_that_are_numbers():
    fitted = distiller().fit(VALUES.astype(object), y)
    assert_same_lessons(fitted, distiller().fit(VALUES, y))


def test_arrays_of_strings():
    letters = np.where(VALUES > 0, "p", "q").astype("U5")
    encoded = make_pipeline(OneHotEncoder(), LogisticRegression())
    stump = make_pipeline(OneHotEncoder(), DecisionTreeClassifier(max_depth=2))
    fitted = distiller(encoded, stump, n_rounds=2).fit(letters, y)
    assert fitted.history_["asked"].sum() > 0
    assert (fitted.history_["failure"] == "").all()
    assert set(fitted.predict(letters)) == {"no", "yes"}


def test_integer_column_labels():
    table = X.set_axis([10, 20, 30, 40, 50], axis=1)
    fitted = distiller().fit(table, y)
    assert not hasattr(fitted, "feature_names_in_")
    expected = distiller().fit(X, y)
    names = dict(zip(table.columns, NAMES, strict=True))
    lessons = fitted.lessons_.rename(
        columns={f"x__{k}": f"x__{v}" for k, v in names.items()}
    )
    lessons["changed"] = [
        [names[label] for label in line] for line in lessons["changed"]
    ]
    pd.testing.assert_frame_equal(lessons, expected.lessons_)
    assert_same_answers(fitted.predict_proba(table), expected.predict_proba(X))


# Missing values


@pytest.mark.parametrize("kind", list(CONTAINERS))
def test_missing_numbers(kind):
    holes = VALUES.copy()
    holes[::4, 0] = np.nan
    holes[1::5, 3] = np.nan
    table = CONTAINERS[kind]({name: holes[:, j] for j, name in enumerate(NAMES)})
    imputing = make_pipeline(SimpleImputer(), LogisticRegression())
    fitted = distiller(imputing, n_rounds=2).fit(table, y)
    lessons = fitted.lessons_
    assert len(lessons)
    assert (fitted.history_["failure"] == "").all()
    for j in (0, 3):
        cells = lessons.iloc[:, -5 + j].to_numpy()
        known = ~np.isnan(holes[lessons["source_row"], j])
        # No lesson loses what its row had recorded.
        assert not np.isnan(cells[known]).any()


def test_missing_values_are_for_the_members_to_take():
    holes = X.copy()
    holes.iloc[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN") as error:
        distiller().fit(holes, y)
    assert str(error.value).startswith("Member 'linear', fitted on")


def batch_tables():
    """A column each that holds both values and gaps, under a type that takes gaps."""
    rare = np.arange(N) % 4 == 0
    return {
        "float": (rare * 1.0).tolist(),
        "int": rare.astype(int).tolist(),
        "bool": rare.tolist(),
        "string": np.where(rare, "rare", "usual").tolist(),
    }


@pytest.mark.parametrize("kind", ["pandas", "polars", "numpy"])
@pytest.mark.parametrize("column", ["float", "int", "bool", "string"])
def test_the_answer_for_a_row_does_not_depend_on_its_batch(kind, column):
    """A missing value is missing, alone in its column or in company."""
    whole = {"z": VALUES[:, 0].tolist(), "gap": batch_tables()[column]}
    target = np.where(np.arange(N) % 4 == 0, "yes", "no")
    if column == "string":
        step = (OneHotEncoder(handle_unknown="ignore", sparse_output=False), [1])
    else:
        step = ("passthrough", [1])
    members = [
        make_pipeline(make_column_transformer(step), model)
        for model in (DecisionTreeClassifier(max_depth=1), RandomForestClassifier(3))
    ]

    def container(table):
        if kind == "numpy" and column != "string":
            return np.array(list(zip(*table.values(), strict=True)), dtype=float)
        if kind == "numpy":
            return np.array(list(zip(*table.values(), strict=True)), dtype=object)
        return CONTAINERS[kind](table)

    missing = None if kind == "polars" or column == "string" else np.nan
    fitted = distiller(*members).fit(container(whole), target)
    head = {name: values[:4] for name, values in whole.items()}
    head["gap"] = [missing, *head["gap"][1:]]
    together = fitted.predict_proba(container(head))
    alone = fitted.predict_proba(
        container({name: values[:1] for name, values in head.items()})
    )
    np.testing.assert_array_equal(alone, together[:1])
    assert fitted.predict(container(head))[0] == "no"


@pytest.mark.parametrize("gap", [None, np.nan], ids=["None", "NaN"])
def test_array_with_a_column_of_strings_that_are_all_missing(gap):
    frame = pd.DataFrame(mixed_table())[["number", "color"]]
    table = frame.to_numpy(dtype=object)
    rows = np.flatnonzero(frame["color"].isna())
    table[rows, 1] = gap
    columns = make_column_transformer(
        (SimpleImputer(), [0]),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), [1]),
    )
    fitted = distiller(
        make_pipeline(columns, LogisticRegression()),
        make_pipeline(columns, DecisionTreeClassifier(max_depth=2)),
    ).fit(table, y)
    assert_same_answers(
        fitted.predict_proba(table[rows]), fitted.predict_proba(table)[rows]
    )


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_silo_whose_strings_are_all_missing(kind):
    table = mixed_table()
    table["color"] = [
        None if owner == "tree" else value or "red"
        for owner, value in zip(silos, table["color"], strict=True)
    ]
    table["owner"] = silos.tolist()
    frame = CONTAINERS[kind](table)
    fitted = mixed_distiller(silo_column="owner", n_rounds=2, accept=None)
    fitted.fit(frame, y)
    assert len(fitted.lessons_)
    assert (fitted.history_["failure"] == "").all()
    assert set(fitted.lessons_["x__color"].dropna()) <= {"red", "blue"}
    own = np.flatnonzero(silos == "tree")
    expected = fitted.predict_proba(frame)[own]
    some = pd.DataFrame(table).iloc[own].assign(color=np.full(len(own), np.nan))
    assert some["color"].dtype == np.float64
    assert_same_answers(fitted.predict_proba(some), expected)
    nothing = pl.DataFrame({n: [v[k] for k in own] for n, v in table.items()})
    assert nothing["color"].dtype == pl.Null
    assert_same_answers(fitted.predict_proba(nothing), expected)


@pytest.mark.parametrize("kind", ["pandas", "polars"])
@pytest.mark.parametrize("whose", ["nobody's", "one silo's"])
def test_whole_numbers_that_were_never_recorded(kind, whose):
    """A column of a nullable type, without a value in the table or in a silo."""
    unknown = np.ones(N, dtype=bool) if whose == "nobody's" else silos == "tree"
    if kind == "pandas":
        whole = pd.array(np.rint(VALUES[:, 1] * 5).astype(int), dtype="Int64")
        whole[unknown] = pd.NA
        frame = X.assign(whole=whole)
    else:
        whole = [
            None if gap else round(v * 5)
            for v, gap in zip(VALUES[:, 1], unknown, strict=True)
        ]
        frame = pl.DataFrame(
            {**X.to_dict("list"), "whole": pl.Series(whole, dtype=pl.Int64)}
        )
    fitted = distiller(
        DecisionTreeClassifier(max_depth=2),
        RandomForestClassifier(3),
        n_rounds=2,
        accept=None,
    )
    fitted.set_params(
        estimators=[("linear", fitted.estimators[0][1]), fitted.estimators[1]]
    )
    fitted.fit(frame, y, silos=silos)
    assert len(fitted.lessons_)
    assert (fitted.history_["failure"] == "").all()
    cells = fitted.lessons_["x__whole"]
    if whose == "nobody's":
        assert cells.isna().all()


# What is refused


def test_columns_that_are_missing_at_predict():
    for container in (pd.DataFrame, pl.DataFrame):
        fitted = distiller().fit(container(X.to_dict("list")), y)
        lacking = container(X.drop(columns=["b", "d"]).to_dict("list"))
        for method in (fitted.predict, fitted.predict_proba, fitted.transform):
            with pytest.raises(ValueError, match=r"(?s)yet now missing.*- b.*- d"):
                method(lacking)


def test_columns_of_other_names_go_by_position():
    """As in scikit-learn, which warns; also where a column is all missing."""
    models = [HistGradientBoostingClassifier(max_iter=3), DecisionTreeClassifier()]
    fitted = distiller(*models).fit(X, y)
    bare = pd.DataFrame(X.assign(a=np.nan).to_numpy(dtype=float))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        predicted = fitted.predict(bare)
    np.testing.assert_array_equal(predicted, fitted.predict(X.assign(a=np.nan)))
    numbered = X.set_axis(range(X.shape[1]), axis=1)
    by_number = distiller(*models).fit(numbered, y)
    with pytest.warns(UserWarning, match="fitted without feature names"):
        predicted = by_number.predict(pl.from_pandas(X))
    np.testing.assert_array_equal(predicted, by_number.predict(numbered))


@pytest.mark.parametrize(
    ("known", "asked"),
    [
        ([0, 1, 2, 3], [1.9, 0.9, 2.9, 1.5]),
        ([False, True, False, True], [0.5, 7.0, 1.0, 0.0]),
        (np.int8([0, 1, 2, 3]), [300, -300, 1, 2]),
        (pd.Categorical([1.0, 2.0, None, 3.0]), [9.0, 1.0, 2.0, 3.0]),
    ],
    ids=["whole", "bool", "int8", "category"],
)
def test_another_container_changes_no_value(known, asked):
    """What the types of fit cannot hold keeps its own."""
    table = pd.DataFrame({"a": pd.Series(known).repeat(30), "b": np.arange(120.0)})
    labels = np.arange(120) % 7 > 2
    model = HistGradientBoostingClassifier(max_iter=20, categorical_features=[])
    fitted = distiller(model, GaussianNB() if table["a"].notna().all() else model)
    fitted.fit(table, labels)
    rows = pd.DataFrame({"a": asked, "b": np.linspace(0, 99, 4)})
    np.testing.assert_array_equal(
        fitted.predict_proba(pl.from_pandas(rows)), fitted.predict_proba(rows)
    )


def test_arrays_for_a_fit_on_polars():
    """An array has one type for all columns."""
    table = X.assign(c=np.arange(N) % 5)
    fitted = distiller().fit(pl.from_pandas(table), y)
    expected = fitted.predict_proba(pl.from_pandas(table))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        of_array = fitted.predict_proba(table.to_numpy())
    np.testing.assert_array_equal(of_array, expected)
    halves = table.assign(c=table["c"] + 0.5)
    assert (fitted.predict_proba(pl.from_pandas(halves)) != expected).any()


def test_columns_that_are_new_at_predict():
    fitted = distiller().fit(X, y)
    with pytest.raises(ValueError, match=r"(?s)unseen at fit time.*- new"):
        fitted.predict(X.assign(new=1.0))


def test_columns_in_another_order_at_predict():
    fitted = distiller().fit(X, y)
    with pytest.raises(ValueError, match="must be in the same order"):
        fitted.predict(X[NAMES[::-1]])


def test_arrays_of_another_width_at_predict():
    fitted = distiller().fit(VALUES, y)
    with pytest.raises(ValueError, match=r"has 3 features.*expecting 5"):
        fitted.predict(VALUES[:, :3])


def test_names_on_one_side_only():
    with_names, without = distiller().fit(X, y), distiller().fit(VALUES, y)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        answer = with_names.predict_proba(VALUES)
    assert_same_answers(answer, with_names.predict_proba(X))
    with pytest.warns(UserWarning, match="X has feature names"):
        answer = without.predict_proba(X)
    assert_same_answers(answer, without.predict_proba(VALUES))


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_silo_column_at_predict(kind):
    with_column = CONTAINERS[kind]({**X.to_dict("list"), "owner": silos.tolist()})
    without = CONTAINERS[kind](X.to_dict("list"))
    fitted = distiller(silo_column="owner").fit(with_column, y)
    assert list(fitted.feature_names_in_) == NAMES
    assert fitted.n_features_in_ == 5
    assert "x__owner" not in fitted.lessons_
    expected = distiller().fit(without, y, silos=silos)
    assert_same_lessons(fitted, expected)
    for table in (with_column, without):
        assert_same_answers(
            fitted.predict_proba(table), expected.predict_proba(without)
        )
    first = CONTAINERS[kind]({"owner": ["unknown"] * N, **X.to_dict("list")})
    np.testing.assert_array_equal(fitted.predict(first), expected.predict(without))


def test_silo_column_that_cannot_be_found():
    with pytest.raises(ValueError, match="'hospital' is not a column of X"):
        distiller(silo_column="hospital").fit(X, y)
    with pytest.raises(ValueError, match="Pass the labels as"):
        distiller(silo_column="hospital").fit(VALUES, y)
    with pytest.raises(ValueError, match="twice"):
        distiller(silo_column="owner").fit(X.assign(owner=silos), y, silos=silos)


@pytest.mark.parametrize("make", [sparse.csr_matrix, sparse.coo_array])
def test_sparse(make):
    with pytest.raises(TypeError, match=r"Sparse data was passed"):
        distiller().fit(make(VALUES), y)
    fitted = distiller().fit(VALUES, y)
    with pytest.raises(TypeError, match=r"Sparse data was passed"):
        fitted.predict(make(VALUES))


@pytest.mark.parametrize("kind", ["pandas", "polars"])
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity_in_a_frame(kind, value):
    table = {name: VALUES[:, j].copy() for j, name in enumerate(NAMES)}
    table["c"][3] = value
    with pytest.raises(ValueError, match=r"infinity in column\(s\) \['c'\]"):
        distiller().fit(CONTAINERS[kind](table), y)


def test_infinity_in_an_array():
    table = VALUES.copy()
    table[3, 2] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        distiller().fit(table, y)
    mixed = np.column_stack([table.astype(object), y])
    with pytest.raises(ValueError, match=r"infinity in column\(s\) \['x2'\]"):
        distiller().fit(mixed, y)
    with pytest.raises(ValueError, match="infinity"):
        distiller().fit(VALUES, y).predict(table)


def test_cells_that_are_no_values():
    with pytest.raises(TypeError, match="Column 'lists' cannot be used"):
        distiller().fit(X.assign(lists=[[k] for k in range(N)]), y)


def test_names_that_are_not_unique():
    with pytest.raises(ValueError, match="'a'"):
        distiller().fit(X.set_axis(["a", "a", "c", "d", "e"], axis=1), y)


# What is left alone, and what is not kept


@pytest.mark.parametrize("kind", list(CONTAINERS))
def test_tables_are_not_modified(kind):
    columns = {name: VALUES[:, j].copy() for j, name in enumerate(NAMES)}
    table, twin = CONTAINERS[kind](columns), CONTAINERS[kind](columns)
    fitted = distiller(n_rounds=2).fit(table, y, silos=silos)
    fitted.predict(table)
    fitted.transform(table)
    assert len(fitted.lessons_)
    if kind == "polars":
        assert table.equals(twin)
    else:
        np.testing.assert_array_equal(table, twin)
    if kind == "pandas":
        pd.testing.assert_frame_equal(table, twin)


def test_typed_table_is_not_modified():
    table = typed_table().set_axis(np.arange(N)[::-1])
    fitted = typed_distiller().fit(table, y)
    fitted.predict(table)
    pd.testing.assert_frame_equal(table, typed_table().set_axis(np.arange(N)[::-1]))


def numbers_within(thing):
    """Follow all references of an object and collect the numbers of all arrays."""
    elsewhere = type | types.ModuleType | types.FunctionType | types.BuiltinFunctionType
    seen, found, todo = {}, [], [thing]
    while todo:
        part = todo.pop()
        if id(part) in seen or isinstance(part, elsewhere):
            continue
        seen[id(part)] = part
        if isinstance(part, pl.DataFrame):
            todo += [column.to_numpy() for column in part]
        elif isinstance(part, np.ndarray):
            # A view holds on to the whole array.
            todo += [part.base, *(part.ravel() if part.dtype == object else [])]
            if part.dtype == np.float64:
                found.append(part.ravel())
        todo += gc.get_referents(part)
    return np.concatenate(found)


@pytest.mark.parametrize("kind", list(CONTAINERS))
@pytest.mark.parametrize("as_silos", [None, silos], ids=["one table", "silos"])
def test_fitted_attributes_hold_no_training_rows(kind, as_silos):
    """No cell of the table is found in the models; no row is found in a lesson."""
    random = np.random.RandomState(0).random_sample((N, 5))
    target = (random[:, :3].sum(axis=1) > 1.5) ^ (random[:, 4] > 0.8)
    columns = {name: random[:, j] for j, name in enumerate(NAMES)}
    # Surer than by default, or it could teach nothing to a target of noise.
    sure = LogisticRegression(C=100.0)
    fitted = distiller(linear=sure, combine="stack", n_rounds=2)
    fitted.fit(CONTAINERS[kind](columns), target, silos=as_silos)
    lessons = fitted.lessons_.iloc[:, -5:].to_numpy()
    assert len(lessons) > 5
    assert not (lessons[:, None, :] == random).all(axis=2).any()
    # The walk finds cells where there are some.
    assert np.isin(numbers_within(fitted), lessons).sum() >= lessons.size
    fitted.lessons_ = None
    assert len(numbers_within(fitted)) > 0
    assert not np.isin(numbers_within(fitted), random).any()
    blob = pickle.dumps(fitted)
    assert not any(value.tobytes() in blob for value in random.ravel())


def test_size_of_a_fitted_distiller_does_not_grow_with_the_table():
    sizes = []
    for repeats in (1, 40):
        random = np.random.RandomState(0).random_sample((N * repeats, 5))
        target = random[:, 0] + random[:, 1] > 1
        fitted = distiller(n_rounds=0).fit(random, target)
        sizes.append(len(pickle.dumps(fitted)))
    assert sizes[1] < 1.1 * sizes[0]
    assert N * 40 * 5 * 8 > 10 * sizes[1]


def test_strings_are_not_kept():
    table = X.assign(name=[f"person {k}" for k in range(N)])
    columns = (NAMES, [], [])
    fitted = mixed_distiller(*columns).fit(table, y)
    assert len(fitted.lessons_)
    fitted.lessons_ = None
    assert b"person" not in pickle.dumps(fitted)
