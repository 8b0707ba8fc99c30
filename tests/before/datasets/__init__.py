# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Real data on which models know different things."""

from tests.before.datasets._fashion_mnist import fetch_fashion_mnist
from tests.before.datasets._heart_disease import fetch_heart_disease

__all__ = ["fetch_fashion_mnist", "fetch_heart_disease"]
