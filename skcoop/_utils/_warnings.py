# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Warnings that point at the line of the user who called, and come once."""

from __future__ import annotations

import pickle
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

_INSIDE = ("skcoop.", "sklearn.", "joblib.")


def warn(message: str) -> None:
    """Issue a UserWarning for the nearest caller outside of the libraries.

    Parameters
    ----------
    message : str
        What happened, where, and what to do.
    """
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and _is_inside(frame.f_globals.get("__name__", "")):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, UserWarning, stacklevel=level)


def _is_inside(module: str) -> bool:
    return f"{module}.".startswith(_INSIDE)


class Caught(NamedTuple):
    """A warning that passed the filters, as it may travel between processes."""

    message: Any
    filename: str
    lineno: int


def in_main_thread() -> bool:
    """Tell whether warnings can be caught: threads share what is caught."""
    return threading.current_thread() is threading.main_thread()


@contextmanager
def each_once() -> Iterator[None]:
    """Hold warnings back and issue each distinct one once, at the end.

    A member that warns does so in all of its fits and answers, of which there are
    hundreds.
    """
    if not in_main_thread():
        yield
        return
    caught: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            yield
    finally:
        issue(distinct(caught))


def distinct(caught: Iterable[warnings.WarningMessage]) -> list[Caught]:
    """Return the first of each warning of one kind, text and place."""
    first: dict[tuple[type, str, str, int], Caught] = {}
    for one in caught:
        key = one.category, str(one.message), one.filename, one.lineno
        first.setdefault(key, Caught(one.message, one.filename, one.lineno))
    return list(first.values())


def issue(caught: Iterable[Caught]) -> None:
    """Issue warnings for the places that they came from."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")  # the user's filters have let them pass
        for message, filename, lineno in caught:
            warnings.warn_explicit(message, type(message), filename, lineno)


def portable(caught: Iterable[Caught]) -> list[Caught]:
    """Replace warnings that another process could not read by their text."""
    return [one._replace(message=_portable(one.message)) for one in caught]


def _portable(message: Any) -> Warning:
    try:
        pickle.loads(pickle.dumps(message))
    except Exception:  # whatever the class of a warning may need
        return UserWarning(f"{type(message).__name__}: {message}")
    return message
