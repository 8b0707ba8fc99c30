# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Report: what a fit did, in one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator

from skcoop._members._checks import is_dropped
from skcoop._members._member import gives_probabilities
from skcoop._tables._frames import (
    column_names,
    is_frame,
    is_pandas,
    take,
    to_plain_pandas,
)
from skcoop.inspection._history import refusals
from skcoop.inspection._page import page, section
from skcoop.inspection._style import check_distiller, words_of
from skcoop.inspection._transfer import transfer

_MOST_LESSONS_TOLD = 6
_COUNTS = ["deficiencies", "asked", "found", "rechecked", "taught", "kept"]


@dataclass
class ToldLesson:
    """One lesson as the report tells it.

    Attributes
    ----------
    line : Series
        Its line of `lessons_`.
    cells : DataFrame
        A line for each column of the table: `lesson`, `changed` (by the teacher), and
        `row`, the cell of the row that the lesson was made from, where it is known.
    """

    line: pd.Series
    cells: pd.DataFrame


class Report:
    """What a fit did, for a notebook or as a page of its own.

    It is made by :meth:`from_estimator`, or read from ``distiller.report_``. The
    parameters are stored as attributes.

    Parameters
    ----------
    verdict : str
        Whether it helped, in a sentence.
    members : pandas.DataFrame
        One line for each member: what it is, how many lessons it kept, its out-of-fold
        score before and after, and the gain, as `gains_` of the distiller has them. The
        name of the columns is that of the score.
    transfer : list of (str, pandas.DataFrame, pandas.DataFrame)
        Lessons and gains by teacher and student, for all rounds and for each.
    told : list of ToldLesson
        The most telling lessons: those that raise the teacher's probability most for
        each column that they change, one for a teacher, student and class.
    counts : pandas.DataFrame
        What became of the deficiencies, a line for each round.
    refusals : pandas.DataFrame
        The refits that were not kept.
    failures : list of str
        What went wrong.
    set_aside : list of str
        Silos whose rows neither taught nor judged, and why.

    See Also
    --------
    TransferDisplay : Draws who taught whom.
    HistoryDisplay : Draws the scores by round.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skcoop import CooperativeDistiller
    >>> X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    >>> distiller = CooperativeDistiller(
    ...     [("small", GaussianNB()), ("large", DecisionTreeClassifier(max_depth=3))],
    ...     random_state=0,
    ... ).fit(X, y, silos=np.where(X["mean radius"] < 13, "small", "large"))
    >>> print(distiller.report_.verdict)
    2 of 2 members got better: their mean balanced accuracy out of fold rose from ...
    >>> distiller.report_.save("report.html")  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        verdict: str,
        members: pd.DataFrame,
        transfer: Sequence[tuple[str, pd.DataFrame, pd.DataFrame]],
        told: Sequence[ToldLesson],
        counts: pd.DataFrame,
        refusals: pd.DataFrame,
        failures: Sequence[str],
        set_aside: Sequence[str] = (),
    ):
        self.verdict = verdict
        self.members = members
        self.transfer = transfer
        self.told = told
        self.counts = counts
        self.refusals = refusals
        self.failures = failures
        self.set_aside = set_aside

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any = None) -> Report:
        """Collect what a distiller's record says.

        Parameters
        ----------
        estimator : CooperativeDistiller
            A fitted distiller.
        X : {array-like, dataframe} of shape (n_samples, n_features), default=None
            The rows that were passed to ``fit``, to show beside the lessons that were
            made from them. The distiller does not keep them.

        Returns
        -------
        report : Report
            The report.

        Raises
        ------
        ValueError
            If the lessons were not made from these rows.
        """
        check_distiller(estimator, cls)
        history, scores = estimator.history_, estimator.scores_
        started = history["round"] == 0
        set_aside = history.loc[started, "reason"].tolist()
        history = history[~started]
        rounds = [None, *range(1, len(scores))] if len(scores) > 2 else [None]
        failures = history.loc[history["failure"] != "", "student":"failure"]
        return cls(
            verdict=_verdict(estimator),
            members=_members(estimator),
            transfer=[
                ("All rounds" if number is None else f"Round {number}", *parts)
                for number in rounds
                for parts in [transfer(estimator, number)]
            ],
            told=_tell(estimator, X),
            counts=history.groupby("round")[_COUNTS].sum().reset_index(),
            refusals=refusals(history),
            failures=list(
                dict.fromkeys(
                    f"{line['student']}, taught by {line['teacher']}: {line['failure']}"
                    for _, line in failures.iterrows()
                )
            ),
            set_aside=set_aside,
        )

    def save(self, path: Any) -> None:
        """Write the report as one page that needs nothing else, not even a network.

        Parameters
        ----------
        path : str or path-like
            The file to write, as in ``"report.html"``.
        """
        Path(path).write_text(page(self), encoding="utf-8")

    def _repr_html_(self) -> str:
        return section(self)

    def __repr__(self) -> str:
        lines = [self.verdict, *(f"Set aside: {reason}." for reason in self.set_aside)]
        return "\n".join([*lines, "", self.members.to_string(index=False)])


def _verdict(estimator: Any) -> str:
    """Say in a sentence whether it helped."""
    scores, lessons = estimator.scores_, estimator.lessons_
    if len(scores) == 1:
        return "The members are as they were: no round of teaching took place."
    if not any(
        gives_probabilities([model], estimator.named_estimators[name])
        for name, model in estimator.named_estimators_.items()
        if not is_dropped(model)
    ):
        return (
            "The members are as they were: none of them has predict_proba, so none "
            "could teach."
        )
    if not len(lessons):
        return (
            "The members are as they were: where one was wrong, no teacher that it "
            "could trust had an answer."
        )
    # A guest without rows of its own is judged by none of them.
    gains = estimator.gains_.iloc[:-1]  # the last line is the combination
    gains = gains[gains["before"].notna()]
    before, after = gains["before"], gains["after"]
    if after.isna().any():
        return (
            f"Nobody judged the refits: {lessons['kept'].sum()} lessons were kept, and "
            "only rows that were not trained on can tell whether they help."
        )
    better = int((after > before).sum())
    if not lessons["kept"].any():
        return (
            "The members are as they were: no refit was clearly better on rows that it "
            "did not see."
        )
    direction = "rose" if after.mean() > before.mean() else "went"
    return (
        f"{better} of {len(after)} members got better: their mean "
        f"{words_of(gains.columns.name)} out of fold {direction} from "
        f"{before.mean():.3f} to {after.mean():.3f}."
    )


def _members(estimator: Any) -> pd.DataFrame:
    gains = estimator.gains_.iloc[:-1]
    kept = estimator.lessons_.loc[estimator.lessons_["kept"], "student"].value_counts()
    lines = []
    for name in estimator.scores_.columns:
        model = estimator.named_estimators[name]
        frozen = isinstance(model, FrozenEstimator)
        model = model.estimator if frozen else model
        model = model[-1] if hasattr(model, "steps") else model
        lines.append(
            {
                "member": name,
                "model": type(model).__name__ + (", frozen" if frozen else ""),
                "lessons": int(kept.get(name, 0)),
                **gains.loc[name, ["before", "after", "gain"]],
            }
        )
    return pd.DataFrame(lines).rename_axis(columns=gains.columns.name)


def _tell(estimator: Any, X: Any) -> list[ToldLesson]:
    """Choose the most telling lessons and put them beside their rows."""
    kept = estimator.lessons_[estimator.lessons_["kept"]]
    rise = kept["proba_after"] - kept["proba_before"]
    order = (-rise / kept["changed"].map(len)).argsort(kind="stable")
    told = kept.iloc[order].drop_duplicates(["teacher", "student", "label"])
    # Students share what a teacher says about a row.
    told = told.drop_duplicates(["teacher", "source_row"]).head(_MOST_LESSONS_TOLD)
    names = [c for c in kept if c.startswith("x__")]
    rows = None if X is None else _rows(estimator, X, names, told["source_row"])
    lessons = []
    for place, (_, line) in enumerate(told.iterrows()):
        changed = {f"x__{name}" for name in line["changed"]}
        cells = pd.DataFrame(
            {
                "lesson": pd.Series(line[names], dtype=object),
                "changed": [name in changed for name in names],
            }
        )
        if rows is not None:
            cells["row"] = pd.Series(rows[place], index=names, dtype=object)
            _check_same(line["source_row"], cells)
        lessons.append(ToldLesson(line.drop(names), _without_prefix(cells)))
    return lessons


def _without_prefix(cells: pd.DataFrame) -> pd.DataFrame:
    return cells.rename(index=lambda name: name.removeprefix("x__"))


def _rows(
    estimator: Any, X: Any, names: list[str], positions: pd.Series
) -> list[list[Any]]:
    """Return the cells of some rows of the user's table, without its silo column."""
    X = X if is_frame(X) else np.asarray(X)
    known = [f"x__{name}" for name in column_names(X)]
    silo = estimator.silo_column
    places = [j for j, name in enumerate(known) if silo is None or name != f"x__{silo}"]
    if [known[j] for j in places] != names:
        raise ValueError(
            "X does not have the columns that the distiller was fitted on. Pass the X "
            "that was passed to fit."
        )
    if len(positions) and X.shape[0] <= positions.max():
        raise ValueError(
            f"X has {X.shape[0]} rows, but a lesson was made from row "
            f"{positions.max()}. Pass the X that was passed to fit."
        )
    some = take(X, positions.to_numpy())
    if is_frame(some) and not is_pandas(some):
        some = to_plain_pandas(some)
    if is_pandas(some):
        return [[some.iloc[i, j] for j in places] for i in range(len(some))]
    return [list(row) for row in some]


def _check_same(position: int, cells: pd.DataFrame) -> None:
    """Refuse a row that differs from its lesson where the lesson has not changed it."""
    stayed = cells[~cells["changed"] & cells["row"].notna()]
    for name, cell in stayed.iterrows():
        row, lesson = cell["row"], cell["lesson"]
        if str(row) == str(lesson) or row == lesson:
            continue
        if not _is_close(row, lesson):
            column = str(name).removeprefix("x__")
            raise ValueError(
                f"Row {position} of X is not the one that a lesson was made from: its "
                f"column {column!r} holds {row!r}, the lesson {lesson!r}. Pass the X "
                "that was passed to fit."
            )


def _is_close(first: Any, second: Any) -> bool:
    try:
        return bool(np.isclose(float(first), float(second)))
    except (TypeError, ValueError):
        return False
