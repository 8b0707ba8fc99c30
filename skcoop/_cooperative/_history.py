# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""The record of a fit: every lesson and every verdict, as tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np
import pandas as pd

from skcoop._cooperative._fitting import Failure
from skcoop._cooperative._gate import Verdict
from skcoop._cooperative._lessons import Lessons, no_lessons
from skcoop._cooperative._replies import Learned, Taught
from skcoop._cooperative._silo import Silo
from skcoop._tables._codec import TableCodec

_LESSON_COLUMNS = [
    "round",
    "student",
    "teacher",
    "source_row",
    "donor_row",
    "label",
    "proba_before",
    "proba_after",
    "distance",
    "changed",
    "kept",
]

_HISTORY_TYPES = {
    **{"round": "int64", "student": "str", "teacher": "str"},
    **{"deficiencies": "int64", "asked": "int64", "found": "int64"},
    **{"rechecked": "int64", "taught": "int64", "accepted": "bool", "kept": "int64"},
    **{"score_before": "float64", "score_after": "float64"},
    **{"standard_error": "float64", "reason": "str", "failure": "str"},
}


class Record:
    """Collects what happened, round by round.

    Parameters
    ----------
    members : list of str
        The members' names.
    scores : list of float
        Each member's out-of-fold score before any lesson.
    score_name : str
        What the score is called.
    """

    def __init__(
        self, members: Sequence[str], scores: Sequence[float], score_name: str
    ):
        self.members = members
        self.scores, self.score_name = [list(scores)], score_name
        self.pairs: list[dict[str, Any]] = []

    def copy(self) -> Record:
        """Return a record that can be finished while this one goes on."""
        record = copy(self)
        record.scores = [list(scores) for scores in self.scores]
        record.pairs = [dict(line) for line in self.pairs]
        return record

    def add_round(
        self,
        number: int,
        taught: Mapping[int, Taught],
        learned: Mapping[int, Learned],
        verdicts: Mapping[int, Verdict],
    ) -> None:
        """Add one round: a line for each pair with something to teach.

        Parameters
        ----------
        number : int
            The round.
        taught : dict of int to Taught
            By silo, what its rows brought.
        learned : dict of int to Learned
            By student, what it learned.
        verdicts : dict of int to Verdict
            By student, what the gate decided.
        """
        scores = list(self.scores[-1])
        for k, decided in verdicts.items():
            if decided.accepted:
                scores[k] = decided.score_after
        self.scores.append(scores)
        counts = {
            name: np.sum([getattr(own, name) for own in taught.values()], axis=0)
            for name in ("deficiencies", "asked", "found", "rechecked")
        }
        failures: dict[tuple[int, int], Failure] = {}
        for brought in taught.values():
            failures = {**brought.failures, **failures}
        busy = (counts["deficiencies"] + counts["asked"]) > 0
        for student, teacher in np.argwhere(busy).tolist():
            line = {
                **_nothing(),
                "round": number,
                "student": self.members[student],
                "teacher": self.members[teacher],
                **{name: int(n[student, teacher]) for name, n in counts.items()},
                "failure": failures[student, teacher].said
                if (student, teacher) in failures
                else "",
            }
            if student in learned and student in verdicts:
                own, verdict = learned[student], verdicts[student]
                line["taught"] = int(own.taught[teacher])
                line["accepted"] = verdict.accepted
                line["kept"] = int(own.kept[teacher]) if verdict.accepted else 0
                line["score_before"] = verdict.score_before
                line["score_after"] = verdict.score_after
                line["standard_error"] = verdict.standard_error
                line["reason"] = verdict.reason
                line["failure"] = verdict.failure or line["failure"]
            self.pairs.append(line)

    def set_aside(self, doubts: Mapping[str, str]) -> None:
        """Note by name silos whose rows neither teach nor judge."""
        for name, reason in doubts.items():
            self.pairs.append({**_nothing(), "student": name, "reason": reason})

    def left_out(self, number: int, name: str, failure: str) -> None:
        """Note a silo or a member that takes no part from a round on."""
        line = {"round": number, "student": name, "failure": failure}
        self.pairs.append({**_nothing(), **line})

    def note_failure(self, student: int, failure: str) -> None:
        """Note that the last fit of a student failed after its lessons were kept."""
        name = self.members[student]
        for line in self.pairs:
            if line["student"] == name and line["accepted"]:
                line.update(accepted=False, kept=0, failure=failure)
        for scores in self.scores:
            scores[student] = self.scores[0][student]

    def failures(self) -> list[str]:
        """Say once for each round and cause what failed."""
        return list(
            dict.fromkeys(_failure(line) for line in self.pairs if line["failure"])
        )

    def history(self) -> pd.DataFrame:
        """Return one line for each round and pair of student and teacher."""
        table = pd.DataFrame(self.pairs, columns=list(_HISTORY_TYPES))
        return table.astype(_HISTORY_TYPES)

    def score_table(self) -> pd.DataFrame:
        """Return the members' scores, one line for each round; line 0 is the start."""
        names = self.members
        rounds = pd.RangeIndex(len(self.scores), name="round")
        columns = pd.Index(names, name=self.score_name)
        return pd.DataFrame(self.scores, index=rounds, columns=columns, dtype="float64")


def _failure(line: Mapping[str, Any]) -> str:
    who = f"student {line['student']!r}, teacher {line['teacher']!r}"
    if not line["teacher"]:
        who = repr(line["student"])
    return f"round {line['round']}, {who}: {line['failure']}"


def no_lesson_table(codec: TableCodec) -> pd.DataFrame:
    """Return a table of lessons without lines."""
    nothing = no_lessons(len(codec.names))
    names = np.zeros(1, dtype=object)
    return _lines(names, np.zeros(1), codec, [], (0, nothing, nothing))


def _nothing() -> dict[str, Any]:
    kinds = {"int64": 0, "bool": False, "float64": np.nan, "str": ""}
    return {name: kinds[kind] for name, kind in _HISTORY_TYPES.items()}


def lesson_table(silos: Sequence[Silo], forgotten: Collection[int]) -> pd.DataFrame:
    """Return one line for each virtual instance, its cells in columns ``x__*``.

    Parameters
    ----------
    silos : list of Silo
        All of them, in this process.
    forgotten : set of int
        Members that lost what they had learned.
    """
    plan = silos[0].plan
    # A row of a silo is found by the number that stands for it.
    places = [np.append(silo.rows[np.argsort(silo.task.ranks)], -1) for silo in silos]
    nothing = no_lessons(silos[0].task.Z.shape[1])
    received = [
        (number, k, lessons, nothing if k in forgotten else silo.kept[k])
        for silo in silos
        for number, k, lessons in silo.received
    ]
    received.sort(key=lambda each: each[:2])
    # One table without lines gives the columns and types where nothing was taught.
    received = received or [(0, 0, nothing, nothing)]
    names, codec = np.array(plan.members, dtype=object), silos[0].task.codec
    parts = [_lines(names, plan.classes, codec, places, each[1:]) for each in received]
    return pd.concat(parts, ignore_index=True)


def _lines(
    names: Any,
    classes: Any,
    codec: TableCodec,
    places: Sequence[Any],
    taught: tuple[int, Lessons, Lessons],
) -> pd.DataFrame:
    """Return one line for each lesson of a student in a round.

    Parameters
    ----------
    names, classes : ndarray
        The members' names, and the classes.
    codec : TableCodec
        Turns cells back into what they were.
    places : list of ndarray of int
        By silo, the rows of the user's table in the order of their numbers; -1 at the
        end, for none.
    taught : (int, Lessons, Lessons)
        The student, its lessons, and those that it was fitted with in the end.
    """
    student, lessons, kept = taught
    labels = np.empty(len(codec.names), dtype=object)
    labels[:] = codec.names  # tuples stay what they are
    stayed = set(_marks(kept))

    def rows(numbers: Any) -> Any:
        pairs = zip(lessons.silo.tolist(), numbers.tolist(), strict=True)
        return np.array([places[s][i] for s, i in pairs], dtype=np.intp)

    lines = pd.DataFrame(
        {
            "round": lessons.round,
            "student": pd.Series(np.full(len(lessons), names[student]), dtype="str"),
            "teacher": pd.Series(names[lessons.teacher], dtype="str"),
            "source_row": rows(lessons.source),
            "donor_row": rows(lessons.donor),
            "label": classes[lessons.label],
            "proba_before": lessons.before,
            "proba_after": lessons.after,
            "distance": lessons.distance,
            "changed": pd.Series(
                [list(labels[changed]) for changed in lessons.changed], dtype=object
            ),
            "kept": pd.Series([m in stayed for m in _marks(lessons)], dtype=bool),
        },
        columns=_LESSON_COLUMNS,
    )
    cells = codec.to_pandas(lessons.Z)
    cells.columns = pd.Index([f"x__{name}" for name in codec.names])
    return pd.concat([lines, cells], axis=1)


def _marks(lessons: Lessons) -> Iterable[tuple[int, int, int]]:
    """Return what tells the lessons of one student apart."""
    columns = (lessons.round, lessons.silo, lessons.source)
    return zip(*(column.tolist() for column in columns), strict=True)
