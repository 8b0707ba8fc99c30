"""What lessons and students reveal of the rows that they come from.

Of each class of each silo, as many rows are held out as are trained on: people like
those in the training data, whom nobody has seen. Every figure asks whether training
rows fare worse than these.

**What a silo hands out.** Compared are

- lessons that leave the silo of the row that they were made from;
- lessons with a floor on their distance to rows of their silo (``min_distance``), whose
  price stands among the ablations;
- raw deficient rows: the same rows in place of lessons about them;
- SMOTE rows: as many virtual rows as the silo has, each between two neighbours of a
  class (N. V. Chawla et al.: SMOTE. JAIR 16, 2002), rounded where all rows are whole;
- training rows, the upper bound;
- held-out rows, to see how near people are to each other anyway.

What a silo never recorded is left out: there a lesson holds values of its student's own
rows. Each row that was handed out is compared with the training rows of the silo that
it comes from, on the cells that both know; those with fewer than half of its cells are
passed over.

- *copies*, *one cell*, *two cells*: shares of the rows handed out that differ from the
  most similar training row in no cell, in exactly one, in exactly two. All columns
  count. More than among held-out rows is more than chance.
- *nearer*: the share that is nearer to a training row than to all held-out rows, of
  which there are as many (distance to the closest record; a tie counts half). 0.5 means
  that a row says no more of training rows than of anybody, 1 is a copy. The distance is
  the root of the mean squared change of a cell, 0 to 1, on the columns that the student
  reads.
- *least* and *median distance* to the closest training row.
- *ratio*: the distance to the closest training row by that to the second closest, in
  the median (nearest neighbour distance ratio). Near 0 a row is about one person, near
  1 it may be about either.

These are what reports on synthetic tables have. A release can look well in all of them
and still give people away (Z. Yao et al.: The DCR Delusion. ESORICS 2025), so it is
attacked as well.

**Attacks on what was handed out.** An attacker has all rows that one student received,
cells and labels, and tries the attacks of the package anonymeter (M. Giomi et al.: A
Unified Framework for Quantifying Privacy Risk in Synthetic Data. PoPETs 2023(2)).

- *Singling out*: a description, of one column or of three, that fits exactly one of the
  received rows is right if it fits exactly one person of the silos that sent them.
- *Linkability*: a person is found again, in two tables that have half of the columns
  each, where the two halves have the same nearest received row.
- *Inference*: a cell is guessed from all others by the nearest received row; each
  column in turn, the label too. Numbers count as right within 5 %.

Whole numbers with up to seven values are taken for codes. For distances, a missing code
is a code of its own, and a missing number stands in the middle of its column with a
mark beside it; missing cells are not guessed. The table has the share of attacks that
succeed on training rows and on held-out rows. *Risk* is what the first have more, as a
share of those that fail on held-out rows: 0 means that an attacker learned nothing of
those who were trained on, 1 everything. The interval is the package's, 95 %, for one
split with the mean counts of all splits, as if attacks of several students on one row
had nothing to do with each other. It is cut off at 0 and 1.

**Attacks on students.** An attacker has a student, a row and its label, and guesses
whether the row was in the training data of a silo: the student's own or another one.

- *Simple*: by the probability that the student gives to the label (S. Yeom et al.:
  Privacy Risk in Machine Learning. CSF 2018).
- *Likelihood ratio*: by how far the logit of this probability lies above those of
  shadow models, which were trained in the same way on other halves of the rows, without
  this one (N. Carlini et al.: Membership Inference Attacks From First Principles. IEEE
  S&P 2022; the offline attack). A shadow is the whole computation, all silos and all
  fits, so the attacker needs rows of all silos and must know how models were made. Each
  of the computations is attacked in turn, the others are its shadows.

*Advantage* is 2 AUC - 1: 0 is a coin, 1 is certainty. *Found at 1 %* is the share of
training rows that an attacker recognises who takes 1 % of the held-out rows for
training rows: 0.01 is a coin.
"""

import warnings

import numpy as np

from benchmarks import attacks, baselines, membership, settings
from benchmarks.disclosure import closeness
from benchmarks.formatting import mean_and_error, table
from benchmarks.releases import all_releases, equal_halves
from benchmarks.splits import side_by_side

SETTINGS = {
    "hospitals": settings.four_hospitals,
    "small_hospitals": settings.three_hospitals,
    "credit": settings.credit_by_job,
}
QUICK = "small_hospitals"
ABSENT = (
    "The package anonymeter is not installed: its attacks were left out. "
    "`benchmarks/README.md` says how to install it."
)
WHOSE = {"own": "its own silo", "others": "other silos"}


# Figures of a release, and how their values over the splits are shown.
FIGURES = {
    "rows": lambda values: f"{np.mean(values):.0f}",
    "copies": mean_and_error,
    "one cell": mean_and_error,
    "two cells": mean_and_error,
    "nearer": mean_and_error,
    "least distance": lambda values: f"{np.min(values):.1e}",
    "median distance": mean_and_error,
    "ratio": mean_and_error,
}


def one_split(name, options, seed, attacked):
    """Return the figures of one split, in a dict for each of the page's parts."""
    warnings.simplefilter("ignore")
    setting = equal_halves(SETTINGS[name](options.data_home, seed), seed)
    model = baselines.distiller(setting, seed)
    silos, releases = all_releases(setting, model, seed)
    result = {
        "closeness": {
            kind: summary(closeness(silos, release))
            for kind, release in releases.items()
        },
        "membership": membership.attacked(setting, n_pairs(options), seed),
    }
    del result["closeness"]["held-out rows"]["nearer"]  # each is a held-out row itself
    if attacked:
        del releases["held-out rows"]  # they are the control group
        most = 60 if options.quick else 500
        result["attacks"] = {
            kind: attacks.attack(silos, release, most, seed)
            for kind, release in releases.items()
        }
    return result


def n_pairs(options):
    """Return how many pairs of computations share out the rows."""
    return 3 if options.quick else 9


def summary(figures):
    """Return each figure of a release as one number."""
    return {
        "rows": len(figures["cells"]),
        "copies": np.mean(figures["cells"] == 0),
        "one cell": np.mean(figures["cells"] == 1),
        "two cells": np.mean(figures["cells"] == 2),
        "nearer": np.mean(figures["nearer"]),
        "least distance": np.min(figures["distance"]),
        "median distance": np.median(figures["distance"]),
        "ratio": np.median(figures["ratio"]),
    }


def run(options):
    """Return the page."""
    names = [QUICK] if options.quick and QUICK in SETTINGS else list(SETTINGS)
    attacked, seeds = attacks.installed(), range(options.seeds)
    jobs = [(name, options, seed, attacked) for name in names for seed in seeds]
    found = iter(side_by_side(one_split, jobs, options))
    by = {name: [next(found) for _ in seeds] for name in names}
    n = 2 * n_pairs(options)
    parts = [
        __doc__.split("\n", 2)[2].strip(),
        "## What a silo hands out",
        closeness_table(by),
        "## Attacks on what was handed out",
        attack_table(by) if attacked else ABSENT,
        "## Attacks on students",
        f"Each split was computed {n} times with different halves of the rows, so that "
        f"a model has {n - 2} shadow models, {n // 2 - 1} of them without the row.",
        membership_table(by, "advantage"),
        *(membership_table(by, f"found at {rate:.0%}") for rate in membership.RATES),
    ]
    return "\n\n".join(parts)


def closeness_table(by):
    """Return a line for each release of each setting."""
    lines = []
    for name, splits in by.items():
        for kind in splits[0]["closeness"]:
            own = [split["closeness"][kind] for split in splits]
            cells = [
                show([figures[figure] for figures in own]) if figure in own[0] else "-"
                for figure, show in FIGURES.items()
            ]
            lines.append([f"{name}: {kind}", *cells])
    return table(["handed out", *FIGURES], lines)


def attack_table(by):
    """Return success on training rows, on held-out rows, and the risk, by release."""
    lines = []
    for name, splits in by.items():
        for kind, tried in splits[0]["attacks"].items():
            cells = []
            for attack in tried:
                own = [split["attacks"][kind][attack] for split in splits]
                cells.append(_as_text(np.mean(own, axis=0)))
            lines.append([f"{name}: {kind}", *cells])
    heads = [f"{attack}: trained on / held out; risk" for attack in tried]
    return table(["handed out", *heads], lines)


def _as_text(counts):
    rates = f"{counts[1] / counts[0]:.3f} / {counts[3] / counts[2]:.3f}"
    value, low, high = attacks.risk(counts)
    return f"{rates}; {value:.3f} ({low:.3f} to {high:.3f})"


def membership_table(by, figure):
    """Return one figure of the attacks on members, by setting, rows and attack."""
    lines = []
    for name, splits in by.items():
        found = [split["membership"] for split in splits]
        kinds = list(dict.fromkeys(kind for kind, _, _ in found[0]))
        for whose, attack in dict.fromkeys(key[1:] for key in found[0]):
            cells = [
                mean_and_error([own[kind, whose, attack][figure] for own in found])
                for kind in kinds
            ]
            lines.append([f"{name}: rows of {WHOSE[whose]}, {attack}", *cells])
    return table([figure, *kinds], lines)
