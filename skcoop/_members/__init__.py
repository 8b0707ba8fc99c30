# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Members: models of any library behind one way to fit and to ask them."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """Find the type that files of version 0.1 look for here."""
    if name == "LabelEncodedClassifier":
        from skcoop._members._member import LabelEncodedClassifier

        return LabelEncodedClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
