# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""The one door to scikit-learn's private parts.

Every name that scikit-learn does not promise to keep is imported here and nowhere
else, so that a new release can break one file only. ``tests/test_compat.py`` names
each of them.
"""

from typing import Any

from sklearn.base import _clone_parametrized, _fit_context
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    StrOptions,
    validate_parameter_constraints,
)

try:  # scikit-learn >= 1.9
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn < 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in where scikit-learn has no callbacks."""

        def _init_callback_context(self, **options: Any) -> None:
            """Say that there is nobody to tell."""


try:  # scikit-learn >= 1.8
    from sklearn.utils._repr_html.estimator import _VisualBlock
except ImportError:  # scikit-learn < 1.8
    from sklearn.utils._estimator_html_repr import _VisualBlock
from sklearn.utils.metadata_routing import _raise_for_params, _routing_enabled
from sklearn.utils.metaestimators import _BaseComposition
from sklearn.utils.validation import (
    _check_feature_names_in,
    _check_sample_weight,
    _num_samples,
)

__all__ = [
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "StrOptions",
    "_BaseComposition",
    "_VisualBlock",
    "_check_feature_names_in",
    "_check_sample_weight",
    "_clone_parametrized",
    "_fit_context",
    "_num_samples",
    "_raise_for_params",
    "_routing_enabled",
    "validate_parameter_constraints",
]
