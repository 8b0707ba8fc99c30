"""Honest judgements and private rows: who may see which label, and what moves."""

import itertools
import pickle
import struct
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import StackingClassifier
from sklearn.feature_selection import SelectFromModel
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from sklearn.tree import DecisionTreeClassifier

from skcoop import CooperativeDistiller
from skcoop._cooperative import _teaching
from skcoop._cooperative._gate import Gate
from skcoop._cooperative._honest_gains import HonestGains
from skcoop._cooperative._lessons import Lessons
from skcoop._members._folds import fold_of_each_row
from skcoop._members._scores import Score, not_judged
from skcoop._tables._task import make_task
from skcoop.counterfactuals import BatchedDice, Counterfactuals

NAMES = ["a", "b", "c"]

# The rows of the present table; what was fitted on what; who was asked about what.
TABLE: set = set()
QUESTIONS: list = []
FITS: dict[str, list] = {}
GENERATING: list = []
# (teacher, row, answer) -> the background rows that the answer was drawn to: one, but
# for the rare teacher that says the same for another reason in a later round.
DRAWN: dict = {}


@pytest.fixture(autouse=True)
def _forget_records():
    for record in (TABLE, QUESTIONS, FITS, GENERATING, DRAWN):
        record.clear()


def keys(X):
    return [tuple(row) for row in np.asarray(X, dtype=float).tolist()]


class Memoriser(ClassifierMixin, BaseEstimator):
    """Knows the label of each row that it was trained on, and says when it was used."""

    def __init__(self, name, estimator=None):
        self.name = name
        self.estimator = estimator

    def fit(self, X, y):
        estimator = self.estimator or KNeighborsClassifier(1)
        self.model_ = clone(estimator).fit(X, y)
        self.classes_ = self.model_.classes_
        self.seen_ = list(zip(keys(X), np.asarray(y).tolist(), strict=True))
        FITS.setdefault(self.name, []).append(self.seen_)
        return self

    def predict_proba(self, X):
        if not GENERATING:
            QUESTIONS.append((self.name, self.seen_, keys(X)))
        return self.model_.predict_proba(X)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class DrawnEngine(BatchedDice):
    """Notes the row of the background that each answer was drawn to."""

    def generate(self, teacher, X, y, *, background, alpha=0.5, random_state=None):
        answer = super().generate(teacher, X, y, background=background, alpha=alpha)
        rows = keys(background)
        for row, cells, place in zip(
            keys(X), keys(answer.X_cf), answer.donor, strict=True
        ):
            if place >= 0:
                drawn = DRAWN.setdefault((teacher.name, row, cells), set())
                drawn.add(rows[place])
        return answer


def drawn_to(lessons, X):
    """Return the rows that each lesson may have been drawn to."""
    position = {key: row for row, key in enumerate(keys(X))}
    told = zip(
        lessons["teacher"],
        keys(X[lessons["source_row"].to_numpy(dtype=int)]),
        keys(cells_of(lessons)),
        strict=True,
    )
    return [{position[row] for row in DRAWN.get(answer, ())} for answer in told]


class WatchedEngine(DrawnEngine):
    """Notes the rows that a teacher is asked about; hands out no training row.

    Training rows in any other question are then rows that are judged or asked about.
    """

    def generate(self, teacher, X, y, *, background, alpha=0.5, random_state=None):
        model = teacher.estimator
        QUESTIONS.append((model.name, model.seen_, keys(X)))
        GENERATING.append(True)
        answer = super().generate(teacher, X, y, background=background, alpha=alpha)
        GENERATING.clear()
        answer.valid &= [key not in TABLE for key in keys(answer.X_cf)]
        return answer


def blurred(n=90, d=4, n_classes=3, seed=0):
    """Rows that are all different, and classes that nobody can tell apart fully."""
    rng = np.random.default_rng(seed)
    X = rng.normal(0, 1, (n, d))
    scores = X[:, :n_classes] + rng.normal(0, 0.6, (n, n_classes))
    return X, scores.argmax(axis=1), np.array(NAMES, dtype=object)[np.arange(n) % 3]


def members(**replaced):
    group = {
        "a": LogisticRegression(),
        "b": DecisionTreeClassifier(max_depth=4, random_state=0),
        "c": GaussianNB(),
    }
    return list((group | replaced).items())


def cells_of(lessons):
    return lessons[[c for c in lessons.columns if c.startswith("x__")]]


def fold_numbers(n, n_splits):
    folds = np.empty(n, dtype=int)
    for number, (_, test) in enumerate(KFold(n_splits).split(np.zeros(n))):
        folds[test] = number
    return folds


# No judgement and no lesson by a model that saw the label


@pytest.mark.parametrize("with_silos", [False, True])
@pytest.mark.parametrize(
    "estimators",
    [
        [KNeighborsClassifier(1), DecisionTreeClassifier(), KNeighborsClassifier(5)],
        [GaussianNB(), KNeighborsClassifier(3), LogisticRegression()],
    ],
    ids=["memorising", "mixed"],
)
def test_nobody_is_asked_about_a_row_that_it_learned(with_silos, estimators):
    """Neither the row itself nor a lesson that was made from it or drawn to it."""
    X, y, owner = blurred(180, seed=31)
    TABLE.update(keys(X))
    distiller = CooperativeDistiller(
        [(n, Memoriser(n, e)) for n, e in zip(NAMES, estimators, strict=True)],
        counterfactuals=WatchedEngine(),
        cv=3,
        alpha=0.8,
        random_state=0,
        combine="soft",
    ).fit(X, y, silos=owner if with_silos else None)

    position = {key: row for row, key in enumerate(keys(X))}
    origins: dict = {}
    lessons = distiller.lessons_
    drawn = drawn_to(lessons, X)
    for key, student, source, aims in zip(
        keys(cells_of(lessons)),
        lessons["student"],
        lessons["source_row"],
        drawn,
        strict=True,
    ):
        made = origins.setdefault((student, key), [])
        made += [{source, aim} for aim in aims or {source}]
    assert np.mean([len(aims) == 1 for aims in drawn]) > 0.9

    judged = dict.fromkeys(NAMES, 0)
    lessons_in_training = 0
    for name, seen, asked in QUESTIONS:
        rows = {position[key] for key in asked if key in position}
        judged[name] += len(rows)
        for key, _ in seen:
            if key in position:
                assert position[key] not in rows
            else:
                lessons_in_training += 1
                # Two rows may lead to the same lesson: one is enough.
                assert any(not (origin & rows) for origin in origins[name, key])
    # The test means something only if all that happened, in several rounds.
    assert min(judged.values()) >= 180
    assert lessons_in_training > (100 if with_silos else 30)
    assert distiller.history_["round"].max() >= (2 if with_silos else 1)
    assert distiller.history_["accepted"].any()


def taken_at_its_word(start, y, silos):
    """Name the silos about which the others are right more often than by chance."""
    known = set()
    for silo in set(silos):
        own, labels = silos == silo, set(y[silos == silo])
        recalls = [
            np.mean([(said == y)[own & (y == label)].mean() for label in labels])
            for name, said in start.items()
            if name != silo
        ]
        if np.mean(recalls) > 1 / len(set(y)):
            known.add(silo)
    return known


def witnessed(student, present, start, y, silos):
    """Mark the rows of silos that are taken at their word.

    Elsewhere, those that a third member has right, not at home in the row's silo.
    """
    if len(set(silos)) == 1:
        return np.ones(len(y), dtype=bool)
    believed = np.isin(silos, list(taken_at_its_word(start, y, silos)))
    right = [
        (said == y) & (silos != name)
        for name, said in present.items()
        if name != student
    ]
    return np.any(right, axis=0) | believed


def deficiencies_of(student, teacher, y, silos, believed):
    """Count what a teacher may teach: where it deserves trust, silo by silo."""
    count = 0
    for silo, label in itertools.product(set(silos), set(y)):
        contradicts = (silos == silo) & (teacher == label) & (student != label)
        won = contradicts & (y == label)
        lost = contradicts & (y == student)
        if won.sum() > lost.sum():
            count += (won & believed).sum()
    return count


def shares_of_rows(scoring, y, judges):
    """Return what each row is worth: as much as any other, or any class as much."""
    if scoring == "accuracy":
        return judges / judges.sum()
    classes, counts = np.unique(y[judges], return_counts=True)
    worth = dict(zip(classes, 1 / counts / len(classes), strict=True))
    return np.array([worth.get(label, 0.0) for label in y]) * judges


def clearly_better(by_fold):
    """Tell whether the mean gain of some folds is more than its standard error."""
    error = by_fold.std(ddof=1) / np.sqrt(len(by_fold))
    # A gain in one fold is as large as its error, up to the last digit.
    return by_fold.mean() > error + 1e-9


# Rows on which students are accepted, refused, and taught in several rounds.
TELLING = {
    (None, False): 2,
    (None, True): 13,
    ("accuracy", False): 32,
    ("accuracy", True): 13,
}


@pytest.mark.parametrize("scoring", [None, "accuracy"])
@pytest.mark.parametrize("accept", ["all", "own", None])
@pytest.mark.parametrize("with_silos", [False, True])
def test_scores_can_be_recomputed(accept, with_silos, scoring):
    """All that was decided follows from nothing but the lessons and the folds.

    What a row of the fold shows in, as the source or the aim of a lesson, is left out.
    """
    X, y, owner = blurred(180, seed=TELLING[scoring, with_silos])
    folds = fold_numbers(180, 3)
    group = members()
    distiller = CooperativeDistiller(
        group,
        counterfactuals=DrawnEngine(),
        accept=accept,
        scoring=scoring,
        cv=KFold(3),
        alpha=0.8,
        random_state=0,
    ).fit(X, y, silos=owner if with_silos else None)
    history, lessons = distiller.history_, distiller.lessons_
    cells = cells_of(lessons)
    assert_array_equal(lessons["label"], y[lessons["source_row"].to_numpy(dtype=int)])
    what = ["student", "label", *cells.columns]
    aims = drawn_to(lessons, X)
    donor_row = lessons["donor_row"].to_numpy(dtype=int)
    # With few changed columns, two ends may lead to the same cells.
    assert all(row in (aim or {-1}) for row, aim in zip(donor_row, aims, strict=True))

    silos = owner if with_silos else np.repeat("all", 180)
    # A line ends at a row of the silo that holds the source, outside of its fold.
    source = lessons["source_row"].to_numpy(dtype=int)
    assert (donor_row >= 0).all()
    assert_array_equal(silos[donor_row], silos[source])
    assert (folds[donor_row] != folds[source]).all()

    everyone = np.ones(180, dtype=bool)
    own_only = accept == "own" and with_silos
    worths = {
        name: shares_of_rows(scoring, y, silos == name if own_only else everyone)
        for name in NAMES
    }

    def answers(name, prototype, learned):
        """Answer out of fold after some lessons, marked in the table."""
        own = silos == name if with_silos else np.ones(180, dtype=bool)
        taught = lessons[learned]
        Z, drawn = cells[learned].to_numpy(dtype=float), donor_row[learned]
        source = taught["source_row"].to_numpy(dtype=int)
        said = np.empty(180, dtype=y.dtype)
        for fold in range(3):
            rows = own & (folds != fold)
            may = (folds[source] != fold) & ((drawn < 0) | (folds[drawn] != fold))
            copy = clone(prototype).fit(
                np.vstack([X[rows], Z[may]]), np.append(y[rows], y[source[may]])
            )
            said[folds == fold] = copy.predict(X[folds == fold])
        return said

    kept = {name: np.zeros(len(lessons), dtype=bool) for name, _ in group}
    present = {name: answers(name, model, kept[name]) for name, model in group}
    start = dict(present)
    # By member and fold: what the fold sees if it has no say in what is kept.
    paths = {name: [start[name]] * 3 for name in NAMES}
    changed, outcomes, rehearsed, went_on = set(NAMES), set(), 0, True
    for number in range(1, history["round"].max() + 1):
        assert went_on
        lines = history[history["round"] == number]
        told = lines.set_index(["student", "teacher"])["deficiencies"]
        expected = {
            (j, i): deficiencies_of(
                present[j],
                present[i],
                y,
                silos,
                witnessed(j, present, start, y, silos),
            )
            for j, i in itertools.permutations(NAMES, 2)
            if j in changed or i in changed
        }
        assert told[told > 0].to_dict() == {k: n for k, n in expected.items() if n}
        # The other pairs rehearse what the student has right: rows of others.
        assert set(told.index) <= set(expected)
        assert (lines["asked"] > 0)[lines["deficiencies"] == 0].all()
        now = lessons[lessons["round"] == number]
        for student, teacher, row in zip(
            now["student"], now["teacher"], now["source_row"], strict=True
        ):
            assert present[teacher][row] == y[row]
            assert witnessed(student, present, start, y, silos)[row]
            if present[student][row] == y[row]:
                assert with_silos
                assert owner[row] != student
            rehearsed += present[student][row] == y[row]
        changed, before = set(), dict(present)
        for name, prototype in group:
            new = (lessons["round"] == number) & (lessons["student"] == name)
            mine = lines[lines["student"] == name]
            if not new.any():
                assert mine["score_before"].isna().all()
                assert not mine["accepted"].any()
                continue
            learned = kept[name] | new.to_numpy()
            # What was taught before is learned once, and no two rows led to the same.
            learned[learned] = ~lessons[learned].duplicated([*what, "source_row"])
            assert not lessons[learned].duplicated(what).any()
            after = answers(name, prototype, learned)
            worth = worths[name]
            gains = worth * (1 * (after == y) - (before[name] == y))
            by_fold = np.bincount(folds, gains, 3)
            assert_allclose(mine["score_before"], worth[before[name] == y].sum())
            assert_allclose(mine["score_after"], worth[after == y].sum())
            # Folds that gain nothing do not make a gain look certain.
            error = np.sqrt((by_fold**2).sum())
            assert_allclose(mine["standard_error"], error, atol=1e-12)
            better = clearly_better(by_fold)
            assert better == (by_fold.sum() > error + 1e-9)
            assert (mine["accepted"] == (accept is None or better)).all()
            assert (mine["reason"].eq("") == mine["accepted"]).all()
            for fold in range(3):
                if accept is None or clearly_better(np.delete(by_fold, fold)):
                    paths[name][fold] = after
            outcomes.add((bool(better), bool(gains.sum() > 1e-9)))
            if mine["accepted"].all():
                kept[name], present[name] = learned, after
                changed.add(name)
        taught = lines.loc[lines["score_before"].notna(), "student"].nunique()
        went_on = bool(changed) and len(changed) >= taught / 2
    for name in NAMES:
        mine = lessons["student"] == name
        assert_array_equal(lessons["kept"] & mine, kept[name])
        said = np.choose(folds, paths[name])
        line, worth = distiller.gains_.loc[name], worths[name]
        gains = worth * (1 * (said == y) - (start[name] == y))
        assert_allclose(line["before"], worth[start[name] == y].sum())
        assert_allclose(line["after"], worth[said == y].sum())
        assert_allclose(line["gain"], gains.sum(), atol=1e-12)
        error = np.sqrt(3) * np.bincount(folds, gains, 3).std(ddof=1)
        assert_allclose(line["standard_error"], error, atol=1e-12)
    # It ended because most had not improved, or after the last round that was allowed.
    assert not went_on or history["round"].max() == (1 if accept is None else 3)
    assert history["accepted"].any()
    assert (rehearsed > 0) == with_silos
    if accept is not None:
        assert history["round"].max() >= 2
        # Some were refused that had gained, but less than the error.
        assert outcomes >= {(True, True), (False, True)}


@pytest.mark.parametrize("combine", ["soft", "hard", "stack", GaussianNB()])
def test_without_a_gate_only_a_final_estimator_needs_judgements_of_refits(combine):
    X, y, owner = blurred(90)
    distiller = CooperativeDistiller(
        [(name, Memoriser(name)) for name in NAMES],
        accept=None,
        combine=combine,
        cv=3,
        random_state=0,
    ).fit(X, y, silos=owner)
    taught = set(distiller.lessons_["student"])
    assert taught == set(NAMES)
    stacks = combine not in ("soft", "hard")
    for name in NAMES:
        # The member, its three copies; the refitted copies; the improved member.
        assert len(FITS[name]) == 1 + 3 + 3 * stacks + 1
        with_lessons = [len(seen) > 30 for seen in FITS[name]]
        assert with_lessons[-1]
    history = distiller.history_[distiller.history_["taught"] > 0]
    assert history["accepted"].all()
    assert history[["score_before", "score_after"]].notna().all(axis=None) == stacks
    assert history[["score_before", "score_after"]].isna().all(axis=None) == (
        not stacks
    )


def test_without_a_gate_members_learn_the_same_however_they_are_combined():
    X, y, owner = blurred(90)
    fitted = [
        CooperativeDistiller(
            members(), accept=None, combine=combine, cv=3, random_state=0
        ).fit(X, y, silos=owner)
        for combine in ("soft", "hard", "stack")
    ]
    assert fitted[0].lessons_["kept"].any()
    for other in fitted[1:]:
        assert_frame_equal(other.lessons_, fitted[0].lessons_)
        for model, twin in zip(other.estimators_, fitted[0].estimators_, strict=True):
            assert_array_equal(model.predict_proba(X), twin.predict_proba(X))


def unsteady_members():
    """Return members that contradict each other about much."""
    return [
        ("neighbour", KNeighborsClassifier(1)),
        *(
            (f"tree{k}", DecisionTreeClassifier(max_features=1, random_state=k))
            for k in range(4)
        ),
    ]


def scores_on_noise(alpha, n_seeds, n=200):
    """Return each student's mean out-of-fold score after lessons about noise."""
    scores = []
    for seed in range(n_seeds):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(0, 1, (n, 10)), rng.integers(0, 2, n)
        history = (
            CooperativeDistiller(
                unsteady_members(),
                accept=None,
                alpha=alpha,
                combine="stack",
                random_state=0,
            )
            .fit(X, y)
            .history_
        )
        scores.append(history.groupby("student")["score_after"].first())
    scores = pd.concat(scores, axis=1)
    # Nearly all of them found somebody to trust.
    assert scores.notna().mean(axis=None) > 0.9
    return scores.mean(axis=1)


@pytest.mark.parametrize("alpha", [0.5, 1.0])
def test_lessons_carry_no_labels_of_the_rows_that_judge_them(alpha):
    """Where the labels are noise, nothing can be better than chance on unseen rows.

    A score that is, on average, comes from rows that were seen.
    """
    by_student = scores_on_noise(alpha, n_seeds=6)
    # Four standard errors of a coin tossed for each row.
    assert by_student.max() < 0.5 + 4 * 0.5 / np.sqrt(200 * 6), by_student.to_dict()


def test_noise_looks_learned_if_rows_that_lessons_lead_to_may_judge(monkeypatch):
    """The rule that the test before this one relies on is needed."""
    monkeypatch.setattr(Lessons, "outside", lambda self, fold: self[self.fold != fold])
    assert scores_on_noise(0.5, n_seeds=6).max() > 0.58


def test_gains_on_noise_are_none():
    """What the gate let pass looks like a gain to the rows that decided, not to others.

    The labels have nothing to do with the rows: there is nothing to be learned.
    """
    gains, seen = [], []
    for seed in range(14):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(0, 1, (100, 5)), rng.integers(0, 2, 100)
        distiller = CooperativeDistiller(unsteady_members(), random_state=0).fit(X, y)
        table, scores = distiller.gains_["gain"], distiller.scores_
        gains.append([table.drop("combined").mean(), table["combined"]])
        seen.append((scores.iloc[-1] - scores.iloc[0]).mean())

    def in_standard_errors(gains):
        return np.mean(gains, axis=0) / (np.std(gains, axis=0, ddof=1) / np.sqrt(14))

    assert (np.std(gains, axis=0) > 0).all()
    assert (np.abs(in_standard_errors(gains)) < 2).all()
    # The scores that decided what was kept do rise: there was something to mend.
    assert in_standard_errors(seen) > 2


@pytest.mark.parametrize(
    ("rounds", "kept", "honest"),
    [
        # Without the first or the second fold it is no clear gain.
        ([[3, 2, 0, 0]], [True], [0, 0, 0, 0]),
        # Clear without any of the folds.
        ([[4, 3, 2, -1]], [True], [4, 3, 2, -1]),
        ([[5, 2, 0, -1]], [True], [0, 0, 0, -1]),
        # Refused for what it loses in a fold that, left out, would have let it pass.
        ([[3, 3, 2, -6]], [False], [0, 0, 0, -6]),
        ([[-1, -1, -1, -1]], [False], [0, 0, 0, 0]),
        # A second round adds to the first only where the other folds see a gain.
        ([[4, 3, 2, -1], [3, 2, 0, 0]], [True, True], [4, 3, 2, -1]),
        ([[4, 3, 2, -1], [1, 1, 1, 1]], [True, True], [5, 4, 3, 0]),
        ([[3, 2, 0, 0], [1, 1, 1, 1]], [True, True], [4, 3, 1, 1]),
        ([[3, 3, 2, -6], [2, 2, 2, 2]], [False, True], [2, 2, 2, 2]),
        ([[3, 3, 2, -6], [-1, -1, -1, -1]], [False, False], [0, 0, 0, -6]),
        ([[3, 2, 0, 0], [3, 2, 0, 0]], [True, True], [0, 0, 0, 0]),
        # The first fold takes the second refit only, the third the first only.
        ([[3, 2, 0, 0], [0, 2, 2, 0]], [True, True], [3, 0, 0, 0]),
    ],
    ids=str,
)
def test_reported_gain_is_decided_by_the_other_folds(rounds, kept, honest):
    """Each fold scores what the other three would have kept."""
    folds, place = np.arange(80) % 4, np.arange(80) // 4
    y, everyone = place % 2, np.arange(80)
    task, score = (
        make_task(place[:, None] / 80, y, folds, np.ones(80), everyone),
        Score(),
    )
    gate = Gate(score, "all", np.array([0]), np.array([True]), n_folds=4)

    def right_about(counts):
        """Judge the given number of the twenty rows of each fold rightly."""
        right = place < np.asarray(counts)[folds]
        return {0: score.part(task, everyone, np.eye(2)[np.where(right, y, 1 - y)])}

    counts = np.full(4, 10)
    present = right_about(counts)
    gains = HonestGains(gate, [present])
    for by_fold, accepted in zip(rounds, kept, strict=True):
        refit = right_about(counts + by_fold)
        verdict = gate.decide(0, present, refit)
        assert verdict.accepted == accepted
        gains.follow({0: verdict})
        present = refit if accepted else present
        counts = counts + np.multiply(by_fold, accepted)
    nothing = not_judged(4)
    table = gains.table(["a"], nothing, nothing)
    assert table.index.tolist() == ["a", "combined"]
    gain = np.sum(honest) / 80
    error = 2 * np.std(honest, ddof=1) / 80
    assert_allclose(table.loc["a"], [0.5, 0.5 + gain, gain, error], atol=1e-12)
    assert table.loc["combined"].isna().all()


@pytest.mark.parametrize("accept", ["all", "own"])
def test_gate_never_lets_a_score_fall(accept):
    outcomes = set()
    for seed in range(4):
        X, y, owner = blurred(90, seed=seed)
        distiller = CooperativeDistiller(
            members(b=KNeighborsClassifier(1)), accept=accept, cv=3, random_state=seed
        ).fit(X, y, silos=owner)
        check_scores(distiller.history_)
        judged = distiller.history_.dropna(subset="score_after")
        better = judged["score_after"] > judged["score_before"]
        outcomes |= set(zip(judged["accepted"], better, strict=True))
    # Accepted is what is better; refused is also what is not clearly better.
    assert outcomes == {(True, True), (False, True), (False, False)}


def check_scores(history):
    accepted = history[history["accepted"]]
    assert (accepted["score_after"] > accepted["score_before"]).all()
    for _, lines in history.dropna(subset="score_before").groupby("student"):
        rounds = lines.drop_duplicates("round")
        assert rounds["round"].is_monotonic_increasing
        reached = rounds["score_after"].where(
            rounds["accepted"], rounds["score_before"]
        )
        assert_allclose(rounds["score_before"][1:], reached[:-1])
    # A round in which most do not improve is the last one.
    students = history.dropna(subset="score_before").drop_duplicates(
        ["round", "student"]
    )
    improved = students.groupby("round")["accepted"].mean()
    assert (improved.iloc[:-1] >= 0.5).all()
    assert improved.index.tolist() == list(range(1, len(improved) + 1))


class Questions(BatchedDice):
    """Notes who is asked."""

    def generate(self, teacher, X, y, *, background, alpha=0.5, random_state=None):
        QUESTIONS.append(teacher.name)
        return super().generate(teacher, X, y, background=background, alpha=alpha)


def test_two_that_have_not_changed_are_not_asked_again():
    X, y, _ = blurred(240, seed=2)
    group = members(d=KNeighborsClassifier(3))
    owner = np.array([name for name, _ in group], dtype=object)[np.arange(240) % 4]
    distiller = CooperativeDistiller(
        group, counterfactuals=Questions(), cv=3, random_state=0
    ).fit(X, y, silos=owner)
    history = distiller.history_
    pair = ["student", "teacher"]
    spared = 0
    assert history["round"].max() >= 2
    for number in range(2, history["round"].max() + 1):
        earlier = history[history["round"] == number - 1]
        improved = set(earlier.loc[earlier["accepted"], "student"])
        pairs = history.loc[history["round"] == number, pair]
        assert pairs.isin(improved).any(axis=1).all()
        # Their deficiencies are still there: nobody has learned anything.
        still = earlier.loc[~earlier[pair].isin(improved).any(axis=1)]
        spared += still["asked"].sum()
    assert spared > 0
    # Each question is to a teacher that the records name, at most once for each fold
    # of each silo.
    asked = history[history["asked"] > 0].groupby("teacher")["round"].nunique()
    for name, rounds in asked.items():
        assert 0 < QUESTIONS.count(name) <= 3 * 4 * rounds
    assert set(QUESTIONS) == set(asked.index)


def test_gate_judges_on_the_rows_that_were_chosen():
    """Own rows of a well-fitted member leave it nothing to learn; all rows do."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (120, 2))
    owner = np.where(X[:, 0] < 0, "a", "b").astype(object)
    y = np.where(X[:, 0] < 0, X[:, 1] > 0, X[:, 1] < 0).astype(int)
    group = [(name, DecisionTreeClassifier(random_state=0)) for name in "ab"]
    scores = {}
    for accept in ("all", "own"):
        distiller = CooperativeDistiller(
            group, accept=accept, random_state=0, combine="soft"
        ).fit(X, y, silos=owner)
        scores[accept] = [m.score(X, y) for m in distiller.estimators_]
        first = distiller.history_.query("round == 1").set_index("student")
        assert (first["score_before"] > 0.8).all() == (accept == "own")
    assert min(scores["all"]) > max(scores["own"])


@pytest.mark.parametrize("n_rounds", [1, 4])
def test_without_a_gate_all_lessons_are_kept_in_one_round(n_rounds):
    X, y, owner = blurred(90)
    distiller = CooperativeDistiller(
        members(), accept=None, n_rounds=n_rounds, cv=3, random_state=0
    ).fit(X, y, silos=owner)
    history, lessons = distiller.history_, distiller.lessons_
    assert set(history["round"]) == {1}
    assert set(lessons["round"]) == {1}
    what = ["student", "label", *cells_of(lessons).columns]
    # Of those that are the same one is kept.
    assert (lessons.groupby(what)["kept"].sum() == 1).all()
    assert set(lessons["student"]) == set(NAMES)
    taught = history[history["taught"] > 0]
    assert taught["accepted"].all()
    assert history["kept"].sum() == lessons["kept"].sum()
    # Somebody got worse and was kept all the same.
    fallen = []
    for seed in range(6):
        X, y, owner = blurred(60, seed=seed)
        h = (
            CooperativeDistiller(members(), accept=None, cv=3, random_state=0)
            .fit(X, y, silos=owner)
            .history_
        )
        fallen += (h["score_after"] < h["score_before"]).tolist()
    assert any(fallen)


def test_without_a_gate_n_rounds_0_teaches_nothing():
    X, y, _ = blurred(90)
    distiller = CooperativeDistiller(members(), accept=None, n_rounds=0, cv=3)
    assert not len(distiller.fit(X, y).lessons_)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_no_rounds_are_plain_members_and_stacking(n_classes):
    X, y, _ = blurred(120, n_classes=n_classes)
    X_new, _, _ = blurred(50, seed=1)
    distiller = CooperativeDistiller(members(), n_rounds=0, random_state=0).fit(X, y)
    assert len(distiller.lessons_) == len(distiller.history_) == 0
    for fitted, initial, (_, prototype) in zip(
        distiller.estimators_, distiller.initial_estimators_, members(), strict=True
    ):
        plain = clone(prototype).fit(X, y)
        assert_array_equal(fitted.predict_proba(X_new), plain.predict_proba(X_new))
        assert_array_equal(initial.predict_proba(X_new), plain.predict_proba(X_new))
    stacking = StackingClassifier(members(), LogisticRegression(), cv=5).fit(X, y)
    assert_allclose(
        distiller.predict_proba(X_new), stacking.predict_proba(X_new), rtol=1e-6
    )


def test_tables_without_lessons_can_be_used_like_others():
    X, y, _ = blurred(60)
    empty = CooperativeDistiller(members(), n_rounds=0, cv=3).fit(X, y)
    full = CooperativeDistiller(members(), n_rounds=1, cv=3, random_state=0).fit(X, y)
    assert empty.lessons_.columns.tolist() == full.lessons_.columns.tolist()
    assert empty.history_.columns.tolist() == full.history_.columns.tolist()
    # Choosing the lines of an empty table that are marked keeps its columns.
    assert "student" in empty.lessons_[empty.lessons_["kept"]].columns
    assert "student" in empty.history_[empty.history_["accepted"]].columns
    assert empty.lessons_["kept"].sum() == 0
    assert empty.history_["accepted"].sum() == 0


def test_improved_members_are_trained_on_their_kept_lessons():
    X, y, owner = blurred(90)
    distiller = CooperativeDistiller(
        [(name, Memoriser(name)) for name in NAMES], cv=3, random_state=0
    ).fit(X, y, silos=owner)
    lessons = distiller.lessons_
    assert lessons["kept"].any()
    assert not lessons["kept"].all()
    for name in NAMES:
        kept = lessons.query("student == @name and kept")
        expected = list(zip(keys(X[owner == name]), y[owner == name], strict=True))
        expected += list(zip(keys(cells_of(kept)), kept["label"], strict=True))
        assert sorted(distiller.named_estimators_[name].seen_) == sorted(expected)


# The records agree with each other and with the table


def mixed_table(n=120, seed=0, gaps=False):
    """Numbers, whole numbers, truth values, words and categories."""
    rng = np.random.default_rng(seed)
    age = rng.integers(20, 90, n)
    dose = rng.uniform(0, 10, n)
    ward = np.array(["left", "right", "middle"], dtype=object)[rng.integers(0, 3, n)]
    smokes = rng.random(n) < 0.4
    score = (age - 55) / 20 + (ward == "left") - smokes * dose / 5
    y = np.where(score + rng.normal(0, 0.5, n) > 0, "ill", "well")
    X = pd.DataFrame(
        {
            "age": age,
            "dose": dose,
            "ward": ward,
            "smokes": smokes,
            "type": pd.Categorical.from_codes(rng.integers(0, 2, n), ["x", "y", "z"]),
        }
    )
    if gaps:
        X["dose"] = X["dose"].where(rng.random(n) > 0.2)
        X.loc[rng.random(n) < 0.2, "ward"] = None
    return X, y, np.array(NAMES, dtype=object)[rng.integers(0, 3, n)]


def mixed_members():
    def encoded(model):
        encoder = OrdinalEncoder(
            handle_unknown="use_encoded_value",
            unknown_value=-1,
            encoded_missing_value=-2,
        )
        return make_pipeline(
            make_column_transformer(
                (encoder, ["ward", "type"]), remainder="passthrough"
            ),
            model,
        )

    return [
        ("a", encoded(DecisionTreeClassifier(max_depth=3))),
        ("b", encoded(DecisionTreeClassifier(max_depth=5, max_features=2))),
        ("c", encoded(DecisionTreeClassifier(min_samples_leaf=9))),
    ]


CONFIGURATIONS = {
    "default": {},
    "own": {"accept": "own"},
    "no gate": {"accept": None},
    "certain": {"alpha": 1.0},
    "hardly": {"alpha": 0.01},
    "few": {"max_lessons": 4},
    "two folds": {"cv": 2, "n_rounds": 6},
    "some columns": {"counterfactuals": BatchedDice(features_to_vary=["age", "ward"])},
}


@pytest.mark.parametrize("gaps", [False, True], ids=["full", "gaps"])
@pytest.mark.parametrize("with_silos", [False, True], ids=["pooled", "silos"])
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_records_are_consistent(configuration, with_silos, gaps):
    X, y, owner = mixed_table(gaps=gaps)
    params = {"cv": 3, "random_state": 0, **CONFIGURATIONS[configuration]}
    distiller = CooperativeDistiller(mixed_members(), **params)
    distiller.fit(X, y, silos=owner if with_silos else None)
    owner = owner if with_silos else None
    check_records(distiller, X, y, params.get("alpha", 0.5), owner)
    if "max_lessons" in params:
        asked = distiller.history_.groupby(["round", "student"])["asked"].sum()
        assert asked.max() == params["max_lessons"]


def check_records(distiller, X, y, alpha, owner):
    history, lessons = distiller.history_, distiller.lessons_
    assert len(lessons)
    counts = ["deficiencies", "asked", "found", "rechecked", "taught", "kept"]
    if owner is not None:
        # Rows of others are also asked about where the student has them right.
        own = owner[lessons["source_row"].to_numpy(dtype=int)] == lessons["student"]
        pair = ["round", "student", "teacher"]
        deficiencies = history.set_index(pair)["deficiencies"]
        about_own = lessons[own].groupby(pair).size()
        assert (about_own <= deficiencies.reindex(about_own.index)).all()
        counts = counts[1:]
    for more, less in itertools.pairwise(counts):
        assert (history[more] >= history[less]).all(), (more, less)
    assert (history["student"] != history["teacher"]).all()
    assert not history.duplicated(["round", "student", "teacher"]).any()
    assert (history["kept"].eq(0) | history["accepted"]).all()
    assert history["failure"].eq("").all()
    by_round = history.groupby(["round", "student"])
    assert (by_round[["accepted", "score_after"]].nunique() <= 1).all(axis=None)

    pair = ["round", "student", "teacher"]
    taught = history.set_index(pair)["taught"]
    made = lessons.groupby(pair).size().reindex(taught.index, fill_value=0)
    assert_array_equal(made, taught)
    assert made.sum() == len(lessons)
    stayed = lessons.groupby(pair)["kept"].sum().reindex(taught.index, fill_value=0)
    assert_array_equal(stayed.astype(int), history["kept"])

    # One lesson for each row and student in a round, with the row's label.
    assert not lessons.duplicated(["round", "student", "source_row"]).any()
    sources = lessons["source_row"].to_numpy(dtype=int)
    assert_array_equal(lessons["label"], y[sources])
    before = lessons["proba_before"].to_numpy(dtype=float)
    after = lessons["proba_after"].to_numpy(dtype=float)
    assert (after >= before + alpha * (1 - before) - 1e-9).all()
    assert (after <= 1 + 1e-9).all()
    assert lessons["distance"].between(0, 1).all()

    cells = cells_of(lessons)
    assert cells.columns.tolist() == [f"x__{name}" for name in X.columns]
    changed_far = np.zeros(len(lessons))
    for name in X.columns:
        column, source = cells[f"x__{name}"], X[name].iloc[sources]
        assert column.dtype == X[name].dtype, name
        present = column.dropna()
        if pd.api.types.is_numeric_dtype(X[name]):
            assert present.between(X[name].min(), X[name].max()).all()
        else:
            assert set(present) <= set(X[name].dropna())
        listed = np.array([name in changed for changed in lessons["changed"]])
        was_missing = source.isna().to_numpy()
        same = column.to_numpy() == source.to_numpy()
        same |= was_missing & column.isna().to_numpy()
        # What was recorded in the row is as it was unless it is listed as changed;
        # what its silo never recorded may have been completed, and nothing else.
        assert_array_equal(listed[~was_missing], ~same[~was_missing])
        assert not listed[was_missing].any()
        silos = np.zeros(len(X)) if owner is None else owner
        recorded = X[name].notna().groupby(silos).any()[silos[sources]].to_numpy()
        assert same[was_missing & recorded].all()
        # No value is ever lost.
        assert not (column.isna().to_numpy() & ~was_missing).any()
        if pd.api.types.is_float_dtype(X[name]) or X[name].dtype == np.int64:
            # In shares of the range in the silo that holds the row.
            silos = np.zeros(len(X)) if owner is None else owner
            spans = X[name].groupby(silos).agg(lambda cells: cells.max() - cells.min())
            span = spans[silos[sources]].to_numpy(dtype=float)
            moved = np.abs(column.to_numpy(float) - source.to_numpy(float)) / span
        else:
            moved = np.ones(len(lessons))
        changed_far += np.where(listed, np.where(was_missing, 1.0, moved), 0.0)
    assert_allclose(lessons["distance"].astype(float), changed_far / X.shape[1])
    assert lessons["changed"].map(len).gt(0).all()


def test_changed_and_cells_of_an_array():
    X, y, owner = blurred(90)
    distiller = CooperativeDistiller(members(), cv=3, random_state=0).fit(
        X, y, silos=owner
    )
    lessons = distiller.lessons_
    assert len(lessons)
    cells = cells_of(lessons).to_numpy(dtype=float)
    differs = cells != X[lessons["source_row"].to_numpy(dtype=int)]
    names = np.array([f"x{j}" for j in range(X.shape[1])])
    assert [list(names[row]) for row in differs] == lessons["changed"].tolist()
    assert ((cells >= X.min(axis=0)) & (cells <= X.max(axis=0))).all()


def test_teachers_probabilities_are_those_of_its_copy():
    """The frozen teacher is its own copy, so that anybody can ask it again."""
    X, y, _ = blurred(120)
    teacher = GaussianNB().fit(*blurred(500, seed=7)[:2])
    distiller = CooperativeDistiller(
        [("student", DecisionTreeClassifier()), ("teacher", FrozenEstimator(teacher))],
        alpha=0.7,
        cv=3,
        random_state=0,
    ).fit(X, y)
    lessons = distiller.lessons_
    assert set(lessons["teacher"]) == {"teacher"}
    label, row = lessons["label"].to_numpy(int), lessons["source_row"].to_numpy(int)
    line = np.arange(len(lessons))
    before = teacher.predict_proba(X[row])[line, label]
    after = teacher.predict_proba(cells_of(lessons).to_numpy(float))[line, label]
    assert_allclose(lessons["proba_before"].astype(float), before)
    assert_allclose(lessons["proba_after"].astype(float), after)
    assert (after >= before + 0.7 * (1 - before) - 1e-9).all()
    # The teacher was right about each row that it taught.
    assert_array_equal(teacher.predict(X[row]), label)


class AskedEngine(BatchedDice):
    """Notes the classes of the rows that teachers are asked about."""

    def generate(self, teacher, X, y, *, background, alpha=0.5, random_state=None):
        QUESTIONS.append((teacher.name, keys(X), list(y)))
        return super().generate(teacher, X, y, background=background, alpha=alpha)


@pytest.mark.parametrize("most", [1, 2, 7, 20, 1000])
def test_max_lessons_takes_classes_in_turn(most):
    def unbalanced(n, seed):
        rng = np.random.default_rng(seed)
        X, y, _ = blurred(n, n_classes=3, seed=seed)
        keep = (y == 0) | (rng.random(n) < np.where(y == 1, 0.5, 0.1))
        return X[keep], y[keep]

    X, y = unbalanced(300, seed=0)
    # It knows how rare the classes are, and deserves trust in all of them.
    teacher = FrozenEstimator(GaussianNB().fit(*unbalanced(2000, seed=7)))
    student = DecisionTreeClassifier(max_depth=1, random_state=0)

    def asked(max_lessons):
        QUESTIONS.clear()
        distiller = CooperativeDistiller(
            [("student", student), ("teacher", teacher)],
            counterfactuals=AskedEngine(),
            max_lessons=max_lessons,
            n_rounds=1,
            cv=3,
            random_state=0,
        ).fit(X, y)
        rows = [key for _, asked_keys, _ in QUESTIONS for key in asked_keys]
        labels = [label for _, _, asked_labels in QUESTIONS for label in asked_labels]
        assert len(rows) == len(set(rows)) == distiller.history_["asked"].sum()
        return set(rows), np.bincount(labels, minlength=3)

    all_rows, available = asked(None)
    rows, counts = asked(most)
    assert rows <= all_rows
    assert counts.sum() == min(most, available.sum())
    assert 0 < available.min() < 20 // 3 < available.max()
    assert available.sum() > 20
    # A class has fewer than another one only if it has no more rows, or by one.
    for k in range(3):
        if counts[k] < available[k]:
            assert counts[k] >= counts.max() - 1


class OneAnswer(BaseEstimator):
    """Answers all questions about a class with the same instance."""

    def generate(self, teacher, X, y, *, background, alpha=0.5, random_state=None):
        best = background[teacher.predict_proba(background).argmax(axis=0)]
        best = 0.95 * best + 0.05 * background.mean(axis=0)
        answer = best[np.searchsorted(teacher.classes_, y)]
        n = len(answer)
        return Counterfactuals(
            answer, np.ones(n, bool), np.zeros(n), np.ones(n), 0, 0.0
        )


@pytest.mark.parametrize("accept", ["all", None])
def test_each_lesson_is_learned_once(accept):
    X, y, owner = blurred(240, seed=3)
    distiller = CooperativeDistiller(
        [(name, Memoriser(name, model)) for name, model in members()],
        counterfactuals=OneAnswer(),
        accept=accept,
        cv=3,
        random_state=0,
    ).fit(X, y, silos=owner)
    lessons = distiller.lessons_
    what = ["student", "label", *cells_of(lessons).columns]
    assert len(lessons[what].drop_duplicates()) < 0.5 * len(lessons)
    kept = lessons[lessons["kept"]]
    assert len(kept)
    assert not kept.duplicated(what).any()
    if accept is None:
        assert len(kept) == len(lessons[what].drop_duplicates())
    for seen in itertools.chain(*FITS.values()):
        assert len(seen) == len(set(seen))


def test_kept_lessons_are_those_that_history_counts():
    """Also where a later round makes the same lesson again, from another row."""
    rng = np.random.default_rng(1)
    for seed in range(12):
        X = rng.integers(0, 4, (90, 3)).astype(float)
        X = np.unique(X, axis=0)
        y = ((X.sum(axis=1) + rng.normal(0, 2, len(X))) > 4).astype(int)
        distiller = CooperativeDistiller(
            members(b=KNeighborsClassifier(1)), cv=2, random_state=seed, n_rounds=4
        ).fit(X, y)
        kept = distiller.lessons_.groupby("student")["kept"].sum()
        counted = distiller.history_.groupby("student")["kept"].sum()
        assert_array_equal(kept.reindex(counted.index, fill_value=0), counted)


# The same seed gives the same result


def test_same_seed_same_result():
    X, y, owner = blurred(90)

    def fit(seed, n_jobs=None):
        group = members(b=DecisionTreeClassifier(max_features=1))
        return CooperativeDistiller(group, cv=3, random_state=seed, n_jobs=n_jobs).fit(
            X, y, silos=owner
        )

    first = fit(0)
    with joblib.parallel_config("threading"):
        parallel = fit(0, n_jobs=2)
    for other in (fit(0), parallel, fit(np.random.RandomState(3))):
        if other is not parallel and other.random_state != 0:
            assert not other.lessons_.equals(first.lessons_)
            again = fit(np.random.RandomState(3))
            assert_frame_equal(again.lessons_, other.lessons_)
            continue
        assert_frame_equal(other.lessons_, first.lessons_)
        assert_frame_equal(other.history_, first.history_)
        assert_array_equal(other.predict_proba(X), first.predict_proba(X))
    assert not fit(1).lessons_.equals(first.lessons_)


def test_global_random_state_is_left_alone():
    X, y, owner = blurred(60)
    np.random.seed(5)
    state = np.random.get_state()[1].copy()
    CooperativeDistiller(members(), cv=3, random_state=0).fit(X, y, silos=owner)
    assert_array_equal(np.random.get_state()[1], state)


def test_what_is_handed_in_is_left_alone():
    X, y, owner = mixed_table()
    group, engine = mixed_members(), BatchedDice()
    weight = np.linspace(0.5, 1.5, len(y))
    copies = [X.copy(), y.copy(), owner.copy(), weight.copy()]
    params = repr(group)
    distiller = CooperativeDistiller(
        group, counterfactuals=engine, combine=LogisticRegression(), cv=3
    )
    distiller.fit(X, y, silos=owner, sample_weight=weight)
    assert_frame_equal(X, copies[0])
    for value, copied in zip((y, owner, weight), copies[1:], strict=True):
        assert_array_equal(value, copied)
    assert repr(group) == params
    assert distiller.counterfactuals is engine
    assert not [name for name in vars(distiller.combine) if name.endswith("_")]
    for _, member in group:
        assert not hasattr(member[0], "transformers_")
        assert not hasattr(member[-1], "classes_")


# Only virtual instances move


def read_columns(name, layout, d):
    return layout[NAMES.index(name)] or list(range(d))


def check_privacy(distiller, X, y, owner, layout):
    d = X.shape[1]
    lessons = distiller.lessons_
    cells = cells_of(lessons).to_numpy(dtype=float)
    cells = cells if len(cells) else np.zeros((0, d))
    for name in set(owner):
        columns = read_columns(name, layout, d)
        mine = (lessons["student"] == name).to_numpy(dtype=bool)
        # Neither a row of its own nor one of the silo that a lesson comes from.
        homes = owner[lessons["source_row"].to_numpy(dtype=int)]
        for home in set(owner):
            rows = np.isin(owner, [home, name])
            told = keys(cells[mine & (homes == home)][:, columns])
            assert not set(keys(X[rows][:, columns])) & set(told)
        # What the fitted member holds is its own or a lesson.
        model = distiller.named_estimators_[name]
        model = model[-1] if hasattr(model, "steps") else model
        if not isinstance(model, KNeighborsClassifier):
            continue
        own = list(
            zip(keys(X[owner == name][:, columns]), y[owner == name], strict=True)
        )
        kept = mine & lessons["kept"].to_numpy(dtype=bool)
        learned = list(
            zip(keys(cells[kept][:, columns]), lessons["label"][kept], strict=True)
        )
        held = list(zip(keys(model._fit_X), model.classes_[model._y], strict=True))
        assert sorted(held) == sorted(own + learned)


@st.composite
def silo_tables(draw):
    """Small tables with few values, where a lesson may well equal a row."""
    d = draw(st.integers(2, 4))
    n = draw(st.integers(18, 36))
    levels = draw(st.sampled_from([2, 3, 5, 50]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from([np.float64, np.int64, np.float32]))
    X = rng.integers(0, levels, (n, d)).astype(dtype)
    if draw(st.booleans()) and dtype != np.int64:
        X += rng.normal(0, 1, (n, d)).astype(dtype)
    n_classes = draw(st.integers(2, 3))
    y = rng.integers(0, n_classes, n)
    y[:n_classes] = np.arange(n_classes)
    owner = np.array(NAMES, dtype=object)[rng.integers(0, 3, n)]
    owner[-12:] = NAMES * 4
    if draw(st.booleans()):
        # One silo knows a single class only.
        y[owner == "c"] = 0
    layout = [
        draw(st.none() | st.lists(st.integers(0, d - 1), min_size=1, unique=True))
        for _ in NAMES
    ]
    return X, y, owner, layout


def reading(columns, model):
    if columns is None:
        return model
    return make_pipeline(make_column_transformer(("passthrough", columns)), model)


@pytest.mark.filterwarnings("ignore:Silos that the others contradict")
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(
    table=silo_tables(),
    accept=st.sampled_from(["all", None]),
    alpha=st.sampled_from([0.1, 0.5, 1.0]),
    seed=st.integers(0, 100),
)
def test_no_row_of_another_silo_reaches_a_member(table, accept, alpha, seed):
    X, y, owner, layout = table
    models = [
        KNeighborsClassifier(1),
        DecisionTreeClassifier(max_depth=3),
        KNeighborsClassifier(1, p=1),
    ]
    group = [
        (name, reading(columns, model))
        for name, columns, model in zip(NAMES, layout, models, strict=True)
    ]
    distiller = CooperativeDistiller(
        group,
        accept=accept,
        alpha=alpha,
        n_rounds=2,
        cv=KFold(2, shuffle=True, random_state=seed),
        combine="soft",
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Silo '.' holds a single class")
        warnings.filterwarnings("ignore", "Some teaching failed")
        try:
            distiller.fit(X, y, silos=owner)
        except ValueError as error:
            # All rows of a silo may lie in one fold.
            assert "no rows left" in str(error)
            return
    check_privacy(distiller, X, y, owner, layout)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda chooser: make_pipeline(chooser, KNeighborsClassifier(1)),
        lambda chooser: make_pipeline(
            chooser, SelectFromModel(LogisticRegression()), GaussianNB()
        ),
        lambda chooser: CalibratedClassifierCV(
            make_pipeline(chooser, GaussianNB()), ensemble=False, cv=2
        ),
    ],
    ids=["plain", "supervised selection", "calibrated"],
)
def test_column_choice_of_a_member_that_starts_with_a_single_class(wrap):
    """What stands in for it until it is taught reads all columns; it does not."""
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 1, (90, 3))
    owner = np.array(NAMES, dtype=object)[np.arange(90) % 3]
    y = (X[:, 2] > 0.5).astype(int)
    y[owner == "c"] = 0
    group = [
        ("a", DecisionTreeClassifier(max_depth=2)),
        ("b", reading([2], DecisionTreeClassifier(max_depth=2))),
        ("c", wrap(make_column_transformer(("passthrough", [0, 1])))),
    ]
    with pytest.warns(UserWarning, match="single class"):
        distiller = CooperativeDistiller(
            group, accept=None, cv=3, random_state=0, combine="soft"
        ).fit(X, y, silos=owner)
    assert "c" in set(distiller.lessons_["student"])
    check_privacy(distiller, X, y, owner, [None, [2], [0, 1]])


@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: CalibratedClassifierCV(model, ensemble=False, cv=2),
        lambda model: make_pipeline("passthrough", model),
        lambda model: make_pipeline(make_pipeline(model)),
    ],
    ids=["calibrated", "passthrough first", "nested"],
)
def test_column_choice_of_a_wrapped_member(wrap):
    """A student that reads two columns is handed no row on these two columns."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.uniform(0, 1, (90, 3)), columns=["p", "q", "r"])
    y = (X["r"] > 0.5).astype(int).to_numpy()
    owner = np.array(["a", "b"], dtype=object)[np.arange(90) % 2]
    student = make_pipeline(
        make_column_transformer(("passthrough", ["p", "q"])), GaussianNB()
    )
    teacher = make_pipeline(
        make_column_transformer(("passthrough", ["r"])),
        DecisionTreeClassifier(max_depth=1),
    )
    distiller = CooperativeDistiller(
        [("a", wrap(student)), ("b", teacher)],
        accept=None,
        cv=3,
        random_state=0,
        combine="soft",
    ).fit(X, y, silos=owner)
    lessons = distiller.lessons_.query("student == 'a'")
    asked = distiller.history_.query("student == 'a'")["rechecked"]
    assert asked.sum() > 10
    foreign = set(keys(X.loc[owner == "b", ["p", "q"]]))
    handed_over = set(keys(lessons.reindex(columns=["x__p", "x__q"])))
    assert not foreign & handed_over


class Copyist(BaseEstimator):
    """Answers with rows of the background that the teacher likes, hardly disguised."""

    def __init__(self, disguise):
        self.disguise = disguise

    def generate(self, teacher, X, y, *, background, alpha=0.5, random_state=None):
        classes = list(teacher.classes_)
        proba = teacher.predict_proba(background)
        best = proba.argmax(axis=0)
        donors = np.asarray(background, dtype=np.float64)
        answer = donors[[best[classes.index(label)] for label in y]]
        answer = answer + self.disguise
        if isinstance(X, pd.DataFrame):
            answer = pd.DataFrame(answer, columns=X.columns)
        n = len(answer)
        return Counterfactuals(
            answer, np.ones(n, bool), np.zeros(n), np.ones(n), 0, 0.0
        )


@pytest.mark.parametrize("frame", [False, True], ids=["array", "frame"])
@pytest.mark.parametrize(
    ("dtype", "disguise"),
    [(np.float64, 0.0), (np.int64, 0.0), (np.int64, -0.3), (np.float32, -1e-10)],
)
def test_engine_cannot_hand_over_rows(dtype, disguise, frame):
    """Also if its answers become rows only when they take the type of the column."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 50, (90, 3)).astype(dtype)
    y = (X[:, 0] + rng.normal(0, 12, 90) > 25).astype(int)
    X[y == 1, 1] += 10
    owner = np.array(["a", "b"], dtype=object)[np.arange(90) % 2]
    table = pd.DataFrame(X, columns=["p", "q", "r"]) if frame else X
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        distiller = CooperativeDistiller(
            [("a", KNeighborsClassifier(3)), ("b", GaussianNB())],
            counterfactuals=Copyist(disguise),
            accept=None,
            cv=3,
            random_state=0,
            combine="soft",
        ).fit(table, y, silos=owner)
    assert distiller.history_["found"].sum() > 5
    held = set(keys(distiller.named_estimators_["a"]._fit_X))
    assert not held & (set(keys(X[owner == "b"])) - set(keys(X[owner == "a"])))


def test_no_lesson_repeats_a_row_that_the_search_did_not_see(monkeypatch):
    """The teacher reads fewer columns than its student, and few of its rows."""
    monkeypatch.setattr(_teaching, "_MOST_BACKGROUND", 20)
    n_lessons = 0
    for seed in range(5):
        rng = np.random.default_rng(seed)
        X = rng.integers(0, 12, (240, 3)).astype(float)
        y = (X[:, 0] + X[:, 1] + rng.normal(0, 2, 240) > 11).astype(int)
        owner = np.array(["few", "all"], dtype=object)[np.arange(240) % 2]
        table = pd.DataFrame(X, columns=["p", "q", "r"])
        reads = make_column_transformer(("passthrough", ["p", "q"]))
        members = [
            ("few", make_pipeline(reads, GaussianNB())),
            ("all", DecisionTreeClassifier(max_depth=2)),
        ]
        distiller = CooperativeDistiller(members, accept=None, cv=3, random_state=0)
        lessons = distiller.fit(table, y, silos=owner).lessons_
        lessons = lessons[lessons["teacher"] == "few"]
        n_lessons += len(lessons)
        folds = fold_of_each_row(3, table, y, (owner == "all").astype(int), {})
        for lesson in lessons.itertuples():
            home = owner == owner[lesson.source_row]
            seen = home & (folds != folds[lesson.source_row])
            assert not (X[seen][:, :2] == [lesson.x__p, lesson.x__q]).all(axis=1).any()
    assert n_lessons > 50


@pytest.mark.parametrize("seed", range(3))
def test_no_lesson_that_leaves_its_silo_is_a_row_but_for_one_cell(seed):
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 5, (240, 5)).astype(float)
    y = (X.sum(axis=1) + rng.normal(0, 2.5, 240) > 10).astype(int)
    owner = np.array(NAMES, dtype=object)[np.arange(240) % 3]
    lessons = (
        CooperativeDistiller(members(), accept=None, cv=3, random_state=seed)
        .fit(X, y, silos=owner)
        .lessons_
    )
    homes = owner[lessons["source_row"].to_numpy(dtype=int)]
    cells = cells_of(lessons).to_numpy(dtype=float)
    leaves = homes != lessons["student"].to_numpy()
    assert leaves.sum() > 20
    for home, lesson in zip(homes[leaves], cells[leaves], strict=True):
        assert (X[owner == home] != lesson).sum(axis=1).min() >= 2


@pytest.mark.parametrize("most", [5, 10, 21])
def test_max_lessons_are_apportioned_to_silos(most):
    """Each silo has its share of what a student is taught, up to one row."""
    X, y, _ = blurred(400, seed=3)
    owner = np.repeat(NAMES, [250, 100, 50])
    asked = {}
    for limit in (None, most):
        QUESTIONS.clear()
        # Nobody but the last of them is a student.
        group = [
            ("a", FrozenEstimator(GaussianNB().fit(*blurred(900, seed=7)[:2]))),
            ("b", FrozenEstimator(LogisticRegression().fit(*blurred(900, seed=8)[:2]))),
            ("c", DecisionTreeClassifier(max_depth=1, random_state=0)),
        ]
        CooperativeDistiller(
            group,
            counterfactuals=AskedEngine(),
            max_lessons=limit,
            n_rounds=1,
            cv=3,
            random_state=0,
        ).fit(X, y, silos=owner)
        silo_of = dict(zip(keys(X), owner, strict=True))
        silos = [silo_of[key] for _, rows, _ in QUESTIONS for key in rows]
        asked[limit] = np.array([silos.count(name) for name in NAMES])
    available = asked[None]
    assert available.min() > 2
    assert available.sum() > 2 * most
    assert asked[most].sum() == most
    share = most * available / available.sum()
    assert (np.abs(asked[most] - share) < 1).all()


def test_fitted_distiller_carries_no_training_rows():
    """Without lessons, no cell of the table can be found in it."""
    X, y, owner = blurred(60)
    table = pd.DataFrame(X, columns=["p", "q", "r", "s"])
    distiller = CooperativeDistiller(
        [(name, GaussianNB()) for name in NAMES], n_rounds=0, cv=3, random_state=0
    ).fit(table, y, silos=owner)
    stored = pickle.dumps(distiller)
    assert not any(struct.pack("<d", value) in stored for value in X.ravel())


def test_own_rows_complete_what_was_never_recorded():
    """A lesson's cells come from its row, its teacher's rows or its student's rows."""
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 1, (240, 4))
    owner = np.array(NAMES, dtype=object)[np.arange(240) % 3]
    y = (X[:, 0] + X[:, 1] + rng.normal(0, 0.2, 240) > 1).astype(int)
    # Each silo has a column of its own, in a range of its own.
    for k, name in enumerate(NAMES):
        X[:, 3] = np.where(owner == name, X[:, 3] + 10 * k, X[:, 3])
    X[owner == "a", 3] = np.nan
    table = pd.DataFrame(X, columns=["p", "q", "r", "s"])

    def model(columns, classifier):
        return make_pipeline(
            make_column_transformer(("passthrough", columns)), classifier
        )

    distiller = CooperativeDistiller(
        [
            ("a", model(["p"], DecisionTreeClassifier(max_depth=2))),
            ("b", model(["q", "s"], DecisionTreeClassifier(max_depth=3))),
            ("c", model(["q", "r"], DecisionTreeClassifier(max_depth=3))),
        ],
        accept=None,
        cv=3,
        random_state=0,
    ).fit(table, y, silos=owner)
    lessons = distiller.lessons_
    completed = 0
    for lesson in lessons.itertuples():
        if owner[lesson.source_row] != "a" or "s" in lesson.changed:
            continue
        if lesson.student == "a":
            assert np.isnan(lesson.x__s)
        else:
            completed += 1
            assert lesson.x__s in set(X[owner == lesson.student, 3])
    assert completed > 5
