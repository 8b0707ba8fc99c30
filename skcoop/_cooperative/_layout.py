# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Lay a table out as silos: each gets its rows, and the members that live there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcoop._cooperative._plan import Plan
from skcoop._cooperative._silo import Silo
from skcoop._members._fit_parameters import row_parameters, rows_of_each
from skcoop._members._member import make_member
from skcoop._tables._task import Task
from skcoop._utils._progress import Progress


def lay_out(
    plan: Plan,
    estimators: Sequence[tuple[str, Any]],
    task: Task,
    rows: NDArray[np.intp],
    owners: NDArray[np.intp],
    parameters: Sequence[Mapping[str, Any]],
    progress: Mapping[int, Progress],
) -> list[Silo]:
    """Return the silos of a table.

    Parameters
    ----------
    plan : Plan
        What they agree on.
    estimators : list of (str, classifier)
        The members.
    task : Task
        The rows of all silos.
    rows : ndarray of int, shape (n_samples,)
        Their places in the user's table.
    owners : ndarray of int, shape (n_samples,)
        Number of each row's silo.
    parameters : list of dict
        By member, parameters of its ``fit`` for these rows.
    progress : dict of int to Progress
        By member, what follows its first fit.
    """
    silos = []
    for number in range(len(plan.silos)):
        own = np.flatnonzero(owners == number)
        n_samples = len(own)
        by_member = [rows_of_each(each, own, len(rows)) for each in parameters]
        silos.append(
            Silo(
                plan,
                number,
                task.part(own) if len(plan.silos) > 1 else task,
                rows[own],
                {
                    k: make_member(
                        *estimators[k], task.Z.shape[1], plan.seed, by_member[k]
                    )
                    for k in plan.at_home(number)
                },
                {k: row_parameters(p, n_samples) for k, p in enumerate(by_member)},
                progress,
            )
        )
    return silos
