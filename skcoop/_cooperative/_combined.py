# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""The last step: members' predictions become one, from what silos say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcoop._cooperative._combine import Choice, Combiner, Problem, final_of
from skcoop._cooperative._credibility import Standing
from skcoop._cooperative._logistic_by_sums import LossSums, added, newton
from skcoop._cooperative._plan import Plan
from skcoop._cooperative._silos import Silos
from skcoop._members._scores import FoldScores, RowAnswers, not_judged, pooled


@dataclass
class Combined:
    """How members are combined in the end, and what that gained.

    Attributes
    ----------
    final : classifier or None
        The final estimator; None for a vote.
    before, after : FoldScores
        Of all members together, before any lesson and on the path of each fold.
    """

    final: Any
    before: FoldScores
    after: FoldScores


@dataclass(frozen=True)
class Combination:
    """All that is needed to combine members.

    Attributes
    ----------
    silos : Silos
        Who is asked.
    judges : list of int
        The silos whose rows a final estimator learns from.
    plan : Plan
        What all agreed on.
    combiner : Combiner
        How to combine.
    counts : ndarray of int, shape (n_classes, n_folds)
        Rows of these silos.
    """

    silos: Silos
    judges: Sequence[int]
    plan: Plan
    combiner: Combiner
    counts: NDArray[np.intp]

    def of(self, now: Choice, *, moved: bool, judged: bool) -> Combined:
        """Combine members.

        Parameters
        ----------
        now : Choice
            The members as they are now.
        moved : bool
            Whether some fold scores another member than before any lesson.
        judged : bool
            Whether all refits were judged.
        """
        choices = [replace(now, when="start")]
        if judged and moved:  # else final estimators need not be found again
            choices.append(replace(now, when="path"))
        if self.combiner.stacks and self._by_sums:
            final, scores = self._by_newton(choices, now)
        else:
            final = self._fitted(now) if self.combiner.stacks else None
            scores = [self._scored(choice) for choice in choices]
        nothing = not_judged(self.plan.n_folds)
        return Combined(final, scores[0], scores[-1] if judged else nothing)

    @property
    def _by_sums(self) -> bool:
        own = isinstance(self.combiner.combine, str)
        return own and len(self.plan.silos) > 1

    def _by_newton(
        self, choices: Sequence[Choice], now: Choice
    ) -> tuple[Any, list[FoldScores]]:
        """Find the final estimator by sums, and those that each fold is scored by."""
        folds = range(self.plan.n_folds)
        wanted = [(choice, fold) for choice in choices for fold in folds]
        *each, last = self._solved([*wanted, (now, -1)])
        scores = []
        for number in range(len(choices)):
            own = each[number * len(folds) : (number + 1) * len(folds)]
            parts = self.silos.some(self.judges, "score_finals", problems=own)
            scores.append(self.plan.score.of(list(parts.values())))
        return final_of(last, self.plan.classes), scores

    def _fitted(self, now: Choice) -> Any:
        return self.combiner.fit(self._answers(now)[0])

    def _scored(self, choice: Choice) -> FoldScores:
        """Score members combined, each fold by what was learned from the others."""
        score, some = self.plan.score, self.judges
        if not self.combiner.stacks:
            how = self.combiner.combine
            parts = self.silos.some(some, "vote", choice=choice, how=how)
            return score.of(list(parts.values()))
        answers = self._answers(choice)
        by_fold = [each.proba for each in answers]
        if len(by_fold) == 1:  # all folds see the same
            by_fold *= self.plan.n_folds
        said = self.combiner.out_of_fold(answers[0], by_fold)
        return score.of([score.part(answers[0].task, answers[0].rows, said)])

    def _answers(self, choice: Choice) -> list[RowAnswers]:
        """Return what :meth:`Silo.answers` does, for the rows of all silos."""
        parts = self.silos.some(self.judges, "answers", choice=choice)
        return [pooled(own) for own in zip(*parts.values(), strict=True)]

    def _solved(self, wanted: Sequence[tuple[Choice, int]]) -> list[Problem]:
        """Find final estimators by sums, each without a fold (-1 for none)."""
        n_classes = len(self.plan.classes)
        n_members = len(wanted[0][0].members)
        n_inputs = n_members * (1 if n_classes == 2 else n_classes)
        nothing = np.zeros((1, n_inputs + 1))
        problems = [
            Problem(choice, fold, self._classes_outside(fold), nothing)
            for choice, fold in wanted
        ]
        # Where a single class is left, there is nothing to find.
        open_ones = [p for p in problems if len(p.classes) > 1]

        def ask(W: dict[int, NDArray[np.float64]]) -> dict[int, LossSums]:
            asked = [replace(open_ones[i], W=own) for i, own in W.items()]
            parts = self.silos.some(self.judges, "loss_sums", problems=asked)
            sums = zip(*parts.values(), strict=True)
            return {i: added(own) for i, own in zip(W, sums, strict=True)}

        sizes = [len(problem.classes) for problem in open_ones]
        while True:
            lost = set(self.silos.lost)
            found = newton(ask, n_inputs, sizes)
            if set(self.silos.lost) == lost:  # else begin anew without who was lost
                break
        for problem, W in zip(open_ones, found, strict=True):
            problem.W = W
        return problems

    def _classes_outside(self, fold: int) -> NDArray[np.intp]:
        counts = self.counts.sum(axis=1)
        if fold >= 0:
            counts = counts - self.counts[:, fold]
        return np.flatnonzero(counts)


def counts_of(standings: Sequence[Standing], silos: Sequence[int]) -> NDArray[np.intp]:
    """Count the rows of some silos, by class and fold."""
    return np.asarray(np.sum([standings[s].counts for s in silos], axis=0))
