# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""The plan of a federation: from what silos say of themselves, and a distiller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.frozen import FrozenEstimator

from skcoop._cooperative._plan import Plan
from skcoop._members._scores import Score
from skcoop.counterfactuals import BatchedDice
from skcoop.federation._profile import Profile, Schema, agreed_schema


@dataclass
class Agreement:
    """What is sent to a silo so that it can make the plan its own.

    Attributes
    ----------
    number : int
        Which silo it is.
    first_row : int
        How many rows come before its own.
    class_order : list
        The classes in the order in which they occur first in all silos.
    settings : dict
        Parameters of the distiller.
    shared : dict
        All else in the plan, but the guests.
    kinds, levels, missing : object
        The schema.
    weights : list of str or None
        Under which name each member's ``fit`` takes weights; empty without weights.
    """

    number: int
    first_row: int
    class_order: list[Any]
    settings: dict[str, Any]
    shared: dict[str, Any]
    kinds: dict[str, str]
    levels: dict[str, list[Any]]
    missing: list[str]
    weights: list[str | None]


def agree_on(
    distiller: Any, profiles: Sequence[Profile], seed: int, schema: Schema | None
) -> tuple[Plan, Schema, list[Agreement]]:
    """Return the plan of all silos, and what each is to be told.

    Parameters
    ----------
    distiller : CooperativeDistiller
        Its parameters are those of the fit; its members are the guests.
    profiles : list of Profile
        What each silo says of itself.
    seed : int
        Of all draws.
    schema : Schema or None
        The columns; what the silos have together by default.

    Raises
    ------
    ValueError
        If they cannot work together; the message names the silo and what to do.
    """
    check_settings(distiller, profiles)
    guests = [(n, e) for n, e in distiller.estimators if not isinstance(e, str)]
    members = [name for own in profiles for name in own.members]
    members += [name for name, _ in guests]
    homes = [s for s, own in enumerate(profiles) for _ in own.members]
    homes += [-1] * len(guests)
    frozen = [each for own in profiles for each in own.frozen] + [True] * len(guests)
    schema = agreed_schema(profiles) if schema is None else schema
    order = list(dict.fromkeys(c for own in profiles for c in own.classes))
    n_rows = [sum(own.counts) for own in profiles]
    settings = settings_of(distiller)
    shared = {
        "members": members,
        "homes": np.array(homes),
        "frozen": np.array(frozen),
        "silos": [own.name for own in profiles],
        "classes": np.unique(np.array(order)),
        "columns": schema.columns,
        "n_folds": min(distiller.cv, sum(n_rows)),
        "n_rows": sum(n_rows),
        "seed": seed,
    }
    first_guest = len(members) - len(guests)
    plan = plan_from(
        settings,
        guests={first_guest + k: e for k, (_, e) in enumerate(guests)},
        **shared,
    )
    weights: list[str | None] = []
    if any(own.weighted for own in profiles):
        weights = [each for own in profiles for each in own.weights]
        weights += [None] * len(guests)
    before = np.concatenate([[0], np.cumsum(n_rows)])
    agreements = [
        Agreement(
            number=s,
            first_row=int(before[s]),
            class_order=order,
            settings=settings,
            shared=shared,
            kinds=schema.kinds,
            levels=schema.levels,
            missing=schema.missing,
            weights=weights,
        )
        for s in range(len(profiles))
    ]
    return plan, schema, agreements


def settings_of(distiller: Any) -> dict[str, Any]:
    """Return parameters of a distiller that silos need to know."""
    names = (
        *("alpha", "min_distance", "max_lessons", "accept", "scoring"),
        *("features_to_vary", "permitted_range", "categorical_features"),
        "private_columns",
    )
    settings = {name: getattr(distiller, name) for name in names}
    engine = distiller.counterfactuals
    settings["engine"] = engine if isinstance(engine, str) else engine.get_params()
    return settings


def plan_from(settings: Mapping[str, Any], **known: Any) -> Plan:
    """Return the plan that settings and what is known of all silos make."""
    engine = settings["engine"]
    return Plan(
        **known,
        score=Score(settings["scoring"]),
        accept=settings["accept"],
        alpha=settings["alpha"],
        min_distance=settings["min_distance"],
        counterfactuals=engine if isinstance(engine, str) else BatchedDice(**engine),
        max_lessons=settings["max_lessons"],
        recognises_codes=settings["categorical_features"] is None,
    )


def check_settings(distiller: Any, profiles: Sequence[Profile]) -> None:
    """Raise an error if silos cannot work together by these settings."""
    if not isinstance(distiller.cv, int | np.integer):
        raise ValueError(
            f"cv={distiller.cv!r} needs all rows in one table. Silos deal their rows "
            "to a number of folds: pass an int."
        )
    engine = distiller.counterfactuals
    if not isinstance(engine, str) and type(engine) is not BatchedDice:
        raise ValueError(
            f"counterfactuals={engine!r} is code that no silo would run for others. "
            "Use the name of an engine, or BatchedDice."
        )
    if not isinstance(distiller.scoring, str | None):
        raise ValueError(
            f"scoring={distiller.scoring!r} is code that no silo would run for others. "
            "Use the name of a score."
        )
    names = [name for own in profiles for name in own.members]
    names += [name for name, _ in distiller.estimators]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"The names of members must be different in all silos; {twice} occur more "
            "than once."
        )
    for name, estimator in distiller.estimators:
        if not isinstance(estimator, str | FrozenEstimator):
            raise ValueError(
                f"Member {name!r} has no rows to train on: members live at silos. Hand "
                "in fitted guests as FrozenEstimator, and all others to the silos."
            )
    if len({own.name for own in profiles}) < len(profiles):
        raise ValueError("The names of silos must be different.")
    own_final = not isinstance(distiller.combine, str)
    if own_final or not Score(distiller.scoring).by_row:
        silent = [own.name for own in profiles if not own.shares_predictions]
        if silent:
            what = "combine" if own_final else "scoring"
            value = getattr(distiller, what)
            raise ValueError(
                f"{what}={value!r} needs what members predict for rows, and the silos "
                f"{silent} do not let that out. Ask them for "
                "Consent(share_predictions=True), or use the default."
            )


def silo_folds(
    codes: NDArray[np.intp], first_row: int, n_splits: int
) -> NDArray[np.intp]:
    """Deal a silo's rows to the folds that they have in the table of all silos.

    Parameters
    ----------
    codes : ndarray of int, shape (n_samples,)
        Position of each row's class in the order in which classes occur first.
    first_row : int
        How many rows come before.
    n_splits : int
        Number of folds.
    """
    order = np.argsort(codes, kind="stable")
    dealt = (first_row + np.arange(len(codes))) % n_splits
    folds = np.empty(len(codes), dtype=np.intp)
    folds[order] = dealt[np.lexsort((dealt, codes[order]))]
    return folds
