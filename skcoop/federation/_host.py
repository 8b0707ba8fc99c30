# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""A silo's own process: holds rows and answers a closed list of operations."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator

from skcoop._cooperative._fitting import Failure
from skcoop._cooperative._plan import Plan
from skcoop._cooperative._private_columns import mark_private
from skcoop._cooperative._replies import Work
from skcoop._cooperative._silo import Silo
from skcoop._members._fit_parameters import row_parameters
from skcoop._members._member import FittedMember, make_member
from skcoop._members._scores import RowAnswers
from skcoop._tables._checks import check_finite
from skcoop._tables._permissions import Permissions
from skcoop._tables._row_keys import content_keys
from skcoop._tables._task import Task
from skcoop._utils._parallel import in_parallel
from skcoop.federation._agreement import Agreement, plan_from, silo_folds
from skcoop.federation._data import SiloData
from skcoop.federation._messages import MOST_BYTES, Packer
from skcoop.federation._models import TRUSTED, PackedModel, pack_model, read_model
from skcoop.federation._profile import Schema
from skcoop.federation._visitors import Apart

_LOG = logging.getLogger("skcoop.federation")

# All that others may ask a silo to do.
OPERATIONS = (
    *("profile", "start", "fit", "agree", "cross_fit", "judge", "believe"),
    *("survey", "choose", "teach", "learn", "settle", "finish"),
    *("vote", "loss_sums", "score_finals", "answers"),
)


class SiloHost:
    """Answers messages of bytes about the rows of one silo.

    Parameters
    ----------
    data : SiloData
        The rows, the members, and what the silo consents to.
    n_jobs : int or None
        Number of parallel jobs.
    most : int
        Most bytes that a message may unpack to.
    """

    def __init__(
        self, data: SiloData, n_jobs: int | None = None, most: int = MOST_BYTES
    ):
        self.data, self.n_jobs, self.most = data, n_jobs, most
        self.silo: Silo | None = None
        self.apart = None if data.limits is None else Apart(data.limits)
        self.trusted = (*TRUSTED, *data.trusted)
        self.packer = Packer(self._write_model, self._read_model)

    def answer(self, request: bytes) -> bytes:
        """Do what a message asks for, step by step; return the last reply.

        Errors leave as the name of the step and the type of the error: their texts
        quote cells. They are in the log of the silo.
        """
        step = "read"
        try:
            for step, message in self.packer.unpack(request, self.most):
                reply = self._do(step, message)
            return self.packer.pack({"reply": reply})
        except Exception as error:
            _LOG.exception("Silo %r failed in step %r", self.data.name, step)
            step = step if step in OPERATIONS else "read"
            failed = {"step": step, "type": type(error).__name__}
            return self.packer.pack({"failed": failed})

    def _do(self, step: str, message: dict[str, Any]) -> Any:
        if step not in OPERATIONS:
            raise ValueError(f"{step!r} is nothing that a silo does.")
        if step == "profile":
            return self.data.profile(**message)
        if step == "start":
            return self._start(**message)
        if self.silo is None:
            raise ValueError(f"{step!r} was asked for before the start.")
        if step == "judge":
            message["models"] = {k: whole(m) for k, m in message["models"].items()}
        reply = getattr(self.silo, step)(**message)
        if isinstance(reply, Work):
            reply = reply.finish(self._results(reply))
        if step == "finish":
            reply = {k: tuple(map(self._named(k), pair)) for k, pair in reply.items()}
        return self._let_out(reply)

    def _results(self, work: Work[Any]) -> list[Any]:
        """Do work of the silo; with limits, models of others are asked apart."""
        if not work.calls:
            return []
        if self.apart is None or work.instead is None:
            return in_parallel(work.calls, self.n_jobs)
        return self.apart.made(work.calls, work.instead)

    def _named(self, k: int) -> Any:
        """Return what makes a model one that can be written."""
        name, classes = self.silo.plan.members[k], self.packer.classes  # type: ignore

        def named(model: Any) -> Any:
            failed = isinstance(model, Failure)
            return model if failed else FittedMember(name, model, classes)

        return named

    def _let_out(self, reply: Any) -> Any:
        """Refuse predictions of rows, unless the silo consents to let them out."""
        parts = list(getattr(reply, "parts", {}).values())
        parts += reply if isinstance(reply, list) else [reply]
        predictions = any(isinstance(part, RowAnswers) for part in parts)
        if predictions and not self.data.consent.share_predictions:
            raise PermissionError("Predictions of rows do not leave this silo.")
        return reply

    def _start(self, agreement: Agreement, guests: dict[int, Any]) -> None:
        """Make the plan of all silos that of this one."""
        own = agreement
        schema = Schema(own.kinds, own.levels, own.missing)
        plan = plan_from(
            own.settings,
            guests={k: FrozenEstimator(m.estimator) for k, m in guests.items()},
            **own.shared,
        )
        self.packer = replace(self.packer, classes=plan.classes)
        task = self._task(plan, schema, own)
        homes = plan.at_home(own.number)
        weights = [
            {} if name is None else {name: task.weights} for name in own.weights
        ] or [{}] * len(plan.members)
        members = {
            k: make_member(name, estimator, task.Z.shape[1], plan.seed, weights[k])
            for k, (name, estimator) in zip(homes, self.data.estimators, strict=True)
        }
        n_samples = len(task.y)
        self.silo = Silo(
            plan,
            own.number,
            task,
            own.first_row + np.arange(n_samples),
            members,
            {k: row_parameters(each, n_samples) for k, each in enumerate(weights)},
            {},
        )

    def _task(self, plan: Plan, schema: Schema, own: Agreement) -> Task:
        """Lay out the rows, in the columns of all silos."""
        settings = own.settings
        private = settings["private_columns"]
        schema = schema.with_levels_of(self.data.X, list(private or []))
        codec = schema.codec()
        X = schema.conform(self.data.X)
        Z = codec.encode(X)
        check_finite(np.where(np.isinf(Z) & codec.coded, 0.0, Z), codec.names)
        y = np.asarray(self.data.y)
        order = {label: place for place, label in enumerate(own.class_order)}
        ranks = np.array([order[label] for label in y.tolist()], dtype=np.intp)
        places = {label: k for k, label in enumerate(plan.classes.tolist())}
        codes = np.array([places[label] for label in y.tolist()], dtype=np.intp)
        permissions = Permissions(
            codec,
            settings["features_to_vary"],
            settings["permitted_range"],
            settings["categorical_features"],
        )
        task = Task(
            X=X,
            y=plan.classes[codes],
            classes=plan.classes,
            codes=codes,
            weights=self.data.weights,
            folds=silo_folds(ranks, own.first_row, plan.n_folds),
            n_folds=plan.n_folds,
            codec=codec,
            Z=Z,
            keys=content_keys(Z),
            permissions=permissions,
            private=np.zeros(Z.shape[1], dtype=bool),
        )
        mark_private(task, private)
        return task

    def _write_model(self, member: FittedMember) -> PackedModel:
        with_rows = self.data.consent.models_with_rows
        return pack_model(member.name, member.estimator, with_rows=with_rows)

    def _read_model(self, packed: PackedModel) -> FittedMember | Failure:
        """Read a visitor; who brings what cannot be trusted does not take part."""
        try:
            model = read_model(packed, self.trusted)
        except Exception as error:  # whatever a stranger's bytes lead to
            _LOG.exception("Silo %r cannot read %r", self.data.name, packed.name)
            return Failure(type(error).__name__)
        return FittedMember(packed.name, model, self.packer.classes)


def whole(models: list[FittedMember | Failure]) -> list[FittedMember] | Failure:
    """Return a member's fold models, or why one of them could not be read."""
    failed = [model for model in models if isinstance(model, Failure)]
    return failed[0] if failed else models  # type: ignore[return-value]


def failure_of(reply: dict[str, str]) -> Failure:
    """Return what a silo says of its failure: a type and a step."""
    return Failure(f"{reply['type']} in step {reply['step']!r}")
