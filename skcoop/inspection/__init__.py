# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""See what was taught: pictures of who taught whom, what changed, and what it gave."""

from skcoop.inspection._changes import ChangeDisplay
from skcoop.inspection._history import HistoryDisplay
from skcoop.inspection._lessons import LessonDisplay
from skcoop.inspection._report import Report
from skcoop.inspection._transfer import TransferDisplay

__all__ = [
    "ChangeDisplay",
    "HistoryDisplay",
    "LessonDisplay",
    "Report",
    "TransferDisplay",
]
