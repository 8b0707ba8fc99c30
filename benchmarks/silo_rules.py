"""Rules against a silo whose labels or rows are wrong, by accident or on purpose.

Each is a context in which the distiller is fitted, like those of `variants`. The rule
of the package is the one called `both`.
"""

from contextlib import contextmanager, nullcontext
from dataclasses import replace
from unittest import mock

import numpy as np

from skcoop._cooperative import _distiller
from skcoop._cooperative._credibility import Credibility, credible_silos
from skcoop._cooperative._gate import Gate


class TwoWitnesses(Credibility):
    """Ask for one witness more than the package does, where there may be two."""

    def witnessed(self, task, right):
        apart = self.members[:, None] & (self.homes[:, None] != task.silos)
        able = apart & self.knows[:, task.codes]
        needed = np.minimum(able.sum(axis=0) - able, 2)
        there = (apart & right).sum(axis=0) - (apart & right)
        return self.credible[task.silos] & (there >= needed)


class NoWitness(Credibility):
    """Believe all rows of credible silos."""

    def witnessed(self, task, right):
        return np.tile(self.credible[task.silos], (len(right), 1))


class OnProbation(Credibility):
    """Let silos that are contradicted teach, but not judge."""

    @property
    def members(self):
        return np.ones(len(self.homes), dtype=bool)

    def witnessed(self, task, right):
        return everybody(as_kind(Credibility, self)).witnessed(task, right)


def everybody(found):
    """Return what was found, with all silos believed."""
    return replace(found, credible=np.ones_like(found.credible))


def as_kind(kind, found):
    """Return what was found, with another way to bear witness."""
    return kind(**vars(found))


def at_once(task, members, answers, centre=np.nanmean):
    """Set aside all silos whose others are worse than chance, liars having a say.

    `centre` of the others' accuracies may be a mean, a median or the like.
    """
    found = everybody(credible_silos(task, members, answers))
    for silo, least in enumerate(found.least):
        elsewhere = [k for k, home in enumerate(found.homes) if home != silo]
        accuracies = [_balanced_accuracy(task, answers[k], silo) for k in elsewhere]
        agreement = centre(accuracies) if accuracies else np.nan
        found.agreement[silo] = agreement
        found.credible[silo] = not agreement < least
    return found


def median_at_once(task, members, answers):
    """Set silos aside by the median of the others' accuracies."""
    return at_once(task, members, answers, np.nanmedian)


def _balanced_accuracy(task, said, silo):
    """Return a member's mean recall in a silo, NaN where there is a single class."""
    rows = task.silo(silo)
    recalls = [
        np.average(said[own] == code, weights=task.weights[own])
        for code in np.unique(task.codes[rows])
        for own in [rows[task.codes[rows] == code]]
    ]
    return np.mean(recalls) if len(recalls) > 1 else np.nan


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


@contextmanager
def plausible():
    """Teach and judge by rows only whose labels the others find plausible."""
    cross_fit, qualify = _distiller.cross_fit, _distiller.qualified_teachers
    rehearse = _distiller.rehearsed_rows
    seen = {}

    def catch(task, members, *args, **kwargs):
        judgements = cross_fit(task, members, *args, **kwargs)
        homes = np.array([task.home(member.rows) for member in members])
        proba = np.array([judgement.proba for judgement in judgements])
        seen["rows"] = plausible_labels(proba, task.codes, task.silos, homes)
        return judgements

    def qualified(task, answers, pairs, taught):
        task.judges &= seen["rows"]
        return qualify(task, answers, pairs, taught & seen["rows"])

    def rehearsed(task, members, found, answers, pairs, taught, seed):
        taught = taught & seen["rows"]
        return rehearse(task, members, found, answers, pairs, taught, seed)

    steps = {"qualified_teachers": qualified, "rehearsed_rows": rehearsed}
    with (
        following_credibility(kind=NoWitness, change=everybody),
        mock.patch.multiple(_distiller, cross_fit=catch, **steps),
    ):
        yield


@contextmanager
def following_credibility(found=credible_silos, kind=Credibility, change=None):
    """Replace how silos are found credible, and how rows are witnessed."""

    def find(task, members, answers):
        result = found(task, members, answers)
        return as_kind(kind, result if change is None else change(result))

    with mock.patch.object(_distiller, "credible_silos", find):
        yield


def credible_alone():
    return following_credibility(kind=NoWitness)


@contextmanager
def forged(silos):
    """Let silos lie in the sums that they report, too.

    They say that all members are right about their rows, so that every row has a
    witness, and that every refit is right about all rows where the member was wrong.
    """
    find, judge = _distiller.credible_silos, Gate._judge

    class Forged(Credibility):
        def witnessed(self, task, right):
            lying = np.isin(task.silos, silos) & self.credible[task.silos]
            return self.honest.witnessed(task, right) | lying

    def credible(task, members, answers):
        lying = np.isin(task.silos, silos)
        found = find(task, members, np.where(lying, task.codes, answers))
        twin = as_kind(Forged, found)
        twin.honest = found
        return twin

    def judged(self, task, member, present, new):
        lying = np.isin(task.silos, silos)[:, None]
        right = np.eye(len(task.classes))[task.codes]
        (was, known), (refit, lessons) = present, new
        if refit.failure:
            return judge(self, task, member, present, new)
        worst = replace(was, proba=np.where(lying, 1.0 - right, was.proba))
        best = replace(refit, proba=np.where(lying, right, refit.proba))
        verdict = judge(self, task, member, (worst, known), (best, lessons))
        return replace(verdict, judgement=refit if verdict.accepted else was)

    with (
        mock.patch.object(_distiller, "credible_silos", credible),
        mock.patch.object(Gate, "_judge", judged),
    ):
        yield


# By name: parameters of the distiller, and a context in which it is fitted.
RULES = {
    "none": ({}, lambda: following_credibility(kind=NoWitness, change=everybody)),
    "credible silos": ({}, credible_alone),
    "both": ({}, following_credibility),
    "both, robust gate": ({"accept": "robust"}, following_credibility),
}
OTHER_RULES = {
    "a witness": ({}, lambda: following_credibility(change=everybody)),
    "both, all silos at once": ({}, lambda: following_credibility(at_once)),
    "both, median at once": ({}, lambda: following_credibility(median_at_once)),
    "both, contradicted silos teach": (
        {},
        lambda: following_credibility(kind=OnProbation),
    ),
    "two witnesses, credible silos": (
        {},
        lambda: following_credibility(kind=TwoWitnesses),
    ),
    "plausible labels": ({}, plausible),
    "credible silos, robust gate": ({"accept": "robust"}, credible_alone),
}


@contextmanager
def following(rule, forging=()):
    """Fit by a rule, with silos that lie in their sums; yields parameters."""
    params, context = {**RULES, **OTHER_RULES}[rule]
    with context(), forged(list(forging)) if forging else nullcontext():
        yield params
