# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Models that repair each other, for scikit-learn."""

from tests.before._comparative import ComparativeDistiller
from tests.before._distiller import CooperativeDistiller
from tests.before._make import make_distiller
from tests.before._peers import DiversePeersDistiller

__version__ = "0.1.0.dev0"

__all__ = [
    "ComparativeDistiller",
    "CooperativeDistiller",
    "DiversePeersDistiller",
    "make_distiller",
]
