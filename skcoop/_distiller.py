# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""CooperativeDistiller: classifiers repair each other through counterfactuals."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, MetaEstimatorMixin, TransformerMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import check_cv
from sklearn.utils import (
    Bunch,
    check_consistent_length,
    check_random_state,
    get_tags,
)
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skcoop import _validation as check
from skcoop._combine import hard_vote, soft_vote, stacked
from skcoop._compat import (
    HasMethods,
    Interval,
    StrOptions,
    _BaseComposition,
    _check_feature_names_in,
    _fit_context,
    _raise_for_params,
    _routing_enabled,
    _VisualBlock,
)
from skcoop._cooperation import (
    Judgement,
    cross_fit,
    fit_members,
    refit_members,
    rows_of,
)
from skcoop._deficiencies import qualified_teachers
from skcoop._folds import fold_of_each_row
from skcoop._frames import TableSchema, is_frame, without_column
from skcoop._gate import Verdict, decide
from skcoop._lessons import Lessons, no_lessons, translate
from skcoop._members import FittedMember, Member, find_columns, make_member
from skcoop._records import Record
from skcoop._task import Task, make_task
from skcoop._teaching import ask_teachers, choose_teachers
from skcoop._validation import is_dropped
from skcoop.counterfactuals import make_engine


def _votes_with_probabilities(self: CooperativeDistiller) -> bool:
    """Tell whether ``predict_proba`` exists for the chosen way of combining."""
    if isinstance(self.combine, str):
        if self.combine == "hard":
            raise AttributeError(
                "predict_proba is not available when combine='hard'; use 'soft' or "
                "'stack'."
            )
        return True
    final = getattr(self, "final_estimator_", self.combine)
    return hasattr(final, "predict_proba")


class CooperativeDistiller(
    ClassifierMixin, TransformerMixin, MetaEstimatorMixin, _BaseComposition
):
    def __init__(
        self,
        estimators: Any,
        *,
        counterfactuals: Any = "batched",
        alpha: float = 0.5,
        n_rounds: int = 3,
        silo_column: Any = None,
        cv: Any = 5,
        accept: str | None = "all",
        combine: Any = "stack",
        max_lessons: int | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimators = estimators
        self.counterfactuals = counterfactuals
        self.alpha = alpha
        self.n_rounds = n_rounds
        self.silo_column = silo_column
        self.cv = cv
        self.accept = accept
        self.combine = combine
        self.max_lessons = max_lessons
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    _parameter_constraints: dict[str, Any] = {
        "estimators": "no_validation",
        "counterfactuals": [
            StrOptions({"batched", "random", "genetic", "kdtree"}),
            HasMethods("generate"),
        ],
        "alpha": [Interval(Real, 0, 1, closed="right")],
        "n_rounds": [Interval(Integral, 0, None, closed="left")],
        "silo_column": "no_validation",
        "cv": [Interval(Integral, 2, None, closed="left"), HasMethods("split"), list],
        "accept": [StrOptions({"all", "own"}), None],
        "combine": [StrOptions({"soft", "hard", "stack"}), HasMethods("fit")],
        "max_lessons": [Interval(Integral, 1, None, closed="left"), None],
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: Any,
        *,
        silos: Any = None,
        sample_weight: Any = None,
        **params: Any,
    ) -> CooperativeDistiller:
        self._forget()
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        task, members, rows = self._read(X, y, silos, sample_weight, params, seed)
        engine = make_engine(self.counterfactuals)
        jobs = {"n_jobs": self.n_jobs}

        # 1. Fit every member on its own rows.
        initial = fit_members(task, members, **jobs)
        find_columns(members, initial, task.codec.names)
        students = np.array([not member.frozen for member in members])
        teachers = self._able_to_teach(members, initial)

        # 2. Judge every member on every row by a copy that did not see the row.
        everyone = [(k, None) for k in range(len(members))]
        judgements = cross_fit(task, members, everyone, forgive=False, **jobs)

        lessons = [no_lessons(task.Z.shape[1]) for _ in members]
        record = Record(task, members, rows)
        for number in range(1, self._n_rounds() + 1):
            # 3. Deficiencies: rows that one member has wrong and another has right.
            right = np.array([j.proba.argmax(axis=1) == task.codes for j in judgements])
            qualified = qualified_teachers(right, students, teachers)

            # 4. Each chosen teacher answers with a quintessential counterfactual.
            chosen = choose_teachers(
                task, qualified, max_lessons=self.max_lessons, seed=seed + number
            )
            copies = [judgement.copies for judgement in judgements]
            answers = ask_teachers(
                task, members, copies, chosen, engine, self.alpha, seed + number, **jobs
            )

            # 5. Translate the answers into each student's feature space.
            proposed = translate(task, members, chosen, answers, number)

            # 6. and 7. Refit the students; keep what is better on unseen rows.
            verdicts = decide(
                task, members, judgements, lessons, proposed, self.accept, seed, **jobs
            )
            record.add_round(number, qualified, chosen, answers, proposed, verdicts)
            self._report(number, verdicts)

            # 8. Repeat with improved members as teachers, until none improves.
            improved = [k for k, verdict in verdicts.items() if verdict.accepted]
            for k in improved:
                lessons[k], judgements[k] = verdicts[k].lessons, verdicts[k].judgement
            if not improved:
                break

        fitted = self._fit_improved(task, members, initial, lessons, record)

        # 9. Combine the improved members.
        final = self._fit_final_estimator(task, judgements)
        self._keep(task, members, initial, fitted, final, record, lessons)
        return self

    def _forget(self) -> None:
        """Drop what an earlier fit left, so that a broken one leaves nothing."""
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)

    def _n_rounds(self) -> int:
        """Without a judge nothing tells when to stop: one round, as published."""
        return min(self.n_rounds, 1) if self.accept is None else self.n_rounds

    def _read(
        self,
        X: Any,
        y: Any,
        silos: Any,
        sample_weight: Any,
        params: dict[str, Any],
        seed: int,
    ) -> tuple[Task, list[Member], NDArray[np.intp]]:
        """Check what was handed in and lay it out for the steps."""
        estimators = check.check_estimators(self.estimators)
        self._validate_names([name for name, _ in self.estimators])
        X, silos = check.split_silo_column(X, self.silo_column, silos)
        X = check.check_table(self, X, reset=True)
        y = check.check_labels(self, y)
        check_consistent_length(X, y)
        routed = self._route(estimators, sample_weight, silos, params)

        owners = None
        if silos is not None:
            owners = check.check_owners(silos, len(y), self.estimators)
        split_params = routed.splitter.split
        folds = fold_of_each_row(self.cv, X, y, owners, split_params)
        weights = check.check_weights(sample_weight, X)

        # Rows without weight and rows of dropped members take no part.
        taking_part = weights > 0
        if owners is not None:
            taking_part &= owners >= 0
        rows = np.flatnonzero(taking_part)
        task = make_task(X, y, owners, folds, weights, rows)
        check.check_classes(self, task.classes)
        if task.owners is not None:
            check.warn_about_single_class_silos(task.y, task.owners, estimators)
        members = []
        for number, (name, estimator) in enumerate(estimators):
            own = np.arange(len(rows))
            if task.owners is not None:
                own = np.flatnonzero(task.owners == number)
            metadata = {
                key: rows_of(value, rows, len(y))
                for key, value in routed[name].fit.items()
            }
            members.append(
                make_member(name, estimator, own, len(task.codec.names), seed, metadata)
            )
        return task, members, rows

    def _route(
        self,
        estimators: Sequence[tuple[str, Any]],
        sample_weight: Any,
        silos: Any,
        params: dict[str, Any],
    ) -> Bunch:
        """Say which parameters of fit go to which member and to the splitter."""
        _raise_for_params(params, self, "fit")
        if _routing_enabled():
            given = {"sample_weight": sample_weight, **params}
            given = {name: v for name, v in given.items() if v is not None}
            return process_routing(self, "fit", **given)
        routed = Bunch(splitter=Bunch(split={}))
        for name, estimator in estimators:
            routed[name] = Bunch(fit={})
        if sample_weight is not None:
            by_member = check.weights_for_members(sample_weight, estimators)
            for name, metadata in by_member.items():
                routed[name] = Bunch(fit=metadata)
        return routed

    def _able_to_teach(
        self, members: Sequence[Member], fitted: Sequence[Any]
    ) -> NDArray[np.bool_]:
        """Mark the members that give probabilities and say who does not."""
        able = np.array([hasattr(model, "predict_proba") for model in fitted])
        mute = [m.name for m, can in zip(members, able, strict=True) if not can]
        if mute:
            warnings.warn(
                f"The members {mute} have no predict_proba: they learn and vote but "
                "cannot teach. Calibrate them or set probability=True to let them.",
                UserWarning,
                stacklevel=3,
            )
        return able

    def _report(self, number: int, verdicts: dict[int, Verdict]) -> None:
        if not self.verbose:
            return
        improved = [v for v in verdicts.values() if v.accepted]
        taught = sum(len(v.lessons) for v in improved)
        print(
            f"[{type(self).__name__}] round {number} of {self._n_rounds()}: "
            f"{len(improved)} of {len(verdicts)} students improved, "
            f"with {taught} lessons so far"
        )

    def _fit_improved(
        self,
        task: Task,
        members: Sequence[Member],
        initial: Sequence[Any],
        lessons: list[Lessons],
        record: Record,
    ) -> list[Any]:
        """Fit the members that learned something on all their rows and lessons."""
        taught = {k: kept for k, kept in enumerate(lessons) if len(kept)}
        refitted = refit_members(task, members, taught, n_jobs=self.n_jobs)
        fitted = list(initial)
        for k, model in refitted.items():
            if isinstance(model, str):
                record.note_failure(k, model)
                lessons[k] = no_lessons(task.Z.shape[1])
            else:
                fitted[k] = model
        if record.failures():
            warnings.warn(
                "Some teaching failed; each member keeps its last good version and "
                "history_ has the details:\n" + "\n".join(record.failures()),
                UserWarning,
                stacklevel=3,
            )
        return fitted

    def _fit_final_estimator(
        self, task: Task, judgements: Sequence[Judgement]
    ) -> Any | None:
        """Train the final estimator on the out-of-fold probabilities of step 2."""
        if isinstance(self.combine, str) and self.combine != "stack":
            return None
        default = LogisticRegression()
        final = default if isinstance(self.combine, str) else clone(self.combine)
        features = stacked(np.array([judgement.proba for judgement in judgements]))
        if (task.weights == task.weights[0]).all():
            return final.fit(features, task.y)
        return final.fit(features, task.y, sample_weight=task.weights)

    def _keep(
        self,
        task: Task,
        members: Sequence[Member],
        initial: Sequence[Any],
        fitted: Sequence[Any],
        final: Any,
        record: Record,
        lessons: Sequence[Lessons],
    ) -> None:
        """Set the fitted attributes, all at once and last."""
        names = [member.name for member in members]
        self.classes_ = task.classes
        self._schema = TableSchema(task.X)
        self.lessons_ = record.lesson_table(lessons)
        self.history_ = record.history()
        self.initial_estimators_ = list(initial)
        self.named_estimators_ = Bunch(**dict.fromkeys(self._all_names(), "drop"))
        self.named_estimators_.update(zip(names, fitted, strict=True))
        self.final_estimator_ = final
        self.estimators_ = list(fitted)

    def _all_names(self) -> list[str]:
        return [name for name, _ in self.estimators]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "estimators_")

    def _member_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the members' probabilities for X, (n_members, n_samples, n_classes)."""
        check_is_fitted(self)
        if self.silo_column is not None and is_frame(X):
            X = without_column(X, self.silo_column)
        X = self._schema.conform(check.check_table(self, X, reset=False))
        return np.array(
            [
                FittedMember(name, model, self.classes_).predict_proba(X)
                for name, model in self.named_estimators_.items()
                if not is_dropped(model)
            ]
        )

    @available_if(_votes_with_probabilities)
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        proba = self._member_proba(X)
        if self.final_estimator_ is None:
            return soft_vote(proba)
        return self.final_estimator_.predict_proba(stacked(proba))

    def predict(self, X: Any) -> NDArray[Any]:
        proba = self._member_proba(X)
        if self.final_estimator_ is not None:
            return self.final_estimator_.predict(stacked(proba))
        if self.combine == "hard":
            return self.classes_[hard_vote(proba)]
        return self.classes_[soft_vote(proba).argmax(axis=1)]

    def transform(self, X: Any) -> NDArray[np.float64]:
        return np.hstack(list(self._member_proba(X)))

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        check_is_fitted(self, "n_features_in_")
        _check_feature_names_in(self, input_features, generate_names=False)
        prefix = type(self).__name__.lower()
        names = [n for n, e in self.named_estimators_.items() if not is_dropped(e)]
        return np.asarray(
            [
                f"{prefix}_{name}{k}"
                for name in names
                for k in range(len(self.classes_))
            ],
            dtype=object,
        )

    @property
    def named_estimators(self) -> Bunch:
        """Unfitted members by name."""
        return Bunch(**dict(self.estimators))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return self._get_params("estimators", deep=deep)

    def set_params(self, **params: Any) -> CooperativeDistiller:
        self._set_params("estimators", **params)
        return self

    def get_metadata_routing(self) -> MetadataRouter:
        router = MetadataRouter(owner=self).add_self_request(self)
        for name, estimator in self.estimators:
            if not is_dropped(estimator):
                router.add(
                    **{name: estimator},
                    method_mapping=MethodMapping().add(caller="fit", callee="fit"),
                )
        router.add(
            splitter=check_cv(self.cv, classifier=True),
            method_mapping=MethodMapping().add(caller="fit", callee="split"),
        )
        return router

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        try:
            tags.input_tags.allow_nan = all(
                get_tags(estimator).input_tags.allow_nan
                for _, estimator in self.estimators
                if not is_dropped(estimator)
            )
        except (TypeError, ValueError, AttributeError):
            # `estimators` is not a list of pairs: fit says so.
            tags.input_tags.allow_nan = False
        return tags

    def _sk_visual_block_(self) -> Any:
        names, estimators = zip(*self.estimators, strict=True)
        return _VisualBlock("parallel", estimators, names=names)
