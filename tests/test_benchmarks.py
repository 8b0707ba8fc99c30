"""The benchmarks run: every baseline, variant and page, on a small made-up setting."""

import argparse

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from benchmarks import (
    baselines,
    formatting,
    paper,
    peers,
    settings,
    single_tables,
    tables,
)
from benchmarks.variants import VARIANTS
from skcoop import _distiller, _leader, _lessons
from skcoop.counterfactuals._walk import Walk

cells, codes = make_classification(
    n_samples=240, n_features=5, n_informative=4, n_redundant=0, random_state=0
)
TABLE = pd.DataFrame(cells, columns=list("abcde")).assign(
    kind=np.where(cells[:, 0] > 0, "high", "low")
)
# Each silo sees one side of a column, so that they know different things.
OWNERS = np.where(TABLE["b"] > TABLE["b"].median(), "second", "first")


def setting(models=None):
    train = np.arange(240) < 160
    parts = TABLE[train], codes[train], OWNERS[train], TABLE[~train], codes[~train]
    if models is None:
        numbers = list("abcde")
        steps = {
            "first": (StandardScaler(), LogisticRegression()),
            "second": (DecisionTreeClassifier(max_depth=3, random_state=0),),
        }
        models = [
            (name, single_tables.reading(numbers, *own)) for name, own in steps.items()
        ]
    return settings.Setting(*parts, models, {"cv": 2})


def options(**changes):
    defaults = {"data_home": None, "quick": True, "jobs": 1, "seeds": 2, "save": False}
    return argparse.Namespace(**{**defaults, **changes})


@pytest.mark.parametrize(
    "baseline",
    [
        baselines.alone,
        baselines.pooled,
        baselines.mixup,
        baselines.smote,
        baselines.response_of_the_best,
        baselines.response_of_the_average,
        baselines.raw_deficient_rows,
    ],
)
def test_baseline_gives_a_model_for_each_member(baseline):
    if baseline is baselines.smote:
        pytest.importorskip("imblearn")
    own = setting()
    scores, vote = paper.judge(baseline(own, 0), own)
    assert scores.shape == (2,)
    assert ((scores > 0) & (scores < 1)).all()
    if "response" not in baseline.__name__:  # these do harm where teachers disagree
        assert vote > 0.5


@pytest.mark.parametrize("model", [LogisticRegression(), KNeighborsClassifier(1)])
def test_certain_soft_labels_are_labels(model):
    """With weights and, for neighbours, by drawn labels."""
    X, y, classes = cells[:50], codes[:50], np.array([0, 1])
    certain = np.eye(2)[y]
    soft = baselines._fit_soft(model, X, y, certain, classes, seed=0)
    hard = clone(model).fit(X, y)
    np.testing.assert_array_equal(soft.predict(cells), hard.predict(cells))
    # A teacher that is certain of the other class has half a vote.
    unsure = baselines._fit_soft(model, X, y, 1 - certain, classes, seed=0)
    assert (unsure.predict(X) == y).mean() < 0.9


def test_mixup_and_soft_labels_without_weights():
    own = setting([(name, KNeighborsClassifier(3)) for name in ("first", "second")])
    own.X, own.X_test = own.X.drop(columns="kind"), own.X_test.drop(columns="kind")
    for baseline in (baselines.mixup, baselines.response_of_the_average):
        assert paper.judge(baseline(own, 0), own)[1] > 0.5


def test_parameters_move_between_equal_networks():
    own = setting(
        [(name, MLPClassifier((4,), max_iter=5, random_state=0)) for name in "ab"]
    )
    own.X, own.X_test = own.X[["a", "b"]], own.X_test[["a", "b"]]
    own.owners = np.where(own.owners == "first", "a", "b")
    models = baselines.parameter_transfer(own, 0)
    assert len(models) == 2
    assert not np.allclose(models[0].coefs_[0], models[1].coefs_[0])


@pytest.mark.parametrize("name", VARIANTS)
def test_variant_fits_and_puts_everything_back(name):
    params, context = VARIANTS[name]
    before = dict(vars(_distiller)), dict(vars(_lessons)), dict(vars(Walk))
    with context():
        model = baselines.distiller(setting(), 0, **{"n_rounds": 1, **params})
    assert model.score(setting().X_test, setting().y_test) > 0.5
    assert (dict(vars(_distiller)), dict(vars(_lessons)), dict(vars(Walk))) == before


def test_no_focus_teaches_more_and_no_rehearsal_less():
    def taught(name):
        params, context = VARIANTS[name]
        with context():
            model = baselines.distiller(setting(), 0, **{**params, "n_rounds": 1})
        return len(model.lessons_)

    least, usual, most = map(
        taught,
        [
            "no rehearsal",
            "default",
            "all rows of others are taught (no focus), one round",
        ],
    )
    assert 0 < least < usual <= most


def test_page_of_an_experiment(monkeypatch):
    monkeypatch.setattr(baselines, "smote", baselines.mixup)  # wants another package
    experiment = (lambda data_home, seed: setting(), "A made-up experiment.")
    experiment[0].__doc__ = "Two made-up silos."
    monkeypatch.setitem(paper.EXPERIMENTS, "made_up", experiment)
    page = paper.run_experiment("made_up", options())
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    assert sum(line.startswith("| cooperation |") for line in lines) == 1
    assert sum(line.startswith(("| first |", "| second |")) for line in lines) == 2
    assert "nan" not in page


def test_page_of_single_tables():
    draw = np.random.default_rng(0)
    names = ["wine", "sonar"]
    keys = ["members alone", "members after", "least gain", "soft vote"]
    keys += ["soft vote after", "stacking", "distiller", "stacking, seconds"]
    keys += ["distiller, seconds", "no gate, soft vote, seconds"]
    by = {key: draw.uniform(0.5, 0.6, size=(2, 3)) for key in keys}
    by["distiller"] = by["soft vote"] + np.array([[0.1], [-0.2]])
    by["stacking"] = by["soft vote"] + 0.05
    by["distiller, seconds"] = 4 * by["stacking, seconds"]
    page = "\n".join(tables.page(names, by))
    assert "| tuned on (1) | 3.00 | 2.00 | 1.00 | 0.100" in page
    assert "| reported only (1) | 2.00 | 1.00 | 3.00 | -0.200" in page
    assert "two standard errors: sonar." in page
    assert "(distiller): 4.0 times in the median" in page


def test_page_of_peers(monkeypatch):
    """All questions on one small table, with light peers and leaders."""
    light = {
        "linear": LogisticRegression(),
        "forest": RandomForestClassifier(3, random_state=0),
        "tree": DecisionTreeClassifier(max_depth=3, random_state=0),
        "neighbours": KNeighborsClassifier(3),
        "bayes": GaussianNB(),
    }
    monkeypatch.setattr(
        single_tables, "load", lambda name, home: (TABLE.drop(columns="kind"), codes)
    )
    monkeypatch.setattr(peers, "REPORTED", ["made_up"])
    monkeypatch.setattr(peers, "NOISE", {"clean": 0.1})
    monkeypatch.setattr(peers, "ALL", ["tree", "forest"])
    monkeypatch.setattr(peers, "LIGHT", ["tree"])
    used = ["plain average", "average of probabilities", "one weight a peer", "auto"]
    methods = {method: peers.METHODS[method] for method in used}
    monkeypatch.setattr(peers, "METHODS", methods)
    monkeypatch.setattr(peers, "LABELLED", 60)
    monkeypatch.setattr(peers, "UNLABELLED", 40)
    monkeypatch.setattr(peers, "peers", lambda seed: list(light.items()))
    monkeypatch.setattr(
        peers,
        "leaders",
        lambda seed: {name: DecisionTreeClassifier(max_depth=2) for name in peers.ALL},
    )
    monkeypatch.setattr(peers, "VIRTUAL", dict(list(peers.VIRTUAL.items())[:2]))
    page = peers.run(options())
    assert "nan" not in page
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    assert sum(line.startswith("| forest |") for line in lines) == 6
    assert (
        sum(line.startswith(("| attention |", "| plain average |")) for line in lines)
        == 6
    )
    assert _leader._SHARE_OF_LABEL == 0.25


@pytest.mark.parametrize("kind", peers.VIRTUAL)
def test_rows_without_a_label(kind):
    own = argparse.Namespace(X=TABLE, y=codes, seed=0)
    own.task = argparse.Namespace(classes=np.array([0, 1]))
    model = single_tables.reading("abcde", GaussianNB()).fit(TABLE, codes)
    own.models = [model, model]
    rows = peers.VIRTUAL[kind](own, 30)
    if kind == "none":
        assert rows is None
        return
    assert list(rows.columns) == list(TABLE.columns)
    assert set(rows["kind"]) <= {"high", "low"}
    assert len(rows) == 30 or kind == "counterfactuals"
    assert rows["a"].between(TABLE["a"].min(), TABLE["a"].max()).all()


def test_published_loss_of_attention_falls_to_the_plain_average():
    """Peers that are fixed are closest to themselves: it learns to hear nobody else."""
    proba = np.random.default_rng(0).dirichlet(np.ones(3), (3, 50))
    view = argparse.Namespace(proba=proba, rows=np.arange(50))
    attention = peers.authors_objective(view, None, 0)
    own = np.diagonal(attention.weights(proba), axis1=1, axis2=2)
    assert own.mean() > 0.5


def test_columns_are_dealt_once_beside_the_shared_ones():
    names = list("abcdefghij")
    draw = np.random.default_rng(0)
    dealt = settings.overlapping_columns(names, 2, 0.4, draw)
    shared = set(dealt[0]) & set(dealt[1])
    assert len(shared) == 4
    assert set(dealt[0]) | set(dealt[1]) == set(names)
    alone = settings.overlapping_columns(names, 3, 0.0, draw)
    assert sorted(name for own in alone for name in own) == names


def test_mean_and_error():
    assert formatting.mean_and_error([0.1, 0.3]) == "0.200 ± 0.100"
