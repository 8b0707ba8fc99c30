# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Models of other silos are asked in a process that they may end, and no other."""

from __future__ import annotations

import resource
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass
from typing import Any

from joblib.externals.loky import get_reusable_executor


@dataclass(frozen=True)
class Limits:
    """What models of other silos may take of this one's machine.

    They are asked in a process of their own. If it ends, takes too long or too much
    memory, that costs who sent the model, and not the silo.

    Parameters
    ----------
    seconds : float, default=600
        Time for the answers of one model.
    memory : int or None, default=None
        Most bytes that the process may hold; None for no limit.
    """

    seconds: float = 600
    memory: int | None = None


def asked_apart(
    calls: Sequence[Any], instead: Callable[[int, str], Any], limits: Limits
) -> list[Any]:
    """Make calls in another process, one after the other.

    Parameters
    ----------
    calls : list of delayed calls
        As :func:`joblib.delayed` makes them.
    instead : callable
        Says what a call comes to that could not be made.
    limits : Limits
        What they may take.
    """
    results = []
    for number, call in enumerate(calls):
        executor = get_reusable_executor(max_workers=1, timeout=600)
        try:
            waiting = executor.submit(_made, call, limits.memory)
            results.append(waiting.result(limits.seconds))
        except TookTooLong:
            executor.shutdown(kill_workers=True)
            results.append(instead(number, "TimeoutError"))
        except (BrokenExecutor, MemoryError) as error:
            results.append(instead(number, type(error).__name__))
    return results


def _made(call: Any, memory: int | None) -> Any:
    if memory is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    function, args, kwargs = call
    return function(*args, **kwargs)
