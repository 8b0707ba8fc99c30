# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""The report as HTML. Every text of the user's goes through :func:`text`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from skcoop.inspection._style import unit_of, words_of

# Colours are laid over those of the notebook or the browser, which knows whether the
# reader likes it light or dark.
_STYLE = """
.skcoop-report { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; }
.skcoop-report h1 { font-size: 1.4em; line-height: 1.3; }
.skcoop-report h2 { font-size: 1.1em; margin: 1.8em 0 .4em; }
.skcoop-report p { margin: .4em 0; }
.skcoop-report .note { opacity: .75; }
.skcoop-report .wide { overflow-x: auto; }
.skcoop-report table { border-collapse: collapse; margin: .4em 0; border: 0; }
.skcoop-report th, .skcoop-report td { padding: .25em .7em; text-align: left;
  border: 0; border-bottom: 1px solid rgba(128, 128, 128, .35); }
.skcoop-report th { font-weight: 600; }
.skcoop-report td.number, .skcoop-report th.number { text-align: right;
  font-variant-numeric: tabular-nums; }
.skcoop-report td.pair { text-align: center; }
.skcoop-report td.self { background: rgba(128, 128, 128, .18); }
.skcoop-report mark { background: rgba(230, 159, 0, .35); color: inherit;
  padding: .05em .3em; border-radius: .2em; font-weight: 600; }
.skcoop-report .missing, .skcoop-report .completed { font-style: italic; opacity: .75; }
.skcoop-report details { margin: .3em 0; padding: .3em .7em; border-radius: .3em;
  border: 1px solid rgba(128, 128, 128, .35); }
.skcoop-report summary { cursor: pointer; }
.skcoop-report svg { display: block; width: 9em; height: 1.2em; overflow: visible; }
"""

# Nothing may be loaded, and nothing may run.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_MOST_CELLS_THAT_STAYED = 12


def page(report: Any) -> str:
    """Return the report as a whole page."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<link rel="icon" href="data:,">
<title>What the members taught each other</title>
<style>body {{ background: Canvas; color: CanvasText; margin: 2rem; }}</style>
</head>
<body>
{section(report)}
</body>
</html>
"""


def section(report: Any) -> str:
    """Return the report as a part of a page, as notebooks show it."""
    score = str(report.members.columns.name or "score")
    parts = [
        f"<style>{_STYLE}</style>",
        f"<h1>{text(report.verdict)}</h1>",
        *(
            f"<p><strong>Set aside:</strong> {text(reason)}.</p>"
            for reason in report.set_aside
        ),
        f'<p class="note">The score is {text(words_of(score))}, out of fold: by fold '
        "models that did not see the row, and for each fold with the refits that the "
        "other folds would have kept.</p>",
        "<h2>Members before and after</h2>",
        _members(report.members, score),
        "<h2>Who taught whom</h2>",
        f'<p class="note">Lessons that were kept, and what the student gained by them '
        f"as the gate saw it, in {unit_of(score)[2]}. A line for each teacher, a "
        "column for each student.</p>",
        *_matrices(report.transfer, score),
        "<h2>The most telling lessons</h2>",
        *_told(report.told),
        "<h2>What was refused, and what failed</h2>",
        *_record(report),
    ]
    return '<div class="skcoop-report">\n' + "\n".join(parts) + "\n</div>"


def text(value: Any) -> str:
    """Return any value as text that cannot be taken for HTML; numbers are rounded."""
    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return '<span class="missing">missing</span>'
    if isinstance(value, float | np.floating):
        return f"{value:.5g}"
    return escape(str(value))


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]], numbers: str) -> str:
    """Lay out cells of HTML; `numbers` has an n for each column of numbers."""
    kinds = [' class="number"' if kind == "n" else "" for kind in numbers]
    head = "".join(f"<th{k}>{h}</th>" for k, h in zip(kinds, heads, strict=True))
    body = "".join(
        "<tr>"
        + "".join(f"<td{k}>{cell}</td>" for k, cell in zip(kinds, line, strict=True))
        + "</tr>\n"
        for line in lines
    )
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}</tbody></table></div>"
    )


def _members(members: pd.DataFrame, score: str) -> str:
    scores = members[["before", "after"]].to_numpy(dtype=float)
    judged = pd.Series(scores.ravel())  # others have no score
    lowest, highest = float(judged.min()), float(judged.max())
    lines = [
        [
            text(member["member"]),
            text(member["model"]),
            text(member["lessons"]),
            _score(member["before"]),
            _score(member["after"]),
            _gain(member["gain"], score),
            _step(member["before"], member["after"], lowest, highest),
        ]
        for _, member in members.iterrows()
    ]
    unit = "points" if unit_of(score)[2] == "points" else "gain"
    heads = ["member", "model", "lessons kept", "before", "after", unit, ""]
    return _table(heads, lines, "ttnnnnt")


def _score(value: float) -> str:
    return "not judged" if pd.isna(value) else f"{value:.3f}"


def _gain(value: float, score: str) -> str:
    factor, form, _ = unit_of(score)
    return "" if pd.isna(value) else f"{factor * value:{form}}"


def _step(before: float, after: float, lowest: float, highest: float) -> str:
    """Draw the way from one score to the other, on a scale that all members share."""
    if pd.isna(before) or pd.isna(after):
        return ""
    width = max(highest - lowest, 1e-9)
    start, end = (5 + 90 * (score - lowest) / width for score in (before, after))
    return (
        f'<svg viewBox="0 0 100 12" preserveAspectRatio="none" role="img" '
        f'aria-label="from {before:.3f} to {after:.3f}">'
        f'<line x1="{start:.1f}" y1="6" x2="{end:.1f}" y2="6" stroke="#0072B2" '
        'stroke-width="3"/>'
        f'<line x1="{start:.1f}" y1="1" x2="{start:.1f}" y2="11" '
        'stroke="currentColor" stroke-width="1.5"/>'
        f'<circle cx="{end:.1f}" cy="6" r="4" fill="#0072B2"/></svg>'
    )


def _matrices(
    transfer: Sequence[tuple[str, pd.DataFrame, pd.DataFrame]], score: str
) -> list[str]:
    (_, lessons, gains), *rounds = transfer
    return [
        _matrix(lessons, gains, score),
        *(
            f"<details><summary>{text(name)}</summary>\n"
            f"{_matrix(lessons, gains, score)}</details>"
            for name, lessons, gains in rounds
        ),
    ]


def _matrix(lessons: pd.DataFrame, gains: pd.DataFrame, score: str) -> str:
    most = max(1, int(lessons.to_numpy().max(initial=0)))
    head = "".join(f"<th>{text(student)}</th>" for student in lessons.columns)
    lines = []
    for teacher in lessons.index:
        cells = []
        for student in lessons.columns:
            count = int(lessons.loc[teacher, student])
            if teacher == student:
                cells.append('<td class="self"></td>')
                continue
            shade = f"background: rgba(0, 114, 178, {0.55 * count / most:.3f})"
            gain = _gain(gains.loc[teacher, student], score) if count else ""
            number = f"<b>{count}</b>" if count else ""
            cells.append(f'<td class="pair" style="{shade}">{number} {gain}</td>')
        lines.append(f"<tr><th>{text(teacher)}</th>{''.join(cells)}</tr>\n")
    return (
        '<div class="wide"><table><thead><tr><th>teacher \\ student</th>'
        f"{head}</tr></thead>\n<tbody>\n{''.join(lines)}</tbody></table></div>"
    )


def _told(told: Sequence[Any]) -> list[str]:
    if not told:
        return ["<p>No lesson was kept.</p>"]
    parts = [
        '<p class="note">What a teacher changed in a row to make it more typical of '
        "its class is <mark>marked</mark>. What was never recorded for the row is "
        '<span class="completed">filled</span> from the student\'s own rows.</p>'
    ]
    if "row" not in told[0].cells:
        parts.append(
            '<p class="note">The distiller keeps no training rows. To see the row '
            "beside each lesson, call <code>Report.from_estimator(distiller, X)</code> "
            "with the X of <code>fit</code>.</p>"
        )
    parts += [_lesson(lesson, place == 0) for place, lesson in enumerate(told)]
    return parts


def _lesson(lesson: Any, is_open: bool) -> str:
    line, cells = lesson.line, lesson.cells
    title = (
        f"<b>{text(line['teacher'])}</b> taught <b>{text(line['student'])}</b> about "
        f"row {text(line['source_row'])} of class {text(line['label'])}: the class's "
        f"probability, in the teacher's eyes, rose from {line['proba_before']:.2f} to "
        f"{line['proba_after']:.2f} (round {text(line['round'])})"
    )
    # What stayed is context: some of it will do, and nothing is none.
    stayed = cells[~cells["changed"] & cells["lesson"].notna()]
    shown = pd.concat([cells[cells["changed"]], stayed[:_MOST_CELLS_THAT_STAYED]])
    with_rows = "row" in cells
    body = []
    for name, cell in shown.iterrows():
        own = [text(cell["row"])] if with_rows else []
        body.append([text(name), *own, _lesson_cell(cell, with_rows)])
    heads = ["column", *(["row"] if with_rows else []), "lesson"]
    left = len(stayed) - _MOST_CELLS_THAT_STAYED
    more = (
        f'<p class="note">{left} more columns stayed as they were.</p>'
        if left > 0
        else ""
    )
    return (
        f"<details{' open' if is_open else ''}><summary>{title}</summary>\n"
        f"{_table(heads, body, 't' * len(heads))}{more}</details>"
    )


def _lesson_cell(cell: pd.Series, with_rows: bool) -> str:
    if cell["changed"]:
        return f"<mark>{text(cell['lesson'])}</mark>"
    if with_rows and pd.isna(cell["row"]) and not pd.isna(cell["lesson"]):
        return f'<span class="completed">{text(cell["lesson"])}</span>'
    return text(cell["lesson"])


def _record(report: Any) -> list[str]:
    parts = []
    if len(report.refusals):
        lines = [
            [
                text(line["round"]),
                text(line["student"]),
                _score(line["score_before"]),
                _score(line["score_after"]),
                text(line["failure"] or line["reason"]),
            ]
            for _, line in report.refusals.iterrows()
        ]
        heads = [
            "round",
            "student",
            "score",
            "score of the refit",
            "why it was refused",
        ]
        parts.append(_table(heads, lines, "ntnnt"))
    else:
        parts.append("<p>No refit was refused.</p>")
    if report.failures:
        failures = "".join(f"<li>{text(failure)}</li>\n" for failure in report.failures)
        parts.append(f"<p>What failed:</p>\n<ul>\n{failures}</ul>")
    else:
        parts.append("<p>Nothing failed.</p>")
    lines = [
        [text(int(number)) for number in line] for line in report.counts.to_numpy()
    ]
    heads = [text(name) for name in report.counts]
    parts.append(
        "<details><summary>What became of the deficiencies</summary>\n"
        f"{_table(heads, lines, 'n' * len(heads))}</details>"
    )
    return parts
