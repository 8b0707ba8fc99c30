# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""A distiller whose answers are those of one fitted model."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skcoop._members._predictions import (
    class_probabilities,
    class_scores,
    predicted_labels,
)
from skcoop._tables._checks import check_no_missing, check_table
from skcoop._tables._schema import TableSchema
from skcoop._utils._errors import named


def _model_has(method: str) -> Any:
    """Say that a method exists where the fitted or unfitted model has it."""

    def check(self: ModelDelegate) -> bool:
        unfitted = getattr(self, self._model_name[:-1])
        model = getattr(self, self._model_name, unfitted)
        # The model's own AttributeError says why it has no such method.
        getattr(model, method)
        lacks_some = self.__sklearn_is_fitted__() and (
            len(model.classes_) < len(self.classes_)
        )
        if method == "decision_function" and lacks_some:
            raise AttributeError(
                f"The model was taught only the classes {model.classes_.tolist()} of "
                f"{self.classes_.tolist()} and has no score for the others."
            )
        return True

    return check


class ModelDelegate:
    """Predictions of one model, asked with the container that it was fitted on.

    The probability of a class that the model was not taught is zero.
    """

    # The fitted attribute with the model; without its last letter, the parameter.
    _model_name: ClassVar[str]
    # Whether the model would answer for missing cells, but never saw one because others
    # in the fit take none.
    _refuses_missing: bool = False
    classes_: NDArray[Any]
    _schema: TableSchema

    def __sklearn_is_fitted__(self) -> bool:
        """Tell whether a fit came to its end: the model is set last."""
        return hasattr(self, self._model_name)

    def _ask(self, method: str, X: Any) -> tuple[Any, Any]:
        """Return what the model answers, and the rows that it was asked about."""
        if not self.__sklearn_is_fitted__():
            check_is_fitted(self)  # which asks for everybody's tags before it raises
        # The model looks at the cells itself: once is enough.
        if not self._schema.is_of_this_kind(X):
            X = self._schema.conform(check_table(self, X, reset=False))
        if self._refuses_missing:
            check_no_missing(X)
        with named(self._who, f"asked to {method}"):
            return getattr(getattr(self, self._model_name), method)(X), X

    @property
    def _who(self) -> str:
        return f"The {self._model_name[:-1]}"

    def _by_class(self, put_in_order: Any, method: str, X: Any) -> NDArray[np.float64]:
        """Return what the model answers about each class it knows, by `classes_`."""
        answer, X = self._ask(method, X)
        known = np.asarray(getattr(self, self._model_name).classes_)
        ordered: NDArray[np.float64] = put_in_order(
            answer, known, self.classes_, X, self._who
        )
        return ordered

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the predicted class of each row.

        Parameters
        ----------
        X : {array-like, dataframe} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Predicted classes.
        """
        answer, X = self._ask("predict", X)
        return predicted_labels(answer, self.classes_, X, self._who)

    @available_if(_model_has("predict_proba"))
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class, if the model has probabilities.

        Parameters
        ----------
        X : {array-like, dataframe} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Probabilities in the order of `classes_`.
        """
        return self._by_class(class_probabilities, "predict_proba", X)

    @available_if(_model_has("decision_function"))
    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return the model's scores of the classes, if it has such scores.

        Parameters
        ----------
        X : {array-like, dataframe} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Scores in the order of `classes_`; of the second class where there are two.
            Other columns, as those of pairs of classes, are the model's own.
        """
        return self._by_class(class_scores, "decision_function", X)
