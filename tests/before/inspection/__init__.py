# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""See what was taught: pictures of who taught whom, what changed, and what it gave."""

from tests.before.inspection._changes import ChangeDisplay
from tests.before.inspection._history import HistoryDisplay
from tests.before.inspection._lessons import LessonDisplay
from tests.before.inspection._report import Report
from tests.before.inspection._transfer import TransferDisplay

__all__ = [
    "ChangeDisplay",
    "HistoryDisplay",
    "LessonDisplay",
    "Report",
    "TransferDisplay",
]
