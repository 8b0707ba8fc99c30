# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""All silos at once: in this process, or wherever they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from skcoop._cooperative._replies import Work
from skcoop._cooperative._silo import Silo
from skcoop._utils._parallel import in_parallel


class Silos(Protocol):
    """Silos that can be asked to do the operations of :class:`Silo`.

    Replies come by number of the silo, in the order of the silos. One that is lost is
    missing from then on.
    """

    @property
    def lost(self) -> dict[int, str]:
        """Silos that are lost, and why."""
        ...

    def each(
        self, operation: str, messages: dict[int, dict[str, Any]]
    ) -> dict[int, Any]:
        """Ask some silos, each for something else."""
        ...

    def some(
        self, silos: Iterable[int], operation: str, **message: Any
    ) -> dict[int, Any]:
        """Ask some silos for the same."""
        ...

    def all(self, operation: str, **message: Any) -> dict[int, Any]:
        """Ask all silos for the same."""
        ...


class Addressed:
    """Ways to address silos, on top of ``each``."""

    n_silos: int

    def each(
        self, operation: str, messages: dict[int, dict[str, Any]]
    ) -> dict[int, Any]:
        """Ask some silos, each for something else."""
        raise NotImplementedError

    def some(
        self, silos: Iterable[int], operation: str, **message: Any
    ) -> dict[int, Any]:
        """Ask some silos for the same."""
        return self.each(operation, dict.fromkeys(silos, message))

    def all(self, operation: str, **message: Any) -> dict[int, Any]:
        """Ask all silos for the same."""
        return self.some(range(self.n_silos), operation, **message)


class LocalSilos(Addressed):
    """Silos in this process: the work of all of them for a step is done together.

    Parameters
    ----------
    silos : list of Silo
        The silos.
    n_jobs : int or None
        Number of parallel jobs.
    """

    def __init__(self, silos: Sequence[Silo], n_jobs: int | None = None):
        self.silos, self.n_jobs = silos, n_jobs
        self.n_silos = len(silos)
        self.lost: dict[int, str] = {}

    def each(
        self, operation: str, messages: dict[int, dict[str, Any]]
    ) -> dict[int, Any]:
        """Ask some silos, each for something else."""
        replies = {
            s: getattr(self.silos[s], operation)(**message)
            for s, message in messages.items()
        }
        works = {s: reply for s, reply in replies.items() if isinstance(reply, Work)}
        calls = [call for work in works.values() for call in work.calls]
        results = iter(in_parallel(calls, self.n_jobs) if calls else [])
        for s, work in works.items():
            replies[s] = work.finish([next(results) for _ in work.calls])
        return replies
