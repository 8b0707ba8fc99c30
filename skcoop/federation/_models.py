# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Models as bytes that run nothing when they are read, and models that hold rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sklearn.frozen import FrozenEstimator

from skcoop.exchange import dumps_model, loads_model

# Types of scikit-learn's own models that skops does not know to run nothing.
TRUSTED = (
    "sklearn.tree._tree.Tree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.link.MultinomialLogit",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfMultinomialLoss",
    "sklearn._loss._loss.CyHalfBinomialLoss",
    "sklearn._loss._loss.CyHalfMultinomialLoss",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.linear_model._sgd_fast.Hinge",
    "sklearn.linear_model._sgd_fast.Log",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "numpy.dtype",
)

# Types of scikit-learn's whose fitted objects hold training rows.
HOLD_ROWS = (
    "KNeighborsClassifier",
    "KNeighborsRegressor",
    "RadiusNeighborsClassifier",
    "RadiusNeighborsRegressor",
    "NearestNeighbors",
    "KNeighborsTransformer",
    "RadiusNeighborsTransformer",
    "LocalOutlierFactor",
    "KernelDensity",
    "KNNImputer",
    "SVC",
    "NuSVC",
    "SVR",
    "NuSVR",
    "OneClassSVM",
    "GaussianProcessClassifier",
    "GaussianProcessRegressor",
    "KernelRidge",
    "KernelPCA",
    "Nystroem",
    "LabelPropagation",
    "LabelSpreading",
    "Isomap",
)


@dataclass(frozen=True)
class PackedModel:
    """A fitted model as it travels; who passes it on need not read it.

    Attributes
    ----------
    name : str
        Name of the member.
    data : bytes
        What skops wrote.
    """

    name: str
    data: bytes


def pack_model(name: str, model: Any, *, with_rows: bool) -> PackedModel:
    """Write a member's model, if it holds no rows.

    Parameters
    ----------
    name : str
        Name of the member.
    model : classifier
        Fitted.
    with_rows : bool
        Whether models may leave that hold rows.

    Raises
    ------
    ValueError
        If it is of a kind that holds rows.
    """
    if isinstance(model, FrozenEstimator):
        model = model.estimator
    if not with_rows:
        check_kind(name, model)
    return PackedModel(name, dumps_model(model))


def check_kind(name: str, model: Any) -> None:
    """Raise an error if a model, fitted or not, is of a kind that holds rows."""
    found = sorted({type(part).__name__ for part in _parts(model)} & set(HOLD_ROWS))
    if found:
        raise ValueError(
            f"The model of member {name!r} does not leave its silo: {found} hold "
            "training rows, as all of these do: neighbours, support vector machines "
            "with kernels, Gaussian processes and other kernel methods. Choose another "
            "kind, or allow it with Consent(models_with_rows=True)."
        )


def read_model(packed: PackedModel, trusted: Iterable[str] = ()) -> Any:
    """Build a model of types that are trusted only.

    Raises
    ------
    ValueError
        If it holds other types, or is no model.
    """
    who = f"The model of member {packed.name!r}"
    return loads_model(packed.data, who, trusted=trusted)


def _parts(model: Any, seen: set[int] | None = None) -> Iterator[Any]:
    """Yield a model and all that it holds, as deep as objects have attributes."""
    seen = set() if seen is None else seen
    if id(model) in seen or isinstance(model, type | str | bytes):
        return
    seen.add(id(model))
    yield model
    if isinstance(model, dict):
        inner: Iterable[Any] = model.values()
    elif isinstance(model, list | tuple | set):
        inner = model
    elif getattr(model, "dtype", None) is not None and model.dtype == object:
        inner = model.ravel().tolist()
    else:
        inner = vars(model).values() if hasattr(model, "__dict__") else ()
    for part in inner:
        yield from _parts(part, seen)
