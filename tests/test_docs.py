"""Docstrings are complete, the guide's examples run, the README's figures are ours."""

import doctest
import inspect
import re
import types
from pathlib import Path

import pytest

import skcoop
from skcoop import counterfactuals, datasets, exchange, inspection

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.rst"))

PUBLIC = [
    (module, name)
    for module in (skcoop, counterfactuals, datasets, inspection, exchange)
    for name in module.__all__
]
# Not asked for: extended summaries, "See Also" everywhere, names of returned values,
# and parameters of the protocol class, which has none.
METHODS = (types.FunctionType, classmethod, property)
IGNORED = {"ES01", "SA01", "EX01", "RT02", "GL01", "GL08"}


def documented_objects():
    for module, name in PUBLIC:
        thing = getattr(module, name)
        yield f"{module.__name__}.{name}"
        if inspect.isclass(thing):
            for attribute, value in vars(thing).items():
                if not attribute.startswith("_") and isinstance(value, METHODS):
                    yield f"{module.__name__}.{name}.{attribute}"


@pytest.mark.parametrize("name", documented_objects())
def test_docstring_is_complete(name):
    validate = pytest.importorskip("numpydoc.validate").validate
    errors = [error for error in validate(name)["errors"] if error[0] not in IGNORED]
    if name.endswith("CounterfactualEngine"):
        errors = [error for error in errors if error[0] != "PR01"]
    assert errors == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_of_the_guide_run(page):
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    failed, _ = doctest.testfile(str(page), module_relative=False, optionflags=flags)
    assert failed == 0


def test_there_are_pages_without_gaps():
    assert len(PAGES) >= 5
    for page in [ROOT / "README.md", *PAGES]:
        assert re.findall(r"%[A-Z]+%|TODO|TBD|XXX", page.read_text()) == []


def test_figures_of_the_readme_are_those_of_the_benchmarks():
    """Each line of figures stands, to the letter, in a committed result."""
    results = "".join(
        path.read_text() for path in (ROOT / "docs" / "benchmarks").glob("*.md")
    )
    readme = (ROOT / "README.md").read_text()
    tables = [line for line in readme.splitlines() if line.startswith("|")]
    lines = [line for line in tables if "±" in line]
    assert len(lines) >= 6
    assert [line for line in lines if line not in results] == []


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda p: p.name)
def test_figures_in_sentences_are_those_of_the_benchmarks(page):
    results = "".join(
        path.read_text() for path in (ROOT / "docs" / "benchmarks").glob("*.md")
    )
    figures = re.findall(r"\d+\.\d+ ± \d+\.\d+", " ".join(page.read_text().split()))
    assert figures or page.name not in ("README.md", "user_guide.rst")
    assert [figure for figure in figures if figure not in results] == []


def test_example_of_the_readme_runs():
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    names: dict = {}
    exec(code, names)
    assert names["distiller"].lessons_["kept"].any()
