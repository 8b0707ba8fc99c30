"""Sphinx configuration; ``python -m sphinx -W docs docs/_build/html`` builds the site.

The build runs the gallery and needs no network.
"""

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
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
# Inherited docstrings refer to pages of scikit-learn's own documentation.
suppress_warnings = ["ref.ref"]

html_theme = "pydata_sphinx_theme"
html_title = "skcoop"
html_show_sourcelink = False
html_theme_options = {
    "navbar_align": "left",
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
}

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "within_subsection_order": "ExampleTitleSortKey",
    "abort_on_example_error": True,
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("skcoop",),
    "show_memory": False,
    "show_signature": False,
}
