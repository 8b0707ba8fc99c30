"""Tables as the README has them."""

from pathlib import Path

import numpy as np

PAGES = Path(__file__).parent.parent / "docs" / "benchmarks"


def standard_error(values):
    """Return the standard error of the mean over the last axis, the seeds."""
    n = np.shape(values)[-1]
    if n < 2:
        return np.full(np.shape(values)[:-1], np.nan)
    return np.std(values, axis=-1, ddof=1) / np.sqrt(n)


def mean_and_error(values):
    """Return mean and standard error over the seeds."""
    return f"{np.mean(values):.3f} ± {standard_error(values):.3f}"


def table(heads, lines):
    """Return a Markdown table."""
    rows = [heads, ["---"] * len(heads), *lines]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)
