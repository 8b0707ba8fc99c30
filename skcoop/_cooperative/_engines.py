# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""The engine that teachers of one fit search with, told what may change."""

from __future__ import annotations

from typing import Any

from sklearn.base import clone

from skcoop._tables._permissions import column_positions
from skcoop._tables._task import Task
from skcoop.counterfactuals import BatchedDice, StockDice


def check_engine(counterfactuals: Any) -> None:
    """Raise an error for an engine that cannot be asked."""
    if isinstance(counterfactuals, type):
        name = counterfactuals.__name__
        raise ValueError(
            f"counterfactuals must be an engine, got the class {name}. Write {name}()."
        )
    if isinstance(counterfactuals, BatchedDice | StockDice):
        counterfactuals._validate_params()


def make_engine(counterfactuals: Any, task: Task) -> Any:
    """Return the engine by its name, or the one that the user gave.

    It is told what may change, as far as it has parameters for it that the user left
    open. Whatever the engine, its answers are held to what may change.
    """
    engine = counterfactuals
    if isinstance(engine, str):
        # Few columns are for people who read an explanation; lessons that change all
        # of them teach as well and are nothing like rows.
        batched = engine == "batched"
        engine = BatchedDice(sparse=False) if batched else StockDice(engine)
    known = engine.get_params(deep=False) if hasattr(engine, "get_params") else {}
    told = {
        name: _agreed(name, known[name], value, task)
        for name, value in task.permissions.as_parameters(task.Z).items()
        if name in known
    }
    return clone(engine).set_params(**told) if told else engine


def _agreed(name: str, own: Any, wish: Any, task: Task) -> Any:
    """Return what an engine's parameter becomes that the user may have set there."""
    if own is None or isinstance(own, str):
        return wish
    if name != "features_to_vary":
        return own
    varied = column_positions(own, task.codec, name)
    return [task.codec.names[j] for j in varied if task.permissions.varies[j]]
