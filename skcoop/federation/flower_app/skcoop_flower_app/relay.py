# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""The app of a silo's node: it passes bytes on to the silo's own process.

Flower starts it anew for each message. So it imports next to nothing; and it has no way
to rows, as these are behind a socket that answers a closed list of things.
"""

import socket
import struct

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

SIZE = struct.Struct(">Q")
app = ClientApp()


@app.query("silo")
def relay(message: Message, context: Context) -> Message:
    """Pass a message on to the silo's own process, and its reply back."""
    try:
        data = message.content["data"]["0"].numpy().tobytes()
        reply = ask(str(context.node_config["socket"]), data, message.metadata.ttl)
        array = ArrayRecord([np.frombuffer(reply, dtype=np.uint8)])
        content = RecordDict({"data": array})
    except Exception as error:  # its text may name files and users
        content = RecordDict({"failed": ConfigRecord({"type": type(error).__name__})})
    return Message(content, reply_to=message)


def ask(path: str, data: bytes, timeout: float) -> bytes:
    """Send a message to a silo's socket and return the reply."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        connection.connect(path)
        connection.sendall(SIZE.pack(len(data)) + data)
        with connection.makefile("rb") as stream:
            (size,) = SIZE.unpack(stream.read(SIZE.size))
            reply = stream.read(size)
            if len(reply) < size:
                raise EOFError
            return reply
