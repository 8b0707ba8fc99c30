"""Members and silos are two things: who lives where."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from skcoop import CooperativeDistiller, make_distiller

X, y = make_classification(300, 5, n_informative=4, n_redundant=0, random_state=0)
X = pd.DataFrame(X, columns=list("abcde"))
CITIES = np.array(["basel", "budapest", "zurich"])[np.arange(300) % 3]


def members():
    return [
        ("linear", LogisticRegression()),
        ("tree", DecisionTreeClassifier(max_depth=4)),
        ("bayes", GaussianNB()),
    ]


def fit(where, group=None, silos=CITIES, **params):
    model = CooperativeDistiller(
        members() if group is None else group,
        silo_members=where,
        cv=3,
        random_state=0,
        **params,
    )
    return model.fit(X, y, silos=silos)


class Rows(GaussianNB):
    """Notes which rows it was fitted on."""

    def fit(self, X, y, sample_weight=None):
        self.rows_ = set(X.index)
        return super().fit(X, y)


def test_names_of_silos_change_nothing():
    where = {"basel": ["linear"], "budapest": ["tree"], "zurich": ["bayes"]}
    named = dict(zip(where, ["linear", "tree", "bayes"], strict=True))
    alike = fit(None, silos=np.array([named[city] for city in CITIES]))
    apart = fit(where)
    pd.testing.assert_frame_equal(apart.lessons_, alike.lessons_)
    pd.testing.assert_frame_equal(apart.history_, alike.history_)
    np.testing.assert_array_equal(apart.predict_proba(X), alike.predict_proba(X))


def test_several_members_live_at_one_silo_and_train_on_its_rows():
    group = [("first", Rows()), ("second", Rows()), ("third", Rows())]
    where = {"basel": ["first", "third"], "budapest": ["second"], "zurich": []}
    model = fit(where, group, n_rounds=0)
    for member, city in zip(
        model.initial_estimators_, ["basel", "budapest", "basel"], strict=True
    ):
        assert member.rows_ == set(np.flatnonzero(CITIES == city))


def test_members_of_one_silo_teach_each_other():
    model = fit({"basel": ["linear", "tree"], "budapest": ["bayes"], "zurich": []})
    pairs = set(zip(model.lessons_["teacher"], model.lessons_["student"], strict=True))
    assert ("linear", "tree") in pairs
    assert ("bayes", "tree") in pairs


def test_a_silo_without_members_judges_and_gives_lessons():
    model = fit({"basel": ["linear"], "budapest": ["tree", "bayes"], "zurich": []})
    cities = set(CITIES[model.lessons_["source_row"]])
    assert cities == {"basel", "budapest", "zurich"}
    # Its rows are among those that judge.
    rows = CITIES == "zurich"
    before = fit(
        {"basel": ["linear"], "budapest": ["tree", "bayes"], "zurich": []}, n_rounds=0
    ).scores_
    flipped = y.copy()
    flipped[rows] = 1 - flipped[rows]
    other = CooperativeDistiller(
        members(),
        silo_members={"basel": ["linear"], "budapest": ["tree", "bayes"], "zurich": []},
        n_rounds=0,
        cv=3,
        random_state=0,
    )
    with pytest.warns(UserWarning, match="rows of 'zurich' neither teach nor judge"):
        other.fit(X, flipped, silos=CITIES)
    assert (other.scores_.loc[0] != before.loc[0]).all()


def test_a_guest_lives_nowhere():
    guest = FrozenEstimator(RandomForestClassifier(10, random_state=0).fit(X, y))
    group = [*members()[:2], ("guest", guest)]
    model = fit({"basel": ["linear"], "budapest": ["tree"], "zurich": []}, group)
    assert model.named_estimators_["guest"] is guest
    assert "guest" in set(model.lessons_["teacher"])
    assert "guest" not in set(model.lessons_["student"])


def test_own_rows_are_those_of_the_home():
    where = {"basel": ["linear", "tree"], "budapest": ["bayes"], "zurich": []}
    own, everything = (fit(where, accept=a, n_rounds=0) for a in ("own", "all"))
    assert (own.scores_.loc[0] != everything.scores_.loc[0]).all()


def test_a_dropped_member_leaves_its_silo():
    group = [("linear", LogisticRegression()), ("tree", "drop"), members()[2]]
    model = fit(
        {"basel": ["linear", "tree"], "budapest": ["bayes"], "zurich": []}, group
    )
    assert len(model.estimators_) == 2
    # Where nobody is left, the rows leave as well.
    model = fit({"basel": ["linear"], "budapest": ["bayes"], "zurich": ["tree"]}, group)
    assert not set(CITIES[model.lessons_["source_row"]]) & {"zurich"}


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (
            {"basel": ["linear"], "zurich": ["tree", "bayes"]},
            r"lacks: \['budapest'\]. It has the silos \['basel', 'zurich'\], and the "
            r"members are \['linear', 'tree', 'bayes'\]",
        ),
        ({"basel": ["nobody"]}, "names 'nobody', which is no member. The members are"),
        (
            {"basel": ["linear"], "budapest": ["linear"]},
            "lets 'linear' live at 'basel' and at 'budapest'",
        ),
        ({"basel": "linear"}, r"silo_members\['basel'\] must be a list"),
        ({"basel": 3}, r"silo_members\['basel'\] must be a list"),
        (
            {"basel": ["linear"], "budapest": ["tree"], "zurich": []},
            "Member 'bayes' has no rows to train on",
        ),
    ],
)
def test_what_cannot_be_is_named(where, message):
    with pytest.raises(ValueError, match=message):
        fit(where)


def test_no_mapping():
    with pytest.raises(ValueError, match="silo_members"):
        fit([("basel", ["linear"])])


def test_silo_members_without_silos():
    model = CooperativeDistiller(members(), silo_members={"basel": ["linear"]})
    with pytest.raises(ValueError, match="silo_members says who lives where, but"):
        model.fit(X, y)


def test_labels_may_be_numbers():
    numbers = np.arange(300) % 3
    model = fit({0: ["linear"], 1: ["tree"], 2: ["bayes"]}, silos=numbers)
    named = fit({"basel": ["linear"], "budapest": ["tree"], "zurich": ["bayes"]})
    pd.testing.assert_frame_equal(model.history_, named.history_)


def test_make_distiller_knows_silos():
    model = make_distiller(
        LogisticRegression(),
        GaussianNB(),
        GaussianNB(),
        silo_members={
            "basel": ["logisticregression"],
            "budapest": ["gaussiannb-1"],
            "zurich": ["gaussiannb-2"],
        },
        random_state=0,
    ).fit(X, y, silos=CITIES)
    assert set(CITIES[model.lessons_["source_row"]]) == {"basel", "budapest", "zurich"}


def test_silo_column_names_silos():
    where = {"basel": ["linear"], "budapest": ["tree"], "zurich": ["bayes"]}
    model = CooperativeDistiller(
        members(), silo_members=where, silo_column="city", cv=3, random_state=0
    ).fit(X.assign(city=CITIES), y)
    pd.testing.assert_frame_equal(model.history_, fit(where).history_)
    forgotten = CooperativeDistiller(members(), silo_members=where, cv=3)
    with (
        pytest.warns(UserWarning, match="Column 'city' holds the names of silos"),
        pytest.raises(ValueError, match="silo_members says who lives where"),
    ):
        forgotten.fit(X.assign(city=CITIES), y)
