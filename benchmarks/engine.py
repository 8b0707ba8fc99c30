"""The engine against dice-ml's own searches and NICE, on the same rows in one run."""

import contextlib
import io
import warnings
from time import perf_counter

import dice_ml
import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from benchmarks import keel
from skcoop.counterfactuals import BatchedDice

ALPHA = 0.5
N_ROWS = 1000
SIZES = [10, 100, 1000, 10_000]
# Rows put to the searches that take one at a time; a row costs the same at any number.
FEW = {"random": 30, "kdtree": 30, "genetic": 5, "NICE": 200}
TIME_LIMIT = 20.0


def load(name, data_home):
    if name == "breast_cancer":
        return load_breast_cancer(return_X_y=True, as_frame=True)
    if name == "digits":
        return load_digits(return_X_y=True, as_frame=True)
    return keel.read(name, data_home)


TABLES = ["breast_cancer", "german", "vehicle", "digits"]
OURS = {"batched": BatchedDice()}


def encoded(encoder):
    strings = make_column_selector(dtype_include=["object", "str"])
    return make_column_transformer((encoder, strings), remainder=StandardScaler())


def one_hot():
    return encoded(OneHotEncoder(handle_unknown="ignore", sparse_output=False))


def ordinal():
    unknown = {"handle_unknown": "use_encoded_value", "unknown_value": -1}
    return encoded(OrdinalEncoder(**unknown))


TEACHERS = {
    "linear": lambda: make_pipeline(one_hot(), LogisticRegression(max_iter=1000)),
    "forest": lambda: make_pipeline(one_hot(), RandomForestClassifier(random_state=0)),
    "boosting": lambda: make_pipeline(
        ordinal(), HistGradientBoostingClassifier(random_state=0)
    ),
    "network": lambda: make_pipeline(
        one_hot(), MLPClassifier(max_iter=500, random_state=0)
    ),
}


class Watched:
    """A teacher that counts the rows it is asked about and the time it takes."""

    def __init__(self, teacher):
        self.teacher = teacher
        self.classes_ = teacher.classes_
        self.rows, self.seconds = 0, 0.0

    def predict_proba(self, X):
        started = perf_counter()
        proba = self.teacher.predict_proba(X)
        self.seconds += perf_counter() - started
        self.rows += len(X)
        return proba


class TimeIsUp(Exception):
    """Ends a search that has no end of its own."""


class View:
    """The probability of one class as a regressor, dice-ml's fairest question."""

    def __init__(self, teacher, code, dtypes):
        self.teacher, self.code, self.dtypes = teacher, code, dtypes
        self.deadline = np.inf

    def predict(self, frame):
        if perf_counter() > self.deadline:
            raise TimeIsUp
        frame = frame[list(self.dtypes.index)].astype(self.dtypes)
        return self.teacher.predict_proba(frame)[:, self.code]


def dice(method, teacher, X, codes, target, X_train):
    """Ask dice-ml row by row; what it raises for a row means no answer."""
    answers, explainers = [None] * len(X), {}
    whole = X_train.columns[X_train.dtypes == "int64"]
    frame = X_train.astype(dict.fromkeys(whole, "float64"))
    numbers = list(frame.columns[frame.dtypes == "float64"])
    for i in range(len(X)):
        code = codes[i]
        if code not in explainers:
            view = View(teacher, code, X_train.dtypes)
            outcome = view.predict(frame)
            data = dice_ml.Data(
                dataframe=frame.assign(outcome=outcome),
                continuous_features=numbers,
                outcome_name="outcome",
            )
            model = dice_ml.Model(model=view, backend="sklearn", model_type="regressor")
            explainers[code] = view, dice_ml.Dice(data, model, method=method)
        view, explainer = explainers[code]
        view.deadline = perf_counter() + TIME_LIMIT
        row = X.iloc[[i]].astype(frame.dtypes)
        with contextlib.suppress(Exception), silence():
            found = explainer.generate_counterfactuals(
                row, total_CFs=1, desired_range=[target[i], 1.0]
            )
            answer = found.cf_examples_list[0].final_cfs_df
            if answer is not None and len(answer):
                answers[i] = answer.iloc[[0]][list(X.columns)]
    return answers


@contextlib.contextmanager
def silence():
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


def nice(teacher, X, codes, target, X_train, y_train):
    """Ask NICE row by row, for a binary class "reaches the target"."""
    from nice import NICE

    strings = [j for j, t in enumerate(X_train.dtypes) if t not in ("float64", "int64")]
    levels = {j: np.unique(X_train.iloc[:, j].to_numpy(dtype=str)) for j in strings}

    def encode(frame):
        Z = np.empty(frame.shape)
        for j in range(frame.shape[1]):
            column = frame.iloc[:, j]
            if j in levels:
                Z[:, j] = np.searchsorted(levels[j], column.to_numpy(dtype=str))
            else:
                Z[:, j] = column
        return Z

    def decode(Z):
        if not levels and (X_train.dtypes == "float64").all():
            return pd.DataFrame(Z, columns=X_train.columns)
        columns = {}
        for j, name in enumerate(X_train.columns):
            cells = Z[:, j]
            columns[name] = levels[j][cells.astype(int)] if j in levels else cells
        return pd.DataFrame(columns).astype(X_train.dtypes)

    asked = {}

    def reaches(Z):
        proba = teacher.predict_proba(decode(Z))[:, asked["code"]]
        above = proba - asked["target"]
        return np.column_stack([0.5 - above, 0.5 + above])

    Z_train, Z = encode(X_train), encode(X)
    asked.update(code=0, target=0.5)
    search = NICE(reaches, Z_train, strings, y_train=np.zeros(len(Z_train)))
    search.data.candidates_mask[:] = True
    proba = teacher.predict_proba(X_train)
    answers = [None] * len(X)
    for i in range(len(X)):
        asked.update(code=codes[i], target=target[i])
        # Its classes are those of one threshold; here each row has its own.
        search.data.X_train_class = (proba[:, codes[i]] >= target[i]).astype(int)
        if search.data.X_train_class.any():
            found = search.explain(Z[[i]], target_class=[1])
            answers[i] = decode(found)
    return answers


def ours(engine, teacher, X, y, X_train):
    result = engine.generate(teacher, X, y, background=X_train, alpha=ALPHA)
    return [
        result.X_cf.iloc[[i]] if result.valid[i] else None for i in range(len(X))
    ], result


def gower(first, second, X_train):
    """Return the mean change of a column and the number of changed ones, by row."""
    changes = np.empty(first.shape)
    for j in range(first.shape[1]):
        a, b = first.iloc[:, j].to_numpy(), second.iloc[:, j].to_numpy()
        if first.dtypes.iloc[j] in ("float64", "int64"):
            span = np.ptp(X_train.iloc[:, j].to_numpy()) or 1.0
            changes[:, j] = np.abs(a.astype(float) - b.astype(float)) / span
        else:
            changes[:, j] = a != b
    return changes.mean(axis=1), (changes > 1e-9).sum(axis=1)


def assess(answers, teacher, X, codes, target, X_train):
    """Ask the teacher again about what was returned; keep what is valid."""
    valid = np.zeros(len(X), dtype=bool)
    near, changed = np.full((2, len(X)), np.nan)
    found = [i for i, answer in enumerate(answers) if answer is not None]
    if found:
        given = pd.concat([answers[i] for i in found]).astype(X.dtypes)
        asked = X.iloc[found]
        proba = teacher.predict_proba(given)[np.arange(len(found)), codes[found]]
        near[found], changed[found] = gower(asked, given, X_train)
        reached = proba >= target[found] - 1e-6
        valid[found] = reached & (changed[found] > 0)
    return valid, near, changed
