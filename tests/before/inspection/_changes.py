# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""ChangeDisplay: which columns the teachers change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tests.before.inspection._style import (
    axes,
    check_distiller,
    heat_map,
    name_cells,
    say_nothing_to_draw,
    text_of,
)

_MOST_LINES = 30


class ChangeDisplay:
    """Which columns teachers change, by class.

    It is made by :meth:`from_estimator`. The parameters are stored as attributes.

    Parameters
    ----------
    shares : pandas.DataFrame of shape (n_teachers_and_classes, n_features)
        Share of the lessons that change a column. The lines have the teacher and the
        class of the lessons.
    counts : pandas.Series
        The number of lessons behind each line.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes with the heat map.
    figure_ : matplotlib Figure
        The figure with the axes.

    See Also
    --------
    LessonDisplay : Where the lessons lie.

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
    >>> from skcoop.inspection import ChangeDisplay
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> distiller = make_distiller(
    ...     GaussianNB(), DecisionTreeClassifier(max_depth=1), random_state=0
    ... ).fit(X, y)
    >>> display = ChangeDisplay.from_estimator(distiller)
    >>> display.shares.index.names
    FrozenList(['teacher', 'label'])
    >>> plt.close(display.figure_)
    """

    def __init__(self, *, shares: pd.DataFrame, counts: pd.Series):
        self.shares = shares
        self.counts = counts

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        teacher: str | None = None,
        kept_only: bool = True,
        max_columns: int = 20,
        cmap: str = "Blues",
        ax: Any = None,
    ) -> ChangeDisplay:
        """Draw the columns that the teachers of a distiller changed.

        Parameters
        ----------
        estimator : CooperativeDistiller
            A fitted distiller.
        teacher : str, default=None
            The teacher to show; all of them by default.
        kept_only : bool, default=True
            Whether to leave out the lessons that their students did not keep.
        max_columns : int, default=20
            Most columns to draw, those that are changed most.
        cmap : str, default="Blues"
            Name of a matplotlib colour map.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : ChangeDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If there is no such teacher.
        """
        check_distiller(estimator, cls)
        lessons = estimator.lessons_
        if teacher is not None:
            members = list(estimator.scores_.columns)
            if teacher not in members:
                raise ValueError(
                    f"There is no member {teacher!r}; the members are {members}."
                )
            lessons = lessons[lessons["teacher"] == teacher]
        names = [c.removeprefix("x__") for c in lessons if c.startswith("x__")]
        if kept_only:
            lessons = lessons[lessons["kept"]]
        groups = [lessons["teacher"], lessons["label"]]
        changed = pd.DataFrame(
            [np.isin(names, list(map(str, own))) for own in lessons["changed"]],
            index=lessons.index,
            columns=names,
            dtype=float,
        )
        display = cls(
            shares=changed.groupby(groups).mean(), counts=lessons.groupby(groups).size()
        )
        return display.plot(max_columns=max_columns, cmap=cmap, ax=ax)

    def plot(
        self, *, max_columns: int = 20, cmap: str = "Blues", ax: Any = None
    ) -> ChangeDisplay:
        """Draw the heat map, the most changed columns first.

        Of more than 30 teachers and classes, those with most lessons are drawn.

        Parameters
        ----------
        max_columns : int, default=20
            Most columns to draw.
        cmap : str, default="Blues"
            Name of a matplotlib colour map.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : ChangeDisplay
            Itself.
        """
        # The rarest lines and columns have the least to say.
        changed = self.shares.sum().sort_values(ascending=False, kind="stable")
        columns = changed.index[changed > 0]
        most = self.counts.sort_values(ascending=False, kind="stable")
        lines = most.index[:_MOST_LINES]
        shown = self.shares.loc[self.shares.index.isin(lines), columns[:max_columns]]
        size = (3.5 + 0.42 * shown.shape[1], 2.6 + 0.32 * len(shown))
        self.ax_ = axes(ax, self, size)
        self.figure_ = self.ax_.figure
        if not shown.size:
            say_nothing_to_draw(self.ax_, "no lesson was kept")
            return self
        texts = np.vectorize("{:.0f}".format)(100 * shown)
        texts[(shown == 0).to_numpy()] = ""
        image = heat_map(self.ax_, shown, texts, cmap=cmap, limits=(0, 1))
        names = [
            f"{text_of(teacher)}, {text_of(label)} ({self.counts[teacher, label]})"
            for teacher, label in shown.index
        ]
        name_cells(self.ax_, names, [text_of(name) for name in shown])
        self.ax_.set_ylabel(f"teacher, class (lessons){_more(self.shares, shown)}")
        self.ax_.set_xlabel(
            f"column that the lessons change{_more(columns, shown.columns)}"
        )
        bar = self.figure_.colorbar(image, ax=self.ax_, label="share of lessons, %")
        bar.set_ticks([0, 0.5, 1], labels=["0", "50", "100"])
        return self


def _more(everything: Any, shown: Any) -> str:
    """Say how many were left out."""
    left_out = len(everything) - len(shown)
    return f" and {left_out} more" if left_out else ""
