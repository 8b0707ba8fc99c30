# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Accept or refuse: a refit stays only if it is better on rows it did not see."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcoop._members._scores import FoldScores, Score, gains, is_clear, standard_error

# By silo, what it says of a member's predictions: Sums, or RowAnswers.
Parts = Mapping[int, Any]


@dataclass
class Verdict:
    """What the gate decided for one student in one round.

    Attributes
    ----------
    accepted : bool
        Whether the student keeps the refit.
    accepted_without : ndarray of bool, shape (n_folds,)
        The same, decided without each of the folds.
    tried : dict or None
        What silos say of the refit, kept or not; None if there was no need of it.
    score_before, score_after : float
        Out-of-fold score before and after the refit.
    standard_error : float
        Of the gain; what the gain had to be more than.
    reason : str
        Why the refit was refused, and which folds did not judge.
    failure : str
        What the member raised in a refit, if it did.
    """

    accepted: bool
    accepted_without: NDArray[np.bool_]
    tried: Parts | None
    score_before: float
    score_after: float
    standard_error: float = np.nan
    reason: str = ""
    failure: str = ""


@dataclass(frozen=True)
class Gate:
    """What decides whether a refit is kept.

    Attributes
    ----------
    score : Score
        What a refit is judged by.
    accept : {"all", "own", "robust"} or None
        Rows that judge; ``"robust"`` wants a gain without any single silo, too; None
        keeps every refit.
    homes : ndarray of int, shape (n_members,)
        The silo of each member, -1 for a guest.
    credible : ndarray of bool, shape (n_silos,)
        Silos that judge.
    n_folds : int
        Number of folds.
    is_clear : callable
        Tells whether gains are more than luck.
    """

    score: Score
    accept: str | None
    homes: NDArray[np.intp]
    credible: NDArray[np.bool_]
    n_folds: int
    is_clear: Callable[[NDArray[np.float64]], bool] = is_clear

    def judges(self, member: int) -> list[int]:
        """Return the silos that judge a member's refit."""
        judges = self.credible.copy()
        if self.accept == "own":
            judges &= np.arange(len(judges)) == self.homes[member]
        return np.flatnonzero(judges).tolist()

    def heard(self, member: int, *versions: Parts) -> list[int]:
        """Return the judges that said something of all versions of a member."""
        return [s for s in self.judges(member) if all(s in said for said in versions)]

    def present_score(self, member: int, name: str, parts: Parts) -> float:
        """Score a member on the rows that judge it, NaN where there are none.

        Raises
        ------
        ValueError
            If the user's scorer fails in all folds.
        """
        judges = self.heard(member, parts)
        if not judges:
            return np.nan
        present = self.score.of([parts[s] for s in judges])
        if len(present.failures) == self.n_folds:
            raise ValueError(
                f"scoring={self.score.name!r} gives no score of member {name!r} in any "
                f"fold ({', '.join(set(present.failures))}). Choose a score that suits "
                "the labels, such as None."
            )
        return present.total

    def kept_blindly(self) -> Verdict:
        """Keep lessons without a refit, because nobody needs its predictions."""
        everywhere = np.ones(self.n_folds, dtype=bool)
        return Verdict(True, everywhere, None, np.nan, np.nan)

    def failed(self, member: int, before: Parts, failure: str) -> Verdict:
        """Refuse a refit that failed."""
        nowhere = np.zeros(self.n_folds, dtype=bool)
        judges = self.heard(member, before)
        was = self.score.of([before[s] for s in judges]).total if judges else np.nan
        return Verdict(False, nowhere, before, was, np.nan, failure=failure)

    def decide(self, member: int, before: Parts, after: Parts) -> Verdict:
        """Keep a refit if it proves better.

        Its gain, judged fold by fold, must be more than its standard error: a gain of
        a few rows is as often luck.

        Parameters
        ----------
        member : int
            Number of the student.
        before, after : dict of int to Sums or RowAnswers
            What silos say of its present predictions and of those of the refit.
        """
        judges = self.heard(member, before, after)
        if not judges:
            nowhere = np.zeros(self.n_folds, dtype=bool)
            reason = "nobody judged it"
            return Verdict(False, nowhere, after, np.nan, np.nan, reason=reason)
        was, became = self._scores(judges, before), self._scores(judges, after)
        gained = [gains(was, became)]
        if self.accept == "robust" and len(judges) > 1:
            for left_out in judges:
                others = [s for s in judges if s != left_out]
                gained.append(
                    gains(self._scores(others, before), self._scores(others, after))
                )
        folds = range(self.n_folds)
        without = [self._all_clear([np.delete(g, f) for g in gained]) for f in folds]
        accepted = self.accept is None or self._all_clear(gained)
        verdict = Verdict(
            accepted,
            np.array(without) | (self.accept is None),
            after,
            was.total,
            became.total,
            standard_error(gained[0]),
        )
        refused = "" if accepted else _why(verdict, self.is_clear(gained[0]))
        silent = _silent(became.failures, self.n_folds)
        verdict.reason = "; ".join(filter(None, [refused, silent]))
        return verdict

    def _scores(self, silos: Sequence[int], parts: Parts) -> FoldScores:
        return self.score.of([parts[s] for s in silos])

    def _all_clear(self, gained: Sequence[NDArray[np.float64]]) -> bool:
        return all(self.is_clear(by_fold) for by_fold in gained)


def _why(verdict: Verdict, is_clear: bool) -> str:
    """Say why a refit was refused, given whether its gain is clear over all."""
    if is_clear:
        return "the gain is not clear without one of the silos"
    gain = verdict.score_after - verdict.score_before
    if not gain > 0:
        return "no gain"
    return (
        f"the gain of {gain:.4f} is not more than its standard error, "
        f"{verdict.standard_error:.4f}"
    )


def _silent(failures: Sequence[str], n_folds: int) -> str:
    """Say which folds could not judge."""
    kinds = ", ".join(sorted(set(failures)))
    said = f"{len(failures)} of {n_folds} folds did not judge ({kinds})"
    return said if failures else ""
