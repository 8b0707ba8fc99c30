# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Parallel work, through joblib only, so that any of its backends can do it."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import BrokenExecutor, CancelledError
from typing import Any

from sklearn.utils.parallel import Parallel

from skcoop._warnings import warn


def in_parallel(calls: Iterable[Any], n_jobs: int | None) -> list[Any]:
    """Run delayed calls and return their results in order.

    A worker process that dies takes the data with it that were sent to it. All calls
    are then made once more, so that one death does not cost the whole fit.

    Parameters
    ----------
    calls : iterable of delayed calls
        As :func:`sklearn.utils.parallel.delayed` makes them; without side effects.
    n_jobs : int or None
        Number of parallel jobs.

    Returns
    -------
    results : list
        What the calls returned.
    """
    calls = list(calls)
    try:
        return list(Parallel(n_jobs=n_jobs)(calls))
    except (BrokenExecutor, CancelledError) as error:
        warn(
            f"A worker process died ({type(error).__name__}); its work is done again. "
            "If it ran out of memory, use fewer jobs."
        )
        return list(Parallel(n_jobs=n_jobs)(calls))
