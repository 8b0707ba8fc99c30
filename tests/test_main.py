"""The quick start does what its page says."""

import subprocess
import sys

import numpy as np
import pytest

from skcoop.__main__ import clinics, compare, main, members, verdict


def test_clinics_differ_in_rows_and_columns():
    train, test, columns = clinics(seed=0)
    assert len(train) + len(test) == 569
    assert set(train["clinic"]) == set(columns) == {"north", "south", "west"}
    measured = [set(names) for names in columns.values()]
    assert len(set.intersection(*measured)) == 3
    assert set.union(*measured) == set(train.columns) - {"clinic", "target"}
    for clinic, names in columns.items():
        rows = train[train["clinic"] == clinic]
        assert rows[names].notna().all(axis=None)
        absent = rows.columns.difference([*names, "clinic", "target"])
        assert rows[absent].isna().all(axis=None)
    radius = train.groupby("clinic")["mean radius"].mean()
    assert radius["north"] < radius["south"] < radius["west"]
    assert len({type(model[-1]) for _, model in members(columns)}) == 3


def test_the_clinics_gain_and_the_table_is_true():
    table, distiller = compare(seed=1)
    _, test, _ = clinics(seed=1)
    X, y = test.drop(columns="target"), test["target"]
    assert table.loc["ensemble", "after"] == distiller.score(X, y)
    only = table.drop(index="ensemble")
    for name, model in distiller.named_estimators_.items():
        line = only.loc[next(key for key in only.index if key.startswith(name))]
        X_plain = X.drop(columns="clinic")
        assert line["after"] == model.score(X_plain, y)
        history = distiller.history_
        asked = history.loc[history["student"] == name, "asked"].sum()
        assert line["asked"] == asked
    assert only["after"].mean() > only["alone"].mean() + 0.1
    assert (table["asked"] >= table["found"]).all()
    assert (table["found"] >= table["kept"]).all()
    # A silo may hold no row of a class that a teacher is sure enough of.
    assert table.loc["ensemble", "found"] >= 0.8 * table.loc["ensemble", "asked"]
    assert f"{only['after'].mean():.3f}" in verdict(table)


def test_prints_one_table_and_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr("skcoop.__main__._SPLITS", 1)
    main([])
    printed = capsys.readouterr().out
    for word in ["alone", "after", "pooled", "asked", "found", "kept", "ensemble"]:
        assert word in printed
    assert "3 of 3 members" in printed or "2 of 3 members" in printed


def test_help():
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0


def test_runs_as_a_module():
    result = subprocess.run(
        [sys.executable, "-m", "skcoop", "--version"], capture_output=True, text=True
    )
    assert result.returncode == 0
    assert np.char.count(result.stdout, ".") >= 2
