"""Rules against a silo whose labels or rows are wrong, by accident or on purpose.

Each is a context in which the distiller is fitted, like those of `variants`. The rule
of the package is the one called `both`.
"""

from contextlib import ExitStack, contextmanager
from dataclasses import replace
from unittest import mock

import numpy as np

from skcoop import CooperativeDistiller
from skcoop._cooperative import _layout
from skcoop._cooperative._credibility import Credibility, credible_silos
from skcoop._cooperative._plan import Rules
from skcoop._cooperative._silo import Silo


class TwoWitnesses(Credibility):
    """Ask for one witness more than the package does, where there may be two."""

    def witnessed(self, task, silo, right):
        apart = (self.members & (self.homes != silo))[:, None]
        able = apart & self.knows[:, task.codes]
        needed = np.minimum(able.sum(axis=0) - able, 2)
        there = (apart & right).sum(axis=0) - (apart & right)
        return self.credible[silo] & (there >= needed)


class NoWitness(Credibility):
    """Believe all rows of credible silos."""

    def witnessed(self, task, silo, right):
        return np.full(right.shape, self.credible[silo])


class OnProbation(Credibility):
    """Let silos that are contradicted teach, but not judge."""

    @property
    def members(self):
        return np.ones(len(self.homes), dtype=bool)

    def witnessed(self, task, silo, right):
        return everybody(as_kind(Credibility, self)).witnessed(task, silo, right)


def everybody(found):
    """Return what was found, with all silos believed."""
    return replace(found, credible=np.ones_like(found.credible))


def as_kind(kind, found):
    """Return what was found, with another way to bear witness."""
    return kind(**vars(found))


def believing(kind=Credibility, find=credible_silos, change=None):
    """Return how silos are found credible, and how rows are witnessed."""

    def believe(standings, homes):
        found = find(standings, homes)
        return as_kind(kind, found if change is None else change(found))

    return believe


def at_once(standings, homes, centre=np.nanmean):
    """Set aside all silos whose others are worse than chance, liars having a say.

    `centre` of the others' accuracies may be a mean, a median or the like.
    """
    found = everybody(credible_silos(standings, homes))
    for silo, (own, least) in enumerate(zip(standings, found.least, strict=True)):
        present = own.counts.any(axis=1)
        if present.sum() > 1 and (homes != silo).any():
            recalls = own.right[:, present] / own.weights[present]
            found.agreement[silo] = centre(recalls[homes != silo].mean(axis=1))
        else:
            found.agreement[silo] = np.nan
        found.credible[silo] = not found.agreement[silo] < least
    return found


def median_at_once(standings, homes):
    """Set silos aside by the median of the others' accuracies."""
    return at_once(standings, homes, np.nanmedian)


def plausible_labels(proba, codes, owners, homes):
    """Tell which labels members from elsewhere find plausible (confident learning).

    A label is not, if the others' mean probability of another class is above that
    class's threshold, the mean over the rows that are labelled so, and above that of
    the label (C. Northcutt, L. Jiang, I. Chuang, JAIR 70, 2021).

    Parameters
    ----------
    proba : ndarray of shape (n_members, n_rows, n_classes)
        Probabilities.
    codes, owners : ndarray of int, shape (n_rows,)
        Label and silo of each row.
    homes : ndarray of int, shape (n_members,)
        Silo of each member.

    Returns
    -------
    plausible : ndarray of bool, shape (n_rows,)
    """
    elsewhere = homes[:, None] != owners
    mean = (proba * elsewhere[:, :, None]).sum(axis=0) / elsewhere.sum(axis=0)[:, None]
    threshold = np.array([mean[codes == c, c].mean() for c in range(proba.shape[2])])
    confident = np.where(mean >= threshold, mean, -1.0)
    best, rows = confident.argmax(axis=1), np.arange(len(codes))
    return ~((best != codes) & (confident[rows, best] > mean[rows, codes]))


class Doubting(Silo):
    """Teaches and judges by rows only whose labels the others find plausible."""

    def believe(self, belief, absent=()):
        super().believe(as_kind(NoWitness, belief), absent)
        proba = np.array(self.now)
        owners = np.full(len(self.task.y), self.number)
        homes = self.plan.homes
        self.plausible = plausible_labels(proba, self.task.codes, owners, homes)

    def survey(self, pairs):
        witnessed, plausible = self.belief.witnessed, self.plausible
        self.belief.witnessed = lambda *args: witnessed(*args) & plausible
        return super().survey(pairs)

    def part(self, proba):
        if not hasattr(self, "plausible"):
            return super().part(proba)
        task = replace(self.task, weights=self.task.weights * self.plausible)
        return self.plan.score.part(task, self.rows, proba)


def lying_silos(silos):
    """Return silos of which some lie in the sums that they report, too.

    They say that all members are right about their rows, and that every refit is right
    about all rows where the member was wrong.
    """

    class Forging(Silo):
        @property
        def lies(self):
            return self.number in silos

        def _judged(self, parts, first):
            judged = super()._judged(parts, first)
            if not self.lies:
                return judged
            right = np.eye(len(self.plan.classes))[self.task.codes]
            said = self.part(1.0 - right if first else right)
            judged.parts = dict.fromkeys(parts, said)
            if first:
                standing = judged.standing
                everything = np.tile(standing.weights, (len(standing.right), 1))
                named = np.ones_like(standing.named)
                judged.standing = replace(standing, right=everything, named=named)
            return judged

        def believe(self, belief, absent=()):
            believed = as_kind(NoWitness, belief) if self.lies else belief
            super().believe(believed, absent)

    return Forging


# By name: parameters of the distiller, how silos are believed, and what silos are.
RULES = {
    "none": ({}, believing(NoWitness, change=everybody), Silo),
    "credible silos": ({}, believing(NoWitness), Silo),
    "both": ({}, credible_silos, Silo),
    "both, robust gate": ({"accept": "robust"}, credible_silos, Silo),
}
OTHER_RULES = {
    "a witness": ({}, believing(change=everybody), Silo),
    "both, all silos at once": ({}, at_once, Silo),
    "both, median at once": ({}, median_at_once, Silo),
    "both, contradicted silos teach": ({}, believing(OnProbation), Silo),
    "two witnesses, credible silos": ({}, believing(TwoWitnesses), Silo),
    "plausible labels": ({}, believing(NoWitness, change=everybody), Doubting),
    "credible silos, robust gate": (
        {"accept": "robust"},
        believing(NoWitness),
        Silo,
    ),
}


@contextmanager
def following(rule, forging=()):
    """Fit by a rule, with silos that lie in their sums; yields parameters."""
    params, believe, kind = {**RULES, **OTHER_RULES}[rule]
    kind = lying_silos(list(forging)) if forging else kind
    with ExitStack() as changes:
        rules = Rules(believe=believe)
        changes.enter_context(mock.patch.object(CooperativeDistiller, "_rules", rules))
        changes.enter_context(mock.patch.object(_layout, "Silo", kind))
        yield params
