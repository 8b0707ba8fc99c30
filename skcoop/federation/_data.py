# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""What a silo brings: rows, members, and what it consents to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator

from skcoop._members._checks import check_estimators, check_weights
from skcoop._members._member import weight_parameter
from skcoop.federation._models import check_kind
from skcoop.federation._profile import Profile, profile_of
from skcoop.federation._visitors import Limits


@dataclass(frozen=True)
class Consent:
    """What a silo agrees to let out, beyond lessons, sums and models without rows.

    Parameters
    ----------
    share_predictions : bool, default=False
        Whether what members predict for the silo's rows may leave, with the rows'
        classes, weights and folds. A final estimator of the user's own needs it, and
        so does a score that is no mean over rows.
    models_with_rows : bool, default=False
        Whether models may leave that hold training rows, as nearest neighbours do.
    least_count : int, default=5
        Least number of rows that must have a category or text for other silos to be
        told of it, unless a schema knows it.
    """

    share_predictions: bool = False
    models_with_rows: bool = False
    least_count: int = 5


@dataclass
class SiloData:
    """The rows of one silo, the members that live there, and what it consents to.

    Parameters
    ----------
    name : str
        The silo's name.
    X : DataFrame of shape (n_samples, n_features)
        Its rows. Columns are found by their names, which are strings; silos may have
        different ones.
    y : array-like of shape (n_samples,)
        Class of each row.
    estimators : list of (str, classifier), default=()
        The members that live there; their names are different in all silos. A silo
        without members judges and gives lessons.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each row.
    consent : Consent, default=Consent()
        What it agrees to let out.
    levels : dict of str to list, default={}
        By column of categories or texts, values that everybody knows.
    limits : Limits or None, default=None
        What other silos' models may take. They are then asked in a process of their
        own, which takes longer. None trusts them to do no harm.
    trusted : sequence of str, default=()
        Full names of types that other silos' models may hold, beyond those of
        scikit-learn, as of :func:`skcoop.exchange.load_member`.

    Raises
    ------
    ValueError
        If the rows or members cannot be used; the message names the silo.
    """

    name: str
    X: Any
    y: Any
    estimators: Sequence[tuple[str, Any]] = ()
    sample_weight: Any = None
    consent: Consent = field(default_factory=Consent)
    levels: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    limits: Limits | None = None
    trusted: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Check what was handed in, and leave out rows without weight."""
        if not isinstance(self.X, pd.DataFrame):
            raise ValueError(
                f"X of silo {self.name!r} must be a pandas DataFrame, whose columns "
                f"are found by their names, got {type(self.X).__name__}."
            )
        others = [column for column in self.X if not isinstance(column, str)]
        if others:
            raise ValueError(
                f"Columns of silo {self.name!r} must have names that are strings, got "
                f"{others[0]!r}."
            )
        if self.estimators:
            self.estimators = check_estimators(list(self.estimators))
        if not self.consent.models_with_rows:
            for name, estimator in self.estimators:
                check_kind(name, estimator)
        y = np.asarray(self.y)
        if y.shape != (len(self.X),):
            raise ValueError(
                f"y of silo {self.name!r} must hold one class for each of "
                f"{len(self.X)} rows, got shape {y.shape}."
            )
        if pd.isna(y).any():
            raise ValueError(f"y of silo {self.name!r} holds missing classes.")
        weights = check_weights(self.sample_weight, self.X)
        kept = np.flatnonzero(weights > 0)
        self.X, self.y = self.X.iloc[kept].reset_index(drop=True), y[kept]
        self.weights = weights[kept]

    def profile(self, private: Sequence[str]) -> Profile:
        """Describe the rows and members."""
        estimators = [estimator for _, estimator in self.estimators]
        return Profile(
            **profile_of(
                self.name,
                self.X,
                np.asarray(self.y),
                self.consent.least_count,
                self.levels,
                private,
            ),
            members=[name for name, _ in self.estimators],
            frozen=[isinstance(e, FrozenEstimator) for e in estimators],
            weights=[weight_parameter(e) for e in estimators],
            weighted=self.sample_weight is not None,
            shares_predictions=self.consent.share_predictions,
        )
