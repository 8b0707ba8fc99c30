"""The three attacks of the package anonymeter on the rows that a student receives.

M. Giomi, F. Boenisch, C. Wehmeyer, B. Tasnadi: A Unified Framework for Quantifying
Privacy Risk in Synthetic Data. PoPETs 2023(2).
"""

import logging
import warnings
from contextlib import contextmanager
from importlib.util import find_spec

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

GAP = "missing"
# Whole numbers among so few distinct values are taken for codes.
MOST_CODES = 7
# Columns that a query for a single person names, as in the package.
QUERY_COLUMNS = 3
# Queries tried for each one that is wanted.
PATIENCE = 10


def installed():
    """Tell whether the package is there; it is not among the extra ``bench``."""
    return find_spec("anonymeter") is not None


def attack(silos, release, most, seed):
    """Let each student attack the silos whose rows it received.

    Parameters
    ----------
    silos : Silos
        Their training rows are attacked; their held-out rows are the control group.
    release : Release
        What students see: cells and labels.
    most : int
        Queries of several columns that a student tries at most, and rows of each
        group that it tries to link and to complete.
    seed : int
        Draws rows, queries and the columns that a linking attacker knows.

    Returns
    -------
    counts : dict of str to ndarray of shape (4,)
        For each attack, summed over students: attacks on training rows, successes
        among them, attacks on held-out rows, successes among them.
    """
    counts = {}
    for k, student in enumerate(np.unique(release.student)):
        draw = np.random.default_rng([seed, k])
        frames = _frames(silos, release[release.student == student], draw)
        with quiet():
            found = _attacks_of_one_student(silos, frames, most, draw)
        for name, own in found.items():
            counts[name] = counts.get(name, 0) + np.array(own)
    return counts


def risk(counts):
    """Return the package's risk and its 95 % interval, from counts or mean counts."""
    from anonymeter.stats.confidence import EvaluationResults

    tried, right, tried_control, right_control = counts
    with quiet():
        found = EvaluationResults(
            (tried, tried, tried_control), right, 0, right_control
        ).risk()
    return found.value, *found.ci


@contextmanager
def quiet():
    """Keep the package from warning of attacks that fail, which is what we count."""
    logger = logging.getLogger("anonymeter")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(level)


def _frames(silos, release, draw):
    """Return what was received, and as many training rows and held-out rows.

    As the package reads them: strings and numbers.
    """
    senders = np.unique(release.silo)
    own = draw.permutation(np.flatnonzero(np.isin(silos.owners, senders)))
    unseen = draw.permutation(np.flatnonzero(np.isin(silos.owners_test, senders)))
    n = min(len(own), len(unseen))  # the smaller a group, the easier to single out
    own, unseen = own[:n], unseen[:n]
    return [
        _frame(silos, release.cells, release.labels),
        _frame(silos, silos.train[own], silos.labels[own]),
        _frame(silos, silos.held_out[unseen], silos.labels_test[unseen]),
    ]


def _attacks_of_one_student(silos, frames, most, draw):
    """Return the four counts of each attack."""
    seed = int(draw.integers(2**31))
    # No column has more queries than values, two ends and a gap: all are tried.
    every = int(frames[0].nunique().sum()) + 3 * frames[0].shape[1]
    order = draw.permutation(frames[0].columns).tolist()
    plain = [frames[0], *(frame[:most] for frame in frames[1:])]
    filled = [_without_gaps(silos, frame) for frame in plain]
    return {
        "singling out, one column": _singling_out(frames, every, seed, "univariate"),
        "singling out, three columns": _singling_out(
            frames, most, seed, "multivariate"
        ),
        "linkability": _linkability(filled, order),
        "inference": _inference(plain, filled),
    }


def _frame(silos, cells, labels):
    columns = {
        str(name): _as_codes(cells[:, j]) if coded else cells[:, j]
        for j, (name, coded) in enumerate(
            zip(silos.codec.names, _coded(silos), strict=True)
        )
    }
    return pd.DataFrame(columns).assign(label=[f"class {label}" for label in labels])


def _coded(silos):
    every = np.vstack([silos.train, silos.held_out])
    few = [len(np.unique(c[~np.isnan(c)])) <= MOST_CODES for c in every.T]
    return silos.metric.coded | (silos.metric.integral & few)


def _as_codes(cells):
    """Let a missing cell be a code of its own."""
    return [GAP if np.isnan(cell) else f"code {cell:g}" for cell in cells]


def _without_gaps(silos, frame):
    """Put missing numbers in the middle of their column, with a mark beside it.

    The package's distance makes no neighbour of a row with a gap.
    """
    filled = frame.copy()
    for name, low, high in zip(
        silos.codec.names, silos.metric.low, silos.metric.high, strict=True
    ):
        if is_numeric_dtype(frame[str(name)]):
            gaps = frame[str(name)].isna()
            filled[str(name)] = frame[str(name)].fillna((low + high) / 2)
            filled[_mark(name)] = np.where(gaps, GAP, "known")
    return filled


def _mark(name):
    return f"{name} is there"


def _with_marks(names, frame):
    marks = [_mark(name) for name in names]
    return [*names, *(mark for mark in marks if mark in frame)]


def _singling_out(frames, n_queries, seed, mode):
    """Count the queries that single out what was received, and of these the right."""
    from anonymeter.evaluators import SinglingOutEvaluator

    # A number that is missing has to be a null, which no query for numbers fits.
    nullable = {
        name: "Float64" for name in frames[0] if is_numeric_dtype(frames[0][name])
    }
    frames = [frame.astype(nullable) for frame in frames]
    evaluator = SinglingOutEvaluator(
        frames[0],
        frames[0],
        n_attacks=n_queries,
        n_cols=QUERY_COLUMNS,
        max_attempts=PATIENCE * n_queries,
        seed=seed,
    )
    # Those that are wrong about their own table are no queries.
    queries = evaluator.evaluate(mode).queries()
    right, right_control = (_n_singled_out(rows, queries) for rows in frames[1:])
    return len(queries), right, len(queries), right_control


def _n_singled_out(frame, queries):
    """Count the queries that fit exactly one of the people in a table."""
    import polars

    people = polars.DataFrame(frame).unique()
    fits = [query.sum().alias(f"{k}") for k, query in enumerate(queries)]
    return sum(n == 1 for n in people.select(fits).row(0)) if fits else 0


def _linkability(frames, order):
    """Count people whose two halves of columns have the same nearest received row."""
    from anonymeter.evaluators import LinkabilityEvaluator

    received, own, unseen = frames
    half = len(order) // 2
    halves = [_with_marks(names, received) for names in (order[:half], order[half:])]
    evaluator = LinkabilityEvaluator(
        own, received, tuple(halves), n_attacks=len(own), control=unseen
    )
    found = evaluator.evaluate(n_jobs=1).results()
    return len(own), found.n_success, len(unseen), found.n_control


def _inference(plain, filled):
    """Count right guesses of each column from the others; a gap is no secret."""
    counts = np.zeros(4)
    for secret in plain[0].columns:
        counts += _guesses_of(secret, plain, filled)
    return counts


def _guesses_of(secret, plain, filled):
    from anonymeter.evaluators import InferenceEvaluator

    is_number = is_numeric_dtype(plain[0][secret])
    # Guesses count as right within 5 % of their value, so values begin at 0.
    least = min(frame[secret].min() for frame in plain) if is_number else 0
    shift = min(least, 0) if is_number else 0
    frames = []
    for frame, whole in zip(plain, filled, strict=True):
        known = frame[secret].notna() & (frame[secret] != GAP)
        values = frame[secret] - shift if shift else frame[secret]
        frames.append(whole.assign(**{secret: values})[known])
    received, own, unseen = frames
    if min(map(len, frames)) == 0:
        return np.zeros(4)
    known = [name for name in filled[0] if name not in (secret, _mark(secret))]
    options = {"regression": is_number, "n_attacks": len(own) + len(unseen)}
    evaluator = InferenceEvaluator(
        own, received, known, secret, control=unseen, **options
    )
    found = evaluator.evaluate(n_jobs=1).results()
    return np.array([len(own), found.n_success, len(unseen), found.n_control])
