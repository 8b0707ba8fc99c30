# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Counterfactual engines: how a teacher finds a virtual instance."""

from tests.before.counterfactuals._batched import BatchedDice
from tests.before.counterfactuals._protocol import CounterfactualEngine, Counterfactuals
from tests.before.counterfactuals._stock import StockDice

__all__ = ["BatchedDice", "CounterfactualEngine", "Counterfactuals", "StockDice"]
