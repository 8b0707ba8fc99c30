# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""The record of a fit: every lesson and every verdict, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skcoop._cooperative._gate import Verdict
from skcoop._cooperative._lessons import Lessons, no_lessons
from skcoop._cooperative._teaching import Answers, Question
from skcoop._members._member import Member
from skcoop._tables._task import Task

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
    task : Task
        The rows.
    members : list of Member
        All members.
    rows : ndarray of int
        Position of the task's rows in the table that the user passed.
    scores : list of float
        Each member's out-of-fold score before any lesson.
    score_name : str
        What the score is called.
    """

    def __init__(
        self,
        task: Task,
        members: Sequence[Member],
        rows: NDArray[np.intp],
        scores: Sequence[float],
        score_name: str,
    ):
        self.task = task
        self.members = members
        self.rows = rows
        self.scores, self.score_name = [list(scores)], score_name
        self.pairs: list[dict[str, Any]] = []
        self.lessons: list[tuple[int, Lessons]] = []

    def copy(self) -> Record:
        """Return a record that can be finished while this one goes on."""
        record = Record(
            self.task, self.members, self.rows, self.scores[0], self.score_name
        )
        record.scores = [list(scores) for scores in self.scores]
        record.pairs = [dict(line) for line in self.pairs]
        record.lessons = list(self.lessons)
        return record

    def add_round(
        self,
        number: int,
        deficiencies: NDArray[np.bool_],
        chosen: NDArray[np.intp],
        answers: Mapping[Question, Answers],
        proposed: Mapping[int, Lessons],
        verdicts: Mapping[int, Verdict],
    ) -> None:
        """Add one round: a line for each pair with something to teach, its lessons."""
        self.lessons += list(proposed.items())
        scores = list(self.scores[-1])
        for k, decided in verdicts.items():
            if decided.accepted:
                scores[k] = decided.score_after
        self.scores.append(scores)
        asked = np.array([chosen == k for k in range(len(self.members))]).any(axis=2)
        by_teacher: dict[int, list[Answers]] = {}
        for (k, _, _), answer in answers.items():
            by_teacher.setdefault(k, []).append(answer)
        for student, teacher in np.argwhere(deficiencies.any(axis=2) | asked.T):
            verdict = verdicts.get(int(student))
            lessons = proposed.get(int(student))
            line = {
                "round": number,
                "student": self.members[student].name,
                "teacher": self.members[teacher].name,
                "deficiencies": int(deficiencies[student, teacher].sum()),
                "asked": int((chosen[student] == teacher).sum()),
                **self._answered(
                    chosen[student] == teacher, by_teacher.get(teacher, [])
                ),
                "taught": 0,
                "accepted": False,
                "kept": 0,
                "score_before": np.nan,
                "score_after": np.nan,
                "standard_error": np.nan,
                "reason": "",
            }
            if lessons is not None and verdict is not None:
                last = verdict.lessons[verdict.lessons.round == number]
                line["taught"] = int((lessons.teacher == teacher).sum())
                line["accepted"] = verdict.accepted
                line["kept"] = int((last.teacher == teacher).sum())
                line["score_before"] = verdict.score_before
                line["score_after"] = verdict.score_after
                line["standard_error"] = verdict.standard_error
                line["reason"] = verdict.reason
                line["failure"] = verdict.failure or line["failure"]
            self.pairs.append(line)

    def _answered(
        self, asked: NDArray[np.bool_], answers: Sequence[Answers]
    ) -> dict[str, Any]:
        """Count a teacher's answers about the rows that a student asked it about."""
        found = rechecked = 0
        failure = ""
        for answer in answers:
            mine = asked[answer.rows]
            found += int(answer.found[mine].sum())
            rechecked += int(answer.kept[mine].sum())
            if mine.any():
                failure = failure or answer.failure
        return {"found": found, "rechecked": rechecked, "failure": failure}

    def set_aside(self, doubts: Mapping[int, str]) -> None:
        """Note silos whose rows neither teach nor judge, before the first round."""
        nothing = {
            name: {"int64": 0, "bool": False, "float64": np.nan, "str": ""}[kind]
            for name, kind in _HISTORY_TYPES.items()
        }
        for silo, reason in doubts.items():
            name = self.members[silo].name
            self.pairs.append({**nothing, "student": name, "reason": reason})

    def note_failure(self, student: int, failure: str) -> None:
        """Note that the last fit of a student failed after its lessons were kept."""
        name = self.members[student].name
        for line in self.pairs:
            if line["student"] == name and line["accepted"]:
                line.update(accepted=False, kept=0, failure=failure)
        for scores in self.scores:
            scores[student] = self.scores[0][student]

    def failures(self) -> list[str]:
        """Say once for each round and cause what failed."""
        lines = [line for line in self.pairs if line["failure"]]
        return list(
            dict.fromkeys(
                f"round {line['round']}, student {line['student']!r}, teacher "
                f"{line['teacher']!r}: {line['failure']}"
                for line in lines
            )
        )

    def history(self) -> pd.DataFrame:
        """Return one line for each round and pair of student and teacher."""
        table = pd.DataFrame(self.pairs, columns=list(_HISTORY_TYPES))
        return table.astype(_HISTORY_TYPES)

    def score_table(self) -> pd.DataFrame:
        """Return the members' scores, one line for each round; line 0 is the start."""
        names = [member.name for member in self.members]
        rounds = pd.RangeIndex(len(self.scores), name="round")
        columns = pd.Index(names, name=self.score_name)
        return pd.DataFrame(self.scores, index=rounds, columns=columns, dtype="float64")

    def lesson_table(self, kept: Sequence[Lessons]) -> pd.DataFrame:
        """Return one line for each virtual instance, its cells in columns ``x__*``."""
        parts = [self._lines(k, lessons, kept[k]) for k, lessons in self.lessons]
        # One table without lines gives the columns and types where nothing was taught.
        nothing = no_lessons(self.task.Z.shape[1])
        parts = parts or [self._lines(0, nothing, nothing)]
        return pd.concat(parts, ignore_index=True)

    def _lines(self, student: int, lessons: Lessons, kept: Lessons) -> pd.DataFrame:
        task = self.task
        names = np.array([member.name for member in self.members], dtype=object)
        labels = np.empty(len(task.codec.names), dtype=object)
        labels[:] = task.codec.names  # tuples stay what they are
        stayed = set(zip(kept.round.tolist(), kept.source.tolist(), strict=True))
        made = zip(lessons.round.tolist(), lessons.source.tolist(), strict=True)
        lines = pd.DataFrame(
            {
                "round": lessons.round,
                "student": pd.Series(
                    np.full(len(lessons), names[student]), dtype="str"
                ),
                "teacher": pd.Series(names[lessons.teacher], dtype="str"),
                "source_row": self.rows[lessons.source],
                "donor_row": np.where(
                    lessons.donor_row < 0, -1, self.rows[lessons.donor_row]
                ),
                "label": task.y[lessons.source],
                "proba_before": lessons.before,
                "proba_after": lessons.after,
                "distance": lessons.distance,
                "changed": pd.Series(
                    [list(labels[changed]) for changed in lessons.changed],
                    dtype=object,
                ),
                "kept": pd.Series([pair in stayed for pair in made], dtype=bool),
            },
            columns=_LESSON_COLUMNS,
        )
        cells = task.codec.to_pandas(lessons.Z)
        cells.columns = pd.Index([f"x__{name}" for name in task.codec.names])
        return pd.concat([lines, cells], axis=1)
