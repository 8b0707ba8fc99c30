# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""BatchedDice: counterfactuals of many rows in one vectorised search."""

from __future__ import annotations

from numbers import Integral, Real
from time import perf_counter
from typing import Any, ClassVar

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from skcoop._compat import Interval, StrOptions, validate_parameter_constraints
from skcoop._tables._frames import (
    FloatMatrix,
    column_names,
    is_frame,
    is_pandas,
    select,
)
from skcoop._tables._row_labels import row_labels
from skcoop.counterfactuals._protocol import Counterfactuals
from skcoop.counterfactuals._search import Search

# Query rows handled at once; bounds memory, changes no answer.
_BLOCK = 10_000


class BatchedDice(BaseEstimator):
    """Counterfactuals for many rows at once, by coming back from confident rows.

    For each row the search takes the nearest background row that reaches the target
    and copies its values. Then it comes back as far as the teacher allows: as many
    columns as possible take their own values again (unless `sparse` is False), the
    others go back along the straight line. Where no background row reaches the target,
    the search climbs from the one that comes closest (unless `sparse` is False). What
    it returns is valid by construction, lies within the values of the background, and
    is never a copy of one of its rows. All rows are put to the teacher together, about
    30 predictions for each, half of them if `sparse` is False; a climb takes hundreds,
    but rows from which it starts alike share it.

    A row of which the teacher is already certain (a probability of 1, as trees and
    forests often give) has no stricter target. Its virtual instance lies `alpha` of
    the way towards the nearest row of which the teacher is as certain, or further if
    the teacher has doubts there.

    Parameters
    ----------
    features_to_vary : "all" or list, default="all"
        The columns that may change, by label (for an array also by position, or as a
        mask); others stay as they are in the row. Columns that the teacher does not
        read never change.
    permitted_range : dict, default=None
        For a column's label, the ``[lowest, highest]`` number or the list of
        categories or truth values that it may be given, within those of the
        background. All values of the background by default. A row that lies outside
        keeps its own value or is brought closer.
    categorical_features : list, default=None
        Columns of numbers that are codes of categories, by label (for an array also by
        position, or as a mask): no code lies between two others. Strings, categories
        and objects are known from their type.
    sparse : bool, default=True
        Whether to change as few columns as the target allows, which is what people can
        read as an explanation. False goes along the straight line towards the
        background row: all columns in which the two differ change together, each as
        far as the target needs. That takes fewer predictions, the answers are nothing
        like the rows that they come from, and a row has none where no background row
        reaches the target.

    See Also
    --------
    StockDice : Runs the searches of dice-ml, one row at a time.

    Notes
    -----
    A missing cell stays missing, as that it is missing may mean something, and no value
    ever goes missing; a missing cell is as far from any value as two values can be.
    Whole numbers stay whole. Times, and integers beyond 2**53, stay as they are in the
    row; a column of times that `features_to_vary` names is refused.

    References
    ----------
    .. [1] R. K. Mothilal, A. Sharma, C. Tan. "Explaining Machine Learning Classifiers
       through Diverse Counterfactual Explanations". FAT* 2020.
    .. [2] D. Brughmans, P. Leyman, D. Martens. "NICE: an algorithm for nearest instance
       counterfactual explanations". Data Mining and Knowledge Discovery 38, 2024.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcoop.counterfactuals import BatchedDice
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = LogisticRegression(max_iter=1000).fit(X, y)
    >>> answer = BatchedDice().generate(teacher, X[50:55], y[50:55], background=X)
    >>> answer.valid
    array([ True,  True,  True,  True,  True])
    >>> bool((answer.proba_after >= (1 + answer.proba_before) / 2).all())
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "features_to_vary": [StrOptions({"all"}), "array-like"],
        "permitted_range": [dict, None],
        "categorical_features": ["array-like", None],
        "sparse": ["boolean"],
    }

    def __init__(
        self,
        *,
        features_to_vary: Any = "all",
        permitted_range: Any = None,
        categorical_features: Any = None,
        sparse: bool = True,
    ):
        self.features_to_vary = features_to_vary
        self.permitted_range = permitted_range
        self.categorical_features = categorical_features
        self.sparse = sparse

    def generate(
        self,
        teacher: Any,
        X: Any,
        y: Any,
        *,
        background: Any,
        alpha: float = 0.5,
        total_CFs: int = 1,
        random_state: Any = None,
    ) -> Counterfactuals:
        """Find a more typical version of each row in the teacher's eyes.

        Parameters
        ----------
        teacher : classifier
            Fitted, with ``predict_proba`` and ``classes_``.
        X : ndarray or data frame of shape (n_rows, n_features)
            Rows to answer for.
        y : array-like of shape (n_rows,)
            Their true classes.
        background : ndarray or data frame of shape (n_samples, n_features)
            Rows that give ranges, categories and end points.
        alpha : float, default=0.5
            The target is ``p + alpha * (1 - p)`` for a row of probability p.
        total_CFs : int, default=1
            Number of different answers to each row. Each changes other columns than
            those before it, where that reaches the target. A row for which so many
            cannot be found has fewer valid ones.
        random_state : int, RandomState instance or None, default=None
            Seed of the choice of possible end points if the background has more than
            5000 different rows; nothing else is drawn. None is a seed like others:
            global states are neither used nor changed.

        Returns
        -------
        Counterfactuals
            `total_CFs` virtual instances for each row, next to each other.

        Raises
        ------
        ValueError
            If a parameter names a column that X does not have or one that cannot be
            varied, or if the tables do not fit together.
        """
        return self._generate(teacher, X, y, background, alpha, total_CFs, random_state)

    def _generate(
        self,
        teacher: Any,
        X: Any,
        y: Any,
        background: Any,
        alpha: float,
        total_CFs: int = 1,
        random_state: Any = None,
        known: tuple[FloatMatrix, FloatMatrix] | None = None,
    ) -> Counterfactuals:
        """Do what ``generate`` does.

        What the teacher says of the background and of X may be known, as arrays with a
        column for each of its classes.
        """
        started = perf_counter()
        self._validate_params()
        validate_parameter_constraints(
            {
                "alpha": [Interval(Real, 0, 1, closed="right")],
                "total_CFs": [Interval(Integral, 1, None, closed="left")],
                "random_state": ["random_state"],
            },
            {"alpha": alpha, "total_CFs": total_CFs, "random_state": random_state},
            "generate",
        )
        seed = 0
        if random_state is not None:
            seed = check_random_state(random_state).randint(2**31)
        X, background = checked_tables(X, background)
        labels = checked_labels(y, X.shape[0])
        search = Search(
            teacher,
            background,
            X,
            features_to_vary=self.features_to_vary,
            permitted_range=self.permitted_range,
            categorical_features=self.categorical_features,
            sparse=self.sparse,
            seed=seed,
            known=known,
        )
        Q = search.Q
        shape = (len(Q), total_CFs)
        found = np.repeat(Q[:, None], total_CFs, axis=1)
        valid, copied = np.zeros((2, *shape), dtype=bool)
        before, after, target = np.zeros((3, *shape))
        donor = np.full(shape, -1, dtype=np.intp)
        for start in range(0, len(Q), _BLOCK):
            block = slice(start, start + _BLOCK)
            asked = search.pose(block, labels[block], alpha)
            before[block] = asked.before[:, None]
            target[block] = asked.target[:, None]
            for number, best in enumerate(search.answer(asked, total_CFs)):
                found[block, number], valid[block, number] = best.Z, best.valid
                after[block, number], donor[block, number] = best.after, best.donor
                copied[block, number] = best.copied & ~best.valid
        return Counterfactuals(
            X_cf=search.codec.decode(
                found.reshape(-1, Q.shape[1]), row_labels(X, total_CFs)
            ),
            valid=valid.ravel(),
            proba_before=before.ravel(),
            proba_after=after.ravel(),
            n_predictions=search.n_predictions,
            seconds=perf_counter() - started,
            donor=donor.ravel(),
            target=target.ravel(),
            n_repeats=int(copied.sum()),
        )


def checked_labels(y: Any, n_rows: int) -> NDArray[Any]:
    """Return the labels as objects; a missing one is a class that nobody knows."""
    labels = np.array(y, dtype=object)
    labels[pd.isna(labels)] = None
    if labels.shape != (n_rows,):
        raise ValueError(
            f"y must hold one class for each of the {n_rows} rows of X, got an array "
            f"of shape {labels.shape}."
        )
    return labels


def checked_tables(X: Any, background: Any) -> tuple[Any, Any]:
    """Make sure that two tables fit together; bring their columns into one order."""
    if is_frame(X) != is_frame(background):
        raise ValueError(
            "X and background must both be data frames or both be arrays, got "
            f"{type(X).__name__} and {type(background).__name__}."
        )
    if not is_frame(X):
        X, background = np.asarray(X), np.asarray(background)
        for table, rows in (("X", X), ("background", background)):
            if rows.ndim != 2 or rows.dtype.kind == "c":
                raise ValueError(
                    f"{table} must be a data frame or an array of shape (n_samples, "
                    f"n_features) of real numbers or objects, got {rows.dtype} of "
                    f"shape {rows.shape}."
                )
        if X.shape[1] != background.shape[1]:
            raise ValueError(
                f"X has {X.shape[1]} columns, but background has {background.shape[1]}."
            )
        return X, background
    names, known = column_names(X), column_names(background)
    for table, own, other in (("X", names, known), ("background", known, names)):
        missing = [label for label in other if label not in own]
        if missing:
            raise ValueError(f"{table} lacks the columns {missing}.")
    if names != known:
        background = select(background, names)
    if not is_pandas(X):
        types = [nw.from_native(table).schema for table in (X, background)]
        for name in names:
            if types[0][name] != types[1][name]:
                raise ValueError(
                    f"Column {name!r} is {types[0][name]} in X and {types[1][name]} "
                    "in background: cast one of them."
                )
    return X, background
