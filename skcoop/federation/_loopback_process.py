# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""The process of one loopback silo: reads messages, answers, ends with its parent."""

from __future__ import annotations

import os
import pickle
import sys

from skcoop.federation._host import SiloHost
from skcoop.federation._loopback import receive, send


def main() -> None:
    """Answer messages until there are no more."""
    messages = sys.stdin.buffer
    # What members print must not get among the replies.
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    # The first message is from this process's own parent.
    host = SiloHost(pickle.loads(receive(messages)))
    while True:
        try:
            request = receive(messages)
        except EOFError:
            return
        send(replies, host.answer(request))


if __name__ == "__main__":
    main()
