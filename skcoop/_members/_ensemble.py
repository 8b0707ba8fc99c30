# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""What a group of named members needs to be one scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, MetaEstimatorMixin, TransformerMixin
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.validation import check_is_fitted

from skcoop._compat import (
    CallbackSupportMixin,
    _BaseComposition,
    _check_feature_names_in,
    _VisualBlock,
)
from skcoop._members._checks import is_dropped
from skcoop._members._member import FittedMember
from skcoop._members._routing import routing_key
from skcoop._tables._checks import check_table
from skcoop._tables._frames import is_frame, without_column
from skcoop._tables._schema import TableSchema


def by_name(pairs: Iterable[tuple[str, Any]]) -> Bunch:
    """Return a Bunch of named things, whose names may be those of any argument."""
    named = Bunch()
    named.update(pairs)
    return named


class NamedMembers(ClassifierMixin, MetaEstimatorMixin, _BaseComposition):
    """Members by name: their parameters, tags, routing and diagram."""

    estimators: Any
    cv: Any

    @property
    def named_estimators(self) -> Bunch:
        """The members as handed in, by name.

        Returns
        -------
        named_estimators : Bunch
            The unfitted classifiers.
        """
        return by_name(self.estimators)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters of the distiller and of its members.

        Parameters
        ----------
        deep : bool, default=True
            Whether to add the members and their parameters, as ``name`` and
            ``name__parameter``.

        Returns
        -------
        params : dict
            Values by name.
        """
        return self._get_params("estimators", deep=deep)

    def set_params(self, /, **params: Any) -> Any:
        """Set parameters of the distiller or of its members.

        Parameters
        ----------
        **params : dict
            Values by name. A member's name replaces the member, or drops it with
            ``"drop"``; ``name__parameter`` sets a parameter of it.

        Returns
        -------
        self : object
            The distiller.
        """
        if "estimators" in params:
            self.estimators = params.pop("estimators")
        # Names of members, as "self", may be those of arguments further down.
        for name in [name for name in params if name in self._names()]:
            self._replace_estimator("estimators", name, params.pop(name))
        super().set_params(**params)
        return self

    def _names(self) -> list[Any]:
        """Return the names of the members, where `estimators` is a list of pairs."""
        pairs = self.estimators if isinstance(self.estimators, list) else []
        return [p[0] for p in pairs if isinstance(p, tuple | list) and len(p) == 2]

    def get_metadata_routing(self) -> MetadataRouter:
        """Say which parameters of ``fit`` go to which member and to the splitter.

        Returns
        -------
        routing : MetadataRouter
            The routing of this distiller.
        """
        router = MetadataRouter(owner=type(self).__name__).add_self_request(self)
        for name, estimator in self.estimators:
            if not is_dropped(estimator):
                router.add(
                    **{routing_key(name): estimator},
                    method_mapping=MethodMapping().add(caller="fit", callee="fit"),
                )
        router.add(
            # Given splits route nothing, and reading them could use them up.
            cv=check_cv(self.cv if hasattr(self.cv, "split") else None),
            method_mapping=MethodMapping().add(caller="fit", callee="split"),
        )
        return router

    def __sklearn_tags__(self) -> Any:
        """Allow what all members allow; sparse matrices have no counterfactuals."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        try:
            tags.input_tags.allow_nan = all(
                get_tags(estimator).input_tags.allow_nan
                for _, estimator in self.estimators
                if not is_dropped(estimator)
            )
        except (TypeError, ValueError, AttributeError):
            # `estimators` is not a list of pairs, which is for fit to say.
            tags.input_tags.allow_nan = False
        return tags

    def _sk_visual_block_(self) -> Any:
        names, estimators = zip(*self.estimators, strict=True)
        return _VisualBlock("parallel", estimators, names=names)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: never the way to the training rows."""
        state = super().__getstate__()
        return {k: value for k, value in state.items() if k != "_training_rows"}

    def _forget(self) -> None:
        """Drop what an earlier fit left, so that a broken one leaves nothing."""
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)


class MemberEnsemble(CallbackSupportMixin, TransformerMixin, NamedMembers):
    """Members by name that answer together."""

    silo_column: Any
    estimators_: list[Any]
    named_estimators_: Bunch
    classes_: NDArray[Any]
    _schema: TableSchema

    def __sklearn_is_fitted__(self) -> bool:
        """Tell whether a fit came to its end: `estimators_` is set last."""
        return hasattr(self, "estimators_")

    def _member_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the members' probabilities, (n_members, n_samples, n_classes)."""
        check_is_fitted(self)
        if self.silo_column is not None and is_frame(X):
            X = without_column(X, self.silo_column)
        X = self._schema.conform(check_table(self, X, reset=False))
        members = [
            FittedMember(name, model, self.classes_)
            for name, model in self.named_estimators_.items()
            if not is_dropped(model)
        ]
        return np.array([member.answer_without_writing(X) for member in members])

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Return each member's probability of each class, side by side.

        Parameters
        ----------
        X : {array-like, dataframe} of shape (n_samples, n_features)
            Rows; the silo column may be there or not.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_members * n_classes)
            Probabilities by member, in the order of `classes_`.
        """
        return np.hstack(list(self._member_proba(X)))

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the names of the columns that ``transform`` gives.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Not used, checked against `feature_names_in_` if given.

        Returns
        -------
        feature_names_out : ndarray of str
            Class name, member and position of the class in `classes_`.
        """
        check_is_fitted(self)
        _check_feature_names_in(self, input_features, generate_names=False)
        prefix = type(self).__name__.lower()
        positions = range(len(self.classes_))
        names = [n for n, e in self.named_estimators_.items() if not is_dropped(e)]
        return np.asarray(
            [f"{prefix}_{name}{k}" for name in names for k in positions], dtype=object
        )
