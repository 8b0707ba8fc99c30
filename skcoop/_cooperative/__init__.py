# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Cooperative distillation: the steps, each in the file that is named after it."""
