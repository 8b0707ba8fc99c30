# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""The quick start: three clinics teach each other on breast cancer data."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from time import perf_counter

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier, StackingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from tests.before import CooperativeDistiller, __version__

# The measures that every clinic takes; each also has a group of its own.
_SHARED = ["mean radius", "mean texture", "mean smoothness"]
_SPLITS = 3
_COUNTS = ["asked", "found", "kept"]
_DESCRIPTION = """\
Three clinics have different patients, take different measures of the same tumours and
trained different models. They repair each other with virtual instances, without showing
a patient's row. The data is scikit-learn's breast cancer set; nothing is downloaded.
"""


def clinics(seed: int) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, list[str]]]:
    """Cut the breast cancer table into three clinics.

    Parameters
    ----------
    seed : int
        Seed of the split into training and held-out rows.

    Returns
    -------
    train : DataFrame
        Training rows with their `target` and their `clinic`. What a clinic does not
        measure is missing in its rows. The north sees small tumours, the west large
        ones.
    test : DataFrame
        Held-out rows of the same kind.
    columns : dict
        The columns that each clinic takes.
    """
    table = load_breast_cancer(as_frame=True).frame
    columns = {
        clinic: _SHARED + [c for c in table.columns if kind in c and c not in _SHARED]
        for clinic, kind in [
            ("north", "mean "),
            ("south", " error"),
            ("west", "worst "),
        ]
    }
    generator = np.random.default_rng(seed)
    # Sizes overlap: each tumour goes by its radius, blurred.
    radius = table["mean radius"] + generator.normal(scale=2.0, size=len(table))
    order = radius.rank(method="first").to_numpy() - 1
    names = np.array(list(columns), dtype=object)
    table["clinic"] = names[(order * len(names) // len(table)).astype(int)]
    for clinic, measured in columns.items():
        absent = table.columns.difference([*measured, "target", "clinic"])
        table.loc[table["clinic"] == clinic, absent] = np.nan
    train, test = train_test_split(
        table, test_size=1 / 3, random_state=seed, stratify=table["clinic"]
    )
    return train, test, columns


def members(columns: dict[str, list[str]]) -> list[tuple[str, Pipeline]]:
    """Return one model for each clinic, each of another kind."""
    models = {
        "north": LogisticRegression(max_iter=1000),
        "south": RandomForestClassifier(n_estimators=50),
        "west": DecisionTreeClassifier(min_samples_leaf=5),
    }
    return [
        (
            clinic,
            make_pipeline(
                make_column_transformer((SimpleImputer(), columns[clinic])),
                StandardScaler(),
                model,
            ),
        )
        for clinic, model in models.items()
    ]


def compare(seed: int) -> tuple[pd.DataFrame, CooperativeDistiller]:
    """Run the job and measure it on held-out rows of all clinics.

    Parameters
    ----------
    seed : int
        Seed of the split and of everything that draws.

    Returns
    -------
    table : DataFrame
        Accuracy of each member and of the ensemble, which is a final estimator on top
        of the members: alone, after cooperation, and trained on the pooled raw rows;
        lessons asked, found and kept.
    distiller : CooperativeDistiller
        The fitted distiller.
    """
    train, test, columns = clinics(seed)
    X, y = train.drop(columns="target"), train["target"]
    X_test, y_test = test.drop(columns="target"), test["target"]
    distiller = CooperativeDistiller(
        members(columns), silo_column="clinic", random_state=seed
    ).fit(X, y)
    # The same ensemble without teaching, and of members that saw everybody's rows.
    alone = clone(distiller).set_params(n_rounds=0).fit(X, y)
    pooled = StackingClassifier(members(columns)).fit(X.drop(columns="clinic"), y)
    X_plain = X_test.drop(columns="clinic")
    history = distiller.history_.groupby("student")[_COUNTS].sum()
    lines = []
    for name, model in distiller.named_estimators_.items():
        lines.append(
            {
                "member": f"{name} ({type(model[-1]).__name__})",
                "alone": alone.named_estimators_[name].score(X_plain, y_test),
                "after": model.score(X_plain, y_test),
                "pooled": pooled.named_estimators_[name].score(X_plain, y_test),
                **history.reindex([name], fill_value=0).iloc[0].astype(int),
            }
        )
    lines.append(
        {
            "member": "ensemble",
            "alone": alone.score(X_test, y_test),
            "after": distiller.score(X_test, y_test),
            "pooled": pooled.score(X_plain, y_test),
            **history.sum().astype(int),
        }
    )
    return pd.DataFrame(lines).set_index("member"), distiller


def verdict(table: pd.DataFrame) -> str:
    """Say in one sentence what happened."""
    only = table.drop(index="ensemble")
    alone, after, pooled = (only[c].mean() for c in ("alone", "after", "pooled"))
    ensemble = table.loc["ensemble"].to_dict()
    better = int((only["after"] > only["alone"]).sum())
    return (
        f"{better} of {len(only)} members got better: their mean accuracy went from "
        f"{alone:.3f} to {after:.3f} (the same models on everybody's raw rows: "
        f"{pooled:.3f}), and the ensemble's from "
        f"{ensemble['alone']:.3f} to {ensemble['after']:.3f}."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the quick start and print its table.

    Parameters
    ----------
    arguments : list of str, default=None
        Command line arguments; those of the process by default.
    """
    parser = argparse.ArgumentParser(
        prog="python -m skcoop",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.parse_args(arguments)

    print(_DESCRIPTION)
    started = perf_counter()
    tables = [compare(seed)[0] for seed in range(_SPLITS)]
    table = sum(tables[1:], start=tables[0]) / _SPLITS
    table[_COUNTS] = table[_COUNTS].round().astype(int)
    print(
        f"Accuracy on held-out patients of all clinics, and numbers of lessons (means "
        f"of {_SPLITS} splits):\n"
    )
    print(table.to_string(float_format="{:.3f}".format))
    print(f"\n{verdict(table)} ({perf_counter() - started:.0f} s)")


if __name__ == "__main__":
    main()
