# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Warnings that point at the line of the user who called."""

from __future__ import annotations

import sys
import warnings

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
