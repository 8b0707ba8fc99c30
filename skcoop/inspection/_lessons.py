# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""LessonDisplay: where the lessons lie among the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state

from skcoop._compat import _num_samples
from skcoop._tables._codec import TableCodec
from skcoop._tables._frames import FloatMatrix, column_names, is_frame, without_column
from skcoop.inspection._style import (
    COLORS,
    GREY,
    MARKERS,
    axes,
    check_distiller,
    text_of,
)


class LessonDisplay:
    """Lessons among the original rows, in two dimensions.

    It is made by :meth:`from_estimator`. The parameters are stored as attributes.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, 2)
        Places of the rows.
    row_labels : ndarray of shape (n_rows,)
        Their classes.
    lessons : ndarray of shape (n_lessons, 2)
        Places of the lessons.
    lesson_labels : ndarray of shape (n_lessons,)
        Their classes.
    sources : ndarray of int, shape (n_lessons,)
        The position in `rows` of the row that each lesson was made from.
    axis_names : (str, str)
        What the two dimensions are.
    levels : list of two lists of str, default=((), ())
        The values of each dimension, if it is a column of categories.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes with the points.
    figure_ : matplotlib Figure
        The figure with the axes.

    See Also
    --------
    ChangeDisplay : Which columns the lessons change.

    References
    ----------
    .. [1] M. Livanos, I. Davidson, S. Wong. "Cooperative Knowledge Distillation: A
       Learner Agnostic Approach". AAAI 2024. arXiv:2402.05942.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skcoop import make_distiller
    >>> from skcoop.inspection import LessonDisplay
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> distiller = make_distiller(
    ...     GaussianNB(), DecisionTreeClassifier(max_depth=1), random_state=0
    ... ).fit(X, y)
    >>> display = LessonDisplay.from_estimator(
    ...     distiller, X, y, method=["petal length (cm)", "petal width (cm)"]
    ... )
    >>> display.axis_names
    ('petal length (cm)', 'petal width (cm)')
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        rows: FloatMatrix,
        row_labels: NDArray[Any],
        lessons: FloatMatrix,
        lesson_labels: NDArray[Any],
        sources: NDArray[np.intp],
        axis_names: tuple[str, str],
        levels: Sequence[Sequence[str]] = ((), ()),
    ):
        self.rows = rows
        self.row_labels = row_labels
        self.lessons = lessons
        self.lesson_labels = lesson_labels
        self.sources = sources
        self.axis_names = axis_names
        self.levels = levels

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        method: Any = "pca",
        kept_only: bool = True,
        subsample: int | None = 1000,
        random_state: Any = None,
        ax: Any = None,
    ) -> LessonDisplay:
        """Draw the lessons of a distiller among the rows that it was fitted on.

        Parameters
        ----------
        estimator : CooperativeDistiller
            A fitted distiller.
        X : {array-like, dataframe} of shape (n_samples, n_features)
            The rows that were passed to ``fit``; the distiller does not keep them.
        y : array-like of shape (n_samples,)
            Their classes.
        method : {"pca", "tsne"} or list of two column names, default="pca"
            How many columns become two. The principal components are those of the
            rows; t-SNE is of the rows and lessons drawn. Both see standardised numbers,
            a column for each category, and the mean where a cell is missing. With two
            columns, points with a missing cell are left out.
        kept_only : bool, default=True
            Whether to leave out the lessons that their students did not keep.
        subsample : int, default=1000
            Most lessons, and most rows beside those that lessons were made from, to
            draw; None for all.
        random_state : int, RandomState instance or None, default=None
            Seeds the choice of the rows and lessons, and t-SNE.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : LessonDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the rows are not those of ``fit``, a column is not among them, or the
            method is unknown.
        """
        check_distiller(estimator, cls)
        if estimator.silo_column is not None and is_frame(X):
            X = without_column(X, estimator.silo_column)
        X, y = X if is_frame(X) else np.asarray(X), np.asarray(y)
        table = estimator.lessons_
        table = table[table["kept"]] if kept_only else table
        cells = [c for c in table if c.startswith("x__")]
        _check_rows(X, y, estimator.lessons_, [c.removeprefix("x__") for c in cells])
        generator = check_random_state(random_state)
        if subsample is not None and len(table) > subsample:
            table = table.iloc[generator.permutation(len(table))[:subsample]]
        shown = _rows_to_show(len(y), table["source_row"], subsample, generator)

        codec = TableCodec(X)
        Z = codec.encode(X)
        drawn = codec.encode(table[cells].set_axis(codec.names, axis=1))
        places, axis_names, levels = _places(codec, Z, shown, drawn, method, generator)
        display = cls(
            rows=places[: len(shown)],
            row_labels=y[shown],
            lessons=places[len(shown) :],
            lesson_labels=table["label"].to_numpy(),
            sources=np.searchsorted(shown, table["source_row"]),
            axis_names=axis_names,
            levels=levels,
        )
        return display.plot(ax=ax)

    def plot(self, *, ax: Any = None) -> LessonDisplay:
        """Draw the rows hollow and the lessons filled, and lines between them.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : LessonDisplay
            Itself.
        """
        self.ax_ = axes(ax, self, (6.4, 4.4))
        self.figure_ = self.ax_.figure
        ways = np.stack([self.rows[self.sources], self.lessons])
        self.ax_.plot(
            *(ways[:, :, 0], ways[:, :, 1]), color=GREY, linewidth=0.6, alpha=0.5
        )
        hollow = {"facecolors": "none", "linewidths": 0.8, "s": 16, "alpha": 0.45}
        full = {"edgecolors": "black", "linewidths": 0.6, "s": 30, "zorder": 3}
        labels = np.unique(self.row_labels)
        handles = []
        for k, label in enumerate(labels):
            color, marker = COLORS[k % len(COLORS)], MARKERS[k % len(MARKERS)]
            rows = self.rows[self.row_labels == label]
            lessons = self.lessons[self.lesson_labels == label]
            self.ax_.scatter(*rows.T, edgecolors=color, marker=marker, **hollow)
            handles.append(
                self.ax_.scatter(*lessons.T, color=color, marker=marker, **full)
            )
        names = [f"class {text_of(label)}" for label in labels]
        for name, look in [("lesson", full), ("row", hollow)]:
            look = {"edgecolors": "black", "facecolors": GREY, **look}
            handles.append(self.ax_.scatter([], [], **look))
            names.append(name)
        if not len(self.lessons):
            self.ax_.set_title("no lesson was kept")
        self.ax_.set_xlabel(text_of(self.axis_names[0]))
        self.ax_.set_ylabel(text_of(self.axis_names[1]))
        _name_levels(self.ax_.xaxis, self.levels[0])
        _name_levels(self.ax_.yaxis, self.levels[1])
        place = {"loc": "upper left", "bbox_to_anchor": (1, 1), "frameon": False}
        self.ax_.legend(handles, names, ncols=1 + len(names) // 15, **place)
        return self


def _check_rows(
    X: Any, y: NDArray[Any], lessons: pd.DataFrame, names: list[str]
) -> None:
    given = [str(name) for name in column_names(X)]
    if given != names:
        odd = sorted(set(given) ^ set(names))
        raise ValueError(
            "X must have the columns that the distiller was fitted on, in their order; "
            f"these differ: {odd or 'none, but the order'}. Pass the X that was passed "
            "to fit."
        )
    if _num_samples(X) != len(y):
        raise ValueError(
            f"X has {_num_samples(X)} rows and y has {len(y)}. Pass the X and y that "
            "were passed to fit."
        )
    sources = lessons["source_row"].to_numpy()
    fits = len(y) > sources.max(initial=-1)
    if not fits or not (y[sources] == lessons["label"].to_numpy()).all():
        raise ValueError(
            "The lessons were not made from these rows: their classes differ, or there "
            "are too few. Pass the X and y that were passed to fit, in their order."
        )


def _rows_to_show(
    n_rows: int, sources: pd.Series, subsample: int | None, generator: Any
) -> NDArray[np.intp]:
    """Choose rows to draw: all sources of the lessons and, of the others, a sample."""
    if subsample is None or n_rows <= subsample:
        return np.arange(n_rows)
    return np.union1d(generator.permutation(n_rows)[:subsample], sources)


def _places(
    codec: TableCodec,
    Z: FloatMatrix,
    shown: NDArray[np.intp],
    lessons: FloatMatrix,
    method: Any,
    generator: Any,
) -> tuple[FloatMatrix, tuple[str, str], list[list[str]]]:
    """Place the rows that are shown, and then the lessons, in two dimensions."""
    both = np.vstack([Z[shown], lessons])
    if not isinstance(method, str):
        return _two_columns(codec, both, method)
    if method not in ("pca", "tsne"):
        raise ValueError(
            f"method must be 'pca', 'tsne' or a list of two columns, got {method!r}."
        )
    rows, points = _standardised(codec, Z, both)
    if method == "tsne":
        reducer = TSNE(perplexity=min(30, (len(both) - 1) / 3), random_state=generator)
        return reducer.fit_transform(points), ("t-SNE 1", "t-SNE 2"), [[], []]
    reducer = PCA(min(2, rows.shape[1])).fit(rows)
    places = reducer.transform(points)
    shares = [f"{100 * share:.0f} %" for share in reducer.explained_variance_ratio_]
    if places.shape[1] == 1:  # a table of one column
        places, shares = (
            np.column_stack([places, np.zeros(len(places))]),
            [*shares, "-"],
        )
    names = (f"component 1 ({shares[0]})", f"component 2 ({shares[1]})")
    return places, names, [[], []]


def _two_columns(
    codec: TableCodec, both: FloatMatrix, method: Any
) -> tuple[FloatMatrix, tuple[str, str], list[list[str]]]:
    names = list(codec.names)
    unknown = [column for column in method if column not in names]
    if len(method) != 2 or unknown:
        raise ValueError(
            f"method must name two columns of X, got {list(method)!r}"
            + (f"; X has no {unknown!r}." if unknown else ".")
        )
    numbers = [names.index(column) for column in method]
    levels = [list(map(str, codec.levels_of(j))) for j in numbers]
    return both[:, numbers], (str(method[0]), str(method[1])), levels


def _standardised(
    codec: TableCodec, Z: FloatMatrix, both: FloatMatrix
) -> tuple[FloatMatrix, FloatMatrix]:
    """Standardise numbers and open up categories; what is missing lies at the mean."""
    numbers = codec.varies & ~codec.coded
    scaler = StandardScaler().fit(Z[:, numbers])
    parts = [[np.nan_to_num(scaler.transform(own[:, numbers]))] for own in (Z, both)]
    for j in np.flatnonzero(codec.varies & codec.coded):
        codes = np.unique(Z[np.isfinite(Z[:, j]), j])
        for part, own in zip(parts, (Z, both), strict=True):
            # Two rows of different categories are 1 apart.
            part.append((own[:, [j]] == codes) / np.sqrt(2))
    return np.hstack(parts[0]), np.hstack(parts[1])


def _name_levels(axis: Any, levels: Sequence[str]) -> None:
    if len(levels):
        axis.set_ticks(range(len(levels)), [text_of(level) for level in levels])
