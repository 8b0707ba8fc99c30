"""The engine against dice-ml's own searches and NICE, on the same rows in one run.

The rows are held out, drawn with replacement, and such that the teacher is right about
them; all are asked for half of the way to certainty. The searches that take one row at
a time get a few of them: a row costs them the same at any number. dice-ml is asked in
the way that suits it best, as for a regressor whose output is the probability of the
class.

Times of the others are without their preparation; ours are with it. NICE is the version
on PyPI, installed without its dependencies: `pip install --no-deps NICEx==0.2.3`.
"""

import contextlib
import io
import tracemalloc
import warnings
from time import perf_counter

import dice_ml
import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from benchmarks import single_tables
from benchmarks.formatting import table
from skcoop.counterfactuals import BatchedDice

SEEDS = 3  # when none are asked for: dice-ml takes minutes for each
ALPHA = 0.5
N_ROWS = 1000
SIZES = [10, 100, 1000, 10_000]
# Rows put to the searches that take one at a time.
FEW = {"random": 15, "kdtree": 15, "genetic": 4, "NICE": 60}
TIME_LIMIT = 20.0
TABLES = ["breast_cancer", "german", "vehicle", "digits"]


def encoded(encoder):
    strings = make_column_selector(dtype_exclude="number")
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
    whole = X_train.columns[X_train.dtypes == "int64"]
    frame = X_train.astype(dict.fromkeys(whole, "float64"))
    numbers = list(frame.columns[frame.dtypes == "float64"])
    explainers = {}
    for code in np.unique(codes):
        view = View(teacher, code, X_train.dtypes)
        data = dice_ml.Data(
            dataframe=frame.assign(outcome=view.predict(frame)),
            continuous_features=numbers,
            outcome_name="outcome",
        )
        model = dice_ml.Model(model=view, backend="sklearn", model_type="regressor")
        explainers[code] = view, dice_ml.Dice(data, model, method=method)

    def search(i):
        view, explainer = explainers[codes[i]]
        view.deadline = perf_counter() + TIME_LIMIT
        found = explainer.generate_counterfactuals(
            X.iloc[[i]].astype(frame.dtypes),
            total_CFs=1,
            desired_range=[target[i], 1.0],
        )
        answer = found.cf_examples_list[0].final_cfs_df
        if answer is not None and len(answer):
            return answer.iloc[[0]][list(X.columns)]
        return None

    return search


def nice(teacher, X, codes, target, X_train):
    """Ask NICE row by row, for the two classes "reaches the target" and "does not"."""
    from nice import NICE

    strings = [j for j, t in enumerate(X_train.dtypes) if t not in ("float64", "int64")]
    levels = {j: np.unique(X_train.iloc[:, j].to_numpy(dtype=str)) for j in strings}
    as_it_is = not levels and (X_train.dtypes == "float64").all()

    def encode(frame):
        Z = np.empty(frame.shape)
        for j in range(frame.shape[1]):
            cells = frame.iloc[:, j]
            if j in levels:
                cells = np.searchsorted(levels[j], cells.to_numpy(dtype=str))
            Z[:, j] = cells
        return Z

    def decode(Z):
        if as_it_is:
            return pd.DataFrame(Z, columns=X_train.columns)
        columns = {
            name: levels[j][Z[:, j].astype(int)] if j in levels else Z[:, j]
            for j, name in enumerate(X_train.columns)
        }
        return pd.DataFrame(columns).astype(X_train.dtypes)

    asked = {"code": 0, "target": 0.5}

    def reaches(Z):
        proba = teacher.predict_proba(decode(Z))[:, asked["code"]]
        above = proba - asked["target"] + 1e-9
        return np.column_stack([0.5 - above, 0.5 + above])

    Z_train, Z = encode(X_train), encode(X)
    search = NICE(reaches, Z_train, strings, y_train=np.zeros(len(Z_train)))
    search.data.candidates_mask[:] = True
    proba = teacher.predict_proba(X_train)

    def search_one(i):
        asked.update(code=codes[i], target=target[i])
        # Its classes are those of one threshold; here each row has its own.
        good = proba[:, codes[i]] >= target[i] - 1e-9
        search.data.X_train_class = good.astype(int)
        return decode(search.explain(Z[[i]], target_class=[1])) if good.any() else None

    return search_one


@contextlib.contextmanager
def silence():
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


def one_by_one(search, n):
    """Ask about the first n rows; return the answers and the seconds for one."""
    answers = [None] * n
    started = perf_counter()
    for i in range(n):
        with contextlib.suppress(Exception), silence():
            answers[i] = search(i)
    return answers, (perf_counter() - started) / n


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
        proba = teacher.predict_proba(given)[np.arange(len(found)), codes[found]]
        near[found], changed[found] = gower(X.iloc[found], given, X_train)
        valid[found] = (proba >= target[found] - 1e-6) & (changed[found] > 0)
    return valid, near, changed


def questions(X, y, make_teacher, seed, n):
    """Fit a teacher and draw n rows that it has right."""
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=1 / 3, random_state=seed, stratify=y
    )
    teacher = make_teacher().fit(X_train, y_train)
    right = np.flatnonzero(teacher.predict(X_test) == y_test)
    draw = np.random.default_rng(seed)
    rows = np.concatenate([draw.permutation(right), draw.choice(right, size=n)])[:n]
    Q = X_test.iloc[rows].reset_index(drop=True)
    labels = np.asarray(y_test)[rows]
    codes = np.searchsorted(teacher.classes_, labels)
    before = teacher.predict_proba(Q)[np.arange(n), codes]
    return teacher, X_train, Q, labels, codes, before, before + ALPHA * (1 - before)


def ours(teacher, Q, labels, X_train):
    """Ask the engine; return its answer, the teacher as watched, and the seconds."""
    watched = Watched(teacher)
    started = perf_counter()
    answer = BatchedDice().generate(watched, Q, labels, background=X_train, alpha=ALPHA)
    return answer, watched, perf_counter() - started


def one_cell(X, y, make_teacher, seed):
    """Compare all searches for one teacher on one table."""
    teacher, X_train, Q, labels, codes, before, target = questions(
        X, y, make_teacher, seed, N_ROWS
    )
    runs = [ours(teacher, Q, labels, X_train) for _ in range(3)]
    answer, watched, seconds = sorted(runs, key=lambda run: run[2])[1]
    answers = [
        answer.X_cf.iloc[[i]] if answer.valid[i] else None for i in range(N_ROWS)
    ]
    valid, near, changed = assess(answers, teacher, Q, codes, target, X_train)
    reachable = teacher.predict_proba(X_train)[:, codes].max(axis=0) >= target
    result = {
        "batched": {
            "ms": 1000 * seconds / N_ROWS,
            "valid": valid.mean(),
            "valid of reachable": valid[reachable].mean(),
            "changed": changed[valid].mean(),
            "asked": watched.rows / max(valid.sum(), 1),
            "wall": seconds / watched.seconds,
        }
    }
    for name, n in FEW.items():
        few = np.arange(n)
        teacher_watched = Watched(teacher)
        some = (teacher_watched, Q[:n], codes[few], target[few], X_train)
        search = nice(*some) if name == "NICE" else dice(name, *some)
        teacher_watched.rows = 0
        found, seconds = one_by_one(search, n)
        theirs, way, columns = assess(
            found, teacher, Q[:n], codes[few], target[few], X_train
        )
        both = theirs & valid[:n]
        strict = both & (before[:n] < 1 - 1e-9)
        result[name] = {
            "ms": 1000 * seconds,
            "valid": theirs.mean(),
            "valid of reachable": theirs[reachable[:n]].mean(),
            "changed": columns[both].mean() if both.any() else np.nan,
            "asked": teacher_watched.rows / max(theirs.sum(), 1),
            # Sums over rows that both solve, to be divided over all seeds.
            "ways": np.array([way[strict].sum(), near[:n][strict].sum()]),
            "all ways": np.array([way[both].sum(), near[:n][both].sum()]),
        }
    return result


def growth(X, y, make_teacher):
    """Return seconds for each number of rows."""
    teacher, X_train, Q, labels, *_ = questions(X, y, make_teacher, 0, max(SIZES))
    ours(teacher, Q[:50], labels[:50], X_train)
    return [
        min(ours(teacher, Q[:n], labels[:n], X_train)[2] for _ in range(3))
        for n in SIZES
    ]


def peak_memory(make_teacher, n=10_000, d=50):
    """Return the most megabytes held during one search, beyond its input."""
    X, y = make_classification(n + 2000, d, n_informative=10, random_state=0)
    X = pd.DataFrame(X, columns=[f"column {j}" for j in range(d)])
    teacher = make_teacher().fit(X[:2000], y[:2000])
    tracemalloc.start()
    ours(teacher, X[2000:], y[2000:], X[:2000])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def spread(values, digits=0):
    """Return the median and the range over the seeds."""
    low, middle, high = np.quantile(np.asarray(values, dtype=float), [0, 0.5, 1])
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def share(seeds, name, key):
    """Return what ours is of theirs, over the rows of all seeds that both solve."""
    theirs, own = np.sum([seed[name][key] for seed in seeds], axis=0)
    return own / theirs if theirs > 0 else np.nan


def compare(cells):
    """Return the lines of the comparison and the worst of each column."""
    lines, worst = [], {}
    for (name, kind), results in cells.items():
        for engine in ["batched", *FEW]:
            own = [result[engine] for result in results]
            line = [name, kind, engine]
            line.append(
                spread([cell["ms"] for cell in own], 3 if engine == "batched" else 1)
            )
            if engine == "batched":
                line += ["", "", "", f"{np.mean([c['changed'] for c in own]):.1f}"]
            else:
                faster = [r[engine]["ms"] / r["batched"]["ms"] for r in results]
                ways = [share(results, engine, key) for key in ("ways", "all ways")]
                line += [spread(faster), *(f"{way:.2f}" for way in ways)]
                line.append(f"{np.mean([c['changed'] for c in own]):.1f}")
                worst.setdefault((engine, kind), []).append(np.median(faster))
                worst.setdefault((engine, "way"), []).append(ways[0])
                worst.setdefault((engine, "all ways"), []).append(ways[1])
            for key in ("valid", "valid of reachable"):
                line.append(f"{np.mean([cell[key] for cell in own]):.3f}")
            line.append(f"{np.mean([cell['asked'] for cell in own]):.0f}")
            if engine == "batched":
                walls = [cell["wall"] for cell in own]
                worst.setdefault(("wall", kind), []).append(np.median(walls))
                reached = np.mean([c["valid of reachable"] for c in own])
                worst.setdefault("reached", []).append(reached)
                line.append(spread(walls, 2))
            else:
                line.append("")
            lines.append(line)
    return lines, worst


def run(options):
    warnings.simplefilter("ignore")
    data = {name: single_tables.load(name, options.data_home) for name in TABLES}
    cells, growths = {}, []
    for name, (X, y) in data.items():
        for kind, make_teacher in TEACHERS.items():
            cells[name, kind] = [
                one_cell(X, y, make_teacher, seed) for seed in range(options.seeds)
            ]
            seconds = growth(X, y, make_teacher)
            slope = np.log10(seconds[-1] / seconds[-2])
            each = [f"{1000 * s / n:.3f}" for s, n in zip(seconds, SIZES, strict=True)]
            growths.append([name, kind, *each, f"{slope:.2f}"])
    lines, worst = compare(cells)
    peaks = [[kind, f"{peak_memory(make):.0f}"] for kind, make in TEACHERS.items()]
    kinds = list(TEACHERS)
    summary = [
        [
            kind,
            *(f"{min(worst[engine, kind]):.0f}" for engine in FEW),
            f"{max(worst['wall', kind]):.2f}",
        ]
        for kind in kinds
    ]
    ways = [
        [
            engine,
            *(f"{np.nanmax(worst[engine, key]):.2f}" for key in ("way", "all ways")),
        ]
        for engine in FEW
    ]
    slopes = [float(line[-1]) for line in growths]
    return "\n".join(
        [
            f"{N_ROWS} rows for `BatchedDice`; for the others {FEW}. Median and range "
            "over the seeds, shares and counts as means.",
            "",
            "## The worst table of each teacher",
            "",
            "How many times faster, and the whole time over the time that the teacher "
            "needs for the same predictions:",
            "",
            table(["teacher", *FEW, "wall / predict"], summary),
            "",
            "How far the answers are from their rows (mean Gower distance), as a share "
            "of theirs, on rows that both solve; the worst of all tables and teachers. "
            "Rows of which the teacher is certain have no stricter target (any change "
            "that keeps the certainty solves them; ours goes half of the way to "
            "another certain row), so they are left out in the first column:",
            "",
            table(["search", "ours / theirs", "with certain rows"], ways),
            "",
            f"- Least share of valid answers where a training row reaches the target: "
            f"{min(worst['reached']):.3f}.",
            f"- Seconds grow with the number of rows to the power of "
            f"{np.median(slopes):.2f} (median; most: {max(slopes):.2f}) from 1000 to "
            "10000 rows.",
            "",
            "## All",
            "",
            table(
                [
                    "table",
                    "teacher",
                    "search",
                    "ms a row",
                    "times slower than ours",
                    "Gower, ours / theirs",
                    "with certain rows",
                    "columns changed",
                    "valid",
                    "valid where reachable",
                    "teacher rows an answer",
                    "wall / predict",
                ],
                lines,
            ),
            "",
            "## Milliseconds a row, for more rows",
            "",
            table(["table", "teacher", *map(str, SIZES), "exponent"], growths),
            "",
            "## Peak memory beyond the input, 10000 rows of 50 columns",
            "",
            table(["teacher", "MB"], peaks),
        ]
    )
