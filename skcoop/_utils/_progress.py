# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Progress of a fit: scikit-learn's callbacks, and the lines of `verbose`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any


@dataclass
class Progress:
    """A part of a fit, as callbacks hear of it.

    Attributes
    ----------
    estimator : estimator
        Whose fit it is.
    context : CallbackContext or None
        scikit-learn's own record of the part; None where it has no callbacks yet.
    """

    estimator: Any
    context: Any

    def begin(self, **data: Any) -> Progress:
        """Tell the callbacks that the part begins."""
        if self.context is not None:
            self.context.call_on_fit_task_begin(estimator=self.estimator, **data)
        return self

    def end(self, **data: Any) -> bool:
        """Tell the callbacks that the part is over; return whether one says stop."""
        if self.context is None:
            return False
        return self.context.call_on_fit_task_end(estimator=self.estimator, **data)

    def part(self, name: str, n_members: int = 0) -> Progress:
        """Return the next part of this part, which may be one of several members."""
        if self.context is None:
            return self
        context = self.context.subcontext(
            task_name=name, max_subtasks=n_members, sequential_subtasks=not n_members
        )
        return Progress(self.estimator, context)

    def members(self, names: list[str]) -> list[Progress]:
        """Return a part for each member; they may be fitted side by side."""
        if self.context is None:
            return [self] * len(names)
        return [
            Progress(
                self.estimator, self.context.subcontext(task_name=name, task_id=number)
            )
            for number, name in enumerate(names)
        ]

    @contextmanager
    def around(self, model: Any) -> Iterator[None]:
        """Let the callbacks follow the fit of a member, if it can be followed.

        A member without callbacks is no reason for a warning, nor is a step in it.
        """
        if self.context is None or not hasattr(model, "set_callbacks"):
            self.begin()
            yield
            self.end()
            return
        with self.context.propagate_callback_context(model):
            self.begin()
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".*does not support callbacks")
                yield
            self.end()


def start(estimator: Any, n_parts: int, **data: Any) -> Progress:
    """Tell the callbacks of an estimator that its fit begins.

    Parameters
    ----------
    estimator : estimator
        Whose fit it is.
    n_parts : int
        Most parts that the fit can have.
    **data : dict
        What the callbacks may see: `X`, `y` and `metadata`.

    Returns
    -------
    progress : Progress
        The whole fit.
    """
    return Progress(
        estimator, estimator._init_callback_context(max_subtasks=n_parts)
    ).begin(**data)


class Clock:
    """Prints what is done and how long it took, if the estimator is verbose.

    Parameters
    ----------
    estimator : estimator
        Whose fit it is.
    n_rounds : int
        Most rounds that the fit can have.
    """

    def __init__(self, estimator: Any, n_rounds: int):
        self.estimator = estimator
        self.n_rounds = n_rounds
        self.started = self.round_began = perf_counter()
        self.longest_round = 0.0

    def say(self, what: str, *, to_go: str = "") -> None:
        """Print a line with the time since the fit began."""
        if self.estimator.verbose:
            name, total = type(self.estimator).__name__, perf_counter() - self.started
            print(f"[{name}] {what}, total={total:.1f}s{to_go}")
        self.round_began = perf_counter()

    def say_round(
        self, number: int, improved: int, taught: int, n_lessons: int
    ) -> None:
        """Print what a round brought, and what the others may take."""
        took = perf_counter() - self.round_began
        self.longest_round = max(took, self.longest_round)
        most = self.longest_round * (self.n_rounds - number) if improved else 0
        self.say(
            f"round {number} of {self.n_rounds}: {improved} of {taught} students "
            f"improved, {n_lessons} lessons kept so far",
            to_go=f", at most about {most:.1f}s to go",
        )
