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

from joblib.externals.loky import ProcessPoolExecutor


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


class Apart:
    """Makes calls in a process of its own, one after the other.

    Parameters
    ----------
    limits : Limits
        What the process may take.
    """

    def __init__(self, limits: Limits):
        self.limits = limits
        self._executor: ProcessPoolExecutor | None = None

    def made(
        self, calls: Sequence[Any], instead: Callable[[int, str], Any]
    ) -> list[Any]:
        """Return what calls return.

        Parameters
        ----------
        calls : list of delayed calls
            As :func:`joblib.delayed` makes them.
        instead : callable
            Says what a call comes to that could not be made.
        """
        return [self._made(n, call, instead) for n, call in enumerate(calls)]

    def _made(self, number: int, call: Any, instead: Callable[[int, str], Any]) -> Any:
        if self._executor is None:
            self._executor = ProcessPoolExecutor(max_workers=1)
        try:
            waiting = self._executor.submit(_make, call, self.limits.memory)
            return waiting.result(self.limits.seconds)
        except MemoryError:
            return instead(number, "MemoryError")
        except TookTooLong:
            self.end()
            return instead(number, "TimeoutError")
        except BrokenExecutor as error:
            self.end()
            return instead(number, type(error).__name__)

    def end(self) -> None:
        """End the process; the next call begins another one."""
        if self._executor is not None:
            self._executor.shutdown(kill_workers=True)
        self._executor = None


def _make(call: Any, memory: int | None) -> Any:
    if memory is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    function, args, kwargs = call
    return function(*args, **kwargs)
