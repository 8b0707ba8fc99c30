"""Pictures show what the record says, whatever the names and numbers."""

import builtins
from io import BytesIO
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
from matplotlib.testing.compare import compare_images
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from skcoop import CooperativeDistiller
from skcoop.inspection import (
    ChangeDisplay,
    HistoryDisplay,
    LessonDisplay,
    TransferDisplay,
)
from tests.inspection.conftest import OLD, SCRIPT, YOUNG, fit_odd_table

plt.switch_backend("agg")  # there may be no screen
pytestmark = pytest.mark.usefixtures("close_figures")

DISPLAYS = [TransferDisplay, LessonDisplay, ChangeDisplay, HistoryDisplay]
OTHER = GaussianNB().fit([[0], [1]], [0, 1])
BASELINES = Path(__file__).parent / "baselines"


def show(display, fit, **options):
    distiller, X, y = fit
    rows = (X, y) if display is LessonDisplay else ()
    return display.from_estimator(distiller, *rows, **options)


def texts(ax):
    """Return all that is written in axes, as it is drawn."""
    ax.figure.draw_without_rendering()
    labels = [*ax.texts, *ax.get_xticklabels(), *ax.get_yticklabels(), ax.title]
    if ax.get_legend():
        labels += ax.get_legend().get_texts()
    return [label.get_text() for label in labels]


# The convention of displays


@pytest.mark.parametrize("display", DISPLAYS)
def test_a_display_draws_and_returns_itself(display, odd):
    shown = show(display, odd)
    assert isinstance(shown, display)
    assert shown.ax_.figure is shown.figure_
    figure, ax = plt.subplots()
    assert shown.plot(ax=ax) is shown
    assert shown.ax_ is ax
    assert shown.figure_ is figure


@pytest.mark.parametrize("display", DISPLAYS)
def test_a_display_draws_where_it_is_told(display, odd):
    _, (left, right) = plt.subplots(1, 2)
    assert show(display, odd, ax=right).ax_ is right
    assert not left.has_data()


@pytest.mark.parametrize("display", DISPLAYS)
@pytest.mark.parametrize("fit", ["odd", "idle", "many"])
def test_names_are_drawn_as_they_are(display, fit, request):
    """No name becomes a formula; drawing raises nothing and warns of nothing."""
    shown = show(display, request.getfixturevalue(fit))
    picture = BytesIO()
    shown.figure_.savefig(picture, format="png", dpi=30)
    assert picture.getvalue().startswith(b"\x89PNG")


@pytest.mark.parametrize("display", DISPLAYS)
def test_the_estimator_has_to_be_fitted(display):
    unfitted = CooperativeDistiller([("a", GaussianNB()), ("b", GaussianNB())])
    rows = ([[0]], [0]) if display is LessonDisplay else ()
    with pytest.raises(NotFittedError, match="not fitted"):
        display.from_estimator(unfitted, *rows)


@pytest.mark.parametrize("display", DISPLAYS)
@pytest.mark.parametrize(
    "thing", [3, CooperativeDistiller, GaussianNB().fit([[0], [1]], [0, 1])]
)
def test_other_things_are_refused(display, thing):
    rows = ([[0]], [0]) if display is LessonDisplay else ()
    with pytest.raises(TypeError, match=f"{display.__name__}.*CooperativeDistiller"):
        display.from_estimator(thing, *rows)


@pytest.mark.parametrize("display", DISPLAYS)
def test_without_matplotlib(display, odd, monkeypatch):
    real = builtins.__import__

    def absent(name, *rest):
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ImportError, match=r"needs matplotlib.*skcoop\[plot\]"):
        show(display, odd)


@pytest.mark.parametrize("display", DISPLAYS)
def test_the_record_is_not_changed(display, odd):
    distiller = odd[0]
    before = [
        t.copy() for t in (distiller.lessons_, distiller.history_, distiller.scores_)
    ]
    show(display, odd)
    after = [distiller.lessons_, distiller.history_, distiller.scores_]
    for first, second in zip(before, after, strict=True):
        pd.testing.assert_frame_equal(first, second)


# Who taught whom


@pytest.mark.parametrize("fit", ["odd", "many", "idle"])
def test_lessons_and_gains_add_up(fit, request):
    distiller = request.getfixturevalue(fit)[0]
    shown = TransferDisplay.from_estimator(distiller)
    kept = distiller.lessons_[distiller.lessons_["kept"]]
    assert shown.lessons.to_numpy().sum() == len(kept)
    for (teacher, student), own in kept.groupby(["teacher", "student"]):
        assert shown.lessons.loc[teacher, student] == len(own)
    gained = distiller.scores_.iloc[-1] - distiller.scores_.iloc[0]
    pd.testing.assert_series_equal(shown.gains.sum(), gained, check_names=False)
    assert (np.diag(shown.lessons) == 0).all()


def test_rounds_add_up_to_the_whole(odd):
    distiller = odd[0]
    rounds = range(1, len(distiller.scores_))
    assert len(rounds) >= 2
    parts = [TransferDisplay.from_estimator(distiller, round=r) for r in rounds]
    whole = TransferDisplay.from_estimator(distiller)
    pd.testing.assert_frame_equal(sum(p.lessons for p in parts), whole.lessons)
    pd.testing.assert_frame_equal(sum(p.gains for p in parts), whole.gains)


def test_cells_show_what_was_asked_for(odd):
    shown = TransferDisplay.from_estimator(odd[0])
    count = shown.lessons.loc[OLD, YOUNG]
    assert str(count) in texts(shown.ax_)
    shown.plot(values="gains")
    points = f"{100 * shown.gains.loc[OLD, YOUNG]:+.1f}"
    assert points in texts(shown.ax_)
    assert shown.figure_.axes[1].get_ylabel() == "gain out of fold, points"


def test_unknown_gains_are_not_shown_as_zero():
    """Without a gate and a final estimator nobody knows what was gained."""
    blind = fit_odd_table(accept=None, combine="soft")[0]
    shown = TransferDisplay.from_estimator(blind)
    assert shown.lessons.to_numpy().sum() > 0
    assert np.isnan(shown.gains.loc[OLD, YOUNG])
    assert YOUNG in texts(shown.ax_)  # no points below the name
    shown.plot(values="gains")
    assert not any("nan" in text for text in texts(shown.ax_))


@pytest.mark.parametrize("round", [0, 9, -1, "first"])
def test_no_such_round(round, odd):
    with pytest.raises(ValueError, match=rf"no round {round!r}.*has \d"):
        TransferDisplay.from_estimator(odd[0], round=round)


def test_no_such_values(odd):
    with pytest.raises(ValueError, match="'lessons' or 'gains', got 'both'"):
        TransferDisplay.from_estimator(odd[0], values="both")


# Where lessons lie


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_each_lesson_has_a_place_and_a_source(method, odd):
    distiller, X, y = odd
    shown = LessonDisplay.from_estimator(distiller, X, y, method=method, random_state=0)
    kept = distiller.lessons_[distiller.lessons_["kept"]]
    assert shown.rows.shape == (len(X), 2)
    assert shown.lessons.shape == (len(kept), 2)
    assert np.isfinite(shown.rows).all()
    assert np.isfinite(shown.lessons).all()
    np.testing.assert_array_equal(shown.sources, kept["source_row"])
    np.testing.assert_array_equal(shown.row_labels[shown.sources], shown.lesson_labels)


def test_two_columns_are_the_cells_themselves(odd):
    distiller, X, y = odd
    columns = ["age", X.columns[0]]
    shown = LessonDisplay.from_estimator(distiller, X, y, method=columns)
    np.testing.assert_array_equal(shown.rows, X[columns])
    kept = distiller.lessons_[distiller.lessons_["kept"]]
    np.testing.assert_array_equal(shown.lessons, kept[[f"x__{c}" for c in columns]])
    assert shown.ax_.get_xlabel() == "age"


def test_categories_are_named_on_their_axis(odd):
    distiller, X, y = odd
    shown = LessonDisplay.from_estimator(distiller, X, y, method=[SCRIPT, "age"])
    assert {"<b>x</b>", "y & z", 'w"'} <= set(texts(shown.ax_))


def test_principal_components_keep_distances():
    """With two numbers, the picture is the standardised table, turned."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 2)) * [1, 50]
    y = (X[:, 0] + X[:, 1] / 50 + rng.normal(0, 0.5, 80) > 0).astype(int)
    members = [("stump", DecisionTreeClassifier(max_depth=1)), ("bayes", GaussianNB())]
    model = CooperativeDistiller(members, cv=3, random_state=0).fit(X, y)
    shown = LessonDisplay.from_estimator(model, X, y, kept_only=False)
    assert len(shown.lessons)
    standard = (X - X.mean(axis=0)) / X.std(axis=0)
    expected = np.linalg.norm(standard[:, None] - standard, axis=2)
    found = np.linalg.norm(shown.rows[:, None] - shown.rows, axis=2)
    np.testing.assert_allclose(found, expected)


def test_a_sample_keeps_the_sources_of_its_lessons(many):
    distiller, X, y = many
    shown = LessonDisplay.from_estimator(distiller, X, y, subsample=20, random_state=1)
    assert len(shown.lessons) == 20
    assert 20 <= len(shown.rows) <= 40
    np.testing.assert_array_equal(shown.row_labels[shown.sources], shown.lesson_labels)
    same = LessonDisplay.from_estimator(distiller, X, y, subsample=20, random_state=1)
    np.testing.assert_array_equal(shown.rows, same.rows)


def test_every_class_is_named_once(many):
    shown = show(LessonDisplay, many)
    legend = [text.get_text() for text in shown.ax_.get_legend().get_texts()]
    assert legend == [*(f"class {k}" for k in range(10)), "lesson", "row"]


@pytest.mark.parametrize("container", [pd.DataFrame, pl.DataFrame, np.asarray])
def test_any_container(container):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(80, 3))
    y = (rows[:, 0] + rows[:, 1] + rng.normal(0, 0.5, 80) > 0).astype(int)
    X = container(rows)
    if isinstance(X, pd.DataFrame):
        X.columns = ["a", "b", "c"]
    members = [("stump", DecisionTreeClassifier(max_depth=1)), ("bayes", GaussianNB())]
    model = CooperativeDistiller(members, cv=3, random_state=0).fit(X, y)
    shown = LessonDisplay.from_estimator(model, X, y, kept_only=False)
    assert len(shown.lessons) == len(model.lessons_) > 0
    np.testing.assert_array_equal(shown.sources, model.lessons_["source_row"])


def test_a_silo_column_is_left_out(odd):
    _, X, y = odd
    silos = np.where(X["age"] < 42, YOUNG, OLD)
    model = CooperativeDistiller(
        [(n, odd[0].named_estimators[n]) for n in (YOUNG, OLD)],
        silo_column="owner",
        cv=3,
        random_state=0,
    ).fit(X.assign(owner=silos), y)
    with_column = LessonDisplay.from_estimator(model, X.assign(owner=silos), y)
    without = LessonDisplay.from_estimator(model, X, y)
    np.testing.assert_array_equal(with_column.rows, without.rows)


def test_other_rows_are_refused(odd):
    distiller, X, y = odd
    draw = LessonDisplay.from_estimator
    with pytest.raises(ValueError, match=r"columns that the distiller.*'gone'"):
        draw(distiller, X.drop(columns="gone"), y)
    with pytest.raises(ValueError, match="in their order"):
        draw(distiller, X[X.columns[::-1]], y)
    with pytest.raises(ValueError, match=r"X has 10 rows and y has 240"):
        draw(distiller, X[:10], y)
    with pytest.raises(ValueError, match="not made from these rows"):
        draw(distiller, X[:10], y[:10])
    with pytest.raises(ValueError, match="not made from these rows"):
        draw(distiller, X, np.roll(y, 1))


def test_unknown_methods_are_refused(odd):
    distiller, X, y = odd
    draw = LessonDisplay.from_estimator
    with pytest.raises(ValueError, match=r"'pca', 'tsne' or a list.*'umap'"):
        draw(distiller, X, y, method="umap")
    with pytest.raises(ValueError, match=r"X has no \['weight'\]"):
        draw(distiller, X, y, method=["age", "weight"])
    with pytest.raises(ValueError, match="two columns"):
        draw(distiller, X, y, method=["age"])


# What teachers change


def test_shares_are_those_of_the_lessons(odd):
    distiller = odd[0]
    shown = ChangeDisplay.from_estimator(distiller)
    kept = distiller.lessons_[distiller.lessons_["kept"]]
    assert shown.counts.sum() == len(kept)
    for (teacher, label), own in kept.groupby(["teacher", "label"]):
        for column in shown.shares:
            share = np.mean([column in changed for changed in own["changed"]])
            assert shown.shares.loc[(teacher, label), column] == pytest.approx(share)


def test_one_teacher(odd):
    shown = ChangeDisplay.from_estimator(odd[0], teacher=OLD)
    assert set(shown.shares.index.get_level_values("teacher")) == {OLD}
    with pytest.raises(ValueError, match="no member 'nobody'"):
        ChangeDisplay.from_estimator(odd[0], teacher="nobody")


def test_what_is_left_out_is_counted(many):
    shown = show(ChangeDisplay, many, max_columns=5)
    ax = shown.ax_
    changed = int((shown.shares.sum() > 0).sum())
    assert len(ax.get_xticks()) == 5
    assert ax.get_xlabel().endswith(f"and {changed - 5} more")
    assert len(ax.get_yticks()) == 30
    assert ax.get_ylabel().endswith(f"and {len(shown.shares) - 30} more")
    most = shown.shares.sum().nlargest(5)
    drawn = [label.get_text() for label in ax.get_xticklabels()]
    assert drawn == list(most.index)


def test_no_lesson_no_heat_map(idle):
    shown = show(ChangeDisplay, idle)
    assert "no lesson was kept" in texts(shown.ax_)
    for display in (LessonDisplay, TransferDisplay):
        assert "no lesson was kept" in texts(show(display, idle).ax_)


# Scores by round


def test_scores_are_those_of_the_history(odd):
    distiller = odd[0]
    history, scores = distiller.history_, distiller.scores_
    assert list(scores.columns) == [YOUNG, OLD]
    assert scores.index.tolist() == list(range(history["round"].max() + 1))
    for _, line in history[history["taught"] > 0].iterrows():
        before = scores.loc[line["round"] - 1, line["student"]]
        after = scores.loc[line["round"], line["student"]]
        assert before == line["score_before"]
        assert after == line["score_after" if line["accepted"] else "score_before"]


def test_refusals_are_crossed(odd):
    distiller = odd[0]
    shown = HistoryDisplay.from_estimator(distiller)
    assert len(shown.refusals)
    crosses = [line for line in shown.ax_.lines if line.get_marker() == "x"]
    places = {(line.get_xdata()[0], line.get_ydata()[0]) for line in crosses}
    expected = zip(shown.refusals["round"], shown.refusals["score_after"], strict=True)
    assert places == set(expected)
    assert "refused or failed" in texts(shown.ax_)


def test_a_refit_that_failed_is_crossed_where_the_member_stayed():
    scores = pd.DataFrame({"a": [0.5, 0.5]})
    failed = {"round": 1, "student": "a", "score_before": 0.5, "score_after": np.nan}
    refusals = pd.DataFrame([{**failed, "failure": "ValueError: no"}])
    shown = HistoryDisplay(scores=scores, refusals=refusals).plot()
    (cross,) = [line for line in shown.ax_.lines if line.get_marker() == "x"]
    assert (cross.get_xdata()[0], cross.get_ydata()[0]) == (1, 0.5)


def test_members_are_told_apart_without_colours(many):
    shown = show(HistoryDisplay, many)
    looks = {(line.get_marker(), line.get_linestyle()) for line in shown.ax_.lines[:10]}
    assert len(looks) == 10


def test_nobody_judged():
    blind = fit_odd_table(accept=None, combine="soft")[0]
    assert blind.scores_.iloc[0].notna().all()
    assert blind.scores_.iloc[-1].isna().any()
    shown = HistoryDisplay.from_estimator(blind)
    assert "not all refits were judged" in texts(shown.ax_)


def test_scores_without_rounds():
    fitted = fit_odd_table(n_rounds=0)[0]
    assert fitted.scores_.shape == (1, 2)
    assert len(HistoryDisplay.from_estimator(fitted).refusals) == 0
    assert TransferDisplay.from_estimator(fitted).lessons.to_numpy().sum() == 0


# The pictures themselves; made again by `python -m tests.inspection.test_displays`.


def pictures():
    """Return displays of made-up figures, by name."""
    names = ["clinic", "hospital", "practice"]
    lessons = pd.DataFrame([[0, 40, 3], [120, 0, 0], [7, 80, 0]], names, names)
    gains = pd.DataFrame(
        [[0, 0.02, -0.01], [0.08, 0, 0], [0.01, 0.05, 0]], names, names
    )
    scores = pd.DataFrame(
        [[0.6, 0.7, 0.8], [0.7, 0.75, 0.8], [0.78, 0.75, 0.8]], columns=names
    )
    refusals = pd.DataFrame(
        {
            "round": [1, 2],
            "student": ["practice", "hospital"],
            "score_before": [0.8, 0.75],
            "score_after": [0.76, np.nan],
            "failure": ["", "ValueError"],
        }
    )
    rows = np.column_stack([np.linspace(-2, 2, 40), np.sin(np.arange(40))])
    return {
        "lessons": TransferDisplay(lessons=lessons, gains=gains).plot(),
        "gains": TransferDisplay(lessons=lessons, gains=gains).plot(values="gains"),
        "history": HistoryDisplay(scores=scores, refusals=refusals).plot(),
        "places": LessonDisplay(
            rows=rows,
            row_labels=np.arange(40) % 3,
            lessons=rows[::4] + 0.3,
            lesson_labels=np.arange(0, 40, 4) % 3,
            sources=np.arange(0, 40, 4),
            axis_names=("x", "y"),
        ).plot(),
    }


def save(display, path):
    """Save a picture without its texts, which depend on the fonts of the machine."""
    for ax in display.figure_.axes:
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_ticks([])
            axis.label.set_visible(False)
        for text in ax.texts:
            text.set_visible(False)
        if ax.get_legend():
            ax.get_legend().remove()
    display.figure_.savefig(path, dpi=50)


@pytest.mark.skipif(
    matplotlib.__version_info__ < (3, 11), reason="drawn with matplotlib 3.11"
)
@pytest.mark.parametrize("name", ["lessons", "gains", "history", "places"])
def test_picture_is_the_one_that_was_looked_at(name, tmp_path):
    with plt.style.context("default"):
        save(pictures()[name], tmp_path / f"{name}.png")
    difference = compare_images(
        str(BASELINES / f"{name}.png"), str(tmp_path / f"{name}.png"), tol=8
    )
    assert difference is None


if __name__ == "__main__":
    BASELINES.mkdir(exist_ok=True)
    for name, display in pictures().items():
        save(display, BASELINES / f"{name}.png")


@pytest.mark.parametrize("kind", ["date", "datetime", "time"])
def test_lessons_of_days_are_drawn(kind):
    """In a record they are what they were, so they can be found in the table again."""
    moments = pd.date_range("2024-01-01 00:00", periods=120, freq="7h")
    draw = np.random.default_rng(0)
    X = pl.DataFrame(
        {
            "day": [getattr(m, kind)() if kind != "datetime" else m for m in moments],
            "size": draw.normal(size=120),
        }
    )
    y = (X["size"].to_numpy() + draw.normal(0, 0.5, 120) > 0).astype(int)
    read = make_column_transformer(("passthrough", ["size"]))
    members = [
        ("tree", make_pipeline(read, DecisionTreeClassifier(max_depth=2))),
        ("bayes", make_pipeline(clone(read), GaussianNB())),
    ]
    model = CooperativeDistiller(
        members, accept=None, n_rounds=1, cv=3, random_state=0
    ).fit(X, y)
    shown = LessonDisplay.from_estimator(model, X, y, method=["day", "size"])
    assert len(shown.lessons) == len(model.lessons_) > 0
    assert np.isfinite(shown.lessons).all()
