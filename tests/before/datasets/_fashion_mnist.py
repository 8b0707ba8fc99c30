# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Fashion-MNIST: small pictures of ten kinds of clothes."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from sklearn.datasets import fetch_openml, get_data_home
from sklearn.utils import Bunch

from tests.before.datasets._download import replacing

_OPENML_ID = 40996
_N_TRAIN = 60_000
_NAMES = [
    *["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"],
    *["Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"],
]
_DESCRIPTION = """\
Fashion-MNIST
-------------

70000 grey pictures of 28 x 28 pixels (0 to 255) of clothes in ten classes; the first
60000 are for training, the last 10000 for testing.

Xiao, H., Rasul, K., Vollgraf, R. (2017). Fashion-MNIST: a Novel Image Dataset for
Benchmarking Machine Learning Algorithms. arXiv:1708.07747. OpenML data set 40996. MIT.
"""


def fetch_fashion_mnist(
    *,
    data_home: str | PathLike[str] | None = None,
    subset: str = "all",
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = False,
    n_retries: int = 3,
    delay: float = 1.0,
) -> Any:
    """Load Fashion-MNIST (classification).

    Downloads it from OpenML at the first use and keeps it as `fashion_mnist.npz`.

    =================   ==============
    Classes                         10
    Samples total                70000
    Columns                        784
    Features            integers, 0 to 255
    =================   ==============

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder that holds `fashion_mnist.npz`; scikit-learn's data folder by default.
    subset : {"train", "test", "all"}, default="all"
        The first 60000 pictures, the last 10000, or both.
    download_if_missing : bool, default=True
        Whether to download what is not there; otherwise an OSError is raised.
    return_X_y : bool, default=False
        Return ``(data, target)`` only.
    as_frame : bool, default=False
        Give a pandas frame and a series.
    n_retries : int, default=3
        Tries after a failure of the network.
    delay : float, default=1.0
        Seconds between tries.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        data : ndarray or DataFrame of uint8, shape (n_samples, 784)
            The pictures, row by row.
        target : ndarray or Series of int, shape (n_samples,)
            The classes, 0 to 9.
        frame : DataFrame of shape (n_samples, 785) or None
            Data and target, if `as_frame`.
        feature_names : list of str
            ``pixel1`` to ``pixel784``.
        target_names : list of str
            What the classes mean.
        DESCR : str
            The source and the licence.

    (data, target) : tuple, if `return_X_y`
        The first two of them.

    Raises
    ------
    OSError
        If the file is missing and cannot be downloaded, or is damaged.
    ValueError
        If `subset` is none of the three.

    Examples
    --------
    >>> from skcoop.datasets import fetch_fashion_mnist
    >>> X, y = fetch_fashion_mnist(subset="test", return_X_y=True)  # doctest: +SKIP
    >>> X.shape  # doctest: +SKIP
    (10000, 784)
    """
    if subset not in ("train", "test", "all"):
        raise ValueError(f"subset must be 'train', 'test' or 'all', got {subset!r}.")
    path = Path(get_data_home(data_home)) / "fashion_mnist.npz"
    if not path.exists():
        if not download_if_missing:
            raise OSError(f"{path} is missing and download_if_missing is False.")
        _download(path, n_retries, delay)
    parts = ["train", "test"] if subset == "all" else [subset]
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            data = np.concatenate([file[f"X_{part}"] for part in parts])
            target = np.concatenate([file[f"y_{part}"] for part in parts])
    except (ValueError, KeyError, EOFError, BadZipFile) as error:
        raise OSError(
            f"{path} is damaged or another file ({type(error).__name__}). Delete it to "
            "have it downloaded again."
        ) from error
    target = target.astype(np.int64)
    names = [f"pixel{k}" for k in range(1, data.shape[1] + 1)]
    X: Any
    y: Any
    if not as_frame:
        X, y, frame = data, target, None
    else:
        X, y = pd.DataFrame(data, columns=names), pd.Series(target, name="class")
        frame = X.assign(**{"class": y})
    if return_X_y:
        return X, y
    return Bunch(
        data=X,
        target=y,
        frame=frame,
        feature_names=names,
        target_names=list(_NAMES),
        DESCR=_DESCRIPTION,
    )


def _download(path: Path, n_retries: int, delay: float) -> None:
    """Get the pictures from OpenML, which checks them, and keep them as uint8."""
    try:
        data, target = fetch_openml(
            data_id=_OPENML_ID,
            data_home=str(path.parent),
            return_X_y=True,
            as_frame=False,
            parser="liac-arff",
            n_retries=n_retries,
            delay=delay,
        )
    except OSError as error:
        raise OSError(
            f"{path} is missing and OpenML's data set {_OPENML_ID} could not be read "
            f"({error}). Name a data_home that holds fashion_mnist.npz."
        ) from error
    data, target = data.astype(np.uint8), target.astype(np.uint8)
    with replacing(path) as new, new.open("wb") as file:
        np.savez_compressed(
            file,
            X_train=data[:_N_TRAIN],
            y_train=target[:_N_TRAIN],
            X_test=data[_N_TRAIN:],
            y_test=target[_N_TRAIN:],
        )
