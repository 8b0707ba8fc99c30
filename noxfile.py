# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""The version matrix: ``nox`` runs every session, ``nox -s oldest`` one of them.

Versions stand in ``pyproject.toml`` and are read from there.
"""

from pathlib import Path

import nox
from packaging.requirements import Requirement

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)

nox.options.error_on_missing_interpreters = False


def requirements(extra: str, *names: str) -> list[str]:
    """Return the named requirements of an extra, with their versions."""
    listed = PROJECT["project"]["optional-dependencies"][extra]
    return [line for line in listed if Requirement(line).name in names]


def lower_bounds() -> list[str]:
    """Return the dependencies, each pinned to the oldest version that is allowed."""
    pins = []
    for line in PROJECT["project"]["dependencies"]:
        requirement = Requirement(line)
        bounds = [s.version for s in requirement.specifier if s.operator == ">="]
        if len(bounds) != 1:
            raise ValueError(f"Give {requirement.name!r} one lower bound: {line!r}.")
        pins.append(f"{requirement.name}=={bounds[0]}")
    return pins


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run all tests with the newest version of everything, and measure coverage."""
    session.install("--upgrade", "--upgrade-strategy=eager", ".[test]")
    session.run("python", "-m", "pytest", "--cov", *session.posargs)


@nox.session(python=PYTHONS[0])
def oldest(session: nox.Session) -> None:
    """Run all tests with the oldest version of each dependency."""
    constraints = Path(session.create_tmp(), "oldest.txt")
    constraints.write_text("\n".join(lower_bounds()) + "\n", encoding="utf-8")
    session.install(".[test]", "--constraint", str(constraints))
    session.run("python", "-m", "pip", "check")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def minimal(session: nox.Session) -> None:
    """Run the quick start, and the tests that need no optional package.

    The other tests skip themselves (``pytest.importorskip``).
    """
    session.install(".")
    session.run("python", "-m", "skcoop")
    session.install(*requirements("test", "pytest", "pytest-xdist"))
    session.run("python", "-m", "pytest", "tests", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check the style and the format of the code."""
    session.install(*requirements("lint", "ruff"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def typing(session: nox.Session) -> None:
    """Check the types of the package."""
    session.install(".[lint]")
    session.run("mypy", "skcoop")
