# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""The version matrix: ``nox`` runs every session, ``nox -s oldest`` one of them.

Versions stand in ``pyproject.toml`` and are read from there.
"""

import re
from pathlib import Path

import nox
from packaging.requirements import Requirement

PROJECT = nox.project.load_toml("pyproject.toml")
EXTRAS = PROJECT["project"]["optional-dependencies"]
PYTHONS = nox.project.python_versions(PROJECT)

nox.options.error_on_missing_interpreters = False


def lower_bounds() -> list[str]:
    """Return all that the tests need, pinned to the oldest versions allowed."""
    pins = []
    extras = ["dask", "exchange", "plot", "progress", "test"]
    listed = PROJECT["project"]["dependencies"] + [
        requirement for extra in extras for requirement in EXTRAS[extra]
    ]
    for requirement in map(Requirement, listed):
        if requirement.name == PROJECT["project"]["name"]:  # as in "skcoop[plot]"
            continue
        bounds = [s.version for s in requirement.specifier if s.operator == ">="]
        if len(bounds) != 1:
            raise ValueError(f"Give {requirement.name!r} one lower bound.")
        pins.append(f"{requirement.name}=={bounds[0]}")
    return pins


def tests_that_import(packages: set[str]) -> list[str]:
    """Return the files of tests that need one of the packages to be imported."""
    pattern = re.compile(rf"^(import|from) ({'|'.join(packages)})\b", re.MULTILINE)
    return [
        str(path)
        for path in sorted(Path("tests").rglob("*.py"))
        if pattern.search(path.read_text(encoding="utf-8"))
    ]


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run all tests with the newest version of everything, and measure coverage."""
    session.install("--upgrade", "--upgrade-strategy=eager", ".[test]")
    session.run("python", "-m", "pytest", "--cov", *session.posargs)


@nox.session(python=PYTHONS[0])
def oldest(session: nox.Session) -> None:
    """Run all tests with the oldest version of everything."""
    constraints = Path(session.create_tmp(), "oldest.txt")
    constraints.write_text("\n".join(lower_bounds()) + "\n", encoding="utf-8")
    session.install(".[test]", "--constraint", str(constraints))
    session.run("python", "-m", "pip", "check")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session(python=PYTHONS[-1])
def nightly(session: nox.Session) -> None:
    """Run all tests with pre-releases, to learn early what will break.

    Nightly wheels are found where ``PIP_EXTRA_INDEX_URL`` says, if it is set.
    """
    session.install("--pre", "--upgrade", "--upgrade-strategy=eager", ".[test]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session(python=PYTHONS[-1])
def fuzz(session: nox.Session) -> None:
    """Fit 2,000 random tables, others each time."""
    session.install(".[test]")
    options = ["-n0", "-o", "faulthandler_timeout=0", "--hypothesis-show-statistics"]
    session.run(
        *("python", "-m", "pytest", "tests/test_fuzzing.py", *options),
        *session.posargs,
        env={"SKCOOP_FUZZ": "2000"},
    )


@nox.session(python=PYTHONS[-1])
def mutants(session: nox.Session) -> None:
    """Change the code in small ways and see whether a test notices each of them."""
    session.install(".[test]", "mutmut>=3.8,<4")
    # The tests must import the changed copy, not what is installed.
    session.run("python", "-m", "pip", "uninstall", "--yes", "skcoop")
    session.run("mutmut", "run", *session.posargs)
    session.run("mutmut", "results")


@nox.session
def minimal(session: nox.Session) -> None:
    """Run the quick start and the tests that need no optional package."""
    session.install(".")
    session.run("python", "-m", "skcoop")
    runner = {line for line in EXTRAS["test"] if line.startswith("pytest")}
    session.install(*runner)
    optional = {*EXTRAS["plot"], *EXTRAS["test"]} - runner
    absent = {Requirement(line).name for line in optional}
    absent.remove(PROJECT["project"]["name"])  # as in "skcoop[plot]"
    ignored = [f"--ignore={path}" for path in tests_that_import(absent)]
    session.run("python", "-m", "pytest", "tests", *ignored, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check the style and the format of the code."""
    session.install(*EXTRAS["lint"])
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation, which runs the gallery, with warnings as errors."""
    session.install(".[docs]")
    session.run(
        *("python", "-m", "sphinx", "-W", "--keep-going", "docs", "docs/_build/html"),
        *session.posargs,
    )


@nox.session
def typing(session: nox.Session) -> None:
    """Check the types of the package."""
    session.install(".[lint]")
    session.run("mypy", "skcoop")
