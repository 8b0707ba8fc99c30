# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""A way back to the user's table that neither keeps it alive nor trusts it blindly."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcoop._tables._codec import TableCodec
from skcoop._tables._frames import is_frame, take
from skcoop._tables._row_keys import content_keys


class TrainingRows:
    """The table of a fit, as long as somebody else keeps it as it was.

    Parameters
    ----------
    X : array-like or data frame
        The table as handed in.
    rows : ndarray of int
        The rows that must not have changed: those that lessons were made from.
    """

    def __init__(self, X: Any, rows: NDArray[np.intp]):
        self.reference: Any = None
        if is_frame(X) or isinstance(X, np.ndarray):
            self.reference = weakref.ref(X)
            self.rows, self.shape = rows, X.shape
            self.fingerprint = self._fingerprint(X)

    def table(self) -> Any:
        """Return the table, or None if it is gone or the rows have changed."""
        X = None if self.reference is None else self.reference()
        if X is None or X.shape != self.shape:
            return None
        try:
            return X if self._fingerprint(X) == self.fingerprint else None
        except (TypeError, ValueError):  # the user put something else into its cells
            return None

    def _fingerprint(self, X: Any) -> int:
        """Return a number that other contents of the rows would hardly have."""
        if not len(self.rows):
            return 0
        some = take(X, self.rows)
        codec = TableCodec(some)
        levels = [codec.levels_of(j) for j in np.flatnonzero(codec.coded).tolist()]
        names = repr((codec.names, levels))
        return hash((names, content_keys(codec.encode(some)).tobytes()))
