"""What the distiller is compared with, on the same silos, members and rows.

Each function takes a `Setting` and a seed and returns the members' models, in order.
Unless it says otherwise, a baseline moves no raw row between silos.
"""

import numpy as np
from sklearn.base import clone

from benchmarks.engines import RawRow, unchecked
from skcoop import ComparativeDistiller, CooperativeDistiller
from skcoop._members._member import FittedMember
from skcoop._members._soft_targets import fit_soft
from skcoop._tables._codec import TableCodec
from skcoop._tables._frames import stack, take


def own_rows(setting, name):
    """Return a silo's rows and labels."""
    rows = np.flatnonzero(setting.owners == name)
    return take(setting.X, rows), setting.y[rows]


def alone(setting, seed):
    """Each member on its own rows."""
    return [clone(m).fit(*own_rows(setting, name)) for name, m in setting.members]


def pooled(setting, seed):
    """Each member's algorithm, with its columns, on everybody's raw rows."""
    fitted = {}  # equal members become the same model
    for _, member in setting.members:
        if repr(member) not in fitted:
            fitted[repr(member)] = clone(member).fit(setting.X, setting.y)
    return [fitted[repr(member)] for _, member in setting.members]


def distiller(setting, seed, **params):
    """Fit the distiller with the setting's options and others."""
    options = {"random_state": seed, **setting.options, **params}
    return CooperativeDistiller(setting.members, **options).fit(
        setting.X, setting.y, silos=setting.owners
    )


def raw_distiller(setting, seed):
    """Fit the distiller with deficient rows themselves for lessons; moves raw rows."""
    with unchecked():
        return distiller(setting, seed, counterfactuals=RawRow())


def raw_deficient_rows(setting, seed):
    """The same lessons and gate with the deficient rows themselves; moves raw rows."""
    return raw_distiller(setting, seed).estimators_


def _targets(setting, seed, choose):
    """Yield each silo's member, rows and targets: half a vote for the row's own label.

    The other half is for what `choose` makes of the others' answers and the labels.
    """
    classes = np.unique(setting.y)
    models = alone(setting, seed)
    for k, (name, member) in enumerate(setting.members):
        X, y = own_rows(setting, name)
        proba = np.array(
            [
                FittedMember(name, m, classes).predict_proba(X)
                for j, m in enumerate(models)
                if j != k
            ]
        )
        targets = (choose(proba, y) + (y[:, None] == classes)) / 2
        # What is negligible would cost a row each.
        targets[targets < 1e-3] = 0.0
        yield member, X, targets / targets.sum(axis=1, keepdims=True)


def _average(proba, y):
    return proba.mean(axis=0)


def response_of_the_average(setting, seed):
    """Response-based distillation: the mean of the others' answers to own rows."""
    classes = np.unique(setting.y)
    return [
        fit_soft(member, X, targets, classes, seed=seed)
        for member, X, targets in _targets(setting, seed, _average)
    ]


def response_of_the_best(setting, seed):
    """Response-based distillation: the other who is right most often on own rows."""
    classes = np.unique(setting.y)

    def best(proba, y):
        return proba[(classes[proba.argmax(axis=2)] == y).mean(axis=1).argmax()]

    return [
        fit_soft(member, X, targets, classes, seed=seed)
        for member, X, targets in _targets(setting, seed, best)
    ]


def relation_based(setting, seed):
    """Relation-based distillation: how the others' mean answers to own rows differ.

    Comparisons of these answers give targets for 500 virtual rows beside the own ones.
    """
    options = {"classes": np.unique(setting.y), "accept": None, "random_state": seed}
    return [
        ComparativeDistiller(None, member, **options)
        .fit(X, teacher_proba=targets)
        .student_
        for member, X, targets in _targets(setting, seed, _average)
    ]


def parameter_transfer(setting, seed):
    """Train on, from the average of the others' parameters; for equal networks only."""
    classes = np.unique(setting.y)
    networks = [clone(member) for _, member in setting.members]
    for network, (name, _) in zip(networks, setting.members, strict=True):
        X, y = own_rows(setting, name)
        for _ in range(network.max_iter):
            network.partial_fit(X, y, classes=classes)
    layers = [(n.coefs_, n.intercepts_) for n in networks]
    students = []
    for k, (name, member) in enumerate(setting.members):
        X, y = own_rows(setting, name)
        student = clone(member).partial_fit(X, y, classes=classes)
        others = [layer for j, layer in enumerate(layers) if j != k]
        student.coefs_, student.intercepts_ = (
            [np.mean(parts, axis=0) for parts in zip(*kind, strict=True)]
            for kind in zip(*others, strict=True)
        )
        for _ in range(member.max_iter):
            student.partial_fit(X, y)
        students.append(student)
    return students


def mixup(setting, seed):
    """Self-supervised: as many mixtures of two own rows, labelled as the nearer one.

    H. Zhang et al.: mixup. ICLR 2018. Categories are taken from the nearer row.
    """
    draw = np.random.default_rng(seed)
    codec = TableCodec(setting.X)
    students = []
    for name, member in setting.members:
        X, y = own_rows(setting, name)
        Z = codec.encode(X)
        first, second = draw.permutation(len(y)), draw.permutation(len(y))
        share = draw.beta(0.2, 0.2, size=len(y))
        share = np.maximum(share, 1 - share)[:, None]
        mixed = share * Z[first] + (1 - share) * Z[second]
        nearer = codec.coded | np.isnan(mixed)
        mixed = np.where(nearer, Z[first], mixed)
        students.append(
            clone(member).fit(
                stack(X, codec.decode(mixed)), np.concatenate([y, y[first]])
            )
        )
    return students


def smote(setting, seed):
    """Self-supervised: as many virtual rows between neighbours of a class.

    N. V. Chawla et al.: SMOTE, JAIR 16, 2002, by imbalanced-learn; in place of the
    paper's generative network. Missing cells are imputed for it.
    """
    codec = TableCodec(setting.X)
    students = []
    for name, member in setting.members:
        X, y = own_rows(setting, name)
        new, labels = smote_rows(codec.encode(X), y, codec.coded, seed)
        students.append(
            clone(member).fit(stack(X, codec.decode(new)), np.concatenate([y, labels]))
        )
    return students


def smote_rows(Z, y, coded, seed):
    """Return as many virtual rows and labels as a silo has encoded rows."""
    from imblearn.over_sampling import SMOTE, SMOTENC

    Z = np.where(np.isnan(Z).all(axis=0), 0.0, Z)
    Z = np.where(np.isnan(Z), np.nanmedian(Z, axis=0), Z)
    classes, counts = np.unique(y, return_counts=True)
    wanted = {c: 2 * n if n > 1 else n for c, n in zip(classes, counts, strict=True)}
    # A class of two rows has one neighbour; the sampler wants a number for all.
    options = {
        "sampling_strategy": wanted,
        "k_neighbors": int(np.clip(counts[counts > 1].min() - 1, 1, 5)),
        "random_state": seed,
    }
    places = np.flatnonzero(coded).tolist()
    sampler = SMOTENC(places, **options) if places else SMOTE(**options)
    new, labels = sampler.fit_resample(Z, y)
    return new[len(y) :], labels[len(y) :]
