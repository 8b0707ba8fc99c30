# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""What everything may use: errors with names, parallel jobs, progress, warnings."""
