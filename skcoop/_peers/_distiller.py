# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""DiversePeersDistiller: many peers teach one leader, which alone is used."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import check_consistent_length, check_random_state, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.validation import check_is_fitted

from skcoop._compat import (
    Interval,
    StrOptions,
    _fit_context,
    _num_samples,
    _VisualBlock,
)
from skcoop._members._checks import (
    check_classes,
    check_estimators,
    check_learner,
    check_only_weights,
    check_weights,
)
from skcoop._members._columns_read import check_frozen
from skcoop._members._ensemble import NamedMembers, by_name
from skcoop._members._fit_parameters import rows_of_each
from skcoop._members._folds import fold_of_each_row
from skcoop._members._labels import check_labels
from skcoop._members._member import FittedMember, Member, make_member
from skcoop._members._routing import route_fit_parameters, routing_key
from skcoop._members._single_model import ModelDelegate
from skcoop._peers._attention import Attention, learn_attention
from skcoop._peers._leader import Verdict, decide, score
from skcoop._peers._peer_group import View, diversity, fit_peers, teach_peers
from skcoop._tables._checks import check_table, check_unlabeled
from skcoop._tables._frames import take
from skcoop._tables._schema import TableSchema
from skcoop._tables._task import Task, make_task
from skcoop._tables._virtual_rows import virtual_rows
from skcoop._utils._errors import describe
from skcoop._utils._warnings import warn

# All rows without a label weigh at most so many times what those with one do.
_MOST_EXTRA = 2.0


class DiversePeersDistiller(ModelDelegate, NamedMembers):
    """Many peers teach one leader, which alone predicts.

    Who cannot ship an ensemble wants one small model that knows what the group knows.
    The peers are classifiers that differ: of other kinds, or with other columns. Each
    peer has its own view of whom to listen to, which is learned from answers about
    rows that nobody answering had seen. The leader learns from the labels and from
    what the group says, also of rows that have no label. This is online distillation
    with diverse peers [1]_ for classifiers that are not trained by gradients. The
    taught leader is used only if it is no worse than the same model trained on the
    labels alone, judged on rows that nothing that taught it has seen.

    Parameters
    ----------
    estimators : list of (str, classifier) pairs
        The peers. They teach well if they differ and each is about as good as the
        leader. A pipeline with a ``ColumnTransformer`` reads the columns that it
        chooses. ``"drop"`` leaves a peer out. A
        :class:`~sklearn.frozen.FrozenEstimator` teaches as it is, but must not have
        been fitted on these rows. A peer without ``predict_proba`` votes.

    leader : classifier
        The model that learns from the group and is used afterwards.

    attention : {"auto", "row", "global"} or None, default="auto"
        Whom the peers listen to: by row, as in the paper; with one weight for each
        peer; whichever of the two has the smaller out-of-fold loss; or to all alike.

    n_rounds : int, default=1
        How often the peers are trained: first on labels, then each on its own targets,
        what it hears from all. Their share ramps up to a half in the last round, as in
        the paper. More than one round is published; it rarely helps peers that are
        trained to the end.

    cv : int, cross-validation generator or iterable, default=5
        Folds for the peers' answers and for the judgement, at least three. Each row
        must be held out exactly once, and all others trained on.

    n_virtual : int, default=500
        Virtual rows, each between two training rows, that the peers answer about if
        there is no `X_unlabeled`. 0 teaches with labelled rows only.

    accept : {"improves"} or None, default="improves"
        Whether the leader must prove, out of fold, that teaching made it no worse: its
        log loss must be smaller, and its accuracy not worse by more than the standard
        error over the folds; without probabilities, not worse at all. None keeps the
        taught leader unseen, which takes about a third of the time.

    store_targets : bool, default=False
        Whether to keep `targets_`.

    n_jobs : int, default=None
        Number of parallel jobs, see :class:`joblib.Parallel`.

    random_state : int, RandomState instance or None, default=None
        Seeds virtual rows and every model whose own ``random_state`` is None. Pass an
        int for the same result in each run, whatever `n_jobs`.

    verbose : int, default=0
        Whether to print a line for each round and for the leader.

    Attributes
    ----------
    leader_ : classifier
        The fitted leader. It predicts the labels of y.

    peers_ : :class:`~sklearn.utils.Bunch`
        The fitted peers by name, without dropped ones.

    attention_ : Attention
        What was learned about whom to listen to: `scores` of the peers and, by row,
        the projections `query` and `key`, else None. See `attention_weights`.

    diversity_ : ndarray of shape (n_rounds, n_peers, n_peers)
        Mean Euclidean distance of two peers' out-of-fold probabilities, by round.

    history_ : pandas.DataFrame
        One line for each peer, the group and the leader by round: out-of-fold
        `accuracy` and `log_loss` (NaN where nobody asked), and `kept`, whether this is
        what the distiller holds. The leader has a line of round 0, trained alone, and
        one of the last round, taught. `failure` is what it raised, or in the line of
        the group what ended a later round: the peers then stay as they were.

    targets_ : ndarray of shape (n_samples, n_classes)
        What the group says of the training rows, out of fold; zeros for rows without
        weight. Only with `store_targets`.

    classes_ : ndarray of shape (n_classes,)
        The classes.

    n_features_in_ : int
        Number of columns.

    feature_names_in_ : ndarray of str, shape (n_features,)
        Names of the columns, if X was a data frame with names that are strings.

    See Also
    --------
    CooperativeDistiller : Members repair each other, and all are used.
    sklearn.ensemble.StackingClassifier : Learns how to weigh members, and uses all.

    Notes
    -----
    Nothing that teaches the leader may know the labels that judge it. For each fold
    that judges, the peers are fitted again without it, answer for the other rows out
    of fold, and attention and virtual rows come from these rows only. A fold model
    without two folds serves both. With `cv` folds a peer is fitted
    ``1 + cv (cv + 1) / 2`` times. What is left is the choice between two leaders by
    one judgement, and frozen peers, which are taken at their word that they saw none
    of the rows.

    Soft targets reach a leader as weights of repeated rows where its ``fit`` takes
    ``sample_weight``, as averaged probabilities in nearest neighbours, and as ten
    labels drawn for each row in others. Repeated rows count towards limits in rows,
    like ``min_samples_leaf``.

    References
    ----------
    .. [1] D. Chen, J.-P. Mei, C. Wang, Y. Feng, C. Chen. "Online Knowledge Distillation
       with Diverse Peers". AAAI 2020. arXiv:1912.00350.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skcoop import DiversePeersDistiller
    >>> X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    >>> distiller = DiversePeersDistiller(
    ...     [
    ...         ("linear", make_pipeline(StandardScaler(), LogisticRegression())),
    ...         ("forest", RandomForestClassifier(20)),
    ...     ],
    ...     leader=DecisionTreeClassifier(),
    ...     cv=3,
    ...     random_state=0,
    ... )
    >>> distiller = distiller.fit(X[::4], y[::4], X_unlabeled=X[1::2])
    >>> distiller.score(X[2::4], y[2::4]) > 0.96
    True
    >>> alone = DecisionTreeClassifier(random_state=0).fit(X[::4], y[::4])
    >>> alone.score(X[2::4], y[2::4]) > 0.96
    False
    """

    _model_name = "leader_"

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimators": "no_validation",
        "leader": "no_validation",
        "attention": [StrOptions({"auto", "row", "global"}), None],
        "n_rounds": [Interval(Integral, 1, None, closed="left")],
        "cv": ["cv_object"],
        "n_virtual": [Interval(Integral, 0, None, closed="left")],
        "accept": [StrOptions({"improves"}), None],
        "store_targets": ["boolean"],
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimators: Any,
        leader: Any,
        *,
        attention: str | None = "auto",
        n_rounds: int = 1,
        cv: Any = 5,
        n_virtual: int = 500,
        accept: str | None = "improves",
        store_targets: bool = False,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.estimators = estimators
        self.leader = leader
        self.attention = attention
        self.n_rounds = n_rounds
        self.cv = cv
        self.n_virtual = n_virtual
        self.accept = accept
        self.store_targets = store_targets
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: Any,
        *,
        X_unlabeled: Any = None,
        sample_weight: Any = None,
        **params: Any,
    ) -> DiversePeersDistiller:
        """Let the peers teach the leader.

        Parameters
        ----------
        X : {array-like, dataframe} of shape (n_samples, n_features)
            Training rows. Cells may be missing where peers and leader can take it.
        y : array-like of shape (n_samples,)
            Class of each row. No value stands for an unknown one, and a missing label
            is an error: rows without a label are passed as `X_unlabeled`.
        X_unlabeled : {array-like, dataframe} of shape (n_unlabeled, n_features), \
                default=None
            Rows without a label, with the columns of X. The group's answers about them
            teach the leader. Each weighs as much as a labelled row of mean weight; all
            together at most twice as much as the labelled rows.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row, passed to the peers and to the leader if they take it,
            and used in attention and judgement. A row of weight 0 takes no part.
        **params : dict
            Parameters for the peers' ``fit`` and the splitter's ``split``, with
            metadata routing enabled.

        Returns
        -------
        self : DiversePeersDistiller
            The fitted distiller.

        Raises
        ------
        ValueError
            If the peers, the leader, the labels or a table cannot be used; the message
            names the peer, parameter or column.
        """
        self._forget()
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        task, peers, leader, unlabeled, rows = self._read(
            X, y, X_unlabeled, sample_weight, params, seed
        )
        views = self._views(task, unlabeled, seed)

        # 1. Fit every peer, also without the folds that it is to answer for.
        fit_peers(task, peers, views, n_jobs=self.n_jobs)

        history: list[dict[str, Any]] = []
        distances = []
        for number in range(1, self.n_rounds + 1):
            # 2. Learn, from answers about unseen rows, whom each peer listens to.
            attentions = [self._learn_attention(task, view, seed) for view in views]
            distances.append(diversity(views[0].proba, task.weights))
            history += self._lines(task, peers, views[0], attentions[0], number)
            self._report_round(number, history[-1], distances[-1])
            if number == self.n_rounds:
                break
            # 3. Each peer learns from labels and from its own targets.
            own_targets = [
                self._peers_targets(task, view, attention, number + 1)
                for view, attention in zip(views, attentions, strict=True)
            ]
            try:
                teach_peers(task, peers, views, own_targets, seed, n_jobs=self.n_jobs)
            except Exception as error:  # peers are the user's: what was good stays
                failure = describe(error)
                history.append(
                    _line(number + 1, "group", np.nan, np.nan, False, failure)
                )
                warn(
                    f"Round {number + 1} failed; the peers stay as they were in round "
                    f"{number}, and the leader learns from them: {failure}"
                )
                break
            history = [{**line, "kept": False} for line in history]

        # 4. The leader learns from labels and from the group, and must prove itself.
        verdict = decide(
            task, leader, views, attentions, self.accept, seed, n_jobs=self.n_jobs
        )
        history += self._lines_of_the_leader(task, verdict, len(distances))
        self._report_leader(verdict)

        targets = np.zeros((_num_samples(y), len(task.classes)))
        targets[rows] = attentions[0].group(views[0].proba)
        self._keep(
            task, peers, views[0], attentions[0], distances, history, targets, verdict
        )
        return self

    def _read(
        self,
        X: Any,
        y: Any,
        X_unlabeled: Any,
        sample_weight: Any,
        params: dict[str, Any],
        seed: int,
    ) -> tuple[Task, list[Member], Member, Any, NDArray[np.intp]]:
        """Check what was handed in and lay it out for the steps."""
        estimators = check_estimators(self.estimators)
        check_learner("leader", self.leader)
        self._validate_names([name for name, _ in self.estimators])
        # First the labels: checking them resets what is known of the columns.
        y = check_labels(self, y)
        X = check_table(self, X, reset=True)
        check_consistent_length(X, y)
        weights = check_weights(sample_weight, X)
        if sample_weight is not None:
            sample_weight = weights
        models = [*estimators, ("leader", self.leader)]
        routed = route_fit_parameters(self, models, sample_weight, params)
        rows = np.flatnonzero(weights > 0)
        check_classes(self, y[rows])
        folds = fold_of_each_row(self.cv, X, y, None, routed["cv"]["split"], rows)
        task = make_task(X, y, folds, weights, rows)
        self._check_folds(task)

        members = []
        for name, estimator in models:
            check_frozen(name, estimator, task.X, task.classes)
            metadata = rows_of_each(routed[name]["fit"], rows, len(y))
            if name == "leader" or self.n_rounds > 1:
                check_only_weights(name, estimator, metadata)
            members.append(
                make_member(name, estimator, task.Z.shape[1], seed, metadata)
            )
        unlabeled = check_unlabeled(self, X_unlabeled, task.X)
        return task, members[:-1], members[-1], unlabeled, rows

    def _check_folds(self, task: Task) -> None:
        needed = 2 if self.accept is None else 3
        if task.n_folds < needed:
            raise ValueError(
                f"cv gives {task.n_folds} fold(s) of rows, at least {needed} are "
                "needed: peers answer for a fold that they did not see"
                + (", while another one judges the leader." if needed == 3 else ".")
                + " Use more folds or more rows."
            )

    def _views(self, task: Task, unlabeled: Any, seed: int) -> list[View]:
        """Lay out the rows of each view: of all rows, and without each judging fold."""
        judges: list[int | None] = [None]
        if self.accept is not None:
            judges += range(task.n_folds)
        views = []
        for judge in judges:
            rows = np.flatnonzero(task.folds != (-1 if judge is None else judge))
            weights = task.weights[rows]
            extra, extra_weights = unlabeled, np.zeros(0)
            if unlabeled is not None:
                extra_weights = np.full(unlabeled.shape[0], weights.mean())
            elif self.n_virtual:
                extra, extra_weights = virtual_rows(
                    take(task.X, rows), self.n_virtual, weights=weights, seed=seed
                )
            most = _MOST_EXTRA * weights.sum()
            extra_weights *= min(1.0, most / max(extra_weights.sum(), most))
            views.append(View(judge, rows, extra, extra_weights))
        return views

    def _learn_attention(self, task: Task, view: View, seed: int) -> Attention:
        rows = view.rows
        return learn_attention(
            view.proba,
            task.codes[rows],
            task.weights[rows],
            task.folds[rows],
            self.attention,
            seed,
        )

    def _peers_targets(
        self, task: Task, view: View, attention: Attention, number: int
    ) -> NDArray[np.float64]:
        """Mix labels with what each peer hears; its share ramps up as published."""
        ramp = np.exp(-5 * (1 - (number - 1) / (self.n_rounds - 1)) ** 2)
        labels = np.eye(len(task.classes))[task.codes[view.rows]]
        return (labels + ramp * attention.targets(view.proba)) / (1 + ramp)

    def _lines(
        self,
        task: Task,
        peers: Sequence[Member],
        view: View,
        attention: Attention,
        number: int,
    ) -> list[dict[str, Any]]:
        """Say how good the peers and the group are in one round."""
        names = [*(peer.name for peer in peers), "group"]
        answers = [*view.proba, attention.group(view.proba)]
        return [
            _line(number, name, *score(task, proba), True)
            for name, proba in zip(names, answers, strict=True)
        ]

    def _lines_of_the_leader(
        self, task: Task, verdict: Verdict, n_rounds: int
    ) -> list[dict[str, Any]]:
        if verdict.failure:
            warn(
                "Teaching the leader failed; it was trained alone and history_ has the "
                f"details: {verdict.failure}"
            )
        return [
            _line(0, "leader", *verdict.before, not verdict.taught),
            _line(n_rounds, "leader", *verdict.after, verdict.taught, verdict.failure),
        ]

    def _report_round(
        self, number: int, group: dict[str, Any], apart: NDArray[np.float64]
    ) -> None:
        if self.verbose:
            n_peers = len(apart)
            mean = apart.sum() / max(n_peers * (n_peers - 1), 1)
            print(
                f"[{type(self).__name__}] round {number} of {self.n_rounds}: group's "
                f"accuracy {group['accuracy']:.3f}, diversity {mean:.3f}"
            )

    def _report_leader(self, verdict: Verdict) -> None:
        if self.verbose:
            print(
                f"[{type(self).__name__}] leader: accuracy {verdict.before[0]:.3f} "
                f"alone, {verdict.after[0]:.3f} taught; "
                f"{'taught' if verdict.taught else 'alone'} one kept"
            )

    def _keep(
        self,
        task: Task,
        peers: Sequence[Member],
        view: View,
        attention: Attention,
        distances: Sequence[NDArray[np.float64]],
        history: Sequence[dict[str, Any]],
        targets: NDArray[np.float64],
        verdict: Verdict,
    ) -> None:
        """Set the fitted attributes, all at once and last."""
        self.classes_ = task.classes
        self._schema = TableSchema(task.X)
        names = [peer.name for peer in peers]
        self.peers_ = by_name(zip(names, view.models, strict=True))
        self.attention_ = attention
        self._refuses_missing = not (
            get_tags(self).input_tags.allow_nan or np.isnan(task.Z).any()
        )
        self.diversity_ = np.array(distances)
        self.history_ = pd.DataFrame(history)
        if self.store_targets:
            self.targets_ = targets
        self.leader_ = verdict.model

    def attention_weights(self, X: Any) -> NDArray[np.float64]:
        """Return how much each peer listens to each about some rows.

        Parameters
        ----------
        X : {array-like, dataframe} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        weights : ndarray of shape (n_samples, n_peers, n_peers)
            ``weights[i, a, b]`` is what peer a gives to peer b, in the order of
            `peers_`; they sum to one over b.
        """
        check_is_fitted(self)
        X = self._schema.conform(check_table(self, X, reset=False))
        peers = [
            FittedMember(name, model, self.classes_, f"Peer {name!r}")
            for name, model in self.peers_.items()
        ]
        proba = [peer.answer_without_writing(X) for peer in peers]
        return self.attention_.weights(np.array(proba))

    def get_metadata_routing(self) -> MetadataRouter:
        """Say which parameters of ``fit`` go to peers, leader and splitter.

        Returns
        -------
        routing : MetadataRouter
            The routing of this distiller.
        """
        return (
            super()
            .get_metadata_routing()
            .add(
                **{routing_key("leader"): self.leader},
                method_mapping=MethodMapping().add(caller="fit", callee="fit"),
            )
        )

    def __sklearn_tags__(self) -> Any:
        """Allow what all peers and the leader allow."""
        tags = super().__sklearn_tags__()
        try:
            tags.input_tags.allow_nan &= get_tags(self.leader).input_tags.allow_nan
        except (TypeError, ValueError, AttributeError):
            # `leader` is no estimator, which is for fit to say.
            tags.input_tags.allow_nan = False
        return tags

    def _sk_visual_block_(self) -> Any:
        names, estimators = zip(*self.estimators, strict=True)
        return _VisualBlock(
            "parallel", [*estimators, self.leader], names=[*names, "leader"]
        )


def _line(
    number: int,
    model: str,
    accuracy: float,
    loss: float,
    kept: bool,
    failure: str = "",
) -> dict[str, Any]:
    return {
        "round": number,
        "model": model,
        "accuracy": accuracy,
        "log_loss": loss,
        "kept": kept,
        "failure": failure,
    }
