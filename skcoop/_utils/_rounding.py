# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""How far sums of floats may be apart that are equal."""

# Sums of fractional weights that should be equal differ by their rounding: less than
# this share of them is no difference.
ROUNDING = 1e-9
