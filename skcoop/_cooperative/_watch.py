# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Tells callbacks and the user how a fit goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from skcoop._cooperative._course import Outcome
from skcoop._cooperative._gate import Verdict
from skcoop._cooperative._plan import Plan
from skcoop._utils._progress import Clock, Progress


class FitWatch:
    """Tells callbacks and the user how the fit of a distiller goes on.

    Parameters
    ----------
    distiller : CooperativeDistiller
        Whose fit it is.
    progress : Progress
        The whole fit.
    data : dict
        What callbacks may see: `X`, `y` and `metadata`.
    plan : Plan
        Who takes part.

    Attributes
    ----------
    parts : dict of int to Progress
        By member, what follows its first fit.
    attributes : callable
        Turns an outcome into the fitted attributes of the distiller.
    """

    attributes: Callable[[Outcome], dict[str, Any]]

    def __init__(
        self, distiller: Any, progress: Progress, data: dict[str, Any], plan: Plan
    ):
        self.progress, self.data = progress, data
        self.clock = Clock(distiller, distiller._n_rounds())
        self.n_members = len(plan.members)
        learners = np.flatnonzero(~plan.frozen).tolist()
        self.part = progress.part("fit members", len(learners)).begin()
        parts = self.part.members([plan.members[k] for k in learners])
        self.parts = dict(zip(learners, parts, strict=True))

    def fitted(self) -> None:
        """Note that all members are fitted."""
        self.part.end()
        self.part = self.progress.part("judge members").begin()

    def judged(self) -> None:
        """Note that all members are judged."""
        self.part.end()
        self.clock.say(f"{self.n_members} members fitted and judged")

    def round_begins(self) -> None:
        """Note that a round begins."""
        self.part = self.progress.part("round").begin(**self.data)

    def round_ends(
        self,
        number: int,
        verdicts: Mapping[int, Verdict],
        n_kept: int,
        outcome: Callable[[], Outcome],
    ) -> bool:
        """Note that a round is over; tell whether a callback says stop."""
        improved = sum(verdict.accepted for verdict in verdicts.values())
        self.clock.say_round(number, improved, len(verdicts), n_kept)
        return self.part.end(
            **self.data,
            reconstruction_attributes=lambda: self.attributes(outcome()),
        )
