# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Parallel work, through joblib only, so that any of its backends can do it."""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import BrokenExecutor, CancelledError
from pickle import PicklingError
from typing import Any

from joblib import delayed
from sklearn.utils.parallel import Parallel
from sklearn.utils.parallel import delayed as with_settings

from skcoop._utils._errors import able_to_travel, has_name
from skcoop._utils._warnings import (
    Caught,
    distinct,
    each_once,
    in_main_thread,
    issue,
    portable,
    warn,
)

__all__ = ["delayed", "in_parallel"]


def in_parallel(calls: Iterable[Any], n_jobs: int | None) -> list[Any]:
    """Run delayed calls and return their results in order.

    What the calls warn about is issued once, from whichever process it comes.

    Parameters
    ----------
    calls : iterable of delayed calls
        As :func:`joblib.delayed` makes them; without side effects.
    n_jobs : int or None
        Number of parallel jobs.

    Returns
    -------
    results : list
        What the calls returned.
    """
    home = os.getpid()
    with each_once():
        results = _in_spite_of_faults(
            [with_settings(_run)(home, *call) for call in calls], n_jobs
        )
        for _, caught in results:
            issue(caught)
    return [result for result, _ in results]


def _in_spite_of_faults(calls: list[Any], n_jobs: int | None) -> list[Any]:
    """Make all calls once more if it was not theirs that they were not made.

    A worker process that dies takes the data with it that were sent to it. Large tables
    are sent through files; the disk may be full.
    """
    try:
        return list(Parallel(n_jobs=n_jobs)(calls))
    except (BrokenExecutor, CancelledError) as error:
        warn(
            f"A worker process died ({type(error).__name__}); its work is done again. "
            "If it ran out of memory, use fewer jobs."
        )
        return list(Parallel(n_jobs=n_jobs)(calls))
    except (PicklingError, OSError) as error:
        if has_name(error) or not _is_full_disk(error):
            raise
        warn(
            "The disk that joblib shares tables through is full; its work is done "
            "again with a copy of the table for each process. To share it, name a "
            "folder with more room in joblib.parallel_config(temp_folder=...) or in "
            "the environment variable JOBLIB_TEMP_FOLDER."
        )
        return list(Parallel(n_jobs=n_jobs, max_nbytes=None)(calls))


def _is_full_disk(error: BaseException) -> bool:
    # loky hands the error of the thread that writes over as text.
    said = [str(error), str(error.__cause__)]
    return any(
        f"[Errno {number}]" in text
        for number in (errno.ENOSPC, errno.EDQUOT)
        for text in said
    )


def _run(
    home: int, function: Callable[..., Any], args: Any, kwargs: Any
) -> tuple[Any, list[Caught]]:
    """Return what a call returned, and what it warned about in another process."""
    if os.getpid() == home or not in_main_thread():
        return function(*args, **kwargs), []
    try:
        with warnings.catch_warnings(record=True) as caught:
            result = function(*args, **kwargs)
    except Exception as error:
        twin = able_to_travel(error)
        if twin is error:
            raise
        raise twin from error
    return result, portable(distinct(caught))
