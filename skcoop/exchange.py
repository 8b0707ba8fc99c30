# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Exchange members between silos as files that run nothing when they are read.

A pickle can run any code when it is opened: never unpickle a stranger's model. The
files written here are read by `skops <https://skops.readthedocs.io>`_, which builds
only objects of types that it knows to run nothing, or that the reader has named. They
need the extra ``exchange``: ``pip install "skcoop[exchange]"``.
"""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from io import BytesIO
from os import PathLike, fspath
from pathlib import Path
from types import FunctionType
from typing import Any
from uuid import uuid4
from zipfile import ZIP_STORED, BadZipFile, ZipFile

from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from skcoop._members._kinds import advice, is_a

__all__ = ["load_member", "save_member"]

# What this package itself may put around a member's model.
_OWN_TYPES = (
    "skcoop._members._member.LabelEncodedClassifier",
    "skcoop._members._soft_targets.ProbabilityAverager",
    # As version 0.1 wrote them.
    "skcoop._members.LabelEncodedClassifier",
    "skcoop._soft_targets.ProbabilityAverager",
)


def save_member(member: Any, file: str | PathLike[str]) -> None:
    """Write a fitted classifier to a file that :func:`load_member` can read.

    The file holds the model and nothing else: no training row, unless the model itself
    keeps them, as nearest neighbours, support vector machines and Gaussian processes
    do. What is written is read again first: if that fails, nothing is written, and a
    file that was there stays as it was.

    Parameters
    ----------
    member : classifier
        Fitted, for example ``distiller.named_estimators_["budapest"]``.
    file : str or path
        Where to write.

    Raises
    ------
    ValueError
        If it is no classifier, or holds something that cannot be written and read
        again, as a lambda; the message names the step.
    NotFittedError
        If it is not fitted.

    See Also
    --------
    load_member : Reads the file.

    Examples
    --------
    >>> import os, tempfile
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcoop.exchange import load_member, save_member
    >>> X, y = load_iris(return_X_y=True)
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = os.path.join(folder.name, "clinic.skops")
    >>> save_member(LogisticRegression(max_iter=1000).fit(X, y), path)
    >>> load_member(path)
    FrozenEstimator(estimator=LogisticRegression(max_iter=1000))
    >>> folder.cleanup()
    """
    if isinstance(member, FrozenEstimator):
        member = member.estimator
    if not _is_model(member):
        raise ValueError(
            f"A member is a fitted classifier, got {member!r}."
            + advice("classifier", member)
        )
    try:
        check_is_fitted(member)
    except NotFittedError as error:
        raise NotFittedError(
            f"{member!r} is not fitted: there is nothing to take along. Fit it first."
        ) from error
    _skops()  # says what to install
    try:
        data = _written_and_read(member)
    except Exception as error:  # of skops, of the model's types and of its modules
        raise ValueError(
            f"{_culprit(member)} holds something that cannot be written, and read "
            f"again: {error}. Functions and classes must be importable by their names: "
            "define them in a module, not inside of a function nor as a lambda."
        ) from error
    _replace(os.fsdecode(file), data)


def _written_and_read(part: Any) -> bytes:
    """Return what is written of a model or parameter, once it has been read again."""
    skops = _skops()
    data = skops.dumps(part)
    again = skops.loads(data, trusted=skops.get_untrusted_types(data=data))
    twins = _named_parts(again)
    for name, own in _named_parts(part).items():
        if not _stands_for(twins.get(name), own):
            raise TypeError(f"{own!r} would be read as {twins.get(name)!r}")
    return data


def _stands_for(twin: Any, own: Any) -> bool:
    """Tell whether a name led back to the same function or class, not to its namesake.

    Values of other types have no name that could mislead.
    """
    if isinstance(own, type | FunctionType):
        return twin is own
    return type(twin) is type(own) or not hasattr(own, "get_params")


def _named_parts(part: Any) -> dict[str, Any]:
    """Return a model's parameters by name and the model, the innermost first."""
    params = part.get_params() if hasattr(part, "get_params") else {}
    inner = sorted(
        params.items(),
        key=lambda item: (-item[0].count("__"), isinstance(item[1], list | dict)),
    )
    return {**dict(inner), "": part}


def _culprit(member: Any) -> str:
    """Name the innermost step or parameter that cannot be written and read."""
    kind = type(member).__name__
    for name, part in _named_parts(member).items():
        try:
            _written_and_read(part)
        except Exception:  # this is what was looked for
            return f"{name!r} of the {kind}" if name else f"The {kind}"
    return f"The {kind}"


def _replace(path: str, data: bytes) -> None:
    """Put a whole file in the place of what is there, or leave that as it was."""
    path = os.path.realpath(path)  # a link stays one
    draft = f"{path}.{uuid4().hex}.part"
    try:
        with open(draft, "xb") as file:
            file.write(data)
        if os.path.exists(path):
            shutil.copymode(path, draft)
        os.replace(draft, path)
    finally:
        if os.path.exists(draft):
            os.remove(draft)


def load_member(
    file: str | PathLike[str], *, trusted: Iterable[str] = ()
) -> FrozenEstimator:
    """Read a member from a file, if it is built from trusted types only.

    Nothing in the file is built before all its types have been checked.

    Parameters
    ----------
    file : str or path
        A file that :func:`save_member` wrote.
    trusted : iterable of str, default=()
        Full names of further types that you trust, as
        ``"sklearn.tree._tree.Tree"``. What scikit-learn and NumPy hold and skops trusts
        is trusted anyway. Read the code of a type before you name it.

    Returns
    -------
    member : FrozenEstimator
        The fitted classifier, ready to teach in a
        :class:`~skcoop.CooperativeDistiller`. ``member.estimator`` is the classifier
        itself, to learn on.

    Raises
    ------
    ValueError
        If the file holds types that are not trusted (the message names them), is no
        such file (a pickle, for example), or holds something else than a classifier.
    FileNotFoundError
        If there is no such file.

    See Also
    --------
    save_member : Writes the file.

    Notes
    -----
    A model can do harm without running code: one that was trained to be wrong teaches
    wrongly. The rule of trust and the gate of the distiller are there for that. And
    trees and support vector machines predict by compiled code that believes its arrays:
    a file that was forged, not saved, can end the process. Take files from those only
    whom you would take a model from.
    """
    if isinstance(trusted, str):
        raise ValueError(
            f"trusted must be a list of names of types, got the string {trusted!r}."
        )
    path = fspath(file)
    with _refusing(path):
        data = Path(os.fsdecode(path)).read_bytes()
    return FrozenEstimator(loads_model(data, path, trusted=trusted))


def dumps_model(model: Any) -> bytes:
    """Write a fitted model as bytes that :func:`loads_model` can read."""
    return bytes(_skops().dumps(model))


def loads_model(data: bytes, who: str, *, trusted: Iterable[str] = ()) -> Any:
    """Build a classifier from bytes, if it is made of trusted types only.

    Parameters
    ----------
    data : bytes
        What skops wrote.
    who : str
        How errors begin: where the bytes come from.
    trusted : iterable of str, default=()
        As of :func:`load_member`.
    """
    skops = _skops()
    with _refusing(who):
        _check_sizes(data)
        types = set(skops.get_untrusted_types(data=data))
    unknown = sorted(types - set(trusted) - set(_OWN_TYPES))
    if unknown:
        raise ValueError(
            f"{who} holds objects of types that are not trusted: {unknown}. If you "
            f"know them all to be harmless, and the file to be from whom you trust, "
            f"pass trusted={unknown}."
        )
    if absent := [name for name in sorted(types) if not _is_here(name)]:
        raise ValueError(
            f"{who} needs {absent}, which cannot be imported here. Install or define "
            "what they come from."
        )
    with _refusing(who):
        member = skops.loads(data, trusted=sorted(types))
    if not _is_model(member):
        raise ValueError(f"{who} holds no classifier but {member!r}.")
    check_is_fitted(member, msg=f"{who} holds a classifier that is not fitted.")
    return member


# What skops raises when a file is none of its own, or damaged.
_FAULTS = (
    *(BadZipFile, OSError, EOFError, zlib.error, RecursionError),
    *(KeyError, ValueError, TypeError, AttributeError),
    *(MemoryError, RuntimeError, NotImplementedError),
)


def _check_sizes(data: bytes) -> None:
    """Refuse what would take far more memory than the file: nothing is packed in it."""
    with ZipFile(BytesIO(data)) as archive:
        parts = archive.infolist()
    packed = any(part.compress_type != ZIP_STORED for part in parts)
    if packed or sum(part.file_size for part in parts) > len(data):
        raise ValueError("it unpacks to more than it is")


@contextmanager
def _refusing(path: str) -> Iterator[None]:
    """Say of a foreign or damaged file what it is not, and nothing of its own."""
    try:
        yield
    except (FileNotFoundError, PermissionError):
        raise
    except _FAULTS as error:
        raise ValueError(
            f"{path} is no file that save_member wrote, or it is damaged "
            f"({type(error).__name__}). Ask for another; never unpickle a model from "
            "elsewhere."
        ) from error


def _is_here(name: str) -> bool:
    """Tell whether a trusted type or function can be imported."""
    module, _, attribute = name.rpartition(".")
    try:
        return hasattr(import_module(module), attribute)
    except ImportError:
        return False


def _is_model(member: Any) -> bool:
    return isinstance(member, BaseEstimator) and is_a("classifier", member)


def _skops() -> Any:
    try:
        import skops.io
    except ImportError as error:
        raise ImportError(
            "Exchanging members needs skops: pip install 'skcoop[exchange]'."
        ) from error
    return skops.io
