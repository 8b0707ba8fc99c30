# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""UCI Heart Disease: one question, four hospitals, partly different records."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.datasets import get_data_home
from sklearn.utils import Bunch

from tests.before.datasets._download import fetch_file

_URL = "https://archive.ics.uci.edu/ml/machine-learning-databases/heart-disease/"
_SHA256 = {
    "cleveland": "a74b7efa387bc9d108d7d0115d831fe9b414b29ae7124f331b622b4efa0427c8",
    "hungarian": "d1ad108f785768cd3d7e82dc522e6f5a61eea93cccfb3a46ee8076f73fc3d796",
    "switzerland": "834a405ccf5b66ab4056bb77794adc8df0b7125186454c0a1d002d33c6c3b314",
    "va": "e7c93d8d0d2acdadfa4c5e8de768e2191e7f618b952e29623f1f0d5949ff6b8f",
}
_COLUMNS = [
    *["age", "sex", "cp", "trestbps", "chol", "fbs", "restecg"],
    *["thalach", "exang", "oldpeak", "slope", "ca", "thal"],
]
_DESCRIPTION = """\
UCI Heart Disease
-----------------

920 patients of four hospitals (Cleveland 303, Budapest 294, Zurich and Basel 123, Long
Beach VA 200) with 13 attributes; the target says whether a coronary artery is narrowed
by more than half (`num` > 0). The hospitals did not record the same attributes:
`slope`, `ca` and `thal` are nearly absent outside of Cleveland, and a cholesterol of 0,
which means that it was not recorded, is given as missing.

Janosi, A., Steinbrunn, W., Pfisterer, M., Detrano, R. (1989). Heart Disease. UCI
Machine Learning Repository, data set 45. https://doi.org/10.24432/C52P4X. CC BY 4.0.
"""


def fetch_heart_disease(
    *,
    data_home: str | PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
) -> Any:
    """Load the heart disease data of four hospitals (classification).

    Downloads the files of the UCI Machine Learning Repository at the first use.

    =================   ==============
    Classes                          2
    Samples total                  920
    Silos                            4
    Columns                         13
    Features            real, positive, some missing
    =================   ==============

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder in which `heart_disease` holds the files; scikit-learn's data folder
        by default.
    download_if_missing : bool, default=True
        Whether to download what is not there; otherwise an OSError is raised.
    return_X_y : bool, default=False
        Return ``(data, target)`` only.
    as_frame : bool, default=True
        Give a pandas frame, with the column `hospital` for ``silo_column``. If False,
        an array without that column; the hospitals are in `silos`.
    n_retries : int, default=3
        Tries after a failure of the network.
    delay : float, default=1.0
        Seconds between tries.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        data : DataFrame of shape (920, 14) or ndarray of shape (920, 13)
            The patients; missing cells are NaN.
        target : Series or ndarray of shape (920,)
            1 for ill, 0 for healthy.
        silos : ndarray of str, shape (920,)
            The hospital of each patient.
        frame : DataFrame of shape (920, 15) or None
            Data and target, if `as_frame`.
        feature_names : list of str
            The columns of `data`.
        target_names : list of str
            What the classes mean.
        DESCR : str
            The source and the licence.

    (data, target) : tuple, if `return_X_y`
        The first two of them.

    Raises
    ------
    OSError
        If a file is missing and cannot be downloaded.

    Examples
    --------
    >>> from skcoop.datasets import fetch_heart_disease
    >>> X, y = fetch_heart_disease(return_X_y=True)  # doctest: +SKIP
    >>> X["hospital"].value_counts().to_dict()  # doctest: +SKIP
    {'cleveland': 303, 'hungarian': 294, 'va': 200, 'switzerland': 123}
    """
    folder = Path(get_data_home(data_home)) / "heart_disease"
    parts = []
    for hospital, sha256 in _SHA256.items():
        name = f"processed.{hospital}.data"
        path = fetch_file(
            _URL + name,
            folder / name,
            sha256,
            download_if_missing=download_if_missing,
            n_retries=n_retries,
            delay=delay,
        )
        part = pd.read_csv(path, header=None, names=[*_COLUMNS, "num"], na_values="?")
        parts.append(part.assign(hospital=hospital))
    rows = pd.concat(parts, ignore_index=True)
    data = rows[_COLUMNS].astype("float64")
    data["chol"] = data["chol"].mask(data["chol"] == 0)
    target = (rows["num"] > 0).astype("int64").rename("target")
    silos = rows["hospital"].to_numpy(dtype=object).astype(str)
    if as_frame:
        data["hospital"] = rows["hospital"]
    names = list(data.columns)
    X, y = (data, target) if as_frame else (data.to_numpy(), target.to_numpy())
    if return_X_y:
        return X, y
    return Bunch(
        data=X,
        target=y,
        silos=silos,
        frame=data.assign(target=target) if as_frame else None,
        feature_names=names,
        target_names=["healthy", "ill"],
        DESCR=_DESCRIPTION,
    )
