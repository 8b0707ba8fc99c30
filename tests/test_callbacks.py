# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""scikit-learn's callbacks follow a fit, and may end it."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skcoop import CooperativeDistiller
from skcoop._utils._progress import Progress

callback = pytest.importorskip(
    "sklearn.callback", reason="scikit-learn has callbacks from 1.9 on"
)

X, y = make_classification(150, n_features=6, n_informative=4, random_state=3)
SILOS = np.array(["tree", "bayes", "linear"], dtype=object)[
    np.digitize(X[:, 0], [-0.5, 0.5])
]


def distiller(**params):
    members = [
        ("tree", DecisionTreeClassifier(max_depth=2)),
        ("bayes", GaussianNB()),
        ("linear", make_pipeline(StandardScaler(), LogisticRegression())),
    ]
    return CooperativeDistiller(members, **{"random_state": 0, "cv": 3, **params})


class Listener:
    """Writes down what it hears; says stop after some rounds."""

    max_propagation_depth = None

    def __init__(self, stop_after=None):
        self.heard = []
        self.stop_after = stop_after
        self.rounds = 0

    def setup(self, estimator, context):
        self.heard.append(("setup", type(estimator).__name__, context.task_name))

    def teardown(self, estimator, context):
        self.heard.append(("teardown", type(estimator).__name__, context.task_name))

    def on_fit_task_begin(self, estimator, context):
        self.heard.append(("begin", type(estimator).__name__, context.task_name))

    def on_fit_task_end(self, estimator, context):
        self.heard.append(("end", type(estimator).__name__, context.task_name))
        self.rounds += context.task_name == "round"
        return self.rounds == self.stop_after


def rounds_of(fitted):
    return len(fitted.scores_) - 1


def test_every_part_begins_and_ends_in_order():
    listener = Listener()
    fitted = distiller().set_callbacks(listener).fit(X, y, silos=SILOS)
    name = "CooperativeDistiller"
    assert listener.heard[0] == ("setup", name, "fit")
    assert listener.heard[-1] == ("teardown", name, "fit")
    own = [(event, task) for event, who, task in listener.heard if who == name]
    assert own[1:3] == [("begin", "fit"), ("begin", "fit members")]
    assert [task for event, task in own if event == "begin"].count("round") == (
        rounds_of(fitted)
    )
    begun = [task for event, task in own if event == "begin"]
    ended = [task for event, task in own if event == "end"]
    assert sorted(begun) == sorted(ended)
    assert own[-2] == ("end", "fit")


def test_callbacks_reach_members_that_support_them_once():
    listener = Listener()
    distiller().set_callbacks(listener).fit(X, y, silos=SILOS)
    assert listener.heard.count(("begin", "Pipeline", "fit")) == 1
    assert not any(who == "GaussianNB" for _, who, _ in listener.heard)


def test_members_come_back_without_callbacks():
    fitted = distiller().set_callbacks(Listener()).fit(X, y, silos=SILOS)
    for model in [*fitted.estimators_, *fitted.initial_estimators_]:
        assert not getattr(model, "_skl_callbacks", [])
        assert not hasattr(model, "_parent_callback_ctx")
    for _, prototype in fitted.estimators:
        assert not hasattr(prototype, "_skl_callbacks")


def test_callbacks_change_nothing():
    plain = distiller().fit(X, y, silos=SILOS)
    monitor = callback.ScoringMonitor(scoring="accuracy")
    followed = distiller().set_callbacks(Listener(), monitor)
    followed.fit(X, y, silos=SILOS)
    np.testing.assert_array_equal(plain.predict_proba(X), followed.predict_proba(X))
    assert plain.lessons_.equals(followed.lessons_)
    assert plain.scores_.equals(followed.scores_)


def test_members_without_callbacks_are_no_reason_to_warn():
    listener = Listener()
    scaled = make_pipeline(StandardScaler(), GaussianNB())
    members = [("naive", GaussianNB()), ("tree", DecisionTreeClassifier())]
    nested = CooperativeDistiller([*members, ("scaled", scaled)], cv=3, n_rounds=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nested.set_callbacks(listener).fit(X, y)
    assert {"naive", "tree"} <= {task for _, _, task in listener.heard}


def test_frozen_members_hear_nothing():
    guest = FrozenEstimator(LogisticRegression().fit(X, y))
    members = [("guest", guest), ("tree", DecisionTreeClassifier(max_depth=1))]
    listener = Listener()
    model = CooperativeDistiller(members, cv=3, n_rounds=1, random_state=0)
    model.set_callbacks(listener).fit(X, y)
    assert [task for event, _, task in listener.heard if event == "begin"].count(
        "tree"
    ) == 1
    assert not any(task == "guest" for _, _, task in listener.heard)
    assert not hasattr(guest.estimator, "_skl_callbacks")


def test_only_frozen_members():
    guest = FrozenEstimator(LogisticRegression().fit(X, y))
    listener = Listener()
    model = CooperativeDistiller([("a", guest), ("b", guest)], cv=3, random_state=0)
    model.set_callbacks(listener).fit(X, y)
    assert ("end", "CooperativeDistiller", "fit members") in listener.heard


def test_a_callback_may_stop_early():
    full = distiller(n_rounds=3).fit(X, y, silos=SILOS)
    assert rounds_of(full) > 1
    stopped = distiller(n_rounds=3).set_callbacks(Listener(stop_after=1))
    stopped.fit(X, y, silos=SILOS)
    shorter = distiller(n_rounds=1).fit(X, y, silos=SILOS)
    assert rounds_of(stopped) == 1
    assert stopped.lessons_.equals(shorter.lessons_)
    np.testing.assert_array_equal(stopped.predict_proba(X), shorter.predict_proba(X))


def test_scoring_monitor_has_a_row_for_each_round():
    monitor = callback.ScoringMonitor(scoring="accuracy")
    fitted = distiller().set_callbacks(monitor).fit(X, y, silos=SILOS)
    log = monitor.get_logs().data_as_pandas
    assert list(log["task_name"]) == ["round"] * rounds_of(fitted)
    assert rounds_of(fitted) >= 2
    # As if the fit had ended there: what shorter fits reach.
    for number, score in enumerate(log["accuracy"], start=1):
        shorter = distiller(n_rounds=number).fit(X, y, silos=SILOS)
        assert score == pytest.approx(shorter.score(X, y))


def test_scoring_monitor_weighs_rows():
    weights = np.where(y == 1, 5.0, 0.5)
    monitor = callback.ScoringMonitor(scoring="accuracy")
    fitted = distiller(n_rounds=1).set_callbacks(monitor)
    fitted.fit(X, y, silos=SILOS, sample_weight=weights)
    score = monitor.get_logs().data[0]["accuracy"]
    assert score == pytest.approx(fitted.score(X, y, sample_weight=weights))
    assert score != pytest.approx(fitted.score(X, y))


def test_callbacks_of_a_search_reach_the_distiller():
    listener = Listener()
    search = GridSearchCV(distiller(n_rounds=1), {"alpha": [0.5, 0.8]}, cv=2)
    search.set_callbacks(listener).fit(X, y)
    begun = [task for event, _, task in listener.heard if event == "begin"]
    assert begun.count("judge members") == 2 * 2 + 1


def test_callbacks_in_other_processes():
    listener, monitor = Listener(), callback.ScoringMonitor(scoring="accuracy")
    fitted = distiller(n_jobs=2, n_rounds=1).set_callbacks(listener, monitor)
    fitted.fit(X, y, silos=SILOS)
    assert len(monitor.get_logs().data) == 1
    plain = distiller(n_rounds=1).fit(X, y, silos=SILOS)
    np.testing.assert_array_equal(fitted.predict_proba(X), plain.predict_proba(X))


def test_a_broken_fit_tears_down():
    listener = Listener()
    broken = distiller().set_callbacks(listener)
    with pytest.raises(ValueError, match="silo"):
        broken.fit(X, y, silos=np.full(len(y), "nobody"))
    assert listener.heard[-1] == ("teardown", "CooperativeDistiller", "fit")
    assert not hasattr(broken, "_callback_fit_ctx")


def test_clone_keeps_callbacks_and_pickle_works():
    listener = Listener()
    fitted = distiller(n_rounds=1).set_callbacks(listener).fit(X, y, silos=SILOS)
    assert clone(fitted)._skl_callbacks == [listener]
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))


def test_progress_bar(capsys):
    pytest.importorskip("rich")
    distiller(n_rounds=1).set_callbacks(callback.ProgressBar()).fit(X, y, silos=SILOS)
    assert "CooperativeDistiller" in capsys.readouterr().out


def test_without_callbacks_in_scikit_learn():
    """What older versions do: nobody is told, and nothing else changes."""
    progress = Progress(distiller(), None).begin(X=X)
    part = progress.part("fit members", 2)
    for own in part.members(["a", "b"]):
        with own.around(GaussianNB()):
            pass
    assert part.end() is False
