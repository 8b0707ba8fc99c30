"""Sphinx configuration: ``sphinx-build -W docs docs/_build`` builds the pages."""

import skcoop

project = "skcoop"
author = "The skcoop developers"
copyright = "2026, the skcoop developers"
release = version = skcoop.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "myst_parser",  # the pages that the benchmarks write
    "numpydoc",
]
exclude_patterns = ["_build"]
html_theme = "pydata_sphinx_theme"
autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
# Inherited docstrings refer to pages of scikit-learn's own documentation.
suppress_warnings = ["ref.ref"]
