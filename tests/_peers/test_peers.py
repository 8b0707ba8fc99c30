"""DiversePeersDistiller: who teaches whom, what judges, and what it refuses."""

import pickle
import warnings
from typing import ClassVar

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import make_classification
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from skcoop import DiversePeersDistiller
from skcoop._peers._leader import _fit_all, _fit_alone, _teach
from skcoop._peers._peer_group import fit_peers, teach_peers

ALL_X, ALL_Y = make_classification(
    n_samples=400, n_features=4, n_informative=3, n_redundant=0, n_classes=3,
    n_clusters_per_class=1, class_sep=0.8, random_state=0,
)  # fmt: skip
X, y = ALL_X[:90], ALL_Y[:90]
MORE, X_TEST, Y_TEST = ALL_X[90:200], ALL_X[200:], ALL_Y[200:]


def peers(**replaced):
    group = {
        "linear": LogisticRegression(),
        "bayes": GaussianNB(),
        "tree": DecisionTreeClassifier(max_depth=4, random_state=0),
    }
    return list((group | replaced).items())


def distiller(leader=None, group=None, **params):
    leader = DecisionTreeClassifier() if leader is None else leader
    params = {"cv": 3, "random_state": 0, "n_virtual": 60, **params}
    return DiversePeersDistiller(peers() if group is None else group, leader, **params)


class Counting(ClassifierMixin, BaseEstimator):
    """Naive Bayes that writes down how many rows it was fitted on and asked about."""

    fitted: list = []
    asked: list = []

    def fit(self, X, y, sample_weight=None):
        self.model_ = GaussianNB().fit(X, y, sample_weight)
        self.classes_ = self.model_.classes_
        Counting.fitted.append(len(X))
        return self

    def predict_proba(self, X):
        Counting.asked.append(len(X))
        return self.model_.predict_proba(X)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


@pytest.fixture(autouse=True)
def _forget_counts():
    Counting.fitted, Counting.asked = [], []


# The leader


def test_answers_are_the_leaders():
    model = distiller().fit(X, y, X_unlabeled=MORE)
    assert_array_equal(model.predict(X_TEST), model.leader_.predict(X_TEST))
    assert_array_equal(model.predict_proba(X_TEST), model.leader_.predict_proba(X_TEST))
    assert model.score(X_TEST, Y_TEST) == model.leader_.score(X_TEST, Y_TEST)
    assert isinstance(model.leader_, DecisionTreeClassifier)


def test_group_teaches_a_tree():
    """Under label noise a bare tree learns the noise; a taught one hears the group."""
    noisy = y.copy()
    noisy[::5] = (noisy[::5] + 1) % 3
    alone = DecisionTreeClassifier(random_state=0).fit(X, noisy)
    for rows in (MORE, None):
        model = distiller(n_virtual=200).fit(X, noisy, X_unlabeled=rows)
        assert model.history_["kept"].iloc[-1]
        assert model.score(X_TEST, Y_TEST) > alone.score(X_TEST, Y_TEST) + 0.05


def test_bad_peers_leave_the_leader_as_it_is_alone():
    bad = [("upside_down", DummyClassifier(strategy="uniform", random_state=0))]
    leader = LogisticRegression()
    model = distiller(leader, bad).fit(X, y, X_unlabeled=MORE)
    alone = clone(leader).fit(X, y)
    assert_array_equal(model.predict_proba(X_TEST), alone.predict_proba(X_TEST))
    lines = model.history_[model.history_["model"] == "leader"]
    assert lines["kept"].tolist() == [True, False]
    assert lines["log_loss"].iloc[0] < lines["log_loss"].iloc[1]


def test_without_a_judge_the_taught_leader_is_kept():
    bad = [("upside_down", DummyClassifier(strategy="uniform", random_state=0))]
    model = distiller(LogisticRegression(), bad, accept=None).fit(X, y)
    lines = model.history_[model.history_["model"] == "leader"]
    assert lines["kept"].tolist() == [False, True]
    assert lines[["accuracy", "log_loss"]].isna().all(axis=None)
    alone = LogisticRegression().fit(X, y)
    assert np.abs(model.predict_proba(X) - alone.predict_proba(X)).max() > 0.05


def test_kept_leader_has_the_smaller_out_of_fold_loss():
    for seed in range(4):
        leader = DecisionTreeClassifier(max_depth=2 + seed)
        history = distiller(leader, random_state=seed).fit(X, y).history_
        alone, taught = history[history["model"] == "leader"].to_dict("records")
        assert alone["kept"] != taught["kept"]
        if taught["kept"]:
            assert taught["log_loss"] < alone["log_loss"]


@pytest.mark.parametrize(
    "leader",
    [
        KNeighborsClassifier(),
        LinearDiscriminantAnalysis(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        HistGradientBoostingClassifier(max_iter=5),
    ],
    ids=lambda leader: type(leader).__name__,
)
def test_any_classifier_leads(leader):
    labels = np.array(["low", "middle", "high"])[y]
    model = distiller(leader, accept=None).fit(X, labels, X_unlabeled=MORE)
    assert_array_equal(model.classes_, ["high", "low", "middle"])
    assert_allclose(model.predict_proba(X_TEST).sum(axis=1), 1)
    assert np.mean(model.predict(X) == labels) > 0.6


def test_leader_without_probabilities():
    model = distiller(LinearSVC()).fit(X, y)
    assert not hasattr(model, "predict_proba")
    assert_array_equal(
        model.decision_function(X_TEST), model.leader_.decision_function(X_TEST)
    )
    lines = model.history_[model.history_["model"] == "leader"]
    assert lines["log_loss"].isna().all()
    assert lines["accuracy"].notna().all()
    kept = lines.loc[lines["kept"], "accuracy"].item()
    assert kept >= lines["accuracy"].iloc[0]


def test_methods_follow_the_leader_before_fit():
    assert hasattr(distiller(GaussianNB()), "predict_proba")
    assert not hasattr(distiller(GaussianNB()), "decision_function")
    assert not hasattr(distiller(LinearSVC()), "predict_proba")
    with pytest.raises(NotFittedError):
        distiller().predict(X)
    with pytest.raises(NotFittedError):
        distiller().attention_weights(X)


def test_peers_are_not_asked_by_predict():
    model = distiller(group=peers(count=Counting())).fit(X, y)
    Counting.asked = []
    model.predict(X_TEST), model.predict_proba(X_TEST), model.score(X_TEST, Y_TEST)
    assert Counting.asked == []
    model.attention_weights(X_TEST)
    assert Counting.asked == [len(X_TEST)]


# Honesty


def views_of(labels, **params):
    """Run the steps of a fit on given labels, up to the leader's judgement."""
    group = peers(bayes=KNeighborsClassifier(1))
    model = distiller(group=group, cv=KFold(4), attention="row", **params)
    task, members, leader, _, _ = model._read(X, labels, None, None, {}, 0)
    views = model._views(task, MORE if params.get("n_virtual") is None else None, 0)
    fit_peers(task, members, views, n_jobs=None)
    attentions = [model._learn_attention(task, view, 0) for view in views]
    if model.n_rounds > 1:
        targets = [
            model._peers_targets(task, view, own, 2)
            for view, own in zip(views, attentions, strict=True)
        ]
        teach_peers(task, members, views, targets, 0, n_jobs=None)
        attentions = [model._learn_attention(task, view, 0) for view in views]
    pairs = list(zip(views, attentions, strict=True))
    taught = _fit_all(_teach, task, leader, pairs, 0, None)[1]
    alone = _fit_all(_fit_alone, task, leader, pairs, 0, None)[1]
    return task, views, taught, alone


@pytest.mark.parametrize("params", [{}, {"n_virtual": 30}, {"n_rounds": 2}])
def test_nothing_that_is_judged_depends_on_the_judging_labels(params):
    first = views_of(y, **params)
    fold = first[0].folds == 2
    changed = y.copy()
    changed[fold] = (changed[fold] + 1) % 3
    second = views_of(changed, **params)
    # View 0 is the one of all rows, view 3 the one that fold 2 judges.
    assert first[1][3].judges == 2
    assert_array_equal(first[1][3].proba, second[1][3].proba)
    assert_array_equal(first[1][3].extra_proba, second[1][3].extra_proba)
    for before, after in zip(first[2:], second[2:], strict=True):
        assert_array_equal(before[fold], after[fold])
        assert np.abs(before[~fold] - after[~fold]).max() > 0.1


def test_peers_answer_for_rows_whose_labels_they_did_not_see():
    first = views_of(y)
    fold = first[0].folds == 1
    changed = np.where(fold, (y + 1) % 3, y)
    second = views_of(changed)
    assert_array_equal(first[1][0].proba[:, fold], second[1][0].proba[:, fold])
    assert np.abs(first[1][0].proba - second[1][0].proba).max() > 0.5


def test_labels_that_are_noise_teach_nothing():
    """Peers that learn by heart seem no better than chance, out of fold."""
    scores = []
    group = [("near", KNeighborsClassifier(1)), ("tree", DecisionTreeClassifier())]
    for seed in range(8):
        labels = np.random.default_rng(seed).integers(2, size=len(X))
        history = distiller(group=group, random_state=seed).fit(X, labels).history_
        taught = history[history["round"] == 1]
        scores.append(taught.set_index("model")["accuracy"])
    mean = pd.concat(scores, axis=1).mean(axis=1)
    assert (mean.drop("leader") - 0.5).abs().max() < 0.1
    assert abs(mean["leader"] - 0.5) < 0.1


def test_number_of_fits():
    distiller(Counting(), peers(count=Counting()), cv=4).fit(X, y)
    # A peer: all rows, without each of 4 folds, without each two of them. The leader:
    # with all rows and without each fold, alone; the same with repeated rows, taught.
    sizes = np.bincount(Counting.fitted, minlength=len(X) + 1)
    assert sizes[len(X)] == 1 + 1
    assert len([n for n in Counting.fitted if n > len(X)]) == 5
    assert len(Counting.fitted) == (1 + 4 + 6) + 5 + 5
    Counting.fitted = []
    distiller(group=peers(count=Counting()), cv=4, accept=None).fit(X, y)
    assert len(Counting.fitted) == 1 + 4


def test_frozen_peer_teaches_as_it_is():
    guest = FrozenEstimator(Counting().fit(MORE, ALL_Y[90:200]))
    Counting.fitted = []
    model = distiller(group=peers(guest=guest), n_rounds=2).fit(X, y)
    assert Counting.fitted == []
    assert model.peers_["guest"] is guest


# Rounds, attention, diversity


def test_attributes():
    model = distiller(n_rounds=3, attention="row").fit(X, y)
    assert model.diversity_.shape == (3, 3, 3)
    assert_allclose(model.diversity_, model.diversity_.swapaxes(1, 2))
    assert_array_equal(np.diagonal(model.diversity_, axis1=1, axis2=2), 0)
    assert (model.diversity_[:, 0, 1:] > 0).all()
    assert list(model.peers_) == ["linear", "bayes", "tree"]
    assert model.attention_.query.shape == model.attention_.key.shape == (4, 3 + 3)
    weights = model.attention_weights(X_TEST)
    assert weights.shape == (200, 3, 3)
    assert_allclose(weights.sum(axis=2), 1)
    assert weights.std(axis=0).max() > 0
    counts = model.history_.groupby("round")["model"].apply(list)
    assert counts[0] == ["leader"]
    assert counts[1] == counts[2] == ["linear", "bayes", "tree", "group"]
    assert counts[3] == [*counts[1], "leader"]
    assert not hasattr(model, "targets_")


def test_diversity_is_the_distance_of_probabilities():
    model = distiller(accept=None).fit(X, y)
    task, members, _, _, _ = model._read(X, y, None, None, {}, 0)
    views = model._views(task, None, 0)
    fit_peers(task, members, views, n_jobs=None)
    first, second = views[0].proba[:2]
    apart = np.sqrt(((first - second) ** 2).sum(axis=1)).mean()
    assert_allclose(model.diversity_[0, 0, 1], apart)


def test_targets_on_request():
    weights = np.where(np.arange(len(y)) < 5, 0.0, 1.0)
    model = distiller(store_targets=True).fit(X, y, sample_weight=weights)
    assert model.targets_.shape == (90, 3)
    assert_array_equal(model.targets_[:5], 0)
    assert_allclose(model.targets_[5:].sum(axis=1), 1)
    group = model.history_.set_index("model").loc["group", "accuracy"]
    assert np.mean(model.targets_[5:].argmax(axis=1) == y[5:]) == pytest.approx(group)


def test_share_of_the_peers_targets_ramps_up():
    model = distiller(n_rounds=4, attention=None)
    task, members, _, _, _ = model._read(X, y, None, None, {}, 0)
    views = model._views(task, None, 0)
    fit_peers(task, members, views, n_jobs=None)
    attention = model._learn_attention(task, views[0], 0)
    labels, heard = np.eye(3)[y], attention.targets(views[0].proba)
    shares = []
    for number in (2, 3, 4):
        targets = model._peers_targets(task, views[0], attention, number)
        share = ((targets - labels) / (heard - labels)).mean()
        assert_allclose(targets, labels + share * (heard - labels), atol=1e-9)
        shares.append(share)
    expected = np.exp(-5 * (1 - np.array([1, 2, 3]) / 3) ** 2)
    assert_allclose(shares, expected / (1 + expected))
    assert shares[-1] == pytest.approx(0.5)


def test_rounds_change_the_peers():
    one, two = (distiller(n_rounds=n).fit(X, y) for n in (1, 2))
    assert_array_equal(one.diversity_[0], two.diversity_[0])
    before, after = (m.peers_["linear"].coef_ for m in (one, two))
    assert np.abs(before - after).max() > 0.1
    assert_array_equal(before, LogisticRegression().fit(X, y).coef_)


# Rows without a label


def test_rows_without_a_label_matter_and_replace_virtual_ones():
    params = {"leader": LogisticRegression(), "accept": None}
    given, again, none, virtual = (
        distiller(**params, n_virtual=n).fit(X, y, X_unlabeled=rows)
        for n, rows in ((60, MORE), (0, MORE), (0, None), (60, None))
    )
    assert_array_equal(given.leader_.coef_, again.leader_.coef_)
    for other in (none, virtual):
        assert np.abs(given.leader_.coef_ - other.leader_.coef_).max() > 1e-3
    assert np.abs(virtual.leader_.coef_ - none.leader_.coef_).max() > 1e-3


@pytest.mark.parametrize(("n_rows", "total"), [(10, 10), (90, 90), (310, 180)])
def test_weight_of_rows_without_a_label(n_rows, total):
    model = distiller()
    weights = np.full(len(y), 3.0)
    task, _, _, rows, _ = model._read(X, y, ALL_X[90 : 90 + n_rows], weights, {}, 0)
    view = model._views(task, rows, 0)[0]
    assert view.extra_weights.sum() == pytest.approx(3 * total)
    assert len(set(view.extra_weights)) == 1


def test_virtual_rows_of_a_judged_view_come_from_its_rows():
    wide = X.copy()
    wide[::3] += 100  # fold 0 of three alternating folds
    folds = [
        (np.flatnonzero(np.arange(90) % 3 != k), np.arange(k, 90, 3)) for k in range(3)
    ]
    model = distiller(cv=folds)
    task, *_ = model._read(wide, y, None, None, {}, 0)
    views = model._views(task, None, 0)
    assert [view.judges for view in views] == [None, 0, 1, 2]
    assert views[0].extra.max() > 50
    assert views[1].extra.max() < 50 < views[2].extra.max()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (MORE[:, :3], "X_unlabeled cannot be used: X has 3 features"),
        (pd.DataFrame(MORE), "X_unlabeled is DataFrame, but X is ndarray"),
        (np.where(MORE > 2, np.inf, MORE), "X_unlabeled cannot be used.*infinity"),
        (MORE[:0], "X_unlabeled cannot be used.*0 sample"),
    ],
)
def test_bad_rows_without_a_label(rows, message):
    model = distiller()
    with pytest.raises(ValueError, match=message):
        model.fit(X, y, X_unlabeled=rows)
    assert not hasattr(model, "leader_")


def test_bad_frames_without_a_label():
    names = list("abcd")
    table = pd.DataFrame(X, columns=names)
    other = pd.DataFrame(MORE, columns=names)
    for rows, message in [
        (other.drop(columns="d"), r"(?s)X_unlabeled cannot be used.*missing.*\bd\b"),
        (
            other.rename(columns={"a": "z"}),
            r"(?s)X_unlabeled cannot be used.*unseen.*\bz\b",
        ),
        (other.replace(other.iloc[0, 0], np.inf), r"infinity in column\(s\) \['a'\]"),
        (MORE, "X_unlabeled is ndarray, but X is DataFrame"),
    ]:
        with pytest.raises(ValueError, match=message):
            distiller().fit(table, y, X_unlabeled=rows)
    whole = pl.from_pandas(other).with_columns(pl.col("b").cast(pl.Int64))
    with pytest.raises(ValueError, match=r"columns \['b'\] of X_unlabeled are of type"):
        distiller().fit(pl.from_pandas(table), y, X_unlabeled=whole)


def test_inputs_are_left_alone():
    copies = X.copy(), y.copy(), MORE.copy()
    state = np.random.get_state()[1].copy()
    group = peers()
    distiller(group=group, n_rounds=2).fit(X, y, X_unlabeled=MORE)
    for before, after in zip(copies, (X, y, MORE), strict=True):
        assert_array_equal(before, after)
    assert_array_equal(np.random.get_state()[1], state)
    assert not any(hasattr(peer, "classes_") for _, peer in group)


@pytest.mark.parametrize("more", [None, MORE], ids=["virtual", "unlabelled"])
def test_peer_that_works_in_place_disturbs_nobody(more):
    """Neither the user's rows nor what the next peer reads."""
    answers = []
    for copy in (True, False):
        scaled = make_pipeline(StandardScaler(copy=copy), LogisticRegression())
        group = [("scaled", scaled), *peers()]
        rows = None if more is None else more.copy()
        model = distiller(group=group).fit(X, y, X_unlabeled=rows)
        asked = X_TEST.copy()
        answers.append((model.predict_proba(X_TEST), model.attention_weights(asked)))
        assert more is None or (rows == more).all()
        assert_array_equal(asked, X_TEST)
    for one, other in zip(*answers, strict=True):
        assert_array_equal(one, other)


# Containers, weights, scikit-learn's tools


def test_containers_give_the_same_leader():
    names = list("abcd")
    leader = GaussianNB()
    model = distiller(leader).fit(X, y, X_unlabeled=MORE)
    expected = model.predict_proba(X_TEST)
    for kind in (pd.DataFrame, lambda A, columns: pl.DataFrame(A, schema=columns)):
        tables = [kind(A, columns=names) for A in (X, MORE, X_TEST)]
        other = distiller(leader).fit(tables[0], y, X_unlabeled=tables[1])
        assert_allclose(other.predict_proba(tables[2]), expected)
        assert_array_equal(other.feature_names_in_, names)
    # Fitted on polars, asked with pandas.
    assert_allclose(other.predict_proba(pd.DataFrame(X_TEST, columns=names)), expected)


def test_names_and_widths_are_checked_by_predict():
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = distiller().fit(frame, y)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame.rename(columns={"a": "z"}))
    with pytest.raises(ValueError, match="3 features"):
        distiller().fit(X, y).predict(X[:, :3])


def test_missing_cells_where_some_model_takes_none():
    holes = X_TEST.copy()
    holes[0, 1] = np.nan
    model = distiller().fit(X, y)  # a tree answers for missing cells, its peers do not
    with pytest.raises(ValueError, match=r"NaN in column\(s\) \['x1'\]"):
        model.predict(holes)
    group = [("boosting", HistGradientBoostingClassifier(max_iter=3))]
    takes = distiller(group=group, accept=None).fit(X, y)
    assert takes.predict(holes).shape == (200,)


def test_rows_without_weight_are_left_out():
    weights = np.where(np.arange(90) % 5 == 0, 0.0, 1.0)
    kept = weights > 0
    folds = np.arange(90) % 3
    whole = [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in range(3)]
    own = folds[kept]
    part = [(np.flatnonzero(own != k), np.flatnonzero(own == k)) for k in range(3)]
    first = distiller(cv=whole).fit(X, y, sample_weight=weights)
    second = distiller(cv=part).fit(X[kept], y[kept])
    assert_allclose(first.predict_proba(X_TEST), second.predict_proba(X_TEST))


def test_leader_without_weights_says_so():
    model = distiller(LinearDiscriminantAnalysis())
    with pytest.warns(UserWarning, match=r"\['leader'\] do not take sample_weight"):
        model.fit(X, y, sample_weight=np.linspace(1, 2, 90))
    assert model.score(X_TEST, Y_TEST) > 0.5


def test_classes_that_a_fold_lacks():
    labels = y.copy()
    labels[labels == 2] = 0
    labels[:2] = 2  # both in the first of three folds in a row
    model = distiller(cv=KFold(3)).fit(X, labels)
    assert_array_equal(model.classes_, [0, 1, 2])
    assert model.predict_proba(X).shape == (90, 3)


def test_same_result_every_time():
    first, second, parallel = (
        distiller(n_jobs=n, attention="row").fit(X, y) for n in (None, None, 2)
    )
    for other in (second, parallel):
        assert_array_equal(first.predict_proba(X_TEST), other.predict_proba(X_TEST))
        pd.testing.assert_frame_equal(first.history_, other.history_)


def test_clone_pickle_and_parameters():
    model = distiller(DecisionTreeClassifier(max_depth=3)).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict_proba(X_TEST), model.predict_proba(X_TEST))
    assert not hasattr(clone(model), "leader_")
    model.set_params(leader__max_depth=1, bayes__var_smoothing=0.1, tree="drop")
    assert model.leader.max_depth == 1
    refitted = model.fit(X, y)
    assert list(refitted.peers_) == ["linear", "bayes"]
    assert refitted.peers_["bayes"].var_smoothing == 0.1
    assert refitted.leader_.get_depth() == 1
    assert "leader" in model._repr_html_()


def test_grid_search():
    grid = {"leader__max_depth": [1, 4], "attention": [None]}
    search = GridSearchCV(distiller(accept=None), grid, cv=2).fit(X, y)
    assert search.best_params_["leader__max_depth"] == 4
    assert search.score(X_TEST, Y_TEST) > 0.5


def test_routing():
    weights = np.where(np.arange(90) < 45, 3.0, 1.0)
    with config_context(enable_metadata_routing=True):
        asks = LogisticRegression().set_fit_request(sample_weight=True)
        silent = GaussianNB().set_fit_request(sample_weight=False)
        group = [("linear", asks), ("bayes", silent)]
        model = distiller(asks, group, accept=None).fit(X, y, sample_weight=weights)
        assert_allclose(
            model.peers_["linear"].coef_,
            LogisticRegression().fit(X, y, sample_weight=weights).coef_,
        )
        assert_allclose(model.peers_["bayes"].theta_, GaussianNB().fit(X, y).theta_)
        unweighted = LogisticRegression().set_fit_request(sample_weight=False)
        other = distiller(unweighted, group, accept=None)
        other.fit(X, y, sample_weight=weights)
        assert np.abs(model.leader_.coef_ - other.leader_.coef_).max() > 1e-3


class Weighed(GaussianNB):
    """Writes down the weights of its rows, by the first cell of each."""

    log: ClassVar[list] = []

    def fit(self, X, y, sample_weight=None):
        weights = np.ones(len(y)) if sample_weight is None else sample_weight
        self.log.append(pd.Series(weights).groupby(X[:, 0]).sum())
        return super().fit(X, y, sample_weight)


@pytest.mark.parametrize("who", ["leader", "peer"])
def test_weights_of_another_name_arrive(who):
    """In each fit a row weighs what it was given, whatever its targets are."""
    numbered = X.copy()
    numbered[:, 0] = np.arange(90)
    given = np.where(np.arange(90) % 2, 1.0, 50.0)
    with config_context(enable_metadata_routing=True):
        model = Weighed().set_fit_request(sample_weight="mine")
        plain = GaussianNB()
        leader, group = (model, plain) if who == "leader" else (plain, model)
        params = {"n_rounds": 2, "n_virtual": 0}
        Weighed.log.clear()
        distiller(leader, [("peer", group)], **params).fit(numbered, y, mine=given)
    assert len(Weighed.log) > 5
    for weights in Weighed.log:
        assert_allclose(weights, given[weights.index.to_numpy(dtype=int)])


def test_rows_without_a_label_weigh_as_given_weights_do():
    numbered = X.copy()
    numbered[:, 0] = np.arange(90)
    with config_context(enable_metadata_routing=True):
        leader = Weighed().set_fit_request(sample_weight="mine")
        model = distiller(leader, [("peer", GaussianNB())], accept=None)
        Weighed.log.clear()
        model.fit(numbered, y, mine=np.full(90, 7.0), X_unlabeled=MORE[:30])
    (weights,) = Weighed.log
    assert_allclose(weights, np.full(120, 7.0))


def test_pipeline_leads_with_routing():
    weights = np.linspace(1, 2, 90)
    with config_context(enable_metadata_routing=True):
        asks = LogisticRegression().set_fit_request(sample_weight=True)
        leader = make_pipeline(StandardScaler(), asks)
        model = distiller(leader, [("linear", asks)], accept=None)
        model.fit(X, y, sample_weight=weights)
    plain = make_pipeline(StandardScaler(), LogisticRegression())
    other = distiller(plain, [("linear", LogisticRegression())], accept=None)
    other.fit(X, y, sample_weight=weights)
    assert_allclose(model.predict_proba(X), other.predict_proba(X), atol=1e-6)


def test_peer_without_probabilities_votes():
    model = distiller(group=[("votes", LinearSVC()), ("bayes", GaussianNB())])
    model.fit(X, y)
    assert model.attention_weights(X).shape == (90, 2, 2)
    assert model.diversity_[0, 0, 1] > 0


class Choosy(Counting):
    """Takes a parameter of fit that only labelled rows can have."""

    def fit(self, X, y, sample_weight=None, when=None):
        return super().fit(X, y, sample_weight)


def test_leader_cannot_be_given_more_than_weights():
    with config_context(enable_metadata_routing=True):
        choosy = Choosy().set_fit_request(when=True, sample_weight=False)
        with pytest.raises(
            ValueError, match=r"'leader' requests the parameters \['when'"
        ):
            distiller(choosy).fit(X, y, when=np.arange(90))
        group = [("choosy", choosy)]
        with pytest.raises(ValueError, match=r"'choosy' requests.*n_rounds > 1"):
            distiller(group=group, n_rounds=2).fit(X, y, when=np.arange(90))
        model = distiller(group=group, accept=None).fit(X, y, when=np.arange(90))
        assert list(model.peers_) == ["choosy"]


# What goes wrong


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"leader": LinearRegression()}, "'leader' should be a classifier"),
        ({"leader": LogisticRegression}, "'leader' should be a classifier"),
        ({"leader": "tree"}, "'leader' should be a classifier, got 'tree'"),
        (
            {"leader": FrozenEstimator(GaussianNB().fit(X, y))},
            "The leader is frozen and cannot learn",
        ),
        ({"group": []}, "non-empty list"),
        ({"group": [("leader", GaussianNB())]}, r"conflict.*'leader'"),
        ({"group": [("a", "drop")]}, "All estimators are dropped"),
        ({"cv": 2}, r"cv gives 2 fold\(s\).*at least 3"),
        ({"cv": [([], np.arange(90))], "accept": None}, r"gives 1 fold\(s\)"),
        ({"attention": "rows"}, "'attention' parameter"),
        ({"n_rounds": 0}, "'n_rounds' parameter"),
        ({"n_virtual": -1}, "'n_virtual' parameter"),
        ({"accept": "all"}, "'accept' parameter"),
        ({"store_targets": "yes"}, "'store_targets' parameter"),
    ],
)
def test_bad_parameters(params, message):
    model = distiller(**params)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    left = {name for name in vars(model) if name.endswith("_")}
    assert left <= {"n_features_in_"}


def test_two_folds_do_without_a_judge():
    assert distiller(cv=2, accept=None).fit(X, y).score(X_TEST, Y_TEST) > 0.5


class Failing(GaussianNB):
    """Naive Bayes that breaks at rows that are repeated, as taught leaders see them."""

    def fit(self, X, y, sample_weight=None):
        if len(X) > 90:
            raise RuntimeError("too many rows")
        return super().fit(X, y, sample_weight)


def test_leader_that_cannot_be_taught_stays_alone():
    model = distiller(Failing())
    with pytest.warns(UserWarning, match=r"trained alone.*too many rows"):
        model.fit(X, y)
    assert_array_equal(
        model.predict_proba(X_TEST), GaussianNB().fit(X, y).predict_proba(X_TEST)
    )
    last = model.history_.iloc[-1]
    assert last["failure"] == (
        "RuntimeError: The leader, fitted on 90 labelled rows: too many rows"
    )
    assert not last["kept"]
    with pytest.raises(RuntimeError, match="too many rows"):
        distiller(Failing(), accept=None).fit(X, y)


def test_failed_fit_forgets_the_one_before():
    model = distiller().fit(X, y)
    model.set_params(tree=Failing())
    with pytest.raises(ValueError, match="at least two classes"):
        model.fit(X, np.zeros(90))
    assert not hasattr(model, "leader_")
    with pytest.raises(NotFittedError):
        model.predict(X)


class Broken(GaussianNB):
    def fit(self, X, y, sample_weight=None):
        raise RuntimeError("no")


def test_error_names_the_peer():
    with pytest.raises(RuntimeError, match=r"^Peer 'odd', fitted on 90 rows: no$"):
        distiller(group=peers(odd=Broken())).fit(X, y)


def test_verbose(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        distiller().fit(X, y)
    assert capsys.readouterr().out == ""
    distiller(verbose=1, n_rounds=2).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert "round 1 of 2: group's accuracy 0." in lines[0]
    assert lines[-1].startswith("[DiversePeersDistiller] leader: accuracy")
