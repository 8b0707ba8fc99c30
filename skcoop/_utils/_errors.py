# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Errors of the user's models: their first line says who raised them, and when."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any, cast

# Marks an error that is known to come from a model or engine of the user's.
_MARK = "_skcoop_named"


class named:
    """Put a name before the message of any error that leaves a ``with`` block.

    What begins with the name already, and what is no error (an interrupt), pass as they
    are.

    Parameters
    ----------
    who : str
        Whose code runs, such as ``"Member 'north'"``.
    step : str
        What it was doing, such as ``"fitted on 90 rows"``.
    """

    def __init__(self, who: str, step: str):
        self.who = who
        self.step = step

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Raise an error of the same type with the name."""
        if not isinstance(error, Exception):
            return
        said = str(error)
        if not said.startswith(self.who) or said.startswith(f"{self.who}: "):
            prefix = f"{self.who}, {self.step}"
            raise renamed(error, prefix, name=f"{self.who}: ") from error


def renamed(
    error: Exception, prefix: str, suffix: str = "", *, name: str = ""
) -> Exception:
    """Return an error like another whose message begins with a name.

    Parameters
    ----------
    error : Exception
        What was raised.
    prefix : str
        Who raised it and when.
    suffix : str, default=""
        What to do, on a line of its own.
    name : str, default=""
        With what the message may begin that the prefix says better.

    Returns
    -------
    twin : Exception
        Of the same type, with the same attributes; of the nearest base class that can
        show a message where the type makes up its own.
    """
    said = str(error).removeprefix(name).strip() or type(error).__name__
    message = f"{prefix}: {said}" + (f"\n{suffix}" if suffix else "")
    twin = next(_twins(error, message))
    setattr(twin, _MARK, True)
    return twin


def has_name(error: BaseException) -> bool:
    """Tell whether an error is known to come from a model or engine of the user's."""
    return hasattr(error, _MARK)


def able_to_travel(error: Exception) -> Exception:
    """Return an error that another process can build again from what is pickled.

    A class whose constructor takes something else than what ``args`` holds cannot be
    unpickled, which would break the pool of workers and hide the error.
    """
    if _survives(error):
        return error
    return next(twin for twin in _twins(error, str(error)) if _survives(twin))


def describe(error: Exception) -> str:
    """Say what was raised, for the record."""
    return f"{type(error).__name__}: {error}"


def _twins(error: Exception, message: str) -> Iterator[Exception]:
    """Yield errors with a message, of the type of another or of its bases."""
    kinds = [kind for kind in type(error).__mro__ if issubclass(kind, Exception)]
    if len(kinds) > 1:
        kinds[-1] = RuntimeError  # says more than Exception
    for kind in kinds:
        try:
            # Without its __init__, which may take anything.
            twin = kind.__new__(kind, message)
            twin.args = (message,)
            vars(twin).update(vars(error))
            if isinstance(error, OSError) and isinstance(twin, OSError):
                twin.errno = error.errno
            shown = str(twin)
        except Exception:  # a type that makes up its own message: its base will do
            continue
        if shown in (message, repr(message)):  # a KeyError shows the repr
            yield twin


def _survives(error: Exception) -> bool:
    try:
        make, args, *_ = cast(tuple[Any, ...], error.__reduce_ex__(2))
        return str(make(*args)) == str(error)
    except Exception:  # whatever a constructor raises that gets the wrong arguments
        return False
