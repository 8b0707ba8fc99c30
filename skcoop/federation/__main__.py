# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Run a silo's own process, or try a federation on one machine."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from skcoop.federation._config import read_silo
from skcoop.federation._demo import demo
from skcoop.federation._host import SiloHost
from skcoop.federation._socket import serve


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(
        prog="python -m skcoop.federation", description=__doc__
    )
    commands = parser.add_subparsers(dest="command", required=True)
    silo = commands.add_parser("silo", help="hold rows, and answer what may be asked")
    silo.add_argument("config", type=Path, help="the silo's TOML file")
    silo.add_argument("socket", help="where the socket is to be")
    silo.add_argument("--group", help="a group that may send messages, too")
    commands.add_parser("demo", help="three clinics over Flower, on this machine")
    options = parser.parse_args(arguments)
    if options.command == "demo":
        demo()
        return
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    host = SiloHost(read_silo(options.config))
    serve(host.answer, options.socket, options.group)


if __name__ == "__main__":
    main()
