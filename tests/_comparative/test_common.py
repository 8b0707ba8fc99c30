"""scikit-learn's own checks of the ComparativeDistiller, all of them."""

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import estimator_checks, get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from skcoop import ComparativeDistiller


class Answered(ComparativeDistiller):
    """A distiller whose answers are handed in: the labels, softened.

    The checks change their tables and classes from one to the next, which no fitted
    teacher could follow.
    """

    def fit(self, X, y=None, sample_weight=None):
        return super().fit(
            X, y, teacher_proba=self._answers(y), sample_weight=sample_weight
        )

    def _answers(self, y):
        try:
            classes, codes = np.unique(np.ravel(y), return_inverse=True)
            proba = 0.8 * np.eye(len(classes))[codes] + 0.2 / len(classes)
        except (TypeError, ZeroDivisionError):  # no labels that could be used
            return None
        return proba


TREES = ExtraTreesRegressor(3, max_depth=6)
CONFIGURATIONS = [
    Answered(
        None,
        DecisionTreeClassifier(max_depth=5),
        n_virtual=40,
        comparison=TREES,
        max_comparisons=200,
    ),
    Answered(
        None,
        LogisticRegression(),
        comparison=TREES,
        accept=None,
        n_virtual=40,
        group_size=3,
        max_comparisons=200,
    ),
    Answered(
        None,
        DecisionTreeClassifier(max_depth=5),
        comparison=TREES,
        n_virtual=0,
        query="diverse",
        temperature=2.0,
    ),
]
LEFT_OUT_BY_THE_BATTERY = [
    estimator_checks.check_dataframe_column_names_consistency,
    estimator_checks.check_param_validation,
    estimator_checks.check_inplace_ensure_writeable,
]
LEAST_CHECKS = 55
# None is expected to fail.
EXPECTED_FAILURES: dict[str, str] = {}


@parametrize_with_checks(
    CONFIGURATIONS, expected_failed_checks=lambda estimator: EXPECTED_FAILURES
)
def test_scikit_learn_check(estimator, check):
    check(estimator)


def test_number_of_checks():
    """A missing argument would silently skip whole groups."""
    for estimator in CONFIGURATIONS:
        names = {
            getattr(check, "func", check).__name__
            for _, check in estimator_checks.estimator_checks_generator(estimator)
        }
        assert len(names - {"check_array_api_input"}) >= LEAST_CHECKS
        assert "check_sample_weight_equivalence_on_dense_data" in names
        nan_allowed = get_tags(estimator).input_tags.allow_nan
        assert ("check_estimators_nan_inf" in names) == (not nan_allowed)
        assert "check_classifiers_train" in names


@pytest.mark.parametrize("check", LEFT_OUT_BY_THE_BATTERY, ids=lambda c: c.__name__)
@pytest.mark.parametrize("estimator", CONFIGURATIONS[:2])
def test_check_that_the_battery_leaves_out(estimator, check):
    check(type(estimator).__name__, estimator)
