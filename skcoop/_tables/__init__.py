# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Tables: containers, their cells as numbers, distances, rows that nobody has."""
