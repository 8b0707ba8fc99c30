# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""A silo behind a socket that its own user can open, and one group if it says so."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

from skcoop.federation._loopback import receive, send


def serve(
    answer: Callable[[bytes], bytes], path: str, group: str | None = None
) -> None:
    """Answer messages, one after the other, until the process is ended.

    Parameters
    ----------
    answer : callable
        Takes a message and returns its reply.
    path : str
        Where the socket is to be; it must not be there yet.
    group : str, default=None
        A group whose users may send messages, too: that of the silo's Flower node.
    """
    server = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o177)  # for nobody but this user
    try:
        server.bind(path)
    finally:
        os.umask(mask)
    if group is not None:
        shutil.chown(path, group=group)
        Path(path).chmod(0o660)
    server.listen(4)
    try:
        while True:
            _answer_one(server, answer)
    finally:
        server.close()
        Path(path).unlink()


def _answer_one(server: socket.socket, answer: Callable[[bytes], bytes]) -> None:
    connection, _ = server.accept()
    try:
        with connection, connection.makefile("rwb") as stream:
            send(stream, answer(receive(stream)))
    except (EOFError, ConnectionError):  # who asked has gone
        return
