# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Parameters of fit that go row by row, for some of the rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcoop._compat import _num_samples
from skcoop._members._label_translation import validates
from skcoop._tables._frames import is_frame, take


def rows_of_each(
    metadata: Mapping[str, Any], rows: NDArray[np.intp], n_samples: int
) -> dict[str, Any]:
    """Take the given rows of all parameters of fit that go row by row.

    What validates a model has rows of its own, even where they are as many.
    """
    return {
        name: value if validates(name) else rows_of(value, rows, n_samples)
        for name, value in metadata.items()
    }


def rows_of(value: Any, rows: NDArray[np.intp], n_samples: int) -> Any:
    """Take the given rows of a parameter of fit, if it has an entry for each row."""
    if not goes_by_row(value, n_samples):
        return value
    return take(value if is_frame(value) else np.asarray(value), rows)


def goes_by_row(value: Any, n_samples: int) -> bool:
    """Tell whether a parameter of fit has an entry for each row."""
    if isinstance(value, str | dict) or not (
        hasattr(value, "__len__") or hasattr(value, "shape")
    ):
        return False
    return bool(_num_samples(value) == n_samples)


def row_parameters(metadata: Mapping[str, Any], n_samples: int) -> dict[str, Any]:
    """Return only the parameters of fit that go row by row, as arrays and frames."""
    everything = np.arange(n_samples)
    return {
        name: rows_of(value, everything, n_samples)
        for name, value in metadata.items()
        if not validates(name) and goes_by_row(value, n_samples)
    }
