"""The gallery: each example has a picture, and runs as the notebook that it becomes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("plot_*.py"))


def test_there_are_examples():
    assert len(EXAMPLES) >= 8


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_has_a_title_a_text_and_a_picture(path):
    first, title, last, *text = path.read_text(encoding="utf-8").splitlines()[:6]
    assert first == '"""'
    assert set(title) == {"="}
    assert len(title) == len(last)
    assert any(text)
    assert "plt.show()" in path.read_text(encoding="utf-8")


def run(*command, folder):
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


EXECUTE = "from nbclient.cli import main; main()"
CONVERT = "from sphinx_gallery.notebook import python_to_jupyter_cli as c; c()"


@pytest.mark.parametrize("name", ["plot_reading_lessons", "plot_frozen_teacher"])
def test_example_runs_as_a_notebook(name, tmp_path):
    for package in ("sphinx_gallery", "nbclient", "ipykernel"):
        pytest.importorskip(package, reason=f"needs {package}")
    shutil.copy(EXAMPLES[0].with_name(f"{name}.py"), tmp_path)
    converted = run("-c", CONVERT, f"{name}.py", folder=tmp_path)
    assert converted.returncode == 0, converted.stderr
    notebook = f"{name}.ipynb"
    # A cell that raises ends the run.
    done = run("-c", EXECUTE, "--inplace", notebook, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    cells = json.loads((tmp_path / notebook).read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert all(cell["execution_count"] for cell in cells if cell["cell_type"] == "code")
    assert not [output for output in outputs if output["output_type"] == "error"]
    shown = {kind for output in outputs for kind in output.get("data", {})}
    assert "image/png" in shown
