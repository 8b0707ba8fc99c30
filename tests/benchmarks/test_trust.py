"""Attacks on silos, rules against them, and the gate's page, on a made-up setting."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.naive_bayes import GaussianNB

from benchmarks import bad_silo, baselines, gate, settings, silo_rules, single_tables
from skcoop import CooperativeDistiller
from skcoop._cooperative import _layout
from tests.benchmarks.test_benchmarks import MODELS, TABLE, codes, options

# One bad silo


def three_silos():
    """Three silos with the same kind of rows."""
    train = np.arange(240) < 180
    owners = np.array(["a", "b", "c"])[np.arange(240) % 3]
    members = [
        (name, single_tables.reading(list("abcde"), clone(model)))
        for name, model in zip("abc", MODELS, strict=True)
    ]
    return settings.Setting(
        TABLE[train],
        codes[train],
        owners[train],
        TABLE[~train],
        codes[~train],
        members,
        {"cv": 2},
        owners[~train],
    )


def attacked(attack):
    """Return the training rows of a silo before and after an attack, and the rest."""
    own = three_silos()
    now = bad_silo.attacked(own, attack, ["b"], seed=0)
    mine = own.owners == "b"
    pd.testing.assert_frame_equal(
        now.X[~mine], own.X.reset_index(drop=True)[~mine], check_dtype=True
    )
    np.testing.assert_array_equal(now.y[~mine], own.y[~mine])
    assert own.y is not now.y
    return own.X[mine].reset_index(drop=True), own.y[mine], now.X[mine], now.y[mine]


def test_inverted_labels_are_those_of_the_next_class():
    X, y, X_now, y_now = attacked(bad_silo.inverted)
    np.testing.assert_array_equal(y_now, 1 - y)
    pd.testing.assert_frame_equal(X_now.reset_index(drop=True), X)
    classes = np.array(["x", "y", "z"])
    _, moved = bad_silo.inverted(X, np.array(["z", "x", "y"]), classes, None)
    assert moved.tolist() == ["x", "y", "z"]


def test_random_labels_say_nothing_of_the_label():
    draw = np.random.default_rng(0)
    classes = np.arange(4)
    y = draw.integers(4, size=4000)
    _, now = bad_silo.random_labels(None, y, classes, draw)
    assert abs((now == y).mean() - 0.25) < 0.03


def test_shuffled_columns_keep_their_values_and_lose_their_rows():
    X, y, X_now, y_now = attacked(bad_silo.columns_shuffled)
    np.testing.assert_array_equal(y_now, y)
    for column in X:
        assert sorted(X_now[column]) == sorted(X[column])
    kept = (X_now.reset_index(drop=True)["a"] == X["a"]).mean()
    assert kept < 0.2
    together = X_now["a"].map(dict(zip(X["a"], X["b"], strict=True))) == X_now["b"]
    assert together.mean() < 0.2


def test_one_class_is_all_that_a_bad_silo_says():
    _, y, _, y_now = attacked(bad_silo.one_class)
    assert len(set(y)) == 2
    assert len(set(y_now)) == 1


def test_bad_silos_own_most_rows():
    own = three_silos()
    now = bad_silo.owning_most(own, ["b"], seed=0)
    counts = pd.Series(now.owners).value_counts()
    assert counts["b"] == (own.owners == "b").sum()
    assert abs(counts["a"] + counts["c"] - counts["b"] / 2) <= 2
    for name in "ac":
        assert set(now.y[now.owners == name]) == {0, 1}


def test_each_seed_has_another_bad_silo_and_honest_ones_stay_a_half():
    own = three_silos()
    assert [bad_silo.bad_silos(own, 1, seed) for seed in range(4)] == [
        ["a"],
        ["b"],
        ["c"],
        ["a"],
    ]
    assert bad_silo.bad_silos(own, 2, 2) == ["c", "a"]
    assert not any("two" in case for case in bad_silo.cases(own))
    own.members = [*own.members, ("d", GaussianNB())]
    assert "two inverted" in bad_silo.cases(own)


def test_implausible_labels_are_those_that_others_doubt():
    labels = np.tile([0, 1], 20)
    owners = np.repeat([0, 1], 20)
    likely = np.where(labels[:, None] == [0, 1], 0.9, 0.1)
    proba = np.array([likely, likely])
    labels[3] = 1 - labels[3]
    plausible = silo_rules.plausible_labels(proba, labels, owners, np.array([0, 1]))
    assert np.flatnonzero(~plausible).tolist() == [3]


@pytest.mark.filterwarnings("ignore:Silos that the others contradict")
@pytest.mark.parametrize("rule", [*silo_rules.RULES, *silo_rules.OTHER_RULES])
def test_rule_fits_and_puts_everything_back(rule):
    before = CooperativeDistiller._rules, dict(vars(_layout))
    own = three_silos()
    with silo_rules.following(rule, forging=[1]) as params:
        model = baselines.distiller(own, 0, n_rounds=1, **params)
    assert model.score(own.X_test, own.y_test) > 0.6
    assert (CooperativeDistiller._rules, dict(vars(_layout))) == before


def beliefs(rule, own):
    """Return who was believed by a rule, and the fit."""
    seen = []
    with silo_rules.following(rule) as params, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rules = CooperativeDistiller._rules

        def look(*args):
            seen.append(rules.believe(*args))
            return seen[-1]

        with pytest.MonkeyPatch.context() as patch:
            looking = replace(rules, believe=look)
            patch.setattr(CooperativeDistiller, "_rules", looking)
            model = baselines.distiller(own, 0, **params)
    return seen[0].credible.tolist(), model


@pytest.mark.parametrize(
    ("rule", "set_aside"),
    [("none", False), ("a witness", False), ("credible silos", True), ("both", True)],
)
def test_rules_set_a_liar_aside_or_not(rule, set_aside):
    own = bad_silo.attacked(three_silos(), bad_silo.inverted, ["a"], seed=0)
    believed, model = beliefs(rule, own)
    assert believed == [not set_aside, True, True]
    taught = own.owners[model.lessons_["source_row"].to_numpy(dtype=int)]
    assert ("a" not in set(taught)) == set_aside or rule == "a witness"


def test_both_is_what_the_package_does():
    own = bad_silo.attacked(three_silos(), bad_silo.inverted, ["a"], seed=0)
    _, model = beliefs("both", own)
    with pytest.warns(UserWarning, match="rows of 'a' neither"):
        plain = baselines.distiller(own, 0)
    pd.testing.assert_frame_equal(model.lessons_, plain.lessons_)
    pd.testing.assert_frame_equal(model.history_, plain.history_)


def test_forged_sums_hide_a_liar():
    own = bad_silo.attacked(three_silos(), bad_silo.inverted, ["a"], seed=0)
    with silo_rules.following("both", forging=[0]):
        model = baselines.distiller(own, 0)
    assert (model.history_["round"] > 0).all()
    assert "a" in set(own.owners[model.lessons_["source_row"].to_numpy(dtype=int)])


def test_page_of_bad_silos(monkeypatch):
    monkeypatch.setattr(bad_silo, "small", lambda setting: setting)
    some = {rule: silo_rules.RULES[rule] for rule in ("none", "both")}
    monkeypatch.setattr(bad_silo, "RULES", some)
    few = {case: bad_silo.CASES[case] for case in ("all honest", "inverted")}
    monkeypatch.setattr(bad_silo, "CASES", few)

    def made_up(data_home, seed):
        """Three made-up silos."""
        return three_silos()

    monkeypatch.setattr(bad_silo, "SETTINGS", {"made_up": made_up})
    monkeypatch.setattr(bad_silo, "SHOWN", ["made_up"])
    monkeypatch.setattr(bad_silo, "COMPARED", ["made_up"])
    monkeypatch.setattr(bad_silo, "COMPARED_CASES", ["inverted"])
    other = {"a witness": silo_rules.OTHER_RULES["a witness"]}
    monkeypatch.setattr(bad_silo, "OTHER_RULES", other)
    page = bad_silo.run(options(experiments=[], seeds=1))
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    assert sum(line.startswith("| both |") for line in lines) == 8
    assert sum(line.startswith(("| alone |", "| pooled")) for line in lines) == 4
    assert sum(line.startswith("| a witness |") for line in lines) == 4
    assert "| honest members | all honest | inverted |" in page


# The gate


def test_page_of_the_gate(monkeypatch):
    monkeypatch.setattr(gate, "small", lambda setting: setting)
    made_up = {"lenders": lambda data_home, seed: three_silos()}
    monkeypatch.setattr(gate, "SETTINGS", made_up)
    page = gate.run(options())
    assert " nan" not in page
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    assert sum(line.startswith("| lenders |") for line in lines) == 2
    for name in gate.SCORES:
        assert sum(line.startswith(f"| `{name}` |") for line in lines) == 1


@pytest.mark.filterwarnings("ignore:Silos that the others contradict")
def test_gate_compares_with_members_as_they_were(monkeypatch):
    monkeypatch.setattr(gate, "small", lambda setting: setting)
    monkeypatch.setattr(gate, "SETTINGS", {"own": lambda home, seed: three_silos()})
    split = gate.one_split("own", False, options(), 0)
    model = baselines.distiller(three_silos(), 0)
    assert split["members"] == model.gains_["gain"].iloc[:-1].mean()
    assert split["combined"] == model.gains_.loc["combined", "gain"]
    start = baselines.distiller(three_silos(), 0, n_rounds=0)
    own = three_silos()
    better = [
        np.mean(
            [
                (m.predict(own.X_test) == own.y_test)[own.y_test == c].mean()
                for c in (0, 1)
            ]
        )
        for m in (start, model)
    ]
    assert split["combined, held out"] == pytest.approx(better[1] - better[0])
