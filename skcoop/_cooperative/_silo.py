# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""A silo: rows, what is known about them, and the operations that others may ask for.

Rows never leave it. What leaves are models, lessons and sums; and, for a final
estimator or a score of the user's own that cannot do with sums, predictions and labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcoop._cooperative._coded_columns import encoded_columns, look_like_codes
from skcoop._cooperative._combine import (
    Choice,
    Problem,
    final_of,
    said_by,
    soft_or_hard,
    stacked,
)
from skcoop._cooperative._credibility import Credibility, standing
from skcoop._cooperative._engines import make_engine
from skcoop._cooperative._fitting import (
    Failure,
    Said,
    fit_fold_model,
    fit_member,
    judged_by,
    laid_out,
    try_to_fit,
)
from skcoop._cooperative._lessons import (
    Answered,
    Lessons,
    Origin,
    completed,
    joined,
    no_lessons,
    without_duplicates,
)
from skcoop._cooperative._logistic_by_sums import LossSums, loss_sums
from skcoop._cooperative._plan import Plan
from skcoop._cooperative._replies import Fitted, Judged, Learned, Taught, Work
from skcoop._cooperative._teaching import (
    Search,
    ask_teacher,
    at_most,
    no_answers,
    questions,
)
from skcoop._members._columns_read import columns_of_member
from skcoop._members._member import (
    FittedMember,
    Member,
    gives_probabilities,
    stands_in,
)
from skcoop._members._predictions import top_class
from skcoop._members._scores import RowAnswers, Sums
from skcoop._tables._task import Task
from skcoop._utils._parallel import delayed
from skcoop.counterfactuals import BatchedDice

# Rows of a silo up to which fold models are asked about all of them.
_FEW_ROWS = 5000


@dataclass
class Asked:
    """A member's fold models, and what they say of the rows of the silo.

    Attributes
    ----------
    models : list of FittedMember
        The member without each of the folds.
    said : list of ndarray of shape (n_samples, n_classes) or None
        By fold, what the model says of all rows; None if it was not asked.
    """

    models: list[FittedMember]
    said: list[NDArray[np.float64] | None]


class Silo:
    """Rows of one owner, and what others may ask about them.

    Parameters
    ----------
    plan : Plan
        What all silos agreed on.
    number : int
        Which of them this is.
    task : Task
        The rows.
    rows : ndarray of int, shape (n_samples,)
        Their places in the table of all silos.
    members : dict of int to Member
        Those that live here.
    parameters : dict of int to dict
        By member, wherever it lives: parameters of its ``fit`` for each of these rows,
        which a lesson made from a row takes along.
    progress : dict of int to Progress
        By member, what follows its first fit.
    """

    def __init__(
        self,
        plan: Plan,
        number: int,
        task: Task,
        rows: NDArray[np.intp],
        members: Mapping[int, Member],
        parameters: Mapping[int, Mapping[str, Any]],
        progress: Mapping[int, Any],
    ):
        self.plan, self.number, self.task, self.rows = plan, number, task, rows
        self.members, self.parameters, self.progress = members, parameters, progress
        n_members = len(plan.members)
        nothing = np.zeros((len(task.y), len(plan.classes)))
        self.models = [Asked([], []) for _ in plan.members]
        # Out-of-fold predictions by member: at the start, now, and of what is tried.
        self.start = [nothing] * n_members
        self.now = [nothing] * n_members
        self.tried: dict[int, NDArray[np.float64]] = {}
        self.tried_models: dict[int, Asked] = {}
        # By member and fold: the predictions of the member that the fold scores.
        self.paths = [[nothing] * plan.n_folds for _ in plan.members]
        none = no_lessons(task.Z.shape[1])
        self.kept = dict.fromkeys(members, none)
        self.candidates: dict[int, Lessons] = {}
        self.received: list[tuple[int, int, Lessons]] = []
        self.initial: dict[int, Any] = {}
        # By choice and fold: what a final estimator reads.
        self.inputs: dict[tuple[Choice, int], tuple[Any, Any, Any]] = {}

    # Step 1

    def fit(self) -> Work[Fitted]:
        """Fit the members that live here on all rows."""
        learners = [k for k, member in self.members.items() if not member.frozen]
        calls = [
            delayed(fit_member)(
                self.task, self.members[k], None, progress=self.progress.get(k)
            )
            for k in learners
        ]
        return Work(calls, lambda models: self._fitted(learners, models))

    def _fitted(self, learners: Sequence[int], models: Sequence[Any]) -> Fitted:
        self.initial = dict(zip(learners, models, strict=True))
        for k, member in self.members.items():
            # A frozen member stays the object that it is and travels nowhere.
            model = self.initial.setdefault(k, member.estimator)
            member.learn_from(model)
            member.reads = columns_of_member(self.task, member, model)
        coded = np.zeros(self.task.Z.shape[1], dtype=bool)
        if self.plan.recognises_codes:
            coded = look_like_codes(self.task.Z)
            for model in self.initial.values():
                coded = coded | encoded_columns(model, self.task.codec.names)
        reads = {k: member.reads for k, member in self.members.items()}
        return Fitted(reads, coded, self.task.unrecorded)

    def agree(
        self,
        reads: Mapping[int, NDArray[np.bool_]],
        coded: NDArray[np.bool_],
        unrecorded: Mapping[int, NDArray[np.bool_]],
    ) -> None:
        """Note what all silos say of the columns."""
        permissions = copy(self.task.permissions)
        permissions.coded = permissions.coded | coded
        # Another task: processes may hold a copy of the first.
        self.task = replace(self.task, permissions=permissions)
        self.reads, self.unrecorded = reads, unrecorded
        self.engine = make_engine(self.plan.counterfactuals, self.task)

    @property
    def at_once(self) -> bool:
        """Whether fold models are asked about all rows: our search wants to know."""
        return type(self.engine) is BatchedDice and len(self.task.y) <= _FEW_ROWS

    # Steps 2, 5 and 6

    def cross_fit(self) -> Work[dict[int, Learned]]:
        """Fit the members that live here without each of the folds."""
        return self._fold_models(dict.fromkeys(self.members))

    def learn(
        self, lessons: Mapping[int, Sequence[Lessons]], number: int, *, judged: bool
    ) -> Work[dict[int, Learned]]:
        """Complete lessons for students that live here, and refit their fold models.

        Parameters
        ----------
        lessons : dict of int to list of Lessons
            By student, what all silos have for it.
        number : int
            The round.
        judged : bool
            Whether anybody needs the fold models.
        """
        self.candidates, taught = {}, {}
        for k, parts in lessons.items():
            new = completed(
                self.task,
                self.members[k],
                self.number,
                joined(parts),
                self.unrecorded,
                self.plan.rules.complete,
            )
            if len(new):
                taught[k] = new
                self.received.append((number, k, new))
                self.candidates[k] = without_duplicates(self.kept[k] + new)
        if judged:
            return self._fold_models(self.candidates, taught, number)
        unchanged = {k: self._learned(k, self.models[k].models) for k in taught}
        return Work([], lambda _: self._count(unchanged, taught, number))

    def _fold_models(
        self,
        lessons: Mapping[int, Lessons | None],
        taught: Mapping[int, Lessons] | None = None,
        number: int = 0,
    ) -> Work[dict[int, Learned]]:
        folds = range(self.plan.n_folds)
        calls = [
            delayed(fit_fold_model)(
                self.task,
                self.members[k],
                own,
                fold,
                held_out=self.plan.rules.held_out,
                at_once=self.at_once,
            )
            for k, own in lessons.items()
            for fold in folds
        ]

        def finish(results: list[Any]) -> dict[int, Learned]:
            learned = {}
            for place, k in enumerate(lessons):
                own = results[place * len(folds) : (place + 1) * len(folds)]
                failed = [each for each in own if isinstance(each, Failure)]
                if failed:
                    learned[k] = self._learned(k, failed[0])
                    continue
                self._try(k, [model for model, _ in own], [said for _, said in own])
                learned[k] = self._learned(k, self.tried_models[k].models)
            return self._count(learned, taught or {}, number)

        return Work(calls, finish)

    def _learned(self, k: int, models: list[FittedMember] | Failure) -> Learned:
        none = np.zeros(len(self.plan.members), dtype=np.intp)
        if isinstance(models, Failure):
            return Learned(models, False, False, none, none)
        own, prototype = [m.estimator for m in models], self.members[k].estimator
        able = gives_probabilities(own, prototype)
        known = not all(stands_in(model, prototype) for model in own)
        return Learned(models, able, known and not able, none, none)

    def _count(
        self, learned: dict[int, Learned], taught: Mapping[int, Lessons], number: int
    ) -> dict[int, Learned]:
        n_members = len(self.plan.members)
        for k, new in taught.items():
            last = self.candidates[k][self.candidates[k].round == number]
            learned[k].taught = new.by_teacher(n_members)
            learned[k].kept = last.by_teacher(n_members)
            learned[k].total = len(self.candidates[k])
        return learned

    # Steps 2 and 7

    def judge(
        self, models: Mapping[int, list[FittedMember] | Failure], *, first: bool
    ) -> Work[Judged]:
        """Let fold models judge the rows of this silo.

        Parameters
        ----------
        models : dict of int to list of FittedMember or Failure
            By member; those that live here have been asked already. A failure is a
            model that could not be read.
        first : bool
            Whether these are all members before any lesson.
        """
        failures: dict[int, Any] = {
            k: own for k, own in models.items() if isinstance(own, Failure)
        }
        visitors = [k for k in models if k not in self.members and k not in failures]
        calls = [
            delayed(judged_by)(self.task, models[k], self.at_once) for k in visitors
        ]

        def finish(results: list[Any]) -> Judged:
            for k, answers in zip(visitors, results, strict=True):
                if isinstance(answers, Failure):
                    failures[k] = answers
                    continue
                self._try(k, models[k], answers)
            parts = {
                k: failures[k] if k in failures else self.part(self.tried[k])
                for k in models
            }
            return self._judged(parts, first)

        return Work(calls, finish, lambda _, why: Failure(why))

    def _try(self, k: int, models: Any, said: list[Said]) -> None:
        """Note fold models of a member, and what they say of the rows."""
        self.tried[k] = laid_out(self.task, said)
        self.tried_models[k] = Asked(models, [everything for _, everything in said])

    def _judged(self, parts: dict[int, Any], first: bool) -> Judged:
        if not first:
            return Judged(parts)
        for k, proba in self.tried.items():
            self.start[k] = self.now[k] = proba
            self.models[k] = self.tried_models[k]
            self.paths[k] = [proba] * self.plan.n_folds
        self.tried, self.tried_models = {}, {}
        return Judged(parts, standing(self.task, self._said()))

    def _said(self) -> NDArray[np.intp]:
        """Return the class that each member gives to each row, (members, rows)."""
        return np.array([top_class(proba) for proba in self.now])

    def part(self, proba: NDArray[np.float64]) -> Sums | RowAnswers:
        """Say of predictions what the score needs."""
        return self.plan.score.part(self.task, self.rows, proba)

    def settle(self, accepted: Mapping[int, tuple[bool, NDArray[np.bool_]]]) -> None:
        """Note which refits are kept, and which of them without each of the folds.

        Parameters
        ----------
        accepted : dict of int to (bool, ndarray of bool, shape (n_folds,))
            By student.
        """
        for k, (kept, kept_without) in accepted.items():
            tried = self.tried.pop(k, None)
            models = self.tried_models.pop(k, None)
            if kept and k in self.candidates:
                self.kept[k] = self.candidates[k]
            if tried is None or models is None:
                continue
            for fold in np.flatnonzero(kept_without):
                self.paths[k][fold] = tried
            if kept:
                self.now[k], self.models[k] = tried, models
        self.tried, self.tried_models, self.candidates = {}, {}, {}
        self.inputs = {}

    # Steps 3 and 4

    def believe(self, belief: Credibility, absent: Sequence[int] = ()) -> None:
        """Note whose rows are believed, and members that take no part."""
        self.belief = belief
        nothing = np.zeros((len(self.task.y), len(self.plan.classes)))
        for k in absent:
            self.start[k] = self.now[k] = nothing
            self.paths[k] = [nothing] * self.plan.n_folds

    def survey(self, pairs: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Find deficiencies, and rows that students may rehearse.

        Parameters
        ----------
        pairs : ndarray of bool, shape (n_members, n_members)
            ``pairs[j, i]`` says whether teacher i may teach student j in this round.

        Returns
        -------
        weights : ndarray of shape (2, n_members)
            By student, the weight of both.
        """
        task, rules = self.task, self.plan.rules
        said = self._said()
        self.right = said == task.codes
        at_home = self.plan.homes == self.number
        taught = self.belief.witnessed(task, self.number, self.right)
        self.pairs = pairs
        self.deficiencies = rules.qualify(task, said, pairs, taught)
        self.known = rules.to_rehearse(self.right, pairs, taught, at_home)
        wrong = self.deficiencies.any(axis=1)
        return np.array(
            [(each * task.weights).sum(axis=1) for each in (wrong, self.known)]
        )

    def choose(self, shares: NDArray[np.float64], number: int) -> NDArray[np.intp]:
        """Choose a teacher for each row to mend or to rehearse; count them by student.

        Parameters
        ----------
        shares : ndarray of shape (n_members,)
            By student, the share of what it may rehearse.
        number : int
            The round.
        """
        task, rules, seed = self.task, self.plan.rules, self.plan.seed + number
        rehearsed = rules.rehearse(
            task, self.right, self.pairs, self.known, shares, seed
        )
        rows = np.arange(len(task.y))
        proba = np.array([own[rows, task.codes] for own in self.now])
        qualified = self.deficiencies | rehearsed
        self.asked = rules.choose(task, qualified, proba, seed)
        return self.asked.any(axis=1).sum(axis=1)

    def teach(
        self,
        number: int,
        shares: NDArray[np.float64],
        most: NDArray[np.intp] | None,
    ) -> Work[Taught]:
        """Let the chosen teachers make lessons of rows of this silo.

        Parameters
        ----------
        number, shares : int, ndarray
            As of :meth:`choose`.
        most : ndarray of int, shape (n_members,) or None
            Most lessons for each student, among the rows that were chosen; None if
            none were chosen yet, and all shall be taught.
        """
        seed = self.plan.seed + number
        if most is None:
            self.choose(shares, number)
        else:
            self.asked = at_most(self.task, self.asked, most, seed)
        search = Search(self.engine, self.plan.alpha, seed, self.number)
        wanted = questions(self.task, self.asked)
        calls = [
            delayed(ask_teacher)(
                self.task,
                (teacher, fold),
                self.models[teacher].models[fold],
                rows,
                self.reads[teacher],
                search,
                self.models[teacher].said[fold],
            )
            for (teacher, fold), rows in wanted.items()
        ]
        rows_of = list(wanted.values())

        def finish(results: list[Any]) -> Taught:
            return self._taught(dict(zip(wanted, results, strict=True)), number)

        def instead(call: int, why: str) -> Any:
            return no_answers(self.task, rows_of[call], why)

        return Work(calls, finish, instead)

    def _taught(self, answers: dict[Any, Any], number: int) -> Taught:
        origin = Origin(self.number, number, self.plan.min_distance)
        answered, lessons = Answered(self.task, answers, origin), {}
        for k in np.flatnonzero(self.asked.any(axis=(1, 2))).tolist():
            own = answered.for_student(
                self.asked[k],
                self.reads[k],
                self.parameters.get(k, {}),
                at_home=k in self.members,
            )
            if len(own):
                lessons[k] = own
        asked = self.asked.sum(axis=2)
        found, rechecked = np.zeros((2, *asked.shape), dtype=np.intp)
        failures: dict[tuple[int, int], Failure] = {}
        for (teacher, _), answer in answers.items():
            mine = self.asked[:, teacher, answer.rows]  # (students, rows)
            found[:, teacher] += (mine & answer.found).sum(axis=1)
            rechecked[:, teacher] += (mine & answer.kept).sum(axis=1)
            for k in np.flatnonzero(mine.any(axis=1) & bool(answer.failure)).tolist():
                failures.setdefault((k, teacher), Failure(answer.failure))
        deficiencies = self.deficiencies.sum(axis=2)
        return Taught(lessons, deficiencies, asked, found, rechecked, failures)

    # Step 9

    def finish(self) -> Work[dict[int, Any]]:
        """Fit the members that learned something on all rows and lessons.

        Returns
        -------
        models : dict of int to (initial, improved)
            The improved one is the initial one where nothing was learned, or a failure.
        """
        taught = {k: own for k, own in self.kept.items() if len(own)}
        calls = [
            delayed(try_to_fit)(self.task, self.members[k], own)
            for k, own in taught.items()
        ]

        def finish(models: list[Any]) -> dict[int, Any]:
            improved = dict(zip(taught, models, strict=True))
            return {k: (m, improved.get(k, m)) for k, m in self.initial.items()}

        return Work(calls, finish)

    def chosen(self, choice: Choice, fold: int) -> NDArray[np.float64]:
        """Return what the chosen members said, as a fold sees it.

        Returns
        -------
        proba : ndarray of shape (n_members, n_samples, n_classes)
            Out-of-fold predictions.
        """

        def of(k: int) -> NDArray[np.float64]:
            if choice.when == "start" or k in choice.forgotten:
                return self.start[k]
            return self.now[k] if choice.when == "now" else self.paths[k][fold]

        return np.array([of(k) for k in choice.members])

    def vote(self, choice: Choice, how: str) -> Sums | RowAnswers:
        """Say of a vote of members what the score needs."""
        combined = np.zeros((len(self.task.y), len(self.plan.classes)))
        for fold in range(self.plan.n_folds):
            own = self.task.in_fold(fold)
            combined[own] = soft_or_hard(how, self.chosen(choice, fold))[own]
        return self.part(combined)

    def answers(self, choice: Choice) -> list[RowAnswers]:
        """Return rows' labels and what members say of them: by consent.

        There is one answer for each fold, or a single one that all folds see.
        """
        folds = range(self.plan.n_folds if choice.when == "path" else 1)
        return [
            RowAnswers(self.task, self.rows, self.chosen(choice, fold))
            for fold in folds
        ]

    def loss_sums(self, problems: Sequence[Problem]) -> list[LossSums]:
        """Sum up the loss of final estimators over the rows of this silo."""
        return [loss_sums(*self._inputs(problem), problem.W) for problem in problems]

    def _inputs(self, problem: Problem) -> tuple[Any, Any, Any]:
        """Return what a final estimator reads, classes and weights, row by row."""
        key = problem.choice, problem.fold
        if key not in self.inputs:
            task, fold = self.task, problem.fold
            proba = self.chosen(problem.choice, max(fold, 0))
            rows = np.flatnonzero(task.folds != fold)
            codes = np.searchsorted(problem.classes, task.codes[rows])
            self.inputs[key] = stacked(proba[:, rows]), codes, task.weights[rows]
        return self.inputs[key]

    def score_finals(self, problems: Sequence[Problem]) -> Sums | RowAnswers:
        """Say of final estimators, one for each fold, what the score needs.

        Parameters
        ----------
        problems : list of Problem
            Solved, in the order of the folds that they did not learn from.
        """
        combined = np.zeros((len(self.task.y), len(self.plan.classes)))
        for problem in problems:
            own = self.task.in_fold(problem.fold)
            if len(own):
                final = final_of(problem, self.plan.classes)
                proba = self.chosen(problem.choice, problem.fold)[:, own]
                combined[own] = said_by(final, proba, self.plan.classes)
        return self.part(combined)
