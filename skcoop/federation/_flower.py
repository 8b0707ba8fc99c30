# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Silos on separate machines: Flower carries the messages.

A node of Flower runs whatever code a run brings along. So rows are not where it could
read them: each silo has a process of its own, and the node's app, in ``flower_app``,
only passes bytes on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from skcoop.federation._remote import RemoteSilos

# Seconds between two looks whether a reply has come.
_PAUSE = 0.1


class FlowerSilos(RemoteSilos):
    """Silos that are reached through Flower's nodes, by the nodes' registered names.

    It needs the extra ``flower``: ``pip install "skcoop[flower]"``.

    Parameters
    ----------
    grid : flwr.serverapp.Grid
        Flower's way to its nodes.
    names : list of str
        The silos, in their order.
    timeout : float, default=600
        Seconds after which a silo that has not answered is lost.

    Raises
    ------
    RuntimeError
        If a silo's node does not come in that time.
    """

    def __init__(self, grid: Any, names: Sequence[str], *, timeout: float = 600):
        super().__init__(names)
        self.grid, self.timeout = grid, timeout
        self.nodes = self._wait_for_nodes()

    def _wait_for_nodes(self) -> list[int]:
        end = time.monotonic() + self.timeout
        while True:
            nodes = {node.name: node.node_id for node in self.grid.get_nodes()}
            absent = [name for name in self.names if name not in nodes]
            if not absent:
                return [nodes[name] for name in self.names]
            if time.monotonic() > end:
                raise RuntimeError(
                    f"The silos {absent} did not come within {self.timeout:g} seconds. "
                    "Are their nodes registered under these names, and do they run?"
                )
            time.sleep(_PAUSE)

    def exchange(self, messages: Mapping[int, bytes]) -> dict[int, bytes | str]:
        """Carry messages to silos, and return their replies."""
        sent = [_message(self.nodes[s], m, self.timeout) for s, m in messages.items()]
        ids = self.grid.push_messages(sent)
        waiting = {i: s for i, s in zip(ids, messages, strict=True) if i}
        late = f"it did not answer within {self.timeout:g} seconds"
        replies: dict[int, bytes | str] = dict.fromkeys(messages, late)
        end = time.monotonic() + self.timeout
        while waiting and time.monotonic() < end:
            for reply in self.grid.pull_messages(list(waiting)):
                s = waiting.pop(reply.metadata.reply_to_message_id)
                replies[s] = _content_of(reply)
            if waiting:
                time.sleep(_PAUSE)
        return replies


def _message(node: int, data: bytes, timeout: float) -> Any:
    """Return bytes as Flower carries them fastest."""
    from flwr.app import ArrayRecord, Message, RecordDict  # takes seconds

    array = ArrayRecord([np.frombuffer(data, dtype=np.uint8)])
    return Message(RecordDict({"data": array}), node, "query.silo", ttl=timeout)


def _content_of(reply: Any) -> bytes | str:
    if reply.has_error():
        return f"its node failed (Flower's error {reply.error.code})"
    if "failed" in reply.content:
        return f"its process could not be reached ({reply.content['failed']['type']})"
    return bytes(reply.content["data"]["0"].numpy().tobytes())
