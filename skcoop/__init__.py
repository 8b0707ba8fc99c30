# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Models that repair each other, for scikit-learn."""

from skcoop._comparative._distiller import ComparativeDistiller
from skcoop._cooperative._distiller import CooperativeDistiller
from skcoop._cooperative._make import make_distiller
from skcoop._peers._distiller import DiversePeersDistiller

__version__ = "0.1.0.dev0"

__all__ = [
    "ComparativeDistiller",
    "CooperativeDistiller",
    "DiversePeersDistiller",
    "make_distiller",
]
