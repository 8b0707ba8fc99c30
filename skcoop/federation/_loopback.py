# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Silos as processes on this machine: to try a federation, and to see what travels."""

from __future__ import annotations

import pickle
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from typing import Any

from joblib import wrap_non_picklable_objects

from skcoop.federation._data import SiloData
from skcoop.federation._messages import MOST_BYTES
from skcoop.federation._remote import RemoteSilos

_SIZE = struct.Struct(">Q")


class LoopbackSilos(RemoteSilos):
    """Silos that each live in a process of their own, on this machine.

    A process is given the rows of its silo and of no other. What it is asked for and
    what it answers travels as bytes, the same that would travel to another machine.

    Parameters
    ----------
    silos : list of SiloData
        The silos.
    timeout : float, default=600
        Seconds after which a silo that has not answered is lost.
    record : bool, default=False
        Whether to keep all messages in `messages`.

    Attributes
    ----------
    messages : list of (str, str, bytes, bytes)
        Silo, step, message and reply, if they are recorded.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skcoop import CooperativeDistiller
    >>> from skcoop.federation import LoopbackSilos, SiloData, cooperate
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame(rng.normal(size=(200, 3)), columns=list("abc"))
    >>> y = np.where(X["a"] + X["b"] > 0, "ill", "well")
    >>> basel = SiloData("basel", X[:100], y[:100], [("linear", LogisticRegression())])
    >>> bern = SiloData("bern", X[100:], y[100:], [("bayes", GaussianNB())])
    >>> with LoopbackSilos([basel, bern]) as silos:
    ...     model = cooperate(CooperativeDistiller([], random_state=0), silos)
    >>> list(model.named_estimators_)
    ['linear', 'bayes']
    """

    def __init__(
        self, silos: Sequence[SiloData], *, timeout: float = 600, record: bool = False
    ):
        super().__init__([silo.name for silo in silos])
        self.timeout, self.record = timeout, record
        self.messages: list[tuple[str, str, bytes, bytes]] = []
        command = [sys.executable, "-m", "skcoop.federation._loopback_process"]
        self._processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for _ in silos
        ]
        self._threads = ThreadPoolExecutor(max_workers=max(len(silos), 1))
        for process, silo in zip(self._processes, silos, strict=True):
            # What users define in a notebook has no module to be imported from.
            whole = wrap_non_picklable_objects(silo, keep_wrapper=False)
            send(process.stdin, pickle.dumps(whole))

    def exchange(self, messages: Mapping[int, bytes]) -> dict[int, bytes | str]:
        """Carry messages to the silos' processes, and return their replies."""
        waiting = {
            s: self._threads.submit(self._ask, s, data) for s, data in messages.items()
        }
        replies: dict[int, bytes | str] = {}
        for s, reply in waiting.items():
            try:
                replies[s] = reply.result(self.timeout)
            except TookTooLong:
                self._end(s)
                replies[s] = f"it did not answer within {self.timeout:g} seconds"
            except (OSError, EOFError):
                self._end(s)
                replies[s] = "its process ended"
        return replies

    def _ask(self, s: int, data: bytes) -> bytes:
        process = self._processes[s]
        send(process.stdin, data)
        return receive(process.stdout)

    def _reply(self, step: str, s: int, request: bytes, answer: bytes | str) -> Any:
        if self.record:
            got = answer if isinstance(answer, bytes) else b""
            self.messages.append((self.names[s], step, request, got))
        return super()._reply(step, s, request, answer)

    def _end(self, s: int) -> None:
        process = self._processes[s]
        process.kill()
        process.wait()

    def close(self) -> None:
        """End the silos' processes."""
        for s, process in enumerate(self._processes):
            self._end(s)
            for stream in (process.stdin, process.stdout):
                try:
                    stream.close()  # type: ignore[union-attr]
                except BrokenPipeError:  # it never read the last message
                    continue
        self._threads.shutdown()

    def __enter__(self) -> LoopbackSilos:
        """Begin to use the silos."""
        return self

    def __exit__(self, *error: Any) -> None:
        """End their processes."""
        self.close()


def send(stream: Any, data: bytes) -> None:
    """Write bytes, after their number."""
    stream.write(_SIZE.pack(len(data)))
    stream.write(data)
    stream.flush()


def receive(stream: Any) -> bytes:
    """Read what :func:`send` wrote.

    Raises
    ------
    EOFError
        If the other side is gone, or says that more is to come than anybody sends.
    """
    head = stream.read(_SIZE.size)
    if len(head) < _SIZE.size:
        raise EOFError
    (size,) = _SIZE.unpack(head)
    if size > MOST_BYTES:
        raise EOFError(f"{size} bytes are announced.")
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data
