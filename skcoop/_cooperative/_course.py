# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Where a fit has got to: what silos have said, and what to ask them next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from skcoop._cooperative._coded_columns import encoded_columns
from skcoop._cooperative._combine import Choice, Combiner
from skcoop._cooperative._combined import Combination, counts_of
from skcoop._cooperative._credibility import Credibility, Standing, no_standing
from skcoop._cooperative._deficiencies import pairs_with_news, rehearsed_shares
from skcoop._cooperative._fitting import Failure
from skcoop._cooperative._gate import Gate, Parts, Verdict
from skcoop._cooperative._history import Record
from skcoop._cooperative._honest_gains import HonestGains
from skcoop._cooperative._plan import Plan
from skcoop._cooperative._replies import Judged, Learned, Taught
from skcoop._cooperative._silos import Silos
from skcoop._cooperative._teaching import quotas
from skcoop._members._columns_read import columns_read
from skcoop._members._member import FittedMember
from skcoop._utils._warnings import warn


@dataclass
class Outcome:
    """What a fit comes to.

    Attributes
    ----------
    initial, improved : dict of int to classifier
        By member, before and after it was taught.
    final_estimator : classifier or None
        Combines the improved members.
    history, scores, gains : pandas.DataFrame
        As of the distiller.
    failures : list of str
        What failed.
    forgotten : frozenset of int
        Members whose last fit failed: they learned nothing.
    """

    initial: dict[int, Any]
    improved: dict[int, Any]
    final_estimator: Any
    history: pd.DataFrame
    scores: pd.DataFrame
    gains: pd.DataFrame
    failures: list[str]
    forgotten: frozenset[int]


class Watch(Protocol):
    """Is told how a fit goes on."""

    def fitted(self) -> None:
        """Note that all members are fitted."""
        ...

    def judged(self) -> None:
        """Note that all members are judged."""
        ...

    def round_begins(self) -> None:
        """Note that a round begins."""
        ...

    def round_ends(
        self,
        number: int,
        verdicts: Mapping[int, Verdict],
        n_kept: int,
        outcome: Callable[[], Outcome],
    ) -> bool:
        """Note that a round is over; tell whether it shall be the last one."""
        ...


def agree(silos: Silos, plan: Plan) -> None:
    """Fit all members at home, and let all silos know what was said of the columns."""
    fitted = silos.all("fit")
    coded = np.any([own.coded for own in fitted.values()], axis=0)
    reads = merged(own.reads for own in fitted.values())
    for k, guest in plan.guests.items():
        reads[k] = columns_read(guest, plan.columns)
        if plan.recognises_codes:
            coded = coded | encoded_columns(guest, plan.columns)
    unrecorded = {s: own.unrecorded for s, own in fitted.items()}
    silos.all("agree", reads=reads, coded=coded, unrecorded=unrecorded)


def merged(parts: Iterable[Mapping[int, Any]]) -> dict[int, Any]:
    """Return what all silos say of their members, by member."""
    together: dict[int, Any] = {}
    for part in parts:
        together.update(part)
    return dict(sorted(together.items()))


class Course:
    """Where a fit has got to; knows what silos say, and no row.

    Parameters
    ----------
    silos : Silos
        Who is asked.
    plan : Plan
        What they agreed on.
    combiner : Combiner
        How the members become one.
    belief : Credibility
        Whose rows are believed.
    standings : list of Standing
        What each silo counts.
    parts : list of dict
        By member and silo, what is said of the member's first predictions.
    """

    def __init__(
        self,
        silos: Silos,
        plan: Plan,
        combiner: Combiner,
        belief: Credibility,
        standings: Sequence[Standing],
        parts: Sequence[Parts],
    ):
        self.silos, self.plan, self.combiner = silos, plan, combiner
        self.belief, self.standings, self.parts = belief, standings, list(parts)
        self.gate = Gate(
            plan.score,
            plan.accept,
            plan.homes,
            belief.credible,
            plan.n_folds,
            plan.rules.is_clear,
        )
        everybody = range(len(plan.members))
        scores = [
            self.gate.present_score(k, plan.members[k], parts[k]) for k in everybody
        ]
        self.record = Record(plan.members, scores, plan.score.name)
        self.honest = HonestGains(self.gate, parts)
        judged = [bool(self.gate.judges(k)) for k in everybody]
        self.students = ~plan.frozen & np.array(judged)
        self.able = np.zeros(len(plan.members), dtype=bool)
        self.mute: set[int] = set()
        self.known_lost: set[int] = set()
        # Members that could not be judged everywhere.
        self.absent: set[int] = set()
        # Members that are new, or were improved in the last round.
        self.changed = np.ones(len(plan.members), dtype=bool)
        # By member, the lessons that it was fitted with.
        self.lessons = dict.fromkeys(everybody, 0)

    @classmethod
    def begun(cls, silos: Silos, plan: Plan, combiner: Combiner) -> Course:
        """Judge all members before any lesson, and find out whose rows are believed."""
        learned = merged(silos.all("cross_fit").values())
        models = {k: _models(own.models) for k, own in learned.items()}
        for k, guest in plan.guests.items():
            asked = FittedMember(plan.members[k], guest, plan.classes)
            models[k] = [asked] * plan.n_folds
        judged = silos.all("judge", models=models, first=True)
        parts, absent = _who_takes_part(judged, len(plan.members))
        nothing = no_standing(len(plan.members), len(plan.classes), plan.n_folds)
        said = {s: own.standing for s, own in judged.items()}
        standings = [said.get(s) or nothing for s in range(len(plan.silos))]
        for own in standings:
            own.named[list(absent)] = False
        homes = np.where(np.isin(np.arange(len(parts)), list(absent)), -1, plan.homes)
        belief = plan.rules.believe(standings, homes)
        silos.all("believe", belief=belief, absent=sorted(absent))
        course = cls(silos, plan, combiner, belief, standings, parts)
        course.absent = set(absent)
        for k, why in absent.items():
            course.record.left_out(0, plan.members[k], why)
        course._note_lost(0)
        course._note_doubts()
        course._note_who_can_teach(learned)
        return course

    def _note_doubts(self) -> None:
        doubts = self.belief.doubts(self.plan.silos)
        if doubts:
            warn(
                "Silos that the others contradict are set aside. Check their labels; a "
                "place where another rule holds looks the same:\n"
                + "\n".join(doubts.values())
            )
        self.record.set_aside({self.plan.silos[s]: said for s, said in doubts.items()})

    def _note_who_can_teach(self, learned: Mapping[int, Learned]) -> None:
        """Note members that give probabilities; say once which turn out not to."""
        for k, guest in self.plan.guests.items():
            self.able[k] = hasattr(guest, "predict_proba")
        mute = {k for k, guest in self.plan.guests.items() if not self.able[k]}
        for k, own in learned.items():
            self.able[k] = own.able
            mute |= {k} if own.mute else set()
        names = [self.plan.members[k] for k in sorted(mute - self.mute)]
        self.mute |= mute
        if names:
            warn(
                f"The members {names} have no predict_proba: they vote but cannot "
                "teach. A CalibratedClassifierCV around them can."
            )

    def _note_lost(self, number: int) -> None:
        """Note silos that are lost since the last time."""
        for s, why in self.silos.lost.items():
            if s not in self.known_lost:
                why = f"the silo is lost: {why}"
                self.record.left_out(number, self.plan.silos[s], why)
                self.known_lost.add(s)

    def copy(self) -> Course:
        """Return a course that can be finished while this one goes on."""
        twin = copy(self)
        twin.record, twin.honest = self.record.copy(), self.honest.copy()
        twin.known_lost = set(self.known_lost)
        return twin

    def survey(self, number: int) -> dict[int, dict[str, Any]]:
        """Find out what there is to teach; return what to ask each silo for."""
        gone = np.isin(self.plan.homes, list(self.silos.lost))
        gone[list(self.absent)] = True
        teachers = self.able & self.belief.members & ~gone
        pairs = pairs_with_news(self.students & ~gone, teachers, self.changed)
        weights = sum(self.silos.all("survey", pairs=pairs).values())
        shares = rehearsed_shares(*weights)
        order = {"number": number, "shares": shares, "most": None}
        most = self.plan.most_lessons
        if most is None:
            return dict.fromkeys(range(len(self.plan.silos)), order)
        counts = self.silos.all("choose", number=number, shares=shares)
        by_student = np.array(list(counts.values())).T  # (students, silos)
        shared = np.array([quotas(own, most) for own in by_student]).T
        return {
            s: {**order, "most": own} for s, own in zip(counts, shared, strict=True)
        }

    @property
    def _judges(self) -> bool:
        """Whether anybody needs the predictions of refits."""
        return self.plan.accept is not None or self.combiner.stacks

    def learn(self, number: int, taught: Mapping[int, Taught]) -> dict[int, Learned]:
        """Hand out the lessons; students that live somewhere learn there."""
        messages: dict[int, dict[str, Any]] = {}
        for k in np.flatnonzero(self.students).tolist():
            lessons = [own.lessons[k] for own in taught.values() if k in own.lessons]
            if lessons:
                home = int(self.plan.homes[k])
                empty = {"lessons": {}, "number": number, "judged": self._judges}
                messages.setdefault(home, empty)["lessons"][k] = lessons
        messages = dict(sorted(messages.items()))
        return merged(self.silos.each("learn", messages).values())

    def decide(self, learned: Mapping[int, Learned]) -> dict[int, Verdict]:
        """Let silos judge the refits, and keep what proves better."""
        if not self._judges:
            return dict.fromkeys(learned, self.gate.kept_blindly())
        failures = {
            k: own.models.said
            for k, own in learned.items()
            if isinstance(own.models, Failure)
        }
        models = {k: own.models for k, own in learned.items() if k not in failures}
        judged = self.silos.all("judge", models=models, first=False) if models else {}
        after: dict[int, dict[int, Any]] = {k: {} for k in models}
        for s, own in judged.items():
            for k, part in own.parts.items():
                if isinstance(part, Failure):
                    failures.setdefault(k, part.said)
                else:
                    after[k][s] = part
        return {
            k: self.gate.failed(k, self.parts[k], failures[k])
            if k in failures
            else self.gate.decide(k, self.parts[k], after[k])
            for k in learned
        }

    def settle(
        self,
        number: int,
        taught: Mapping[int, Taught],
        learned: Mapping[int, Learned],
        verdicts: Mapping[int, Verdict],
    ) -> None:
        """Note what was decided, here and in the silos."""
        self.record.add_round(number, taught, learned, verdicts)
        self._note_lost(number)
        self.honest.follow(verdicts)
        accepted = {k: own for k, own in verdicts.items() if own.accepted}
        for k, verdict in accepted.items():
            self.lessons[k] = learned[k].total
            if verdict.tried is not None:
                self.parts[k] = verdict.tried
        self._note_who_can_teach({k: learned[k] for k in accepted})
        self.changed = np.isin(np.arange(len(self.changed)), list(accepted))
        decided = {k: (v.accepted, v.accepted_without) for k, v in verdicts.items()}
        self.silos.all("settle", accepted=decided)

    @property
    def n_kept(self) -> int:
        """Number of lessons that members are fitted with."""
        return sum(self.lessons.values())

    def goes_on(self, verdicts: Mapping[int, Verdict]) -> bool:
        """Tell whether at least half of the students have improved."""
        improved = sum(verdict.accepted for verdict in verdicts.values())
        return improved > 0 and 2 * improved >= len(verdicts)

    def outcome(self) -> Outcome:
        """Fit the improved members on everything and combine them."""
        models = merged(self.silos.all("finish").values())
        models.update({k: (guest, guest) for k, guest in self.plan.guests.items()})
        models = {k: own for k, own in models.items() if k not in self.absent}
        failed = {k: own for k, (_, own) in models.items() if isinstance(own, Failure)}
        for k, failure in failed.items():
            self.record.note_failure(k, failure.said)
            self.honest.forget(k)
        # What a member never learned must not be counted on.
        now = Choice(tuple(sorted(models)), "now", frozenset(failed))
        self._note_lost(len(self.record.scores))
        believed = np.flatnonzero(self.belief.credible).tolist()
        judges = [s for s in believed if s not in self.silos.lost]
        counts = counts_of(self.standings, judges)
        combined = Combination(self.silos, judges, self.plan, self.combiner, counts).of(
            now, moved=self.honest.anybody_moved, judged=not self.honest.unknown
        )
        self._note_lost(len(self.record.scores))
        initial = {k: own for k, (own, _) in sorted(models.items())}
        improved = {
            k: initial[k] if k in failed else own
            for k, (_, own) in sorted(models.items())
        }
        return Outcome(
            initial,
            improved,
            combined.final,
            self.record.history(),
            self.record.score_table(),
            self.honest.table(self.plan.members, combined.before, combined.after),
            self.record.failures(),
            frozenset(failed),
        )


def _models(models: list[FittedMember] | Failure) -> list[FittedMember]:
    """Return a member's fold models; without them there is no fit."""
    if isinstance(models, Failure):
        raise models.error or ValueError(models.said)
    return models


def _who_takes_part(
    judged: Mapping[int, Judged], n_members: int
) -> tuple[list[dict[int, Any]], dict[int, str]]:
    """Return by member what silos say of it, and why some cannot take part."""
    parts: list[dict[int, Any]] = [{} for _ in range(n_members)]
    absent: dict[int, str] = {}
    for s, own in judged.items():
        for k, part in own.parts.items():
            if not isinstance(part, Failure):
                parts[k][s] = part
            elif part.error is not None:  # it happened here: the user may mend it
                raise part.error
            else:
                absent[k] = f"left out: a silo could not ask it ({part.said})"
    for k in absent:
        parts[k] = {}
    return parts, absent
