# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Cooperative distillation over silos that keep their rows."""
