# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""What all pictures share: axes, colours that everybody can tell apart, heat maps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from skcoop._members._scores import SHARES

# The palette of Okabe and Ito; markers differ as well, for print without colours.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
GREY = "#9a9a9a"
_LONGEST_LABEL = 24


def check_distiller(estimator: Any, display: type) -> None:
    """Refuse what is not fitted, or has no lessons to show.

    Parameters
    ----------
    estimator : object
        What the user passed.
    display : type
        The display that was asked for.

    Raises
    ------
    TypeError
        If it is no distiller that keeps a record of lessons.
    NotFittedError
        If it is not fitted.
    """
    if not hasattr(estimator, "fit") or isinstance(estimator, type):
        raise TypeError(
            f"{display.__name__}.from_estimator expects a fitted CooperativeDistiller, "
            f"got {estimator!r}."
        )
    check_is_fitted(estimator)
    if not hasattr(estimator, "lessons_"):
        raise TypeError(
            f"{display.__name__}.from_estimator expects a CooperativeDistiller, which "
            f"keeps its lessons; {type(estimator).__name__} has none."
        )


def axes(ax: Any, display: object, figsize: tuple[float, float]) -> Any:
    """Return the axes to draw on: those given, or those of a new figure.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{type(display).__name__} needs matplotlib. Install it with "
            "`pip install 'skcoop[plot]'`."
        ) from error
    if ax is None:
        _, ax = plt.subplots(figsize=figsize, layout="constrained")
    return ax


def text_of(label: object) -> str:
    """Return a label as text: shortened, and a dollar sign starts no formula."""
    text = str(label)
    if len(text) > _LONGEST_LABEL:
        text = f"{text[: _LONGEST_LABEL - 1]}…"
    return text.replace("$", r"\$")


def say_nothing_to_draw(ax: Any, why: str) -> None:
    """Write in empty axes why there is no picture."""
    ax.text(0.5, 0.5, why, ha="center", va="center", transform=ax.transAxes)
    ax.set_xticks([])
    ax.set_yticks([])


def heat_map(
    ax: Any, table: pd.DataFrame, texts: np.ndarray, *, cmap: str, limits: Any
) -> Any:
    """Draw a table as coloured cells, each with a text in a colour that can be read.

    Parameters
    ----------
    ax : matplotlib Axes
        Where to draw.
    table : DataFrame
        The numbers; cells that are NaN stay grey.
    texts : ndarray of str, shape of `table`
        What to write into the cells.
    cmap : str
        Name of a colour map.
    limits : (float, float)
        The numbers at the ends of the colour map.

    Returns
    -------
    image : matplotlib AxesImage
        The cells, for a colour bar.
    """
    values = np.ma.masked_invalid(table.to_numpy(dtype=float))
    ax.set_facecolor("#ececec")
    image = ax.imshow(values, cmap=cmap, vmin=limits[0], vmax=limits[1], aspect="auto")
    for i, j in np.argwhere(texts != ""):
        red, green, blue, _ = image.cmap(image.norm(values[i, j]))
        dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.5
        color = "white" if dark else "black"
        place = {"ha": "center", "va": "center", "fontsize": "small"}
        ax.text(j, i, texts[i, j], color=color, **place)
    return image


def name_cells(ax: Any, lines: list[str], names: list[str]) -> None:
    """Name the lines and columns of a heat map; long names, and many, are turned."""
    ax.set_yticks(range(len(lines)), lines)
    longest = max((len(line) for name in names for line in name.split("\n")), default=0)
    crowded = len(names) > 5 or longest > 12
    turned = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    ax.set_xticks(range(len(names)), names, **(turned if crowded else {}))


def unit_of(score: str) -> tuple[float, str, str]:
    """Return how differences of a score are shown: factor, number format and unit."""
    if score in SHARES:
        return 100.0, "+.1f", "points"
    return 1.0, "+.3f", words_of(score)


def words_of(score: str) -> str:
    """Return a score's name as people read it."""
    return score.replace("_", " ")
