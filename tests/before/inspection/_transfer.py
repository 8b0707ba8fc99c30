# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""TransferDisplay: who taught whom, and what it gave."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tests.before.inspection._style import (
    axes,
    check_distiller,
    heat_map,
    name_cells,
    text_of,
    unit_of,
)


class TransferDisplay:
    """Who taught whom: a matrix of lessons, or of what they gave.

    It is made by :meth:`from_estimator`. The parameters are stored as attributes.

    Parameters
    ----------
    lessons : pandas.DataFrame of shape (n_members, n_members)
        Number of lessons that were kept, a line for each teacher and a column for each
        student.
    gains : pandas.DataFrame of shape (n_members, n_members)
        What the student's out-of-fold score gained by them. A refit learns from
        several teachers at once: its gain is shared out by the number of lessons.
    score : str, default="balanced_accuracy"
        Name of the score. Gains of accuracies are shown in points.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes with the matrix.
    figure_ : matplotlib Figure
        The figure with the axes.

    See Also
    --------
    HistoryDisplay : The score of each member by round.
    ChangeDisplay : What the teachers changed.

    References
    ----------
    .. [1] M. Livanos, I. Davidson, S. Wong. "Cooperative Knowledge Distillation: A
       Learner Agnostic Approach". AAAI 2024. arXiv:2402.05942.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skcoop import make_distiller
    >>> from skcoop.inspection import TransferDisplay
    >>> X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    >>> distiller = make_distiller(
    ...     GaussianNB(), DecisionTreeClassifier(max_depth=3), n_rounds=1,
    ...     random_state=0,
    ... ).fit(X, y)
    >>> display = TransferDisplay.from_estimator(distiller)
    >>> list(display.lessons.columns)
    ['gaussiannb', 'decisiontreeclassifier']
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        lessons: pd.DataFrame,
        gains: pd.DataFrame,
        score: str = "balanced_accuracy",
    ):
        self.lessons = lessons
        self.gains = gains
        self.score = score

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        round: int | None = None,
        values: str = "lessons",
        cmap: str | None = None,
        ax: Any = None,
    ) -> TransferDisplay:
        """Draw who taught whom in the fit of a distiller.

        Parameters
        ----------
        estimator : CooperativeDistiller
            A fitted distiller.
        round : int, default=None
            The round to show; all of them together by default.
        values : {"lessons", "gains"}, default="lessons"
            What the cells show: numbers of lessons, or gains.
        cmap : str, default=None
            Name of a matplotlib colour map. The default is safe for colour-blind
            readers.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : TransferDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If there was no such round.
        """
        check_distiller(estimator, cls)
        lessons, gains = transfer(estimator, round)
        score = str(estimator.scores_.columns.name)
        display = cls(lessons=lessons, gains=gains, score=score)
        return display.plot(values=values, cmap=cmap, ax=ax)

    def plot(
        self, *, values: str = "lessons", cmap: str | None = None, ax: Any = None
    ) -> TransferDisplay:
        """Draw the matrix.

        Parameters
        ----------
        values : {"lessons", "gains"}, default="lessons"
            What the cells show: numbers of lessons, or gains.
        cmap : str, default=None
            Name of a matplotlib colour map.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : TransferDisplay
            Itself.

        Raises
        ------
        ValueError
            If `values` is none of the two.
        """
        if values not in ("lessons", "gains"):
            raise ValueError(f"values must be 'lessons' or 'gains', got {values!r}.")
        factor, sign, unit = unit_of(self.score)
        side = 2.0 + 0.7 * len(self.lessons)
        self.ax_ = axes(ax, self, (side + 1.0, side))
        self.figure_ = self.ax_.figure
        if values == "lessons":
            table, form, cmap = self.lessons, "{:.0f}", cmap or "Blues"
            limits, label = (0, max(1, table.to_numpy().max())), "lessons kept"
        else:
            # Nobody judged where a gain is unknown.
            table, form = factor * self.gains, f"{{:{sign}}}"
            most = max(0.001 * factor, np.nan_to_num(np.abs(table)).max())
            some_lose = bool((table < 0).any(axis=None))
            cmap = cmap or ("PuOr" if some_lose else "Purples")
            limits = (-most if some_lose else 0, most)
            label = f"gain out of fold, {unit}"
        table = table.mask(np.eye(len(table), dtype=bool)).astype(float)
        texts = np.vectorize(lambda x: "" if np.isnan(x) else form.format(x))(table)
        texts[(self.lessons == 0).to_numpy()] = ""
        image = heat_map(self.ax_, table, texts, cmap=cmap, limits=limits)
        totals = factor * self.gains.sum(skipna=False)
        names = [
            text_of(name) + ("" if np.isnan(total) else f"\n{total:{sign}}")
            for name, total in totals.items()
        ]
        name_cells(self.ax_, [text_of(name) for name in table.index], names)
        self.ax_.set_xlabel(f"student, and its gain out of fold in {unit}")
        self.ax_.set_ylabel("teacher")
        if not self.lessons.to_numpy().any():
            self.ax_.set_title("no lesson was kept")
        self.figure_.colorbar(image, ax=self.ax_, label=label)
        return self


def transfer(estimator: Any, round: int | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return kept lessons and gains by teacher and student, of one round or of all."""
    history, lessons = estimator.history_, estimator.lessons_
    if round is not None:
        last = len(estimator.scores_) - 1
        if round not in range(1, last + 1):
            raise ValueError(
                f"There was no round {round!r}: this distiller has {last}, counted "
                "from 1. Pass one of them, or None for all."
            )
        history = history[history["round"] == round]
        lessons = lessons[lessons["round"] == round]
    members = list(estimator.scores_.columns)
    kept = lessons[lessons["kept"]].assign(n=1)
    return (
        _matrix(kept, "n", members).astype("int64"),
        _matrix(_shared_gains(history), "gain", members),
    )


def _matrix(table: pd.DataFrame, column: str, members: list[str]) -> pd.DataFrame:
    """Sum a column by teacher and student; nothing is 0, unknown stays NaN."""
    summed = table.groupby(["teacher", "student"])[column].agg(
        lambda values: values.sum(skipna=False)
    )
    pairs = pd.MultiIndex.from_product([members, members], names=["teacher", "student"])
    return summed.reindex(pairs, fill_value=0).unstack().loc[members, members]


def _shared_gains(history: pd.DataFrame) -> pd.DataFrame:
    """Share out the gain of each refit that was kept among the student's teachers."""
    accepted = history[history["accepted"]]
    kept = accepted["kept"]
    share = kept / kept.groupby([accepted["round"], accepted["student"]]).transform(
        "sum"
    )
    gain = accepted["score_after"] - accepted["score_before"]
    return accepted.assign(gain=share * gain)
