# Authors: The skcoop developers
# SPDX-License-Identifier: BSD-3-Clause
"""What surrounds the package: its two commands, its version, what it imports."""

import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import skcoop

ROOT = Path(__file__).parents[1]
PACKAGE = Path(skcoop.__file__).parent
CI_SCRIPT = ROOT / ".ci" / "run"

QUICK_START = "python -m pip install . && python -m skcoop"
TESTS = 'python -m pip install ".[test]" && python -m pytest'


def commands(text):
    """Return the blocks of commands of a Markdown text."""
    return re.findall(r"^```bash\n(.*?)\n```$", text, flags=re.DOTALL | re.MULTILINE)


def test_readme_holds_two_commands():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert commands(text) == [QUICK_START, TESTS]


def test_version_of_the_metadata():
    try:
        version = metadata.version("skcoop")
    except metadata.PackageNotFoundError:
        pytest.skip("skcoop is imported from its source tree and not installed")
    assert version == skcoop.__version__


# The package without what it can do without


def run_python(code):
    """Run code in a new interpreter that imports this very package."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=PACKAGE.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


IMPORT_ALL_WITHOUT_OPTIONAL = """
import importlib, pkgutil, sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"matplotlib", "polars", "hypothesis", "rich"}:
            raise ModuleNotFoundError(f"{name} is blocked", name=name)

sys.meta_path.insert(0, Block())
import skcoop
for module in pkgutil.walk_packages(skcoop.__path__, "skcoop."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""


def test_all_modules_import_without_optional_packages():
    result = run_python(IMPORT_ALL_WITHOUT_OPTIONAL)
    assert result.returncode == 0, result.stderr


def test_import_leaves_heavy_packages_alone():
    result = run_python("import skcoop, sys; print(*sys.modules)")
    assert result.returncode == 0, result.stderr
    heavy = {"dice_ml", "xgboost", "lightgbm", "torch", "matplotlib"}
    assert heavy.isdisjoint(result.stdout.split())


# The script that runs every check

needs_ci_script = pytest.mark.skipif(
    not CI_SCRIPT.exists() or os.name != "posix" or shutil.which("bash") is None,
    reason="needs bash and .ci/run, which source distributions do not hold",
)

# Stands in for the interpreter that makes a virtual environment, and for the programs
# in that environment: each writes down how it was called, one of them may fail.
FAKE_PYTHON = """#!/usr/bin/env bash
mkdir -p "$3/bin"
cat > "$3/bin/python" <<'END'
#!/usr/bin/env bash
call="$(basename "$0") $*"
echo "$call" >> "$CALLS"
[[ $call != "$FAILING" ]]
END
chmod +x "$3/bin/python"
cp "$3/bin/python" "$3/bin/ruff"
cp "$3/bin/python" "$3/bin/mypy"
"""

# Stand in for the programs of the machine: who is asking, and what installs a browser.
FAKE_ID = "#!/usr/bin/env bash\necho 0\n"
FAKE_APT_GET = """#!/usr/bin/env bash
call="apt-get $*"
echo "$call" >> "$CALLS"
[[ $call != "$FAILING" ]]
"""

README = """
```bash
python first
```

```python
neither = "this"
```

```bash
python second && python third "two words"
```
"""


@pytest.fixture
def run_ci(tmp_path):
    """Run .ci/run on a project with another README and programs that do nothing."""
    project = tmp_path / "project"
    (project / ".ci").mkdir(parents=True)
    shutil.copy(CI_SCRIPT, project / ".ci" / "run")
    (project / "README.md").write_text(README)
    fake_python = tmp_path / "fake_python"
    fake_python.write_text(FAKE_PYTHON)
    fake_python.chmod(0o755)
    machine = tmp_path / "machine"
    machine.mkdir()
    for name, program in [("id", FAKE_ID), ("apt-get", FAKE_APT_GET)]:
        (machine / name).write_text(program)
        (machine / name).chmod(0o755)
    calls = tmp_path / "calls"
    calls.touch()
    temporary = tmp_path / "temporary"
    temporary.mkdir()

    def run(failing=""):
        environment = {
            **os.environ,
            "PATH": f"{machine}{os.pathsep}{os.environ['PATH']}",
            "PYTHON": str(fake_python),
            "TMPDIR": str(temporary),
            "CALLS": str(calls),
            "FAILING": failing,
        }
        result = subprocess.run(
            [project / ".ci" / "run"],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not list(temporary.iterdir())
        return result.returncode, calls.read_text().splitlines()

    return run


CI_CALLS = [
    "apt-get -qq update",
    "apt-get -qq install --yes chromium",
    "python second",
    "python third two words",
    "python -m pip install .[lint]",
    "ruff check .",
    "ruff format --check .",
    "mypy skcoop",
    "python -m pip install .[docs]",
    "python -m sphinx -q -W --keep-going docs docs/_build/html",
]


@needs_ci_script
def test_ci_runs_the_tests_the_linters_and_the_documentation(run_ci):
    assert run_ci() == (0, CI_CALLS)


@needs_ci_script
@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_ci_runs_in_a_folder_that_another_checkout_ignores(run_ci, tmp_path):
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text("*\n")
    assert run_ci() == (0, CI_CALLS)


@needs_ci_script
@pytest.mark.parametrize("number", range(len(CI_CALLS)))
def test_ci_fails_with_any_of_its_steps(run_ci, number):
    code, calls = run_ci(failing=CI_CALLS[number])
    assert code != 0
    assert calls == CI_CALLS[: number + 1]
