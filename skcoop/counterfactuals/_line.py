# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""The straight line: from a row towards its end, as far as the target needs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skcoop._tables._frames import FloatMatrix, same_cells
from skcoop._tables._row_keys import content_keys, mixed
from skcoop.counterfactuals._walk import AT_ONCE, WAY, Asked, Landscape

# Where there are too many rows to ask about all steps, every fourth comes first.
_STRIDE = 4
# Columns that change at least, where row and end differ in more: whole numbers and
# codes stay as they are on the first steps, and a row is easily told from an answer
# that differs in a cell or two.
_LEAST_CHANGES = 3


def first_steps(
    search: Landscape, asked: Asked, ends: FloatMatrix
) -> tuple[NDArray[np.intp], FloatMatrix, NDArray[np.float64]]:
    """Find the first step of each line that is an answer.

    All columns in which a row and its end differ change together; codes, between two of
    which nothing lies, change one after the other. A certain row has no stricter
    target: it starts `alpha` of the way along.

    Parameters
    ----------
    search : Landscape
        Who is asked, and what may change.
    asked : Asked
        The rows.
    ends : ndarray of shape (n_rows, n_features)
        Where each line ends.

    Returns
    -------
    rows : ndarray of int, shape (n_found,)
        The rows with an answer.
    Z : ndarray of shape (n_found, n_features)
        The answers.
    after : ndarray of shape (n_found,)
        The probability of the label there.
    """
    first, after = np.full(len(ends), -1), np.full(len(ends), np.nan)
    apart = (~same_cells(ends, asked.Q)).sum(axis=1)
    least = np.clip(apart - 1, 1, _LEAST_CHANGES)
    # The end itself is a row of the background, which is no answer.
    most = min(asked.alpha, 1.0 - 1.0 / WAY)
    start, turns = np.where(asked.certain, most, 0.0), _turns(asked.Q)

    def place(rows: NDArray[np.intp], steps: NDArray[np.intp]) -> FloatMatrix:
        share = start[rows] + (1.0 - start[rows]) * steps / WAY
        return search.between(asked.Q[rows], ends[rows], share, turns[rows])

    def look(rows: NDArray[np.intp], steps: NDArray[np.intp]) -> None:
        """Try some steps of each row, in order, and note the first good one."""
        at = np.repeat(np.arange(len(rows)), steps.shape[1])
        proba = np.full(steps.size, np.nan)
        # Step 0 of a row that is not certain is the row itself.
        some = np.flatnonzero((steps.ravel() > 0) | asked.certain[rows[at]])
        here, taken = rows[at[some]], steps.ravel()[some]
        Z = place(here, taken)
        proba[some] = search.reached(asked[here], Z)
        few = (~same_cells(Z, asked.Q[here])).sum(axis=1) < least[here]
        proba[some[few]] = np.nan
        good = ~np.isnan(proba).reshape(steps.shape)
        found = np.flatnonzero(good.any(axis=1))
        best = good[found].argmax(axis=1)
        first[rows[found]] = steps[found, best]
        after[rows[found]] = proba.reshape(steps.shape)[found, best]

    everyone = np.arange(len(ends))
    stride = 1 if len(ends) * WAY <= AT_ONCE else _STRIDE
    look(everyone, np.tile(np.arange(0, WAY + 1, stride), (len(ends), 1)))
    if stride > 1:
        some = np.flatnonzero(first > 0)
        look(some, first[some, None] + np.arange(1 - stride, 0))
    rows = np.flatnonzero(first >= 0)
    return rows, place(rows, first[rows]), after[rows]


def _turns(Q: FloatMatrix) -> FloatMatrix:
    """Draw the part of the way at which each cell changes, by the row's content."""
    keys = content_keys(Q)
    draws = [mixed(keys, j + 1) / 2.0**64 for j in range(Q.shape[1])]
    return np.array(draws).reshape(Q.shape[::-1]).T
