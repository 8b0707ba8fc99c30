# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Counterfactual engines: how a teacher finds a virtual instance."""

from skcoop.counterfactuals._batched import BatchedDice
from skcoop.counterfactuals._protocol import CounterfactualEngine, Counterfactuals
from skcoop.counterfactuals._stock import StockDice

__all__ = ["BatchedDice", "CounterfactualEngine", "Counterfactuals", "StockDice"]
