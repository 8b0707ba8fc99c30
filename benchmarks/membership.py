"""Membership inference: was a row among those that a model was trained on?

The simple attack goes by the probability that the model gives to the row's label. The
attack by likelihood ratio asks how unlikely its logit is under shadow models that were
trained without the row (N. Carlini et al.: Membership Inference Attacks From First
Principles. IEEE S&P 2022; the offline attack). With as few shadow models as here, the
online attack, which also has shadow models with the row, was weaker on rows of other
silos: the means of both kinds are uncertain.
"""

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

from benchmarks import baselines
from benchmarks.releases import deal, strata
from skcoop._tables._frames import stack

# Probabilities nearer to 0 or 1 are as good as these: logits have to be finite.
SURE = 1e-3
LEAST_VARIANCE = 1e-6
RATES = 0.01, 0.05


def worlds(setting, n_pairs, seed):
    """Deal rows to pairs of worlds: what one trains on, the other has not seen.

    The first world is the setting itself. Every row is in half of the worlds, and as
    many rows of each class of each silo are in all of them, where the setting has as
    many held-out rows as training rows.

    Returns
    -------
    inside : ndarray of bool, shape (2 * n_pairs, n_rows)
        Which rows each world trains on, of training rows and then held-out rows.
    """
    draw = np.random.default_rng(seed)
    y = np.concatenate([setting.y, setting.y_test])
    owners = np.concatenate([setting.owners, setting.owners_test])
    inside = np.zeros((2 * n_pairs, len(y)), dtype=bool)
    inside[0, : len(setting.y)] = True
    for world in range(2, 2 * n_pairs, 2):
        for rows in strata(y, owners):
            inside[world, draw.permutation(rows)[: len(rows) // 2]] = True
    inside[1::2] = ~inside[::2]
    return inside


def models_of(setting, seed):
    """Fit every kind of model on a setting; for each kind, one model a member."""
    model = baselines.distiller(setting, seed)
    return {
        "alone": model.initial_estimators_,
        "after": model.estimators_,
        "raw deficient rows": baselines.raw_deficient_rows(setting, seed),
        "pooled raw rows": baselines.pooled(setting, seed),
    }


def attacked(setting, n_pairs, seed):
    """Attack the models of each world, all worlds of other pairs being its shadows.

    Returns
    -------
    figures : dict of (str, str, str) to dict of str to float
        By kind of model, by whose rows are asked about ("own" silo or "others") and by
        attack: the figures of `success` in the mean over members and silos.
    """
    y = np.concatenate([setting.y, setting.y_test])
    owners = np.concatenate([setting.owners, setting.owners_test])
    inside = worlds(setting, n_pairs, seed)
    found = {}
    for kind, proba in answers_of_all(setting, y, owners, inside, seed).items():
        for (student, _), own in zip(setting.members, proba, strict=True):
            for silo in np.unique(owners):
                whose = "own" if silo == student else "others"
                for name, figures in both_attacks(
                    own[:, owners == silo], inside[:, owners == silo]
                ).items():
                    found.setdefault((kind, whose, name), []).append(figures)
    return {
        key: {figure: np.mean([one[figure] for one in each]) for figure in each[0]}
        for key, each in found.items()
    }


def answers_of_all(setting, y, owners, inside, seed):
    """Return what each model of each world says of each row's label, by kind.

    They are arrays of shape (n_members, n_worlds, n_rows).
    """
    X = stack(setting.X, setting.X_test)
    answers = {}
    for mine in inside:
        rows = np.flatnonzero(mine), np.flatnonzero(~mine)
        fitted = models_of(deal(setting, X, y, owners, *rows), seed)
        for kind, models in fitted.items():
            own = [probability_of(model, X, y) for model in models]
            answers.setdefault(kind, []).append(own)
    return {kind: np.swapaxes(own, 0, 1) for kind, own in answers.items()}


def probability_of(model, X, y):
    """Return the probability that a model gives to each row's own label."""
    proba = np.zeros(len(y))
    answers = model.predict_proba(X)
    for position, label in enumerate(model.classes_):
        proba[y == label] = answers[y == label, position]
    return proba


def both_attacks(proba, inside):
    """Return the figures of the simple attack and of the one by likelihood ratio."""
    sure = np.clip(proba, SURE, 1 - SURE)
    attacks = {
        "simple": proba,
        "likelihood ratio": likelihood_ratio(np.log(sure / (1 - sure)), inside),
    }
    return {
        name: success(scores.ravel(), inside.ravel())
        for name, scores in attacks.items()
    }


def likelihood_ratio(logits, inside):
    """Return how far each logit lies above those of shadow models without the row.

    In standard deviations: the further above, the less likely without the row. Worlds
    2 k and 2 k + 1 are a pair, and shadows are those of other pairs: within its own, a
    row would have more shadows where it was trained on, which tells it by itself.
    """
    pair = np.arange(len(logits)) // 2
    above = np.empty_like(logits)
    for world, own in enumerate(logits):
        others = pair != pair[world]
        without = np.where(inside[others], np.nan, logits[others])
        variance = np.nanvar(without, axis=0, ddof=1)
        # Few models tell a row's variance badly, and all rows' at once well.
        variance = (variance + variance.mean()) / 2 + LEAST_VARIANCE
        above[world] = (own - np.nanmean(without, axis=0)) / np.sqrt(variance)
    return above


def success(scores, trained_on):
    """Return the advantage, and shares of members found at rates of false alarms."""
    false, true, _ = roc_curve(trained_on, scores)
    found = {"advantage": 2 * roc_auc_score(trained_on, scores) - 1}
    return found | {
        f"found at {rate:.0%}": np.interp(rate, false, true) for rate in RATES
    }
