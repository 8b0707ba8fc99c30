# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""ComparativeDistiller: learn from a teacher that one may only ask a few times."""

from __future__ import annotations

import copy
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.utils import check_consistent_length, check_random_state, get_tags

from skcoop._comparative._budgeted_teacher import Inquiry, check_budget, check_teacher
from skcoop._comparative._label_estimates import Estimates
from skcoop._comparative._pool import Pool, make_pool, with_virtual_rows
from skcoop._comparative._query_strategies import at_random, far_apart, least_certain
from skcoop._comparative._teacher_columns import (
    all_classes,
    check_answers,
    check_two_classes,
    holds_no_answer,
    named_columns,
    said_classes,
    widened,
)
from skcoop._comparative._transfer_set import SCORES, SOURCES, Study, better_source
from skcoop._compat import (
    HasMethods,
    Interval,
    StrOptions,
    _clone_parametrized,
    _fit_context,
    _num_samples,
)
from skcoop._members._checks import check_learner, check_weights
from skcoop._members._columns_read import check_columns
from skcoop._members._folds import fold_of_each_row
from skcoop._members._kinds import advice, is_a
from skcoop._members._labels import coded, known_labels
from skcoop._members._member import FittedMember, LabelEncodedClassifier, set_seeds
from skcoop._members._single_model import ModelDelegate
from skcoop._members._soft_targets import fit_soft
from skcoop._tables._checks import check_table, check_unlabeled
from skcoop._tables._frames import FloatMatrix, is_pandas, take
from skcoop._tables._schema import TableSchema
from skcoop._utils._errors import named
from skcoop._utils._warnings import each_once

# Rows are asked about in so many steps after the first half, if by uncertainty.
_STEPS = 2
_NOBODY = np.zeros(0, dtype=np.intp)


class ComparativeDistiller(
    ModelDelegate, ClassifierMixin, MetaEstimatorMixin, BaseEstimator
):
    """Learn from a teacher that one may only ask a few times.

    The teacher is a paid API, a slow ensemble, a model behind a wall: a call costs. It
    is asked about some rows and never about more than the budget. What it would have
    said about the others is estimated from its answers, and the student, any
    classifier, is fitted to answers and estimates. Estimates start from a linear trend;
    what that leaves is learned either directly or by *comparisons*: how the teacher's
    logits of one row differ from those of another, so that B answers give of the order
    of B^2 examples. That is comparative distillation [1]_, with the comparison as what
    is learned and not as a loss, which brings nothing to learners without shared
    features. Fold models of the student that did not see an answer decide by it whether
    estimates are used at all, and which; where there are labels, estimates must not
    cost any that these did not see.

    Parameters
    ----------
    teacher : classifier, callable or None
        A fitted classifier, or a callable that takes rows in the container of X and
        returns their probabilities, one column for each class: an array, or a data
        frame whose columns are labelled with the classes. A callable needs
        `teacher_budget`, and `classes` where neither y nor its own labels name the
        classes. The teacher is never fitted and never copied, by ``clone`` neither.
        None if all answers are handed to ``fit``.

    student : classifier
        The classifier to train. One without ``sample_weight`` is fitted to repeated
        labels, in the proportions of the probabilities.

    teacher_budget : int, default=None
        Most rows of X with an answer. Those that are handed to ``fit`` count, so that a
        second fit with the answers of a broken one asks about the rest only. None asks
        a fitted classifier about all rows of X; for a callable it is an error.

    comparison : regressor, default=None
        What predicts the part of the teacher's logits that a linear trend leaves, for
        a comparison (both rows and their difference) or for a row. By default
        :class:`~sklearn.ensemble.ExtraTreesRegressor` with 25 trees that look at 40 %
        of the columns in a split.

    group_size : int, default=2
        Rows in a comparison. One half is compared with the other by their mean logits;
        pairs were better than larger groups.

    max_comparisons : int, default=2000
        Most comparisons to learn from, drawn without repeats.

    query : {"random", "uncertain", "diverse"}, default="diverse"
        Which rows are asked about: drawn at random; far apart from each other, drawn
        as k-means++ draws its centres; or half of them far apart, and then those of
        which a first student is least certain.

    n_virtual : int, default=500
        Rows without an answer to learn from at least: if X and `X_unlabeled` have
        fewer, rows between two of them are made up.

    temperature : float, default=1.0
        Softens answers and estimates if above one.

    cv : int, cross-validation generator or iterable, default=4
        Folds of the judgement. An int gives folds of the rows with an answer or a
        label, stratified by class. Anything else splits X, each row held out once.

    accept : {"improves"} or None, default="improves"
        Whether estimates are used only where they bring the student closer to held-out
        answers of the teacher, and cost no held-out label. None always uses
        comparisons.

    classes : array-like of shape (n_columns,), default=None
        What the columns of the teacher's answers stand for, in this order: of those
        that it gives and of `teacher_proba`. By default its ``classes_``, else the
        labels of the columns of a data frame, else the sorted labels in y. Columns of
        a data frame that are labelled with the classes may come in any order.

    random_state : int, RandomState instance or None, default=None
        Seeds all draws, and the student and the regressor where their own
        ``random_state`` is None. Pass an int for the same result in each run.

    verbose : int, default=0
        Whether to print a line about what was asked and chosen.

    Attributes
    ----------
    student_ : classifier
        The fitted student. It predicts the labels themselves.

    classes_ : ndarray of shape (n_classes,)
        The classes of teacher and labels together, sorted. Where the teacher does not
        know one, its probability of it is zero.

    teacher_answers_ : pandas.DataFrame of shape (n_samples, n_classes)
        The answers about the rows of X, NaN where there is none. Its columns are
        labelled with `classes_`, its rows as those of X. It is there after a failed
        ``fit`` as well: hand it to the next one as `teacher_proba`, and keep the labels
        where it is stored.

    n_teacher_calls_ : int
        Rows that the teacher was asked about, there after a failed ``fit`` as well.

    source_ : {"answers", "direct", "comparison"}
        What the student was fitted to: the answers alone, or besides estimates by
        direct regression or by comparisons.

    scores_ : pandas.DataFrame
        For each of these, the student's mean `cross_entropy` and `agreement` with
        held-out answers, and its `accuracy` for held-out labels, NaN without any;
        without lines where nothing was to be judged.

    n_features_in_ : int
        Number of columns.

    feature_names_in_ : ndarray of str, shape (n_features,)
        Names of the columns, if X was a data frame with names that are strings.

    See Also
    --------
    CooperativeDistiller : Several models that repair each other.

    Notes
    -----
    Every ``fit`` asks anew: a grid search with c candidates and k folds asks up to
    c k + 1 times the budget. Ask once, and search with the answers:
    ``search.fit(X, y, teacher_proba=distiller.teacher_answers_)`` with
    ``teacher_budget=0``.

    Equal rows are one row: they are asked about once. Rows of a data frame keep their
    labels, equal ones that of the first, so that a callable may look answers up.

    References
    ----------
    .. [1] A. Wilf, A. T. Xu, P. P. Liang, A. Obolenskiy, D. Fried, L.-P. Morency.
       "Comparative Knowledge Distillation". arXiv:2311.02253, 2023.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skcoop import ComparativeDistiller
    >>> X, y = load_digits(return_X_y=True)
    >>> teacher = RandomForestClassifier(random_state=0).fit(X[:900], y[:900])
    >>> distiller = ComparativeDistiller(
    ...     teacher, DecisionTreeClassifier(), teacher_budget=50, random_state=0
    ... )
    >>> distiller.fit(X[900:1300]).n_teacher_calls_
    50
    >>> alone = DecisionTreeClassifier(random_state=0)
    >>> asked = distiller.teacher_answers_.notna().all(axis=1)
    >>> alone = alone.fit(X[900:1300][asked], teacher.predict(X[900:1300][asked]))
    >>> distiller.score(X[1300:], y[1300:]) > alone.score(X[1300:], y[1300:])
    True
    """

    _model_name = "student_"
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "teacher": "no_validation",
        "student": "no_validation",
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
        max_comparisons: int = 2000,
        query: str = "diverse",
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
        """Ask the teacher and train the student.

        Parameters
        ----------
        X : {array-like, dataframe} of shape (n_samples, n_features)
            Rows that the teacher may be asked about. Those that are not asked serve as
            unlabelled rows. Cells may be missing where student and teacher can take
            it.
        y : array-like of shape (n_samples,), default=None
            Class of each row, if known: None, NaN, NA and NaT are labels that are not.
            No number stands for an unknown label. Where -1 does, as in scikit-learn's
            semi-supervised estimators, pass ``np.where(y == -1, np.nan, y)``; -1 is an
            error unless the teacher or `classes` name it, or it comes with 1 alone.
        teacher_proba : {array-like, dataframe} of shape (n_samples, n_columns), \
                default=None
            Answers that are there already, NaN in all other rows. They count towards
            `teacher_budget`. Columns of a data frame that are labelled with the classes
            are taken by their labels. Others stand for `classes`, the teacher's
            ``classes_`` or the sorted labels in y, or, if there are as many, for
            `classes_`. Rows are taken in their order; where both tables are of pandas,
            rows that are labelled as other ones than those of X are refused.
        X_unlabeled : {array-like, dataframe} of shape (n_more, n_features), \
                default=None
            More rows, with the columns of X; the teacher is not asked about them.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row, for the student and in all scores. A row of weight 0
            takes no part and is not asked about.

        Returns
        -------
        self : ComparativeDistiller
            The fitted distiller.

        Raises
        ------
        ValueError
            If the teacher, its answers, the student or the table cannot be used, or if
            nobody says how many rows a callable may be asked about, or what its
            columns stand for. What the teacher has answered until then is in
            `teacher_answers_`.
        """
        self._forget()
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        study = self._read(X, y, teacher_proba, X_unlabeled, sample_weight, seed)
        try:
            with each_once():
                # 1. Ask the teacher about some rows, as many as the budget allows.
                self._ask_teacher(study, seed)
                # 2. Choose what the student learns from, the answers alone or estimates
                # for the others beside them, by fold models that did not see it.
                scores, source = self._judge(study, seed)
                # 3. Fit the student to it.
                student = self._fit_student(study, source, seed)
        finally:
            # What was paid for is kept, whatever happens.
            self.teacher_answers_ = study.answers_of_X()
            self.n_teacher_calls_ = study.inquiry.n_calls
        self._report(study, scores, source)
        self._keep(study, scores, source, student)
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
        """Check what was handed in and lay it out, before anybody is asked."""
        self._check_models()
        said = said_classes(self.teacher, self.classes)
        if holds_no_answer(teacher_proba):
            teacher_proba = None
        # First the labels: checking them resets what is known of the columns.
        called_classes = named_columns(teacher_proba) if said is None else said
        labels, known = known_labels(self, y, called_classes)
        X = check_table(self, X, reset=True)
        check_columns("The teacher", self.teacher, X)
        check_consistent_length(X, labels)
        weights = check_weights(sample_weight, X)
        X_unlabeled = check_unlabeled(self, X_unlabeled, X)
        # A row without weight takes no part, nor does its class.
        own, codes = coded(labels, known, weights > 0)
        handed_in, columns = check_answers(teacher_proba, X, said, own)
        classes = all_classes(own, said, columns)
        check_two_classes(classes)
        pool = make_pool(X, X_unlabeled, weights)
        folds = self._given_folds(X, labels, known, pool)
        answers = widened(handed_in, columns, classes)
        n_unasked = self._n_unasked(pool, pool.gather(answers, weights))
        pool = with_virtual_rows(pool, self.n_virtual - n_unasked, seed)
        answers = pool.gather(answers, weights)
        inquiry = self._inquiry(pool, answers, classes, said, own)
        if not inquiry.left and said is None:
            inquiry.known = columns
        return Study(
            pool=pool,
            inquiry=inquiry,
            own=own,
            codes=codes,
            weights=weights,
            estimates=Estimates(
                self._regressor(seed), self.group_size, self.max_comparisons, seed
            ),
            temperature=self.temperature,
            given_folds=folds,
            handed_in=handed_in,
            columns=columns,
            schema=TableSchema(X),
            row_labels=X.index if is_pandas(X) else None,
        )

    def _check_models(self) -> None:
        check_teacher(self.teacher)
        check_learner("student", self.student)
        if self.comparison is not None and not is_a("regressor", self.comparison):
            raise ValueError(
                f"comparison must be a regressor, got {self.comparison!r}."
                + advice("regressor", self.comparison)
            )

    def _inquiry(
        self,
        pool: Pool,
        answers: FloatMatrix,
        classes: NDArray[Any] | None,
        said: NDArray[Any] | None,
        own: NDArray[Any] | None,
    ) -> Inquiry:
        """Return what may be asked, if there is anything to learn from."""
        inquiry = Inquiry(
            self.teacher,
            pool.X,
            pool.own,
            answers,
            classes,
            said,
            own,
            self.teacher_budget,
        )
        if own is None and not (inquiry.left or inquiry.answered.any()):
            raise ValueError(
                "There is nothing to learn from: no answers of the teacher, none to be "
                "asked for, and no labels. Raise teacher_budget, or pass teacher_proba "
                "or y."
            )
        check_budget(self.teacher, self.teacher_budget, len(inquiry.open))
        return inquiry

    def _regressor(self, seed: int) -> Any:
        if self.comparison is not None:
            name = type(self.comparison).__name__
            with named(f"The comparison regressor {name}", "copied"):
                return set_seeds(self.comparison, seed)
        return ExtraTreesRegressor(25, max_features=0.4, random_state=seed)

    def _given_folds(
        self,
        X: Any,
        labels: NDArray[Any] | None,
        known: NDArray[np.bool_] | None,
        pool: Pool,
    ) -> NDArray[np.intp] | None:
        """Return the folds of a splitter; a number of folds waits for the answers."""
        if isinstance(self.cv, Integral):
            return None
        if labels is None or known is None:
            strata = np.zeros(_num_samples(X))
        else:
            # Rows without a label are a stratum of their own.
            strata = labels if known.all() else coded(labels, known, known)[1]
        folds = fold_of_each_row(self.cv, X, strata, None, {})
        taking_part = pool.positions >= 0
        of_pool = np.full(len(pool), folds.max() + 1)
        # Equal rows judge in one fold.
        np.minimum.at(of_pool, pool.positions[taking_part], folds[taking_part])
        return of_pool

    def _n_unasked(self, pool: Pool, answers: FloatMatrix) -> int:
        """Count the rows that will have no answer."""
        n_known = len(pool) - int(np.isnan(answers).any(axis=1).sum())
        if self.teacher is None:
            return len(pool) - n_known
        most = int(pool.own.sum())
        if self.teacher_budget is not None:
            most = min(most, self.teacher_budget)
        return len(pool) - max(n_known, most)

    def _ask_teacher(self, study: Study, seed: int) -> None:
        """Choose rows and ask about them, all at once or in steps."""
        inquiry, places = study.inquiry, study.pool.places
        draw = np.random.default_rng(seed)
        budget = inquiry.left
        if self.query == "random" or budget == len(inquiry.open):
            inquiry.ask(at_random(inquiry.open, budget, draw))
            return
        first = budget if self.query == "diverse" else -(-budget // 2)
        inquiry.ask(far_apart(places, inquiry.open, first, draw, study.answered))
        while inquiry.left:
            n_rows = min(inquiry.left, -(-first // _STEPS))
            unsure = self._fit_student(study, "answers", seed)
            proba = self._answer_of(study, unsure, inquiry.open)
            inquiry.ask(least_certain(proba, inquiry.open, n_rows, draw))

    def _judge(self, study: Study, seed: int) -> tuple[pd.DataFrame, str]:
        """Let held-out answers and labels say what the student learns from."""
        scores = pd.DataFrame(columns=SCORES, dtype=float)
        asked = study.answered
        if len(asked) == len(study.pool) or len(asked) < 2:
            return scores, "answers"  # there is nothing to estimate, or nothing from
        if self.accept is None:
            return scores, "comparison"
        if len(asked) < 4:
            return scores, "answers"
        folds = self._folds(study)
        if len(np.unique(folds[asked])) < 2:
            return scores, "answers"
        said = {
            source: self._out_of_fold(study, source, folds, seed) for source in SOURCES
        }
        for source, proba in said.items():
            scores.loc[source] = study.scores(proba)
        return scores, better_source(scores)

    def _folds(self, study: Study) -> NDArray[np.intp]:
        """Return the fold that holds out each row; -1 for those that do not judge."""
        rows, answered = np.flatnonzero(study.judges), study.inquiry.answered
        folds = np.full(len(study.pool), -1, dtype=np.intp)
        if study.given_folds is not None:
            folds[rows] = study.given_folds[rows]
            return folds
        decisions = np.where(answered[:, None], study.inquiry.answers, study.labels)
        # Each fold has its share of the answers, and of what the teacher decided.
        folds[rows] = fold_of_each_row(
            self.cv,
            rows[:, None],
            decisions[rows].argmax(axis=1),
            answered[rows].astype(np.intp),
            {},
        )
        return folds

    def _out_of_fold(
        self, study: Study, source: str, folds: NDArray[np.intp], seed: int
    ) -> FloatMatrix:
        """Let fold models of the student answer for rows that they did not see."""
        proba = np.zeros((len(folds), len(study.classes)))
        for fold in np.unique(folds[folds >= 0]):
            held_out = np.flatnonzero(folds == fold)
            student = self._fit_student(study, source, seed, held_out)
            proba[held_out] = self._answer_of(study, student, held_out)
        return proba

    def _fit_student(
        self,
        study: Study,
        source: str,
        seed: int,
        hidden: NDArray[np.intp] = _NOBODY,
    ) -> Any:
        rows, targets, weights = study.training_set(source, hidden)
        X = take(study.pool.X, rows)
        with named("The student", f"fitted on {len(rows)} rows"):
            student = fit_soft(
                self.student,
                X,
                targets,
                study.classes,
                weights=weights,
                seed=seed,
                translate=study.translates,
            )
        study.translates |= isinstance(student, LabelEncodedClassifier)
        return student

    def _answer_of(
        self, study: Study, student: Any, rows: NDArray[np.intp]
    ) -> FloatMatrix:
        student = FittedMember("student", student, study.classes, "The student")
        return student.predict_proba(take(study.pool.X, rows))

    def _report(self, study: Study, scores: pd.DataFrame, source: str) -> None:
        if self.verbose:
            losses = scores["cross_entropy"].round(3).to_dict()
            right = scores["accuracy"].dropna().round(3).to_dict()
            print(
                f"[{type(self).__name__}] asked about {study.inquiry.n_calls} rows, "
                f"{len(study.answered)} have an answer; learned from {source}, "
                f"cross-entropy by source: {losses or 'not judged'}"
                + (f", accuracy for labels: {right}" if right else "")
            )

    def _keep(
        self, study: Study, scores: pd.DataFrame, source: str, student: Any
    ) -> None:
        """Set the fitted attributes, all at once and last."""
        self.classes_ = study.classes
        self._schema = study.schema
        self.scores_ = scores
        self.source_ = source
        self.student_ = student

    def __sklearn_clone__(self) -> ComparativeDistiller:
        """Clone everything but the teacher, which is asked and never fitted."""
        without = copy.copy(self)
        without.teacher = None
        twin = _clone_parametrized(without)
        twin.teacher = self.teacher
        return twin

    def __sklearn_tags__(self) -> Any:
        """Allow what the student allows; labels are optional."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        tags.input_tags.sparse = False
        try:
            tags.input_tags.allow_nan = get_tags(self.student).input_tags.allow_nan
        except (TypeError, AttributeError):  # no classifier, which is for fit to say
            tags.input_tags.allow_nan = False
        return tags

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters, those of the student and of the regressor too.

        Parameters
        ----------
        deep : bool, default=True
            Whether to add the parameters of nested estimators. The teacher's are left
            out: it is asked as it is.

        Returns
        -------
        params : dict
            Values by name.
        """
        params = super().get_params(deep=deep)
        return {k: v for k, v in params.items() if not k.startswith("teacher__")}

    def set_params(self, /, **params: Any) -> ComparativeDistiller:
        """Set parameters, those of the student and of the regressor too.

        Parameters
        ----------
        **params : dict
            Values by name.

        Returns
        -------
        self : ComparativeDistiller
            The distiller.

        Raises
        ------
        ValueError
            If a parameter is not there, or is one of the teacher's, which is asked as
            it is: a fitted teacher would not change with it, but the object passed in.
        """
        inner = sorted(name for name in params if name.startswith("teacher__"))
        if inner:
            raise ValueError(
                f"Parameters of the teacher cannot be set: {inner}. It is asked as it "
                "is, and never fitted. Fit another one and set `teacher`."
            )
        return super().set_params(**params)
