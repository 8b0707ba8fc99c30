"""The report says what the record says, and nothing of the user's becomes HTML."""

import pickle
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Perceptron
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from skcoop import CooperativeDistiller
from skcoop.inspection import ChangeDisplay, Report
from skcoop.inspection._page import page, text
from tests.inspection.conftest import OLD, SCRIPT, YOUNG, fit_odd_table, odd_table

VOID = {"meta", "link", "line", "circle"}


class Outline(HTMLParser):
    """Check that tags are closed in order; collect tags, attributes and texts."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.attributes, self.texts = [], [], [], []
        self.marked = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.texts.append(data)
        if "mark" in self.open:
            self.marked.append(data)


@pytest.fixture(scope="module")
def html(odd):
    distiller, X, _ = odd
    return page(Report.from_estimator(distiller, X))


def small(**params):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 3))
    y = (X[:, 0] + X[:, 1] + rng.normal(0, 0.5, 80) > 0).astype(int)
    members = [("stump", DecisionTreeClassifier(max_depth=1)), ("bayes", GaussianNB())]
    return CooperativeDistiller(members, cv=3, random_state=0, **params), X, y


# The page


def test_page_is_well_formed_and_needs_nothing_else(html):
    outline = Outline(html)
    assert html.startswith("<!DOCTYPE html>")
    assert "script" not in outline.tags
    assert "img" not in outline.tags
    loaded = [value for name, value in outline.attributes if name in ("src", "href")]
    assert loaded == ["data:,"]
    assert not re.search(r"https?://|url\(|@import", html)
    assert not any(name.startswith("on") for name, _ in outline.attributes)


def test_names_and_values_are_escaped(html):
    """A column called <script>, a member called <b>, a class called <i>."""
    outline = Outline(html)
    written = "".join(outline.texts)
    assert SCRIPT in written
    assert YOUNG in written
    assert "<i>pays</i>" in written
    assert "<b>x</b>" in written or "y & z" in written
    assert "i" not in outline.tags


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a & <b>", "a &amp; &lt;b&gt;"),
        ("\"quoted'", "&quot;quoted&#x27;"),
        (1 / 3, "0.33333"),
        (np.float32(0.1), "0.1"),
        (7, "7"),
        (True, "True"),
        (None, '<span class="missing">missing</span>'),
        (np.nan, '<span class="missing">missing</span>'),
        (pd.NA, '<span class="missing">missing</span>'),
        (pd.Timestamp("2026-01-02"), "2026-01-02 00:00:00"),
        ([1, "<"], "[1, &#x27;&lt;&#x27;]"),
    ],
)
def test_text_of_a_cell(value, expected):
    assert text(value) == expected


def test_failures_are_escaped():
    class Broken:
        def generate(self, *args, **options):
            raise ValueError("no <way> & no end")

    distiller, X, y = small(counterfactuals=Broken())
    with pytest.warns(UserWarning, match="Some teaching failed"):
        distiller.fit(X, y)
    report = distiller.report_
    assert len(report.failures) == len(set(report.failures)) > 0
    assert "ValueError: The engine Broken, asked about" in report.failures[0]
    assert "no <way> & no end" in report.failures[0]
    assert report.failures[0] in "".join(Outline(page(report)).texts)


def test_save_writes_the_page(odd, tmp_path, html):
    distiller, X, _ = odd
    report = Report.from_estimator(distiller, X)
    report.save(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == html
    report.save(str(tmp_path / "again.html"))
    assert (tmp_path / "again.html").exists()


def test_a_notebook_shows_a_part_of_a_page(odd):
    part = odd[0].report_._repr_html_()
    assert Outline(part).tags[0] == "div"
    assert "<html" not in part
    # Its style stays within it.
    style = re.search(r"<style>(.*?)</style>", part, re.DOTALL).group(1)
    rules = [rule for rule in re.findall(r"([^{}]+)\{", style) if rule.strip()]
    names = [name for rule in rules for name in rule.split(",")]
    assert all(name.strip().startswith(".skcoop-report") for name in names)


def test_a_terminal_shows_the_verdict_and_the_members(odd):
    report = odd[0].report_
    assert repr(report).splitlines()[0] == report.verdict
    assert all(name in repr(report) for name in (YOUNG, OLD, "before", "after"))


# What it says


def test_verdict_has_the_scores(odd):
    distiller = odd[0]
    before, after = distiller.scores_.iloc[0], distiller.scores_.iloc[-1]
    better = (after > before).sum()
    assert distiller.report_.verdict == (
        f"{better} of 2 members got better: their mean balanced accuracy out of fold "
        f"rose from {before.mean():.3f} to {after.mean():.3f}."
    )


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"n_rounds": 0}, "no round of teaching took place"),
        ({"accept": None, "combine": "soft"}, "Nobody judged"),
    ],
)
def test_verdict_where_nothing_can_be_said(params, said):
    distiller, X, y = small(**params)
    report = distiller.fit(X, y).report_
    assert said in report.verdict
    assert Outline(page(report)).texts


def test_verdict_where_there_was_nothing_to_teach(idle):
    report = idle[0].report_
    assert "no teacher that it could trust had an answer" in report.verdict
    assert report.told == []
    assert "No lesson was kept." in page(report)


def test_verdict_where_nobody_can_teach():
    _, X, y = small()
    mute = [("one", LinearSVC()), ("two", Perceptron()), ("gone", "drop")]
    with pytest.warns(UserWarning, match="no predict_proba"):
        fitted = CooperativeDistiller(mute, cv=3, combine="hard").fit(X, y)
    assert "none of them has predict_proba" in fitted.report_.verdict


def test_verdict_where_all_was_refused():
    distiller, X, y = small()
    distiller.fit(X, y)
    assert len(distiller.lessons_)
    assert not distiller.lessons_["kept"].any()
    assert "no refit was clearly better" in distiller.report_.verdict
    assert len(distiller.report_.refusals)


def test_members_before_and_after(odd):
    distiller = odd[0]
    members = distiller.report_.members.set_index("member")
    assert list(members.index) == [YOUNG, OLD]
    assert list(members["model"]) == ["DecisionTreeClassifier", "LogisticRegression"]
    np.testing.assert_array_equal(members["before"], distiller.scores_.iloc[0])
    np.testing.assert_array_equal(members["after"], distiller.scores_.iloc[-1])
    assert members["lessons"].sum() == distiller.lessons_["kept"].sum()


def test_dropped_and_frozen_members():
    _, X, y = small()
    guest = FrozenEstimator(LogisticRegression().fit(X, y))
    members = [
        ("guest", guest),
        ("gone", "drop"),
        ("stump", DecisionTreeClassifier(max_depth=1)),
    ]
    model = CooperativeDistiller(members, cv=3, n_rounds=1, random_state=0).fit(X, y)
    shown = model.report_.members.set_index("member")
    assert list(shown.index) == ["guest", "stump"]
    assert shown.loc["guest", "model"] == "LogisticRegression, frozen"
    assert shown.loc["guest", "gain"] == 0


def test_a_guest_without_rows_is_not_judged_by_its_own():
    distiller, X, y = small(accept="own")
    guest = FrozenEstimator(LogisticRegression().fit(X, y))
    silos = np.where(X[:, 2] > 0, "stump", "bayes")
    members = [("guest", guest), *distiller.estimators]
    distiller.set_params(estimators=members).fit(X, y, silos=silos)
    assert distiller.scores_["guest"].isna().all()
    assert distiller.scores_[["stump", "bayes"]].notna().all(axis=None)
    report = distiller.report_
    assert "Nobody judged" not in report.verdict
    assert "not judged" in page(report)
    assert '"nan"' not in page(report)  # as a place in a picture


def test_refusals_and_counts(odd):
    distiller = odd[0]
    report, history = distiller.report_, distiller.history_
    refused = history[(history["taught"] > 0) & ~history["accepted"]]
    pairs = set(zip(refused["round"], refused["student"], strict=True))
    shown = zip(report.refusals["round"], report.refusals["student"], strict=True)
    assert set(shown) == pairs
    assert len(report.refusals) == len(pairs) > 0
    assert report.counts["asked"].sum() == history["asked"].sum()


# Lessons beside their rows


def test_told_lessons_were_kept_and_differ(odd):
    distiller, X, _ = odd
    told = Report.from_estimator(distiller, X).told
    assert 1 <= len(told) <= 6
    about = [(t.line["teacher"], t.line["student"], t.line["label"]) for t in told]
    assert len(set(about)) == len(about)
    assert all(lesson.line["kept"] for lesson in told)


def test_changed_cells_are_those_that_differ(odd):
    distiller, X, _ = odd
    for lesson in Report.from_estimator(distiller, X).told:
        row = X.iloc[lesson.line["source_row"]]
        for name, cell in lesson.cells.iterrows():
            assert cell["row"] == row[name]
            assert cell["changed"] == (cell["lesson"] != cell["row"])
        assert set(lesson.cells.index[lesson.cells["changed"]]) == set(
            lesson.line["changed"]
        )


def test_marks_are_the_changed_cells(odd, html):
    distiller, X, _ = odd
    told = Report.from_estimator(distiller, X).told
    changed = sum(int(lesson.cells["changed"].sum()) for lesson in told)
    assert len(Outline(html).marked) == changed + 1  # one explains the colour


def test_filled_cells_are_no_changes():
    """What was never recorded is filled from the student's rows: not by the teacher."""
    rng = np.random.default_rng(0)
    n = 200
    X = pd.DataFrame(rng.normal(size=(n, 3)), columns=["shared", "extra", "other"])
    y = (X["shared"] + X["extra"] > 0).astype(int)
    silos = np.where(np.arange(n) % 2, "full", "poor")
    X.loc[silos == "poor", "extra"] = np.nan
    X.loc[silos == "poor", "shared"] += 1
    members = [("full", DecisionTreeClassifier()), ("poor", DecisionTreeClassifier())]
    model = CooperativeDistiller(members, accept=None, cv=3, random_state=0)
    report = model.fit(X, y, silos=silos).report_
    filled = [
        name
        for lesson in report.told
        for name, cell in lesson.cells.iterrows()
        if not cell["changed"] and pd.isna(cell["row"]) and not pd.isna(cell["lesson"])
    ]
    assert filled
    assert set(filled) == {"extra"}
    assert page(report).count('<span class="completed">') == len(filled) + 1


@pytest.mark.parametrize("container", [pd.DataFrame, pl.DataFrame, np.asarray])
def test_rows_come_from_the_table_of_fit_while_it_lives(container):
    distiller, X, y, silos = *small()[:1], *odd_table()
    X = container(X[["age", "gone"]].to_numpy(dtype=float))
    if isinstance(X, pd.DataFrame):
        X.columns = ["age", "gone"]
    members = [(YOUNG, DecisionTreeClassifier(max_depth=2)), (OLD, GaussianNB())]
    distiller.set_params(estimators=members).fit(X, y, silos=silos)
    told = distiller.report_.told
    assert told
    assert all("row" in lesson.cells for lesson in told)
    del X
    assert all("row" not in lesson.cells for lesson in distiller.report_.told)
    assert "keeps no training rows" in page(distiller.report_)


@pytest.mark.parametrize("columns", [["mean radius"], ["mean radius", "mean texture"]])
@pytest.mark.parametrize(
    "change",
    [
        lambda X: X.__setitem__("mean radius", X["mean radius"] + 1000.0),
        lambda X: X.__setitem__(slice(None), X.to_numpy()[::-1].copy()),
        lambda X: X.loc.__setitem__(len(X), 10.0),
        lambda X: X.__setitem__("mean radius", X["mean radius"].astype(str)),
    ],
    ids=["cells", "order", "rows", "types"],
)
def test_rows_that_have_changed_are_not_shown(columns, change):
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    X = X[columns].copy()
    members = [("small", GaussianNB()), ("large", DecisionTreeClassifier(max_depth=3))]
    silos = np.where(X["mean radius"] < 13, "small", "large")
    fitted = CooperativeDistiller(members, random_state=0).fit(X, y, silos=silos)
    assert any("row" in lesson.cells for lesson in fitted.report_.told)
    change(X)
    assert all("row" not in lesson.cells for lesson in fitted.report_.told)


def test_no_copy_holds_the_rows():
    """Pickled, cloned or loaded elsewhere, a distiller knows no training row."""
    distiller, X, _ = fit_odd_table(n_rounds=1)
    assert "row" in distiller.report_.told[0].cells
    again = pickle.loads(pickle.dumps(distiller))
    assert "row" not in again.report_.told[0].cells
    explicit = Report.from_estimator(again, X)
    pd.testing.assert_frame_equal(
        explicit.told[0].cells, distiller.report_.told[0].cells
    )
    with pytest.raises(NotFittedError):
        _ = clone(distiller).report_


def test_a_table_that_was_changed_is_not_shown():
    distiller, X, _ = fit_odd_table(n_rounds=1)
    X["age"] += 1000
    assert "row" not in distiller.report_.told[0].cells


def test_other_rows_are_refused(odd):
    distiller, X, _ = odd
    with pytest.raises(ValueError, match=r"does not have the columns"):
        Report.from_estimator(distiller, X.drop(columns="gone"))
    with pytest.raises(ValueError, match=r"X has 1 rows.*made from row \d+"):
        Report.from_estimator(distiller, X[:1])
    with pytest.raises(ValueError, match=r"Row \d+ of X is not the one.*'age'"):
        Report.from_estimator(distiller, X.assign(age=-1))


def test_a_silo_column_is_no_column_of_the_lessons():
    X, y, silos = odd_table()
    table = X.assign(owner=silos)
    members = fit_odd_table(n_rounds=0)[0].estimators
    model = CooperativeDistiller(
        members, silo_column="owner", cv=3, n_rounds=1, random_state=0
    ).fit(table, y)
    assert "owner" not in model.report_.told[0].cells.index
    assert "row" in model.report_.told[0].cells


def test_many_columns_are_cut_short(many):
    distiller, X, _ = many
    html = page(Report.from_estimator(distiller, X))
    assert re.search(r"\d+ more columns stayed", html)
    assert len(html) < 100_000
    Outline(html)


# Before a fit


def test_there_is_no_report_before_a_fit():
    distiller = small()[0]
    assert not hasattr(distiller, "report_")
    with pytest.raises(NotFittedError, match="not fitted"):
        _ = distiller.report_


def test_there_is_no_report_after_a_broken_fit():
    distiller, X, y = small()
    distiller.fit(X, y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        distiller.fit(X, y[:-1])
    assert not hasattr(distiller, "report_")


def test_report_does_not_need_matplotlib(odd, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.pyplot", None)
    assert odd[0].report_._repr_html_()


@pytest.mark.parametrize("names", [[("a", 1), ("a", 2), ("b", 1)], ["None", "a", "b"]])
def test_labels_of_columns_stay_what_they_are(names):
    """Also tuples, of which NumPy would make a table, and a column called None."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(120, 3)))
    X.columns = pd.MultiIndex.from_tuples(names) if names[0] != "None" else names
    y = (X.iloc[:, 0] + rng.normal(0, 0.5, 120) > 0).astype(int)
    members = [("a", DecisionTreeClassifier(max_depth=2)), ("b", GaussianNB())]
    model = CooperativeDistiller(
        members, accept=None, n_rounds=1, cv=3, random_state=0
    ).fit(X, y)
    changed = model.lessons_["changed"].explode().dropna()
    assert len(changed)
    assert set(changed) <= set(names)
    report = Report.from_estimator(model, X)
    assert report.told
    ChangeDisplay.from_estimator(model)
