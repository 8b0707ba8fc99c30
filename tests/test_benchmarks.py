"""The benchmarks run: every baseline, variant and page, on a small made-up setting."""

import argparse

import numpy as np
import pandas as pd
import pytest
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
    baselines,
    comparative,
    figures,
    formatting,
    listening,
    paper,
    peers,
    privacy,
    scale,
    settings,
    single_tables,
    splits,
    tables,
)
from benchmarks.variants import VARIANTS
from skcoop import _distiller, _leader, _lessons
from skcoop._logits import softmax
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


def test_page_of_privacy(monkeypatch):
    """A member tells its own rows from others, and knows nothing of others' rows."""
    tree = DecisionTreeClassifier(random_state=0)
    models = [
        (name, single_tables.reading(list("abcde"), clone(tree)))
        for name in ("first", "second")
    ]
    monkeypatch.setattr(privacy, "SETTINGS", {"made_up": lambda *args: setting(models)})
    split = privacy.one_split("made_up", options(), 0)
    assert split["copies among the lessons"] == 0
    assert split["least distance of a lesson"] > 0
    assert split["alone, own"] > 0.1
    assert abs(split["alone, others"]) < 0.1
    assert split["pooled raw rows, others"] > 0.1
    page = privacy.run(options())
    assert "| made_up: rows of other silos |" in page
    assert "nan" not in page


def test_a_copy_among_the_lessons_would_be_seen():
    own = setting()
    model = baselines.distiller(own, 0)
    first = model.lessons_.index[0]
    row = own.X.iloc[int(model.lessons_.loc[first, "source_row"])]
    for name, value in row.items():
        model.lessons_.loc[first, f"x__{name}"] = value
    assert privacy.nearness(model, own)["lessons"].min() == 0


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
