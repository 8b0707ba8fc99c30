# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Probabilities as logits, and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Added to a probability before its logarithm is taken, which is infinite at 0.
_FLOOR = 1e-3


def centred_logits(proba: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithms of probabilities, less their mean over the classes."""
    logits = np.log((proba + _FLOOR) / (1 + proba.shape[-1] * _FLOOR))
    return np.asarray(logits - logits.mean(axis=-1, keepdims=True))


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probabilities of logits, over the last axis."""
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=-1, keepdims=True))
