# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""What may change in a row, and to what, as the user says it by columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcoop._compat import InvalidParameterError
from skcoop._tables._codec import TableCodec
from skcoop._tables._frames import FloatMatrix, same_cells


class Permissions:
    """Which columns of a table may change, and to which values.

    Parameters
    ----------
    codec : TableCodec
        Knows the columns.
    features_to_vary : "all" or list
        The columns that may change.
    permitted_range : dict or None
        For a column's label, the ``[lowest, highest]`` number or the list of categories
        that it may be given.
    categorical_features : list or None
        Columns of numbers that are codes.

    Attributes
    ----------
    varies : ndarray of bool, shape (n_features,)
        Columns that may change at all.
    coded : ndarray of bool, shape (n_features,)
        Columns of codes.
    ranges : dict of int to (float, float)
        Lowest and highest value by position of the column.
    choices : dict of int to ndarray
        Permitted codes by position of the column.
    """

    def __init__(
        self,
        codec: TableCodec,
        features_to_vary: Any = "all",
        permitted_range: Mapping[Any, Any] | None = None,
        categorical_features: Any = None,
    ):
        self.codec, self.permitted_range = codec, permitted_range or {}
        self.names = codec.names
        self.varies = self._columns_to_vary(codec, features_to_vary)
        self.coded = codec.coded.copy()
        self.coded[
            column_positions(categorical_features, codec, "categorical_features")
        ] = True
        self.ranges: dict[int, tuple[float, float]] = {}
        self.choices: dict[int, NDArray[np.float64]] = {}
        for name, values in self.permitted_range.items():
            j = column_position(name, codec, "permitted_range")
            if not self.varies[j]:
                continue
            if self.coded[j]:
                self.choices[j] = _codes(codec, j, name, values)
            else:
                self.ranges[j] = _limits(name, values)

    def allow(self, before: FloatMatrix, after: FloatMatrix) -> NDArray[np.bool_]:
        """Tell which rows changed only what they may, and to what they may.

        A row that lies outside of a range may be brought closer to it.
        """
        stayed = same_cells(before, after)
        good = stayed | self.varies
        for j, (low, high) in self.ranges.items():
            inside = after[:, j] >= np.fmin(low, before[:, j])
            good[:, j] &= stayed[:, j] | inside & (
                after[:, j] <= np.fmax(high, before[:, j])
            )
        for j, codes in self.choices.items():
            good[:, j] &= stayed[:, j] | np.isin(after[:, j], codes)
        return np.asarray(good.all(axis=1))

    def as_parameters(self, Z: FloatMatrix) -> dict[str, Any]:
        """Say the same in parameters of an engine, as far as there is something to say.

        Columns that were recognised as codes have a range, which becomes the list of
        those of their values that lie in it.
        """
        told: dict[str, Any] = {}
        if not np.array_equal(self.varies, self.codec.varies):
            told["features_to_vary"] = self._labels(self.varies)
        numbers = self.coded & ~self.codec.coded
        if numbers.any():
            told["categorical_features"] = self._labels(numbers)
        ranges = dict(self.permitted_range)
        for j, (low, high) in self.ranges.items():
            if self.coded[j]:
                known = np.unique(Z[:, j])
                inside = known[(known >= low) & (known <= high)].tolist()
                ranges = {
                    name: inside if column_position(name, self.codec, "") == j else v
                    for name, v in ranges.items()
                }
        if ranges:
            told["permitted_range"] = ranges
        return told

    def _labels(self, mask: NDArray[np.bool_]) -> list[Any]:
        return [self.names[j] for j in np.flatnonzero(mask).tolist()]

    def _columns_to_vary(
        self, codec: TableCodec, features_to_vary: Any
    ) -> NDArray[np.bool_]:
        if isinstance(features_to_vary, str) and features_to_vary == "all":
            return codec.varies
        chosen = column_positions(features_to_vary, codec, "features_to_vary")
        for j in chosen:
            if not codec.varies[j]:
                kind = "times" if codec.times[j] else "integers beyond 2**53"
                raise InvalidParameterError(
                    f"features_to_vary names {self.names[j]!r}, a column of "
                    f"{kind}, which no search can vary. Leave it out, or hand over "
                    "other numbers made from it."
                )
        return codec.varies & np.isin(np.arange(len(codec.varies)), chosen)


def _codes(codec: TableCodec, j: int, name: Any, values: Any) -> NDArray[np.float64]:
    try:
        if isinstance(values, str):
            raise TypeError
        return codec.codes_of(j, list(values))
    except (TypeError, ValueError) as error:
        raise InvalidParameterError(
            f"permitted_range of column {name!r} must be a list of its "
            f"categories, got {values!r}."
        ) from error


def _limits(name: Any, values: Any) -> tuple[float, float]:
    """Read the permitted range of a column of numbers."""
    try:
        if isinstance(values, str | set | frozenset | dict):  # of no order, or letters
            raise TypeError
        values = list(values)
        if values and all(isinstance(value, bool | np.bool_) for value in values):
            values = [min(values), max(values)]  # truth values are a list of categories
        low, high = map(float, values)
        if not low <= high:
            raise ValueError
    except (TypeError, ValueError) as error:
        raise InvalidParameterError(
            f"permitted_range of column {name!r} must be [lowest, highest], got "
            f"{values!r}."
        ) from error
    return low, high


def column_positions(columns: Any, codec: TableCodec, parameter: str) -> list[int]:
    """Return positions of columns given by label, as a mask, or in arrays by position.

    Raises
    ------
    InvalidParameterError
        If one is no column of the table, or if they are no list.
    """
    if columns is None:
        return []
    if isinstance(columns, str) or not isinstance(columns, Iterable):
        raise InvalidParameterError(
            f"{parameter} must be a list of columns, got {columns!r}. The columns are "
            f"{codec.names}."
        )
    labels = list(columns)
    if labels and all(isinstance(label, bool | np.bool_) for label in labels):
        if len(labels) != len(codec.names):
            raise InvalidParameterError(
                f"{parameter} has {len(labels)} entries for {len(codec.names)} columns."
            )
        return np.flatnonzero(labels).tolist()
    return [column_position(label, codec, parameter) for label in labels]


def column_position(label: Any, codec: TableCodec, parameter: str) -> int:
    """Return the position of one column."""
    if label in codec.names:
        return codec.names.index(label)
    is_position = codec.is_array and isinstance(label, Integral)
    if is_position and 0 <= label < len(codec.names):
        return int(label)
    raise InvalidParameterError(
        f"{parameter} names {label!r}, which is no column of X. The columns are "
        f"{codec.names}."
    )
