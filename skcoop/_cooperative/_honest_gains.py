# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""What teaching gained, by folds that had no say in what was kept.

The score of a refit that was kept because its score was good is too good. So each fold
scores what the other folds would have kept: the gate's decisions are cross-fitted, as
the members are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skcoop._cooperative._combine import Combiner
from skcoop._cooperative._fitting import Judgement
from skcoop._cooperative._gate import Gate, Verdict
from skcoop._members._member import Member
from skcoop._members._scores import FoldScores, gains
from skcoop._tables._task import Task


class HonestGains:
    """Follows the members on the path that the other folds chose, for each fold.

    Parameters
    ----------
    task : Task
        The rows.
    members : list of Member
        All members.
    judgements : list of Judgement
        Their out-of-fold predictions before any lesson.
    gate : Gate
        What judges.
    """

    def __init__(
        self,
        task: Task,
        members: Sequence[Member],
        judgements: Sequence[Judgement],
        gate: Gate,
    ):
        self.task, self.members, self.gate = task, members, gate
        self.start = [judgement.proba for judgement in judgements]
        # By member and fold: the predictions of the member that the fold scores.
        self.paths = [[proba] * task.n_folds for proba in self.start]
        # Members with refits that nobody judged.
        self.unknown: set[int] = set()

    def copy(self) -> HonestGains:
        """Return one that can be finished while this one goes on."""
        twin = copy(self)
        twin.paths = [list(path) for path in self.paths]
        twin.unknown = set(self.unknown)
        return twin

    def follow(self, verdicts: Mapping[int, Verdict]) -> None:
        """Go on by one round."""
        for k, verdict in verdicts.items():
            if verdict.tried is None:  # nobody judged it
                self.unknown.add(k)
                continue
            for fold in np.flatnonzero(verdict.accepted_without):
                self.paths[k][fold] = verdict.tried

    def forget(self, student: int) -> None:
        """Go back to the start with a student whose last fit failed."""
        self.paths[student] = [self.start[student]] * self.task.n_folds
        self.unknown.discard(student)

    def table(self, combiner: Combiner) -> pd.DataFrame:
        """Return score before and after, gain and its standard error.

        Parameters
        ----------
        combiner : Combiner
            How the members' predictions become one.

        Returns
        -------
        gains : pandas.DataFrame
            A line for each member, and one for the combination at the end.
        """
        lines = [
            _line(self._score(k, self.start[k]), self._score(k, self._by_fold(k)))
            for k in range(len(self.members))
        ]
        before = self._combined(combiner, [np.array(self.start)] * self.task.n_folds)
        lines.append(_line(before, self._combined_after(combiner, before)))
        names = [*(member.name for member in self.members), "combined"]
        index = pd.Index(names, name="model")
        return pd.DataFrame(lines, index=index).rename_axis(
            columns=self.gate.score.name
        )

    @property
    def _nothing(self) -> FoldScores:
        return FoldScores(np.full(self.task.n_folds, np.nan), [])

    def _score(self, k: int, proba: NDArray[np.float64] | None) -> FoldScores:
        rows = self.gate.judges(self.task, self.members[k])
        if proba is None or not rows.any():
            return self._nothing
        return self.gate.score.of(self.task, proba, rows)

    def _by_fold(self, k: int) -> NDArray[np.float64] | None:
        """Take each fold's rows from the predictions that the fold scores."""
        if k in self.unknown:
            return None
        path = self.paths[k]
        if all(proba is path[0] for proba in path):
            return path[0]
        chosen = np.empty_like(path[0])
        for fold, proba in enumerate(path):
            rows = self.task.folds == fold
            chosen[rows] = proba[rows]
        return chosen

    def _combined_after(self, combiner: Combiner, before: FoldScores) -> FoldScores:
        if self.unknown:
            return self._nothing
        paths = list(zip(*self.paths, strict=True))
        if all(p is s for path in paths for p, s in zip(path, self.start, strict=True)):
            return before  # final estimators need not be fitted again
        return self._combined(combiner, [np.array(path) for path in paths])

    def _combined(
        self, combiner: Combiner, by_fold: Sequence[NDArray[np.float64]]
    ) -> FoldScores:
        judges = self.task.judges
        said = combiner.out_of_fold(self.task, by_fold, judges)
        return self.gate.score.of(self.task, said, judges)


def _line(before: FoldScores, after: FoldScores) -> dict[str, float]:
    gained = gains(before, after)
    known = gained[~np.isnan(gained)]
    n = len(known)
    # Folds' shares of the gain are as good as independent.
    error = np.sqrt(n) * np.std(known, ddof=1) if n > 1 else np.nan
    return {
        "before": before.total,
        "after": after.total,
        "gain": float(known.sum()) if n else np.nan,
        "standard_error": float(error),
    }
