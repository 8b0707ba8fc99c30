"""What lessons and students reveal of the rows that they come from.

Nearness: how far a lesson is from the nearest training row of the silo that it was made
from, on the columns that its student reads, as the root of the mean squared change of a
column (0 to 1); 0 would be a copy. As a measure, the same distance of each training row
to the nearest other one of its silo.

Membership inference: an attacker who has a student, a row and its label guesses whether
the row was trained on, from the probability that the student gives to the label (S.
Yeom et al., CSF 2018). Some of the rows shown are training rows of one silo, the others
rows of that silo that nobody has seen. The advantage is 2 AUC - 1: 0 is a coin, 1 is
certainty.
"""

import warnings

import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks import baselines, settings
from benchmarks.formatting import mean_and_error, table
from benchmarks.splits import side_by_side
from skcoop._columns import columns_read
from skcoop._distances import RowMetric
from skcoop._frames import TableCodec, stack, take

SETTINGS = {
    "hospitals": settings.four_hospitals,
    "small_hospitals": settings.three_hospitals,
    "credit": settings.credit_by_job,
}


def nearness(model, setting):
    """Return distances of lessons to their silo's rows, and of rows to each other."""
    codec = TableCodec(stack(setting.X, setting.X_test))
    Z = codec.encode(setting.X)
    metric = RowMetric(codec, Z)
    lessons = model.lessons_
    cells = lessons[[f"x__{name}" for name in codec.names]].set_axis(
        codec.names, axis=1
    )
    virtual = codec.encode(cells.astype(setting.X.dtypes))
    silos = setting.owners[lessons["source_row"].to_numpy(dtype=int)]
    found = {"lessons": [], "rows": []}
    for student, silo in set(zip(lessons["student"], silos, strict=True)):
        columns = columns_read(model.named_estimators_[student], codec.names)
        own = Z[setting.owners == silo]
        mine = virtual[(silos == silo) & (lessons["student"] == student)]
        _, distance = metric.nearest(mine, own, columns=columns)
        found["lessons"].append(np.sqrt(distance[:, 0] / columns.sum()))
        # The nearest row to a row is the row itself.
        _, distance = metric.nearest(own, own, k=2, columns=columns)
        found["rows"].append(np.sqrt(distance[:, 1] / columns.sum()))
    return {kind: np.concatenate(distances) for kind, distances in found.items()}


def advantage(model, setting, seen, unseen):
    """Return how well the model's probabilities tell seen rows from unseen ones."""
    X = stack(take(setting.X, seen), take(setting.X_test, unseen))
    y = np.concatenate([setting.y[seen], setting.y_test[unseen]])
    proba = np.zeros(len(y))
    answers = model.predict_proba(X)
    for position, label in enumerate(model.classes_):
        proba[y == label] = answers[y == label, position]
    trained_on = np.arange(len(y)) < len(seen)
    return 2 * roc_auc_score(trained_on, proba) - 1


def one_split(name, options, seed):
    """Return the mean advantages by kind of model, and what lessons are near to."""
    warnings.simplefilter("ignore")
    setting = SETTINGS[name](options.data_home, seed)
    model = baselines.distiller(setting, seed)
    kinds = {
        "alone": model.initial_estimators_,
        "after": model.estimators_,
        "raw deficient rows": baselines.raw_deficient_rows(setting, seed),
        "pooled raw rows": baselines.pooled(setting, seed),
    }
    near = nearness(model, setting)
    result = {
        "copies among the lessons": (near["lessons"] == 0).sum(),
        "least distance of a lesson": near["lessons"].min(),
        "median distance of a lesson": np.median(near["lessons"]),
        "median distance of a row": np.median(near["rows"]),
    }
    for kind, models in kinds.items():
        gains = {"own": [], "others": []}
        for (student, _), fitted in zip(setting.members, models, strict=True):
            for silo in np.unique(setting.owners):
                seen = np.flatnonzero(setting.owners == silo)
                unseen = np.flatnonzero(setting.owners_test == silo)
                whose = "own" if silo == student else "others"
                gains[whose].append(advantage(fitted, setting, seen, unseen))
        result |= {f"{kind}, {whose}": np.mean(g) for whose, g in gains.items()}
    return result


def run(options):
    """Return the page."""
    jobs = [(name, options, seed) for name in SETTINGS for seed in range(options.seeds)]
    splits = side_by_side(one_split, jobs, options)
    by = {
        key: np.array([split[key] for split in splits]).reshape(len(SETTINGS), -1)
        for key in splits[0]
    }
    distances = [key for key in by if key.startswith("median")]
    near = [
        [
            name,
            f"{by['copies among the lessons'][k].sum():.0f}",
            f"{by['least distance of a lesson'][k].min():.1e}",
            *(mean_and_error(by[key][k]) for key in distances),
        ]
        for k, name in enumerate(SETTINGS)
    ]
    kinds = [key.removesuffix(", own") for key in by if key.endswith(", own")]
    lines = [
        [f"{name}: rows of {'its own silo' if whose == 'own' else 'other silos'}"]
        + [mean_and_error(by[f"{kind}, {whose}"][k]) for kind in kinds]
        for k, name in enumerate(SETTINGS)
        for whose in ("own", "others")
    ]
    return "\n".join(
        [
            __doc__.split("\n", 2)[2].strip(),
            "",
            table(
                ["setting", "copies", "least distance of a lesson", *distances], near
            ),
            "",
            table(["advantage of the attacker on a member", *kinds], lines),
        ]
    )
