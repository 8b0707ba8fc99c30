# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Silos that are elsewhere: they are sent bytes, and answer with bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from skcoop._cooperative._silos import Addressed
from skcoop._members._member import FittedMember
from skcoop.federation._host import failure_of
from skcoop.federation._messages import Packer
from skcoop.federation._models import PackedModel, pack_model


@dataclass(frozen=True)
class Trip:
    """One message to a silo, and its reply.

    Attributes
    ----------
    silo : str
        Name of the silo.
    step : str
        What it was asked for.
    sent, got : int
        Bytes of the message and of the reply.
    """

    silo: str
    step: str
    sent: int
    got: int


class RemoteSilos(Addressed):
    """Silos that are asked by messages; subclasses carry these.

    What needs no reply waits for the next message to the silo. A silo that does not
    answer, or answers that it failed, is lost from then on.

    Attributes
    ----------
    lost : dict of int to str
        Silos that are lost, and why.
    trips : list of Trip
        What has travelled.
    """

    # Steps whose reply says nothing.
    QUIET = ("start", "agree", "believe", "settle")

    def __init__(self, names: Sequence[str]):
        self.names = list(names)
        self.n_silos = len(self.names)
        self.lost: dict[int, str] = {}
        self.trips: list[Trip] = []
        self.packer = Packer(_write_guest)
        self._waiting: dict[int, list[Any]] = {s: [] for s in range(self.n_silos)}

    def exchange(self, messages: Mapping[int, bytes]) -> dict[int, bytes | str]:
        """Carry messages to silos, and return their replies.

        Returns
        -------
        replies : dict of int to bytes or str
            A text where there is none, which says why.
        """
        raise NotImplementedError

    def why_lost(self) -> str:
        """Say which silos are lost, and why."""
        return "; ".join(f"{self.names[s]!r}: {why}" for s, why in self.lost.items())

    def knows(self, classes: Any) -> None:
        """Note the classes of the plan."""
        self.packer = replace(self.packer, classes=classes)

    def each(
        self, operation: str, messages: dict[int, dict[str, Any]]
    ) -> dict[int, Any]:
        """Ask silos that are not lost, each for something else."""
        messages = {s: own for s, own in messages.items() if s not in self.lost}
        if len(self.lost) == self.n_silos:
            raise RuntimeError(f"All silos are lost. {self.why_lost()}.")
        for s, message in messages.items():
            self._waiting[s].append((operation, message))
        if operation in self.QUIET:
            return {}
        requests = {s: self.packer.pack(self._waiting[s]) for s in messages}
        self._waiting.update({s: [] for s in messages})
        answers = self.exchange(requests)
        replies = {}
        for s in messages:  # in the order of the silos, not of arrival
            reply = self._reply(operation, s, requests[s], answers[s])
            if reply is not None:
                replies[s] = reply["reply"]
        return replies

    def _reply(
        self, step: str, s: int, request: bytes, answer: bytes | str
    ) -> dict[str, Any] | None:
        got = answer if isinstance(answer, bytes) else b""
        self.trips.append(Trip(self.names[s], step, len(request), len(got)))
        if isinstance(answer, str):
            self.lost[s] = answer
            return None
        try:
            reply = self.packer.unpack(answer)
            if "failed" in reply:
                self.lost[s] = failure_of(reply["failed"]).said
                return None
            return {"reply": reply["reply"]}
        except (ValueError, TypeError, KeyError) as error:
            self.lost[s] = f"what it answered to {step!r} is no reply: {error}"
            return None


def _write_guest(member: FittedMember) -> PackedModel:
    """Write a guest's model: who brings one wants it to travel."""
    return pack_model(member.name, member.estimator, with_rows=True)
