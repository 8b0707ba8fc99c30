# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""StockDice: dice-ml's own searches, row by row, with their faults contained."""

from __future__ import annotations

import random
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from numbers import Integral, Real
from time import perf_counter
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from skcoop._compat import Interval, StrOptions, validate_parameter_constraints
from skcoop._members._columns_read import columns_read
from skcoop._tables._codec import TableCodec
from skcoop._tables._frames import FloatMatrix, same_cells, stack
from skcoop._tables._row_keys import content_keys
from skcoop._tables._row_labels import row_labels
from skcoop.counterfactuals._batched import checked_labels, checked_tables
from skcoop.counterfactuals._protocol import (
    TOLERANCE,
    Counterfactuals,
    target_probability,
    true_class_proba,
)

# dice-ml draws from the global states of random and numpy.random: while it does, no
# other thread may search.
_LOCK = threading.RLock()
_OUTCOME = "outcome"
# Decimals to which dice-ml rounds a number between 0 and 1: so many that it does not,
# as small numbers of a column with a long tail would all become 0.
_DECIMALS = 30


class StockDice(BaseEstimator):
    """Counterfactuals by dice-ml's own searches, one row after the other.

    A thin adapter, for comparison with :class:`BatchedDice` and for those who want
    dice-ml's behaviour. It asks in the one way in which all three methods respect a
    probability: as for a regressor whose output is the probability of the true class.

    Parameters
    ----------
    method : {"random", "genetic", "kdtree"}, default="random"
        The search. "random" redraws one column after the other, "genetic" evolves a
        population of rows, "kdtree" returns the nearest background row that reaches
        the target, as it is in the columns that may change.
    time_limit : float, default=10.0
        Seconds after which the search for one row is given up. It ends at the next
        question to the teacher, so a single slow prediction is not cut short.
    sample_size : int, default=1000
        Candidates that "random" draws for each row.
    max_iterations : int, default=500
        Generations that "genetic" evolves at most.

    See Also
    --------
    BatchedDice : Vectorised over all rows, much faster.

    Notes
    -----
    A column stays as it is for all rows if the background holds a single value of it,
    if it holds times, or if the teacher does not read it; and for one row, if the cell
    is missing there or is a category that the background does not know. No missing
    cell is ever filled in an answer. A cell that changes takes a value between the
    column's smallest and largest in the background, a whole number if these all are,
    or one of its categories. Where background cells are missing, dice-ml is shown the
    column's median (of categories in their order).

    These faults of dice-ml 0.12 are contained:

    - It seeds or uses the global states of ``random`` and ``numpy.random``: they are
      restored after each row, and only one thread searches at a time. A thread that
      draws from them meanwhile, outside of this class, still disturbs the search.
    - It shows a progress bar, prints, warns, and raises if no row has an answer: here
      a row without an answer is marked as such. If no row has any and dice-ml failed,
      one warning tells why.
    - "genetic" never returns if the target cannot be reached: see `time_limit`.
    - It cuts numbers to 32 bits, and refuses missing cells, booleans, unsigned
      integers and arrays: it is shown numbers scaled to [0, 1] and categories as
      strings, and its answers are brought back to the exact values.
    - Rounding after the search can lose the target: every answer is put to the teacher
      again. dice-ml's post-hoc sparsity, without effect on regressors, stays off.

    References
    ----------
    .. [1] R. K. Mothilal, A. Sharma, C. Tan. "Explaining Machine Learning Classifiers
       through Diverse Counterfactual Explanations". FAT* 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcoop.counterfactuals import StockDice
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = LogisticRegression(max_iter=1000).fit(X, y)
    >>> engine = StockDice(method="random")
    >>> answer = engine.generate(
    ...     teacher, X[50:53], y[50:53], background=X, random_state=0
    ... )
    >>> answer.valid
    array([ True,  True,  True])
    >>> bool((answer.proba_after >= (1 + answer.proba_before) / 2).all())
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "method": [StrOptions({"random", "genetic", "kdtree"})],
        "time_limit": [Interval(Real, 0, None, closed="neither")],
        "sample_size": [Interval(Integral, 1, None, closed="left")],
        "max_iterations": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        method: str = "random",
        *,
        time_limit: float = 10.0,
        sample_size: int = 1000,
        max_iterations: int = 500,
    ):
        self.method = method
        self.time_limit = time_limit
        self.sample_size = sample_size
        self.max_iterations = max_iterations

    def generate(
        self,
        teacher: Any,
        X: Any,
        y: Any,
        *,
        background: Any,
        alpha: float = 0.5,
        random_state: Any = None,
    ) -> Counterfactuals:
        """Look for a more typical version of each row in the teacher's eyes.

        Parameters
        ----------
        teacher : classifier
            Fitted, with ``predict_proba`` and ``classes_``.
        X : ndarray or data frame of shape (n_rows, n_features)
            Rows to answer for.
        y : array-like of shape (n_rows,)
            Their true classes.
        background : ndarray or data frame of shape (n_samples, n_features)
            Rows that give ranges and categories, and what "kdtree" may answer.
        alpha : float, default=0.5
            The target is ``p + alpha * (1 - p)`` for a row of probability p.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws. An int makes the answers repeatable, apart from searches
            that the time limit ends; None takes one seed for each row from NumPy's
            global state, as scikit-learn does.

        Returns
        -------
        Counterfactuals
            One virtual instance for each row. A row that its target allows to stay as
            it is, such as one of which the teacher is certain, is answered only if a
            changed row reaches the target as well.
        """
        started = perf_counter()
        self._validate_params()
        validate_parameter_constraints(
            {
                "alpha": [Interval(Real, 0, 1, closed="both")],
                "random_state": ["random_state"],
            },
            {"alpha": alpha, "random_state": random_state},
            "generate",
        )
        X, background = checked_tables(X, background)
        labels = checked_labels(y, X.shape[0])
        search = _Search(self, teacher, X, background)
        codec, oracle = search.codec, search.oracle
        Z = codec.encode(X)
        before = oracle.proba(Z, labels, row_labels(X))
        target = np.minimum(target_probability(before, alpha), 1.0)
        with _LOCK:  # or a seed might be drawn from the state of another search
            seeds = check_random_state(random_state).randint(2**31, size=len(Z))
        found = Z.copy()
        columns = {row: search.view.columns(Z[row]) for row in oracle.known(labels)}
        # Rows that share an explainer follow each other, so that one is kept at a time.
        for row in sorted(columns, key=columns.__getitem__):
            oracle.pose(Z[row], labels[[row]], target[row], columns[row])
            found[row] = search.answer(int(seeds[row]))
        # As the container holds them: rounding may have taken a change back.
        found = np.array(codec.encode(codec.decode(found)))
        valid = np.array(~same_cells(found, Z).all(axis=1))
        after = before.copy()
        after[valid] = oracle.proba(found[valid], labels[valid])
        lost = valid & (after < target - TOLERANCE)
        valid[lost], found[lost], after[lost] = False, Z[lost], before[lost]
        search.warn_if_useless(valid)
        return Counterfactuals(
            X_cf=codec.decode(found, row_labels(X)),
            valid=valid,
            proba_before=before,
            proba_after=after,
            n_predictions=oracle.n_predictions,
            seconds=perf_counter() - started,
            donor=np.where(valid, search.rows_repeated(found, columns), -1),
            target=target,
        )


class _View:
    """The table as dice-ml is shown it, and the way back.

    Numbers go from 0 to 1 (dice-ml keeps 32 bits only, which large numbers do not
    survive), coded values are strings, and only columns that may change appear.
    """

    def __init__(
        self, codec: TableCodec, background: FloatMatrix, reads: NDArray[np.bool_]
    ):
        self.coded = codec.coded
        self.known = [np.unique(cells[np.isfinite(cells)]) for cells in background.T]
        self.low = np.array([v[0] if len(v) else 0.0 for v in self.known])
        self.high = np.array([v[-1] if len(v) else 0.0 for v in self.known])
        with np.errstate(over="ignore"):
            span = self.high - self.low
        self.varies = codec.varies & reads & (span > 0) & np.isfinite(span)
        self.span = np.where(self.varies, span, 1.0)
        whole = [bool((v == np.rint(v)).all()) for v in self.known]
        self.whole = codec.integral | np.array(whole, dtype=bool)
        # What is left of a number in dice-ml, by which it is known again.
        self.keys = {
            j: self._scaled(j, self.known[j]).astype(np.float32)
            for j in np.flatnonzero(self.varies).tolist()
        }
        self.background = background.copy()
        for j in np.flatnonzero(self.varies):
            cells = self.background[:, j]
            known = np.isfinite(cells)
            cells[~known] = np.quantile(cells[known], 0.5, method="lower")

    def columns(self, z: FloatMatrix) -> tuple[int, ...]:
        """Return the columns that may change in a row, numbers before codes.

        "genetic" mixes up the precisions of numbers that stand behind categories.
        """
        varies = self.varies & np.isfinite(z)
        for j in np.flatnonzero(varies & self.coded):
            varies[j] = z[j] in self.known[j]
        numbers, codes = varies & ~self.coded, varies & self.coded
        return (*np.flatnonzero(numbers).tolist(), *np.flatnonzero(codes).tolist())

    def show(self, Z: FloatMatrix, columns: tuple[int, ...]) -> pd.DataFrame:
        """Return the columns of encoded rows as dice-ml may see them."""
        shown: dict[str, Any] = {}
        for j in columns:
            if self.coded[j]:
                shown[f"f{j}"] = [f"c{int(code)}" for code in Z[:, j]]
            else:
                shown[f"f{j}"] = self._scaled(j, Z[:, j])
        return pd.DataFrame(shown)

    def read(
        self, frame: pd.DataFrame, z: FloatMatrix, columns: tuple[int, ...]
    ) -> FloatMatrix:
        """Return dice-ml's candidates for the row `z` as encoded rows."""
        Z = np.tile(z, (len(frame), 1))
        for j in columns:
            cells = frame[f"f{j}"]
            if self.coded[j]:
                Z[:, j] = [float(code[1:]) for code in cells]
            else:
                Z[:, j] = self._restored(j, cells.to_numpy(dtype=np.float64), z[j])
        return Z

    def _scaled(self, j: int, values: Any) -> Any:
        return (values - self.low[j]) / self.span[j]

    def _restored(self, j: int, scaled: FloatMatrix, own: float) -> FloatMatrix:
        """Return the numbers meant; those that were shown come back to the last bit."""
        values = np.clip(self.low[j] + scaled * self.span[j], self.low[j], self.high[j])
        if self.whole[j]:
            values = np.rint(values)
        cut = scaled.astype(np.float32)
        place = np.searchsorted(self.keys[j], cut).clip(max=len(self.keys[j]) - 1)
        values = np.where(self.keys[j][place] == cut, self.known[j][place], values)
        return np.where(cut == np.float32(self._scaled(j, own)), own, values)


class _TimeIsUp(Exception):
    """Raised through dice-ml from a question to the teacher, to end the search."""


class _Oracle:
    """The teacher as dice-ml sees it: a regressor over the shown columns.

    Its output is how far the probability of the true class lies above the target, so
    that cutting it to 32 bits, as dice-ml does, cannot move it across the border.
    """

    def __init__(self, teacher: Any, codec: TableCodec, view: _View):
        self.teacher, self.codec, self.view = teacher, codec, view
        self.n_predictions = 0
        self.failure: Exception | None = None
        self.deadline = np.inf

    def proba(
        self, Z: FloatMatrix, labels: NDArray[Any], called: pd.Index | None = None
    ) -> NDArray[np.float64]:
        """Return the teacher's probability of each encoded row's own class.

        Rows of the user are called by their labels.
        """
        if not len(Z):
            return np.zeros(0)
        self.n_predictions += len(Z)
        return true_class_proba(self.teacher, self.codec.decode(Z, called), labels)

    def known(self, labels: NDArray[Any]) -> list[int]:
        """Return the rows whose class the teacher has seen; others have no answer."""
        classes = np.asarray(self.teacher.classes_, dtype=object)
        known = (labels[:, None] == classes).any(axis=1)
        return np.flatnonzero(known).tolist()

    def pose(
        self,
        z: FloatMatrix,
        label: NDArray[Any],
        target: float,
        columns: tuple[int, ...],
    ) -> None:
        """Turn to one row, of which the given columns may change."""
        self.z, self.label, self.target, self.columns = z, label, target, columns

    def predict(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Answer dice-ml, as long as there is time."""
        if perf_counter() > self.deadline:
            raise _TimeIsUp
        Z = self.view.read(frame, self.z, self.columns)
        try:
            proba = self.proba(Z, np.repeat(self.label, len(Z)))
        except Exception as error:
            self.failure = error
            raise
        above = proba - self.target + TOLERANCE
        # The row itself is no answer, even where it reaches the target already.
        same = (self.z == Z)[:, self.columns].all(axis=1)
        return np.where(same, -1.0, above)


class _Search:
    """dice-ml's explainers of one task and how they are asked."""

    def __init__(self, engine: StockDice, teacher: Any, X: Any, background: Any):
        self.engine = engine
        self.codec = TableCodec(stack(background, X))
        reads = columns_read(teacher, self.codec.names)
        self.view = _View(self.codec, self.codec.encode(background), reads)
        self.oracle = _Oracle(teacher, self.codec, self.view)
        self.explainer: tuple[tuple[int, ...], Any] = ((), None)
        self.failures: list[Exception] = []

    def answer(self, seed: int) -> FloatMatrix:
        """Return dice-ml's answer for the oracle's row, or the row if there is none."""
        z, columns = self.oracle.z, self.oracle.columns
        if not columns:
            return z
        with _contained(seed):
            try:
                answer = self._ask(columns, self.view.show(z[None], columns))
            except _TimeIsUp:
                return z
            except Exception as error:
                if error is self.oracle.failure:
                    raise  # the teacher's own error is not dice-ml's
                # This is how dice-ml says that there is no answer.
                if "No counterfactuals found" not in str(error):
                    self.failures.append(error)
                return z
            return self.view.read(answer, z, columns)[0]

    def _ask(self, columns: tuple[int, ...], query: pd.DataFrame) -> pd.DataFrame:
        if columns != self.explainer[0]:
            self.explainer = columns, self._explainer(columns)
        self.oracle.deadline = perf_counter() + self.engine.time_limit
        answers = self.explainer[1].generate_counterfactuals(
            query,
            total_CFs=1,
            desired_range=[0.0, np.inf],
            posthoc_sparsity_param=None,
            **self._options(columns),
        )
        return answers.cf_examples_list[0].final_cfs_df.head(1)

    def _explainer(self, columns: tuple[int, ...]) -> Any:
        import dice_ml

        frame = self.view.show(self.view.background, columns)
        numbers = [f"f{j}" for j in columns if not self.view.coded[j]]
        data = dice_ml.Data(
            dataframe=frame.assign(**{_OUTCOME: 0.0}),
            continuous_features=numbers,
            continuous_features_precision=dict.fromkeys(numbers, _DECIMALS),
            outcome_name=_OUTCOME,
        )
        model = dice_ml.Model(
            model=self.oracle, backend="sklearn", model_type="regressor"
        )
        return dice_ml.Dice(data, model, method=self.engine.method)

    def _options(self, columns: tuple[int, ...]) -> dict[str, Any]:
        if self.engine.method == "random":
            return {"sample_size": self.engine.sample_size}
        if self.engine.method == "kdtree":
            return {}
        options: dict[str, Any] = {"maxiterations": self.engine.max_iterations}
        if self.view.coded[list(columns)].all():
            # Proximity is measured on numbers only; without any it is 0 / 0.
            options["proximity_weight"] = 0.0
        return options

    def rows_repeated(
        self, Z: FloatMatrix, columns: Mapping[int, tuple[int, ...]]
    ) -> NDArray[np.intp]:
        """Return the background row that an answer repeats where it could change.

        "kdtree" hands out nothing else, "genetic" often does. -1 where there is none.
        """
        donor = np.full(len(Z), -1, dtype=np.intp)
        for own in {own for own in columns.values() if own}:
            rows = [row for row, others in columns.items() if others == own]
            known, first = np.unique(
                content_keys(self.view.background[:, own]), return_index=True
            )
            asked = content_keys(Z[np.ix_(rows, own)])
            place = np.searchsorted(known, asked).clip(max=len(known) - 1)
            donor[rows] = np.where(known[place] == asked, first[place], -1)
        return donor

    def warn_if_useless(self, valid: NDArray[np.bool_]) -> None:
        """Say why if there is no answer at all and dice-ml failed."""
        if self.failures and not valid.any():
            warnings.warn(
                f"dice-ml answered none of {len(valid)} rows and failed on "
                f"{len(self.failures)} of them, first with {self.failures[0]!r}.",
                RuntimeWarning,
                stacklevel=3,
            )


@contextmanager
def _contained(seed: int) -> Iterator[None]:
    """Let dice-ml run without a trace: draws, bars, prints and warnings stay inside."""
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from dice_ml.explainer_interfaces import dice_random, explainer_base

        bar = explainer_base.tqdm
        states = random.getstate(), np.random.get_state()  # noqa: NPY002
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        # Only dice-ml's own names are replaced: other threads may go on printing.
        explainer_base.tqdm = iter
        vars(dice_random)["print"] = lambda *args, **kwargs: None
        try:
            yield
        finally:
            explainer_base.tqdm = bar
            vars(dice_random).pop("print", None)
            random.setstate(states[0])
            np.random.set_state(states[1])  # noqa: NPY002
