"""How near the rows of a release are to the rows of the silo that they come from."""

import numpy as np

# A row that knows fewer of the columns is nobody's neighbour: few cells agree easily.
LEAST_COMMON = 0.5


def closeness(silos, release):
    """Compare each row of a release with the rows of its silo.

    Returns
    -------
    figures : dict of str to ndarray of shape (n_rows,)
        ``distance``: to the closest training row, on the columns that its student
        reads. ``ratio``: of this distance to that of the second closest training row.
        ``nearer``: 1 where a training row is closer than all held-out rows, 0.5 where
        one is as close. ``cells``: in how many cells it differs from the training row
        from which it differs in the fewest.
    """
    found = {
        key: np.empty(len(release)) for key in ("distance", "ratio", "nearer", "cells")
    }
    pairs = zip(release.student, release.silo, strict=True)
    for student, silo in sorted(set(pairs)):
        mine = (release.student == student) & (release.silo == silo)
        rows, reads = release.cells[mine], silos.reads[student]
        own = silos.train[silos.owners == silo]
        unseen = silos.held_out[silos.owners_test == silo]
        to_own = distances(silos.metric, rows, own, reads)
        to_unseen = distances(silos.metric, rows, unseen, reads).min(axis=1)
        found["distance"][mine] = nearest = to_own.min(axis=1)
        found["nearer"][mine] = (nearest < to_unseen) + (nearest == to_unseen) / 2
        found["ratio"][mine] = neighbour_ratio(to_own)
        found["cells"][mine] = cells_apart(rows, own)
    return found


def distances(metric, rows, others, columns):
    """Return the root of the mean squared change of a cell that both know.

    Infinite where both know fewer than half of the columns that the rows know.
    """
    rows, others = rows[:, None, columns], others[:, columns]
    known = ~np.isnan(rows) & ~np.isnan(others)
    n_known = known.sum(axis=2)
    with np.errstate(invalid="ignore"):
        steps = np.abs(rows - others)
    steps = np.where(metric.coded[columns], steps > 0, steps / metric.span[columns])
    squares = np.where(known, steps, 0.0) ** 2
    far = n_known < np.maximum(LEAST_COMMON * (~np.isnan(rows)).sum(axis=2), 1)
    mean = squares.sum(axis=2) / np.maximum(n_known, 1)
    return np.where(far, np.inf, np.sqrt(mean))


def neighbour_ratio(distance):
    """Return the distance of the nearest by that of the second; equal ones give 1."""
    first, second = np.sort(distance, axis=1)[:, :2].T
    with np.errstate(invalid="ignore"):
        ratio = first / second
    return np.where(first == second, 1.0, ratio)


def cells_apart(rows, others):
    """Count the cells in which each row differs from the one most like it.

    All columns count, and of these the cells that both know.
    """
    known = ~np.isnan(rows[:, None]) & ~np.isnan(others)
    common = known.sum(axis=2)
    apart = (known & (rows[:, None] != others)).sum(axis=2)
    few = common < LEAST_COMMON * (~np.isnan(rows)).sum(axis=1)[:, None]
    return np.where(few, rows.shape[1], apart).min(axis=1)
