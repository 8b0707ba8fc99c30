# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""Deficiencies: which rows a student gets wrong and who is qualified to teach them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def qualified_teachers(
    right: NDArray[np.bool_],
    students: NDArray[np.bool_],
    teachers: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Find R(i->j), the rows that member j gets wrong and member i gets right.

    Parameters
    ----------
    right : ndarray of bool, shape (n_members, n_samples)
        Whether each member is right about each row, judged out of sample.
    students : ndarray of bool, shape (n_members,)
        Members that can learn.
    teachers : ndarray of bool, shape (n_members,)
        Members that can teach.

    Returns
    -------
    qualified : ndarray of bool, shape (n_members, n_members, n_samples)
        ``qualified[j, i]`` marks the rows that teacher i can teach to student j.
    """
    wrong = ~right & students[:, None]
    return wrong[:, None, :] & (right & teachers[:, None])[None, :, :]
