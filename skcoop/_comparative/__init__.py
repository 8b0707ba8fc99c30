# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Comparative distillation: a student of a teacher that may rarely be asked."""
