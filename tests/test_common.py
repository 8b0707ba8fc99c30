"""scikit-learn's own checks, all of them, on several configurations."""

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from skcoop import CooperativeDistiller, DiversePeersDistiller
from skcoop.counterfactuals import BatchedDice


def distiller(**params):
    members = [
        ("linear", LogisticRegression()),
        ("tree", DecisionTreeClassifier(max_depth=5)),
    ]
    return CooperativeDistiller(members, **params)


def peers_and_leader(leader, **params):
    """Few virtual rows and folds: the checks fit hundreds of times.

    No tree is among the peers: which of equally good splits it takes may depend on
    whether rows are weighted or repeated, and between the rows that shows.
    """
    params = {"n_virtual": 20, "cv": 3, **params}
    peers = [("linear", LogisticRegression()), ("bayes", GaussianNB())]
    return DiversePeersDistiller(peers, leader, **params)


CONFIGURATIONS = [
    distiller(),
    distiller(combine="soft", n_rounds=1),
    distiller(combine="hard", accept="own", alpha=1.0),
    distiller(combine=DecisionTreeClassifier(max_depth=3), accept=None, cv=3),
    distiller(counterfactuals=BatchedDice(features_to_vary="all"), max_lessons=5),
]
WITH_A_LEADER = [
    peers_and_leader(DecisionTreeClassifier(max_depth=3)),
    peers_and_leader(LogisticRegression(), attention="global", accept=None, n_rounds=2),
]
LEFT_OUT_BY_THE_BATTERY = [
    estimator_checks.check_dataframe_column_names_consistency,
    estimator_checks.check_param_validation,
    estimator_checks.check_inplace_ensure_writeable,
    estimator_checks.check_set_output_transform,
    estimator_checks.check_set_output_transform_pandas,
    estimator_checks.check_set_output_transform_polars,
    estimator_checks.check_global_output_transform_pandas,
    estimator_checks.check_global_set_output_transform_polars,
    estimator_checks.check_transformer_get_feature_names_out,
    estimator_checks.check_transformer_get_feature_names_out_pandas,
]
# Each scikit-learn has its own; 1.6 has one less.
MORE = hasattr(estimator_checks, "check_all_zero_sample_weights_error")
LEAST_CHECKS = 62 + MORE
LEAST_CHECKS_WITH_A_LEADER = 57 + MORE
# None is expected to fail.
EXPECTED_FAILURES: dict[str, str] = {}


@parametrize_with_checks(
    CONFIGURATIONS + WITH_A_LEADER,
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,
)
def test_scikit_learn_check(estimator, check):
    check(estimator)


def test_number_of_checks_of_distillers_with_a_leader():
    for estimator in WITH_A_LEADER:
        names = {
            getattr(check, "func", check).__name__
            for _, check in estimator_checks.estimator_checks_generator(estimator)
        }
        assert len(names - {"check_array_api_input"}) >= LEAST_CHECKS_WITH_A_LEADER
        assert "check_sample_weight_equivalence_on_dense_data" in names
        assert "check_estimators_nan_inf" in names
        assert "check_n_features_in" in names


def test_number_of_checks():
    """A missing argument or a frozen member would silently skip whole groups."""
    skipped_by_design = {"check_array_api_input"}
    for estimator in CONFIGURATIONS:
        names = {
            getattr(check, "func", check).__name__
            for _, check in estimator_checks.estimator_checks_generator(estimator)
        }
        assert len(names - skipped_by_design) >= LEAST_CHECKS
        assert "check_sample_weight_equivalence_on_dense_data" in names
        assert "check_estimators_nan_inf" in names
        assert "check_transformer_general" in names
        assert "check_n_features_in" in names


# The output checks fit on frames and transform arrays on purpose.
@pytest.mark.filterwarnings("ignore:X (does not have valid|has) feature names")
@pytest.mark.parametrize("check", LEFT_OUT_BY_THE_BATTERY, ids=lambda c: c.__name__)
@pytest.mark.parametrize("estimator", CONFIGURATIONS[:3], ids=lambda e: e.combine)
def test_check_that_the_battery_leaves_out(estimator, check):
    check(type(estimator).__name__, estimator)
