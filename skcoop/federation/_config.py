# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""What a silo's own file says: where its rows are, its members, what it consents to."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from skcoop.federation._data import Consent, SiloData
from skcoop.federation._visitors import Limits

_KEYS = {
    *("name", "rows", "target", "members", "weights", "levels", "trusted"),
    *("consent", "limits"),
}
_READERS: dict[str, Any] = {".parquet": pd.read_parquet, ".csv": pd.read_csv}


def read_silo(file: str | PathLike[str]) -> SiloData:
    """Read what a silo brings from its TOML file.

    Parameters
    ----------
    file : str or path
        It names the silo (``name``), its rows (``rows``: a Parquet or CSV file, or
        ``module:function`` that returns a data frame), the column of the classes
        (``target``), and its members (``[members]``: for each name a
        ``module:object``, a classifier or a function that returns one). It may name a
        column of weights (``weights``), values that everybody knows (``[levels]``),
        ``trusted`` types, and say what it consents to (``[consent]``) and what visitors
        may take (``[limits]``), by the names of :class:`Consent` and :class:`Limits`.

    Raises
    ------
    ValueError
        If a key is unknown or missing; the message names it.
    """
    path = Path(file)
    said = tomllib.loads(path.read_text(encoding="utf-8"))
    _check_keys(path, said, _KEYS, needed={"name", "rows", "target"})
    for part, kind in (("consent", Consent), ("limits", Limits)):
        known = {each.name for each in fields(kind)}
        _check_keys(path, said.get(part, {}), known, needed=set())
    table = _rows(path, said["rows"])
    columns = [c for c in (said["target"], said.get("weights")) if c is not None]
    missing = [column for column in columns if column not in table]
    if missing:
        raise ValueError(f"{path}: the rows lack the columns {missing}.")
    return SiloData(
        said["name"],
        table.drop(columns=columns),
        table[said["target"]],
        [(name, _member(ref)) for name, ref in said.get("members", {}).items()],
        sample_weight=table[said["weights"]] if "weights" in said else None,
        consent=Consent(**said.get("consent", {})),
        levels=said.get("levels", {}),
        limits=Limits(**said.get("limits", {})),
        trusted=said.get("trusted", ()),
    )


def _check_keys(path: Path, said: Any, known: set[str], needed: set[str]) -> None:
    unknown, missing = sorted(set(said) - known), sorted(needed - set(said))
    if unknown or missing:
        raise ValueError(
            f"{path}: unknown keys {unknown}, missing keys {missing}. It may have "
            f"{sorted(known)}."
        )


def _rows(path: Path, where: str) -> pd.DataFrame:
    kind = Path(where).suffix
    if kind in _READERS:
        return _READERS[kind](path.parent / where)
    return _named(where)()


def _member(where: str) -> Any:
    found = _named(where)
    return found if hasattr(found, "fit") and not isinstance(found, type) else found()


def _named(where: str) -> Any:
    """Return what a ``module:name`` names; the silo's own file says it."""
    module, _, name = where.partition(":")
    return getattr(import_module(module), name)
