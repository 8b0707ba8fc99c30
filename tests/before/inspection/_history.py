# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""HistoryDisplay: each member's score by round, and what was refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tests.before.inspection._style import (
    COLORS,
    GREY,
    MARKERS,
    axes,
    check_distiller,
    say_nothing_to_draw,
    text_of,
    words_of,
)


class HistoryDisplay:
    """Each member's out-of-fold score by round, with the refits that were refused.

    It is made by :meth:`from_estimator`. The parameters are stored as attributes.

    Parameters
    ----------
    scores : pandas.DataFrame of shape (n_rounds + 1, n_members)
        Out-of-fold score of each member after each round; line 0 is before any lesson.
        The name of the columns is that of the score.
    refusals : pandas.DataFrame
        One line for each refit that was not kept: `round`, `student`, `score_before`,
        `score_after` (NaN where it failed), `standard_error` of the gain, `reason` and
        `failure`.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes with the lines.
    figure_ : matplotlib Figure
        The figure with the axes.

    See Also
    --------
    TransferDisplay : Who taught whom.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skcoop import make_distiller
    >>> from skcoop.inspection import HistoryDisplay
    >>> X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    >>> distiller = make_distiller(
    ...     GaussianNB(), DecisionTreeClassifier(max_depth=3), n_rounds=1,
    ...     random_state=0,
    ... ).fit(X, y)
    >>> display = HistoryDisplay.from_estimator(distiller)
    >>> display.scores.shape
    (2, 2)
    >>> plt.close(display.figure_)
    """

    def __init__(self, *, scores: pd.DataFrame, refusals: pd.DataFrame):
        self.scores = scores
        self.refusals = refusals

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> HistoryDisplay:
        """Draw the scores of a distiller's members.

        Parameters
        ----------
        estimator : CooperativeDistiller
            A fitted distiller.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : HistoryDisplay
            The display, drawn.
        """
        check_distiller(estimator, cls)
        display = cls(scores=estimator.scores_, refusals=refusals(estimator.history_))
        return display.plot(ax=ax)

    def plot(self, *, ax: Any = None) -> HistoryDisplay:
        """Draw a line for each member, and a cross for each refit that was refused.

        A dotted line leads from the score that the member kept to the score that it
        would have had. A refit that failed has no score: its cross lies on the line.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : HistoryDisplay
            Itself.
        """
        self.ax_ = axes(ax, self, (6.4, 4.0))
        self.figure_ = self.ax_.figure
        if self.scores.isna().to_numpy().all():
            say_nothing_to_draw(self.ax_, "nobody judged the members")
            return self
        colors = {}
        for k, (member, scores) in enumerate(self.scores.items()):
            colors[member] = COLORS[k % len(COLORS)]
            self.ax_.plot(
                *(scores.index, scores),
                color=colors[member],
                marker=MARKERS[k % len(MARKERS)],
                linestyle=("-", "--", "-.")[k // len(COLORS) % 3],
            )
        lines = list(self.ax_.lines)
        labels = [text_of(member) for member in self.scores.columns]
        for _, refusal in self.refusals.iterrows():
            kept, refused = refusal["score_before"], refusal["score_after"]
            refused = kept if np.isnan(refused) else refused
            now = refusal["round"]
            color = colors[refusal["student"]]
            self.ax_.plot([now - 1, now], [kept, refused], ":", color=color)
            self.ax_.plot(now, refused, "x", color="black", zorder=3)
        if len(self.refusals):
            lines.append(self.ax_.lines[-1])
            labels.append("refused or failed")
        if self.scores.loc[:, self.scores.iloc[0].notna()].isna().any(axis=None):
            self.ax_.set_title("not all refits were judged")
        self.ax_.set_xticks(self.scores.index)
        self.ax_.set_xlabel("round")
        score = words_of(str(self.scores.columns.name or "score"))
        self.ax_.set_ylabel(f"{score} out of fold")
        self.ax_.grid(axis="y", color=GREY, alpha=0.3)
        self.ax_.spines[["top", "right"]].set_visible(False)
        place = {"loc": "upper left", "bbox_to_anchor": (1, 1), "frameon": False}
        self.ax_.legend(lines, labels, **place)
        return self


def refusals(history: pd.DataFrame) -> pd.DataFrame:
    """Return one line for each refit that its student did not keep."""
    tried = history[(history["taught"] > 0) & ~history["accepted"]]
    columns = ["round", "student", "score_before", "score_after"]
    columns += ["standard_error", "reason", "failure"]
    return tried[columns].drop_duplicates(["round", "student"], ignore_index=True)
