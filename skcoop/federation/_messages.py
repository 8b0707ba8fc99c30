# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Messages as bytes: a closed list of things, without anything that runs code.

A message is one line of JSON that says what is where, and the bytes of all arrays and
models after it, all of it deflated. Reading it is bounded.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from skcoop._cooperative._combine import Choice, Problem
from skcoop._cooperative._credibility import Credibility, Standing
from skcoop._cooperative._fitting import Failure
from skcoop._cooperative._lessons import Lessons
from skcoop._cooperative._logistic_by_sums import LossSums
from skcoop._cooperative._replies import Fitted, Judged, Learned, Taught
from skcoop._members._member import FittedMember
from skcoop._members._scores import RowAnswers, Sums
from skcoop._tables._task import Task, task_without_cells
from skcoop.federation._agreement import Agreement
from skcoop.federation._models import PackedModel
from skcoop.federation._profile import Profile

# Bytes that a message may unpack to, unless a silo says otherwise.
MOST_BYTES = 2**31
_LEVEL = 1  # higher ones take several times as long and save a few per cent
_KINDS = "biufU"
# What bytes lead to that are no message, or one that holds other things than it says.
_GARBAGE = (
    *(ValueError, TypeError, KeyError, IndexError, AttributeError),
    *(RecursionError, struct.error),
)

# What a lesson carries to another machine: not how it was found, nor which cells of it
# are those of the row that it was made from.
LESSON_FIELDS = (
    *("Z", "label", "fold", "donor_fold", "silo", "source", "content"),
    *("teacher", "round", "parameters"),
)
# Things that travel, field by field.
_THINGS = {
    kind.__name__: kind
    for kind in (
        *(Choice, Problem, Credibility, Standing, LossSums, Sums),
        *(Fitted, Judged, Learned, Taught, PackedModel, Profile, Agreement),
    )
}


class _Buffers:
    """Bytes of a message, one after the other."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0

    def add(self, data: bytes) -> list[int]:
        """Add bytes; return where they begin and how many they are."""
        place = [self.size, len(data)]
        self.parts.append(data)
        self.size += len(data)
        return place


@dataclass(frozen=True)
class Packer:
    """How models and rows' answers are written and read on one side.

    Attributes
    ----------
    write_model : callable
        Turns a :class:`FittedMember` into a :class:`PackedModel`.
    read_model : callable or None
        Turns one back; None leaves it as it is.
    classes : ndarray or None
        The classes of the plan.
    """

    write_model: Callable[[FittedMember], PackedModel]
    read_model: Callable[[PackedModel], Any] | None = None
    classes: Any = None

    def pack(self, value: Any) -> bytes:
        """Return a value as bytes.

        Raises
        ------
        TypeError
            If it is nothing that travels.
        """
        buffers = _Buffers()
        head = json.dumps(self._written(value, buffers)).encode()
        body = b"".join([struct.pack(">I", len(head)), head, *buffers.parts])
        return zlib.compress(body, _LEVEL)

    def unpack(self, data: bytes, most: int = MOST_BYTES) -> Any:
        """Return what was packed.

        Raises
        ------
        ValueError
            If it is no message, or one that is larger than allowed.
        """
        body = _inflated(data, most)
        try:
            (size,) = struct.unpack_from(">I", body)
            head = json.loads(body[4 : 4 + size])
            return self._read(head, memoryview(body)[4 + size :])
        except _GARBAGE as error:
            raise ValueError(f"This is no message ({type(error).__name__}).") from error

    def _written(self, value: Any, buffers: _Buffers) -> Any:
        """Return what JSON says of a value; its bytes go to the buffers."""
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, bytes):
            return {"bytes": buffers.add(value)}
        if isinstance(value, np.ndarray):
            return self._written_array(value, buffers)
        if isinstance(value, FittedMember):
            value = self.write_model(value)
        if isinstance(value, Failure):
            return {"failure": value.kind}
        if isinstance(value, Lessons):
            parts = {name: getattr(value, name) for name in LESSON_FIELDS}
            return {"lessons": self._written(parts, buffers)}
        if isinstance(value, RowAnswers):
            return {"answers": self._written(_answers_of(value), buffers)}
        if isinstance(value, Mapping):
            each = [part for pair in value.items() for part in pair]
            return {"dict": [self._written(part, buffers) for part in each]}
        if isinstance(value, list | tuple | set | frozenset):
            kind = {list: "list", tuple: "tuple"}.get(type(value), "set")
            return {kind: [self._written(each, buffers) for each in value]}
        name = type(value).__name__
        if _THINGS.get(name) is not type(value):
            raise TypeError(f"A {name} does not travel.")
        parts = {f.name: getattr(value, f.name) for f in fields(value)}
        return {"thing": name, "parts": self._written(parts, buffers)}

    def _written_array(self, array: Any, buffers: _Buffers) -> Any:
        if array.dtype.kind not in _KINDS:
            if array.dtype.kind != "O":
                raise TypeError(f"An array of {array.dtype} does not travel.")
            return {
                "objects": [self._written(each, buffers) for each in array.ravel()],
                "shape": list(array.shape),
            }
        place = buffers.add(np.ascontiguousarray(array).tobytes())
        return {"array": place, "type": array.dtype.str, "shape": list(array.shape)}

    def _read(self, value: Any, body: memoryview) -> Any:
        if not isinstance(value, dict):
            return value
        if "bytes" in value:
            return bytes(_at(value["bytes"], body))
        if "array" in value:
            kind = np.dtype(value["type"])
            if kind.kind not in _KINDS:
                raise ValueError(kind)
            cells = np.frombuffer(_at(value["array"], body), dtype=kind)
            return cells.reshape(value["shape"]).copy()
        if "objects" in value:
            cells = np.empty(len(value["objects"]), dtype=object)
            cells[:] = [self._read(each, body) for each in value["objects"]]
            return cells.reshape(value["shape"])
        if "failure" in value:
            return Failure(str(value["failure"]))
        if "lessons" in value:
            return _lessons_from(self._read(value["lessons"], body))
        if "answers" in value:
            return self._answers_from(self._read(value["answers"], body))
        if "dict" in value:
            parts = iter([self._read(part, body) for part in value["dict"]])
            return dict(zip(parts, parts, strict=True))
        for name, many in (("list", list), ("tuple", tuple), ("set", frozenset)):
            if name in value:
                return many(self._read(part, body) for part in value[name])
        thing = _THINGS[value["thing"]](**self._read(value["parts"], body))
        if isinstance(thing, PackedModel) and self.read_model is not None:
            return self.read_model(thing)
        return thing

    def _answers_from(self, parts: dict[str, Any]) -> RowAnswers:
        proba, rows = parts.pop("proba"), parts.pop("rows")
        return RowAnswers(
            task_without_cells(classes=self.classes, **parts), rows, proba
        )


def _answers_of(value: RowAnswers) -> dict[str, Any]:
    task: Task = value.task
    return {
        "codes": task.codes,
        "weights": task.weights,
        "folds": task.folds,
        "n_folds": task.n_folds,
        "rows": value.rows,
        "proba": value.proba,
    }


def _lessons_from(parts: dict[str, Any]) -> Lessons:
    """Return lessons that know nothing of how they were found."""
    n, unknown = len(parts["label"]), np.full(len(parts["label"]), np.nan)
    return Lessons(
        **parts,
        donor=np.full(n, -1),
        before=unknown,
        after=unknown,
        distance=unknown,
        changed=np.zeros(parts["Z"].shape, dtype=bool),
    )


def _at(place: list[int], body: memoryview) -> memoryview:
    start, size = place
    if start < 0 or size < 0 or start + size > len(body):
        raise ValueError(place)
    return body[start : start + size]


def _inflated(data: bytes, most: int) -> bytes:
    reader = zlib.decompressobj()
    try:
        body = reader.decompress(data, most)
    except zlib.error as error:
        raise ValueError("This is no message.") from error
    if reader.unconsumed_tail:
        raise ValueError(f"A message unpacks to more than {most} bytes.")
    return body
