# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""The private parts of scikit-learn that skcoop leans on."""

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

import skcoop
from skcoop import _compat

# Each name and the modules that may hold it, newest scikit-learn first.
PRIVATE_NAMES = {
    "HasMethods": ["sklearn.utils._param_validation"],
    "Interval": ["sklearn.utils._param_validation"],
    "InvalidParameterError": ["sklearn.utils._param_validation"],
    "StrOptions": ["sklearn.utils._param_validation"],
    "_BaseComposition": ["sklearn.utils.metaestimators"],
    "_VisualBlock": [
        "sklearn.utils._repr_html.estimator",
        "sklearn.utils._estimator_html_repr",
    ],
    "_check_feature_names_in": ["sklearn.utils.validation"],
    "_check_sample_weight": ["sklearn.utils.validation"],
    "_clone_parametrized": ["sklearn.base"],
    "_fit_context": ["sklearn.base"],
    "_num_samples": ["sklearn.utils.validation"],
    "_raise_for_params": ["sklearn.utils.metadata_routing"],
    "_routing_enabled": ["sklearn.utils.metadata_routing"],
    "validate_parameter_constraints": ["sklearn.utils._param_validation"],
}


def private_imports(path):
    """Return what a file imports from scikit-learn's private parts, as dotted names."""
    imported = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imported += [f"{node.module}.{alias.name}" for alias in node.names]
    return {
        name
        for name in imported
        if name.startswith("sklearn.") and re.search(r"\._(?!_)", name)
    }


def test_compat_imports_these_names_and_no_others():
    expected = {
        f"{module}.{name}"
        for name, modules in PRIVATE_NAMES.items()
        for module in modules
    }
    assert private_imports(Path(_compat.__file__)) == expected


def test_no_other_file_imports_private_names():
    package = Path(skcoop.__file__).parent
    leaks = {
        str(path.relative_to(package)): sorted(private_imports(path))
        for path in package.rglob("*.py")
        if private_imports(path)
    }
    assert list(leaks) == ["_compat.py"], leaks


@pytest.mark.parametrize("name", PRIVATE_NAMES)
def test_private_name_exists(name):
    def find(module):
        try:
            return getattr(import_module(module), name, None)
        except ImportError:
            return None

    found = [find(module) for module in PRIVATE_NAMES[name]]
    assert getattr(_compat, name) in [one for one in found if one is not None]
