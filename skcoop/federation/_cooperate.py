# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Fit a distiller over silos that are elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state

from skcoop._cooperative._combine import Combiner
from skcoop._cooperative._course import Outcome
from skcoop._cooperative._history import no_lesson_table
from skcoop._cooperative._plan import Plan
from skcoop._cooperative._rounds import cooperate as nine_steps
from skcoop._cooperative._watch import FitWatch
from skcoop._members._member import FittedMember
from skcoop._tables._schema import TableSchema
from skcoop._utils._progress import Progress
from skcoop._utils._warnings import warn
from skcoop.federation._agreement import agree_on
from skcoop.federation._models import TRUSTED, PackedModel, read_model
from skcoop.federation._profile import Schema
from skcoop.federation._remote import RemoteSilos


class _Watch(FitWatch):
    """Tells the user how a fit goes on; there are no callbacks."""

    def __init__(self, distiller: Any, plan: Plan):
        super().__init__(distiller, Progress(distiller, None), {}, plan)

    def fitted(self) -> None:
        """Note that all members are fitted."""
        self.clock.say(f"{self.n_members} members fitted")

    def judged(self) -> None:
        """Note that all members are judged."""
        self.clock.say(f"{self.n_members} members judged")


def cooperate(
    distiller: Any,
    silos: RemoteSilos,
    *,
    schema: Mapping[str, Any] | None = None,
    trusted: Sequence[str] = (),
) -> Any:
    """Let the members of silos repair each other, wherever the silos are.

    No row leaves its silo. What does: models (of kinds that hold no rows), lessons,
    sums over rows, and what a silo says of its columns and classes before the start.

    Parameters
    ----------
    distiller : CooperativeDistiller
        Its parameters are those of the fit. Its members are guests, fitted ones that
        live nowhere; all others are brought by the silos. It is not changed.
    silos : LoopbackSilos or FlowerSilos
        The silos.
    schema : dict, default=None
        For each column, the name of its type in pandas, or the list of all values that
        it may have. By default it is made from what the silos say: then they tell each
        other which categories they have.
    trusted : sequence of str, default=()
        Full names of types that members may hold beyond those of scikit-learn, as of
        :func:`skcoop.exchange.load_member`.

    Returns
    -------
    distiller : CooperativeDistiller
        Another one, fitted: its members are the improved ones, as they left their
        silos. `lessons_` is empty, as lessons stay where they are; `history_` counts
        them, and has a line for each silo that was lost on the way.

    Raises
    ------
    ValueError
        If the silos cannot work together; the message names the silo, member or column.

    Examples
    --------
    See :class:`LoopbackSilos`.
    """
    distiller = clone(distiller)
    private = list(distiller.private_columns or [])
    replies = silos.all("profile", private=private)
    _refuse_lost(silos)
    random_state = check_random_state(distiller.random_state)
    seed = random_state.randint(np.iinfo(np.int32).max)
    known = None if schema is None else schema_from(schema)
    plan, agreed, agreements = agree_on(distiller, list(replies.values()), seed, known)
    silos.knows(plan.classes)
    guests = {
        k: FittedMember(plan.members[k], guest, plan.classes)
        for k, guest in plan.guests.items()
    }
    silos.each(
        "start",
        {s: {"agreement": a, "guests": guests} for s, a in enumerate(agreements)},
    )
    outcome = nine_steps(
        silos,
        plan,
        Combiner(distiller.combine, seed, distiller.n_jobs),
        distiller._n_rounds(),
        _Watch(distiller, plan),
    )
    if outcome.failures:
        warn(
            "Not all went well; history_ has the details:\n"
            + "\n".join(outcome.failures)
        )
    return fitted_distiller(distiller, outcome, plan, agreed, trusted)


def schema_from(schema: Mapping[str, Any]) -> Schema:
    """Return the schema that a user wrote: types, or lists of values."""
    kinds, levels = {}, {}
    for column, value in schema.items():
        if isinstance(value, str):
            kinds[column] = value
        else:
            kinds[column], levels[column] = "object", sorted(value)
    return Schema(kinds, levels, sorted(kinds))


def fitted_distiller(
    distiller: Any,
    outcome: Outcome,
    plan: Plan,
    schema: Schema,
    trusted: Sequence[str],
) -> Any:
    """Return a distiller whose members are those that came home.

    Parameters
    ----------
    distiller : CooperativeDistiller
        Becomes the fitted one.
    outcome : Outcome
        What the fit came to.
    plan, schema : Plan, Schema
        What all silos agreed on.
    trusted : list of str
        Types that members may hold beyond those of scikit-learn.
    """
    initial, improved = (
        {k: _model(model, trusted) for k, model in models.items()}
        for models in (outcome.initial, outcome.improved)
    )
    distiller.set_params(
        estimators=[(plan.members[k], FrozenEstimator(m)) for k, m in improved.items()]
    )
    codec = schema.codec()
    outcome = replace(outcome, initial=initial, improved=improved)
    table = TableSchema(codec.decode(np.zeros((0, len(schema.columns)))))
    lessons = no_lesson_table(codec)
    distiller.__dict__.update(
        distiller._attributes(outcome, plan, table, lessons),
        n_features_in_=len(schema.columns),
        feature_names_in_=np.array(schema.columns, dtype=object),
    )
    return distiller


def _model(model: Any, trusted: Sequence[str]) -> Any:
    if isinstance(model, PackedModel):
        return read_model(model, (*TRUSTED, *trusted))
    return model


def _refuse_lost(silos: RemoteSilos) -> None:
    """Raise an error if a silo cannot even say what it has."""
    if silos.lost:
        raise ValueError(
            f"Silos could not say what they have: {silos.why_lost()}. Their logs have "
            "the details."
        )
