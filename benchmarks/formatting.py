"""Tables as the README has them."""

from pathlib import Path

import numpy as np

PAGES = Path(__file__).parent.parent / "docs" / "benchmarks"


def mean_and_error(values):
    """Return mean and standard error over the seeds."""
    values = np.asarray(values)
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"{values.mean():.3f} ± {error:.3f}"


def table(heads, lines):
    """Return a Markdown table."""
    rows = [heads, ["---"] * len(heads), *lines]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)
