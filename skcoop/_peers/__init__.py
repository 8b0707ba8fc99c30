# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Diverse peers: a leader that learns from a group of peers."""
