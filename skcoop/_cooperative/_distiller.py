# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""CooperativeDistiller: classifiers repair each other through counterfactuals."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import get_scorer_names
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skcoop._compat import (
    HasMethods,
    Interval,
    StrOptions,
    _fit_context,
)
from skcoop._cooperative._combine import (
    Combiner,
    check_combine,
    hard_vote,
    soft_vote,
    stacked,
    who_combines,
)
from skcoop._cooperative._course import Outcome
from skcoop._cooperative._engines import check_engine
from skcoop._cooperative._history import lesson_table
from skcoop._cooperative._layout import lay_out
from skcoop._cooperative._plan import Plan, Rules
from skcoop._cooperative._private_columns import keep_at_home
from skcoop._cooperative._rounds import cooperate
from skcoop._cooperative._silo_column import (
    Owners,
    check_homes,
    find_owners,
    known_labels,
    one_silo,
    split_silo_column,
)
from skcoop._cooperative._silos import LocalSilos
from skcoop._cooperative._training_rows import TrainingRows
from skcoop._cooperative._watch import FitWatch
from skcoop._members._checks import check_classes, check_estimators, check_weights
from skcoop._members._columns_read import check_frozen
from skcoop._members._ensemble import MemberEnsemble, by_name
from skcoop._members._fit_parameters import rows_of_each
from skcoop._members._folds import fold_of_each_row
from skcoop._members._labels import check_labels
from skcoop._members._predictions import class_probabilities, predicted_labels
from skcoop._members._routing import route_fit_parameters
from skcoop._members._scores import Score
from skcoop._tables._checks import check_table
from skcoop._tables._permissions import Permissions
from skcoop._tables._schema import TableSchema
from skcoop._tables._task import Task, make_task
from skcoop._utils._errors import named
from skcoop._utils._progress import start
from skcoop._utils._warnings import warn


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


class CooperativeDistiller(MemberEnsemble):
    """Classifiers repair each other through counterfactuals.

    Several classifiers know different things: each was trained on other rows, reads
    other columns, or is of another kind. A member that gets a row wrong (the student)
    is taught by a member that gets it right (the teacher): the teacher looks for a
    virtual instance near the row that is more typical of the row's class in its eyes,
    and the student trains again with such lessons. Only virtual instances and models
    move, never a training row. This is cooperative distillation [1]_, made robust:
    every judgement and every lesson comes from a model that did not see the row's
    label; a teacher must deserve the student's trust; a student also rehearses rows of
    others that it has right; and it keeps a refit only if it is clearly better on rows
    it did not see.

    Parameters
    ----------
    estimators : list of (str, classifier) pairs
        The members. A pipeline with a ``ColumnTransformer`` reads the columns that it
        chooses. ``"drop"`` leaves a member out. A
        :class:`~sklearn.frozen.FrozenEstimator` teaches but never learns; it may have
        been fitted on some of the columns and know some of the classes, but not on
        these rows: it would be judged too well. A member
        without ``predict_proba`` learns but never teaches.

    counterfactuals : {"batched", "random", "genetic", "kdtree"} or engine, \
            default="batched"
        How a teacher finds a virtual instance.
        :class:`~skcoop.counterfactuals.BatchedDice` answers for all rows at once,
        along all columns (``sparse=False``);
        the others are dice-ml's own methods, much slower; or any object with
        ``generate`` as in :class:`~skcoop.counterfactuals.CounterfactualEngine`.

    alpha : float, default=0.5
        How far towards certainty a lesson goes, in (0, 1]. For a row to whose class
        the teacher gives probability p, a lesson has at least ``p + alpha (1 - p)``:
        half of the way by default, as in the paper. With less, lessons lie nearer to
        the rows that they were made from, and more of them are found where teachers
        are rarely sure.

    features_to_vary : "all" or list, default="all"
        The columns that a lesson may change, by label (for an array also by position,
        or as a mask). The others are in a lesson as they are in its row.

    permitted_range : dict, default=None
        For a column's label, the ``[lowest, highest]`` number or the list of
        categories that a lesson may change it to, within those of the row's silo.

    categorical_features : list, default=None
        Columns of numbers that are codes of categories, by label (for an array also by
        position, or as a mask): a lesson has only values in them that the silo's rows
        have. By default these are the columns that a member one-hot or ordinal encodes
        or takes for categories (gradient boosting), and columns of whole numbers with
        gaps among few distinct values, such as 3, 6, 7. Strings, categories and objects
        are known from their type.

    n_rounds : int, default=3
        Most rounds of teaching; improved members teach the next one. Ends early after
        a round in which fewer than half of the students improve. 0 trains and
        combines without teaching.

    silo_column : str, default=None
        Column of a data frame X that names the silo of each row, by default by the
        member that owns it. Members never see it, and ``predict`` does not need it.

    silo_members : dict, default=None
        For each silo's label, the list of names of the members that live there and
        train on its rows. Several may live at one; a silo with an empty list only
        judges and gives lessons; a member that lives nowhere must be a
        :class:`~sklearn.frozen.FrozenEstimator`. By default each silo bears its
        member's name.

    private_columns : list, default=None
        Columns whose values stay in their silos, by label (for an array also by
        position, or as a mask). No lesson changes them, and a lesson about a row of
        another silo has there what the student's own nearest row has. Needed for texts
        that are different in nearly all rows, as names are: with silos, they must not
        travel.

    min_distance : float, default=0.0
        With silos, how far a lesson that leaves one must be from each of its rows: a
        share of the usual distance there, the median distance from a row to the nearest
        that differs. From about 1 on, lessons are no nearer to training rows than to
        rows that nobody trained on, and members gain about a third less; 0.5 is half of
        the way for a tenth of the gain (:doc:`/silos_and_privacy`).

    cv : int, cross-validation generator or iterable, default=5
        Folds for the judgements. An int gives folds stratified by silo and class.
        Each row must be held out exactly once, and all others trained on: splits that
        purge rows are refused. Use three or more folds: a lesson of the default engine
        comes from rows of two folds and judges neither.

    accept : {"all", "own", "robust"} or None, default="all"
        Rows that judge whether a student keeps a refit: those of all silos, or only
        its own. The gain must be more than its standard error over the folds; with
        ``"robust"`` also without the rows of any single silo, so that no silo alone can
        have a refit kept. That protects from silos that lie in all they say and costs
        honest ones some of their gain, with three silos about half. None
        keeps every refit, in a single round whatever `n_rounds` says, as published.

    scoring : str, callable or None, default=None
        What members are judged by: a name of scikit-learn's scorers, or a callable
        ``scorer(estimator, X, y)``. None is accuracy balanced by class, so that rare
        classes count as much as frequent ones. ``"accuracy"``,
        ``"balanced_accuracy"``, ``"neg_log_loss"`` and ``"neg_brier_score"`` are sums
        over all judging rows. Any other score is computed in each fold, and its mean
        counts; a fold in which it cannot be computed does not judge.

    combine : {"stack", "soft", "hard"} or classifier, default="stack"
        How the members' answers become one: a final estimator trained on the
        cross-fitted probabilities (logistic regression, with silos found from sums over
        each one's rows, or the one given), the mean probability, or the majority.

    max_lessons : int or None, default=10_000
        Most rows that one student is taught about in one round, drawn from all classes
        in turn by `random_state`. None means all of them. On large tables more than the
        default makes a fit slower and students hardly better.

    n_jobs : int, default=None
        Number of parallel jobs, see :class:`joblib.Parallel`.

    random_state : int, RandomState instance or None, default=None
        Seeds the choice of teachers and of rows, and every member whose own
        ``random_state`` is None. Pass an int for the same result in each run, whatever
        `n_jobs`.

    verbose : int, default=0
        Whether to print a line for each round, with the time that it took and the most
        that is to come.

    Attributes
    ----------
    estimators_ : list of classifiers
        The improved members, without dropped ones. They predict the labels of y.

    named_estimators_ : :class:`~sklearn.utils.Bunch`
        The same by name; ``"drop"`` for dropped ones.

    initial_estimators_ : list of classifiers
        The members as they were before any lesson.

    final_estimator_ : classifier or None
        The final estimator; None if `combine` is ``"soft"`` or ``"hard"``.

    classes_ : ndarray of shape (n_classes,)
        The classes.

    report_ : :class:`~skcoop.inspection.Report`
        What the fit did, for a notebook or for ``report_.save("report.html")``.

    lessons_ : pandas.DataFrame
        Every virtual instance: `round`, `student`, `teacher`, `source_row` (position
        in X), `donor_row` (position of the row of its silo that it was drawn to, -1 if
        none), `label`, the teacher's `proba_before` and `proba_after`, `distance`
        (mean change of a column, 0 to 1), `changed` (list of the columns that the
        teacher changed), `kept` (whether the student was fitted with it in the end),
        and its cells in ``x__<column>``.

    history_ : pandas.DataFrame
        One line for each round and pair of student and teacher: `deficiencies` (rows
        that the student has wrong and the teacher, trusted there, has right), `asked`
        (rows for which this teacher was chosen, to mend or to rehearse), `found`
        (answers of the engine), `rechecked`
        (answers that held when the teacher was asked again), `taught` (lessons,
        repeats of training rows left out), `accepted` (whether the student kept its
        refit with the lessons of all its teachers), `kept` (lessons after the
        gate), the student's out-of-fold score `score_before` and `score_after` and the
        `standard_error` of the gain (NaN without a gate and a final estimator, as
        nobody needs them), `reason`, why a refit was refused and which folds could not
        judge it, and `failure`, what went wrong. A silo that is set aside (see Notes)
        has a line of round 0, without a teacher, whose `reason` has the figures.

    scores_ : pandas.DataFrame
        Each member's out-of-fold score on the rows that judge it (see `accept`), as the
        gate saw it: a column for each member and a line for each round. Line 0 is
        before any lesson. NaN where nobody judged. The name of the columns is that of
        the score.

    gains_ : pandas.DataFrame
        What teaching gained: score `before` and `after`, `gain` and its
        `standard_error`, a line for each member and a last one, ``combined``, for all
        of them together. A refit that was kept because its score was good has a score
        that is too good; so here each fold scores what the other folds would have kept.

    n_features_in_ : int
        Number of columns, without the silo column.

    feature_names_in_ : ndarray of str, shape (n_features,)
        Names of the columns, if X was a data frame with names that are strings.

    See Also
    --------
    make_distiller : Names the members after their types.
    sklearn.ensemble.VotingClassifier : Averages members without repairing them.
    sklearn.ensemble.StackingClassifier : Learns how to weigh members.

    Notes
    -----
    A classifier that accepts no labels but 0, 1, ... is fitted behind a wrapper that
    translates. A member whose rows hold one class only answers that class until
    lessons of another one reach it.

    One silo with bad labels must not harm the others. A silo is set aside, with a
    warning, if two or more members from elsewhere are right about its rows less often,
    in the mean, than chance. Its rows neither teach nor judge, nor does a final
    estimator learn from them, and its member does not teach. Where the others are not
    right more often than chance either, or that cannot be told, somebody must bear
    witness to each row that is taught: a member that has it right and is neither the
    student nor at home in the row's silo, unless no such member can know the class.

    With scikit-learn 1.9 or newer, callbacks set by ``set_callbacks`` follow the first
    fit of each member and every round. A callback that asks for the fitted estimator,
    as :class:`~sklearn.callback.ScoringMonitor` does, gets the distiller as if the fit
    had ended with the round, which costs a fit of the improved members; one that
    returns True at the end of a round makes it the last one.

    References
    ----------
    .. [1] M. Livanos, I. Davidson, S. Wong. "Cooperative Knowledge Distillation: A
       Learner Agnostic Approach". AAAI 2024. arXiv:2402.05942.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skcoop import CooperativeDistiller
    >>> X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    >>> distiller = CooperativeDistiller(
    ...     [
    ...         ("linear", make_pipeline(StandardScaler(), LogisticRegression())),
    ...         ("tree", DecisionTreeClassifier(max_depth=3)),
    ...         ("bayes", GaussianNB()),
    ...     ],
    ...     n_rounds=1,
    ...     random_state=0,
    ... )
    >>> distiller.fit(X[::2], y[::2]).score(X[1::2], y[1::2]) > 0.9
    True
    >>> sorted(distiller.lessons_["student"].unique())
    ['bayes', 'tree']
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimators": "no_validation",
        "counterfactuals": [
            StrOptions({"batched", "random", "genetic", "kdtree"}),
            HasMethods("generate"),
        ],
        "alpha": [Interval(Real, 0, 1, closed="right")],
        "features_to_vary": [StrOptions({"all"}), "array-like"],
        "permitted_range": [dict, None],
        "categorical_features": ["array-like", None],
        "n_rounds": [Interval(Integral, 0, None, closed="left")],
        "silo_column": "no_validation",
        "silo_members": [dict, None],
        "private_columns": ["array-like", None],
        "min_distance": [Interval(Real, 0, None, closed="left")],
        "cv": ["cv_object"],
        "accept": [StrOptions({"all", "own", "robust"}), None],
        "scoring": [StrOptions(set(get_scorer_names())), callable, None],
        "combine": [StrOptions({"soft", "hard", "stack"}), HasMethods("fit")],
        "max_lessons": [Interval(Integral, 1, None, closed="left"), None],
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    # Steps that comparisons replace.
    _rules: ClassVar[Rules] = Rules()

    def __init__(
        self,
        estimators: Any,
        *,
        counterfactuals: Any = "batched",
        alpha: float = 0.5,
        features_to_vary: Any = "all",
        permitted_range: Any = None,
        categorical_features: Any = None,
        n_rounds: int = 3,
        silo_column: Any = None,
        silo_members: Any = None,
        private_columns: Any = None,
        min_distance: float = 0.0,
        cv: Any = 5,
        accept: str | None = "all",
        scoring: Any = None,
        combine: Any = "stack",
        max_lessons: int | None = 10_000,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimators = estimators
        self.counterfactuals = counterfactuals
        self.alpha = alpha
        self.features_to_vary = features_to_vary
        self.permitted_range = permitted_range
        self.categorical_features = categorical_features
        self.n_rounds = n_rounds
        self.silo_column = silo_column
        self.silo_members = silo_members
        self.private_columns = private_columns
        self.min_distance = min_distance
        self.cv = cv
        self.accept = accept
        self.scoring = scoring
        self.combine = combine
        self.max_lessons = max_lessons
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

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
        """Let the members repair each other.

        Parameters
        ----------
        X : {array-like, dataframe} of shape (n_samples, n_features)
            Training rows of all silos. Cells may be missing where the members can
            take it.
        y : array-like of shape (n_samples,)
            Class of each row; none may be missing.
        silos : array-like of shape (n_samples,), default=None
            Label of the silo of each row: by default the name of the member that owns
            it, see `silo_members`. Without silos, here or in `silo_column`, every
            member trains on all rows.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row, passed to the members that take it and used in all
            scores. A lesson has the weight of the row that it was made from; a row of
            weight 0 takes no part.
        **params : dict
            Parameters for the members' ``fit`` and the splitter's ``split``, with
            metadata routing enabled.

        Returns
        -------
        self : CooperativeDistiller
            The fitted distiller.

        Raises
        ------
        ValueError
            If the members, the labels, the silos or the table cannot be used; the
            message names the member, silo or column.
        """
        self._forget()
        weights = None if sample_weight is None else {"sample_weight": sample_weight}
        data = {"X": X, "y": y, "metadata": weights}
        progress = start(self, n_parts=2 + self._n_rounds(), **data)
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        task, rows, owners, parameters = self._read(X, y, silos, sample_weight, params)
        plan = self._plan(task, owners, seed)
        watch = FitWatch(self, progress, data, plan)
        laid_out = lay_out(
            plan,
            check_estimators(self.estimators),
            task,
            rows,
            owners.of_rows[rows],
            parameters,
            watch.parts,
        )
        schema = TableSchema(task.X)

        def attributes(outcome: Outcome) -> dict[str, Any]:
            lessons = lesson_table(laid_out, outcome.forgotten)
            return self._attributes(outcome, plan, schema, lessons)

        watch.attributes = attributes
        outcome = cooperate(
            LocalSilos(laid_out, self.n_jobs),
            plan,
            Combiner(self.combine, seed, self.n_jobs),
            self._n_rounds(),
            watch,
        )
        if outcome.failures:
            warn(
                "Some teaching failed; each member keeps its last good version and "
                "history_ has the details:\n" + "\n".join(outcome.failures)
            )
        fitted = attributes(outcome)
        sources = fitted["lessons_"]["source_row"].unique()
        self.__dict__.update(fitted, _training_rows=TrainingRows(X, sources))
        progress.end(**data)
        return self

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
    ) -> tuple[Task, NDArray[np.intp], Owners, list[dict[str, Any]]]:
        """Check what was handed in.

        Returns
        -------
        task : Task
            The rows that take part.
        rows : ndarray of int
            Their places in X.
        owners : Owners
            Whose row is whose, for all rows of X.
        parameters : list of dict
            By member, parameters of its ``fit`` for the rows of the task.
        """
        estimators = check_estimators(self.estimators)
        check_combine(self.combine)
        check_engine(self.counterfactuals)
        self._validate_names([name for name, _ in self.estimators])
        X, silos = split_silo_column(
            X, self.silo_column, silos, known_labels(self.estimators, self.silo_members)
        )
        # First the labels: checking them resets what is known of the columns.
        y = check_labels(self, y)
        X = check_table(self, X, reset=True)
        check_consistent_length(X, y)
        weights = check_weights(sample_weight, X)
        if sample_weight is not None:
            sample_weight = weights
        routed = route_fit_parameters(self, estimators, sample_weight, params)
        apart = silos is not None
        if self.silo_members is not None and not apart:
            raise ValueError(
                "silo_members says who lives where, but not whose row is whose: pass "
                "silo_column or fit(..., silos=...), or leave silo_members out."
            )
        owners = (
            find_owners(silos, weights > 0, self.estimators, self.silo_members)
            if apart
            else one_silo(weights > 0, [name for name, _ in estimators])
        )
        rows = np.flatnonzero(owners.of_rows >= 0)
        check_classes(self, y[rows])
        folds = fold_of_each_row(
            self.cv,
            X,
            y,
            owners.of_rows if apart else None,
            routed["cv"]["split"],
            rows,
        )
        task = make_task(X, y, folds, weights, rows)
        task.permissions = Permissions(
            task.codec,
            self.features_to_vary,
            self.permitted_range,
            self.categorical_features,
        )
        of_rows = owners.of_rows[rows]
        keep_at_home(task, self.private_columns, of_rows if apart else None)
        for name, estimator in estimators:
            check_frozen(name, estimator, task.X, task.classes)
        check_homes(estimators, owners, task.y, of_rows)
        parameters = [
            rows_of_each(routed[name]["fit"], rows, len(y)) for name, _ in estimators
        ]
        return task, rows, owners, parameters

    def _plan(self, task: Task, owners: Owners, seed: int) -> Plan:
        """Say what all silos agree on."""
        estimators = check_estimators(self.estimators)
        homes = np.array([owners.homes.get(name, -1) for name, _ in estimators])
        return Plan(
            members=[name for name, _ in estimators],
            homes=homes,
            frozen=np.array([isinstance(e, FrozenEstimator) for _, e in estimators]),
            silos=owners.silos,
            classes=task.classes,
            columns=task.codec.names,
            n_folds=task.n_folds,
            n_rows=len(task.y),
            score=Score(self.scoring),
            guests={k: e for k, (_, e) in enumerate(estimators) if homes[k] < 0},
            accept=self.accept,
            alpha=self.alpha,
            min_distance=self.min_distance,
            counterfactuals=self.counterfactuals,
            max_lessons=self.max_lessons,
            recognises_codes=self.categorical_features is None,
            seed=seed,
            rules=self._rules,
        )

    def _attributes(
        self, outcome: Outcome, plan: Plan, schema: TableSchema, lessons: Any
    ) -> dict[str, Any]:
        """Return the fitted attributes of a fit that ends so."""
        all_by_name = by_name((name, "drop") for name, _ in self.estimators)
        all_by_name.update((plan.members[k], m) for k, m in outcome.improved.items())
        return {
            "classes_": plan.classes,
            "_schema": schema,
            "lessons_": lessons,
            "history_": outcome.history,
            "scores_": outcome.scores,
            "gains_": outcome.gains,
            "initial_estimators_": list(outcome.initial.values()),
            "named_estimators_": all_by_name,
            "final_estimator_": outcome.final_estimator,
            "estimators_": list(outcome.improved.values()),
        }

    @property
    def report_(self) -> Any:
        """What the fit did: a page for notebooks, or for ``report_.save(path)``.

        Lessons are shown beside the rows that they were made from as long as the X
        that was passed to ``fit`` lives and has not changed; the distiller keeps a weak
        reference to it and no copy, and pickles neither.

        Returns
        -------
        report : :class:`~skcoop.inspection.Report`
            Verdict, members, who taught whom, lessons, refusals and failures.
        """
        check_is_fitted(self)
        from skcoop.inspection import Report

        rows = getattr(self, "_training_rows", None)
        return Report.from_estimator(self, None if rows is None else rows.table())

    @available_if(_votes_with_probabilities)
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class.

        Not available for ``combine="hard"`` or a final estimator without it.

        Parameters
        ----------
        X : {array-like, dataframe} of shape (n_samples, n_features)
            Rows; the silo column may be there or not.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Probabilities in the order of `classes_`.
        """
        proba = self._member_proba(X)
        if self.final_estimator_ is None:
            return soft_vote(proba)
        votes, final = stacked(proba), self.final_estimator_
        who = who_combines(final)
        with named(who, "asked for probabilities"):
            answer, known = final.predict_proba(votes), np.asarray(final.classes_)
        return class_probabilities(answer, known, self.classes_, votes, who)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the predicted class of each row.

        Parameters
        ----------
        X : {array-like, dataframe} of shape (n_samples, n_features)
            Rows; the silo column may be there or not.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Predicted classes.
        """
        proba = self._member_proba(X)
        if self.final_estimator_ is not None:
            votes, who = stacked(proba), who_combines(self.final_estimator_)
            with named(who, "asked for classes"):
                answer = self.final_estimator_.predict(votes)
            return predicted_labels(answer, self.classes_, votes, who)
        if self.combine == "hard":
            return self.classes_[hard_vote(proba)]
        return self.classes_[soft_vote(proba).argmax(axis=1)]
