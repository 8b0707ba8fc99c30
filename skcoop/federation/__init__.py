# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Cooperative distillation of silos that are elsewhere: no row leaves any of them."""

from skcoop.federation._cooperate import cooperate
from skcoop.federation._data import Consent, SiloData
from skcoop.federation._loopback import LoopbackSilos
from skcoop.federation._visitors import Limits

__all__ = ["Consent", "Limits", "LoopbackSilos", "SiloData", "cooperate"]
