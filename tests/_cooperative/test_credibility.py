"""Whose rows are believed: functions of arrays, and whole fits beside a bad silo."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from skcoop import CooperativeDistiller
from skcoop._cooperative._credibility import credible_silos, standing
from skcoop._tables._task import make_task


def situation(silos, codes, weights=None):
    """Return the rows of each silo, and where they are."""
    n = len(codes)
    task = make_task(
        np.arange(2.0 * n).reshape(n, 2),
        np.asarray(codes),
        np.arange(n) // 2 % 2,
        np.ones(n) if weights is None else np.asarray(weights, dtype=float),
        np.arange(n),
    )
    places = [np.flatnonzero(silos == s) for s in range(max(silos) + 1)]
    return [task.part(rows) for rows in places], places


def believed(silos, codes, answers, homes=None, guests=0, weights=None):
    """Return what is believed where a member lives at each silo; guests have none."""
    tasks, places = situation(silos, codes, weights)
    answers = np.asarray(answers)
    standings = [
        standing(own, answers[:, rows]) for own, rows in zip(tasks, places, strict=True)
    ]
    if homes is None:
        homes = [*range(len(tasks)), *[-1] * guests]
    return credible_silos(standings, np.array(homes)), tasks, places


def witnessed(belief, tasks, places, right):
    """Return by member and row who may be taught about it."""
    found = np.zeros(right.shape, dtype=bool)
    for number, (own, rows) in enumerate(zip(tasks, places, strict=True)):
        found[:, rows] = belief.witnessed(own, number, right[:, rows])
    return found


def labels(n_silos, each=40, n_classes=2):
    silos = np.repeat(np.arange(n_silos), each)
    return silos, np.arange(len(silos)) % n_classes


def found(silos, codes, answers, **options):
    return believed(silos, codes, answers, **options)[0]


def test_liar_is_set_aside_and_takes_no_honest_silo_with_it():
    silos, truth = labels(3)
    codes = np.where(silos == 1, 1 - truth, truth)
    # The liar's member believes its labels: the honest agree with each other only.
    answers = [truth, 1 - truth, truth]
    belief = found(silos, codes, answers)
    assert belief.credible.tolist() == [True, False, True]
    assert belief.agreement[1] == 0.0
    assert belief.members.tolist() == [True, False, True]


def test_honest_are_judged_without_the_liar_who_contradicts_them():
    silos, truth = labels(4)
    codes = np.where(silos == 1, 1 - truth, truth)
    # Nobody is sure of the last silo's rows; with the liar's voice it would go too.
    unsure = np.where((silos == 3) & (np.arange(160) % 4 < 2), 1 - truth, truth)
    belief = found(silos, codes, [unsure, 1 - unsure, unsure, unsure])
    assert belief.credible.tolist() == [True, False, True, True]
    assert belief.agreement[3] == pytest.approx(0.5)


def test_one_voice_against_one_decides_nothing():
    silos, truth = labels(2)
    codes = np.where(silos == 1, 1 - truth, truth)
    belief = found(silos, codes, [truth, 1 - truth])
    assert belief.credible.all()
    assert np.isnan(belief.agreement).all()


def test_guest_tells_who_of_two_lies():
    silos, truth = labels(2)
    codes = np.where(silos == 1, 1 - truth, truth)
    belief = found(silos, codes, [truth, 1 - truth, truth], guests=1)
    assert belief.credible.tolist() == [True, False]
    assert belief.homes.tolist() == [0, 1, -1]
    assert belief.members.tolist() == [True, False, True]


@pytest.mark.parametrize(("wrong", "kept"), [(11, True), (14, False)])
def test_a_standard_error_below_chance_is_the_limit(wrong, kept):
    """Of 20 rows in each class: 0.5 - sqrt(0.25 / 20) = 0.388."""
    silos, codes = labels(2)
    away = codes.copy()
    rows = np.flatnonzero(silos == 1)
    for code in (0, 1):
        own = rows[codes[rows] == code][:wrong]
        away[own] = 1 - code
    belief = found(silos, codes, [away, codes, away], guests=1)
    assert belief.agreement[1] == pytest.approx(1 - wrong / 20)
    assert belief.least[1] == pytest.approx(0.5 - np.sqrt(0.25 / 20))
    assert belief.credible[1] == kept


def test_a_constant_member_is_a_guess_however_rare_a_class_is():
    silos = np.repeat([0, 1, 2], 50)
    codes = np.r_[np.arange(50) % 2, np.arange(50) < 46, np.arange(50) % 2]
    constant = np.zeros(150, dtype=int)
    belief = found(silos, codes, [constant, codes, constant])
    assert belief.agreement[1] == 0.5
    assert belief.credible.all()


def test_weights_count():
    silos, codes = labels(2, each=40)
    away = np.where((silos == 1) & (np.arange(80) % 8 < 6), 1 - codes, codes)
    weights = np.where(away == codes, 10.0, 0.1)
    answers = [away, codes, away]
    assert not found(silos, codes, answers, guests=1).credible[1]
    assert found(silos, codes, answers, guests=1, weights=weights).credible[1]


def test_nothing_is_said_of_a_silo_with_one_class():
    silos, codes = labels(3)
    codes[silos == 2] = 1
    answers = np.tile(codes, (3, 1))
    answers[:2, silos == 2] = 0  # the others are wrong about all of its rows
    belief = found(silos, codes, answers)
    assert np.isnan(belief.agreement[2])
    assert belief.credible.all()


def test_a_class_that_the_others_never_saw_is_no_contradiction():
    silos, codes = labels(3, each=60)
    codes[silos == 2] = np.where(codes[silos == 2] == 0, 2, codes[silos == 2])
    answers = np.tile(codes, (3, 1))
    answers[:2, codes == 2] = 0
    belief = found(silos, codes, answers)
    # One class only is known to both: nothing can be said.
    assert np.isnan(belief.agreement[2])
    assert belief.credible.all()


def test_the_only_silo_with_a_class_is_kept():
    silos, codes = labels(3, each=60, n_classes=3)
    codes[(silos != 2) & (codes == 2)] = 0
    answers = np.tile(codes, (3, 1))
    answers[:2, silos == 2] = (codes[silos == 2] + 1) % 2
    belief = found(silos, codes, answers)
    assert belief.credible.all()


def test_a_single_table_is_believed():
    silos, codes = np.zeros(40, dtype=int), np.arange(40) % 2
    wrong = np.tile(1 - codes, (3, 1))
    belief, *where = believed(silos, codes, wrong, homes=[0, 0, 0])
    assert belief.credible.all()
    assert witnessed(belief, *where, np.zeros((3, 40), dtype=bool)).all()


class TestWitness:
    def witnessed(self, right, n_silos=3, codes=None, answers=None, liar=None):
        """Return by student and silo; each silo has two rows, one of each class."""
        silos = np.repeat(np.arange(n_silos), 2)
        codes = np.arange(len(silos)) % 2 if codes is None else codes
        answers = np.tile(codes, (n_silos, 1)) if answers is None else answers
        belief, *where = believed(silos, codes, answers)
        belief.agreement[:] = np.nan  # nothing is known of the silos as a whole
        if liar is not None:
            belief.credible[liar] = False
        right = np.repeat(np.asarray(right, dtype=bool), 2, axis=1)
        return witnessed(belief, *where, right)[:, ::2].astype(int).tolist()

    def test_somebody_else_who_is_not_at_home(self):
        right = [[1, 0, 1], [1, 1, 0], [0, 1, 1]]
        # About the rows of silo 0, member 1 bears witness, but not to itself.
        assert self.witnessed(right) == [[1, 1, 0], [0, 1, 1], [1, 0, 1]]

    def test_home_is_no_witness(self):
        assert self.witnessed(np.eye(3)) == [[0, 0, 0]] * 3

    def test_two_silos_have_no_witness_and_need_none(self):
        assert self.witnessed(np.eye(2), n_silos=2) == [[0, 1], [1, 0]]

    @pytest.mark.parametrize(
        "n_right, at_its_word", [(29, True), (28, False), (26, False)]
    )
    def test_a_silo_that_others_agree_with_is_taken_at_its_word(
        self, n_right, at_its_word
    ):
        """Of 2 x 64 rows a guess is right about half: 32 of each class."""
        silos, codes = np.repeat([0, 1, 2], 128), np.tile([0, 1], 192)
        answers = np.tile(codes, (3, 1))
        # About the rows of silo 0, the others are right about some of each class.
        wrong = np.arange(128) // 2 >= n_right + 4
        answers[1:, :128][:, wrong] = 1 - codes[:128][wrong]
        belief, *where = believed(silos, codes, answers)
        assert belief.credible.all()
        taught = witnessed(belief, *where, answers == codes)
        assert taught[1, :128][wrong].all() == at_its_word
        assert taught[1, :128][~wrong].all()

    def test_liars_bear_no_witness_and_are_not_taught_about(self):
        right = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [1, 1, 1, 1]]
        assert self.witnessed(right, n_silos=4) == [[1, 1, 1, 0]] * 3 + [[0] * 4]
        assert self.witnessed(right, n_silos=4, liar=3) == [[0] * 4] * 4

    def test_nobody_else_can_know_the_class(self):
        codes = np.array([0, 1, 0, 1, 2, 2])
        answers = np.tile([0, 1, 0, 1, 0, 0], (3, 1))
        taught = self.witnessed(np.zeros((3, 3)), codes=codes, answers=answers)
        assert [line[2] for line in taught] == [1, 1, 1]


# Whole fits


def three_silos(seed=0, n=450, n_silos=3):
    X, y = make_classification(
        2 * n, 6, n_informative=4, n_redundant=0, class_sep=1.2, random_state=seed
    )
    X = pd.DataFrame(X, columns=[f"column {j}" for j in range(6)])
    names = np.array(["first", "second", "third", "fourth", "fifth"][:n_silos])
    silos = names[np.arange(n) % n_silos]
    return X[:n], y[:n].copy(), silos, X[n:], y[n:]


def group():
    return [
        ("first", LogisticRegression()),
        ("second", DecisionTreeClassifier(max_depth=4, random_state=0)),
        ("third", RandomForestClassifier(10, random_state=0)),
    ]


def test_honest_silos_raise_no_doubts():
    X, y, silos, _, _ = three_silos()
    model = CooperativeDistiller(group(), random_state=0).fit(X, y, silos=silos)
    assert (model.history_["round"] > 0).all()
    assert model.report_.set_aside == []


@pytest.mark.parametrize("bad", ["first", "second", "third"])
def test_inverted_silo_is_named_and_harms_nobody(bad):
    X, y, silos, X_test, y_test = three_silos()
    y[silos == bad] = 1 - y[silos == bad]
    with pytest.warns(UserWarning, match=f"rows of '{bad}' neither teach nor judge"):
        model = CooperativeDistiller(group(), random_state=0).fit(X, y, silos=silos)
    start = model.history_[model.history_["round"] == 0]
    assert start["student"].tolist() == [bad]
    assert start["teacher"].tolist() == [""]
    assert start["reason"].str.contains(r"right about 0\.\d+ of them").all()
    for page in (repr(model.report_), model.report_._repr_html_()):
        assert "neither teach nor judge: members from elsewhere" in page
    assert bad in repr(model.report_)
    # Nothing of it is taught, and its member does not teach.
    assert not (silos[model.lessons_["source_row"]] == bad).any()
    assert bad not in set(model.lessons_["teacher"])
    for (name, _), before, after in zip(
        group(), model.initial_estimators_, model.estimators_, strict=True
    ):
        if name != bad:
            was, now = before.score(X_test, y_test), after.score(X_test, y_test)
            assert now > was - 0.02
    # A final estimator that does not learn from the liar's labels is right.
    assert model.score(X_test, y_test) > 0.8


def test_scores_are_of_rows_that_are_believed():
    X, y, silos, _, _ = three_silos()
    y[silos == "third"] = 1 - y[silos == "third"]
    with pytest.warns(UserWarning, match="set aside"):
        model = CooperativeDistiller(group(), n_rounds=0, random_state=0).fit(
            X, y, silos=silos
        )
    # Out of fold the honest are right about the honest rows, the liar is not.
    assert model.scores_.loc[0, "first"] > 0.6
    assert model.scores_.loc[0, "second"] > 0.6
    assert model.scores_.loc[0, "third"] < 0.3


@pytest.mark.parametrize("accept", ["all", "own", "robust", None])
def test_two_silos_are_never_set_aside(accept):
    X, y, silos, _, _ = three_silos(n_silos=2)
    y[silos == "second"] = 1 - y[silos == "second"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = CooperativeDistiller(group()[:2], accept=accept, random_state=0).fit(
            X, y, silos=silos
        )
    assert (model.history_["round"] > 0).all()
    if accept == "robust":  # what is better by one is worse by the other
        assert not model.history_["accepted"].any()


def test_accept_own_beside_a_liar():
    """The liar's member has no rows that could judge it, and stays as it was."""
    X, y, silos, _, _ = three_silos()
    y[silos == "third"] = 1 - y[silos == "third"]
    with pytest.warns(UserWarning, match="set aside"):
        model = CooperativeDistiller(group(), accept="own", random_state=0).fit(
            X, y, silos=silos
        )
    assert "third" not in set(model.lessons_["student"])
    assert model.scores_["third"].isna().all()
    assert model.scores_["first"].notna().all()


def test_order_of_the_rows_does_not_matter():
    X, y, silos, _, _ = three_silos()
    y[silos == "third"] = 1 - y[silos == "third"]
    order = np.random.default_rng(0).permutation(len(y))
    reasons = []
    for rows in (np.arange(len(y)), order):
        folds = (np.arange(len(y)) // 3 % 5)[rows]
        cv = [
            (np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in range(5)
        ]
        with pytest.warns(UserWarning, match="set aside"):
            model = CooperativeDistiller(
                [("first", LogisticRegression()), *group()[1:]],
                cv=cv,
                n_rounds=0,
                random_state=0,
            ).fit(X.iloc[rows], y[rows], silos=silos[rows])
        reasons.append(model.history_["reason"].tolist())
    assert reasons[0] == reasons[1]


def test_frozen_guest_is_a_witness():
    X, y, silos, X_test, y_test = three_silos(n_silos=2)
    y[silos == "second"] = 1 - y[silos == "second"]
    guest = FrozenEstimator(RandomForestClassifier(random_state=0).fit(X_test, y_test))
    members = [*group()[:2], ("guest", guest), ("other guest", guest)]
    with pytest.warns(UserWarning, match="rows of 'second' neither"):
        model = CooperativeDistiller(members, random_state=0).fit(X, y, silos=silos)
    assert model.history_.loc[model.history_["round"] == 0, "student"].tolist() == [
        "second"
    ]


# accept="robust"


def test_robust_gate_wants_the_gain_without_any_silo():
    X, y, silos, _, _ = three_silos()
    fits = {}
    for accept in ("all", "robust"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fits[accept] = CooperativeDistiller(
                group(), accept=accept, n_rounds=1, random_state=0
            ).fit(X, y, silos=silos)
    tried = {k: f.history_[f.history_["taught"] > 0] for k, f in fits.items()}
    accepted = {k: set(t.loc[t["accepted"], "student"]) for k, t in tried.items()}
    assert accepted["robust"] <= accepted["all"]
    refused = accepted["all"] - accepted["robust"]
    reasons = tried["robust"].set_index("student")["reason"]
    for student in refused:
        assert "without one of the silos" in reasons[student].iloc[0]
    # The offers were the same.
    np.testing.assert_array_equal(tried["all"]["taught"], tried["robust"]["taught"])


def test_robust_is_all_in_a_single_table():
    X, y, _, _, _ = three_silos()
    fits = [
        CooperativeDistiller(group(), accept=accept, random_state=0).fit(X, y)
        for accept in ("all", "robust")
    ]
    pd.testing.assert_frame_equal(fits[0].history_, fits[1].history_)
    pd.testing.assert_frame_equal(fits[0].gains_, fits[1].gains_)
