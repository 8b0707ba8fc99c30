"""Run a benchmark by name and keep what it printed beside the code."""

import argparse
import importlib
import os
import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
BENCHMARKS = {
    "hospitals": "four hospitals as silos, four algorithms (UCI Heart Disease)",
    "engine": "counterfactual searches: BatchedDice, dice-ml and NICE",
    "lessons": "which virtual instances teach best",
    "choices": "what each choice in the method is worth, on the four hospitals",
    "tables": "single tables, the same rows for all members",
}
PACKAGES = ["scikit-learn", "numpy", "scipy", "pandas", "joblib", "dice-ml"]


def heading(name, options):
    """Say what was run, on what, with which versions."""
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    return "\n".join(
        [
            f"# {name}: {BENCHMARKS[name]}",
            "",
            f"`python -m benchmarks {name} --seeds {options.seeds}`, {date.today()}",
            "",
            f"Python {platform.python_version()}, {versions}; "
            f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}; "
            f"seeds 0 to {options.seeds - 1}.",
            "",
        ]
    )


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=sorted(BENCHMARKS))
    parser.add_argument("--seeds", type=int, help="number of splits (default: 10)")
    parser.add_argument(
        "--data-home",
        type=Path,
        default=Path(os.environ.get("SKCOOP_DATA", "data")),
        help="folder with the data sets that scikit-learn does not ship "
        "(default: SKCOOP_DATA, else ./data)",
    )
    parser.add_argument(
        "--jobs", type=int, default=1, help="processes, where no times are measured"
    )
    parser.add_argument(
        "--save", action="store_true", help="write the output to benchmarks/results"
    )
    options = parser.parse_args()
    module = importlib.import_module(f"benchmarks.{options.name}")
    if options.seeds is None:
        options.seeds = getattr(module, "SEEDS", 10)
    text = heading(options.name, options) + "\n" + module.run(options) + "\n"
    print(text)
    if options.save:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{options.name}.md").write_text(text)


if __name__ == "__main__":
    main()
