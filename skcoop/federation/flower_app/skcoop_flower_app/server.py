# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""The app of who coordinates: fits over the silos that a run names."""

from pathlib import Path
from typing import Any

import joblib
from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from skcoop import CooperativeDistiller
from skcoop.federation import cooperate
from skcoop.federation._flower import FlowerSilos

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Fit, and keep what comes home in the folder that the configuration names.

    Its keys are those of ``pyproject.toml``: ``silos``, ``folder``, ``timeout``, and
    parameters of :class:`~skcoop.CooperativeDistiller`.
    """
    config: dict[str, Any] = dict(context.run_config)
    names = [name.strip() for name in config.pop("silos").split(",")]
    folder, timeout = Path(config.pop("folder")), float(config.pop("timeout"))
    params = {name.replace("-", "_"): value for name, value in config.items()}
    silos = FlowerSilos(grid, names, timeout=timeout)
    distiller = cooperate(CooperativeDistiller([], **params), silos)
    folder.mkdir(parents=True, exist_ok=True)
    trips = [(trip.silo, trip.step, trip.sent, trip.got) for trip in silos.trips]
    draft = folder / "distiller.joblib.part"
    joblib.dump({"distiller": distiller, "trips": trips}, draft)
    draft.replace(folder / "distiller.joblib")
