# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""ComparativeDistiller: learn from a teacher that one may only ask a few times."""

from __future__ import annotations

import copy
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.utils import check_consistent_length, check_random_state, get_tags
from sklearn.utils.validation import check_is_fitted

from skcoop import _validation as check
from skcoop._asking import (
    Inquiry,
    all_classes,
    check_answers,
    check_teacher,
    classes_of_answers,
)
from skcoop._comparisons import Estimates
from skcoop._compat import (
    HasMethods,
    Interval,
    StrOptions,
    _clone_parametrized,
    _fit_context,
    _num_samples,
)
from skcoop._folds import fold_of_each_row
from skcoop._frames import FloatMatrix, TableSchema, take
from skcoop._members import FittedMember, set_seeds
from skcoop._pool import Pool, make_pool, with_virtual_rows
from skcoop._queries import at_random, far_apart, least_certain
from skcoop._soft_targets import fit_soft
from skcoop._study import Study, choose_kind, score_kinds

# What a student can learn from.
KINDS = ("answers", "direct", "comparison")
# Steps in which the least certain rows are looked for, after a first half.
_STEPS = 2


class ComparativeDistiller(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Learn from a teacher that one may only ask a few times."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "teacher": [HasMethods("predict_proba"), callable, None],
        "student": [HasMethods("fit")],
        "teacher_budget": [Interval(Integral, 0, None, closed="left"), None],
        "comparison": [HasMethods(["fit", "predict"]), None],
        "group_size": [Interval(Integral, 2, None, closed="left")],
        "max_comparisons": [Interval(Integral, 1, None, closed="left")],
        "query": [StrOptions({"random", "uncertain", "diverse"})],
        "n_virtual": [Interval(Integral, 0, None, closed="left")],
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "cv": ["cv_object"],
        "accept": [StrOptions({"improves"}), None],
        "classes": ["array-like", None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        teacher: Any,
        student: Any,
        *,
        teacher_budget: int | None = None,
        comparison: Any = None,
        group_size: int = 2,
        max_comparisons: int = 4000,
        query: str = "random",
        n_virtual: int = 500,
        temperature: float = 1.0,
        cv: Any = 4,
        accept: str | None = "improves",
        classes: Any = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.teacher = teacher
        self.student = student
        self.teacher_budget = teacher_budget
        self.comparison = comparison
        self.group_size = group_size
        self.max_comparisons = max_comparisons
        self.query = query
        self.n_virtual = n_virtual
        self.temperature = temperature
        self.cv = cv
        self.accept = accept
        self.classes = classes
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        teacher_proba: Any = None,
        X_unlabeled: Any = None,
        sample_weight: Any = None,
    ) -> ComparativeDistiller:
        """Ask the teacher and train the student."""
        self._forget()
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        study = self._read(X, y, teacher_proba, X_unlabeled, sample_weight, seed)
        try:
            # 1. Ask the teacher about some rows, as many as the budget allows.
            self._ask(study, seed)
            # 2. Judge what the student learns from: the answers alone, or estimates
            # for the other rows beside them, by copies that did not see the answer.
            scores, chosen = self._judge(study, seed)
            # 3. Fit the student to what was best.
            student = self._fit_student(study, chosen, seed)
        finally:
            # What was paid for is kept, whatever happens.
            self.teacher_answers_ = self._answers_of_rows(study)
            self.n_teacher_calls_ = study.inquiry.n_calls
        self._keep(study, student, scores, chosen)
        return self

    def _forget(self) -> None:
        """Drop what an earlier fit left, so that a broken one leaves nothing."""
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)

    def _read(
        self,
        X: Any,
        y: Any,
        teacher_proba: Any,
        X_unlabeled: Any,
        sample_weight: Any,
        seed: int,
    ) -> Study:
        """Check what was handed in and lay it out."""
        check_teacher(self.teacher)
        check.check_student(self.student)
        labels = None if y is None else check.check_labels(self, y)
        X = check.check_table(self, X, reset=True)
        check_consistent_length(X, labels)
        weights = check.check_weights(sample_weight, X)
        if X_unlabeled is not None:
            X_unlabeled = check.check_table(self, X_unlabeled, reset=False)
            X_unlabeled = TableSchema(X).conform(X_unlabeled)
        known = classes_of_answers(self.teacher, self.classes, labels)
        handed_in = check_answers(teacher_proba, _num_samples(X))
        if known is None and handed_in is not None:
            known = np.arange(handed_in.shape[1])
        classes = all_classes(known, labels)
        if handed_in is None:
            width = 1 if classes is None else len(classes)
            handed_in = np.full((_num_samples(X), width), np.nan)
        elif handed_in.shape[1] != len(classes):
            raise ValueError(
                f"teacher_proba has {handed_in.shape[1]} columns, but there are "
                f"{len(classes)} classes: {classes.tolist()}. It needs a column for "
                "each of them, in this order."
            )
        pool = make_pool(X, X_unlabeled, weights)
        n_asked = int(pool.own.sum())
        if self.teacher_budget is not None:
            n_asked = min(n_asked, self.teacher_budget)
        pool = with_virtual_rows(pool, self.n_virtual - (len(pool) - n_asked), seed)
        study = Study(
            pool=pool,
            inquiry=Inquiry(
                self.teacher,
                pool.X,
                pool.own,
                pool.gather(handed_in, weights),
                None if known is None else np.searchsorted(classes, known),
                self.teacher_budget,
            ),
            known_classes=classes,
            labels=None,
            estimates=Estimates(
                self._comparison(seed), self.group_size, self.max_comparisons, seed
            ),
            temperature=self.temperature,
            folds=self._given_folds(X, labels, pool),
            schema=TableSchema(X),
            handed_in=handed_in,
        )
        if labels is not None:
            shares = np.eye(len(classes))[np.searchsorted(classes, labels)]
            study.labels = pool.gather(shares, weights)
        return study

    def _comparison(self, seed: int) -> Any:
        if self.comparison is not None:
            return set_seeds(self.comparison, seed)
        return ExtraTreesRegressor(25, max_features=0.4, random_state=seed)

    def _given_folds(
        self, X: Any, labels: NDArray[Any] | None, pool: Pool
    ) -> NDArray[np.intp] | None:
        """Return the folds of a splitter; a number of folds waits for the answers."""
        if isinstance(self.cv, Integral):
            return None
        strata = np.zeros(_num_samples(X)) if labels is None else labels
        folds = fold_of_each_row(self.cv, X, strata, None, {})
        taking_part = pool.positions >= 0
        of_pool = np.full(len(pool), folds.max() + 1)
        # Equal rows judge in one fold.
        np.minimum.at(of_pool, pool.positions[taking_part], folds[taking_part])
        return of_pool

    def _ask(self, study: Study, seed: int) -> None:
        """Choose rows and ask about them, in one go or in steps."""
        inquiry, places = study.inquiry, study.pool.places
        draw = np.random.default_rng(seed)
        n_rows = inquiry.left
        if self.query == "random":
            inquiry.ask(at_random(inquiry.open, n_rows, draw))
            return
        first = n_rows if self.query == "diverse" else -(-n_rows // 2)
        inquiry.ask(
            far_apart(
                places, inquiry.open, first, draw, np.flatnonzero(inquiry.answered)
            )
        )
        while inquiry.left:
            n_rows = min(inquiry.left, max(1, first // _STEPS))
            first_student = self._fit_student(study, "answers", seed)
            rows = inquiry.open
            said = FittedMember("student", first_student, study.classes)
            proba = said.predict_proba(take(study.pool.X, rows))
            inquiry.ask(least_certain(proba, rows, n_rows, draw))

    def _judge(self, study: Study, seed: int) -> tuple[Any, str]:
        """Choose what the student learns from by the teacher's answers."""
        asked = study.answered
        said = {how: self._out_of_fold(study, how, seed) for how in KINDS}
        answers = study.inquiry.answers[asked]
        weights = study.pool.weights[asked]
        scores = score_kinds(said, answers, weights)
        return scores, choose_kind(scores)

    def _out_of_fold(self, study: Study, how: str, seed: int) -> FloatMatrix:
        """Let copies of the student answer for the asked rows that they did not see."""
        asked = study.answered
        if study.folds is None:
            decisions = study.inquiry.answers[asked].argmax(axis=1)
            folds = fold_of_each_row(self.cv, asked[:, None], decisions, None, {})
        else:
            folds = study.folds[asked]
        proba = np.zeros((len(asked), len(study.classes)))
        for fold in np.unique(folds):
            held_out = asked[folds == fold]
            hidden = np.isin(np.arange(len(study.pool)), held_out)
            student = self._fit_student(study, how, seed, hidden)
            copy = FittedMember("student", student, study.classes)
            proba[folds == fold] = copy.predict_proba(take(study.pool.X, held_out))
        return proba

    def _fit_student(
        self,
        study: Study,
        how: str,
        seed: int,
        hidden: NDArray[np.bool_] | None = None,
    ) -> Any:
        rows, targets, weights = study.training_set(how, hidden)
        return fit_soft(
            self.student,
            take(study.pool.X, rows),
            targets,
            study.classes,
            weights=weights,
            seed=seed,
        )

    def _answers_of_rows(self, study: Study) -> FloatMatrix:
        """Return the answers row by row of X."""
        answers = study.inquiry.answers
        positions = study.pool.positions
        handed_in = study.handed_in
        if handed_in.shape[1] != answers.shape[1]:  # the first answer told the classes
            handed_in = np.full((len(positions), answers.shape[1]), np.nan)
        return np.where(positions[:, None] >= 0, answers[positions], handed_in)

    def _keep(self, study: Study, student: Any, scores: Any, chosen: str) -> None:
        """Set the fitted attributes, all at once and last."""
        self.classes_ = study.classes
        self.scores_ = scores
        self.chosen_ = chosen
        self._schema = study.schema
        self.student_ = student

    def __sklearn_is_fitted__(self) -> bool:
        """Tell whether a fit came to its end: `student_` is set last."""
        return hasattr(self, "student_")

    def __sklearn_clone__(self) -> ComparativeDistiller:
        """Clone everything but the teacher, which is asked and never fitted."""
        without = copy.copy(self)
        without.teacher = None
        twin = _clone_parametrized(without)
        twin.teacher = self.teacher
        return twin

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        tags.input_tags.sparse = False
        tags.input_tags.allow_nan = get_tags(self.student).input_tags.allow_nan
        return tags

    def predict_proba(self, X: Any) -> FloatMatrix:
        """Probabilities."""
        check_is_fitted(self)
        X = self._schema.conform(check.check_table(self, X, reset=False))
        return FittedMember("student", self.student_, self.classes_).predict_proba(X)

    def predict(self, X: Any) -> NDArray[Any]:
        """Classes."""
        check_is_fitted(self)
        X = self._schema.conform(check.check_table(self, X, reset=False))
        return np.asarray(self.student_.predict(X))
