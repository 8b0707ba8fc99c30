# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Labels as 0, 1, ... for models that take no others, wherever labels are handed in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from skcoop._tables._frames import is_frame

# Words that occur in errors about labels; each library has a text of its own.
_OF_LABELS = re.compile(
    r"\b(class|classes|labels?|targets?|y|integers?|index|indices|negative)\b", re.I
)
# Parameters of fit that hold labels of other rows than those of X.
_LABELS_APART = ("eval_y", "y_val")
_MAY_HOLD_LABELS = re.compile(
    r"(^|_)(y|labels?|targets?)(_|$)|^(validation_data|valid_sets?|evals|eval_data)$"
)
# Parameters of a model that go by label.
_BY_LABEL = ("class_weight", "sampling_strategy")


def count_from_zero(y: Any) -> bool:
    """Tell whether the labels are 0, 1, ..., which every classifier takes."""
    labels = np.unique(y)
    return bool(np.array_equal(labels.astype(object), np.arange(len(labels))))


def may_be_about_labels(error: Exception, y: NDArray[Any]) -> bool:
    """Tell whether labels that are not 0, 1, ... may have caused an error.

    It names labels, or one of them, or their type. To take another error for one of
    these costs one more fit; nothing that is raised by that is lost.
    """
    # Searches quote tracebacks, whose lines of code are indented.
    said = [line for line in str(error).splitlines() if not line.startswith(" ")]
    text = "\n".join(said)
    words = {y.dtype.type.__name__, repr(y.dtype)}
    for label in np.unique(y).tolist():
        words |= {str(label), type(label).__name__}
    named = (re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) for word in words)
    return bool(_OF_LABELS.search(text)) or any(named)


def last_name(parameter: str) -> str:
    """Return the name of a parameter without the steps of pipelines before it."""
    return parameter.rsplit("__", 1)[-1]


def validates(parameter: str) -> bool:
    """Tell whether a parameter of fit is about other rows than those of X."""
    name = last_name(parameter)
    return name.startswith("eval_") or name.endswith("_val")


def holds_labels_apart(metadata: Iterable[str]) -> bool:
    """Tell whether labels of validation rows come in a parameter of their own."""
    return any(last_name(name) in _LABELS_APART for name in metadata)


def codes_of(labels: Any, classes: NDArray[Any], where: str) -> NDArray[np.intp]:
    """Return the position of each label among the classes.

    Raises
    ------
    ValueError
        If a label is none of the classes.
    """
    codes = {label: code for code, label in enumerate(classes.tolist())}
    given = np.asarray(labels).ravel().tolist()
    unknown = sorted({repr(label) for label in given if label not in codes})
    if unknown:
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        raise ValueError(
            f"{where} holds the labels [{', '.join(unknown[:5])}]{more}, but the rows "
            f"that this model is fitted on have the labels {classes.tolist()} only. "
            f"Leave rows with other labels out of {where}."
        )
    return np.array([codes[label] for label in given], dtype=np.intp)


def encoded_parameters(
    params: Mapping[str, Any], classes: NDArray[Any]
) -> dict[str, Any]:
    """Return parameters of ``fit`` with codes for labels.

    Raises
    ------
    ValueError
        If one seems to hold labels and what it means is not known.
    """
    return {name: _encoded(name, value, classes) for name, value in params.items()}


def _encoded(name: str, value: Any, classes: NDArray[Any]) -> Any:
    last = last_name(name)
    if value is None:
        return None
    if last == "eval_set":
        return [(X, codes_of(y, classes, name)) for X, y in _pairs(name, value)]
    if last in _LABELS_APART:
        if isinstance(value, tuple | list) and len(value) and np.ndim(value[0]):
            return type(value)(codes_of(part, classes, name) for part in value)
        return codes_of(value, classes, name)
    if _seems_to_hold_labels(last, value, classes):
        raise ValueError(
            f"The parameter {name!r} of fit seems to hold labels, and this model takes "
            "none but 0, 1, ... They are translated in eval_set, eval_y and y_val. "
            f"Otherwise encode them yourself, in y and in {name!r}."
        )
    return value


def _pairs(name: str, value: Any) -> list[tuple[Any, Any]]:
    """Return an evaluation set as a list of (X, y) pairs."""
    pairs = value if isinstance(value, list | tuple) else [value]
    if isinstance(value, tuple) and not all(isinstance(pair, tuple) for pair in value):
        pairs = [value]
    if not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs):
        raise ValueError(
            f"{name!r} must be a list of (X, y) pairs, as its labels have to be "
            "translated for a model that takes none but 0, 1, ..., got "
            f"{type(value).__name__}."
        )
    return [tuple(pair) for pair in pairs]


def _seems_to_hold_labels(name: str, value: Any, classes: NDArray[Any]) -> bool:
    """Tell by its name or, if they are texts, by its content."""
    if isinstance(value, str) or not hasattr(value, "__len__") or is_frame(value):
        return False
    if _MAY_HOLD_LABELS.search(name):
        return True
    if isinstance(value, tuple | list) and any(np.ndim(part) for part in value):
        return any(_seems_to_hold_labels("", part, classes) for part in value)
    cells = np.asarray(list(value) if isinstance(value, dict) else value)
    if cells.ndim != 1 or not len(cells) or cells.dtype.kind not in "OU":
        return False
    return all(isinstance(c, str) for c in cells) and set(cells) <= set(
        classes.tolist()
    )


def with_codes(estimator: Any, classes: NDArray[Any]) -> Any:
    """Return a copy of a model whose weights of classes go by code."""
    codes = {label: code for code, label in enumerate(classes.tolist())}
    by_code = {
        name: {codes[label]: w for label, w in value.items() if label in codes}
        for name, value in estimator.get_params(deep=True).items()
        if last_name(name) in _BY_LABEL
        and isinstance(value, dict)
        and any(label in codes for label in value)
    }
    return clone(estimator).set_params(**by_code)
