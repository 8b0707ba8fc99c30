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

from skcoop._cooperative._gate import Gate, Parts, Verdict
from skcoop._members._scores import FoldScores, gains, not_judged


class HonestGains:
    """Follows the members on the path that the other folds chose, for each fold.

    Parameters
    ----------
    gate : Gate
        What judges.
    start : list of dict
        By member and silo, what is said of its predictions before any lesson.
    """

    def __init__(self, gate: Gate, start: Sequence[Parts]):
        self.gate, self.start = gate, start
        # By member and fold: what is said of the member that the fold scores.
        self.paths = [[parts] * gate.n_folds for parts in start]
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
        self.paths[student] = [self.start[student]] * self.gate.n_folds
        self.unknown.discard(student)

    @property
    def anybody_moved(self) -> bool:
        """Whether some fold scores another member than before any lesson."""
        return any(
            parts is not start
            for start, path in zip(self.start, self.paths, strict=True)
            for parts in path
        )

    def table(
        self, names: Sequence[str], before: FoldScores, after: FoldScores
    ) -> pd.DataFrame:
        """Return score before and after, gain and its standard error.

        Parameters
        ----------
        names : list of str
            The members' names.
        before, after : FoldScores
            Scores of all members combined.

        Returns
        -------
        gains : pandas.DataFrame
            A line for each member, and one for the combination at the end.
        """
        lines = [_line(*self._scores(k)) for k in range(len(names))]
        lines.append(_line(before, after))
        index = pd.Index([*names, "combined"], name="model")
        return pd.DataFrame(lines, index=index).rename_axis(
            columns=self.gate.score.name
        )

    def _scores(self, k: int) -> tuple[FoldScores, FoldScores]:
        """Score a member before any lesson, and each fold on its own path."""
        start, path = self.start[k], self.paths[k]
        judges = self.gate.heard(k, start, *path)
        nothing = not_judged(self.gate.n_folds)
        if not judges:
            return nothing, nothing
        before = self.gate.score.of([start[s] for s in judges])
        if k in self.unknown:
            return before, nothing
        mixed = [start[s].with_folds([parts[s] for parts in path]) for s in judges]
        return before, self.gate.score.of(mixed)


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
