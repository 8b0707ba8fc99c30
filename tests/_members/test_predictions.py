"""Answers of any model as elements, codes and columns of the classes."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal

from skcoop._members._predictions import (
    class_probabilities,
    class_scores,
    label_codes,
    number_table,
    positions_of,
    predicted_codes,
    predicted_labels,
    probability_table,
)

X = np.zeros((4, 2))
INTS, FLOATS = np.array([1, 2, 10]), np.array([0.5, 1.0, 2.0])
TEXTS = np.array(["1", "10", "2"])
BOOLS = np.array([False, True])
ROWS = [0, 2, 1, 0]


def labels_of(answer, classes, X=X):
    return predicted_labels(answer, classes, X, "The model")


@pytest.mark.parametrize(
    ("classes", "answer"),
    [
        (INTS, INTS[ROWS]),
        (INTS, INTS[ROWS][:, None]),
        (INTS, INTS[ROWS].tolist()),
        (INTS, INTS[ROWS].astype(float)),
        (INTS, INTS[ROWS].astype("int8")),
        (INTS, INTS[ROWS].astype(str)),
        (INTS, INTS[ROWS].astype(object)),
        (INTS, INTS[ROWS].astype(float).astype(str)),
        (INTS, pd.Series(INTS[ROWS], dtype="Int64")),
        (INTS, pd.DataFrame({"y": INTS[ROWS]})),
        (INTS, pd.Series(INTS[ROWS].astype(str), dtype="category")),
        (INTS, pl.Series(INTS[ROWS])),
        (INTS, pl.DataFrame({"y": INTS[ROWS]})),
        (INTS, pa.chunked_array([INTS[ROWS]])),
        (FLOATS, FLOATS[ROWS].astype(str)),
        (FLOATS, FLOATS[ROWS].astype("float32")),
        (TEXTS, TEXTS[ROWS].astype(object)[:, None]),
        (TEXTS, TEXTS[ROWS].astype(int)),
        (TEXTS, TEXTS[ROWS].astype(float)),
        (TEXTS, TEXTS[ROWS].astype("<U7")),
        (TEXTS.astype(object), TEXTS[ROWS]),
        (TEXTS.astype(object), pl.Series(TEXTS[ROWS].tolist())),
    ],
)
def test_labels_are_elements_of_the_classes(classes, answer):
    labels = labels_of(answer, classes)
    assert labels.dtype == classes.dtype
    assert_array_equal(labels, classes[ROWS])
    assert type(labels[0]) is type(classes[0])


@pytest.mark.parametrize(
    "answer",
    [
        ["True", "False", "False", "True"], [1, 0, 0, 1], [1.0, 0.0, 0.0, 1.0],
        ["1", "0", "0", "1"], np.array([[True], [False], [False], [True]]),
        np.array([True, False, False, True], dtype=object),
    ],
)  # fmt: skip
def test_booleans_that_a_library_wrote_its_own_way(answer):
    labels = labels_of(answer, BOOLS)
    assert labels.dtype == bool
    assert_array_equal(labels, [True, False, False, True])


@pytest.mark.parametrize("n_rows", [4, 31, 4000])
@pytest.mark.parametrize("n_classes", [2, 3, 40])
@pytest.mark.parametrize("gap", [1, 3])
@pytest.mark.parametrize("dtype", ["int64", "uint8", "float64", "bool"])
def test_number_that_is_no_class_is_found_wherever_it_is(n_rows, n_classes, gap, dtype):
    if dtype == "bool":
        classes = np.array([True])
    else:
        classes = (1 + gap * np.arange(n_classes)).astype(dtype)
    answer = np.resize(classes, n_rows)
    rows = np.zeros((n_rows, 1))
    assert labels_of(answer, classes, rows) is answer
    for wrong in (0, classes[-1] + 1):
        spoiled = answer.copy()
        spoiled[-2] = wrong
        if spoiled[-2] in classes:  # another class, or no other boolean
            continue
        with pytest.raises(ValueError, match="The model: predict returned"):
            labels_of(spoiled, classes, rows)


@pytest.mark.parametrize("n_rows", [5, 20_000])
@pytest.mark.parametrize("dtype", ["<U3", object])
def test_texts_that_a_model_has_renamed_are_found(n_rows, dtype):
    classes = np.array(["no", "yes"]).astype(dtype)
    answer = np.resize(classes, n_rows)
    rows = np.zeros((n_rows, 1))
    assert labels_of(answer, classes, rows) is answer
    renamed = np.where(answer == "yes", "y", answer).astype(dtype)
    with pytest.raises(ValueError, match=r"'y', which is none of the classes \['no'"):
        labels_of(renamed, classes, rows)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([0, 1, 2, 0], r"returned 0, which is none of the classes \[1, 2, 10\]"),
        ([1, 2, 10, np.nan], "returned nan, which is none"),
        ([1, 2, 10, None], "returned None, which is none"),
        ([1, 2, 10, 1.5], r"returned 1\.5, which is none"),
        (["1", "2", "ten", "1"], "returned 'ten', which is none"),
        ([1, 2, 10], r"shape \(3,\) where one class for each of 4 rows"),
        (np.eye(4), r"shape \(4, 4\) where one class"),
        (7, r"shape \(\) where one class"),
    ],
)
def test_answers_that_are_no_classes(answer, message):
    with pytest.raises(ValueError, match=message):
        labels_of(answer, INTS)


def test_texts_are_equal_or_not():
    """Only between texts and numbers is another spelling the same label."""
    assert positions_of(["01", "1.0", " 1", "True"], TEXTS).tolist() == [-1] * 4
    assert positions_of([1, 1.0, 10, 3], TEXTS).tolist() == [0, 0, 1, -1]
    assert positions_of([None, np.nan], np.array(["None", "nan"])).tolist() == [-1, -1]
    large = np.array([2**53, 2**53 + 1])
    assert positions_of([str(2**53 + 1), str(2**53)], large).tolist() == [1, 0]


def test_codes_of_many_labels():
    labels = np.array(["b", None, "a", np.nan, "c"], dtype=object)
    assert label_codes(labels, np.array(["a", "b"])).tolist() == [1, -1, 0, -1, -1]
    codes = predicted_codes([[2], [7], [10], [1]], INTS, X, "The model")
    assert codes.tolist() == [1, -1, 2, 0]


PROBA = np.array([[0.1, 0.2, 0.7], [0.3, 0.3, 0.4], [1.0, 0.0, 0.0], [0.5, 0.2, 0.3]])
ORDERS = [[0, 1, 2], [2, 0, 1], [1, 0, 2]]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("classes", [INTS, FLOATS, TEXTS])
@pytest.mark.parametrize("spelling", ["same", "text"])
@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow", "Float64"])
def test_columns_go_by_their_labels(order, classes, spelling, library):
    labels = classes.astype(str) if spelling == "text" else classes
    if library in ("polars", "pyarrow"):
        labels = classes.astype(str)
    frame = pd.DataFrame(PROBA, columns=labels)[labels[order]]
    if library == "polars":
        frame = pl.from_pandas(frame)
    elif library == "pyarrow":
        frame = pa.Table.from_pandas(frame)
    elif library == "Float64":
        frame = frame.astype("Float64")
    table = probability_table(frame, classes, X, "The model")
    assert type(table) is np.ndarray
    assert table.dtype == np.float64
    assert_array_equal(table, PROBA)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(PROBA),
        pl.DataFrame(PROBA),
        PROBA.tolist(),
        PROBA.astype(object),
        np.asfortranarray(PROBA),
    ],
)
def test_columns_without_a_label_go_by_their_place(frame):
    assert_array_equal(probability_table(frame, TEXTS, X, "The model"), PROBA)


@pytest.mark.parametrize("known", [[2, 0, 1], [0, 2, 1], ["1", "0", "2"]])
def test_numbered_columns_of_classes_in_another_order_mean_nothing(known):
    """Numbers may be labels or places: who knows?"""
    known = np.array(known)
    with pytest.raises(ValueError, match=r"numbered 0, 1, \.\.\..*Label the columns"):
        number_table(pd.DataFrame(PROBA), known, X, "It has")
    labelled = pd.DataFrame(PROBA, columns=pd.Index([0, 1, 2]))
    expected = PROBA[:, known.astype(int)]
    assert_array_equal(number_table(labelled, known, X, "It has"), expected)
    # In the same order, or where the classes are no such numbers, there is no doubt.
    for classes in ([0, 1, 2], ["0", "1", "2"], [1, 2, 3], ["a", "b", "c"]):
        table = number_table(pd.DataFrame(PROBA), np.array(classes), X, "It has")
        assert_array_equal(table, PROBA)


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        (["p1", "p2", "p10"], "'p1', 'p2', 'p10'"),
        ([1, 2, 3], "1, 2, 3"),
        ([1, 2, 2], "1, 2, 2"),
        ([1, 2], "1, 2"),
        ([1, 2, 10, "label"], "1, 2, 10, 'label'"),
        ([("p", 1), ("p", 2), ("p", 10)], r"\('p', 1\)"),
        ([0, 1, 2], "0, 1, 2"),
    ],
)
def test_columns_with_other_labels_are_named(columns, names):
    table = np.zeros((4, len(columns)))
    frame = pd.DataFrame(table, columns=pd.Index(columns))
    message = rf"The model: predict_proba returned columns labelled \[{names}"
    with pytest.raises(ValueError, match=message):
        probability_table(frame, INTS, X, "The model")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (PROBA[:, :2], r"shape \(4, 2\) for 4 rows and 3 classes"),
        (PROBA[:3], r"shape \(3, 3\) for 4 rows"),
        (PROBA[:, 0], r"shape \(4,\) for"),
        ([PROBA, PROBA], r"shape \(2, 4, 3\) for"),
        (pd.DataFrame(PROBA[:, :2]), r"shape \(4, 2\) for"),
        (None, r"array of numbers was expected|shape \(\)"),
        ([["high"] * 3] * 4, "array of numbers was expected"),
    ],
)
def test_probabilities_of_another_shape(answer, message):
    with pytest.raises(ValueError, match=f"The model: .*{message}"):
        probability_table(answer, INTS, X, "The model")


def test_single_class_has_one_column():
    table = probability_table(np.ones((4, 1)), INTS[:1], X, "The model")
    assert_array_equal(table, np.ones((4, 1)))


def test_all_classes_whatever_the_model_calls_them():
    known = np.array(["2", "10"])
    proba = class_probabilities(PROBA[:, :2], known, INTS, X, "The model")
    assert_array_equal(proba, np.c_[np.zeros(4), PROBA[:, :2]])
    with pytest.raises(ValueError, match=r"knows the classes \['a', 'b'\], none of"):
        class_probabilities(PROBA[:, :2], np.array(["a", "b"]), INTS, X, "The model")


def test_scores_in_the_order_of_the_classes():
    def scores(answer, known, classes):
        known, classes = np.array(known), np.array(classes)
        return class_scores(answer, known, classes, X, "The model")

    one = np.array([-1.0, 2.0, 0.5, 0.0])
    assert_array_equal(scores(one, [0, 1], [0, 1]), one)
    assert_array_equal(scores(one[:, None], [0, 1], [0, 1]), one)
    assert_array_equal(scores(pd.DataFrame({"score": one}), [0, 1], [0, 1]), one)
    assert_array_equal(scores(one, ["b", "a"], ["a", "b"]), -one)
    turned = scores(PROBA, ["1", "2", "10"], ["1", "10", "2"])
    assert_array_equal(turned, PROBA[:, [0, 2, 1]])
    labelled = pd.DataFrame(PROBA, columns=["c", "a", "b"])
    assert_array_equal(scores(labelled, ["a", "b", "c"], ["a", "b", "c"]),
                       PROBA[:, [1, 2, 0]])  # fmt: skip
    pairs = np.ones((4, 6))  # of SVC(decision_function_shape="ovo")
    assert_array_equal(scores(pairs, [0, 1, 2, 3], [0, 1, 2, 3]), pairs)
    with pytest.raises(ValueError, match=r"shape \(3,\) for 4 rows"):
        scores(one[:3], [0, 1], [0, 1])


IDS = pd.DataFrame(X, index=["a", "b", "c", "d"])


@pytest.mark.parametrize("rows", [IDS, IDS.reset_index(drop=True), X])
def test_rows_without_a_label_go_by_their_place(rows):
    frame = pd.DataFrame(PROBA, columns=INTS)
    assert_array_equal(probability_table(frame, INTS, rows, "The model"), PROBA)
    assert_array_equal(number_table(frame, INTS, rows, "It", handed_in=True), PROBA)
    labelled = frame.set_axis(["w", "x", "y", "z"])
    if rows is not IDS:  # nobody can tell that these are other ones
        assert_array_equal(probability_table(labelled, INTS, rows, "A"), PROBA)


@pytest.mark.parametrize("handed_in", [False, True])
def test_rows_labelled_as_others_are_refused(handed_in):
    frame = pd.DataFrame(PROBA, columns=INTS, index=IDS.index)
    table = number_table(frame, INTS, IDS, "It has", handed_in=handed_in)
    assert_array_equal(table, PROBA)
    with pytest.raises(ValueError, match=r"It has rows labelled \['d', .*other order"):
        number_table(frame[::-1], INTS, IDS, "It has", handed_in=handed_in)
    others = frame.set_axis(["a", "b", "c", "x"])
    with pytest.raises(ValueError, match=r"It has rows labelled .*X has others"):
        number_table(others, INTS, IDS, "It has", handed_in=handed_in)
    with pytest.raises(ValueError, match="predict returned rows labelled"):
        labels_of(pd.Series([1, 2, 2, 1], index=list("dcba")), INTS, IDS)


def test_rows_numbered_anew_beside_the_same_numbers_in_another_order():
    """A model numbers what it was shown; a user may have sorted what is handed in."""
    shuffled = pd.DataFrame(X, index=[2, 0, 3, 1])
    frame = pd.DataFrame(PROBA, columns=INTS)
    assert_array_equal(probability_table(frame, INTS, shuffled, "The model"), PROBA)
    with pytest.raises(ValueError, match="the same in another order"):
        number_table(frame, INTS, shuffled, "It has", handed_in=True)
