"""Silos in processes of their own: the same fit, no row on the way, faults survived."""

import json
import os
import pickle
import signal
import struct
import time
import warnings
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skcoop import CooperativeDistiller
from skcoop.exchange import dumps_model
from skcoop.federation import Consent, Limits, LoopbackSilos, SiloData, cooperate
from skcoop.federation._host import SiloHost
from skcoop.federation._messages import Packer
from skcoop.federation._profile import agreed_schema
from skcoop.federation._visitors import Apart

NAMES = ["linear", "tree", "bayes"]
SETTINGS = {"cv": 3, "random_state": 0}


def table(n=240, n_classes=2, missing=False):
    X, y = make_classification(
        n,
        6,
        n_informative=4,
        n_classes=n_classes,
        flip_y=0.1,
        random_state=0,
    )
    X = pd.DataFrame(np.round(X, 6), columns=list("abcdef"))
    if missing:
        X["color"] = np.where(X["a"] > 0, "red", np.where(X["b"] > 0, "blue", "green"))
        X["code"] = np.array([3, 6, 7])[np.digitize(X["c"], [-0.5, 0.5])]
        X["whole"] = np.rint(5 * X["d"]).astype(int)
        X.loc[np.arange(0, n, 7), "e"] = np.nan
    cuts = np.quantile(X["a"], [1 / 3, 2 / 3])
    silos = np.array(NAMES)[np.digitize(X["a"] + 0.3 * X["b"], cuts)]
    if missing:
        X.loc[silos == "tree", "f"] = np.nan  # never recorded there
    order = np.argsort([NAMES.index(s) for s in silos], kind="stable")
    X = X.iloc[order].reset_index(drop=True)
    return X, np.array(["no", "yes", "maybe"])[y[order]], silos[order]


def members():
    return [
        ("linear", LogisticRegression()),
        ("tree", DecisionTreeClassifier(max_depth=4)),
        ("bayes", GaussianNB()),
    ]


def members_of_mixed():
    numbers = ["a", "b", "c", "d", "e", "f", "whole"]
    read = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        (
            OneHotEncoder(handle_unknown="ignore", sparse_output=False),
            ["color", "code"],
        ),
    )
    some = make_column_transformer(
        (SimpleImputer(), ["a", "c", "e"]), ("drop", ["color"])
    )
    return [
        ("linear", make_pipeline(read, LogisticRegression(max_iter=1000))),
        ("tree", make_pipeline(some, DecisionTreeClassifier(max_depth=4))),
        ("bayes", make_pipeline(read, RandomForestClassifier(10))),
    ]


def apart(X, y, silos, group, **options):
    """Return what each silo brings."""
    return [
        SiloData(name, X[silos == name], y[silos == name], [(name, model)], **options)
        for name, model in group
    ]


def over(data, *, guests=(), schema=None, trusted=(), **params):
    """Fit over silos in processes of their own; return the fit and the silos."""
    distiller = CooperativeDistiller(list(guests), **{**SETTINGS, **params})
    with LoopbackSilos(data, record=True) as silos:
        fit = cooperate(distiller, silos, schema=schema, trusted=trusted)
        return fit, silos


def same(far, local, X):
    """Compare two fits to the last bit."""
    assert len(local.history_)
    for name in ("history_", "scores_", "gains_"):
        assert_frame_equal(getattr(far, name), getattr(local, name), check_exact=True)
    for first, second in zip(far.estimators_, local.estimators_, strict=True):
        assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    for first, second in zip(
        far.initial_estimators_, local.initial_estimators_, strict=True
    ):
        assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    if hasattr(local.final_estimator_, "coef_"):
        assert_array_equal(far.final_estimator_.coef_, local.final_estimator_.coef_)
        assert_array_equal(
            far.final_estimator_.intercept_, local.final_estimator_.intercept_
        )
    assert_array_equal(far.predict(X), local.predict(X))


# The same fit


@pytest.mark.parametrize(
    ("n_classes", "missing", "params"),
    [
        (2, False, {}),
        (2, True, {}),
        (3, False, {"scoring": "neg_log_loss", "alpha": 0.3}),
        (2, False, {"accept": "own", "combine": "soft"}),
        (2, False, {"accept": None, "combine": "hard"}),
        (2, False, {"accept": "robust", "max_lessons": 9}),
        (
            2,
            True,
            {"private_columns": ["f", "whole"], "min_distance": 0.2, "n_rounds": 1},
        ),
        (
            2,
            True,
            {
                "features_to_vary": ["a", "b", "color"],
                "permitted_range": {"a": [-2, 2]},
                "categorical_features": ["code"],
            },
        ),
    ],
    ids=str,
)
def test_the_same_fit_to_the_last_bit(n_classes, missing, params):
    X, y, silos = table(n_classes=n_classes, missing=missing)
    group = members_of_mixed() if missing else members()
    local = CooperativeDistiller(group, **SETTINGS, **params).fit(X, y, silos=silos)
    far, there = over(apart(X, y, silos, group), **params)
    assert not there.lost
    same(far, local, X)


def test_weights_travel_with_lessons():
    X, y, silos = table()
    weights = np.random.default_rng(0).integers(0, 4, len(y)).astype(float)
    local = CooperativeDistiller(members(), **SETTINGS)
    local.fit(X, y, silos=silos, sample_weight=weights)
    data = [
        SiloData(
            name,
            X[silos == name],
            y[silos == name],
            [(name, model)],
            sample_weight=weights[silos == name],
        )
        for name, model in members()
    ]
    far, _ = over(data)
    same(far, local, X)


def test_several_members_none_and_a_guest():
    X, y, silos = table()
    guest = DecisionTreeClassifier(max_depth=3, random_state=0).fit(X, y)
    group = [*members(), ("guest", FrozenEstimator(guest))]
    where = {"linear": ["linear", "tree"], "tree": ["bayes"], "bayes": []}
    local = CooperativeDistiller(group, silo_members=where, **SETTINGS)
    local.fit(X, y, silos=silos)
    models = dict(members())
    data = [
        SiloData(
            city, X[silos == city], y[silos == city], [(k, models[k]) for k in living]
        )
        for city, living in where.items()
    ]
    far, _ = over(data, guests=group[-1:])
    same(far, local, X)


def test_a_final_estimator_of_the_users_by_consent():
    X, y, silos = table()
    params = {"combine": RandomForestClassifier(5), "scoring": "roc_auc"}
    local = CooperativeDistiller(members(), **SETTINGS, **params)
    local.fit(X, y, silos=silos)
    consent = Consent(share_predictions=True)
    far, _ = over(apart(X, y, silos, members(), consent=consent), **params)
    same(far, local, X)


@pytest.mark.parametrize("params", [{"combine": GaussianNB()}, {"scoring": "roc_auc"}])
def test_predictions_do_not_leave_without_consent(params):
    X, y, silos = table()
    data = apart(X, y, silos, members())
    data[0].consent = Consent(share_predictions=True)
    with pytest.raises(ValueError, match=r"silos \['tree', 'bayes'\] do not let that"):
        over(data, **params)


def test_silos_with_other_columns():
    """A column that a silo lacks is one that it never records."""
    X, y, silos = table(missing=True)
    group = members_of_mixed()
    local = CooperativeDistiller(group, **SETTINGS).fit(X, y, silos=silos)
    data = apart(X, y, silos, group)
    data[1] = SiloData("tree", data[1].X.drop(columns="f"), data[1].y, [group[1]])
    far, _ = over(data)
    same(far, local, X)


# What travels


def arrays_of(value):
    """Yield all arrays in a message, as deep as it goes."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from arrays_of(part)
    elif isinstance(value, list | tuple | frozenset):
        for part in value:
            yield from arrays_of(part)
    elif hasattr(value, "__dict__"):
        yield from arrays_of(vars(value))


def opened(data):
    return Packer(None).unpack(data)


@pytest.mark.parametrize("missing", [False, True])
def test_no_row_is_in_any_message_that_leaves_its_silo(missing):
    X, y, silos = table(missing=missing)
    group = members_of_mixed() if missing else members()
    data = apart(X, y, silos, group)
    _, there = over(data)
    left = {name: [] for name in NAMES}
    for silo, step, _, reply in there.messages:
        left[silo].append((step, opened(reply)))
    lessons = 0
    schema = local_schema(X, silos)
    for own in data:
        Z = schema.codec().encode(schema.conform(own.X))
        recorded = ~np.isnan(Z).all(axis=0)
        rows = {row.tobytes() for row in np.nan_to_num(Z[:, recorded], nan=1e300)}
        for step, reply in left[own.name]:
            for array in arrays_of(reply):
                if array.ndim != 2 or array.shape[1] != Z.shape[1]:
                    continue
                assert step in ("teach", "fit")
                cells = np.nan_to_num(array[:, recorded].astype(float), nan=1e300)
                lessons += len(cells)
                assert not {row.tobytes() for row in cells} & rows
            assert not [a for a in arrays_of(reply) if len(a) == len(own.y) > 0]
    assert lessons > 100


def local_schema(X, silos):
    data = apart(X, np.repeat(["a", "b"], len(X))[: len(X)], silos, members())
    return agreed_schema([own.profile([]) for own in data])


def test_lessons_say_nothing_of_how_they_were_found():
    X, y, silos = table()
    _, there = over(apart(X, y, silos, members()))
    seen = 0
    for _, step, _, reply in there.messages:
        if step != "teach":
            continue
        for lessons in opened(reply)["reply"].lessons.values():
            seen += len(lessons)
            assert np.isnan(lessons.before).all()
            assert (lessons.donor == -1).all()
            assert not lessons.changed.any()
    assert seen


@pytest.mark.parametrize("scaled", [False, True])
def test_models_that_hold_rows_do_not_leave(scaled):
    X, y, silos = table()
    model = KNeighborsClassifier()
    model = make_pipeline(StandardScaler(), model) if scaled else model
    group = [members()[0], ("tree", model), members()[2]]
    with pytest.raises(ValueError, match=r"'tree' .*KNeighborsClassifier"):
        apart(X, y, silos, group)
    # Not even one that got so far.
    data = apart(X, y, silos, group, consent=Consent(models_with_rows=True))
    for own in data:
        own.consent = Consent()
    with pytest.warns(UserWarning, match="'tree': the silo is lost: ValueError in"):
        far, there = over(data)
    assert list(far.named_estimators_) == ["linear", "bayes"]
    assert not any(b"KNeighbors" in reply for *_, reply in there.messages)
    # For those who know what they do.
    trusted = [
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
    ]
    for own in data:
        own.trusted = trusted
        own.consent = Consent(models_with_rows=True)
    far, there = over(data, trusted=trusted)
    assert not there.lost
    local = CooperativeDistiller(group, **SETTINGS).fit(X, y, silos=silos)
    same(far, local, X)


class Talkative(GaussianNB):
    """Raises an error that quotes a cell of its silo."""

    def fit(self, X, y, sample_weight=None):
        raise ValueError(f"cannot read {X.iloc[0, 0]!r}")


def test_the_text_of_an_error_stays_in_its_silo(capfd):
    X, y, silos = table()
    group = [*members()[:2], ("bayes", Talkative())]
    with pytest.warns(UserWarning, match="'bayes': the silo is lost: ValueError"):
        far, there = over(apart(X, y, silos, group))
    cell = repr(X[silos == "bayes"].iloc[0, 0]).encode()
    for *_, reply in there.messages:
        assert cell[:8] not in reply
        assert b"cannot read" not in reply
        assert "cannot read" not in str(opened(reply))
    # It is in the silo's own log.
    assert "cannot read" in capfd.readouterr().err
    line = far.history_[far.history_["student"] == "bayes"].iloc[0]
    assert line["failure"] == "the silo is lost: ValueError in step 'fit'"
    assert list(far.named_estimators_) == ["linear", "tree"]


class Fragile(GaussianNB):
    """Fails in refits, with a text that quotes a cell."""

    def fit(self, X, y, sample_weight=None):
        if len(X) > self.priors_after:
            raise RuntimeError(f"too much of {X.iloc[0, 0]!r}")
        return super().fit(X, y)

    def __init__(self, priors_after=10_000):
        super().__init__()
        self.priors_after = priors_after


def test_a_refit_that_fails_is_named_by_its_type():
    X, y, silos = table()
    n = (silos == "bayes").sum()
    group = [*members()[:2], ("bayes", Fragile(n))]
    own = [f"{__name__}.Fragile"]
    with pytest.warns(UserWarning, match="student 'bayes', .*: RuntimeError"):
        far, _ = over(apart(X, y, silos, group, trusted=own), trusted=own)
    failed = far.history_[far.history_["failure"] != ""]
    assert set(failed["student"]) == {"bayes"}
    assert set(failed["failure"]) == {"RuntimeError"}


# Silos that are lost


class Slow(GaussianNB):
    """Never comes back."""

    def fit(self, X, y, sample_weight=None):
        time.sleep(600)


class Deadly(GaussianNB):
    """Ends its process."""

    def fit(self, X, y, sample_weight=None):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("model", "why"),
    [(Slow(), "did not answer within 20 seconds"), (Deadly(), "its process ended")],
)
def test_a_silo_that_hangs_or_dies_is_left_out(model, why):
    X, y, silos = table()
    data = apart(X, y, silos, [*members()[:2], ("bayes", model)])
    with (
        LoopbackSilos(data, timeout=20) as there,
        pytest.warns(UserWarning, match=f"'bayes': the silo is lost: .*{why}"),
    ):
        far = cooperate(CooperativeDistiller([], **SETTINGS), there)
    assert list(far.named_estimators_) == ["linear", "tree"]
    assert far.score(X, y) > 0.6
    two = silos != "bayes"
    local = CooperativeDistiller(members()[:2], **SETTINGS)
    local.fit(X[two], y[two], silos=silos[two])
    # What is left is taught as if there had never been a third silo, but for folds.
    assert set(far.history_["student"]) == {"linear", "tree", "bayes"}
    assert len(local.estimators_) == len(far.estimators_)


class Mortal(LoopbackSilos):
    """Silos of which one dies, or talks nonsense, in a step."""

    def __init__(self, data, step, how):
        super().__init__(data)
        self.step, self.how = step, how

    def each(self, operation, messages):
        self.now = operation
        return super().each(operation, messages)

    def exchange(self, messages):
        if self.now == self.step and self.how == "dies":
            self._processes[2].kill()
        replies = super().exchange(messages)
        if self.now == self.step and self.how == "nonsense" and 2 in replies:
            replies[2] = b"nothing that anybody could read"
        return replies


@pytest.mark.parametrize(
    ("step", "how"),
    [
        *((step, "dies") for step in ("cross_fit", "judge", "teach", "learn")),
        *((step, "dies") for step in ("finish", "loss_sums")),
        *((step, "nonsense") for step in ("survey", "judge")),
    ],
)
def test_whatever_the_step_the_rest_finishes(step, how):
    X, y, silos = table()
    with (
        Mortal(apart(X, y, silos, members()), step, how) as there,
        pytest.warns(UserWarning, match="'bayes': the silo is lost"),
    ):
        far = cooperate(CooperativeDistiller([], **SETTINGS, n_rounds=1), there)
    expected = ["linear", "tree"] + ["bayes"] * (step == "loss_sums")
    assert list(far.named_estimators_) == expected
    assert far.score(X, y) > 0.6
    lost = far.history_[far.history_["failure"] != ""]
    assert "bayes" in set(lost["student"])
    assert len(far.gains_) == 4


def test_when_all_are_lost_there_is_nothing_to_say():
    X, y, silos = table()
    data = apart(X, y, silos, [(name, Deadly()) for name in NAMES])
    with pytest.raises(RuntimeError, match=r"All silos are lost\. 'linear': its"):
        over(data)


def test_processes_end_with_their_silos():
    X, y, silos = table()
    with LoopbackSilos(apart(X, y, silos, members())) as there:
        assert len(there.all("profile", private=[])) == 3
        ids = [process.pid for process in there._processes]
        assert all(Path(f"/proc/{i}").exists() for i in ids)
        rows = [Path(f"/proc/{i}/cmdline").read_text() for i in ids]
        assert all("_loopback_process" in line for line in rows)
    assert not any(Path(f"/proc/{i}").exists() for i in ids)


# What cannot be


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"cv": [([0], [1])]}, "Silos deal their rows to a number of folds"),
        ({"scoring": lambda model, X, y: 0.0}, "is code that no silo would run"),
        ({"counterfactuals": object()}, "is code that no silo would run"),
    ],
)
def test_settings_that_need_code_or_a_table(params, message):
    X, y, silos = table()
    with pytest.raises(ValueError, match=message):
        over(apart(X, y, silos, members()), **params)


def test_names_must_be_different():
    X, y, silos = table()
    data = apart(X, y, silos, members())
    data[1].estimators = [("linear", GaussianNB())]
    with pytest.raises(ValueError, match=r"\['linear'\] occur more than once"):
        over(data)


def test_members_live_at_silos():
    X, y, silos = table()
    with pytest.raises(ValueError, match="Member 'late' has no rows to train on"):
        over(apart(X, y, silos, members()), guests=[("late", GaussianNB())])


def test_columns_of_two_types_are_named():
    X, y, silos = table()
    data = apart(X, y, silos, members())
    data[1].X["c"] = "text"
    message = "Column 'c' is float64 in silo 'linear' and .* in silo 'tree'"
    with pytest.raises(ValueError, match=message):
        over(data)


def test_rare_levels_are_not_told():
    X, y, silos = table(missing=True)
    data = apart(X, y, silos, members_of_mixed())
    data[0].X.loc[0, "color"] = "a very rare colour"
    with pytest.raises(ValueError, match="'linear': ValueError in step 'profile'"):
        over(data)
    with pytest.raises(
        ValueError, match="Column 'color' of silo 'linear' has 1 values"
    ):
        data[0].profile([])
    # Everybody knows it, or it does not travel, or the silo does not mind.
    levels = {"color": ["red", "blue", "green", "a very rare colour"]}
    for change in ({"levels": levels}, {"consent": Consent(least_count=1)}):
        some = SiloData("linear", data[0].X, data[0].y, data[0].estimators, **change)
        assert "a very rare colour" in some.profile([]).levels["color"]
    assert "color" not in data[0].profile(["color"]).levels


def test_a_schema_of_the_users():
    X, y, silos = table(missing=True)
    schema = {column: "float64" for column in X if column != "color"}
    schema["color"] = ["blue", "green", "red", "violet"]
    far, there = over(apart(X, y, silos, members_of_mixed()), schema=schema)
    assert not there.lost
    assert far.score(X[list(schema)], y) > 0.6


def test_values_of_a_private_column_are_never_told():
    X, y, silos = table(missing=True)
    X["color"] = X["color"] + " of " + silos  # each silo has its own
    far, there = over(apart(X, y, silos, members_of_mixed()), private_columns=["color"])
    assert not there.lost
    assert far.history_["taught"].sum() > 0
    for silo, step, _, reply in there.messages:
        if step not in ("finish", "cross_fit", "learn"):  # encoders of members
            assert f" of {silo}" not in str(opened(reply))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": np.ones((3, 2))}, "X of silo 'basel' must be a pandas DataFrame"),
        ({"X": pd.DataFrame(np.ones((3, 2)))}, "names that are strings, got 0"),
        ({"y": [1, 2]}, "y of silo 'basel' must hold one class for each of 3"),
        ({"y": [1, None, 2]}, "y of silo 'basel' holds missing classes"),
        ({"estimators": [("a", 3)]}, "'a' should be a classifier"),
    ],
)
def test_what_a_silo_brings_is_checked(change, message):
    good = {"name": "basel", "X": pd.DataFrame({"a": [1, 2, 3]}), "y": [0, 1, 1]}
    with pytest.raises(ValueError, match=message):
        SiloData(**{**good, **change})


def test_the_fit_is_a_distiller_like_any_other(tmp_path):
    X, y, silos = table()
    far, _ = over(apart(X, y, silos, members()))
    again = pickle.loads(pickle.dumps(far))
    assert_array_equal(again.predict_proba(X), far.predict_proba(X))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page = far.report_
    assert "linear" in repr(page)
    page.save(tmp_path / "report.html")
    assert len(far.lessons_) == 0
    assert far.history_["taught"].sum() > 0
    assert far.n_features_in_ == 6


class Liar(ClassifierMixin, BaseEstimator):
    """A model of a type that nobody trusts."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))

    def predict(self, X):
        return self.classes_[np.zeros(len(X), dtype=int)]


def test_a_model_of_a_type_that_is_not_trusted_costs_its_sender():
    X, y, silos = table()
    data = apart(X, y, silos, [*members()[:2], ("bayes", Liar())])
    with pytest.warns(UserWarning, match="'bayes': left out: a silo could not ask it"):
        far, there = over(data)
    assert list(far.named_estimators_) == ["linear", "tree"]
    assert not there.lost
    pairs = far.history_[far.history_["round"] > 0]
    assert not {"bayes"} & (set(pairs["student"]) | set(pairs["teacher"]))
    # Its rows still judge and give lessons.
    assert pairs["deficiencies"].sum() > 0
    assert far.gains_.loc["bayes"].isna().all()


# Visitors that do harm


def forged_tree():
    """Return bytes of a tree that loads and ends the process that asks it."""
    tree = DecisionTreeClassifier(max_depth=3).fit(*table()[:2])
    state = tree.tree_.__getstate__()
    state["nodes"]["left_child"][0] = 2**40
    state["nodes"]["right_child"][0] = 2**40
    tree.tree_.__setstate__(state)
    return dumps_model(tree)


class Forging(LoopbackSilos):
    """Silos of which the last sends other models than it fitted."""

    def __init__(self, data, step, forged):
        super().__init__(data, timeout=120)
        self.step, self.forged = step, forged

    def each(self, operation, messages):
        self.now = operation
        return super().each(operation, messages)

    def exchange(self, messages):
        replies = super().exchange(messages)
        if self.now == self.step and 2 in replies:
            reply = self.packer.unpack(replies[2])
            for learned in reply["reply"].values():
                learned.models = [
                    replace(model, data=self.forged) for model in learned.models
                ]
            replies[2] = self.packer.pack(reply)
        return replies


@pytest.mark.parametrize("step", ["cross_fit", "learn"])
def test_a_forged_tree_costs_its_sender_and_not_the_host(step):
    X, y, silos = table()
    data = apart(X, y, silos, members(), limits=Limits(seconds=60))
    with (
        Forging(data, step, forged_tree()) as there,
        pytest.warns(UserWarning, match="bayes.*TerminatedWorkerError"),
    ):
        far = cooperate(CooperativeDistiller([], n_rounds=1, **SETTINGS), there)
    assert not there.lost
    pairs = far.history_[far.history_["round"] > 0]
    accepted = pairs.loc[pairs["accepted"], "student"]
    assert "bayes" not in set(accepted)
    if step == "cross_fit":
        assert list(far.named_estimators_) == ["linear", "tree"]
    assert far.score(X, y) > 0.6


def test_limits_of_time_and_memory():
    from joblib import delayed

    def answer(number, why):
        return number, why

    calls = [delayed(time.sleep)(60), delayed(sum)([1, 2]), delayed(_much)()]
    limits = Limits(seconds=15, memory=2**33)
    room = Apart(limits)
    results = room.made(calls, answer)
    room.end()
    assert results == [(0, "TimeoutError"), 3, (2, "MemoryError")]


def _much():
    return len(np.ones(2**31))


@pytest.mark.parametrize("limits", [Limits(), None])
def test_limits_change_no_result(limits):
    X, y, silos = table()
    local = CooperativeDistiller(members(), n_rounds=1, **SETTINGS)
    local.fit(X, y, silos=silos)
    far, _ = over(apart(X, y, silos, members(), limits=limits), n_rounds=1)
    same(far, local, X)


def test_messages_are_bounded():
    packer = Packer(None)
    large = packer.pack([("profile", {"private": ["x" * 10_000_000]})])
    assert len(large) < 100_000
    data = apart(*table(), members())[0]
    host = SiloHost(data, most=1_000_000)
    reply = packer.unpack(host.answer(large))
    assert reply == {"failed": {"step": "read", "type": "ValueError"}}
    assert "reply" in packer.unpack(SiloHost(data).answer(large))


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"PK\x03\x04",
        zlib.compress(b""),
        zlib.compress(b"\xff\xff\xff\xff{}"),
        zlib.compress(struct.pack(">I", 2) + b"{}"),
        zlib.compress(struct.pack(">I", 4) + b"[[1]"),
        pickle.dumps(members),
    ],
)
def test_garbage_is_no_message(garbage):
    packer = Packer(None)
    with pytest.raises(ValueError, match="no message"):
        packer.unpack(garbage)
    host = SiloHost(apart(*table(), members())[0])
    assert packer.unpack(host.answer(garbage))["failed"]["step"] == "read"


@pytest.mark.parametrize("head", ["thing", "array", "bytes"])
def test_heads_that_point_elsewhere_are_refused(head):
    said = {
        "thing": {"thing": "Popen", "parts": {"dict": ["args", "true"]}},
        "array": {"array": [0, 10**9], "type": "<f8", "shape": [10**9 // 8]},
        "bytes": {"bytes": [-5, 5]},
    }[head]
    line = json.dumps(said).encode()
    data = zlib.compress(struct.pack(">I", len(line)) + line)
    with pytest.raises(ValueError, match="no message"):
        Packer(None).unpack(data)
    objects = {"array": [0, 8], "type": "|O", "shape": [1]}
    line = json.dumps(objects).encode()
    data = zlib.compress(struct.pack(">I", len(line)) + line + bytes(8))
    with pytest.raises(ValueError, match="no message"):
        Packer(None).unpack(data)


@pytest.mark.parametrize(
    "line",
    [
        '{"list": ' * 100_000,  # deeper than anybody reads
        '{"lessons": {"dict": ["Z", 1, "label", {"list": []}]}}',
        '{"lessons": {"dict": []}}',
        '{"thing": "Sums", "parts": {"dict": ["rows", 1]}}',
        '{"dict": ["one", 1, "two"]}',
    ],
    ids=["deep", "no cells", "no lessons", "no sums", "odd"],
)
def test_heads_that_hold_other_things_are_refused(line):
    data = zlib.compress(struct.pack(">I", len(line)) + line.encode())
    with pytest.raises(ValueError, match="no message"):
        Packer(None).unpack(data)


@pytest.mark.parametrize("value", [object(), np.array([object()]), len, {1: members}])
def test_what_does_not_travel(value):
    with pytest.raises(TypeError, match="does not travel"):
        Packer(None).pack(value)


@pytest.mark.parametrize(
    "step", ["__init__", "task", "_fitted", "part", "chosen", "nothing"]
)
def test_a_silo_does_nothing_else(step):
    host = SiloHost(apart(*table(), members())[0])
    packer = Packer(None)
    reply = packer.unpack(host.answer(packer.pack([(step, {})])))
    assert reply["failed"] == {"step": "read", "type": "ValueError"}


def test_nothing_happens_before_the_start():
    host = SiloHost(apart(*table(), members())[0])
    packer = Packer(None)
    reply = packer.unpack(host.answer(packer.pack([("fit", {})])))
    assert reply["failed"] == {"step": "fit", "type": "ValueError"}


def test_boosting_travels():
    X, y, silos = table()
    group = [(name, HistGradientBoostingClassifier(max_iter=10)) for name in NAMES]
    local = CooperativeDistiller(group, **SETTINGS).fit(X, y, silos=silos)
    far, there = over(apart(X, y, silos, group))
    assert not there.lost
    same(far, local, X)
