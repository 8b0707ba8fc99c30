# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Where files that version 0.1 saved look for a type."""

from skcoop._members._soft_targets import ProbabilityAverager

__all__ = ["ProbabilityAverager"]
