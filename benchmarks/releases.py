"""Rows that leave their silo: lessons, and what could be handed out instead."""

from dataclasses import dataclass, fields, replace

import numpy as np

from benchmarks import baselines
from skcoop._members._columns_read import columns_read
from skcoop._tables._codec import TableCodec
from skcoop._tables._distances import RowMetric
from skcoop._tables._frames import stack, take

# Floors on the distance of lessons to rows, in units of rows' usual distance.
FLOORS = [0.5, 1.0]


@dataclass
class Release:
    """Rows that students receive from silos other than their own, as floats.

    Attributes
    ----------
    cells : ndarray of shape (n_rows, n_features)
        What a silo never recorded is missing: whoever receives the row knows that a
        value there is none of the silo's.
    labels, silo, student : ndarray of shape (n_rows,)
        The label of each row, the silo that it comes from and who receives it.
    """

    cells: np.ndarray
    labels: np.ndarray
    silo: np.ndarray
    student: np.ndarray

    def __getitem__(self, which):
        return Release(*(getattr(self, field.name)[which] for field in fields(self)))

    def __len__(self):
        return len(self.labels)


class Silos:
    """Training and held-out rows of a setting as floats, and who reads what.

    Attributes
    ----------
    train, held_out : ndarray of shape (n_rows, n_features)
        Encoded rows.
    labels, labels_test : ndarray of shape (n_rows,)
        Their labels.
    owners, owners_test : ndarray of str
        Their silos.
    reads : dict of str to ndarray of bool
        The columns that each member reads.
    """

    def __init__(self, setting, model):
        both = stack(setting.X, setting.X_test)
        self.codec = TableCodec(both)
        self.metric = RowMetric(self.codec, self.codec.encode(both))
        self.train = self.codec.encode(setting.X)
        self.held_out = self.codec.encode(setting.X_test)
        self.labels, self.labels_test = setting.y, setting.y_test
        self.owners, self.owners_test = setting.owners, setting.owners_test
        self.reads = {
            name: columns_read(model.named_estimators_[name], self.codec.names)
            for name, _ in setting.members
        }

    def release(self, cells, labels, silo, student):
        """Return the rows that left their silo, without what it never recorded."""
        left = silo != student
        cells, silo = cells[left], silo[left]
        for name in np.unique(silo):
            unknown = np.isnan(self.train[self.owners == name]).all(axis=0)
            cells[np.ix_(silo == name, unknown)] = np.nan
        return Release(cells, labels[left], silo, student[left])


def equal_halves(setting, seed):
    """Hold out as many rows as are trained on, of each class of each silo.

    Where fewer were held out, some training rows change sides.
    """
    draw = np.random.default_rng(seed)
    X = stack(setting.X, setting.X_test)
    y = np.concatenate([setting.y, setting.y_test])
    owners = np.concatenate([setting.owners, setting.owners_test])
    trained_on = np.arange(len(y)) < len(setting.y)
    train, held_out = [], []
    for rows in strata(y, owners):
        rows = draw.permutation(rows)
        rows = rows[np.argsort(~trained_on[rows], kind="stable")]
        n = min(trained_on[rows].sum(), len(rows) // 2)
        train.append(rows[:n])
        held_out.append(rows[len(rows) - n :])
    return deal(setting, X, y, owners, *map(np.concatenate, (train, held_out)))


def deal(setting, X, y, owners, train, held_out):
    """Return the setting with other training rows and held-out rows."""
    train, held_out = np.sort(train), np.sort(held_out)
    return replace(
        setting,
        X=take(X, train),
        y=y[train],
        owners=owners[train],
        X_test=take(X, held_out),
        y_test=y[held_out],
        owners_test=owners[held_out],
    )


def strata(y, owners):
    """Return the rows of each class of each silo."""
    kinds = [f"{owner} {label}" for owner, label in zip(owners, y, strict=True)]
    _, kinds = np.unique(kinds, return_inverse=True)
    return [np.flatnonzero(kinds == kind) for kind in range(kinds.max() + 1)]


def lessons(silos, model):
    """Return the lessons of a fitted distiller that left the silo of their row."""
    found, names = model.lessons_, silos.codec.names
    cells = found[[f"x__{name}" for name in names]].set_axis(names, axis=1)
    cells = silos.codec.encode(cells)
    silo = silos.owners[found["source_row"].to_numpy(dtype=int)]
    student = found["student"].to_numpy(dtype=str)
    return silos.release(cells, found["label"].to_numpy(), silo, student)


def to_all_others(silos, cells, labels, owners):
    """Return rows of silos as all members of other silos would receive them."""
    students = np.repeat(list(silos.reads), len(labels))
    n = len(silos.reads)
    return silos.release(
        np.tile(cells, (n, 1)), np.tile(labels, n), np.tile(owners, n), students
    )


def smote(silos, seed):
    """Return rows between neighbours of a class, that each silo made of its own."""
    names = np.unique(silos.owners)
    made = []
    for name in names:
        own = silos.owners == name
        rows = silos.train[own], silos.labels[own]
        made.append(baselines.smote_rows(*rows, silos.codec.coded, seed))
    owners = np.repeat(names, [len(labels) for _, labels in made])
    cells, labels = (np.concatenate(part) for part in zip(*made, strict=True))
    # Between whole numbers there are fractions, which nobody would hand out.
    cells = np.where(silos.metric.integral, np.rint(cells), cells)
    return to_all_others(silos, cells, labels, owners)


def all_releases(setting, model, seed):
    """Return the silos' rows and what each way of cooperation hands out, by name.

    Held-out rows are a measure of what rows look like that nobody was trained on.
    """
    silos = Silos(setting, model)
    raw = baselines.raw_distiller(setting, seed)
    floors = {
        f"lessons, min_distance={floor}": lessons(
            silos, baselines.distiller(setting, seed, min_distance=floor)
        )
        for floor in FLOORS
    }
    held_out = silos.held_out, silos.labels_test, silos.owners_test
    return silos, {
        "lessons": lessons(silos, model),
        **floors,
        "raw deficient rows": lessons(silos, raw),
        "SMOTE rows": smote(silos, seed),
        "training rows": to_all_others(silos, silos.train, silos.labels, silos.owners),
        "held-out rows": to_all_others(silos, *held_out),
    }
